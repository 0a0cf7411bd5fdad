//! The function that everybody waits for.

use std::time::Duration;

use yieldfrom::task::sleep;
use yieldfrom::{Cancelled, await_};

/// Pretends to wait for input or output. In a thread it blocks that; in a task, the other tasks run meanwhile.
pub fn slow_function(takes: Duration) -> Result<u32, Cancelled> {
    await_(sleep(takes))?;
    Ok(42)
}
