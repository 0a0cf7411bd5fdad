//! What this crate is to reach.

use std::io::{self, Write};

use crate::contestant::LOOP_LINES;
use crate::measure::Entry;
use crate::ours::{MAPPED, PER_BLOCK, PER_LINE, TWO_CORES};
use crate::programs::{GREP, RG, RG_MMAP};
use crate::search::{Search, Syntax};
use crate::table::speed;

/// How fast `who` is to be: at least so many times as `other`.
struct Target {
    who: &'static str,
    at_least: f64,
    other: &'static str,
    /// On which searches: all literals, or only the one that many lines contain.
    only_frequent: bool,
    /// The figure is told as time, not as speed.
    as_time: bool,
}

const fn target(who: &'static str, at_least: f64, other: &'static str) -> Target {
    Target {
        who,
        at_least,
        other,
        only_frequent: false,
        as_time: false,
    }
}

const fn on_frequent(target: Target) -> Target {
    Target {
        only_frequent: true,
        ..target
    }
}

const fn as_time(target: Target) -> Target {
    Target {
        as_time: true,
        ..target
    }
}

const TARGETS: [Target; 7] = [
    as_time(target(PER_LINE, 1.0 / 1.1, LOOP_LINES)),
    on_frequent(target(PER_LINE, 0.9, GREP)),
    target(PER_BLOCK, 1.0, RG),
    on_frequent(target(PER_BLOCK, 3.0, GREP)),
    target(TWO_CORES, 1.0, PER_BLOCK),
    target(TWO_CORES, 1.0, RG_MMAP),
    target(MAPPED, 1.0, RG_MMAP),
];

/// Writes which targets are met.
pub fn write(out: &mut impl Write, searches: &[Search], entries: &[Vec<Entry>]) -> io::Result<()> {
    writeln!(out, "\ntargets")?;
    let (mut met, mut all) = (0, 0);
    for (search, entries) in searches.iter().zip(entries) {
        if search.syntax != Syntax::Literal {
            continue;
        }
        for target in &TARGETS {
            if target.only_frequent && search.name != Search::FREQUENT {
                continue;
            }
            all += 1;
            let reached = speed(entries, target.who, target.other);
            met += usize::from(reached.is_some_and(|reached| reached >= target.at_least));
            writeln!(out, "  {:<8}  {}", search.name, target.verdict(reached))?;
        }
    }
    writeln!(out, "{met} of {all} targets met.")
}

impl Target {
    fn verdict(&self, reached: Option<f64>) -> String {
        let (what, sign, figure) = match self.as_time {
            true => ("time", '≤', 1.0 / self.at_least),
            false => ("speed", '≥', self.at_least),
        };
        let subject = format!("{}: {what} ÷ {}", self.who, self.other);
        let Some(reached) = reached else {
            return format!("{subject:<58}         {sign} {figure:.2}  not measured");
        };
        let verdict = match reached >= self.at_least {
            true => "met",
            false => "MISSED",
        };
        let reached = if self.as_time { 1.0 / reached } else { reached };
        format!("{subject:<58} {reached:>7.3} {sign} {figure:.2}  {verdict}")
    }
}
