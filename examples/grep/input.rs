//! Blocks of a file.

use std::error::Error;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(windows)]
use std::os::windows::io::AsHandle;
use std::path::Path;
use std::rc::Rc;

use memchr::{memchr, memchr_iter, memrchr};

use crate::options::{Binary, Options};

/// How much is read at once, in bytes. GNU grep 3.8 reads as much; what it looks through for a NUL is one such block.
const BLOCK: usize = 96 * 1024;

/// Whole lines of a file, each with what ends it, also the last of the file.
///
/// What is lent through a pipeline is a part of it, [`Run`](crate::stages::Run), which shares it.
#[derive(Default)]
pub struct Block {
    /// Behind the lines, the beginning of one that is not complete.
    bytes: Vec<u8>,
    lines: usize,
    /// Where the first byte stands in the file.
    pub offset: u64,
    /// How many lines are before it in the file, if they are counted.
    pub lines_before: u64,
    /// Whether a NUL is in it or was in an earlier one of its file.
    pub is_binary: bool,
}

impl Block {
    pub fn lines(&self) -> &[u8] {
        &self.bytes[..self.lines]
    }
}

/// The file that is being read. Its block serves one file after the other.
pub struct Input {
    file: Option<File>,
    block: Rc<Block>,
    is_at_end: bool,
    /// How much of the file has been read.
    read: u64,
    line_end: u8,
    counts_lines: bool,
    looks_for_nul: bool,
    skips_binary: bool,
    max_line: usize,
}

impl Input {
    pub fn new(options: &Options) -> Self {
        Self {
            file: None,
            block: Rc::default(),
            is_at_end: false,
            read: 0,
            line_end: options.line_end,
            counts_lines: options.line_number,
            looks_for_nul: options.binary != Binary::Print && options.line_end != b'\0',
            skips_binary: options.binary == Binary::Skip,
            max_line: options.max_line,
        }
    }

    /// Turns to another file; `None` is standard input, from where it stands.
    pub fn open(&mut self, path: Option<&Path>) -> io::Result<()> {
        self.file = None;
        self.file = Some(match path {
            Some(path) => File::open(path)?,
            None => standard_input()?,
        });
        let block = fresh(&mut self.block, 0);
        block.bytes.clear();
        // What a long line has taken is given back.
        block.bytes.shrink_to(4 * BLOCK);
        (block.lines, block.offset, block.lines_before) = (0, 0, 0);
        block.is_binary = false;
        (self.is_at_end, self.read) = (false, 0);
        Ok(())
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.as_ref().ok_or(ErrorKind::NotFound)?.metadata()
    }

    /// The next lines, lent until the next call.
    pub fn next_block(&mut self) -> io::Result<Option<&Rc<Block>>> {
        let unended = self.block.lines..self.block.bytes.len();
        let (line_end, counts_lines) = (self.line_end, self.counts_lines);
        let block = fresh(&mut self.block, unended.len() + BLOCK);
        if counts_lines {
            block.lines_before += memchr_iter(line_end, block.lines()).count() as u64;
        }
        block.offset += unended.start as u64;
        block.bytes.copy_within(unended.clone(), 0);
        block.bytes.truncate(unended.len());
        block.lines = 0;
        while !self.is_at_end {
            let searched = self.fill()?;
            let block = fresh(&mut self.block, 0);
            if let Some(end) = memrchr(line_end, &block.bytes[searched..]) {
                block.lines = searched + end + 1;
                break;
            }
            if block.bytes.len() > self.max_line {
                return Err(io::Error::other(LineTooLong(block.offset, self.max_line)));
            }
        }
        let block = fresh(&mut self.block, 0);
        if block.lines == 0 && !block.bytes.is_empty() {
            block.bytes.push(line_end);
            block.lines = block.bytes.len();
        }
        let is_wanted = self.block.lines > 0 && !self.was_skipped();
        Ok(is_wanted.then_some(&self.block))
    }

    /// Whether the reading has ended since binary files do not match.
    pub fn was_skipped(&self) -> bool {
        self.skips_binary && self.block.is_binary
    }

    /// Reads another piece of the file behind what is there, and returns where it starts. No more than the line's bound
    /// and one piece is ever kept.
    fn fill(&mut self) -> io::Result<usize> {
        let block = fresh(&mut self.block, 0);
        let filled = block.bytes.len();
        block.bytes.resize(filled + BLOCK, 0);
        let file = self.file.as_mut().ok_or(ErrorKind::NotFound)?;
        let read = loop {
            match file.read(&mut block.bytes[filled..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        block.bytes.truncate(filled + *read.as_ref().unwrap_or(&0));
        let read = read?;
        self.is_at_end = read == 0;
        self.read += read as u64;
        let piece = &mut block.bytes[filled..];
        if self.looks_for_nul && (block.is_binary || memchr(b'\0', piece).is_some()) {
            block.is_binary = true;
            // In a binary file a NUL ends a line too.
            for byte in piece.iter_mut().filter(|byte| **byte == 0) {
                *byte = self.line_end;
            }
        }
        Ok(filled)
    }

    /// Sets the file to its end, for whoever reads it next, as if all of it had been needed. A pipe keeps what it has.
    pub fn skip_rest(&mut self) {
        if let Some(file) = self.file.as_mut().filter(|_| !self.is_at_end) {
            let _ = file.seek(SeekFrom::End(0));
        }
    }

    /// Sets the file back to `offset`, counted from where the reading began, for whoever reads it next. A pipe cannot be set
    /// back.
    pub fn give_back(&mut self, offset: u64) {
        let unread = i64::try_from(self.read.saturating_sub(offset)).unwrap_or(0);
        if let Some(file) = &mut self.file {
            let _ = file.seek(SeekFrom::Current(-unread));
        }
    }
}

/// The block, to be written to. If a stage still holds it, as the lines before a match, it is left there, and what of it
/// is needed goes on in a new one.
fn fresh(block: &mut Rc<Block>, capacity: usize) -> &mut Block {
    if Rc::get_mut(block).is_none() {
        let mut bytes = Vec::with_capacity(capacity.max(block.bytes.len()));
        bytes.extend_from_slice(&block.bytes);
        *block = Rc::new(Block { bytes, ..**block });
    }
    Rc::get_mut(block).expect("a block that was made just now is not shared")
}

/// The line that starts at an offset is longer than it may be.
#[derive(Debug)]
struct LineTooLong(u64, usize);

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self(offset, bound) = self;
        write!(
            f,
            "the line at byte {offset} is longer than {bound} bytes (--max-line)"
        )
    }
}

impl Error for LineTooLong {}

/// Standard input without the buffer of [`io::Stdin`], which would keep what [`Input::give_back`] owes.
fn standard_input() -> io::Result<File> {
    #[cfg(unix)]
    let owned = io::stdin().as_fd().try_clone_to_owned()?;
    #[cfg(windows)]
    let owned = io::stdin().as_handle().try_clone_to_owned()?;
    Ok(File::from(owned))
}
