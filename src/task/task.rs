//! Tasks as their owners see them.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::exception::Exception;
use crate::task::callback::Callback;
use crate::task::cancel::cancel;
use crate::task::cell::TaskCell;
use crate::task::entry::{AnyTask, Phase};
use crate::task::future::CallbackKey;
use crate::task::join::Join;
use crate::task::share::Share;
use crate::task::task_ref::TaskRef;

/// A task: a body that the event loop runs, and its result once there is one, as `asyncio.Task`. Made by
/// [`spawn`](crate::task::spawn()).
///
/// | | pending | done |
/// |---|---|---|
/// | [`result`](Self::result), [`exception`](Self::exception) | [`InvalidState`](crate::task::InvalidState), they never wait | how it ended |
/// | [`cancel`](Self::cancel) | asks it to end | `false` |
/// | [`add_done_callback`](Self::add_done_callback) | is called when it is done | is called soon |
/// | `await_(&task)`, `(&task).await` | waits | a clone of the result, at once |
/// | `await_(task)`, `task.await` | waits | the result itself, at once |
/// | drop | the task goes on | an error that nobody has asked for is reported |
///
/// Any number of tasks may wait for references to it; put it into an `Rc` to hand it around, or take a
/// [`TaskRef`](Self::to_ref).
///
/// # Cancellation
///
/// As asyncio's, CPython 3.13. [`cancel`](Self::cancel) counts one request and asks what the task waits for to be cancelled, be
/// it another task; what it waits for then ends its wait with [`Cancelled`](crate::Cancelled), once. The task may clean up, and wait
/// while it does; it may even go on. It is cancelled if it ends with that error. One that has not begun never does.
///
/// A task whose body is a *future* has its waits end so where they are
/// [`catch_cancel`](crate::task::catch_cancel())s. Elsewhere the future is dropped, as in the rest of asynchronous Rust.
pub struct Task<R: 'static> {
    pub(crate) cell: Rc<TaskCell<R>>,
    join: Join,
}

impl<R: 'static> Task<R> {
    pub(crate) fn of(cell: Rc<TaskCell<R>>) -> Self {
        let join = Join::NotYet;
        Self { cell, join }
    }

    /// The task, whatever it returns.
    pub fn to_ref(&self) -> TaskRef {
        TaskRef(self.cell.clone())
    }

    /// The name that a [`Builder`](crate::Builder) or [`set_name`](Self::set_name) gave it, or else `Task-` and a number.
    pub fn name(&self) -> String {
        self.cell.header().name()
    }

    /// Gives it another name.
    pub fn set_name(&self, name: impl Into<Cow<'static, str>>) {
        self.cell.header().set_name(name.into());
    }

    /// Where it was spawned.
    pub fn place(&self) -> &'static Location<'static> {
        self.cell.header().place
    }

    /// Whether it has ended.
    pub fn is_done(&self) -> bool {
        self.cell.base().is_done()
    }

    /// Whether it has ended with [`Cancelled`](crate::Cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.cell.base().phase() == Phase::Cancelled
    }

    /// What it returned. Never waits.
    ///
    /// # Errors
    ///
    /// What it raised, [`Exception::Cancelled`], or an [`InvalidState`](crate::task::InvalidState) if it is not done.
    pub fn result(&self) -> Result<R, Exception>
    where
        R: Clone,
    {
        self.cell.state.share()
    }

    /// What it returned, which is gone then. Never waits.
    ///
    /// # Errors
    ///
    /// As [`result`](Self::result); and an [`InvalidState`](crate::task::InvalidState) if it was taken before.
    pub fn take_result(&self) -> Result<R, Exception> {
        self.cell.state.take()
    }

    /// What it raised, if anything. Never waits.
    ///
    /// # Errors
    ///
    /// [`Exception::Cancelled`], or an [`InvalidState`](crate::task::InvalidState) if it is not done.
    pub fn exception(&self) -> Result<Option<Exception>, Exception> {
        self.cell.state.error()
    }

    /// Whether it has raised something and nobody has asked for that. It would be reported if the task were dropped now.
    pub fn is_unretrieved(&self) -> bool {
        self.cell.base().is_unretrieved()
    }

    /// Asks it to end: what it waits for ends with [`Cancelled`](crate::Cancelled), see [above](Self#cancellation). Returns
    /// whether it will be told: not if it is done.
    ///
    /// A task that is asked before it has begun never does. One that asks itself is told in its next wait, and is cancelled
    /// even if there is none.
    pub fn cancel(&self) -> bool {
        cancel(self.cell.clone())
    }

    /// How often it was asked to end, less what was [taken back](Self::uncancel).
    pub fn cancelling(&self) -> u32 {
        self.cell.header().cancels.get()
    }

    /// Takes back a request to end. Returns how many are left. With the last one, a cancellation that was not told yet is
    /// withdrawn, as in CPython 3.13.
    pub fn uncancel(&self) -> u32 {
        self.cell.header().uncancel()
    }

    /// Has the loop call `callback` when the task is done, in the order in which callbacks were added; soon, if it is done
    /// already. Returns what [`remove_done_callback`](Self::remove_done_callback) wants.
    ///
    /// It is called outside of tasks: it cannot wait. A panic in it is reported.
    pub fn add_done_callback(&self, callback: impl FnOnce(&Self) + 'static) -> CallbackKey {
        let cell = self.cell.clone();
        let call = move || callback(&Self::of(cell));
        CallbackKey(self.cell.base().watch(Callback::new(call)))
    }

    /// Forgets a callback. Returns whether it was still to be called.
    pub fn remove_done_callback(&self, key: CallbackKey) -> bool {
        self.cell.base().unwatch(key.0)
    }
}

/// Waits, and takes what the task returns.
impl<R: 'static> Future for Task<R> {
    type Output = Result<R, Exception>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let joined = this.join.poll(&this.cell, context);
        joined.map(|joined| {
            joined
                .map_err(Exception::from)
                .and_then(|()| this.cell.state.take())
        })
    }
}

/// Waits, and gets a clone of what the task returns.
impl<R: Clone + 'static> IntoFuture for &Task<R> {
    type Output = Result<R, Exception>;
    type IntoFuture = Share<R>;

    fn into_future(self) -> Share<R> {
        Share::new(self.cell.clone())
    }
}

impl<R: 'static> Drop for Task<R> {
    fn drop(&mut self) {
        self.join.forget(self.cell.base());
    }
}

impl<R: 'static> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ref().fmt(f)
    }
}
