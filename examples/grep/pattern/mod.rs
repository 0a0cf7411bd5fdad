//! Which lines are selected, and what in them matches.

mod backtrack;
mod bracket;
mod node;
mod parse;
mod sets;

use std::cmp::Reverse;
use std::ops::Range;

use memchr::{memchr, memrchr};
use regex_automata::meta::{Config, Regex};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{ClassUnicode, Hir, Look};

use crate::options::Options;
use backtrack::Backtracker;
use node::Node;
pub use parse::Syntax;
use parse::{Chars, parse};

/// For thousands of patterns.
const SIZE_LIMIT: usize = 1 << 28;

/// How many patterns are also made automata of one by one.
const MAX_EACH: usize = 1000;

/// The patterns of the command line.
pub struct Pattern {
    /// Finds where a line may match: in a block of lines, its match lies in such a line.
    candidate: Regex,
    /// Finds the longest match from where one starts.
    longest: Regex,
    /// For patterns with back-references, of which the two find too much.
    backtracker: Option<Backtracker>,
    is_empty: bool,
    /// Each of several patterns: GNU grep makes the match of one shorter without regard to the others.
    each: Vec<Pattern>,
    /// If a match has to be a word.
    words: Option<Words>,
    line_end: u8,
}

impl Pattern {
    /// Reads the patterns. What GNU grep warns of is added to `warnings`; the errors, too, are in its words.
    pub fn new(options: &Options, warnings: &mut Vec<String>) -> Result<Self, Vec<String>> {
        if options.syntax == Syntax::Perl {
            let message = "Perl matching not supported in a --disable-perl-regexp build";
            return Err(vec![message.to_owned()]);
        }
        let nodes = read(options, warnings)?;
        let mut all = Self::of(nodes.clone(), options)?;
        if all.words.is_some() && (2..=MAX_EACH).contains(&nodes.len()) {
            let each = nodes.into_iter().map(|node| Self::of(vec![node], options));
            all.each = each.collect::<Result<_, _>>()?;
        }
        Ok(all)
    }

    fn of(nodes: Vec<Node>, options: &Options) -> Result<Self, Vec<String>> {
        let hirs = nodes.iter().map(|node| node.hir(options.line_end));
        let mut hir = Hir::alternation(hirs.collect());
        if options.whole_lines {
            hir = Hir::concat(vec![Hir::look(Look::StartLF), hir, Hir::look(Look::EndLF)]);
        }
        let build = |kind| automaton(&hir, kind, options.line_end);
        let has_back_reference = nodes.iter().any(Node::has_back_reference);
        Ok(Self {
            candidate: build(MatchKind::LeftmostFirst)?,
            longest: build(MatchKind::All)?,
            is_empty: nodes.is_empty(),
            each: Vec::new(),
            backtracker: has_back_reference
                .then(|| Backtracker::new(nodes, options.whole_lines, options.ignore_case)),
            words: (options.whole_words && !options.whole_lines).then(|| Words(sets::word())),
            line_end: options.line_end,
        })
    }

    /// The next line in a block of whole lines, from `at` on, that matches. `at` is where a line starts.
    pub fn next_line(&self, block: &[u8], mut at: usize) -> Option<Range<usize>> {
        while at < block.len() && !self.is_empty {
            let found = self.candidate.find(Input::new(block).range(at..))?;
            if found.start() == block.len() {
                return None; // behind the end of the last line
            }
            let line = self.line_around(block, found.start());
            if self.is_exact() || self.find(&block[line.start..line.end - 1], 0).is_some() {
                return Some(line);
            }
            at = line.end;
        }
        None
    }

    /// Whether every line with a candidate matches.
    fn is_exact(&self) -> bool {
        self.words.is_none() && self.backtracker.is_none()
    }

    /// The line that has the byte at `at`, with what ends it.
    fn line_around(&self, block: &[u8], at: usize) -> Range<usize> {
        let start = memrchr(self.line_end, &block[..at]).map_or(0, |end| end + 1);
        let end = memchr(self.line_end, &block[at..]).map_or(block.len(), |end| at + end + 1);
        start..end
    }

    /// The leftmost match in a line that starts at `from` or later, and of those there the longest.
    ///
    /// A match that has to be a word is, as in GNU grep, made shorter until it is one, but not empty; failing that, one
    /// that starts later is looked for.
    pub fn find(&self, line: &[u8], from: usize) -> Option<Range<usize>> {
        if self.each.is_empty() {
            return self.find_any(line, from);
        }
        let found = self.each.iter().filter_map(|one| one.find_any(line, from));
        found.min_by_key(|found| (found.start, Reverse(found.end)))
    }

    fn find_any(&self, line: &[u8], mut from: usize) -> Option<Range<usize>> {
        while from <= line.len() {
            let start = self.candidate.find(Input::new(line).range(from..))?.start();
            let mut end = self.longest(line, start, line.len());
            while let Some(found) = end {
                if self
                    .words
                    .as_ref()
                    .is_none_or(|words| words.is_word(line, start..found))
                {
                    return Some(start..found);
                }
                if found == start {
                    break;
                }
                let shorter = self.longest(line, start, found - 1);
                end = shorter.filter(|end| *end > start);
            }
            from = start + 1;
        }
        None
    }

    /// Where the longest match ends that starts at `start` and ends at `limit` or before.
    fn longest(&self, line: &[u8], start: usize, limit: usize) -> Option<usize> {
        if let Some(backtracker) = &self.backtracker {
            return backtracker.longest(line, start, limit);
        }
        let input = Input::new(line).range(start..limit).anchored(Anchored::Yes);
        Some(self.longest.find(input)?.end())
    }
}

/// Reads all patterns, and tells what is wrong with each of them.
fn read(options: &Options, warnings: &mut Vec<String>) -> Result<Vec<Node>, Vec<String>> {
    let chars = Chars {
        ignore_case: options.ignore_case,
        line_end: options.line_end,
    };
    let (mut nodes, mut errors) = (Vec::new(), Vec::new());
    for pattern in &options.patterns {
        match (
            parse(&pattern.text, options.syntax, chars, warnings),
            &pattern.place,
        ) {
            (Ok(node), _) => nodes.push(node),
            (Err(error), Some((file, line))) if error != bracket::CLASS_WITHOUT_BRACKET => {
                errors.push(format!("{file}:{line}: {error}"));
            }
            (Err(error), _) => errors.push(error.to_owned()),
        }
    }
    match errors.is_empty() {
        true => Ok(nodes),
        false => {
            warnings.clear();
            Err(errors)
        }
    }
}

fn automaton(hir: &Hir, kind: MatchKind, line_end: u8) -> Result<Regex, Vec<String>> {
    let config = Config::new()
        .match_kind(kind)
        .utf8_empty(false)
        .line_terminator(line_end)
        .nfa_size_limit(Some(SIZE_LIMIT))
        .hybrid_cache_capacity(8 << 20);
    let built = Regex::builder().configure(config).build_from_hir(hir);
    built.map_err(|error| vec![error.to_string()])
}

/// The letters, digits and underscores, of which a match of whole words has none beside it.
struct Words(ClassUnicode);

impl Words {
    fn is_word(&self, line: &[u8], part: Range<usize>) -> bool {
        // The first may begin before the part does: an empty match may stand between the bytes of a character.
        let before = match part.start {
            0 => None,
            start => first_char(&line[start_of_char(line, start - 1)..]),
        };
        let behind = first_char(&line[part.end..]);
        !before.is_some_and(|char| self.contains(char))
            && !behind.is_some_and(|char| self.contains(char))
    }

    fn contains(&self, char: char) -> bool {
        match char.is_ascii() {
            true => char.is_ascii_alphanumeric() || char == '_',
            false => sets::contains(&self.0, char),
        }
    }
}

/// Where the character starts that the byte at `at` belongs to.
fn start_of_char(line: &[u8], at: usize) -> usize {
    let is_start = |start: &usize| {
        let length = first_char(&line[*start..]).map_or(0, char::len_utf8);
        start + length > at
    };
    (at.saturating_sub(3)..at).find(is_start).unwrap_or(at)
}

/// The character that a text begins with, if that is UTF-8.
fn first_char(text: &[u8]) -> Option<char> {
    let head = &text[..text.len().min(4)];
    head.utf8_chunks().next()?.valid().chars().next()
}
