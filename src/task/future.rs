//! Futures whose result somebody sets.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::future::{Future as StdFuture, IntoFuture};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::exception::Exception;
use crate::task::base::Base;
use crate::task::callback::Callback;
use crate::task::cancel::{Cancel, Ticket, Todo, cancel};
use crate::task::entry::{Entry, Phase, Target};
use crate::task::join::{Join, Source};
use crate::task::scheduler::Scheduler;
use crate::task::share::Share;
use crate::task::state::State;

/// Makes a future, and the promise to set its result.
///
/// ```
/// use yieldfrom::{await_, task::{promise, run, spawn}};
///
/// let answer = run(|| {
///     let (promise, future) = promise();
///     spawn(move || {
///         promise.set_result(42)?;
///         Ok(())
///     });
///     await_(future)?
/// });
/// assert_eq!(answer.unwrap(), 42);
/// ```
pub fn promise<T: 'static>() -> (Promise<T>, Future<T>) {
    promise_in(Scheduler::running())
}

/// [`promise`] in a loop that need not run yet.
pub(crate) fn promise_in<T: 'static>(scheduler: Option<Rc<Scheduler>>) -> (Promise<T>, Future<T>) {
    let cell = Rc::new(FutureCell {
        state: State::new(Base::new(scheduler)),
    });
    let promise = Promise(Rc::new(Kept(cell.clone())));
    (promise, Future::of(cell))
}

/// A future in memory.
pub(crate) struct FutureCell<T> {
    pub(crate) state: State<T>,
}

impl<T: 'static> Source<T> for FutureCell<T> {
    fn state(&self) -> &State<T> {
        &self.state
    }

    fn as_target(self: Rc<Self>) -> Rc<dyn Target> {
        self
    }
}

impl<T: 'static> Target for FutureCell<T> {
    fn phase(&self) -> Phase {
        self.state.base.phase()
    }

    fn watch(&self, entry: Rc<dyn Entry>) -> u32 {
        self.state.base.watch(entry)
    }

    fn unwatch(&self, key: u32) -> bool {
        self.state.base.unwatch(key)
    }

    fn as_cancel(self: Rc<Self>) -> Rc<dyn Cancel> {
        self
    }
}

impl<T> Cancel for FutureCell<T> {
    fn request(self: Rc<Self>, _: Ticket, _: &mut Todo) -> bool {
        let base = &self.state.base;
        base.retrieve();
        let is_pending = !base.is_done();
        if is_pending {
            base.finish(Phase::Cancelled);
        }
        is_pending
    }

    fn acknowledge(&self) {
        if self.state.base.is_done() {
            self.state.base.retrieve();
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a future")
    }
}

impl<T> Drop for FutureCell<T> {
    fn drop(&mut self) {
        self.state.base.report_unretrieved(|| None);
    }
}

/// The result that a [`Promise`] will set, as `asyncio.Future`. Made by [`promise`] and [`unblock`](crate::task::unblock()).
///
/// | | pending | done |
/// |---|---|---|
/// | [`result`](Self::result), [`exception`](Self::exception) | [`InvalidState`](crate::task::InvalidState), they never wait | how it ended |
/// | [`add_done_callback`](Self::add_done_callback) | is called when it is done | is called soon |
/// | [`cancel`](Self::cancel) | cancels it | `false` |
/// | `await_(&future)` | waits | the result, at once |
///
/// Any number of tasks may wait for a reference to it; they get clones of the result. Who waits for the future itself gets
/// the result itself. If a task that waits for it is cancelled, the future is cancelled, and with it everybody else's wait (put
/// a [`shield`](crate::task::shield()) around it if that is not wanted).
///
/// An error that nobody asks for is reported when the future is dropped.
#[must_use = "the result of a future is lost unless somebody awaits it"]
pub struct Future<T: 'static> {
    pub(crate) cell: Rc<FutureCell<T>>,
    join: Join,
}

impl<T: 'static> Future<T> {
    pub(crate) fn of(cell: Rc<FutureCell<T>>) -> Self {
        let join = Join::NotYet;
        Self { cell, join }
    }

    /// Whether it has a result or an error, or is cancelled.
    pub fn is_done(&self) -> bool {
        self.cell.state.base.is_done()
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cell.state.base.phase() == Phase::Cancelled
    }

    /// The result. Never waits.
    ///
    /// # Errors
    ///
    /// The error that was set, [`Exception::Cancelled`], or an [`InvalidState`](crate::task::InvalidState) if it is not done.
    pub fn result(&self) -> Result<T, Exception>
    where
        T: Clone,
    {
        self.cell.state.share()
    }

    /// The result itself, which is gone then. Never waits.
    ///
    /// # Errors
    ///
    /// As [`result`](Self::result); and an [`InvalidState`](crate::task::InvalidState) if it was taken before.
    pub fn take_result(&self) -> Result<T, Exception> {
        self.cell.state.take()
    }

    /// The error that was set, if any. Never waits.
    ///
    /// # Errors
    ///
    /// [`Exception::Cancelled`], or an [`InvalidState`](crate::task::InvalidState) if it is not done.
    pub fn exception(&self) -> Result<Option<Exception>, Exception> {
        self.cell.state.error()
    }

    /// Cancels it. Returns whether it was pending.
    pub fn cancel(&self) -> bool {
        cancel(self.cell.clone())
    }

    /// Has the loop call `callback` when this is done, in the order in which callbacks were added; soon, if it is done already.
    /// Returns what [`remove_done_callback`](Self::remove_done_callback) wants.
    ///
    /// It is called outside of tasks: it cannot wait. A panic in it is reported.
    pub fn add_done_callback(&self, callback: impl FnOnce(&Self) + 'static) -> CallbackKey {
        let cell = self.cell.clone();
        let call = move || callback(&Self::of(cell));
        CallbackKey(self.cell.state.base.watch(Callback::new(call)))
    }

    /// Forgets a callback. Returns whether it was still to be called.
    pub fn remove_done_callback(&self, key: CallbackKey) -> bool {
        self.cell.state.base.unwatch(key.0)
    }
}

/// Which done-callback of a task or future.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallbackKey(pub(crate) u32);

/// Waits, and takes the result.
impl<T: 'static> StdFuture for Future<T> {
    type Output = Result<T, Exception>;

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

/// Waits, and gets a clone of the result.
impl<T: Clone + 'static> IntoFuture for &Future<T> {
    type Output = Result<T, Exception>;
    type IntoFuture = Share<T>;

    fn into_future(self) -> Share<T> {
        Share::new(self.cell.clone())
    }
}

impl<T: 'static> Drop for Future<T> {
    fn drop(&mut self) {
        self.join.forget(&self.cell.state.base);
    }
}

impl<T: 'static> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Future")
            .field("phase", &self.cell.state.base.phase())
            .finish_non_exhaustive()
    }
}

/// Sets the result of a [`Future`], once. Made by [`promise`].
///
/// A clone is the same promise. If all are dropped before there is a result, the future ends with [`BrokenPromise`].
pub struct Promise<T: 'static>(Rc<Kept<T>>);

struct Kept<T: 'static>(Rc<FutureCell<T>>);

impl<T: 'static> Promise<T> {
    /// Sets the result. Whoever waits goes on soon.
    ///
    /// # Errors
    ///
    /// If the future is done already or was cancelled. The result comes back.
    pub fn set_result(&self, result: T) -> Result<(), AlreadyDone<T>> {
        if self.is_done() {
            return Err(AlreadyDone(result));
        }
        self.0.0.state.settle(Ok(result));
        Ok(())
    }

    /// Sets an error. Whoever waits goes on soon.
    ///
    /// # Errors
    ///
    /// If the future is done already or was cancelled. The error comes back.
    pub fn set_exception(&self, error: impl Into<Exception>) -> Result<(), AlreadyDone<Exception>> {
        if self.is_done() {
            return Err(AlreadyDone(error.into()));
        }
        self.0.0.state.settle(Err(error.into()));
        Ok(())
    }

    /// Whether nothing can be set any more.
    pub fn is_done(&self) -> bool {
        self.0.0.state.base.is_done()
    }

    /// Whether the future was cancelled: nobody wants the result.
    pub fn is_cancelled(&self) -> bool {
        self.0.0.state.base.phase() == Phase::Cancelled
    }
}

impl<T: 'static> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: 'static> Drop for Kept<T> {
    fn drop(&mut self) {
        let state = &self.0.state;
        if !state.base.is_done() {
            state.settle(Err(BrokenPromise(()).into()));
            // Nobody has done anything wrong unless somebody waits.
            state.base.retrieve();
        }
    }
}

impl<T: 'static> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("is_done", &self.is_done())
            .finish_non_exhaustive()
    }
}

/// A result was to be set of a future that is done already, or was cancelled. Holds what was to be set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlreadyDone<T>(pub T);

impl<T> fmt::Debug for AlreadyDone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlreadyDone(..)")
    }
}

impl<T> fmt::Display for AlreadyDone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::task::InvalidState::done().fmt(f)
    }
}

impl<T> Error for AlreadyDone<T> {}

/// Every [`Promise`] was dropped, and none has set the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenPromise(());

impl fmt::Display for BrokenPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the promise was dropped before it was kept")
    }
}

impl Error for BrokenPromise {}
