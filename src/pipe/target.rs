//! What a pipeline pushes into.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io;

use crate::exception::Exception;

/// Something that takes items by reference: the next stage of a pipeline.
///
/// It may look at the item until the call returns, and keeps nothing of it.
pub trait Target<T: ?Sized> {
    /// Sends one item.
    ///
    /// # Errors
    ///
    /// [`Closed`] if it wants no more items, perhaps after this one. That says nothing about why, and it is the target's
    /// end and not the caller's: a stage that passes it on with `?` ends too, one that ignores it goes on. The usual answer
    /// is to stop sending and to look at what [`Sink::close`](crate::pipe::Sink::close) returns.
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

/// How many causes of an error are looked at.
const MOST_CAUSES: usize = 100;

impl Closed {
    /// Whether an exception says, however wrapped, that a target is closed.
    pub(crate) fn is_cause_of(exception: &Exception) -> bool {
        let Exception::Error(error) = exception else {
            return false;
        };
        let mut next: Option<&(dyn Error + 'static)> = Some(&**error);
        // An error may be its own source.
        for _ in 0..MOST_CAUSES {
            let Some(error) = next else { break };
            if error.is::<Closed>() {
                return true;
            }
            // An `io::Error` is not the source of what it carries: it passes for it, and its source is that one's.
            let carried = error.downcast_ref().and_then(io::Error::get_ref);
            next = match carried {
                Some(carried) => Some(carried),
                None => error.source(),
            };
        }
        false
    }
}
