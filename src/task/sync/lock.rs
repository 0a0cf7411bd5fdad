//! Locks.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::task::cancel::Ticket;
use crate::task::waiters::Waiters;

/// A lock that one task holds at a time, also while it waits: `asyncio.Lock`.
///
/// Tasks get it in the order in which they ask for it. It guards no value: on one thread, a `RefCell` does that, and a lock is
/// for what must not be interleaved. A clone is the same lock. Not re-entrant: a task that asks twice waits for itself.
///
/// ```
/// use yieldfrom::{await_, task::{gather, run, sleep, spawn, Lock}};
///
/// run(|| {
///     let lock = Lock::new();
///     let tasks = [1, 2].map(|n| {
///         let lock = lock.clone();
///         spawn(move || {
///             let _guard = await_(lock.acquire())?; // held until the end of the scope
///             await_(sleep(std::time::Duration::from_millis(1)))?;
///             Ok(n)
///         })
///     });
///     await_(gather(tasks))?
/// }).unwrap();
/// ```
#[derive(Clone)]
pub struct Lock(Rc<State>);

struct State {
    is_locked: Cell<bool>,
    waiters: Waiters,
}

impl Lock {
    /// Makes one that nobody holds.
    pub fn new() -> Self {
        let (is_locked, waiters) = (Cell::new(false), Waiters::new("a lock"));
        Self(Rc::new(State { is_locked, waiters }))
    }

    /// Waits until the lock is free, and takes it.
    pub fn acquire(&self) -> LockAcquire {
        let (lock, ticket) = (self.clone(), None);
        LockAcquire { lock, ticket }
    }

    /// Takes the lock if it is free, and nobody waits for it.
    pub fn try_acquire(&self) -> Option<LockGuard> {
        let is_free = !self.0.is_locked.get() && self.0.waiters.are_cancelled();
        is_free.then(|| self.take())
    }

    /// Whether somebody holds it.
    pub fn is_locked(&self) -> bool {
        self.0.is_locked.get()
    }

    fn take(&self) -> LockGuard {
        self.0.is_locked.set(true);
        let (lock, is_held) = (self.clone(), true);
        LockGuard { lock, is_held }
    }

    fn release(&self) {
        self.0.is_locked.set(false);
        self.0.waiters.wake_first();
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("is_locked", &self.is_locked())
            .field("waiters", &self.0.waiters.len())
            .finish()
    }
}

/// Holds a [`Lock`] until it is dropped.
#[must_use = "the lock is free again when its guard is dropped"]
pub struct LockGuard {
    lock: Lock,
    /// A [`Condition`](crate::task::Condition) takes it away for a time.
    is_held: bool,
}

impl LockGuard {
    pub(super) fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Gives the lock back, until [`regain`](Self::regain).
    pub(super) fn give_up(&mut self) {
        if std::mem::replace(&mut self.is_held, false) {
            self.lock.release();
        }
    }

    pub(super) fn regain(&mut self, mut other: Self) {
        self.is_held = std::mem::replace(&mut other.is_held, false);
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").finish_non_exhaustive()
    }
}

/// Waits for a [`Lock`]. Made by [`Lock::acquire`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct LockAcquire {
    lock: Lock,
    ticket: Option<Ticket>,
}

impl Future for LockAcquire {
    type Output = LockGuard;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<LockGuard> {
        let Self { lock, ticket } = &mut *self;
        if ticket.is_none() {
            if let Some(guard) = lock.try_acquire() {
                return Poll::Ready(guard);
            }
        }
        if lock.0.waiters.poll(ticket, context).is_pending() {
            return Poll::Pending;
        }
        if let Some(ticket) = ticket.take() {
            lock.0.waiters.leave(ticket);
        }
        Poll::Ready(lock.take())
    }
}

impl Drop for LockAcquire {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.lock.0.waiters.leave(ticket);
            // Whether it was woken or not: if nobody holds the lock, whoever is first now is to take it.
            if !self.lock.is_locked() {
                self.lock.0.waiters.wake_first();
            }
        }
    }
}

impl fmt::Debug for LockAcquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockAcquire").finish_non_exhaustive()
    }
}
