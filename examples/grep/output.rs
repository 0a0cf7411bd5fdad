//! Standard output, and what is told on standard error.

use std::cell::{Cell, RefCell};
use std::fs::Metadata;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};

/// What the stages share. Only one of them runs at a time, so nobody waits for a borrow.
pub struct Output {
    stdout: RefCell<BufWriter<StdoutLock<'static>>>,
    /// Each line is written at once.
    is_terminal: bool,
    /// Why nothing more can be written.
    failure: RefCell<Option<io::Error>>,
    is_closed: Cell<bool>,
}

impl Output {
    pub fn new() -> Self {
        let stdout = io::stdout().lock();
        Self {
            is_terminal: stdout.is_terminal(),
            stdout: RefCell::new(BufWriter::with_capacity(64 * 1024, stdout)),
            failure: RefCell::new(None),
            is_closed: Cell::new(false),
        }
    }

    /// Writes a line, which is given in parts. Returns whether more can be written.
    pub fn write(&self, parts: &[&[u8]]) -> bool {
        self.attempt(|stdout| {
            for part in parts {
                stdout.write_all(part)?;
            }
            if self.is_terminal {
                stdout.flush()?;
            }
            Ok(())
        })
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

    /// Whether standard output is the regular file that `input` describes.
    pub fn is_file(&self, input: &Metadata) -> bool {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd;
            use std::os::unix::fs::MetadataExt;

            let stdout = self.stdout.borrow().get_ref().as_fd().try_clone_to_owned();
            let stdout = stdout.and_then(|stdout| std::fs::File::from(stdout).metadata());
            input.is_file()
                && stdout.is_ok_and(|out| (out.dev(), out.ino()) == (input.dev(), input.ino()))
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
