//! Event loops as their owners see them.

#![forbid(unsafe_code)]

use std::fmt;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use crate::builder::Builder;
use crate::exception::Exception;
use crate::scope::may_run_loop;
use crate::task::body::IntoTask;
use crate::task::call::Call;
use crate::task::dump::Dump;
use crate::task::error::{LoopError, Panicked};
use crate::task::future::{Future, Promise, promise_in};
use crate::task::loop_handle::LoopHandle;
use crate::task::scheduler::{Options, Scheduler, Stop};
use crate::task::spawn::spawn_in;
use crate::task::task::Task;
#[cfg(doc)]
use crate::unraisable::Reason;
use crate::unraisable::Unraisable;

/// An event loop of this thread.
///
/// Most programs need no more than [`run`](crate::task::run()), which makes one. This is for those who run a loop several
/// times, or until it is stopped, or who set its clock.
///
/// | | created, or stopped | running | closed |
/// |---|---|---|---|
/// | [`run_until_complete`](Self::run_until_complete), [`run_forever`](Self::run_forever) | runs | `AlreadyRunning` | `Closed` |
/// | [`spawn`](Self::spawn), [`call_soon`](Self::call_soon) .. | has its turn when the loop runs | has its turn soon | panics |
/// | [`stop`](Self::stop) | stops the next run after one iteration | stops after this iteration | nothing |
/// | [`close`](Self::close), drop | closes | `CannotCloseRunning` | nothing |
///
/// One loop runs on a thread at a time (`AnotherIsRunning`). A task that holds its own loop, in an `Rc`, keeps it from being closed
/// by a drop; what it needs mostly is a [`LoopHandle`].
///
/// ```
/// use yieldfrom::{Exception, task::{Loop, LoopError}};
///
/// # fn main() -> Result<(), Exception> {
/// let event_loop = Loop::new();
/// assert_eq!(event_loop.run_until_complete(|| Ok(42))?, 42);
/// event_loop.close()?;
/// let error = event_loop.run_until_complete(|| Ok(42)).unwrap_err();
/// assert_eq!(error.downcast_ref(), Some(&LoopError::Closed));
/// assert_eq!(Loop::new().run_until_complete(|| Ok(42))?, 42); // a new one works
/// # Ok(())
/// # }
/// ```
pub struct Loop {
    pub(crate) scheduler: Rc<Scheduler>,
}

impl Loop {
    /// Makes a loop, on the real clock.
    pub fn new() -> Self {
        LoopBuilder::new().build()
    }

    /// Makes a loop with other properties.
    pub fn builder() -> LoopBuilder {
        LoopBuilder::new()
    }

    /// Spawns a task, runs the loop until that is done, and returns what it returns: `loop.run_until_complete`.
    ///
    /// The loop ends its iteration first, so that who was woken together with the end of the task has a turn. Other tasks
    /// stay where they are; the next run goes on with them.
    ///
    /// # Errors
    ///
    /// What the task raises; or a [`LoopError`].
    ///
    /// # Panics
    ///
    /// If the task does.
    #[track_caller]
    pub fn run_until_complete<M, B>(&self, main: B) -> Result<B::Output, Exception>
    where
        B: IntoTask<M> + 'static,
        B::Output: 'static,
    {
        self.check()?;
        let main = self.spawn(main);
        self.run_until(&main)?;
        unwind_if_panicked(main.take_result())
    }

    /// Runs the loop until a task is done.
    ///
    /// # Errors
    ///
    /// A [`LoopError`].
    pub fn run_until<R>(&self, task: &Task<R>) -> Result<(), LoopError> {
        self.check()?;
        self.scheduler.listen(None);
        let scheduler = Rc::downgrade(&self.scheduler);
        let key = task.add_done_callback(move |_| {
            if let Some(scheduler) = scheduler.upgrade() {
                scheduler.is_stopping.set(true);
            }
        });
        let stop = self.scheduler.run();
        task.remove_done_callback(key);
        match stop {
            _ if task.is_done() => Ok(()),
            Stop::Asked => Err(LoopError::Stopped),
            Stop::Deadlock => Err(LoopError::Deadlock),
        }
    }

    /// Runs the loop until it is [stopped](Self::stop).
    ///
    /// # Errors
    ///
    /// A [`LoopError`].
    pub fn run_forever(&self) -> Result<(), LoopError> {
        self.check()?;
        self.scheduler.listen(None);
        match self.scheduler.run() {
            Stop::Asked => Ok(()),
            Stop::Deadlock => Err(LoopError::Deadlock),
        }
    }

    /// Whether it can run here and now.
    pub(crate) fn check(&self) -> Result<(), LoopError> {
        if self.scheduler.is_closed.get() {
            Err(LoopError::Closed)
        } else if self.scheduler.is_running.get() {
            Err(LoopError::AlreadyRunning)
        } else if Scheduler::running().is_some() || !may_run_loop() {
            Err(LoopError::AnotherIsRunning)
        } else {
            Ok(())
        }
    }

    /// Makes a [task](crate::task::spawn()) of this loop.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[track_caller]
    pub fn spawn<M, B>(&self, body: B) -> Task<B::Output>
    where
        B: IntoTask<M> + 'static,
        B::Output: 'static,
    {
        self.spawn_with(&Builder::new(), body)
    }

    /// Makes a task of this loop with a name or another stack size.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[track_caller]
    pub fn spawn_with<M, B>(&self, builder: &Builder, body: B) -> Task<B::Output>
    where
        B: IntoTask<M> + 'static,
        B::Output: 'static,
    {
        self.refuse_if_closed();
        spawn_in(&self.scheduler, builder, body)
    }

    #[track_caller]
    fn refuse_if_closed(&self) {
        assert!(!self.scheduler.is_closed.get(), "{}", LoopError::Closed);
    }

    /// Makes a [promise and its future](crate::task::promise()) in this loop.
    pub fn promise<T: 'static>(&self) -> (Promise<T>, Future<T>) {
        promise_in(Some(self.scheduler.clone()))
    }

    /// As [`call_soon`](crate::task::call_soon()), in this loop.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    pub fn call_soon(&self, callback: impl FnOnce() + 'static) -> Call {
        self.refuse_if_closed();
        Call::soon(&self.scheduler, callback)
    }

    /// As [`call_later`](crate::task::call_later()), in this loop.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    pub fn call_later(&self, delay: Duration, callback: impl FnOnce() + 'static) -> Call {
        self.call_at(self.time().saturating_add(delay), callback)
    }

    /// As [`call_at`](crate::task::call_at()), in this loop.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    pub fn call_at(&self, when: Duration, callback: impl FnOnce() + 'static) -> Call {
        self.refuse_if_closed();
        Call::at(&self.scheduler, when, callback)
    }

    /// How long it has been there, by its clock: `loop.time`.
    pub fn time(&self) -> Duration {
        self.scheduler.now()
    }

    /// Stops the loop after this iteration: what is in the queue by now still runs, what that makes ready waits for the next
    /// run.
    pub fn stop(&self) {
        self.scheduler.is_stopping.set(true);
    }

    /// A handle for other threads.
    pub fn handle(&self) -> LoopHandle {
        LoopHandle(self.scheduler.outside.clone())
    }

    /// What its tasks are doing.
    pub fn dump(&self) -> Dump {
        Dump::of(&self.scheduler)
    }

    /// Whether it is running.
    pub fn is_running(&self) -> bool {
        self.scheduler.is_running.get()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.scheduler.is_closed.get()
    }

    /// Drops all that is left. Tasks that have not ended are [reported](LoopBuilder::report_to) by name and come to their end
    /// without waiting, as a dropped [`Fiber`](crate::Fiber) does. (To let them clean up, [`shutdown`](Self::shutdown).)
    ///
    /// # Errors
    ///
    /// [`LoopError::CannotCloseRunning`].
    pub fn close(&self) -> Result<(), LoopError> {
        if self.scheduler.is_running.get() {
            return Err(LoopError::CannotCloseRunning);
        }
        self.scheduler.close();
        Ok(())
    }
}

impl Default for Loop {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.scheduler.close();
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop")
            .field("is_running", &self.is_running())
            .field("is_closed", &self.is_closed())
            .field("tasks", &self.scheduler.tasks().len())
            .finish_non_exhaustive()
    }
}

/// Makes [`Loop`]s with other properties.
///
/// ```
/// use std::time::{Duration, Instant};
/// use yieldfrom::{await_, task::{sleep, LoopBuilder}};
///
/// let start = Instant::now();
/// LoopBuilder::new()
///     .virtual_clock()
///     .run(|| Ok(await_(sleep(Duration::from_secs(3600)))?))
///     .unwrap();
/// assert!(start.elapsed() < Duration::from_secs(3600));
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until it is asked for a loop"]
pub struct LoopBuilder {
    options: Options,
    debug: Option<bool>,
}

/// Whoever holds a loop in debug mode longer is reported: asyncio's `slow_callback_duration`.
const SLOW: Duration = Duration::from_millis(100);

/// How long a virtual clock waits for the rest of the world.
const PATIENCE: Duration = Duration::from_millis(5);

impl LoopBuilder {
    /// The real clock, the order of asyncio, and debug mode if the environment variable `YIELDFROM_DEBUG` is set (to anything
    /// but `0`).
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock for tests. It stands still while anything is ready, and then jumps to the next time at which something is due:
    /// nobody ever sleeps, and what happens does not depend on how fast the machine is.
    ///
    /// If nothing is ready and nothing is due, the loop stops with [`LoopError::Deadlock`].
    ///
    /// It does not jump while a function runs on [another thread](crate::task::unblock()). While tasks wait for something else
    /// that is not the loop's (input and output, a timer of async-io, a channel from another thread), it waits for that in
    /// real time first, for so long as its [patience](Self::patience).
    ///
    /// A function on another thread that itself waits for a task of the loop to sleep would therefore wait for ever.
    pub fn virtual_clock(mut self) -> Self {
        self.options.is_virtual = true;
        self.options.patience = PATIENCE;
        self
    }

    /// How long a [virtual clock](Self::virtual_clock) waits for what is not the loop's before it jumps, in real time. By
    /// default 5 ms.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.options.patience = patience;
        self
    }

    /// Has those who are ready at the same time run in a random order, to find out whether something depends on it. The same
    /// seed gives the same order, as far as nothing but the loop decides what is ready when.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = Some(seed);
        self
    }

    /// In debug mode, a task or callback that holds the loop for more than 100 ms is [reported](Reason::HeldTheLoop), and the loop
    /// listens to [Ctrl-\](Self::dump_on_quit).
    pub fn debug(mut self, debug: bool) -> Self {
        self.debug = Some(debug);
        self
    }

    /// Reports whoever holds the loop for longer than this.
    pub fn slow_after(mut self, slow: Duration) -> Self {
        self.options.slow = Some(slow);
        self
    }

    /// What to do with what the loop has to report, instead of what is done with it in the whole process (see
    /// [`set_unraisable_hook`](crate::set_unraisable_hook)): `loop.set_exception_handler`.
    pub fn report_to(mut self, handler: impl Fn(&Unraisable<'_>) + 'static) -> Self {
        self.options.handler = Some(Rc::new(handler));
        self
    }

    /// What to do on a [virtual clock](Self::virtual_clock) if nothing is ready and nothing is due. If something is ready after
    /// that, the loop goes on.
    pub fn on_deadlock(mut self, callback: impl Fn() + 'static) -> Self {
        self.options.on_deadlock = Some(Rc::new(callback));
        self
    }

    /// Has Ctrl-\, or the signal `SIGQUIT`, print a [`Dump`](crate::task::Dump) of the tasks on standard error. On Unix, unless the
    /// program handles that signal itself.
    pub fn dump_on_quit(mut self, dump: bool) -> Self {
        self.options.on_quit = dump.then_some(print_dump);
        self
    }

    /// Makes a loop.
    pub fn build(&self) -> Loop {
        let mut options = self.options.clone();
        let debug = self.debug.unwrap_or_else(|| {
            std::env::var_os("YIELDFROM_DEBUG").is_some_and(|set| !set.is_empty() && set != "0")
        });
        if debug {
            options.slow = options.slow.or(Some(SLOW));
            options.on_quit = Some(print_dump);
        }
        Loop {
            scheduler: Scheduler::new(options),
        }
    }
}

/// The properties of a loop that can be sent to another thread.
pub(crate) struct Travelling {
    options: (bool, Duration, Option<u64>, Option<Duration>, bool),
    debug: Option<bool>,
}

impl LoopBuilder {
    pub(crate) fn that_travel(&self) -> Travelling {
        let options = &self.options;
        Travelling {
            options: (
                options.is_virtual,
                options.patience,
                options.seed,
                options.slow,
                options.on_quit.is_some(),
            ),
            debug: self.debug,
        }
    }
}

impl Travelling {
    pub(crate) fn build(self) -> Loop {
        let (is_virtual, patience, seed, slow, dumps_on_quit) = self.options;
        let options = Options {
            is_virtual,
            patience,
            seed,
            slow,
            on_quit: dumps_on_quit.then_some(print_dump),
            ..Options::default()
        };
        let debug = self.debug;
        LoopBuilder { options, debug }.build()
    }
}

impl fmt::Debug for LoopBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopBuilder")
            .field("is_virtual", &self.options.is_virtual)
            .field("seed", &self.options.seed)
            .field("slow_after", &self.options.slow)
            .field("debug", &self.debug)
            .finish_non_exhaustive()
    }
}

fn print_dump(scheduler: &Scheduler) {
    eprint!("{}", Dump::of(scheduler));
}

/// Goes on with a panic of the main task.
pub(crate) fn unwind_if_panicked<R>(outcome: Result<R, Exception>) -> Result<R, Exception> {
    match outcome {
        Err(error) if error.is::<Panicked>() => match error.downcast::<Panicked>() {
            Ok(panicked) => resume_unwind(panicked.into_payload()),
            Err(error) => Err(error),
        },
        outcome => outcome,
    }
}
