//! Coroutines with several owners.

#![forbid(unsafe_code)]

use std::fmt;
use std::rc::Rc;

use crate::channel::State;
use crate::co::{Co, Delegate, sealed::Sealed, settle_wake};
use crate::coroutine::Coroutine;
use crate::exception::{Exception, ProtocolError, Raised};
use crate::protocol::{Resumed, Step};

/// A [`Coroutine`] with several owners, which may resume it from anywhere, even from its own body.
///
/// Made by [`Coroutine::shared`]. Calls are the same, but for one rule: who resumes it while it is running gets
/// [`Raised::AlreadyExecuting`], as in CPython. The coroutine is dropped with its last owner, after the call that is under
/// way.
///
/// An owner inside its own body is a cycle that keeps it alive for ever, as with any [`Rc`]; keep a [`WeakCoroutine`]
/// there.
///
/// ```
/// use yieldfrom::{coroutine, Exception, Raised, Step};
///
/// # fn main() -> Result<(), Exception> {
/// let ping = coroutine(|co| -> Result<(), Exception> {
///     loop {
///         let (): () = co.yield_("ping")?;
///     }
/// })
/// .shared();
/// let other = ping.clone();
/// assert_eq!(ping.prime()?, Step::Yielded("ping"));
/// assert_eq!(other.send(())?, Step::Yielded("ping"));
/// # Ok(())
/// # }
/// ```
pub struct SharedCoroutine<Y, S, R = ()>(Rc<Coroutine<Y, S, R>>);

impl<Y, S, R> Coroutine<Y, S, R> {
    /// Makes it one that can have several owners, for graphs of coroutines.
    pub fn shared(self) -> SharedCoroutine<Y, S, R> {
        SharedCoroutine(Rc::new(self))
    }
}

impl<Y, S, R> SharedCoroutine<Y, S, R> {
    /// Calls `f` while holding one more reference, so that the body may drop every other one.
    #[inline]
    fn with<T>(&self, f: impl FnOnce(&Coroutine<Y, S, R>) -> T) -> T {
        let held = Rc::clone(&self.0);
        f(&held)
    }

    /// As [`Coroutine::prime`].
    ///
    /// # Errors
    ///
    /// As there, and [`Raised::AlreadyExecuting`].
    pub fn prime(&self) -> Resumed<Y, S, R> {
        self.with(|co| co.handle.protocol_prime())
    }

    /// As [`Coroutine::send`].
    ///
    /// # Errors
    ///
    /// As there, and [`Raised::AlreadyExecuting`], which hands `value` back.
    #[inline]
    pub fn send(&self, value: S) -> Resumed<Y, S, R> {
        self.with(|co| co.handle.protocol_send(value))
    }

    /// As [`Coroutine::throw`].
    ///
    /// # Errors
    ///
    /// As there, and [`Raised::AlreadyExecuting`]; then the exception is dropped.
    pub fn throw(&self, exception: impl Into<Exception>) -> Resumed<Y, S, R> {
        let exception = exception.into();
        self.with(|co| co.handle.protocol_throw(exception))
    }

    /// As [`Coroutine::close`]. The other owners find it closed.
    ///
    /// # Errors
    ///
    /// As there, and [`Raised::AlreadyExecuting`].
    pub fn close(&self) -> Result<Option<R>, Raised<S>> {
        self.with(|co| co.handle.finish())
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// As [`Coroutine::is_delegating`].
    pub fn is_delegating(&self) -> bool {
        self.0.is_delegating()
    }

    /// As [`Coroutine::name`].
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// A reference that does not keep it alive.
    pub fn downgrade(&self) -> WeakCoroutine<Y, S, R> {
        WeakCoroutine(Rc::downgrade(&self.0))
    }
}

impl<Y, S, R> Clone for SharedCoroutine<Y, S, R> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<Y, S, R> fmt::Debug for SharedCoroutine<Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedCoroutine").field(&self.0).finish()
    }
}

impl<Y, S, R> Sealed for &SharedCoroutine<Y, S, R> {}

impl<Y, S, R> Delegate<Y, S> for &SharedCoroutine<Y, S, R> {
    type Return = R;

    /// A shared coroutine can be resumed, and delegated to, by others in between. So it is not put on the chain: this
    /// body stays on the way of its items.
    fn delegate(self, co: &Co<Y, S>, first: Option<S>) -> Result<R, Exception> {
        if !co.0.is_current() {
            // Found out later, it would be thrown into the shared one as if it were from our holder.
            return Err(ProtocolError::NotCurrent.into());
        }
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

/// A reference to a [`SharedCoroutine`] that does not keep it alive.
pub struct WeakCoroutine<Y, S, R = ()>(std::rc::Weak<Coroutine<Y, S, R>>);

impl<Y, S, R> WeakCoroutine<Y, S, R> {
    /// The coroutine, if it still has an owner.
    pub fn upgrade(&self) -> Option<SharedCoroutine<Y, S, R>> {
        self.0.upgrade().map(SharedCoroutine)
    }
}

impl<Y, S, R> Clone for WeakCoroutine<Y, S, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Y, S, R> fmt::Debug for WeakCoroutine<Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakCoroutine")
    }
}
