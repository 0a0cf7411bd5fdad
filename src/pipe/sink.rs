//! A stage: a body that receives items and is closed.

use std::fmt;
use std::panic::resume_unwind;
use std::ptr::NonNull;

use crate::builder::Builder;
use crate::channel::{Channel, Port, State};
use crate::frame::{Handle, Outcome, Turn};
use crate::frames::{self, wake_to_drop};
use crate::pipe::receiver::Receiver;
use crate::pipe::stats::{Meter, Stats};
use crate::pipe::target::{Closed, Target};
use crate::stack::StackError;
use crate::unraisable::{Reason, report, report_if_it_panics};

/// Makes a stage of a body that receives items.
///
/// Nothing runs before the first item, or the close, arrives. See [the module](crate::pipe) for an example.
///
/// To end a pipeline ([`Source::into`](crate::pipe::Source::into)), the body returns a `Result`, mostly an
/// [`io::Result`](std::io::Result). For one that cannot fail there is [`Source::feed`](crate::pipe::Source::feed).
///
/// An item is lent until the next [`recv`](Receiver::recv); keeping it longer does not compile:
///
/// ```compile_fail,E0499
/// # use yieldfrom::pipe::sink;
/// sink(|lines: &mut yieldfrom::pipe::Receiver<str>| {
///     let first = lines.recv();
///     let second = lines.recv();
///     println!("{first:?} {second:?}");
/// });
/// ```
pub fn sink<T, R, F>(body: F) -> Sink<T, R>
where
    T: ?Sized + 'static,
    R: 'static,
    F: FnOnce(&mut Receiver<T>) -> R + 'static,
{
    Builder::new().sink(body)
}

impl Builder {
    /// As [`pipe::sink`](crate::pipe::sink()).
    pub fn sink<T, R, F>(&self, body: F) -> Sink<T, R>
    where
        T: ?Sized + 'static,
        R: 'static,
        F: FnOnce(&mut Receiver<T>) -> R + 'static,
    {
        let body = |port: &Port<(), NonNull<T>>| {
            // SAFETY: an item is borrowed by a `send` that returns when this body suspends on its port again or ends.
            body(&mut unsafe { Receiver::push(port) })
        };
        // SAFETY: nothing is borrowed, say the bounds. What a message points to is looked at only while its sender
        // waits, see `Receiver`.
        let handle = unsafe { Handle::new(self.config(), body) };
        Sink {
            handle,
            returned: None,
            meter: None,
        }
    }
}

/// A stage of a pipeline, or its end: a body that receives items.
///
/// Made by [`sink`] or [`Builder::sink`](crate::Builder::sink).
///
/// | | not started | waiting for an item | ended by itself |
/// |---|---|---|---|
/// | [`send`](Self::send) | starts the body, then as on the right | lends it the item; back when it asks for the next | `Closed` |
/// | [`close`](Self::close) | starts the body, then as on the right | `recv` returns `None`; back when the body has ended | what the body returned |
/// | drop | as `close` | as `close`; a panic is reported, and what the body returns is dropped, an error too | nothing |
///
/// One that is dropped while its thread ends is not woken, nor started, see
/// [`Reason::ThreadEnds`](crate::Reason::ThreadEnds).
///
/// A panic in the body comes out of the call that resumed it. A body that asks for items for ever after the close is
/// unwound by force, as a [`Coroutine`](crate::Coroutine) is.
#[must_use = "a stage does nothing until it is sent an item or closed"]
pub struct Sink<T: ?Sized, R = ()> {
    handle: Handle<(), NonNull<T>, R>,
    returned: Option<R>,
    meter: Option<Meter<T>>,
}

/// Why a body has not ended after it was closed.
enum Unfinished {
    NoStack(StackError),
    Ignored,
}

impl<T: ?Sized, R> Sink<T, R> {
    /// Lends `item` to the body and returns when that asks for the next or has ended.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the body has ended, perhaps with this item, which it has still seen; or if it had ended before.
    ///
    /// # Panics
    ///
    /// If the body panics, or there is no stack to start it on.
    #[inline]
    pub fn send(&mut self, item: &T) -> Result<(), Closed> {
        if self.handle.state() == State::Suspended && self.meter.is_none() {
            let turn = self.handle.lend(NonNull::from(item));
            self.settle(turn)
        } else {
            self.send_otherwise(item)
        }
    }

    #[cold]
    #[inline(never)]
    fn send_otherwise(&mut self, item: &T) -> Result<(), Closed> {
        if let Some(meter) = self.meter.take() {
            meter.enter(Some(item));
            let sent = self.send(item);
            meter.leave();
            self.meter = Some(meter);
            return sent;
        }
        if self.handle.state() == State::Created {
            let turn = self
                .handle
                .start()
                .unwrap_or_else(|error| panic!("{error}; `try_reserve` reports this as an error"));
            self.settle(turn)?;
        }
        match self.handle.state() {
            State::Suspended => self.send(item),
            _ => Err(Closed),
        }
    }

    /// Takes the stack now, so that the first item or the close cannot fail for want of one.
    ///
    /// # Errors
    ///
    /// If there is no memory, or a limit on mappings or address space is reached.
    pub fn try_reserve(&mut self) -> Result<(), StackError> {
        self.handle.reserve()
    }

    /// Measures it from now on, see [`Stats`]. The time includes that of what its body sends to.
    pub fn measure(self, name: &str, stats: &Stats) -> Self
    where
        T: AsRef<[u8]>,
    {
        self.measure_by(name, stats, |item| item.as_ref().len())
    }

    /// As [`measure`](Self::measure). `size` says how many bytes an item has.
    pub fn measure_by(mut self, name: &str, stats: &Stats, size: fn(&T) -> usize) -> Self {
        self.meter = Some(stats.meter(name, size));
        self
    }

    /// Tells the body that no more items come, and returns what it returns.
    ///
    /// A stage that ends by closing its target in this way, rather than by dropping it, can pass on what it returns, such
    /// as an error.
    ///
    /// # Panics
    ///
    /// If the body panics or has panicked, if it ignores the close, or if there is no stack to start it on.
    pub fn close(mut self) -> R {
        match self.finish() {
            Ok(Some(Outcome::Returned(value))) => value,
            Ok(Some(Outcome::Panicked(payload))) => resume_unwind(payload),
            Ok(None) => self
                .returned
                .take()
                .expect("the body of this stage has panicked before"),
            Err(Unfinished::NoStack(error)) => panic!("{error}"),
            Err(Unfinished::Ignored) => {
                self.handle.close();
                panic!("a stage asked for more items after it was closed")
            }
        }
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// The name that the [`Builder`] gave it.
    pub fn name(&self) -> Option<&str> {
        self.handle.name()
    }

    /// Closes by value. `None` if the body has ended before.
    fn finish(&mut self) -> Result<Option<Outcome<R>>, Unfinished> {
        if self.handle.state() == State::Created {
            if let Turn::Finished(outcome) = self.handle.start().map_err(Unfinished::NoStack)? {
                return Ok(Some(outcome));
            }
        }
        if self.handle.state() != State::Suspended {
            return Ok(None);
        }
        match self.handle.exit() {
            Turn::Finished(outcome) => Ok(Some(outcome)),
            Turn::Yielded(()) => Err(Unfinished::Ignored),
        }
    }

    #[inline(always)]
    fn settle(&mut self, turn: Turn<(), R>) -> Result<(), Closed> {
        match turn {
            Turn::Yielded(()) => Ok(()),
            Turn::Finished(Outcome::Returned(value)) => {
                self.returned = Some(value);
                Err(Closed)
            }
            Turn::Finished(Outcome::Panicked(payload)) => resume_unwind(payload),
        }
    }
}

/// A sink as a [`Sender`](crate::pipe::Sender) sees it, whatever it returns.
pub(crate) trait Downstream<T: ?Sized>: Target<T> {
    /// Where it is resumed, after an item was sent; `None` if that is not all there is to do.
    fn channel(&self) -> Option<NonNull<Channel<(), NonNull<T>>>>;

    /// What is to be done if it was not suspended again.
    fn after_lend(&mut self) -> Result<(), Closed>;
}

impl<T: ?Sized, R> Downstream<T> for Sink<T, R> {
    fn channel(&self) -> Option<NonNull<Channel<(), NonNull<T>>>> {
        let is_plain = frames::VISIBLE && self.meter.is_none();
        is_plain.then(|| NonNull::from(self.handle.channel()))
    }

    #[cold]
    fn after_lend(&mut self) -> Result<(), Closed> {
        let turn = self.handle.after_lend();
        self.settle(turn)
    }
}

/// Sends into a sink without a call on the way to the switch.
///
/// `dyn` is for the first item and the last: on the way of the others each instruction counts, see the benchmark
/// `pipelines`.
pub(crate) struct Push<'a, T: ?Sized> {
    /// Where the sink is resumed. `Some` while it is known to be suspended, and nobody else can change that: it is borrowed.
    suspended: Option<NonNull<Channel<(), NonNull<T>>>>,
    sink: &'a mut dyn Downstream<T>,
}

impl<'a, T: ?Sized> Push<'a, T> {
    pub(crate) fn new(sink: &'a mut dyn Downstream<T>) -> Self {
        Self {
            suspended: None,
            sink,
        }
    }

    #[inline(always)]
    pub(crate) fn send(&mut self, item: &T) -> Result<(), Closed> {
        let Some(channel) = self.suspended else {
            return self.send_otherwise(item);
        };
        // SAFETY: the channel is that of the sink, which is borrowed for as long as `self` lives. It is suspended, and every
        // suspension of a sink is a `take`. Attacked by tests/pipes.rs.
        match unsafe { channel.as_ref().lend(NonNull::from(item)) } {
            true => Ok(()),
            false => self.end(),
        }
    }

    #[cold]
    #[inline(never)]
    fn send_otherwise(&mut self, item: &T) -> Result<(), Closed> {
        self.sink.send(item)?;
        self.suspended = self.sink.channel();
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn end(&mut self) -> Result<(), Closed> {
        self.suspended = None;
        self.sink.after_lend()
    }
}

impl<T: ?Sized, R> Target<T> for Sink<T, R> {
    #[inline(always)]
    fn send(&mut self, item: &T) -> Result<(), Closed> {
        Sink::send(self, item)
    }
}

impl<T: ?Sized, R> Drop for Sink<T, R> {
    fn drop(&mut self) {
        let returned = self.returned.take();
        report_if_it_panics(self.name(), returned);
        let finished = match self.state() {
            // While the thread ends it is left as it is, which is the handle's business. Also one that has not started: its
            // body would close its target, which may be suspended.
            State::Suspended | State::Created => {
                let bounds = self.handle.channel().switch.bounds();
                match wake_to_drop(bounds, || self.finish()) {
                    Ok(finished) => finished,
                    Err(_) => return,
                }
            }
            State::Running | State::Closed => Ok(None),
        };
        let reason = match finished {
            Ok(Some(Outcome::Panicked(payload))) => Reason::Panic(payload),
            Ok(ended) => return report_if_it_panics(self.name(), ended),
            Err(Unfinished::NoStack(error)) => Reason::Exception(error.into()),
            Err(Unfinished::Ignored) => Reason::IgnoredExit,
        };
        report(self.name(), reason);
    }
}

impl<T: ?Sized, R> fmt::Debug for Sink<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
