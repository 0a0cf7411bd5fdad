//! A report about the access logs of a web server: one stream of entries for several counters at once. In Python:
//!
//! ```python
//! @coroutine
//! def parse(target):
//!     while True:
//!         target.send(Entry((yield)))
//!
//! source(lines, parse(broadcast([by_status(), top_paths(3), traffic()])))
//! ```
//!
//! Look at `parse`: it fills one `Entry` again and again and lends it on, so that a line costs no allocation. And at
//! `main`, where the report is what the counters return at the close.
//!
//! `log_report_without` is the same program without this crate: there is one loop, which has to know of every counter.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;

use yieldfrom::Exception;
use yieldfrom::pipe::{
    Line, ReadError, Receiver, Sender, Sink, Source, Stage, Text, broadcast, chain, lines, sink,
    stage,
};

/// One request.
#[derive(Default)]
struct Entry {
    path: String,
    status: u16,
    bytes: u64,
}

impl Entry {
    /// Takes over a line in the Common Log Format, if it is one:
    /// `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache.gif HTTP/1.0" 200 2326`.
    fn read(&mut self, line: &str) -> Option<()> {
        let mut quoted = line.splitn(3, '"').skip(1);
        let path = quoted.next()?.split(' ').nth(1)?;
        let mut numbers = quoted.next()?.split_whitespace();
        self.status = numbers.next()?.parse().ok()?;
        self.bytes = match numbers.next()? {
            "-" => 0,
            bytes => bytes.parse().ok()?,
        };
        self.path.clear();
        self.path.push_str(path);
        Some(())
    }
}

/// Sends on the entries that the lines hold, and complains about other lines.
fn parse() -> Stage<Line, Entry> {
    stage(|lines: &mut Receiver<Line>, out: &mut Sender<Entry>| {
        let mut entry = Entry::default();
        while let Some(line) = lines.recv() {
            match entry.read(&line.to_string_lossy()) {
                Some(()) => out.send(&entry)?,
                None => {
                    let file = line
                        .path()
                        .map_or("-".into(), |path| path.to_string_lossy());
                    eprintln!("log_report: {file}:{}: not a log entry", line.number());
                }
            }
        }
        Ok(())
    })
}

/// A counter returns its part of the report.
type Counter = Sink<Entry, Result<String, Infallible>>;

fn by_status() -> Counter {
    sink(|entries: &mut Receiver<Entry>| {
        let mut counts = BTreeMap::<u16, u64>::new();
        while let Some(entry) = entries.recv() {
            *counts.entry(entry.status).or_default() += 1;
        }
        let mut report = String::from("status\n");
        for (status, count) in counts {
            let _ = writeln!(report, "{count:>8} {status}"); // a `String` takes everything
        }
        Ok(report)
    })
}

fn top_paths(n: usize) -> Counter {
    sink(move |entries: &mut Receiver<Entry>| {
        let mut counts = HashMap::<String, u64>::new();
        while let Some(entry) = entries.recv() {
            match counts.get_mut(&entry.path) {
                Some(count) => *count += 1,
                None => drop(counts.insert(entry.path.clone(), 1)),
            }
        }
        let mut counts: Vec<_> = counts
            .into_iter()
            .map(|(path, count)| (u64::MAX - count, path))
            .collect();
        counts.sort();
        let mut report = String::from("most wanted\n");
        for (rank, path) in counts.into_iter().take(n) {
            let _ = writeln!(report, "{:>8} {path}", u64::MAX - rank);
        }
        Ok(report)
    })
}

fn traffic() -> Counter {
    sink(|entries: &mut Receiver<Entry>| {
        let (mut requests, mut bytes) = (0_u64, 0);
        while let Some(entry) = entries.recv() {
            requests += 1;
            bytes += entry.bytes;
        }
        Ok(format!(
            "traffic\n{requests:>8} requests\n{bytes:>8} bytes\n"
        ))
    })
}

fn report(log: Source<Line>) -> Result<(), Exception> {
    let counters = [by_status(), top_paths(3), traffic()];
    let report = log.pipe(parse()).into(broadcast(counters))?;
    write!(io::stdout(), "{}", report.concat())?;
    Ok(())
}

/// The lines of all files. If one cannot be read, `complain` is called, and the others are read.
fn log(files: Vec<OsString>, complain: impl Fn(ReadError) + Clone + 'static) -> Source<Line> {
    if files.is_empty() {
        return lines(SAMPLE.as_bytes());
    }
    chain(files.into_iter().map(move |file| {
        let text = Text::new().on_error(complain.clone());
        match file == "-" {
            true => text.lines(io::stdin()),
            false => text.lines_of([file]),
        }
    }))
}

const SAMPLE: &str = r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /index.html HTTP/1.0" 200 2326
127.0.0.1 - frank [10/Oct/2000:13:55:40 -0700] "GET /python/ HTTP/1.0" 200 5120
10.0.0.7 - - [10/Oct/2000:13:56:02 -0700] "GET /python/ HTTP/1.0" 304 -
10.0.0.7 - - [10/Oct/2000:13:56:03 -0700] "GET /favicon.ico HTTP/1.0" 404 209
127.0.0.1 - - [10/Oct/2000:13:57:11 -0700] "GET /index.html HTTP/1.0" 200 2326
10.0.0.9 - - [10/Oct/2000:13:58:00 -0700] "POST /python/ HTTP/1.0" 503 12
10.0.0.9 - - [10/Oct/2000:13:58:09 -0700] "GET /rust.html HTTP/1.0" 200 777
"#;

const HELP: &str = "\
log_report: what the access logs of a web server (Common Log Format) say, in one pass

Run it with: cargo run --example log_report
         or: cargo run --example log_report -- FILE...   (- is standard input)
";

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let has_failed = Rc::new(Cell::new(false));
    let failed = Rc::clone(&has_failed);
    let complain = move |error| {
        failed.set(true);
        eprintln!("log_report: {error}");
    };
    let is_flag = |arg: &&OsString| *arg != "-" && arg.as_encoded_bytes().starts_with(b"-");
    let result = match args.iter().find(is_flag) {
        Some(flag) if flag == "-h" || flag == "--help" => {
            write!(io::stdout(), "{HELP}").map_err(Exception::from)
        }
        Some(flag) => {
            eprintln!("log_report: unknown argument {flag:?}; try --help");
            return ExitCode::from(2);
        }
        None => report(log(args, complain)),
    };
    match result.map_err(io::Error::from) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("log_report: {error}");
            ExitCode::FAILURE
        }
        _ if has_failed.get() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
