//! What is to be done later.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::Duration;

/// Things to do at certain times. Of those that are due at the same time, the one that was added first comes first
/// (asyncio leaves that open).
#[derive(Debug)]
pub(crate) struct Timers<T> {
    waiting: BTreeMap<TimerKey, T>,
    added: u64,
}

/// When something is to be done, in nanoseconds (that will do for 584 years), and which one it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TimerKey(u64, u64);

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            added: 0,
        }
    }

    pub(crate) fn add(&mut self, when: Duration, what: T) -> TimerKey {
        self.added += 1;
        let key = TimerKey(nanoseconds(when), self.added);
        self.waiting.insert(key, what);
        key
    }

    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<T> {
        self.waiting.remove(&key)
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.waiting
            .first_key_value()
            .map(|(TimerKey(when, _), _)| Duration::from_nanos(*when))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes one that is due.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<T> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= nanoseconds(now)).then(|| first.remove())
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.waiting).into_values()
    }
}
