//! Stages that look at one item at a time.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::str::Utf8Error;

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::receiver::Receiver;
use crate::pipe::sender::Sender;
use crate::pipe::stage::Stage;
use crate::pipe::stages::split;

/// Sends on what `f` makes of each item.
///
/// What it makes is owned; [`map_ref`] sends on a part of the item itself. A closure that calls a method on the item has to
/// say what it is: `map(|line: &Line| line.len())`.
pub fn map<T, U>(mut f: impl FnMut(&T) -> U + 'static) -> Stage<T, U>
where
    T: ?Sized + 'static,
    U: 'static,
{
    Builder::named("map").stage(move |items: &mut Receiver<T>, out: &mut Sender<U>| {
        while let Some(item) = items.recv() {
            out.send(&f(item))?;
        }
        Ok(())
    })
}

/// As [`map`], where `f` may fail, which fails the pipeline.
///
/// ```
/// use std::num::ParseIntError;
/// use yieldfrom::pipe::{collect, from_iter, try_map};
///
/// let numbers = from_iter(["1", "two"]).pipe(try_map(|word: &&str| word.parse::<i32>()));
/// assert!(numbers.into(collect()).unwrap_err().is::<ParseIntError>());
/// ```
pub fn try_map<T, U, E>(mut f: impl FnMut(&T) -> Result<U, E> + 'static) -> Stage<T, U>
where
    T: ?Sized + 'static,
    U: 'static,
    E: Into<Exception> + 'static,
{
    Builder::named("try_map").stage(move |items: &mut Receiver<T>, out: &mut Sender<U>| {
        while let Some(item) = items.recv() {
            out.send(&f(item).map_err(Into::into)?)?;
        }
        Ok(())
    })
}

/// Sends on what `f` finds in each item: a field, a part of a slice.
///
/// ```
/// use yieldfrom::pipe::{collect, from_iter, map_ref};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let words = from_iter(["  a", " b "]).pipe(map_ref(|word: &&str| word.trim()));
/// assert_eq!(words.into(collect())?, ["a", "b"]);
/// # Ok(())
/// # }
/// ```
pub fn map_ref<T, U>(mut f: impl FnMut(&T) -> &U + 'static) -> Stage<T, U>
where
    T: ?Sized + 'static,
    U: ?Sized + 'static,
{
    Builder::named("map_ref").stage(move |items: &mut Receiver<T>, out: &mut Sender<U>| {
        while let Some(item) = items.recv() {
            out.send(f(item))?;
        }
        Ok(())
    })
}

/// Sends on the items for which `f` is true.
pub fn filter<T>(mut f: impl FnMut(&T) -> bool + 'static) -> Stage<T>
where
    T: ?Sized + 'static,
{
    Builder::named("filter").stage(move |items: &mut Receiver<T>, out: &mut Sender<T>| {
        while let Some(item) = items.recv() {
            if f(item) {
                out.send(item)?;
            }
        }
        Ok(())
    })
}

/// Sends on what `f` makes of an item, if it makes something.
pub fn filter_map<T, U>(mut f: impl FnMut(&T) -> Option<U> + 'static) -> Stage<T, U>
where
    T: ?Sized + 'static,
    U: 'static,
{
    Builder::named("filter_map").stage(move |items: &mut Receiver<T>, out: &mut Sender<U>| {
        while let Some(item) = items.recv() {
            if let Some(made) = f(item) {
                out.send(&made)?;
            }
        }
        Ok(())
    })
}

/// Sends on all that `f` makes of an item.
///
/// What it makes may not borrow from the item. For that, write a [stage](crate::pipe::stage()) with
/// [`send_each`](Sender::send_each).
///
/// ```
/// use yieldfrom::pipe::{collect, flat_map, from_iter};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let words = from_iter(["to be", "or not"]).pipe(flat_map(|line: &&str| line.split(' ')));
/// assert_eq!(words.into(collect())?, ["to", "be", "or", "not"]);
/// # Ok(())
/// # }
/// ```
pub fn flat_map<T, I>(mut f: impl FnMut(&T) -> I + 'static) -> Stage<T, I::Item>
where
    T: ?Sized + 'static,
    I: IntoIterator<Item: 'static> + 'static,
{
    Builder::named("flat_map").stage(move |items: &mut Receiver<T>, out: &mut Sender<I::Item>| {
        while let Some(item) = items.recv() {
            out.send_each(f(item))?;
        }
        Ok(())
    })
}

/// Calls `f` with each item and sends it on. `f` may not borrow;
/// [`Source::for_each`](crate::pipe::Source::for_each) takes a closure that may.
pub fn inspect<T>(mut f: impl FnMut(&T) + 'static) -> Stage<T>
where
    T: ?Sized + 'static,
{
    Builder::named("inspect").stage(move |items: &mut Receiver<T>, out: &mut Sender<T>| {
        while let Some(item) = items.recv() {
            f(item);
            out.send(item)?;
        }
        Ok(())
    })
}

/// Sends on the first `n` items. With the last of them it ends, and so do the stages before it. (Items that are pushed come by
/// themselves: `head(0)` sees one before it can say that it wants none.)
pub fn head<T>(n: u64) -> Stage<T>
where
    T: ?Sized + 'static,
{
    Builder::named("head").stage(move |items: &mut Receiver<T>, out: &mut Sender<T>| {
        for _ in 0..n {
            let Some(item) = items.recv() else { break };
            out.send(item)?;
        }
        Ok(())
    })
}

/// Drops the first `n` items and sends on the others.
pub fn skip<T>(n: u64) -> Stage<T>
where
    T: ?Sized + 'static,
{
    Builder::named("skip").stage(move |items: &mut Receiver<T>, out: &mut Sender<T>| {
        for _ in 0..n {
            if items.recv().is_none() {
                return Ok(());
            }
        }
        while let Some(item) = items.recv() {
            out.send(item)?;
        }
        Ok(())
    })
}

/// Sends on the items before the first for which `f` is false. With that one it ends.
pub fn take_while<T>(mut f: impl FnMut(&T) -> bool + 'static) -> Stage<T>
where
    T: ?Sized + 'static,
{
    Builder::named("take_while").stage(move |items: &mut Receiver<T>, out: &mut Sender<T>| {
        while let Some(item) = items.recv() {
            if !f(item) {
                break;
            }
            out.send(item)?;
        }
        Ok(())
    })
}

/// Sends on the text of items that are bytes, such as [`Line`](crate::pipe::Line)s.
///
/// # Errors
///
/// [`NotUtf8`] for an item that is not UTF-8.
pub fn utf8<T>() -> Stage<T, str>
where
    T: ?Sized + AsRef<[u8]> + 'static,
{
    Builder::named("utf8").stage(|items: &mut Receiver<T>, out: &mut Sender<str>| {
        let mut number = 0;
        while let Some(item) = items.recv() {
            number += 1;
            let text = std::str::from_utf8(item.as_ref());
            out.send(text.map_err(|error| NotUtf8 { number, error })?)?;
        }
        Ok(())
    })
}

/// Sends on the text of items that are bytes, with U+FFFD for what is not UTF-8.
pub fn utf8_lossy<T>() -> Stage<T, str>
where
    T: ?Sized + AsRef<[u8]> + 'static,
{
    Builder::named("utf8_lossy").stage(|items: &mut Receiver<T>, out: &mut Sender<str>| {
        while let Some(item) = items.recv() {
            out.send(&String::from_utf8_lossy(item.as_ref()))?;
        }
        Ok(())
    })
}

/// An item is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUtf8 {
    number: u64,
    error: Utf8Error,
}

impl NotUtf8 {
    /// Which item it was, counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {} is not UTF-8", self.number)
    }
}

impl Error for NotUtf8 {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Sends on the lines of each item of bytes, such as a [`Block`](crate::pipe::Block), without their `\n`.
pub fn split_lines<T>() -> Stage<T, [u8]>
where
    T: ?Sized + AsRef<[u8]> + 'static,
{
    Builder::named("split_lines").stage(|items: &mut Receiver<T>, out: &mut Sender<[u8]>| {
        while let Some(item) = items.recv() {
            for line in split::split_lines(item.as_ref()) {
                out.send(line)?;
            }
        }
        Ok(())
    })
}
