//! A running average with a result, and a delegating coroutine that collects results. In Python:
//!
//! ```python
//! def averager():
//!     total, count, average = 0.0, 0, None
//!     while True:
//!         term = yield average
//!         if term is None:
//!             return Average(count, average)
//!         total += term
//!         count += 1
//!         average = total / count
//!
//! def grouper(results, key):
//!     while True:
//!         results[key] = yield from averager()
//!
//! for key, values in data.items():
//!     group = grouper(results, key)
//!     next(group)
//!     for value in values:
//!         group.send(value)
//!     group.send(None)
//! ```
//!
//! Look at the three roles. The caller sends to the grouper and reaches the averager behind it; what the averager
//! returns arrives as the value of `yield_from`. Python's grouper loops for ever only because its end would raise
//! `StopIteration` in the caller; here an end is a value, so it just ends.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;

use yieldfrom::{Coroutine, Exception, Step, coroutine};

#[derive(Clone, Copy, Debug)]
struct Average {
    count: u32,
    average: f64,
}

/// (who, unit)
type Key = (&'static str, &'static str);
type Results = Rc<RefCell<BTreeMap<Key, Average>>>;

fn averager() -> Coroutine<f64, Option<f64>, Average> {
    coroutine(|co| {
        let (mut total, mut count, mut average) = (0.0, 0, f64::NAN);
        while let Some(term) = co.yield_(average)? {
            total += term;
            count += 1;
            average = total / f64::from(count);
        }
        Ok(Average { count, average })
    })
}

fn grouper(results: Results, key: Key) -> Coroutine<f64, Option<f64>> {
    coroutine(move |co| {
        let average = co.yield_from(&mut averager())?;
        results.borrow_mut().insert(key, average);
        Ok(())
    })
}

const DATA: [(Key, &[f64]); 4] = [
    (("girls", "kg"), &[40.9, 38.5, 44.3]),
    (("girls", "m"), &[1.6, 1.51, 1.4]),
    (("boys", "kg"), &[39.0, 40.8]),
    (("boys", "m"), &[1.38, 1.5]),
];

fn one_average() -> Result<(), Exception> {
    let mut out = io::stdout();
    let mut averager = averager();
    averager.prime()?;
    for term in [Some(10.0), Some(30.0), None] {
        match averager.send(term)? {
            Step::Yielded(average) => writeln!(out, "{average:.1}")?,
            Step::Complete(average) => writeln!(out, "{average:?}")?,
        }
    }
    Ok(())
}

fn report() -> Result<(), Exception> {
    let results = Results::default();
    for (key, values) in DATA {
        let mut group = grouper(results.clone(), key);
        group.prime()?;
        for value in values {
            group.send(Some(*value))?;
        }
        group.send(None)?;
    }
    for ((who, unit), Average { count, average }) in results.take() {
        writeln!(
            io::stdout(),
            "{count:2} {who:5} averaging {average:.2}{unit}"
        )?;
    }
    Ok(())
}

fn run() -> io::Result<()> {
    one_average()?;
    report()?;
    Ok(())
}

const HELP: &str = "\
averager: partial averages are yielded, the final one is returned; then a report on
four groups, whose averages are collected with `yield_from`

Run it with: cargo run --example averager
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("averager: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("averager: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
