//! Tasks in the order in which they are done.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::Stream;

use crate::await_::await_;
use crate::exception::Exception;
use crate::task::awaitable::{Awaitable, target_of};
use crate::task::entry::{Observation, Observe, Target};
use crate::task::error::TimedOut;
use crate::task::scheduler::Scheduler;
use crate::task::sync::{Get, Queue};
use crate::task::timers::TimerKey;

/// Gives several tasks back as they are done: `asyncio.as_completed`.
///
/// It is an iterator, which waits as [`await_`](crate::await_()) does, and knows how many are left to come (so a progress bar has its
/// total). Each item is a task that is done, with its place among those that were given. It is a [`Stream`] too.
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{as_completed, run, sleep, spawn}};
///
/// let order = run(|| {
///     let tasks = [3, 1, 2].map(|n| spawn(move || {
///         await_(sleep(Duration::from_millis(n)))?;
///         Ok(n)
///     }));
///     let mut order = Vec::new();
///     for done in as_completed(tasks) {
///         let (place, task) = done?;
///         order.push((place, task.take_result()?));
///     }
///     Ok(order)
/// });
/// assert_eq!(order.unwrap(), [(1, 1), (2, 2), (0, 3)]);
/// ```
pub fn as_completed<A: Awaitable>(tasks: impl IntoIterator<Item = A>) -> AsCompleted<A> {
    let tasks: Vec<_> = tasks.into_iter().map(Some).collect();
    let targets: Vec<_> = tasks.iter().flatten().map(target_of).collect();
    let watch = Rc::new(Watch {
        targets,
        keys: RefCell::default(),
        is_left: RefCell::new(vec![true; tasks.len()]),
        left: Cell::new(tasks.len()),
        done: Queue::new(),
        timer: Cell::new(None),
    });
    let tell = |which| Observation::of(&watch, which);
    let keys = (watch.targets.iter().zip(0..)).map(|(target, which)| target.watch(tell(which)));
    *watch.keys.borrow_mut() = keys.collect();
    AsCompleted {
        to_come: tasks.len(),
        next: None,
        tasks,
        watch,
    }
}

/// Tasks as they are done. Made by [`as_completed`].
///
/// After a [timeout](Self::timeout), each that is not done is a [`TimedOut`]. If the wait for one is cancelled, that is the item,
/// and the others are still to come.
#[must_use = "an iterator does nothing until it is asked for an item"]
pub struct AsCompleted<A> {
    /// Those that have not been given back.
    tasks: Vec<Option<A>>,
    to_come: usize,
    /// The wait for the next one.
    next: Option<Get<Option<u32>>>,
    watch: Rc<Watch>,
}

/// What the tasks tell when they are done: asyncio's `_AsCompletedIterator`.
struct Watch {
    targets: Vec<Rc<dyn Target>>,
    keys: RefCell<Vec<u32>>,
    is_left: RefCell<Vec<bool>>,
    left: Cell<usize>,
    /// Which is done. `None`: the time has passed.
    done: Queue<Option<u32>>,
    timer: Cell<Option<(Rc<Scheduler>, TimerKey)>>,
}

const TIMEOUT: u32 = u32::MAX;

impl Watch {
    fn put(&self, done: Option<u32>) {
        // There is room for any number.
        let put = self.done.put_nowait(done);
        debug_assert!(put.is_ok());
    }

    fn stop_timer(&self) {
        if let Some((scheduler, key)) = self.timer.take() {
            scheduler.remove_timer(key);
        }
    }

    /// The time has passed.
    fn give_up(&self) {
        let is_left = self.is_left.take();
        for (which, is_left) in is_left.into_iter().enumerate() {
            if is_left {
                self.targets[which].unwatch(self.keys.borrow()[which]);
                self.put(None);
            }
        }
        self.left.set(0);
    }
}

impl Observe for Watch {
    fn observe(self: Rc<Self>, which: u32) {
        if self.left.get() == 0 {
            return; // the time has passed
        }
        if which == TIMEOUT {
            return self.give_up();
        }
        self.is_left.borrow_mut()[which as usize] = false;
        self.left.set(self.left.get() - 1);
        self.put(Some(which));
        if self.left.get() == 0 {
            self.stop_timer();
        }
    }
}

impl<A> AsCompleted<A> {
    /// For so long at most, from now on. The tasks that are not done by then go on.
    ///
    /// # Panics
    ///
    /// If no event loop runs on this thread.
    pub fn timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        if let (Some(timeout), true) = (timeout.into(), self.watch.left.get() > 0) {
            let scheduler = Scheduler::running()
                .expect("`AsCompleted::timeout` called on a thread where no event loop runs");
            let when = scheduler.now().saturating_add(timeout);
            let key = scheduler.add_timer(when, Observation::of(&self.watch, TIMEOUT));
            self.watch.timer.set(Some((scheduler, key)));
        }
        self
    }

    fn give_back(&mut self, done: Option<u32>) -> Result<(usize, A), TimedOut> {
        let which = done.ok_or_else(TimedOut::new)? as usize;
        let task = self.tasks[which].take().expect("a task is done once");
        Ok((which, task))
    }
}

impl<A: Awaitable> Iterator for AsCompleted<A> {
    type Item = Result<(usize, A), Exception>;

    /// # Panics
    ///
    /// As [`await_`](crate::await_()).
    fn next(&mut self) -> Option<Self::Item> {
        self.to_come = self.to_come.checked_sub(1)?;
        let next = self.next.take().unwrap_or_else(|| self.watch.done.get());
        Some(match await_(next) {
            Ok(Ok(done)) => self.give_back(done).map_err(Exception::from),
            Ok(Err(error)) => Err(error.into()),
            Err(cancelled) => Err(cancelled.into()),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.to_come, Some(self.to_come))
    }
}

impl<A: Awaitable> ExactSizeIterator for AsCompleted<A> {}

impl<A: Awaitable> std::iter::FusedIterator for AsCompleted<A> {}

impl<A> Unpin for AsCompleted<A> {}

impl<A: Awaitable> Stream for AsCompleted<A> {
    type Item = Result<(usize, A), TimedOut>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<<Self as Stream>::Item>> {
        if self.to_come == 0 {
            return Poll::Ready(None);
        }
        let mut next = self.next.take().unwrap_or_else(|| self.watch.done.get());
        match Pin::new(&mut next).poll(context) {
            Poll::Pending => {
                self.next = Some(next);
                Poll::Pending
            }
            Poll::Ready(done) => {
                self.to_come -= 1;
                Poll::Ready(Some(self.give_back(done.ok().flatten())))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.to_come, Some(self.to_come))
    }
}

impl<A> Drop for AsCompleted<A> {
    fn drop(&mut self) {
        self.watch.stop_timer();
        for (target, key) in self.watch.targets.iter().zip(&*self.watch.keys.borrow()) {
            target.unwatch(*key);
        }
    }
}

impl<A> fmt::Debug for AsCompleted<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("to_come", &self.to_come)
            .finish_non_exhaustive()
    }
}
