//! Asynchronous generators, both ways: a body that yields and waits is a stream, and a stream is an iterator.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_lite::Stream;

use crate::await_::await_;
use crate::cancelled::Cancelled;
use crate::fiber::{Fiber, fiber};
use crate::scope::{self, Refusal};
use crate::unraisable::{Reason, report};
use crate::wait::suspend;

/// Makes a stream of a body that yields and waits: an asynchronous generator, as PEP 525.
///
/// Nothing runs yet. The body runs in a [`fiber`](crate::fiber()) whenever the stream is polled, up to the next
/// [`yield_`](AsyncYielder::yield_). Both that and [`await_`](crate::await_()) may be at any depth of calls.
///
/// ```
/// use futures_lite::{future::{block_on, yield_now}, stream::StreamExt};
/// use yieldfrom::{await_, stream};
///
/// let ticks = stream(|s| {
///     for n in 1..=3 {
///         await_(yield_now())?;
///         s.yield_(n)?;
///     }
///     Ok(())
/// });
/// assert_eq!(block_on(ticks.collect::<Vec<_>>()), [1, 2, 3]);
/// ```
///
/// If the stream is dropped early, the `yield_` or wait at which the body is, and every later one, ends with [`Cancelled`]:
/// there is no need for `aclose`.
pub fn stream<T, F>(body: F) -> AsyncGenerator<T>
where
    T: 'static,
    F: FnOnce(&AsyncYielder<T>) -> Result<(), Cancelled> + 'static,
{
    AsyncGenerator::new(|yielder| body(yielder).err().and(None))
}

/// As [`stream`], of a body that can fail: its error is the last item.
///
/// ```
/// use std::io::{self, BufRead};
/// use futures_lite::{future::block_on, stream::StreamExt};
/// use yieldfrom::try_stream;
///
/// fn numbers(input: impl BufRead + 'static) -> impl futures_lite::Stream<Item = io::Result<i32>> {
///     try_stream(|s| {
///         for line in input.lines() {
///             s.yield_(line?.parse().map_err(io::Error::other)?)?;
///         }
///         Ok(())
///     })
/// }
/// let read: Vec<_> = block_on(numbers(&b"1\n2\nthree\n4\n"[..]).collect());
/// assert_eq!(read.len(), 3);
/// assert!(matches!(read[..], [Ok(1), Ok(2), Err(_)]));
/// ```
pub fn try_stream<T, E, F>(body: F) -> AsyncGenerator<Result<T, E>>
where
    T: 'static,
    E: 'static,
    F: FnOnce(&TryYielder<'_, T, E>) -> Result<(), E> + 'static,
{
    AsyncGenerator::new(|yielder| body(&TryYielder(yielder)).err().map(Err))
}

/// A [`Stream`] whose items a body yields. Made by [`stream`] or [`try_stream`].
///
/// A panic in the body comes out of the poll, and the stream is at its end. It stays on its thread, and moves freely there.
#[must_use = "a stream does nothing until it is polled"]
pub struct AsyncGenerator<T> {
    /// Returns the last item. `None` once it has ended.
    fiber: Option<Fiber<Option<T>>>,
    slot: Rc<Slot<T>>,
}

/// Where an item is on its way out.
struct Slot<T>(Cell<Option<T>>);

/// What the body of a [`stream`] yields with.
pub struct AsyncYielder<T> {
    slot: Rc<Slot<T>>,
    own: scope::Own,
}

/// What the body of a [`try_stream`] yields with.
pub struct TryYielder<'a, T, E>(&'a AsyncYielder<Result<T, E>>);

impl<T> AsyncYielder<T> {
    /// Hands `item` to whoever polls the stream, and waits until the next item is asked for.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] if the stream is dropped, or was before. Also in a destructor while a panic unwinds the body; the item is
    /// dropped then.
    ///
    /// # Panics
    ///
    /// If it is called from elsewhere than this body: from another fiber, or from a future that is being polled. ``"`yield_`
    /// called from outside the stream it belongs to; yield from its own body, and not from a future that is being polled"``.
    pub fn yield_(&self, item: T) -> Result<(), Cancelled> {
        suspend(&self.own, || self.slot.0.set(Some(item))).map_err(|refusal| {
            if refusal != Refusal::Cancelled {
                outside();
            }
            Cancelled::new()
        })
    }

    /// Yields every item.
    ///
    /// # Errors
    ///
    /// As [`yield_`](Self::yield_).
    ///
    /// # Panics
    ///
    /// As there.
    pub fn yield_from(&self, items: impl IntoIterator<Item = T>) -> Result<(), Cancelled> {
        items.into_iter().try_for_each(|item| self.yield_(item))
    }
}

impl<T, E> TryYielder<'_, T, E> {
    /// As [`AsyncYielder::yield_`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn yield_(&self, item: T) -> Result<(), Cancelled> {
        self.0.yield_(Ok(item))
    }
}

#[cold]
#[inline(never)]
fn outside() {
    const MESSAGE: &str = "`yield_` called from outside the stream it belongs to; yield from its own body, and not from a \
                           future that is being polled";
    if std::thread::panicking() {
        // A second panic could abort the process.
        report(None, Reason::Panic(Box::new(MESSAGE)));
    } else {
        panic!("{MESSAGE}");
    }
}

impl<T: 'static> AsyncGenerator<T> {
    fn new(body: impl FnOnce(&AsyncYielder<T>) -> Option<T> + 'static) -> Self {
        let slot = Rc::new(Slot(Cell::new(None)));
        let fiber = fiber({
            let slot = slot.clone();
            move || {
                let own = scope::own();
                body(&AsyncYielder { slot, own })
            }
        });
        Self {
            fiber: Some(fiber),
            slot,
        }
    }
}

impl<T> Stream for AsyncGenerator<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(mut fiber) = self.fiber.take() else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut fiber).poll(context) {
            Poll::Ready(last) => Poll::Ready(last),
            Poll::Pending => {
                self.fiber = Some(fiber);
                match self.slot.0.take() {
                    Some(item) => Poll::Ready(Some(item)),
                    None => Poll::Pending,
                }
            }
        }
    }
}

impl<T> fmt::Debug for AsyncGenerator<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncGenerator")
            .field("fiber", &self.fiber)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for AsyncYielder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncYielder").finish_non_exhaustive()
    }
}

impl<T, E> fmt::Debug for TryYielder<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryYielder").finish_non_exhaustive()
    }
}

/// Makes an iterator of a stream, which waits for each item as [`await_`](crate::await_()) does: Python's `async for`.
///
/// ```
/// use futures_lite::{future::block_on, stream};
/// use yieldfrom::{await_each, fiber, Cancelled};
///
/// let sum = fiber(|| await_each(stream::iter(1..=4)).sum::<Result<i32, Cancelled>>());
/// assert_eq!(block_on(sum), Ok(10));
/// ```
pub fn await_each<S: Stream>(stream: S) -> AwaitEach<S> {
    AwaitEach(Some(Box::pin(stream)))
}

/// The items of a stream. Made by [`await_each`].
///
/// Ends after an `Err(`[`Cancelled`]`)`: a loop that ignores it ends too, but knows.
#[must_use = "an iterator does nothing until it is asked for an item"]
pub struct AwaitEach<S>(Option<Pin<Box<S>>>);

impl<S: Stream> Iterator for AwaitEach<S> {
    type Item = Result<S::Item, Cancelled>;

    /// # Panics
    ///
    /// As [`await_`](crate::await_()).
    fn next(&mut self) -> Option<Self::Item> {
        let stream = self.0.as_mut()?;
        let next = await_(poll_fn(|context| stream.as_mut().poll_next(context))).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.0 = None;
        }
        next
    }
}

impl<S: Stream> std::iter::FusedIterator for AwaitEach<S> {}

impl<S> fmt::Debug for AwaitEach<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitEach").finish_non_exhaustive()
    }
}
