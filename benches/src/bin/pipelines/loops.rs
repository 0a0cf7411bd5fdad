//! The same work without coroutines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use memchr::memchr;

use crate::blocks::{BUFFER, Blocks, read};
use crate::search::Pattern;

/// Reads and does nothing: what nobody can undercut without mapping the file.
pub fn reading(path: &Path, _: &Pattern) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        match read(&mut file, &mut buffer)? {
            0 => return Ok(size),
            read => size += read as u64,
        }
    }
}

/// Looks at one line after the other, where it lies in the buffer.
pub fn lines(path: &Path, pattern: &Pattern) -> io::Result<u64> {
    match pattern {
        Pattern::Literal(finder) => count_lines(path, |line| finder.find(line).is_some()),
        Pattern::Regex(regex) => count_lines(path, |line| regex.is_match(line)),
    }
}

fn count_lines(path: &Path, selects: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
    let mut blocks = Blocks::open(path)?;
    let mut count = 0;
    while let Some(mut rest) = blocks.next()? {
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            count += u64::from(selects(&rest[..end]));
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    Ok(count)
}

/// What one writes first: the standard library copies each line.
pub fn read_until(path: &Path, pattern: &Pattern) -> io::Result<u64> {
    match pattern {
        Pattern::Literal(finder) => count_read_until(path, |line| finder.find(line).is_some()),
        Pattern::Regex(regex) => count_read_until(path, |line| regex.is_match(line)),
    }
}

fn count_read_until(path: &Path, selects: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(BUFFER, File::open(path)?);
    let mut line = Vec::new();
    let mut count = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        count += u64::from(selects(line.strip_suffix(b"\n").unwrap_or(&line)));
        line.clear();
    }
    Ok(count)
}

/// Looks at many lines at once, and for the end of a line only behind a match.
pub fn blocks(path: &Path, pattern: &Pattern) -> io::Result<u64> {
    match pattern {
        Pattern::Literal(finder) => count_blocks(path, |block| finder.find(block)),
        Pattern::Regex(regex) => count_blocks(path, |block| regex.shortest_match(block)),
    }
}

/// `find` returns a place in the first line that matches.
fn count_blocks(path: &Path, find: impl Fn(&[u8]) -> Option<usize>) -> io::Result<u64> {
    let mut blocks = Blocks::open(path)?;
    let mut count = 0;
    while let Some(block) = blocks.next()? {
        count += matching_lines(block, &find);
    }
    Ok(count)
}

/// How many of these lines match.
pub fn matching_lines(mut lines: &[u8], find: impl Fn(&[u8]) -> Option<usize>) -> u64 {
    let mut count = 0;
    while let Some(found) = find(lines) {
        count += 1;
        match memchr(b'\n', &lines[found..]) {
            Some(end) => lines = &lines[found + end + 1..],
            None => break,
        }
    }
    count
}
