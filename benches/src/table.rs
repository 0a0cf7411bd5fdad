//! The table, and what this crate is to reach in it.

use std::io::{self, Write};

use crate::count::Counts;
use crate::peers::{COROUTINE, GENERATOR, RAW, RAW_DEFAULTS, SMOL, TASK, TASK_FUTURE, TOKIO};
use crate::target::{Target, number};
use crate::work::Work;

pub struct Row {
    pub work: Work,
    pub who: &'static str,
    /// Per operation.
    pub nanos: f64,
    pub counts: Counts,
}

pub const HEADER: &str = "\
work             contestant                   ns/op    × raw   instr.   calls    maps  target
---------------  -----------------------  ---------  -------  -------  ------  ------  ------------------------------";

/// Writes the rows of one kind of work. Returns how many targets are met, and how many there are.
pub fn write(out: &mut impl Write, rows: &[Row]) -> io::Result<(usize, usize)> {
    let (mut met, mut all) = (0, 0);
    let mut last = None;
    for row in rows {
        let work = if last.replace(row.work) == Some(row.work) {
            String::new()
        } else {
            row.work.to_string()
        };
        // Only with unwinding can a suspended one be closed.
        let raw = find(rows, row.work, RAW).or_else(|| find(rows, row.work, RAW_DEFAULTS));
        let times = raw.map(|raw| number(row.nanos / raw.nanos));
        let instructions = row.counts.instructions.map(|count| format!("{count:.0}"));
        let [calls, maps] = [row.counts.system_calls, row.counts.mappings].map(|count| {
            count
                .map(|count| format!("{:.3}", count + 0.0))
                .unwrap_or_default()
        });
        let targets = targets(row, rows);
        met += targets.iter().filter(|target| target.is_met()).count();
        all += targets.len();
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let line = format!(
            "{work:<15}  {:<23}  {:>9}  {:>7}  {:>7}  {calls:>6}  {maps:>6}  {}",
            row.who,
            number(row.nanos),
            times.unwrap_or_default(),
            instructions.unwrap_or_default(),
            targets.join("; "),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)?;
    Ok((met, all))
}

fn find<'a>(rows: &'a [Row], work: Work, who: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.work == work && row.who == who)
}

fn targets(row: &Row, rows: &[Row]) -> Vec<Target> {
    let times = |at_most, unit, other: Option<&Row>| {
        other.map(|other| Target {
            reached: row.nanos / other.nanos,
            at_most,
            unit,
        })
    };
    let times_raw = |at_most| times(at_most, "× raw", find(rows, row.work, RAW));
    let instructions = |at_most| {
        row.counts.instructions.map(|reached| Target {
            reached,
            at_most,
            unit: "instr.",
        })
    };
    let calls = |at_most| {
        row.counts.system_calls.map(|reached| Target {
            reached,
            at_most,
            unit: "calls",
        })
    };
    let nanos = |at_most| {
        Some(Target {
            reached: row.nanos,
            at_most,
            unit: "ns",
        })
    };
    let targets = match (row.work, row.who) {
        (Work::Item, GENERATOR) => [times_raw(1.15), instructions(40.0)],
        (Work::Send, COROUTINE) => [times_raw(1.7), instructions(60.0)],
        (Work::Create, GENERATOR | COROUTINE) => [nanos(70.0), calls(0.0)],
        (Work::Cold, GENERATOR | COROUTINE) => [nanos(3500.0), calls(2.0)],
        (Work::Close, COROUTINE) => [nanos(30.0), None],
        (Work::Delegation(1000), COROUTINE) => [
            times(1.2, "× depth 1", find(rows, Work::Delegation(1), row.who)),
            times(
                2.3,
                "× raw at depth 0",
                find(rows, Work::Delegation(0), RAW),
            ),
        ],
        (Work::Tree, GENERATOR) => [times_raw(1.1), None],
        (Work::Crowd(512), GENERATOR | COROUTINE) => {
            [times(1.3, "× 8", find(rows, Work::Crowd(8), row.who)), None]
        }
        (Work::Spawn, TASK | TASK_FUTURE) => {
            [times(1.0, "× smol", find(rows, row.work, SMOL)), None]
        }
        (Work::PingPong, TASK | TASK_FUTURE) => {
            [times(0.5, "× tokio", find(rows, row.work, TOKIO)), None]
        }
        _ => [None, None],
    };
    targets.into_iter().flatten().collect()
}
