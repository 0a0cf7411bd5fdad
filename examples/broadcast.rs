//! One stream of lines for several receivers. In Python:
//!
//! ```python
//! @coroutine
//! def broadcast(targets):
//!     while True:
//!         line = yield
//!         for target in targets:
//!             target.send(line)
//!
//! out = printer()
//! source(lines, broadcast([grep("Python", out), grep("snake", out)]))
//! ```
//!
//! Look at who owns what. Coroutines share the line and the printer by reference counts, so the printer outlives
//! the greps. Stages of a `pipe` share nothing: one line is lent to each of them in turn, and a stage that has had
//! enough does not end the others.

use std::io::{self, Write};
use std::process::ExitCode;

const LINES: [&str; 4] = [
    "Python, you are so cool",
    "a snake in the grass",
    "a python is a snake, a Python is not",
    "Rust, you are so safe",
];

mod coroutines {
    use std::io::{self, Write};
    use std::rc::Rc;

    use yieldfrom::{Coroutine, Exception, Raised, SharedCoroutine, coroutine};

    type Line = Rc<str>;
    type Stage = Coroutine<(), Line>;
    type Printer = SharedCoroutine<(), Line>;

    fn broadcast(mut targets: Vec<Stage>) -> Result<Stage, Raised<Line>> {
        coroutine(move |co| {
            loop {
                let line: Line = co.yield_(())?;
                for target in &mut targets {
                    target.send(Rc::clone(&line))?;
                }
            }
        })
        .primed()
    }

    fn grep(pattern: &'static str, out: Printer) -> Result<Stage, Raised<Line>> {
        coroutine(move |co| {
            loop {
                let line: Line = co.yield_(())?;
                if line.contains(pattern) {
                    out.send(format!("{pattern}: {line}").into())?;
                }
            }
        })
        .primed()
    }

    fn printer() -> Result<Printer, Raised<Line>> {
        let printer = coroutine(|co| {
            loop {
                let line: Line = co.yield_(())?;
                writeln!(io::stdout(), "{line}")?;
            }
        });
        Ok(printer.primed()?.shared())
    }

    pub fn run(lines: &[&str]) -> Result<(), Exception> {
        let out = printer()?;
        let mut greps = broadcast(vec![
            grep("Python", out.clone())?,
            grep("snake", out.clone())?,
        ])?;
        for &line in lines {
            greps.send(line.into())?;
        }
        greps.close()?;
        out.send("(the greps are closed, the printer is open)".into())?;
        Ok(())
    }
}

mod lent {
    use std::io::{self, Write};

    use yieldfrom::pipe::{Receiver, Sink, sink};

    type Stage = Sink<str, io::Result<()>>;

    fn broadcast(mut targets: Vec<Stage>) -> Stage {
        sink(move |lines: &mut Receiver<str>| {
            while let Some(line) = lines.recv() {
                let mut listening = 0;
                for target in &mut targets {
                    if target.send(line).is_ok() {
                        listening += 1;
                    }
                }
                if listening == 0 {
                    break;
                }
            }
            targets.into_iter().try_for_each(Sink::close)
        })
    }

    fn grep(pattern: &'static str) -> Stage {
        sink(move |lines: &mut Receiver<str>| {
            while let Some(line) = lines.recv() {
                if line.contains(pattern) {
                    writeln!(io::stdout(), "{pattern}: {line}")?;
                }
            }
            Ok(())
        })
    }

    fn first() -> Stage {
        sink(|lines: &mut Receiver<str>| match lines.recv() {
            Some(line) => writeln!(io::stdout(), "the first line: {line}"),
            None => Ok(()),
        })
    }

    pub fn run(lines: &[&str]) -> io::Result<()> {
        let mut stages = broadcast(vec![first(), grep("Python"), grep("snake")]);
        for line in lines {
            if stages.send(line).is_err() {
                break;
            }
        }
        stages.close()
    }
}

fn run() -> io::Result<()> {
    writeln!(io::stdout(), "-- coroutines, with one printer:")?;
    coroutines::run(&LINES)?;
    writeln!(io::stdout(), "-- stages, one of which leaves early:")?;
    lent::run(&LINES)
}

const HELP: &str = "\
broadcast: each line goes to every receiver, in order; as coroutines that share a
printer, and as stages of a `pipe` that are lent one line in turn

Run it with: cargo run --example broadcast
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("broadcast: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("broadcast: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
