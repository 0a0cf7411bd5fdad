//! Follows a growing log, and shows how often each pattern has come. In Python:
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
//! follow(log, broadcast([grep("python", counter("python")), grep("error", counter("error"))]))
//! ```
//!
//! Look at the one expression in `watch`: each line of the log is lent to every grep in turn, and nothing is copied. The
//! source survives what happens to logs: they are truncated and rotated, and their last line is often but half
//! written. The demonstration does all that to a log of its own whenever there is nothing new, instead of sleeping.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use yieldfrom::Exception;
use yieldfrom::pipe::{Follow, Line, Receiver, Sink, broadcast, grep, sink};

/// How often each pattern has come.
struct Screen {
    counts: RefCell<Vec<(String, u64)>>,
    is_terminal: bool,
}

impl Screen {
    fn count(&self, index: usize) -> io::Result<()> {
        self.counts.borrow_mut()[index].1 += 1;
        self.show()
    }

    /// On a terminal always in the same line, else in a new one.
    fn show(&self) -> io::Result<()> {
        let counts = self.counts.borrow();
        let counts: Vec<_> = counts
            .iter()
            .map(|(name, count)| format!("{name}: {count}"))
            .collect();
        let (start, end) = if self.is_terminal {
            ("\r", "\x1b[K")
        } else {
            ("", "\n")
        };
        let mut stdout = io::stdout().lock();
        write!(stdout, "{start}{}{end}", counts.join("  "))?;
        stdout.flush()
    }
}

/// Counts the lines that it is sent.
fn counter(index: usize, screen: Rc<Screen>) -> Sink<Line, io::Result<()>> {
    sink(move |lines: &mut Receiver<Line>| {
        while lines.recv().is_some() {
            screen.count(index)?;
        }
        Ok(())
    })
}

fn watch(log: Follow, patterns: &[String]) -> Result<(), Exception> {
    let screen = Rc::new(Screen {
        counts: RefCell::new(
            patterns
                .iter()
                .map(|pattern| (pattern.clone(), 0))
                .collect(),
        ),
        is_terminal: io::stdout().is_terminal(),
    });
    let counters = patterns.iter().enumerate().map(|(index, pattern)| {
        let counter = counter(index, Rc::clone(&screen));
        grep(pattern).into(counter)
    });
    log.lines()
        .into(broadcast::<Line, (), Exception>(counters))?;
    Ok(())
}

/// What happens to the log of the demonstration.
enum Step {
    Append(&'static str),
    Truncate,
    Rotate,
}

const STEPS: [Step; 7] = [
    Step::Append("GET /index.html\nGET /python/tutorial.html\n"),
    Step::Append("error: no snakes here\nGET /pyth"),
    Step::Append("on/library.html\n"),
    Step::Truncate,
    Step::Append("GET /python\n"),
    Step::Rotate,
    Step::Append("error: a python error\n"),
];

fn demonstration() -> Result<(), Exception> {
    let folder = std::env::temp_dir().join(format!("yieldfrom-follow-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let log = folder.join("access.log");
    fs::write(&log, "GET /python/old.html\n")?; // is there already, and not counted
    let mut steps = STEPS.iter();
    let path = log.clone();
    let follow = Follow::new(&log).on_wait(move || {
        let Some(step) = steps.next() else {
            return Ok(false);
        };
        perform(step, &path)?;
        Ok(true)
    });
    let watched = watch(follow, &["python".to_owned(), "error".to_owned()]);
    fs::remove_dir_all(&folder)?;
    watched
}

fn perform(step: &Step, log: &Path) -> io::Result<()> {
    let mut stdout = io::stdout();
    match step {
        Step::Append(text) => {
            writeln!(stdout, "... append {text:?}")?;
            OpenOptions::new()
                .append(true)
                .open(log)?
                .write_all(text.as_bytes())
        }
        Step::Truncate => {
            writeln!(stdout, "... truncate")?;
            File::create(log).map(drop)
        }
        Step::Rotate => {
            writeln!(stdout, "... rotate")?;
            fs::rename(log, log.with_extension("log.1"))?;
            File::create(log).map(drop)
        }
    }
}

const HELP: &str = "\
follow: counts the lines of a growing log that contain a pattern, live

Run it with: cargo run --example follow
         or: cargo run --example follow -- FILE PATTERN...
";

fn main() -> ExitCode {
    let mut args = Vec::new();
    for arg in std::env::args_os().skip(1) {
        match arg.into_string() {
            Ok(arg) => args.push(arg),
            Err(arg) => return misused(&format!("{arg:?} is not UTF-8")),
        }
    }
    let result = match &args[..] {
        [] => demonstration(),
        [flag] if flag == "-h" || flag == "--help" => {
            write!(io::stdout(), "{HELP}").map_err(Exception::from)
        }
        [flag, ..] if flag.starts_with('-') => {
            return misused(&format!("unknown argument {flag:?}"));
        }
        [_] => return misused("a pattern is missing"),
        [file, patterns @ ..] => watch(Follow::new(file), patterns),
    };
    match result.map_err(io::Error::from) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("follow: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}

fn misused(what: &str) -> ExitCode {
    eprintln!("follow: {what}; try --help");
    ExitCode::from(2)
}
