//! A line of text as an item.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::path::Path;
use std::str::Utf8Error;
use std::sync::Arc;

/// A line: its bytes without the `\n`, and where it comes from.
///
/// It dereferences to its bytes, which need not be UTF-8. A `\r` before the `\n` is part of the line. Two lines are equal
/// if their bytes are.
///
/// What is lent through a pipeline is `&Line`. It owns the buffer that the line was read into, so it has no lifetime; a
/// clone owns only its own line.
pub struct Line {
    pub(crate) buffer: Vec<u8>,
    pub(crate) range: Range<usize>,
    pub(crate) number: u64,
    /// Where the buffer starts in the file or stream.
    pub(crate) base: u64,
    pub(crate) path: Option<Arc<Path>>,
}

impl Line {
    /// Its bytes, without the `\n`.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }

    /// Its text.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8.
    pub fn to_str(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self)
    }

    /// Its text, with U+FFFD for what is not UTF-8.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self)
    }

    /// Its number in its file or stream, counted from 1, or from where [`follow`](crate::pipe::follow()) has begun.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where it starts in its file or stream, in bytes.
    pub fn offset(&self) -> u64 {
        self.base + self.range.start as u64
    }

    /// The file it is from, if it was read by path.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Deref for Line {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Line {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Clone for Line {
    fn clone(&self) -> Self {
        Self {
            buffer: self.as_bytes().to_vec(),
            range: 0..self.len(),
            number: self.number,
            base: self.offset(),
            path: self.path.clone(),
        }
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Line {}

impl PartialOrd for Line {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Line {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other)
    }
}

impl Hash for Line {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// The text, lossily.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("path", &self.path)
            .field("number", &self.number)
            .field("text", &self.to_string_lossy())
            .finish_non_exhaustive()
    }
}
