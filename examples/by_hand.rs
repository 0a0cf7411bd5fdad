//! A coroutine without an event loop: nothing runs until somebody drives it. In Python:
//!
//! ```python
//! async def speak_async():
//!     print("OMG asynchronicity!")
//!     return "done"
//!
//! speak = speak_async()
//! try:
//!     speak.send(None)
//! except StopIteration as end:
//!     print(end.value)
//! ```
//!
//! Look at the same program in two forms: a coroutine of this crate is driven by `prime`, an `async fn` by `poll`.
//! Each runs to its first suspension; these bodies never suspend, so it is their end, and Python's `StopIteration`
//! is a value.

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};

use yieldfrom::{Coroutine, Step, coroutine};

fn speak() -> Coroutine<(), (), &'static str> {
    coroutine(|_co| {
        writeln!(io::stdout(), "OMG asynchronicity!")?;
        Ok("done")
    })
}

async fn speak_async() -> io::Result<&'static str> {
    writeln!(io::stdout(), "OMG asynchronicity!")?;
    Ok("done")
}

fn drive_the_coroutine() -> io::Result<()> {
    let mut speak = speak();
    writeln!(io::stdout(), "a coroutine; nothing has run")?;
    match speak.prime()? {
        Step::Yielded(()) => writeln!(io::stdout(), "suspended"),
        Step::Complete(value) => writeln!(io::stdout(), "the end: {value}"),
    }
}

fn drive_the_async_fn() -> io::Result<()> {
    let mut speak = pin!(speak_async());
    writeln!(io::stdout(), "an `async fn`; nothing has run")?;
    match speak.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => writeln!(io::stdout(), "suspended"),
        Poll::Ready(value) => writeln!(io::stdout(), "the end: {}", value?),
    }
}

fn run() -> io::Result<()> {
    drive_the_coroutine()?;
    drive_the_async_fn()
}

const HELP: &str = "\
by_hand: a coroutine and an `async fn` that say \"OMG asynchronicity!\", but only when
they are driven, once each, by hand

Run it with: cargo run --example by_hand
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("by_hand: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("by_hand: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
