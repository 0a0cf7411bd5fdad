//! The parts of a pattern, before they become an automaton.

use regex_syntax::hir::{Class, ClassUnicode, Hir, Look, Repetition};

use super::End;

#[derive(Clone, Debug)]
pub enum Node {
    Empty,
    Char(char),
    /// A byte that is not UTF-8 and stands for itself.
    Byte(u8),
    Set(ClassUnicode),
    Look(Look),
    Group(usize, Box<Node>),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat {
        min: u32,
        max: Option<u32>,
        node: Box<Node>,
    },
    /// What the group of that number has matched.
    Back(usize),
}

impl Node {
    /// The regular expression that matches the same, also in a block of lines. For a back-reference it takes anything on
    /// the line.
    pub fn hir(&self, line_end: u8, end: End) -> Hir {
        let hirs = |nodes: &[Node]| nodes.iter().map(|node| node.hir(line_end, end)).collect();
        match self {
            Node::Empty => Hir::empty(),
            Node::Char(char) => Hir::literal(char.encode_utf8(&mut [0; 4]).as_bytes()),
            Node::Byte(byte) => Hir::literal([*byte]),
            Node::Set(set) => Hir::class(Class::Unicode(set.clone())),
            Node::Look(Look::EndLF) if end == End::Cut => Hir::fail(),
            Node::Look(Look::End) if end == End::OfLine => Hir::look(Look::EndLF),
            Node::Look(look) => Hir::look(*look),
            Node::Group(_, node) => node.hir(line_end, end),
            Node::Concat(nodes) => Hir::concat(hirs(nodes)),
            Node::Alternate(nodes) => Hir::alternation(hirs(nodes)),
            Node::Repeat { min, max, node } => repeat(*min, *max, node.hir(line_end, end)),
            Node::Back(_) => repeat(0, None, Hir::dot(dot(line_end))),
        }
    }

    /// What follows the `^` that it begins with.
    pub fn behind_line_start(&self) -> Option<Node> {
        match self {
            Node::Concat(nodes) => match &nodes[..] {
                [Node::Look(Look::StartLF), rest @ ..] => Some(Node::Concat(rest.to_vec())),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is a string, each character of which has at most two cases in ASCII.
    pub fn is_string(&self) -> bool {
        match self {
            Node::Empty | Node::Char(_) | Node::Byte(_) => true,
            // What `Chars::char` makes of `a` with `-i`.
            Node::Set(set) => matches!(set.ranges(), [upper, lower]
                if [upper.end(), lower.start(), lower.end()].map(|char| char.to_ascii_uppercase()) == [upper.start(); 3]),
            Node::Concat(nodes) => nodes.iter().all(Node::is_string),
            _ => false,
        }
    }

    pub fn has_back_reference(&self) -> bool {
        match self {
            Node::Back(_) => true,
            Node::Group(_, node) | Node::Repeat { node, .. } => node.has_back_reference(),
            Node::Concat(nodes) | Node::Alternate(nodes) => {
                nodes.iter().any(Node::has_back_reference)
            }
            _ => false,
        }
    }
}

fn repeat(min: u32, max: Option<u32>, sub: Hir) -> Hir {
    Hir::repetition(Repetition {
        min,
        max,
        greedy: true,
        sub: Box::new(sub),
    })
}

/// Any byte of a line.
fn dot(line_end: u8) -> regex_syntax::hir::Dot {
    regex_syntax::hir::Dot::AnyByteExcept(line_end)
}
