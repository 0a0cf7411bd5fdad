//! What is searched for.

use memchr::memmem::Finder;
use regex::bytes::Regex;

#[derive(Clone, Copy)]
pub struct Search {
    pub name: &'static str,
    pub pattern: &'static str,
    pub syntax: Syntax,
    /// The percentages of lines that are to match, for the figures to mean what the name says.
    pub percent: (f64, f64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    Literal,
    /// A literal in which no letter has other forms than its capital: in Unicode `k` and `s` do.
    IgnoreCase,
    /// The same in POSIX's, the `regex` crate's and Python's dialect. It matches no `\n`.
    Regex,
}

impl Search {
    pub const FREQUENT: &str = "frequent";

    pub const ALL: [Self; 4] = [
        Self {
            name: Self::FREQUENT,
            pattern: "the",
            syntax: Syntax::Literal,
            percent: (5.0, 20.0),
        },
        Self {
            name: "rare",
            pattern: "Sherlock",
            syntax: Syntax::Literal,
            percent: (0.0, 0.01),
        },
        Self {
            name: "ignore-case",
            pattern: "error",
            syntax: Syntax::IgnoreCase,
            percent: (0.0, 20.0),
        },
        Self {
            name: "regex",
            pattern: "[A-Z][a-z]+[A-Z][a-z]+",
            syntax: Syntax::Regex,
            percent: (0.0, 20.0),
        },
    ];

    pub fn compile(&self) -> Result<Pattern, regex::Error> {
        Ok(match self.syntax {
            Syntax::Literal => Pattern::Literal(Box::new(Finder::new(self.pattern))),
            Syntax::IgnoreCase => {
                Pattern::Regex(Regex::new(&format!("(?i){}", regex::escape(self.pattern)))?)
            }
            Syntax::Regex => Pattern::Regex(Regex::new(self.pattern)?),
        })
    }
}

/// Ready to be looked for.
#[derive(Clone)]
pub enum Pattern {
    Literal(Box<Finder<'static>>),
    Regex(Regex),
}
