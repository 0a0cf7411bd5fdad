//! Whatever can be awaited. In Python, where this was `yield from`:
//!
//! ```python
//! res = await future        # a future
//! res = await task          # a task
//! res = await coroutine()   # a coroutine
//! res = await function()    # a plain function that returns one of these
//! ```
//!
//! Here a coroutine is a plain function that waits: it is just called. What is awaited is anything that can be made a
//! `std::future::Future`, whoever has made it.

#[path = "adapters/program.rs"]
mod program;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use yieldfrom::task::{Future, Task, call_later, promise, sleep, spawn};
use yieldfrom::{Cancelled, Exception, await_, fiber};

const HELP: &str = "\
await_anything: a future, a task, a coroutine, and functions that return them

    cargo run --example await_anything
    cargo run --example await_anything -- [OPTIONS]

";

const SECOND: Duration = Duration::from_secs(1);

/// A coroutine: it waits, and returns.
fn coroutine() -> Result<&'static str, Cancelled> {
    await_(sleep(SECOND))?;
    Ok("a coroutine")
}

/// A plain function that returns a future. Nothing in it waits.
fn returns_a_future() -> Future<&'static str> {
    let (promise, future) = promise();
    call_later(SECOND, move || {
        let _ = promise.set_result("a future, from a function"); // unless nobody waits any more
    });
    future
}

/// A plain function that returns a task.
fn returns_a_task() -> Task<&'static str> {
    spawn(|| {
        coroutine()?;
        Ok("a task, from a function")
    })
}

async fn native() -> &'static str {
    sleep(SECOND).await;
    "an `async fn`"
}

fn await_them() -> Result<(), Exception> {
    let (promise, future) = promise();
    call_later(SECOND, move || {
        let _ = promise.set_result("a future"); // as above
    });
    let task = spawn(|| Ok("a task"));
    let fiber = fiber(|| coroutine().map(|_| "a fiber"));
    let values = [
        await_(future)??,
        await_(task)??,
        coroutine()?,
        await_(returns_a_future())??,
        await_(returns_a_task())??,
        await_(native())?,
        await_(fiber)??,
        await_(futures_lite::future::ready("a future of another crate"))?,
    ];
    for value in values {
        writeln!(io::stdout(), "awaited: {value}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    program::run(HELP, |clock| clock.event_loop().run(await_them))
}
