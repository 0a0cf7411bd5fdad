//! Lines and blocks of lines from whatever can be read.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::{memchr_iter, memrchr};

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::receiver::Receiver;
use crate::pipe::sender::Sender;
use crate::pipe::source::Source;
use crate::pipe::stage::Stage;
use crate::pipe::stages::block::Block;
use crate::pipe::stages::line::Line;
use crate::pipe::stages::span::Span;
use crate::pipe::stages::split::Newlines;
use crate::pipe::target::Closed;

/// How much is read at once, in bytes: what fits into the nearest caches together with what a search needs.
const BLOCK_SIZE: usize = 64 * 1024;

/// How text is read: the options of [`lines`], [`blocks`] and their like.
///
/// ```
/// use yieldfrom::pipe::{Text, collect};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let text = &b"short\na line that is too long\n"[..];
/// let error = Text::new().max_line(10).lines(text).into(collect()).unwrap_err();
/// assert_eq!(error.to_string(), "line 2 is longer than 10 bytes");
/// # Ok(())
/// # }
/// ```
#[must_use = "options do nothing until something is read with them"]
pub struct Text {
    size: Size,
    on_error: OnError,
}

/// How much memory is used, in bytes.
#[derive(Clone, Copy, Debug)]
struct Size {
    block: usize,
    max_line: usize,
}

type OnError = Option<Box<dyn FnMut(ReadError)>>;

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Text {
    /// Lines may have any length, and what cannot be read fails the pipeline.
    pub const fn new() -> Self {
        Self {
            size: Size {
                block: BLOCK_SIZE,
                max_line: usize::MAX,
            },
            on_error: None,
        }
    }

    /// Sets how many bytes a line may have, without the `\n`. Not much more memory than that is used; a longer line is a
    /// [`ReadError`].
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.size.max_line = bytes;
        self
    }

    /// Sets how many bytes are read at once, 64 KiB by default: how long most blocks are. They are rounded up to 4 KiB.
    ///
    /// Longer blocks are worth their while where one goes to another thread, see [`parallel`](crate::pipe::parallel()).
    pub fn block_size(mut self, bytes: usize) -> Self {
        self.size.block = bytes.clamp(1, usize::MAX / 4).next_multiple_of(4096);
        self
    }

    /// Has `report` called with what cannot be read, instead of failing. The rest of that file is skipped, and the next one
    /// is read.
    ///
    /// ```
    /// use yieldfrom::pipe::{Text, count};
    ///
    /// # fn main() -> Result<(), yieldfrom::Exception> {
    /// let lines = Text::new()
    ///     .on_error(|error| eprintln!("{error}")) // no-such-file: No such file or directory (os error 2)
    ///     .lines_of(["no-such-file", "Cargo.toml"]);
    /// assert!(lines.into(count())? > 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_error(mut self, report: impl FnMut(ReadError) + 'static) -> Self {
        self.on_error = Some(Box::new(report));
        self
    }

    /// As [`lines`](crate::pipe::lines()).
    pub fn lines(mut self, reader: impl Read + 'static) -> Source<Line> {
        Builder::named("lines").source(move |out: &mut Sender<Line>| {
            let mut reader = reader;
            let mut line = fresh_line();
            let ended = send_lines(&mut reader, &mut line, self.size, out);
            self.settle(ended, &None)
        })
    }

    /// As [`lines_of`](crate::pipe::lines_of()).
    pub fn lines_of<P>(mut self, paths: P) -> Source<Line>
    where
        P: IntoIterator<Item: AsRef<Path>> + 'static,
    {
        Builder::named("lines_of").source(move |out: &mut Sender<Line>| {
            let mut line = fresh_line();
            for path in paths {
                let path: Arc<Path> = path.as_ref().into();
                line.path = Some(Arc::clone(&path));
                let ended = File::open(&path)
                    .map_err(Stopped::from)
                    .and_then(|mut file| send_lines(&mut file, &mut line, self.size, out));
                self.settle(ended, &Some(path))?;
            }
            Ok(())
        })
    }

    /// As [`blocks`](crate::pipe::blocks()).
    pub fn blocks(mut self, reader: impl Read + 'static) -> Source<Block> {
        Builder::named("blocks").source(move |out: &mut Sender<Block>| {
            let mut reader = reader;
            let mut buffers = Buffers::default();
            let ended = send_blocks(&mut reader, &mut buffers, &None, 0, self.size, out);
            self.settle(ended, &None)
        })
    }

    /// As [`blocks_of`](crate::pipe::blocks_of()).
    pub fn blocks_of<P>(mut self, paths: P) -> Source<Block>
    where
        P: IntoIterator<Item: AsRef<Path>> + 'static,
    {
        Builder::named("blocks_of").source(move |out: &mut Sender<Block>| {
            let mut buffers = Buffers::default();
            for path in paths {
                let file = File::open(path.as_ref()).map_err(Stopped::from);
                let path: Option<Arc<Path>> = Some(path.as_ref().into());
                let ended = file.and_then(|mut file| {
                    send_blocks(&mut file, &mut buffers, &path, 0, self.size, out)
                });
                self.settle(ended, &path)?;
            }
            Ok(())
        })
    }

    /// As [`read_spans`](crate::pipe::read_spans()).
    pub fn read_spans(mut self) -> Stage<Span, Block> {
        Builder::named("read_spans").stage(
            move |spans: &mut Receiver<Span>, out: &mut Sender<Block>| {
                let mut buffers = Buffers::default();
                while let Some(span) = spans.recv() {
                    let path = Some(Arc::clone(&span.path));
                    let ended = span
                        .open()
                        .map_err(Stopped::from)
                        .and_then(|(start, mut file)| {
                            send_blocks(&mut file, &mut buffers, &path, start, self.size, out)
                        });
                    self.settle(ended, &path)?;
                }
                Ok(())
            },
        )
    }

    /// Reports or returns what has gone wrong with one file.
    fn settle(
        &mut self,
        ended: Result<(), Stopped>,
        path: &Option<Arc<Path>>,
    ) -> Result<(), Exception> {
        let problem = match ended {
            Ok(()) => return Ok(()),
            Err(Stopped::Closed) => return Err(Closed.into()),
            Err(Stopped::Unreadable(problem)) => problem,
        };
        let error = ReadError {
            path: path.as_deref().map(Path::to_owned),
            problem,
        };
        match &mut self.on_error {
            Some(report) => {
                report(error);
                Ok(())
            }
            None => Err(error.into()),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Makes a source of the lines of a reader: a file, standard input, a socket, bytes.
///
/// It reads blocks; there is no need for a [`BufReader`](io::BufReader). For a limit on their length, or to go on after a
/// failure, see [`Text`].
///
/// ```no_run
/// use std::io;
/// use yieldfrom::pipe::{grep, lines, print};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// lines(io::stdin()).pipe(grep("Python")).into(print())?;
/// # Ok(())
/// # }
/// ```
pub fn lines(reader: impl Read + 'static) -> Source<Line> {
    Text::new().lines(reader)
}

/// Makes a source of the lines of several files, one file after the other. Each is opened when its turn comes.
///
/// The paths may be those of a directory ([`walk`](crate::pipe::walk())), or what the crate `glob` finds:
/// `lines_of(glob("logs/*.log")?.flatten())`.
pub fn lines_of<P>(paths: P) -> Source<Line>
where
    P: IntoIterator<Item: AsRef<Path>> + 'static,
{
    Text::new().lines_of(paths)
}

/// Makes a source of blocks of whole lines of a reader. See [`Block`], and [`Text`] for options.
pub fn blocks(reader: impl Read + 'static) -> Source<Block> {
    Text::new().blocks(reader)
}

/// Makes a source of blocks of whole lines of several files. No block has lines of two files.
pub fn blocks_of<P>(paths: P) -> Source<Block>
where
    P: IntoIterator<Item: AsRef<Path>> + 'static,
{
    Text::new().blocks_of(paths)
}

/// Reads the lines that start in each [`Span`] of a file, in blocks.
pub fn read_spans() -> Stage<Span, Block> {
    Text::new().read_spans()
}

/// A file or stream could not be read.
///
/// It says which one, and why: the [`source`](Error::source) is the [`io::Error`], if there is one.
#[derive(Debug)]
pub struct ReadError {
    path: Option<PathBuf>,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Io(io::Error),
    LineTooLong { number: u64, limit: usize },
}

impl ReadError {
    pub(crate) fn new(path: Option<&Path>, error: io::Error) -> Self {
        Self {
            path: path.map(Path::to_owned),
            problem: Problem::Io(error),
        }
    }

    /// The file, if it was opened by path.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The number of the line that is longer than the [limit](Text::max_line), counted from 1.
    pub fn line_too_long(&self) -> Option<u64> {
        match self.problem {
            Problem::LineTooLong { number, .. } => Some(number),
            Problem::Io(_) => None,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        match &self.problem {
            Problem::Io(error) => error.fmt(f),
            Problem::LineTooLong { number, limit } => {
                write!(f, "line {number} is longer than {limit} bytes")
            }
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            Problem::LineTooLong { .. } => None,
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error.problem {
            Problem::Io(error) => error.kind(),
            Problem::LineTooLong { .. } => ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// Why the reading of one file has stopped early.
enum Stopped {
    Closed,
    Unreadable(Problem),
}

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(Problem::Io(error))
    }
}

/// Reads once, into the end of `buffer`, which grows if less than half a block is free there. Returns how much was read.
fn fill(
    reader: &mut impl Read,
    buffer: &mut Vec<u8>,
    filled: usize,
    size: Size,
) -> io::Result<usize> {
    if buffer.len() < filled + size.block / 2 {
        // Doubles, so that a byte of a long line is moved twice at most; but not much beyond what a line may have.
        let limit = size.max_line.saturating_add(size.block);
        let len = (buffer.len() * 2).min(limit).max(filled + size.block);
        buffer.reserve_exact(len - buffer.len());
        buffer.resize(len, 0);
    }
    loop {
        match reader.read(&mut buffer[filled..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn fresh_line() -> Line {
    Line {
        buffer: Vec::new(),
        range: 0..0,
        number: 0,
        base: 0,
        path: None,
    }
}

/// Sends the lines of `reader`. What has been read when an error comes is sent before it is returned.
fn send_lines(
    reader: &mut impl Read,
    line: &mut Line,
    size: Size,
    out: &mut Sender<Line>,
) -> Result<(), Stopped> {
    (line.number, line.base, line.range) = (0, 0, 0..0);
    // The next line starts at `next`; up to `filled` there is data.
    let (mut next, mut filled) = (0, 0);
    let mut newlines = Newlines::default();
    loop {
        while let Some(end) = newlines.find(&line.buffer[..filled]) {
            line.range = next..end;
            line.number += 1;
            next = end + 1;
            check_length(&line.range, line.number, size.max_line)?;
            out.send(line)?;
        }
        check_length(&(next..filled), line.number + 1, size.max_line)?;
        line.buffer.copy_within(next..filled, 0);
        line.base += next as u64;
        filled -= next;
        next = 0;
        newlines = Newlines::from(filled);
        let read = fill(reader, &mut line.buffer, filled, size);
        if let Ok(1..) = read {
            filled += read?;
            continue;
        }
        if filled > 0 {
            line.range = 0..filled;
            line.number += 1;
            out.send(line)?;
        }
        read?;
        return Ok(());
    }
}

#[inline(always)]
fn check_length(range: &Range<usize>, number: u64, limit: usize) -> Result<(), Stopped> {
    if range.len() > limit {
        return Err(too_long(number, limit));
    }
    Ok(())
}

#[cold]
fn too_long(number: u64, limit: usize) -> Stopped {
    Stopped::Unreadable(Problem::LineTooLong { number, limit })
}

/// Looks at the length of each line, and returns how many there are.
fn check_lines(bytes: &[u8], before: u64, limit: usize) -> Result<u64, Stopped> {
    let (mut start, mut lines) = (0, 0);
    for end in memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        check_length(&(start..end), before + lines + 1, limit)?;
        lines += u64::from(end > start || end < bytes.len());
        start = end + 1;
    }
    Ok(lines)
}

/// Buffers for blocks: the one that is being filled, and those that somebody still looks at.
#[derive(Default)]
struct Buffers {
    current: Arc<Vec<u8>>,
    lent: Vec<Arc<Vec<u8>>>,
}

impl Buffers {
    /// A buffer that nobody looks at and that starts with what `range` of the current one holds. It is the current one
    /// then.
    fn turn(&mut self, range: Range<usize>) -> &mut Vec<u8> {
        if Arc::get_mut(&mut self.current).is_none() {
            let free = self
                .lent
                .iter_mut()
                .position(|buffer| Arc::get_mut(buffer).is_some());
            let next = match free {
                Some(index) => self.lent.swap_remove(index),
                None => Arc::new(vec![0; self.current.len()]),
            };
            self.lent.push(std::mem::replace(&mut self.current, next));
            let last = self.lent.last().map_or(&[][..], |last| &last[range]);
            let buffer = Arc::get_mut(&mut self.current).expect("nobody else has it");
            if buffer.len() < last.len() {
                buffer.resize(last.len(), 0);
            }
            buffer[..last.len()].copy_from_slice(last);
            buffer
        } else {
            let buffer = Arc::get_mut(&mut self.current).expect("it has just been looked at");
            buffer.copy_within(range, 0);
            buffer
        }
    }
}

/// Sends the lines of `reader`, which starts at `offset`, in blocks. What has been read when an error comes is sent before it is returned.
fn send_blocks(
    reader: &mut impl Read,
    buffers: &mut Buffers,
    path: &Option<Arc<Path>>,
    mut offset: u64,
    size: Size,
    out: &mut Sender<Block>,
) -> Result<(), Stopped> {
    let mut number = 0;
    // Where in the current buffer the line lies that has begun.
    let mut begun = 0..0;
    loop {
        let mut filled = begun.len();
        let buffer = buffers.turn(begun);
        // Reads until a line has ended, or there is no more.
        let (read, end) = loop {
            let read = fill(reader, buffer, filled, size);
            let Ok(more @ 1..) = read else {
                break (read, filled);
            };
            let end = memrchr(b'\n', &buffer[filled..][..more]).map(|found| filled + found + 1);
            filled += more;
            if let Some(end) = end {
                break (read, end);
            }
            check_length(&(0..filled), number + 1, size.max_line)?;
        };
        if size.max_line < usize::MAX {
            number += check_lines(&buffer[..end], number, size.max_line)?;
        }
        if end > 0 {
            let block = Block {
                buffer: Arc::clone(&buffers.current),
                len: end,
                offset,
                path: path.clone(),
            };
            out.send(&block)?;
            offset += end as u64;
        }
        if read? == 0 {
            return Ok(());
        }
        begun = end..filled;
    }
}
