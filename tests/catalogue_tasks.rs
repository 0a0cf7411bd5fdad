//! The rows of the catalogue of asyncio's semantics: what CPython 3.13 does with a program, tasks do with the same one.
//!
//! Each test names its row. Where types take the place of one of Python's rules, the test shows what is left of it, and says
//! so. These rows have no test:
//!
//! | row | why |
//! |---|---|
//! | A-029 | there are no context variables: a closure owns what it is given |
//! | A-043 | does not compile: an error is a value, neither a class nor a `StopIteration` |
//! | A-051 | does not compile: `await_` takes a future |
//! | A-061 | there are no eager tasks |
//! | A-063 | does not compile: a `Task` has nothing that sets its result |
//! | A-206 | the loop calls nobody for a signal but Ctrl-C (A-012) and Ctrl-\ |
//!
//! Parts of the other rows that say nothing about the crate:
//!
//! | row | which | why |
//! |---|---|---|
//! | A-011 | to run what is no coroutine | does not compile: `run` takes a closure or a future |
//! | A-027 | to use the loop on another thread | does not compile: a `Loop` stays on its thread |
//! | A-042, A-093 | the message of a cancellation | there is none |
//! | A-092, A-131 | `__context__` and `__cause__` | an error has the cause that it was made with |
//! | A-103, A-115 | to wait for coroutines | does not compile: they are made tasks first, which are started once |
//! | A-141 | `shield` returns a future that is done | a `Shield` is another type; it does not wait |
//! | A-153 | a semaphore that begins below zero | does not compile: `usize` |
//! | A-155 | to release a lock that is not held | does not compile: who holds a lock has a guard |
//! | A-183 | to make a task outside of its group | does not compile: the group is borrowed |
//! | A-224 | to poll a stream twice at a time | does not compile: to poll it borrows it |
//! | A-224 | to raise what ends a stream | there is no such error |

use std::cell::{OnceCell, RefCell};
use std::error::Error;
use std::fmt::{self, Debug};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::future::pending;
use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::task::{
    self, AlreadyDone, AwaitsItself, Barrier, BoundedSemaphore, BrokenBarrier, Condition, Event,
    ExceptionGroup, GetError, InvalidState, LifoQueue, Lock, Loop, LoopBuilder, LoopError,
    LoopHandle, Panicked, PriorityQueue, PutError, Queue, Semaphore, Task, TimedOut, Timeout,
    all_tasks, as_completed, call_at, call_later, call_soon, catch_cancel, current, gather,
    loop_handle, promise, shield, sleep, spawn, task_group, time, timeout, unblock, wait, wait_for,
};
use yieldfrom::{
    AsyncGenerator, Builder, Cancelled, Coroutine, Exception, Raised, Reason, Step, await_,
    await_each, coroutine, generator, stream,
};

/// Python's built-in errors, which show as Python shows them.
macro_rules! errors {
    ($($name:ident)*) => {$(
        #[derive(Debug, PartialEq)]
        struct $name(&'static str);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }

        impl Error for $name {}
    )*};
}

errors! { ValueError KeyError ZeroDivisionError SystemExit }

/// The events of one test, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn push(&self, event: impl Into<String>) {
        self.0.borrow_mut().push(event.into());
    }

    /// Logs `event` when it goes out of scope.
    fn finally(&self, event: &'static str) -> Finally {
        Finally(self.clone(), event)
    }

    /// What was logged since the last call.
    fn take(&self) -> Vec<String> {
        self.0.take()
    }

    /// Compares what was logged since the last call.
    #[track_caller]
    fn assert(&self, events: &[&str]) {
        assert_eq!(self.take(), events);
    }
}

struct Finally(Log, &'static str);

impl Drop for Finally {
    fn drop(&mut self) {
        self.0.push(self.1);
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A loop on a virtual clock.
fn new_loop() -> Loop {
    LoopBuilder::new().virtual_clock().build()
}

/// Runs a main task on a virtual clock. Returns how it has ended, and what the loop had to report.
fn run_and_listen<R: 'static>(
    main: impl FnOnce() -> Result<R, Exception> + 'static,
) -> (Result<R, Exception>, Vec<String>) {
    let reports = Log::default();
    let heard = reports.clone();
    let outcome = LoopBuilder::new()
        .virtual_clock()
        .report_to(move |unraisable| heard.push(unraisable.to_string()))
        .run(main);
    (outcome, reports.take())
}

/// Runs a main task that succeeds on a virtual clock, in a loop that has nothing to report.
#[track_caller]
fn run<R: 'static>(main: impl FnOnce() -> Result<R, Exception> + 'static) -> R {
    let (outcome, reports) = run_and_listen(main);
    assert_eq!(reports, [""; 0]);
    outcome.unwrap()
}

/// Python's `await asyncio.sleep(seconds)`.
fn pause(seconds: u64) -> Result<(), Cancelled> {
    await_(sleep(secs(seconds)))
}

/// Sleeps, and logs its name, with an `x` before it if it is cancelled.
fn job(
    log: &Log,
    name: &'static str,
    seconds: u64,
) -> impl FnOnce() -> Result<&'static str, Exception> + use<> {
    let log = log.clone();
    move || {
        if let Err(cancelled) = pause(seconds) {
            log.push(format!("x{name}"));
            return Err(cancelled.into());
        }
        log.push(name);
        Ok(name)
    }
}

/// A [`job`] that ends with an error.
fn failing(
    log: &Log,
    name: &'static str,
    seconds: u64,
    error: &'static str,
) -> impl FnOnce() -> Result<&'static str, Exception> + use<> {
    let job = job(log, name, seconds);
    move || {
        job()?;
        Err(KeyError(error).into())
    }
}

/// Three jobs that end in the order b, c, a.
fn three(log: &Log) -> [Task<&'static str>; 3] {
    [("a", 3), ("b", 1), ("c", 2)].map(|(name, seconds)| named(name, job(log, name, seconds)))
}

fn named<R: 'static>(
    name: &'static str,
    body: impl FnOnce() -> Result<R, Exception> + 'static,
) -> Task<R> {
    Builder::new().name(name).spawn(body)
}

fn names<R>(tasks: &[Task<R>]) -> String {
    tasks.iter().map(Task::name).collect()
}

/// How it looks.
fn show(value: impl Debug) -> String {
    format!("{value:?}")
}

/// The message of the panic that `body` ends with.
#[track_caller]
fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(_) => panic!("expected a panic"),
        Err(payload) => match payload.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => *payload.downcast::<String>().unwrap(),
        },
    }
}

/// What the loop could not do.
#[track_caller]
fn loop_error<R: Debug>(outcome: Result<R, Exception>) -> LoopError {
    outcome.unwrap_err().downcast().unwrap()
}

// Loop: running, stopping, closing

/// A-001.
#[test]
fn what_is_run_until_complete_is_a_task_whose_value_is_returned() {
    let event_loop = new_loop();
    let closure = event_loop.run_until_complete(|| {
        assert!(current().is_some());
        pause(0)?;
        Ok(42)
    });
    assert_eq!(closure.unwrap(), 42);
    let future = event_loop.run_until_complete(async {
        assert!(current().is_some());
        sleep(Duration::ZERO).await;
        Ok(42)
    });
    assert_eq!(future.unwrap(), 42);
}

/// A-002.
#[test]
fn running_raises_what_the_main_task_raises() {
    let (outcome, reports) = run_and_listen(|| Err::<(), _>(ValueError("spam").into()));
    assert_eq!(
        outcome.unwrap_err().downcast::<ValueError>().unwrap(),
        ValueError("spam")
    );
    assert_eq!(reports, [""; 0]);
}

/// A-003. The task that tries goes on unharmed.
#[test]
fn a_running_loop_cannot_be_run_again() {
    let event_loop = Rc::new(new_loop());
    let inner = event_loop.clone();
    let error = event_loop.run_until_complete(move || {
        let error = loop_error(inner.run_until_complete(|| Ok(())));
        pause(1)?;
        Ok(error)
    });
    assert_eq!(error.unwrap(), LoopError::AlreadyRunning);
}

/// A-004.
#[test]
fn a_second_loop_cannot_run_on_the_thread_meanwhile() {
    let error = run(|| Ok(loop_error(new_loop().run_until_complete(|| Ok(())))));
    assert_eq!(error, LoopError::AnotherIsRunning);
}

/// A-005.
#[test]
fn run_cannot_be_called_in_a_loop() {
    let error = run(|| Ok(loop_error(task::run(|| Ok(())))));
    assert_eq!(error, LoopError::AnotherIsRunning);
}

/// A-006. Those that return no `Result` panic.
#[test]
fn a_closed_loop_is_of_no_use() {
    let event_loop = new_loop();
    event_loop.close().unwrap();
    let error = event_loop.run_until_complete(|| Ok(()));
    assert_eq!(loop_error(error), LoopError::Closed);
    let message = LoopError::Closed.to_string();
    assert_eq!(panic_of(|| event_loop.call_soon(|| ())), message);
    assert_eq!(panic_of(|| event_loop.spawn(|| Ok(()))), message);
}

/// A-007.
#[test]
fn a_running_loop_cannot_be_closed_and_a_closed_one_again_and_again() {
    let event_loop = Rc::new(new_loop());
    let inner = event_loop.clone();
    let closed = event_loop.run_until_complete(move || Ok(inner.close()));
    assert_eq!(closed.unwrap(), Err(LoopError::CannotCloseRunning));
    assert_eq!(event_loop.close(), Ok(()));
    assert_eq!(event_loop.close(), Ok(()));
    assert_eq!(new_loop().run_until_complete(|| Ok(42)).unwrap(), 42);
}

/// A-008.
#[test]
fn a_loop_that_is_stopped_before_the_task_is_done_says_so() {
    let event_loop = Rc::new(new_loop());
    let inner = event_loop.clone();
    let stopped = event_loop.run_until_complete(move || {
        inner.stop();
        Ok(await_(Event::new().wait())?)
    });
    assert_eq!(loop_error(stopped), LoopError::Stopped);
    // The task is still there, and ends when it is cancelled.
    let cancelled = event_loop.run_until_complete(|| {
        let mut others = all_tasks();
        others.retain(|task| Some(task) != current().as_ref());
        let cancelled = others.iter().filter(|task| task.cancel()).count();
        pause(0)?;
        Ok((cancelled, all_tasks().len()))
    });
    assert_eq!(cancelled.unwrap(), (1, 1));
}

/// A-009.
#[test]
fn stop_lets_the_batch_finish_and_what_that_scheduled_wait() {
    let event_loop = Rc::new(new_loop());
    let log = Log::default();
    event_loop.call_soon({
        let (event_loop, log) = (event_loop.clone(), log.clone());
        move || {
            log.push("a");
            event_loop.stop();
            event_loop.call_soon(move || log.push("c"));
        }
    });
    event_loop.call_soon({
        let log = log.clone();
        move || log.push("b")
    });
    assert_eq!(event_loop.run_forever(), Ok(()));
    log.assert(&["a", "b"]);
    event_loop.call_soon({
        let event_loop = event_loop.clone();
        move || event_loop.stop()
    });
    assert_eq!(event_loop.run_forever(), Ok(()));
    log.assert(&["c"]);
}

/// A-009. The same if it is stopped before it runs.
#[test]
fn a_loop_that_was_stopped_before_runs_one_batch() {
    let event_loop = new_loop();
    let log = Log::default();
    event_loop.call_soon({
        let log = log.clone();
        move || log.push("a")
    });
    event_loop.stop();
    assert_eq!(event_loop.run_forever(), Ok(()));
    log.assert(&["a"]);
}

/// A-010.
#[test]
fn run_cancels_the_tasks_that_are_left_and_waits_for_them() {
    let log = Log::default();
    let done = run({
        let log = log.clone();
        move || {
            spawn({
                let log = log.clone();
                move || {
                    let slept = pause(60);
                    log.push(if slept.is_err() { "xlazy" } else { "lazy" });
                    pause(1)?;
                    log.push("cleaned");
                    Ok(slept?)
                }
            });
            spawn(async move {
                let slept = catch_cancel(sleep(secs(60))).await;
                log.push(if slept.is_err() { "xfuture" } else { "future" });
                sleep(secs(1)).await;
                log.push("cleaned");
                Ok(slept?)
            });
            pause(0)?;
            Ok("done")
        }
    });
    assert_eq!(done, "done");
    log.assert(&["xlazy", "xfuture", "cleaned", "cleaned"]);
}

/// A-011.
#[test]
fn outside_of_loops_there_is_none() {
    assert_eq!(current(), None);
    assert_eq!(all_tasks(), []);
    assert_eq!(
        panic_of(loop_handle),
        "`loop_handle` called on a thread where no event loop runs"
    );
    assert_eq!(
        panic_of(|| spawn(|| Ok(()))),
        "`spawn` called on a thread where no event loop runs; call it in a task, or `Loop::spawn`"
    );
}

/// A-012. Every loop of a process hears of it, so that this one has a process of its own.
#[cfg(unix)]
#[test]
fn ctrl_c_cancels_the_main_task_and_is_raised_when_that_has_cleaned_up() {
    use std::process::Command;

    const IN_CHILD: &str = "YIELDFROM_CATALOGUE_INTERRUPT";
    const THIS: &str = "ctrl_c_cancels_the_main_task_and_is_raised_when_that_has_cleaned_up";

    if std::env::var_os(IN_CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS, "--nocapture"])
            .env(IN_CHILD, "1")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{child:?}");
        assert!(printed.contains("interrupted, cleanup"), "{printed}");
        return;
    }
    let log = Log::default();
    let outcome = task::run({
        let log = log.clone();
        move || {
            let _cleanup = log.finally("cleanup");
            call_soon(|| {
                let mut kill = Command::new("sh");
                let killed = kill.args(["-c", "kill -INT $PPID"]).status();
                assert!(killed.unwrap().success());
            });
            Ok(await_(Event::new().wait())?)
        }
    });
    let error = outcome.unwrap_err().downcast::<task::Interrupted>();
    println!("{}, {}", error.unwrap(), log.take().join(" "));
}

// Callbacks and timers

/// A-020.
#[test]
fn call_soon_calls_in_order_and_never_at_once() {
    run(|| {
        let log = Log::default();
        for n in 0..3 {
            let log = log.clone();
            call_soon(move || log.push(n.to_string()));
        }
        log.push("inline");
        pause(0)?;
        log.assert(&["inline", "0", "1", "2"]);
        Ok(())
    });
}

/// A-021.
#[test]
fn what_a_callback_schedules_is_called_in_the_next_iteration() {
    let event_loop = Rc::new(new_loop());
    let log = Log::default();
    let later = log.clone();
    event_loop.call_later(Duration::ZERO, move || later.push("timer"));
    event_loop.call_soon({
        let (log, event_loop) = (log.clone(), event_loop.clone());
        move || {
            log.push("a");
            event_loop.call_soon(move || log.push("a2"));
        }
    });
    event_loop.call_soon({
        let log = log.clone();
        move || log.push("b")
    });
    assert_eq!(event_loop.run_forever(), Err(LoopError::Deadlock)); // nothing is left to be done
    log.assert(&["a", "b", "timer", "a2"]);
}

/// A-022.
#[test]
fn a_cancelled_callback_is_never_called() {
    run(|| {
        let log = Log::default();
        let [soon, later] = [log.clone(), log.clone()];
        assert!(call_soon(move || soon.push("1")).cancel());
        assert!(call_later(secs(1), move || later.push("2")).cancel());
        pause(2)?;
        log.assert(&[]);
        Ok(())
    });
}

/// A-023. A delay cannot be negative; a time can be over.
#[test]
fn timers_are_called_by_deadline_and_those_of_the_past_at_once() {
    run(|| {
        let log = Log::default();
        let note = |event: &'static str| {
            let log = log.clone();
            move || log.push(event)
        };
        pause(10)?;
        call_later(secs(3), note("3"));
        call_later(secs(1), note("1"));
        call_at(secs(1), note("past"));
        call_later(secs(2), note("2"));
        pause(4)?;
        log.assert(&["past", "1", "2", "3"]);
        Ok(())
    });
}

/// A-024. CPython leaves the order to a heap.
#[test]
fn timers_of_one_deadline_are_called_in_the_order_in_which_they_were_set() {
    run(|| {
        let log = Log::default();
        let when = time() + Duration::from_millis(10);
        for n in 0..8 {
            let log = log.clone();
            call_at(when, move || log.push(n.to_string()));
        }
        pause(1)?;
        log.assert(&["0", "1", "2", "3", "4", "5", "6", "7"]);
        Ok(())
    });
}

/// A-025.
#[test]
fn callbacks_that_are_ready_come_before_timers_that_expire() {
    let event_loop = Rc::new(new_loop());
    let log = Log::default();
    let [timer, soon] = [log.clone(), log.clone()];
    event_loop.call_later(Duration::ZERO, move || timer.push("timer"));
    event_loop.call_soon(move || soon.push("soon"));
    event_loop.call_later(Duration::from_millis(10), {
        let event_loop = event_loop.clone();
        move || event_loop.stop()
    });
    assert_eq!(event_loop.run_forever(), Ok(()));
    log.assert(&["soon", "timer"]);
}

/// A-026. What a callback can fail with is a panic; this one says nothing on standard error.
#[test]
fn a_callback_that_panics_is_reported_and_the_loop_goes_on() {
    let (log, reports) = run_and_listen(|| {
        let log = Log::default();
        let next = log.clone();
        call_soon(|| resume_unwind(Box::new("ValueError(1)")));
        call_soon(move || next.push("next"));
        pause(0)?;
        Ok(log.take())
    });
    assert_eq!(reports, ["a callback panicked: ValueError(1)"]);
    assert_eq!(log.unwrap(), ["next"]);
}

/// A-027. A handle is the only part of a loop that can be sent; without one, another thread has no loop.
#[test]
fn other_threads_reach_a_loop_through_its_handle_only() {
    fn can_be_sent<T: Send + Sync>() {}
    trait UnlessSend<Marker> {
        fn cannot_be_sent() {}
    }
    impl<T: ?Sized> UnlessSend<()> for T {}
    impl<T: ?Sized + Send> UnlessSend<u8> for T {}

    can_be_sent::<LoopHandle>();
    // Each of these would be ambiguous if the type were `Send`.
    <Loop as UnlessSend<_>>::cannot_be_sent();
    <Task<()> as UnlessSend<_>>::cannot_be_sent();
    <task::Promise<()> as UnlessSend<_>>::cannot_be_sent();

    run(|| {
        let message = unblock(|| Ok(panic_of(|| call_soon(|| ()))));
        assert_eq!(
            await_(message)??,
            "`call_soon` called on a thread where no event loop runs"
        );
        let (here, this_loop) = (thread::current().id(), loop_handle());
        let (sender, receiver) = mpsc::channel();
        let called = unblock(move || {
            this_loop.call_soon(move || sender.send(thread::current().id()).unwrap())?;
            Ok(receiver.recv()?)
        });
        assert_eq!(await_(called)??, here);
        Ok(())
    });
}

/// A-028. Every turn takes some time.
#[test]
fn whoever_holds_the_loop_for_too_long_is_reported() {
    fn held_for(slow: Duration) -> Vec<String> {
        let log = Log::default();
        let heard = log.clone();
        let builder = LoopBuilder::new().virtual_clock().slow_after(slow);
        let event_loop = builder
            .report_to(move |unraisable| match unraisable.reason() {
                Reason::HeldTheLoop { since, until, .. } => {
                    let known = [since, until].map(|place| place.map(|place| place.file()));
                    heard.push(show((unraisable.name(), known)));
                }
                reason => heard.push(show(reason)),
            })
            .build();
        event_loop.call_soon(|| ());
        drop(event_loop.spawn_with(&Builder::new().name("task"), || Ok(pause(1)?)));
        assert_eq!(event_loop.run_forever(), Err(LoopError::Deadlock));
        log.take()
    }
    let here = show(Some(file!()));
    assert_eq!(
        held_for(Duration::ZERO),
        [
            "(None, [None, None])".to_owned(),
            format!("(Some(\"task\"), [{here}, {here}])"),
            "(None, [None, None])".to_owned(), // the timer
            format!("(Some(\"task\"), [{here}, None])"),
        ]
    );
    assert_eq!(held_for(Duration::MAX), [""; 0]);
}

// Future

/// A-040.
#[test]
fn a_pending_future_has_neither_a_result_nor_an_error() {
    run(|| {
        let (_promise, future) = promise::<i32>();
        for error in [
            future.result().unwrap_err(),
            future.exception().unwrap_err(),
        ] {
            assert!(error.downcast::<InvalidState>().unwrap().is_pending());
        }
        Ok(())
    });
}

/// A-041.
#[test]
fn a_future_is_completed_once() {
    run(|| {
        let (promise, future) = promise();
        assert_eq!(promise.set_result(1), Ok(()));
        assert_eq!(promise.set_result(2), Err(AlreadyDone(2)));
        let AlreadyDone(refused) = promise.set_exception(KeyError("k")).unwrap_err();
        assert!(refused.is::<KeyError>());
        assert_eq!(future.result()?, 1);
        Ok(())
    });
}

/// A-042.
#[test]
fn a_future_is_cancelled_once() {
    run(|| {
        let (promise, future) = promise::<i32>();
        assert!(future.cancel());
        assert!(!future.cancel());
        assert!(matches!(future.result(), Err(Exception::Cancelled)));
        assert!(matches!(future.exception(), Err(Exception::Cancelled)));
        assert!(future.is_cancelled() && promise.is_cancelled());
        Ok(())
    });
}

/// A-044.
#[test]
fn done_callbacks_are_called_soon_in_order_and_with_the_future() {
    run(|| {
        let log = Log::default();
        let (promise, future) = promise();
        for name in ["a", "b"] {
            let log = log.clone();
            future.add_done_callback(move |future| {
                log.push(format!("{name}{}", future.result().unwrap()));
            });
        }
        promise.set_result(1)?;
        log.assert(&[]);
        pause(0)?;
        log.assert(&["a1", "b1"]);
        Ok(())
    });
}

/// A-045. Each callback has a key of its own, and so is removed by itself.
#[test]
fn a_callback_of_a_future_that_is_done_is_called_soon_and_a_removed_one_never() {
    run(|| {
        let log = Log::default();
        let (promise, future) = promise();
        let keys = ["1", "2"].map(|event| {
            let log = log.clone();
            future.add_done_callback(move |_| log.push(event))
        });
        assert_eq!(keys.map(|key| future.remove_done_callback(key)), [true; 2]);
        assert_eq!(keys.map(|key| future.remove_done_callback(key)), [false; 2]);
        promise.set_result(1)?;
        let late = log.clone();
        future.add_done_callback(move |_| late.push("late"));
        log.assert(&[]);
        pause(0)?;
        log.assert(&["late"]);
        Ok(())
    });
}

/// A-046.
#[test]
fn to_await_a_future_that_is_done_lets_nobody_else_run() {
    run(|| {
        let log = Log::default();
        let (promise, future) = promise();
        promise.set_result(1)?;
        let other = log.clone();
        call_soon(move || other.push("other"));
        assert_eq!(await_(future)??, 1);
        log.push("me");
        pause(0)?;
        log.assert(&["me", "other"]);
        Ok(())
    });
}

/// A-047.
#[test]
fn several_tasks_that_await_one_future_wake_in_order_and_get_the_same_error() {
    run(|| {
        let log = Log::default();
        let (promise, future) = promise::<()>();
        let future = Rc::new(future);
        let [a, b] = ["a", "b"].map(|name| {
            let (log, future) = (log.clone(), future.clone());
            spawn(move || {
                let error = await_(&*future)?.unwrap_err();
                log.push(name);
                Ok(error)
            })
        });
        pause(0)?;
        promise.set_exception(KeyError("k")).unwrap();
        let (a, b) = (await_(a)??, await_(b)??);
        log.assert(&["a", "b"]);
        let [a, b] = [&a, &b].map(|error| error.downcast_ref::<KeyError>().unwrap());
        assert!(std::ptr::eq(a, b));
        Ok(())
    });
}

/// A-048. Who was cancelled and who waits for what was cancelled can tell.
#[test]
fn a_task_that_is_cancelled_cancels_the_future_and_so_all_who_await_it() {
    run(|| {
        let log = Log::default();
        let (_promise, future) = promise::<()>();
        let future = Rc::new(future);
        let [a, b] = ["a", "b"].map(|name| {
            let (log, future) = (log.clone(), future.clone());
            spawn(move || {
                let awaited = await_(&*future);
                log.push(format!("{name}: {awaited:?}"));
                awaited?
            })
        });
        pause(0)?;
        assert!(a.cancel());
        assert!(matches!(await_(b)?, Err(Exception::Cancelled)));
        assert!(future.is_cancelled() && a.is_cancelled());
        log.assert(&["a: Err(Cancelled)", "b: Ok(Err(Cancelled))"]);
        Ok(())
    });
}

/// A-049.
#[test]
fn an_error_that_nobody_has_retrieved_is_reported_with_its_future() {
    let (outcome, reports) = run_and_listen(|| {
        let (promise, future) = promise::<()>();
        promise.set_exception(KeyError("k")).unwrap();
        drop((promise, future));
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(
        reports,
        [r#"nobody has asked how a future ended: KeyError("k")"#]
    );
}

/// A-050. CPython raises a `RuntimeError`. Here loops of one thread can share their futures, and others are not sent.
#[test]
fn a_future_of_another_loop_can_be_awaited() {
    let other = new_loop();
    let (promise, future) = other.promise();
    let answer = run(move || {
        call_later(secs(1), move || promise.set_result(42).unwrap());
        let answer = await_(future)??;
        Ok((answer, time()))
    });
    assert_eq!(answer, (42, secs(1)));
}

// Task

/// A-060.
#[test]
fn spawn_only_schedules_and_tasks_begin_in_order() {
    run(|| {
        let log = Log::default();
        for name in ["a", "b"] {
            let log = log.clone();
            spawn(move || {
                log.push(name);
                Ok(())
            });
        }
        log.push("main");
        pause(0)?;
        log.assert(&["main", "a", "b"]);
        Ok(())
    });
}

/// A-062.
#[test]
fn to_sleep_for_no_time_lets_the_others_have_one_turn() {
    run(|| {
        let log = Log::default();
        let tasks = ["a", "b"].map(|name| {
            let log = log.clone();
            spawn(move || {
                for _ in 0..2 {
                    log.push(name);
                    pause(0)?;
                }
                Ok(())
            })
        });
        await_(gather(tasks))??;
        log.assert(&["a", "b", "a", "b"]);
        Ok(())
    });
}

/// A-064.
#[test]
fn a_task_that_awaits_itself_gets_an_error() {
    run(|| {
        let me = Rc::new(OnceCell::<Task<()>>::new());
        let task = spawn({
            let me = me.clone();
            move || await_(me.get().unwrap())?
        });
        let task = me.get_or_init(|| task);
        assert!(await_(task)?.unwrap_err().is::<AwaitsItself>());
        Ok(())
    });
}

/// A-065.
#[test]
fn an_error_that_nobody_has_awaited_is_reported_with_its_task() {
    let (outcome, reports) = run_and_listen(|| {
        let task = named("bad", || Err::<(), _>(KeyError("k").into()));
        pause(0)?;
        pause(0)?;
        assert!(task.is_done() && task.is_unretrieved());
        drop(task);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(
        reports,
        [r#"nobody has asked how task 'bad' ended: KeyError("k")"#]
    );
}

/// A-066. A loop owns its tasks, so that they are there until it is closed.
#[test]
fn a_task_that_is_pending_when_its_loop_is_closed_is_reported() {
    let reports = Log::default();
    let heard = reports.clone();
    let event_loop = LoopBuilder::new()
        .virtual_clock()
        .report_to(move |unraisable| match unraisable.reason() {
            Reason::Pending(_) => heard.push(unraisable.name().unwrap()),
            reason => heard.push(show(reason)),
        })
        .build();
    let waits = || Ok(await_(Event::new().wait())?);
    drop(event_loop.spawn_with(&Builder::new().name("waits"), waits));
    event_loop.stop();
    event_loop.run_forever().unwrap();
    reports.assert(&[]);
    event_loop.close().unwrap();
    reports.assert(&["waits"]);
}

/// A-067.
#[test]
fn there_are_all_tasks_that_are_not_done_and_the_current_one_except_in_callbacks() {
    run(|| {
        let log = Log::default();
        let task = spawn(|| Ok(pause(1)?));
        let me = current().unwrap();
        assert_eq!(all_tasks(), [me, task.to_ref()]);
        let called = log.clone();
        call_soon(move || called.push(show(current())));
        await_(task)??;
        log.assert(&["None"]);
        assert_eq!(all_tasks().len(), 1);
        Ok(())
    });
}

/// A-068. In place of the coroutine there is the place where it was spawned.
#[test]
fn debug_shows_the_state_the_name_and_the_place_of_a_task() {
    run(|| {
        let task = spawn(|| Ok(pause(1)?));
        task.set_name("spinner");
        let place = task.place();
        assert_eq!(place.file(), file!());
        let shown = |what: &str| format!("<Task {what} name='spinner' spawned at {place}");
        assert_eq!(show(&task), shown("pending") + ">");
        pause(0)?;
        assert_eq!(show(&task), shown("pending") + " waits for sleep>");
        task.cancel();
        assert_eq!(show(&task), shown("cancelling") + " waits for sleep>");
        pause(0)?;
        assert_eq!(show(&task), shown("cancelled") + ">");
        Ok(())
    });
}

/// A-069. In place of `SystemExit` there is a panic. That of the main task comes out of the loop; others are an error, as
/// whoever awaits them may know what to do.
#[test]
fn a_panic_of_the_main_task_comes_out_of_the_loop_and_that_of_another_is_its_error() {
    let payload = catch_unwind(|| run(|| -> Result<(), _> { resume_unwind(Box::new(3)) }));
    assert_eq!(*payload.unwrap_err().downcast::<i32>().unwrap(), 3);
    run(|| {
        let bad = spawn(|| -> Result<(), _> { resume_unwind(Box::new("exit")) });
        let panicked = await_(bad)?.unwrap_err().downcast::<Panicked>().unwrap();
        assert_eq!(panicked.to_string(), "panicked: exit");
        pause(9)?;
        Ok(())
    });
}

/// A-069. An error of the main task's own does what `SystemExit` does, once that task awaits the other one.
#[test]
fn an_error_that_is_to_end_the_program_is_handed_up_to_the_main_task() {
    let (outcome, reports) = run_and_listen(|| {
        let bad = spawn(|| Err::<(), _>(SystemExit("3").into()));
        await_(bad)?
    });
    assert!(outcome.unwrap_err().is::<SystemExit>());
    assert_eq!(reports, [""; 0]);
}

// Cancellation

/// A-080.
#[test]
fn cancel_asks_and_the_task_is_told_where_it_waits() {
    run(|| {
        let log = Log::default();
        let task = spawn(job(&log, "j", 9));
        pause(0)?;
        assert!(task.cancel());
        assert!(!task.is_cancelled());
        log.assert(&[]);
        assert!(matches!(await_(&task)?, Err(Exception::Cancelled)));
        log.assert(&["xj"]);
        assert!(task.is_cancelled());
        assert_eq!(time(), Duration::ZERO);
        Ok(())
    });
}

/// A-081.
#[test]
fn a_task_that_swallows_its_cancellation_goes_on_and_is_not_cancelled() {
    run(|| {
        let task = spawn(|| {
            let _swallowed = pause(9);
            Ok("ok")
        });
        pause(0)?;
        task.cancel();
        assert_eq!(await_(&task)??, "ok");
        assert!(!task.is_cancelled());
        assert_eq!(task.cancelling(), 1);
        Ok(())
    });
}

/// A-082.
#[test]
fn a_task_that_is_done_cannot_be_cancelled() {
    run(|| {
        let task = spawn(|| {
            pause(0)?;
            Ok("v")
        });
        await_(&task)??;
        assert!(!task.cancel());
        assert_eq!(await_(&task)??, "v");
        Ok(())
    });
}

/// A-083.
#[test]
fn a_task_that_is_cancelled_before_it_begins_never_does() {
    run(|| {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            move || {
                let _finally = log.finally("2");
                log.push("1");
                Ok(())
            }
        });
        task.cancel();
        assert!(matches!(await_(task)?, Err(Exception::Cancelled)));
        log.assert(&[]);
        Ok(())
    });
}

/// A-084.
#[test]
fn two_requests_before_the_first_is_told_are_told_once_and_counted() {
    run(|| {
        let log = Log::default();
        let task = spawn(job(&log, "j", 9));
        pause(0)?;
        task.cancel();
        task.cancel();
        assert!(matches!(await_(&task)?, Err(Exception::Cancelled)));
        log.assert(&["xj"]);
        assert_eq!(task.cancelling(), 2);
        Ok(())
    });
}

/// A-085.
#[test]
fn a_second_request_interrupts_the_cleanup() {
    run(|| {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            move || {
                if pause(9).is_err() {
                    log.push("cleanup");
                    if let Err(again) = pause(9) {
                        log.push("again");
                        return Err(again.into());
                    }
                }
                Ok(())
            }
        });
        pause(0)?;
        task.cancel();
        pause(0)?;
        task.cancel();
        assert!(matches!(await_(&task)?, Err(Exception::Cancelled)));
        log.assert(&["cleanup", "again"]);
        Ok(())
    });
}

/// A-086. In CPython this looks as if whoever awaits were cancelled.
#[test]
fn to_await_a_cancelled_task_gives_its_cancellation_as_a_result() {
    run(|| {
        let task = spawn(|| Ok(pause(9)?));
        pause(0)?;
        task.cancel();
        let awaited: Result<Result<(), Exception>, Cancelled> = await_(task);
        assert!(matches!(awaited, Ok(Err(Exception::Cancelled))));
        assert_eq!(current().unwrap().cancelling(), 0);
        Ok(())
    });
}

/// A-087.
#[test]
fn a_cancelled_task_cancels_the_task_that_it_awaits_and_that_sees_it_first() {
    run(|| {
        let log = Log::default();
        let inner = Rc::new(spawn(job(&log, "inner", 9)));
        let outer = spawn({
            let (log, inner) = (log.clone(), inner.clone());
            move || {
                let awaited = await_(&*inner);
                if awaited.is_err() {
                    log.push("xouter");
                }
                awaited?
            }
        });
        pause(0)?;
        outer.cancel();
        assert!(matches!(await_(outer)?, Err(Exception::Cancelled)));
        log.assert(&["xinner", "xouter"]);
        assert!(inner.is_cancelled());
        Ok(())
    });
}

/// A-088. To match errors does not match a cancellation, also not one that was an `io::Error` meanwhile.
#[test]
fn a_handler_of_errors_does_not_stop_a_cancellation() {
    run(|| {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            move || {
                let wait = || -> io::Result<()> { Ok(pause(9)?) };
                match wait().map_err(Exception::from) {
                    Err(Exception::Error(_)) => log.push("except Exception"),
                    Err(other) => return Err(other),
                    Ok(()) => log.push("slept"),
                }
                Ok(())
            }
        });
        pause(0)?;
        task.cancel();
        assert!(matches!(await_(task)?, Err(Exception::Cancelled)));
        log.assert(&[]);
        Ok(())
    });
}

/// A-089.
#[test]
fn a_task_that_cancels_itself_is_told_in_its_next_wait_or_else_cancelled_at_its_end() {
    run(|| {
        let log = Log::default();
        let waits = spawn({
            let log = log.clone();
            move || {
                current().unwrap().cancel();
                log.push("after");
                pause(5)?;
                log.push("no");
                Ok(())
            }
        });
        assert!(matches!(await_(waits)?, Err(Exception::Cancelled)));
        let ends = spawn(|| {
            current().unwrap().cancel();
            Ok(1)
        });
        assert!(matches!(await_(ends)?, Err(Exception::Cancelled)));
        log.assert(&["after"]);
        assert_eq!(time(), Duration::ZERO);
        Ok(())
    });
}

/// A-090.
#[test]
fn the_last_request_that_is_taken_back_withdraws_a_cancellation_that_was_not_told() {
    run(|| {
        let task = spawn(|| Ok(pause(1)?));
        task.cancel();
        assert_eq!(task.cancelling(), 1);
        assert_eq!(task.uncancel(), 0);
        await_(task)??;
        assert_eq!(time(), secs(1));
        Ok(())
    });
}

/// A-091.
#[test]
fn a_cancellation_wins_over_a_result_that_was_not_delivered() {
    run(|| {
        let (promise, future) = promise();
        let task = spawn(move || await_(future)?);
        pause(0)?;
        promise.set_result("lost")?;
        task.cancel();
        assert!(matches!(await_(task)?, Err(Exception::Cancelled)));
        Ok(())
    });
}

/// A-092.
#[test]
fn an_error_of_the_cleanup_takes_the_place_of_the_cancellation() {
    run(|| {
        let task = spawn(|| {
            pause(9).map_err(|_| KeyError("k"))?;
            Ok(())
        });
        pause(0)?;
        task.cancel();
        assert!(await_(&task)?.unwrap_err().is::<KeyError>());
        assert!(!task.is_cancelled());
        assert!(task.exception()?.unwrap().is::<KeyError>());
        Ok(())
    });
}

/// A-093.
#[test]
fn a_task_that_raises_a_cancellation_by_hand_is_cancelled() {
    run(|| {
        let task = spawn(|| Err::<(), _>(Exception::Cancelled));
        assert!(matches!(await_(&task)?, Err(Exception::Cancelled)));
        assert!(task.is_cancelled());
        assert_eq!(task.cancelling(), 0);
        Ok(())
    });
}

/// A-094.
#[test]
fn code_between_waits_is_not_interrupted() {
    run(|| {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            move || {
                log.push("step1");
                log.push("step2");
                if pause(5).is_err() {
                    log.push("x");
                }
                Ok(())
            }
        });
        pause(0)?;
        task.cancel();
        await_(task)??;
        log.assert(&["step1", "step2", "x"]);
        Ok(())
    });
}

// wait

/// A-100.
#[test]
fn wait_waits_for_all_and_never_raises() {
    run(|| {
        let waited = await_(wait(three(&Log::default())))?;
        assert_eq!(names(&waited.done) + "/" + &names(&waited.pending), "abc/");
        assert_eq!(time(), secs(3));
        let failed = spawn(failing(&Log::default(), "bad", 1, "bad"));
        let waited = await_(wait([failed]))?;
        assert!(waited.done[0].take_result().unwrap_err().is::<KeyError>());
        Ok(())
    });
}

/// A-101.
#[test]
fn wait_can_be_for_the_first_that_is_done() {
    run(|| {
        let waited = await_(wait(three(&Log::default())).first_completed())?;
        assert_eq!(names(&waited.done) + "/" + &names(&waited.pending), "b/ac");
        assert_eq!(time(), secs(1));
        assert_eq!(await_(gather(waited.pending))??, ["a", "c"]);
        Ok(())
    });
}

/// A-101.
#[test]
fn wait_can_be_for_the_first_error_which_a_cancellation_is_not() {
    run(|| {
        let log = Log::default();
        let job = |name, seconds| named(name, job(&log, name, seconds));
        let tasks = [
            job("a", 3),
            job("b", 1),
            job("c", 4),
            named("e", failing(&log, "e", 2, "e")),
        ];
        let waited = await_(wait(tasks).first_exception())?;
        assert_eq!(names(&waited.done) + "/" + &names(&waited.pending), "be/ac");
        assert_eq!(time(), secs(2));
        assert!(waited.done[1].exception()?.unwrap().is::<KeyError>());
        assert_eq!(await_(gather(waited.pending))??, ["a", "c"]);

        let tasks = [job("a", 1), job("b", 9)];
        tasks[1].cancel();
        let waited = await_(wait(tasks).first_exception())?;
        assert_eq!(names(&waited.done) + "/" + &names(&waited.pending), "ab/");
        assert_eq!(time(), secs(5));
        Ok(())
    });
}

/// A-102.
#[test]
fn wait_with_a_timeout_tells_what_is_done_and_cancels_nothing() {
    run(|| {
        let log = Log::default();
        let limit = Duration::from_millis(1500);
        let waited = await_(wait(three(&log)).timeout(limit))?;
        assert_eq!(names(&waited.done) + "/" + &names(&waited.pending), "b/ac");
        assert_eq!(time(), limit);
        pause(5)?;
        log.assert(&["b", "c", "a"]);
        Ok(())
    });
}

/// A-103. CPython raises a `ValueError`.
#[test]
fn to_wait_for_no_tasks_is_to_wait_for_nothing() {
    run(|| {
        let log = Log::default();
        let other = log.clone();
        call_soon(move || other.push("other"));
        let waited = await_(wait(Vec::<Task<()>>::new()))?;
        assert!(waited.done.is_empty() && waited.pending.is_empty());
        log.assert(&[]);
        Ok(())
    });
}

/// A-104.
#[test]
fn a_wait_that_is_cancelled_leaves_the_tasks_running() {
    run(|| {
        let log = Log::default();
        let tasks = three(&log);
        let waits = spawn(move || {
            await_(wait(tasks))?;
            Ok(())
        });
        pause(0)?;
        waits.cancel();
        assert!(matches!(await_(waits)?, Err(Exception::Cancelled)));
        pause(5)?;
        log.assert(&["b", "c", "a"]);
        Ok(())
    });
}

// gather

/// A-110.
#[test]
fn gather_gives_results_in_the_order_of_its_arguments() {
    run(|| {
        let log = Log::default();
        assert_eq!(await_(gather(three(&log)))??, ["a", "b", "c"]);
        log.assert(&["b", "c", "a"]);
        Ok(())
    });
}

/// A-111.
#[test]
fn gather_raises_the_first_error_at_once_and_the_others_go_on() {
    run(|| {
        let log = Log::default();
        let tasks = [
            spawn(job(&log, "a", 3)),
            spawn(failing(&log, "b", 1, "b")),
            spawn(job(&log, "c", 2)),
        ];
        let error = await_(gather(tasks))?.unwrap_err();
        assert_eq!(error.downcast::<KeyError>().unwrap(), KeyError("b"));
        assert_eq!(time(), secs(1));
        pause(5)?;
        log.assert(&["b", "c", "a"]);
        Ok(())
    });
}

/// A-112.
#[test]
fn gather_can_return_errors_and_cancellations_as_results() {
    run(|| {
        let log = Log::default();
        let tasks = [
            spawn(job(&log, "a", 2)),
            spawn(failing(&log, "b", 1, "b")),
            spawn(job(&log, "c", 3)),
        ];
        tasks[2].cancel();
        let outcomes = await_(gather(tasks).return_exceptions())?;
        assert_eq!(
            show(outcomes),
            r#"[Ok("a"), Err(KeyError("b")), Err(Cancelled)]"#
        );
        Ok(())
    });
}

/// A-113.
#[test]
fn a_gather_that_is_cancelled_cancels_every_task() {
    run(|| {
        let log = Log::default();
        let gathers = spawn({
            let log = log.clone();
            move || {
                let tasks = [spawn(job(&log, "a", 3)), spawn(job(&log, "b", 1))];
                let _outcomes = await_(gather(tasks).return_exceptions())?;
                Ok(())
            }
        });
        pause(0)?;
        pause(0)?;
        gathers.cancel();
        assert!(matches!(await_(gathers)?, Err(Exception::Cancelled)));
        log.assert(&["xa", "xb"]);
        Ok(())
    });
}

/// A-114.
#[test]
fn gather_raises_the_cancellation_of_one_task_and_the_others_go_on() {
    run(|| {
        let log = Log::default();
        let tasks = [spawn(job(&log, "a", 3)), spawn(job(&log, "b", 2))];
        let a = tasks[0].to_ref();
        call_later(secs(1), move || assert!(a.cancel()));
        let gathered = await_(gather(tasks))?;
        assert!(matches!(gathered, Err(Exception::Cancelled)));
        assert_eq!(time(), secs(1));
        pause(5)?;
        log.assert(&["xa", "b"]);
        Ok(())
    });
}

/// A-115. One task is given twice as two references.
#[test]
fn gather_takes_the_same_task_twice_and_no_tasks() {
    run(|| {
        let log = Log::default();
        let task = spawn(job(&log, "a", 1));
        assert_eq!(await_(gather([&task, &task]))??, ["a", "a"]);
        log.assert(&["a"]);
        assert_eq!(await_(gather(Vec::<Task<()>>::new()))??, []);
        Ok(())
    });
}

/// A-116.
#[test]
fn gather_of_tasks_that_are_done_lets_nobody_else_run() {
    run(|| {
        let log = Log::default();
        let task = spawn(|| Ok(pause(0)?));
        await_(&task)??;
        let tick = log.clone();
        call_soon(move || tick.push("tick"));
        await_(gather([task]))??;
        log.push("got");
        pause(0)?;
        log.assert(&["got", "tick"]);
        Ok(())
    });
}

/// A-117.
#[test]
fn errors_after_the_first_of_a_gather_are_lost_silently() {
    let (outcome, reports) = run_and_listen(|| {
        let log = Log::default();
        let tasks = [
            spawn(failing(&log, "a", 1, "1")),
            spawn(failing(&log, "b", 2, "2")),
        ];
        let error = await_(gather(tasks))?.unwrap_err();
        assert_eq!(error.downcast::<KeyError>().unwrap(), KeyError("1"));
        pause(5)?;
        log.assert(&["a", "b"]);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(reports, [""; 0]);
}

// as_completed

/// A-120.
#[test]
fn as_completed_gives_tasks_in_the_order_in_which_they_are_done() {
    run(|| {
        let results = as_completed(three(&Log::default())).map(|done| done?.1.take_result());
        assert_eq!(results.collect::<Result<Vec<_>, _>>()?, ["b", "c", "a"]);
        Ok(())
    });
}

/// A-121.
#[test]
fn an_error_of_one_task_does_not_end_the_loop_over_those_that_are_done() {
    run(|| {
        let (log, results) = (Log::default(), Log::default());
        let tasks = [
            spawn(job(&log, "a", 3)),
            spawn(failing(&log, "b", 1, "b!")),
            spawn(job(&log, "c", 2)),
        ];
        for done in as_completed(tasks) {
            let (_, task) = done?;
            match task.take_result() {
                Ok(name) => results.push(name),
                Err(error) => results.push(error.downcast::<KeyError>().unwrap().0),
            }
        }
        results.assert(&["b!", "c", "a"]);
        Ok(())
    });
}

/// A-122.
#[test]
fn as_completed_gives_an_error_for_each_that_is_late_and_the_tasks_go_on() {
    run(|| {
        let log = Log::default();
        let mut results = Vec::new();
        for done in as_completed(three(&log)).timeout(Duration::from_millis(1500)) {
            results.push(match done {
                Ok((_, task)) => task.take_result()?.to_owned(),
                Err(error) => show(error.downcast::<TimedOut>().map(|_| "late")),
            });
        }
        assert_eq!(results, ["b", r#"Ok("late")"#, r#"Ok("late")"#]);
        assert_eq!(time(), Duration::from_millis(1500));
        pause(5)?;
        log.assert(&["b", "c", "a"]);
        Ok(())
    });
}

/// A-123. As `async for` does in CPython 3.13.
#[test]
fn as_completed_gives_back_the_tasks_that_it_was_given() {
    run(|| {
        let tasks = three(&Log::default());
        let refs: Vec<_> = tasks.iter().map(Task::to_ref).collect();
        let mut places = Vec::new();
        for done in as_completed(tasks) {
            let (place, task) = done?;
            assert!(task.is_done() && task.to_ref() == refs[place]);
            places.push(place);
        }
        assert_eq!(places, [1, 2, 0]);
        Ok(())
    });
}

// wait_for, timeout, shield

/// A-130.
#[test]
fn wait_for_gives_the_result_of_a_task_that_is_in_time() {
    run(|| {
        let task = spawn(job(&Log::default(), "j", 1));
        assert_eq!(await_(wait_for(task, secs(5)))??, "j");
        assert_eq!(time(), secs(1));
        Ok(())
    });
}

/// A-131.
#[test]
fn wait_for_cancels_a_task_that_is_late_and_waits_until_it_has_cleaned_up() {
    run(|| {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            move || {
                let slept = pause(9);
                log.push("x");
                pause(2)?;
                log.push("cleaned");
                Ok(slept?)
            }
        });
        let late = await_(wait_for(&task, secs(1)))?;
        assert!(late.unwrap_err().is::<TimedOut>());
        assert!(task.is_cancelled());
        log.assert(&["x", "cleaned"]);
        assert_eq!(time(), secs(3));
        Ok(())
    });
}

/// A-132.
#[test]
fn wait_for_no_time_starts_no_task_and_takes_a_result_that_is_there() {
    run(|| {
        let log = Log::default();
        let late = await_(wait_for(spawn(job(&log, "j", 0)), Duration::ZERO))?;
        assert!(late.unwrap_err().is::<TimedOut>());
        log.assert(&[]);
        let (promise, future) = promise();
        promise.set_result(7)?;
        assert_eq!(await_(wait_for(future, Duration::ZERO))??, 7);
        Ok(())
    });
}

/// A-133.
#[test]
fn wait_for_gives_what_a_task_returns_that_swallows_its_cancellation() {
    run(|| {
        let task = spawn(|| Ok(pause(9).map_or("ok", |()| "in time")));
        assert_eq!(await_(wait_for(task, secs(1)))??, "ok");
        assert_eq!(time(), secs(1));
        Ok(())
    });
}

/// A-134. To keep it running: A-140.
#[test]
fn a_wait_for_that_is_cancelled_cancels_the_task() {
    run(|| {
        let log = Log::default();
        let waits = spawn(wait_for(spawn(job(&log, "j", 9)), secs(5)));
        pause(0)?;
        pause(0)?;
        waits.cancel();
        assert!(matches!(await_(waits)?, Err(Exception::Cancelled)));
        log.assert(&["xj"]);
        Ok(())
    });
}

/// A-135.
#[test]
fn a_time_limit_cancels_inside_and_has_timed_out_outside() {
    run(|| {
        let log = Log::default();
        let limit = Timeout::after(secs(1));
        let ended = limit.limit(|| {
            let slept = pause(9);
            log.push(show(slept));
            Ok(slept?)
        });
        log.push(show(ended.unwrap_err().is::<TimedOut>()));
        log.push(show(limit.is_expired()));
        log.assert(&["Err(Cancelled)", "true", "true"]);
        assert_eq!(time(), secs(1));
        // What was told in there is taken back.
        assert_eq!(current().unwrap().cancelling(), 0);
        Ok(())
    });
}

/// A-136.
#[test]
fn only_the_time_limit_that_has_passed_times_out() {
    run(|| {
        let [outer, inner] = [5, 1].map(|seconds| Timeout::after(secs(seconds)));
        let ended = outer.limit(|| {
            let late = inner.limit(|| Ok(pause(9)?));
            assert!(late.unwrap_err().is::<TimedOut>());
            Err::<(), _>(KeyError("k").into())
        });
        assert!(inner.is_expired() && !outer.is_expired());
        assert!(ended.unwrap_err().is::<KeyError>());
        Ok(())
    });
}

/// A-136.
#[test]
fn a_cancellation_from_outside_passes_through_a_time_limit() {
    run(|| {
        let limit = Timeout::after(secs(5));
        let task = spawn({
            let limit = limit.clone();
            move || limit.limit(|| Ok(pause(9)?))
        });
        pause(1)?;
        task.cancel();
        assert!(matches!(await_(task)?, Err(Exception::Cancelled)));
        assert!(!limit.is_expired());
        assert_eq!(time(), secs(1));
        Ok(())
    });
}

/// A-136.
#[test]
fn a_cancellation_that_comes_together_with_a_timeout_stays_one() {
    run(|| {
        let limit = Timeout::after(secs(1));
        let task = spawn({
            let limit = limit.clone();
            move || {
                limit.limit(|| {
                    let slept = pause(9);
                    current().unwrap().cancel();
                    Ok(slept?)
                })
            }
        });
        assert!(matches!(await_(&task)?, Err(Exception::Cancelled)));
        assert!(limit.is_expired());
        assert_eq!(task.cancelling(), 1);
        Ok(())
    });
}

/// A-137. In place of the builtin `TimeoutError` there is the standard library's kind of error.
#[test]
fn a_timeout_is_an_io_error_of_that_kind() {
    run(|| {
        let late = timeout(secs(1), || Ok(pause(9)?));
        let error = late.unwrap_err().downcast::<TimedOut>().unwrap();
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
        Ok(())
    });
}

/// A-140.
#[test]
fn a_shielded_task_goes_on_when_whoever_awaits_it_is_cancelled() {
    run(|| {
        let log = Log::default();
        let inner = Rc::new(spawn(job(&log, "j", 2)));
        let awaits = spawn({
            let inner = inner.clone();
            move || await_(shield(inner))?
        });
        pause(0)?;
        pause(0)?;
        awaits.cancel();
        assert!(matches!(await_(awaits)?, Err(Exception::Cancelled)));
        log.assert(&[]);
        assert_eq!(await_(&*inner)??, "j");
        log.assert(&["j"]);
        assert_eq!(time(), secs(2));
        Ok(())
    });
}

/// A-141.
#[test]
fn a_shield_ends_as_what_it_shields_does() {
    run(|| {
        let [a, b, c] = [(); 3].map(|()| promise());
        let shields = [&a.1, &b.1, &c.1].map(shield);
        a.0.set_result("v")?;
        b.0.set_exception(KeyError("k")).unwrap();
        c.1.cancel();
        let mut ended = Vec::new();
        for shield in shields {
            ended.push(show(await_(shield)?));
        }
        assert_eq!(
            ended,
            [r#"Ok("v")"#, r#"Err(KeyError("k"))"#, "Err(Cancelled)"]
        );
        let log = Log::default();
        let other = log.clone();
        call_soon(move || other.push("other"));
        assert_eq!(await_(shield(&a.1))??, "v");
        log.assert(&[]);
        Ok(())
    });
}

// Semaphore, Lock, Event, Condition, Barrier

/// Logs its name once it has a permit, and holds that for a time.
fn user(
    log: &Log,
    semaphore: &Semaphore,
    name: &'static str,
    seconds: u64,
) -> impl FnOnce() -> Result<(), Exception> + use<> {
    let (log, semaphore) = (log.clone(), semaphore.clone());
    move || {
        let _permit = await_(semaphore.acquire())?;
        log.push(name);
        Ok(pause(seconds)?)
    }
}

/// A-150.
#[test]
fn a_semaphore_has_so_many_holders_at_most_first_come_first_served() {
    run(|| {
        let (log, semaphore) = (Log::default(), Semaphore::new(2));
        let users = ["a", "b", "c", "d"].map(|name| spawn(user(&log, &semaphore, name, 1)));
        await_(gather(users))??;
        log.assert(&["a", "b", "c", "d"]);
        assert_eq!(time(), secs(2));
        Ok(())
    });
}

/// A-151.
#[test]
fn a_permit_that_is_released_goes_to_who_waits_even_if_another_asks_first() {
    run(|| {
        let (log, semaphore) = (Log::default(), Semaphore::new(1));
        let permit = await_(semaphore.acquire())?;
        let waiter = spawn(user(&log, &semaphore, "waiter", 1));
        pause(0)?;
        drop(permit);
        assert!(semaphore.try_acquire().is_none());
        let barger = spawn(user(&log, &semaphore, "barger", 1));
        await_(gather([waiter, barger]))??;
        log.assert(&["waiter", "barger"]);
        Ok(())
    });
}

/// A-152.
#[test]
fn a_permit_is_not_lost_with_who_was_woken_for_it() {
    run(|| {
        let (log, semaphore) = (Log::default(), Semaphore::new(1));
        let permit = await_(semaphore.acquire())?;
        let [a, b] = ["a", "b"].map(|name| spawn(user(&log, &semaphore, name, 1)));
        pause(0)?;
        drop(permit);
        a.cancel();
        assert!(matches!(await_(a)?, Err(Exception::Cancelled)));
        await_(b)??;
        log.assert(&["b"]);
        assert!(!semaphore.is_locked());
        Ok(())
    });
}

/// A-153. Who holds a permit cannot release it twice; but a semaphore can be released without one.
#[test]
fn a_bounded_semaphore_refuses_more_releases_than_there_were_permits() {
    let bounded = BoundedSemaphore::new(1);
    assert!(bounded.release().is_err());
    bounded.try_acquire().unwrap().forget();
    assert!(bounded.release().is_ok());
    assert!(bounded.release().is_err());
    let unbounded = Semaphore::new(1);
    unbounded.release();
    assert_eq!(unbounded.permits(), 2);
}

/// A-154.
#[test]
fn a_permit_is_released_when_its_holder_is_cancelled() {
    run(|| {
        let semaphore = Semaphore::new(1);
        let task = spawn(user(&Log::default(), &semaphore, "a", 9));
        pause(0)?;
        assert_eq!(semaphore.permits(), 0);
        task.cancel();
        assert!(matches!(await_(task)?, Err(Exception::Cancelled)));
        assert_eq!(semaphore.permits(), 1);
        Ok(())
    });
}

/// A-155.
#[test]
fn a_lock_is_taken_in_order_and_not_twice() {
    run(|| {
        let (log, lock) = (Log::default(), Lock::new());
        let users = ["a", "b"].map(|name| {
            let (log, lock) = (log.clone(), lock.clone());
            spawn(move || {
                let _guard = await_(lock.acquire())?;
                log.push(name);
                Ok(pause(1)?)
            })
        });
        await_(gather(users))??;
        log.assert(&["a", "b"]);
        assert_eq!(time(), secs(2));

        let guard = await_(lock.acquire())?;
        let twice = timeout(secs(1), || Ok(await_(lock.acquire())?));
        assert!(twice.unwrap_err().is::<TimedOut>());

        let waiter = spawn({
            let lock = lock.clone();
            move || {
                let _guard = await_(lock.acquire())?;
                Ok(())
            }
        });
        pause(0)?;
        drop(guard);
        assert!(!lock.is_locked() && lock.try_acquire().is_none());
        await_(waiter)??;
        assert!(lock.try_acquire().is_some());
        Ok(())
    });
}

/// A-156.
#[test]
fn an_event_that_is_set_and_cleared_at_once_has_woken_all_who_wait() {
    run(|| {
        let (log, event) = (Log::default(), Event::new());
        let tasks = ["a", "b"].map(|name| {
            let (log, event) = (log.clone(), event.clone());
            spawn(move || {
                await_(event.wait())?;
                log.push(name);
                Ok(())
            })
        });
        pause(0)?;
        event.set();
        event.clear();
        await_(gather(tasks))??;
        log.assert(&["a", "b"]);

        let other = log.clone();
        call_soon(move || other.push("other"));
        event.set();
        await_(event.wait())?;
        log.assert(&[]); // to wait for an event that is set is not to wait
        Ok(())
    });
}

/// A-157. To wait takes the lock's guard.
#[test]
fn a_condition_gives_the_lock_back_until_it_is_notified() {
    run(|| {
        let (log, condition) = (Log::default(), Condition::new());
        let task = spawn({
            let (log, condition) = (log.clone(), condition.clone());
            move || {
                let mut guard = await_(condition.acquire())?;
                await_(condition.wait(&mut guard))?;
                assert!(condition.lock().is_locked());
                log.push("notified");
                Ok(())
            }
        });
        pause(0)?;
        assert_eq!(
            panic_of(|| condition.notify(1)),
            "cannot notify on un-acquired lock"
        );
        let guard = await_(condition.acquire())?;
        condition.notify(1);
        pause(1)?;
        log.assert(&[]); // we hold the lock
        drop(guard);
        await_(task)??;
        log.assert(&["notified"]);
        assert!(!condition.lock().is_locked());

        let mut of_another = await_(Lock::new().acquire())?;
        assert_eq!(
            panic_of(|| drop(condition.wait(&mut of_another))),
            "a condition needs the guard of its own lock"
        );
        Ok(())
    });
}

/// A-157.
#[test]
fn a_wait_for_a_condition_has_the_lock_again_also_when_it_is_cancelled() {
    run(|| {
        let (log, condition) = (Log::default(), Condition::new());
        let task = spawn({
            let (log, condition) = (log.clone(), condition.clone());
            move || {
                let mut guard = await_(condition.acquire())?;
                let waited = await_(condition.wait(&mut guard));
                log.push(format!("{waited:?} {}", condition.lock().is_locked()));
                Ok(waited?)
            }
        });
        pause(0)?;
        let guard = await_(condition.acquire())?;
        task.cancel();
        pause(1)?;
        log.assert(&[]); // it waits for us
        drop(guard);
        assert!(matches!(await_(task)?, Err(Exception::Cancelled)));
        log.assert(&["Err(Cancelled) true"]);
        Ok(())
    });
}

/// A-158.
#[test]
fn all_leave_a_barrier_together_and_a_broken_one_with_an_error() {
    run(|| {
        let barrier = Barrier::new(3);
        let tasks = [(); 3].map(|()| {
            let barrier = barrier.clone();
            spawn(move || Ok(await_(barrier.wait())??))
        });
        let mut places = await_(gather(tasks))??;
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
        let waits = spawn({
            let barrier = barrier.clone();
            move || Ok(await_(barrier.wait())?.is_err())
        });
        pause(0)?;
        await_(barrier.abort())?;
        assert!(await_(waits)??);
        let broken: Result<usize, BrokenBarrier> = await_(barrier.wait())?;
        assert!(broken.is_err());
        Ok(())
    });
}

// Queues

/// A-170.
#[test]
fn queues_give_the_first_the_last_or_the_lowest_first() {
    macro_rules! order_of {
        ($queue:expr) => {{
            let queue = $queue;
            for n in [2, 3, 1] {
                queue.put_nowait(n).unwrap();
            }
            [(); 3].map(|()| queue.get_nowait().unwrap())
        }};
    }
    assert_eq!(order_of!(Queue::new()), [2, 3, 1]);
    assert_eq!(order_of!(LifoQueue::new()), [1, 3, 2]);
    assert_eq!(order_of!(PriorityQueue::new()), [1, 2, 3]);
}

/// A-171.
#[test]
fn put_waits_for_room_and_get_for_an_item_and_those_that_never_wait_refuse() {
    run(|| {
        let queue = Queue::bounded(1);
        queue.put_nowait(1)?;
        assert_eq!(queue.put_nowait(2), Err(PutError::Full(2)));
        let put = spawn({
            let queue = queue.clone();
            move || Ok(await_(queue.put(2))??)
        });
        pause(0)?;
        assert!(!put.is_done());
        assert_eq!([await_(queue.get())??, await_(queue.get())??], [1, 2]);
        await_(put)??;
        assert_eq!(queue.get_nowait(), Err(GetError::Empty));
        Ok(())
    });
}

/// A-172.
#[test]
fn join_waits_until_every_item_is_done_with() {
    run(|| {
        let queue = Queue::new();
        for item in ["a", "b"] {
            queue.put_nowait(item)?;
        }
        let worker = spawn({
            let queue = queue.clone();
            move || -> Result<(), Exception> {
                loop {
                    await_(queue.get())??;
                    pause(1)?;
                    queue.task_done()?;
                }
            }
        });
        await_(queue.join())?;
        worker.cancel();
        assert_eq!(time(), secs(2));
        assert!(queue.task_done().is_err());
        Ok(())
    });
}

/// A-173.
#[test]
fn those_who_wait_for_items_get_them_in_the_order_in_which_they_came() {
    run(|| {
        let (log, queue) = (Log::default(), Queue::new());
        let tasks = ["a", "b"].map(|name| {
            let (log, queue) = (log.clone(), queue.clone());
            spawn(move || {
                let item: i32 = await_(queue.get())??;
                log.push(format!("{name}{item}"));
                Ok(())
            })
        });
        pause(0)?;
        queue.put_nowait(1)?;
        queue.put_nowait(2)?;
        await_(gather(tasks))??;
        log.assert(&["a1", "b2"]);
        Ok(())
    });
}

/// A-174.
#[test]
fn an_item_is_not_lost_with_who_was_woken_for_it() {
    run(|| {
        let queue = Queue::new();
        let [a, b] = [(); 2].map(|()| {
            let queue = queue.clone();
            spawn(move || Ok(await_(queue.get())??))
        });
        pause(0)?;
        queue.put_nowait("item")?;
        a.cancel();
        assert_eq!(await_(b)??, "item");
        assert!(a.is_cancelled());
        Ok(())
    });
}

/// A-175.
#[test]
fn a_queue_that_is_shut_down_gives_what_is_left_and_takes_nothing_more() {
    run(|| {
        let queue = Queue::new();
        queue.put_nowait(1)?;
        queue.shutdown();
        assert_eq!(await_(queue.get())??, 1);
        assert!(await_(queue.get())?.is_err());
        assert_eq!(queue.put_nowait(2), Err(PutError::ShutDown(2)));
        assert!(await_(queue.put(2))?.is_err());
        assert_eq!(queue.get_nowait(), Err(GetError::ShutDown));

        let queue = Queue::new();
        queue.put_nowait(1)?;
        let joins = spawn({
            let queue = queue.clone();
            move || Ok(await_(queue.join())?)
        });
        pause(0)?;
        assert_eq!(queue.shutdown_now(), [1]);
        assert!(await_(queue.get())?.is_err());
        await_(joins)??;
        Ok(())
    });
}

// TaskGroup

/// A-180.
#[test]
fn the_end_of_a_group_waits_for_all_its_tasks() {
    run(|| {
        let log = Log::default();
        task_group(|group| {
            group.spawn(job(&log, "a", 2));
            group.spawn(job(&log, "b", 1));
            Ok(())
        })?;
        log.assert(&["b", "a"]);
        assert_eq!(time(), secs(2));
        Ok(())
    });
}

/// A-181.
#[test]
fn a_task_that_fails_has_its_siblings_and_the_body_of_the_group_cancelled() {
    run(|| {
        let log = Log::default();
        let failed = task_group(|group| {
            group.spawn(job(&log, "a", 5));
            group.spawn(failing(&log, "b", 1, "b"));
            job(&log, "body", 9)()
        });
        let error = failed.unwrap_err().downcast::<ExceptionGroup>().unwrap();
        assert_eq!(show(error.errors()), r#"[KeyError("b")]"#);
        log.assert(&["b", "xa", "xbody"]);
        assert_eq!(time(), secs(1));
        Ok(())
    });
}

/// A-182.
#[test]
fn an_error_of_the_body_cancels_the_tasks_and_is_in_the_group() {
    run(|| {
        let log = Log::default();
        let failed = task_group(|group| {
            group.spawn(job(&log, "a", 5));
            pause(0)?;
            Err::<(), _>(KeyError("k").into())
        });
        let error = failed.unwrap_err().downcast::<ExceptionGroup>().unwrap();
        assert_eq!(show(error.errors()), r#"[KeyError("k")]"#);
        log.assert(&["xa"]);
        Ok(())
    });
}

/// A-182.
#[test]
fn a_task_of_a_group_that_is_merely_cancelled_is_no_failure() {
    run(|| {
        let log = Log::default();
        task_group(|group| {
            let task = group.spawn(job(&log, "z", 5));
            pause(0)?;
            task.cancel();
            Ok(())
        })?;
        log.assert(&["xz"]);
        Ok(())
    });
}

/// A-183.
#[test]
fn to_cancel_who_waits_for_a_group_cancels_its_tasks() {
    run(|| {
        let log = Log::default();
        let parent = spawn({
            let log = log.clone();
            move || {
                task_group(|group| {
                    group.spawn(job(&log, "a", 5));
                    Ok(())
                })
            }
        });
        pause(0)?;
        pause(0)?;
        parent.cancel();
        assert!(matches!(await_(parent)?, Err(Exception::Cancelled)));
        log.assert(&["xa"]);
        Ok(())
    });
}

// Threads

/// A-190.
#[test]
fn unblock_runs_a_function_on_another_thread_and_gives_its_result_or_error() {
    run(|| {
        let here = thread::current().id();
        assert_ne!(await_(unblock(|| Ok(thread::current().id())))??, here);
        assert_eq!(await_(unblock(|| Ok([2, 3].iter().sum::<i32>())))??, 5);
        let divide = |n: i32, by| n.checked_div(by).ok_or(ZeroDivisionError("division"));
        let failed = await_(unblock(move || Ok(divide(1, 0)?)))?;
        assert!(failed.unwrap_err().is::<ZeroDivisionError>());
        Ok(())
    });
}

/// A-191. The loop has no turn before the function has begun.
#[test]
fn unblock_begins_at_once_and_an_error_that_nobody_awaits_is_reported() {
    let (ran, reports) = run_and_listen(|| {
        let (sender, receiver) = mpsc::channel();
        drop(unblock(move || {
            sender.send("ran")?;
            Err::<(), _>(ZeroDivisionError("division").into())
        }));
        Ok(receiver.recv()?)
    });
    assert_eq!(ran.unwrap(), "ran");
    assert_eq!(
        reports,
        [r#"nobody has asked how a future ended: ZeroDivisionError("division")"#]
    );
}

/// A-192.
#[test]
fn to_cancel_the_future_does_not_stop_the_function() {
    run(|| {
        let (go, told) = mpsc::channel();
        let (log, logged) = mpsc::channel();
        let future = unblock(move || {
            told.recv()?;
            log.send("finished")?;
            Ok(())
        });
        assert!(future.cancel());
        assert!(matches!(await_(future)?, Err(Exception::Cancelled)));
        go.send(())?;
        assert_eq!(logged.recv()?, "finished");
        Ok(())
    });
}

/// A-193. The function begins its work only after the main task, as it waits for one that `run` cancels then, and needs the
/// loop once more.
#[test]
fn run_waits_for_functions_on_other_threads() {
    let (log, logged) = mpsc::channel();
    run(move || {
        let (go, told) = mpsc::channel();
        let this_loop = loop_handle();
        spawn(move || {
            let ended = await_(pending::<()>());
            go.send(())?;
            Ok(ended?)
        });
        drop(unblock(move || {
            told.recv()?;
            let late = this_loop.spawn(|| Ok("late"));
            Ok(log.send(await_(late)??)?)
        }));
        Ok(pause(0)?)
    });
    assert_eq!(logged.try_recv(), Ok("late"));
}

/// A-193. The function ends only after the loop is closed, as it waits for that.
#[test]
fn to_close_a_loop_does_not_wait_for_functions_on_other_threads() {
    let (go, told) = mpsc::channel();
    let (log, logged) = mpsc::channel();
    let event_loop = new_loop();
    let main = event_loop.run_until_complete(move || {
        drop(unblock(move || {
            told.recv()?;
            log.send("late")?;
            Ok(())
        }));
        Ok(())
    });
    main.unwrap();
    event_loop.close().unwrap();
    assert_eq!(logged.try_recv(), Err(mpsc::TryRecvError::Empty));
    go.send(()).unwrap();
    assert_eq!(logged.recv(), Ok("late"));
}

/// A-194.
#[test]
fn a_thread_makes_tasks_of_the_loop_and_waits_for_them() {
    run(|| {
        assert_eq!(await_(unblock(|| Ok([4, 9].into_iter().max())))??, Some(9));
        let (here, this_loop) = (thread::current().id(), loop_handle());
        let elsewhere = unblock(move || {
            let answer = this_loop.spawn(move || {
                pause(0)?;
                assert_eq!(thread::current().id(), here);
                Ok("from loop")
            });
            await_(answer)?
        });
        assert_eq!(await_(elsewhere)??, "from loop");
        Ok(())
    });
}

// Streams, servers, processes

/// A server with one task for each connection, and where it listens. It listens until its task is cancelled.
fn serve<F>(handler: F) -> Result<(Task<()>, SocketAddr), Exception>
where
    F: FnOnce(TcpStream) -> Result<(), Exception> + Clone + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = spawn(move || {
        for stream in listener.incoming() {
            let (stream, handler) = (stream?, handler.clone());
            drop(named("connection", move || handler(stream)));
        }
        Ok(())
    });
    Ok((server, address))
}

/// Has a server listen no more.
fn close(server: Task<()>) -> Result<(), Exception> {
    server.cancel();
    match await_(server)? {
        Err(Exception::Cancelled) => Ok(()),
        other => other,
    }
}

/// The next line of a connection.
fn read_line(stream: impl Read) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// A-200.
#[test]
fn a_server_has_a_task_for_each_connection() {
    run(|| {
        let (server, address) = serve(|mut stream| {
            stream.write_all(b"?> ")?;
            let line = read_line(&stream)?;
            Ok(stream.write_all(format!("echo {line}").as_bytes())?)
        })?;
        let clients = ["hi\n", "ho\n"].map(|line| {
            spawn(move || {
                let mut stream = TcpStream::connect(address)?;
                let mut prompt = [0; 3];
                stream.read_exact(&mut prompt)?;
                assert_eq!(&prompt, b"?> ");
                stream.write_all(line.as_bytes())?;
                Ok(read_line(stream)?)
            })
        });
        assert_eq!(await_(gather(clients))??, ["echo hi\n", "echo ho\n"]);
        close(server)
    });
}

/// A-201.
#[test]
fn at_the_end_of_a_connection_there_is_a_part_of_a_line_and_then_nothing() {
    run(|| {
        let (server, address) = serve(|mut stream| Ok(stream.write_all(b"par")?))?;
        let mut reader = BufReader::new(TcpStream::connect(address)?);
        let mut line = String::new();
        assert_eq!(reader.read_line(&mut line)?, 3);
        assert_eq!(line, "par");
        assert_eq!(reader.read_line(&mut line)?, 0);
        assert_eq!(reader.read_to_end(&mut Vec::new())?, 0);
        let error = reader.read_exact(&mut [0; 2]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        close(server)
    });
}

/// A-202. The standard library bounds what is read: of a line that is longer, the end is missing.
#[test]
fn a_line_can_be_read_up_to_a_limit() {
    run(|| {
        let (server, address) = serve(|mut stream| Ok(stream.write_all(b"1234\n56789\n")?))?;
        let mut reader = BufReader::new(TcpStream::connect(address)?).take(5);
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            reader.set_limit(5);
            assert_eq!(reader.read_line(line)?, 5);
        }
        assert_eq!(lines, ["1234\n", "56789"]);
        close(server)
    });
}

/// A-203.
#[test]
fn an_error_of_one_connection_is_reported_and_the_server_lives_on() {
    let (outcome, reports) = run_and_listen(|| {
        let (server, address) = serve(|stream| match &*read_line(&stream)? {
            "boom\n" => Err(KeyError("boom").into()),
            line => Ok((&stream).write_all(line.as_bytes())?),
        })?;
        let ask = |line: &str| -> io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(line.as_bytes())?;
            io::read_to_string(stream)
        };
        assert_eq!(ask("boom\n")?, "");
        assert_eq!(ask("hi\n")?, "hi\n");
        close(server)
    });
    outcome.unwrap();
    assert_eq!(
        reports,
        [r#"nobody has asked how task 'connection' ended: KeyError("boom")"#]
    );
}

/// A-204.
#[test]
fn a_server_that_is_closed_listens_no_more_and_its_connections_live_on() {
    run(|| {
        let accepted = Event::new();
        let (server, address) = serve({
            let accepted = accepted.clone();
            move |mut stream| {
                accepted.set();
                let line = read_line(&stream)?;
                Ok(stream.write_all(line.as_bytes())?)
            }
        })?;
        let mut stream = TcpStream::connect(address)?;
        await_(accepted.wait())?;
        close(server)?;
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        stream.write_all(b"still\n")?;
        assert_eq!(read_line(stream)?, "still\n");
        Ok(())
    });
}

#[cfg(unix)]
mod processes {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;
    use yieldfrom::io::Child;

    /// It ends when its standard input does.
    fn cat() -> io::Result<Child> {
        let mut cat = Command::new("cat");
        Child::spawn(cat.stdin(Stdio::piped()).stdout(Stdio::piped()))
    }

    /// A-205.
    #[test]
    fn a_child_is_written_to_and_read_from_and_killed() {
        run(|| {
            let mut child = cat()?;
            child.stdin.as_mut().unwrap().write_all(b"OK")?;
            let output = child.wait_with_output()?;
            assert_eq!(output.stdout, b"OK");
            assert_eq!(output.status.code(), Some(0));

            let mut child = cat()?;
            child.kill()?;
            assert_eq!(child.wait()?.signal(), Some(9));
            Ok(())
        });
    }

    /// A-205.
    #[test]
    fn to_cancel_the_wait_for_a_child_does_not_kill_it() {
        run(|| {
            let mut child = cat()?;
            let mut stdin = child.stdin.take().unwrap();
            let waits = spawn(move || {
                let waited = child.wait();
                Ok((child, waited.map_err(Exception::from)))
            });
            pause(0)?;
            waits.cancel();
            let (mut child, waited) = await_(waits)??;
            assert!(matches!(waited, Err(Exception::Cancelled)));
            stdin.write_all(b"still here")?;
            drop(stdin);
            let said = io::read_to_string(child.stdout.take().unwrap())?;
            assert_eq!(said, "still here");
            assert!(child.wait()?.success());
            Ok(())
        });
    }
}

// Asynchronous generators and context managers

/// Yields 0, 1, 2, and waits after each and when it is closed.
fn agen(log: &Log) -> AsyncGenerator<i32> {
    let log = log.clone();
    stream(move |s| {
        let ended = (0..3).try_for_each(|n| {
            s.yield_(n)?;
            pause(0)
        });
        let _waited = pause(0);
        log.push("closed");
        ended
    })
}

/// The same, which is sent values. Python has one kind for both.
fn agen_with_send(log: &Log) -> Coroutine<i32, &'static str> {
    let log = log.clone();
    coroutine(move |co| {
        let ended = (0..3).try_for_each(|n| -> Result<(), Exception> {
            log.push(co.yield_(n)?);
            Ok(pause(0)?)
        });
        pause(0)?;
        log.push("closed");
        ended
    })
}

/// A-220.
#[test]
fn a_loop_drives_an_asynchronous_generator() {
    run(|| {
        let log = Log::default();
        let items: Result<Vec<_>, _> = await_each(agen(&log)).collect();
        assert_eq!(items?, [0, 1, 2]);
        log.assert(&["closed"]);
        Ok(())
    });
}

/// A-220. One that is sent values is a coroutine whose body waits.
#[test]
fn an_asynchronous_generator_is_sent_values_and_closed() {
    run(|| {
        let log = Log::default();
        let mut co = agen_with_send(&log);
        assert_eq!(co.prime()?, Step::Yielded(0));
        assert_eq!(co.send("hi")?, Step::Yielded(1));
        co.close()?;
        log.assert(&["hi", "closed"]);
        Ok(())
    });
}

/// A-221.
#[test]
fn a_fresh_asynchronous_generator_takes_no_value_and_one_that_is_closed_yields_no_more() {
    run(|| {
        let mut fresh = agen_with_send(&Log::default());
        assert!(matches!(fresh.send("hi"), Err(Raised::JustStarted("hi"))));
        let mut bad: Coroutine<(), ()> = coroutine(|co| {
            pause(0)?;
            let _exit = co.yield_(());
            pause(0)?;
            co.yield_(())
        });
        bad.prime()?;
        assert!(matches!(bad.close(), Err(Raised::IgnoredExit)));
        Ok(())
    });
}

/// A-222. A loop owns what it loops over: that is closed by `break`, unless it is somebody else's. It cannot wait then.
#[test]
fn break_closes_an_asynchronous_generator_that_nobody_else_holds() {
    run(|| {
        let log = Log::default();
        let mut held = await_each(agen(&log));
        for item in held.by_ref() {
            if item? == 1 {
                break;
            }
        }
        log.assert(&[]);
        drop(held);
        log.assert(&["closed"]);
        for item in await_each(agen(&log)) {
            if item? == 1 {
                break;
            }
        }
        log.assert(&["closed"]);
        Ok(())
    });
}

/// A-223. A generator is its owner's, not the loop's: it is closed with a task that is left, and not with a loop that it
/// outlives.
#[test]
fn asynchronous_generators_are_closed_with_the_tasks_that_hold_them() {
    let (log, kept) = (Log::default(), Rc::new(RefCell::new(None)));
    run({
        let (log, kept) = (log.clone(), kept.clone());
        move || {
            let mut items = await_each(agen(&log));
            assert_eq!(items.next(), Some(Ok(0)));
            *kept.borrow_mut() = Some(items);
            let mut items = await_each(agen(&log));
            spawn(move || {
                assert_eq!(items.next(), Some(Ok(0)));
                Ok(await_(pending::<()>())?)
            });
            Ok(pause(0)?)
        }
    });
    log.assert(&["closed"]);
    drop(kept.take());
    log.assert(&["closed"]);
}

/// A-224. A coroutine can be shared, and resumed by one task while it waits in another one.
#[test]
fn a_coroutine_that_waits_in_one_task_cannot_be_resumed_by_another() {
    run(|| {
        let slow: Coroutine<i32, ()> = coroutine(|co| {
            pause(1)?;
            co.yield_(7)
        });
        let slow = slow.shared();
        let first = spawn({
            let slow = slow.clone();
            move || Ok(slow.prime()?)
        });
        pause(0)?;
        assert!(matches!(slow.prime(), Err(Raised::AlreadyExecuting(None))));
        assert_eq!(await_(first)??, Step::Yielded(7));
        Ok(())
    });
}

/// A-225. It is a function that takes the block.
#[test]
fn an_asynchronous_context_manager_waits_before_and_after_its_block() {
    fn manager<R>(log: &Log, block: impl FnOnce() -> Result<R, Exception>) -> Result<R, Exception> {
        log.push("in");
        pause(1)?;
        let outcome = block();
        pause(1)?;
        log.push("out");
        outcome
    }
    run(|| {
        let log = Log::default();
        manager(&log, || {
            log.push("body");
            Ok(())
        })?;
        log.assert(&["in", "body", "out"]);
        assert_eq!(time(), secs(2));
        let failed = manager(&log, || Err::<(), _>(KeyError("k").into()));
        assert!(failed.unwrap_err().is::<KeyError>());
        log.assert(&["in", "out"]);
        Ok(())
    });
}

// Small programs

/// A-240.
#[test]
fn a_spinner_has_thirty_frames_in_three_seconds() {
    run(|| {
        let frames = Log::default();
        let spinner = spawn({
            let frames = frames.clone();
            move || {
                for frame in ["|", "/", "-", "\\"].iter().cycle() {
                    frames.push(*frame);
                    if await_(sleep(Duration::from_millis(100))).is_err() {
                        break;
                    }
                }
                frames.push(" ");
                Ok(())
            }
        });
        let slow_function = || -> Result<i32, Cancelled> {
            pause(3)?;
            Ok(42)
        };
        let answer = slow_function()?;
        spinner.cancel();
        assert_eq!(answer, 42);
        let expected = ["|", "/", "-", "\\"].repeat(8);
        frames.assert(&expected[..30]);
        await_(spinner)??;
        frames.assert(&[" "]);
        Ok(())
    });
}

/// A-241.
#[test]
fn ten_that_sleep_take_no_longer_than_one() {
    run(|| {
        let log = Log::default();
        let hellos = (0..10).map(|_| {
            let log = log.clone();
            spawn(move || {
                log.push("H");
                pause(3)?;
                log.push("W");
                Ok(())
            })
        });
        await_(gather(hellos.collect::<Vec<_>>()))??;
        assert_eq!(log.take().concat(), "HHHHHHHHHHWWWWWWWWWW");
        assert_eq!(time(), secs(3));
        Ok(())
    });
}

/// A-242.
#[test]
fn a_clock_shows_every_second_until_its_end() {
    run(|| {
        let mut shown = Vec::new();
        let end = time() + secs(5);
        loop {
            shown.push(time().as_secs());
            if time() + secs(1) >= end {
                break;
            }
            pause(1)?;
        }
        assert_eq!(shown, [0, 1, 2, 3, 4]);
        Ok(())
    });
}

/// A-243.
#[test]
fn a_function_that_waits_is_called_by_another() {
    fn compute(log: &Log, x: i32, y: i32) -> Result<i32, Cancelled> {
        log.push(format!("Compute {x} + {y} ..."));
        pause(1)?;
        Ok(x + y)
    }
    fn print_sum(log: &Log, x: i32, y: i32) -> Result<(), Cancelled> {
        let sum = compute(log, x, y)?;
        log.push(format!("{x} + {y} = {sum}"));
        Ok(())
    }
    run(|| {
        let log = Log::default();
        print_sum(&log, 1, 2)?;
        log.assert(&["Compute 1 + 2 ...", "1 + 2 = 3"]);
        assert_eq!(time(), secs(1));
        Ok(())
    });
}

/// A-244.
#[test]
fn two_that_are_gathered_wait_at_the_same_time() {
    run(|| {
        let log = Log::default();
        let tasks = [(1, 4), (2, 5)].map(|(n, seconds)| {
            let log = log.clone();
            spawn(move || {
                log.push(format!("a{n}@{}", time().as_secs()));
                pause(seconds)?;
                log.push(format!("r{n}@{}", time().as_secs()));
                Ok(())
            })
        });
        await_(gather(tasks))??;
        log.assert(&["a1@0", "a2@0", "r1@4", "r2@5"]);
        Ok(())
    });
}

/// A-245.
#[test]
fn a_cycle_calls_two_in_turn_until_both_have_finished() {
    #[derive(Clone)]
    struct Pops(Vec<i32>, bool);
    let cycle = generator(|y| {
        let mut both = [Pops(vec![0, 1, 2], false), Pops(vec![0, 1, 2], false)];
        for turn in [0, 1].into_iter().cycle() {
            let Pops(left, is_finished) = &mut both[turn];
            let popped = left.pop();
            *is_finished = popped.is_none();
            y.yield_(popped);
            if both.iter().all(|pops| pops.1) {
                break;
            }
        }
    });
    let popped = [2, 2, 1, 1, 0, 0].map(Some);
    assert_eq!(
        cycle.collect::<Vec<_>>(),
        [&popped[..], &[None, None]].concat()
    );
}

/// A-246.
#[test]
fn a_generator_that_is_sent_nothing_five_times_gives_what_a_loop_over_it_does() -> Result<(), Raised>
{
    let evens = || coroutine(|co| co.yield_each((0..10).filter(|n| n % 2 == 0)));
    let mut by_hand: Coroutine<i32, ()> = evens();
    let mut sent = vec![by_hand.prime()?];
    for _ in 0..4 {
        sent.push(by_hand.send(())?);
    }
    assert_eq!(sent, [0, 2, 4, 6, 8].map(Step::Yielded));
    let looped: Result<Vec<_>, _> = evens().collect();
    assert_eq!(looped.unwrap(), [0, 2, 4, 6, 8]);
    Ok(())
}

/// A-247. Nothing but the end of that iteration lets it: the loop is left as soon as the main task is done.
#[test]
fn a_task_that_was_cancelled_just_before_the_main_task_ends_still_cleans_up() {
    let log = Log::default();
    let event_loop = new_loop();
    let answer = event_loop.run_until_complete({
        let log = log.clone();
        move || {
            let spinner = spawn(move || {
                let _swallowed = await_(sleep(Duration::from_millis(200)));
                log.push("blanked");
                Ok(())
            });
            await_(sleep(Duration::from_millis(10)))?;
            spinner.cancel();
            Ok(42)
        }
    });
    log.assert(&["blanked"]);
    assert_eq!(answer.unwrap(), 42);
}
