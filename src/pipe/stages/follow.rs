//! The lines of a growing file, as `tail -f`.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use memchr::memchr;

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::sender::Sender;
use crate::pipe::source::Source;
use crate::pipe::stages::line::Line;
use crate::pipe::stages::read_error::ReadError;

/// Makes a source of the lines that are appended to a file from now on, as `tail -F -n 0`.
///
/// It never ends by itself: whoever receives does that, with [`head`](crate::pipe::head()) for instance. See [`Follow`]
/// for what it survives, and for options.
///
/// ```no_run
/// use yieldfrom::pipe::{follow, grep, print};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// follow("access.log").pipe(grep("python")).into(print())?;
/// # Ok(())
/// # }
/// ```
pub fn follow(path: impl Into<PathBuf>) -> Source<Line> {
    Follow::new(path).lines()
}

/// How a growing file is followed: the options of [`follow`].
///
/// - A line is sent when its `\n` has come, never a half.
/// - A file that is *truncated* (it is shorter than what was read of it) is read from its start again.
/// - A file that is *rotated* (the path leads to another file) is read to its end first, then the new one from its start.
///   While the path leads nowhere, it waits. (Unix only; elsewhere only truncation is noticed.)
/// - What was begun in the old file when it is truncated or rotated is sent as a line.
///
/// A file that is truncated and has grown beyond its old length before anybody looks is taken to have grown. It looks
/// every 100 ms, and waits by sleeping: whatever else runs on this thread waits too.
#[must_use = "options do nothing until lines are asked for"]
pub struct Follow {
    path: PathBuf,
    from_start: bool,
    wait: Box<dyn FnMut() -> io::Result<bool>>,
}

impl Follow {
    /// From the end of the file, looking every 100 ms.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let follow = Self {
            path: path.into(),
            from_start: false,
            wait: Box::new(|| Ok(true)),
        };
        follow.interval(Duration::from_millis(100))
    }

    /// Sends what is in the file already, too.
    pub fn from_start(mut self) -> Self {
        self.from_start = true;
        self
    }

    /// Sets how long it sleeps before it looks again.
    pub fn interval(self, interval: Duration) -> Self {
        self.on_wait(move || {
            thread::sleep(interval);
            Ok(true)
        })
    }

    /// Has `wait` called, instead of sleeping, when there is nothing new. `false` ends the source: an unfinished last line
    /// is sent then. An error fails it.
    pub fn on_wait(mut self, wait: impl FnMut() -> io::Result<bool> + 'static) -> Self {
        self.wait = Box::new(wait);
        self
    }

    /// The source.
    ///
    /// # Errors
    ///
    /// A [`ReadError`] that names the file, if it cannot be opened at the start or cannot be read.
    pub fn lines(mut self) -> Source<Line> {
        Builder::named("follow").source(move |out: &mut Sender<Line>| {
            let path: Arc<Path> = self.path.as_path().into();
            let named = |error| ReadError::new(Some(&path), error);
            let mut tail = Tail::open(&path, self.from_start).map_err(named)?;
            loop {
                tail.send_lines(out)?;
                match tail.change().map_err(named)? {
                    Change::Nothing => {
                        if !(self.wait)()? {
                            return tail.send_rest(out);
                        }
                    }
                    Change::Truncated => {
                        tail.send_rest(out)?;
                        tail.file.rewind().map_err(named)?;
                        tail.restart();
                    }
                    Change::Rotated(file) => {
                        // What came between the last read and the rotation.
                        tail.send_lines(out)?;
                        tail.send_rest(out)?;
                        tail.file = file;
                        tail.restart();
                    }
                }
            }
        })
    }
}

/// What has happened to a file at whose end we are.
enum Change {
    Nothing,
    Truncated,
    Rotated(File),
}

/// The file that is being followed.
struct Tail {
    file: File,
    /// How much of the file has been read, or skipped.
    position: u64,
    /// The line that was sent last. Its buffer holds nothing but the line that has begun, and what is read of others.
    line: Line,
}

/// How much is read at once, in bytes.
const READ: usize = 16 * 1024;

impl Tail {
    fn open(path: &Arc<Path>, from_start: bool) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let position = match from_start || !file.metadata()?.is_file() {
            true => 0,
            false => file.seek(SeekFrom::End(0))?,
        };
        let line = Line {
            buffer: Vec::new(),
            range: 0..0,
            number: 0,
            base: position,
            path: Some(Arc::clone(path)),
        };
        Ok(Self {
            file,
            position,
            line,
        })
    }

    /// Sends every line up to the end of the file, for now.
    fn send_lines(&mut self, out: &mut Sender<Line>) -> Result<(), Exception> {
        loop {
            let begun = self.line.buffer.len();
            let read = (&self.file)
                .take(READ as u64)
                .read_to_end(&mut self.line.buffer);
            let read = match read {
                Err(error) => return Err(ReadError::new(self.line.path(), error).into()),
                Ok(0) => return Ok(()),
                Ok(read) => read,
            };
            self.position += read as u64;
            let (mut start, mut searched) = (0, begun);
            while let Some(found) = memchr(b'\n', &self.line.buffer[searched..]) {
                searched += found + 1;
                self.send(start..searched - 1, out)?;
                start = searched;
            }
            self.line.buffer.drain(..start);
            self.line.base += start as u64;
        }
    }

    /// Sends the line that has begun, if one has.
    fn send_rest(&mut self, out: &mut Sender<Line>) -> Result<(), Exception> {
        let rest = self.line.buffer.len();
        if rest > 0 {
            self.send(0..rest, out)?;
            self.line.buffer.clear();
            self.line.base += rest as u64;
        }
        Ok(())
    }

    fn send(&mut self, range: Range<usize>, out: &mut Sender<Line>) -> Result<(), Exception> {
        self.line.range = range;
        self.line.number += 1;
        out.send(&self.line)?;
        Ok(())
    }

    fn change(&self) -> io::Result<Change> {
        let (path, here) = (
            self.line.path().unwrap_or(Path::new("")),
            self.file.metadata()?,
        );
        let absent = |error: &io::Error| error.kind() == ErrorKind::NotFound;
        match path.metadata() {
            Ok(there) if is_same_file(&here, &there) => {
                // Other files, such as a FIFO, have no length.
                let is_shorter = here.is_file() && here.len() < self.position;
                Ok(if is_shorter {
                    Change::Truncated
                } else {
                    Change::Nothing
                })
            }
            Ok(_) => match File::open(path) {
                Ok(file) => Ok(Change::Rotated(file)),
                Err(error) if absent(&error) => Ok(Change::Nothing),
                Err(error) => Err(error),
            },
            Err(error) if absent(&error) => Ok(Change::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Goes on at the start of a file.
    fn restart(&mut self) {
        self.position = 0;
        (self.line.number, self.line.base) = (0, 0);
    }
}

#[cfg(unix)]
fn is_same_file(here: &Metadata, there: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (here.dev(), here.ino()) == (there.dev(), there.ino())
}

/// Nothing that can be asked for tells, so that a rotation goes unnoticed.
#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow")
            .field("path", &self.path)
            .field("from_start", &self.from_start)
            .finish_non_exhaustive()
    }
}
