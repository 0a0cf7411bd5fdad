//! tokio: async blocks as tasks of its runtime of one thread.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::channel;
use tokio::task::{LocalSet, spawn_local};

use crate::work::{Work, repeat_async};

pub fn run(work: Work, n: u64) -> Option<Duration> {
    run_on(&runtime(), work, n)
}

/// On a runtime that may do more than run tasks.
pub fn run_on(runtime: &Runtime, work: Work, n: u64) -> Option<Duration> {
    match work {
        Work::Spawn => Some(spawn(runtime, n)),
        Work::PingPong => Some(ping_pong(runtime, n)),
        _ => None,
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("without I/O and time nothing can fail")
}

fn spawn(runtime: &Runtime, n: u64) -> Duration {
    let spawn = async |i| spawn_local(async move { i }).await.unwrap_or_default();
    LocalSet::new().block_on(runtime, repeat_async(n, spawn))
}

fn ping_pong(runtime: &Runtime, n: u64) -> Duration {
    let (ping, pong) = ping_pong_tasks(n);
    let set = LocalSet::new();
    set.spawn_local(pong);
    let ping = set.spawn_local(ping);
    let spent = set.block_on(runtime, ping);
    spent.expect("the task neither panics nor is cancelled")
}

/// Two tasks, of which the first one measures.
pub fn ping_pong_tasks(
    n: u64,
) -> (
    impl Future<Output = Duration> + 'static,
    impl Future<Output = ()> + 'static,
) {
    let (to_pong, mut pings) = channel(1);
    let (to_ping, mut pongs) = channel(1);
    let ping = repeat_async(n, async move |i| match to_pong.send(i).await {
        Ok(()) => pongs.recv().await.unwrap_or_default(),
        Err(_) => 0,
    });
    let pong = async move {
        while let Some(value) = pings.recv().await {
            if to_ping.send(value + 1).await.is_err() {
                break;
            }
        }
    };
    (ping, pong)
}
