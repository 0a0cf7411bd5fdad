//! `log_report` without this crate: the same lines in, the same report out.
//!
//! Look at `report`. It is one loop, and has to know what every counter keeps between two lines and what it prints in the end.
//! A counter more is a change in three places there; in `log_report` it is one function and its name in a list. What the loop
//! does not need are coroutines and their stacks: for one reader and three counters it is the shorter program.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;

/// What is wanted of `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache.gif HTTP/1.0" 200 2326`.
struct Entry<'a> {
    path: &'a str,
    status: u16,
    bytes: u64,
}

impl<'a> Entry<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut quoted = line.splitn(3, '"').skip(1);
        let path = quoted.next()?.split(' ').nth(1)?;
        let mut numbers = quoted.next()?.split_whitespace();
        let status = numbers.next()?.parse().ok()?;
        let bytes = match numbers.next()? {
            "-" => 0,
            bytes => bytes.parse().ok()?,
        };
        Some(Self {
            path,
            status,
            bytes,
        })
    }
}

#[derive(Default)]
struct Report {
    statuses: BTreeMap<u16, u64>,
    paths: HashMap<String, u64>,
    requests: u64,
    bytes: u64,
    has_failed: bool,
}

impl Report {
    fn add(&mut self, name: &OsStr, mut log: impl BufRead) -> io::Result<()> {
        let (mut line, mut number) = (Vec::new(), 0);
        while log.read_until(b'\n', &mut line)? > 0 {
            number += 1;
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
            if let Some(entry) = Entry::read(&text) {
                *self.statuses.entry(entry.status).or_default() += 1;
                match self.paths.get_mut(entry.path) {
                    Some(count) => *count += 1,
                    None => drop(self.paths.insert(entry.path.to_owned(), 1)),
                }
                self.requests += 1;
                self.bytes += entry.bytes;
            } else {
                eprintln!(
                    "log_report_without: {}:{number}: not a log entry",
                    name.to_string_lossy()
                );
            }
            line.clear();
        }
        Ok(())
    }

    fn add_file(&mut self, file: &OsStr) {
        let added = match file == "-" {
            true => self.add(file, io::stdin().lock()),
            false => File::open(file).and_then(|log| self.add(file, BufReader::new(log))),
        };
        if let Err(error) = added {
            self.has_failed = true;
            eprintln!("log_report_without: {}: {error}", file.to_string_lossy());
        }
    }

    fn print(self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "status")?;
        for (status, count) in self.statuses {
            writeln!(out, "{count:>8} {status}")?;
        }
        let mut paths: Vec<_> = self
            .paths
            .into_iter()
            .map(|(path, count)| (u64::MAX - count, path))
            .collect();
        paths.sort();
        writeln!(out, "most wanted")?;
        for (rank, path) in paths.into_iter().take(3) {
            writeln!(out, "{:>8} {path}", u64::MAX - rank)?;
        }
        writeln!(
            out,
            "traffic\n{:>8} requests\n{:>8} bytes",
            self.requests, self.bytes
        )
    }
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
log_report_without: the example log_report, written without yieldfrom

Run it with: cargo run --example log_report_without
         or: cargo run --example log_report_without -- FILE...   (- is standard input)
";

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let is_flag = |arg: &&OsString| *arg != "-" && arg.as_encoded_bytes().starts_with(b"-");
    let mut report = Report::default();
    let mut has_failed = false;
    let result = match args.iter().find(is_flag) {
        Some(flag) if flag == "-h" || flag == "--help" => write!(io::stdout(), "{HELP}"),
        Some(flag) => {
            eprintln!("log_report_without: unknown argument {flag:?}; try --help");
            return ExitCode::from(2);
        }
        None => {
            if args.is_empty() {
                report
                    .add(OsStr::new("-"), SAMPLE.as_bytes())
                    .expect("a slice can be read");
            }
            args.iter().for_each(|file| report.add_file(file));
            has_failed = report.has_failed;
            report.print(&mut io::stdout())
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("log_report_without: {error}");
            ExitCode::FAILURE
        }
        _ if has_failed => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
