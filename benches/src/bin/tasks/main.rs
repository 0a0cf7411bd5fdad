//! An event loop's tasks: this crate's against its peers, in one run.

#[path = "../../columns.rs"]
mod columns;
mod contestant;
mod count;
#[allow(dead_code)] // what only servers need
#[path = "../../cpu.rs"]
mod cpu;
#[path = "../../end.rs"]
mod end;
#[allow(dead_code)] // what only servers need
#[path = "../../machine.rs"]
mod machine;
mod measure;
#[path = "../../median.rs"]
mod median;
#[path = "../../memory.rs"]
mod memory;
mod peers;
mod process;
#[path = "../../progress.rs"]
mod progress;
#[path = "../../python.rs"]
mod python;
mod pythons;
#[path = "../../repeat.rs"]
mod repeat;
mod serve;
mod table;
#[path = "../../target.rs"]
mod target;
mod targets;
#[allow(dead_code)] // what only servers need
#[path = "../../tool.rs"]
mod tool;
mod work;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;

use contestant::Contestant;
use measure::Effort;
use tool::Tool;
use work::{Size, Work};

const HELP: &str = "\
Compares the tasks of event loops.

Usage: tasks [OPTIONS] [WORK|CONTESTANT]...

Works (all of them by default):
  spawn      spawn a task and wait for its result, one after another
  ping-pong  send a number to another task, get one back; over two channels with room for one
  sleepers   spawn tasks that all sleep at once, wait for each
  waiters    wake tasks that all wait for one event, wait for each

Contestants (all of them by default):
  yieldfrom        closures, each on a stack of its own, on the loop of this crate
  yieldfrom-async  async blocks on the same loop
  smol             async blocks on async-executor's LocalExecutor, async-io, async-channel, event-listener
  tokio            async blocks on tokio's current-thread runtime
  may              the coroutines of may, on one worker; its channels have room for any number
  asyncio          CPython 3.13
  uvloop           the same on uvloop

Options:
      --sleepers N   How many tasks sleep [default: 10000; with --quick 1000]
      --sleep S      For so many seconds [default: 1; with --quick 0.1]
      --waiters N    How many tasks wait [default: 100000; with --quick 10000]
      --rounds N     How often each is measured [default: 10, sleepers and waiters 5; with --quick 2 and 1]
      --quick        Smaller numbers of everything: seconds, and rough figures
      --uvloop       Install uvloop in a temporary folder if it is missing, also with --quick
      --counts       Count also with --quick
      --no-counts    Do not count
  -h, --help         Print this

Each measurement is a process of its own; they all have the same core. Times are the best and the median of interleaved
rounds; only ratios carry over to another machine. Memory is the most that was resident, without what was so before the
work. Instructions (needs valgrind) are counted in runs of their own; those of a waiter are of its whole life. Who is
missing is skipped. If a contestant fails, the exit status is 1.";

#[derive(Default)]
struct Arguments {
    sleepers: Option<u64>,
    sleep: Option<Duration>,
    waiters: Option<u64>,
    rounds: Option<usize>,
    quick: bool,
    uvloop: bool,
    counts: Option<bool>,
    /// All, if empty.
    works: Vec<Work>,
    /// All, if empty.
    contestants: Vec<String>,
}

fn main() -> ExitCode {
    end::exit_code("tasks", start())
}

/// Returns whether no contestant has failed.
fn start() -> Result<bool, Box<dyn Error>> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => {
                writeln!(io::stdout(), "{HELP}")?;
                return Ok(true);
            }
            Long("sleepers") => arguments.sleepers = Some(parser.value()?.parse()?),
            Long("sleep") => arguments.sleep = Some(parser.value()?.parse_with(seconds)?),
            Long("waiters") => arguments.waiters = Some(parser.value()?.parse()?),
            Long("rounds") => arguments.rounds = Some(parser.value()?.parse()?),
            Long("quick") => arguments.quick = true,
            Long("uvloop") => arguments.uvloop = true,
            Long("counts") => arguments.counts = Some(true),
            Long("no-counts") => arguments.counts = Some(false),
            Value(word) if word == contestant::SERVE => {
                let mut next = || -> Result<String, lexopt::Error> { parser.value()?.string() };
                serve(&[next()?, next()?, next()?, next()?])?;
                return Ok(true);
            }
            Value(word) => {
                let word = word.string()?;
                if let Some(work) = Work::named(&word) {
                    arguments.works.push(work);
                } else if peers::ALL.contains(&&*word) {
                    arguments.contestants.push(word);
                } else {
                    let message = format!("no work and no contestant is called {word:?}");
                    return Err(format!("{message}; see --help").into());
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    compare(&arguments)
}

fn seconds(seconds: &str) -> Result<Duration, String> {
    let seconds = seconds.parse().ok();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "not a number of seconds".into())
}

/// Does one work, as a [`Contestant`] asks for it.
fn serve([name, work, n, sleep]: &[String; 4]) -> Result<(), Box<dyn Error>> {
    let found = peers::HERE.into_iter().find(|(peer, _)| peer == name);
    let (_, run) = found.ok_or_else(|| format!("nobody is called {name:?}"))?;
    let work = Work::named(work).ok_or_else(|| format!("no work is called {work:?}"))?;
    let size = Size {
        n: n.parse()?,
        sleep: seconds(sleep)?,
    };
    Ok(serve::serve(run, work, size)?)
}

fn compare(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if [arguments.sleepers, arguments.waiters].contains(&Some(0)) || arguments.rounds == Some(0) {
        return Err("--sleepers, --waiters and --rounds are 1 at least".into());
    }
    let mut out = io::stdout();
    let counts = arguments.counts.unwrap_or(!arguments.quick) && Tool::Cachegrind.is_there()?;
    let is_asked = |name: &str| {
        let names = &arguments.contestants;
        names.is_empty() || names.iter().any(|asked| asked == name)
    };
    let contestants = Contestant::all(is_asked, arguments.uvloop || !arguments.quick);
    for contestant in &contestants {
        if let Some(version) = contestant.version() {
            writeln!(out, "{}: {version}", contestant.name)?;
        }
    }
    let is_asked = |work: &Work| arguments.works.is_empty() || arguments.works.contains(work);
    let (mut met, mut all) = (0, 0);
    let mut succeeded = true;
    for work in Work::ALL.into_iter().filter(is_asked) {
        let effort = arguments.effort(work);
        let mut entries = measure::measure(&contestants, work, effort);
        if counts && work != Work::Sleepers {
            count::count(&mut entries, work);
        }
        table::write(&mut out, work, effort, &entries)?;
        let (here, of) = targets::write(&mut out, work, &entries)?;
        (met, all) = (met + here, all + of);
        succeeded &= entries.iter().all(|entry| entry.failure.is_none());
    }
    writeln!(out, "\n{met} of {all} targets met.")?;
    Ok(succeeded)
}

impl Arguments {
    fn effort(&self, work: Work) -> Effort {
        let (window, sleepers, sleep, waiters) = match self.quick {
            true => (5, 1000, 100, 10_000),
            false => (50, 10_000, 1000, 100_000),
        };
        let rounds = match (self.quick, work.is_repeated()) {
            (false, true) => 10,
            (false, false) => 5,
            (true, true) => 2,
            (true, false) => 1,
        };
        let n = match work {
            Work::Sleepers => self.sleepers.unwrap_or(sleepers),
            _ => self.waiters.unwrap_or(waiters),
        };
        Effort {
            rounds: self.rounds.unwrap_or(rounds),
            window: Duration::from_millis(window),
            size: Size {
                n,
                sleep: self.sleep.unwrap_or(Duration::from_millis(sleep)),
            },
        }
    }
}
