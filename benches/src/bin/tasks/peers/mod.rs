//! Everybody who takes part.
//!
//! Everybody has the whole loop run, with input, output and timers, whether or not a work needs them.

mod main_program;
mod may;
mod smol;
mod tokio;
mod yieldfrom;

use std::time::Duration;

use crate::work::{Size, Work};

pub const YIELDFROM: &str = "yieldfrom";
pub const YIELDFROM_ASYNC: &str = "yieldfrom-async";
pub const SMOL: &str = "smol";
pub const TOKIO: &str = "tokio";
pub const MAY: &str = "may";
pub const ASYNCIO: &str = "asyncio";
pub const UVLOOP: &str = "uvloop";

/// In the order of the table.
pub const ALL: [&str; 7] = [
    YIELDFROM,
    YIELDFROM_ASYNC,
    SMOL,
    TOKIO,
    MAY,
    ASYNCIO,
    UVLOOP,
];

/// Does a work and returns how long it took. `None`: it cannot do that.
pub type Run = fn(Work, Size) -> Option<Duration>;

/// Those that run in this program. The others are in `tasks.py`.
pub const HERE: [(&str, Run); 5] = [
    (YIELDFROM, yieldfrom::run_closures),
    (YIELDFROM_ASYNC, yieldfrom::run_futures),
    (SMOL, smol::run),
    (TOKIO, tokio::run),
    (MAY, may::run),
];
