//! What a pipeline pushes into.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io;

/// Something that takes items by reference: the next stage of a pipeline.
///
/// It may look at the item until the call returns, and keeps nothing of it.
pub trait Target<T: ?Sized> {
    /// Sends one item.
    ///
    /// # Errors
    ///
    /// [`Closed`] if it wants no more items. That says nothing about why, and it is the target's end and not the caller's:
    /// a stage that passes it on with `?` ends too, one that ignores it goes on. The usual answer is to stop sending and
    /// to look at what [`Sink::close`](crate::pipe::Sink::close) returns.
    fn send(&mut self, item: &T) -> Result<(), Closed>;
}

impl<T: ?Sized, U: Target<T> + ?Sized> Target<T> for &mut U {
    fn send(&mut self, item: &T) -> Result<(), Closed> {
        (**self).send(item)
    }
}

impl<T: ?Sized, U: Target<T> + ?Sized> Target<T> for Box<U> {
    fn send(&mut self, item: &T) -> Result<(), Closed> {
        (**self).send(item)
    }
}

/// A target wants no more items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the target wants no more items")
    }
}

impl Error for Closed {}

impl From<Closed> for io::Error {
    fn from(closed: Closed) -> Self {
        io::Error::new(io::ErrorKind::BrokenPipe, closed)
    }
}
