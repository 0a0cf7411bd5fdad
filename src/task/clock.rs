//! What time it is in an event loop.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Counts the time since a loop was made.
#[derive(Debug)]
pub(crate) enum Clock {
    Real(Instant),
    /// Stands still until the loop moves it on.
    Virtual(Cell<Duration>),
}

impl Clock {
    pub(crate) fn real() -> Self {
        Self::Real(Instant::now())
    }

    pub(crate) fn stopped() -> Self {
        Self::Virtual(Cell::new(Duration::ZERO))
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }

    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::Real(start) => start.elapsed(),
            Self::Virtual(now) => now.get(),
        }
    }

    /// Moves a virtual clock on.
    pub(crate) fn advance(&self, to: Duration) {
        if let Self::Virtual(now) = self {
            now.set(now.get().max(to));
        }
    }

    /// When that is for everybody else. `None` if it is too far away.
    pub(crate) fn instant(&self, time: Duration) -> Option<Instant> {
        match self {
            Self::Real(start) => start.checked_add(time),
            Self::Virtual(_) => None,
        }
    }
}
