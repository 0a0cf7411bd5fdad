//! Processes that are to end soon.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::{Side, on_core};

/// How long a process may take: many times as long as any work does, also below a tool that makes it slower.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is looked at. That is done on another core, if there is one.
const LOOK: Duration = Duration::from_millis(2);

/// Runs a command on the core of those that are measured, and returns what it has printed.
///
/// # Errors
///
/// If it fails, or takes too long; the last lines of what it has said about that are in the message.
pub fn output(mut command: Command) -> io::Result<Output> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("RUST_BACKTRACE", "0"); // what a panic says is to be in the last lines
    let mut child = on_core(Side::Server, || command.spawn())?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Somebody has to read meanwhile: a process that says much would wait for that.
    let (status, stdout, stderr) = thread::scope(|scope| {
        let stdout = scope.spawn(|| read(stdout));
        let stderr = scope.spawn(|| read(stderr));
        let status = wait(&mut child);
        let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join());
        (status, stdout, stderr)
    });
    let [stdout, stderr] = [stdout, stderr].map(|read| read.expect("to read does not panic"));
    let output = Output {
        status: status?,
        stdout: stdout?,
        stderr: stderr?,
    };
    if !output.status.success() {
        let (status, report) = (output.status, end_of(&output.stderr));
        return Err(io::Error::other(format!("{status}\n{report}").trim_end()));
    }
    Ok(output)
}

fn read(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Waits until it ends, or ends it.
fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() >= PATIENCE {
            child.kill()?;
            child.wait()?;
            let seconds = PATIENCE.as_secs();
            let message = format!("it has not ended within {seconds} s");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        thread::sleep(LOOK);
    }
}

/// The last lines of a report.
fn end_of(report: &[u8]) -> String {
    const LINES: usize = 6;
    let report = String::from_utf8_lossy(report);
    let lines: Vec<&str> = report.trim_end().lines().collect();
    let from = lines.len().saturating_sub(LINES);
    lines[from..].join("\n")
}
