//! Where coroutines run: the way to get and give back a stack.
//!
//! This is the seam between the switch and whoever provides memory: [`Stack::take`] and [`Stack::give_back`] are all that
//! the layers above know.
//!
//! ```text
//!   take ──► pool      this thread's free stacks: no lock, no system call
//!              │
//!              ▼
//!            depot     the process' free stacks: one lock
//!              │
//!              ▼
//!            region    address space and guards ──► limits    is there room for it?
//! ```

mod depot;
mod error;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod limits;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "limits_unknown.rs"]
mod limits;
#[cfg(unix)]
mod overflow;
mod pool;
mod region;
mod size;

use std::borrow::Cow;
use std::mem::ManuallyDrop;

use corosensei::stack::valgrind::ValgrindStackRegistration;
use corosensei::stack::{Stack as RawStack, StackPointer};

pub use error::{StackError, StackLimit};
pub use size::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, default_stack_size, set_default_stack_size};

use region::{GUARD, Region, Shape};

/// One stack, not in use by anybody or in use by exactly one coroutine. To drop it is to leak it.
pub(crate) struct Stack {
    /// Where it begins. Above is room for the label.
    base: StackPointer,
    /// Where its slot begins, with the guard.
    limit: StackPointer,
    region: &'static Region,
    valgrind: ManuallyDrop<ValgrindStackRegistration>,
}

/// What a coroutine is called, if anything.
pub(crate) type Name = Option<Cow<'static, str>>;

/// Whose stack it is, for the report of an overflow.
type Label = *const Name;

impl Stack {
    /// Takes a stack of at least `size` bytes.
    pub(crate) fn take(size: usize) -> Result<Self, StackError> {
        let size = size::round(size);
        match pool::take(size) {
            Some(stack) => Ok(stack),
            None => Self::take_elsewhere(size),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_elsewhere(size: usize) -> Result<Self, StackError> {
        #[cfg(unix)]
        overflow::prepare_thread();
        pool::take_from_depot(size).or_else(|error| {
            if error.limit() == StackLimit::Size {
                return Err(error);
            }
            // Stacks of other sizes may be in the way.
            trim_stacks();
            pool::take_from_depot(size)
        })
    }

    /// # Safety
    ///
    /// The slot has a guard, and there is no other stack in it.
    unsafe fn new(region: &'static Region, index: usize) -> Self {
        let (limit, base) = (region.slot_start(index), region.base(index));
        let pointer = |address| StackPointer::new(address).expect("memory is not at zero");
        Self {
            base: pointer(base),
            limit: pointer(limit),
            region,
            valgrind: ManuallyDrop::new(ValgrindStackRegistration::new(
                limit as *mut u8,
                base - limit,
            )),
        }
    }

    /// Usable bytes, at least.
    #[inline]
    fn size(&self) -> usize {
        self.region.shape.size
    }

    #[inline]
    fn shape(&self) -> &Shape {
        &self.region.shape
    }

    fn region(&self) -> &'static Region {
        self.region
    }

    fn slot_start(&self) -> usize {
        self.limit.get()
    }

    fn slot_end(&self) -> usize {
        self.limit.get() + self.region.shape.slot
    }

    /// The lowest address that may be used: what lies below is the guard.
    pub(crate) fn lowest(&self) -> usize {
        self.limit.get() + GUARD
    }

    /// Says who uses it from now on. To be called before anybody does.
    ///
    /// # Safety
    ///
    /// The name stays as long as somebody runs on this stack.
    #[inline]
    pub(crate) unsafe fn label(&self, name: &Name) {
        // SAFETY: the place is part of the stack.
        unsafe { self.label_place().write(name) };
    }

    #[inline]
    fn label_place(&self) -> *mut Label {
        self.base.get() as *mut Label
    }

    /// Returns a stack on which nothing runs any more to the pool.
    pub(crate) fn give_back(self) {
        pool::put(self);
    }

    /// Forgets that there was a stack.
    fn discard(mut self) {
        // SAFETY: this is the only time.
        unsafe { ManuallyDrop::drop(&mut self.valgrind) };
    }
}

// SAFETY: `base` and `limit` are those of a slot with a guard below, see `region.rs`, of at least `size` usable bytes.
// tests/overflow.rs runs into the guard in every way.
unsafe impl RawStack for Stack {
    #[inline]
    fn base(&self) -> StackPointer {
        self.base
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.limit
    }

    #[cfg(windows)]
    #[inline]
    fn teb_fields(&self) -> corosensei::stack::StackTebFields {
        // SAFETY: the stack owns its slot, and on Windows each region has one slot.
        unsafe { self.region.library() }.teb_fields()
    }

    #[cfg(windows)]
    #[inline]
    fn update_teb_fields(&mut self, stack_limit: usize, guaranteed_stack_bytes: usize) {
        // SAFETY: as above.
        unsafe { self.region.library() }.update_teb_fields(stack_limit, guaranteed_stack_bytes)
    }
}

/// Whether this thread is ending, as far as can be told from here: before this crate's own thread-locals are destroyed,
/// those of others can be.
#[inline]
pub(crate) fn thread_has_ended() -> bool {
    pool::is_gone()
}

/// How many bytes are left below an address on the stack that it lies on, if that is one of ours.
pub(crate) fn bytes_left(address: usize) -> Option<usize> {
    let (region, index) = region::find(address)?;
    Some(address.saturating_sub(region.slot_start(index) + GUARD))
}

/// Which of our stacks an address lies on, if any: where its slot begins.
pub(crate) fn stack_of(address: usize) -> Option<usize> {
    let (region, index) = region::find(address)?;
    Some(region.slot_start(index))
}

/// Gives the memory of stacks that are not in use back to the operating system.
///
/// Stacks are kept for the next generator or coroutine, with the memory that was touched: a page (4 KiB) each in the usual
/// case. A thread keeps up to 1,024 of a size (64 where guards take memory mappings), the process as many again, or fewer if
/// these would be more than 256 MiB and 512 MiB of address space, guards included. What exceeds that goes back by itself. This gives back what this thread,
/// ended threads and the process keep, but not what other threads that live keep for themselves.
pub fn trim_stacks() {
    pool::empty();
    depot::trim();
}

/// Sets whether the overflow of a stack is reported as one, for all threads. By default it is.
///
/// A coroutine that overflows its stack runs into a guard, which is a segmentation fault. So a signal handler for `SIGSEGV`
/// and `SIGBUS` is installed when the first stack is taken, which prints
///
/// ```text
/// coroutine 'NAME' has overflowed its stack (262144 bytes)
/// ```
///
/// on standard error and aborts. Every other fault goes to the handler that was there before. A thread that has no
/// alternate signal stack, on which such handlers run, gets one at its first coroutine; threads of Rust's standard library
/// have one.
///
/// With `false` before the first generator or coroutine, no handler is installed. Later it only goes quiet: an overflow
/// then kills the process as a bad pointer does, and as it does on Windows.
///
/// What to know if there are other handlers:
///
/// - One that was there before runs on the alternate stack too, also if it was installed without `SA_ONSTACK`: that is
///   8 KiB in a thread of the standard library.
/// - One that is installed later gets all faults, and may pass them on.
/// - A dynamic library that uses this crate must not be unloaded while the handler is installed.
///
/// While a thread's thread-locals are being destroyed it may have no alternate stack any more, and an overflow kills the
/// process without a word.
pub fn report_overflow(report: bool) {
    #[cfg(unix)]
    overflow::enable(report);
    #[cfg(not(unix))]
    let _ = report;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn impossible_sizes_are_errors() {
        let error = Stack::take(usize::MAX).err().expect("no such stack");
        assert_eq!(
            (error.size(), error.limit()),
            (usize::MAX, StackLimit::Size)
        );
        assert!(error.source().is_some());
    }

    #[test]
    fn neighbours_do_not_begin_at_the_same_place_in_a_page() {
        let stacks: Vec<Stack> = (0..32)
            .map(|_| Stack::take(MIN_STACK_SIZE + 4096 * 800).unwrap())
            .collect();
        let mut places: Vec<usize> = stacks.iter().map(|s| s.base.get() % 4096).collect();
        places.sort_unstable();
        places.dedup();
        // One by one, they share the sequence with other threads.
        let least = if region::Guards::current() == region::Guards::Library {
            16
        } else {
            32
        };
        assert!(places.len() >= least, "{places:?}");
        for stack in &stacks {
            assert_eq!(stack.base.get() % 64, 0);
            assert!(stack.base.get() - stack.lowest() >= stack.size());
            assert!(stack.base.get() + size_of::<Label>() <= stack.slot_end());
        }
    }
}
