//! The stages of the pipeline, but for its end.

use std::collections::VecDeque;
use std::rc::Rc;

use memchr::{memchr_iter, memrchr};
use yieldfrom::Builder;
use yieldfrom::pipe::{Receiver, Sink, sink};

use crate::input::{Block, Input};
use crate::pattern::Pattern;

/// Address space for a stage that matches, of which only what is used becomes memory: patterns with back-references are
/// matched by recursion.
pub const MATCHING_STACK_SIZE: usize = 64 << 20;

/// Why lines are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Selected,
    /// Not selected. Behind the context stage: they stand before a selected line.
    Passed,
    /// They stand behind a selected line.
    Behind,
}

/// Lines of a block that follow each other.
#[derive(Clone)]
pub struct Run {
    pub block: Rc<Block>,
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
    pub line_end: u8,
    /// How many lines they are, if somebody has counted. If only that is asked for, they need not follow each other.
    counted: Option<u64>,
}

impl Run {
    /// The lines, each with what ends it.
    pub fn bytes(&self) -> &[u8] {
        &self.block.lines()[self.start..self.end]
    }

    /// Where they start in the file.
    pub fn offset(&self) -> u64 {
        self.block.offset + self.start as u64
    }

    /// How many lines they are.
    pub fn count(&self) -> u64 {
        let count = || memchr_iter(self.line_end, self.bytes()).count() as u64;
        self.counted.unwrap_or_else(count)
    }

    /// Takes away the first lines, up to `limit`, and returns them and how many they are.
    pub fn split_first(&mut self, limit: u64) -> (Run, u64) {
        let mut ends = memchr_iter(self.line_end, self.bytes()).zip(1..=limit);
        let (length, count) = ends.by_ref().last().map_or((0, 0), |(end, n)| (end + 1, n));
        let mut first = self.clone();
        first.end = self.start + length;
        (first.counted, self.counted) = (Some(count), None);
        self.start = first.end;
        (first, count)
    }

    /// Leaves only the last lines, up to `limit`, and returns how many they are.
    fn keep_last(&mut self, limit: u64) -> u64 {
        let (mut count, mut start) = (0, self.end);
        while start > self.start && count < limit {
            let before = &self.block.lines()[self.start..start - 1];
            start = self.start + memrchr(self.line_end, before).map_or(0, |end| end + 1);
            count += 1;
        }
        self.start = start;
        self.counted = Some(count);
        count
    }
}

/// What a pipeline returns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// How many lines were selected.
    pub selected: u64,
    /// Where the last of them ends in the file.
    pub end: u64,
}

/// Sends the blocks of `input` until there are none left or nobody wants more. Returns what the pipeline returns, and how
/// the reading ended.
pub fn cat<R>(input: &mut Input, mut target: Sink<Rc<Block>, R>) -> (R, std::io::Result<()>) {
    let mut read = || {
        while let Some(block) = input.next_block()? {
            if target.send(block).is_err() {
                break;
            }
        }
        Ok(())
    };
    let result = read();
    (target.close(), result)
}

/// What the stage that matches has to know.
#[derive(Clone)]
pub struct Search {
    pub pattern: Rc<Pattern>,
    /// Whether the lines that do not match are the selected ones.
    pub inverts: bool,
    /// Whether somebody wants to see the other lines too.
    pub sends_passed: bool,
    /// Whether somebody only wants to know how many lines are selected.
    pub counts: bool,
    pub line_end: u8,
}

/// Divides blocks into lines that are selected and those between. It looks not at each line, but for the next match.
pub fn grep<R: 'static>(search: Search, mut target: Sink<Run, R>) -> Sink<Rc<Block>, R> {
    let body = move |blocks: &mut Receiver<Rc<Block>>| {
        while let Some(block) = blocks.recv() {
            if search.block(block, &mut target).is_none() {
                break;
            }
        }
        target.close()
    };
    Builder::new().stack_size(MATCHING_STACK_SIZE).sink(body)
}

impl Search {
    /// `None` if the target wants no more.
    fn block<R>(&self, block: &Rc<Block>, target: &mut Sink<Run, R>) -> Option<()> {
        let (matching, others) = match self.inverts {
            false => (Kind::Selected, Kind::Passed),
            true => (Kind::Passed, Kind::Selected),
        };
        let mut run = Run {
            block: block.clone(),
            start: 0,
            end: 0,
            kind: others,
            line_end: self.line_end,
            counted: None,
        };
        let lines = block.lines();
        if self.counts {
            let count = self.pattern.count_lines(lines);
            (run.end, run.kind) = (lines.len(), Kind::Selected);
            run.counted = Some(match self.inverts {
                false => count,
                true => run.count() - count,
            });
            return target.send(&run).ok();
        }
        let mut send = |start, end, kind, counted| {
            (run.start, run.end, run.kind, run.counted) = (start, end, kind, counted);
            let is_wanted = kind == Kind::Selected || self.sends_passed;
            match start == end || !is_wanted {
                true => Some(()),
                false => target.send(&run).ok(),
            }
        };
        // Lines that match one behind the other go together, unless the next may take long to find.
        let is_fast = self.pattern.is_exact();
        let (mut found, mut count) = (0..0, 0);
        while found.end < lines.len() {
            let line = self
                .pattern
                .next_line(lines, found.end)
                .unwrap_or(lines.len()..lines.len());
            if is_fast && line.start == found.end && !line.is_empty() {
                found.end = line.end;
                count += 1;
                continue;
            }
            send(found.start, found.end, matching, Some(count))?;
            send(found.end, line.start, others, None)?;
            (found, count) = (line, 1);
        }
        send(found.start, found.end, matching, Some(count))
    }
}

/// Sends on the first `limit` selected lines, and up to `after` lines behind the last of them, then ends. Without a limit
/// there is no such stage: it is `target` itself.
pub fn head<R: 'static>(limit: Option<u64>, after: u64, mut target: Sink<Run, R>) -> Sink<Run, R> {
    let Some(limit) = limit else {
        return target;
    };
    sink(move |runs: &mut Receiver<Run>| {
        let (mut left, mut left_after) = (limit, after);
        while let Some(run) = runs.recv() {
            let mut run = run.clone();
            let mut is_wanted = true;
            if run.kind != Kind::Selected && left > 0 {
                is_wanted = target.send(&run).is_ok();
            } else if left > 0 {
                let (selected, count) = run.split_first(left);
                left -= count;
                is_wanted = target.send(&selected).is_ok();
            }
            if left == 0 && left_after > 0 && run.start < run.end {
                // Whether they match or not makes no difference any more.
                run.kind = Kind::Passed;
                let (behind, count) = run.split_first(left_after);
                left_after -= count;
                is_wanted &= target.send(&behind).is_ok();
            }
            if !is_wanted || (left == 0 && left_after == 0) {
                break;
            }
        }
        target.close()
    })
}

/// Of the lines that are not selected, sends on those within `before` lines before and `after` lines behind one that is.
pub fn context<R: 'static>(before: u64, after: u64, mut target: Sink<Run, R>) -> Sink<Run, R> {
    sink(move |runs: &mut Receiver<Run>| {
        let mut pending = Pending::default();
        let mut left_after = 0;
        while let Some(run) = runs.recv() {
            let is_wanted = if run.kind == Kind::Selected {
                left_after = after;
                pending.runs.iter().all(|run| target.send(run).is_ok()) && {
                    pending = Pending::default();
                    target.send(run).is_ok()
                }
            } else {
                let mut run = run.clone();
                let (mut behind, count) = run.split_first(left_after);
                left_after -= count;
                behind.kind = Kind::Behind;
                let is_wanted = count == 0 || target.send(&behind).is_ok();
                pending.push(run, before);
                is_wanted
            };
            if !is_wanted {
                break;
            }
        }
        target.close()
    })
}

/// The last lines that were not selected.
#[derive(Default)]
struct Pending {
    runs: VecDeque<Run>,
    count: u64,
}

impl Pending {
    /// Adds lines, and forgets all but the last `limit`.
    fn push(&mut self, mut run: Run, limit: u64) {
        let count = run.keep_last(limit);
        if count == 0 {
            return;
        }
        self.runs.push_back(run);
        self.count += count;
        while self.count > limit {
            let Some(first) = self.runs.front_mut() else {
                break;
            };
            let excess = self.count - limit;
            let (_, dropped) = first.split_first(excess);
            self.count -= dropped;
            if first.start == first.end {
                self.runs.pop_front();
            }
        }
    }
}

/// Counts the selected lines.
pub fn count() -> Sink<Run, Sum> {
    sink(|runs: &mut Receiver<Run>| {
        let mut sum = Sum::default();
        while let Some(run) = runs.recv() {
            sum.add(run);
        }
        sum
    })
}

impl Sum {
    pub fn add(&mut self, run: &Run) {
        if run.kind == Kind::Selected {
            self.selected += run.count();
            self.end = run.block.offset + run.end as u64;
        }
    }
}
