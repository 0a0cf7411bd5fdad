//! Matches that have to be words.

use std::ops::Range;

use regex_syntax::hir::ClassUnicode;

use super::node::Node;
use super::{End, Matcher, first_char, sets};

/// Chooses the matches that have no letter, digit or underscore beside them.
pub struct Words {
    chars: ClassUnicode,
    /// Whether a match may be made shorter until it is empty. In GNU grep only strings may, which another function looks
    /// for than regular expressions.
    may_be_emptied: bool,
}

impl Words {
    pub fn new(nodes: &[Node]) -> Self {
        Self {
            chars: sets::word(),
            may_be_emptied: nodes.iter().all(Node::is_string),
        }
    }

    /// The leftmost match that is a word and starts at `from` or later.
    ///
    /// As in GNU grep, the longest match from a start is made shorter until it is a word. For that it is looked for again
    /// in the line up to one byte less, as if nothing stood behind.
    pub fn find(&self, matcher: &Matcher, line: &[u8], mut from: usize) -> Option<Range<usize>> {
        while let Some(Range { start, mut end }) = matcher.find(line, from) {
            loop {
                if self.is_word(line, start..end) {
                    return Some(start..end);
                }
                if end == start {
                    break;
                }
                match matcher.longest(&line[..end - 1], start, End::Cut) {
                    Some(shorter) if shorter > start || self.may_be_emptied => end = shorter,
                    _ => break,
                }
            }
            from = start + 1;
        }
        None
    }

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
            false => sets::contains(&self.chars, char),
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
