//! Instructions per operation, counted by cachegrind. Unlike times these repeat to the digit.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::contestant::Contestant;
use crate::work::{COUNTED_BATCH, Work};

/// Whether cachegrind is there.
pub fn is_possible() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What one more operation costs, besides those that are done anyway.
pub fn count(contestant: &Contestant, work: Work) -> io::Result<f64> {
    // Numbers of equal length, so that reading them costs the same.
    let (few, many) = match work {
        Work::Close => (2 * COUNTED_BATCH + 101, 2 * COUNTED_BATCH + 501),
        Work::Tree => ((1 << 15) - 1, (1 << 16) - 1), // subtrees
        _ => (1000, 2000),
    };
    let (fewer, more) = (
        total(contestant, work, few)?,
        total(contestant, work, many)?,
    );
    Ok((more - fewer) as f64 / (many - few) as f64)
}

fn total(contestant: &Contestant, work: Work, n: u64) -> io::Result<i64> {
    let mut child = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no"])
        .arg("--cachegrind-out-file=/dev/null")
        .args(contestant.command_line()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut request = child.stdin.take().expect("it is piped");
    writeln!(request, "{work} {n}")?;
    drop(request);
    let output = child.wait_with_output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let instructions = report
        .lines()
        .find_map(|line| line.split_once("refs:"))
        .and_then(|(_, number)| number.trim().replace(',', "").parse().ok());
    instructions
        .filter(|_| output.status.success())
        .ok_or_else(|| io::Error::other(format!("cachegrind failed:\n{report}")))
}
