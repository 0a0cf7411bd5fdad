//! The table of one work.

use std::io::{self, Write};
use std::time::Duration;

use crate::columns::{Columns, figure};
use crate::contestant::{Figures, max_mappings};
use crate::measure::{Effort, Entry};
use crate::peers::{SMOL, TOKIO};
use crate::work::Work;

const COLUMNS: Columns<12> = Columns([
    ("", "tasks", 9),
    ("time", "best", 8),
    ("", "median", 8),
    ("time ÷", "smol", 5),
    ("", "tokio", 5),
    ("CPU, ms", "user", 5),
    ("", "system", 6),
    ("memory", "MiB", 5),
    ("", "KiB each", 8),
    ("memory ÷", "smol", 5),
    ("", "tokio", 5),
    ("instr.", "each", 7),
]);

/// How wide the names of contestants are.
const NAME: usize = 15;

pub fn write(
    out: &mut impl Write,
    work: Work,
    effort: Effort,
    entries: &[Entry],
) -> io::Result<()> {
    let heading = COLUMNS.heading(NAME, work.name());
    writeln!(out, "\n{}\n{heading}", title(work, effort))?;
    for entry in entries {
        let who = entry.who.name;
        match (entry.who.is_missing(), &entry.failure) {
            (Some(why), _) => writeln!(out, "{who:<NAME$}  SKIPPED: {why}")?,
            (None, Some(error)) => writeln!(out, "{who:<NAME$}  FAILED: {error}")?,
            (None, None) => writeln!(out, "{}", row(work, entry, entries))?,
        }
    }
    for entry in entries.iter().filter(|entry| entry.is_measured()) {
        if !work.is_repeated() && entry.size.n < effort.size.n {
            let (who, n, asked) = (entry.who.name, entry.size.n, effort.size.n);
            let mappings = max_mappings().unwrap_or_default();
            writeln!(
                out,
                "!!! {who} CANNOT have {asked} tasks: each takes two memory mappings, of which a process may have \
                 {mappings} (vm.max_map_count). These are the figures of {n}."
            )?;
        }
    }
    Ok(())
}

fn title(work: Work, effort: Effort) -> String {
    let (n, seconds) = (effort.size.n, effort.size.sleep.as_secs_f64());
    match work {
        Work::Spawn => "Spawn a task and wait for it, one after another; time in ns each.".into(),
        Work::PingPong => "Two tasks and two channels, a round trip; time in ns each.".into(),
        Work::Sleepers => format!("{n} tasks sleep {seconds} s at once; time in ms in all."),
        Work::Waiters => {
            format!(
                "{n} tasks wait for one event: from setting it to the last join; time in ns each."
            )
        }
    }
}

fn row(work: Work, entry: &Entry, entries: &[Entry]) -> String {
    let n = entry.size.n as f64;
    let (unit, digits) = match work {
        Work::Sleepers => (1e6, 1),
        _ => (n, 0),
    };
    let nanos = |time: Duration| time.as_nanos() as f64 / unit;
    let once = |figure: f64| (!work.is_repeated()).then_some(figure);
    let median = |of: fn(&Figures) -> f64| once(entry.median(of));
    let times = |other| ratio(entry, entries, other, best_each);
    let size = |other| once(ratio(entry, entries, other, memory_each)?);
    let cells = [
        figure(once(n), 0),
        figure(Some(nanos(entry.best())), digits),
        figure(Some(entry.median(|round| nanos(round.time))), digits),
        figure(times(SMOL), 2),
        figure(times(TOKIO), 2),
        figure(median(|round| round.cpu.user.as_secs_f64() * 1e3), 0),
        figure(median(|round| round.cpu.system.as_secs_f64() * 1e3), 0),
        figure(median(|round| round.memory as f64 / 1024.0), 1),
        figure(once(memory_each(entry)), 2),
        figure(size(SMOL), 1),
        figure(size(TOKIO), 1),
        figure(entry.instructions, 0),
    ];
    COLUMNS.line(NAME, entry.who.name, &cells)
}

fn best_each(entry: &Entry) -> f64 {
    entry.best().as_nanos() as f64 / entry.size.n as f64
}

/// In KiB.
fn memory_each(entry: &Entry) -> f64 {
    entry.median(|round| round.memory as f64) / entry.size.n as f64
}

/// How many times the time of `other` it takes.
pub fn time_ratio(entry: &Entry, entries: &[Entry], other: &str) -> Option<f64> {
    ratio(entry, entries, other, best_each)
}

fn ratio(entry: &Entry, entries: &[Entry], other: &str, figure: fn(&Entry) -> f64) -> Option<f64> {
    let is_other = |entry: &&Entry| entry.who.name == other && entry.is_measured();
    Some(figure(entry) / figure(entries.iter().find(is_other)?))
}
