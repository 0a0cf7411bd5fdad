//! Making tasks.

use std::panic::Location;
use std::rc::Rc;

use crate::builder::Builder;
use crate::task::body::IntoTask;
use crate::task::cell::TaskCell;
use crate::task::scheduler::Scheduler;
use crate::task::task::Task;

/// Makes a task of a closure or a future, as `asyncio.create_task`.
///
/// Nothing of it runs yet: it has its first turn after all who are ready by now, in the order in which tasks are spawned. A
/// closure runs on a stack of its own, where it waits with [`await_`](crate::await_()) and whatever is built on it; a future is
/// polled.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{run, sleep, spawn}};
///
/// let sum = run(|| {
///     let one = spawn(|| {
///         await_(sleep(Duration::from_millis(2)))?;
///         Ok(1)
///     });
///     let two = spawn(async {
///         sleep(Duration::from_millis(1)).await;
///         Ok(2)
///     });
///     Ok(await_(one)?? + await_(two)??)
/// });
/// assert_eq!(sum.unwrap(), 3);
/// ```
///
/// # Panics
///
/// If no event loop runs on this thread: ``"`spawn` called on a thread where no event loop runs; call it in a task, or
/// `Loop::spawn`"``.
#[track_caller]
pub fn spawn<M, B>(body: B) -> Task<B::Output>
where
    B: IntoTask<M> + 'static,
    B::Output: 'static,
{
    Builder::new().spawn(body)
}

impl Builder {
    /// Makes a [task](crate::task::spawn()) with this name, and if its body is a closure, with a stack of this size.
    ///
    /// # Panics
    ///
    /// If no event loop runs on this thread.
    #[track_caller]
    pub fn spawn<M, B>(&self, body: B) -> Task<B::Output>
    where
        B: IntoTask<M> + 'static,
        B::Output: 'static,
    {
        let Some(scheduler) = Scheduler::running() else {
            panic!(
                "`spawn` called on a thread where no event loop runs; call it in a task, or `Loop::spawn`"
            );
        };
        spawn_in(&scheduler, self, body)
    }
}

/// Makes a task in a loop that need not run.
#[track_caller]
pub(crate) fn spawn_in<M, B>(
    scheduler: &Rc<Scheduler>,
    builder: &Builder,
    body: B,
) -> Task<B::Output>
where
    B: IntoTask<M> + 'static,
    B::Output: 'static,
{
    spawn_at(scheduler, builder, Location::caller(), body)
}

/// [`spawn_in`] on behalf of somebody at `place`.
pub(crate) fn spawn_at<M, B>(
    scheduler: &Rc<Scheduler>,
    builder: &Builder,
    place: &'static Location<'static>,
    body: B,
) -> Task<B::Output>
where
    B: IntoTask<M> + 'static,
    B::Output: 'static,
{
    // SAFETY: nothing is borrowed: the bounds say so.
    let body = unsafe { body.into_body(builder) };
    let name = builder.config().name;
    Task::of(TaskCell::spawn(scheduler, name, place, body))
}
