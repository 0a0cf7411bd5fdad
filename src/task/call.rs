//! Functions that a loop calls.

#![forbid(unsafe_code)]

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::task::callback::Callback;
use crate::task::scheduler::Scheduler;
use crate::task::timers::TimerKey;

/// Has the loop that runs on this thread call `callback` after all that is ready by now, as `loop.call_soon`.
///
/// It is called outside of tasks: it cannot wait. A panic in it is reported.
///
/// # Panics
///
/// If no event loop runs on this thread. Other threads use a [`LoopHandle`](crate::task::LoopHandle).
pub fn call_soon(callback: impl FnOnce() + 'static) -> Call {
    Call::soon(&running("call_soon"), callback)
}

/// Has the loop that runs on this thread call `callback` after so long, as `loop.call_later`. Those that are due at the same
/// time are called in the order in which they were asked for.
///
/// # Panics
///
/// As [`call_soon`].
pub fn call_later(delay: Duration, callback: impl FnOnce() + 'static) -> Call {
    let scheduler = running("call_later");
    let when = scheduler.now().saturating_add(delay);
    Call::at(&scheduler, when, callback)
}

/// Has the loop that runs on this thread call `callback` at this [time](time), as `loop.call_at`.
///
/// # Panics
///
/// As [`call_soon`].
pub fn call_at(when: Duration, callback: impl FnOnce() + 'static) -> Call {
    Call::at(&running("call_at"), when, callback)
}

/// How long the loop that runs on this thread has been there, by its clock: `loop.time`.
///
/// # Panics
///
/// As [`call_soon`].
pub fn time() -> Duration {
    running("time").now()
}

#[track_caller]
fn running(what: &str) -> Rc<Scheduler> {
    match Scheduler::running() {
        Some(scheduler) => scheduler,
        None => panic!("`{what}` called on a thread where no event loop runs"),
    }
}

/// A callback as its [`Call`] knows it.
trait Callable {
    fn cancel(&self) -> bool;
    fn is_pending(&self) -> bool;
}

impl<F> Callable for Callback<F> {
    fn cancel(&self) -> bool {
        self.take().is_some()
    }

    fn is_pending(&self) -> bool {
        self.is_there()
    }
}

/// A function that a loop is going to call, as `asyncio.Handle` and `TimerHandle`. It is called too if this is dropped.
pub struct Call {
    callback: Rc<dyn Callable>,
    timer: Option<(Rc<Scheduler>, TimerKey)>,
    when: Option<Duration>,
}

impl Call {
    pub(crate) fn soon(scheduler: &Rc<Scheduler>, callback: impl FnOnce() + 'static) -> Self {
        let callback = Callback::new(callback);
        scheduler.push(callback.clone());
        Self {
            callback,
            timer: None,
            when: None,
        }
    }

    pub(crate) fn at(
        scheduler: &Rc<Scheduler>,
        when: Duration,
        callback: impl FnOnce() + 'static,
    ) -> Self {
        let callback = Callback::new(callback);
        let timer = scheduler.add_timer(when, callback.clone());
        Self {
            callback,
            timer: Some((scheduler.clone(), timer)),
            when: Some(when),
        }
    }

    /// Has it not be called. Returns whether it was still to be called.
    pub fn cancel(&self) -> bool {
        if let Some((scheduler, timer)) = &self.timer {
            scheduler.remove_timer(*timer);
        }
        self.callback.cancel()
    }

    /// Whether it is still to be called.
    pub fn is_pending(&self) -> bool {
        self.callback.is_pending()
    }

    /// When it is to be called, by the loop's clock. `None`: soon.
    pub fn when(&self) -> Option<Duration> {
        self.when
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("is_pending", &self.is_pending())
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}
