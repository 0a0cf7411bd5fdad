//! Barriers.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use crate::task::sync::condition::Condition;
use crate::task::sync::lock::LockGuard;

/// Where so many tasks wait for each other: `asyncio.Barrier`. A clone is the same barrier.
///
/// ```
/// use yieldfrom::{await_, task::{gather, run, spawn, Barrier}};
///
/// let mut places = run(|| {
///     let barrier = Barrier::new(3);
///     let tasks = [(); 3].map(|()| {
///         let barrier = barrier.clone();
///         spawn(move || Ok(await_(barrier.wait())??)) // nobody gets past it alone
///     });
///     await_(gather(tasks))?
/// }).unwrap();
/// places.sort();
/// assert_eq!(places, [0, 1, 2]);
/// ```
#[derive(Clone)]
pub struct Barrier(Rc<State>);

struct State {
    condition: Condition,
    parties: usize,
    phase: Cell<Phase>,
    /// How many are inside.
    count: Cell<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Filling,
    Draining,
    Resetting,
    Broken,
}

impl Barrier {
    /// Makes one for so many tasks.
    ///
    /// # Panics
    ///
    /// If that is none.
    pub fn new(parties: usize) -> Self {
        assert!(parties > 0, "a barrier needs at least one task");
        Self(Rc::new(State {
            condition: Condition::new(),
            parties,
            phase: Cell::new(Phase::Filling),
            count: Cell::new(0),
        }))
    }

    /// Waits until all are here. Returns which one this was to come, from 0 on.
    ///
    /// # Errors
    ///
    /// If the barrier is [broken](Self::abort), or it is broken or [reset](Self::reset) meanwhile.
    pub async fn wait(&self) -> Result<usize, BrokenBarrier> {
        let state = &*self.0;
        let mut guard = state.condition.acquire().await;
        state.enter(&mut guard).await?;
        let _leave = Leave(state); // before the guard is dropped
        let index = state.count.get();
        state.count.set(index + 1);
        if index + 1 == state.parties {
            state.phase.set(Phase::Draining);
            state.condition.notify_all();
        } else {
            let is_full = || state.phase.get() != Phase::Filling;
            state.condition.wait_for(&mut guard, is_full).await;
            if matches!(state.phase.get(), Phase::Broken | Phase::Resetting) {
                return Err(BrokenBarrier(()));
            }
        }
        Ok(index)
    }

    /// Has all who wait go on with an error. The barrier can be used again.
    pub async fn reset(&self) {
        let _guard = self.0.condition.acquire().await;
        self.0.phase.set(match self.0.count.get() {
            0 => Phase::Filling,
            _ => Phase::Resetting,
        });
        self.0.condition.notify_all();
    }

    /// Has all who wait, or come later, go on with an error.
    pub async fn abort(&self) {
        let _guard = self.0.condition.acquire().await;
        self.0.phase.set(Phase::Broken);
        self.0.condition.notify_all();
    }

    /// How many it takes.
    pub fn parties(&self) -> usize {
        self.0.parties
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        match self.0.phase.get() {
            Phase::Filling => self.0.count.get(),
            _ => 0,
        }
    }

    /// Whether it was aborted.
    pub fn is_broken(&self) -> bool {
        self.0.phase.get() == Phase::Broken
    }
}

impl State {
    /// Waits while those of the last round leave.
    async fn enter(&self, guard: &mut LockGuard) -> Result<(), BrokenBarrier> {
        let is_ready = || !matches!(self.phase.get(), Phase::Draining | Phase::Resetting);
        self.condition.wait_for(guard, is_ready).await;
        match self.phase.get() {
            Phase::Broken => Err(BrokenBarrier(())),
            _ => Ok(()),
        }
    }
}

struct Leave<'a>(&'a State);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let state = self.0;
        state.count.set(state.count.get() - 1);
        if state.count.get() == 0 {
            if matches!(state.phase.get(), Phase::Resetting | Phase::Draining) {
                state.phase.set(Phase::Filling);
            }
            state.condition.notify_unchecked(usize::MAX);
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties())
            .field("waiting", &self.waiting())
            .field("is_broken", &self.is_broken())
            .finish()
    }
}

/// A [`Barrier`] was broken, or reset while a task waited at it: asyncio's `BrokenBarrierError`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenBarrier(());

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier was broken or reset")
    }
}

impl Error for BrokenBarrier {}
