//! Running a program on an event loop.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;

use crate::exception::Exception;
use crate::task::body::IntoTask;
use crate::task::cancel::cancel;
use crate::task::entry::{Entry, Phase};
use crate::task::error::Interrupted;
use crate::task::event_loop::{Loop, LoopBuilder, unwind_if_panicked};
use crate::task::scheduler::Scheduler;
use crate::unraisable::Reason;

/// Runs a closure or a future as the main task of a new event loop, and returns what it returns: `asyncio.run`.
///
/// In the end all tasks that are left are cancelled, and have time to clean up; and functions that run on [other
/// threads](crate::task::unblock()) are waited for. What the tasks then raise is reported.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{run, sleep}};
///
/// let greeting = run(|| {
///     await_(sleep(Duration::from_millis(1)))?;
///     Ok("hello")
/// });
/// assert_eq!(greeting.unwrap(), "hello");
/// ```
///
/// # Ctrl-C
///
/// The first one cancels the main task. Once that has cleaned up, and the others have, this is the error [`Interrupted`] (unless
/// the main task goes on and returns something). The second one ends the process with status 130, whatever it is doing. So it is on
/// Unix, unless the program handles `SIGINT` itself.
///
/// # Errors
///
/// What the main task raises; or a [`LoopError`](crate::task::LoopError) if another loop runs on this thread.
///
/// # Panics
///
/// If the main task does. (Other tasks that panic end with the error [`Panicked`](crate::task::Panicked).)
#[track_caller]
pub fn run<M, B>(main: B) -> Result<B::Output, Exception>
where
    B: IntoTask<M> + 'static,
    B::Output: 'static,
{
    Loop::new().run(main)
}

impl LoopBuilder {
    /// As [`run`], in a loop with these properties.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    #[track_caller]
    pub fn run<M, B>(&self, main: B) -> Result<B::Output, Exception>
    where
        B: IntoTask<M> + 'static,
        B::Output: 'static,
    {
        self.build().run(main)
    }
}

impl Loop {
    /// As [`run`], in this loop.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    #[track_caller]
    pub fn run<M, B>(self, main: B) -> Result<B::Output, Exception>
    where
        B: IntoTask<M> + 'static,
        B::Output: 'static,
    {
        self.check()?;
        let main = self.spawn(main);
        let interrupts = Rc::new(Cell::new(0));
        let on_interrupt = {
            let (main, interrupts) = (main.to_ref(), interrupts.clone());
            move || {
                interrupts.set(interrupts.get() + 1);
                main.cancel();
            }
        };
        self.scheduler.listen(Some(Rc::new(on_interrupt)));
        let completed = self.run_until(&main);
        let is_interrupted = interrupts.get() > 0 && main.is_cancelled() && main.uncancel() == 0;
        self.end();
        completed?;
        if is_interrupted {
            return Err(Interrupted::new().into());
        }
        unwind_if_panicked(main.take_result())
    }

    /// Cancels all tasks that are left, waits until they have ended, and for functions that run on other threads; then closes
    /// the loop.
    pub fn shutdown(self) {
        self.end();
    }

    fn end(&self) {
        if self.check().is_ok() {
            self.cancel_all();
            self.scheduler.waits_for_kept.set(true);
            if self.scheduler.has_kept() {
                self.scheduler.run();
            }
        }
        self.scheduler.close();
    }

    fn cancel_all(&self) {
        let scheduler = &self.scheduler;
        let tasks = scheduler.tasks();
        if tasks.is_empty() {
            return;
        }
        let left = Rc::new(Left {
            scheduler: scheduler.clone(),
            left: Cell::new(tasks.len()),
        });
        for task in &tasks {
            task.watch(left.clone());
        }
        for task in &tasks {
            cancel(task.clone().as_target().as_cancel());
        }
        scheduler.run();
        for task in tasks {
            if task.phase() == Phase::Raised {
                if let Some(error) = task.share_error() {
                    let reason = Reason::AtShutdown(error);
                    scheduler.report(Some(&task.header().name()), reason);
                }
            }
        }
    }
}

/// Stops the loop when the last of several tasks has ended.
struct Left {
    scheduler: Rc<Scheduler>,
    left: Cell<usize>,
}

impl Entry for Left {
    fn run(self: Rc<Self>) {
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.scheduler.is_stopping.set(true);
        }
    }

    fn wake(self: Rc<Self>) -> Option<Rc<dyn Entry>> {
        Some(self)
    }
}
