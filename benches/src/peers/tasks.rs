//! This crate's tasks, on its event loop: closures, and async blocks.

use std::time::Duration;

use yieldfrom::task::{Queue, run, spawn};
use yieldfrom::{Exception, await_};

use crate::work::{Work, repeat_async, repeat_with};

/// Tasks that are closures, each on a stack of its own.
pub fn run_closures(work: Work, n: u64) -> Option<Duration> {
    let spent = match work {
        Work::Spawn => run(move || {
            Ok(repeat_with(n, |i| {
                await_(spawn(move || Ok(i))).map_or(0, Result::unwrap_or_default)
            }))
        }),
        Work::PingPong => ping_pong(n),
        _ => return None,
    };
    Some(spent.expect("nothing fails"))
}

fn ping_pong(n: u64) -> Result<Duration, Exception> {
    run(move || {
        let (pings, pongs) = (Queue::bounded(1), Queue::bounded(1));
        let (to_pong, to_ping) = (pings.clone(), pongs.clone());
        let pong = spawn(move || {
            while let Ok(value) = await_(pings.get())? {
                await_(to_ping.put(value + 1))??;
            }
            Ok(())
        });
        let ping = spawn(move || {
            let spent = repeat_with(n, |i| match await_(to_pong.put(i)) {
                Ok(Ok(())) => await_(pongs.get()).map_or(0, Result::unwrap_or_default),
                _ => 0,
            });
            to_pong.shutdown();
            Ok(spent)
        });
        let spent = await_(ping)?;
        await_(pong)??;
        spent
    })
}

/// Tasks that are async blocks.
pub fn run_futures(work: Work, n: u64) -> Option<Duration> {
    let spent = match work {
        Work::Spawn => run(async move {
            let spawn = async |i| spawn(async move { Ok(i) }).await.unwrap_or_default();
            Ok(repeat_async(n, spawn).await)
        }),
        Work::PingPong => ping_pong_futures(n),
        _ => return None,
    };
    Some(spent.expect("nothing fails"))
}

fn ping_pong_futures(n: u64) -> Result<Duration, Exception> {
    run(async move {
        let (pings, pongs) = (Queue::bounded(1), Queue::bounded(1));
        let (to_pong, to_ping) = (pings.clone(), pongs.clone());
        let pong = spawn(async move {
            while let Ok(value) = pings.get().await {
                to_ping.put(value + 1).await?;
            }
            Ok(())
        });
        let ping = spawn(async move {
            let spent = repeat_async(n, async |i| match to_pong.put(i).await {
                Ok(()) => pongs.get().await.unwrap_or_default(),
                Err(_) => 0,
            });
            let spent = spent.await;
            to_pong.shutdown();
            Ok(spent)
        });
        let spent = ping.await;
        pong.await?;
        spent
    })
}
