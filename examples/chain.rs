//! A coroutine that waits for another one. In Python:
//!
//! ```python
//! async def compute(x, y):
//!     print(f'Compute {x} + {y} ...')
//!     await asyncio.sleep(1.0)
//!     return x + y
//!
//! async def print_sum(x, y):
//!     result = await compute(x, y)
//!     print(f'{x} + {y} = {result}')
//! ```
//!
//! Look at `print_sum`: to call a coroutine is to call a function. The loop only ever sees the task; when `compute` waits, all
//! that lies between is suspended with it.

#[path = "adapters/program.rs"]
mod program;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use yieldfrom::task::sleep;
use yieldfrom::{Exception, await_};

const HELP: &str = "\
chain: a coroutine that waits for another one

    cargo run --example chain
    cargo run --example chain -- [OPTIONS]

";

fn compute(x: i32, y: i32) -> Result<i32, Exception> {
    writeln!(io::stdout(), "Compute {x} + {y} ...")?;
    await_(sleep(Duration::from_secs(1)))?;
    Ok(x + y)
}

fn print_sum(x: i32, y: i32) -> Result<(), Exception> {
    let result = compute(x, y)?;
    writeln!(io::stdout(), "{x} + {y} = {result}")?;
    Ok(())
}

fn main() -> ExitCode {
    program::run(HELP, |clock| clock.event_loop().run(|| print_sum(1, 2)))
}
