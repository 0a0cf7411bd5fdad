//! Wakers of tasks.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::task::Wake;

use crate::task::inbox::{Errand, Inbox};

/// What other threads can tell a loop.
pub(crate) enum Message {
    /// A task is ready.
    Wake(Arc<Remote>),
    Call(Box<dyn FnOnce() + Send>),
}

/// A loop as other threads know it.
pub(crate) struct Mailbox {
    /// No other loop of this process has the same.
    pub(crate) id: u64,
    pub(crate) inbox: Inbox<Message>,
}

/// What all public handles of a loop share. So the loop can see whether there are any.
pub(crate) struct Outside(pub(crate) Arc<Mailbox>);

/// A task as other threads know it: what its wakers share.
pub(crate) struct Remote {
    mailbox: Arc<Mailbox>,
    /// Where the loop keeps it, and which one it is.
    pub(crate) id: u64,
    key: u32,
    /// To tell the loop that the task is ready.
    errand: Errand,
}

thread_local! {
    /// The loop that runs on this thread, or 0; and how it is told that a task is ready.
    static LOCAL: Cell<Local> = const { Cell::new((0, |_, _| {})) };
}

/// The number of a loop, and what wakes the task that it keeps there and that has this number.
pub(crate) type Local = (u64, fn(usize, u64));

/// Has wakers on this thread call `wake` for tasks of the loop with this id, or of none if that is 0. Returns what was before.
pub(crate) fn wake_locally(id: u64, wake: fn(usize, u64)) -> Local {
    LOCAL.replace((id, wake))
}

impl Remote {
    pub(crate) fn new(mailbox: Arc<Mailbox>, key: usize, id: u64) -> Self {
        Self {
            mailbox,
            key: u32::try_from(key).expect("fewer than four billion tasks"),
            id,
            errand: Errand::new(),
        }
    }

    pub(crate) fn key(&self) -> usize {
        self.key as usize
    }

    /// The message has arrived; what happens from now on is news.
    pub(crate) fn has_arrived(&self) {
        self.errand.arrives();
    }
}

impl Wake for Remote {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let (local, wake) = LOCAL.get();
        if local == self.mailbox.id {
            wake(self.key(), self.id);
        } else if self.errand.sets_out() {
            // A closed loop has no tasks.
            drop(self.mailbox.inbox.send(Message::Wake(self.clone())));
        }
    }
}
