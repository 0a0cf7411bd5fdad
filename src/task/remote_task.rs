//! Tasks of an event loop as other threads see them.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::exception::Exception;
use crate::task::cancel::cancel;
use crate::task::entry::AnyTask;
use crate::task::error::LoopError;
use crate::task::remote::{Message, Outside};
use crate::task::scheduler::Scheduler;
use crate::task::task::Task;
use crate::unraisable::{Reason, report};

/// A task of an event loop that runs on another thread, as Python's `concurrent.futures.Future`. Made by
/// [`LoopHandle::spawn`](crate::task::LoopHandle::spawn).
///
/// It is a future for any executor. [`await_`](crate::await_()) waits for it everywhere: it suspends a fiber, or blocks a thread. If
/// it is dropped, the task goes on; an error that nobody asks for is reported.
pub struct RemoteTask<R> {
    slot: Arc<Slot<R>>,
    outside: Arc<Outside>,
}

/// Where the loop leaves how the task has ended.
struct Slot<R>(Mutex<State<R>>);

struct State<R> {
    outcome: Option<Result<R, Exception>>,
    is_done: bool,
    waker: Option<Waker>,
    is_to_be_cancelled: bool,
    /// Where the loop keeps the task, and its number.
    task: Option<(usize, u64)>,
}

/// The loop's end.
pub(crate) struct Delivery<R>(Arc<Slot<R>>);

impl<R> Slot<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing of others runs in there.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> RemoteTask<R> {
    pub(crate) fn new(outside: Arc<Outside>) -> (Self, Delivery<R>) {
        let slot = Arc::new(Slot(Mutex::new(State {
            outcome: None,
            is_done: false,
            waker: None,
            is_to_be_cancelled: false,
            task: None,
        })));
        let delivery = Delivery(slot.clone());
        (Self { slot, outside }, delivery)
    }

    /// Whether the task has ended.
    pub fn is_done(&self) -> bool {
        self.slot.lock().is_done
    }

    /// Asks the task to end, see [`Task::cancel`]. Returns whether it was still pending.
    pub fn cancel(&self) -> bool {
        let task = {
            let mut state = self.slot.lock();
            if state.is_done {
                return false;
            }
            state.is_to_be_cancelled = true;
            state.task
        };
        if let Some((key, id)) = task {
            let cancel = move || {
                let scheduler = Scheduler::running().expect("messages arrive in a running loop");
                if let Some(task) = scheduler.task(key, id) {
                    cancel(task.as_target().as_cancel());
                }
            };
            let inbox = &self.outside.0.inbox;
            drop(inbox.send(Message::Call(Box::new(cancel)))); // a closed loop has no tasks
        }
        true
    }
}

impl<R: Send + 'static> Delivery<R> {
    /// Makes the task, unless it was cancelled by now.
    pub(crate) fn begin(self, spawn: impl FnOnce() -> Task<R>) {
        if self.0.lock().is_to_be_cancelled {
            return self.deliver(Err(Exception::Cancelled));
        }
        let task = spawn();
        let (header, begun) = (task.cell.header(), self.0.clone());
        begun.lock().task = Some((header.key, header.id));
        if begun.lock().is_to_be_cancelled {
            task.cancel(); // just now
        }
        task.add_done_callback(move |task| self.deliver(task.take_result()));
    }
}

impl<R> Delivery<R> {
    fn deliver(&self, outcome: Result<R, Exception>) {
        let waker = {
            let mut state = self.0.lock();
            state.outcome = Some(outcome);
            state.is_done = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The loop is closed.
impl<R> Drop for Delivery<R> {
    fn drop(&mut self) {
        if !self.0.lock().is_done {
            self.deliver(Err(LoopError::Closed.into()));
        }
    }
}

impl<R> Drop for Slot<R> {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        match state.outcome.take() {
            Some(Err(Exception::Cancelled)) | None => {}
            Some(Err(error)) if error.is::<LoopError>() => {} // it is nobody's fault
            Some(Err(error)) => report(None, Reason::NeverRetrieved(error)),
            Some(Ok(value)) => drop(value),
        }
    }
}

impl<R> Future for RemoteTask<R> {
    type Output = Result<R, Exception>;

    /// # Panics
    ///
    /// If it is polled after its end.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker().clone();
        let mut state = self.slot.lock();
        match state.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                assert!(!state.is_done, "a future is not polled after its end");
                let old = state.waker.replace(waker);
                drop(state);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl<R> fmt::Debug for RemoteTask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTask")
            .field("is_done", &self.is_done())
            .finish_non_exhaustive()
    }
}
