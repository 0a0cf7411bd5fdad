//! Two coroutines that give way to each other. In Python:
//!
//! ```python
//! async def coroutine_1():
//!     print('coroutine_1 is active on the event loop')
//!     print('coroutine_1 yielding control. Going to be blocked for 4 seconds')
//!     await asyncio.sleep(4)
//!     print('coroutine_1 resumed. coroutine_1 exiting')
//!
//! loop.run_until_complete(asyncio.gather(coroutine_1(), coroutine_2()))
//! ```
//!
//! Look at the order of the lines: each goes on where it was, and both together take as long as the longer one.

#[path = "adapters/program.rs"]
mod program;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use yieldfrom::task::{gather, sleep, spawn, time};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
two_coroutines: two coroutines on one event loop, blocked for 4 and for 5 seconds

    cargo run --example two_coroutines
    cargo run --example two_coroutines -- [OPTIONS]

";

fn coroutine(name: &str, seconds: u64) -> Result<(), Exception> {
    let mut out = io::stdout();
    writeln!(out, "{name} is active on the event loop")?;
    writeln!(
        out,
        "{name} yielding control. Going to be blocked for {seconds} seconds"
    )?;
    await_(sleep(Duration::from_secs(seconds)))?;
    writeln!(out, "{name} resumed. {name} exiting")?;
    Ok(())
}

fn both() -> Result<(), Exception> {
    let tasks = [
        spawn(|| coroutine("coroutine_1", 4)),
        spawn(|| coroutine("coroutine_2", 5)),
    ];
    await_(gather(tasks))??;
    writeln!(io::stdout(), "{:.0} seconds in all", time().as_secs_f64())?;
    Ok(())
}

fn main() -> ExitCode {
    program::run(HELP, |clock| clock.event_loop().run(both))
}
