//! A step of a pipeline: a body that receives items and sends some on.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::pull::Pull;
use crate::pipe::receiver::Receiver;
use crate::pipe::sender::Sender;
use crate::pipe::sink::{Downstream, Sink};
use crate::pipe::stats::{Meter, Stats};
use crate::stack::StackError;

/// Makes a stage of a body that receives items and sends items on.
///
/// The body is an ordinary loop with its state in local variables. It ends when there are no more items, when nobody wants
/// any of its own (`?` on [`send`](Sender::send)), or when it has had enough.
///
/// ```
/// use yieldfrom::pipe::{from_iter, stage, Receiver, Sender, Stage};
///
/// /// The differences between neighbours.
/// fn differences() -> Stage<i32> {
///     stage(|numbers: &mut Receiver<i32>, out: &mut Sender<i32>| {
///         let Some(&(mut last)) = numbers.recv() else { return Ok(()) };
///         while let Some(&number) = numbers.recv() {
///             out.send(&(number - last))?;
///             last = number;
///         }
///         Ok(())
///     })
/// }
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let squares = from_iter([1, 4, 9, 16]);
/// let differences: Result<Vec<i32>, _> = squares.pipe(differences()).into_iter().collect();
/// assert_eq!(differences?, [3, 5, 7]);
/// # Ok(())
/// # }
/// ```
///
/// What it receives is lent until it asks for the next item. Keeping it longer does not compile; neither does lending on
/// something that is gone by then:
///
/// ```compile_fail,E0499
/// # use yieldfrom::pipe::{stage, Receiver, Sender};
/// stage(|lines: &mut Receiver<str>, out: &mut Sender<str>| {
///     let first = lines.recv().unwrap();
///     let second = lines.recv().unwrap();
///     out.send(first)?;
///     Ok(())
/// });
/// ```
///
/// # Errors
///
/// A body that fails ends the pipeline: the stages before it are told that it is closed, those after it end as at any close,
/// and the error comes out where the pipeline was started. The first failure wins.
pub fn stage<T, U, F>(body: F) -> Stage<T, U>
where
    T: ?Sized + 'static,
    U: ?Sized + 'static,
    F: FnOnce(&mut Receiver<T>, &mut Sender<U>) -> Result<(), Exception> + 'static,
{
    Builder::new().stage(body)
}

impl Builder {
    /// As [`pipe::stage`](crate::pipe::stage()).
    pub fn stage<T, U, F>(&self, body: F) -> Stage<T, U>
    where
        T: ?Sized + 'static,
        U: ?Sized + 'static,
        F: FnOnce(&mut Receiver<T>, &mut Sender<U>) -> Result<(), Exception> + 'static,
    {
        Stage {
            builder: self.clone(),
            body: Box::new(body),
            received: None,
            sent: None,
        }
    }

    /// [`stage`](Self::stage) with a name, for the stages that come with this crate.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::new().name(Cow::Borrowed(name))
    }
}

type Body<T, U> = dyn FnOnce(&mut Receiver<T>, &mut Sender<U>) -> Result<(), Exception>;

/// A step of a pipeline: receives items of type `T` and sends items of type `U`.
///
/// Made by [`stage`](crate::pipe::stage()), [`Builder::stage`](crate::Builder::stage) and by the ready ones, see
/// [the module](crate::pipe). It is put to work by [`Source::pipe`](crate::pipe::Source::pipe), or by [`into`](Self::into)
/// as the beginning of a sink. Until then, nothing runs.
///
/// Several stages under one name are a function from a source to a source:
///
/// ```
/// use yieldfrom::pipe::{Line, Source, grep, head};
///
/// fn first_errors(log: Source<Line>) -> Source<Line> {
///     log.pipe(grep("ERROR")).pipe(head(10))
/// }
/// ```
#[must_use = "a stage does nothing until it is part of a pipeline that runs"]
pub struct Stage<T: ?Sized, U: ?Sized = T> {
    builder: Builder,
    body: Box<Body<T, U>>,
    /// Measures it, with the bytes that it receives or those that it sends.
    received: Option<Meter<T>>,
    pub(crate) sent: Option<Meter<U>>,
}

impl<T: ?Sized + 'static, U: ?Sized + 'static> Stage<T, U> {
    /// Puts the stage before a sink, which gives a sink. Its answer is that of the first part that has failed, or else
    /// what `sink` returns.
    ///
    /// ```
    /// use yieldfrom::pipe::{count, grep};
    ///
    /// # fn main() -> Result<(), yieldfrom::Exception> {
    /// let mut pipeline = grep("Python").into(count());
    /// pipeline.send("no snakes here")?;
    /// pipeline.send("Python, you are so cool")?;
    /// assert_eq!(pipeline.close()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into<R, E>(self, mut sink: Sink<U, Result<R, E>>) -> Sink<T, Result<R, Exception>>
    where
        R: 'static,
        E: Into<Exception> + 'static,
    {
        let builder = self.builder.clone();
        builder.sink(move |receiver| {
            let (result, is_closed) = self.run(receiver, Sender::push(&mut sink));
            first(result, is_closed, sink.close().map_err(Into::into))
        })
    }

    /// As [`into`](Self::into) for the inside of a pipeline, with the stack taken.
    pub(crate) fn before(
        self,
        mut target: Box<dyn Drain<U>>,
    ) -> Result<Box<dyn Drain<T>>, StackError> {
        let builder = self.builder.clone();
        let mut sink = builder.sink(move |receiver| {
            let sender = Sender::push(target.as_downstream());
            let (result, is_closed) = self.run(receiver, sender);
            first(result, is_closed, target.finish())
        });
        sink.try_reserve()?;
        Ok(Box::new(sink))
    }

    /// Puts it behind a pipeline that is pulled.
    pub(crate) fn after(self, mut upstream: Pull<T>) -> Pull<U> {
        let builder = self.builder.clone();
        Pull::new(&builder, move |co| {
            let mut receiver = Receiver::pull(&mut upstream);
            let (result, _) = self.run(&mut receiver, Sender::pull(co));
            let failure = receiver.into_failure();
            let closed = upstream.close();
            match failure {
                Some(failure) => Err(failure),
                None => result.and(closed),
            }
        })
    }

    /// Measures it, see [`Stats`]. Its bytes are those of the items that it receives.
    pub fn measure(self, name: &str, stats: &Stats) -> Self
    where
        T: AsRef<[u8]>,
    {
        self.measure_by(name, stats, |item| item.as_ref().len())
    }

    /// Measures it, see [`Stats`]. `size` says how many bytes an item has that it receives.
    pub fn measure_by(mut self, name: &str, stats: &Stats, size: fn(&T) -> usize) -> Self {
        self.received = Some(stats.meter(name, size));
        self
    }

    /// Runs the body. Returns how it ended, and whether it was told that nobody wants more items.
    fn run(
        self,
        receiver: &mut Receiver<T>,
        mut sender: Sender<U>,
    ) -> (Result<(), Exception>, bool) {
        if let Some(sent) = self.sent {
            receiver.measure(sent.other_end());
            sender = sender.measure(sent);
        } else if let Some(received) = self.received {
            sender = sender.measure(received.other_end());
            receiver.measure(received);
        }
        if let Some(meter) = receiver.meter() {
            meter.resume();
        }
        let result = (self.body)(receiver, &mut sender);
        if let Some(meter) = receiver.meter() {
            meter.leave();
        }
        (sender.settle(result), sender.is_closed())
    }
}

/// The failure that came first, if any: of a stage, or of what is behind it, which may be why the stage has failed.
pub(crate) fn first<R>(
    stage: Result<(), Exception>,
    is_closed: bool,
    behind: Result<R, Exception>,
) -> Result<R, Exception> {
    match (stage, behind) {
        (Ok(()), behind) => behind,
        (Err(_), Err(behind)) if is_closed => Err(behind),
        (Err(error), _) => Err(error),
    }
}

/// The rest of a pipeline, for the stage before it.
pub(crate) trait Drain<T: ?Sized> {
    /// Closes it, and says whether it has failed.
    fn finish(self: Box<Self>) -> Result<(), Exception>;

    fn as_downstream(&mut self) -> &mut dyn Downstream<T>;
}

impl<T: ?Sized> Drain<T> for Sink<T, Result<(), Exception>> {
    fn finish(self: Box<Self>) -> Result<(), Exception> {
        self.close()
    }

    fn as_downstream(&mut self) -> &mut dyn Downstream<T> {
        self
    }
}

impl<T: ?Sized, U: ?Sized> fmt::Debug for Stage<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}
