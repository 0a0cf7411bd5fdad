//! Coroutines for their holders: Python's whole protocol.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::resume_unwind;

use crate::builder::Builder;
use crate::channel::{Port, State};
use crate::co::{Co, Delegate, sealed::Sealed};
use crate::exception::{Exception, ProtocolError, Raised};
use crate::frame::{Handle, Outcome};
use crate::protocol::{Resumed, Step};
use crate::stack::StackError;
use crate::switch::NotCurrent;

/// Makes a coroutine of a body that yields values of type `Y`, is sent values of type `S` and returns an `R`.
///
/// Nothing runs yet: the first call is [`prime`](Coroutine::prime), which runs the body to its first
/// [`yield_`](Co::yield_).
///
/// ```
/// use yieldfrom::{coroutine, Exception, Step};
///
/// # fn main() -> Result<(), Exception> {
/// let mut averager = coroutine(|co| -> Result<(), Exception> {
///     let (mut total, mut count, mut average) = (0.0, 0, 0.0);
///     loop {
///         total += co.yield_(average)?; // `?` is how the order to finish gets out
///         count += 1;
///         average = total / f64::from(count);
///     }
/// });
/// averager.prime()?;
/// assert_eq!(averager.send(10.0)?, Step::Yielded(10.0));
/// assert_eq!(averager.send(30.0)?, Step::Yielded(20.0));
/// # Ok(())
/// # }
/// ```
///
/// Python's `f(): yield` without a value is a coroutine that yields `()`.
///
/// The types of what is sent and returned have to be known: a body that never ends says so by its return type, as above,
/// and a received value needs its type before a method is called on it (`let line: String = co.yield_(())?`).
pub fn coroutine<Y, S, R, F>(body: F) -> Coroutine<Y, S, R>
where
    Y: 'static,
    S: 'static,
    R: 'static,
    F: FnOnce(&Co<Y, S>) -> Result<R, Exception> + 'static,
{
    Builder::new().coroutine(body)
}

impl Builder {
    /// As [`coroutine`](crate::coroutine()).
    pub fn coroutine<Y, S, R, F>(&self, body: F) -> Coroutine<Y, S, R>
    where
        Y: 'static,
        S: 'static,
        R: 'static,
        F: FnOnce(&Co<Y, S>) -> Result<R, Exception> + 'static,
    {
        Coroutine::new(self, body)
    }

    /// As [`coroutine`](Self::coroutine), but takes the stack at once.
    ///
    /// # Errors
    ///
    /// If there is no stack to be had. The body is dropped.
    pub fn try_coroutine<Y, S, R, F>(&self, body: F) -> Result<Coroutine<Y, S, R>, StackError>
    where
        Y: 'static,
        S: 'static,
        R: 'static,
        F: FnOnce(&Co<Y, S>) -> Result<R, Exception> + 'static,
    {
        let mut coroutine = self.coroutine(body);
        coroutine.try_reserve()?;
        Ok(coroutine)
    }
}

/// A coroutine: Python's generator object with its whole protocol.
///
/// Made by [`coroutine`] or a [`Builder`]. What each call does in each state (PEP 342, PEP 380, CPython 3.13):
///
/// | | created | suspended | closed | running (shared only) |
/// |---|---|---|---|---|
/// | [`prime`](Self::prime) | runs to the first `yield_` | `AlreadyStarted` | `Exhausted` | `AlreadyExecuting` |
/// | [`send`](Self::send) | `JustStarted`, nothing runs | resumes with the value | `Exhausted` | `AlreadyExecuting` |
/// | [`throw`](Self::throw) | raises it to the caller, closed, nothing runs | raises it at the `yield_` | raises it to the caller | `AlreadyExecuting` |
/// | [`close`](Self::close) | closed, nothing runs | raises `GeneratorExit` at the `yield_` | nothing | `AlreadyExecuting` |
/// | drop | as `close` | as `close`, but what goes wrong is reported | nothing | does not happen |
///
/// A suspended coroutine that delegates passes `send` and `throw` on, see [`Co::yield_from`].
///
/// A panic in the body comes out of the call that resumed it, once; the coroutine is closed before it does.
///
/// # Drop
///
/// Dropping a suspended coroutine never panics and never hangs:
///
/// 1. The body is told to finish: its `yield_` returns [`Exception::GeneratorExit`]. Almost every body then leaves by
///    `?`, and that is all.
/// 2. If it yields instead, it is unwound by force, as by a panic without a message: destructors run, no other code does
///    (unless it catches the unwind; it is unwound up to ten times).
/// 3. If it cannot be unwound, because a frame of `extern "C"` lies in between or the program is compiled with
///    `panic = "abort"`, its stack is leaked.
///
/// Whatever goes wrong is reported to the hook of [`set_unraisable_hook`](crate::set_unraisable_hook). None of it aborts;
/// the one thing that does is Rust's own rule that no destructor may panic while a stack is unwound, in step 2.
///
/// # Threads
///
/// A coroutine stays on the thread that made it: its stack may hold anything. One that is still suspended in a thread-local when
/// the thread ends is not woken but leaked, see [`Reason::ThreadEnds`](crate::Reason::ThreadEnds).
///
/// ```compile_fail,E0277
/// let co = yieldfrom::coroutine(|co| co.yield_each(0..3));
/// std::thread::spawn(move || co.count());
/// ```
///
/// # Iteration
///
/// A coroutine that is sent nothing is an iterator; what it raises is the last item, and what it returns is dropped.
///
/// ```compile_fail,E0599
/// // One that is sent something is not.
/// let co = yieldfrom::coroutine(|co: &yieldfrom::Co<i32, String>| co.yield_(1));
/// co.count();
/// ```
#[must_use = "a coroutine does nothing until it is primed"]
pub struct Coroutine<Y, S, R = ()> {
    pub(crate) handle: Handle<Y, S, Result<R, Exception>>,
}

impl<Y, S, R> Coroutine<Y, S, R> {
    pub(crate) fn new<F>(builder: &Builder, body: F) -> Self
    where
        Y: 'static,
        S: 'static,
        R: 'static,
        F: FnOnce(&Co<Y, S>) -> Result<R, Exception> + 'static,
    {
        // SAFETY: nothing is borrowed: the bounds say so.
        let handle =
            unsafe { Handle::new(builder.config(), |port: &Port<Y, S>| body(Co::of(port))) };
        Self { handle }
    }

    /// Runs a fresh coroutine to its first `yield_`, as Python's `next(g)`.
    ///
    /// # Errors
    ///
    /// [`Raised::Exception`] if the body raises; [`Raised::AlreadyStarted`] or [`Raised::Exhausted`] if it is not fresh;
    /// [`Raised::NoStack`] if there is no stack, and then it is still fresh.
    ///
    /// # Panics
    ///
    /// If the body panics.
    pub fn prime(&mut self) -> Resumed<Y, S, R> {
        self.handle.protocol_prime()
    }

    /// Primes a fresh coroutine and drops what it yields, so that the first [`send`](Self::send) is legal. The
    /// `@coroutine` decorator of the books.
    ///
    /// ```
    /// # use yieldfrom::{coroutine, Exception};
    /// # fn main() -> Result<(), Exception> {
    /// let mut printer = coroutine(|co| -> Result<(), Exception> {
    ///     loop {
    ///         let line: &str = co.yield_(())?;
    ///         println!("{line}");
    ///     }
    /// })
    /// .primed()?;
    /// printer.send("hello")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prime`](Self::prime), and [`Raised::DidNotYield`] if the body finishes; what it returns is lost.
    ///
    /// # Panics
    ///
    /// If the body panics.
    pub fn primed(mut self) -> Result<Self, Raised<S>> {
        match self.prime()? {
            Step::Yielded(value) => {
                // Before `self` is on its way out: should this panic, what is being returned would be leaked.
                drop(value);
                Ok(self)
            }
            Step::Complete(_) => Err(Raised::DidNotYield),
        }
    }

    /// Resumes it at its `yield_`, which returns `value`; returns the next value it yields, or what it returns.
    ///
    /// That it returns is not an error: a feeder that has more to send looks for [`Step::Complete`], or learns from
    /// [`Raised::Exhausted`] at the next value that nobody takes it any more.
    ///
    /// # Errors
    ///
    /// [`Raised::Exception`] if the body raises. [`Raised::JustStarted`] and [`Raised::Exhausted`] hand `value` back.
    ///
    /// # Panics
    ///
    /// If the body panics.
    #[inline]
    pub fn send(&mut self, value: S) -> Resumed<Y, S, R> {
        self.handle.protocol_send(value)
    }

    /// Resumes it at its `yield_`, which returns the error; returns the next value it yields, or what it returns.
    ///
    /// ```
    /// # use yieldfrom::{coroutine, Exception, Step};
    /// # fn main() -> Result<(), Exception> {
    /// let mut counter = coroutine(|co| -> Result<(), Exception> {
    ///     let mut errors = 0;
    ///     loop {
    ///         match co.yield_(errors) {
    ///             Ok(()) => {}
    ///             Err(Exception::Error(_)) => errors += 1,
    ///             Err(exit) => return Err(exit),
    ///         }
    ///     }
    /// });
    /// counter.prime()?;
    /// assert_eq!(counter.throw(std::fmt::Error)?, Step::Yielded(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Raised::Exception`] if the body raises, mostly the one thrown in. A coroutine that has not started is closed
    /// and one that is closed stays so; the exception comes back the same way.
    ///
    /// # Panics
    ///
    /// If the body panics.
    pub fn throw(&mut self, exception: impl Into<Exception>) -> Resumed<Y, S, R> {
        self.handle.protocol_throw(exception.into())
    }

    /// Tells it to finish: its `yield_` returns [`Exception::GeneratorExit`].
    ///
    /// Returns what the body returns, if it catches the exit and returns something, as CPython from 3.13 on; otherwise
    /// `None`, as for a coroutine that has not started or is closed.
    ///
    /// # Errors
    ///
    /// [`Raised::IgnoredExit`] if it yields instead of finishing: it is then still suspended, and the value is lost.
    /// [`Raised::Exception`] if it raises something else than the exit.
    ///
    /// # Panics
    ///
    /// If the body panics.
    pub fn close(&mut self) -> Result<Option<R>, Raised<S>> {
        self.handle.finish()
    }

    /// Where it is in its life. Never [`State::Running`] for a coroutine with one owner: whoever could ask is not the
    /// one who resumes it.
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// Whether it is suspended in a [`yield_from`](Co::yield_from) or [`yield_each`](Co::yield_each) (CPython's
    /// `gi_yieldfrom is not None`).
    pub fn is_delegating(&self) -> bool {
        self.handle.is_delegating()
    }

    /// The name that the [`Builder`] gave it.
    pub fn name(&self) -> Option<&str> {
        self.handle.name()
    }

    /// Takes the stack now, so that [`prime`](Self::prime) cannot fail for want of one.
    ///
    /// # Errors
    ///
    /// If there is no memory, or a limit on mappings or address space is reached.
    pub fn try_reserve(&mut self) -> Result<(), StackError> {
        self.handle.reserve()
    }
}

impl<Y, S, R> Drop for Coroutine<Y, S, R> {
    fn drop(&mut self) {
        if self.handle.state() == State::Suspended {
            self.handle.drop_by_value();
        }
    }
}

impl<Y, R> Iterator for Coroutine<Y, (), R> {
    type Item = Result<Y, Exception>;

    /// The next value it yields. If it raises, that is the last item; what it returns is dropped.
    ///
    /// # Panics
    ///
    /// If the body panics.
    fn next(&mut self) -> Option<Self::Item> {
        let step = match self.state() {
            State::Created => self.prime(),
            _ => self.send(()),
        };
        match step {
            Ok(Step::Yielded(value)) => Some(Ok(value)),
            Ok(Step::Complete(_)) | Err(Raised::Exhausted(_)) => None,
            Err(raised) => Some(Err(raised.into())),
        }
    }
}

/// `next` is `None` for ever after the first `None`, and after an exception.
impl<Y, R> FusedIterator for Coroutine<Y, (), R> {}

impl<Y, S, R> fmt::Debug for Coroutine<Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine")
            .field("name", &self.name())
            .field("state", &self.state())
            .field("is_delegating", &self.is_delegating())
            .finish_non_exhaustive()
    }
}

impl<Y, S, R> Sealed for &mut Coroutine<Y, S, R> {}

impl<Y, S, R> Delegate<Y, S> for &mut Coroutine<Y, S, R> {
    type Return = R;

    fn delegate(self, co: &Co<Y, S>, first: Option<S>) -> Result<R, Exception> {
        match (self.handle.state(), &first) {
            (State::Created, None) => self.handle.reserve()?,
            (State::Suspended, Some(_)) => {}
            (State::Created, Some(_)) => return Err(ProtocolError::JustStarted.into()),
            (State::Suspended, None) => return Err(ProtocolError::AlreadyStarted.into()),
            (State::Running, _) => return Err(ProtocolError::AlreadyExecuting.into()),
            (State::Closed, _) => return Err(ProtocolError::Exhausted.into()),
        }
        // SAFETY: `self` is an exclusive reference, and we have just looked at the state.
        match unsafe { co.0.delegate(self.handle.channel(), first) } {
            Ok(None) => match self.handle.take_outcome() {
                Outcome::Returned(result) => result,
                Outcome::Panicked(payload) => resume_unwind(payload),
            },
            Ok(Some(exception)) => {
                // Only the order to finish wakes a delegating body before its sub-coroutine has ended.
                self.handle.finish()?;
                Err(exception)
            }
            Err(NotCurrent) => Err(ProtocolError::NotCurrent.into()),
        }
    }
}
