//! The one place that suspends and resumes: everything else only decides when.
//!
//! A [`Switch`] is one coroutine as the processor sees it: a stack, and where to go on from. [`Switch::resume`] runs on
//! the resumer's stack and [`Inside::suspend`] on the coroutine's own. With each goes one [`Word`]: a small value
//! itself, or the address of a large one on the stack that now waits.
//!
//! ```text
//!   resumer's stack            coroutine's stack
//!   ---------------            -----------------
//!   resume(word)      ───────►  body runs
//!                                 suspend(word)
//!   returns word      ◄───────
//!   resume(word)      ───────►    returns word
//!                               body ends
//!   returns nothing   ◄───────
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

/// A coroutine as its resumer sees it.
pub(crate) struct Switch {
    /// `Some` from [`prepare`](Self::prepare) to [`release`](Self::release).
    coroutine: UnsafeCell<Option<Coroutine<Word, Word, (), Stack>>>,
    /// The lowest usable and the highest address of its stack; zero while there is none.
    bounds: Cell<(usize, usize)>,
    /// What the last switch out of it was for. `Yielded` unless somebody is about to look at it.
    report: Cell<Report>,
}

/// A coroutine as its body sees it. It lies at the root of the body's own stack, in registers at best: on the way of a
/// value out, each load counts.
#[derive(Clone, Copy)]
pub(crate) struct Inside {
    /// Lies at the top of the stack.
    yielder: *const Yielder<Word, Word>,
    /// How many bytes of stack there are below the yielder.
    depth: usize,
}

/// Why a coroutine has switched back to its resumer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    /// To hand out a value, the word of the switch.
    Yielded,
    /// To have another one driven in its place. The word is the value to send there, if any.
    Delegated,
    /// It was told to unwind but cannot, and must not be resumed again.
    Stuck,
    /// Its body has ended, and it must not be resumed again.
    Finished,
}

/// A value on its way across a switch.
pub(crate) type Word = MaybeUninit<usize>;

/// A word for who does not look at it, or finds that there is nothing to look at.
pub(crate) const NOTHING: Word = Word::new(0);

/// A word that tells to look at the signal.
pub(crate) const SIGNAL: Word = Word::new(1);

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
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self {
            coroutine: UnsafeCell::new(None),
            bounds: Cell::new((0, 0)),
            report: Cell::new(Report::Yielded),
        }
    }

    /// Whether there is a stack, prepared or in use.
    pub(crate) fn has_stack(&self) -> bool {
        self.bounds.get() != (0, 0)
    }

    /// The lowest usable and the highest address of the stack.
    pub(crate) fn bounds(&self) -> (usize, usize) {
        self.bounds.get()
    }

    /// Sets up `stack` so that the first [`resume`](Self::resume) calls `main` on it.
    ///
    /// # Safety
    ///
    /// - There is no stack yet.
    /// - `self` stays where it is, and what `main` borrows stays alive, until the report is `Finished`; or for ever, if
    ///   it never is.
    /// - `main` does not unwind.
    pub(crate) unsafe fn prepare<F: FnOnce(Inside)>(&self, stack: Stack, main: F) {
        let (this, limit) = (ptr::from_ref(self), stack.limit().get());
        self.bounds.set((stack.lowest(), stack.base().get()));
        let body = move |yielder: &Yielder<Word, Word>, _: Word| {
            let inside = Inside {
                yielder,
                depth: ptr::from_ref(yielder) as usize - limit,
            };
            let mut root = Root {
                switch: this,
                inside,
                main: ManuallyDrop::new(main),
            };
            // SAFETY: `root` stays because this frame is never left.
            unsafe { enter(run_root::<F>, &raw mut root) }
        };
        // SAFETY: what `body` borrows lives long enough, says our caller. Nobody else looks at `coroutine` now: there
        // is nothing to resume yet.
        unsafe {
            let coroutine = Coroutine::with_stack_unchecked(stack, body);
            self.coroutine.get().write(Some(coroutine));
        }
    }

    /// Runs the body until it suspends or ends, which the [report](Self::report) tells. Its `suspend` returns `word`.
    ///
    /// # Safety
    ///
    /// The coroutine is prepared, not running and not finished.
    #[inline(always)]
    pub(crate) unsafe fn resume(&self, word: Word) -> Word {
        // SAFETY: it is prepared and does not run, says our caller, so there is a coroutine that is not done and no
        // other reference to it: the body has one to its `Yielder` only. Attacked by tests/misuse.rs.
        let coroutine = unsafe {
            let coroutine = (*self.coroutine.get()).as_mut().unwrap_unchecked();
            std::hint::assert_unchecked(!coroutine.done());
            coroutine
        };
        match coroutine.resume(word) {
            CoroutineResult::Yield(word) => word,
            // SAFETY: `run_root` does not return.
            CoroutineResult::Return(()) => unsafe { std::hint::unreachable_unchecked() },
        }
    }

    /// What the last switch out of the coroutine was for.
    #[inline(always)]
    pub(crate) fn report(&self) -> Report {
        self.report.get()
    }

    /// [`report`](Self::report), and forgets it, as is to be done before the next resume.
    pub(crate) fn take_report(&self) -> Report {
        self.report.replace(Report::Yielded)
    }

    /// Sets what the next switch out of the coroutine will be for.
    pub(crate) fn set_report(&self, report: Report) {
        self.report.set(report);
    }

    /// Gives the stack back.
    ///
    /// # Safety
    ///
    /// The body has ended or never started; in the latter case, what `main` captured need not be dropped.
    pub(crate) unsafe fn release(&self) {
        self.bounds.set((0, 0));
        // SAFETY: the coroutine does not run, says our caller, so nobody else has a reference to it. If its body has
        // ended, it has switched out of `run_root` for the last time, and no frame from there to the root of the stack
        // has anything to drop.
        unsafe {
            if let Some(mut coroutine) = (*self.coroutine.get()).take() {
                coroutine.force_reset();
                coroutine.into_stack().give_back();
            }
        }
    }
}

impl Inside {
    /// Goes back to whoever resumed this coroutine, with `word`; returns when it is resumed again, with that word.
    ///
    /// # Errors
    ///
    /// If the caller does not run on this coroutine's stack. Then `before` is not called.
    #[inline(always)]
    pub(crate) fn suspend(&self, word: Word, before: impl FnOnce()) -> Result<Word, NotCurrent> {
        if !self.is_current() {
            return Err(NotCurrent);
        }
        before();
        // SAFETY: this code runs on the coroutine's own stack, so the coroutine is running and resumed by a `resume`
        // that has not returned. The yielder lives at the top of that stack. Attacked by tests/misuse.rs.
        Ok(unsafe { (*self.yielder).suspend(word) })
    }

    /// [`suspend`](Self::suspend) from any stack: the whole chain of coroutines from this one to the caller is left where it
    /// is, and gone on with by the next resume.
    ///
    /// # Safety
    ///
    /// The coroutine runs, and the caller runs on its stack or on that of a coroutine that was resumed from there, directly
    /// or through others, and has not suspended since.
    #[inline(always)]
    pub(crate) unsafe fn suspend_from_above(&self, word: Word) {
        // SAFETY: the coroutine runs, says our caller, so whoever has resumed it waits, and the yielder is at the top of its
        // stack. The next resume continues here: each of the coroutines in between finds its own resumer where it left it.
        unsafe { (*self.yielder).suspend(word) };
    }

    /// Whether the caller runs on this coroutine's stack.
    #[inline(always)]
    pub(crate) fn is_current(&self) -> bool {
        self.used() <= self.depth
    }

    /// Bytes left above `lowest` on this stack, if the caller runs on it.
    pub(crate) fn stack_left(&self, lowest: usize) -> usize {
        (self.yielder as usize)
            .wrapping_sub(self.used())
            .saturating_sub(lowest)
    }

    /// Bytes in use on this stack, if the caller runs on it; else a number larger than its depth.
    #[inline(always)]
    fn used(&self) -> usize {
        depth_below(self.yielder as usize)
    }
}

/// What lies at the root of a coroutine's stack.
struct Root<F> {
    switch: *const Switch,
    inside: Inside,
    main: ManuallyDrop<F>,
}

/// Runs `main` and switches out of the coroutine for the last time.
///
/// Why not just be called and return: the processor predicts where a `ret` goes by counting calls. A switch out of
/// deeper calls than it switched into, or the other way round, spoils the prediction of every return after it, on both
/// stacks. So the body is inlined here, this function is [entered](enter) without a call, and it ends with a switch like
/// any other. Creating, running and dropping a coroutine took a third longer otherwise.
unsafe extern "C" fn run_root<F: FnOnce(Inside)>(root: *mut Root<F>) -> ! {
    // SAFETY: `prepare` has made the root for us alone. The switch outlives the body, and the yielder is at the top of
    // this stack.
    unsafe {
        let (switch, inside) = ((*root).switch, (*root).inside);
        ManuallyDrop::take(&mut (*root).main)(inside);
        (*switch).report.set(Report::Finished);
        (*inside.yielder).suspend(NOTHING);
    }
    unreachable!("a coroutine was resumed after its end")
}

/// Calls `function`, which does not return, and makes the processor forget the call that has led here.
///
/// corosensei calls one function before it calls the body. The `ret` that goes to `function` takes that call off the
/// processor's list; it is mispredicted, once.
///
/// # Safety
///
/// As for the call.
#[inline(always)]
unsafe fn enter<T>(function: unsafe extern "C" fn(*mut T) -> !, argument: *mut T) {
    #[cfg(all(target_arch = "x86_64", unix))]
    // SAFETY: for the function, this is a call: the argument is in its register and there is a return address on the
    // stack, which is aligned. For the unwinder too: the address belongs to this function and has its unwind
    // information. Nothing is expected to be preserved, as there is no return.
    unsafe {
        std::arch::asm!(
            "lea rax, [rip + 2f]",
            "push rax",
            "push rcx",
            "ret",
            "2:",
            "ud2",
            in("rcx") function,
            in("rdi") argument,
            clobber_abi("C"),
        )
    }
    #[cfg(not(all(target_arch = "x86_64", unix)))]
    // SAFETY: as our caller promises.
    unsafe {
        function(argument)
    }
}

/// How far below `top` the stack has grown; a huge number if it is not below.
#[inline(always)]
fn depth_below(top: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let depth;
        // SAFETY: computes `top - rsp`.
        unsafe {
            std::arch::asm!(
                "sub {}, rsp",
                inlateout(reg) top => depth,
                options(nomem, nostack),
            );
        }
        depth
    }
    #[cfg(target_arch = "aarch64")]
    {
        let stack_pointer: usize;
        // SAFETY: copies one register.
        unsafe {
            std::arch::asm!(
                "mov {}, sp",
                out(reg) stack_pointer,
                options(nomem, nostack, preserves_flags),
            );
        }
        top.wrapping_sub(stack_pointer)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let local = 0u8;
        top.wrapping_sub(std::hint::black_box(&raw const local) as usize)
    }
}
