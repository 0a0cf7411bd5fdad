//! The sin: a task that blocks the thread freezes all others. In Python:
//!
//! ```python
//! async def sinner():
//!     time.sleep(.1)                        # never do this in a coroutine
//!
//! async def penitent():
//!     await asyncio.to_thread(time.sleep, .1)
//! ```
//!
//! Look at the turns that another task has meanwhile, and at standard error: in debug mode the loop names the task that held it,
//! for how long, and between which places.

#[path = "adapters/program.rs"]
mod program;

use std::cell::Cell;
use std::io::{self, Write};
use std::panic::Location;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use yieldfrom::task::{sleep, spawn, unblock};
use yieldfrom::{Builder, Exception, Reason, Unraisable, await_};

const HELP: &str = "\
blocking_sin: a task that blocks the thread, and what that does to the others

    cargo run --example blocking_sin
    cargo run --example blocking_sin -- [OPTIONS]

";

/// How long the sinner sleeps. Whoever holds the loop for so long is reported.
const SIN: Duration = Duration::from_millis(20);

/// Has a turn whenever it can, and counts them.
fn ticker(ticks: &Cell<u32>, tell: &Sender<()>) -> Result<(), Exception> {
    loop {
        await_(sleep(Duration::ZERO))?;
        ticks.set(ticks.get() + 1);
        let _ = tell.send(()); // perhaps nobody listens
    }
}

/// Returns how often the ticker had its turn meanwhile.
fn sinner(ticks: &Cell<u32>) -> Result<u32, Exception> {
    await_(sleep(Duration::ZERO))?;
    let before = ticks.get();
    thread::sleep(SIN); // blocks everybody
    let meanwhile = ticks.get() - before;
    await_(sleep(Duration::ZERO))?;
    Ok(meanwhile)
}

/// Has another thread block. That one is done when the ticker has had three turns: it is no use to sleep longer.
fn penitent(ticks: &Cell<u32>, hear: Receiver<()>) -> Result<u32, Exception> {
    await_(sleep(Duration::ZERO))?;
    while hear.try_recv().is_ok() {}
    let before = ticks.get();
    await_(unblock(move || {
        for _ in 0..3 {
            hear.recv()?;
        }
        Ok(())
    }))??;
    Ok(ticks.get() - before)
}

fn compare() -> Result<(), Exception> {
    let ((tell, hear), ticks) = (channel(), Rc::new(Cell::new(0)));
    let count = ticks.clone();
    let ticker = spawn(move || ticker(&count, &tell));
    let mut out = io::stdout();
    let count = ticks.clone();
    let sinner = Builder::new().name("sinner").spawn(move || sinner(&count));
    let meanwhile = await_(sinner)??;
    writeln!(
        out,
        "while the sinner blocks, the ticker has {meanwhile} turns"
    )?;
    let penitent = spawn(move || penitent(&ticks, hear));
    let meanwhile = await_(penitent)?? >= 3;
    writeln!(out, "while another thread blocks, at least 3: {meanwhile}")?;
    ticker.cancel();
    Ok(())
}

/// What the loop has to say.
fn report(unraisable: &Unraisable<'_>) {
    let text = match unraisable.reason() {
        Reason::HeldTheLoop {
            held, since, until, ..
        } if *held >= SIN => {
            let name = unraisable.name().unwrap_or_default();
            let place = |place: &Option<&Location<'_>>| place.map_or(0, Location::line);
            let (since, until) = (place(since), place(until));
            format!(
                "task '{name}' held the loop for more than {SIN:?}, between lines {since} and {until}"
            )
        }
        _ => unraisable.to_string(),
    };
    // Nobody can be told that nobody can be told.
    let _ = writeln!(io::stdout(), "warning: {text}");
}

fn main() -> ExitCode {
    program::run(HELP, |clock| {
        let event_loop = clock.event_loop().slow_after(SIN).report_to(report);
        event_loop.run(compare)
    })
}
