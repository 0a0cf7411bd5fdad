//! Conditions.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::interrupt::{Interrupt, Waits, poll_interruptibly, with_interrupt};
use crate::task::cancel::Ticket;
use crate::task::sync::lock::{Lock, LockAcquire, LockGuard};
use crate::task::waiter::Waiting;
use crate::task::waiters::Waiters;

/// Tasks that hold a lock and wait for each other to change something: `asyncio.Condition`. A clone is the same condition.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use yieldfrom::{await_, task::{run, spawn, Condition}};
///
/// run(|| {
///     let (condition, spam) = (Condition::new(), Rc::new(Cell::new(0)));
///     let eater = spawn({
///         let (condition, spam) = (condition.clone(), spam.clone());
///         move || {
///             let mut guard = await_(condition.acquire())?;
///             await_(condition.wait_for(&mut guard, || spam.get() >= 3))?;
///             Ok(spam.take())
///         }
///     });
///     for _ in 0..3 {
///         let _guard = await_(condition.acquire())?;
///         spam.set(spam.get() + 1);
///         condition.notify(1);
///     }
///     assert_eq!(await_(eater)??, 3);
///     Ok(())
/// }).unwrap();
/// ```
#[derive(Clone)]
pub struct Condition {
    lock: Lock,
    waiters: Waiters,
}

impl Condition {
    /// Makes one with a lock of its own.
    pub fn new() -> Self {
        Self::with_lock(&Lock::new())
    }

    /// Makes one that shares a lock with others.
    pub fn with_lock(lock: &Lock) -> Self {
        Self {
            lock: lock.clone(),
            waiters: Waiters::new("a condition"),
        }
    }

    /// The lock.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Waits for the lock, and takes it.
    pub fn acquire(&self) -> LockAcquire {
        self.lock.acquire()
    }

    /// Gives the lock back, waits until it is [notified](Self::notify), and takes the lock again.
    ///
    /// May end without a notification, so look again whether what was waited for is so; or [`wait_for`](Self::wait_for) it.
    /// The guard holds the lock afterwards, also if the wait ends with [`Cancelled`](crate::Cancelled); but not if it is
    /// given up, as a future can be.
    ///
    /// # Panics
    ///
    /// If the guard is that of another lock.
    pub fn wait<'a>(&self, guard: &'a mut LockGuard) -> ConditionWait<'a> {
        assert!(
            guard.lock().is_same(&self.lock),
            "a condition needs the guard of its own lock"
        );
        ConditionWait {
            condition: self.clone(),
            guard,
            state: State::New,
            waits: Waits::Not,
            is_cancelled: false,
        }
    }

    /// [Waits](Self::wait) until `predicate` is true.
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn wait_for(&self, guard: &mut LockGuard, mut predicate: impl FnMut() -> bool) {
        while !predicate() {
            self.wait(guard).await;
        }
    }

    /// Wakes `n` of those who wait, in the order in which they came. They go on when they have the lock.
    ///
    /// # Panics
    ///
    /// If nobody holds the lock: ``"cannot notify on un-acquired lock"``.
    pub fn notify(&self, n: usize) {
        assert!(self.lock.is_locked(), "cannot notify on un-acquired lock");
        self.notify_unchecked(n);
    }

    /// Wakes all who wait.
    ///
    /// # Panics
    ///
    /// As [`notify`](Self::notify).
    pub fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    pub(super) fn notify_unchecked(&self, n: usize) {
        for _ in 0..n {
            if !self.waiters.wake_next() {
                break;
            }
        }
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("is_locked", &self.lock.is_locked())
            .field("waiters", &self.waiters.len())
            .finish()
    }
}

/// Waits to be notified. Made by [`Condition::wait`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct ConditionWait<'a> {
    condition: Condition,
    guard: &'a mut LockGuard,
    state: State,
    waits: Waits,
    is_cancelled: bool,
}

enum State {
    New,
    Waits(Option<Ticket>),
    /// Has been notified or cancelled, and takes the lock again in any case.
    Returns(LockAcquire),
    Over,
}

impl Future for ConditionWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::New => {
                    this.guard.give_up();
                    this.state = State::Waits(None);
                }
                State::Waits(ticket) => {
                    let (waits, waiters) = (&mut this.waits, &this.condition.waiters);
                    let woken = poll_interruptibly(waits, || waiters.poll(ticket, context));
                    let Poll::Ready(woken) = woken else {
                        return Poll::Pending;
                    };
                    this.is_cancelled = woken.is_err();
                    if let Some(ticket) = *ticket {
                        if waiters.state(ticket) != Waiting::Woken {
                            waiters.leave(ticket);
                        }
                    }
                    this.waits = Waits::Not;
                    this.state = State::Returns(this.condition.acquire());
                }
                State::Returns(acquire) => {
                    let waits = &mut this.waits;
                    match poll_interruptibly(waits, || Pin::new(acquire).poll(context)) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(guard)) => {
                            this.guard.regain(guard);
                            this.state = State::Over;
                        }
                        Poll::Ready(Err(_)) => {
                            this.is_cancelled = true;
                            this.waits = Waits::Not;
                            this.state = State::Returns(this.condition.acquire());
                        }
                    }
                }
                State::Over if this.is_cancelled => {
                    // It may have been notified and cannot use it; somebody else can.
                    this.condition.notify_unchecked(1);
                    this.is_cancelled = false;
                    with_interrupt(Interrupt::raise);
                    return Poll::Pending;
                }
                State::Over => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for ConditionWait<'_> {
    fn drop(&mut self) {
        match &self.state {
            State::Waits(Some(ticket)) => match self.condition.waiters.state(*ticket) {
                Waiting::Woken => self.condition.notify_unchecked(1),
                _ => self.condition.waiters.leave(*ticket),
            },
            State::Returns(_) => self.condition.notify_unchecked(1),
            State::New | State::Waits(None) | State::Over => {}
        }
    }
}

impl fmt::Debug for ConditionWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionWait").finish_non_exhaustive()
    }
}
