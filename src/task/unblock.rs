//! Functions that can only block, on other threads.

#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::exception::Exception;
use crate::task::error::Panicked;
use crate::task::future::{Future, Promise, promise_in};
use crate::task::remote::Message;
use crate::task::scheduler::Scheduler;

/// Runs a function on a thread of [`blocking`]'s pool: `loop.run_in_executor`, `asyncio.to_thread`.
///
/// It starts at once, whether somebody waits for the result or not, and cannot be stopped: if the future is cancelled, the
/// result is dropped. An error that nobody asks for is reported. [`run`](crate::task::run()) waits for all such functions in the
/// end.
///
/// On a thread without an event loop it is done in place.
///
/// ```
/// use yieldfrom::{await_, task::{run, unblock}};
///
/// let read = run(|| {
///     let read = unblock(|| Ok(std::fs::read_to_string("Cargo.toml")?));
///     await_(read)? // other tasks run meanwhile
/// });
/// assert!(read.unwrap().contains("yieldfrom"));
/// ```
pub fn unblock<R, F>(function: F) -> Future<R>
where
    R: Send + 'static,
    F: FnOnce() -> Result<R, Exception> + Send + 'static,
{
    let Some(scheduler) = Scheduler::running() else {
        let (promise, future) = promise_in(None);
        settle(&promise, call(function));
        return future;
    };
    let (promise, future) = promise_in(Some(scheduler.clone()));
    let key = scheduler.keep(Box::new(promise));
    let mailbox = scheduler.mailbox.clone();
    let done = move || {
        let outcome = call(function);
        let tell = move || {
            let scheduler = Scheduler::running().expect("messages arrive in a running loop");
            if let Ok(promise) = scheduler.take_kept(key).downcast::<Promise<R>>() {
                settle(&promise, outcome);
            }
        };
        // If the loop is closed, nobody wants to know.
        drop(mailbox.inbox.send(Message::Call(Box::new(tell))));
    };
    blocking::unblock(done).detach();
    future
}

fn call<R>(function: impl FnOnce() -> Result<R, Exception>) -> Result<R, Exception> {
    catch_unwind(AssertUnwindSafe(function))
        .unwrap_or_else(|payload| Err(Panicked::new(payload).into()))
}

fn settle<R: 'static>(promise: &Promise<R>, outcome: Result<R, Exception>) {
    // If it was cancelled, nobody wants to know any more.
    match outcome {
        Ok(value) => drop(promise.set_result(value)),
        Err(error) => drop(promise.set_exception(error)),
    }
}
