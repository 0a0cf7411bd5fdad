//! A task, whatever it returns, and what an event loop has to do next.

#![forbid(unsafe_code)]

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::exception::Exception;
use crate::interrupt::Interrupt;
use crate::scope::Keep;
use crate::task::cancel::{Cancel, Todo};
use crate::task::remote::Remote;
use crate::unraisable::Reason;

/// What the loop does next.
pub(crate) enum Entry {
    /// Gives a task its turn.
    Turn(Rc<dyn AnyTask>),
    /// Wakes somebody who polls by themselves. Never in the queue: it is done at once.
    Wake(Waker),
    Call(Box<dyn FnOnce()>),
    /// Tells somebody that something is done: which one of those that it looks at.
    Observe(Rc<dyn Observe>, u32),
}

impl Entry {
    /// Does it. What panics is reported.
    #[inline]
    pub(crate) fn run(self, report: &dyn Fn(Option<&str>, Reason)) {
        let done = match self {
            Self::Turn(task) => {
                task.header().is_scheduled.set(false);
                return task.turn();
            }
            Self::Wake(waker) => catch_unwind(AssertUnwindSafe(|| waker.wake())),
            Self::Call(call) => catch_unwind(AssertUnwindSafe(call)),
            Self::Observe(observer, which) => {
                catch_unwind(AssertUnwindSafe(|| observer.observe(which)))
            }
        };
        if let Err(payload) = done {
            report(None, Reason::Callback(payload));
        }
    }
}

/// Wants to know when tasks or futures are done, or when a time has come.
pub(crate) trait Observe {
    fn observe(self: Rc<Self>, which: u32);
}

/// Where a task or future is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Phase {
    #[default]
    Pending,
    Cancelled,
    Returned,
    Raised,
}

/// What will be done at some time, whatever it returns: a task or a future.
pub(crate) trait Target: Cancel {
    fn phase(&self) -> Phase;

    /// Does `entry` when it is done. What it returns is for [`unwatch`](Self::unwatch).
    fn watch(&self, entry: Entry) -> u32;

    /// Forgets what [`watch`](Self::watch) was given. Returns whether it was still there.
    fn unwatch(&self, key: u32) -> bool;

    fn as_cancel(self: Rc<Self>) -> Rc<dyn Cancel>;
}

/// A task, whatever it returns.
pub(crate) trait AnyTask: Target + Keep {
    fn header(&self) -> &Header;

    fn as_target(self: Rc<Self>) -> Rc<dyn Target>;

    /// Runs it until it waits or ends.
    fn turn(self: Rc<Self>);

    /// Lets it have a turn after all who are ready by now, unless it is among them.
    fn schedule(self: Rc<Self>);

    /// The error with which it has ended, if so. It stays.
    fn share_error(&self) -> Option<Exception>;

    /// Its stack, if it is suspended and has one.
    fn look(self: Rc<Self>) -> Option<Box<Backtrace>>;

    /// Ends it now, without asking or waiting. Returns whether nothing of it is left that could run or be dropped.
    fn abandon(self: Rc<Self>) -> bool;
}

/// What is known about a task besides its body and its result.
pub(crate) struct Header {
    /// Counts the tasks of a loop.
    pub(crate) id: u64,
    /// Where the loop keeps it.
    pub(crate) key: usize,
    pub(crate) name: RefCell<Option<Cow<'static, str>>>,
    /// Where it was spawned, by which task, and when.
    pub(crate) place: &'static Location<'static>,
    pub(crate) parent: u64,
    pub(crate) born: Duration,
    /// It is in the queue.
    pub(crate) is_scheduled: Cell<bool>,
    pub(crate) has_begun: Cell<bool>,
    /// A cancellation is raised at its next turn.
    pub(crate) must_cancel: Cell<bool>,
    /// How often it was asked to be cancelled, less those that were taken back.
    pub(crate) cancels: Cell<u32>,
    /// What it waits for, of the things that can be asked. Nothing if that is somebody else's future.
    is_waiting: Cell<bool>,
    waiting: Cell<Option<Rc<dyn Cancel>>>,
    /// The rest of it, if it polls several at a time.
    waiting_besides: RefCell<Vec<Rc<dyn Cancel>>>,
    /// It is suspended, and nothing of this loop will wake it.
    pub(crate) waits_elsewhere: Cell<bool>,
    /// Somebody who passes on a cancellation of it is among the callers.
    pub(crate) is_cancelling: Cell<bool>,
    pub(crate) interrupt: Interrupt,
    waker: OnceCell<(Waker, Arc<Remote>)>,
}

impl Header {
    pub(crate) fn new(
        (id, key): (u64, usize),
        name: Option<Cow<'static, str>>,
        place: &'static Location<'static>,
        parent: u64,
        born: Duration,
    ) -> Self {
        Self {
            id,
            key,
            name: RefCell::new(name),
            place,
            parent,
            born,
            is_scheduled: Cell::new(false),
            has_begun: Cell::new(false),
            must_cancel: Cell::new(false),
            cancels: Cell::new(0),
            is_waiting: Cell::new(false),
            waiting: Cell::new(None),
            waiting_besides: RefCell::default(),
            waits_elsewhere: Cell::new(false),
            is_cancelling: Cell::new(false),
            interrupt: Interrupt::default(),
            waker: OnceCell::new(),
        }
    }

    pub(crate) fn name(&self) -> String {
        match &*self.name.borrow() {
            Some(name) => name.to_string(),
            None => format!("Task-{}", self.id),
        }
    }

    /// The task waits for this, in the turn that it has.
    #[inline]
    pub(crate) fn wait_for(&self, target: Rc<dyn Cancel>) {
        self.is_waiting.set(true);
        if let Some(first) = self.waiting.replace(Some(target)) {
            self.wait_for_several(first);
        }
    }

    #[cold]
    fn wait_for_several(&self, first: Rc<dyn Cancel>) {
        if let Some(target) = self.waiting.replace(Some(first.clone())) {
            if !Rc::ptr_eq(&first, &target) {
                self.waiting_besides.borrow_mut().push(target);
            }
        }
    }

    #[inline]
    pub(crate) fn wait_for_nothing(&self) {
        if self.is_waiting.replace(false) {
            drop(self.waiting.take());
            if !self.waiting_besides.borrow().is_empty() {
                drop(self.waiting_besides.take());
            }
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting.get()
    }

    /// What it waits for.
    pub(crate) fn waits_for(&self) -> Vec<Rc<dyn Cancel>> {
        let first = self.waiting.take();
        self.waiting.set(first.clone());
        first
            .into_iter()
            .chain(self.waiting_besides.borrow().iter().cloned())
            .collect()
    }

    /// Whether nothing that it waits for wakes it when it is cancelled.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.waits_for().iter().all(|target| target.is_deaf())
    }

    /// Asks all that it waits for to be cancelled. Returns whether any will be told.
    pub(crate) fn cancel_what_it_waits_for(&self, todo: &mut Todo) -> bool {
        let Some(first) = self.waiting.take() else {
            return false;
        };
        self.waiting.set(Some(first.clone()));
        let besides = self.waiting_besides.borrow().clone();
        // The last on the list comes first.
        let mut is_told = false;
        for target in besides.into_iter().rev() {
            is_told |= target.request(todo);
        }
        first.request(todo) || is_told
    }

    /// Takes back a request to end. Returns how many are left.
    pub(crate) fn uncancel(&self) -> u32 {
        let left = self.cancels.get().saturating_sub(1);
        if self.cancels.replace(left) > 0 && left == 0 {
            self.must_cancel.set(false);
        }
        left
    }

    pub(crate) fn waker(&self, make: impl FnOnce() -> Arc<Remote>) -> &Waker {
        let (waker, _) = self.waker.get_or_init(|| {
            let remote = make();
            (Waker::from(remote.clone()), remote)
        });
        waker
    }

    /// A message from another thread that the task is ready has arrived.
    pub(crate) fn message_arrives(&self) {
        if let Some((_, remote)) = self.waker.get() {
            remote.has_arrived();
        }
    }

    /// Whether it is this task who polls with `context`.
    pub(crate) fn polls_with(&self, context: &Context<'_>) -> bool {
        self.waker
            .get()
            .is_some_and(|(own, _)| own.will_wake(context.waker()))
    }
}
