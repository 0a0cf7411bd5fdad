//! What the body of a coroutine does: yield, and delegate.

use std::fmt;

use crate::channel::{Port, Wake};
use crate::exception::{Exception, ProtocolError};
use crate::switch::NotCurrent;

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
pub struct Co<Y, S>(pub(crate) Port<Y, S>);

impl<Y, S> Co<Y, S> {
    #[inline]
    pub(crate) fn of(port: &Port<Y, S>) -> &Self {
        // SAFETY: `Co` is a transparent wrapper. Every test that yields goes through here.
        unsafe { &*std::ptr::from_ref(port).cast() }
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
    /// `sub` is a `&mut` [`Coroutine`](crate::Coroutine), which is started, or a
    /// [`&SharedCoroutine`](crate::SharedCoroutine).
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
    /// - A [`StackError`](crate::StackError) if there is no stack for it.
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
pub(crate) fn settle_wake<S>(wake: Result<Wake<S>, NotCurrent>) -> Result<S, Exception> {
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

/// Keeps [`Delegate`] from being implemented elsewhere.
pub(crate) mod sealed {
    pub trait Sealed {}
}
