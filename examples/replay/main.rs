//! Replays recorded programs and prints what happened, to be compared with CPython.
//!
//! ```text
//! replay generators < cases > traces
//! replay tasks < cases > traces
//! ```
//!
//! reads one case per line, a JSON program of generators that drive each other, or of tasks on an event loop, and prints one
//! trace per line: what came out of each step, what was logged, and how everything ended. The formats are described in
//! `generators.rs` and `tasks.rs`. Python scripts that compile the same cases to real generators, or to real coroutines on
//! asyncio, print the same traces; the crate's tests keep a few hundred recorded ones.

mod generators;
mod json;
mod tasks;

use std::io::{self, BufRead, BufWriter, Write};
use std::process::ExitCode;

const HELP: &str = "\
Replays recorded programs and prints their traces, one JSON line each.

Usage: replay generators|tasks < CASES > TRACES

  generators   programs of generators that drive each other
  tasks        programs of tasks on an event loop, on a virtual clock

A line that is {\"case\": .., \"trace\": ..} counts as its case.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match what[..] {
        ["generators"] => replay(generators::run),
        ["tasks"] => replay(tasks::run),
        ["--help" | "-h"] => writeln!(io::stdout(), "{HELP}"),
        _ => {
            eprintln!("replay: expected one argument, `generators` or `tasks`; see --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::from(2)
        }
    }
}

/// Answers every line of standard input with a line on standard output.
fn replay(run: fn(&serde_json::Value) -> Result<String, String>) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let trace = serde_json::from_str::<serde_json::Value>(&line)
            .map_err(|error| error.to_string())
            .and_then(|case| run(case.get("case").unwrap_or(&case)))
            .map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("line {}: {error}", number + 1),
                )
            })?;
        writeln!(output, "{trace}")?;
    }
    output.flush()
}
