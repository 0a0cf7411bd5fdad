//! Where coroutines run: sizes, and the way to get and give back a stack.
//!
//! This is the seam between the switch and whoever provides memory. [`Stack::take`] and [`Stack::give_back`] are all
//! that the layers above know; today a stack is corosensei's `mmap`ed one with a guard page below it.

mod pool;

use std::error::Error;
use std::fmt;
use std::io;

use corosensei::stack::{DefaultStack, Stack as RawStack, StackPointer};

/// Bytes of stack that a coroutine gets unless it asks for something else. They are address space: a page (4 KiB) of
/// memory is taken when it is first touched.
pub const DEFAULT_STACK_SIZE: usize = 256 * 1024;

/// The smallest stack, in bytes; smaller requests are rounded up to it.
pub const MIN_STACK_SIZE: usize = 16 * 1024;

/// Granularity of sizes, in bytes, so that stacks of nearly the same size share a pool.
const ROUND: usize = 4096;

/// One stack, not in use by anybody or in use by exactly one coroutine.
pub(crate) struct Stack {
    memory: DefaultStack,
    size: usize,
}

impl Stack {
    /// Takes a stack of at least `size` bytes, from this thread's pool if it has one.
    pub(crate) fn take(size: usize) -> Result<Self, StackError> {
        let size = round(size);
        match pool::take(size) {
            Some(stack) => Ok(stack),
            None => Self::map(size),
        }
    }

    #[cold]
    fn map(size: usize) -> Result<Self, StackError> {
        // corosensei adds the guard page and rounds up; a size near the end of the address space would overflow there.
        if size > isize::MAX as usize / 2 {
            return Err(StackError {
                size,
                source: io::ErrorKind::OutOfMemory.into(),
            });
        }
        DefaultStack::new(size)
            .map(|memory| Self { memory, size })
            .map_err(|source| StackError { size, source })
    }

    /// The lowest address that may be used: what lies below is the guard.
    pub(crate) fn lowest(&self) -> usize {
        self.memory.base().get() - self.size
    }

    /// Returns a stack on which nothing runs any more to the pool.
    pub(crate) fn give_back(self) {
        pool::put(self);
    }
}

fn round(size: usize) -> usize {
    size.max(MIN_STACK_SIZE)
        .checked_next_multiple_of(ROUND)
        .unwrap_or(usize::MAX)
}

// SAFETY: every method forwards to `DefaultStack`, which has a guard page and at least `size` usable bytes.
// tests/abort.rs overflows one.
unsafe impl RawStack for Stack {
    #[inline]
    fn base(&self) -> StackPointer {
        self.memory.base()
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.memory.limit()
    }

    #[cfg(windows)]
    #[inline]
    fn teb_fields(&self) -> corosensei::stack::StackTebFields {
        self.memory.teb_fields()
    }

    #[cfg(windows)]
    #[inline]
    fn update_teb_fields(&mut self, stack_limit: usize, guaranteed_stack_bytes: usize) {
        self.memory
            .update_teb_fields(stack_limit, guaranteed_stack_bytes)
    }
}

/// No stack could be had for a coroutine.
///
/// The cause is what the operating system said.
#[derive(Debug)]
pub struct StackError {
    size: usize,
    source: io::Error,
}

impl StackError {
    /// How large a stack was asked for, in bytes, after rounding up.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no stack of {} bytes for a coroutine: {}; ask for smaller stacks, or raise the limit on memory maps \
             (`vm.max_map_count` on Linux) or on address space (`ulimit -v`)",
            self.size, self.source
        )
    }
}

impl Error for StackError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<StackError> for io::Error {
    fn from(error: StackError) -> Self {
        io::Error::new(error.source.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(round(0), MIN_STACK_SIZE);
        assert_eq!(round(MIN_STACK_SIZE + 1), MIN_STACK_SIZE + ROUND);
        assert_eq!(round(usize::MAX), usize::MAX);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        let error = Stack::take(usize::MAX).err().expect("no such stack");
        assert_eq!(error.size(), usize::MAX);
        let error = Stack::take(isize::MAX as usize / 4)
            .err()
            .expect("no such stack");
        assert!(error.to_string().contains("max_map_count"), "{error}");
        assert!(error.source().is_some());
    }
}
