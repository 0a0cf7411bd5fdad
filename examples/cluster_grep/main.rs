//! `grep` on the worker threads of several processes: one stage, as an operator of timely dataflow. On one thread it is
//!
//! ```text
//! lines_of(files).pipe(grep(pattern)).into(print())
//! ```
//!
//! and `--local` runs that. Without it, the same `grep(pattern)` runs on each worker, and prints the same:
//!
//! ```text
//!  worker 0 only                every worker                             worker 0 only
//!  input of pieces  -exchange-> [ read lines -> grep -> keep ] -exchange-> print in order
//!       ^                        a stage as an operator                        |
//!       `------------- waits while too many pieces are on their way -----------'
//! ```
//!
//! # An operator
//!
//! A timely dataflow is a graph that every worker holds a copy of. An operator is a closure in it that is called when there
//! is something to do: it takes batches of items from its input, each with a time, and gives items to its output, at times
//! that it has a capability for. Workers are threads, of one or several processes; an `Exchange` before an operator says
//! which worker an item goes to. An operator also learns which times no more items will come for, its frontier.
//!
//! # Why the stage is the same
//!
//! A stage waits in `recv` until whoever has an item lends it one. That may be a source that pushes, a loop, or an operator
//! that is called with a batch: `dataflow.rs` lends each item with `send`, which comes back when the stage asks for the
//! next. The stage keeps its state in local variables between two calls of the operator, which a closure cannot. A
//! coroutine stays on its thread, and so it is the closure that travels: timely calls it on each worker, and the stage is
//! built there. What a stage knows, it knows of its own worker's items: `head(10)` would pass on ten lines *per worker*.
//!
//! Here an item is a piece of a file, 1 MiB: the lines that *start* within a range of bytes. Its number is its time. Worker 0
//! prints a piece when the frontier has passed it, which puts the lines in order without sorting and without waiting for
//! the end. What waits for its turn is the matches of 4 pieces per worker, and no more: worker 0 does not hand out further
//! pieces before that. Nothing else is collected.
//!
//! # What is guaranteed
//!
//! Timely dataflow does not recover: it is fail-stop.
//!
//! - If process 0 exits with status 0 or 1, it has printed every match once, in order (or its reader has left).
//! - If a process dies, the others end: with status 3, a message that says which one was lost, and without waiting for
//!   what they are doing, unless process 0 is printing and nobody reads. It has then printed whole pieces from the beginning
//!   on; what is missing is the end. Nothing was printed twice. To have all of it, start all of them again.
//! - By itself, timely has a panic on the thread that reads from the lost process, which poisons the queues of the workers,
//!   which panic when they next look there. A worker that is busy, or waits for a file, looks later or never. So the panic
//!   hook in `peers.rs` ends the process at the first of these panics.
//! - "Dies" means that its connections are closed, as the system does for a process however it ends. A machine that loses
//!   its power or its network closes nothing, which is noticed when something is sent there, after TCP has given up, or never;
//!   and a process that is stopped only keeps the others waiting. Put a time limit around it where that matters.
//! - Peers are not authenticated and nothing is encrypted; that all have been started with the same arguments is checked.
//!
//! # When not to use it
//!
//! When starting again is too expensive, or what has been done must not be done twice (payments, mails), the state has to
//! outlive the process: keep the items in a durable log that consumers read from where they stopped (Kafka and its like), or
//! the steps in a durable workflow engine (Temporal and its like). Stages suit there too, between what is read from the log
//! and what is written with the new position; but a suspended coroutine cannot be written to disk, so they begin anew with
//! each batch. And on one machine, `pipe::parallel` needs none of this.

#![forbid(unsafe_code)]

mod args;
mod dataflow;
mod peers;
mod pieces;

use std::cell::Cell;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use yieldfrom::Exception;
use yieldfrom::pipe::{Line, Source, Text, count, grep, map, print};

use args::{Command, Search};
use dataflow::Outcome;

fn main() -> ExitCode {
    let search = match args::parse() {
        Ok(Command::Search(search)) => Arc::new(search),
        Ok(Command::Help) => return end(write!(io::stdout(), "{}", args::HELP), 0),
        Err(error) => {
            eprintln!("cluster_grep: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    let outcome = match search.is_local {
        true => local(&search),
        false => match peers::run(&search) {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("cluster_grep: {error}");
                return ExitCode::from(3);
            }
        },
    };
    // Only the process that prints knows what was found.
    let status = match outcome {
        Outcome {
            has_failed: true, ..
        } => 2,
        Outcome { selected: 0, .. } if search.process == 0 => 1,
        _ => 0,
    };
    end(outcome.printed, status)
}

/// A reader that has seen enough is no failure.
fn end(printed: io::Result<()>, status: u8) -> ExitCode {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("cluster_grep: {error}");
            ExitCode::from(2)
        }
        _ => ExitCode::from(status),
    }
}

/// The pipeline on this thread.
fn local(search: &Search) -> Outcome {
    let has_failed = Rc::new(Cell::new(false));
    let failed = Rc::clone(&has_failed);
    let text = Text::new().on_error(move |error| {
        eprintln!("cluster_grep: {error}");
        failed.set(true);
    });
    let matches = text
        .lines_of(search.files.clone())
        .pipe(grep(search.pattern.clone()));
    let (selected, printed) = match print_matches(matches, search.is_count) {
        Ok(selected) => (selected, Ok(())),
        Err(error) => (0, Err(error.into())),
    };
    Outcome {
        selected,
        has_failed: has_failed.get(),
        printed,
    }
}

fn print_matches(matches: Source<Line>, is_count: bool) -> Result<u64, Exception> {
    if is_count {
        let selected = matches.into(count())?;
        writeln!(io::stdout(), "{selected}")?;
        return Ok(selected);
    }
    let named = map(|line: &Line| {
        let name = line
            .path()
            .map_or(&b""[..], |path| path.as_os_str().as_encoded_bytes());
        [name, b":", line.as_bytes()].concat()
    });
    matches.pipe(named).into(print())
}
