//! A server in a process of its own, seen from the client.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use std::time::Duration;

use crate::cpu::Cpu;

/// The argument, not for people, that makes this program a server.
pub const SERVE: &str = "serve";

/// A running server. It ends when it is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What a server has taken.
#[derive(Clone, Copy)]
pub struct Usage {
    pub cpu: Cpu,
    /// In KiB.
    pub resident: u64,
}

impl Server {
    pub fn start(name: &str) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args([SERVE, name]);
        Self::start_with(command)
    }

    /// Starts it below a tool, whose report is on standard error.
    pub fn start_below(mut tool: Command, name: &str) -> io::Result<Self> {
        tool.arg(env::current_exe()?).args([SERVE, name]);
        tool.stderr(Stdio::piped());
        Self::start_with(tool)
    }

    fn start_with(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let Ok(port) = line.trim().parse() else {
            drop(requests);
            let output = child.wait_with_output()?;
            let report = String::from_utf8_lossy(&output.stderr);
            let message = format!("the server did not start: {}\n{report}", output.status);
            return Err(io::Error::other(message.trim_end()));
        };
        Ok(Self {
            child,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            requests,
            answers,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn usage(&mut self) -> io::Result<Usage> {
        let requests = self.requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(requests)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let numbers: Result<Vec<u64>, _> = answer.split_whitespace().map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[user, system, resident]) => Ok(Usage {
                cpu: Cpu {
                    user: Duration::from_micros(user),
                    system: Duration::from_micros(system),
                },
                resident,
            }),
            _ => Err(io::Error::other(format!(
                "the server says {answer:?} instead of what it has taken"
            ))),
        }
    }

    /// Ends it. Returns what was printed on standard error, if that is piped.
    pub fn end(mut self) -> io::Result<Vec<u8>> {
        self.requests = None;
        let mut report = Vec::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            io::Read::read_to_end(&mut stderr, &mut report)?;
        }
        let status = self.child.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("the server ended with {status}")));
        }
        Ok(report)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.requests = None; // which ends it
        let _ = self.child.wait();
    }
}
