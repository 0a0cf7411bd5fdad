//! Tasks, whatever they return.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::task::cancel::{Cancel, Ticket, Todo, cancel};
use crate::task::entry::{AnyTask, Header, Phase};
use crate::task::scheduler::Scheduler;
use crate::task::turn::running_task;
use crate::task::waiter::awaits;

/// A task, whatever it returns: to cancel it, or to wait until it is done. A clone refers to the same task.
///
/// From [`Task::to_ref`](crate::task::Task::to_ref), [`current`] or [`all_tasks`].
#[derive(Clone)]
pub struct TaskRef(pub(crate) Rc<dyn AnyTask>);

/// The task that the caller runs in, as `asyncio.current_task`. `None` outside of tasks, also in callbacks.
pub fn current() -> Option<TaskRef> {
    running_task().map(TaskRef)
}

/// The tasks of the loop that runs on this thread which have not ended, in the order in which they were spawned.
pub fn all_tasks() -> Vec<TaskRef> {
    let running = Scheduler::running();
    running.map_or_else(Vec::new, |scheduler| {
        scheduler.tasks().into_iter().map(TaskRef).collect()
    })
}

impl TaskRef {
    fn header(&self) -> &Header {
        self.0.header()
    }

    /// A number that no other task of the loop has.
    pub fn id(&self) -> u64 {
        self.header().id
    }

    /// As [`Task::name`](crate::task::Task::name).
    pub fn name(&self) -> String {
        self.header().name()
    }

    /// Where it was spawned.
    pub fn place(&self) -> &'static Location<'static> {
        self.header().place
    }

    /// Whether it has ended.
    pub fn is_done(&self) -> bool {
        self.0.phase() != Phase::Pending
    }

    /// Whether it has ended with [`Cancelled`](crate::Cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.0.phase() == Phase::Cancelled
    }

    /// As [`Task::cancel`](crate::task::Task::cancel).
    pub fn cancel(&self) -> bool {
        cancel(self.0.clone())
    }

    /// As [`Task::cancelling`](crate::task::Task::cancelling).
    pub fn cancelling(&self) -> u32 {
        self.header().cancels.get()
    }

    /// As [`Task::uncancel`](crate::task::Task::uncancel).
    pub fn uncancel(&self) -> u32 {
        self.header().uncancel()
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TaskRef {}

/// Waits until the task is done, however it ends.
impl IntoFuture for &TaskRef {
    type Output = ();
    type IntoFuture = Done;

    fn into_future(self) -> Done {
        let (task, key) = (self.0.clone(), None);
        Done { task, key }
    }
}

/// Waits until a task is done. Made of a reference to a [`TaskRef`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Done {
    task: Rc<dyn AnyTask>,
    key: Option<u32>,
}

impl Future for Done {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.task.phase() != Phase::Pending {
            self.key = None;
            return Poll::Ready(());
        }
        if let Some(key) = self.key.take() {
            self.task.unwatch(key);
        }
        let entry = awaits(Rc::new(Look(self.task.clone())), 0, context);
        self.key = Some(self.task.watch(entry));
        Poll::Pending
    }
}

/// What somebody waits for who only looks: it is not cancelled together with them.
struct Look(Rc<dyn AnyTask>);

impl Cancel for Look {
    fn request(self: Rc<Self>, _: Ticket, _: &mut Todo) -> bool {
        false
    }

    fn is_deaf(&self) -> bool {
        true
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.task.unwatch(key);
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Done")
            .field(&TaskRef(self.task.clone()))
            .finish()
    }
}

/// As asyncio's: `<Task pending name='spinner' spawned at src/main.rs:10:5>`.
impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header();
        let phase = match self.0.phase() {
            Phase::Pending if header.cancels.get() > 0 => "cancelling",
            Phase::Pending => "pending",
            Phase::Cancelled => "cancelled",
            Phase::Returned | Phase::Raised => "finished",
        };
        let (name, place) = (header.name(), header.place);
        write!(f, "<Task {phase} name='{name}' spawned at {place}")?;
        for awaited in header.waits_for() {
            f.write_str(" waits for ")?;
            awaited.target.describe(f)?;
        }
        f.write_str(">")
    }
}
