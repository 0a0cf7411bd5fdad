//! Says which coroutine has overflowed its stack.
//!
//! The handler runs in the middle of anything, so it allocates nothing, takes no lock and touches only memory that is
//! never freed: the list of regions, and the label of the stack that has overflowed.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use super::region::{self, Region};
use super::{Label, region::GUARD};

static ENABLED: AtomicBool = AtomicBool::new(true);

pub(super) fn enable(report: bool) {
    let before = ENABLED.swap(report, Ordering::Relaxed);
    if report && !before {
        // There may have been a coroutine already.
        prepare_thread();
    }
}

/// Called by each thread before its first coroutine.
#[cold]
pub(super) fn prepare_thread() {
    static INSTALL: Once = Once::new();
    if ENABLED.load(Ordering::Relaxed) {
        INSTALL.call_once(|| FAULTS.iter().for_each(Fault::install));
        // While the thread is ending there is none.
        let _ = ALTERNATE.try_with(|_| {});
    }
}

// The handler ---------------------------------------------------------------------------------------------------------

/// A signal that tells of a fault. macOS sends the second one where others send the first.
struct Fault {
    signal: c_int,
    /// What was done about it before us. Written once, before the handler is installed.
    previous: UnsafeCell<MaybeUninit<libc::sigaction>>,
}

// SAFETY: after it was written, `previous` is only read.
unsafe impl Sync for Fault {}

static FAULTS: [Fault; 2] = [Fault::new(libc::SIGSEGV), Fault::new(libc::SIGBUS)];

impl Fault {
    const fn new(signal: c_int) -> Self {
        Self {
            signal,
            previous: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    fn install(&self) {
        // SAFETY: called once. The structures are ours and initialised; zero is a valid `sigaction`. The handler does only
        // what a signal handler may. Attacked by tests/overflow.rs.
        unsafe {
            let previous = (*self.previous.get()).write(std::mem::zeroed());
            if libc::sigaction(self.signal, ptr::null(), previous) != 0 {
                return;
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            // With the mask and the flags of the one that we stand before, as if that had been called by the system.
            action.sa_mask = previous.sa_mask;
            let kept = previous.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART);
            action.sa_flags = kept | libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(self.signal, &raw const action, ptr::null_mut());
        }
    }

    /// Leaves the signal to the system.
    fn set_default(&self) {
        // SAFETY: zero is a valid `sigaction`, and the structure is ours.
        unsafe {
            let mut default: libc::sigaction = std::mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(self.signal, &raw const default, ptr::null_mut());
        }
    }

    /// Does what would have been done without us.
    ///
    /// # Safety
    ///
    /// It is installed, and the arguments are those of its handler.
    unsafe fn pass_on(&self, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: it is installed, says our caller, so this has been written. The previous handler gets what it would have
        // got.
        unsafe {
            let previous = (*self.previous.get()).assume_init_ref();
            let was_sent = (*info).si_code <= 0; // by `kill`, rather than by a fault
            match previous.sa_sigaction {
                libc::SIG_IGN if was_sent => {}
                libc::SIG_DFL | libc::SIG_IGN => {
                    // The instruction is about to be repeated, and then kills the process.
                    self.set_default();
                    if was_sent {
                        libc::raise(self.signal);
                    }
                }
                handler => {
                    if previous.sa_flags & libc::SA_RESETHAND != 0 {
                        self.set_default();
                    }
                    if previous.sa_flags & libc::SA_SIGINFO != 0 {
                        type Handler =
                            unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                        std::mem::transmute::<usize, Handler>(handler)(self.signal, info, context);
                    } else {
                        type Handler = unsafe extern "C" fn(c_int);
                        std::mem::transmute::<usize, Handler>(handler)(self.signal);
                    }
                }
            }
        }
    }
}

unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes what it promises for a handler with `SA_SIGINFO`.
    unsafe {
        let is_fault = (*info).si_code > 0;
        if is_fault && ENABLED.load(Ordering::Relaxed) {
            let address = (*info).si_addr() as usize;
            if let Some((region, index)) = overflowed(address, stack_pointer(context)) {
                report(region, index);
            }
        }
        if let Some(fault) = FAULTS.iter().find(|fault| fault.signal == signal) {
            fault.pass_on(info, context);
        }
    }
}

/// The stack that has overflowed, if the address is in its guard and somebody runs on it.
fn overflowed(address: usize, stack_pointer: Option<usize>) -> Option<(&'static Region, usize)> {
    let (region, index) = region::find(address)?;
    let start = region.slot_start(index);
    let in_guard = (start..start + GUARD).contains(&address);
    let runs_on = |pointer| (start..region.base(index)).contains(&pointer);
    (in_guard && stack_pointer.is_none_or(runs_on)).then_some((region, index))
}

/// # Safety
///
/// Somebody runs on that stack, who waits meanwhile.
unsafe fn report(region: &Region, index: usize) -> ! {
    let mut digits = [0; 20];
    // SAFETY: it has been labelled before somebody began to run on it, with a name that lives as long.
    let name = unsafe { &*(region.base(index) as *const Label).read() };
    let name = name.as_deref().unwrap_or("<unnamed>").as_bytes();
    let parts = [
        b"\ncoroutine '",
        name,
        b"' has overflowed its stack (",
        decimal(region.shape.size, &mut digits),
        b" bytes)\n",
    ];
    let parts = parts.map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    // SAFETY: all parts are still alive. If it cannot be written, there is nobody to tell.
    unsafe {
        libc::writev(libc::STDERR_FILENO, parts.as_ptr(), parts.len() as c_int);
        libc::abort()
    }
}

fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[first..];
        }
    }
}

/// Where the stack pointer was, if we know how to look it up.
///
/// # Safety
///
/// `context` is what a signal handler got.
unsafe fn stack_pointer(context: *mut c_void) -> Option<usize> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    // SAFETY: on this system it is this structure.
    unsafe {
        let context = &*context.cast::<libc::ucontext_t>();
        Some(context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize)
    }
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    // SAFETY: on this system it is this structure.
    unsafe {
        let context = &*context.cast::<libc::ucontext_t>();
        Some(context.uc_mcontext.sp as usize)
    }
    #[cfg(not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )))]
    {
        let _ = context;
        None
    }
}

// Where it runs -------------------------------------------------------------------------------------------------------

thread_local! {
    static ALTERNATE: AlternateStack = AlternateStack::install();
}

/// A stack for signal handlers, as the one in use has none left. Threads of the standard library have one already.
struct AlternateStack {
    /// Null: the thread has another one.
    start: *mut c_void,
}

impl AlternateStack {
    const SIZE: usize = 64 * 1024;

    fn install() -> Self {
        let start = if Self::current().ss_flags & libc::SS_DISABLE == 0 {
            ptr::null_mut()
        } else {
            Self::map().unwrap_or(ptr::null_mut())
        };
        Self { start }
    }

    fn current() -> libc::stack_t {
        // SAFETY: zero is a valid `stack_t`, and the system writes to ours.
        unsafe {
            let mut current: libc::stack_t = std::mem::zeroed();
            libc::sigaltstack(ptr::null(), &raw mut current);
            current
        }
    }

    fn map() -> Option<*mut c_void> {
        // SAFETY: a new mapping of our own, which is handed to the system until it is taken away in `drop`.
        unsafe {
            let start = libc::mmap(
                ptr::null_mut(),
                Self::SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            );
            if start == libc::MAP_FAILED {
                return None;
            }
            let mut stack: libc::stack_t = std::mem::zeroed();
            stack.ss_sp = start;
            stack.ss_size = Self::SIZE;
            libc::sigaltstack(&raw const stack, ptr::null_mut());
            Some(start)
        }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        let current = Self::current();
        // If somebody has put another one in its place, he may want to put it back.
        if self.start.is_null() || current.ss_sp != self.start {
            return;
        }
        // SAFETY: the mapping is ours. A handler that runs on it makes the system refuse.
        unsafe {
            let mut none: libc::stack_t = std::mem::zeroed();
            none.ss_flags = libc::SS_DISABLE;
            none.ss_size = Self::SIZE; // which macOS insists on
            if libc::sigaltstack(&raw const none, ptr::null_mut()) == 0 {
                libc::munmap(self.start, Self::SIZE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, 262_144, usize::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }

    #[test]
    fn only_the_guard_of_the_stack_in_use_counts() {
        let stack = super::super::Stack::take(1 << 16).unwrap();
        let (start, lowest) = (stack.slot_start(), stack.lowest());
        let is_overflow = |address, pointer| overflowed(address, pointer).is_some();
        assert!(is_overflow(start, Some(lowest)));
        assert!(is_overflow(lowest - 1, Some(start + 1)));
        assert!(is_overflow(lowest - 1, None));
        assert!(!is_overflow(lowest, Some(lowest)));
        assert!(!is_overflow(lowest - 1, Some(start - 1)));
        assert!(!is_overflow(lowest - 1, Some(stack.slot_end())));
        assert!(!is_overflow(0, None));
        stack.give_back();
    }
}
