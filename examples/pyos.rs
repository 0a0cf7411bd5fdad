//! An operating system: tasks are coroutines, and what they yield are system calls. In Python:
//!
//! ```python
//! def foo():
//!     mytid = yield GetTid()
//!     for _ in range(3):
//!         print("I'm foo", mytid)
//!         yield
//!
//! while ready:
//!     task, answer = ready.popleft()
//!     try:
//!         call = task.send(answer)
//!     except StopIteration:
//!         exit(task)  # who waits for it is ready now
//!     else:
//!         handle(call, task)  # mostly ready.append((task, what it has asked for))
//! ```
//!
//! Look at `yield_`, the trap into the system, which runs others before it answers. And at the three ways to call a
//! subroutine that traps: the system keeps a stack of callers (the trampoline of David Beazley's course on coroutines,
//! from before `yield from`); one coroutine delegates to the other; or, as a task here has a stack of its own, any
//! function that is given `co`.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::{Co, Coroutine, Exception, State, Step, coroutine};

use SystemCall::*;

/// A task, or a subroutine of one. The answer to a system call is a number, as in larger systems.
type Routine = Coroutine<SystemCall, usize, usize>;
type Tid = usize;

enum SystemCall {
    Pass,
    GetTid,
    NewTask(Routine),
    /// Answered by 1, or by 0 if there is no such task.
    KillTask(Tid),
    /// Answered by 1 when that task has ended, or at once by 0 if there is none.
    WaitTask(Tid),
    /// Answered by what the subroutine returns.
    Call(Routine),
}

#[derive(Default)]
struct Scheduler {
    last_tid: Tid,
    /// Of each task the routine that runs, last, and those that have called it.
    tasks: BTreeMap<Tid, Vec<Routine>>,
    /// With the answer to its last system call.
    ready: VecDeque<(Tid, usize)>,
    waiting: BTreeMap<Tid, Vec<Tid>>,
}

impl Scheduler {
    fn start(&mut self, routine: Routine) -> Tid {
        self.last_tid += 1;
        self.tasks.insert(self.last_tid, vec![routine]);
        self.ready.push_back((self.last_tid, 0));
        self.last_tid
    }

    fn run(mut self, tasks: Vec<Routine>) -> Result<(), Exception> {
        tasks.into_iter().for_each(|task| _ = self.start(task));
        while let Some((tid, answer)) = self.ready.pop_front() {
            match trampoline(self.tasks.entry(tid).or_default(), answer)? {
                Some(call) => self.handle(call, tid)?,
                None => self.exit(tid)?,
            }
        }
        Ok(())
    }

    fn handle(&mut self, call: SystemCall, tid: Tid) -> Result<(), Exception> {
        let answer = match call {
            Pass => 0,
            GetTid => tid,
            NewTask(routine) => self.start(routine),
            KillTask(other) => match self.tasks.get_mut(&other) {
                None => 0,
                Some(routines) => {
                    while let Some(mut routine) = routines.pop() {
                        routine.close()?;
                    }
                    1 // its next turn finds out that it has ended
                }
            },
            WaitTask(other) if self.tasks.contains_key(&other) => {
                self.waiting.entry(other).or_default().push(tid);
                return Ok(()); // it is `exit` that answers
            }
            WaitTask(_) => 0,
            Call(_) => unreachable!("the trampoline has done it"),
        };
        self.ready.push_back((tid, answer));
        Ok(())
    }

    fn exit(&mut self, tid: Tid) -> io::Result<()> {
        self.tasks.remove(&tid);
        for waiter in self.waiting.remove(&tid).unwrap_or_default() {
            self.ready.push_back((waiter, 1));
        }
        writeln!(io::stdout(), "Task {tid} terminated")
    }
}

/// Runs a task to its next system call; `None` if it has ended. A failure ends the system: to throw it into the caller
/// would be up to the trampoline, while `yield_from` does so.
fn trampoline(task: &mut Vec<Routine>, mut answer: usize) -> Result<Option<SystemCall>, Exception> {
    while let Some(routine) = task.last_mut() {
        let step = match routine.state() {
            State::Created => routine.prime()?,
            _ => routine.send(answer)?,
        };
        match step {
            Step::Yielded(Call(subroutine)) => task.push(subroutine),
            Step::Yielded(call) => return Ok(Some(call)),
            Step::Complete(returned) => {
                answer = returned;
                task.pop();
            }
        }
    }
    Ok(None)
}

fn say(name: &'static str, times: usize) -> Routine {
    coroutine(move |co| {
        let mytid = co.yield_(GetTid)?;
        for _ in 0..times {
            writeln!(io::stdout(), "I'm {name} {mytid}")?;
            co.yield_(Pass)?;
        }
        Ok(0)
    })
}

fn killer() -> Routine {
    coroutine(|co| {
        let child = co.yield_(NewTask(say("foo", usize::MAX)))?;
        for _ in 0..3 {
            co.yield_(Pass)?;
        }
        co.yield_(KillTask(child))?;
        writeln!(io::stdout(), "main done")?;
        Ok(0)
    })
}

fn waiter() -> Routine {
    coroutine(|co| {
        let child = co.yield_(NewTask(say("foo", 3)))?;
        writeln!(io::stdout(), "Waiting for child")?;
        co.yield_(WaitTask(child))?;
        writeln!(io::stdout(), "Child done")?;
        Ok(0)
    })
}

/// A subroutine that traps.
fn add(co: &Co<SystemCall, usize>, x: usize, y: usize) -> Result<usize, Exception> {
    let mytid = co.yield_(GetTid)?;
    writeln!(io::stdout(), "Task {mytid} adds")?;
    Ok(x + y)
}

fn caller() -> Routine {
    coroutine(|co| {
        let by_trampoline = co.yield_(Call(coroutine(|co| add(co, 1, 1))))?;
        let by_yield_from = co.yield_from(&mut coroutine(|co| add(co, 2, 2)))?;
        let by_call = add(co, 3, 3)?;
        writeln!(io::stdout(), "{by_trampoline} {by_yield_from} {by_call}")?;
        Ok(0)
    })
}

fn run() -> io::Result<()> {
    for (title, tasks) in [
        ("two tasks", vec![say("foo", 3), say("bar", 5)]),
        ("a child that is killed", vec![killer()]),
        ("a child that is waited for", vec![waiter()]),
        ("subroutines", vec![caller()]),
    ] {
        writeln!(io::stdout(), "-- {title}:")?;
        Scheduler::default().run(tasks)?;
    }
    Ok(())
}

const HELP: &str = "\
pyos: an operating system whose tasks are coroutines; they start, kill and wait for
each other by system calls, and call subroutines in three ways

Run it with: cargo run --example pyos
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("pyos: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("pyos: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
