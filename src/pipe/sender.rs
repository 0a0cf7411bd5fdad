//! What a stage sends into.

#![forbid(unsafe_code)]

use std::borrow::Borrow;
use std::fmt;
use std::io;
use std::ptr::NonNull;

use crate::channel::Wake;
use crate::co::Co;
use crate::exception::Exception;
use crate::pipe::sink::{Downstream, Push};
use crate::pipe::stats::Meter;
use crate::pipe::target::{Closed, Target};
use crate::switch::NotCurrent;
use crate::unraisable::{Reason, report};

/// How often a body that is pulled may go on sending after it was told that nobody wants more items, before it is taken to
/// ignore that. A visitor that cannot be told to stop goes on to its end, and that may take a while.
const CALLS_AFTER_CLOSE: u32 = 1_000_000;

/// What the body of a [`stage`](crate::pipe::stage()) or a [`source`](crate::pipe::source()) sends its items into.
///
/// One of bytes is also an [`io::Write`]: each write is an item.
pub struct Sender<'a, T: ?Sized> {
    to: To<'a, T>,
    /// Whether there is more to look after than that: a close, a meter.
    is_careful: bool,
    closed: bool,
    calls_after_close: u32,
    meter: Option<Meter<T>>,
}

enum To<'a, T: ?Sized> {
    Push(Push<'a, T>),
    Pull(&'a Co<NonNull<T>, ()>),
}

impl<'a, T: ?Sized> Sender<'a, T> {
    fn new(to: To<'a, T>) -> Self {
        Self {
            to,
            is_careful: false,
            closed: false,
            calls_after_close: 0,
            meter: None,
        }
    }

    pub(crate) fn push(sink: &'a mut dyn Downstream<T>) -> Self {
        Self::new(To::Push(Push::new(sink)))
    }

    pub(crate) fn pull(co: &'a Co<NonNull<T>, ()>) -> Self {
        Self::new(To::Pull(co))
    }

    pub(crate) fn measure(mut self, meter: Meter<T>) -> Self {
        self.is_careful = true;
        self.meter = Some(meter);
        self
    }

    pub(crate) fn meter(&self) -> Option<&Meter<T>> {
        self.meter.as_ref()
    }

    /// Lends `item` to the next stage and returns when that is done with it.
    ///
    /// # Errors
    ///
    /// [`Closed`] if nobody wants more items, perhaps after this one, which was still seen. `?` is the usual answer: a
    /// stage that fails with it has not failed, but ended because the next one has. A body that goes on for ever instead
    /// is stopped only if it is pulled.
    ///
    /// # Panics
    ///
    /// If the next stage panics. In a pipeline that is pulled, also if it is called from another body than its own.
    // Always inlined, as `Receiver::recv`.
    #[inline(always)]
    pub fn send(&mut self, item: &T) -> Result<(), Closed> {
        if self.is_careful {
            return self.send_carefully(item);
        }
        let sent = self.pass(item);
        if sent.is_err() {
            self.close();
        }
        sent
    }

    #[inline(always)]
    fn pass(&mut self, item: &T) -> Result<(), Closed> {
        match &mut self.to {
            To::Push(push) => push.send(item),
            To::Pull(co) => hand_out(co, item),
        }
    }

    #[cold]
    #[inline(never)]
    fn close(&mut self) {
        self.is_careful = true;
        self.closed = true;
    }

    #[cold]
    #[inline(never)]
    fn send_carefully(&mut self, item: &T) -> Result<(), Closed> {
        // A body that is pulled and was told so hands nothing out any more, unless it does not listen at all: then whoever
        // closes it takes what it hands out for what it is.
        if self.closed && self.calls_after_close < CALLS_AFTER_CLOSE {
            self.calls_after_close += 1;
            return Err(Closed);
        }
        if let Some(meter) = &self.meter {
            meter.send(item);
        }
        let sent = self.pass(item);
        if let Some(meter) = &self.meter {
            meter.resume();
        }
        self.closed |= sent.is_err();
        sent
    }

    /// Sends every item.
    ///
    /// ```
    /// use yieldfrom::pipe::{collect, lines, stage, utf8, Receiver, Sender, Stage};
    ///
    /// fn words() -> Stage<str> {
    ///     stage(|lines: &mut Receiver<str>, out: &mut Sender<str>| {
    ///         while let Some(line) = lines.recv() {
    ///             out.send_each(line.split_whitespace())?; // parts of what was lent are lent on
    ///         }
    ///         Ok(())
    ///     })
    /// }
    ///
    /// # fn main() -> Result<(), yieldfrom::Exception> {
    /// let text = &b"to be\nor not"[..];
    /// assert_eq!(lines(text).pipe(utf8()).pipe(words()).into(collect())?, ["to", "be", "or", "not"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); the items that are left are dropped.
    pub fn send_each<I>(&mut self, items: I) -> Result<(), Closed>
    where
        I: IntoIterator,
        I::Item: Borrow<T>,
    {
        items
            .into_iter()
            .try_for_each(|item| self.send(item.borrow()))
    }

    /// How a body ended that has returned `result`: to fail because nobody wanted more items is not to fail.
    pub(crate) fn settle(&self, result: Result<(), Exception>) -> Result<(), Exception> {
        match result {
            Err(error) if self.closed && Closed::is_cause_of(&error) => Ok(()),
            result => result,
        }
    }

    /// Whether it has told the body that nobody wants more items.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[inline(always)]
fn hand_out<T: ?Sized>(co: &Co<NonNull<T>, ()>, item: &T) -> Result<(), Closed> {
    match co.0.exchange(NonNull::from(item)) {
        Ok(Wake::Value(())) => Ok(()),
        Ok(Wake::Raise(_)) => Err(Closed), // nothing but the exit is ever thrown into a pull
        Err(NotCurrent) => outside(),
    }
}

/// Panics, unless that could abort the process: then it reports, and nobody wants the item.
#[cold]
#[inline(never)]
fn outside() -> Result<(), Closed> {
    const MESSAGE: &str = "`send` called from outside the body it belongs to; in a pipeline that is pulled, send in that body itself";
    if std::thread::panicking() {
        report(None, Reason::Panic(Box::new(MESSAGE)));
        return Err(Closed);
    }
    panic!("{MESSAGE}");
}

impl<T: ?Sized> Target<T> for Sender<'_, T> {
    #[inline]
    fn send(&mut self, item: &T) -> Result<(), Closed> {
        Sender::send(self, item)
    }
}

/// Each write that is not empty is an item, as long as it is. Buffer small ones.
///
/// An error is of kind [`BrokenPipe`](io::ErrorKind::BrokenPipe) and carries [`Closed`].
impl io::Write for Sender<'_, [u8]> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.send(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: ?Sized> fmt::Debug for Sender<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
