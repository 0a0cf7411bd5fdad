//! What can go wrong with tasks and their loop.

#![forbid(unsafe_code)]

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Mutex;

use crate::exception::Exception;
use crate::unraisable::message;

/// A task or future is not in a state for what was asked of it, as asyncio's `InvalidStateError`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidState(Wrong);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wrong {
    Pending,
    Done,
    Taken,
}

impl InvalidState {
    pub(crate) fn pending() -> Self {
        Self(Wrong::Pending)
    }

    pub(crate) fn done() -> Self {
        Self(Wrong::Done)
    }

    pub(crate) fn taken() -> Self {
        Self(Wrong::Taken)
    }

    /// Whether it is still pending.
    pub fn is_pending(&self) -> bool {
        self.0 == Wrong::Pending
    }
}

impl fmt::Display for InvalidState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Wrong::Pending => "it is not done yet",
            Wrong::Done => "it is done already",
            Wrong::Taken => "what it returned was taken already",
        })
    }
}

impl Error for InvalidState {}

/// A time limit has passed, as Python's `TimeoutError`.
///
/// As an [`io::Error`] its kind is [`TimedOut`](io::ErrorKind::TimedOut).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TimedOut(());

impl TimedOut {
    /// Makes one, for timeouts of one's own.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl Error for TimedOut {}

impl From<TimedOut> for io::Error {
    fn from(error: TimedOut) -> Self {
        Self::new(io::ErrorKind::TimedOut, error)
    }
}

/// A task waits for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AwaitsItself(());

impl AwaitsItself {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for AwaitsItself {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task cannot await itself")
    }
}

impl Error for AwaitsItself {}

/// The program was interrupted by Ctrl-C, as Python's `KeyboardInterrupt`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted(());

impl Interrupted {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl Error for Interrupted {}

/// The body of a task, or a function that it has given to [`unblock`](crate::task::unblock()), panicked.
pub struct Panicked {
    message: String,
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Panicked {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self {
            message: message(&*payload).to_owned(),
            payload: Mutex::new(Some(payload)),
        }
    }

    /// What it panicked with, for [`resume_unwind`](std::panic::resume_unwind).
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        let payload = self.payload.into_inner();
        payload
            .ok()
            .flatten()
            .unwrap_or_else(|| Box::new(self.message))
    }
}

impl fmt::Debug for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panicked").field(&self.message).finish()
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl Error for Panicked {}

/// Why an event loop cannot do what it was asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum LoopError {
    /// The loop is running: it was asked to run by something that it runs.
    AlreadyRunning,
    /// Another loop, or somebody else's fiber, is running on this thread.
    AnotherIsRunning,
    /// The loop is closed. A new one can be made.
    Closed,
    /// The loop was to be closed by something that it runs.
    CannotCloseRunning,
    /// The loop was stopped before what it was run for was done.
    Stopped,
    /// On a [virtual clock](crate::task::LoopBuilder::virtual_clock): nothing is ready, and nothing ever will be.
    Deadlock,
}

impl fmt::Display for LoopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyRunning => "this event loop is already running",
            Self::AnotherIsRunning => {
                "cannot run an event loop while another one, or a fiber, is running on this thread"
            }
            Self::Closed => "the event loop is closed",
            Self::CannotCloseRunning => "cannot close a running event loop",
            Self::Stopped => "the event loop was stopped before the task was done",
            Self::Deadlock => "nothing is ready, and nothing ever will be",
        })
    }
}

impl Error for LoopError {}

/// The errors of several tasks of a [`TaskGroup`](crate::task::TaskGroup), as Python's `ExceptionGroup`.
///
/// Shows all of them, one after the other.
pub struct ExceptionGroup(Vec<Exception>);

impl ExceptionGroup {
    /// Makes one of these errors.
    pub fn new(errors: Vec<Exception>) -> Self {
        Self(errors)
    }

    /// In the order in which they were raised.
    pub fn errors(&self) -> &[Exception] {
        &self.0
    }

    /// In the order in which they were raised.
    pub fn into_errors(self) -> Vec<Exception> {
        self.0
    }
}

impl fmt::Debug for ExceptionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl fmt::Display for ExceptionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [] => f.write_str("no errors"),
            [only] => only.fmt(f),
            [first, rest @ ..] => {
                write!(f, "{} errors: {first}", self.0.len())?;
                rest.iter().try_for_each(|error| write!(f, "; {error}"))
            }
        }
    }
}

impl Error for ExceptionGroup {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.0.first() {
            Some(Exception::Error(error)) => Some(&**error),
            _ => None,
        }
    }
}
