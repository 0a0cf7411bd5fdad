//! What this crate is to reach.

use std::io::{self, Write};

use crate::measure::Entry;
use crate::servers::{SMOL, YIELDFROM};
use crate::table::ratio;

/// System calls a message.
const CALLS: f64 = 2.9;

/// How many times smol's processor time in the program it may take.
const USER: f64 = 1.0;

/// Writes which targets are met, of those that were measured.
pub fn write(out: &mut impl Write, entries: &[Entry]) -> io::Result<()> {
    let Some(ours) = entries
        .iter()
        .find(|entry| entry.who == YIELDFROM && entry.failure.is_none())
    else {
        return Ok(());
    };
    let calls = ours.counts.system_calls.as_ref().map(|calls| calls.total());
    let user = ratio(ours, entries, SMOL, |entry| entry.cpu().0);
    let targets = [
        ("system calls a message", calls, CALLS),
        ("user CPU ÷ smol's", user, USER),
    ];
    for (what, reached, at_most) in targets {
        let Some(reached) = reached.filter(|reached| reached.is_finite()) else {
            continue;
        };
        let verdict = if reached <= at_most { "met" } else { "MISSED" };
        writeln!(
            out,
            "{YIELDFROM}: {what}: {reached:.2} ≤ {at_most:.1} {verdict}"
        )?;
    }
    Ok(())
}
