//! State machines written by hand. Each is boxed behind a trait, or the compiler would fold it into the loop.

use std::hint::black_box;
use std::time::Duration;

use crate::work::{Node, Work, repeat, repeat_with, resume_at_random, run_out, tree};

type Items = Box<dyn Iterator<Item = u64>>;

pub fn run(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Item => delegation(0, n),
        Work::Send => send(n),
        Work::Create => create(n),
        Work::Delegation(depth) => delegation(depth, n),
        Work::Tree => walk(n),
        Work::Crowd(live) => {
            resume_at_random(live, n, || chain(0), |items| items.next().unwrap_or(0))
        }
        // It is not created, and there is nothing to tell it.
        Work::Cold | Work::Close | Work::Spawn | Work::PingPong => return None,
    })
}

struct Counter(u64);

impl Iterator for Counter {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 += 1;
        Some(self.0 - 1)
    }
}

struct Forward(Items);

impl Iterator for Forward {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }
}

fn chain(depth: usize) -> Items {
    let counter: Items = black_box(Box::new(Counter(0)));
    (0..depth).fold(counter, |items, _| Box::new(Forward(items)))
}

fn delegation(depth: usize, n: u64) -> Duration {
    let mut items = chain(depth);
    repeat(n, || items.next().unwrap_or(0))
}

fn send(n: u64) -> Duration {
    trait Receiver {
        fn send(&mut self, value: u64) -> u64;
    }
    struct Successor(u64);
    impl Receiver for Successor {
        fn send(&mut self, value: u64) -> u64 {
            self.0 = value.wrapping_add(1);
            self.0
        }
    }
    let mut receiver: Box<dyn Receiver> = black_box(Box::new(Successor(0)));
    repeat_with(n, |i| receiver.send(i))
}

fn create(n: u64) -> Duration {
    repeat_with(n, |i| {
        let items: Items = black_box(Box::new(std::iter::once(i)));
        run_out(items)
    })
}

struct InOrder {
    /// Nodes whose left side is done, and that are not.
    left: Vec<&'static Node>,
}

impl InOrder {
    fn descend(&mut self, mut node: Option<&'static Node>) {
        while let Some(n) = node {
            self.left.push(n);
            node = n.left.as_deref();
        }
    }
}

impl Iterator for InOrder {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let node = self.left.pop()?;
        self.descend(node.right.as_deref());
        Some(node.value)
    }
}

fn walk(n: u64) -> Duration {
    let mut values = InOrder { left: Vec::new() };
    values.descend(Some(tree()));
    let mut values: Items = black_box(Box::new(values));
    repeat(n, || values.next().unwrap_or(0))
}
