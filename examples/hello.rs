//! Hello, a pause, World!, ten times: one after the other, and all at once. In Python:
//!
//! ```python
//! async def hello():
//!     print('Hello')
//!     await asyncio.sleep(3)
//!     print('World!')
//!
//! for _ in range(10):
//!     await hello()                                        # 30 seconds
//!
//! await asyncio.gather(*[hello() for _ in range(10)])      # 3 seconds
//! ```
//!
//! `hello` is the same both times. It knows nothing of tasks.

#[path = "adapters/program.rs"]
mod program;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use yieldfrom::task::{gather, sleep, spawn, time};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
hello: Hello, a pause, World!, ten times in sequence and ten times at once

    cargo run --example hello
    cargo run --example hello -- [OPTIONS]

";

fn hello() -> Result<(), Exception> {
    writeln!(io::stdout(), "Hello")?;
    await_(sleep(Duration::from_secs(3)))?;
    writeln!(io::stdout(), "World!")?;
    Ok(())
}

fn ten_times_twice() -> Result<(), Exception> {
    let start = time();
    for _ in 0..10 {
        hello()?;
    }
    let took = (time() - start).as_secs_f64();
    writeln!(io::stdout(), "in sequence: {took:.1} s")?;

    let start = time();
    let tasks: Vec<_> = (0..10).map(|_| spawn(hello)).collect();
    await_(gather(tasks))??;
    let took = (time() - start).as_secs_f64();
    writeln!(io::stdout(), "as tasks: {took:.1} s")?;
    Ok(())
}

fn main() -> ExitCode {
    program::run(HELP, |clock| clock.event_loop().run(ten_times_twice))
}
