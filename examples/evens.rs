//! The even numbers below ten, asked for by hand and by a loop. In Python:
//!
//! ```python
//! def evens():
//!     for n in range(0, 10, 2):
//!         yield n
//!
//! by_hand = evens()
//! print([by_hand.send(None) for _ in range(5)])
//! print(list(evens()))
//! ```
//!
//! Look at the end of the coroutine: it is a value, `Complete`, where Python raises `StopIteration`. A body that
//! only hands values out is shorter as a `generator`: it cannot be thrown into, so its `yield_` needs no `?`.

use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::{Coroutine, Exception, Generator, Step, coroutine, generator};

fn evens() -> Coroutine<u32, ()> {
    coroutine(|co| {
        for n in (0..10).step_by(2) {
            co.yield_(n)?;
        }
        Ok(())
    })
}

fn by_hand() -> Result<Vec<u32>, Exception> {
    let mut evens = evens();
    let mut numbers = Vec::new();
    let mut step = evens.prime()?; // the first `send(None)`
    while let Step::Yielded(n) = step {
        numbers.push(n);
        step = evens.send(())?;
    }
    Ok(numbers)
}

fn by_iteration() -> Result<Vec<u32>, Exception> {
    evens().collect()
}

fn evens_generator() -> Generator<u32> {
    generator(|y| {
        for n in (0..10).step_by(2) {
            y.yield_(n);
        }
    })
}

fn run() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "by hand:      {:?}", by_hand()?)?;
    writeln!(out, "by iteration: {:?}", by_iteration()?)?;
    writeln!(
        out,
        "a generator:  {:?}",
        evens_generator().collect::<Vec<_>>()
    )
}

const HELP: &str = "\
evens: the even numbers below ten, by `send` and by iteration: the same list

Run it with: cargo run --example evens
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("evens: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("evens: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
