//! generator-rs (the crate `generator`): stackful generators, with a stack of their own each.

use std::time::Duration;

use generator::{Generator, Gn, Scope, done};

use crate::work::{
    Node, Work, close_each, hold_all, repeat, repeat_with, resume_at_random, run_out, tree,
};

pub fn run(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Item => item(n),
        Work::Send => send(n),
        Work::Create => create(n),
        Work::Cold => hold_all(n, counter),
        Work::Close => close_each(n, counter, Generator::cancel),
        Work::Delegation(depth) => delegation(depth, n),
        Work::Tree => walk(n),
        Work::Crowd(live) => resume_at_random(live, n, counter, |items| items.next().unwrap_or(0)),
        // It has no executor.
        Work::Spawn | Work::PingPong => return None,
    })
}

/// A generator that counts, and has begun to.
fn counter() -> Generator<'static, (), u64> {
    let mut items = Gn::new_scoped(|mut s: Scope<'_, 'static, (), u64>| {
        let mut i = 0;
        loop {
            s.yield_(i);
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

/// Counts until it is sent `false`, below so many others that delegate to it.
fn chain(depth: usize) -> Generator<'static, bool, u64> {
    Gn::new_scoped(move |mut s: Scope<'_, 'static, bool, u64>| {
        if depth > 0 {
            s.yield_from(chain(depth - 1));
            done!();
        }
        let mut i = 0;
        while s.yield_(i) == Some(true) {
            i += 1;
        }
        done!()
    })
}

fn delegation(depth: usize, n: u64) -> Duration {
    let mut co = chain(depth);
    co.raw_send(Some(true));
    let spent = repeat(n, || co.raw_send(Some(true)).unwrap_or(0));
    // A chain that is dropped instead leaks every stack but the first.
    co.raw_send(Some(false));
    spent
}

fn send(n: u64) -> Duration {
    let mut co = Gn::new_scoped(|mut s: Scope<'_, 'static, u64, u64>| {
        let mut sent = 0u64;
        loop {
            sent = s.yield_(sent.wrapping_add(1)).unwrap_or(0);
        }
    });
    co.resume();
    repeat_with(n, |i| co.send(i))
}

fn create(n: u64) -> Duration {
    repeat_with(n, |i| {
        run_out(Gn::<()>::new_scoped(
            move |mut s: Scope<'_, 'static, (), u64>| {
                s.yield_(i);
                done!()
            },
        ))
    })
}

fn walk(n: u64) -> Duration {
    fn in_order(s: &mut Scope<'_, 'static, (), u64>, node: &Node) {
        if let Some(left) = &node.left {
            in_order(s, left);
        }
        s.yield_(node.value);
        if let Some(right) = &node.right {
            in_order(s, right);
        }
    }
    let root = tree();
    let mut values = Gn::<()>::new_scoped(move |mut s| {
        in_order(&mut s, root);
        done!()
    });
    repeat(n, || values.next().unwrap_or(0))
}
