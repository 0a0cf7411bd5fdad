//! How large stacks are.

#![forbid(unsafe_code)]

use std::env;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of stack that a coroutine gets if nobody asks for something else, see
/// [`default_stack_size`]. They are address space: a page (4 KiB) of memory is taken when it is first touched.
pub const DEFAULT_STACK_SIZE: usize = 256 * 1024;

/// The smallest stack, in bytes; smaller requests are rounded up to it.
pub const MIN_STACK_SIZE: usize = 16 * 1024;

/// Granularity of sizes, in bytes, so that stacks of nearly the same size share a pool.
const ROUND: usize = 4096;

const VARIABLE: &str = "YIELDFROM_STACK_SIZE";

/// Zero until somebody has asked.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);

/// The size, in bytes, of the stacks of generators and coroutines made without [`stack_size`].
///
/// It is what [`set_default_stack_size`] has set; or else the environment variable `YIELDFROM_STACK_SIZE`, a number of
/// bytes, read once; or else [`DEFAULT_STACK_SIZE`].
///
/// [`stack_size`]: crate::Builder::stack_size
#[inline]
pub fn default_stack_size() -> usize {
    match DEFAULT.load(Ordering::Relaxed) {
        0 => first_default(),
        size => size,
    }
}

/// Sets the size, in bytes, of the stacks of what is made from now on without [`stack_size`], on all threads.
///
/// As there, it is rounded up to whole pages and to at least [`MIN_STACK_SIZE`].
///
/// ```
/// use yieldfrom::{default_stack_size, set_default_stack_size};
///
/// set_default_stack_size(1024 * 1024);
/// assert_eq!(default_stack_size(), 1024 * 1024);
/// ```
///
/// [`stack_size`]: crate::Builder::stack_size
pub fn set_default_stack_size(bytes: usize) {
    DEFAULT.store(round(bytes), Ordering::Relaxed);
}

#[cold]
fn first_default() -> usize {
    let size = match env::var(VARIABLE) {
        Ok(text) => parse(&text).unwrap_or_else(|| {
            // Nobody can be told otherwise, and ignoring it silently would be worse. If it cannot be written, so be it.
            let _ = writeln!(
                io::stderr(),
                "yieldfrom: {VARIABLE}={text:?} is ignored: it is not a number of bytes"
            );
            DEFAULT_STACK_SIZE
        }),
        Err(_) => DEFAULT_STACK_SIZE,
    };
    // Whoever has set it in the meantime wins.
    match DEFAULT.compare_exchange(0, size, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => size,
        Err(set) => set,
    }
}

fn parse(text: &str) -> Option<usize> {
    text.trim().parse().ok().map(round)
}

/// The size that a stack has if `bytes` are asked for.
#[inline]
pub(super) fn round(bytes: usize) -> usize {
    bytes
        .max(MIN_STACK_SIZE)
        .checked_next_multiple_of(ROUND)
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(round(0), MIN_STACK_SIZE);
        assert_eq!(round(MIN_STACK_SIZE + 1), MIN_STACK_SIZE + ROUND);
        assert_eq!(round(usize::MAX), usize::MAX);
    }

    #[test]
    fn the_variable_is_a_number_of_bytes() {
        assert_eq!(parse("65536"), Some(65536));
        assert_eq!(parse(" 65537\n"), Some(65536 + ROUND));
        assert_eq!(parse("0"), Some(MIN_STACK_SIZE));
        for text in ["", "64k", "-1", "0x10000", "1e6", "99999999999999999999999"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
