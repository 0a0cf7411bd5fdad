//! A task spins. It is cancelled where it waits, and nowhere else.

use std::io::{self, Write};
use std::time::Duration;

use yieldfrom::task::sleep;
use yieldfrom::{Builder, Exception, await_};

use super::screen::{FRAME, blank, frames, show};
use super::slow::slow_function;

fn spin() -> Result<(), Exception> {
    for frame in frames() {
        show(&frame)?;
        if await_(sleep(FRAME)).is_err() {
            blank(&frame)?; // it is cancelled, and cleans up
            break;
        }
    }
    Ok(())
}

pub fn supervisor(takes: Duration) -> Result<u32, Exception> {
    let spinner = Builder::new().name("spinner").spawn(spin);
    writeln!(io::stdout(), "spinner object: {spinner:?}")?;
    let answer = slow_function(takes)?;
    // Nobody waits for the spinner. It is woken before this task ends, so that it blanks the line before the loop ends.
    spinner.cancel();
    Ok(answer)
}
