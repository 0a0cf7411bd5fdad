//! Where a future learns that its task is cancelled.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cancelled::Cancelled;
use crate::interrupt::{Waits, poll_interruptibly};

/// Waits for a future, and ends with [`Cancelled`] if the task is cancelled meanwhile: what [`await_`](crate::await_()) is to a
/// closure, for a task whose body is a future.
///
/// Such a task is else dropped where it waits, and can neither clean up by waiting nor go on.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{catch_cancel, run, sleep, spawn}};
///
/// let last_words = run(|| {
///     let task = spawn(async {
///         let slept = catch_cancel(sleep(Duration::from_secs(60))).await;
///         sleep(Duration::from_millis(1)).await; // cleans up
///         Ok(if slept.is_err() { "bye" } else { "good morning" })
///     });
///     await_(sleep(Duration::from_millis(1)))?;
///     task.cancel();
///     await_(task)?
/// });
/// assert_eq!(last_words.unwrap(), "bye");
/// ```
pub fn catch_cancel<F: Future>(future: F) -> CatchCancel<F> {
    CatchCancel {
        future: Some(Box::pin(future)),
        waits: Waits::Not,
    }
}

/// Ends with [`Cancelled`] if its task is cancelled. Made by [`catch_cancel`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct CatchCancel<F> {
    future: Option<Pin<Box<F>>>,
    waits: Waits,
}

impl<F> Unpin for CatchCancel<F> {}

impl<F: Future> Future for CatchCancel<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let future = this
            .future
            .as_mut()
            .expect("a future is not polled after its end");
        let poll = poll_interruptibly(&mut this.waits, || future.as_mut().poll(context));
        if poll.is_ready() {
            this.future = None;
        }
        poll
    }
}

impl<F> fmt::Debug for CatchCancel<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchCancel").finish_non_exhaustive()
    }
}
