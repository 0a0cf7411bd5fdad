//! What goes wrong when text is read.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file or stream could not be read.
///
/// It says which one, and why: the [`source`](Error::source) is the [`io::Error`], if there is one.
#[derive(Debug)]
pub struct ReadError {
    pub(crate) path: Option<PathBuf>,
    pub(crate) problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    Io(io::Error),
    LineTooLong { number: u64, limit: usize },
}

impl ReadError {
    pub(crate) fn new(path: Option<&Path>, error: io::Error) -> Self {
        Self {
            path: path.map(Path::to_owned),
            problem: Problem::Io(error),
        }
    }

    /// The file, if it was opened by path.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The number of the line that is longer than the [limit](crate::pipe::Text::max_line), counted from 1.
    pub fn line_too_long(&self) -> Option<u64> {
        match self.problem {
            Problem::LineTooLong { number, .. } => Some(number),
            Problem::Io(_) => None,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        match &self.problem {
            Problem::Io(error) => error.fmt(f),
            Problem::LineTooLong { number, limit } => {
                write!(f, "line {number} is longer than {limit} bytes")
            }
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            Problem::LineTooLong { .. } => None,
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error.problem {
            Problem::Io(error) => error.kind(),
            Problem::LineTooLong { .. } => ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}
