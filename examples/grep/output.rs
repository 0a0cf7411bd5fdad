//! Standard output, and what is told on standard error.

use std::cell::{Cell, RefCell};
use std::fs::Metadata;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};

/// What the stages share. Only one of them runs at a time, so nobody waits for a borrow.
pub struct Output {
    stdout: RefCell<BufWriter<StdoutLock<'static>>>,
    /// Each line is written at once.
    is_line_buffered: Cell<bool>,
    has_color: Cell<bool>,
    /// Whether a group of lines has been printed, of whichever file.
    has_group: Cell<bool>,
    /// Why nothing more can be written.
    failure: RefCell<Option<io::Error>>,
    is_closed: Cell<bool>,
}

/// What has a colour.
#[derive(Clone, Copy)]
pub enum Paint {
    Match,
    Name,
    Number,
    Separator,
}

impl Paint {
    /// GNU grep's default colours.
    fn start(self) -> &'static [u8] {
        match self {
            Paint::Match => b"\x1b[01;31m\x1b[K",
            Paint::Name => b"\x1b[35m\x1b[K",
            Paint::Number => b"\x1b[32m\x1b[K",
            Paint::Separator => b"\x1b[36m\x1b[K",
        }
    }
}

const PLAIN: &[u8] = b"\x1b[m\x1b[K";

impl Output {
    pub fn new() -> Self {
        let stdout = io::stdout().lock();
        Self {
            is_line_buffered: Cell::new(stdout.is_terminal()),
            has_color: Cell::new(false),
            has_group: Cell::new(false),
            stdout: RefCell::new(BufWriter::with_capacity(64 * 1024, stdout)),
            failure: RefCell::new(None),
            is_closed: Cell::new(false),
        }
    }

    /// Says how to print.
    pub fn set_up(&self, color: bool, line_buffered: bool) {
        self.has_color.set(color);
        if line_buffered {
            self.is_line_buffered.set(true);
        }
    }

    /// Returns whether more can be written.
    pub fn write(&self, text: &[u8]) -> bool {
        let is_written = self.attempt(|stdout| stdout.write_all(text));
        if text.ends_with(b"\n") {
            self.end_line();
        }
        is_written
    }

    /// Writes text in its colour, if there are colours.
    pub fn paint(&self, paint: Paint, text: &[u8]) -> bool {
        if !self.has_color.get() {
            return self.write(text);
        }
        self.write(paint.start()) && self.write(text) && self.write(PLAIN)
    }

    /// Says that a line has been written.
    pub fn end_line(&self) {
        if self.is_line_buffered.get() {
            self.attempt(|stdout| stdout.flush());
        }
    }

    pub fn has_group(&self) -> bool {
        self.has_group.get()
    }

    pub fn set_group(&self) {
        self.has_group.set(true);
    }

    fn attempt(&self, action: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> bool {
        if self.is_closed.get() {
            return false;
        }
        match action(&mut *self.stdout.borrow_mut()) {
            Ok(()) => true,
            Err(error) => {
                self.failure.replace(Some(error));
                self.is_closed.set(true);
                false
            }
        }
    }

    /// Whether writing has failed: nobody reads any more, or there is no space.
    pub fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Writes a message to standard error, behind everything that was printed before.
    pub fn complain(&self, parts: &[&[u8]]) {
        self.attempt(|stdout| stdout.flush());
        let mut message = parts.concat();
        message.push(b'\n');
        // There is nobody left to tell that this failed.
        let _ = io::stderr().write_all(&message);
    }

    /// Writes out what is buffered. Returns whether all that was printed has arrived. A reader that went away wanted
    /// no more, and nothing is said.
    pub fn finish(&self) -> bool {
        self.attempt(|stdout| stdout.flush());
        match self.failure.take() {
            None => true,
            Some(error) if error.kind() == ErrorKind::BrokenPipe => true,
            Some(error) => {
                self.complain(&[b"grep: write error: ", reason(&error).as_bytes()]);
                false
            }
        }
    }

    /// Whether standard output is `/dev/null`, so that nobody sees what is printed.
    pub fn is_null(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{FileTypeExt, MetadataExt};

            let null = std::fs::metadata("/dev/null");
            match (self.metadata(), null) {
                (Ok(out), Ok(null)) => {
                    null.file_type().is_char_device()
                        && (out.dev(), out.ino()) == (null.dev(), null.ino())
                }
                _ => false,
            }
        }
        #[cfg(not(unix))]
        {
            false
        }
    }

    #[cfg(unix)]
    fn metadata(&self) -> io::Result<Metadata> {
        use std::os::fd::AsFd;

        let stdout = self
            .stdout
            .borrow()
            .get_ref()
            .as_fd()
            .try_clone_to_owned()?;
        std::fs::File::from(stdout).metadata()
    }

    /// Whether standard output is the regular file that `input` describes.
    pub fn is_file(&self, input: &Metadata) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;

            input.is_file()
                && self
                    .metadata()
                    .is_ok_and(|out| (out.dev(), out.ino()) == (input.dev(), input.ino()))
        }
        #[cfg(not(unix))]
        {
            let _ = input;
            false
        }
    }
}

/// The system's words for an error, without the number that [`io::Error`] adds.
pub fn reason(error: &io::Error) -> String {
    let mut reason = error.to_string();
    if let Some(code) = error.raw_os_error() {
        let number = format!(" (os error {code})");
        reason.truncate(reason.strip_suffix(&number).unwrap_or(&reason).len());
    }
    reason
}
