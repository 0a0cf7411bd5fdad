//! Keeping a task from being cancelled together with whoever waits for it.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::exception::Exception;
use crate::task::awaitable::{Joinable, Part};
use crate::task::base::Base;
use crate::task::cancel::{Cancel, Todo};
use crate::task::entry::{Observation, Observe, Phase, Target};
use crate::task::future::FutureCell;
use crate::task::join::Join;
use crate::task::scheduler::Scheduler;
use crate::task::state::State;

/// Waits for a task or future that is not to be cancelled if whoever waits is: `asyncio.shield`.
///
/// The wait then ends, and the task goes on. If the task is cancelled by somebody else, that is how this ends.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{run, shield, sleep, spawn, wait_for}};
///
/// let saved = run(|| {
///     let save = spawn(|| {
///         await_(sleep(Duration::from_millis(2)))?;
///         Ok("saved")
///     });
///     let shielded = spawn({
///         let save = shield(&save);
///         move || await_(save)?
///     });
///     let late = await_(wait_for(shielded, Duration::from_millis(1)))?;
///     assert_eq!(late.unwrap_err().to_string(), "timed out");
///     await_(save)?
/// });
/// assert_eq!(saved.unwrap(), "saved");
/// ```
pub fn shield<J: Joinable>(task: J) -> Shield<J::Value> {
    let inner = task.into_part();
    if inner.target().phase() != Phase::Pending {
        return Shield(Kind::Done(inner));
    }
    let outer = Rc::new(FutureCell {
        state: State::new(Base::new(Scheduler::running())),
    });
    let shielding = Rc::new(Shielding {
        inner,
        outer,
        key: Cell::new(u32::MAX),
    });
    let target = shielding.inner.target();
    let key = target.watch(Observation::of(&shielding, INNER));
    shielding.key.set(key);
    let outer = &shielding.outer.state.base;
    outer.watch(Observation::of(&shielding, OUTER));
    Shield(Kind::Waits(shielding, Join::NotYet))
}

/// Waits for a task that is not cancelled together with whoever waits. Made by [`shield`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Shield<T: 'static>(Kind<T>);

enum Kind<T: 'static> {
    Done(Part<T>),
    Waits(Rc<Shielding<T>>, Join),
}

/// The two sides of a shield: the task, and the future that stands for it.
struct Shielding<T: 'static> {
    inner: Part<T>,
    outer: Rc<FutureCell<T>>,
    /// Where the task has it that the shield is to be told.
    key: Cell<u32>,
}

/// Which side is done.
const INNER: u32 = 0;
const OUTER: u32 = 1;

impl<T> Observe for Shielding<T> {
    fn observe(self: Rc<Self>, which: u32) {
        let inner = self.inner.target();
        if which == OUTER {
            if inner.phase() == Phase::Pending {
                inner.unwatch(self.key.get());
            }
            return;
        }
        match (self.outer.phase(), inner.phase()) {
            (Phase::Pending, Phase::Cancelled) => {
                self.outer.clone().request(0, &mut Todo::default());
            }
            (Phase::Pending, _) => self.outer.state.settle(self.inner.fetch()),
            (_, Phase::Cancelled) => {}
            (_, _) => inner.acknowledge(),
        }
    }
}

impl<T: 'static> Future for Shield<T> {
    type Output = Result<T, Exception>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Done(inner) => Poll::Ready(inner.fetch()),
            Kind::Waits(shielding, join) => {
                let joined = join.poll(&shielding.outer, context);
                joined.map(|joined| {
                    joined?;
                    shielding.outer.state.take()
                })
            }
        }
    }
}

impl<T: 'static> Drop for Shield<T> {
    fn drop(&mut self) {
        if let Kind::Waits(shielding, join) = &mut self.0 {
            join.forget(&shielding.outer.state.base);
        }
    }
}

impl<T: 'static> fmt::Debug for Shield<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").finish_non_exhaustive()
    }
}
