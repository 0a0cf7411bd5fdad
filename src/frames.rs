//! Who is on the stack: walks the frames from the caller outwards.
//!
//! The walk goes from stack to stack, as the switch library describes that to the unwinder: from a body to whoever has
//! resumed it. It answers two questions before a suspended body is woken for the last time.
//!
//! **Is the thread ending?** Its thread-locals are then being destroyed, one after the other. A body that is suspended
//! inside [`LocalKey::with`](std::thread::LocalKey::with) borrows one. If the coroutine itself lies in another
//! thread-local, it may be dropped after the one that its body borrows: to wake the body would be a use after free, in
//! code without `unsafe`. So it is not woken. That thread-locals are being destroyed shows in a frame of the C library's
//! function that does it. Without that function (other than glibc, or linked statically) it shows only in that this
//! crate's own thread-locals are gone, which may be too late.
//!
//! **Does the body run?** `process::exit` drops thread-locals where it is called, be it in a generator that lies in one.
//!
//! Where frames cannot be walked (Windows, 32-bit ARM) the answer is no, except that threads are seen to end as above.

use std::cell::Cell;

use crate::stack::thread_has_ended;

/// Whether frames can be walked here.
pub(crate) const VISIBLE: bool = walk::PRESENT;

pub(crate) use walk::Frame;

/// Why a suspended body is not woken for the last time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Obstacle {
    /// Thread-locals are being destroyed.
    ThreadEnds,
    /// It runs.
    Runs,
}

/// Whether the caller runs on the stack between these addresses, or was called from there, directly or through other
/// stacks.
#[cold]
#[inline(never)]
pub(crate) fn runs_on((limit, top): (usize, usize)) -> bool {
    let mut runs = false;
    outwards(|frame| {
        runs = (limit..=top).contains(&frame.end());
        !runs
    });
    runs
}

/// Calls `wake`, which wakes the body on the stack between these addresses, unless something stands in the way.
///
/// `wake` may wake bodies that drop others in the same way: for those, the walk ends here, so that a chain of coroutines that
/// drop each other does not walk the same frames again and again.
#[inline(never)]
pub(crate) fn wake_to_drop<R>(
    (limit, top): (usize, usize),
    wake: impl FnOnce() -> R,
) -> Result<R, Obstacle> {
    thread_local! {
        /// The end of the frame of the innermost call of this function that has found nothing in the way.
        static CHECKED: Cell<usize> = const { Cell::new(0) };
    }
    /// Never puts an older value back: if a body was suspended meanwhile, that call may be over. What is there stays true
    /// if this call is suspended itself, as its frame then stays where it is.
    struct Uncheck;
    impl Drop for Uncheck {
        fn drop(&mut self) {
            CHECKED.set(0);
        }
    }
    if thread_has_ended() {
        return Err(Obstacle::ThreadEnds);
    }
    let marker = 0u8;
    let destructors = thread_locals_destructors();
    // A body that runs is dropped only while thread-locals are destroyed. Where that cannot be seen, all frames count.
    let checked = if destructors == 0 { 0 } else { CHECKED.get() };
    let (mut here, mut obstacle) = (0, None);
    outwards(|frame| {
        if here == 0 && frame.end() > std::ptr::from_ref(&marker) as usize {
            here = frame.end();
        }
        if frame.is_in(destructors) {
            obstacle = Some(Obstacle::ThreadEnds);
        } else if (limit..=top).contains(&frame.end()) {
            obstacle = obstacle.or(Some(Obstacle::Runs));
        }
        obstacle != Some(Obstacle::ThreadEnds) && frame.end() != checked
    });
    if let Some(obstacle) = obstacle {
        return Err(obstacle);
    }
    CHECKED.set(here);
    let _uncheck = Uncheck;
    Ok(wake())
}

/// Calls `step` with each frame from the caller's caller outwards, as long as it returns `true`.
#[inline(always)]
pub(crate) fn outwards<F: FnMut(&Frame) -> bool>(mut step: F) {
    walk::outwards(&mut step);
}

/// Where the function begins that destroys the thread-locals of a thread that ends, and of one that calls `exit`; 0 if it
/// is not known.
fn thread_locals_destructors() -> usize {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::sync::atomic::{AtomicUsize, Ordering};
        const UNKNOWN: usize = usize::MAX;
        static START: AtomicUsize = AtomicUsize::new(UNKNOWN);
        let mut start = START.load(Ordering::Relaxed);
        if start == UNKNOWN {
            // SAFETY: it only looks up a name.
            start =
                unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__call_tls_dtors".as_ptr()) } as usize;
            START.store(start, Ordering::Relaxed);
        }
        start
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        0
    }
}

#[cfg(not(all(
    unix,
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64"
    )
)))]
mod walk {
    pub(super) const PRESENT: bool = false;

    /// There are none.
    pub(crate) enum Frame {}

    impl Frame {
        pub(crate) fn end(&self) -> usize {
            match *self {}
        }

        pub(crate) fn function(&self) -> usize {
            match *self {}
        }

        pub(crate) fn is_in(&self, _function: usize) -> bool {
            match *self {}
        }

        pub(crate) fn instruction(&self) -> usize {
            match *self {}
        }

        pub(crate) fn table(&self) -> *const u8 {
            match *self {}
        }
    }

    pub(super) fn outwards(_step: &mut dyn FnMut(&Frame) -> bool) {}
}

#[cfg(all(
    unix,
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64"
    )
))]
mod walk {
    use std::ffi::{c_int, c_void};

    /// The unwinder's view of one frame, during one step of a walk.
    #[repr(C)]
    pub(crate) struct Frame {
        _opaque: [u8; 0],
    }

    // `_Unwind_Reason_Code`: go on to the next frame, or end the walk.
    const CONTINUE: c_int = 0;
    const STOP: c_int = 4;

    // The unwinder that the standard library itself links: Itanium C++ ABI, level I, and its usual extensions.
    unsafe extern "C" {
        fn _Unwind_Backtrace(
            step: unsafe extern "C" fn(*mut Frame, *mut c_void) -> c_int,
            argument: *mut c_void,
        ) -> c_int;
        fn _Unwind_GetIPInfo(frame: *mut Frame, before_instruction: *mut c_int) -> usize;
        fn _Unwind_GetCFA(frame: *mut Frame) -> usize;
        fn _Unwind_GetLanguageSpecificData(frame: *mut Frame) -> *const u8;
        fn _Unwind_GetRegionStart(frame: *mut Frame) -> usize;
    }

    pub(super) const PRESENT: bool = true;

    pub(super) fn outwards<F: FnMut(&Frame) -> bool>(step: &mut F) {
        // SAFETY: `call` is called only during this call, each time with a valid frame and this pointer.
        unsafe { _Unwind_Backtrace(call::<F>, std::ptr::from_mut(step).cast()) };
    }

    unsafe extern "C" fn call<F: FnMut(&Frame) -> bool>(
        frame: *mut Frame,
        step: *mut c_void,
    ) -> c_int {
        // SAFETY: `outwards` passes an `F` that outlives the walk and that nothing else uses meanwhile; the unwinder hands
        // us a frame that is valid for the time of this call.
        let (step, frame) = unsafe { (&mut *step.cast::<F>(), &*frame) };
        if step(frame) { CONTINUE } else { STOP }
    }

    impl Frame {
        fn raw(&self) -> *mut Self {
            std::ptr::from_ref(self).cast_mut()
        }

        /// Where it ends on the stack and its caller's begins: the canonical frame address.
        #[inline]
        pub(crate) fn end(&self) -> usize {
            // SAFETY: a reference exists only during a step.
            unsafe { _Unwind_GetCFA(self.raw()) }
        }

        /// Where its function begins.
        #[inline]
        pub(crate) fn function(&self) -> usize {
            // SAFETY: as above.
            unsafe { _Unwind_GetRegionStart(self.raw()) }
        }

        /// Whether it belongs to the function that begins at this address; 0 is none.
        #[inline]
        pub(crate) fn is_in(&self, function: usize) -> bool {
            function != 0 && self.function() == function
        }

        /// An address in the instruction that is being executed, mostly a call.
        pub(crate) fn instruction(&self) -> usize {
            let mut before_instruction = 0;
            // SAFETY: as above.
            let address = unsafe { _Unwind_GetIPInfo(self.raw(), &raw mut before_instruction) };
            // A return address is that of the next instruction, which may lie beyond the end of a range.
            if before_instruction == 0 {
                address.wrapping_sub(1)
            } else {
                address
            }
        }

        /// The function's table for unwinding, see `unwind.rs`. Null if it needs none.
        pub(crate) fn table(&self) -> *const u8 {
            // SAFETY: as above.
            unsafe { _Unwind_GetLanguageSpecificData(self.raw()) }
        }
    }
}
