//! The lines and blocks of one file or stream.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memchr::{memchr_iter, memrchr};

use crate::pipe::sender::Sender;
use crate::pipe::stages::block::Block;
use crate::pipe::stages::line::Line;
use crate::pipe::stages::read_error::Problem;
use crate::pipe::stages::split::Newlines;
use crate::pipe::target::Closed;

/// How much memory is used, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) block: usize,
    pub(crate) max_line: usize,
}

/// Why the reading of one file has stopped early.
pub(crate) enum Stopped {
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
        buffer.try_reserve_exact(len - buffer.len())?;
        buffer.resize(len, 0);
    }
    loop {
        match reader.read(&mut buffer[filled..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(crate) fn fresh_line() -> Line {
    Line {
        buffer: Vec::new(),
        range: 0..0,
        number: 0,
        base: 0,
        path: None,
    }
}

/// Sends the lines of `reader`. The lines that have been read when an error comes are sent before it
/// is returned, but for one that has only begun.
pub(crate) fn send_lines(
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
        let read = fill(reader, &mut line.buffer, filled, size)?;
        if read > 0 {
            filled += read;
            continue;
        }
        if filled > 0 {
            line.range = 0..filled;
            line.number += 1;
            out.send(line)?;
        }
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
pub(crate) struct Buffers {
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

/// Sends the lines of `reader`, which starts at `offset`, in blocks. The lines that have been read when an error comes are sent before it
/// is returned, but for one that has only begun.
pub(crate) fn send_blocks(
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
        let (is_at_end, end) = loop {
            let read = fill(reader, buffer, filled, size)?;
            if read == 0 {
                break (true, filled);
            }
            let end = memrchr(b'\n', &buffer[filled..][..read]).map(|found| filled + found + 1);
            filled += read;
            if let Some(end) = end {
                break (false, end);
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
        if is_at_end {
            return Ok(());
        }
        begun = end..filled;
    }
}
