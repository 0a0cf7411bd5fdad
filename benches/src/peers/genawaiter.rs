//! genawaiter: stackless generators out of `async` blocks, on the heap (`rc`) and on the caller's stack.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use genawaiter::GeneratorState::{self, Complete, Yielded};
use genawaiter::rc::{Co, Gen};
use genawaiter::stack::let_gen_using;

use crate::work::{Work, close_each, hold_all, repeat, repeat_with, resume_at_random};

pub fn run_rc(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Item => item(n),
        Work::Send => send(n),
        Work::Create => create(n),
        Work::Cold => hold_all(n, || chain(0)),
        Work::Close => close_each(n, || Some(chain(0)), |items| *items = None),
        Work::Delegation(depth) => delegation(depth, n),
        Work::Crowd(live) => {
            resume_at_random(live, n, || chain(0), |items| yielded(items.resume()))
        }
        // It cannot yield out of calls: each node would be a generator of its own.
        Work::Tree | Work::Spawn | Work::PingPong => return None,
    })
}

pub fn run_stack(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Item => item_on_stack(n),
        Work::Send => send_on_stack(n),
        Work::Create => create_on_stack(n),
        // It belongs to a variable of the function that uses it, so there is no batch, chain or crowd of them.
        _ => return None,
    })
}

fn yielded(state: GeneratorState<u64, ()>) -> u64 {
    match state {
        Yielded(value) => value,
        Complete(()) => 0,
    }
}

fn item(n: u64) -> Duration {
    let mut items = Gen::new(|co: Co<u64>| async move {
        let mut i = 0;
        loop {
            co.yield_(i).await;
            i += 1;
        }
    });
    items.resume();
    repeat(n, || match items.resume() {
        Yielded(value) => value,
    })
}

fn send(n: u64) -> Duration {
    let mut co = Gen::new(|co: Co<u64, u64>| async move {
        let mut sent = 0u64;
        loop {
            sent = co.yield_(sent.wrapping_add(1)).await;
        }
    });
    co.resume_with(0);
    repeat_with(n, |i| match co.resume_with(i) {
        Yielded(value) => value,
    })
}

fn create(n: u64) -> Duration {
    repeat_with(n, |i| {
        let mut items = Gen::new(|co: Co<u64>| async move { co.yield_(i).await });
        yielded(items.resume()).wrapping_add(yielded(items.resume()))
    })
}

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// A generator that counts, below so many others that forward to it. It has begun.
fn chain(depth: usize) -> Gen<u64, (), Boxed> {
    let mut items = Gen::new(|co: Co<u64>| -> Boxed {
        Box::pin(async move {
            if depth > 0 {
                let mut sub = chain(depth - 1);
                while let Yielded(value) = sub.resume() {
                    co.yield_(value).await;
                }
                return;
            }
            let mut i = 0;
            loop {
                co.yield_(i).await;
                i += 1;
            }
        })
    });
    items.resume();
    items
}

fn delegation(depth: usize, n: u64) -> Duration {
    let mut items = chain(depth);
    repeat(n, || yielded(items.resume()))
}

fn item_on_stack(n: u64) -> Duration {
    let_gen_using!(items, |co| async move {
        let mut i = 0u64;
        loop {
            co.yield_(i).await;
            i += 1;
        }
    });
    items.resume();
    repeat(n, || match items.resume() {
        Yielded(value) => value,
    })
}

fn send_on_stack(n: u64) -> Duration {
    let_gen_using!(co, |co| async move {
        let mut sent = 0u64;
        loop {
            sent = co.yield_(sent.wrapping_add(1)).await;
        }
    });
    co.resume_with(0);
    repeat_with(n, |i| match co.resume_with(i) {
        Yielded(value) => value,
    })
}

fn create_on_stack(n: u64) -> Duration {
    repeat_with(n, |i| {
        let_gen_using!(items, |co| async move { co.yield_(i).await });
        yielded(items.resume()).wrapping_add(yielded(items.resume()))
    })
}
