//! What can go wrong in a pipeline that is pushed, and who is told. In Python:
//!
//! ```python
//! @coroutine
//! def parse(target):
//!     while True:
//!         target.send(int((yield)))
//!
//! @coroutine
//! def head(count):
//!     for _ in range(count):
//!         print((yield))
//!
//! parser = parse(head(2))
//! parser.send("1")
//! parser.send("twelve")  # ValueError, and the parser is closed
//!
//! parser = parse(head(2))
//! parser.send("1")
//! parser.send("2")  # RuntimeError: the target has returned
//! ```
//!
//! Look at the `?` after `target.send(..)`: it carries a failure up to the source, and a target that has ended is
//! such a failure for its feeder, never the feeder's own quiet end. The send with which the target ends is still
//! good (it is `Step::Complete`), so the feeder hears of it with the next one, an item later than in Python.

use std::cell::OnceCell;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;

use yieldfrom::{Coroutine, Raised, SharedCoroutine, Step, WeakCoroutine, coroutine};

type Parser = Coroutine<(), &'static str>;

fn parse(mut target: Coroutine<(), i32>) -> Result<Parser, Raised<&'static str>> {
    coroutine(move |co| {
        loop {
            let text: &str = co.yield_(())?;
            target.send(text.parse()?)?;
        }
    })
    .primed()
}

fn head(count: usize) -> Result<Coroutine<(), i32>, Raised<i32>> {
    coroutine(move |co| {
        for _ in 0..count {
            writeln!(io::stdout(), "{}", co.yield_(())?)?;
        }
        Ok(())
    })
    .primed()
}

/// A stage whose target is itself.
fn ouroboros() -> Result<SharedCoroutine<(), i32>, Raised<i32>> {
    let target = Rc::new(OnceCell::<WeakCoroutine<(), i32>>::new());
    let own_target = Rc::clone(&target);
    let stage = coroutine(move |co| {
        loop {
            let number = co.yield_(())?;
            if let Some(target) = own_target.get().and_then(WeakCoroutine::upgrade) {
                target.send(number)?;
            }
        }
    });
    let stage = stage.primed()?.shared();
    let _ = target.set(stage.downgrade()); // it was empty
    Ok(stage)
}

/// Says what a `send` came to.
fn say<S>(sent: &str, came: Result<Step<(), ()>, Raised<S>>) -> io::Result<()> {
    match came {
        Ok(_) => writeln!(io::stdout(), "  send {sent}: ok"),
        Err(raised) => writeln!(io::stdout(), "  send {sent}: {raised}"),
    }
}

fn run() -> io::Result<()> {
    writeln!(io::stdout(), "a stage raises:")?;
    let mut parser = parse(head(2)?)?;
    for text in ["1", "twelve", "3"] {
        say(text, parser.send(text))?;
    }

    writeln!(io::stdout(), "a target returns:")?;
    let mut parser = parse(head(2)?)?;
    for text in ["1", "2", "3"] {
        say(text, parser.send(text))?;
    }

    writeln!(io::stdout(), "a stage feeds itself:")?;
    say("1", ouroboros()?.send(1))
}

const HELP: &str = "\
pipeline_errors: a stage raises, a target returns, a stage feeds itself; and what the
source is told of it

Run it with: cargo run --example pipeline_errors
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("pipeline_errors: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("pipeline_errors: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
