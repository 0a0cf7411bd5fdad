//! The table of one scenario.

use std::io::{self, Write};

use crate::columns::{Columns, figure};
use crate::load::Scenario;
use crate::measure::{Entry, Round};
use crate::servers::{SMOL, TOKIO};
use crate::target;

const COLUMNS: Columns<17> = Columns([
    ("messages/s", "best", 7),
    ("", "median", 7),
    ("rate ÷", "smol", 5),
    ("", "tokio", 5),
    ("CPU, µs/message", "user", 5),
    ("", "system", 6),
    ("", "both", 5),
    ("user ÷", "smol", 5),
    ("", "tokio", 5),
    ("calls/message", "strace", 6),
    ("", "perf", 5),
    ("instr.", "/message", 8),
    ("core", "busy", 4),
    ("latency, µs", "p50", 6),
    ("", "p99", 6),
    ("resident", "MiB", 4),
    ("", "KiB/conn.", 9),
]);

pub fn write(out: &mut impl Write, scenario: &Scenario, entries: &[Entry]) -> io::Result<()> {
    let heading = COLUMNS.heading(NAME, "server");
    writeln!(out, "\n{scenario}\n{heading}")?;
    for entry in entries {
        match &entry.failure {
            None => writeln!(out, "{}", row(entry, scenario, entries))?,
            Some(error) => writeln!(out, "{:<9}  FAILED: {error}", entry.who)?,
        }
    }
    for entry in entries {
        if let Some(calls) = &entry.counts.system_calls {
            writeln!(out, "calls of {}: {calls}", entry.who)?;
        }
    }
    let is_idle = |entry: &&Entry| entry.median(Round::busy) < 0.9;
    let idle: Vec<&str> = entries.iter().filter(is_idle).map(|e| e.who).collect();
    if !idle.is_empty() {
        let idle = idle.join(", ");
        writeln!(
            out,
            "!!! Not busy all the time: {idle}. The cores had something else to do, or the client is too slow. \
             Then processor time can be compared, rates cannot."
        )?;
    }
    if entries.iter().all(|entry| entry.failure.is_none()) {
        let all = scenario.idle + scenario.busy;
        writeln!(out, "Everybody has served each of the {all} connections.")?;
    }
    if scenario.idle == 0 {
        target::write(out, entries)?;
    }
    Ok(())
}

fn row(entry: &Entry, scenario: &Scenario, entries: &[Entry]) -> String {
    let (user, system) = entry.cpu();
    let rate = |entry: &Entry| entry.best_rate();
    let user_of = |entry: &Entry| entry.cpu().0;
    let counts = &entry.counts;
    let calls = counts.system_calls.as_ref().map(|calls| calls.total());
    let median = |of: fn(&Round) -> f64| Some(entry.median(of));
    let connections = (scenario.idle + scenario.busy) as f64;
    let grown = entry.median(|r| r.resident.saturating_sub(r.resident_before) as f64);
    let cells = [
        figure(Some(entry.best_rate()), 0),
        figure(median(Round::rate), 0),
        figure(ratio(entry, entries, SMOL, rate), 2),
        figure(ratio(entry, entries, TOKIO, rate), 2),
        figure(Some(user), 2),
        figure(Some(system), 2),
        figure(Some(user + system), 2),
        figure(ratio(entry, entries, SMOL, user_of), 2),
        figure(ratio(entry, entries, TOKIO, user_of), 2),
        figure(calls, 2),
        figure(counts.system_calls_at_full_speed, 2),
        figure(counts.instructions, 0),
        figure(median(|r| 100.0 * r.busy()), 0) + "%",
        figure(median(|r| r.p50.as_nanos() as f64 / 1e3), 0),
        figure(median(|r| r.p99.as_nanos() as f64 / 1e3), 0),
        figure(median(|r| r.resident as f64 / 1024.0), 0),
        figure(Some(grown / connections), 1),
    ];
    COLUMNS.line(NAME, entry.who, &cells)
}

/// How wide the names of servers are.
const NAME: usize = 9;

/// How many times the figure of `other` it is.
pub fn ratio(
    entry: &Entry,
    entries: &[Entry],
    other: &str,
    figure: impl Fn(&Entry) -> f64,
) -> Option<f64> {
    let other = entries
        .iter()
        .find(|entry| entry.who == other && entry.failure.is_none())?;
    Some(figure(entry) / figure(other))
}
