//! `grep_draws`: compares the example `grep` with GNU grep on random files, patterns and options.
//!
//! ```text
//! cargo build --release --examples
//! cargo run --release --example grep_draws -- --draws 10000 --seed 1
//! ```
//!
//! Each draw makes a folder of files, runs both programs in it, and compares standard output, standard error and the
//! exit status. A difference is printed with what a shell needs to see it again, and `--keep` leaves its folder there.
//!
//! What is not drawn, since the two differ: ranges of letters beyond ASCII, which glibc's C.UTF-8 refuses; a repetition of
//! an anchor, or an interval where an extended expression begins, of which GNU grep selects other lines than `-o` shows;
//! borders of words, and context, with bytes that are not UTF-8 (see `files.rs`); `-o` with both `-w` and `-x`, where
//! it prints line ends twice; with `-w` and `-o` or `--color`, patterns whose matches are of several lengths, of which it
//! makes those behind the first of a line too short; an interval of a group with a border of a word, in which glibc does
//! not see that there may be none; `-z` with an anchor and a group, which only one of GNU grep's two matchers finds behind
//! a `\n`; a backslash that ends the last of several patterns, which it refuses only sometimes; a negative `-m` with
//! context; `--help` and `--version`. Directories are searched in the order of names here, and in the system's there, so
//! with `-r` the lines are compared sorted, and without separators.
//!
//! Exit status: 0 if there was no difference, 1 if there was, 2 for a wrong command line, 3 if there is no GNU grep.
//!
//! | file | what |
//! |---|---|
//! | `draw.rs` | random numbers |
//! | `files.rs` | random files |
//! | `patterns.rs` | random patterns |
//! | `options.rs` | random options |
//! | `compare.rs` | runs both, and compares |

#![forbid(unsafe_code)]

mod compare;
mod draw;
mod files;
mod options;
mod patterns;

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

use compare::{Case, Programs};
use draw::Draw;

const HELP: &str = "\
grep_draws: compares the example grep with GNU grep on random files, patterns and options
  cargo run --release --example grep_draws -- [--draws N] [--seed S] [--keep]

  --draws N   how many; 1000 by default
  --seed S    what to draw; 1 by default
  --only N    draws only the one of that number
  --keep      leaves the folders of the differences
";

struct Arguments {
    draws: u64,
    seed: u64,
    only: Option<u64>,
    keeps: bool,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return 0.into();
        }
        Err(error) => {
            eprintln!("grep_draws: {error}; try --help");
            return 2.into();
        }
    };
    match Programs::find() {
        Ok(programs) => run(&arguments, &programs),
        Err(message) => {
            eprintln!("!!! grep_draws: {message}: NOTHING WAS COMPARED");
            3.into()
        }
    }
}

fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    let mut arguments = Arguments {
        draws: 1000,
        seed: 1,
        only: None,
        keeps: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("draws") => arguments.draws = parser.value()?.parse()?,
            Long("seed") => arguments.seed = parser.value()?.parse()?,
            Long("only") => arguments.only = Some(parser.value()?.parse()?),
            Long("keep") => arguments.keeps = true,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(arguments))
}

fn run(arguments: &Arguments, programs: &Programs) -> ExitCode {
    let (mut differences, mut selected, mut failed, mut slow) = (0, 0, 0, 0);
    let numbers = match arguments.only {
        Some(only) => only..only + 1,
        None => 0..arguments.draws,
    };
    let draws = numbers.end - numbers.start;
    for number in numbers {
        let mut draw = Draw::new(arguments.seed, number);
        let folder = folder(number);
        let case = Case::draw(&mut draw, &folder);
        let outcome = case.run(programs);
        selected += u64::from(outcome.status == Some(0));
        failed += u64::from(outcome.status == Some(2));
        slow += u64::from(outcome.status.is_none());
        if let Some(difference) = &outcome.difference {
            differences += 1;
            println!("draw {number} of seed {}:\n{difference}", arguments.seed);
        }
        if outcome.difference.is_none() || !arguments.keeps {
            case.remove();
        }
    }
    println!(
        "{draws} draws of seed {}, {selected} with a selected line, {failed} with an error, {slow} too slow in GNU grep: {differences} differences",
        arguments.seed
    );
    u8::from(differences > 0).into()
}

fn folder(number: u64) -> PathBuf {
    let name = format!("grep_draws-{}-{number}", std::process::id());
    std::env::temp_dir().join(name)
}
