//! A non-blocking socket that is read and written by fibers.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Instant;

use async_io::Async;

use super::wait::{Limits, wait_until};
use crate::wait::{checkpoint, rest};

/// One of the owners of a socket, with the limits that it has set itself.
#[derive(Debug)]
pub(super) struct Socket<S> {
    shared: Arc<Shared<S>>,
    pub(super) reads: Limits,
    pub(super) writes: Limits,
}

#[derive(Debug)]
struct Shared<S> {
    source: Async<S>,
    /// The last read has got less than it asked for, so that there was no more. To read on at once would be a system call in
    /// vain.
    is_drained: AtomicBool,
    guess: Guess,
}

/// Whether a drained socket has something to read again by the time that all others have had their turn.
///
/// Then there is no need to wait for it, which takes a system call to say so. On a busy thread that is how it mostly is, on
/// an idle one it never is; the last few times tell.
#[derive(Debug, Default)]
struct Guess(AtomicU8);

impl Guess {
    /// From here on it is worth a try.
    const LIKELY: u8 = 8;
    const MOST: u8 = 15;

    fn is_likely(&self) -> bool {
        // While it is not, it comes nearer each time, so that it is tried again now and then.
        let now = self.0.load(Ordering::Relaxed);
        if now < Self::LIKELY {
            self.0.store(now + 1, Ordering::Relaxed);
        }
        now >= Self::LIKELY
    }

    fn was_right(&self, right: bool) {
        let now = self.0.load(Ordering::Relaxed);
        let next = if right {
            (now + 1).min(Self::MOST)
        } else {
            now.saturating_sub(Self::LIKELY)
        };
        self.0.store(next, Ordering::Relaxed);
    }
}

impl<S> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            ..*self
        }
    }
}

impl<S> Socket<S> {
    pub(super) fn new(source: Async<S>) -> Self {
        Self {
            shared: Arc::new(Shared {
                source,
                is_drained: AtomicBool::new(false),
                guess: Guess::default(),
            }),
            reads: Limits::default(),
            writes: Limits::default(),
        }
    }

    pub(super) fn source(&self) -> &Async<S> {
        &self.shared.source
    }

    /// Calls `read` until it does not say that it would block. `asked` is how many bytes it asks for.
    pub(super) fn read_with(
        &self,
        asked: usize,
        mut read: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        checkpoint()?;
        let source = self.source();
        let end = self.reads.end();
        let mut waits = asked > 0 && self.shared.is_drained.swap(false, Ordering::Relaxed);
        // What is there is read, even if there is no time left to wait for it.
        waits &= end.is_none_or(|end| end > Instant::now());
        let guesses = waits && end.is_none() && self.shared.guess.is_likely() && rest()?;
        waits &= !guesses;
        loop {
            if waits {
                wait_until(end, source.readable())?;
            }
            let done = read(source.get_ref());
            if guesses && !waits {
                self.shared.guess.was_right(done.is_ok());
            }
            match done {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => waits = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => waits = false,
                Ok(got) => {
                    if got > 0 && got < asked {
                        self.shared.is_drained.store(true, Ordering::Relaxed);
                    }
                    return Ok(got);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Calls `write` until it does not say that it would block.
    pub(super) fn write_with(
        &self,
        mut write: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        checkpoint()?;
        let source = self.source();
        let end = self.writes.end();
        loop {
            match write(source.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until(end, source.writable())?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}
