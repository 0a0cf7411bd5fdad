//! What a message takes in the server besides time: instructions and system calls.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use crate::contestant::Server;
use crate::load::{Client, Scenario, Until};
use crate::machine::as_client;
use crate::progress::progress;
use crate::tool::Tool;

/// Per message. `None`: it was not counted.
#[derive(Default)]
pub struct Counts {
    /// In the program, not in the kernel.
    pub instructions: Option<f64>,
    pub system_calls: Option<Calls>,
    pub system_calls_at_full_speed: Option<f64>,
}

/// How often each system call is made, by its name.
pub struct Calls(pub BTreeMap<String, f64>);

impl Calls {
    pub fn total(&self) -> f64 {
        self.0.values().sum()
    }
}

/// The most frequent first; those that hardly ever happen are left out.
impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut calls: Vec<_> = self.0.iter().filter(|(_, n)| **n >= 0.005).collect();
        calls.sort_unstable_by(|a, b| b.1.total_cmp(a.1));
        let calls: Vec<String> = calls
            .iter()
            .map(|(name, n)| format!("{name} {n:.2}"))
            .collect();
        f.write_str(&calls.join(", "))
    }
}

/// Instructions are counted by cachegrind, system calls by strace and by perf.
#[derive(Clone, Copy)]
pub struct Counter {
    valgrind: bool,
    strace: bool,
    perf: bool,
}

impl Counter {
    /// With the tools that are there. Those that are not are named on standard output.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            valgrind: Tool::Cachegrind.is_there()?,
            strace: Tool::Strace.is_there()?,
            perf: Tool::Perf.is_there()?,
        })
    }

    pub fn count(self, who: &str, scenario: &Scenario) -> io::Result<Counts> {
        progress(&format!("counting: {who}"));
        let each = |tool| per_message(tool, who, scenario);
        let sum = |counts: BTreeMap<_, f64>| counts.values().sum();
        let instructions = self.valgrind.then(|| each(Tool::Cachegrind)).transpose()?;
        let by_strace = self.strace.then(|| each(Tool::Strace)).transpose()?;
        let by_perf = self.perf.then(|| each(Tool::Perf)).transpose()?;
        progress("");
        Ok(Counts {
            instructions: instructions.map(sum),
            system_calls: by_strace.map(Calls),
            system_calls_at_full_speed: by_perf.map(sum),
        })
    }
}

/// The difference between a shorter and a longer run is the messages and nothing else.
fn per_message(tool: Tool, who: &str, scenario: &Scenario) -> io::Result<BTreeMap<String, f64>> {
    // How many messages on each connection.
    let (few, many) = match tool {
        Tool::Perf => (100, 900),
        _ => (20, 100),
    };
    let less = total(tool, who, scenario, few)?;
    let more = total(tool, who, scenario, many)?;
    let messages = (many - few) * scenario.busy as u64;
    let each = more.into_iter().map(|(name, count)| {
        let more = count - less.get(&name).copied().unwrap_or(0);
        (name, more as f64 / messages as f64)
    });
    Ok(each.collect())
}

fn total(
    tool: Tool,
    who: &str,
    scenario: &Scenario,
    turns: u64,
) -> io::Result<BTreeMap<String, i64>> {
    let server = Server::start_below(tool.command(), who)?;
    let one_each = scenario.busy as u64;
    let (times, messages) = match tool {
        Tool::Perf => (1, turns * one_each),
        // A server is so slow now that whenever it looks, the next message is there, and it never waits for one. It is
        // to wait as ever: so messages are sent when the answers to all of the last ones are there.
        _ => (turns, one_each),
    };
    let client = as_client(|| {
        let mut client = Client::connect(server.address(), scenario)?;
        for _ in 0..times {
            client.run(Until::Messages(messages), &mut Vec::new())?;
        }
        Ok(client)
    })?;
    // The report of a server whose connections are closed would have their ends in it, too.
    let report = server.end()?;
    drop(client);
    tool.read(&report)
}
