//! smol: async blocks as tasks of async-executor's `LocalExecutor`, on async-io.

use std::cell::Cell;
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use async_io::{Timer, block_on};
use event_listener::Event;
use futures_lite::future::yield_now;

use super::main_program::smol;
use crate::work::{Size, Work};

pub fn run(work: Work, size: Size) -> Option<Duration> {
    match work {
        Work::Sleepers => Some(block_on(sleepers(size))),
        Work::Waiters => Some(block_on(waiters(size.n))),
        _ => block_on(smol::measure(work, size.n)),
    }
}

async fn sleepers(size: Size) -> Duration {
    let executor = LocalExecutor::new();
    let measured = async {
        let start = Instant::now();
        let sleeper = |_| {
            executor.spawn(async move {
                Timer::after(size.sleep).await;
            })
        };
        let tasks: Vec<_> = (0..size.n).map(sleeper).collect();
        for task in tasks {
            task.await;
        }
        start.elapsed()
    };
    executor.run(measured).await
}

async fn waiters(n: u64) -> Duration {
    let (event, waiting) = (Event::new(), Cell::new(0));
    let executor = LocalExecutor::new();
    let measured = async {
        let waiter = |_| {
            executor.spawn(async {
                waiting.set(waiting.get() + 1);
                event.listen().await;
            })
        };
        let tasks: Vec<_> = (0..n).map(waiter).collect();
        while waiting.get() < n {
            yield_now().await;
        }
        let start = Instant::now();
        event.notify(usize::MAX);
        for task in tasks {
            task.await;
        }
        start.elapsed()
    };
    executor.run(measured).await
}
