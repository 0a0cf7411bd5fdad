//! Tasks on an event loop: asyncio, typed.
//!
//! A task is a closure or a future that an event loop runs, on one thread, with others. [`run`] makes a loop, [`spawn`] a task;
//! [`await_`](crate::await_()) waits for whatever can be awaited, from any depth of calls. What runs when is asyncio's, CPython 3.13,
//! turn by turn: random programs give the same trace on both (`examples/replay`).
//!
//! ```
//! use std::time::Duration;
//! use yieldfrom::{await_, Cancelled, task::{gather, run, sleep, spawn}};
//!
//! /// Knows nothing of tasks. Could be deep inside of a library.
//! fn download(name: &'static str) -> Result<String, Cancelled> {
//!     await_(sleep(Duration::from_millis(1)))?; // other tasks run meanwhile
//!     Ok(format!("<{name}>"))
//! }
//!
//! let pages = run(|| {
//!     let tasks = ["spam", "eggs", "ham"].map(|name| spawn(move || Ok(download(name)?)));
//!     await_(gather(tasks))?
//! });
//! assert_eq!(pages.unwrap(), ["<spam>", "<eggs>", "<ham>"]);
//! ```
//!
//! The first `?` after an `await_` is for the cancellation with which *this* task may be told to end; the second, where there is
//! one, for what is awaited: tasks and futures can fail, or be cancelled themselves. (In Python these look alike.)
//!
//! The reactor that waits for sockets is [`async-io`](https://docs.rs/async-io)'s, and the threads for what can only block are
//! [`blocking`](https://docs.rs/blocking)'s. So futures of all crates of the smol family can be awaited as they are, and any other future
//! that needs no executor of its own. The types of [`io`](crate::io) suspend a task where the standard library's would block.
//!
//! # From asyncio
//!
//! | asyncio | here |
//! |---|---|
//! | `asyncio.run(main())` | [`run`]`(main)` |
//! | `asyncio.create_task(f())` | [`spawn`]`(f)`; `Builder::new().name("f").spawn(f)` |
//! | `await x` | `await_(x)?`, in a future `x.await` |
//! | `asyncio.sleep`, `gather`, `wait`, `as_completed`, `wait_for`, `shield` | [`sleep`], [`gather`], [`wait`], [`as_completed`], [`wait_for`], [`shield`] |
//! | `async with asyncio.timeout(k): ..` | [`timeout`]`(k, \|\| ..)`, [`Timeout`] |
//! | `async with asyncio.TaskGroup() as tg: ..` | [`task_group`]`(\|group\| ..)` |
//! | `task.cancel()`, `cancelling()`, `uncancel()`, `add_done_callback(f)` .. | the same of [`Task`] |
//! | `except asyncio.CancelledError: ..` | `if let Err(Cancelled) = await_(x) { .. }`: [`Cancelled`](crate::Cancelled), [`Exception::Cancelled`](crate::Exception::Cancelled) |
//! | `except* SomeError` | [`ExceptionGroup::errors`] |
//! | `loop.create_future()` | [`promise`]`()`: a [`Promise`], which sets, and a [`Future`], which is awaited |
//! | `loop.run_in_executor(None, f)`, `asyncio.to_thread(f)` | [`unblock`]`(f)` |
//! | `asyncio.Lock`, `Event`, `Condition`, `Semaphore`, `BoundedSemaphore`, `Barrier` | [`Lock`], [`Event`], [`Condition`], [`Semaphore`], [`BoundedSemaphore`], [`Barrier`] |
//! | `asyncio.Queue`, `LifoQueue`, `PriorityQueue` | [`Queue`], [`LifoQueue`], [`PriorityQueue`] |
//! | `asyncio.open_connection`, `start_server`, `create_subprocess_exec` | [`io::TcpStream`](crate::io::TcpStream), [`io::TcpListener`](crate::io::TcpListener), [`io::Child`](crate::io::Child) |
//! | `async for`, `async def` with `yield` | [`await_each`](crate::await_each), [`stream`](crate::stream()) |
//! | `asyncio.current_task()`, `all_tasks()` | [`current`]`()`, [`all_tasks`]`()` |
//! | `loop.call_soon`, `call_later`, `call_at`, `time` | [`call_soon`], [`call_later`], [`call_at`], [`time`] |
//! | `asyncio.new_event_loop()`, `run_until_complete`, `close` | [`Loop`] |
//! | `loop.call_soon_threadsafe`, `run_coroutine_threadsafe` | [`LoopHandle`], [`RemoteTask`] |
//! | `loop.set_debug(True)`, `PYTHONASYNCIODEBUG=1` | [`LoopBuilder::debug`], `YIELDFROM_DEBUG=1` |
//! | `loop.set_exception_handler(f)` | [`LoopBuilder::report_to`] |
//! | `python -m asyncio pstree PID` (3.14) | [`dump`], [Ctrl-\\](LoopBuilder::dump_on_quit) |
//!
//! Locks, queues and their like are for the tasks of one thread: no atomics, first come, first served. Where threads meet, await
//! [`async-lock`](https://docs.rs/async-lock) and [`async-channel`](https://docs.rs/async-channel).
//!
//! # Where it differs
//!
//! - A task that waits for itself, or tasks that wait for each other in a circle, can be cancelled. (CPython: `RecursionError`.)
//! - Timers that are due at the same time are called in the order in which they were set. (CPython leaves it to a heap.)
//! - A [`TaskGroup`] that is being cancelled takes tasks, and cancels them before they begin. (CPython: `RuntimeError`.)
//! - [`wait`] for no tasks at all waits for nothing. (CPython: `ValueError`.)
//! - An [`AsCompleted`] that is dropped forgets its timeout and its tasks. (CPython keeps both until the time has passed.)
//! - A `CancelledError` carries no message.
//! - [`as_completed`] gives back the tasks themselves, as `async for` over it does since 3.13.
//! - Tasks can await futures of another loop of the same thread. (CPython: `RuntimeError`.)
//! - There are no eager tasks; no context variables: a closure has what it captures; and of signals, the loop knows Ctrl-C and Ctrl-\
//!   only.
//! - A task whose body is a *future* cannot catch its cancellation but with [`catch_cancel`]: it is dropped where it waits.
//!
//! # Panics and errors that nobody sees
//!
//! A task that panics ends with the error [`Panicked`], and the loop goes on. Only a panic of the main task comes out of
//! [`run`]. Panics of callbacks and destructors, and errors for which nobody has asked when the task is dropped, are
//! [reported](crate::set_unraisable_hook).
//!
//! # Tests
//!
//! [`LoopBuilder::virtual_clock`] has no test wait for time to pass, and [`LoopBuilder::seed`] tries another order.
//!
//! ```
//! use std::time::Duration;
//! use yieldfrom::{await_, task::{sleep, time, timeout, LoopBuilder, TimedOut}};
//!
//! for seed in 0..10 {
//!     LoopBuilder::new().virtual_clock().seed(seed).run(|| {
//!         let late = timeout(Duration::from_secs(60), || Ok(await_(sleep(Duration::from_secs(3600)))?));
//!         assert!(late.unwrap_err().is::<TimedOut>());
//!         assert_eq!(time(), Duration::from_secs(60));
//!         Ok(())
//!     }).unwrap();
//! }
//! ```

mod alarm;
mod as_completed;
mod awaitable;
mod base;
mod body;
mod call;
mod callback;
mod cancel;
mod catch_cancel;
mod cell;
mod clock;
mod dump;
mod entry;
mod error;
mod event_loop;
mod future;
mod gather;
mod group;
mod inbox;
mod join;
mod loop_handle;
mod loop_thread;
mod remote;
mod remote_task;
mod run;
mod scheduler;
mod share;
mod shield;
#[cfg(unix)]
mod signals;
#[cfg(not(unix))]
#[path = "no_signals.rs"]
mod signals;
mod sleep;
mod spawn;
mod state;
mod sync;
#[allow(clippy::module_inception)]
mod task;
mod task_ref;
mod timeout;
mod timers;
mod turn;
mod unblock;
mod wait;
mod wait_for;
mod waiter;
mod waiters;

pub use as_completed::{AsCompleted, as_completed};
pub use awaitable::{Awaitable, Joinable};
pub use body::IntoTask;
pub use call::{Call, call_at, call_later, call_soon, time};
pub use catch_cancel::{CatchCancel, catch_cancel};
pub use dump::{Dump, dump};
pub use error::{
    AwaitsItself, ExceptionGroup, Interrupted, InvalidState, LoopError, Panicked, TimedOut,
};
pub use event_loop::{Loop, LoopBuilder};
pub use future::{AlreadyDone, BrokenPromise, CallbackKey, Future, Promise, promise};
pub use gather::{Gather, GatherAll, Gatherable, gather};
pub use group::{TaskGroup, task_group};
pub use loop_handle::{LoopHandle, loop_handle};
pub use loop_thread::LoopThread;
pub use remote_task::RemoteTask;
pub use run::run;
pub use share::Share;
pub use shield::{Shield, shield};
pub use sleep::{Sleep, sleep, sleep_until};
pub use spawn::spawn;
pub use sync::{
    Barrier, BoundedSemaphore, BrokenBarrier, Condition, ConditionWait, Event, EventWait, Get,
    GetError, LifoQueue, Lock, LockAcquire, LockGuard, Permit, PriorityQueue, Put, PutError, Queue,
    QueueJoin, QueueShutDown, Semaphore, SemaphoreAcquire, TooManyDone, TooManyReleases,
};
pub use task::Task;
pub use task_ref::{Done, TaskRef, all_tasks, current};
pub use timeout::{Timeout, TimeoutBody, WithTimeout, timeout, timeout_at};
pub use unblock::unblock;
pub use wait::{Wait, Waited, wait};
pub use wait_for::{WaitFor, wait_for};
