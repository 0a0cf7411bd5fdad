//! Where a pipeline begins.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::pull::{Items, Pull};
use crate::pipe::sender::Sender;
use crate::pipe::sink::{Downstream, Sink};
use crate::pipe::stage::{Drain, Stage, first};
use crate::pipe::stats::{Meter, Stats};

/// Makes a source of a body that sends items.
///
/// Any callback API becomes one:
///
/// ```
/// use yieldfrom::pipe::{count, head, source, Sender};
///
/// struct Tree(Vec<Tree>, i32);
///
/// fn walk(tree: &Tree, visit: &mut dyn FnMut(&i32)) {
///     visit(&tree.1);
///     tree.0.iter().for_each(|child| walk(child, visit));
/// }
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let tree = Tree(vec![Tree(vec![], 1), Tree(vec![], 2)], 0);
/// let numbers = source(move |out: &mut Sender<i32>| {
///     walk(&tree, &mut |number| { let _ = out.send(number); }); // it cannot be told to stop
///     Ok(())
/// });
/// assert_eq!(numbers.pipe(head(2)).into(count())?, 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A body that fails ends the pipeline: what was sent is processed to the end, and the error comes out where the
/// pipeline was started.
pub fn source<T, F>(body: F) -> Source<T>
where
    T: ?Sized + 'static,
    F: FnOnce(&mut Sender<T>) -> Result<(), Exception> + 'static,
{
    Builder::new().source(body)
}

/// Makes a source that sends the items of an iterator.
///
/// ```
/// use yieldfrom::pipe::{collect, from_iter, tail};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// assert_eq!(from_iter(1..=9).pipe(tail(2)).into(collect())?, [8, 9]);
/// # Ok(())
/// # }
/// ```
pub fn from_iter<I>(items: I) -> Source<I::Item>
where
    I: IntoIterator + 'static,
    I::Item: 'static,
{
    Builder::named("from_iter").source(move |out: &mut Sender<I::Item>| Ok(out.send_each(items)?))
}

impl Builder {
    /// As [`pipe::source`](crate::pipe::source()). Name and stack are for a pipeline that is pulled; a source that pushes
    /// runs on the stack of whoever started it.
    pub fn source<T, F>(&self, body: F) -> Source<T>
    where
        T: ?Sized + 'static,
        F: FnOnce(&mut Sender<T>) -> Result<(), Exception> + 'static,
    {
        Source(Box::new(Origin {
            builder: self.clone(),
            body,
            meter: None,
        }))
    }
}

/// The beginning of a pipeline, with the stages that are in it already: sends items of type `T`.
///
/// Made by [`source`](crate::pipe::source()), [`Builder::source`](crate::Builder::source), [`from_iter`] and by the ready
/// ones, see [the module](crate::pipe). Nothing runs until it is pushed [`into`](Self::into) a sink or is
/// [pulled](Self::pull):
///
/// | | who runs | items |
/// |---|---|---|
/// | [`into`](Self::into) a sink | the source, on the caller's stack; the stages as it sends | lent |
/// | [`pull`](Self::pull) | whoever asks for items; source and stages as needed | lent, until the next one |
/// | [`for_each`](Self::for_each) | as `pull` | lent, to a closure that may borrow |
/// | `into_iter` (`for item in source`) | as `pull` | owned |
/// | [`into_reader`](Self::into_reader) | as `pull` | bytes, as one stream |
#[must_use = "a pipeline does nothing until it is pushed into a sink or pulled"]
pub struct Source<T: ?Sized>(Box<dyn Feed<T>>);

impl<T: ?Sized + 'static> Source<T> {
    /// Puts a stage behind it.
    pub fn pipe<U: ?Sized + 'static>(self, stage: Stage<T, U>) -> Source<U> {
        Source(Box::new(Piped {
            source: self,
            stage,
        }))
    }

    /// Sends its items through the stages into `sink`, and returns what that returns.
    ///
    /// When a stage wants no more items, the ones before it end at once. Then everything is closed from here to the sink;
    /// what was accepted on the way is processed.
    ///
    /// # Errors
    ///
    /// The first failure of the source, a stage or the sink. A [`StackError`](crate::StackError) if there is no stack for one
    /// of them; for a sink *behind* the sink, such as those of [`broadcast`](crate::pipe::broadcast()), that is a panic.
    ///
    /// # Panics
    ///
    /// If one of them panics.
    pub fn into<R, E>(self, sink: Sink<T, Result<R, E>>) -> Result<R, Exception>
    where
        R: 'static,
        E: Into<Exception> + 'static,
    {
        self.push(sink, |returned| returned.map_err(Into::into))
    }

    /// As [`into`](Self::into), for a sink that cannot fail.
    ///
    /// ```
    /// use yieldfrom::pipe::{from_iter, sink, Receiver};
    ///
    /// # fn main() -> Result<(), yieldfrom::Exception> {
    /// let bytes = sink(|words: &mut Receiver<&str>| {
    ///     let mut bytes = 0;
    ///     while let Some(word) = words.recv() {
    ///         bytes += word.len();
    ///     }
    ///     bytes
    /// });
    /// assert_eq!(from_iter(["to", "be"]).feed(bytes)?, 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As there, but for the sink.
    pub fn feed<R: 'static>(self, sink: Sink<T, R>) -> Result<R, Exception> {
        self.push(sink, Ok)
    }

    fn push<A: 'static, R: 'static>(
        self,
        mut sink: Sink<T, A>,
        settle: fn(A) -> Result<R, Exception>,
    ) -> Result<R, Exception> {
        sink.try_reserve()?;
        let answer = Rc::new(Cell::new(None));
        let end = End {
            sink,
            settle,
            answer: Rc::clone(&answer),
        };
        self.0.push(Box::new(end))?;
        Ok(answer
            .take()
            .expect("a sink that has not failed has returned something"))
    }

    /// Calls `f` with each item.
    ///
    /// ```
    /// use yieldfrom::pipe::from_iter;
    ///
    /// # fn main() -> Result<(), yieldfrom::Exception> {
    /// let mut sum = 0; // unlike a sink, the closure may borrow
    /// from_iter(1..=3).for_each(|n| sum += n)?;
    /// assert_eq!(sum, 6);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Pull::recv`].
    pub fn for_each(self, mut f: impl FnMut(&T)) -> Result<(), Exception> {
        let mut items = self.pull();
        while let Some(item) = items.recv()? {
            f(item);
        }
        Ok(())
    }

    /// Calls `f` with each item until it fails.
    ///
    /// # Errors
    ///
    /// What `f` fails with; otherwise as [`Pull::recv`].
    pub fn try_for_each<E>(self, mut f: impl FnMut(&T) -> Result<(), E>) -> Result<(), Exception>
    where
        E: Into<Exception>,
    {
        let mut items = self.pull();
        while let Some(item) = items.recv()? {
            f(item).map_err(Into::into)?;
        }
        Ok(())
    }

    /// Hands its items out one by one.
    pub fn pull(self) -> Pull<T> {
        self.0.pull()
    }

    /// Measures what was added last, the source itself or a stage, see [`Stats`]. Its bytes are those of the items that it
    /// sends.
    pub fn measure(self, name: &str, stats: &Stats) -> Self
    where
        T: AsRef<[u8]>,
    {
        self.measure_by(name, stats, |item| item.as_ref().len())
    }

    /// As [`measure`](Self::measure). `size` says how many bytes an item has.
    pub fn measure_by(mut self, name: &str, stats: &Stats, size: fn(&T) -> usize) -> Self {
        self.0.measure(stats.meter(name, size));
        self
    }
}

/// Items that are owned. A failure is the last one.
impl<T: ?Sized + ToOwned + 'static> IntoIterator for Source<T> {
    type Item = Result<T::Owned, Exception>;
    type IntoIter = Items<T>;

    fn into_iter(self) -> Items<T> {
        Items(self.pull())
    }
}

/// How a pipeline up to here is put to work.
trait Feed<T: ?Sized> {
    fn push(self: Box<Self>, target: Box<dyn Drain<T>>) -> Result<(), Exception>;

    fn pull(self: Box<Self>) -> Pull<T>;

    fn measure(&mut self, meter: Meter<T>);
}

struct Origin<T: ?Sized, F> {
    builder: Builder,
    body: F,
    meter: Option<Meter<T>>,
}

impl<T, F> Origin<T, F>
where
    T: ?Sized + 'static,
    F: FnOnce(&mut Sender<T>) -> Result<(), Exception> + 'static,
{
    /// Returns how the body ended, and whether it was told that nobody wants more items.
    fn run(
        body: F,
        mut sender: Sender<T>,
        meter: Option<Meter<T>>,
    ) -> (Result<(), Exception>, bool) {
        if let Some(meter) = meter {
            meter.resume();
            sender = sender.measure(meter);
        }
        let result = body(&mut sender);
        if let Some(meter) = sender.meter() {
            meter.leave();
        }
        (sender.settle(result), sender.is_closed())
    }
}

impl<T, F> Feed<T> for Origin<T, F>
where
    T: ?Sized + 'static,
    F: FnOnce(&mut Sender<T>) -> Result<(), Exception> + 'static,
{
    fn push(self: Box<Self>, mut target: Box<dyn Drain<T>>) -> Result<(), Exception> {
        let Self { body, meter, .. } = *self;
        let (result, is_closed) = Self::run(body, Sender::push(target.as_downstream()), meter);
        first(result, is_closed, target.finish())
    }

    fn pull(self: Box<Self>) -> Pull<T> {
        let Self {
            builder,
            body,
            meter,
        } = *self;
        Pull::new(&builder, move |co| {
            Self::run(body, Sender::pull(co), meter).0
        })
    }

    fn measure(&mut self, meter: Meter<T>) {
        self.meter = Some(meter);
    }
}

struct Piped<T: ?Sized, U: ?Sized> {
    source: Source<T>,
    stage: Stage<T, U>,
}

impl<T: ?Sized + 'static, U: ?Sized + 'static> Feed<U> for Piped<T, U> {
    fn push(self: Box<Self>, target: Box<dyn Drain<U>>) -> Result<(), Exception> {
        self.source.0.push(self.stage.before(target)?)
    }

    fn pull(self: Box<Self>) -> Pull<U> {
        self.stage.after(self.source.pull())
    }

    fn measure(&mut self, meter: Meter<U>) {
        self.stage.sent = Some(meter);
    }
}

/// The sink at the end of a pipeline, and where to put what it returns.
struct End<T: ?Sized, A, R> {
    sink: Sink<T, A>,
    settle: fn(A) -> Result<R, Exception>,
    answer: Rc<Cell<Option<R>>>,
}

impl<T: ?Sized, A, R> Drain<T> for End<T, A, R> {
    fn finish(self: Box<Self>) -> Result<(), Exception> {
        let answer = (self.settle)(self.sink.close())?;
        self.answer.set(Some(answer));
        Ok(())
    }

    fn as_downstream(&mut self) -> &mut dyn Downstream<T> {
        &mut self.sink
    }
}

impl<T: ?Sized> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}
