//! Programs of tasks that wait for, cancel and synchronise with each other, on a virtual clock.
//!
//! ```text
//! CASE   {"id": int, "tasks": [BODY..], "kids": [BODY..], "sems": [n..], "queues": [maxsize..]}
//!   All of `tasks` are spawned in order, before the loop first runs. `kids` are bodies that only "tg" starts. There are also
//!   two events (0, 1), two locks (0, 1) and three futures (0..2).
//! BODY   a list of statements; [j..] are indices of earlier tasks, k a number:
//!   ["log", s]  ["sleep", k]  ["await", j]  ["shield", j]  ["wait_for", j, k]  ["gather", [j..], return_exceptions]
//!   ["wait", [j..], WHEN, k|null]  ["as_completed", [j..], k|null]  ["timeout", k, BODY]  ["tg", [c..], BODY]
//!   ["cancel", j]  ["uncancel"]  ["acquire", s]  ["release", s]  ["with_sem", s, BODY]  ["with_lock", l, BODY]
//!   ["put", q, k]  ["get", q]  ["put_nowait", q, k]  ["get_nowait", q]  ["task_done", q]  ["join", q]
//!   ["wait_event", e]  ["set", e]  ["clear", e]  ["fut_set", f, k]  ["fut_exc", f, K, a]  ["fut_cancel", f]
//!   ["fut_await", f]  ["call_soon", s]  ["call_later", k, s]  ["done_cb", j, s]
//!   ["try", BODY, [[H, BODY]..], FINALLY|null]  ["raise", K, a]  ["reraise"]  ["return", k]  ["loop", n, BODY]
//! TRACE  {"id", "log": [[time, who, text]..], "tasks": [OUTCOME..], "end": time}
//! ```
//!
//! When nothing is ready and nothing is due but tasks are pending, "deadlock" is logged and they are all cancelled in order;
//! the fourth time, the loop is stopped instead.
//!
//! This is an interpreter of such bodies, each in a task of the crate, which is used as any program would: an `await` is
//! `await_(..)?`, an `async with` a guard or a closure, and what Python raises is an error type.
//!
//! Three things of Python that the crate has no use for live here: the argument of a `CancelledError` (a task that has raised
//! one keeps it, and gives it to the first who asks how the task ended), the timer of an `as_completed` that was given up, and
//! what CPython says to those who await a task that has awaited itself.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use yieldfrom::task::{
    AwaitsItself, Event, ExceptionGroup, Future, GetError, Lock, Loop, LoopBuilder, Promise,
    PutError, Queue, Semaphore, Task, TaskRef, TimedOut, as_completed, call_later, call_soon,
    current, gather, shield, sleep, task_group, time, timeout, wait, wait_for,
};
use yieldfrom::{Exception, await_};

use crate::json::{field, index, item, list, number, text};

// ---- the program ---------------------------------------------------------------------------------------------------

type Int = Option<i64>;
type Block = Rc<[Statement]>;

enum Statement {
    Log(String),
    Sleep(u64),
    Await(usize),
    Shield(usize),
    WaitFor(usize, u64),
    Gather(Vec<usize>, bool),
    Wait(Vec<usize>, When, Option<u64>),
    AsCompleted(Vec<usize>, Option<u64>),
    Timeout(u64, Block),
    Group(Vec<usize>, Block),
    Cancel(usize),
    Uncancel,
    Acquire(usize),
    Release(usize),
    WithSemaphore(usize, Block),
    WithLock(usize, Block),
    Put(usize, Int),
    Get(usize),
    PutNowait(usize, Int),
    GetNowait(usize),
    TaskDone(usize),
    Join(usize),
    WaitEvent(usize),
    Set(usize),
    Clear(usize),
    FutureSet(usize, Int),
    FutureRaise(usize, Raised),
    FutureCancel(usize),
    FutureAwait(usize),
    CallSoon(String),
    CallLater(u64, String),
    DoneCallback(usize, String),
    Try {
        body: Block,
        handlers: Vec<(String, Block)>,
        finally: Option<Block>,
    },
    Raise(Raised),
    Reraise,
    Return(Int),
    Loop(u64, Block),
}

#[derive(Clone, Copy)]
enum When {
    First,
    FirstError,
    All,
}

fn parse_block(value: &Value) -> Result<Block, String> {
    list(value, "a body")?.iter().map(parse_statement).collect()
}

fn parse_statement(value: &Value) -> Result<Statement, String> {
    use Statement as S;
    let parts = list(value, "a statement")?;
    let at = |i| item(parts, i);
    let which = |i| index(at(i)?);
    let ticks = |i| Ok::<_, String>(index(at(i)?)? as u64);
    let limit = |i| match at(i)? {
        Value::Null => Ok(None),
        k => index(k).map(|k| Some(k as u64)),
    };
    let several = |i| {
        let indices = list(at(i)?, "indices")?.iter().map(index);
        indices.collect::<Result<Vec<_>, String>>()
    };
    let block = |i| parse_block(at(i)?);
    let string = |i| Ok::<_, String>(text(at(i)?)?.to_owned());
    let error = |i| Raised::parse(text(at(i)?)?, number(at(i + 1)?)?);
    Ok(match text(at(0)?)? {
        "log" => S::Log(string(1)?),
        "sleep" => S::Sleep(ticks(1)?),
        "await" => S::Await(which(1)?),
        "shield" => S::Shield(which(1)?),
        "wait_for" => S::WaitFor(which(1)?, ticks(2)?),
        "gather" => S::Gather(several(1)?, at(2)? == true),
        "wait" => {
            let when = match text(at(2)?)? {
                "FIRST_COMPLETED" => When::First,
                "FIRST_EXCEPTION" => When::FirstError,
                "ALL_COMPLETED" => When::All,
                other => return Err(format!("unknown condition {other:?}")),
            };
            S::Wait(several(1)?, when, limit(3)?)
        }
        "as_completed" => S::AsCompleted(several(1)?, limit(2)?),
        "timeout" => S::Timeout(ticks(1)?, block(2)?),
        "tg" => S::Group(several(1)?, block(2)?),
        "cancel" => S::Cancel(which(1)?),
        "uncancel" => S::Uncancel,
        "acquire" => S::Acquire(which(1)?),
        "release" => S::Release(which(1)?),
        "with_sem" => S::WithSemaphore(which(1)?, block(2)?),
        "with_lock" => S::WithLock(which(1)?, block(2)?),
        "put" => S::Put(which(1)?, number(at(2)?)?),
        "get" => S::Get(which(1)?),
        "put_nowait" => S::PutNowait(which(1)?, number(at(2)?)?),
        "get_nowait" => S::GetNowait(which(1)?),
        "task_done" => S::TaskDone(which(1)?),
        "join" => S::Join(which(1)?),
        "wait_event" => S::WaitEvent(which(1)?),
        "set" => S::Set(which(1)?),
        "clear" => S::Clear(which(1)?),
        "fut_set" => S::FutureSet(which(1)?, number(at(2)?)?),
        "fut_exc" => S::FutureRaise(which(1)?, error(2)?),
        "fut_cancel" => S::FutureCancel(which(1)?),
        "fut_await" => S::FutureAwait(which(1)?),
        "call_soon" => S::CallSoon(string(1)?),
        "call_later" => S::CallLater(ticks(1)?, string(2)?),
        "done_cb" => S::DoneCallback(which(1)?, string(2)?),
        "try" => S::Try {
            body: block(1)?,
            handlers: list(at(2)?, "handlers")?
                .iter()
                .map(|handler| {
                    let parts = list(handler, "a handler")?;
                    let kind = text(item(parts, 0)?)?.to_owned();
                    Ok((kind, parse_block(item(parts, 1)?)?))
                })
                .collect::<Result<_, String>>()?,
            finally: match at(3)? {
                Value::Null => None,
                body => Some(parse_block(body)?),
            },
        },
        "raise" => S::Raise(error(1)?),
        "reraise" => S::Reraise,
        "return" => S::Return(number(at(1)?)?),
        "loop" => S::Loop(ticks(1)?, block(2)?),
        other => return Err(format!("unknown statement {other:?}")),
    })
}

// ---- what is raised ------------------------------------------------------------------------------------------------

/// What Python raises.
#[derive(Clone, Debug)]
struct Raised {
    kind: &'static str,
    argument: Argument,
    /// If it is a group.
    errors: Vec<Raised>,
}

#[derive(Clone, Debug)]
enum Argument {
    None,
    Number(i64),
    Text(&'static str),
}

impl Raised {
    fn new(kind: &'static str, argument: Argument) -> Self {
        let errors = Vec::new();
        Self {
            kind,
            argument,
            errors,
        }
    }

    fn parse(kind: &str, argument: Int) -> Result<Self, String> {
        let kind = ["E1", "E2", "CancelledError"]
            .into_iter()
            .find(|known| *known == kind)
            .ok_or_else(|| format!("unknown error {kind:?}"))?;
        Ok(Self::new(
            kind,
            argument.map_or(Argument::None, Argument::Number),
        ))
    }

    fn cancelled(argument: Argument) -> Self {
        Self::new("CancelledError", argument)
    }

    fn is_cancelled(&self) -> bool {
        self.kind == "CancelledError"
    }

    /// What the crate has raised. `argument` is that of a `CancelledError`.
    fn from(exception: &Exception, argument: &dyn Fn() -> Argument) -> Self {
        if matches!(exception, Exception::Cancelled) {
            Self::cancelled(argument())
        } else if let Some(raised) = exception.downcast_ref::<Self>() {
            raised.clone()
        } else if exception.is::<TimedOut>() {
            Self::new("TimeoutError", Argument::None)
        } else if exception.is::<AwaitsItself>() {
            let message = "Task cannot await on itself";
            Self::new("RuntimeError", Argument::Text(message))
        } else if let Some(group) = exception.downcast_ref::<ExceptionGroup>() {
            let errors = group.errors().iter();
            Self {
                errors: errors.map(|e| Self::from(e, &|| Argument::None)).collect(),
                ..Self::new("ExceptionGroup", Argument::None)
            }
        } else {
            panic!("the crate has raised {exception:?}")
        }
    }

    fn is(&self, kind: &str) -> bool {
        match kind {
            "BaseException" => true,
            "Exception" => !self.is_cancelled(),
            kind => kind == self.kind,
        }
    }

    fn to_json(&self) -> Value {
        if self.kind == "ExceptionGroup" {
            let errors: Vec<_> = self.errors.iter().map(Self::to_json).collect();
            return json!(["Group", errors]);
        }
        match self.argument {
            Argument::None => json!([self.kind, null]),
            Argument::Number(n) => json!([self.kind, n]),
            Argument::Text(text) => json!([self.kind, text]),
        }
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == "ExceptionGroup" {
            let errors: Vec<_> = self.errors.iter().map(Self::to_string).collect();
            return write!(f, "Group[{}]", errors.join(","));
        }
        match self.argument {
            Argument::None => write!(f, "{}:None", self.kind),
            Argument::Number(n) => write!(f, "{}:{n}", self.kind),
            Argument::Text(text) => write!(f, "{}:{text}", self.kind),
        }
    }
}

impl Error for Raised {}

/// Why a block is left.
enum Flow {
    Return(Int),
    Raise(Raised),
}

impl From<Raised> for Flow {
    fn from(raised: Raised) -> Self {
        Self::Raise(raised)
    }
}

fn show(value: Int) -> String {
    value.map_or_else(|| "None".to_owned(), |n| n.to_string())
}

fn boolean(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

// ---- the world -----------------------------------------------------------------------------------------------------

struct World {
    log: RefCell<Vec<Value>>,
    tasks: RefCell<Vec<Rc<Task<Int>>>>,
    kids: Vec<Block>,
    born_kids: Cell<usize>,
    semaphores: Vec<Semaphore>,
    queues: Vec<Queue<Int>>,
    events: Vec<Event>,
    locks: Vec<Lock>,
    futures: OnceCell<Vec<(Promise<Int>, Future<Int>)>>,
    /// What a task has raised as the argument of its `CancelledError`, until somebody asks.
    cancelled_with: RefCell<HashMap<usize, Argument>>,
    /// Tasks that have awaited themselves.
    own_awaiters: RefCell<HashSet<usize>>,
    deadlocks: Cell<u32>,
    is_over: Cell<bool>,
}

impl World {
    fn log(&self, who: &str, text: impl Into<String>) {
        self.log
            .borrow_mut()
            .push(json!([time().as_secs(), who, text.into()]));
    }

    fn task(&self, j: usize) -> Rc<Task<Int>> {
        self.tasks.borrow()[j].clone()
    }

    fn future(&self, f: usize) -> &(Promise<Int>, Future<Int>) {
        &self
            .futures
            .get()
            .expect("they are made before anything runs")[f]
    }

    fn pick(&self, several: &[usize]) -> Vec<Rc<Task<Int>>> {
        several.iter().map(|j| self.task(*j)).collect()
    }

    /// The argument of the `CancelledError` with which a task has ended; asked once.
    fn argument(&self, j: usize) -> Argument {
        self.cancelled_with
            .borrow_mut()
            .remove(&j)
            .unwrap_or(Argument::None)
    }

    /// The argument, if the task was cancelled.
    fn argument_if_cancelled(&self, j: usize) -> Argument {
        if self.task(j).is_cancelled() {
            self.argument(j)
        } else {
            Argument::None
        }
    }

    /// Nothing is ready, and nothing is due.
    fn deadlock(&self) {
        let tasks = self.tasks.borrow().clone();
        let pending: Vec<_> = tasks.iter().filter(|task| !task.is_done()).collect();
        if pending.is_empty() {
            return;
        }
        self.deadlocks.set(self.deadlocks.get() + 1);
        self.log("loop", "deadlock");
        if self.deadlocks.get() < 4 {
            for task in pending {
                task.cancel();
            }
        }
    }
}

/// One run of a body.
struct Run {
    world: Rc<World>,
    who: String,
    /// What the handlers around have caught.
    caught: Vec<Raised>,
}

impl Run {
    fn log(&self, text: impl Into<String>) {
        self.world.log(&self.who, text);
    }

    fn block(&mut self, block: &Block) -> Result<(), Flow> {
        block
            .iter()
            .try_for_each(|statement| self.statement(statement))
    }

    fn got(&self, value: Result<Int, Raised>) -> Result<(), Flow> {
        self.log(format!("got:{}", show(value?)));
        Ok(())
    }

    /// Waits for something that raises nothing itself.
    fn wait<F: IntoFuture>(future: F) -> Result<F::Output, Raised> {
        await_(future).map_err(|_| Raised::cancelled(Argument::None))
    }

    /// Waits for the result of a task.
    fn result_of<F>(&self, j: usize, future: F) -> Result<Int, Raised>
    where
        F: IntoFuture<Output = Result<Int, Exception>>,
    {
        let outcome = await_(future).map_err(Exception::from);
        let argument = || self.world.argument_if_cancelled(j);
        outcome
            .and_then(|outcome| outcome)
            .map_err(|error| Raised::from(&error, &argument))
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), Flow> {
        use Statement as S;
        let world = self.world.clone();
        if world.is_over.get() {
            // The task is dropped with its loop.
            return Err(Flow::Raise(Raised::cancelled(Argument::None)));
        }
        let seconds = |k: &u64| Duration::from_secs(*k);
        match statement {
            S::Log(text) => self.log(text),
            S::Sleep(k) => {
                Self::wait(sleep(seconds(k)))?;
                self.log("slept");
            }
            S::Await(j) => {
                self.await_anew(*j)?;
                if self.who == j.to_string() {
                    world.own_awaiters.borrow_mut().insert(*j);
                }
                self.got(self.result_of(*j, &*world.task(*j)))?;
            }
            S::Shield(j) => {
                let task = world.task(*j);
                let was_done = task.is_done();
                let outcome = await_(shield(&*task))
                    .map_err(Exception::from)
                    .and_then(|outcome| outcome);
                let argument = || match was_done {
                    true => world.argument_if_cancelled(*j),
                    false => Argument::None,
                };
                self.got(outcome.map_err(|error| Raised::from(&error, &argument)))?;
            }
            S::WaitFor(j, k) => {
                if *k > 0 {
                    self.await_anew(*j)?;
                }
                let outcome = self.result_of(*j, wait_for(&*world.task(*j), seconds(k)));
                if matches!(&outcome, Err(raised) if raised.kind == "TimeoutError") {
                    world.argument_if_cancelled(*j); // is the cause of the timeout
                }
                self.got(outcome)?;
            }
            S::Gather(several, returns_exceptions) => self.gather(several, *returns_exceptions)?,
            S::Wait(several, when, limit) => {
                let waits = wait(world.pick(several)).timeout(limit.as_ref().map(seconds));
                let waits = match when {
                    When::First => waits.first_completed(),
                    When::FirstError => waits.first_exception(),
                    When::All => waits,
                };
                let waited = Self::wait(waits)?;
                let indices = |tasks: &[Rc<Task<Int>>]| {
                    let all = world.tasks.borrow();
                    let place = |task| all.iter().position(|t| Rc::ptr_eq(t, task));
                    let mut places: Vec<_> = tasks.iter().filter_map(place).collect();
                    places.sort_unstable();
                    let places: Vec<_> = places.iter().map(usize::to_string).collect();
                    places.join(",")
                };
                let (done, pending) = (indices(&waited.done), indices(&waited.pending));
                self.log(format!("done:{done};pending:{pending}"));
            }
            S::AsCompleted(several, limit) => {
                let limit = limit.as_ref().map(seconds);
                keep_timer(&world.pick(several), limit);
                for done in as_completed(world.pick(several)).timeout(limit) {
                    let (place, task) =
                        done.map_err(|error| Raised::from(&error, &|| Argument::None))?;
                    let j = several[place];
                    let argument = || world.argument_if_cancelled(j);
                    let value = task
                        .result()
                        .map_err(|error| Raised::from(&error, &argument));
                    self.log(format!("ac:{}", show(value?)));
                }
            }
            S::Timeout(k, block) => self.scope(block, |run| timeout(seconds(k), run))?,
            S::Group(kids, block) => self.scope(block, |run| {
                task_group(|group| {
                    for c in kids {
                        let (body, world) = (world.kids[*c].clone(), world.clone());
                        let number = world.born_kids.get();
                        world.born_kids.set(number + 1);
                        group.spawn(move || run_body(world, format!("k{number}"), body).0);
                    }
                    run()
                })
            })?,
            S::Cancel(j) => {
                let is_told = world.task(*j).cancel();
                self.log(format!("cancel:{}", boolean(is_told)));
            }
            S::Uncancel => {
                let left = current().expect("this is a task").uncancel();
                self.log(format!("uncancel:{left}"));
            }
            S::Acquire(s) => {
                Self::wait(world.semaphores[*s].acquire())?.forget();
                self.log("in");
            }
            S::Release(s) => world.semaphores[*s].release(),
            S::WithSemaphore(s, block) => {
                let _permit = Self::wait(world.semaphores[*s].acquire())?;
                self.log("in");
                self.block(block)?;
            }
            S::WithLock(l, block) => {
                let _guard = Self::wait(world.locks[*l].acquire())?;
                self.log("in");
                self.block(block)?;
            }
            S::Put(q, k) => {
                Self::wait(world.queues[*q].put(*k))?.expect("no queue is shut down");
                self.log("put");
            }
            S::Get(q) => {
                let value = Self::wait(world.queues[*q].get())?;
                self.log(format!(
                    "item:{}",
                    show(value.expect("no queue is shut down"))
                ));
            }
            S::PutNowait(q, k) => match world.queues[*q].put_nowait(*k) {
                Err(PutError::Full(_)) => return Err(raise("QueueFull", Argument::None)),
                put => put.expect("no queue is shut down"),
            },
            S::GetNowait(q) => match world.queues[*q].get_nowait() {
                Err(GetError::Empty) => return Err(raise("QueueEmpty", Argument::None)),
                got => {
                    let value = got.expect("no queue is shut down");
                    self.log(format!("item:{}", show(value)));
                }
            },
            S::TaskDone(q) => {
                let message = Argument::Text("task_done() called too many times");
                let done = world.queues[*q].task_done();
                done.map_err(|_| raise("ValueError", message))?;
            }
            S::Join(q) => {
                Self::wait(world.queues[*q].join())?;
                self.log("joined");
            }
            S::WaitEvent(e) => {
                Self::wait(world.events[*e].wait())?;
                self.log("event");
            }
            S::Set(e) => world.events[*e].set(),
            S::Clear(e) => world.events[*e].clear(),
            S::FutureSet(f, k) => {
                let set = world.future(*f).0.set_result(*k);
                set.map_err(|_| raise("InvalidStateError", Argument::None))?;
            }
            S::FutureRaise(f, raised) => {
                let set = world.future(*f).0.set_exception(raised.clone());
                set.map_err(|_| raise("InvalidStateError", Argument::None))?;
            }
            S::FutureCancel(f) => {
                let was_pending = world.future(*f).1.cancel();
                self.log(format!("cancel:{}", boolean(was_pending)));
            }
            S::FutureAwait(f) => {
                let outcome = await_(&world.future(*f).1)
                    .map_err(Exception::from)
                    .and_then(|outcome| outcome);
                self.got(outcome.map_err(|e| Raised::from(&e, &|| Argument::None)))?;
            }
            S::CallSoon(text) => {
                let text = text.clone();
                call_soon(move || world.log("cb", text));
            }
            S::CallLater(k, text) => {
                let text = text.clone();
                call_later(seconds(k), move || world.log("cb", text));
            }
            S::DoneCallback(j, text) => {
                let text = text.clone();
                let task = world.task(*j);
                task.add_done_callback(move |_| world.log("cb", text));
            }
            S::Try {
                body,
                handlers,
                finally,
            } => self.try_statement(body, handlers, finally.as_ref())?,
            S::Raise(raised) => return Err(Flow::Raise(raised.clone())),
            S::Reraise => {
                let caught = self.caught.last().expect("only handlers re-raise");
                return Err(Flow::Raise(caught.clone()));
            }
            S::Return(k) => return Err(Flow::Return(*k)),
            S::Loop(n, block) => (0..*n).try_for_each(|_| self.block(block))?,
        }
        Ok(())
    }

    /// Runs a block in something that the crate runs closures in.
    fn scope(
        &mut self,
        block: &Block,
        within: impl FnOnce(&mut dyn FnMut() -> Result<(), Exception>) -> Result<(), Exception>,
    ) -> Result<(), Flow> {
        // What has left the block, as the crate sees only half of it.
        let mut left = None;
        let outcome = within(&mut || match self.block(block) {
            Ok(()) => Ok(()),
            Err(Flow::Return(k)) => {
                left = Some(Flow::Return(k));
                Ok(())
            }
            Err(Flow::Raise(raised)) => {
                let exception = raised.clone().into_exception();
                left = Some(Flow::Raise(raised));
                Err(exception)
            }
        });
        match (outcome, left) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(left)) => Err(left),
            (Err(error), left) => Err(Flow::Raise(Raised::from(&error, &|| match &left {
                Some(Flow::Raise(raised)) if raised.is_cancelled() => raised.argument.clone(),
                _ => Argument::None,
            }))),
        }
    }

    fn try_statement(
        &mut self,
        body: &Block,
        handlers: &[(String, Block)],
        finally: Option<&Block>,
    ) -> Result<(), Flow> {
        let mut outcome = self.block(body);
        if let Err(Flow::Raise(raised)) = &outcome {
            let matches = |(kind, _): &&(String, Block)| raised.is(kind);
            if let Some((_, handler)) = handlers.iter().find(matches) {
                if !self.world.is_over.get() {
                    self.log(format!("caught:{raised}"));
                }
                self.caught.push(raised.clone());
                outcome = self.block(handler);
                self.caught.pop();
            }
        }
        if let Some(finally) = finally {
            self.block(finally)?;
        }
        outcome
    }

    /// CPython lets nobody await a pending task any more that has once awaited itself.
    fn await_anew(&self, j: usize) -> Result<(), Flow> {
        let world = &self.world;
        if world.own_awaiters.borrow().contains(&j) && !world.task(j).is_done() {
            let message = Argument::Text("await wasn't used with future");
            return Err(raise("RuntimeError", message));
        }
        Ok(())
    }

    fn gather(&mut self, several: &[usize], returns_exceptions: bool) -> Result<(), Flow> {
        let world = self.world.clone();
        // What asyncio's own callbacks do with the arguments of `CancelledError`s, right before the crate's.
        let watch = Rc::new(GatherWatch {
            world: world.clone(),
            several: several.to_vec(),
            returns_exceptions,
            waits: current(),
            cancels_before: current().map_or(0, |waits| waits.cancelling()),
            finished: Cell::new(0),
            is_done: Cell::new(false),
            argument: RefCell::new(Argument::None),
        });
        let tasks = world.pick(several);
        for (task, j) in tasks
            .iter()
            .zip(several)
            .filter(|(task, _)| !task.is_done())
        {
            let (watch, j) = (watch.clone(), *j);
            task.add_done_callback(move |task| watch.one_is_done(j, task));
        }
        let gathering = gather(tasks.clone());
        for (task, j) in tasks.iter().zip(several).filter(|(task, _)| task.is_done()) {
            watch.one_is_done(*j, task);
        }
        let shown: Vec<String> = if returns_exceptions {
            let outcomes = await_(gathering.return_exceptions());
            let outcomes = outcomes.map_err(|_| watch.cancelled())?;
            let empty = || Argument::Text("");
            (outcomes.into_iter())
                .map(|outcome| match outcome {
                    Ok(value) => show(value),
                    Err(error) => Raised::from(&error, &empty).to_string(),
                })
                .collect()
        } else {
            match await_(gathering) {
                Ok(Ok(values)) => values.into_iter().map(show).collect(),
                Ok(Err(error)) => {
                    return Err(Flow::Raise(Raised::from(&error, &|| watch.argument())));
                }
                Err(_) => return Err(Flow::Raise(watch.cancelled())),
            }
        };
        self.log(format!("gather:{}", shown.join(",")));
        Ok(())
    }
}

/// Keeps a timer that does nothing until all tasks are done, as an `asyncio.as_completed` does that was given up: a virtual
/// clock stops there.
fn keep_timer(tasks: &[Rc<Task<Int>>], limit: Option<Duration>) {
    if let Some(limit) = limit {
        let (timer, left) = (call_later(limit, || {}), Cell::new(tasks.len()));
        let timer = Rc::new((timer, left));
        for task in tasks {
            let timer = timer.clone();
            task.add_done_callback(move |_| {
                timer.1.set(timer.1.get() - 1);
                if timer.1.get() == 0 {
                    timer.0.cancel();
                }
            });
        }
    }
}

fn raise(kind: &'static str, argument: Argument) -> Flow {
    Flow::Raise(Raised::new(kind, argument))
}

impl Raised {
    fn into_exception(self) -> Exception {
        if self.is_cancelled() {
            Exception::Cancelled
        } else {
            Exception::new(self)
        }
    }
}

/// Follows a `gather` for the arguments of `CancelledError`s.
struct GatherWatch {
    world: Rc<World>,
    several: Vec<usize>,
    returns_exceptions: bool,
    /// Who waits, and how often it had been cancelled before.
    waits: Option<TaskRef>,
    cancels_before: u32,
    finished: Cell<usize>,
    is_done: Cell<bool>,
    argument: RefCell<Argument>,
}

impl GatherWatch {
    fn one_is_done(&self, j: usize, task: &Task<Int>) {
        self.finished.set(self.finished.get() + 1);
        if self.is_done.get() {
            return;
        }
        let is_cancelled = |waits: &TaskRef| waits.cancelling() > self.cancels_before;
        if !self.returns_exceptions && task.is_cancelled() {
            *self.argument.borrow_mut() = self.world.argument(j);
            self.is_done.set(true);
        } else if self.finished.get() == self.several.len() {
            self.is_done.set(true);
            if self.waits.as_ref().is_some_and(is_cancelled) {
                let last = self.several.last().expect("there are some");
                *self.argument.borrow_mut() = self.world.argument_if_cancelled(*last);
            }
        }
    }

    fn argument(&self) -> Argument {
        self.argument.borrow().clone()
    }

    /// Whoever waits is cancelled.
    fn cancelled(&self) -> Raised {
        Raised::cancelled(self.argument())
    }
}

/// Runs a body. Returns how it ended, and the argument of its `CancelledError`.
fn run_body(world: Rc<World>, who: String, body: Block) -> (Result<Int, Exception>, Argument) {
    let caught = Vec::new();
    let mut run = Run { world, who, caught };
    match run.block(&body) {
        Ok(()) => (Ok(None), Argument::None),
        Err(Flow::Return(k)) => (Ok(k), Argument::None),
        Err(Flow::Raise(raised)) => {
            let argument = match raised.is_cancelled() {
                true => raised.argument.clone(),
                false => Argument::None,
            };
            (Err(raised.into_exception()), argument)
        }
    }
}

/// How a task has ended, as a JSON object.
fn outcome(task: &Task<Int>) -> String {
    let is_unretrieved = task.is_unretrieved();
    let mut fields = vec![if !task.is_done() {
        r#""pending":true"#.to_owned()
    } else {
        match task.result() {
            Ok(value) => format!(r#""result":{}"#, json!(value)),
            Err(Exception::Cancelled) => r#""cancelled":true"#.to_owned(),
            Err(error) => {
                let raised = Raised::from(&error, &|| Argument::None);
                format!(r#""raise":{}"#, raised.to_json())
            }
        }
    }];
    if is_unretrieved {
        fields.push(r#""unretrieved":true"#.to_owned());
    }
    if task.cancelling() > 0 {
        fields.push(format!(r#""cancelling":{}"#, task.cancelling()));
    }
    format!("{{{}}}", fields.join(","))
}

pub fn run(case: &Value) -> Result<String, String> {
    let blocks = |name| {
        let bodies = list(field(case, name)?, name)?.iter().map(parse_block);
        bodies.collect::<Result<Vec<_>, String>>()
    };
    let numbers = |name| {
        let numbers = list(field(case, name)?, name)?.iter().map(index);
        numbers.collect::<Result<Vec<_>, String>>()
    };
    let (bodies, kids) = (blocks("tasks")?, blocks("kids")?);
    let queue = |size| match size {
        0 => Queue::new(),
        size => Queue::bounded(size),
    };
    let world = Rc::new(World {
        log: RefCell::default(),
        tasks: RefCell::default(),
        kids,
        born_kids: Cell::new(0),
        semaphores: numbers("sems")?.into_iter().map(Semaphore::new).collect(),
        queues: numbers("queues")?.into_iter().map(queue).collect(),
        events: vec![Event::new(), Event::new()],
        locks: vec![Lock::new(), Lock::new()],
        futures: OnceCell::new(),
        cancelled_with: RefCell::default(),
        own_awaiters: RefCell::default(),
        deadlocks: Cell::new(0),
        is_over: Cell::new(false),
    });
    let on_deadlock = {
        let world = world.clone();
        move || world.deadlock()
    };
    let event_loop: Loop = LoopBuilder::new()
        .virtual_clock()
        .on_deadlock(on_deadlock)
        .report_to(|_| {}) // what is left at the end is in the trace
        .build();
    world
        .futures
        .get_or_init(|| (0..3).map(|_| event_loop.promise()).collect());
    for (j, body) in bodies.into_iter().enumerate() {
        let task = event_loop.spawn({
            let world = world.clone();
            move || {
                let (outcome, argument) = run_body(world.clone(), j.to_string(), body);
                if !matches!(argument, Argument::None) {
                    world.cancelled_with.borrow_mut().insert(j, argument);
                }
                outcome
            }
        });
        world.tasks.borrow_mut().push(Rc::new(task));
    }
    let _deadlock = event_loop.run_forever();
    let outcomes: Vec<_> = (world.tasks.borrow().iter())
        .map(|task| outcome(task))
        .collect();
    let (id, log) = (field(case, "id")?, Value::from(world.log.take()));
    let (outcomes, end) = (outcomes.join(","), event_loop.time().as_secs());
    // Tasks that are left end with the loop. They and what they look at hold each other.
    world.is_over.set(true);
    drop(event_loop);
    drop(world.tasks.take());
    // The order of the fields is part of the format.
    Ok(format!(
        r#"{{"id":{id},"log":{log},"tasks":[{outcomes}],"end":{end}}}"#
    ))
}
