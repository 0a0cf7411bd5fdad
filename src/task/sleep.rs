//! Waiting for a time to come.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Timer;

use crate::task::scheduler::Scheduler;
use crate::task::timers::TimerKey;
use crate::task::waiter::{Waiter, What, yields};

/// Waits so long, as `asyncio.sleep`.
///
/// For no time at all, it lets all others who are ready have one turn.
///
/// In a task it is the loop's clock that counts, which may be a [virtual](crate::task::LoopBuilder::virtual_clock) one. Elsewhere,
/// as in other executors or with [`await_`](crate::await_()) on a thread without a loop, it is a timer of async-io: one function
/// that sleeps serves threads and tasks alike. The time counts from the first poll on.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, Cancelled, task::{run, sleep}};
///
/// fn slow_function() -> Result<u32, Cancelled> {
///     await_(sleep(Duration::from_millis(1)))?;
///     Ok(42)
/// }
/// assert_eq!(slow_function().unwrap(), 42); // blocks this thread
/// assert_eq!(run(|| Ok(slow_function()?)).unwrap(), 42); // lets other tasks run
/// ```
pub fn sleep(delay: Duration) -> Sleep {
    Sleep(State::New(Until::After(delay)))
}

/// Waits until it is so late by the loop's clock, see [`time`](crate::task::time).
///
/// If it is so late already, it lets all others who are ready have one turn.
pub fn sleep_until(when: Duration) -> Sleep {
    Sleep(State::New(Until::At(when)))
}

/// Waits for a time to come. Made by [`sleep`] and [`sleep_until`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep(State);

#[derive(Clone, Copy, Debug)]
enum Until {
    After(Duration),
    At(Duration),
}

enum State {
    New(Until),
    /// Has let the others have their turn.
    Yielded,
    Waits {
        scheduler: Rc<Scheduler>,
        timer: TimerKey,
        waiter: Rc<Waiter>,
    },
    /// There is no loop.
    Elsewhere(Timer),
    Over,
}

impl Sleep {
    fn begin(&mut self, until: Until, context: &Context<'_>) {
        self.0 = match (Scheduler::running(), until) {
            (_, Until::After(Duration::ZERO)) => State::Yielded,
            (Some(scheduler), until) => {
                let now = scheduler.now();
                let when = match until {
                    Until::After(delay) => now.saturating_add(delay),
                    Until::At(when) => when,
                };
                if when <= now {
                    State::Yielded
                } else {
                    let waiter = Waiter::new(What::Sleep);
                    let timer = scheduler.add_timer(when, waiter.clone());
                    State::Waits {
                        scheduler,
                        timer,
                        waiter,
                    }
                }
            }
            (None, Until::After(delay) | Until::At(delay)) => State::Elsewhere(Timer::after(delay)),
        };
        if let State::Yielded = self.0 {
            yields(context);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let State::New(until) = self.0 {
            self.begin(until, context);
            if let State::Yielded = self.0 {
                return Poll::Pending;
            }
        }
        let poll = match &mut self.0 {
            State::Waits { waiter, .. } => waiter.poll(context),
            State::Elsewhere(timer) => Pin::new(timer).poll(context).map(drop),
            State::New(_) | State::Yielded | State::Over => Poll::Ready(()),
        };
        if poll.is_ready() {
            self.0 = State::Over;
        }
        poll
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let State::Waits {
            scheduler, timer, ..
        } = &self.0
        {
            scheduler.remove_timer(*timer);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}
