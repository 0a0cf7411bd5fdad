//! The works, and the loops in which everybody does them.
//!
//! Whoever does a work brings only what is special about it, so that loops, clocks and orders are the same for all.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub use crate::repeat::{repeat, repeat_async, repeat_with};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Take the next item of a generator that counts.
    Item,
    /// Send a number to a coroutine that answers with the number after it.
    Send,
    /// Create a generator, take its only item, see its end, drop it.
    Create,
    /// Create one and take its first item, while all that were made before live on.
    Cold,
    /// Close a suspended one.
    Close,
    /// Take the next item through this many delegations.
    Delegation(usize),
    /// Take the next value of the [`tree`], which one generator walks by recursion.
    Tree,
    /// Resume one of this many, at random.
    Crowd(usize),
    /// Spawn a task on an executor of this thread, and wait for its result.
    Spawn,
    /// Send a number to another task of this thread, and wait for its answer.
    PingPong,
}

impl Work {
    pub const ALL: [Self; 16] = [
        Self::Item,
        Self::Send,
        Self::Create,
        Self::Cold,
        Self::Close,
        Self::Delegation(0),
        Self::Delegation(1),
        Self::Delegation(8),
        Self::Delegation(64),
        Self::Delegation(512),
        Self::Delegation(1000),
        Self::Tree,
        Self::Crowd(8),
        Self::Crowd(512),
        Self::Spawn,
        Self::PingPong,
    ];

    /// What the sizes of one work have in common; they are measured side by side.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Send => "send",
            Self::Create => "create",
            Self::Cold => "cold",
            Self::Close => "close",
            Self::Delegation(_) => "delegation",
            Self::Tree => "tree",
            Self::Crowd(_) => "crowd",
            Self::Spawn => "spawn",
            Self::PingPong => "ping-pong",
        }
    }

    /// Inverts `Display`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.to_string() == name)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegation(size) | Self::Crowd(size) => write!(f, "{}/{size}", self.kind()),
            _ => f.pad(self.kind()),
        }
    }
}

/// Does a work so many times and returns how long that took. `None`: it cannot do that.
pub type Run = fn(Work, u64) -> Option<Duration>;

/// Takes the only item of `items` and sees their end.
#[inline(always)]
pub fn run_out(mut items: impl Iterator<Item = u64>) -> u64 {
    let item = items.next().unwrap_or(0);
    item.wrapping_add(items.next().unwrap_or(1))
}

/// How long it takes to have `n` at the same time.
///
/// If `n` is not a power of two, it is not to be timed but counted, and they are leaked: to drop them is another work.
#[inline(always)]
pub fn hold_all<T>(n: u64, make: impl Fn() -> T) -> Duration {
    let mut all: Vec<Option<T>> = Vec::new();
    all.resize_with(n as usize, || None); // so that its memory is there
    let before = mappings();
    let start = Instant::now();
    for place in &mut all {
        *place = Some(make());
    }
    let spent = start.elapsed();
    MAPPINGS.store(mappings().saturating_sub(before), Relaxed);
    if !n.is_power_of_two() {
        std::mem::forget(all);
    }
    spent
}

/// How many memory mappings the last [`hold_all`] has taken.
pub static MAPPINGS: AtomicUsize = AtomicUsize::new(0);

fn mappings() -> usize {
    let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
    maps.iter().filter(|byte| **byte == b'\n').count()
}

/// How long it takes to close `n` suspended ones, made by `make`.
///
/// They are made and closed in batches so small that they are in the first-level cache, if `n` is a multiple of
/// [`BATCH`]. Otherwise it is not to be timed but counted: batches are of [`COUNTED_BATCH`], and what is left of the last
/// one is leaked. Then the difference between two such numbers that end in the same batch is the closing and nothing
/// else.
#[inline(always)]
pub fn close_each<T>(n: u64, make: impl Fn() -> T, mut close: impl FnMut(&mut T)) -> Duration {
    let size = match n % BATCH {
        0 => BATCH,
        _ => COUNTED_BATCH,
    };
    let clock = (0..100).map(|_| Instant::now().elapsed()).min();
    let clock = clock.unwrap_or_default();
    let mut left = n;
    let mut spent = Duration::ZERO;
    while left > 0 {
        let now = left.min(size);
        left -= now;
        let mut batch: Vec<T> = (0..size).map(|_| make()).collect();
        let start = Instant::now();
        for one in &mut batch[..now as usize] {
            close(one);
        }
        spent += start.elapsed().saturating_sub(clock);
        if now < size {
            std::mem::forget(batch);
        }
    }
    spent
}

/// How many are closed in one measurement.
const BATCH: u64 = 8;

/// How many are made before any is closed, when instructions are counted.
pub const COUNTED_BATCH: u64 = 512;

/// How long it takes to resume `n` times one of `live`, made by `make`, in a random order that is the same for all.
#[inline(always)]
pub fn resume_at_random<T>(
    live: usize,
    n: u64,
    make: impl Fn() -> T,
    mut resume: impl FnMut(&mut T) -> u64,
) -> Duration {
    const DRAWS: usize = 4096;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as usize % live
    };
    let order: Vec<u16> = (0..DRAWS).map(|_| draw() as u16).collect();
    let mut crowd: Vec<T> = (0..live).map(|_| make()).collect();
    repeat_with(n, |i| {
        resume(&mut crowd[order[i as usize % DRAWS] as usize])
    })
}

/// A node of the [`tree`].
pub struct Node {
    pub value: u64,
    pub left: Option<Box<Node>>,
    pub right: Option<Box<Node>>,
}

/// How many nodes the [`tree`] has.
pub const NODES: u64 = (1 << 20) - 1;

/// A perfect binary tree that counts from 0 if walked in order.
pub fn tree() -> &'static Node {
    fn grow(from: u64, to: u64) -> Option<Box<Node>> {
        (from < to).then(|| {
            let value = from.midpoint(to);
            Box::new(Node {
                value,
                left: grow(from, value),
                right: grow(value + 1, to),
            })
        })
    }
    static ROOT: OnceLock<Box<Node>> = OnceLock::new();
    ROOT.get_or_init(|| grow(0, NODES).expect("there are nodes"))
}
