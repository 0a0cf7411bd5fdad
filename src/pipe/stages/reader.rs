//! A pipeline of bytes as a reader: pull meets `std::io`.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::pull::Pull;
use crate::pipe::sender::Sender;
use crate::pipe::source::Source;

/// Compressors are made on the stack and moved to the heap; without optimisation, flate2's needs more than 256 KiB there.
const STACK_SIZE: usize = 1 << 20;

/// Makes a reader of what a body writes: a writer becomes a reader.
///
/// Libraries that compress, encrypt or encode mostly write into a `Write`. With this, their output is read where a `Read`
/// is asked for, a block at a time: the body runs when more is read, and waits at each write.
///
/// ```
/// use std::io::{Read, Write};
/// use yieldfrom::pipe::read_from;
///
/// # fn main() -> std::io::Result<()> {
/// let mut page = read_from(|out| {
///     for n in 1..=3 {
///         writeln!(out, "<li>{n}</li>")?;
///     }
///     Ok(())
/// });
/// let mut text = String::new();
/// page.read_to_string(&mut text)?;
/// assert_eq!(text, "<li>1</li>\n<li>2</li>\n<li>3</li>\n");
/// # Ok(())
/// # }
/// ```
///
/// The body has a stack of 1 MiB; for another size, make a [source](crate::pipe::source()) with a
/// [`Builder`](crate::Builder) and [read that](Source::into_reader).
///
/// Each write becomes at least one read; put a [`BufWriter`](io::BufWriter) into the body where writes are small.
///
/// # Errors
///
/// What the body fails with comes out of `read`, once, after what was written before. If the reader is dropped early, a
/// write in the body fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe).
pub fn read_from<F>(body: F) -> SourceReader<[u8]>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()> + 'static,
{
    let source = Builder::named("read_from")
        .stack_size(STACK_SIZE)
        .source(move |out: &mut Sender<[u8]>| body(out).map_err(Exception::from));
    source.into_reader()
}

impl<T: ?Sized + AsRef<[u8]> + 'static> Source<T> {
    /// Reads the bytes of its items as one stream.
    ///
    /// Nothing stands between the items: of lines, the `\n` are gone.
    pub fn into_reader(self) -> SourceReader<T> {
        SourceReader {
            pull: self.pull(),
            read: 0,
        }
    }
}

/// A pipeline as a reader.
///
/// Made by [`read_from`] or [`Source::into_reader`]. As a [`BufRead`] it lends the items themselves, without a copy.
pub struct SourceReader<T: ?Sized> {
    pull: Pull<T>,
    /// How much of the current item has been read.
    read: usize,
}

impl<T: ?Sized + AsRef<[u8]>> SourceReader<T> {
    fn rest(&self) -> &[u8] {
        let item = self.pull.current().map_or(&[][..], T::as_ref);
        item.get(self.read..).unwrap_or_default()
    }
}

impl<T: ?Sized + AsRef<[u8]>> Read for SourceReader<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.fill_buf()?;
        let read = rest.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<T: ?Sized + AsRef<[u8]>> BufRead for SourceReader<T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.rest().is_empty() {
            self.read = 0;
            if self.pull.recv()?.is_none() {
                break;
            }
        }
        Ok(self.rest())
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount.min(self.rest().len());
    }
}

impl<T: ?Sized> fmt::Debug for SourceReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceReader")
            .field("state", &self.pull.state())
            .finish_non_exhaustive()
    }
}
