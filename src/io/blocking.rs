//! What can only block: on other threads.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use blocking::{Task, unblock};

use super::wait::wait;
use crate::scope::may_block;
use crate::wait::checkpoint;

/// Runs the operations of something that blocks on the threads of [`blocking`], while the fiber waits.
///
/// An operation is done when it returns: nothing is read ahead or written behind, an error is that of the operation, and
/// there is no need to flush what the inner type does not keep back itself. Each costs a visit to another thread, a few
/// microseconds, so small reads and writes want a [`BufReader`](std::io::BufReader) or [`BufWriter`](std::io::BufWriter) around
/// it. Outside of fibers it is done in place.
///
/// If the fiber is cancelled meanwhile, the operation goes on to its end by itself.
pub struct Blocking<T> {
    state: State<T>,
}

enum State<T> {
    Idle(Inner<T>),
    Busy(Task<Inner<T>>),
    /// An operation has panicked.
    Gone,
}

/// What goes to the other thread and comes back.
struct Inner<T> {
    value: T,
    buffer: Vec<u8>,
    done: io::Result<u64>,
}

/// Bytes of one operation.
const MOST: usize = 1 << 20;

impl<T> Blocking<T> {
    /// Wraps something that blocks.
    pub fn new(value: T) -> Self {
        Self {
            state: State::Idle(Inner {
                value,
                buffer: Vec::new(),
                done: Ok(0),
            }),
        }
    }
}

impl<T: Send + 'static> Blocking<T> {
    /// Runs any other operation.
    ///
    /// # Errors
    ///
    /// If the fiber is cancelled, or an earlier operation has panicked.
    ///
    /// # Panics
    ///
    /// If the operation does.
    pub fn run<R: Send + 'static>(
        &mut self,
        operation: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> io::Result<R> {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.operate(move |inner| {
            let _ = sender.send(operation(&mut inner.value)); // nobody waits if the fiber is cancelled
            Ok(0)
        })?;
        Ok(receiver.recv().expect("the operation is done"))
    }

    /// What is inside, after the operation that is being done.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn into_inner(mut self) -> io::Result<T> {
        self.settle()?;
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(inner) => Ok(inner.value),
            State::Busy(_) | State::Gone => unreachable!("it has settled"),
        }
    }

    /// Waits for an operation that a cancellation has left behind.
    fn settle(&mut self) -> io::Result<&mut Inner<T>> {
        // It is gone if the wait panics, as it does if the operation has.
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Busy(mut task) => match wait(async { Ok((&mut task).await) }) {
                Ok(inner) => State::Idle(inner),
                Err(error) => {
                    self.state = State::Busy(task);
                    return Err(error);
                }
            },
            settled => settled,
        };
        match &mut self.state {
            State::Idle(inner) => Ok(inner),
            State::Busy(_) => unreachable!("it has settled"),
            State::Gone => Err(io::Error::other("an earlier operation has panicked")),
        }
    }

    fn operate(
        &mut self,
        operation: impl FnOnce(&mut Inner<T>) -> io::Result<u64> + Send + 'static,
    ) -> io::Result<u64> {
        checkpoint()?;
        self.settle()?;
        let State::Idle(mut inner) = std::mem::replace(&mut self.state, State::Gone) else {
            unreachable!("it has settled")
        };
        let work = move || {
            inner.done = operation(&mut inner);
            inner
        };
        self.state = if may_block() {
            State::Idle(work())
        } else {
            State::Busy(unblock(work))
        };
        let inner = self.settle()?;
        std::mem::replace(&mut inner.done, Ok(0))
    }
}

impl<T: Read + Send + 'static> Read for Blocking<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let asked = buffer.len().min(MOST);
        let got = self.operate(move |inner| {
            inner.buffer.resize(asked, 0);
            inner.value.read(&mut inner.buffer).map(|got| got as u64)
        })? as usize;
        let inner = self.settle()?;
        buffer[..got].copy_from_slice(&inner.buffer[..got]);
        Ok(got)
    }
}

impl<T: Write + Send + 'static> Write for Blocking<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let buffer = &mut self.settle()?.buffer;
        buffer.clear();
        buffer.extend_from_slice(&bytes[..bytes.len().min(MOST)]);
        self.operate(|inner| inner.value.write(&inner.buffer).map(|put| put as u64))
            .map(|put| put as usize)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.operate(|inner| inner.value.flush().map(|()| 0))
            .map(drop)
    }
}

impl<T: Seek + Send + 'static> Seek for Blocking<T> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.operate(move |inner| inner.value.seek(position))
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        if let State::Busy(task) = std::mem::replace(&mut self.state, State::Gone) {
            task.detach();
        }
    }
}

impl<T> fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle(_) => "idle",
            State::Busy(_) => "busy",
            State::Gone => "gone",
        };
        f.debug_struct("Blocking")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
