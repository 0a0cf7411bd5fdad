//! tokio: async blocks as tasks of its runtime of one thread.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle, LocalSet, spawn_local, yield_now};
use tokio::time::sleep;

use super::main_program::tokio as main_program;
use crate::work::{Size, Work};

pub fn run(work: Work, size: Size) -> Option<Duration> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("there are descriptors for it");
    let set = LocalSet::new();
    let spent = match work {
        Work::Sleepers => set.block_on(&runtime, sleepers(size)),
        Work::Waiters => set.block_on(&runtime, waiters(size.n)),
        _ => return main_program::run_on(&runtime, work, size.n),
    };
    Some(spent.expect("the tasks neither panic nor are cancelled"))
}

async fn sleepers(size: Size) -> Result<Duration, JoinError> {
    let start = Instant::now();
    let sleeper = |_| spawn_local(sleep(size.sleep));
    let tasks: Vec<JoinHandle<()>> = (0..size.n).map(sleeper).collect();
    for task in tasks {
        task.await?;
    }
    Ok(start.elapsed())
}

async fn waiters(n: u64) -> Result<Duration, JoinError> {
    let (event, waiting) = (Rc::new(Notify::new()), Rc::new(Cell::new(0)));
    let waiter = |_| {
        let (event, waiting) = (event.clone(), waiting.clone());
        spawn_local(async move {
            waiting.set(waiting.get() + 1);
            event.notified().await;
        })
    };
    let tasks: Vec<JoinHandle<()>> = (0..n).map(waiter).collect();
    while waiting.get() < n {
        yield_now().await;
    }
    let start = Instant::now();
    event.notify_waiters();
    for task in tasks {
        task.await?;
    }
    Ok(start.elapsed())
}
