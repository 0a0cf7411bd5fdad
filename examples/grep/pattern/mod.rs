//! Which lines are selected, and what in them matches.

mod backtrack;
mod bracket;
mod node;
mod parse;
mod sets;
mod words;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::ops::Range;

use memchr::{memchr, memrchr};
use regex_automata::meta::{Cache, Config, Regex};
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
    /// If all matches start where a line does: the same behind the end of the line before. That is searched for faster,
    /// since it often begins with a string.
    behind_end: Option<Regex>,
    cache: RefCell<Cache>,
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
        let behind_end = behind_end(&nodes, options)?;
        let cache = behind_end.as_ref().unwrap_or(&candidate).create_cache();
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
            behind_end,
            cache: cache.into(),
            matchers: matchers.collect::<Result<_, _>>()?,
            words,
            line_end: options.line_end,
        })
    }

    /// The next line in a block of whole lines, from `at` on, that matches. `at` is where a line starts.
    pub fn next_line(&self, block: &[u8], mut at: usize) -> Option<Range<usize>> {
        while at < block.len() && !self.matchers.is_empty() {
            let place = self.candidate(block, at)?;
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

    /// How many lines of a block match.
    pub fn count_lines(&self, block: &[u8]) -> u64 {
        let (mut count, mut at) = (0, 0);
        if !self.is_exact() {
            while let Some(line) = self.next_line(block, at) {
                (count, at) = (count + 1, line.end);
            }
            return count;
        }
        // Where the lines start makes no difference.
        while at < block.len() && !self.matchers.is_empty() {
            match self.candidate(block, at) {
                Some(place) if place < block.len() => at = self.line_end_behind(block, place),
                _ => break,
            }
            count += 1;
        }
        count
    }

    /// A place in the next line, from `at` on, that may match. So a match may end as early as it can, and need not be
    /// followed back to its start.
    fn candidate(&self, block: &[u8], at: usize) -> Option<usize> {
        let cache = &mut self.cache.borrow_mut();
        let input = Input::new(block).earliest(true);
        let Some(behind_end) = &self.behind_end else {
            let found = self.candidate.search_half_with(cache, &input.range(at..));
            return Some(found?.offset());
        };
        let mut end = at.saturating_sub(1);
        if at == 0 {
            end = memchr(self.line_end, block)?;
            let first = self.candidate.search_half(&input.clone().range(..end));
            if let Some(found) = first {
                return Some(found.offset());
            }
        }
        let found = behind_end.search_half_with(cache, &input.range(end..));
        Some(found?.offset())
    }

    /// Whether every line with a candidate matches, so that none takes long.
    pub fn is_exact(&self) -> bool {
        let has_back_reference = |matcher: &Matcher| matcher.backtracker.is_some();
        self.words.is_none() && !self.matchers.iter().any(has_back_reference)
    }

    /// The line in which the byte at `place` is, or which it ends, with what ends it.
    fn line_around(&self, block: &[u8], place: usize) -> Range<usize> {
        let start = memrchr(self.line_end, &block[..place]).map_or(0, |end| end + 1);
        start..self.line_end_behind(block, place)
    }

    /// Where the line ends in which the byte at `place` is, or which it ends.
    fn line_end_behind(&self, block: &[u8], place: usize) -> usize {
        let end = memchr(self.line_end, &block[place..]);
        end.map_or(block.len(), |end| place + end + 1)
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

/// The automaton that finds a match together with the end of the line before, if all matches start behind one.
fn behind_end(nodes: &[Node], options: &Options) -> Result<Option<Regex>, Vec<String>> {
    let line_end = || Hir::literal([options.line_end]);
    let hir = |node: &Node| node.hir(options.line_end, End::OfLine);
    let hir = match options.whole_lines {
        true => {
            let lines = Hir::alternation(nodes.iter().map(hir).collect());
            Some(Hir::concat(vec![line_end(), lines, Hir::look(Look::EndLF)]))
        }
        false => {
            let behind = nodes.iter().map(|node| {
                let rest = hir(&node.behind_line_start()?);
                Some(Hir::concat(vec![line_end(), rest]))
            });
            behind.collect::<Option<_>>().map(Hir::alternation)
        }
    };
    hir.map(|hir| build(&hir, options, MatchKind::LeftmostFirst))
        .transpose()
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
    build(&hir, options, kind)
}

fn build(hir: &Hir, options: &Options, kind: MatchKind) -> Result<Regex, Vec<String>> {
    let config = Config::new()
        .match_kind(kind)
        .utf8_empty(false)
        .line_terminator(options.line_end)
        .nfa_size_limit(Some(SIZE_LIMIT))
        .hybrid_cache_capacity(8 << 20);
    let built = Regex::builder().configure(config).build_from_hir(hir);
    built.map_err(|error| vec![error.to_string()])
}

/// The character that a text begins with, if that is UTF-8.
fn first_char(text: &[u8]) -> Option<char> {
    let head = &text[..text.len().min(4)];
    head.utf8_chunks().next()?.valid().chars().next()
}
