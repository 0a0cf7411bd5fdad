//! What is going on, on a terminal.

use std::io::{self, IsTerminal, Write};

/// Shows `text` in place of what was shown last.
pub fn progress(text: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // The table does not depend on it.
        let _ = write!(stderr, "\r\x1b[K{text}");
    }
}
