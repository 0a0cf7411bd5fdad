//! A block of whole lines as an item.

#![forbid(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::pipe::stages::split::split_lines;

/// Whole lines, many at once: what a stage searches in one go.
///
/// It dereferences to its bytes, which end with `\n` unless the file or stream ends without one. How long it is depends on
/// how much could be read at once: [`Text::block_size`](crate::pipe::Text::block_size) at most, 64 KiB by default, unless a
/// line is longer.
///
/// A clone shares the bytes, so that a block goes to another thread without being copied.
#[derive(Clone)]
pub struct Block {
    pub(crate) buffer: Arc<Vec<u8>>,
    pub(crate) len: usize,
    pub(crate) offset: u64,
    pub(crate) path: Option<Arc<Path>>,
}

impl Block {
    /// Its bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Where it starts in its file or stream, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The file it is from, if it was read by path.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its lines, without the `\n`.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        split_lines(self)
    }
}

impl Deref for Block {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Block {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("path", &self.path)
            .field("offset", &self.offset)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
