//! Time limits.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Timer;

use crate::cancelled::Cancelled;
use crate::exception::Exception;
use crate::interrupt::{Interrupt, Waits, poll_interruptibly, with_interrupt};
use crate::task::cancel::cancel;
use crate::task::entry::{AnyTask, Observation, Observe};
use crate::task::error::TimedOut;
use crate::task::scheduler::Scheduler;
use crate::task::timers::TimerKey;
use crate::task::turn::running_task;

/// Runs a closure or a future with a time limit: `asyncio.timeout`.
///
/// When the time has passed, the task is cancelled: what it waits for in there ends with [`Cancelled`]. If that comes out, it is
/// made a [`TimedOut`]. A cancellation by somebody else stays one, and so does any other error. Limits nest: it is the one
/// that has passed that times out.
///
/// - A *closure* runs at once, in the task, and may borrow. It returns a `Result<R, `[`Exception`]`>`, and so does this.
/// - A *future* gives a future, of a `Result<T, TimedOut>`. It is dropped when the time has passed.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{run, sleep, timeout, TimedOut}};
///
/// run(|| {
///     let mut steps = 0;
///     let late = timeout(Duration::from_millis(5), || loop {
///         await_(sleep(Duration::from_millis(2)))?;
///         steps += 1;
///     });
///     assert!(late.map(|()| ()).unwrap_err().is::<TimedOut>());
///     assert!(steps >= 1);
///
///     let late = await_(timeout(Duration::from_millis(1), std::future::pending::<()>()))?;
///     assert!(late.is_err());
///     Ok(())
/// }).unwrap();
/// ```
///
/// # Panics
///
/// A closure: if this is not called in a task.
pub fn timeout<M, B: TimeoutBody<M>>(delay: Duration, body: B) -> B::Output {
    body.run(Timeout::after(delay))
}

/// As [`timeout`], until it is so late by the loop's clock, see [`time`](crate::task::time()): `asyncio.timeout_at`.
///
/// # Panics
///
/// As there.
pub fn timeout_at<M, B: TimeoutBody<M>>(when: Duration, body: B) -> B::Output {
    body.run(Timeout::at(when))
}

/// What [`timeout`] runs: a closure or a future. `M` only tells the two apart, and is always inferred.
pub trait TimeoutBody<M> {
    /// What [`timeout`] returns.
    type Output;

    #[doc(hidden)]
    fn run(self, timeout: Timeout) -> Self::Output;
}

impl<F, R> TimeoutBody<crate::task::body::ByCalling> for F
where
    F: FnOnce() -> Result<R, Exception>,
{
    type Output = Result<R, Exception>;

    fn run(self, timeout: Timeout) -> Result<R, Exception> {
        timeout.limit(self)
    }
}

impl<F: Future> TimeoutBody<crate::task::body::ByPolling> for F {
    type Output = WithTimeout<F>;

    fn run(self, timeout: Timeout) -> WithTimeout<F> {
        timeout.limit_future(self)
    }
}

/// A time limit that can be looked at, and moved while it counts: `asyncio.Timeout`.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{run, sleep, time, Timeout}};
///
/// let timeout = Timeout::after(Duration::from_millis(1));
/// run({
///     let timeout = timeout.clone();
///     move || timeout.limit(|| {
///         timeout.reschedule(time() + Duration::from_secs(60)); // more time for this one
///         await_(sleep(Duration::from_millis(2)))?;
///         Ok(())
///     })
/// }).unwrap();
/// assert!(!timeout.is_expired());
/// ```
#[derive(Clone)]
pub struct Timeout(Rc<Limit>);

struct Limit {
    when: Cell<Option<When>>,
    state: Cell<State>,
    task: Cell<Option<Rc<dyn AnyTask>>>,
    timer: Cell<Option<(Rc<Scheduler>, TimerKey)>>,
    /// How often it was rescheduled.
    round: Cell<u32>,
    /// How often the task was asked to end before.
    cancels_before: Cell<u32>,
}

#[derive(Clone, Copy, Debug)]
enum When {
    After(Duration),
    At(Duration),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    New,
    Counts,
    /// The time has passed, and the task was asked to end.
    Expires,
    Expired,
    Over,
}

impl Timeout {
    fn new(when: Option<When>) -> Self {
        Self(Rc::new(Limit {
            when: Cell::new(when),
            state: Cell::new(State::New),
            task: Cell::new(None),
            timer: Cell::new(None),
            round: Cell::new(0),
            cancels_before: Cell::new(0),
        }))
    }

    /// Expires so long after it has begun.
    pub fn after(delay: Duration) -> Self {
        Self::new(Some(When::After(delay)))
    }

    /// Expires when it is so late by the loop's clock.
    pub fn at(when: Duration) -> Self {
        Self::new(Some(When::At(when)))
    }

    /// Does not expire before it is [rescheduled](Self::reschedule).
    pub fn never() -> Self {
        Self::new(None)
    }

    /// Runs `body` with this limit, see [`timeout`].
    ///
    /// # Errors
    ///
    /// [`TimedOut`], or what `body` raises.
    ///
    /// # Panics
    ///
    /// If it is not called in a task, or for the second time.
    pub fn limit<R>(&self, body: impl FnOnce() -> Result<R, Exception>) -> Result<R, Exception> {
        /// For a body that panics.
        struct End<'a>(Option<&'a Timeout>);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                if let Some(timeout) = self.0 {
                    timeout.end();
                }
            }
        }
        assert!(
            self.begin(),
            "`Timeout::limit` called outside of a task; for a future, `timeout` works everywhere"
        );
        let mut end = End(Some(self));
        let outcome = body();
        end.0 = None;
        match outcome {
            Err(error) if self.end() && error.is_cancelled() => Err(TimedOut::new().into()),
            Ok(value) => {
                self.end();
                Ok(value)
            }
            outcome => outcome,
        }
    }

    /// Polls `future` with this limit, see [`timeout`]. It counts from the first poll on.
    pub fn limit_future<F: Future>(&self, future: F) -> WithTimeout<F> {
        WithTimeout {
            timeout: self.clone(),
            future: Some(Box::pin(future)),
            waits: Waits::Not,
            timer: None,
        }
    }

    /// When it expires, by the loop's clock. `None`: never; or that is not known before it has begun.
    pub fn when(&self) -> Option<Duration> {
        match self.0.when.get() {
            Some(When::At(when)) => Some(when),
            Some(When::After(_)) | None => None,
        }
    }

    /// Whether the time has passed before its end.
    pub fn is_expired(&self) -> bool {
        matches!(self.0.state.get(), State::Expires | State::Expired)
    }

    /// Has it expire at another time, by the loop's clock.
    ///
    /// # Panics
    ///
    /// If it has not begun, has expired or is over: ``"cannot reschedule a timeout that does not count"``.
    pub fn reschedule(&self, when: impl Into<Option<Duration>>) {
        assert!(
            self.0.state.get() == State::Counts,
            "cannot reschedule a timeout that does not count"
        );
        self.0.when.set(when.into().map(When::At));
        self.set_timer();
    }

    /// Counts for the task whose turn it is. Returns whether there is one.
    fn begin(&self) -> bool {
        assert!(
            self.0.state.get() == State::New,
            "a timeout can be used only once"
        );
        let Some(task) = running_task() else {
            return false;
        };
        self.0.cancels_before.set(task.header().cancels.get());
        self.0.task.set(Some(task));
        self.0.state.set(State::Counts);
        self.set_timer();
        true
    }

    fn set_timer(&self) {
        self.0.stop();
        let Some(scheduler) = Scheduler::running() else {
            return;
        };
        let now = scheduler.now();
        let when = match self.0.when.get() {
            None => return,
            Some(When::At(when)) => when,
            Some(When::After(delay)) => now.saturating_add(delay),
        };
        self.0.when.set(Some(When::At(when)));
        let round = self.0.round.get().wrapping_add(1);
        self.0.round.set(round);
        let entry = Observation::of(&self.0, round);
        if when <= now {
            scheduler.push(entry);
        } else {
            let key = scheduler.add_timer(when, entry);
            self.0.timer.set(Some((scheduler, key)));
        }
    }

    /// Counts no more. Returns whether a cancellation that comes out is this one's.
    fn end(&self) -> bool {
        self.0.stop();
        let task = self.0.task.take();
        match self.0.state.get() {
            State::Counts => {
                self.0.state.set(State::Over);
                false
            }
            State::Expires => {
                self.0.state.set(State::Expired);
                task.is_some_and(|task| task.header().uncancel() <= self.0.cancels_before.get())
            }
            State::New | State::Expired | State::Over => false,
        }
    }
}

impl Limit {
    fn stop(&self) {
        if let Some((scheduler, key)) = self.timer.take() {
            scheduler.remove_timer(key);
        }
    }
}

impl Observe for Limit {
    fn observe(self: Rc<Self>, round: u32) {
        if self.state.get() != State::Counts || self.round.get() != round {
            return; // it was over, or rescheduled, in the same iteration of the loop
        }
        self.timer.set(None);
        self.state.set(State::Expires);
        let task = self.task.take();
        self.task.set(task.clone());
        if let Some(task) = task {
            cancel(task.as_target().as_cancel());
        }
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("when", &self.when())
            .field("state", &self.0.state.get())
            .finish_non_exhaustive()
    }
}

/// A future with a time limit. Made by [`timeout`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct WithTimeout<F> {
    timeout: Timeout,
    future: Option<Pin<Box<F>>>,
    waits: Waits,
    /// If there is no task.
    timer: Option<Timer>,
}

impl<F> Unpin for WithTimeout<F> {}

impl<F: Future> WithTimeout<F> {
    fn begin(&mut self) {
        if !self.timeout.begin() {
            self.timeout.0.state.set(State::Over);
            self.timer = Some(match self.timeout.0.when.get() {
                Some(When::After(delay) | When::At(delay)) => Timer::after(delay),
                None => Timer::never(),
            });
        }
    }
}

impl<F: Future> Future for WithTimeout<F> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.timeout.0.state.get() == State::New {
            this.begin();
        }
        let future = this
            .future
            .as_mut()
            .expect("a future is not polled after its end");
        match poll_interruptibly(&mut this.waits, || future.as_mut().poll(context)) {
            Poll::Ready(Ok(output)) => {
                this.timeout.end();
                return Poll::Ready(Ok(output));
            }
            Poll::Ready(Err(Cancelled { .. })) => {
                this.future = None;
                if this.timeout.end() {
                    return Poll::Ready(Err(TimedOut::new()));
                }
                with_interrupt(Interrupt::raise);
                return Poll::Pending;
            }
            Poll::Pending => {}
        }
        if let Some(timer) = &mut this.timer {
            if Pin::new(timer).poll(context).is_ready() {
                this.future = None;
                return Poll::Ready(Err(TimedOut::new()));
            }
        }
        Poll::Pending
    }
}

impl<F> Drop for WithTimeout<F> {
    fn drop(&mut self) {
        self.future = None;
        self.timeout.end();
    }
}

impl<F> fmt::Debug for WithTimeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithTimeout")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
