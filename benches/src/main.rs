//! This crate against its peers: one run, one table, the same works and the same loops for everybody.

mod contestant;
mod count;
mod end;
mod measure;
mod peers;
mod progress;
mod repeat;
mod serve;
mod table;
mod target;
#[allow(dead_code)] // what only servers need
mod tool;
mod work;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use lexopt::prelude::*;

use contestant::Contestant;
use count::{Counter, Counts};
use measure::{Effort, FULL, QUICK};
use table::Row;
use work::Work;

const HELP: &str = "\
Compares this crate with its peers, per operation.

Usage: yieldfrom-benches [OPTIONS] [WORK]...

Works (all of them by default):
  item        the next item of a generator
  send        send a number to a coroutine, get one back
  create      create a generator, take its only item, see its end, drop it
  cold        create one that stays, and take its first item; no memory is reused
  close       close a suspended one: by value, or by unwinding it
  delegation  the next item through so many delegations
  tree        the next value of a tree of 2^20 nodes that one generator walks by recursion
  crowd       resume one of so many, at random
  spawn       spawn a task on an executor of this thread, and wait for its result
  ping-pong   send a number to another task of this thread, get one back

Options:
      --quick            Measure less: a few seconds in all, and rough numbers
      --counts           Count also with --quick
      --no-counts        Do not count
  -h, --help             Print this

Times are the shortest of many interleaved measurements; only their ratios carry over to another machine.
Instructions (needs valgrind), system calls (needs strace) and memory mappings are counted, and repeat.";

struct Arguments {
    effort: Effort,
    counter: Option<Counter>,
    /// All, if empty.
    works: Vec<String>,
}

fn main() -> ExitCode {
    end::exit_code("yieldfrom-benches", start().map(|()| true))
}

fn start() -> Result<(), Box<dyn Error>> {
    let mut effort = FULL;
    let mut counts = None;
    let mut works = Vec::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => {
                writeln!(io::stdout(), "{HELP}")?;
                return Ok(());
            }
            Long("quick") => effort = QUICK,
            Long("counts") => counts = Some(true),
            Long("no-counts") => counts = Some(false),
            // Not for people: what `count` runs.
            Value(word) if word == "serve" => {
                let name = parser.value()?.string()?;
                let found = peers::ALL.into_iter().find(|(peer, _)| *peer == name);
                let (_, run) = found.ok_or_else(|| format!("nobody is called {name:?}"))?;
                return Ok(serve::serve(run)?);
            }
            Value(word) => {
                let word = word.string()?;
                if !Work::ALL.iter().any(|work| work.kind() == word) {
                    return Err(format!("no work is called {word:?}; see --help").into());
                }
                works.push(word);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let counts = counts.unwrap_or(effort.rounds == FULL.rounds);
    let counter = counts.then(Counter::new).transpose()?;
    compare(&Arguments {
        effort,
        counter,
        works,
    })
}

fn compare(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut contestants = Contestant::all();
    let asked = |work: &Work| {
        let works = &arguments.works;
        works.is_empty() || works.iter().any(|kind| kind == work.kind())
    };
    let works: Vec<Work> = Work::ALL.into_iter().filter(asked).collect();
    let entries = measure::measure(&mut contestants, &works, arguments.effort);
    let mut out = io::stdout();
    writeln!(out, "{}", table::HEADER)?;
    let (mut met, mut all) = (0, 0);
    for entries in entries.chunk_by(|a, b| a.work.kind() == b.work.kind()) {
        let mut rows = Vec::new();
        for entry in entries {
            let who = &contestants[entry.who];
            let counter = arguments
                .counter
                .filter(|_| is_counted(who.name, entry.work));
            rows.push(Row {
                work: entry.work,
                who: who.name,
                nanos: entry.nanos,
                counts: match counter {
                    Some(counter) => counter.count(who, entry.work)?,
                    None => Counts::default(),
                },
            });
        }
        let (here, of) = table::write(&mut out, &rows)?;
        (met, all) = (met + here, all + of);
    }
    writeln!(out, "{met} of {all} targets met. {NOTES}")?;
    Ok(())
}

const NOTES: &str = "Raw is corosensei as this crate uses it: default-features = false,
features = [\"default-stack\"]; its stacks are reused for `create`. With unwind: its default features, measured in
another process.";

/// Who is worth counting: this crate and what it is built on; of tasks, everybody.
fn is_counted(who: &str, work: Work) -> bool {
    use peers::{COROUTINE, GENERATOR, RAW, RAW_DEFAULTS};
    match work {
        Work::Crowd(_) => false,
        Work::Spawn | Work::PingPong => true,
        _ => [GENERATOR, COROUTINE, RAW, RAW_DEFAULTS].contains(&who),
    }
}
