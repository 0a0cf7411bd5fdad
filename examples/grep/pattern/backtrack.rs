//! Patterns with back-references, which no automaton can match: tries all ways, and takes the longest match.

use regex_automata::util::look::LookMatcher;
use regex_syntax::hir::Look;

use super::node::Node;
use super::sets;
use super::{End, first_char};

/// How deep the search may go, and how many steps it may take for one start. Beyond that there is no match.
const MAX_DEPTH: usize = 20_000;
const MAX_STEPS: usize = 20_000_000;

pub struct Backtracker {
    patterns: Vec<Node>,
    whole_lines: bool,
    ignore_case: bool,
    looks: LookMatcher,
}

/// Where the groups have matched.
type Groups = [Option<(usize, usize)>; 10];

/// What is left to match.
#[derive(Clone, Copy)]
enum Rest<'a> {
    End,
    Nodes(&'a [Node], &'a Rest<'a>),
    /// The group's number and where it has started.
    Close(usize, usize, &'a Rest<'a>),
    Again {
        node: &'a Node,
        min: u32,
        max: Option<u32>,
        /// Where the last round has started: one that matches nothing is the last.
        from: usize,
        rest: &'a Rest<'a>,
    },
}

struct Search<'a> {
    line: &'a [u8],
    end: End,
    groups: Groups,
    longest: Option<usize>,
    depth: usize,
    steps: usize,
    backtracker: &'a Backtracker,
}

impl Backtracker {
    pub fn new(patterns: Vec<Node>, whole_lines: bool, ignore_case: bool) -> Self {
        Self {
            patterns,
            whole_lines,
            ignore_case,
            looks: LookMatcher::new(),
        }
    }

    /// Where the longest match ends that starts at `start`.
    pub fn longest(&self, line: &[u8], start: usize, end: End) -> Option<usize> {
        if self.whole_lines && start > 0 {
            return None;
        }
        let ends = self.patterns.iter().filter_map(|pattern| {
            let mut search = Search {
                line,
                end,
                groups: [None; 10],
                longest: None,
                depth: 0,
                steps: 0,
                backtracker: self,
            };
            search.nodes(std::slice::from_ref(pattern), start, &Rest::End);
            search.longest
        });
        ends.max()
    }
}

impl Search<'_> {
    /// Goes on with what is left. Returns whether the search is over, since nothing longer can be found.
    fn rest(&mut self, rest: &Rest, at: usize) -> bool {
        match *rest {
            Rest::End => {
                let is_match = !self.backtracker.whole_lines || at == self.line.len();
                if is_match && self.longest.is_none_or(|end| end < at) {
                    self.longest = Some(at);
                }
                is_match && at == self.line.len()
            }
            Rest::Nodes(nodes, rest) => self.nodes(nodes, at, rest),
            Rest::Close(number, start, rest) => {
                let Some(&group) = self.groups.get(number) else {
                    return self.rest(rest, at);
                };
                self.groups[number] = Some((start, at));
                let is_over = self.rest(rest, at);
                self.groups[number] = group;
                is_over
            }
            Rest::Again { from, rest, .. } if from == at => self.rest(rest, at),
            Rest::Again {
                node,
                min,
                max,
                rest,
                ..
            } => self.repeat(node, min, max, at, rest),
        }
    }

    fn nodes(&mut self, nodes: &[Node], at: usize, rest: &Rest) -> bool {
        let Some((first, others)) = nodes.split_first() else {
            return self.rest(rest, at);
        };
        self.steps += 1;
        if self.depth >= MAX_DEPTH || self.steps >= MAX_STEPS {
            return true;
        }
        self.depth += 1;
        let is_over = self.node(first, at, &Rest::Nodes(others, rest));
        self.depth -= 1;
        is_over
    }

    fn node(&mut self, node: &Node, at: usize, rest: &Rest) -> bool {
        match node {
            Node::Empty => self.rest(rest, at),
            Node::Look(look) => self.is_at(*look, at) && self.rest(rest, at),
            Node::Char(_) | Node::Byte(_) | Node::Set(_) => match self.step(node, at) {
                Some(next) => self.rest(rest, next),
                None => false,
            },
            Node::Group(number, node) => {
                let close = Rest::Close(*number, at, rest);
                self.nodes(std::slice::from_ref(&**node), at, &close)
            }
            Node::Concat(nodes) => self.nodes(nodes, at, rest),
            Node::Alternate(nodes) => nodes
                .iter()
                .any(|node| self.nodes(std::slice::from_ref(node), at, rest)),
            Node::Repeat { min, max, node } => self.repeat(node, *min, *max, at, rest),
            Node::Back(number) => match self.again(*number, at) {
                Some(end) => self.rest(rest, end),
                None => false,
            },
        }
    }

    /// Where the text of a group ends, if it stands at `at` once more.
    fn again(&self, number: usize, mut at: usize) -> Option<usize> {
        let (start, end) = self.groups[number]?;
        let (mut text, ahead) = (&self.line[start..end], &self.line[at..]);
        if !self.backtracker.ignore_case {
            return ahead.starts_with(text).then_some(at + text.len());
        }
        while !text.is_empty() {
            let ahead = &self.line[at..];
            let (one, other) = (first_char(text), first_char(ahead));
            let is_same = match (one, other) {
                (Some(one), Some(other)) => sets::upper(one) == sets::upper(other),
                _ => one == other && text.first() == ahead.first(),
            };
            if !is_same {
                return None;
            }
            text = &text[one.map_or(1, char::len_utf8)..];
            at += other.map_or(1, char::len_utf8);
        }
        Some(at)
    }

    /// As many rounds as possible, then fewer.
    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, at: usize, rest: &Rest) -> bool {
        if matches!(node, Node::Char(_) | Node::Byte(_) | Node::Set(_)) {
            return self.repeat_char(node, min, max, at, rest);
        }
        if max != Some(0) {
            let again = Rest::Again {
                node,
                min: min.saturating_sub(1),
                max: max.map(|max| max - 1),
                // A round that must be made may match nothing.
                from: if min > 0 { usize::MAX } else { at },
                rest,
            };
            if self.nodes(std::slice::from_ref(node), at, &again) {
                return true;
            }
        }
        min == 0 && self.rest(rest, at)
    }

    /// The same for a single character, without going deeper.
    fn repeat_char(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
        at: usize,
        rest: &Rest,
    ) -> bool {
        let mut ends = vec![at];
        let mut end = at;
        while max.is_none_or(|max| ends.len() <= max as usize) {
            let Some(next) = self.step(node, end) else {
                break;
            };
            end = next;
            ends.push(end);
        }
        let enough = ends.into_iter().skip(min as usize).rev();
        enough.into_iter().any(|end| self.rest(rest, end))
    }

    /// Where the character at `at` ends, if it is the one that `node` means.
    fn step(&self, node: &Node, at: usize) -> Option<usize> {
        let text = &self.line[at..];
        let char = || first_char(text);
        let length = match node {
            Node::Byte(byte) => (text.first() == Some(byte)).then_some(1)?,
            Node::Char(wanted) => char().filter(|char| char == wanted)?.len_utf8(),
            Node::Set(set) => char().filter(|char| sets::contains(set, *char))?.len_utf8(),
            _ => return None,
        };
        Some(at + length)
    }

    fn is_at(&self, look: Look, at: usize) -> bool {
        let looks = &self.backtracker.looks;
        let is_there = match look {
            Look::StartLF => return at == 0,
            Look::EndLF => return at == self.line.len() && self.end == End::OfLine,
            Look::End => return at == self.line.len(),
            Look::WordStartUnicode => looks.is_word_start_unicode(self.line, at),
            Look::WordEndUnicode => looks.is_word_end_unicode(self.line, at),
            Look::WordUnicode => looks.is_word_unicode(self.line, at),
            _ => looks.is_word_unicode_negate(self.line, at),
        };
        is_there.unwrap_or(false)
    }
}
