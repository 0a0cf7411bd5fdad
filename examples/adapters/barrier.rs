//! A barrier for the fibers of one thread. (The standard library's blocks the thread, so it would never open.)

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::convert::Infallible;

use yieldfrom::{Cancelled, await_};

/// Lets nobody pass before `count` have come; afterwards everybody.
pub struct Barrier {
    left: Cell<usize>,
    // Nothing is ever sent: that it is closed opens the barrier.
    is_open: async_channel::Receiver<Infallible>,
    _sender: async_channel::Sender<Infallible>,
}

impl Barrier {
    pub fn new(count: usize) -> Self {
        let (_sender, is_open) = async_channel::bounded(1);
        Self {
            left: Cell::new(count),
            is_open,
            _sender,
        }
    }

    /// Comes to the barrier, and waits for the others.
    pub fn wait(&self) -> Result<(), Cancelled> {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            self.is_open.close();
        }
        await_(self.is_open.recv()).map(|_closed| ())
    }
}
