//! What this crate is to reach.

use std::io::{self, Write};
use std::time::Duration;

use crate::measure::Entry;
use crate::peers::{SMOL, TOKIO, YIELDFROM, YIELDFROM_ASYNC};
use crate::table::time_ratio;
use crate::target::Target;
use crate::work::Work;

/// How many sleepers, and for how long, the targets are of.
const SLEEPERS: (u64, Duration) = (10_000, Duration::from_secs(1));

/// Writes which are met, of those that were measured. Returns how many, and how many there are.
pub fn write(out: &mut impl Write, work: Work, entries: &[Entry]) -> io::Result<(usize, usize)> {
    let (mut met, mut all) = (0, 0);
    let is_ours = |entry: &&Entry| [YIELDFROM, YIELDFROM_ASYNC].contains(&entry.who.name);
    for entry in entries.iter().filter(is_ours) {
        if !entry.is_measured() {
            continue;
        }
        for (what, target) in targets(work, entry, entries) {
            met += usize::from(target.is_met());
            all += 1;
            writeln!(out, "{}: {what}: {target}", entry.who.name)?;
        }
    }
    Ok((met, all))
}

fn targets(work: Work, entry: &Entry, entries: &[Entry]) -> Vec<(&'static str, Target)> {
    let time = |at_most, other, unit| {
        let reached = time_ratio(entry, entries, other)?;
        let target = Target {
            reached,
            at_most,
            unit,
        };
        Some(("time", target))
    };
    let targets = match work {
        Work::Spawn => vec![time(1.0, SMOL, "× smol")],
        Work::PingPong => vec![time(0.5, TOKIO, "× tokio")],
        Work::Sleepers if (entry.size.n, entry.size.sleep) == SLEEPERS => {
            let time = Target {
                reached: entry.best().as_secs_f64(),
                at_most: 1.05,
                unit: "s",
            };
            let memory = Target {
                reached: entry.median(|round| round.memory as f64 / 1024.0),
                at_most: 45.0,
                unit: "MiB",
            };
            vec![Some(("time", time)), Some(("memory", memory))]
        }
        Work::Sleepers | Work::Waiters => vec![],
    };
    targets.into_iter().flatten().collect()
}
