//! Who is measured, in a process for each measurement.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use crate::cpu::Cpu;
use crate::peers::{self, ASYNCIO, MAY, UVLOOP};
use crate::process::output;
use crate::pythons::{self, Interpreter};
use crate::work::{Size, Work};

/// The argument, not for people, that makes this program do one work.
pub const SERVE: &str = "serve";

pub struct Contestant {
    pub name: &'static str,
    place: Place,
}

enum Place {
    /// In this program.
    Here,
    There(Interpreter),
    /// Nowhere, and why.
    Missing(String),
}

/// What one measurement says.
#[derive(Clone, Copy)]
pub struct Figures {
    pub time: Duration,
    /// Of the whole work, not only of what the time is of.
    pub cpu: Cpu,
    /// In KiB: the most that was resident, without what was so before.
    pub memory: u64,
}

impl Contestant {
    /// Those who are asked for.
    pub fn all(is_asked: impl Fn(&str) -> bool, may_install: bool) -> Vec<Self> {
        let names = peers::ALL.into_iter().filter(|name| is_asked(name));
        let new = |name| Self {
            name,
            place: place(name, may_install),
        };
        names.map(new).collect()
    }

    /// Why it is not here.
    pub fn is_missing(&self) -> Option<&str> {
        match &self.place {
            Place::Missing(why) => Some(why),
            _ => None,
        }
    }

    /// The version of what is not a part of this program.
    pub fn version(&self) -> Option<&str> {
        match &self.place {
            Place::There(interpreter) => Some(&interpreter.version),
            _ => None,
        }
    }

    pub fn run(&self, work: Work, size: Size) -> io::Result<Figures> {
        let (program, arguments) = self.command_line(work, size)?;
        let mut command = Command::new(program);
        command.args(arguments);
        let answer = output(command)?.stdout;
        let answer = String::from_utf8_lossy(&answer);
        let numbers: Result<Vec<u64>, _> = answer.split_whitespace().map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[nanos, user, system, before, peak]) => Ok(Figures {
                time: Duration::from_nanos(nanos),
                cpu: Cpu {
                    user: Duration::from_micros(user),
                    system: Duration::from_micros(system),
                },
                memory: peak.saturating_sub(before),
            }),
            _ => Err(io::Error::other(format!(
                "it says {answer:?} instead of what it has taken"
            ))),
        }
    }

    /// As `run`, below a tool. Returns what that says.
    pub fn run_below(&self, mut tool: Command, work: Work, size: Size) -> io::Result<Vec<u8>> {
        let (program, arguments) = self.command_line(work, size)?;
        tool.arg(program).args(arguments);
        // The sizes of a dictionary, and so its steps, are to be the same each time.
        tool.env("PYTHONHASHSEED", "0");
        Ok(output(tool)?.stderr)
    }

    fn command_line(&self, work: Work, size: Size) -> io::Result<(OsString, Vec<OsString>)> {
        let (program, first) = match &self.place {
            Place::Here => (env::current_exe()?, SERVE),
            Place::There(interpreter) => (interpreter.program.clone(), "-c"),
            Place::Missing(why) => return Err(io::Error::new(io::ErrorKind::NotFound, &**why)),
        };
        let script = match self.place {
            Place::There(_) => Some(include_str!("tasks.py")),
            _ => None,
        };
        let number = size.n.to_string();
        let seconds = size.sleep.as_secs_f64().to_string();
        let arguments = [first].into_iter().chain(script);
        let arguments = arguments.chain([self.name, work.name(), &number, &seconds]);
        Ok((program.into(), arguments.map(OsString::from).collect()))
    }

    /// How many tasks there can be at the same time, if that is known.
    pub fn most_tasks(&self) -> Option<u64> {
        // may: a stack and its guard are two mappings.
        if self.name != MAY {
            return None;
        }
        Some((max_mappings()?.saturating_sub(OTHER_MAPPINGS)) / 2)
    }
}

/// How many memory mappings a process may have.
pub fn max_mappings() -> Option<u64> {
    let limit = fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    limit.trim().parse().ok()
}

/// What else of a process is mapped: its program and libraries, heap, threads, and may's pool of stacks.
const OTHER_MAPPINGS: u64 = 2530;

fn place(name: &str, may_install: bool) -> Place {
    let interpreter = match name {
        ASYNCIO => pythons::asyncio(),
        UVLOOP => pythons::uvloop(pythons::asyncio(), may_install),
        _ => return Place::Here,
    };
    interpreter.map_or_else(Place::Missing, Place::There)
}
