//! What one operation takes besides time. Unlike times, these repeat to the digit, or nearly.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

use crate::contestant::Contestant;
use crate::tool::Tool;
use crate::work::{COUNTED_BATCH, Work};

/// Per operation, besides what is done anyway. `None`: it could not be counted.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    /// In this program, not in the kernel.
    pub instructions: Option<f64>,
    pub system_calls: Option<f64>,
    /// Memory mappings.
    pub mappings: Option<f64>,
}

/// Instructions are counted by cachegrind, system calls by strace.
#[derive(Clone, Copy)]
pub struct Counter {
    valgrind: bool,
    strace: bool,
}

impl Counter {
    /// With the tools that are there. Those that are not are named on standard output.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            valgrind: Tool::Cachegrind.is_there()?,
            strace: Tool::Strace.is_there()?,
        })
    }

    pub fn count(self, contestant: &Contestant, work: Work) -> io::Result<Counts> {
        // Numbers of equal length, so that reading them costs the same.
        let (few, many) = match work {
            Work::Close => (2 * COUNTED_BATCH + 101, 2 * COUNTED_BATCH + 501),
            Work::Tree => ((1 << 15) - 1, (1 << 16) - 1), // subtrees
            _ => (1000, 2000),
        };
        let each = |total: fn(&Contestant, Work, u64) -> io::Result<i64>| {
            let more = total(contestant, work, many)? - total(contestant, work, few)?;
            io::Result::Ok(more as f64 / (many - few) as f64)
        };
        Ok(Counts {
            instructions: self.valgrind.then(|| each(instructions)).transpose()?,
            system_calls: self.strace.then(|| each(system_calls)).transpose()?,
            mappings: (work == Work::Cold).then(|| each(mappings)).transpose()?,
        })
    }
}

fn instructions(contestant: &Contestant, work: Work, n: u64) -> io::Result<i64> {
    total(Tool::Cachegrind, contestant, work, n)
}

fn system_calls(contestant: &Contestant, work: Work, n: u64) -> io::Result<i64> {
    total(Tool::Strace, contestant, work, n)
}

fn total(tool: Tool, contestant: &Contestant, work: Work, n: u64) -> io::Result<i64> {
    let output = run_below(tool.command(), contestant, work, n)?;
    Ok(tool.read(&output.stderr)?.values().sum())
}

fn mappings(contestant: &Contestant, work: Work, n: u64) -> io::Result<i64> {
    let mut command = Command::new("env");
    command.arg("--");
    let output = run_below(command, contestant, work, n)?;
    let answer = String::from_utf8_lossy(&output.stdout);
    let mappings = answer
        .trim()
        .split(' ')
        .nth(1)
        .and_then(|number| number.parse().ok());
    mappings.ok_or_else(|| io::Error::other(format!("no mappings were told: {answer:?}")))
}

/// Runs another program that runs the one that serves the contestant's works.
fn run_below(
    mut command: Command,
    contestant: &Contestant,
    work: Work,
    n: u64,
) -> io::Result<Output> {
    let mut child = command
        .args(contestant.command_line()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut request = child.stdin.take().expect("it is piped");
    writeln!(request, "{work} {n}")?;
    drop(request);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let report = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{command:?} failed:\n{report}")));
    }
    Ok(output)
}
