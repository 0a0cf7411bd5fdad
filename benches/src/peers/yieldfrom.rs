//! This crate: its generator and its coroutine.

use std::time::Duration;

use yieldfrom::{
    Coroutine, Exception, Generator, Step, Yielder, coroutine, generator, trim_stacks,
};

use crate::work::{
    Node, Work, close_each, hold_all, repeat, repeat_with, resume_at_random, run_out, tree,
};

pub fn run_generator(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Item => item(n),
        Work::Create => create_generator(n),
        Work::Cold => cold(n, counter),
        Work::Close => close_each(n, counter, Generator::close),
        Work::Tree => walk(n),
        Work::Crowd(live) => resume_at_random(live, n, counter, |items| items.next().unwrap_or(0)),
        Work::Send | Work::Delegation(_) | Work::Spawn | Work::PingPong => return None,
    })
}

pub fn run_coroutine(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Send => send(n),
        Work::Create => create_coroutine(n),
        Work::Cold => cold(n, || primed(chain(0))),
        Work::Close => close_each(n, || primed(chain(0)), |co| drop(co.close())),
        Work::Delegation(depth) => delegation(depth, n),
        Work::Crowd(live) => {
            resume_at_random(live, n, || primed(chain(0)), |co| yielded(co.send(())))
        }
        Work::Item | Work::Tree | Work::Spawn | Work::PingPong => return None,
    })
}

fn yielded<S>(step: Result<Step<u64, ()>, yieldfrom::Raised<S>>) -> u64 {
    match step {
        Ok(Step::Yielded(value)) => value,
        _ => 0,
    }
}

fn primed<S>(mut co: Coroutine<u64, S>) -> Coroutine<u64, S> {
    yielded(co.prime());
    co
}

/// A generator that counts, and has begun to.
fn counter() -> Generator<u64> {
    let mut items = generator(|y| {
        let mut i = 0;
        loop {
            y.yield_(i);
            i += 1;
        }
    });
    items.next();
    items
}

fn item(n: u64) -> Duration {
    let mut items = counter();
    repeat(n, || items.next().unwrap_or(0))
}

fn send(n: u64) -> Duration {
    let mut co = primed(coroutine(|co| -> Result<(), Exception> {
        let mut sent = 0u64;
        loop {
            sent = co.yield_(sent.wrapping_add(1))?;
        }
    }));
    repeat_with(n, |i| yielded(co.send(i)))
}

fn create_generator(n: u64) -> Duration {
    repeat_with(n, |i| run_out(generator(move |y| y.yield_(i))))
}

fn create_coroutine(n: u64) -> Duration {
    repeat_with(n, |i| {
        let mut co = coroutine(move |co| co.yield_(i));
        yielded(co.prime()).wrapping_add(yielded(co.send(())))
    })
}

/// No stack is one that was used before.
fn cold<T>(n: u64, make: impl Fn() -> T) -> Duration {
    trim_stacks();
    let spent = hold_all(n, make);
    trim_stacks();
    spent
}

/// A coroutine that counts, below so many others that delegate to it.
fn chain(depth: usize) -> Coroutine<u64, ()> {
    coroutine(move |co| {
        if depth > 0 {
            return co.yield_from(&mut chain(depth - 1));
        }
        let mut i = 0;
        loop {
            co.yield_(i)?;
            i += 1;
        }
    })
}

fn delegation(depth: usize, n: u64) -> Duration {
    let mut co = primed(chain(depth));
    repeat(n, || yielded(co.send(())))
}

fn walk(n: u64) -> Duration {
    fn in_order(y: &Yielder<u64>, node: &Node) {
        if let Some(left) = &node.left {
            in_order(y, left);
        }
        y.yield_(node.value);
        if let Some(right) = &node.right {
            in_order(y, right);
        }
    }
    let root = tree();
    let mut values = generator(move |y| in_order(y, root));
    repeat(n, || values.next().unwrap_or(0))
}
