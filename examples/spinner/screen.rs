//! What is seen of a spinner.

use std::io::{self, Write};
use std::time::Duration;

/// How long each frame stands.
pub const FRAME: Duration = Duration::from_millis(100);

const MESSAGE: &str = "thinking!";

/// For ever.
pub fn frames() -> impl Iterator<Item = String> {
    (r"|/-\".chars().cycle()).map(|bar| format!("{bar} {MESSAGE}"))
}

/// Writes a frame, and goes back to its beginning.
pub fn show(frame: &str) -> io::Result<()> {
    let mut out = io::stdout();
    write!(out, "{frame}{}", "\x08".repeat(frame.len()))?;
    out.flush()
}

/// Writes over a frame.
pub fn blank(frame: &str) -> io::Result<()> {
    show(&" ".repeat(frame.len()))
}
