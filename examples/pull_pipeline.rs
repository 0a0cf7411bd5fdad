//! A pipeline that is pulled: each stage is a generator that asks the one before it. In Python:
//!
//! ```python
//! def source():
//!     try:
//!         for n in itertools.count(1):
//!             yield n
//!     finally:
//!         print("source closed")
//!
//! def odd(numbers):
//!     try:
//!         for n in numbers:
//!             if n % 2:
//!                 yield n
//!     finally:
//!         print("filter closed")
//!
//! numbers = odd(source())
//! print([next(numbers) for _ in range(3)])
//! del numbers
//! ```
//!
//! Look at the end: the source never ends by itself. The consumer stops asking, and dropping the last stage closes
//! all of them, from the outside in: a body's locals go first, then what it has captured, which here is the stage
//! before it.

use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::{Generator, generator};

fn source() -> Generator<u64> {
    generator(|y| {
        let _finally = Finally("source closed");
        y.yield_from(1..)
    })
}

fn odd(mut numbers: Generator<u64>) -> Generator<u64> {
    generator(move |y| {
        let _finally = Finally("filter closed");
        for n in &mut numbers {
            if n % 2 == 1 {
                y.yield_(n);
            }
        }
    })
}

/// What Python writes after `finally:`, however the body is left.
struct Finally(&'static str);

impl Drop for Finally {
    fn drop(&mut self) {
        let _ = writeln!(io::stdout(), "{}", self.0); // a drop cannot fail
    }
}

fn run() -> io::Result<()> {
    let mut numbers = odd(source());
    writeln!(
        io::stdout(),
        "{:?}",
        numbers.by_ref().take(3).collect::<Vec<_>>()
    )?;
    drop(numbers);
    writeln!(io::stdout(), "done")
}

const HELP: &str = "\
pull_pipeline: generators that ask each other for numbers; when nobody asks any more,
the filter is closed and then its endless source

Run it with: cargo run --example pull_pipeline
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("pull_pipeline: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("pull_pipeline: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
