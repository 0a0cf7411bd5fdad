//! Waiting for futures in synchronous code.

#![forbid(unsafe_code)]

use std::future::IntoFuture;
use std::panic::Location;
use std::pin::pin;

use crate::cancelled::Cancelled;
use crate::scope::Refusal;
use crate::unraisable::{Reason, report};
use crate::wait::wait;

/// Waits for a future, from anywhere: the [`fiber`](crate::fiber()) that the caller runs in is suspended, whatever generators,
/// pipelines or libraries lie in between.
///
/// | called | waits by |
/// |---|---|
/// | in a fiber, at any depth of calls, also in a generator or coroutine that runs there | suspending the fiber |
/// | elsewhere, on a thread where no fiber waits | blocking the thread ([`async_io::block_on`]) |
/// | elsewhere, on a thread where fibers wait: it is an executor's | it panics |
/// | in a future that is being polled, as in an `async` block that `await_` waits for | it panics |
/// | in a destructor, while a panic unwinds a fiber | not at all: the future is polled once |
/// | while the thread's thread-locals are destroyed | not at all: the future is polled once |
///
/// So one function serves threads and tasks alike.
///
/// ```
/// use std::time::Duration;
/// use async_io::Timer;
/// use futures_lite::future::block_on;
/// use yieldfrom::{await_, fiber, Cancelled};
///
/// fn slow_function() -> Result<u32, Cancelled> {
///     await_(Timer::after(Duration::from_millis(1)))?;
///     Ok(42)
/// }
/// assert_eq!(slow_function(), Ok(42)); // blocks this thread
/// assert_eq!(block_on(fiber(slow_function)), Ok(42));
/// ```
///
/// The future may borrow from the caller, and need be neither `Send` nor `'static`.
///
/// What is held across a wait stays held, as with `.await`: a lock, a `RefCell` borrow, a
/// [`LocalKey::with`](std::thread::LocalKey::with). What thread-locals say may have changed afterwards.
///
/// # Errors
///
/// [`Cancelled`] if the fiber is dropped or [cancelled](crate::Fiber::cancel). Then every later wait in this fiber ends so too,
/// at once and without the future being polled.
///
/// # Panics
///
/// ``"`await_` called inside a future that is being polled; use `.await` there"``, or ``"`await_` called outside a fiber on a
/// thread where fibers wait, which it would block; use `.await` there, or run the code in a `fiber`"``.
///
/// If the poll of the future panics.
#[track_caller]
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn await_<F: IntoFuture>(future: F) -> Result<F::Output, Cancelled> {
    let place = Location::caller();
    wait(pin!(future.into_future()), Some(place)).map_err(|refusal| {
        if let Some(message) = refusal.message() {
            misplaced(message);
        }
        Cancelled::new()
    })
}

#[cold]
#[inline(never)]
fn misplaced(message: &'static str) {
    if std::thread::panicking() {
        // A second panic could abort the process.
        report(None, Reason::Panic(Box::new(message)));
    } else {
        panic!("{message}");
    }
}

impl Refusal {
    /// What to say to who waits in the wrong place.
    pub(crate) fn message(self) -> Option<&'static str> {
        match self {
            Self::Cancelled => None,
            Self::InPoll => {
                Some("`await_` called inside a future that is being polled; use `.await` there")
            }
            Self::OnLoop => Some(
                "`await_` called outside a fiber on a thread where fibers wait, which it would block; \
                 use `.await` there, or run the code in a `fiber`",
            ),
        }
    }
}
