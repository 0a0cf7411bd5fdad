//! The order to stop waiting.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io;

/// The error of a wait that was cancelled: the fiber that waits is to come to its end.
///
/// As an [`io::Error`] its kind is [`ErrorKind::Other`](io::ErrorKind::Other). It is never `Interrupted`, which
/// `read_exact`, `write_all` and `io::copy` answer by trying again.
///
/// ```
/// use std::io;
/// use yieldfrom::Cancelled;
///
/// let error = io::Error::from(Cancelled::new());
/// assert_eq!(error.to_string(), "cancelled");
/// assert!(Cancelled::is_behind(&error));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cancelled(());

impl Cancelled {
    /// Makes one, for code that passes a cancellation on.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(())
    }

    /// Whether `error` is a `Cancelled` or has one among its causes, however deep some library has wrapped it.
    ///
    /// What a library does not tell of causes cannot be known: the error of the `csv` crate has no `source`, its `kind` has.
    pub fn is_behind(error: &(dyn Error + 'static)) -> bool {
        // An error may be its own source.
        const MOST_CAUSES: usize = 100;
        let mut next = Some(error);
        for _ in 0..MOST_CAUSES {
            let Some(error) = next else { return false };
            if error.is::<Self>() || error.is::<Order>() {
                return true;
            }
            // The source of an `io::Error` is the source of what is inside, which may be one of us.
            next = match error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                Some(inside) => Some(inside),
                None => error.source(),
            };
        }
        false
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancelled")
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl Error for Cancelled {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Order)
    }
}

/// The cause of every [`Cancelled`].
///
/// Many errors give away not the `io::Error` in them but only the source of that, which is the source of what is inside:
/// those of serde_json, what is in an `Arc`, `#[error(transparent)]`. So what is inside has a source.
#[derive(Debug)]
struct Order;

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fiber is to come to its end")
    }
}

impl Error for Order {}

impl From<Cancelled> for io::Error {
    fn from(cancelled: Cancelled) -> Self {
        Self::other(cancelled)
    }
}
