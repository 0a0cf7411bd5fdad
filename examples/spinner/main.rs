//! A spinner that turns while a slow function runs: once in a thread, once in a task, once in an `async` block. In Python:
//!
//! ```python
//! def spin(msg, done):                     # a thread          async def spin(msg):                 # a task
//!     for char in itertools.cycle(r'|/-\'):                        for char in itertools.cycle(r'|/-\'):
//!         write(f'{char} {msg}'); flush()                              write(f'{char} {msg}'); flush()
//!         write('\x08' * (len(msg) + 2))                               write('\x08' * (len(msg) + 2))
//!         if done.wait(.1):                                            try:
//!             break                                                        await asyncio.sleep(.1)
//!     ...                                                              except asyncio.CancelledError:
//!                                                                          break
//!
//! def slow_function():                                         async def slow_function():
//!     time.sleep(3)                                                await asyncio.sleep(3)
//!     return 42                                                    return 42
//! ```
//!
//! Python needs two of everything. Look at `slow.rs`: here the *same* `slow_function` blocks a thread, or lets the other tasks of
//! its loop run. And at the end of `spin` in `task.rs`: nobody waits for the spinner, and yet it has the time to clean up.

mod native;
#[path = "../adapters/program.rs"]
mod program;
mod screen;
mod slow;
mod task;
mod thread;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
spinner: turns while a slow function runs, in a thread or in a task

    cargo run --example spinner
    cargo run --example spinner -- [WAY] [OPTIONS]

    thread      a thread spins until an event is set
    flag        a thread spins until a flag is up, which it looks at ten times a second
    task        a task spins until it is cancelled (the default)
    async       the same as an `async` block

    --seconds N how long the function takes [3]; on a virtual clock, threads do not wait at all
";

#[derive(Default)]
struct Arguments {
    way: Option<Way>,
    seconds: Option<f64>,
    wants_seconds: bool,
}

#[derive(Clone, Copy)]
enum Way {
    Thread,
    Flag,
    Task,
    Async,
}

fn take(arguments: &mut Arguments, argument: &str) -> Result<bool, String> {
    if std::mem::take(&mut arguments.wants_seconds) {
        let seconds = argument.parse().ok();
        let seconds = seconds.filter(|seconds| (0.0..1e6).contains(seconds));
        arguments.seconds = Some(seconds.ok_or(format!("not a number of seconds: {argument:?}"))?);
        return Ok(true);
    }
    match argument {
        "thread" => arguments.way = Some(Way::Thread),
        "flag" => arguments.way = Some(Way::Flag),
        "task" => arguments.way = Some(Way::Task),
        "async" => arguments.way = Some(Way::Async),
        "--seconds" => arguments.wants_seconds = true,
        _ => return Ok(false),
    }
    Ok(true)
}

fn main() -> ExitCode {
    program::run_with(HELP, take, |clock, arguments| {
        if arguments.wants_seconds {
            return Err(yieldfrom::Exception::new("--seconds wants a number"));
        }
        let seconds = Duration::from_secs_f64(arguments.seconds.unwrap_or(3.0));
        let at_once = if clock.is_real() {
            seconds
        } else {
            Duration::ZERO
        };
        let answer = match arguments.way.unwrap_or(Way::Task) {
            Way::Thread => thread::supervisor(at_once),
            Way::Flag => thread::supervisor_with_a_flag(at_once),
            Way::Task => clock.event_loop().run(move || task::supervisor(seconds)),
            Way::Async => clock.event_loop().run(native::supervisor(seconds)),
        }?;
        Ok(writeln!(io::stdout(), "Answer: {answer}")?)
    })
}
