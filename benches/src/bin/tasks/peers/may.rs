//! may: stackful coroutines with a scheduler of their own, here on one worker.
//!
//! Its channels have room for any number of items.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use may::coroutine::{self, JoinHandle};
use may::go;
use may::sync::SyncFlag;
use may::sync::mpsc::channel;

use crate::work::{Size, Work, repeat_with};

/// Of a stack, in words. In half of that all works fit too, and take half the memory; but not even a panic does.
const STACK: usize = 1 << 10;

pub fn run(work: Work, size: Size) -> Option<Duration> {
    may::config().set_workers(1).set_stack_size(STACK);
    let measured = go!(move || match work {
        Work::Spawn => repeat_with(size.n, |i| go!(move || i).join().unwrap_or_default()),
        Work::PingPong => ping_pong(size.n),
        Work::Sleepers => sleepers(size).expect("no sleeper panics"),
        Work::Waiters => waiters(size.n).expect("no waiter panics"),
    });
    Some(measured.join().expect("nothing fails"))
}

fn ping_pong(n: u64) -> Duration {
    let (to_pong, pings) = channel();
    let (to_ping, pongs) = channel();
    go!(move || {
        while let Ok(value) = pings.recv() {
            if to_ping.send(value + 1).is_err() {
                break;
            }
        }
    });
    let ping = go!(move || repeat_with(n, |i| match to_pong.send(i) {
        Ok(()) => pongs.recv().unwrap_or_default(),
        Err(_) => 0,
    }));
    ping.join().expect("nothing fails")
}

fn sleepers(size: Size) -> thread::Result<Duration> {
    let start = Instant::now();
    let sleeper = |_| go!(move || coroutine::sleep(size.sleep));
    let tasks: Vec<JoinHandle<()>> = (0..size.n).map(sleeper).collect();
    for task in tasks {
        task.join()?;
    }
    Ok(start.elapsed())
}

fn waiters(n: u64) -> thread::Result<Duration> {
    let (event, waiting) = (Arc::new(SyncFlag::new()), Arc::new(AtomicU64::new(0)));
    let waiter = |_| {
        let (event, waiting) = (event.clone(), waiting.clone());
        go!(move || {
            waiting.fetch_add(1, Relaxed);
            event.wait();
        })
    };
    let tasks: Vec<JoinHandle<()>> = (0..n).map(waiter).collect();
    while waiting.load(Relaxed) < n {
        // To yield is not enough: who does that has its next turn before those who are new.
        coroutine::sleep(Duration::from_millis(1));
    }
    let start = Instant::now();
    event.fire();
    for task in tasks {
        task.join()?;
    }
    Ok(start.elapsed())
}
