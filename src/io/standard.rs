//! The standard streams.

#![forbid(unsafe_code)]

use std::io::{Stderr, Stdin, Stdout};

use super::blocking::Blocking;

/// Standard input, read on another thread.
///
/// A fiber that is cancelled while it reads leaves that thread waiting for input, which is then lost.
pub fn stdin() -> Blocking<Stdin> {
    Blocking::new(std::io::stdin())
}

/// Standard output, written on another thread. As the standard library's, it is buffered up to the end of a line.
pub fn stdout() -> Blocking<Stdout> {
    Blocking::new(std::io::stdout())
}

/// Standard error, written on another thread.
pub fn stderr() -> Blocking<Stderr> {
    Blocking::new(std::io::stderr())
}
