//! The programs that do the same, as their users run them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::contestant::How::There;
use crate::contestant::{Contestant, Kind};
use crate::python::{Python, first_line};
use crate::search::{Search, Syntax};

/// In two locales, of which the faster one counts.
pub const GREP: &str = "GNU grep";
const GREP_UTF_8: &str = "GNU grep (C.UTF-8)";
const GREP_C: &str = "GNU grep (C)";
pub const RG: &str = "rg -j1 --no-mmap";
pub const RG_MMAP: &str = "rg -j1";

/// Those that are there, and their versions.
pub fn all() -> (Vec<Contestant>, Vec<String>) {
    let mut all = Vec::new();
    let mut versions = Vec::new();
    let mut add = |program: &str, version: Option<String>, contestants: &[Contestant]| {
        match version {
            Some(version) => {
                versions.push(version);
                all.extend_from_slice(contestants);
            }
            None => eprintln!("!!! {program} is missing: what needs it is SKIPPED"),
        };
    };
    add(
        "the example grep (`cargo build --release --examples` builds it)",
        example_grep().map(|_| "the example grep".to_owned()),
        &[Contestant::new(
            "this crate, example grep",
            Kind::Blocks,
            There(|p, s| counting_grep(example_grep().expect("it is asked for first"), p, s)),
        )],
    );
    add(
        GREP,
        first_line("grep", &["--version"]).filter(|version| version.contains("GNU")),
        &[
            Contestant::new(
                GREP_UTF_8,
                Kind::Blocks,
                There(|p, s| grep("C.UTF-8", p, s)),
            ),
            Contestant::new(GREP_C, Kind::Blocks, There(|p, s| grep("C", p, s))),
        ],
    );
    add(
        "ripgrep (rg; `cargo install ripgrep` installs it)",
        first_line("rg", &["--no-config", "--version"]),
        &[
            Contestant::new(RG, Kind::Blocks, There(|p, s| rg(&["--no-mmap"], p, s))),
            Contestant::new(RG_MMAP, Kind::Blocks, There(|p, s| rg(&[], p, s))),
        ],
    );
    add(
        "Python 3 (python3)",
        python().map(|python| format!("CPython {}", python.version)),
        &[Contestant::new(
            "CPython coroutines",
            Kind::Lines,
            There(cpython),
        )],
    );
    (all, versions)
}

/// The example, built in the same profile: it is in a folder beside this program.
fn example_grep() -> Option<PathBuf> {
    let ours = std::env::current_exe().ok()?;
    let example = ours.parent()?.join("examples").join("grep");
    let example = example.with_extension(std::env::consts::EXE_EXTENSION);
    example.exists().then_some(example)
}

fn grep(locale: &str, path: &Path, search: &Search) -> Command {
    let mut command = counting_grep("grep", path, search);
    command.env("LC_ALL", locale);
    command
}

fn counting_grep(program: impl AsRef<OsStr>, path: &Path, search: &Search) -> Command {
    let mut command = Command::new(program);
    command.arg("-c").args(match search.syntax {
        Syntax::Literal => ["-F"].as_slice(),
        Syntax::IgnoreCase => &["-F", "-i"],
        Syntax::Regex => &["-E"],
    });
    command.args(["-e", search.pattern, "--"]).arg(path);
    command
}

fn rg(options: &[&str], path: &Path, search: &Search) -> Command {
    let mut command = Command::new("rg");
    let syntax = match search.syntax {
        Syntax::Literal => ["-F"].as_slice(),
        Syntax::IgnoreCase => &["-F", "-i"],
        Syntax::Regex => &[],
    };
    command.args(["--no-config", "-c", "-j1"]).args(options);
    command.args(syntax).args(["-e", search.pattern, "--"]);
    command.arg(path);
    command
}

fn cpython(path: &Path, search: &Search) -> Command {
    let python = python().expect("it is asked for first");
    let mut command = Command::new(&python.program);
    command.args(["-c", include_str!("grep.py")]);
    command.arg(match search.syntax {
        Syntax::Literal => "literal",
        Syntax::IgnoreCase => "ignore-case",
        Syntax::Regex => "regex",
    });
    command.arg(search.pattern).arg(path);
    command
}

fn python() -> Option<&'static Python> {
    static FOUND: OnceLock<Option<Python>> = OnceLock::new();
    // 3.13 is the reference elsewhere, and is looked for first.
    FOUND.get_or_init(|| Python::find(|_| true)).as_ref()
}
