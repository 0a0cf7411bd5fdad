//! A TCP echo server of one thread: this crate's fibers against its peers, in one run.

#[path = "../../columns.rs"]
mod columns;
mod contestant;
mod count;
#[path = "../../cpu.rs"]
mod cpu;
#[path = "../../end.rs"]
mod end;
mod load;
#[path = "../../machine.rs"]
mod machine;
mod measure;
#[path = "../../median.rs"]
mod median;
#[allow(dead_code)] // what only the program `tasks` needs
#[path = "../../memory.rs"]
mod memory;
#[path = "../../progress.rs"]
mod progress;
mod serve;
mod servers;
mod table;
mod target;
#[path = "../../tool.rs"]
mod tool;

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;

use count::Counter;
use load::{Scenario, Until};
use measure::Effort;

const HELP: &str = "\
Compares TCP echo servers on the loopback interface.

Usage: echo [OPTIONS] [SERVER]...

Servers (all of them by default):
  yieldfrom  sync code in fibers of this crate, on async-executor's LocalExecutor
  smol       async code on async-io and async-executor's LocalExecutor
  tokio      async code on tokio's current-thread runtime
  may        the coroutines of may, on one worker
  threads    a thread for each connection, which blocks

Options:
      --busy N         How many connections send a message, wait for it and send the next (or --connections)
      --idle N         How many more there are on which nothing is sent; in the end it is seen that they are served
      --size BYTES     How long a message is [default: 1024]
      --seconds S      How long each server is measured in each round [default: 1; with --quick 0.3]
      --messages N     Measure it for so many messages instead
      --rounds N       How often each is measured [default: 10, with idle connections 3; with --quick 2 and 1]
      --quick          Smaller numbers of everything: seconds, and rough figures
      --counts         Count also with --quick
      --no-counts      Do not count
  -h, --help           Print this

Without --busy and --idle there are two scenarios: 64 busy connections; 1,000 busy and 10,000 idle ones.

Each server is a process with a core of its own, the client has another one. Rates are the best and the median of
interleaved rounds; only ratios carry over to another machine. Processor time is the server's, of all rounds together; how
much of it is the program's own is sampled by most kernels, instructions (needs valgrind) are not. These and system calls
are counted in runs of their own, without idle connections: by strace, where messages are sent when the answers to all of
the last ones are there, and by perf at full speed, which needs root mostly. If a server fails, the exit status is 1.";

#[derive(Default)]
struct Arguments {
    busy: Option<usize>,
    idle: Option<usize>,
    size: Option<usize>,
    until: Option<Until>,
    rounds: Option<usize>,
    quick: bool,
    counts: Option<bool>,
    /// All, if empty.
    servers: Vec<&'static str>,
}

fn main() -> ExitCode {
    end::exit_code("echo", start())
}

/// Returns whether no server has failed.
fn start() -> Result<bool, Box<dyn Error>> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    let find = |name: &str| {
        let found = servers::ALL.into_iter().find(|(server, _)| *server == name);
        found.ok_or_else(|| format!("no server is called {name:?}; see --help"))
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => {
                writeln!(io::stdout(), "{HELP}")?;
                return Ok(true);
            }
            Long("busy" | "connections") => arguments.busy = Some(parser.value()?.parse()?),
            Long("idle") => arguments.idle = Some(parser.value()?.parse()?),
            Long("size") => arguments.size = Some(parser.value()?.parse()?),
            Long("seconds") => {
                let time = Duration::try_from_secs_f64(parser.value()?.parse()?)?;
                arguments.until = Some(Until::Elapsed(time));
            }
            Long("messages") => {
                arguments.until = Some(Until::Messages(parser.value()?.parse()?));
            }
            Long("rounds") => arguments.rounds = Some(parser.value()?.parse()?),
            Long("quick") => arguments.quick = true,
            Long("counts") => arguments.counts = Some(true),
            Long("no-counts") => arguments.counts = Some(false),
            Value(word) if word == contestant::SERVE => {
                let (_, serve) = find(&parser.value()?.string()?)?;
                serve::serve(serve)?;
                return Ok(true);
            }
            Value(word) => arguments.servers.push(find(&word.string()?)?.0),
            other => return Err(other.unexpected().into()),
        }
    }
    compare(&arguments)
}

fn compare(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let size = arguments.size.unwrap_or(1024);
    if size == 0 || arguments.busy == Some(0) || arguments.rounds == Some(0) {
        return Err("--busy, --size and --rounds are 1 at least".into());
    }
    let mut out = io::stdout();
    let counts = arguments.counts.unwrap_or(!arguments.quick);
    let counter = counts.then(Counter::new).transpose()?;
    let most = machine::most_connections()?;
    let mut succeeded = true;
    for scenario in scenarios(arguments) {
        let scenario = scenario.with_at_most(most);
        let rounds = match (arguments.quick, scenario.idle) {
            (false, 0) => 10,
            (false, _) => 3,
            (true, 0) => 2,
            (true, _) => 1,
        };
        let seconds = if arguments.quick { 0.3 } else { 1.0 };
        let until = Until::Elapsed(Duration::from_secs_f64(seconds));
        let effort = Effort {
            rounds: arguments.rounds.unwrap_or(rounds),
            until: arguments.until.unwrap_or(until),
        };
        let mut entries = measure::measure(&arguments.servers(scenario), &scenario, effort);
        if let Some(counter) = counter.filter(|_| scenario.idle == 0) {
            for entry in entries.iter_mut().filter(|entry| entry.failure.is_none()) {
                match counter.count(entry.who, &scenario) {
                    Ok(counts) => entry.counts = counts,
                    Err(error) => entry.failure = Some(error),
                }
            }
        }
        table::write(&mut out, &scenario, &entries)?;
        succeeded &= entries.iter().all(|entry| entry.failure.is_none());
    }
    Ok(succeeded)
}

fn scenarios(arguments: &Arguments) -> Vec<Scenario> {
    let size = arguments.size.unwrap_or(1024);
    let of = |idle, busy| Scenario { idle, busy, size };
    match (arguments.idle, arguments.busy) {
        (None, None) if arguments.quick => vec![of(0, 64), of(1000, 100)],
        (None, None) => vec![of(0, 64), of(10_000, 1000)],
        (idle, busy) => vec![of(idle.unwrap_or(0), busy.unwrap_or(64))],
    }
}

impl Arguments {
    /// Who takes part. Who does not is said on standard error.
    fn servers(&self, scenario: Scenario) -> Vec<&'static str> {
        const MOST_THREADS: usize = 1024;
        let all = servers::ALL.into_iter().map(|(name, _)| name);
        let asked = |name: &&str| self.servers.is_empty() || self.servers.contains(name);
        let can = |name: &&str| {
            let can = *name != servers::THREADS || scenario.idle + scenario.busy <= MOST_THREADS;
            if !can {
                eprintln!("without {name:?}: more than {MOST_THREADS} threads");
            }
            can
        };
        all.filter(asked).filter(can).collect()
    }
}

impl Scenario {
    /// With fewer connections, if there cannot be so many. That is said on standard error.
    fn with_at_most(self, most: usize) -> Self {
        let scenario = Self {
            busy: self.busy.min(most),
            idle: self.idle.min(most.saturating_sub(self.busy)),
            ..self
        };
        if scenario.idle + scenario.busy < self.idle + self.busy {
            eprintln!(
                "!!! not {self}, but {scenario}: so many descriptors and ports there are for connections"
            );
        }
        scenario
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} busy connections", self.busy)?;
        if self.idle > 0 {
            write!(f, " and {} idle ones", self.idle)?;
        }
        write!(f, ", {} bytes a message", self.size)
    }
}
