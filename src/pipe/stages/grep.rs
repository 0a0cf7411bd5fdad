//! Lines that match.

#![forbid(unsafe_code)]

use std::fmt;
use std::ops::Range;

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use crate::builder::Builder;
use crate::pipe::receiver::Receiver;
use crate::pipe::sender::Sender;
use crate::pipe::stage::Stage;
use crate::pipe::stages::split::split_lines;

/// What lines are searched for: says of a line whether it matches.
///
/// Strings and bytes stand for themselves, see [`Literal`]. A closure from bytes is one too, and so is, with the feature
/// `regex`, a `LineRegex`.
pub trait Pattern {
    /// Whether `line`, which has no `\n`, matches.
    fn is_match(&self, line: &[u8]) -> bool;

    /// The first line in `lines`, which are whole lines, that matches: where it lies, without its `\n`.
    ///
    /// Looks at each line unless it is overridden by something faster.
    fn find_line(&self, lines: &[u8]) -> Option<Range<usize>> {
        let mut start = 0;
        while start < lines.len() {
            let end = line_end(lines, start);
            if self.is_match(&lines[start..end]) {
                return Some(start..end);
            }
            start = end + 1;
        }
        None
    }

    /// How many lines in `lines`, which are whole lines, match.
    fn count_lines(&self, lines: &[u8]) -> u64 {
        let (mut rest, mut count) = (lines, 0);
        while let Some(line) = self.find_line(rest) {
            count += 1;
            rest = rest.get(line.end.saturating_add(1)..).unwrap_or_default();
        }
        count
    }
}

/// What can be made a [`Pattern`]: see there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pattern of lines",
    note = "strings, bytes and closures `|line: &[u8]| ..` are; for a regular expression, use `LineRegex` (feature `regex`) or a closure"
)]
pub trait IntoPattern {
    /// What it is made.
    type Pattern: Pattern + 'static;

    /// Makes it.
    fn into_pattern(self) -> Self::Pattern;
}

/// Where the line ends that `at` lies in.
pub(crate) fn line_end(lines: &[u8], at: usize) -> usize {
    memchr(b'\n', &lines[at..]).map_or(lines.len(), |found| at + found)
}

/// Where the line starts that `at` lies in.
pub(crate) fn line_start(lines: &[u8], at: usize) -> usize {
    memrchr(b'\n', &lines[..at]).map_or(0, |found| found + 1)
}

/// Bytes that stand for themselves. A line matches if it contains them.
pub struct Literal(Finder<'static>);

impl Literal {
    /// Makes a pattern of bytes. With a `\n` in it, it matches no line.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(Finder::new(bytes.as_ref()).into_owned())
    }
}

impl Pattern for Literal {
    #[inline]
    fn is_match(&self, line: &[u8]) -> bool {
        self.0.find(line).is_some()
    }

    fn find_line(&self, lines: &[u8]) -> Option<Range<usize>> {
        let at = self.0.find(lines)?;
        let needle = self.0.needle();
        if memchr(b'\n', needle).is_some() || at == lines.len() {
            return None;
        }
        Some(line_start(lines, at)..line_end(lines, at + needle.len()))
    }

    /// Where the lines start need not be known.
    fn count_lines(&self, lines: &[u8]) -> u64 {
        let needle = self.0.needle();
        if needle.is_empty() {
            return split_lines(lines).count() as u64;
        }
        if memchr(b'\n', needle).is_some() {
            return 0;
        }
        let (mut rest, mut count) = (lines, 0);
        while let Some(at) = self.0.find(rest) {
            count += 1;
            let end = line_end(rest, at + needle.len());
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        count
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Literal")
            .field(&String::from_utf8_lossy(self.0.needle()))
            .finish()
    }
}

impl IntoPattern for Literal {
    type Pattern = Self;

    fn into_pattern(self) -> Self {
        self
    }
}

macro_rules! literals {
    ($($type:ty),*) => {$(
        impl IntoPattern for $type {
            type Pattern = Literal;

            fn into_pattern(self) -> Literal {
                Literal::new(self)
            }
        }
    )*};
}

literals!(&str, String, &String, &[u8], Vec<u8>);

impl<const N: usize> IntoPattern for &[u8; N] {
    type Pattern = Literal;

    fn into_pattern(self) -> Literal {
        Literal::new(self)
    }
}

/// A closure as a pattern.
#[derive(Clone, Copy, Debug)]
pub struct Predicate<F>(F);

impl<F: Fn(&[u8]) -> bool> Pattern for Predicate<F> {
    #[inline]
    fn is_match(&self, line: &[u8]) -> bool {
        (self.0)(line)
    }
}

impl<F: Fn(&[u8]) -> bool + 'static> IntoPattern for F {
    type Pattern = Predicate<F>;

    fn into_pattern(self) -> Predicate<F> {
        Predicate(self)
    }
}

/// The lines that do not match `pattern`, as `grep -v`.
///
/// ```
/// use yieldfrom::pipe::{collect, from_iter, grep, not};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let lines = from_iter(["no snakes here", "Python, you are so cool"]);
/// assert_eq!(lines.pipe(grep(not("Python"))).into(collect())?, ["no snakes here"]);
/// # Ok(())
/// # }
/// ```
pub fn not<P: IntoPattern>(pattern: P) -> Not<P::Pattern> {
    Not(pattern.into_pattern())
}

/// The lines that do not match a pattern. Made by [`not`].
#[derive(Clone, Copy, Debug)]
pub struct Not<P>(P);

impl<P: Pattern> Pattern for Not<P> {
    #[inline]
    fn is_match(&self, line: &[u8]) -> bool {
        !self.0.is_match(line)
    }

    fn count_lines(&self, lines: &[u8]) -> u64 {
        split_lines(lines).count() as u64 - self.0.count_lines(lines)
    }
}

impl<P: Pattern + 'static> IntoPattern for Not<P> {
    type Pattern = Self;

    fn into_pattern(self) -> Self {
        self
    }
}

/// Sends on the lines that match.
///
/// ```
/// use yieldfrom::pipe::{collect, from_iter, grep};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let lines = || from_iter(["no snakes here", "Python, you are so cool"]);
/// assert_eq!(lines().pipe(grep("Python")).into(collect())?, ["Python, you are so cool"]);
/// assert_eq!(lines().pipe(grep(|line: &[u8]| line.len() < 20)).into(collect())?, ["no snakes here"]);
/// # Ok(())
/// # }
/// ```
pub fn grep<T>(pattern: impl IntoPattern<Pattern: 'static>) -> Stage<T>
where
    T: ?Sized + AsRef<[u8]> + 'static,
{
    let pattern = pattern.into_pattern();
    Builder::named("grep").stage(move |lines: &mut Receiver<T>, out: &mut Sender<T>| {
        while let Some(line) = lines.recv() {
            if pattern.is_match(line.as_ref()) {
                out.send(line)?;
            }
        }
        Ok(())
    })
}

/// Sends on the lines that match out of blocks of whole lines, each without its `\n`.
///
/// A block is searched as a whole, which is several times as fast as line by line where few lines match.
///
/// ```
/// use yieldfrom::pipe::{blocks, count, grep_blocks};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let text = &b"no snakes here\nPython, you are so cool\n"[..];
/// assert_eq!(blocks(text).pipe(grep_blocks("Python")).into(count())?, 1);
/// # Ok(())
/// # }
/// ```
pub fn grep_blocks<T>(pattern: impl IntoPattern<Pattern: 'static>) -> Stage<T, [u8]>
where
    T: ?Sized + AsRef<[u8]> + 'static,
{
    let pattern = pattern.into_pattern();
    Builder::named("grep_blocks").stage(move |blocks: &mut Receiver<T>, out: &mut Sender<[u8]>| {
        while let Some(block) = blocks.recv() {
            let mut rest = block.as_ref();
            while let Some(line) = pattern.find_line(rest) {
                out.send(&rest[line.clone()])?;
                rest = rest.get(line.end.saturating_add(1)..).unwrap_or_default();
            }
        }
        Ok(())
    })
}

/// Counts the lines that match in each block of whole lines.
///
/// ```
/// use yieldfrom::pipe::{blocks, count_matches, sum};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let text = &b"no snakes here\nPython, you are so cool\n"[..];
/// assert_eq!(blocks(text).pipe(count_matches("Python")).into(sum())?, 1);
/// # Ok(())
/// # }
/// ```
pub fn count_matches<T>(pattern: impl IntoPattern<Pattern: 'static>) -> Stage<T, u64>
where
    T: ?Sized + AsRef<[u8]> + 'static,
{
    let pattern = pattern.into_pattern();
    Builder::named("count_matches").stage(move |blocks: &mut Receiver<T>, out: &mut Sender<u64>| {
        while let Some(block) = blocks.recv() {
            out.send(&pattern.count_lines(block.as_ref()))?;
        }
        Ok(())
    })
}
