//! Regular expressions as patterns.

#![forbid(unsafe_code)]

use std::ops::Range;

use regex::Error;
use regex::bytes::{Regex, RegexBuilder};

use crate::pipe::stages::grep::{IntoPattern, Pattern, line_end, line_start};

/// A regular expression that a line matches or does not. Needs the feature `regex`.
///
/// The syntax is that of the crate `regex`. `^` and `$` are the start and the end of the line, `(?i)` at the start ignores
/// case. Unlike a `regex::bytes::Regex`, of which a closure makes a pattern too, it searches whole blocks.
///
/// ```
/// use yieldfrom::pipe::{LineRegex, collect, from_iter, grep};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let lines = from_iter(["no snakes here", "Python, you are so cool"]);
/// let python = LineRegex::new("(?i)^python")?;
/// assert_eq!(lines.pipe(grep(python)).into(collect())?, ["Python, you are so cool"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LineRegex {
    regex: Regex,
    /// Whether a line matches as part of a block if it does alone.
    searches_blocks: bool,
}

impl LineRegex {
    /// Makes a pattern of a regular expression.
    ///
    /// # Errors
    ///
    /// If it is invalid, or too large.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Ok(Self {
            regex: RegexBuilder::new(pattern).multi_line(true).build()?,
            // The start and end of the text, which is not the line then. (Or of `\\A`; then it only costs time.)
            searches_blocks: !pattern.contains("\\A")
                && !pattern.contains("\\z")
                && !pattern.split("(?").skip(1).any(changes_line_ends),
        })
    }
}

/// Whether a group with these flags takes something else for the end of a line: the end of the text, or `\r`.
fn changes_line_ends(group: &str) -> bool {
    let end = group.find(|c: char| c != '-' && !c.is_ascii_alphabetic());
    let flags = &group[..end.unwrap_or(group.len())];
    let cleared = flags.split_once('-').map_or("", |(_, cleared)| cleared);
    flags.contains('R') || cleared.contains('m')
}

impl Pattern for LineRegex {
    #[inline]
    fn is_match(&self, line: &[u8]) -> bool {
        self.regex.is_match(line)
    }

    fn find_line(&self, lines: &[u8]) -> Option<Range<usize>> {
        let mut at = 0;
        while at < lines.len() {
            let found = match self.searches_blocks {
                true => self.regex.find_at(lines, at)?.range(),
                false => at..usize::MAX,
            };
            if found.start == lines.len() && lines.ends_with(b"\n") {
                return None; // there is no line behind the last `\n`
            }
            let line = line_start(lines, found.start)..line_end(lines, found.start);
            // A match that goes on behind the line says nothing about the line alone.
            if found.end <= line.end || self.regex.is_match(&lines[line.clone()]) {
                return Some(line);
            }
            at = line.end + 1;
        }
        None
    }
}

impl IntoPattern for LineRegex {
    type Pattern = Self;

    fn into_pattern(self) -> Self {
        self
    }
}
