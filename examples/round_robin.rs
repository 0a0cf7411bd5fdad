//! Two counters that take turns until both are empty. In Python:
//!
//! ```python
//! class Counter:
//!     def __init__(self):
//!         self.numbers = [0, 1, 2]
//!
//!     def __call__(self):
//!         return self.numbers.pop() if self.numbers else None
//!
//! for counter in itertools.cycle([Counter(), Counter()]):
//!     print(counter(), end=" ")  # and stop when both have said None
//! ```
//!
//! Look at `cycle`: a generator that asks other generators, for ever. A scheduler is this loop, with tasks in place
//! of the counters. The `for` that leaves it early drops it, which ends its body at the `yield_`.

use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::{Generator, generator};

fn counter() -> Generator<u32> {
    generator(|y| {
        let mut numbers = vec![0, 1, 2];
        while let Some(number) = numbers.pop() {
            y.yield_(number);
        }
    })
}

/// Asks each counter in turn; one that has ended says `None`.
fn cycle<const N: usize>(mut counters: [Generator<u32>; N]) -> Generator<Option<u32>> {
    generator(move |y| {
        loop {
            for counter in &mut counters {
                y.yield_(counter.next());
            }
        }
    })
}

fn run() -> io::Result<()> {
    let mut numbers = Vec::new();
    for number in cycle([counter(), counter()]) {
        numbers.push(number);
        if numbers.ends_with(&[None, None]) {
            break;
        }
    }
    let said: Vec<String> = numbers
        .iter()
        .map(|number| number.map_or("None".to_owned(), |n| n.to_string()))
        .collect();
    writeln!(io::stdout(), "{}", said.join(" "))
}

const HELP: &str = "\
round_robin: two counters that pop 2, 1, 0 take turns until both say None

Run it with: cargo run --example round_robin
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("round_robin: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("round_robin: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
