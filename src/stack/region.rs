//! Address space for stacks, with a guard below each.
//!
//! ```text
//!   region ─┬─ slot 0 ─┬─ guard    64 KiB that cannot be touched: the stack grows down, towards it
//!           │          ├─ usable   what was asked for; a page of it becomes memory when it is first touched
//!           │          ├─ base     here the stack begins; the label above it tells whose it is
//!           │          └─ stagger  64 to 2048 bytes, a different number for each of 32 neighbours
//!           ├─ slot 1
//!           ┆
//! ```
//!
//! The kinds of guard, from the best to the one that is always there; which one it is shows at the first stack:
//!
//! 1. [`Guards::Advice`]: `madvise(MADV_GUARD_INSTALL)`, Linux 6.13 or later. A region stays one memory mapping whatever
//!    the number of its stacks, so that a process may have millions.
//! 2. [`Guards::Protection`]: `mprotect`, older Linux. Every guard makes two mappings more, of which a process may have
//!    65,530.
//! 3. [`Guards::Library`]: each stack is one of corosensei's, on all other systems.
//!
//! Why the guard is 64 KiB: Rust touches a large frame page by page, C code need not. A C function with some ten KiB of
//! locals would step over one page, into the neighbour's stack.
//!
//! Why the bases are staggered: a stack is used most at its base. If all had the same place in a page, they would all
//! compete for the same lines of the first-level cache.

use std::cell::UnsafeCell;
use std::env;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use corosensei::stack::{DefaultStack, Stack as _};

/// Bytes that cannot be touched below each stack.
pub(super) const GUARD: usize = 64 * 1024;

/// Bytes of one step of the stagger: a cache line, and room for the label.
const STEP: usize = 64;
/// Steps until the stagger begins anew.
const STEPS: usize = 32;

/// The kinds of guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Guards {
    Advice,
    Protection,
    Library,
}

/// One of [`Guards`], or 255: not decided.
static GUARDS: AtomicU8 = AtomicU8::new(255);

impl Guards {
    const ALL: [Self; 3] = [Self::Advice, Self::Protection, Self::Library];

    pub(super) fn current() -> Self {
        match GUARDS.load(Ordering::Relaxed) {
            0 => Self::Advice,
            1 => Self::Protection,
            2 => Self::Library,
            _ => {
                let guards = Self::first();
                guards.decide();
                guards
            }
        }
    }

    fn decide(self) {
        GUARDS.store(self as u8, Ordering::Relaxed);
    }

    /// The best that may be there, or what the environment asks for.
    fn first() -> Self {
        let best = if cfg!(any(target_os = "linux", target_os = "android")) {
            Self::Advice
        } else {
            Self::Library
        };
        let asked = env::var("YIELDFROM_STACK_GUARDS").ok();
        let asked = Self::ALL.into_iter().find(|guards| {
            asked.as_deref()
                == Some(match guards {
                    Self::Advice => "madvise",
                    Self::Protection => "mprotect",
                    Self::Library => "corosensei",
                })
        });
        // What this system does not have cannot be asked for.
        asked
            .filter(|asked| best == Self::Advice || *asked == best)
            .unwrap_or(best)
    }
}

/// What the stacks of one region have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    /// Usable bytes of each stack, at least.
    pub(super) size: usize,
    /// Bytes from one stack to the next.
    pub(super) slot: usize,
    pub(super) slots: usize,
    guards: Guards,
}

impl Shape {
    /// Regions of more than this are not asked for, in bytes, unless a single stack is larger.
    const MOST: usize = if usize::BITS < 64 { 16 << 20 } else { 4 << 30 };

    /// `None` if there can be no stack that large. `size` is a multiple of the page size.
    pub(super) fn new(size: usize, slots: usize, guards: Guards) -> Option<Self> {
        let page = page_size();
        let slot = (size.checked_add(GUARD + STEP * STEPS)?).checked_next_multiple_of(page)?;
        if slot > isize::MAX as usize / 2 {
            return None;
        }
        let slots = match guards {
            Guards::Library => 1,
            _ => slots.min(Self::MOST / slot).max(1),
        };
        Some(Self {
            size,
            slot,
            slots,
            guards,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.slot * self.slots
    }

    /// How many free stacks one holder keeps of it, if they may take so many bytes of address space.
    pub(super) fn kept(&self, bytes: usize) -> usize {
        // Where each takes memory mappings, others may need those.
        let most = match Guards::current() {
            Guards::Protection => 64,
            Guards::Advice | Guards::Library => 1024,
        };
        (bytes / self.slot).min(most)
    }

    /// How many memory mappings it makes, without the guards that come later.
    pub(super) fn mappings(&self) -> usize {
        match self.guards {
            Guards::Advice | Guards::Protection => 1,
            Guards::Library => 2,
        }
    }
}

/// A piece of address space with room for several stacks.
///
/// One that has been unmapped is kept for the next of the same shape, so that whoever [finds](find) it never sees the
/// end of one region together with the start of another.
pub(super) struct Region {
    /// The lowest address; 0 while nothing is mapped.
    start: AtomicUsize,
    pub(super) shape: Shape,
    /// How many stacks there are in older regions.
    ordinal: usize,
    /// The next older one.
    older: Option<&'static Region>,
    /// Used instead of an own mapping, see [`Guards::Library`]. Belongs to whoever has the only slot.
    library: UnsafeCell<Option<DefaultStack>>,
}

// SAFETY: `library` is only used by whoever owns the region's only slot: the depot before it hands that out and after it
// came back, the stack in between. Attacked by `stacks_go_from_thread_to_thread` in depot.rs.
unsafe impl Sync for Region {}

/// The newest region of all. Only ever grows, so that a signal handler can walk it.
static NEWEST: AtomicPtr<Region> = AtomicPtr::new(ptr::null_mut());

impl Region {
    /// A region that is not mapped yet, and is never freed.
    pub(super) fn new(shape: Shape) -> &'static Self {
        let region = Box::leak(Box::new(Self {
            start: AtomicUsize::new(0),
            shape,
            ordinal: 0,
            older: None,
            library: UnsafeCell::new(None),
        }));
        let mut newest = NEWEST.load(Ordering::Acquire);
        loop {
            // SAFETY: what is published is never freed.
            region.older = unsafe { newest.as_ref() };
            region.ordinal = region
                .older
                .map_or(0, |older| older.ordinal + older.shape.slots);
            let this = ptr::from_mut(region);
            match NEWEST.compare_exchange(newest, this, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: from here on it is only shared.
                Ok(_) => return unsafe { &*this },
                Err(other) => newest = other,
            }
        }
    }

    /// Takes the address space.
    ///
    /// # Safety
    ///
    /// It is not mapped, and no other thread uses it.
    pub(super) unsafe fn map(&self) -> io::Result<()> {
        let start = match self.shape.guards {
            Guards::Library => {
                // It comes with a guard of one page, which is part of the wider one that we make.
                let stack = DefaultStack::new(self.shape.slot - page_size())?;
                let start = stack.base().get() - self.shape.slot;
                widen_guard(start);
                // SAFETY: nobody else uses it, says our caller.
                unsafe { *self.library.get() = Some(stack) };
                start
            }
            _ => memory::reserve(self.shape.bytes())?,
        };
        self.start.store(start, Ordering::Release);
        Ok(())
    }

    /// Gives the address space back.
    ///
    /// # Safety
    ///
    /// It is mapped, and none of its stacks is in use.
    pub(super) unsafe fn unmap(&self) {
        let start = self.start.swap(0, Ordering::AcqRel);
        // SAFETY: nobody uses the stacks, says our caller.
        unsafe {
            match self.shape.guards {
                Guards::Library => *self.library.get() = None,
                _ => memory::release(start, self.shape.bytes()),
            }
        }
    }

    /// Makes the guards of these slots, or of only some of them. Returns of how many; of one at least.
    pub(super) fn guard(&self, slots: Range<usize>) -> io::Result<usize> {
        debug_assert!(!slots.is_empty());
        let start = self.slot_start(slots.start);
        let guards = match self.shape.guards {
            // What was found out since.
            Guards::Advice => Guards::current(),
            guards => guards,
        };
        match guards {
            Guards::Advice => match memory::guard(start, self.shape.slot, slots.len()) {
                // Not this kernel, nor this sandbox, nor memory that is locked.
                Err(error) if error.kind() != io::ErrorKind::OutOfMemory => {
                    Guards::Protection.decide();
                    memory::protect(start).map(|()| 1)
                }
                result => result,
            },
            Guards::Protection => memory::protect(start).map(|()| 1),
            Guards::Library => Ok(slots.len()), // since `map`
        }
    }

    /// The lowest address of a slot, where its guard begins.
    pub(super) fn slot_start(&self, index: usize) -> usize {
        self.start.load(Ordering::Relaxed) + index * self.shape.slot
    }

    /// Where the stack in a slot begins.
    pub(super) fn base(&self, index: usize) -> usize {
        self.slot_start(index) + self.shape.slot - STEP * (1 + (self.ordinal + index) % STEPS)
    }

    /// The stack that is used instead of an own one.
    ///
    /// # Safety
    ///
    /// The caller owns the region's only slot.
    #[cfg(windows)]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn library(&self) -> &mut DefaultStack {
        // SAFETY: nobody else does, says our caller.
        unsafe { (*self.library.get()).as_mut().expect("it is mapped") }
    }
}

/// The region and the slot that an address lies in. Takes no lock and allocates nothing.
pub(super) fn find(address: usize) -> Option<(&'static Region, usize)> {
    // SAFETY: what is published is never freed.
    let mut next = unsafe { NEWEST.load(Ordering::Acquire).as_ref() };
    while let Some(region) = next {
        let start = region.start.load(Ordering::Acquire);
        if start != 0 && (start..start + region.shape.bytes()).contains(&address) {
            return Some((region, (address - start) / region.shape.slot));
        }
        next = region.older;
    }
    None
}

/// Gives the memory behind a range of stacks back to the system; guards in between stay.
///
/// # Safety
///
/// The range lies in regions of ours that are mapped, and none of its stacks is in use.
pub(super) unsafe fn reclaim(from: usize, to: usize) {
    // SAFETY: as our caller promises.
    unsafe { memory::reclaim(from, to) };
}

#[cfg(unix)]
fn widen_guard(start: usize) {
    // If the system refuses, the guard stays as narrow as it is.
    // SAFETY: the memory is ours and not in use yet.
    unsafe { libc::mprotect(start as *mut _, GUARD, libc::PROT_NONE) };
}

#[cfg(not(unix))]
fn widen_guard(_start: usize) {}

#[cfg(unix)]
pub(super) fn page_size() -> usize {
    // SAFETY: it only looks up a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(not(unix))]
pub(super) fn page_size() -> usize {
    4096
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod memory {
    use super::GUARD;
    use std::ffi::{c_int, c_void};
    use std::io;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// From Linux' `mman-common.h`. Touching such a page is a fault, and it takes no mapping of its own.
    const MADV_GUARD_INSTALL: c_int = 102;

    /// Reserves address space that becomes memory when it is touched.
    pub(super) fn reserve(bytes: usize) -> io::Result<usize> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Or else the first byte of a stack could take 2 MiB. A kernel without huge pages refuses, rightly.
        // SAFETY: the mapping is ours.
        unsafe { libc::madvise(start, bytes, libc::MADV_NOHUGEPAGE) };
        Ok(start as usize)
    }

    /// # Safety
    ///
    /// Nobody uses what is there.
    pub(super) unsafe fn release(start: usize, bytes: usize) {
        // SAFETY: as our caller promises.
        let result = unsafe { libc::munmap(pointer(start), bytes) };
        debug_assert_eq!(result, 0);
    }

    /// Makes up to `count` guards, the first of them at `start`. Returns how many.
    pub(super) fn guard(start: usize, step: usize, count: usize) -> io::Result<usize> {
        let done = guard_several(start, step, count);
        if done > 0 {
            return Ok(done);
        }
        // SAFETY: the caller is `Region::guard`, and the memory is a guard's.
        check(unsafe { libc::madvise(pointer(start), GUARD, MADV_GUARD_INSTALL) })?;
        if is_open(start) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(1)
    }

    /// Whether there is no guard after all: emulators of Linux take advice that they do not know for a hint, and say that
    /// they have followed it. Asked once.
    fn is_open(start: usize) -> bool {
        static ASKED: AtomicBool = AtomicBool::new(false);
        // Something that the kernel writes there if it can, and that is nobody's yet.
        // SAFETY: the memory is a guard's, and nobody else's.
        let written = || unsafe {
            let (bytes, flags) = (1_usize, libc::GRND_NONBLOCK);
            libc::syscall(libc::SYS_getrandom, pointer(start), bytes, flags)
        };
        !ASKED.load(Ordering::Relaxed) && {
            let is_open = written() == 1;
            ASKED.store(!is_open, Ordering::Relaxed);
            is_open
        }
    }

    /// Makes several guards with one system call, where the kernel can: it saves a third of the time.
    fn guard_several(start: usize, step: usize, count: usize) -> usize {
        /// From Linux' `pidfd.h`: this process, without a descriptor. Linux 6.14.
        const PIDFD_SELF: c_int = -10000;
        const MOST: usize = 32;
        static REFUSED: AtomicBool = AtomicBool::new(false);
        if count < 2 || REFUSED.load(Ordering::Relaxed) {
            return 0;
        }
        let mut guards = [libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: GUARD,
        }; MOST];
        for (i, guard) in guards.iter_mut().enumerate() {
            guard.iov_base = pointer(start + i * step);
        }
        // SAFETY: as above; the kernel reads `count` ranges.
        let bytes = unsafe {
            let (count, no_flags) = (count.min(MOST), 0_usize);
            libc::syscall(
                libc::SYS_process_madvise,
                PIDFD_SELF,
                guards.as_ptr(),
                count,
                MADV_GUARD_INSTALL,
                no_flags,
            )
        };
        REFUSED.fetch_or(bytes <= 0, Ordering::Relaxed);
        usize::try_from(bytes).unwrap_or(0) / GUARD
    }

    pub(super) fn protect(start: usize) -> io::Result<()> {
        // SAFETY: as above.
        check(unsafe { libc::mprotect(pointer(start), GUARD, libc::PROT_NONE) })
    }

    /// # Safety
    ///
    /// Nobody uses what is there.
    pub(super) unsafe fn reclaim(from: usize, to: usize) {
        // SAFETY: as our caller promises.
        unsafe { libc::madvise(pointer(from), to - from, libc::MADV_DONTNEED) };
    }

    fn pointer(address: usize) -> *mut c_void {
        address as *mut c_void
    }

    fn check(result: c_int) -> io::Result<()> {
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod memory {
    //! Never asked, see `Guards::first`.

    use std::io;

    pub(super) fn reserve(_bytes: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) unsafe fn release(_start: usize, _bytes: usize) {}

    pub(super) fn guard(_start: usize, _step: usize, _count: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn protect(_start: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) unsafe fn reclaim(_from: usize, _to: usize) {}
}
