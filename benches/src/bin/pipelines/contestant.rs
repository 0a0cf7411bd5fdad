//! Who is measured, and how to run them.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::loops;
use crate::ours;
use crate::programs;
use crate::search::{Pattern, Search};

use How::Here;

#[derive(Clone, Copy)]
pub struct Contestant {
    pub name: &'static str,
    pub kind: Kind,
    pub how: How,
}

/// What one looks at at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Lines,
    Blocks,
    /// Nothing: it only reads, and does not count.
    Nothing,
}

#[derive(Clone, Copy)]
pub enum How {
    /// A call, which returns how many lines match.
    Here(fn(&Path, &Pattern) -> io::Result<u64>),
    /// A program, which prints how many lines match.
    There(fn(&Path, &Search) -> Command),
}

pub const LOOP_LINES: &str = "plain loop, lines";
pub const LOOP_BLOCKS: &str = "plain loop, blocks";

/// Everybody, and the versions of programs. What is missing is said on standard error.
pub fn all() -> (Vec<Contestant>, Vec<String>) {
    let mut all = ours::all().to_vec();
    all.extend([
        Contestant::new(LOOP_LINES, Kind::Lines, Here(loops::lines)),
        Contestant::new("read_until, lines", Kind::Lines, Here(loops::read_until)),
        Contestant::new(LOOP_BLOCKS, Kind::Blocks, Here(loops::blocks)),
        Contestant::new("reading alone", Kind::Nothing, Here(loops::reading)),
    ]);
    let (programs, versions) = programs::all();
    all.extend(programs);
    (all, versions)
}

impl Contestant {
    pub const fn new(name: &'static str, kind: Kind, how: How) -> Self {
        Self { name, kind, how }
    }

    /// By its name, without what is in parentheses there.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.name.split(" (").next() == Some(name)
    }

    /// Counts the lines that match; `pattern` is what `search` compiles to.
    pub fn run(&self, path: &Path, search: &Search, pattern: &Pattern) -> io::Result<u64> {
        match self.how {
            Here(run) => run(path, pattern),
            How::There(command) => count_there(command(path, search)),
        }
    }
}

fn count_there(mut command: Command) -> io::Result<u64> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    // As grep's: 0 if lines match, 1 if none does.
    if !matches!(output.status.code(), Some(0 | 1)) {
        let message = format!("{command:?} failed: {}", output.status);
        return Err(io::Error::other(message));
    }
    match String::from_utf8_lossy(&output.stdout).trim() {
        "" => Ok(0), // ripgrep leaves out a file without a match
        count => count.parse().map_err(|_| {
            let message = format!("{command:?} printed {count:?}, which is no count");
            io::Error::other(message)
        }),
    }
}
