//! A future is not for waiting in it: side by side, asyncio's future and that of `concurrent.futures`. In Python:
//!
//! ```python
//! future = loop.create_future()                     # asyncio.Future
//! future.result()                                   # InvalidStateError: takes no timeout, never blocks
//!
//! future = executor.submit(slow)                    # concurrent.futures.Future
//! future.result(timeout=1)                          # blocks
//! ```
//!
//! Here the first is a [`Future`](yieldfrom::task::Future) with its promise, and the second a [`RemoteTask`](yieldfrom::task::RemoteTask) of a
//! loop on another thread. Look at the second line of the table: to ask the first for its result too early
//! is an error. The second can only be waited for, which blocks a thread, and lets a task's neighbours run.

#[path = "adapters/program.rs"]
mod program;

use std::cell::RefCell;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use yieldfrom::task::{LoopThread, promise, sleep};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
future_object: asyncio's future beside the future of a thread

    cargo run --example future_object
    cargo run --example future_object -- [OPTIONS]

";

fn table() -> Result<(), Exception> {
    let mut rows: Vec<(&str, String, String)> = Vec::new();
    let elsewhere = LoopThread::start("elsewhere")?;
    let (let_go, goes) = channel::<()>();
    let (promise, ours) = promise::<u32>();
    let theirs = elsewhere.spawn(move || {
        goes.recv()?; // (it would be a sin if that loop had anything else to do)
        Ok(42)
    });
    rows.push((
        "is it done",
        ours.is_done().to_string(),
        theirs.is_done().to_string(),
    ));

    let too_early = ours.result().expect_err("there is none yet");
    rows.push((
        "its result, too early",
        format!("error: {too_early}"),
        "cannot be asked for".into(),
    ));

    // Somebody waits for the other one: a thread, which that blocks.
    let waiter = thread::spawn(move || await_(theirs));
    let called = Rc::new(RefCell::new(Vec::new()));
    for name in ["a", "b"] {
        let called = called.clone();
        ours.add_done_callback(move |_| called.borrow_mut().push(name));
    }
    promise.set_result(42)?;
    let_go.send(())?;
    rows.push((
        "its result is set by",
        "a promise".into(),
        "the end of the task".into(),
    ));
    rows.push((
        "callbacks called by then",
        format!("{:?}", called.borrow()),
        "there are none".into(),
    ));
    await_(sleep(Duration::ZERO))?;
    rows.push((
        "a turn of the loop later",
        format!("{:?}", called.borrow()),
        "there are none".into(),
    ));

    let again = promise.set_result(43).expect_err("it is set");
    rows.push((
        "set once more",
        format!("error: {again}"),
        "cannot be written".into(),
    ));

    let blocked = waiter.join().expect("it does not panic")??;
    rows.push((
        "awaited by a thread",
        "cannot be sent there".into(),
        format!("blocks, {blocked}"),
    ));
    let task = elsewhere.spawn(|| Ok(42));
    rows.push((
        "awaited by a task",
        await_(&ours)??.to_string(),
        await_(task)??.to_string(),
    ));
    rows.push((
        "awaited once more",
        await_(&ours)??.to_string(),
        "cannot be written".into(),
    ));

    let mut out = io::stdout();
    writeln!(out, "{:<26}{:<32}of a thread", "", "of the loop")?;
    for (what, ours, theirs) in rows {
        writeln!(out, "{what:<26}{ours:<32}{theirs}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    program::run(HELP, |clock| clock.event_loop().run(table))
}
