//! What wakes a loop that has nothing to do.

#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::{Duration, Instant};

use async_io::Timer;

/// One timer of the reactor, for the first of a loop's.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    timer: Option<(Option<Instant>, Timer)>,
}

impl Alarm {
    /// Whether it is `at`, or later. If not, has the caller woken then.
    pub(crate) fn is_due(&mut self, at: Option<Instant>, context: &mut Context<'_>) -> bool {
        match &mut self.timer {
            Some((set, _)) if *set == at => {}
            Some((set, timer)) => {
                *set = at;
                match at {
                    Some(at) => timer.set_at(at),
                    None => *timer = Timer::never(),
                }
            }
            None => {
                let Some(at) = at else { return false };
                self.timer = Some((Some(at), Timer::at(at)));
            }
        }
        self.rings(context)
    }

    /// Whether so much time has passed since this was first asked. If not, has the caller woken then.
    pub(crate) fn is_due_after(&mut self, delay: Duration, context: &mut Context<'_>) -> bool {
        if self.timer.is_none() {
            self.timer = Some((None, Timer::after(delay)));
        }
        self.rings(context)
    }

    /// The next [`is_due_after`](Self::is_due_after) is the first.
    pub(crate) fn forget(&mut self) {
        self.timer = None;
    }

    fn rings(&mut self, context: &mut Context<'_>) -> bool {
        let Some((set, timer)) = &mut self.timer else {
            return false;
        };
        let rings = Pin::new(timer).poll(context).is_ready();
        if rings {
            *set = None;
        }
        rings
    }
}
