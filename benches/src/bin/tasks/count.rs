//! How many instructions one task or one round trip takes. Unlike times, these repeat, or nearly.

use std::io;

use crate::measure::Entry;
use crate::progress::progress;
use crate::tool::Tool;
use crate::work::{Size, Work};

/// Two numbers of tasks or round trips, of equal length, so that reading them costs the same.
const SIZES: [u64; 2] = [1000, 2000];

/// Counts those who have not failed.
pub fn count(entries: &mut [Entry], work: Work) {
    for entry in entries.iter_mut().filter(|entry| entry.is_measured()) {
        progress(&format!("counting {}: {}", work.name(), entry.who.name));
        match instructions(entry, work) {
            Ok(count) => entry.instructions = Some(count),
            Err(error) => entry.failure = Some(error),
        }
    }
    progress("");
}

/// The difference between a shorter and a longer run is so many tasks or round trips and nothing else.
fn instructions(entry: &Entry, work: Work) -> io::Result<f64> {
    let total = |n| -> io::Result<i64> {
        let tool = Tool::Cachegrind;
        let size = Size { n, ..entry.size };
        let report = entry.who.run_below(tool.command(), work, size)?;
        Ok(tool.read(&report)?.values().sum())
    };
    let [few, many] = SIZES;
    Ok((total(many)? - total(few)?) as f64 / (many - few) as f64)
}
