//! A target that runs on a thread of its own and is fed through a queue. In Python:
//!
//! ```python
//! @coroutine
//! def threaded(target):
//!     messages = Queue()
//!
//!     def run():
//!         while (item := messages.get()) is not GeneratorExit:
//!             target.send(item)
//!         target.close()
//!
//!     Thread(target=run).start()
//!     try:
//!         while True:
//!             messages.put((yield))
//!     except GeneratorExit:
//!         messages.put(GeneratorExit)
//!
//! source(lines, threaded(parse(on_route(22, printer()))))
//! ```
//!
//! Look at `threaded(|| ..)`: what travels is the closure. A coroutine stays on the thread that made it, so the closure
//! makes the target there, with all that is behind it; nobody else can resume it. What goes through the queue is what
//! `yield_` returns: an item, or an exception, of which the order to finish is one. And a close waits for the thread, so a
//! failure there comes back to the source, where David Beazley's program, which this mirrors, loses it. For stages there is
//! `pipe::parallel`, which sends on what the threads make, in the order of the items.

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::thread;

use yieldfrom::pipe::{Source, filter, from_iter, head, map, parallel, print, try_map};
use yieldfrom::{Coroutine, Exception, Raised, Step, coroutine};

type Stage<T> = Coroutine<(), T>;
type Primed<T> = Result<Stage<T>, Raised<T>>;

fn threaded<T, F>(make: F) -> Primed<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<Stage<T>, Exception> + Send + 'static,
{
    coroutine(move |co| {
        let (messages, queue) = sync_channel(16);
        let run = move || -> Result<(), Exception> {
            let mut target = make()?;
            for message in queue {
                let step = match message {
                    Ok(item) => target.send(item)?,
                    Err(Exception::GeneratorExit) => break,
                    Err(exception) => target.throw(exception)?,
                };
                if step == Step::Complete(()) {
                    return Ok(()); // it wants no more
                }
            }
            target.close()?;
            Ok(())
        };
        let thread = thread::Builder::new().name("target".into()).spawn(run)?;
        loop {
            let message = co.yield_(());
            let is_last = message.as_ref().is_err_and(Exception::is_exit);
            if messages.send(message).is_err() || is_last {
                break; // in the first case the thread has ended by itself
            }
        }
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
    .primed()
}

fn source(lines: &[&'static str], mut target: Stage<&'static str>) -> Result<(), Exception> {
    for line in lines {
        if target.send(line)? == Step::Complete(()) {
            return Ok(());
        }
    }
    target.close()?;
    Ok(())
}

/// The number of the route and the rest of a line.
type Bus = (u32, &'static str);

fn parse_line(line: &&'static str) -> Result<Bus, Exception> {
    let (route, rest) = line
        .split_once(',')
        .ok_or_else(|| Exception::new("a line without a comma"))?;
    Ok((route.parse()?, rest))
}

fn parse(mut target: Stage<Bus>) -> Primed<&'static str> {
    coroutine(move |co| {
        loop {
            target.send(parse_line(&co.yield_(())?)?)?;
        }
    })
    .primed()
}

fn on_route(route: u32, mut target: Stage<Bus>) -> Primed<Bus> {
    coroutine(move |co| {
        loop {
            let bus: Bus = co.yield_(())?;
            if bus.0 == route {
                target.send(bus)?;
            }
        }
    })
    .primed()
}

fn printer() -> Primed<Bus> {
    coroutine(|co| {
        loop {
            let (_, bus): Bus = co.yield_(())?;
            writeln!(io::stdout(), "{}: {bus}", here())?;
        }
    })
    .primed()
}

/// The name of the thread.
fn here() -> String {
    thread::current().name().unwrap_or("unnamed").to_owned()
}

const LINES: [&str; 5] = [
    "22,1485 North Bound",
    "147,7574 North Bound",
    "22,1629 North Bound",
    "twenty-two,1489 North Bound",
    "22,1533 North Bound",
];

fn run() -> io::Result<()> {
    for lines in [&LINES[..3], &LINES] {
        writeln!(
            io::stdout(),
            "-- {} lines for a target on a thread:",
            lines.len()
        )?;
        let target = threaded(|| Ok(parse(on_route(22, printer()?)?)?))?;
        match source(lines, target) {
            Ok(()) => writeln!(io::stdout(), "{}: done", here())?,
            Err(exception) => writeln!(io::stdout(), "{}: {exception}", here())?,
        }
    }
    writeln!(io::stdout(), "-- stages on two threads:")?;
    let on_route_22 = |lines: Source<&'static str>| {
        lines
            .pipe(try_map(parse_line))
            .pipe(filter(|bus: &Bus| bus.0 == 22))
            .pipe(map(|bus: &Bus| bus.1))
    };
    let first = from_iter(LINES).pipe(head(3));
    first.pipe(parallel(2, on_route_22)).into(print())?;
    Ok(())
}

const HELP: &str = "\
threaded_target: a coroutine on a thread of its own, fed through a queue; how it is
closed, and how its failure comes back

Run it with: cargo run --example threaded_target
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("threaded_target: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("threaded_target: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
