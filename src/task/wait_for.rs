//! Waiting for a task with a time limit.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::exception::Exception;
use crate::task::awaitable::{Joinable, Part};
use crate::task::cancel::cancel;
use crate::task::entry::Phase;
use crate::task::error::TimedOut;
use crate::task::join::Join;
use crate::task::timeout::{Timeout, WithTimeout};
use crate::task::waiter::{Waiter, What};

/// Waits for a task or future with a time limit: `asyncio.wait_for`.
///
/// When the time has passed, the task is cancelled, and has ended before this raises [`TimedOut`]. One that returns a value all
/// the same has it returned. If whoever waits is cancelled, so is the task; [`shield`](crate::task::shield()) it to keep it
/// running.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{run, sleep, spawn, wait_for, TimedOut}};
///
/// run(|| {
///     let slow = spawn(|| Ok(await_(sleep(Duration::from_secs(60)))?));
///     let late = await_(wait_for(&slow, Duration::from_millis(1)))?;
///     assert!(late.unwrap_err().is::<TimedOut>());
///     assert!(slow.is_cancelled());
///     Ok(())
/// }).unwrap();
/// ```
pub fn wait_for<J: Joinable>(task: J, timeout: Duration) -> WaitFor<J::Value> {
    let part = task.into_part();
    WaitFor(if timeout.is_zero() {
        Kind::AtOnce(AtOnce { part, waiter: None })
    } else {
        let part = Joining(part, Join::NotYet);
        Kind::Later(Timeout::after(timeout).limit_future(part))
    })
}

/// Waits for a task with a time limit. Made by [`wait_for`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct WaitFor<T: 'static>(Kind<T>);

enum Kind<T: 'static> {
    Later(WithTimeout<Joining<T>>),
    AtOnce(AtOnce<T>),
}

/// Waits for a part.
struct Joining<T: 'static>(Part<T>, Join);

impl<T: 'static> Future for Joining<T> {
    type Output = Result<T, Exception>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self(part, join) = &mut *self;
        join.poll(&part.source, context).map(|joined| {
            joined?;
            part.fetch()
        })
    }
}

impl<T: 'static> Drop for Joining<T> {
    fn drop(&mut self) {
        self.1.forget(&self.0.source.state().base);
    }
}

/// The time has passed already: asyncio's `_cancel_and_wait`.
struct AtOnce<T: 'static> {
    part: Part<T>,
    /// Waits until the task has ended; but if that wait is cancelled, it does not go on until then.
    waiter: Option<(Rc<Waiter>, u32)>,
}

impl<T: 'static> AtOnce<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Exception>> {
        let target = self.part.target();
        let (waiter, _) = match &self.waiter {
            None if target.phase() != Phase::Pending => return Poll::Ready(self.part.fetch()),
            None => {
                let waiter = Waiter::new(What::EndOfTask);
                let key = target.watch(waiter.clone());
                cancel(target.as_cancel());
                self.waiter.insert((waiter, key))
            }
            Some(waits) => waits,
        };
        waiter.poll(context).map(|()| match self.part.fetch() {
            Err(Exception::Cancelled) => Err(TimedOut::new().into()),
            outcome => outcome,
        })
    }
}

impl<T: 'static> Drop for AtOnce<T> {
    fn drop(&mut self) {
        if let Some((_, key)) = self.waiter {
            self.part.target().unwatch(key);
        }
    }
}

impl<T: 'static> Future for WaitFor<T> {
    type Output = Result<T, Exception>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::AtOnce(at_once) => at_once.poll(context),
            Kind::Later(future) => Pin::new(future)
                .poll(context)
                .map(|outcome| outcome.map_err(Exception::from).and_then(|outcome| outcome)),
        }
    }
}

impl<T: 'static> fmt::Debug for WaitFor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor").finish_non_exhaustive()
    }
}
