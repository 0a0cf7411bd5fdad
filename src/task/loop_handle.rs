//! An event loop as other threads see it.

#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::builder::Builder;
use crate::task::body::IntoTask;
use crate::task::error::LoopError;
use crate::task::remote::{Message, Outside};
use crate::task::remote_task::RemoteTask;
use crate::task::scheduler::Scheduler;
use crate::task::spawn::spawn_at;

/// Gives an event loop work from other threads: the only part of a loop that can be sent there. A clone is of the same loop.
///
/// What travels is the closure; the task runs on the loop's thread from its first turn to its last. Its result can be awaited
/// anywhere, also by other executors, as it can be [sent](Send) back.
///
/// ```
/// use std::thread;
/// use yieldfrom::{await_, task::{loop_handle, run, unblock}};
///
/// let sum = run(|| {
///     let this_loop = loop_handle();
///     let elsewhere = unblock(move || {
///         let task = this_loop.spawn(|| Ok(20 + 1)); // runs on the loop's thread
///         Ok(2 * await_(task)??) // this is another one, and blocks
///     });
///     await_(elsewhere)?
/// });
/// assert_eq!(sum.unwrap(), 42);
/// ```
#[derive(Clone)]
pub struct LoopHandle(pub(crate) Arc<Outside>);

/// A handle of the loop that runs on this thread, for other threads.
///
/// # Panics
///
/// If there is none.
pub fn loop_handle() -> LoopHandle {
    match Scheduler::running() {
        Some(scheduler) => LoopHandle(scheduler.outside.clone()),
        None => panic!("`loop_handle` called on a thread where no event loop runs"),
    }
}

impl LoopHandle {
    /// Has the loop call a function: `loop.call_soon_threadsafe`.
    ///
    /// # Errors
    ///
    /// If the loop is closed. (If it is closed before the function was called, that is dropped.)
    pub fn call_soon(&self, callback: impl FnOnce() + Send + 'static) -> Result<(), LoopError> {
        let message = Message::Call(Box::new(callback));
        self.0.0.inbox.send(message).map_err(|_| LoopError::Closed)
    }

    /// Makes a task of the loop: `asyncio.run_coroutine_threadsafe`.
    ///
    /// If the loop is closed before the task has ended, that ends with [`LoopError::Closed`].
    #[track_caller]
    pub fn spawn<M, B>(&self, body: B) -> RemoteTask<B::Output>
    where
        B: IntoTask<M> + Send + 'static,
        B::Output: Send + 'static,
    {
        self.spawn_with(&Builder::new(), body)
    }

    /// As [`spawn`](Self::spawn), with a name or another stack size.
    #[track_caller]
    pub fn spawn_with<M, B>(&self, builder: &Builder, body: B) -> RemoteTask<B::Output>
    where
        B: IntoTask<M> + Send + 'static,
        B::Output: Send + 'static,
    {
        let place = Location::caller();
        let (task, delivery) = RemoteTask::new(self.0.clone());
        let builder = builder.clone();
        let begin = move || {
            let scheduler = Scheduler::running().expect("messages arrive in a running loop");
            delivery.begin(|| spawn_at(&scheduler, &builder, place, body));
        };
        // If the loop is closed, the delivery is dropped, and says so.
        let _ = self.call_soon(begin);
        task
    }

    /// Stops the loop after the iteration in which it is told, see [`Loop::stop`](crate::task::Loop::stop).
    ///
    /// # Errors
    ///
    /// If the loop is closed.
    pub fn stop(&self) -> Result<(), LoopError> {
        self.call_soon(|| {
            if let Some(scheduler) = Scheduler::running() {
                scheduler.is_stopping.set(true);
            }
        })
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle").finish_non_exhaustive()
    }
}
