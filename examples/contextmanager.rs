//! A context manager made of one `yield`. In Python:
//!
//! ```python
//! @contextlib.contextmanager
//! def forgiving(name):
//!     print("enter", name)
//!     try:
//!         yield name.upper()
//!     except ValueError as error:
//!         print("caught:", error)
//!     finally:
//!         print("exit", name)
//!
//! with forgiving("parser") as parser:
//!     print(parser, int("12"))
//! ```
//!
//! Look at the one `yield_`: before it the block is entered, after it the block is left, and what the block raises
//! is thrown in exactly there, so that an ordinary `match` can handle it. `with` is all that `contextlib` has to
//! add.

use std::io::{self, Write};
use std::num::ParseIntError;
use std::process::ExitCode;

use yieldfrom::{Coroutine, Exception, Step, coroutine};

fn forgiving(name: &'static str) -> Coroutine<String, ()> {
    coroutine(move |co| {
        let mut out = io::stdout();
        writeln!(out, "enter {name}")?;
        let left = match co.yield_(name.to_uppercase()) {
            Err(error) if error.is::<ParseIntError>() => {
                writeln!(out, "caught: {error}")?;
                Ok(())
            }
            left => left,
        };
        writeln!(out, "exit {name}")?;
        left
    })
}

/// Runs `block` where `manager` yields. `None` if the manager has caught what the block raised.
fn with<V, T>(
    mut manager: Coroutine<V, ()>,
    block: impl FnOnce(V) -> Result<T, Exception>,
) -> Result<Option<T>, Exception> {
    let Step::Yielded(value) = manager.prime()? else {
        return Err(Exception::new("generator didn't yield"));
    };
    let (step, result) = match block(value) {
        Ok(result) => (manager.send(())?, Some(result)),
        Err(exception) => (manager.throw(exception)?, None),
    };
    match step {
        Step::Complete(()) => Ok(result),
        Step::Yielded(_) => Err(Exception::new("generator didn't stop")),
    }
}

fn run() -> io::Result<()> {
    let mut out = io::stdout();
    for text in ["12", "twelve"] {
        with(forgiving("parser"), |parser| {
            let number: i32 = text.parse()?;
            Ok(writeln!(io::stdout(), "{parser} reads {number}")?)
        })?;
    }

    let raised = with(forgiving("parser"), |_| -> Result<(), Exception> {
        Err(Exception::new("the block has failed in another way"))
    });
    if let Err(exception) = raised {
        writeln!(out, "raised: {exception}")?;
    }
    Ok(())
}

const HELP: &str = "\
contextmanager: a coroutine with one `yield_` around a block: entered, left, told of
what the block raises

Run it with: cargo run --example contextmanager
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("contextmanager: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("contextmanager: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
