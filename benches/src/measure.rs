//! The shortest of many short measurements, interleaved.
//!
//! What disturbs a measurement makes it longer, never shorter, and comes and goes in the course of a run. So everybody
//! takes turns at everything, and the minimum counts.

use std::time::Duration;

use crate::contestant::Contestant;
use crate::progress::progress;
use crate::work::{NODES, Work};

#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    /// How long one measurement takes, at least.
    pub window: Duration,
}

pub const FULL: Effort = Effort {
    rounds: 30,
    window: Duration::from_millis(2),
};

pub const QUICK: Effort = Effort {
    rounds: 3,
    window: Duration::from_micros(300),
};

/// One contestant at one work, by its place in the list.
pub struct Entry {
    pub work: Work,
    pub who: usize,
    n: u64,
    /// Per operation.
    pub nanos: f64,
}

/// Measures everybody who can do them at `works`.
pub fn measure(contestants: &mut [Contestant], works: &[Work], effort: Effort) -> Vec<Entry> {
    let mut entries = Vec::new();
    for &work in works {
        for (who, contestant) in contestants.iter_mut().enumerate() {
            entries.extend(calibrate(contestant, work, effort.window).map(|n| Entry {
                work,
                who,
                n,
                nanos: f64::INFINITY,
            }));
        }
    }
    for round in 1..=effort.rounds {
        progress(&format!("round {round} of {}", effort.rounds));
        for entry in &mut entries {
            let spent = contestants[entry.who].run(entry.work, entry.n);
            let nanos = spent.unwrap_or(Duration::MAX).as_nanos() as f64 / entry.n as f64;
            entry.nanos = entry.nanos.min(nanos);
        }
    }
    progress("");
    entries
}

/// How many operations fill the window.
fn calibrate(contestant: &mut Contestant, work: Work, window: Duration) -> Option<u64> {
    const WHOLE_WALK: Duration = Duration::from_millis(200);
    // Who is faster than that does nothing at all.
    const MOST: u64 = 1 << 28;
    // Most peers have two memory mappings for each stack, of which a process may have 65,530.
    const MOST_AT_ONCE: u64 = 1 << 13;
    let most = match work {
        Work::Tree => NODES,
        Work::Cold => MOST_AT_ONCE,
        _ => MOST,
    };
    let mut n = 16;
    loop {
        let spent = contestant.run(work, n)?;
        if spent >= window || n == most {
            // A part of the tree fits into a nearer cache than the whole.
            let whole = spent.as_nanos() * u128::from(NODES) / u128::from(n);
            let walk = work == Work::Tree && whole < WHOLE_WALK.as_nanos();
            return Some(if walk { NODES } else { n });
        }
        n = (n * 4).min(most);
    }
}
