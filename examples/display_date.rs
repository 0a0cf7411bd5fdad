//! The time, once a second. In Python:
//!
//! ```python
//! async def display_date(loop):
//!     end_time = loop.time() + 5.0
//!     while True:
//!         print(datetime.datetime.now())
//!         if (loop.time() + 1.0) >= end_time:
//!             break
//!         await asyncio.sleep(1)
//! ```
//!
//! On a virtual clock, the five seconds pass at once, and begin at noon.

#[path = "adapters/program.rs"]
mod program;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use yieldfrom::task::{sleep, time};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
display_date: the time of day (UTC), once a second for five seconds

    cargo run --example display_date
    cargo run --example display_date -- [OPTIONS]

";

const NOON: Duration = Duration::from_secs(12 * 60 * 60);

/// The time of day, so long after midnight.
fn time_of_day(since_midnight: Duration) -> String {
    let seconds = since_midnight.as_secs();
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

fn display_date(now: impl Fn() -> Duration) -> Result<(), Exception> {
    let second = Duration::from_secs(1);
    let end = time() + 5 * second;
    loop {
        writeln!(io::stdout(), "{}", time_of_day(now()))?;
        if time() + second >= end {
            return Ok(());
        }
        await_(sleep(second))?;
    }
}

fn main() -> ExitCode {
    program::run(HELP, |clock| {
        let is_real = clock.is_real();
        clock.event_loop().run(move || {
            display_date(|| match is_real {
                true => SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
                false => NOON + time(),
            })
        })
    })
}
