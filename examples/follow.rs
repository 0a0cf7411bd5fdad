//! A source that follows a growing file, as `tail -f`. In Python:
//!
//! ```python
//! def follow(file, target):
//!     while True:
//!         line = file.readline()
//!         if line:
//!             target.send(line)
//!         else:
//!             time.sleep(0.1)
//!
//! log = open("access.log")
//! log.seek(0, os.SEEK_END)
//! follow(log, grep("python", printer()))
//! ```
//!
//! Look at `wait`, which is called at the end of the file: for a real file it sleeps, in the demonstration it plays
//! the program that writes the log, so that nothing sleeps and all comes to an end. A line that is half written is
//! not sent before the rest has come, where the Python above sends two halves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use yieldfrom::pipe::{Receiver, Sink, sink};

type Stage = Sink<str, io::Result<()>>;

/// Sends each line of `file` to `target`, until that wants no more or `wait` says that the file will not grow.
fn follow(
    mut file: impl BufRead,
    mut wait: impl FnMut() -> io::Result<bool>,
    mut target: Stage,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        file.read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            line.pop();
            if target.send(&String::from_utf8_lossy(&line)).is_err() {
                break;
            }
            line.clear();
        } else if !wait()? {
            break;
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
        target.close()
    })
}

fn printer() -> Stage {
    sink(|lines: &mut Receiver<str>| {
        while let Some(line) = lines.recv() {
            writeln!(io::stdout(), "{line}")?;
        }
        Ok(())
    })
}

/// A log without a disk: what is read from it is what was appended, and then its end, for now.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<VecDeque<u8>>>);

impl Log {
    fn append(&self, text: &str) {
        self.0.borrow_mut().extend(text.as_bytes());
    }
}

impl Read for Log {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

const APPENDED: [&str; 3] = [
    "GET /index.html\nGET /python/tutorial.html\n",
    "GET /favicon.ico\nGET /pyth",
    "on/library.html\n",
];

fn demonstration() -> io::Result<()> {
    let log = Log::default();
    let file = BufReader::new(log.clone());
    let mut appended = APPENDED.iter();
    let wait = || {
        let Some(text) = appended.next() else {
            return Ok(false);
        };
        writeln!(io::stdout(), "... {text:?}")?;
        log.append(text);
        Ok(true)
    };
    follow(file, wait, grep("python", printer()))
}

fn tail(path: &Path) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut file = File::open(path).map_err(named)?;
    if file.metadata()?.is_dir() {
        return Err(named(io::ErrorKind::IsADirectory.into()));
    }
    file.seek(SeekFrom::End(0)).map_err(named)?;
    let wait = || {
        thread::sleep(Duration::from_millis(100));
        Ok(true)
    };
    follow(BufReader::new(file), wait, printer())
}

const HELP: &str = "\
follow: a source sends the lines of a growing file to a grep and a printer

Run it with: cargo run --example follow
         or: cargo run --example follow -- FILE   (as `tail -f -n 0 FILE`)
";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let result = match (args.next(), args.next()) {
        (None, _) => demonstration(),
        (Some(arg), _) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        (Some(path), None) if !is_flag(&path) => tail(path.as_ref()),
        (Some(arg), other) => {
            let unknown = other.filter(|_| !is_flag(&arg)).unwrap_or(arg);
            eprintln!("follow: unknown argument {unknown:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("follow: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}

fn is_flag(arg: &OsStr) -> bool {
    arg.as_encoded_bytes().starts_with(b"-")
}
