//! Who waits for the same thing, in the order in which they came.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::task::waiter::{Waiter, Waiting};

/// A queue of waiters. Those that leave it in the middle stay on the list until there are too many of them, so that none of
/// this takes longer if many wait.
#[derive(Default)]
pub(crate) struct Waiters {
    list: RefCell<VecDeque<Rc<Waiter>>>,
    /// How many on the list have left, at least.
    left: Cell<usize>,
}

impl Waiters {
    pub(crate) fn push(&self, what: &'static str) -> Rc<Waiter> {
        let waiter = Waiter::new(what);
        self.list.borrow_mut().push_back(waiter.clone());
        waiter
    }

    /// One waits no more, however that has ended. To be told once.
    pub(crate) fn leave(&self, waiter: &Waiter) {
        waiter.has_left.set(true);
        self.left.set(self.left.get() + 1);
        let mut list = self.list.borrow_mut();
        if self.left.get() > list.len() / 2 {
            list.retain(|waiter| !waiter.has_left.get());
            self.left.set(0);
        }
    }

    /// The first who has not left, even if they have been woken or cancelled by now.
    pub(crate) fn first(&self) -> Option<Rc<Waiter>> {
        let list = self.list.borrow();
        list.iter().find(|waiter| !waiter.has_left.get()).cloned()
    }

    /// Whether all who have not left are cancelled.
    pub(crate) fn are_cancelled(&self) -> bool {
        (self.list.borrow().iter())
            .all(|waiter| waiter.has_left.get() || waiter.state() == Waiting::Cancelled)
    }

    /// Whether somebody waits who can be woken. Forgets those before them.
    pub(crate) fn can_wake(&self) -> bool {
        let mut list = self.list.borrow_mut();
        while let Some(first) = list.front() {
            if first.state() == Waiting::Yes && !first.has_left.get() {
                return true;
            }
            list.pop_front();
        }
        self.left.set(0);
        false
    }

    /// Wakes the first who waits, and forgets them. Returns whether there was one.
    pub(crate) fn wake_next(&self) -> bool {
        loop {
            let next = self.list.borrow_mut().pop_front();
            match next {
                Some(next) if next.has_left.get() => {
                    self.left.set(self.left.get().saturating_sub(1))
                }
                Some(next) if next.wake() => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Wakes all who wait, and forgets them.
    pub(crate) fn wake_all(&self) {
        self.left.set(0);
        for waiter in self.list.take() {
            if !waiter.has_left.get() {
                waiter.wake();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        (self.list.borrow().iter())
            .filter(|waiter| waiter.state() == Waiting::Yes && !waiter.has_left.get())
            .count()
    }
}
