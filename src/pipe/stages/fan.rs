//! One stream of items for several receivers.

#![forbid(unsafe_code)]

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::receiver::Receiver;
use crate::pipe::sender::Sender;
use crate::pipe::sink::{Sink, sink};
use crate::pipe::stage::Stage;
use crate::pipe::target::Closed;

/// Lends each item to `side` and sends it on.
///
/// `side` comes first. That it wants no more does not end the others: it is closed, and what it returns is dropped. When
/// the stage after this one wants no more, both end.
///
/// # Errors
///
/// If `side` fails, the pipeline does.
pub fn tee<T, R, E>(side: Sink<T, Result<R, E>>) -> Stage<T>
where
    T: ?Sized + 'static,
    R: 'static,
    E: Into<Exception> + 'static,
{
    Builder::named("tee").stage(move |items: &mut Receiver<T>, out: &mut Sender<T>| {
        let mut side = Branch::new(side);
        let mut pass = || -> Result<(), Exception> {
            while let Some(item) = items.recv() {
                side.send(item)?;
                out.send(item)?;
            }
            Ok(())
        };
        let passed = pass();
        match side.close() {
            // That the stage after this one wants no more is no reason to forget it.
            Err(error) if !passed.as_ref().is_err_and(|e| !Closed::is_cause_of(e)) => Err(error),
            _ => passed,
        }
    })
}

/// Makes a sink that lends each item to every one of `targets`, in their order, and returns what they return.
///
/// One that wants no more does not end the others; when there are none left, it ends.
///
/// ```
/// use yieldfrom::pipe::{broadcast, count, from_iter, grep};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let lines = from_iter(["a snake", "a python", "a python is a snake"]);
/// let counts = lines.into(broadcast([
///     grep("python").into(count()),
///     grep("snake").into(count()),
/// ]))?;
/// assert_eq!(counts, [2, 2]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// The first failure. It hides the item from the targets behind the one that has failed, and ends them all
/// (as Beazley's `broadcast`, where an exception leaves the loop).
pub fn broadcast<T, R, E>(
    targets: impl IntoIterator<Item = Sink<T, Result<R, E>>>,
) -> Sink<T, Result<Vec<R>, Exception>>
where
    T: ?Sized + 'static,
    R: 'static,
    E: Into<Exception> + 'static,
{
    let mut branches: Vec<_> = targets.into_iter().map(Branch::new).collect();
    sink(move |items: &mut Receiver<T>| {
        let mut pass = || -> Result<(), Exception> {
            while let Some(item) = items.recv() {
                let mut is_wanted = false;
                for branch in &mut branches {
                    is_wanted |= branch.send(item)?;
                }
                if !is_wanted {
                    break;
                }
            }
            Ok(())
        };
        let passed = pass();
        // All are closed before a failure is returned.
        let closed: Vec<_> = branches.into_iter().map(Branch::close).collect();
        passed?;
        closed.into_iter().collect()
    })
}

/// A target that may have had enough.
enum Branch<T: ?Sized, R, E> {
    Open(Sink<T, Result<R, E>>),
    Ended(R),
    Failed,
}

impl<T: ?Sized, R, E: Into<Exception>> Branch<T, R, E> {
    fn new(sink: Sink<T, Result<R, E>>) -> Self {
        Self::Open(sink)
    }

    /// Whether it wants more items.
    fn send(&mut self, item: &T) -> Result<bool, Exception> {
        let Self::Open(sink) = self else {
            return Ok(false);
        };
        if sink.send(item).is_ok() {
            return Ok(true);
        }
        if let Self::Open(sink) = std::mem::replace(self, Self::Failed) {
            *self = Self::Ended(sink.close().map_err(Into::into)?);
        }
        Ok(false)
    }

    fn close(self) -> Result<R, Exception> {
        match self {
            Self::Open(sink) => sink.close().map_err(Into::into),
            Self::Ended(returned) => Ok(returned),
            // Whoever sent the item has the error.
            Self::Failed => Err(Exception::new("a branch has failed")),
        }
    }
}
