//! Tasks that do not outlive a scope.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use slab::Slab;

use crate::await_::await_;
use crate::builder::Builder;
use crate::exception::Exception;
use crate::scope::{can_wait, get_stuck, in_fiber};
use crate::task::body::IntoTask;
use crate::task::cancel::cancel;
use crate::task::cell::TaskCell;
use crate::task::entry::{AnyTask, Observation, Observe, Phase};
use crate::task::error::ExceptionGroup;
use crate::task::scheduler::Scheduler;
use crate::task::task::Task;
use crate::task::turn::running_task;
use crate::task::waiter::{Waiter, What};

/// Runs `body` with a group of tasks, and waits until all of them have ended: `asyncio.TaskGroup`.
///
/// As they do, they may borrow what was there before the group, as threads in [`std::thread::scope`] may:
///
/// ```
/// use std::{cell::Cell, time::Duration};
/// use yieldfrom::{await_, task::{run, sleep, task_group}};
///
/// run(|| {
///     let words = vec!["spam", "eggs"];
///     let letters = Cell::new(0);
///     task_group(|group| {
///         for word in &words {
///             group.spawn(|| {
///                 await_(sleep(Duration::from_millis(1)))?;
///                 letters.set(letters.get() + word.len());
///                 Ok(())
///             });
///         }
///         Ok(())
///     })?;
///     assert_eq!(letters.get(), 8);
///     Ok(())
/// }).unwrap();
/// ```
///
/// The first task that fails has the others cancelled, and `body`, should it still run. To be cancelled is no failure. When
/// whoever waits here is cancelled, so are all tasks. The order of all that is CPython 3.13's.
///
/// # Errors
///
/// An [`ExceptionGroup`] of all that has failed; else what `body` raises, if that is [`Exception::Cancelled`].
///
/// # Panics
///
/// If `body` does, after the tasks have been cancelled and have ended. Also outside of tasks.
pub fn task_group<'env, T, F>(body: F) -> Result<T, Exception>
where
    F: for<'scope> FnOnce(&'scope TaskGroup<'scope, 'env>) -> Result<T, Exception>,
{
    let (Some(scheduler), Some(parent)) = (Scheduler::running(), running_task()) else {
        panic!("`task_group` called outside of tasks");
    };
    if !can_wait() {
        // In a future: nobody could wait for the tasks. While a panic unwinds, or at the end of a fiber: nobody does.
        assert!(
            in_fiber() || std::thread::panicking(),
            "`task_group` called in a future; call it in a closure that is a task, or in a `fiber`"
        );
        return Err(Exception::Cancelled);
    }
    let group = TaskGroup {
        state: Rc::new(State {
            scheduler,
            parent,
            tasks: RefCell::default(),
            errors: RefCell::default(),
            is_aborting: Cell::new(false),
            has_cancelled_parent: Cell::new(false),
            last: Cell::new(None),
        }),
        scope: PhantomData,
        env: PhantomData,
    };
    let state = &group.state;
    // From here on, this frame is not left before all tasks have ended.
    let _end = End(state);
    match catch_unwind(AssertUnwindSafe(|| body(&group))) {
        Ok(outcome) => state.join(outcome),
        Err(payload) => {
            drop(state.join::<()>(Err(Exception::Cancelled)));
            resume_unwind(payload)
        }
    }
}

/// Tasks that end before the call of [`task_group`] does.
pub struct TaskGroup<'scope, 'env: 'scope> {
    state: Rc<State>,
    // As those of `std::thread::Scope`: neither can be made shorter or longer.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

struct State {
    scheduler: Rc<Scheduler>,
    /// In which the group was made.
    parent: Rc<dyn AnyTask>,
    /// Those that have not ended.
    tasks: RefCell<Slab<Rc<dyn AnyTask>>>,
    errors: RefCell<Vec<Exception>>,
    is_aborting: Cell<bool>,
    /// The parent was cancelled because a task has failed.
    has_cancelled_parent: Cell<bool>,
    /// Waits for the last task to end.
    last: Cell<Option<Rc<Waiter>>>,
}

impl<'scope> TaskGroup<'scope, '_> {
    /// Makes a task of a closure or a future, as [`spawn`](crate::task::spawn()) does. It may borrow what lives longer than the
    /// group; its result may not.
    ///
    /// If the group is being cancelled, the task is too, before it begins. (CPython raises a `RuntimeError`.)
    #[track_caller]
    pub fn spawn<M, B>(&'scope self, body: B) -> Task<B::Output>
    where
        B: IntoTask<M> + 'scope,
        B::Output: 'static,
    {
        self.spawn_with(&Builder::new(), body)
    }

    /// As [`spawn`](Self::spawn), with a name or another stack size.
    #[track_caller]
    pub fn spawn_with<M, B>(&'scope self, builder: &Builder, body: B) -> Task<B::Output>
    where
        B: IntoTask<M> + 'scope,
        B::Output: 'static,
    {
        // SAFETY: what it borrows outlives 'scope, which contains the call of `task_group`. That is not left before the task
        // has ended, and its body with it: `join` waits for it. If it cannot wait, or something panics, `End` has the task
        // ended at once; and if even that is impossible, the frame is never left at all. Attacked by tests/task_group.rs.
        let body = unsafe { body.into_body(builder) };
        let (scheduler, name) = (&self.state.scheduler, builder.config().name);
        let cell = TaskCell::spawn(scheduler, name, Location::caller(), body);
        self.state.add(cell.clone());
        Task::of(cell)
    }
}

impl State {
    fn add(self: &Rc<Self>, task: Rc<dyn AnyTask>) {
        let key = self.tasks.borrow_mut().insert(task.clone());
        task.watch(Observation::of(self, key as u32));
        if self.is_aborting.get() {
            cancel(task.as_target().as_cancel());
        }
    }

    fn is_empty(&self) -> bool {
        self.tasks.borrow().is_empty()
    }

    /// Those that have not ended, in the order in which they were spawned.
    fn tasks(&self) -> Vec<Rc<dyn AnyTask>> {
        let tasks = self.tasks.borrow();
        let mut tasks: Vec<_> = tasks.iter().map(|(_, task)| task.clone()).collect();
        tasks.sort_by_key(|task| task.header().id);
        tasks
    }

    fn abort(&self) {
        self.is_aborting.set(true);
        for task in self.tasks() {
            if task.phase() == Phase::Pending {
                cancel(task.as_target().as_cancel());
            }
        }
    }

    /// Waits until all tasks have ended, and tells how the group has.
    fn join<T>(&self, outcome: Result<T, Exception>) -> Result<T, Exception> {
        let is_cancelled = matches!(&outcome, Err(error) if error.is_cancelled());
        let mut is_to_be_cancelled = is_cancelled;
        if outcome.is_err() && !self.is_aborting.get() {
            self.abort();
        }
        while !self.is_empty() {
            let last = Waiter::new(What::Group);
            self.last.set(Some(last.clone()));
            let woken = await_(Last(last));
            if woken.is_err() && !can_wait() {
                self.end_by_force();
            } else if woken.is_err() && !self.is_aborting.get() {
                is_to_be_cancelled = true;
                self.abort();
            }
            drop(self.last.take());
        }
        let parent = self.parent.header();
        if self.has_cancelled_parent.get() && parent.uncancel() == 0 {
            is_to_be_cancelled = false;
        }
        let mut errors = self.errors.take();
        if is_to_be_cancelled && errors.is_empty() {
            return Err(Exception::Cancelled);
        }
        let value = match outcome {
            Ok(value) => Some(value),
            Err(error) if !is_cancelled => {
                errors.push(error);
                None
            }
            Err(_) => None,
        };
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            _ => {
                if parent.cancels.get() > 0 {
                    // So that it is told, as the error takes the place of what it was told here.
                    parent.uncancel();
                    cancel(self.parent.clone().as_target().as_cancel());
                }
                Err(ExceptionGroup::new(errors).into())
            }
        }
    }

    /// Ends all tasks, as nobody can wait for them.
    #[cold]
    fn end_by_force(&self) {
        let mut is_over = true;
        for task in self.tasks() {
            is_over &= task.abandon();
        }
        if !is_over {
            // One of them runs, and so may use what it borrows; or it could not be unwound, and something on its stack may.
            get_stuck();
        }
        drop(self.tasks.take());
    }
}

impl Observe for State {
    /// A task has ended.
    fn observe(self: Rc<Self>, which: u32) {
        let task = self.tasks.borrow_mut().try_remove(which as usize);
        let Some(task) = task else { return };
        if self.is_empty() {
            if let Some(last) = self.last.take() {
                last.go_on();
                self.last.set(Some(last));
            }
        }
        let Some(error) = task.share_error() else {
            return;
        };
        self.errors.borrow_mut().push(error);
        if !self.is_aborting.get() && !self.has_cancelled_parent.get() {
            self.abort();
            self.has_cancelled_parent.set(true);
            cancel(self.parent.clone().as_target().as_cancel());
        }
    }
}

/// Ends what has not ended, if the frame of a group is left in another way than by its end.
struct End<'a>(&'a State);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            self.0.end_by_force();
        }
    }
}

/// Waits for the last task of a group.
struct Last(Rc<Waiter>);

impl Future for Last {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll(context)
    }
}

impl fmt::Debug for TaskGroup<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("tasks", &self.state.tasks.borrow().len())
            .field("errors", &self.state.errors.borrow().len())
            .field("is_aborting", &self.state.is_aborting.get())
            .finish_non_exhaustive()
    }
}
