//! Reads the regular expressions of POSIX with GNU's extensions, as `grep` does.

use regex_syntax::hir::{ClassUnicode, Look};

use super::bracket;
use super::first_char;
use super::node::Node;
use super::sets;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Basic,
    Extended,
    Fixed,
    Perl,
}

/// How characters are understood.
#[derive(Clone, Copy)]
pub struct Chars {
    pub ignore_case: bool,
    pub line_end: u8,
}

impl Chars {
    pub fn set(self, class: ClassUnicode) -> Node {
        Node::Set(sets::within_line(class, self.line_end))
    }

    pub fn char(self, char: char) -> Node {
        if char == char::from(self.line_end) {
            return self.set(sets::range(char, char));
        }
        if !self.ignore_case {
            return Node::Char(char);
        }
        let upper = sets::upper(char);
        match sets::folded(upper, upper) {
            class if class.ranges().len() > 1 => Node::Set(class),
            _ => Node::Char(char),
        }
    }
}

/// The largest number in an interval.
const MAX_REPEAT: u32 = 32767;

const UNMATCHED_OPEN: &str = "Unmatched ( or \\(";
const UNMATCHED_CLOSE: &str = "Unmatched ) or \\)";
const UNMATCHED_BRACE: &str = "Unmatched \\{";
const INVALID_CONTENT: &str = "Invalid content of \\{\\}";
const TOO_BIG: &str = "Regular expression too big";
const INVALID_BACK_REFERENCE: &str = "Invalid back reference";
const TRAILING_BACKSLASH: &str = "Trailing backslash";

/// What it is that a pattern says, in GNU grep's words, or what is wrong with it.
pub type Result<T> = std::result::Result<T, &'static str>;

/// Reads one pattern. What GNU grep warns of is added to `warnings`.
pub fn parse(
    pattern: &[u8],
    syntax: Syntax,
    chars: Chars,
    warnings: &mut Vec<String>,
) -> Result<Node> {
    let mut parser = Parser {
        rest: pattern,
        is_extended: syntax == Syntax::Extended,
        chars,
        is_at_start: true,
        is_bare: true,
        depth: 0,
        groups: 0,
        complete: 0,
        warnings,
    };
    if syntax == Syntax::Fixed {
        return Ok(parser.string());
    }
    let node = parser.alternation()?;
    debug_assert!(parser.rest.is_empty());
    Ok(node)
}

struct Parser<'a> {
    /// What has not been read.
    rest: &'a [u8],
    is_extended: bool,
    chars: Chars,
    /// Whether the branch has nothing yet: then `^` is an anchor.
    is_at_start: bool,
    /// Whether it has nothing that could be repeated: then the basic syntax takes `*` for itself.
    is_bare: bool,
    depth: usize,
    groups: usize,
    /// A bit for each group that is complete, and so may be referred to.
    complete: u32,
    warnings: &'a mut Vec<String>,
}

enum Token {
    Node(Node),
    Repeat {
        min: u32,
        max: Option<u32>,
        sign: &'static str,
    },
    Open,
    Close,
    Or,
}

impl<'a> Parser<'a> {
    fn string(&mut self) -> Node {
        let mut nodes = Vec::new();
        while !self.rest.is_empty() {
            nodes.push(self.literal());
        }
        Node::Concat(nodes)
    }

    /// Reads up to the `)` that belongs to an outer group, or the end. In each branch only the groups before it and in it
    /// are complete.
    fn alternation(&mut self) -> Result<Node> {
        let complete_before = self.complete;
        let mut complete = self.complete;
        let mut branches = Vec::new();
        loop {
            self.complete = complete_before;
            let (branch, is_last) = self.branch()?;
            branches.push(branch);
            complete |= self.complete;
            if is_last {
                break;
            }
        }
        self.complete = complete;
        Ok(match branches.len() {
            1 => branches.remove(0),
            _ => Node::Alternate(branches),
        })
    }

    /// Reads up to `|` or what ends the alternation, and tells whether it was that.
    fn branch(&mut self) -> Result<(Node, bool)> {
        (self.is_at_start, self.is_bare) = (true, true);
        let mut nodes = Vec::new();
        while let Some(token) = self.token()? {
            match token {
                Token::Node(node) => {
                    self.is_at_start = false;
                    self.is_bare &= matches!(node, Node::Look(_));
                    nodes.push(node);
                }
                // The extended syntax warns, and leaves it out.
                Token::Repeat { sign, .. } if self.is_bare => {
                    self.warnings.push(format!("{sign} at start of expression"));
                }
                Token::Repeat { min, max, .. } => {
                    let node = Box::new(nodes.pop().unwrap_or(Node::Empty));
                    nodes.push(Node::Repeat { min, max, node });
                }
                Token::Open => nodes.push(self.group()?),
                Token::Or => return Ok((Node::Concat(nodes), false)),
                Token::Close => return Ok((Node::Concat(nodes), true)),
            }
        }
        match self.depth {
            0 => Ok((Node::Concat(nodes), true)),
            _ => Err(UNMATCHED_OPEN),
        }
    }

    fn group(&mut self) -> Result<Node> {
        self.groups += 1;
        let number = self.groups;
        self.depth += 1;
        let node = self.alternation()?;
        self.depth -= 1;
        if number < 32 {
            self.complete |= 1 << number;
        }
        (self.is_at_start, self.is_bare) = (false, false);
        Ok(Node::Group(number, Box::new(node)))
    }

    fn token(&mut self) -> Result<Option<Token>> {
        let Some((&first, rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        let token = match first {
            b'\\' => return self.escaped(rest).map(Some),
            b'[' => return self.bracket(rest).map(Some),
            b'{' if self.is_extended => return self.extended_interval(rest).map(Some),
            b'.' => Token::Node(self.chars.set(sets::range('\0', char::MAX))),
            // The basic syntax has anchors only where a branch begins and ends.
            b'^' if self.is_extended || self.is_at_start => look(Look::StartLF),
            b'$' if self.is_extended || ends_branch(rest) => look(Look::EndLF),
            b'*' if self.is_extended || !self.is_bare => repeat(0, None, "*"),
            b'+' if self.is_extended => repeat(1, None, "+"),
            b'?' if self.is_extended => repeat(0, Some(1), "?"),
            b'(' if self.is_extended => Token::Open,
            b')' if self.is_extended && self.depth > 0 => Token::Close,
            b'|' if self.is_extended => Token::Or,
            _ => return Ok(Some(Token::Node(self.literal()))),
        };
        self.rest = rest;
        Ok(Some(token))
    }

    /// The next character, or a byte that is none.
    fn literal(&mut self) -> Node {
        match first_char(self.rest) {
            Some(char) => {
                self.rest = &self.rest[char.len_utf8()..];
                self.chars.char(char)
            }
            None => {
                let byte = self.rest[0];
                self.rest = &self.rest[1..];
                Node::Byte(byte)
            }
        }
    }

    fn bracket(&mut self, rest: &'a [u8]) -> Result<Token> {
        let (set, rest) = bracket::parse(rest, self.chars)?;
        self.rest = rest;
        Ok(Token::Node(self.chars.set(set)))
    }

    /// What follows a backslash.
    fn escaped(&mut self, rest: &'a [u8]) -> Result<Token> {
        let Some((&first, behind)) = rest.split_first() else {
            return Err(TRAILING_BACKSLASH);
        };
        let space = || sets::class("space").unwrap_or_else(ClassUnicode::empty);
        let is_basic = !self.is_extended;
        let token = match first {
            b'(' if is_basic => Token::Open,
            b')' if is_basic && self.depth == 0 => return Err(UNMATCHED_CLOSE),
            b')' if is_basic => Token::Close,
            b'|' if is_basic => Token::Or,
            b'{' if is_basic && !self.is_bare => return self.basic_interval(behind),
            b'+' if is_basic && !self.is_bare => repeat(1, None, "+"),
            b'?' if is_basic && !self.is_bare => repeat(0, Some(1), "?"),
            b'1'..=b'9' if self.complete & (1 << (first - b'0')) == 0 => {
                return Err(INVALID_BACK_REFERENCE);
            }
            b'1'..=b'9' => Token::Node(Node::Back((first - b'0').into())),
            b'<' => look(Look::WordStartUnicode),
            b'>' => look(Look::WordEndUnicode),
            b'b' => look(Look::WordUnicode),
            b'B' => look(Look::WordUnicodeNegate),
            b'`' => look(Look::StartLF),
            b'\'' => look(Look::End),
            b'w' => Token::Node(self.chars.set(sets::word())),
            b'W' => Token::Node(self.chars.set(sets::inverse(sets::word()))),
            b's' => Token::Node(self.chars.set(space())),
            b'S' => Token::Node(self.chars.set(sets::inverse(space()))),
            _ => {
                self.rest = rest;
                return Ok(Token::Node(self.literal()));
            }
        };
        self.rest = behind;
        Ok(token)
    }

    /// `\{1,2\}`, from behind its brace.
    fn basic_interval(&mut self, rest: &'a [u8]) -> Result<Token> {
        match interval(rest, b"\\}") {
            Some((bounds, rest)) => {
                self.rest = rest;
                repeat_within(bounds)
            }
            None if rest.windows(2).any(|pair| pair == b"\\}") => Err(INVALID_CONTENT),
            None => Err(UNMATCHED_BRACE),
        }
    }

    /// `{1,2}`, from behind its brace, which stands for itself if it is not that.
    fn extended_interval(&mut self, rest: &'a [u8]) -> Result<Token> {
        match interval(rest, b"}") {
            Some((bounds, rest)) => {
                self.rest = rest;
                repeat_within(bounds)
            }
            None => Ok(Token::Node(self.literal())),
        }
    }
}

fn look(look: Look) -> Token {
    Token::Node(Node::Look(look))
}

fn repeat(min: u32, max: Option<u32>, sign: &'static str) -> Token {
    Token::Repeat { min, max, sign }
}

fn ends_branch(rest: &[u8]) -> bool {
    rest.is_empty() || rest.starts_with(b"\\)") || rest.starts_with(b"\\|")
}

type Bounds = (Option<u32>, Option<u32>);

/// Reads `1`, `1,`, `,2` or `1,2`, and what closes it. The bounds are the two numbers; `1` alone is both.
fn interval<'a>(text: &'a [u8], close: &[u8]) -> Option<(Bounds, &'a [u8])> {
    let (min, rest) = digits(text);
    let (bounds, rest) = match rest {
        [b',', rest @ ..] => {
            let (max, rest) = digits(rest);
            ((Some(min.unwrap_or(0)), max), rest)
        }
        rest => ((min, min), rest),
    };
    let rest = rest.strip_prefix(close)?;
    bounds.0.is_some().then_some((bounds, rest))
}

/// Reads a number, one that is too large as the largest.
fn digits(text: &[u8]) -> (Option<u32>, &[u8]) {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    let add = |number: u32, digit: &u8| {
        let digit = u32::from(digit - b'0');
        number.saturating_mul(10).saturating_add(digit)
    };
    let number = digits.iter().fold(0, add);
    ((length > 0).then_some(number), rest)
}

fn repeat_within((min, max): Bounds) -> Result<Token> {
    let min = min.unwrap_or(0);
    match max {
        Some(max) if max < min => Err(INVALID_CONTENT),
        _ if max.unwrap_or(min) > MAX_REPEAT => Err(TOO_BIG),
        _ => Ok(repeat(min, max, "{...}")),
    }
}
