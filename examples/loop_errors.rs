//! What an event loop does not do. In Python:
//!
//! ```python
//! async def main():
//!     loop.run_until_complete(other())   # RuntimeError: This event loop is already running
//!
//! loop.close()
//! loop.run_until_complete(main())        # RuntimeError: Event loop is closed
//! loop = asyncio.new_event_loop()        # the remedy
//! ```
//!
//! Look at the first error: the task that gets it goes on, and so does everything else on the loop.

#[path = "adapters/program.rs"]
mod program;

use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use yieldfrom::task::{Loop, LoopError, sleep, spawn};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
loop_errors: running a loop that is running, using one that is closed, and a new one

    cargo run --example loop_errors
    cargo run --example loop_errors -- [OPTIONS]

";

fn answer() -> Result<u32, Exception> {
    await_(sleep(Duration::from_secs(1)))?;
    Ok(42)
}

/// Says which rule of the loop was broken, if one was.
fn say(what: &str, outcome: Result<u32, Exception>) -> Result<(), Exception> {
    let mut out = io::stdout();
    match outcome {
        Ok(answer) => writeln!(out, "{what}: {answer}")?,
        Err(error) => match error.downcast_ref::<LoopError>() {
            Some(rule) => writeln!(out, "{what}: {rule} ({rule:?})")?,
            None => return Err(error),
        },
    }
    Ok(())
}

fn main() -> ExitCode {
    program::run(HELP, |clock| {
        let event_loop = Rc::new(clock.event_loop().build());
        let same_loop = event_loop.clone();
        let outcomes = event_loop.run_until_complete(move || {
            let other = spawn(answer);
            let same = same_loop.run_until_complete(answer);
            let another = Loop::new().run_until_complete(answer);
            Ok((same, another, await_(other)?))
        });
        let (same, another, other) = outcomes?;
        say("from a task, the same loop", same)?;
        say("from a task, another loop", another)?;
        say("other tasks go on", other)?;
        event_loop.close()?;
        event_loop.close()?; // once more does nothing
        say("after it was closed", event_loop.run_until_complete(answer))?;
        say(
            "a new loop",
            clock.event_loop().build().run_until_complete(answer),
        )
    })
}
