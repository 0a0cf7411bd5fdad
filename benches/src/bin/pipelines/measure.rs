//! The shortest of many runs, interleaved.
//!
//! What disturbs a run makes it longer, never shorter, and comes and goes. So everybody takes turns at everything, and
//! the minimum counts. Processor time is disturbed less than time.

use std::error::Error;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::contestant::{Contestant, How, Kind};
use crate::cpu::Cpu;
use crate::progress::progress;
use crate::search::{Pattern, Search};

/// Who takes so long runs in one round of [`SELDOM`] only.
const LONG: Duration = Duration::from_secs(4);

const SELDOM: usize = 5;

/// One contestant at one search.
pub struct Entry {
    pub who: Contestant,
    /// How many lines match. `None` for the one that does not count.
    pub count: Option<u64>,
    pub time: Duration,
    /// Of the run that took the least.
    pub cpu: Cpu,
}

/// Measures everybody at each of `searches`.
pub fn measure(
    contestants: &[Contestant],
    searches: &[Search],
    path: &Path,
    rounds: usize,
) -> Result<Vec<Vec<Entry>>, Box<dyn Error>> {
    let patterns: Result<Vec<Pattern>, _> = searches.iter().map(Search::compile).collect();
    let patterns = patterns?;
    let mut entries: Vec<Vec<Entry>> = searches.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for ((search, pattern), entries) in searches.iter().zip(&patterns).zip(&mut entries) {
            for who in contestants {
                let name = who.name;
                let known = entries.iter_mut().find(|entry| entry.who.name == name);
                let is_long = known.as_ref().is_some_and(|entry| entry.time > LONG);
                if is_long && round % SELDOM != 0 {
                    continue;
                }
                progress(&format!(
                    "round {} of {rounds}: {}, {name}",
                    round + 1,
                    search.name
                ));
                let ran = run(who, path, search, pattern);
                let ran = ran.map_err(|error| format!("{name}: {error}"))?;
                match known {
                    Some(entry) => entry.keep_least(&ran)?,
                    None => entries.push(ran),
                }
            }
        }
    }
    progress("");
    Ok(entries)
}

impl Entry {
    fn keep_least(&mut self, other: &Entry) -> Result<(), Box<dyn Error>> {
        if self.count != other.count {
            let (name, one, two) = (self.who.name, self.count, other.count);
            return Err(format!("{name} counts {one:?} once and {two:?} then").into());
        }
        self.time = self.time.min(other.time);
        if other.cpu.total() < self.cpu.total() {
            self.cpu = other.cpu;
        }
        Ok(())
    }
}

/// Runs one once.
fn run(who: &Contestant, path: &Path, search: &Search, pattern: &Pattern) -> io::Result<Entry> {
    let whose = match who.how {
        How::Here(_) => libc::RUSAGE_SELF,
        How::There(_) => libc::RUSAGE_CHILDREN,
    };
    let before = Cpu::of(whose)?;
    let start = Instant::now();
    let count = who.run(path, search, pattern)?;
    let time = start.elapsed();
    let after = Cpu::of(whose)?;
    Ok(Entry {
        who: *who,
        count: (who.kind != Kind::Nothing).then_some(count),
        time,
        cpu: after.since(before),
    })
}
