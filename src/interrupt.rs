//! Cancelling a wait in a task, once, without the rest of the task being any the wiser.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::panic::Location;
use std::ptr;
use std::task::Poll;

use crate::cancelled::Cancelled;
use crate::stack::bytes_left;

/// What the event loop and the waits in one of its tasks tell each other, while the task has its turn.
///
/// Python throws a `CancelledError` in at the `await` at which a task is suspended, the innermost one, and whatever lies
/// further out sees it after that, or never. Here the waits lie inside each other as polls do: a wait polls a future, which
/// may contain another wait. So a cancellation is *raised* before the task's turn, or by the future that a wait polls, and
/// the innermost wait takes it: it ends with `Cancelled`, and drops its future unpolled. A wait knows whether there is another
/// one further in, as that has said so when it was left pending.
#[derive(Default)]
pub(crate) struct Interrupt {
    is_raised: Cell<bool>,
    /// Some wait inside of what is being polled has been left pending.
    is_inside: Cell<bool>,
    /// What the task waits for was asked to be cancelled in its stead.
    is_passed_on: Cell<bool>,
    /// Where the task waits, in the last turn in which it said so.
    place: Cell<Option<&'static Location<'static>>>,
    /// Whoever is suspended is to say where, and to stay so.
    look: Cell<bool>,
    seen: Cell<Option<Box<Backtrace>>>,
}

thread_local! {
    /// Of the task that has its turn. Null if there is none.
    static CURRENT: Cell<*const Interrupt> = const { Cell::new(ptr::null()) };
}

impl Interrupt {
    /// Raises a cancellation.
    pub(crate) fn raise(&self) {
        self.is_raised.set(true);
    }

    /// Takes a cancellation that has been raised.
    pub(crate) fn take(&self) -> bool {
        let is_raised = self.is_raised.replace(false);
        if is_raised {
            self.is_passed_on.set(false);
        }
        is_raised
    }

    /// What the task waits for will be told that it is cancelled. If it then is, so is the wait.
    pub(crate) fn pass_on(&self) {
        self.is_passed_on.set(true);
    }

    /// What the task waited for is done. Returns whether it was asked to be cancelled in the task's stead.
    pub(crate) fn was_passed_on(&self) -> bool {
        self.is_passed_on.replace(false)
    }

    pub(crate) fn set_place(&self, place: Option<&'static Location<'static>>) {
        self.place.set(place);
    }

    pub(crate) fn place(&self) -> Option<&'static Location<'static>> {
        self.place.get()
    }

    pub(crate) fn forget_place(&self) -> Option<&'static Location<'static>> {
        self.place.take()
    }

    /// Has what runs in `resume` say where it is suspended, instead of going on. (Never inlined, so that it is found among the
    /// frames.)
    #[inline(never)]
    pub(crate) fn look(&self, resume: impl FnOnce()) -> Option<Box<Backtrace>> {
        self.look.set(true);
        resume();
        self.look.set(false);
        self.seen.take()
    }

    pub(crate) fn looks(&self) -> bool {
        self.look.get()
    }

    pub(crate) fn see(&self) {
        // To walk the frames takes some stack.
        const NEEDED: usize = 12 << 10;
        let here = 0u8;
        if bytes_left(ptr::from_ref(&here) as usize).is_none_or(|left| left > NEEDED) {
            self.seen.set(Some(Box::new(Backtrace::force_capture())));
        }
    }
}

/// Calls `act` with what the task that has its turn and its waits tell each other, if there is such a task. In there, nothing
/// is suspended.
#[inline(always)]
pub(crate) fn with_interrupt<R>(act: impl FnOnce(&Interrupt) -> R) -> Option<R> {
    let interrupt = CURRENT.get();
    // SAFETY: it is that of a task that has its turn, which lives until that is over, see `take_turn`.
    unsafe { interrupt.as_ref() }.map(act)
}

/// Runs `turn` as a turn of the task that `interrupt` is of.
#[inline]
pub(crate) fn take_turn<R>(interrupt: &Interrupt, turn: impl FnOnce() -> R) -> R {
    struct Leave(*const Interrupt);
    impl Drop for Leave {
        #[inline(always)]
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _leave = Leave(CURRENT.replace(interrupt));
    turn()
}

/// Polls what a wait waits for: what `poll` returns, or an error if the wait is interrupted.
///
/// Nothing is kept across the poll but `waits`, as it may be gone on with in a turn of another task.
#[inline(always)]
pub(crate) fn poll_interruptibly<R>(
    waits: &mut Waits,
    poll: impl FnOnce() -> Poll<R>,
) -> Poll<Result<R, Cancelled>> {
    let interrupted = Poll::Ready(Err(Cancelled::new()));
    if *waits == Waits::Innermost && with_interrupt(Interrupt::take) == Some(true) {
        return interrupted;
    }
    with_interrupt(|interrupt| interrupt.is_inside.set(false));
    match poll() {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending if with_interrupt(Interrupt::take) == Some(true) => interrupted,
        Poll::Pending => {
            *waits = match with_interrupt(|interrupt| interrupt.is_inside.replace(true)) {
                Some(true) => Waits::Inside,
                _ => Waits::Innermost,
            };
            Poll::Pending
        }
    }
}

/// Where the innermost wait is, as far as a wait knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Waits {
    /// It has not been left pending yet.
    #[default]
    Not,
    /// It is the innermost one.
    Innermost,
    /// There is another one in what it polls.
    Inside,
}
