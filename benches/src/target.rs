//! What a figure is to reach.

use std::fmt;

/// A figure, and what it is to be at most.
pub struct Target {
    pub reached: f64,
    pub at_most: f64,
    pub unit: &'static str,
}

impl Target {
    pub fn is_met(&self) -> bool {
        self.reached <= self.at_most
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        let reached = number(self.reached);
        write!(f, "{reached} ≤ {} {} {verdict}", self.at_most, self.unit)
    }
}

/// Three digits or more, with a comma between thousands.
pub fn number(number: f64) -> String {
    match number {
        0.0 => String::from("0"),
        ..0.001 => String::from("< 0.001"),
        ..0.1 => format!("{number:.3}"),
        ..10.0 => format!("{number:.2}"),
        ..100.0 => format!("{number:.1}"),
        ..1e4 => format!("{number:.0}"),
        ..1e6 => format!("{},{:03}", number as u64 / 1000, number as u64 % 1000),
        _ => format!("{number:.2e}"),
    }
}
