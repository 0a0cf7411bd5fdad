//! What goes through the stages of a pipeline, and how long it takes there.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Measures stages: how many items, how many bytes, how much time.
///
/// Only what was asked to be measured is: [`Source::measure`](crate::pipe::Source::measure),
/// [`Stage::measure`](crate::pipe::Stage::measure), [`Sink::measure`](crate::pipe::Sink::measure). It costs a look at the
/// clock (some 25 ns) at every entry and exit of the stage.
///
/// ```
/// use yieldfrom::pipe::{Stats, count, grep, lines};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let stats = Stats::new();
/// let text = &b"no snakes here\nPython, you are so cool\n"[..];
/// let found = lines(text)
///     .pipe(grep("Python").measure("grep", &stats))
///     .into(count())?;
/// let grep = &stats.stages()[0];
/// assert_eq!((found, grep.received, grep.sent, grep.bytes), (1, 2, 1, 37));
/// println!("{stats}"); // a table
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Stats(Rc<RefCell<Vec<Row>>>);

struct Row {
    name: String,
    counts: Rc<Counts>,
}

#[derive(Default)]
struct Counts {
    received: Cell<u64>,
    sent: Cell<u64>,
    bytes: Cell<u64>,
    time: Cell<Duration>,
    /// Since when the stage itself runs.
    since: Cell<Option<Instant>>,
}

/// What was measured of one stage. Made by [`Stats::stages`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageStats {
    /// What the stage is called.
    pub name: String,
    /// How many items it has received.
    pub received: u64,
    /// How many items it has sent.
    pub sent: u64,
    /// How many bytes the items had that it has received, or sent if it is a source.
    pub bytes: u64,
    /// How long it ran, without the time in other stages.
    pub time: Duration,
}

impl StageStats {
    /// Nanoseconds per item that was received, or sent by a source. 0 if there were none.
    pub fn nanos_per_item(&self) -> f64 {
        match self.received.max(self.sent) {
            0 => 0.0,
            _ if self.received > 0 => self.time.as_nanos() as f64 / self.received as f64,
            sent => self.time.as_nanos() as f64 / sent as f64,
        }
    }
}

impl Stats {
    /// Nothing is measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was measured, in the order in which it was asked for.
    pub fn stages(&self) -> Vec<StageStats> {
        let rows = self.0.borrow();
        let stats = rows.iter().map(|row| StageStats {
            name: row.name.clone(),
            received: row.counts.received.get(),
            sent: row.counts.sent.get(),
            bytes: row.counts.bytes.get(),
            time: row.counts.time.get(),
        });
        stats.collect()
    }

    pub(crate) fn meter<T: ?Sized>(&self, name: &str, size: fn(&T) -> usize) -> Meter<T> {
        let counts = Rc::<Counts>::default();
        self.0.borrow_mut().push(Row {
            name: name.to_owned(),
            counts: Rc::clone(&counts),
        });
        Meter { counts, size }
    }
}

/// The hand of one stage on its row.
pub(crate) struct Meter<T: ?Sized> {
    counts: Rc<Counts>,
    size: fn(&T) -> usize,
}

impl<T: ?Sized> Meter<T> {
    /// The same row at the other end of the stage, where bytes are not counted.
    pub(crate) fn other_end<U: ?Sized>(&self) -> Meter<U> {
        Meter {
            counts: Rc::clone(&self.counts),
            size: |_| 0,
        }
    }

    /// The stage goes on: it starts, or an item that it has sent was taken.
    pub(crate) fn resume(&self) {
        self.counts.since.set(Some(Instant::now()));
    }

    /// The stage goes on with an item that it has received.
    pub(crate) fn enter(&self, item: Option<&T>) {
        if let Some(item) = item {
            add(&self.counts.received, 1);
            add(&self.counts.bytes, (self.size)(item) as u64);
        }
        self.resume();
    }

    /// The stage waits: for an item, or while the one that it has sent is being processed.
    pub(crate) fn leave(&self) {
        if let Some(since) = self.counts.since.take() {
            let time = &self.counts.time;
            time.set(time.get() + since.elapsed());
        }
    }

    /// The stage sends an item.
    pub(crate) fn send(&self, item: &T) {
        self.leave();
        add(&self.counts.sent, 1);
        add(&self.counts.bytes, (self.size)(item) as u64);
    }
}

fn add(cell: &Cell<u64>, more: u64) {
    cell.set(cell.get() + more);
}

/// A table: a row for each stage.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages = self.stages();
        let width = stages.iter().map(|stage| stage.name.len()).max();
        let width = width.unwrap_or(0).max("stage".len());
        write!(
            f,
            "{:width$} {:>12} {:>12} {:>14} {:>9} {:>10}",
            "stage", "received", "sent", "bytes", "ms", "ns an item"
        )?;
        for stage in &stages {
            write!(
                f,
                "\n{:width$} {:>12} {:>12} {:>14} {:>9.1} {:>10.1}",
                stage.name,
                stage.received,
                stage.sent,
                stage.bytes,
                stage.time.as_secs_f64() * 1e3,
                stage.nanos_per_item()
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stages()).finish()
    }
}
