//! Waiting for some of several tasks. In Python:
//!
//! ```python
//! done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
//! done, pending = await asyncio.wait(tasks, timeout=1.5)
//! ```
//!
//! Look at the timeout: it cancels nothing. The tasks that are pending can be waited for once more.

#[path = "adapters/program.rs"]
mod program;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use yieldfrom::task::{Task, Wait, Waited, sleep, time, wait};
use yieldfrom::{Builder, Exception, await_};

const HELP: &str = "\
wait_sets: which tasks are done and which are pending, four times

    cargo run --example wait_sets
    cargo run --example wait_sets -- [OPTIONS]

";

/// Takes so long, and then fails if it is the bad one.
fn job(seconds: u64, fails: bool) -> Result<u64, Exception> {
    await_(sleep(Duration::from_secs(seconds)))?;
    if fails {
        return Err(Exception::new("a bad job"));
    }
    Ok(seconds)
}

fn start() -> [Task<u64>; 3] {
    let task = |name, seconds, fails| Builder::new().name(name).spawn(move || job(seconds, fails));
    [
        task("three", 3, false),
        task("one", 1, false),
        task("two, bad", 2, true),
    ]
}

fn names(tasks: &[Task<u64>]) -> String {
    tasks.iter().map(Task::name).collect::<Vec<_>>().join("; ")
}

fn show(how: &str, waiting: Wait<Task<u64>>) -> Result<Waited<Task<u64>>, Exception> {
    let start = time();
    let waited = await_(waiting)?;
    let took = (time() - start).as_secs_f64();
    let (done, pending) = (names(&waited.done), names(&waited.pending));
    writeln!(
        io::stdout(),
        "{how}, after {took:.1} s:\n    done: {done}\n    pending: {pending}"
    )?;
    for task in &waited.done {
        task.exception()?; // somebody has asked: it is not reported
    }
    Ok(waited)
}

fn four_times() -> Result<(), Exception> {
    for task in show("the first", wait(start()).first_completed())?.pending {
        task.cancel();
    }
    for task in show("the first error", wait(start()).first_exception())?.pending {
        task.cancel();
    }
    let timeout = Duration::from_millis(1500);
    let left = show("those of 1.5 s", wait(start()).timeout(timeout))?.pending;
    show("the others", wait(left))?;
    show("all", wait(start()))?;
    Ok(())
}

fn main() -> ExitCode {
    program::run(HELP, |clock| clock.event_loop().run(four_times))
}
