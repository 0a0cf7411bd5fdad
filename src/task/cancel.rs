//! How a cancellation finds its way to what a task waits for.

#![forbid(unsafe_code)]

use std::fmt;
use std::rc::Rc;

/// Which one of those who wait for the same thing, if that keeps a list of them. (Others take no notice of it.)
pub(crate) type Ticket = u64;

/// What a task can wait for, or what can be asked to come to its end: tasks, futures, and what stands for several.
///
/// Tasks wait for tasks that wait for tasks. So nothing in here calls itself: whoever passes a request on leaves it on a
/// list, and [`cancel`] goes through that, depth first as CPython does.
pub(crate) trait Cancel {
    /// Asks it to be cancelled. Returns whether it will be told: not if it is done.
    fn request(self: Rc<Self>, ticket: Ticket, todo: &mut Todo) -> bool;

    /// Does what `request` has left to be done.
    fn proceed(self: Rc<Self>, _: &mut Todo) {}

    /// All that it has passed the request on to has been told.
    fn conclude(&self) {}

    /// Whether somebody who waits for it has to be woken by whoever cancels them, even if it is not done.
    fn is_deaf(&self) -> bool {
        false
    }

    /// Somebody who waits for it goes on, but does not look how it ended.
    fn acknowledge(&self) {}

    /// What somebody who waits for it waits for, as in "waits for ..".
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// What is still to be done of a cancellation; the last comes first.
#[derive(Default)]
pub(crate) struct Todo(Vec<Next>);

enum Next {
    Request(Rc<dyn Cancel>),
    Proceed(Rc<dyn Cancel>),
    Conclude(Rc<dyn Cancel>),
}

impl Todo {
    pub(crate) fn request(&mut self, of: Rc<dyn Cancel>) {
        self.0.push(Next::Request(of));
    }

    pub(crate) fn proceed(&mut self, with: Rc<dyn Cancel>) {
        self.0.push(Next::Proceed(with));
    }

    pub(crate) fn conclude(&mut self, with: Rc<dyn Cancel>) {
        self.0.push(Next::Conclude(with));
    }
}

/// Cancels a task, a future, or what stands for several. Returns whether it will be told: not if it is done.
pub(crate) fn cancel(first: Rc<dyn Cancel>) -> bool {
    let mut todo = Todo::default();
    let is_told = first.request(0, &mut todo);
    while let Some(next) = todo.0.pop() {
        match next {
            Next::Request(of) => {
                of.request(0, &mut todo);
            }
            Next::Proceed(with) => with.proceed(&mut todo),
            Next::Conclude(with) => with.conclude(),
        }
    }
    is_told
}
