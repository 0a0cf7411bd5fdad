//! This crate's pipelines against plain loops, GNU grep, ripgrep and CPython: all count the lines of one file that match.

mod blocks;
mod contestant;
#[path = "../../cpu.rs"]
mod cpu;
#[path = "../../end.rs"]
mod end;
mod loops;
mod measure;
mod ours;
mod programs;
#[path = "../../progress.rs"]
mod progress;
#[path = "../../python.rs"]
mod python;
mod search;
mod sources;
mod table;
mod target;
mod text;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

use search::Search;
use text::{MEGABYTE, Text};

const HELP: &str = "\
Compares pipelines of this crate with plain loops, GNU grep, ripgrep and CPython at counting lines.

Usage: pipelines [OPTIONS] [SEARCH]...

Searches (all of them by default):
  frequent     a literal that many lines contain
  rare         a literal that hardly a line contains
  ignore-case  a literal, in capitals or not
  regex        a regular expression without a literal

Options:
      --quick        A smaller file and fewer rounds: seconds, and rough numbers
      --size MB      How much to search, in millions of bytes [default: 1000; with --quick 64]
      --rounds N     How often each is measured [default: 10; with --quick 3]
      --file PATH    Search this file; if there is none, make it there
      --keep         Keep the file that was made, for the next time
  -h, --help         Print this

The file is made of the text that is on this machine and is searched from the page cache. Times are the shortest of
interleaved rounds; only their ratios carry over to another machine. A program's time includes its start. Everybody has to
find the same number of lines: else the exit status is 1.";

#[derive(Default)]
struct Arguments {
    quick: bool,
    /// In bytes.
    size: Option<u64>,
    rounds: Option<usize>,
    file: Option<PathBuf>,
    keep: bool,
    /// All, if empty.
    searches: Vec<String>,
}

fn main() -> ExitCode {
    end::exit_code("pipelines", start())
}

/// Returns whether everybody has found the same number of lines.
fn start() -> Result<bool, Box<dyn Error>> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => {
                writeln!(io::stdout(), "{HELP}")?;
                return Ok(true);
            }
            Long("quick") => arguments.quick = true,
            Long("size") => {
                let size: u64 = parser.value()?.parse()?;
                arguments.size = Some(size.checked_mul(MEGABYTE).ok_or("--size is too large")?);
            }
            Long("rounds") => arguments.rounds = Some(parser.value()?.parse()?),
            Long("file") => arguments.file = Some(parser.value()?.into()),
            Long("keep") => arguments.keep = true,
            Value(word) => {
                let word = word.string()?;
                if !Search::ALL.iter().any(|search| search.name == word) {
                    return Err(format!("no search is called {word:?}; see --help").into());
                }
                arguments.searches.push(word);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    compare(&arguments)
}

fn compare(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let (size, rounds) = match arguments.quick {
        true => (64 * MEGABYTE, 3),
        false => (1000 * MEGABYTE, 10),
    };
    let size = arguments.size.unwrap_or(size);
    let rounds = arguments.rounds.unwrap_or(rounds);
    if size == 0 || rounds == 0 {
        return Err("--size and --rounds are 1 at least".into());
    }
    let asked = |search: &Search| {
        let names = &arguments.searches;
        names.is_empty() || names.iter().any(|name| name == search.name)
    };
    let searches: Vec<Search> = Search::ALL.into_iter().filter(asked).collect();

    let text = Text::find_or_make(arguments.file.as_deref(), size, arguments.keep)?;
    let mut out = io::stdout();
    writeln!(out, "{text}")?;
    let (contestants, versions) = contestant::all();
    for version in versions {
        writeln!(out, "{version}")?;
    }
    let entries = measure::measure(&contestants, &searches, text.path(), rounds)?;

    let mut agree = true;
    for (search, entries) in searches.iter().zip(&entries) {
        agree &= table::write(&mut out, search, entries, &text)?;
    }
    target::write(&mut out, &searches, &entries)?;
    Ok(agree)
}
