//! Which threads have run something.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// The threads that have [passed](Self::pass). Clones count together.
#[derive(Clone, Default)]
pub struct Threads(Arc<Mutex<HashSet<ThreadId>>>);

impl Threads {
    /// Notes on which thread the caller runs.
    pub fn pass(&self) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(thread::current().id());
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
