//! From the `futures` traits to the standard library's.

#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};

use super::wait::wait;
use crate::wait::checkpoint;

/// Makes asynchronous input and output synchronous: an operation that is not ready suspends the fiber.
///
/// | if `T` is | `Io<T>` is |
/// |---|---|
/// | [`AsyncRead`] | [`Read`] |
/// | [`AsyncWrite`] | [`Write`] |
/// | [`AsyncBufRead`] | [`BufRead`] |
/// | [`AsyncSeek`] | [`Seek`] |
///
/// These are the traits of `futures-io`, which the smol family implements; for tokio's there is `tokio_util::compat`. A
/// [reference](async_io::Async) `&Async<T>` reads and writes as well, so that two fibers can share one descriptor.
///
/// ```
/// use std::io::{self, Read, Write};
/// use async_io::Async;
/// use yieldfrom::{fiber, io::Io};
///
/// # #[cfg(unix)]
/// # fn main() -> io::Result<()> {
/// use std::os::unix::net::UnixStream;
///
/// let (reader, writer) = Async::<UnixStream>::pair()?;
/// let answer = futures_lite::future::block_on(fiber(move || {
///     Io(writer).write_all(b"through a socket")?;
///     io::read_to_string(Io(reader))
/// }));
/// assert_eq!(answer?, "through a socket");
/// # Ok(())
/// # }
/// # #[cfg(not(unix))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Io<T>(pub T);

impl<T> Io<T> {
    /// What is inside.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Waits for an operation, which is polled with what is inside.
fn operate<T: Unpin, R>(
    inner: &mut T,
    mut poll: impl FnMut(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
) -> io::Result<R> {
    checkpoint()?;
    wait(poll_fn(|context| poll(Pin::new(inner), context)))
}

impl<T: AsyncRead + Unpin> Read for Io<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        operate(&mut self.0, |inner, context| {
            inner.poll_read(context, buffer)
        })
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        operate(&mut self.0, |inner, context| {
            inner.poll_read_vectored(context, buffers)
        })
    }
}

impl<T: AsyncWrite + Unpin> Write for Io<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        operate(&mut self.0, |inner, context| {
            inner.poll_write(context, bytes)
        })
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        operate(&mut self.0, |inner, context| {
            inner.poll_write_vectored(context, slices)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        operate(&mut self.0, AsyncWrite::poll_flush)
    }
}

impl<T: AsyncBufRead + Unpin> BufRead for Io<T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        operate(&mut self.0, |inner, context| {
            inner.poll_fill_buf(context).map_ok(|_| ())
        })?;
        // What is borrowed cannot be carried out of a loop; what is ready stays so until it is consumed.
        match Pin::new(&mut self.0).poll_fill_buf(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(filled) => filled,
            Poll::Pending => Err(io::Error::other(
                "`poll_fill_buf` was ready and is not any more",
            )),
        }
    }

    fn consume(&mut self, amount: usize) {
        Pin::new(&mut self.0).consume(amount);
    }
}

impl<T: AsyncSeek + Unpin> Seek for Io<T> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        operate(&mut self.0, |inner, context| {
            inner.poll_seek(context, position)
        })
    }
}
