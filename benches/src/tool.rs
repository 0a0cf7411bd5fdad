//! The tools that count what a process does. Unlike times, counts repeat to the digit, or nearly.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::{Command, Stdio};

#[derive(Clone, Copy)]
pub enum Tool {
    /// Counts instructions in the program, not in the kernel.
    Cachegrind,
    /// Counts system calls, by name. They take much longer then.
    Strace,
    /// Counts system calls at full speed, all together. For this most systems want it to be run by root.
    Perf,
}

impl Tool {
    /// Whether it is there. If not, what is not counted is said on standard output.
    pub fn is_there(self) -> io::Result<bool> {
        let (mut command, what) = match self {
            Self::Cachegrind => (Command::new("valgrind"), "Instructions"),
            Self::Strace => (Command::new("strace"), "System calls"),
            Self::Perf => (self.command(), "System calls at full speed"),
        };
        match self {
            Self::Perf => command.arg("true"),
            Self::Cachegrind => command.arg("--version"),
            Self::Strace => command.arg("-V"),
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let problem = match command.status() {
            Ok(status) if status.success() => return Ok(true),
            Ok(_) => format!("{program} may not"),
            Err(_) => format!("there is no {program}"),
        };
        writeln!(io::stdout(), "{what} are not counted: {problem}.")?;
        Ok(false)
    }

    /// The beginning of a command line. What follows is the command whose process is looked at; the report is on
    /// standard error.
    pub fn command(self) -> Command {
        let mut command;
        match self {
            Self::Cachegrind => {
                command = Command::new("valgrind");
                command
                    .args(["--tool=cachegrind", "--cache-sim=no"])
                    .arg("--cachegrind-out-file=/dev/null");
            }
            Self::Strace => {
                command = Command::new("strace");
                command.args(["-f", "-qq", "-c", "-U", "calls,name"]);
            }
            Self::Perf => {
                command = Command::new("perf");
                command.args(["stat", "-x", " ", "-e", "raw_syscalls:sys_enter", "--"]);
            }
        }
        command
    }

    /// What was counted, by name.
    pub fn read(self, report: &[u8]) -> io::Result<BTreeMap<String, i64>> {
        let report = String::from_utf8_lossy(report);
        let counts: BTreeMap<String, i64> = match self {
            Self::Cachegrind => report
                .lines()
                .filter_map(|line| line.split_once("refs:"))
                .filter_map(|(_, number)| number.trim().replace(',', "").parse().ok())
                .map(|count| (String::from("instructions"), count))
                .collect(),
            // What follows the name differs from version to version.
            Self::Perf => report
                .lines()
                .filter(|line| line.contains("sys_enter"))
                .filter_map(|line| line.split_whitespace().next()?.parse().ok())
                .map(|count| (String::from("all"), count))
                .collect(),
            Self::Strace => report
                .lines()
                .filter_map(|line| line.trim().split_once(' '))
                .filter_map(|(count, name)| Some((name.trim(), count.parse().ok()?)))
                .filter(|(name, _)| *name != "total")
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
        };
        if counts.is_empty() {
            let message = format!("nothing was counted:\n{report}");
            return Err(io::Error::other(message));
        }
        Ok(counts)
    }
}
