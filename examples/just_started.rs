//! A value sent to a coroutine that has not started. In Python:
//!
//! ```python
//! def echo():
//!     heard = None
//!     while True:
//!         heard = yield heard
//!
//! e = echo()
//! try:
//!     e.send("spam")
//! except TypeError as refused:
//!     print(refused)  # can't send non-None value to a just-started generator
//! print(inspect.getgeneratorstate(e))
//! next(e)
//! print(e.send("spam"))
//! ```
//!
//! Look at what is refused: only the value, because no `yield_` waits for it yet. Nothing has run, the value comes
//! back, and once primed the same coroutine takes it.

use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::{Coroutine, Raised, coroutine};

fn echo() -> Coroutine<Option<String>, String> {
    coroutine(|co| {
        let mut heard = None;
        loop {
            heard = Some(co.yield_(heard)?);
        }
    })
}

fn run() -> io::Result<()> {
    let mut out = io::stdout();
    let mut echo = echo();

    let Err(refused) = echo.send("spam".to_owned()) else {
        unreachable!("a fresh coroutine takes no value");
    };
    writeln!(out, "the error: {refused}")?;
    let Raised::JustStarted(spam) = refused else {
        return Err(refused.into());
    };
    writeln!(out, "came back: {spam:?}")?;
    writeln!(out, "state:     {:?}", echo.state())?;

    writeln!(out, "prime:     {:?}", echo.prime()?)?;
    writeln!(out, "send:      {:?}", echo.send(spam)?)
}

const HELP: &str = "\
just_started: a value sent to a fresh coroutine is refused and comes back; then the
coroutine is primed and takes it

Run it with: cargo run --example just_started
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("just_started: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("just_started: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
