//! smol: async blocks as tasks of async-executor's `LocalExecutor`.

use std::time::Duration;

use async_executor::LocalExecutor;
use futures_lite::future::block_on;

use crate::work::{Work, repeat_async};

pub fn run(work: Work, n: u64) -> Option<Duration> {
    block_on(measure(work, n))
}

/// For whatever runs the executor: it may do more than that.
pub async fn measure(work: Work, n: u64) -> Option<Duration> {
    match work {
        Work::Spawn => Some(spawn(n).await),
        Work::PingPong => Some(ping_pong(n).await),
        _ => None,
    }
}

/// With tokio's channel instead of async-channel.
pub fn run_tokio_channel(work: Work, n: u64) -> Option<Duration> {
    (work == Work::PingPong).then(|| ping_pong_tokio_channel(n))
}

async fn spawn(n: u64) -> Duration {
    let executor = LocalExecutor::new();
    let spawn = async |i| executor.spawn(async move { i }).await;
    executor.run(repeat_async(n, spawn)).await
}

async fn ping_pong(n: u64) -> Duration {
    let (to_pong, pings) = async_channel::bounded(1);
    let (to_ping, pongs) = async_channel::bounded(1);
    let executor = LocalExecutor::new();
    let pong = async move {
        while let Ok(value) = pings.recv().await {
            if to_ping.send(value + 1).await.is_err() {
                break;
            }
        }
    };
    executor.spawn(pong).detach();
    let ping = repeat_async(n, async move |i| match to_pong.send(i).await {
        Ok(()) => pongs.recv().await.unwrap_or_default(),
        Err(_) => 0,
    });
    let ping = executor.spawn(ping);
    executor.run(ping).await
}

fn ping_pong_tokio_channel(n: u64) -> Duration {
    let (ping, pong) = super::tokio::ping_pong_tasks(n);
    let executor = LocalExecutor::new();
    executor.spawn(pong).detach();
    let ping = executor.spawn(ping);
    block_on(executor.run(ping))
}
