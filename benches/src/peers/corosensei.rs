//! corosensei raw: the switch that this crate is built on, without anything around it.

use std::time::Duration;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::work::{Node, Work, hold_all, repeat, repeat_with, resume_at_random, tree};

pub fn run(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Item => item(n),
        Work::Send => send(n),
        Work::Create => create(n),
        Work::Cold => hold_all(n, counter),
        Work::Close => return close(n),
        Work::Delegation(depth) => delegation(depth, n),
        Work::Tree => walk(n),
        Work::Crowd(live) => resume_at_random(live, n, counter, Endless::next),
        // It has no executor.
        Work::Spawn | Work::PingPong => return None,
    })
}

/// The one work that differs: each coroutine gets a new stack, as `Coroutine::new` gives it.
pub fn run_fresh(work: Work, n: u64) -> Option<Duration> {
    let create = |i| {
        let mut co = Coroutine::new(move |y: &Yielder<(), u64>, ()| y.suspend(i));
        yielded(co.resume(())).wrapping_add(yielded(co.resume(())))
    };
    (work == Work::Create).then(|| repeat_with(n, create))
}

fn yielded(result: CoroutineResult<u64, ()>) -> u64 {
    match result {
        CoroutineResult::Yield(value) => value,
        CoroutineResult::Return(()) => 0,
    }
}

/// A coroutine that is still suspended in the end. Without the feature `unwind` that must not be dropped as it is.
struct Endless<S>(Coroutine<S, u64, ()>);

impl<S> Endless<S> {
    /// Runs it to its first yield.
    fn started(mut co: Coroutine<S, u64, ()>, first: S) -> Self {
        co.resume(first);
        Self(co)
    }
}

impl Endless<()> {
    #[inline(always)]
    fn next(&mut self) -> u64 {
        yielded(self.0.resume(()))
    }
}

impl<S> Drop for Endless<S> {
    fn drop(&mut self) {
        // SAFETY: no body in this file that is left suspended has anything on its stack that others refer to or that
        // needs dropping.
        unsafe { self.0.force_reset() };
    }
}

fn counter() -> Endless<()> {
    let co = Coroutine::new(|y: &Yielder<(), u64>, ()| {
        let mut i = 0;
        loop {
            y.suspend(i);
            i += 1;
        }
    });
    Endless::started(co, ())
}

fn item(n: u64) -> Duration {
    let mut items = counter();
    repeat(n, || items.next())
}

fn send(n: u64) -> Duration {
    let co = Coroutine::new(|y: &Yielder<u64, u64>, mut sent: u64| {
        loop {
            sent = y.suspend(sent.wrapping_add(1));
        }
    });
    let mut co = Endless::started(co, 0);
    repeat_with(n, |i| yielded(co.0.resume(i)))
}

fn create(n: u64) -> Duration {
    let mut stack = Some(DefaultStack::default());
    repeat_with(n, |i| {
        let body = move |y: &Yielder<(), u64>, ()| y.suspend(i);
        let mut co = Coroutine::with_stack(stack.take().unwrap_or_default(), body);
        let sum = yielded(co.resume(())).wrapping_add(yielded(co.resume(())));
        stack = Some(co.into_stack());
        sum
    })
}

#[cfg(feature = "unwind")]
fn close(n: u64) -> Option<Duration> {
    let make = || {
        let mut co = Coroutine::new(|y: &Yielder<(), u64>, ()| {
            let mut i = 0;
            loop {
                y.suspend(i);
                i += 1;
            }
        });
        co.resume(());
        co
    };
    Some(crate::work::close_each(n, make, Coroutine::force_unwind))
}

#[cfg(not(feature = "unwind"))]
fn close(_: u64) -> Option<Duration> {
    None
}

/// Counts as long as it is sent `true`, below so many others that forward to it and from it.
fn chain(depth: usize) -> Coroutine<bool, u64, ()> {
    Coroutine::new(move |y: &Yielder<bool, u64>, mut go_on: bool| {
        if depth > 0 {
            let mut sub = chain(depth - 1);
            while let CoroutineResult::Yield(value) = sub.resume(go_on) {
                go_on = y.suspend(value);
            }
            return;
        }
        let mut i = 0;
        while go_on {
            go_on = y.suspend(i);
            i += 1;
        }
    })
}

fn delegation(depth: usize, n: u64) -> Duration {
    let mut co = chain(depth);
    co.resume(true);
    let spent = repeat(n, || yielded(co.resume(true)));
    co.resume(false);
    spent
}

fn walk(n: u64) -> Duration {
    fn in_order(y: &Yielder<(), u64>, node: &Node) {
        if let Some(left) = &node.left {
            in_order(y, left);
        }
        y.suspend(node.value);
        if let Some(right) = &node.right {
            in_order(y, right);
        }
    }
    let root = tree();
    let mut values = Endless(Coroutine::new(move |y, ()| in_order(y, root)));
    repeat(n, || values.next())
}
