//! Somebody who waits for something that has no result.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
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
    what: Cell<&'static str>,
}

thread_local! {
    /// Waiters that nobody uses: there is one for each wait, so that it should not cost an allocation.
    static SPARE: RefCell<Vec<Rc<Waiter>>> = const { RefCell::new(Vec::new()) };
}

/// How many a thread keeps.
const MOST_SPARE: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiting {
    Yes,
    Woken,
    Cancelled,
}

impl Waiter {
    #[inline]
    pub(crate) fn new(what: &'static str) -> Rc<Self> {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        if let Ok(Some(spare)) = spare {
            spare.what.set(what);
            return spare;
        }
        Rc::new(Self {
            state: Cell::new(Waiting::Yes),
            wake: Cell::new(None),
            has_left: Cell::new(false),
            what: Cell::new(what),
        })
    }

    /// Whoever has waited does not need it any more.
    #[inline]
    pub(crate) fn recycle(self: Rc<Self>) {
        if Rc::strong_count(&self) > 1 {
            return;
        }
        drop(self.wake.take());
        self.state.set(Waiting::Yes);
        self.has_left.set(false);
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MOST_SPARE {
                spare.push(self);
            }
        });
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
    #[inline]
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
#[inline]
pub(crate) fn awaits(target: Rc<dyn Cancel>, context: &Context<'_>) -> Entry {
    let task = Scheduler::with_running_task(|task| {
        let header = task.header();
        header.wait_for(target);
        header.polls_with(context).then(|| task.clone())
    });
    match task.flatten() {
        Some(task) => Entry::Turn(task),
        None => Entry::Wake(context.waker().clone()),
    }
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
        f.write_str(self.what.get())
    }
}

/// For timers.
impl Observe for Waiter {
    fn observe(self: Rc<Self>, _: u32) {
        self.wake();
    }
}
