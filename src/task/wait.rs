//! Waiting for several tasks.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::task::awaitable::{Awaitable, target_of};
use crate::task::entry::{Observation, Observe, Phase, Target};
use crate::task::scheduler::Scheduler;
use crate::task::timers::TimerKey;
use crate::task::waiter::{Waiter, What};

/// Waits until all tasks, or [some](Wait::first_completed), are done, and tells which: `asyncio.wait`.
///
/// Never fails, and cancels nothing: neither at a [timeout](Wait::timeout) nor if whoever waits is cancelled. Nothing is waited for
/// if there are no tasks. (CPython: `ValueError`.)
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{run, sleep, spawn, wait}};
///
/// let first = run(|| {
///     let tasks = [3, 1, 2].map(|n| spawn(move || {
///         await_(sleep(Duration::from_millis(n)))?;
///         Ok(n)
///     }));
///     let waited = await_(wait(tasks).first_completed())?;
///     assert_eq!((waited.done.len(), waited.pending.len()), (1, 2));
///     waited.done[0].result()
/// });
/// assert_eq!(first.unwrap(), 1);
/// ```
pub fn wait<A: Awaitable>(tasks: impl IntoIterator<Item = A>) -> Wait<A> {
    Wait {
        tasks: tasks.into_iter().collect(),
        until: Until::All,
        timeout: None,
        begun: None,
    }
}

/// Waits for several tasks. Made by [`wait`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Wait<A> {
    tasks: Vec<A>,
    until: Until,
    timeout: Option<Duration>,
    begun: Option<Begun>,
}

/// Which tasks were done by the end of a [`wait`], and which were not; each in the order in which they were given.
#[derive(Debug)]
#[non_exhaustive]
pub struct Waited<A> {
    /// Those that have returned, raised or been cancelled.
    pub done: Vec<A>,
    /// The others.
    pub pending: Vec<A>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Until {
    All,
    First,
    FirstError,
}

struct Begun {
    watch: Rc<Watch>,
    keys: Vec<u32>,
    timer: Option<(Rc<Scheduler>, TimerKey)>,
}

/// What the tasks tell when they are done.
struct Watch {
    targets: Vec<Rc<dyn Target>>,
    left: Cell<usize>,
    until: Until,
    waiter: Rc<Waiter>,
}

impl Observe for Watch {
    fn observe(self: Rc<Self>, which: u32) {
        self.left.set(self.left.get() - 1);
        let is_over = self.left.get() == 0
            || match self.until {
                Until::All => false,
                Until::First => true,
                Until::FirstError => {
                    let target = &self.targets[which as usize];
                    if target.phase() != Phase::Cancelled {
                        target.acknowledge();
                    }
                    target.phase() == Phase::Raised
                }
            };
        if is_over {
            self.waiter.go_on();
        }
    }
}

impl<A: Awaitable> Wait<A> {
    /// Only until one is done: `FIRST_COMPLETED`.
    pub fn first_completed(mut self) -> Self {
        self.until = Until::First;
        self
    }

    /// Until one has raised an error, or all are done: `FIRST_EXCEPTION`. To be cancelled is no error.
    pub fn first_exception(mut self) -> Self {
        self.until = Until::FirstError;
        self
    }

    /// For so long at most, from the first poll on.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    fn begin(&self) -> Begun {
        let watch = Rc::new(Watch {
            targets: self.tasks.iter().map(target_of).collect(),
            left: Cell::new(self.tasks.len()),
            until: self.until,
            waiter: Waiter::new(What::SeveralTasks),
        });
        let timer = self.timeout.and_then(|timeout| {
            let scheduler = Scheduler::running()?;
            let when = scheduler.now().saturating_add(timeout);
            let timer = scheduler.add_timer(when, watch.waiter.clone());
            Some((scheduler, timer))
        });
        let tell = |which| Observation::of(&watch, which);
        let keys = (watch.targets.iter().zip(0..))
            .map(|(target, which)| target.watch(tell(which)))
            .collect();
        Begun { watch, keys, timer }
    }

    fn end(&mut self) -> Waited<A> {
        self.begun = None;
        let (done, pending) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|task| target_of(task).phase() != Phase::Pending);
        Waited { done, pending }
    }
}

impl<A> Unpin for Wait<A> {}

/// # Panics
///
/// If there is a timeout, and no event loop runs on this thread.
impl<A: Awaitable> Future for Wait<A> {
    type Output = Waited<A>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Waited<A>> {
        if self.begun.is_none() && !self.tasks.is_empty() {
            self.begun = Some(self.begin());
        }
        if let Some(begun) = &self.begun {
            if begun.watch.waiter.poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(self.end())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some((scheduler, timer)) = &self.timer {
            scheduler.remove_timer(*timer);
        }
        for (target, key) in self.watch.targets.iter().zip(&self.keys) {
            target.unwatch(*key);
        }
    }
}

impl<A> fmt::Debug for Wait<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("tasks", &self.tasks.len())
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
