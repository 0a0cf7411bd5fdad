//! The same as `async` blocks: the waits are the same, and so is what is seen.

use std::io::{self, Write};
use std::time::Duration;

use yieldfrom::task::{catch_cancel, sleep};
use yieldfrom::{Builder, Exception};

use super::screen::{FRAME, blank, frames, show};

async fn spin() -> Result<(), Exception> {
    for frame in frames() {
        show(&frame)?;
        if catch_cancel(sleep(FRAME)).await.is_err() {
            blank(&frame)?;
            break;
        }
    }
    Ok(())
}

/// What waits here has to be `async`, and so has everybody who calls it.
async fn slow_function(takes: Duration) -> u32 {
    sleep(takes).await;
    42
}

pub async fn supervisor(takes: Duration) -> Result<u32, Exception> {
    let spinner = Builder::new().name("spinner").spawn(spin());
    writeln!(io::stdout(), "spinner object: {spinner:?}")?;
    let answer = slow_function(takes).await;
    spinner.cancel();
    Ok(answer)
}
