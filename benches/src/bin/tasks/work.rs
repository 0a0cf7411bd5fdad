//! The works, and how much of each.

use std::time::Duration;

pub use crate::repeat::{repeat_async, repeat_with};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Spawn a task and wait for its result, one after another.
    Spawn,
    /// Send a number to another task over a channel, and wait for its answer on another one.
    PingPong,
    /// Spawn tasks that all sleep at once, and wait for each.
    Sleepers,
    /// Wake tasks that all wait for the same event, and wait for each.
    Waiters,
}

/// How much of it is done at once.
#[derive(Clone, Copy)]
pub struct Size {
    /// How many tasks, or round trips.
    pub n: u64,
    /// How long each sleeper sleeps.
    pub sleep: Duration,
}

impl Work {
    pub const ALL: [Self; 4] = [Self::Spawn, Self::PingPong, Self::Sleepers, Self::Waiters];

    pub fn name(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::PingPong => "ping-pong",
            Self::Sleepers => "sleepers",
            Self::Waiters => "waiters",
        }
    }

    /// Inverts [`name`](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    /// Whether it is done one after another, so often that a clock can tell how long it takes.
    pub fn is_repeated(self) -> bool {
        matches!(self, Self::Spawn | Self::PingPong)
    }
}
