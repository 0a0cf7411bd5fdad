//! Waiting as input and output does: with an `io::Result`, and perhaps until a deadline.

#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future::or;

use crate::scope::Refusal;
use crate::wait;

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal.message() {
            Some(message) => io::Error::new(io::ErrorKind::Deadlock, message),
            None => crate::cancelled::Cancelled::new().into(),
        }
    }
}

/// When an operation has to be done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
}

impl Limits {
    /// The end of an operation that begins now.
    pub(crate) fn end(&self) -> Option<Instant> {
        let end = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        match (end, self.deadline) {
            (Some(end), Some(deadline)) => Some(end.min(deadline)),
            (end, deadline) => end.or(deadline),
        }
    }
}

/// Waits for a future.
pub(crate) fn wait<R>(future: impl Future<Output = io::Result<R>>) -> io::Result<R> {
    wait::wait(pin!(future), None)?
}

/// Waits for a future until `end`.
///
/// # Errors
///
/// `TimedOut`, or what else goes wrong.
pub(crate) fn wait_until<R>(
    end: Option<Instant>,
    future: impl Future<Output = io::Result<R>>,
) -> io::Result<R> {
    let Some(end) = end else { return wait(future) };
    wait(or(future, async {
        Timer::at(end).await;
        Err(io::ErrorKind::TimedOut.into())
    }))
}
