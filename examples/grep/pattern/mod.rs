//! Which lines are selected, and what in them matches.

mod backtrack;
mod bracket;
mod node;
mod parse;
mod sets;
mod words;

use std::cmp::Reverse;
use std::ops::Range;

use memchr::{memchr, memrchr};
use regex_automata::meta::{Config, Regex};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, Look};

use crate::options::Options;
use backtrack::Backtracker;
use node::Node;
pub use parse::Syntax;
use parse::{Chars, parse};
use words::Words;

/// For thousands of patterns.
const SIZE_LIMIT: usize = 1 << 28;

/// The patterns of the command line.
pub struct Pattern {
    /// Finds where a line may match: in a block of lines, its match lies in such a line.
    candidate: Regex,
    /// As GNU grep has them: one for all patterns without back-references, and one for each other.
    matchers: Vec<Matcher>,
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
        let candidate = automaton(&nodes, options, MatchKind::LeftmostFirst, End::OfLine)?;
        let words = (options.whole_words && !options.whole_lines).then(|| Words::new(&nodes));
        let (groups, plain): (Vec<_>, Vec<_>) =
            nodes.into_iter().partition(Node::has_back_reference);
        let groups = groups.into_iter().map(|node| vec![node]);
        let plain = Some(plain).filter(|nodes| !nodes.is_empty());
        let matchers = groups
            .chain(plain)
            .map(|nodes| Matcher::new(nodes, options));
        Ok(Self {
            candidate,
            matchers: matchers.collect::<Result<_, _>>()?,
            words,
            line_end: options.line_end,
        })
    }

    /// The next line in a block of whole lines, from `at` on, that matches. `at` is where a line starts.
    pub fn next_line(&self, block: &[u8], mut at: usize) -> Option<Range<usize>> {
        while at < block.len() && !self.matchers.is_empty() {
            // Any place in the line will do, so the match may end as early as it can, and need not be followed back to
            // its start.
            let input = Input::new(block).range(at..).earliest(true);
            let place = self.candidate.search_half(&input)?.offset();
            if place == block.len() {
                return None; // behind the end of the last line
            }
            let line = self.line_around(block, place);
            if self.is_exact() || self.find(&block[line.start..line.end - 1], 0).is_some() {
                return Some(line);
            }
            at = line.end;
        }
        None
    }

    /// Whether every line with a candidate matches, so that none takes long.
    pub fn is_exact(&self) -> bool {
        let has_back_reference = |matcher: &Matcher| matcher.backtracker.is_some();
        self.words.is_none() && !self.matchers.iter().any(has_back_reference)
    }

    /// The line in which the byte at `at` is, or which it ends, with what ends it.
    fn line_around(&self, block: &[u8], at: usize) -> Range<usize> {
        let start = memrchr(self.line_end, &block[..at]).map_or(0, |end| end + 1);
        let end = memchr(self.line_end, &block[at..]).map_or(block.len(), |end| at + end + 1);
        start..end
    }

    /// The leftmost match in a line that starts at `from` or later, and of those there the longest.
    pub fn find(&self, line: &[u8], from: usize) -> Option<Range<usize>> {
        let find = |matcher: &Matcher| match &self.words {
            None => matcher.find(line, from),
            Some(words) => words.find(matcher, line, from),
        };
        let found = self.matchers.iter().filter_map(find);
        found.min_by_key(|found| (found.start, Reverse(found.end)))
    }
}

/// Finds the longest match of some patterns.
struct Matcher {
    /// Finds where a match starts.
    start: Regex,
    /// Finds the longest from there.
    longest: Regex,
    /// The same in a line that is cut off, for words.
    longest_in_cut: Option<Regex>,
    /// For a pattern with back-references, of which the others find too much.
    backtracker: Option<Backtracker>,
}

/// What a line has behind its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    OfLine,
    /// It is cut off. There `\'` matches, and so does `\>` behind a letter, but `$` does not.
    Cut,
}

impl Matcher {
    fn new(nodes: Vec<Node>, options: &Options) -> Result<Self, Vec<String>> {
        let build = |kind, end| automaton(&nodes, options, kind, end);
        let longest_in_cut = match options.whole_words && !options.whole_lines {
            true => Some(build(MatchKind::All, End::Cut)?),
            false => None,
        };
        Ok(Self {
            start: build(MatchKind::LeftmostFirst, End::OfLine)?,
            longest: build(MatchKind::All, End::OfLine)?,
            longest_in_cut,
            backtracker: nodes
                .iter()
                .any(Node::has_back_reference)
                .then(|| Backtracker::new(nodes, options.whole_lines, options.ignore_case)),
        })
    }

    /// The leftmost match that starts at `from` or later, and of those there the longest.
    fn find(&self, line: &[u8], mut from: usize) -> Option<Range<usize>> {
        while from <= line.len() {
            let start = self.start.find(Input::new(line).range(from..))?.start();
            if let Some(end) = self.longest(line, start, End::OfLine) {
                return Some(start..end);
            }
            from = start + 1;
        }
        None
    }

    /// Where the longest match ends that starts at `start`.
    fn longest(&self, line: &[u8], start: usize, end: End) -> Option<usize> {
        if let Some(backtracker) = &self.backtracker {
            return backtracker.longest(line, start, end);
        }
        let longest = match end {
            End::OfLine => &self.longest,
            End::Cut => self.longest_in_cut.as_ref()?,
        };
        let input = Input::new(line).range(start..).anchored(Anchored::Yes);
        Some(longest.find(input)?.end())
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

fn automaton(
    nodes: &[Node],
    options: &Options,
    kind: MatchKind,
    end: End,
) -> Result<Regex, Vec<String>> {
    let hirs = nodes.iter().map(|node| node.hir(options.line_end, end));
    let mut hir = Hir::alternation(hirs.collect());
    if options.whole_lines {
        hir = Hir::concat(vec![Hir::look(Look::StartLF), hir, Hir::look(Look::EndLF)]);
    }
    let config = Config::new()
        .match_kind(kind)
        .utf8_empty(false)
        .line_terminator(options.line_end)
        .nfa_size_limit(Some(SIZE_LIMIT))
        .hybrid_cache_capacity(8 << 20);
    let built = Regex::builder().configure(config).build_from_hir(&hir);
    built.map_err(|error| vec![error.to_string()])
}

/// The character that a text begins with, if that is UTF-8.
fn first_char(text: &[u8]) -> Option<char> {
    let head = &text[..text.len().min(4)];
    head.utf8_chunks().next()?.valid().chars().next()
}
