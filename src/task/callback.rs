//! Functions as entries of a loop's queue.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;

use crate::task::entry::Entry;

/// Calls a function. Empty when it was called or cancelled.
pub(crate) struct Callback<F>(Cell<Option<F>>);

impl<F> Callback<F> {
    pub(crate) fn new(callback: F) -> Rc<Self> {
        Rc::new(Self(Cell::new(Some(callback))))
    }

    pub(crate) fn take(&self) -> Option<F> {
        self.0.take()
    }

    pub(crate) fn is_there(&self) -> bool {
        let callback = self.0.take();
        let is_there = callback.is_some();
        self.0.set(callback);
        is_there
    }
}

impl<F: FnOnce() + 'static> Entry for Callback<F> {
    fn run(self: Rc<Self>) {
        if let Some(callback) = self.take() {
            callback();
        }
    }

    fn wake(self: Rc<Self>) -> Option<Rc<dyn Entry>> {
        Some(self)
    }
}
