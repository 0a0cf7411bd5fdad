//! Tasks on an event loop: asyncio, typed.

mod alarm;
mod as_completed;
mod awaitable;
mod base;
mod body;
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
mod handle;
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
mod unblock;
mod wait;
mod wait_for;
mod waiter;
mod waiters;

pub use as_completed::{AsCompleted, as_completed};
pub use awaitable::{Awaitable, Joinable};
pub use body::IntoTask;
pub use catch_cancel::{CatchCancel, catch_cancel};
pub use dump::{Dump, dump};
pub use error::{
    AwaitsItself, ExceptionGroup, Interrupted, InvalidState, LoopError, Panicked, TimedOut,
};
pub use event_loop::{Loop, LoopBuilder};
pub use future::{AlreadyDone, BrokenPromise, CallbackKey, Future, Promise, promise};
pub use gather::{Gather, GatherAll, Set, gather};
pub use group::{TaskGroup, task_group};
pub use handle::{Handle, call_at, call_later, call_soon, time};
pub use loop_handle::{LoopHandle, handle};
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
