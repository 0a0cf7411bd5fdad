//! Everybody who takes part.

mod async_stream;
mod corosensei;
mod fiber;
mod genawaiter;
mod generator_rs;
mod hand_written;
mod smol;
mod tasks;
mod thread;
mod tokio;
mod yieldfrom;

use crate::work::Run;

pub const GENERATOR: &str = "yieldfrom generator";
pub const COROUTINE: &str = "yieldfrom coroutine";
pub const FIBER: &str = "yieldfrom fiber";
pub const TASK: &str = "yieldfrom task";
pub const TASK_FUTURE: &str = "yieldfrom task, async";
pub const RAW: &str = "corosensei raw";
pub const RAW_FRESH: &str = "corosensei, fresh stack";
/// Measured in another program, `corosensei-defaults`.
pub const RAW_DEFAULTS: &str = "corosensei with unwind";

pub const SMOL: &str = "smol";
pub const TOKIO: &str = "tokio";

/// In the order of the table.
pub const ALL: [(&str, Run); 17] = [
    (GENERATOR, yieldfrom::run_generator),
    (COROUTINE, yieldfrom::run_coroutine),
    (RAW, corosensei::run),
    (RAW_FRESH, corosensei::run_fresh),
    ("generator-rs", generator_rs::run),
    ("genawaiter rc", genawaiter::run_rc),
    ("genawaiter stack", genawaiter::run_stack),
    ("async-stream", async_stream::run),
    ("hand-written", hand_written::run),
    ("thread + channel", thread::run),
    (TASK, tasks::run_closures),
    (TASK_FUTURE, tasks::run_futures),
    (FIBER, fiber::run),
    ("fiber, tokio's channel", fiber::run_tokio_channel),
    (SMOL, smol::run),
    ("smol, tokio's channel", smol::run_tokio_channel),
    (TOKIO, tokio::run),
];
