//! Where other threads leave what an event loop is to do.
//!
//! ```text
//!   another thread                         the loop's thread
//!   --------------                         -----------------
//!   send(message) ──► lock: push ──► has_mail ──► take()     each time before it looks at what is ready
//!                           └─► waker ──────────► wakes it   if it has said that it sleeps
//! ```
//!
//! Both sides look at the messages and at the waker under one lock: whoever sends either finds the waker of a loop that is
//! about to sleep, or has sent before the loop looks for the last time, and it does not sleep. `tests/wakeups` has loom try
//! every order.

#![forbid(unsafe_code)]

#[cfg(loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

use std::mem;
use std::sync::PoisonError;
use std::task::Waker;

/// Whether a message about something is on its way, so that there is one at a time.
pub(crate) struct Errand(AtomicBool);

impl Errand {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Whether a message has to be sent: not if there is one on its way. Whoever gets that sees what was done before this.
    pub(crate) fn sets_out(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// The message has arrived; what happens from now on is news.
    pub(crate) fn arrives(&self) {
        // A store would not do: it sees nothing of those who have found the message on its way.
        self.0.swap(false, Ordering::AcqRel);
    }
}

/// The messages for one loop.
pub(crate) struct Inbox<M> {
    /// There may be messages. Lets the loop look without the lock.
    has_mail: AtomicBool,
    mail: Mutex<Mail<M>>,
}

struct Mail<M> {
    messages: Vec<M>,
    /// Who is to be woken, while the loop sleeps.
    sleeper: Option<Waker>,
    is_closed: bool,
}

impl<M> Inbox<M> {
    pub(crate) fn new() -> Self {
        Self {
            has_mail: AtomicBool::new(false),
            mail: Mutex::new(Mail {
                messages: Vec::new(),
                sleeper: None,
                is_closed: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail<M>> {
        // Nothing in here panics half-way.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a message.
    ///
    /// # Errors
    ///
    /// If the loop is closed. The message comes back.
    pub(crate) fn send(&self, message: M) -> Result<(), M> {
        let sleeper = {
            let mut mail = self.lock();
            if mail.is_closed {
                return Err(message);
            }
            mail.messages.push(message);
            self.has_mail.store(true, Ordering::Release);
            mail.sleeper.take()
        };
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
        Ok(())
    }

    /// Whether there may be messages.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    /// Takes the messages.
    pub(crate) fn take(&self) -> Vec<M> {
        let mut mail = self.lock();
        self.has_mail.store(false, Ordering::Relaxed);
        mem::take(&mut mail.messages)
    }

    /// Has `waker` woken by the next message. Returns whether the loop may sleep: not if there are messages.
    pub(crate) fn sleep(&self, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut mail = self.lock();
        let may_sleep = mail.messages.is_empty();
        let old = match may_sleep {
            true => mail.sleeper.replace(waker),
            false => Some(waker),
        };
        drop(mail);
        drop(old);
        may_sleep
    }

    /// Takes no more messages. Returns those that nobody has taken.
    pub(crate) fn close(&self) -> Vec<M> {
        let mut mail = self.lock();
        mail.is_closed = true;
        let sleeper = mail.sleeper.take();
        let messages = mem::take(&mut mail.messages);
        drop(mail);
        drop(sleeper);
        messages
    }
}
