//! Blocks of a file, and the lines in them.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(windows)]
use std::os::windows::io::AsHandle;
use std::path::Path;

use memchr::{memchr, memchr2};

/// How much is read at once, in bytes. GNU grep 3.8 reads as much; what it looks through for a NUL is one such block.
const BLOCK: usize = 96 * 1024;

/// A line, and the block that it lies in.
///
/// It owns the block, so that it has no lifetime: what is lent through a pipeline is `&Line`.
pub struct Line {
    block: Vec<u8>,
    start: usize,
    end: usize,
    number: u64,
    is_binary: bool,
}

impl Line {
    /// Without the `\n` that ends it.
    pub fn bytes(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// Counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether a NUL is in its block or was in an earlier one of its file.
    pub fn is_binary(&self) -> bool {
        self.is_binary
    }
}

/// The file that is being read. Its buffer serves one file after the other.
pub struct Input {
    file: Option<File>,
    /// The line that was lent last.
    line: Line,
    /// The start of the next line. Up to `searched` no byte ends it; up to `filled` there is data.
    next: usize,
    searched: usize,
    filled: usize,
    is_at_end: bool,
}

impl Input {
    pub fn new() -> Self {
        Self {
            file: None,
            line: Line {
                block: Vec::new(),
                start: 0,
                end: 0,
                number: 0,
                is_binary: false,
            },
            next: 0,
            searched: 0,
            filled: 0,
            is_at_end: false,
        }
    }

    /// Turns to another file; `None` is standard input, from where it stands.
    pub fn open(&mut self, path: Option<&Path>) -> io::Result<()> {
        self.file = None;
        self.file = Some(match path {
            Some(path) => File::open(path)?,
            None => standard_input()?,
        });
        self.line.number = 0;
        self.line.is_binary = false;
        (self.next, self.searched, self.filled) = (0, 0, 0);
        self.is_at_end = false;
        Ok(())
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.as_ref().ok_or(ErrorKind::NotFound)?.metadata()
    }

    /// The next line, lent until the next call.
    pub fn next_line(&mut self) -> io::Result<Option<&Line>> {
        loop {
            let rest = &self.line.block[self.searched..self.filled];
            let found = if self.line.is_binary {
                memchr2(b'\n', b'\0', rest)
            } else {
                memchr(b'\n', rest)
            };
            if let Some(offset) = found {
                let end = self.searched + offset;
                return Ok(Some(self.lend(end, end + 1)));
            }
            self.searched = self.filled;
            if !self.is_at_end {
                self.fill()?;
            } else if self.next < self.filled {
                return Ok(Some(self.lend(self.filled, self.filled)));
            } else {
                return Ok(None);
            }
        }
    }

    fn lend(&mut self, end: usize, next: usize) -> &Line {
        self.line.start = self.next;
        self.line.end = end;
        self.line.number += 1;
        self.next = next;
        self.searched = next;
        &self.line
    }

    /// Reads another block behind the line that has begun, which it moves to the front of the buffer. One that is there
    /// already stays, and the buffer doubles: a byte of a long line is looked at once, and moved twice on average.
    fn fill(&mut self) -> io::Result<()> {
        let block = &mut self.line.block;
        block.copy_within(self.next..self.filled, 0);
        self.filled -= self.next;
        self.searched -= self.next;
        self.next = 0;
        if block.len() < self.filled + BLOCK {
            block.resize((block.len() * 2).max(self.filled + BLOCK), 0);
        }
        let free = &mut block[self.filled..][..BLOCK];
        let file = self.file.as_mut().ok_or(ErrorKind::NotFound)?;
        let read = loop {
            match file.read(free) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.is_at_end = read == 0;
        self.line.is_binary |= memchr(b'\0', &free[..read]).is_some();
        self.filled += read;
        Ok(())
    }

    /// Sets the file back to behind the last line, for whoever reads it next. A pipe cannot be set back.
    pub fn give_back(&mut self) {
        let unread = i64::try_from(self.filled - self.next).unwrap_or(0);
        if let Some(file) = &mut self.file {
            let _ = file.seek(SeekFrom::Current(-unread));
        }
    }
}

/// Standard input without the buffer of [`io::Stdin`], which would keep what [`Input::give_back`] owes.
fn standard_input() -> io::Result<File> {
    #[cfg(unix)]
    let owned = io::stdin().as_fd().try_clone_to_owned()?;
    #[cfg(windows)]
    let owned = io::stdin().as_handle().try_clone_to_owned()?;
    Ok(File::from(owned))
}
