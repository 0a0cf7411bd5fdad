//! Somebody who waits for something that has no result.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::interrupt::{Interrupt, with_interrupt};
use crate::task::cancel::{Cancel, Ticket, Todo};
use crate::task::entry::Entry;
use crate::task::turn::running_task;

/// One wait of one task: asyncio's bare future that one task awaits.
///
/// Whoever is woken has a turn later. Until then it may still be cancelled, so that it has to say, when it goes on or is
/// dropped, what has become of what it was woken for.
pub(crate) struct Waiter {
    state: Cell<Waiting>,
    wake: Cell<Option<Rc<dyn Entry>>>,
    what: What,
}

/// What it waits for. (A text would take more of the memory of a task that sleeps.)
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Sleep,
    SeveralTasks,
    Group,
    EndOfTask,
}

impl What {
    fn in_words(self) -> &'static str {
        match self {
            Self::Sleep => "sleep",
            Self::SeveralTasks => "several tasks",
            Self::Group => "the tasks of a group",
            Self::EndOfTask => "the end of a task",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiting {
    Yes,
    Woken,
    Cancelled,
}

impl Waiter {
    pub(crate) fn new(what: What) -> Rc<Self> {
        Rc::new(Self {
            state: Cell::new(Waiting::Yes),
            wake: Cell::new(None),
            what,
        })
    }

    /// Whoever waits goes on.
    pub(crate) fn go_on(&self) {
        self.end(Waiting::Woken);
    }

    fn end(&self, how: Waiting) -> bool {
        if self.state.get() != Waiting::Yes {
            return false;
        }
        self.state.set(how);
        if let Some(entry) = self.wake.take() {
            entry.wake();
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
                let entry = awaits(self.clone(), 0, context);
                let before = self.wake.replace(Some(entry));
                drop(before);
                Poll::Pending
            }
        }
    }
}

/// Notes that the task whose turn it is waits for `target`. Returns how whoever polls with `context` is woken.
#[inline]
pub(crate) fn awaits(
    target: Rc<dyn Cancel>,
    ticket: Ticket,
    context: &Context<'_>,
) -> Rc<dyn Entry> {
    if let Some(task) = running_task() {
        let header = task.header();
        header.wait_for(target, ticket);
        if header.polls_with(context) {
            return task.as_entry();
        }
    }
    Rc::new(context.waker().clone())
}

/// Gives whoever polls with `context` one more turn, after all who are ready by now.
pub(crate) fn yields(context: &Context<'_>) {
    match running_task() {
        Some(task) if task.header().polls_with(context) => task.schedule(),
        _ => context.waker().wake_by_ref(),
    }
}

impl Cancel for Waiter {
    fn request(self: Rc<Self>, _: Ticket, _: &mut Todo) -> bool {
        self.end(Waiting::Cancelled)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what.in_words())
    }
}

/// For timers, and for what is waited for.
impl Entry for Waiter {
    fn run(self: Rc<Self>) {
        self.go_on();
    }

    fn wake(self: Rc<Self>) -> Option<Rc<dyn Entry>> {
        Some(self)
    }
}
