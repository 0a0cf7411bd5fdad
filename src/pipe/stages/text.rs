//! Lines and blocks of lines from whatever can be read.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::receiver::Receiver;
use crate::pipe::sender::Sender;
use crate::pipe::source::Source;
use crate::pipe::stage::Stage;
use crate::pipe::stages::block::Block;
use crate::pipe::stages::line::Line;
use crate::pipe::stages::read_error::ReadError;
use crate::pipe::stages::scan::{Buffers, Size, Stopped, fresh_line, send_blocks, send_lines};
use crate::pipe::stages::span::Span;
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

    /// Has `report` called with what cannot be read, instead of failing. The rest of that file is skipped, a line that has
    /// begun included, and the next one is read.
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
/// It reads blocks; there is no need for a [`BufReader`](std::io::BufReader). For a limit on their length, or to go on after a
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
