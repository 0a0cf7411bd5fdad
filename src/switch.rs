//! The one place that suspends and resumes: everything else only decides when.
//!
//! A [`Switch`] is one coroutine as the processor sees it: a stack, and where to go on from. [`Switch::resume`] runs on
//! the resumer's stack and [`Switch::suspend`] on the coroutine's own. With each goes one [`Word`]: a small value
//! itself, or the address of a large one on the stack that now waits.
//!
//! ```text
//!   resumer's stack            coroutine's stack
//!   ---------------            -----------------
//!   resume(word)      ───────►  body runs
//!                                 suspend(word)
//!   Suspended(word)   ◄───────
//!   resume(word)      ───────►    returns word
//!                               body ends
//!   Finished          ◄───────
//! ```
//!
//! Why `suspend` looks at the stack pointer: a handle can be used while its own body is not the one that runs, for
//! instance by a body that borrows it and was resumed by it. The switch would then save the wrong stack as the
//! coroutine's own, or return to a resumer that is long gone. "This body may suspend now" is the same as "this code runs
//! on this body's stack": a stack is current only while its coroutine runs and has resumed no other. So one comparison
//! of the stack pointer with the stack's bounds is the whole check, without a thread-local and without bookkeeping at
//! each resume. It also refuses to suspend from a stack that some other library has switched to in between.

use std::cell::{Cell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

use corosensei::stack::Stack as _;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::stack::Stack;

pub(crate) struct Switch {
    /// `Some` from [`prepare`](Self::prepare) to [`release`](Self::release).
    coroutine: UnsafeCell<Option<Coroutine<Word, Word, (), Stack>>>,
    /// Null until the body starts.
    yielder: Cell<*const Yielder<Word, Word>>,
    /// The stack's lowest address and its length in bytes. Both zero while there is none, so that no address is inside.
    limit: Cell<usize>,
    length: Cell<usize>,
}

/// How a resume ended.
pub(crate) enum Turn {
    Suspended(Word),
    Finished,
}

/// A value on its way across a switch.
pub(crate) type Word = MaybeUninit<usize>;

/// A word for who does not look at it.
pub(crate) const NOTHING: Word = Word::new(0);

/// Packs a value, which is to be [`unpack`]ed on the other side at once.
#[inline(always)]
pub(crate) fn pack<T>(value: &ManuallyDrop<T>) -> Word {
    if size_of::<T>() > size_of::<usize>() {
        return Word::new(ptr::from_ref(value) as usize);
    }
    let mut word = NOTHING;
    // SAFETY: it fits, and the copy is not used as a `T` before `unpack`.
    unsafe {
        let from = ptr::from_ref(value).cast::<u8>();
        ptr::copy_nonoverlapping(from, word.as_mut_ptr().cast::<u8>(), size_of::<T>());
    }
    word
}

/// Moves a value out of where [`pack`] found it.
///
/// # Safety
///
/// The word was packed from a `T`, the original is still where it was, and this is the only call.
#[inline(always)]
pub(crate) unsafe fn unpack<T>(word: Word) -> T {
    // SAFETY: as our caller promises; and every address was made of a reference.
    unsafe {
        if size_of::<T>() > size_of::<usize>() {
            ptr::read(word.assume_init() as *const T)
        } else {
            ptr::read_unaligned(word.as_ptr().cast())
        }
    }
}

/// The caller does not run on the stack that it wants to suspend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotCurrent;

impl Switch {
    pub(crate) const fn new() -> Self {
        Self {
            coroutine: UnsafeCell::new(None),
            yielder: Cell::new(ptr::null()),
            limit: Cell::new(0),
            length: Cell::new(0),
        }
    }

    /// Whether there is a stack, prepared or in use.
    pub(crate) fn has_stack(&self) -> bool {
        self.length.get() != 0
    }

    /// Sets up `stack` so that the first [`resume`](Self::resume) calls `main` on it.
    ///
    /// # Safety
    ///
    /// - There is no stack yet.
    /// - `self` stays where it is, and what `main` borrows stays alive, until [`resume`](Self::resume) returns
    ///   `Finished`; or for ever, if it never does.
    /// - `main` does not unwind.
    pub(crate) unsafe fn prepare(&self, stack: Stack, main: impl FnOnce()) {
        self.limit.set(stack.limit().get());
        self.length.set(stack.base().get() - stack.limit().get());
        let this = ptr::from_ref(self);
        let body = move |yielder: &Yielder<Word, Word>, _: Word| {
            // SAFETY: the switch stays where it is while the body runs, says our caller.
            unsafe { &*this }.yielder.set(yielder);
            main();
        };
        // SAFETY: what `body` borrows lives long enough, says our caller. Nobody else looks at `coroutine` now: there
        // is nothing to resume yet.
        unsafe { *self.coroutine.get() = Some(Coroutine::with_stack_unchecked(stack, body)) };
    }

    /// Runs the body until it suspends or ends. Its `suspend` returns `word`.
    ///
    /// # Safety
    ///
    /// The coroutine is prepared, not running and not finished.
    #[inline(always)]
    pub(crate) unsafe fn resume(&self, word: Word) -> Turn {
        // SAFETY: it is prepared and does not run, says our caller, so there is a coroutine that is not done and no
        // other reference to it: the body has one to its `Yielder` only. Attacked by tests/misuse.rs.
        let coroutine = unsafe {
            let coroutine = (*self.coroutine.get()).as_mut().unwrap_unchecked();
            std::hint::assert_unchecked(!coroutine.done());
            coroutine
        };
        match coroutine.resume(word) {
            CoroutineResult::Yield(word) => Turn::Suspended(word),
            CoroutineResult::Return(()) => Turn::Finished,
        }
    }

    /// Goes back to whoever resumed this coroutine, with `word`; returns when it is resumed again, with that word.
    ///
    /// # Errors
    ///
    /// If the caller does not run on this coroutine's stack. Then `before` is not called.
    #[inline(always)]
    pub(crate) fn suspend(&self, word: Word, before: impl FnOnce()) -> Result<Word, NotCurrent> {
        if stack_pointer().wrapping_sub(self.limit.get()) >= self.length.get() {
            return Err(NotCurrent);
        }
        before();
        // SAFETY: this code runs on the coroutine's own stack, so the body has started and set `yielder`, which lives
        // at the top of that stack; and it was resumed, by a `resume` that has not returned. Attacked by
        // tests/misuse.rs.
        Ok(unsafe { (*self.yielder.get()).suspend(word) })
    }

    /// Bytes left on this stack, if the caller runs on it.
    pub(crate) fn stack_left(&self) -> usize {
        stack_pointer().wrapping_sub(self.limit.get())
    }

    /// Gives the stack back after the body has ended.
    ///
    /// # Safety
    ///
    /// The last [`resume`](Self::resume) returned `Finished`, or there was none; then what `main` captured is dropped.
    pub(crate) unsafe fn release(&self) {
        self.limit.set(0);
        self.length.set(0);
        // SAFETY: the coroutine does not run, says our caller, so nobody else has a reference to it.
        if let Some(mut coroutine) = unsafe { (*self.coroutine.get()).take() } {
            if !coroutine.started() {
                coroutine.force_unwind(); // only drops `main`
            }
            coroutine.into_stack().give_back();
        }
    }
}

/// The address that the stack has grown down to.
#[inline(always)]
fn stack_pointer() -> usize {
    #[cfg(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64"
    ))]
    {
        let address: usize;
        // SAFETY: copies one register.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("mov {}, rsp", out(reg) address, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "x86")]
            std::arch::asm!("mov {}, esp", out(reg) address, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("mov {}, sp", out(reg) address, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "riscv64")]
            std::arch::asm!("mv {}, sp", out(reg) address, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "loongarch64")]
            std::arch::asm!("move {}, $sp", out(reg) address, options(nomem, nostack, preserves_flags));
        }
        address
    }
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64"
    )))]
    {
        let local = 0u8;
        std::hint::black_box(&raw const local) as usize
    }
}
