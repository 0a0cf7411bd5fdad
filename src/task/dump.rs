//! What the tasks of a loop are doing.

#![forbid(unsafe_code)]

use std::backtrace::Backtrace;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::task::cancel::Cancel;
use crate::task::entry::AnyTask;
use crate::task::scheduler::Scheduler;
use crate::task::turn::running_task;

/// The tasks of an event loop at one moment, to be shown: each below the one that has spawned it, with its name, its age, what it
/// waits for, and where.
///
/// Made by [`dump`] and [`Loop::dump`](crate::task::Loop::dump); and printed, for all loops of the process, by pressing Ctrl-\ if that was
/// [asked for](crate::task::LoopBuilder::dump_on_quit).
///
/// ```text
/// 2 tasks of the loop on thread 'main', 0.500 s old
/// - Task-1, 0.500 s old, spawned at src/main.rs:20:5
///     waits for task 'slow'
///     at src/main.rs:15:5
///     in shop::supervisor, ./src/main.rs:15:5
///    - slow, 0.500 s old, spawned at src/main.rs:13:16
///        waits for sleep
///        at src/main.rs:8:9
///        in shop::slow, ./src/main.rs:8:9
/// ```
///
/// The functions of a suspended fiber are found by resuming it for a moment, so that it looks at its own stack. A task whose
/// body is a future has no stack, and one that has its turn says only that.
#[derive(Clone)]
pub struct Dump {
    time: Duration,
    tasks: Vec<Entry>,
}

/// One task.
#[derive(Clone)]
struct Entry {
    id: u64,
    /// The task that has spawned it.
    parent: u64,
    lines: Vec<String>,
    stack: Option<Rc<Backtrace>>,
}

/// How many stacks are looked at.
const MOST_STACKS: usize = 1000;

/// How far lines are indented, in levels.
const MOST_LEVELS: usize = 40;

/// Looks at the tasks of the loop that runs on this thread. Costs some microseconds a task; debug information is read when it
/// is shown. The stacks of the first 1,000 tasks are looked at.
///
/// # Panics
///
/// If there is none.
pub fn dump() -> Dump {
    match Scheduler::running() {
        Some(scheduler) => Dump::of(&scheduler),
        None => panic!("`dump` called on a thread where no event loop runs"),
    }
}

impl Dump {
    pub(crate) fn of(scheduler: &Scheduler) -> Self {
        let (time, current) = (scheduler.now(), running_task());
        let tasks = scheduler.tasks();
        let look = |(index, task)| Entry::of(task, current.as_ref(), time, index < MOST_STACKS);
        let tasks = tasks.iter().enumerate().map(look).collect();
        Self { time, tasks }
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are no tasks.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

/// Shows what somebody waits for.
struct What<'a>(&'a dyn Cancel);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}

impl Entry {
    fn of(
        task: &Rc<dyn AnyTask>,
        current: Option<&Rc<dyn AnyTask>>,
        time: Duration,
        looks: bool,
    ) -> Self {
        let header = task.header();
        let age = time.saturating_sub(header.born()).as_secs_f64();
        let (name, place) = (header.name(), header.place);
        let mut lines = vec![format!("{name}, {age:.3} s old, spawned at {place}")];
        match header.cancels.get() {
            0 => {}
            1 => lines.push("was asked to end".to_owned()),
            times => lines.push(format!("was asked to end {times} times")),
        }
        let mut stack = None;
        if current.is_some_and(|current| Rc::ptr_eq(current, task)) {
            lines.push("has its turn".to_owned());
        } else if !header.has_begun.get() {
            lines.push("has not begun".to_owned());
        } else {
            let waits_for = header.waits_for();
            if header.is_scheduled.get() {
                lines.push("is ready".to_owned());
            } else if waits_for.is_empty() {
                lines.push("waits for input, output or another future of others".to_owned());
            }
            let what = waits_for.iter().map(|awaited| What(&*awaited.target));
            lines.extend(what.map(|what| format!("waits for {what}")));
            if let Some(place) = header.interrupt.place() {
                lines.push(format!("at {place}"));
            }
            if looks {
                stack = task.clone().look().map(|stack| Rc::new(*stack));
            }
        }
        Self {
            id: header.id,
            parent: header.parent,
            lines,
            stack,
        }
    }

    fn fmt(&self, level: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = 3 * level.min(MOST_LEVELS);
        for (index, line) in self.lines.iter().enumerate() {
            let bullet = if index == 0 { "- " } else { "    " };
            writeln!(f, "{:width$}{bullet}{line}", "")?;
        }
        for frame in self.stack.iter().flat_map(|stack| frames(stack)) {
            writeln!(f, "{:width$}    in {frame}", "")?;
        }
        Ok(())
    }
}

/// The frames of a suspended fiber that are its own, and not this crate's or the standard library's.
fn frames(stack: &Backtrace) -> Vec<String> {
    const NOT_ITS_OWN: &[&str] = &[
        "yieldfrom::",
        "std::",
        "core::",
        "alloc::",
        "corosensei::",
        "stack_init_trampoline",
        "__rust",
        "rust_",
    ];
    let (text, mut frames) = (stack.to_string(), Vec::<String>::new());
    let mut is_its_own = false;
    for line in text.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("at ") {
            if let (true, Some(frame)) = (is_its_own, frames.last_mut()) {
                frame.push_str(", ");
                frame.push_str(place);
            }
            continue;
        }
        let Some((_, function)) = line.split_once(": ") else {
            continue;
        };
        if function.contains("yieldfrom::interrupt::Interrupt::look") {
            break; // who has resumed it
        }
        let name = function.trim_start_matches(['<', '&']);
        is_its_own = !NOT_ITS_OWN.iter().any(|prefix| name.starts_with(prefix));
        if is_its_own {
            frames.push(function.to_owned());
        }
    }
    frames
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("<unnamed>");
        let (count, time) = (self.tasks.len(), self.time.as_secs_f64());
        writeln!(
            f,
            "{count} tasks of the loop on thread '{thread}', {time:.3} s old"
        )?;
        let places: BTreeMap<u64, usize> = (self.tasks.iter().enumerate())
            .map(|(index, task)| (task.id, index))
            .collect();
        let mut children = vec![Vec::new(); self.tasks.len()];
        let mut to_show = Vec::new();
        for (index, task) in self.tasks.iter().enumerate().rev() {
            match places.get(&task.parent) {
                Some(parent) => children[*parent].push((index, 1)),
                None => to_show.push((index, 0)),
            }
        }
        while let Some((index, level)) = to_show.pop() {
            self.tasks[index].fmt(level, f)?;
            let below = children[index].iter().map(|(child, _)| (*child, level + 1));
            to_show.extend(below);
        }
        Ok(())
    }
}

impl fmt::Debug for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
