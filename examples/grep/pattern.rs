//! Which lines are selected.

use std::fmt::Write;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::args::Options;

/// For thousands of patterns.
const SIZE_LIMIT: usize = 1 << 28;

pub struct Pattern {
    matcher: Matcher,
    invert: bool,
}

enum Matcher {
    /// One string.
    String(Box<Finder<'static>>),
    /// One regular expression, or any of several strings.
    Regex(Regex),
    /// Any of several regular expressions. They are not joined with `|`, which `(?x)` could break.
    Any(RegexSet),
}

impl Pattern {
    pub fn new(options: &Options) -> Result<Self, regex::Error> {
        let (is_fixed, ignore_case) = (options.fixed_strings, options.ignore_case);
        let sources = options.patterns.iter().map(|p| source(p, is_fixed));
        let mut sources: Vec<String> = sources.collect();
        if is_fixed {
            sources = vec![sources.join("|")];
        }
        let matcher = match &options.patterns[..] {
            [string] if !ignore_case && (is_fixed || is_plain(string)) => {
                Matcher::String(Box::new(Finder::new(string).into_owned()))
            }
            _ if sources.len() == 1 => Matcher::Regex(
                RegexBuilder::new(&sources[0])
                    .case_insensitive(ignore_case)
                    .size_limit(SIZE_LIMIT)
                    .build()?,
            ),
            _ => Matcher::Any(
                RegexSetBuilder::new(&sources)
                    .case_insensitive(ignore_case)
                    .size_limit(SIZE_LIMIT)
                    .build()?,
            ),
        };
        Ok(Self {
            matcher,
            invert: options.invert_match,
        })
    }

    /// Whether a line, without what ends it, is selected.
    pub fn selects(&self, line: &[u8]) -> bool {
        let is_match = match &self.matcher {
            Matcher::String(finder) => finder.find(line).is_some(),
            Matcher::Regex(regex) => regex.is_match(line),
            Matcher::Any(set) => set.is_match(line),
        };
        is_match != self.invert
    }
}

/// Whether a regular expression is a string that matches itself.
fn is_plain(pattern: &[u8]) -> bool {
    std::str::from_utf8(pattern).is_ok_and(|pattern| regex::escape(pattern) == pattern)
}

/// The regular expression for a pattern. Bytes that are not UTF-8 stand for themselves.
fn source(pattern: &[u8], is_fixed: bool) -> String {
    let mut source = String::new();
    for chunk in pattern.utf8_chunks() {
        if is_fixed {
            source.push_str(&regex::escape(chunk.valid()));
        } else {
            source.push_str(chunk.valid());
        }
        for byte in chunk.invalid() {
            let _ = write!(source, "(?-u:\\x{byte:02x})"); // a `String` takes everything
        }
    }
    source
}
