//! Rounds in which everybody takes turns.
//!
//! What disturbs a measurement makes it longer, never shorter, and comes and goes. So the best one counts, and the median
//! says how much was disturbed.

use std::io;
use std::time::Duration;

use crate::contestant::{Contestant, Figures};
use crate::median::median;
use crate::progress::progress;
use crate::work::{Size, Work};

#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    /// How long one measurement of a work that is repeated takes, at least.
    pub window: Duration,
    /// Of the other works.
    pub size: Size,
}

/// One contestant at one work.
pub struct Entry<'a> {
    pub who: &'a Contestant,
    pub size: Size,
    pub rounds: Vec<Figures>,
    /// In the program, not in the kernel; of each task or round trip.
    pub instructions: Option<f64>,
    /// Why there are no more rounds.
    pub failure: Option<io::Error>,
}

/// Measures everybody who is there.
pub fn measure(contestants: &[Contestant], work: Work, effort: Effort) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    for who in contestants {
        let mut entry = Entry {
            who,
            size: effort.size,
            rounds: Vec::new(),
            instructions: None,
            failure: None,
        };
        if who.is_missing().is_none() {
            progress(&format!("{}: how many: {}", work.name(), who.name));
            match size(who, work, effort) {
                Ok(size) => entry.size = size,
                Err(error) => entry.failure = Some(error),
            }
        }
        entries.push(entry);
    }
    for round in 1..=effort.rounds {
        for entry in entries.iter_mut().filter(|entry| entry.is_measured()) {
            let (work_name, who) = (work.name(), entry.who.name);
            progress(&format!(
                "{work_name}: round {round} of {}: {who}",
                effort.rounds
            ));
            match entry.who.run(work, entry.size) {
                Ok(figures) => entry.rounds.push(figures),
                Err(error) => entry.failure = Some(error),
            }
        }
    }
    progress("");
    entries
}

/// How many at once: what fills the window, or what is asked for, if there can be so many.
fn size(who: &Contestant, work: Work, effort: Effort) -> io::Result<Size> {
    let mut size = effort.size;
    if !work.is_repeated() {
        let most = who.most_tasks().unwrap_or(u64::MAX);
        size.n = size.n.min(most);
        return Ok(size);
    }
    size.n = 1000;
    while who.run(work, size)?.time < effort.window {
        size.n *= 4;
    }
    Ok(size)
}

impl Entry<'_> {
    pub fn is_measured(&self) -> bool {
        self.who.is_missing().is_none() && self.failure.is_none()
    }

    pub fn best(&self) -> Duration {
        let times = self.rounds.iter().map(|round| round.time);
        times.min().unwrap_or_default()
    }

    pub fn median(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }
}
