//! Somebody who waits for something that has no result.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::interrupt::{Interrupt, with_interrupt};
use crate::task::cancel::{Cancel, Todo};
use crate::task::entry::{Entry, Observe};
use crate::task::scheduler::Scheduler;

/// One wait of one task: asyncio's bare future that one task awaits.
///
/// Whoever is woken has a turn later. Until then it may still be cancelled, so that it has to say, when it goes on or is
/// dropped, what has become of what it was woken for.
pub(crate) struct Waiter {
    state: Cell<Waiting>,
    wake: Cell<Option<Entry>>,
    /// It is no longer on a list of waiters.
    pub(crate) has_left: Cell<bool>,
    /// What it waits for, in words.
    what: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiting {
    Yes,
    Woken,
    Cancelled,
}

impl Waiter {
    pub(crate) fn new(what: &'static str) -> Rc<Self> {
        Rc::new(Self {
            state: Cell::new(Waiting::Yes),
            wake: Cell::new(None),
            has_left: Cell::new(false),
            what,
        })
    }

    #[inline]
    pub(crate) fn state(&self) -> Waiting {
        self.state.get()
    }

    /// Wakes it. Returns whether it was waiting.
    #[inline]
    pub(crate) fn wake(&self) -> bool {
        self.end(Waiting::Woken)
    }

    #[inline]
    fn end(&self, how: Waiting) -> bool {
        if self.state.get() != Waiting::Yes {
            return false;
        }
        self.state.set(how);
        match self.wake.take() {
            Some(Entry::Turn(task)) => task.schedule(),
            Some(Entry::Wake(waker)) => waker.wake(),
            _ => {}
        }
        true
    }

    /// Ready if it was woken. If it was cancelled, so is whoever polls.
    pub(crate) fn poll(self: &Rc<Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.state.get() {
            Waiting::Woken => Poll::Ready(()),
            Waiting::Cancelled => {
                with_interrupt(Interrupt::raise);
                Poll::Pending
            }
            Waiting::Yes => {
                let before = self.wake.replace(Some(awaits(self.clone(), context)));
                drop(before);
                Poll::Pending
            }
        }
    }
}

/// Notes that the task whose turn it is waits for `target`. Returns how whoever polls with `context` is woken.
pub(crate) fn awaits(target: Rc<dyn Cancel>, context: &Context<'_>) -> Entry {
    if let Some(task) = Scheduler::running_task() {
        task.header().wait_for(target);
        if task.header().polls_with(context) {
            return Entry::Turn(task);
        }
    }
    Entry::Wake(context.waker().clone())
}

/// Gives whoever polls with `context` one more turn, after all who are ready by now.
pub(crate) fn yields(context: &Context<'_>) {
    match Scheduler::running_task() {
        Some(task) if task.header().polls_with(context) => task.schedule(),
        _ => context.waker().wake_by_ref(),
    }
}

impl Cancel for Waiter {
    fn request(self: Rc<Self>, _: &mut Todo) -> bool {
        self.end(Waiting::Cancelled)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

/// For timers.
impl Observe for Waiter {
    fn observe(self: Rc<Self>, _: u32) {
        self.wake();
    }
}
