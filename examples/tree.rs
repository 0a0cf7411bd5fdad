//! The labels of a tree, handed out by a recursion, a visitor and a callback. In Python:
//!
//! ```python
//! def in_order(tree):
//!     if tree:
//!         yield from in_order(tree.left)
//!         yield tree.label
//!         yield from in_order(tree.right)
//!
//! print("".join(in_order(tree)))
//! ```
//!
//! Look at what is not there: a generator for each level. `in_order` is a plain function that yields from any
//! depth, and `Tree::visit` and `Tree::each` do not know that they run in a generator. The tree is only borrowed:
//! that takes `scoped`.

use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::{Yielder, scoped};

type Subtree = Option<Box<Tree>>;

struct Tree {
    left: Subtree,
    label: char,
    right: Subtree,
}

fn in_order(subtree: &Subtree, y: &Yielder<char>) {
    if let Some(tree) = subtree {
        in_order(&tree.left, y);
        y.yield_(tree.label);
        in_order(&tree.right, y);
    }
}

/// Told where a walk is, as by a parser of XML.
trait Visitor {
    fn enter(&mut self, label: char);
    fn leave(&mut self, label: char);
}

impl Tree {
    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.enter(self.label);
        for tree in [&self.left, &self.right].into_iter().flatten() {
            tree.visit(visitor);
        }
        visitor.leave(self.label);
    }

    fn each(&self, callback: &mut dyn FnMut(char)) {
        callback(self.label);
        for tree in [&self.left, &self.right].into_iter().flatten() {
            tree.each(callback);
        }
    }
}

/// A visitor that yields: the walk becomes a sequence.
struct Tags<'y>(&'y Yielder<String>);

impl Visitor for Tags<'_> {
    fn enter(&mut self, label: char) {
        self.0.yield_(format!("<{label}>"));
    }

    fn leave(&mut self, label: char) {
        self.0.yield_(format!("</{label}>"));
    }
}

fn run() -> io::Result<()> {
    let mut out = io::stdout();
    let labels: Vec<char> = "abcdefg".chars().collect();
    let subtree = balanced(&labels);
    let tree = subtree.as_deref().ok_or(io::ErrorKind::InvalidData)?;

    let in_order = |y: &_| in_order(&subtree, y);
    let joined = scoped(in_order, |labels| labels.collect::<String>());
    writeln!(out, "recursion: {joined}")?;

    let tags = |y: &_| tree.visit(&mut Tags(y));
    let joined = scoped(tags, |tags| tags.collect::<String>());
    writeln!(out, "visitor:   {joined}")?;

    // The consumer stops after three labels, and with that the walk stops too.
    let each = |y: &Yielder<_>| tree.each(&mut |label| y.yield_(label));
    let joined = scoped(each, |labels| labels.take(3).collect::<String>());
    writeln!(out, "callback:  {joined}")?;

    // Two walks in step, which no callback can do.
    let pairs = scoped(in_order, |left| {
        scoped(each, |right| {
            left.zip(right).filter(|(a, b)| a == b).collect::<Vec<_>>()
        })
    });
    writeln!(out, "in step:   {pairs:?}")
}

/// A tree with the `labels` in order, as shallow as can be.
fn balanced(labels: &[char]) -> Subtree {
    let (left, rest) = labels.split_at(labels.len() / 2);
    let (label, right) = rest.split_first()?;
    Some(Box::new(Tree {
        left: balanced(left),
        label: *label,
        right: balanced(right),
    }))
}

const HELP: &str = "\
tree: a walk through a tree as a generator, whatever does the walking: a recursion, a
visitor, a callback; and two walks in step

Run it with: cargo run --example tree
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("tree: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("tree: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
