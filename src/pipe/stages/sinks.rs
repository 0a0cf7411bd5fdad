//! Ends of pipelines.

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::iter::Sum;

use crate::builder::Builder;
use crate::channel::State;
use crate::coroutine::Coroutine;
use crate::exception::Exception;
use crate::pipe::receiver::Receiver;
use crate::pipe::sink::Sink;
use crate::protocol::Step;

/// Counts items.
pub fn count<T>() -> Sink<T, Result<u64, Exception>>
where
    T: ?Sized + 'static,
{
    Builder::named("count").sink(|items: &mut Receiver<T>| {
        let mut n = 0;
        while items.recv().is_some() {
            n += 1;
        }
        Ok(n)
    })
}

/// Adds items up.
pub fn sum<T>() -> Sink<T, Result<T, Exception>>
where
    T: Copy + Sum<T> + 'static,
{
    Builder::named("sum")
        .sink(|items: &mut Receiver<T>| Ok(std::iter::from_fn(|| items.recv().copied()).sum()))
}

/// Keeps every item.
pub fn collect<T>() -> Sink<T, Result<Vec<T::Owned>, Exception>>
where
    T: ?Sized + ToOwned<Owned: 'static> + 'static,
{
    fold(Vec::new(), |mut all: Vec<T::Owned>, item: &T| {
        all.push(item.to_owned());
        all
    })
}

/// Adds each item to what the ones before have become, as [`Iterator::fold`].
///
/// ```
/// use yieldfrom::pipe::{fold, from_iter};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let longest = fold(0, |longest, word: &&str| word.len().max(longest));
/// assert_eq!(from_iter(["a", "snake", "is"]).into(longest)?, 5);
/// # Ok(())
/// # }
/// ```
pub fn fold<T, A>(
    start: A,
    mut f: impl FnMut(A, &T) -> A + 'static,
) -> Sink<T, Result<A, Exception>>
where
    T: ?Sized + 'static,
    A: 'static,
{
    Builder::named("fold").sink(move |items: &mut Receiver<T>| {
        let mut folded = start;
        while let Some(item) = items.recv() {
            folded = f(folded, item);
        }
        Ok(folded)
    })
}

/// Writes each item and a `\n`. Returns the writer, flushed.
///
/// It buffers nothing: give it a [`BufWriter`] where writes are expensive.
///
/// ```
/// use yieldfrom::pipe::{from_iter, write};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let text = from_iter(["to be", "or not"]).into(write(Vec::new()))?;
/// assert_eq!(text, b"to be\nor not\n");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// What the writer says.
pub fn write<T, W>(writer: W) -> Sink<T, Result<W, Exception>>
where
    T: ?Sized + AsRef<[u8]> + 'static,
    W: Write + 'static,
{
    write_with("write", writer, b"\n")
}

/// Writes each item as it is, without a `\n`: blocks, or what was compressed. Otherwise as [`write()`].
pub fn write_raw<T, W>(writer: W) -> Sink<T, Result<W, Exception>>
where
    T: ?Sized + AsRef<[u8]> + 'static,
    W: Write + 'static,
{
    write_with("write_raw", writer, b"")
}

/// Writes each item, and `end` behind it.
fn write_with<T, W>(
    name: &'static str,
    writer: W,
    end: &'static [u8],
) -> Sink<T, Result<W, Exception>>
where
    T: ?Sized + AsRef<[u8]> + 'static,
    W: Write + 'static,
{
    Builder::named(name).sink(move |items: &mut Receiver<T>| {
        let mut writer = writer;
        while let Some(item) = items.recv() {
            writer.write_all(item.as_ref())?;
            writer.write_all(end)?;
        }
        writer.flush()?;
        Ok(writer)
    })
}

/// Prints each item on a line of standard output. Returns how many.
///
/// On a terminal they appear at once, else when a block of them is full or the pipeline ends. (`write(io::stdout())` prints
/// every line at once.)
///
/// # Errors
///
/// What standard output says. A broken pipe, whose reader has seen enough, is no error: it ends the pipeline, as
/// [`head`](crate::pipe::head()) does.
pub fn print<T>() -> Sink<T, Result<u64, Exception>>
where
    T: ?Sized + AsRef<[u8]> + 'static,
{
    Builder::named("print").sink(|items: &mut Receiver<T>| {
        // Not locked: the lock would be held while this body waits.
        let stdout = io::stdout();
        let is_seen_at_once = stdout.is_terminal();
        let mut out = BufWriter::with_capacity(64 * 1024, stdout);
        let mut printed = 0;
        let mut print = || -> io::Result<()> {
            while let Some(item) = items.recv() {
                out.write_all(item.as_ref())?;
                out.write_all(b"\n")?;
                if is_seen_at_once {
                    out.flush()?;
                }
                printed += 1;
            }
            out.flush()
        };
        match print() {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => {
                let _ = out.into_parts(); // what is left in the buffer has no reader
                Ok(printed)
            }
        }
    })
}

/// Sends each item to a coroutine, which owns it then. Returns what that returns; `None` if it returns nothing at its
/// close.
///
/// ```
/// use yieldfrom::pipe::{deliver, from_iter};
/// use yieldfrom::{Coroutine, coroutine};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let first_two: Coroutine<(), String, String> = coroutine(|co| {
///     let first: String = co.yield_(())?;
///     Ok(first + &co.yield_(())?)
/// });
/// let words = ["to", "be", "or"].map(String::from);
/// assert_eq!(from_iter(words).into(deliver(first_two))?, Some("tobe".to_owned()));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// What the coroutine raises.
pub fn deliver<T, R>(
    mut coroutine: Coroutine<(), T::Owned, R>,
) -> Sink<T, Result<Option<R>, Exception>>
where
    T: ?Sized + ToOwned<Owned: 'static> + 'static,
    R: 'static,
{
    Builder::named("deliver").sink(move |items: &mut Receiver<T>| {
        if coroutine.state() == State::Created {
            if let Step::Complete(returned) = coroutine.prime()? {
                return Ok(Some(returned));
            }
        }
        while let Some(item) = items.recv() {
            if let Step::Complete(returned) = coroutine.send(item.to_owned())? {
                return Ok(Some(returned));
            }
        }
        Ok(coroutine.close()?)
    })
}
