//! Semaphores.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::task::cancel::Ticket;
use crate::task::waiter::Waiting;
use crate::task::waiters::Waiters;

/// Lets so many tasks at a time do something: `asyncio.Semaphore`. A clone is the same semaphore.
///
/// Tasks get permits in the order in which they ask for them: one that is released goes to the first who waits, even if
/// somebody else asks before that has its turn. No permit is lost when a task is cancelled that waits for one.
///
/// ```
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// use yieldfrom::{await_, task::{gather, run, sleep, spawn, Semaphore}};
///
/// run(|| {
///     let semaphore = Semaphore::new(2);
///     let at_once = Rc::new(Cell::new(0));
///     let tasks = (0..6).map(|_| {
///         let (semaphore, at_once) = (semaphore.clone(), at_once.clone());
///         spawn(move || {
///             let _permit = await_(semaphore.acquire())?; // until the end of the scope
///             at_once.set(at_once.get() + 1);
///             assert!(at_once.get() <= 2);
///             await_(sleep(Duration::from_millis(1)))?;
///             at_once.set(at_once.get() - 1);
///             Ok(())
///         })
///     });
///     await_(gather(tasks.collect::<Vec<_>>()))?
/// }).unwrap();
/// ```
#[derive(Clone)]
pub struct Semaphore(Rc<State>);

struct State {
    permits: Cell<usize>,
    /// Asked for a permit, in this order.
    waiters: Waiters,
    /// How many have been given one and have not had their turn since.
    woken: Cell<usize>,
}

impl Semaphore {
    /// Makes one with so many permits.
    pub fn new(permits: usize) -> Self {
        Self(Rc::new(State {
            permits: Cell::new(permits),
            waiters: Waiters::new("a semaphore"),
            woken: Cell::new(0),
        }))
    }

    /// Waits for a permit, and takes it.
    pub fn acquire(&self) -> SemaphoreAcquire {
        let (semaphore, ticket) = (self.clone(), None);
        SemaphoreAcquire { semaphore, ticket }
    }

    /// Takes a permit if there is one for which nobody waits.
    pub fn try_acquire(&self) -> Option<Permit> {
        if self.is_locked() {
            return None;
        }
        let permits = &self.0.permits;
        permits.set(permits.get() - 1);
        Some(Permit(Some(self.clone())))
    }

    /// Adds a permit.
    ///
    /// # Panics
    ///
    /// If there are `usize::MAX`.
    pub fn release(&self) {
        let permits = &self.0.permits;
        permits.set(permits.get().checked_add(1).expect("too many permits"));
        self.wake_next();
    }

    /// How many permits nobody has taken.
    pub fn permits(&self) -> usize {
        self.0.permits.get()
    }

    /// Whether whoever asks for a permit now has to wait.
    pub fn is_locked(&self) -> bool {
        self.permits() == 0 || self.0.woken.get() > 0 || self.0.waiters.can_wake()
    }

    /// Gives a permit to the first who waits. Returns whether there is one.
    fn wake_next(&self) -> bool {
        let State {
            permits,
            waiters,
            woken,
        } = &*self.0;
        let can_wake = waiters.can_wake();
        if can_wake {
            permits.set(permits.get() - 1);
            woken.set(woken.get() + 1);
            waiters.wake_next();
        }
        can_wake
    }

    /// Whoever was woken goes on. Those behind them may have waited only because of the order.
    fn goes_on(&self) {
        while self.permits() > 0 && self.wake_next() {}
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("permits", &self.permits())
            .field("waiters", &self.0.waiters.len())
            .finish()
    }
}

/// A permit of a [`Semaphore`]. Releases it when it is dropped.
#[must_use = "the permit is released when it is dropped"]
pub struct Permit(Option<Semaphore>);

impl Permit {
    /// Does not release it. [`Semaphore::release`] does.
    pub fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(semaphore) = &self.0 {
            semaphore.release();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// Waits for a [`Permit`]. Made by [`Semaphore::acquire`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct SemaphoreAcquire {
    semaphore: Semaphore,
    ticket: Option<Ticket>,
}

impl Future for SemaphoreAcquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let Self { semaphore, ticket } = &mut *self;
        if ticket.is_none() {
            if let Some(permit) = semaphore.try_acquire() {
                return Poll::Ready(permit);
            }
        }
        if semaphore.0.waiters.poll(ticket, context).is_pending() {
            return Poll::Pending;
        }
        *ticket = None;
        let woken = &semaphore.0.woken;
        woken.set(woken.get() - 1);
        semaphore.goes_on();
        Poll::Ready(Permit(Some(semaphore.clone())))
    }
}

impl Drop for SemaphoreAcquire {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let State {
            permits,
            waiters,
            woken,
        } = &*self.semaphore.0;
        if waiters.state(ticket) == Waiting::Woken {
            woken.set(woken.get() - 1);
            permits.set(permits.get() + 1);
        } else {
            waiters.leave(ticket);
        }
        self.semaphore.goes_on();
    }
}

impl fmt::Debug for SemaphoreAcquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphoreAcquire").finish_non_exhaustive()
    }
}

/// A [`Semaphore`] to which no more permits can be released than it began with: `asyncio.BoundedSemaphore`.
#[derive(Clone, Debug)]
pub struct BoundedSemaphore {
    semaphore: Semaphore,
    most: usize,
}

impl BoundedSemaphore {
    /// Makes one with so many permits.
    pub fn new(permits: usize) -> Self {
        Self {
            semaphore: Semaphore::new(permits),
            most: permits,
        }
    }

    /// As [`Semaphore::acquire`].
    pub fn acquire(&self) -> SemaphoreAcquire {
        self.semaphore.acquire()
    }

    /// As [`Semaphore::try_acquire`].
    pub fn try_acquire(&self) -> Option<Permit> {
        self.semaphore.try_acquire()
    }

    /// Adds a permit that was [forgotten](Permit::forget).
    ///
    /// # Errors
    ///
    /// If there are as many as in the beginning.
    pub fn release(&self) -> Result<(), TooManyReleases> {
        if self.semaphore.permits() >= self.most {
            return Err(TooManyReleases(()));
        }
        self.semaphore.release();
        Ok(())
    }

    /// As [`Semaphore::permits`].
    pub fn permits(&self) -> usize {
        self.semaphore.permits()
    }

    /// As [`Semaphore::is_locked`].
    pub fn is_locked(&self) -> bool {
        self.semaphore.is_locked()
    }
}

/// More permits were to be released than a [`BoundedSemaphore`] began with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyReleases(());

impl fmt::Display for TooManyReleases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bounded semaphore was released too many times")
    }
}

impl Error for TooManyReleases {}
