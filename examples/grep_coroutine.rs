//! A coroutine that receives lines and prints those with a pattern, primed by hand and by a decorator. In Python:
//!
//! ```python
//! def grep(pattern):
//!     print(f"Looking for {pattern}")
//!     try:
//!         while True:
//!             line = yield
//!             if pattern in line:
//!                 print(line)
//!     except GeneratorExit:
//!         print("bye")
//!
//! g = grep("Python")
//! next(g)  # not needed where grep is decorated with @coroutine
//! g.send("no snakes here")
//! g.send("Python, you are so cool")
//! g.close()
//! ```
//!
//! Look at the `match`: it catches the order to finish, and nothing else. Where there is no farewell to say,
//! `let line: &str = co.yield_(())?` is enough.

use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::{Coroutine, Exception, Raised, coroutine};

fn grep(pattern: &'static str) -> Coroutine<(), &'static str> {
    coroutine(move |co| {
        let mut out = io::stdout();
        writeln!(out, "Looking for {pattern}")?;
        loop {
            let line: &str = match co.yield_(()) {
                Err(Exception::GeneratorExit) => break,
                line => line?,
            };
            if line.contains(pattern) {
                writeln!(out, "{line}")?;
            }
        }
        writeln!(out, "bye")?;
        Ok(())
    })
}

/// The same under Python's `@coroutine`: ready for its first line.
fn primed_grep(pattern: &'static str) -> Result<Coroutine<(), &'static str>, Raised<&'static str>> {
    grep(pattern).primed()
}

fn run() -> io::Result<()> {
    let mut by_hand = grep("Python");
    by_hand.prime()?;
    by_hand.send("no snakes here")?;
    by_hand.send("Python, you are so cool")?;
    by_hand.close()?;

    let mut decorated = primed_grep("Python")?;
    decorated.send("no snakes here")?;
    decorated.send("Python, you are so cool")?;
    decorated.close()?;
    Ok(())
}

const HELP: &str = "\
grep_coroutine: a coroutine is sent lines and prints those with \"Python\" in them;
first primed by hand, then by `primed`, with the same three lines from both

Run it with: cargo run --example grep_coroutine
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("grep_coroutine: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("grep_coroutine: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
