//! This crate's tasks, on its event loop: closures, and async blocks.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use yieldfrom::task::{Event, Task, run, sleep, spawn};
use yieldfrom::{Exception, await_};

use super::main_program::tasks;
use crate::work::{Size, Work};

/// Tasks that are closures, each on a stack of its own.
pub fn run_closures(work: Work, size: Size) -> Option<Duration> {
    let spent = match work {
        Work::Sleepers => sleepers(size),
        Work::Waiters => waiters(size.n),
        _ => return tasks::run_closures(work, size.n),
    };
    Some(spent.expect("nothing fails"))
}

fn sleepers(size: Size) -> Result<Duration, Exception> {
    run(move || {
        let start = Instant::now();
        let sleeper = |_| spawn(move || Ok(await_(sleep(size.sleep))?));
        let tasks: Vec<Task<()>> = (0..size.n).map(sleeper).collect();
        for task in tasks {
            await_(task)??;
        }
        Ok(start.elapsed())
    })
}

fn waiters(n: u64) -> Result<Duration, Exception> {
    run(move || {
        let (event, waiting) = (Event::new(), Rc::new(Cell::new(0)));
        let waiter = |_| {
            let (event, waiting) = (event.clone(), waiting.clone());
            spawn(move || {
                waiting.set(waiting.get() + 1);
                Ok(await_(event.wait())?)
            })
        };
        let tasks: Vec<Task<()>> = (0..n).map(waiter).collect();
        // A task for which there is no stack has ended.
        while waiting.get() < n && !tasks.iter().any(Task::is_done) {
            await_(sleep(Duration::ZERO))?;
        }
        let start = Instant::now();
        event.set();
        for task in tasks {
            await_(task)??;
        }
        Ok(start.elapsed())
    })
}

/// Tasks that are async blocks.
pub fn run_futures(work: Work, size: Size) -> Option<Duration> {
    let spent = match work {
        Work::Sleepers => run(sleeper_futures(size)),
        Work::Waiters => run(waiter_futures(size.n)),
        _ => return tasks::run_futures(work, size.n),
    };
    Some(spent.expect("nothing fails"))
}

async fn sleeper_futures(size: Size) -> Result<Duration, Exception> {
    let start = Instant::now();
    let sleeper = |_| {
        spawn(async move {
            sleep(size.sleep).await;
            Ok(())
        })
    };
    let tasks: Vec<Task<()>> = (0..size.n).map(sleeper).collect();
    for task in tasks {
        task.await?;
    }
    Ok(start.elapsed())
}

async fn waiter_futures(n: u64) -> Result<Duration, Exception> {
    let (event, waiting) = (Event::new(), Rc::new(Cell::new(0)));
    let waiter = |_| {
        let (event, waiting) = (event.clone(), waiting.clone());
        spawn(async move {
            waiting.set(waiting.get() + 1);
            event.wait().await;
            Ok(())
        })
    };
    let tasks: Vec<Task<()>> = (0..n).map(waiter).collect();
    while waiting.get() < n {
        sleep(Duration::ZERO).await;
    }
    let start = Instant::now();
    event.set();
    for task in tasks {
        task.await?;
    }
    Ok(start.elapsed())
}
