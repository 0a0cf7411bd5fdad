//! A day of three taxis, as a simulation of discrete events. In Python:
//!
//! ```python
//! def taxi_process(proc, trips, start_time):
//!     time = yield Event(start_time, proc, "leave garage")
//!     for _ in range(trips):
//!         time = yield Event(time, proc, "pick up passenger")
//!         time = yield Event(time, proc, "drop off passenger")
//!     yield Event(time, proc, "going home")
//!
//! while events:
//!     event = events.get()  # the earliest
//!     print(event)
//!     later = event.time + duration(event.action)
//!     try:
//!         events.put(taxis[event.proc].send(later))
//!     except StopIteration:
//!         del taxis[event.proc]
//! ```
//!
//! Look at `taxi_process`: a taxi's day reads from top to bottom, and none of it knows of the other taxis. The
//! simulator keeps the clock; time passes because it sends a later one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::{Coroutine, Exception, Step, coroutine};

const DEPARTURE_INTERVAL: u32 = 5;
const SEARCH_DURATION: u32 = 5;
const TRIP_DURATION: u32 = 20;

/// Ordered by time, then by taxi.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    time: u32,
    proc: usize,
    action: &'static str,
}

fn taxi_process(proc: usize, trips: usize, start_time: u32) -> Coroutine<Event, u32> {
    coroutine(move |co| {
        let event = |time, action| Event { time, proc, action };
        let mut time = co.yield_(event(start_time, "leave garage"))?;
        for _ in 0..trips {
            time = co.yield_(event(time, "pick up passenger"))?;
            time = co.yield_(event(time, "drop off passenger"))?;
        }
        co.yield_(event(time, "going home"))?;
        Ok(())
    })
}

fn simulate(mut taxis: Vec<Coroutine<Event, u32>>, mut dice: Dice) -> Result<(), Exception> {
    let mut events = BinaryHeap::new();
    for taxi in &mut taxis {
        events.extend(taxi.prime()?.yielded().map(Reverse));
    }
    while let Some(Reverse(event)) = events.pop() {
        let indent = "   ".repeat(event.proc);
        writeln!(io::stdout(), "taxi: {} {indent} {event:?}", event.proc)?;

        let later = event.time + dice.duration(event.action);
        if let Step::Yielded(next) = taxis[event.proc].send(later)? {
            events.push(Reverse(next));
        }
    }
    writeln!(io::stdout(), "*** end of events ***")?;
    Ok(())
}

/// The same throws in every run: a linear congruential generator.
struct Dice(u64);

impl Dice {
    /// How long it takes until `action` is over: 1 minute to nearly twice the mean.
    fn duration(&mut self, action: &str) -> u32 {
        let mean = match action {
            "pick up passenger" => TRIP_DURATION,
            "going home" => 1,
            _ => SEARCH_DURATION,
        };
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1);
        1 + (self.0 >> 33) as u32 % (2 * mean - 1)
    }
}

fn run() -> io::Result<()> {
    let taxis = (0..3)
        .zip((0..).step_by(DEPARTURE_INTERVAL as usize))
        .map(|(proc, start_time)| taxi_process(proc, 2 * (proc + 1), start_time))
        .collect();
    simulate(taxis, Dice(3))?;
    Ok(())
}

const HELP: &str = "\
taxi_sim: three taxis leave the garage, look for passengers, drive them and go home;
every event in the order of simulated time, the same in every run

Run it with: cargo run --example taxi_sim
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("taxi_sim: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("taxi_sim: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
