//! A pipeline that is pulled: its end asks for the next item.

use std::fmt;
use std::ptr::NonNull;

use crate::builder::Builder;
use crate::channel::State;
use crate::co::Co;
use crate::coroutine::Coroutine;
use crate::exception::Exception;

/// A pipeline that hands its items out one by one, lent.
///
/// Made by [`Source::pull`](crate::pipe::Source::pull). Every stage runs as far as is needed for the next item, and waits.
///
/// | | not started | waiting | ended |
/// |---|---|---|---|
/// | [`recv`](Self::recv) | starts the pipeline, then as on the right | the next item, or how it ended | `None` |
/// | [`current`](Self::current) | `None` | the item that `recv` has returned | `None` |
/// | [`close`](Self::close) | nothing runs | ends the last stage, then those before it; how that went | nothing |
/// | drop | nothing runs | as `close`, but what goes wrong is reported | nothing |
///
/// ```
/// use yieldfrom::pipe::{from_iter, map};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let mut squares = from_iter(1..).pipe(map(|n| n * n)).pull();
/// assert_eq!(squares.recv()?, Some(&1));
/// assert_eq!(squares.recv()?, Some(&4));
/// # Ok(())
/// # }
/// ```
///
/// An item is lent until the next call:
///
/// ```compile_fail,E0499
/// # use yieldfrom::pipe::from_iter;
/// let mut numbers = from_iter(1..).pull();
/// let first = numbers.recv().unwrap();
/// let second = numbers.recv().unwrap();
/// println!("{first:?} {second:?}");
/// ```
#[must_use = "a pipeline does nothing until it is asked for an item"]
pub struct Pull<T: ?Sized> {
    stage: Coroutine<NonNull<T>, ()>,
    /// The item that the last stage is sending, which waits meanwhile.
    current: Option<NonNull<T>>,
    /// A stage has panicked.
    is_poisoned: bool,
}

impl<T: ?Sized + 'static> Pull<T> {
    /// The body sends an item by yielding its address, and looks after it until `yield_` returns.
    pub(crate) fn new(
        builder: &Builder,
        body: impl FnOnce(&Co<NonNull<T>, ()>) -> Result<(), Exception> + 'static,
    ) -> Self {
        Self {
            stage: builder.coroutine(body),
            current: None,
            is_poisoned: false,
        }
    }
}

impl<T: ?Sized> Pull<T> {
    /// The next item, lent until the next call. `None` once there are no more.
    ///
    /// # Errors
    ///
    /// The failure of a stage, once, after the items that come before it. If several have failed, that which came first, as
    /// far as the last stage that has failed can know. After a panic, that there was one.
    ///
    /// # Panics
    ///
    /// If a stage panics.
    #[inline]
    pub fn recv(&mut self) -> Result<Option<&T>, Exception> {
        self.current = None;
        if self.is_poisoned {
            return Err(poisoned());
        }
        self.is_poisoned = true;
        let next = self.stage.next();
        self.is_poisoned = false;
        self.current = next.transpose()?;
        Ok(self.current())
    }

    /// The item that was received last, if it is still lent.
    #[inline]
    pub fn current(&self) -> Option<&T> {
        // SAFETY: the stage waits in the `send` that has borrowed the item. It goes on in `recv`, `close` and drop only,
        // for which nobody borrows this. What it borrows outlives it, but for a thread-local while its thread ends: a gap
        // that the README names. Attacked by tests/pipes.rs and by the example that does not compile.
        self.current.map(|item| unsafe { item.as_ref() })
    }

    /// Tells the pipeline that no more items are wanted: its last stage ends, then the one before it, and so on.
    ///
    /// # Errors
    ///
    /// What a stage or the source fails with at its end.
    pub fn close(mut self) -> Result<(), Exception> {
        self.current = None;
        if self.is_poisoned {
            return Err(poisoned());
        }
        self.stage.close()?;
        Ok(())
    }

    /// Where the last stage is in its life.
    pub fn state(&self) -> State {
        self.stage.state()
    }
}

#[cold]
fn poisoned() -> Exception {
    Exception::new("a stage of the pipeline has panicked")
}

impl<T: ?Sized> fmt::Debug for Pull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// A pipeline as an iterator over items that are owned.
///
/// Made from a [`Source`](crate::pipe::Source) by its `into_iter`. A failure is the last item.
#[derive(Debug)]
#[must_use = "a pipeline does nothing until it is asked for an item"]
pub struct Items<T: ?Sized>(pub(crate) Pull<T>);

impl<T: ?Sized + ToOwned> Iterator for Items<T> {
    type Item = Result<T::Owned, Exception>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.recv().transpose()?.map(T::to_owned))
    }
}

impl<T: ?Sized + ToOwned> std::iter::FusedIterator for Items<T> {}
