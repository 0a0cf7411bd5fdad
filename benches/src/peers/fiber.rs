//! This crate's fibers as tasks of async-executor's `LocalExecutor`, with the channels that async code uses.

use std::time::Duration;

use async_executor::LocalExecutor;
use futures_lite::future::block_on;
use yieldfrom::{await_, fiber};

use crate::work::{Work, repeat_async, repeat_with};

pub fn run(work: Work, n: u64) -> Option<Duration> {
    match work {
        Work::Spawn => Some(spawn(n)),
        Work::PingPong => Some(ping_pong(n)),
        _ => None,
    }
}

/// With tokio's channel instead of async-channel.
pub fn run_tokio_channel(work: Work, n: u64) -> Option<Duration> {
    (work == Work::PingPong).then(|| ping_pong_tokio_channel(n))
}

fn spawn(n: u64) -> Duration {
    let executor = LocalExecutor::new();
    let spawn = async |i| executor.spawn(fiber(move || i)).await;
    block_on(executor.run(repeat_async(n, spawn)))
}

fn ping_pong(n: u64) -> Duration {
    let (to_pong, pings) = async_channel::bounded(1);
    let (to_ping, pongs) = async_channel::bounded(1);
    let executor = LocalExecutor::new();
    let pong = fiber(move || {
        while let Ok(Ok(value)) = await_(pings.recv()) {
            let answer = await_(to_ping.send(value + 1));
            if !matches!(answer, Ok(Ok(()))) {
                break;
            }
        }
    });
    executor.spawn(pong).detach();
    let ping = fiber(move || {
        repeat_with(n, |i| match await_(to_pong.send(i)) {
            Ok(Ok(())) => await_(pongs.recv()).map_or(0, Result::unwrap_or_default),
            _ => 0,
        })
    });
    let ping = executor.spawn(ping);
    block_on(executor.run(ping))
}

fn ping_pong_tokio_channel(n: u64) -> Duration {
    use tokio::sync::mpsc::channel;
    let (to_pong, mut pings) = channel(1);
    let (to_ping, mut pongs) = channel(1);
    let executor = LocalExecutor::new();
    let pong = fiber(move || {
        while let Ok(Some(value)) = await_(pings.recv()) {
            let answer = await_(to_ping.send(value + 1));
            if !matches!(answer, Ok(Ok(()))) {
                break;
            }
        }
    });
    executor.spawn(pong).detach();
    let ping = fiber(move || {
        repeat_with(n, |i| match await_(to_pong.send(i)) {
            Ok(Ok(())) => await_(pongs.recv()).map_or(0, Option::unwrap_or_default),
            _ => 0,
        })
    });
    let ping = executor.spawn(ping);
    block_on(executor.run(ping))
}
