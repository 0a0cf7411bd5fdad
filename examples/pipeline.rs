//! A pipeline that is pushed: a source sends lines to a filter, which sends them to a sink. In Python:
//!
//! ```python
//! def source(lines, target):
//!     for line in lines:
//!         target.send(line)
//!     target.close()
//!
//! @coroutine
//! def grep(pattern, target):
//!     try:
//!         while True:
//!             line = yield
//!             if pattern in line:
//!                 target.send(line)
//!     finally:
//!         print("grep closed")
//!
//! @coroutine
//! def printer():
//!     try:
//!         while True:
//!             print((yield))
//!     finally:
//!         print("sink closed")
//!
//! source(lines, grep("Python", printer()))
//! ```
//!
//! Look at the three forms of one stage. A coroutine owns each line it is sent, and leaves by `?`; a `pipe` sink
//! looks at a line that its feeder still owns, needs no priming, and leaves its loop when `recv` returns `None`; a
//! `pipe` stage does not even know its target, so that a pipeline reads in the order in which the data flows.
//! All close from the source down: first the filter, then the sink behind it.

use std::io::{self, Write};
use std::process::ExitCode;

const LINES: [&str; 4] = [
    "Rust, you are so safe",
    "Python, you are so cool",
    "no snakes here",
    "Monty Python's Flying Circus",
];

mod coroutines {
    use std::io::{self, Write};

    use yieldfrom::{Coroutine, Exception, Raised, coroutine};

    type Stage = Coroutine<(), String>;

    fn source(lines: &[&str], mut target: Stage) -> Result<(), Exception> {
        for line in lines {
            target.send(line.to_string())?;
        }
        target.close()?;
        Ok(())
    }

    fn grep(pattern: &'static str, mut target: Stage) -> Result<Stage, Raised<String>> {
        coroutine(move |co| {
            let _finally = Finally("grep closed");
            loop {
                let line: String = co.yield_(())?;
                if line.contains(pattern) {
                    target.send(line)?;
                }
            }
        })
        .primed()
    }

    fn printer() -> Result<Stage, Raised<String>> {
        coroutine(|co| {
            let _finally = Finally("sink closed");
            loop {
                writeln!(io::stdout(), "{}", co.yield_(())?)?;
            }
        })
        .primed()
    }

    pub fn run(lines: &[&str]) -> Result<(), Exception> {
        source(lines, grep("Python", printer()?)?)
    }

    /// What Python writes after `finally:`, however the body is left.
    struct Finally(&'static str);

    impl Drop for Finally {
        fn drop(&mut self) {
            let _ = writeln!(io::stdout(), "{}", self.0); // a drop cannot fail
        }
    }
}

mod lent {
    use std::io::{self, Write};

    use yieldfrom::pipe::{Receiver, Sink, sink};

    /// What a stage returns travels back to the source: its own failure, or that of a stage further down.
    type Stage = Sink<str, io::Result<()>>;

    fn source(lines: &[&str], mut target: Stage) -> io::Result<()> {
        for line in lines {
            if target.send(line).is_err() {
                break; // it wants no more lines, and says why when it is closed
            }
        }
        target.close()
    }

    fn grep(pattern: &'static str, mut target: Stage) -> Stage {
        sink(move |lines: &mut Receiver<str>| {
            while let Some(line) = lines.recv() {
                if line.contains(pattern) && target.send(line).is_err() {
                    break;
                }
            }
            writeln!(io::stdout(), "grep closed")?;
            target.close()
        })
    }

    fn printer() -> Stage {
        sink(|lines: &mut Receiver<str>| {
            while let Some(line) = lines.recv() {
                writeln!(io::stdout(), "{line}")?;
            }
            writeln!(io::stdout(), "sink closed")
        })
    }

    pub fn run(lines: &[&str]) -> io::Result<()> {
        source(lines, grep("Python", printer()))
    }
}

mod composed {
    use std::io::{self, Write};

    use yieldfrom::Exception;
    use yieldfrom::pipe::{Receiver, Sender, Sink, Stage, from_iter, sink, stage};

    fn grep(pattern: &'static str) -> Stage<&'static str> {
        stage(move |lines: &mut Receiver<&str>, out: &mut Sender<&str>| {
            while let Some(line) = lines.recv() {
                if line.contains(pattern) {
                    out.send(line)?;
                }
            }
            Ok(writeln!(io::stdout(), "grep closed")?)
        })
    }

    fn printer() -> Sink<&'static str, io::Result<()>> {
        sink(|lines: &mut Receiver<&str>| {
            while let Some(line) = lines.recv() {
                writeln!(io::stdout(), "{line}")?;
            }
            writeln!(io::stdout(), "sink closed")
        })
    }

    pub fn run(lines: &'static [&'static str]) -> Result<(), Exception> {
        from_iter(lines.iter().copied())
            .pipe(grep("Python"))
            .into(printer())
    }
}

fn run() -> io::Result<()> {
    writeln!(io::stdout(), "-- coroutines, which are sent lines:")?;
    coroutines::run(&LINES)?;
    writeln!(io::stdout(), "-- stages, which are lent them:")?;
    lent::run(&LINES)?;
    writeln!(io::stdout(), "-- the same, composed:")?;
    composed::run(&LINES)?;
    Ok(())
}

const HELP: &str = "\
pipeline: a source pushes lines through a filter into a sink, as coroutines and as
stages of a `pipe`; the same lines from all, and the order in which they close

Run it with: cargo run --example pipeline
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("pipeline: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("pipeline: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
