//! Coroutines: bodies that are sent values, and Python's whole protocol for their holders.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::resume_unwind;

use crate::builder::Builder;
use crate::exception::{Exception, ProtocolError, Raised};
use crate::frame::{Channel, Handle, Outcome, State, Turn, Wake};
use crate::shared::SharedCoroutine;
use crate::stack::StackError;
use crate::switch::NotCurrent;
use crate::unraisable::{Reason, report};

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

/// What the body of a coroutine yields and delegates with.
///
/// ```compile_fail,E0277
/// // It stays on its thread, as the body does.
/// # use yieldfrom::{coroutine, Exception};
/// coroutine(|co| -> Result<(), Exception> {
///     std::thread::scope(|s| { s.spawn(|| co.yield_(())); });
///     let () = co.yield_(())?;
///     Ok(())
/// });
/// ```
#[repr(transparent)]
pub struct Co<Y, S>(Channel<Y, S>);

impl<Y, S> Co<Y, S> {
    #[inline]
    fn of(channel: &Channel<Y, S>) -> &Self {
        // SAFETY: `Co` is a transparent wrapper. Every test that yields goes through here.
        unsafe { &*std::ptr::from_ref(channel).cast() }
    }

    /// Hands `value` to the holder and waits for what it sends.
    ///
    /// # Errors
    ///
    /// What the holder throws in, or [`Exception::GeneratorExit`] if it closes or drops the coroutine. Called from
    /// another body than its own (one that borrows this handle and was resumed by this body), it does not suspend:
    /// [`ProtocolError::NotCurrent`].
    #[inline]
    pub fn yield_(&self, value: Y) -> Result<S, Exception> {
        settle_wake(self.0.exchange(value))
    }

    /// Has `sub` driven in place of this body, and returns what it returns (PEP 380).
    ///
    /// What `sub` yields goes to this coroutine's holder, and what the holder sends and throws goes to `sub`, at the same
    /// cost however long the chain of delegations is. When the holder closes this coroutine, `sub` is closed first.
    ///
    /// `sub` is a `&mut` [`Coroutine`], which is started, or a [`&SharedCoroutine`](SharedCoroutine).
    ///
    /// ```
    /// use yieldfrom::{coroutine, Exception, Step};
    ///
    /// # fn main() -> Result<(), Exception> {
    /// let mut outer = coroutine(|co| {
    ///     let mut inner = coroutine(|co| {
    ///         let sent: i32 = co.yield_("a number, please")?;
    ///         Ok(sent * 2)
    ///     });
    ///     let doubled = co.yield_from(&mut inner)?;
    ///     Ok(doubled + 1)
    /// });
    /// assert_eq!(outer.prime()?, Step::Yielded("a number, please"));
    /// assert_eq!(outer.send(20)?, Step::Complete(41));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - What `sub` raises.
    /// - What the holder throws: anything but `GeneratorExit` goes to `sub` first. `GeneratorExit` closes `sub` and is
    ///   then returned here, or else what closing it raised ([`ProtocolError::IgnoredExit`] if it yielded).
    /// - [`ProtocolError::AlreadyStarted`] if `sub` has started: it waits for a value, see
    ///   [`yield_from_with`](Self::yield_from_with). [`ProtocolError::Exhausted`] if it has finished.
    ///   [`ProtocolError::AlreadyExecuting`] if it is shared and running, as it is if this body is its own.
    /// - A [`StackError`] if there is no stack for it.
    ///
    /// # Panics
    ///
    /// If `sub` panics.
    pub fn yield_from<D: Delegate<Y, S>>(&self, sub: D) -> Result<D::Return, Exception> {
        sub.delegate(self, None)
    }

    /// [`yield_from`](Self::yield_from) a `sub` that waits at a `yield_`: `first` is sent to it.
    ///
    /// ```
    /// use yieldfrom::{coroutine, Exception, Step};
    ///
    /// # fn main() -> Result<(), Exception> {
    /// let mut numbers = coroutine(|co| co.yield_each(1..=3));
    /// numbers.prime()?;
    /// let mut rest = coroutine(move |co| co.yield_from_with(&mut numbers, ()));
    /// assert_eq!(rest.by_ref().collect::<Result<Vec<i32>, _>>()?, [2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As there, but for [`ProtocolError::JustStarted`] if `sub` has not started.
    pub fn yield_from_with<D: Delegate<Y, S>>(
        &self,
        sub: D,
        first: S,
    ) -> Result<D::Return, Exception> {
        sub.delegate(self, Some(first))
    }

    /// Yields every item, as Python's `yield from` an iterable.
    ///
    /// # Errors
    ///
    /// What the holder throws, or [`Exception::GeneratorExit`]; the items that are left are dropped. If the holder sends
    /// something, which an iterator cannot take, [`ProtocolError::SendToIterator`].
    pub fn yield_each(&self, items: impl IntoIterator<Item = Y>) -> Result<(), Exception>
    where
        S: MaybeNothing,
    {
        for item in items {
            if !settle_wake(self.0.relay(item))?.is_nothing() {
                return Err(ProtocolError::SendToIterator.into());
            }
        }
        Ok(())
    }
}

/// What is sent where nothing need be: `()`, or Python's `None`.
pub trait MaybeNothing {
    /// Whether it is nothing.
    fn is_nothing(&self) -> bool;
}

impl MaybeNothing for () {
    fn is_nothing(&self) -> bool {
        true
    }
}

impl<T> MaybeNothing for Option<T> {
    fn is_nothing(&self) -> bool {
        self.is_none()
    }
}

impl<Y, S> fmt::Debug for Co<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Co").finish_non_exhaustive()
    }
}

#[inline(always)]
fn settle_wake<S>(wake: Result<Wake<S>, NotCurrent>) -> Result<S, Exception> {
    match wake {
        Ok(Wake::Value(value)) => Ok(value),
        Ok(Wake::Raise(exception)) => Err(exception),
        Err(NotCurrent) => Err(ProtocolError::NotCurrent.into()),
    }
}

/// What [`Co::yield_from`] can delegate to: `&mut Coroutine` and `&SharedCoroutine`.
pub trait Delegate<Y, S>: sealed::Sealed {
    /// What it returns when it completes.
    type Return;

    #[doc(hidden)]
    fn delegate(self, co: &Co<Y, S>, first: Option<S>) -> Result<Self::Return, Exception>;
}

mod sealed {
    pub trait Sealed {}
    impl<Y, S, R> Sealed for &mut super::Coroutine<Y, S, R> {}
    impl<Y, S, R> Sealed for &super::SharedCoroutine<Y, S, R> {}
}

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
        match unsafe { co.0.delegate(&self.handle, first) } {
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

impl<Y, S, R> Delegate<Y, S> for &SharedCoroutine<Y, S, R> {
    type Return = R;

    /// A shared coroutine can be resumed, and delegated to, by others in between. So it is not put on the chain: this
    /// body stays on the way of its items.
    fn delegate(self, co: &Co<Y, S>, first: Option<S>) -> Result<R, Exception> {
        let mut step = match first {
            None => self.prime(),
            Some(value) => self.send(value),
        };
        loop {
            match step? {
                Step::Complete(value) => return Ok(value),
                Step::Yielded(value) => {
                    step = match settle_wake(co.0.relay(value)) {
                        Ok(value) => self.send(value),
                        Err(Exception::GeneratorExit) => {
                            self.close()?;
                            return Err(Exception::GeneratorExit);
                        }
                        Err(exception) => self.throw(exception),
                    };
                }
            }
        }
    }
}

/// How far a coroutine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step<Y, R> {
    /// It has yielded a value and is suspended.
    Yielded(Y),
    /// It has returned and is closed (Python's `StopIteration`, with its `value`).
    Complete(R),
}

impl<Y, R> Step<Y, R> {
    /// The yielded value.
    pub fn yielded(self) -> Option<Y> {
        match self {
            Self::Yielded(value) => Some(value),
            Self::Complete(_) => None,
        }
    }

    /// The returned value.
    pub fn complete(self) -> Option<R> {
        match self {
            Self::Yielded(_) => None,
            Self::Complete(value) => Some(value),
        }
    }
}

type Resumed<Y, S, R> = Result<Step<Y, R>, Raised<S>>;

/// The protocol, for any owner of a handle.
impl<Y, S, R> Handle<Y, S, Result<R, Exception>> {
    pub(crate) fn protocol_prime(&self) -> Resumed<Y, S, R> {
        match self.state() {
            State::Created => settle(self.start().map_err(Raised::NoStack)?),
            State::Suspended => Err(Raised::AlreadyStarted),
            State::Running => Err(Raised::AlreadyExecuting(None)),
            State::Closed => Err(Raised::Exhausted(None)),
        }
    }

    #[inline]
    pub(crate) fn protocol_send(&self, value: S) -> Resumed<Y, S, R> {
        match self.state() {
            State::Suspended => settle(self.send(value)),
            State::Created => Err(Raised::JustStarted(value)),
            State::Running => Err(Raised::AlreadyExecuting(Some(value))),
            State::Closed => Err(Raised::Exhausted(Some(value))),
        }
    }

    pub(crate) fn protocol_throw(&self, exception: Exception) -> Resumed<Y, S, R> {
        match self.state() {
            State::Suspended => settle(self.throw(exception)),
            State::Running => Err(Raised::AlreadyExecuting(None)),
            State::Created | State::Closed => {
                self.close();
                Err(Raised::Exception(exception))
            }
        }
    }

    pub(crate) fn finish(&self) -> Result<Option<R>, Raised<S>> {
        match self.state() {
            State::Running => Err(Raised::AlreadyExecuting(None)),
            State::Created | State::Closed => {
                self.close();
                Ok(None)
            }
            State::Suspended => match settle(self.exit()) {
                Ok(Step::Complete(value)) => Ok(Some(value)),
                Err(Raised::Exception(Exception::GeneratorExit)) => Ok(None),
                Ok(Step::Yielded(_)) => Err(Raised::IgnoredExit),
                Err(raised) => Err(raised),
            },
        }
    }

    /// The first two stages of a drop: asks a suspended one to finish. What is wrong with that is reported. One that
    /// does not finish is left suspended, for the next stage to unwind.
    fn drop_by_value(&self) {
        match self.exit() {
            Turn::Yielded(value) => {
                crate::unraisable::forget_if_it_panics(value);
                report(self.name(), Reason::IgnoredExit);
            }
            Turn::Finished(Outcome::Panicked(payload)) => {
                report(self.name(), Reason::Panic(payload))
            }
            Turn::Finished(Outcome::Returned(Err(Exception::Error(error)))) => {
                report(self.name(), Reason::Exception(Exception::Error(error)));
            }
            Turn::Finished(ended) => crate::unraisable::forget_if_it_panics(ended),
        }
    }
}

#[inline(always)]
fn settle<Y, S, R>(turn: Turn<Y, Result<R, Exception>>) -> Resumed<Y, S, R> {
    match turn {
        Turn::Yielded(value) => Ok(Step::Yielded(value)),
        Turn::Finished(outcome) => end(outcome),
    }
}

#[cold]
fn end<Y, S, R>(outcome: Outcome<Result<R, Exception>>) -> Resumed<Y, S, R> {
    match outcome {
        Outcome::Returned(Ok(value)) => Ok(Step::Complete(value)),
        Outcome::Returned(Err(exception)) => Err(Raised::Exception(exception)),
        Outcome::Panicked(payload) => resume_unwind(payload),
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
/// Dropping a suspended coroutine never panics, never aborts and never hangs:
///
/// 1. The body is told to finish: its `yield_` returns [`Exception::GeneratorExit`]. Almost every body then leaves by
///    `?`, and that is all.
/// 2. If it yields instead, it is unwound by force, as by a panic without a message: destructors run, no other code does
///    (unless it catches the unwind; it is unwound up to ten times).
/// 3. If it cannot be unwound, because a frame of `extern "C"` lies in between or the program is compiled with
///    `panic = "abort"`, its stack is leaked.
///
/// Whatever goes wrong is reported to the hook of [`set_unraisable_hook`](crate::set_unraisable_hook).
///
/// # Threads
///
/// A coroutine stays on the thread that made it: its stack may hold anything.
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
        let handle = unsafe {
            Handle::new(builder.config(), |channel: &Channel<Y, S>| {
                body(Co::of(channel))
            })
        };
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
            Step::Yielded(_) => Ok(self),
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

    /// Makes it one that can have several owners, for graphs of coroutines.
    pub fn shared(self) -> SharedCoroutine<Y, S, R> {
        SharedCoroutine::new(self)
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
