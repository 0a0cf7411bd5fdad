//! What the keyboard sends: Ctrl-C, and Ctrl-\.
//!
//! A signal handler may do next to nothing. This one counts, and writes to the loops that have asked for it: a byte into a
//! socket at the other end of which the loop waits as for any other input. The second Ctrl-C ends the process in the handler
//! itself, as whoever presses it may do so because the loop does not get there.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use async_io::Async;

/// How many loops can listen at a time. Further ones do not.
const MOST: usize = 64;

/// Where the handler writes to, or -1.
static LISTENERS: [AtomicI32; MOST] = [const { AtomicI32::new(-1) }; MOST];

/// How often Ctrl-C was pressed since the first of the listeners came.
static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

/// What a signal is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// Ctrl-C, `SIGINT`.
    Interrupt,
    /// Ctrl-\, `SIGQUIT`.
    Quit,
}

/// The signals that were not handled when the first listener came, and what was done with them.
struct Installed {
    listeners: usize,
    before: Vec<(libc::c_int, libc::sigaction)>,
}

static INSTALLED: Mutex<Installed> = Mutex::new(Installed {
    listeners: 0,
    before: Vec::new(),
});

/// Sockets that no loop uses. None is ever closed: the handler may be running on another thread, about to write to it.
static FREE: Mutex<Vec<[UnixStream; 2]>> = Mutex::new(Vec::new());

/// One loop's end of the line.
pub(crate) struct Listener {
    /// `Some` until it is dropped.
    input: Option<Async<UnixStream>>,
    /// For the handler.
    output: Option<UnixStream>,
    place: usize,
}

impl Listener {
    /// Listens to signals that nobody else handles. `None` if that is impossible.
    pub(crate) fn new(signals: &[Signal]) -> Option<Self> {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let [input, output] = match free {
            Some(pair) => pair,
            None => UnixStream::pair().ok()?.into(),
        };
        output.set_nonblocking(true).ok()?;
        let mut this = Self {
            input: Some(Async::new(input).ok()?),
            output: Some(output),
            place: MOST,
        };
        // What somebody was told who used the socket before.
        while matches!(this.input().get_ref().read(&mut [0; 16]), Ok(1..)) {}
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let fd = this.output.as_ref()?.as_raw_fd();
        this.place = LISTENERS.iter().position(|place| {
            place
                .compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        })?;
        installed.listeners += 1;
        if installed.listeners == 1 {
            INTERRUPTS.store(0, Ordering::Relaxed);
        }
        for signal in signals {
            installed.add(*signal);
        }
        drop(installed);
        Some(this)
    }

    fn input(&self) -> &Async<UnixStream> {
        self.input.as_ref().expect("it is there until the drop")
    }

    /// The next signal that has come.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Signal> {
        loop {
            if self.input().poll_readable(context).is_pending() {
                return Poll::Pending;
            }
            let mut byte = [0];
            if let Ok(1) = self.input().get_ref().read(&mut byte) {
                let is_interrupt = libc::c_int::from(byte[0]) == libc::SIGINT;
                return Poll::Ready(if is_interrupt {
                    Signal::Interrupt
                } else {
                    Signal::Quit
                });
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(place) = LISTENERS.get(self.place) {
            let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
            place.store(-1, Ordering::Release);
            installed.listeners -= 1;
            if installed.listeners == 0 {
                installed.remove();
            }
        }
        let input = self.input.take().and_then(|input| input.into_inner().ok());
        if let (Some(input), Some(output)) = (input, self.output.take()) {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            free.push([input, output]);
        }
    }
}

impl Installed {
    /// Handles a signal from now on, if nobody does.
    fn add(&mut self, signal: Signal) {
        let number = match signal {
            Signal::Interrupt => libc::SIGINT,
            Signal::Quit => libc::SIGQUIT,
        };
        if self.before.iter().any(|(added, _)| *added == number) {
            return;
        }
        // SAFETY: both are plain data, for which zeros are a value, and the pointers are valid for the calls. The handler is a
        // function of the type that SA_SIGINFO is not set for.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(number, std::ptr::null(), &raw mut before) != 0
                || before.sa_sigaction != libc::SIG_DFL
            {
                return;
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            if libc::sigaction(number, &raw const action, std::ptr::null_mut()) == 0 {
                self.before.push((number, before));
            }
        }
    }

    /// Does as before, unless somebody else handles the signal by now.
    fn remove(&mut self) {
        for (number, before) in self.before.drain(..) {
            // SAFETY: as in `add`.
            unsafe {
                let mut now: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(number, std::ptr::null(), &raw mut now) == 0
                    && now.sa_sigaction == handle as extern "C" fn(libc::c_int) as usize
                {
                    libc::sigaction(number, &raw const before, std::ptr::null_mut());
                }
            }
        }
    }
}

/// Only calls what a signal handler may call: atomics, `write` and `_exit`. Allocates nothing, locks nothing.
extern "C" fn handle(number: libc::c_int) {
    const INTERRUPTED: libc::c_int = 130;
    if number == libc::SIGINT && INTERRUPTS.fetch_add(1, Ordering::Relaxed) > 0 {
        // SAFETY: it only ends the process.
        unsafe { libc::_exit(INTERRUPTED) };
    }
    let byte = number as u8;
    for listener in &LISTENERS {
        let fd = listener.load(Ordering::Acquire);
        if fd >= 0 {
            // SAFETY: the byte is there, and the descriptor is never closed. What was interrupted finds the number of its last
            // error as it was.
            unsafe {
                let errno = errno();
                let before = *errno;
                libc::write(fd, (&raw const byte).cast(), 1);
                *errno = before;
            }
        }
    }
}

/// Where this thread keeps the number of its last error.
fn errno() -> *mut libc::c_int {
    // SAFETY: it only tells where that is.
    unsafe {
        #[cfg(any(
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "dragonfly"
        ))]
        {
            libc::__error()
        }
        #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
        {
            libc::__errno()
        }
        #[cfg(any(target_os = "illumos", target_os = "solaris"))]
        {
            libc::___errno()
        }
        #[cfg(not(any(
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "dragonfly",
            target_os = "android",
            target_os = "netbsd",
            target_os = "openbsd",
            target_os = "illumos",
            target_os = "solaris",
        )))]
        {
            libc::__errno_location()
        }
    }
}
