//! What the examples that wait for time to pass have in common: their arguments, their clock, and how they end.

#![forbid(unsafe_code)]
#![allow(dead_code)] // no example needs all of it

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use yieldfrom::Exception;
use yieldfrom::task::{Interrupted, LoopBuilder};

/// A loop on the clock that was asked for, or on a virtual one if nobody watches.
#[derive(Clone)]
pub struct Clock {
    is_real: bool,
}

impl Clock {
    pub fn is_real(&self) -> bool {
        self.is_real
    }

    pub fn event_loop(&self) -> LoopBuilder {
        match self.is_real {
            true => LoopBuilder::new(),
            false => LoopBuilder::new().virtual_clock(),
        }
    }
}

/// What every such example says of its options.
const OPTIONS: &str = "
    --real      time passes as always; so it is on a terminal
    --virtual   time jumps to the next thing to do; so it is elsewhere
    -h, --help  prints this
";

/// Runs an example whose only arguments are about its clock. `help` begins with its name and what it does.
pub fn run(help: &str, example: impl FnOnce(Clock) -> Result<(), Exception>) -> ExitCode {
    run_with(help, |_, _| Ok(false), |clock, ()| example(clock))
}

/// Runs an example with arguments of its own, which `take` takes: it is given the name of an option, or a value, and returns
/// whether it knows it.
pub fn run_with<A: Default>(
    help: &str,
    mut take: impl FnMut(&mut A, &str) -> Result<bool, String>,
    example: impl FnOnce(Clock, A) -> Result<(), Exception>,
) -> ExitCode {
    let name = help.split(':').next().unwrap_or_default();
    let mut arguments = A::default();
    let mut is_real = io::stdout().is_terminal();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--real" => is_real = true,
            "--virtual" => is_real = false,
            "-h" | "--help" => {
                let help = format!("{help}{OPTIONS}");
                return end(
                    name,
                    io::stdout()
                        .write_all(help.as_bytes())
                        .map_err(Exception::from),
                );
            }
            argument => match take(&mut arguments, argument) {
                Ok(true) => {}
                Ok(false) => {
                    eprintln!("{name}: unknown argument {argument:?}; try --help");
                    return ExitCode::from(2);
                }
                Err(message) => {
                    eprintln!("{name}: {message}; try --help");
                    return ExitCode::from(2);
                }
            },
        }
    }
    end(name, example(Clock { is_real }, arguments))
}

/// How a program ends: a reader that has left is no error, and Ctrl-C is what the shell expects.
fn end(name: &str, outcome: Result<(), Exception>) -> ExitCode {
    const INTERRUPTED: u8 = 130;
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ if error.is::<Interrupted>() => ExitCode::from(INTERRUPTED),
        _ => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
