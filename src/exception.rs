//! What is thrown into a body and raised out of it.

#![forbid(unsafe_code)]

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::cancelled::Cancelled;
use crate::stack::StackError;

/// How many causes of an error are looked at.
const MOST_CAUSES: usize = 100;

/// What is thrown into a body, and what an unfinished body raises.
///
/// The split is Python's `Exception` / `BaseException`: a handler that matches [`Exception::Error`] cannot swallow the
/// order to finish. `Exception` is deliberately *not* an [`Error`], so that `?` turns any error into one. In the other
/// direction it converts into `Box<dyn Error + Send + Sync>` and [`io::Error`], so that `?` also works in a caller that
/// knows nothing of coroutines.
///
/// ```
/// use yieldfrom::Exception;
///
/// fn parse(text: &str) -> Result<i32, Exception> {
///     Ok(text.parse::<i32>()?) // any error becomes an exception
/// }
/// let raised = parse("twelve").unwrap_err();
/// assert!(raised.is::<std::num::ParseIntError>());
/// ```
pub enum Exception {
    /// The order to finish, as Python's `GeneratorExit`. Costs no allocation.
    GeneratorExit,
    /// The order to stop waiting, from [`await_`](crate::await_()) or an operation of [`io`](crate::io); as asyncio's
    /// `CancelledError`, which is no `Exception` either.
    Cancelled,
    /// Any error. Its cause (Python's `__cause__`) is [`Error::source`].
    Error(Box<dyn Error + Send + Sync>),
}

impl Exception {
    /// Makes an exception of an error or a message.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Error(error.into())
    }

    /// Whether this is the order to finish.
    pub fn is_exit(&self) -> bool {
        matches!(self, Self::GeneratorExit)
    }

    /// Whether this carries an `E`.
    ///
    /// It does so too if several hold the error, as when several have waited for the [task](crate::task) that has raised it.
    /// Then the box in [`Exception::Error`] holds a share of the error, and the box's own `is` would say no.
    pub fn is<E: Error + 'static>(&self) -> bool {
        self.downcast_ref::<E>().is_some()
    }

    /// The `E` inside, as `except E as e` would name it.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::GeneratorExit | Self::Cancelled => None,
            Self::Error(error) => match error.downcast_ref::<Shared>() {
                Some(Shared(error)) => error.downcast_ref(),
                None => error.downcast_ref(),
            },
        }
    }

    /// Takes the `E` out.
    ///
    /// # Errors
    ///
    /// The exception itself comes back if it carries something else, or if others still hold the same error.
    pub fn downcast<E: Error + 'static>(self) -> Result<E, Self> {
        match self.unshared() {
            Self::Error(error) => error.downcast().map(|e| *e).map_err(Self::Error),
            other => Err(other),
        }
    }

    /// Whether this is the order to stop waiting, or an [`io::Error`] or another error that some library has made of it.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::GeneratorExit => false,
            Self::Cancelled => true,
            Self::Error(error) => Cancelled::is_behind(&**error),
        }
    }

    /// The same once more. Errors are shared from then on.
    pub(crate) fn share(&mut self) -> Self {
        match self {
            Self::GeneratorExit => Self::GeneratorExit,
            Self::Cancelled => Self::Cancelled,
            Self::Error(error) => {
                if !error.is::<Shared>() {
                    let own = std::mem::replace(error, Box::new(ProtocolError::GeneratorExit));
                    *error = Box::new(Shared(Arc::new(own)));
                }
                let shared = error.downcast_ref::<Shared>();
                Self::Error(Box::new(shared.expect("it has just been made one").clone()))
            }
        }
    }

    /// The error itself, if nobody else holds it any more.
    pub(crate) fn unshared(self) -> Self {
        match self {
            Self::Error(error) => match error.downcast::<Shared>() {
                Ok(shared) => match Arc::try_unwrap(shared.0) {
                    Ok(own) => Self::Error(own),
                    Err(shared) => Self::Error(Box::new(Shared(shared))),
                },
                Err(error) => Self::Error(error),
            },
            other => other,
        }
    }

    /// The cause, as Python's `__cause__`.
    pub fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::GeneratorExit | Self::Cancelled => None,
            Self::Error(error) => error.source(),
        }
    }
}

/// An error that several hold. Looks like the error itself, but for its type.
#[derive(Clone)]
struct Shared(Arc<Box<dyn Error + Send + Sync>>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// The message and its causes: what a `main` that returns an exception prints. `{:#?}` shows the error as it is made up.
impl fmt::Debug for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self {
            Self::GeneratorExit => return f.write_str("GeneratorExit"),
            Self::Cancelled => return f.write_str("Cancelled"),
            Self::Error(error) if f.alternate() => {
                return f.debug_tuple("Error").field(error).finish();
            }
            Self::Error(error) => error,
        };
        let mut told = error.to_string();
        f.write_str(&told)?;
        let mut cause = error.source();
        // An error may be its own source.
        for _ in 0..MOST_CAUSES {
            let Some(error) = cause else { break };
            let message = error.to_string();
            // Many errors end with the message of their cause.
            if !told.ends_with(&message) {
                write!(f, "\n  caused by: {message}")?;
                told = message;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GeneratorExit => f.write_str("generator exit"),
            Self::Cancelled => Cancelled::new().fmt(f),
            Self::Error(error) => error.fmt(f),
        }
    }
}

/// A [`Cancelled`] becomes [`Exception::Cancelled`], also one that an [`io::Error`] carries.
impl<E: Error + Send + Sync + 'static> From<E> for Exception {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        if any.is::<Cancelled>()
            || any
                .downcast_ref::<io::Error>()
                .is_some_and(carries_cancelled)
        {
            return Self::Cancelled;
        }
        Self::Error(Box::new(error))
    }
}

fn carries_cancelled(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inside| inside.is::<Cancelled>())
}

impl From<Exception> for Box<dyn Error + Send + Sync> {
    fn from(exception: Exception) -> Self {
        match exception {
            Exception::GeneratorExit => Box::new(ProtocolError::GeneratorExit),
            Exception::Cancelled => Box::new(Cancelled::new()),
            Exception::Error(error) => error,
        }
    }
}

impl From<Exception> for Box<dyn Error> {
    fn from(exception: Exception) -> Self {
        Box::<dyn Error + Send + Sync>::from(exception)
    }
}

/// An [`io::Error`] inside comes out as it is. One that is the cause of another error gives that its kind.
impl From<Exception> for io::Error {
    fn from(exception: Exception) -> Self {
        match exception.downcast::<io::Error>() {
            Ok(error) => error,
            Err(other) => {
                let mut kind = io::ErrorKind::Other;
                let mut cause = other.source();
                // An error may be its own source.
                for _ in 0..MOST_CAUSES {
                    let Some(error) = cause else { break };
                    if let Some(error) = error.downcast_ref::<io::Error>() {
                        kind = error.kind();
                        break;
                    }
                    cause = error.source();
                }
                io::Error::new(kind, Box::<dyn Error + Send + Sync>::from(other))
            }
        }
    }
}

/// What a call on a coroutine can end with, other than a [`Step`](crate::Step).
///
/// Every rule of the protocol has its own variant, and a value that could not be delivered comes back. Like
/// [`Exception`] it is not an [`Error`] itself: inside a body, `?` turns it into the exception that was raised, or into
/// an [`Exception::Error`] that holds the [`ProtocolError`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Raised<S = ()> {
    /// The body raised this, and the coroutine is closed. Also what [`throw`](crate::Coroutine::throw) hands back when
    /// there is no suspended body to throw into.
    Exception(Exception),
    /// A value was sent before the first `yield_` was reached; nothing has run. Prime it first (PEP 342).
    JustStarted(S),
    /// [`prime`](crate::Coroutine::prime) was called on a coroutine that has started.
    AlreadyStarted,
    /// The coroutine is running: it resumed itself, directly or through others (CPython's "generator already
    /// executing").
    AlreadyExecuting(Option<S>),
    /// The coroutine has finished or was closed; the value that was sent comes back.
    Exhausted(Option<S>),
    /// The body yielded instead of finishing when it was closed. It is still suspended.
    IgnoredExit,
    /// The body finished while it was being [`primed`](crate::Coroutine::primed).
    DidNotYield,
    /// There is no stack to run on. The coroutine is unchanged: the call can be tried again.
    NoStack(StackError),
}

impl<S> Raised<S> {
    /// The exception that the body raised, if that is what happened.
    pub fn exception(&self) -> Option<&Exception> {
        match self {
            Self::Exception(exception) => Some(exception),
            _ => None,
        }
    }

    /// The value that could not be delivered.
    pub fn into_value(self) -> Option<S> {
        match self {
            Self::JustStarted(value) => Some(value),
            Self::AlreadyExecuting(value) | Self::Exhausted(value) => value,
            _ => None,
        }
    }

    fn rule(&self) -> Option<ProtocolError> {
        Some(match self {
            Self::Exception(_) | Self::NoStack(_) => return None,
            Self::JustStarted(_) => ProtocolError::JustStarted,
            Self::AlreadyStarted => ProtocolError::AlreadyStarted,
            Self::AlreadyExecuting(_) => ProtocolError::AlreadyExecuting,
            Self::Exhausted(_) => ProtocolError::Exhausted,
            Self::IgnoredExit => ProtocolError::IgnoredExit,
            Self::DidNotYield => ProtocolError::DidNotYield,
        })
    }
}

impl<S> fmt::Display for Raised<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.rule()) {
            (_, Some(rule)) => rule.fmt(f),
            (Self::Exception(exception), None) => exception.fmt(f),
            (Self::NoStack(error), None) => error.fmt(f),
            _ => unreachable!("every other variant has a rule"),
        }
    }
}

impl<S> From<Raised<S>> for Exception {
    fn from(raised: Raised<S>) -> Self {
        match (raised.rule(), raised) {
            (Some(rule), _) => rule.into(),
            (None, Raised::Exception(exception)) => exception,
            (None, Raised::NoStack(error)) => error.into(),
            _ => unreachable!("every other variant has a rule"),
        }
    }
}

impl<S> From<Raised<S>> for Box<dyn Error + Send + Sync> {
    fn from(raised: Raised<S>) -> Self {
        Exception::from(raised).into()
    }
}

impl<S> From<Raised<S>> for Box<dyn Error> {
    fn from(raised: Raised<S>) -> Self {
        Exception::from(raised).into()
    }
}

impl<S> From<Raised<S>> for io::Error {
    fn from(raised: Raised<S>) -> Self {
        Exception::from(raised).into()
    }
}

/// A broken rule of the protocol, as an error that `?` carries through a body.
///
/// The messages are CPython's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A value was sent to a coroutine that has not reached its first `yield_`.
    JustStarted,
    /// A coroutine was primed, or delegated to without a first value, after it had started.
    AlreadyStarted,
    /// A coroutine was resumed while it was running.
    AlreadyExecuting,
    /// A coroutine was resumed after its end. Python raises `StopIteration` here, and turns it into a `RuntimeError`
    /// where it would leave another body (PEP 479): in this crate it never ends the other body silently.
    Exhausted,
    /// A body yielded instead of finishing.
    IgnoredExit,
    /// A body finished without yielding where a `yield_` was expected.
    DidNotYield,
    /// A value was sent into a delegation to a plain iterator, which cannot take it.
    SendToIterator,
    /// A handle was used from another body than the one it was given to. It cannot suspend that one.
    NotCurrent,
    /// The order to finish, where an [`Error`] is needed to carry it.
    GeneratorExit,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JustStarted => "can't send a value to a just-started coroutine; prime it first",
            Self::AlreadyStarted => "the coroutine has already started; only a fresh one can be primed",
            Self::AlreadyExecuting => "coroutine already executing",
            Self::Exhausted => "the coroutine has finished",
            Self::IgnoredExit => "coroutine ignored GeneratorExit",
            Self::DidNotYield => "the coroutine finished without yielding",
            Self::SendToIterator => "can't send a value to a plain iterator",
            Self::NotCurrent => "`yield_` called from outside the body it belongs to; yield through that body's own handle",
            Self::GeneratorExit => "generator exit",
        })
    }
}

impl Error for ProtocolError {}
