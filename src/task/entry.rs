//! A task, whatever it returns, and what an event loop has to do next.

#![forbid(unsafe_code)]

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::exception::Exception;
use crate::interrupt::Interrupt;
use crate::scope::Keep;
use crate::task::cancel::{Cancel, Ticket, Todo};

/// What a loop does next, or what is done when something else is done, or when a time has come.
pub(crate) trait Entry {
    /// Does it, in the turn that the loop gives it.
    fn run(self: Rc<Self>);

    /// It is to be done from now on. Returns it if the loop's queue is to have it; a task sees to that itself, and a waker is
    /// woken at once.
    fn wake(self: Rc<Self>) -> Option<Rc<dyn Entry>>;

    /// The task whose turn it is.
    fn task(&self) -> Option<&Header> {
        None
    }
}

/// Somebody who polls by themselves.
impl Entry for Waker {
    fn run(self: Rc<Self>) {
        self.wake_by_ref();
    }

    fn wake(self: Rc<Self>) -> Option<Rc<dyn Entry>> {
        self.wake_by_ref();
        None
    }
}

/// Wants to know when tasks or futures are done, or when a time has come.
pub(crate) trait Observe {
    fn observe(self: Rc<Self>, which: u32);
}

/// Tells an observer that something is done: which one of those that it looks at.
pub(crate) struct Observation<O> {
    observer: Rc<O>,
    which: u32,
}

impl<O: Observe + 'static> Observation<O> {
    pub(crate) fn of(observer: &Rc<O>, which: u32) -> Rc<dyn Entry> {
        let observer = observer.clone();
        Rc::new(Self { observer, which })
    }
}

impl<O: Observe + 'static> Entry for Observation<O> {
    fn run(self: Rc<Self>) {
        self.observer.clone().observe(self.which);
    }

    fn wake(self: Rc<Self>) -> Option<Rc<dyn Entry>> {
        Some(self)
    }
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
    fn watch(&self, entry: Rc<dyn Entry>) -> u32;

    /// Forgets what [`watch`](Self::watch) was given. Returns whether it was still there.
    fn unwatch(&self, key: u32) -> bool;

    fn as_cancel(self: Rc<Self>) -> Rc<dyn Cancel>;
}

/// A task, whatever it returns.
pub(crate) trait AnyTask: Target + Keep {
    fn header(&self) -> &Header;

    fn as_target(self: Rc<Self>) -> Rc<dyn Target>;

    fn as_entry(self: Rc<Self>) -> Rc<dyn Entry>;

    /// Lets it have a turn after all who are ready by now, unless it is among them.
    fn schedule(self: Rc<Self>);

    /// The error with which it has ended, if so. It stays.
    fn share_error(&self) -> Option<Exception>;

    /// Its stack, if it is suspended and has one.
    fn look(self: Rc<Self>) -> Option<Box<Backtrace>>;

    /// Ends it now, without asking or waiting. Returns whether nothing of it is left that could run or be dropped.
    fn abandon(self: Rc<Self>) -> bool;
}

/// What a task waits for.
#[derive(Clone)]
pub(crate) struct Awaited {
    pub(crate) target: Rc<dyn Cancel>,
    pub(crate) ticket: Ticket,
}

impl Awaited {
    fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.target, &other.target) && self.ticket == other.ticket
    }

    fn request(self, todo: &mut Todo) -> bool {
        self.target.request(self.ticket, todo)
    }
}

/// What is known about a task besides its body and its result.
pub(crate) struct Header {
    /// Counts the tasks of a loop.
    pub(crate) id: u64,
    /// Where the loop keeps it.
    pub(crate) key: usize,
    name: Cell<Option<Box<Cow<'static, str>>>>,
    /// Where it was spawned, by which task, and when.
    pub(crate) place: &'static Location<'static>,
    pub(crate) parent: u64,
    born: u64,
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
    ticket: Cell<Ticket>,
    /// The rest of it, if it polls several at a time.
    #[allow(clippy::box_collection)] // hardly any task has one
    waiting_besides: Cell<Option<Box<Vec<Awaited>>>>,
    is_waiting_besides: Cell<bool>,
    /// It is suspended, and nothing of this loop will wake it.
    pub(crate) waits_elsewhere: Cell<bool>,
    /// Somebody who passes on a cancellation of it is among the callers.
    pub(crate) is_cancelling: Cell<bool>,
    pub(crate) interrupt: Interrupt,
    waker: OnceCell<Waker>,
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
            name: Cell::new(name.map(Box::new)),
            place,
            parent,
            born: u64::try_from(born.as_nanos()).unwrap_or(u64::MAX),
            is_scheduled: Cell::new(false),
            has_begun: Cell::new(false),
            must_cancel: Cell::new(false),
            cancels: Cell::new(0),
            is_waiting: Cell::new(false),
            waiting: Cell::new(None),
            ticket: Cell::new(0),
            waiting_besides: Cell::new(None),
            is_waiting_besides: Cell::new(false),
            waits_elsewhere: Cell::new(false),
            is_cancelling: Cell::new(false),
            interrupt: Interrupt::default(),
            waker: OnceCell::new(),
        }
    }

    pub(crate) fn name(&self) -> String {
        let name = self.name.take();
        let text = match &name {
            Some(name) => name.to_string(),
            None => format!("Task-{}", self.id),
        };
        self.name.set(name);
        text
    }

    /// When it was spawned.
    pub(crate) fn born(&self) -> Duration {
        Duration::from_nanos(self.born)
    }

    pub(crate) fn set_name(&self, name: Cow<'static, str>) {
        self.name.set(Some(Box::new(name)));
    }

    /// The task waits for this, in the turn that it has.
    #[inline]
    pub(crate) fn wait_for(&self, target: Rc<dyn Cancel>, ticket: Ticket) {
        if self.is_waiting.replace(true) {
            self.wait_for_several(Awaited { target, ticket });
        } else {
            self.ticket.set(ticket);
            self.waiting.set(Some(target));
        }
    }

    #[cold]
    fn wait_for_several(&self, awaited: Awaited) {
        if self.first().is_none_or(|first| !first.is_same(&awaited)) {
            let mut besides = self.waiting_besides.take().unwrap_or_default();
            besides.push(awaited);
            self.waiting_besides.set(Some(besides));
            self.is_waiting_besides.set(true);
        }
    }

    /// The first thing that it waits for.
    fn first(&self) -> Option<Awaited> {
        let (target, ticket) = (self.waiting.take()?, self.ticket.get());
        self.waiting.set(Some(target.clone()));
        Some(Awaited { target, ticket })
    }

    #[inline(always)]
    pub(crate) fn wait_for_nothing(&self) {
        if self.is_waiting.replace(false) {
            drop(self.waiting.take());
            if self.is_waiting_besides.replace(false) {
                drop(self.waiting_besides.take());
            }
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting.get()
    }

    /// What it waits for.
    pub(crate) fn waits_for(&self) -> Vec<Awaited> {
        (self.first().into_iter()).chain(self.besides()).collect()
    }

    /// The rest of what it waits for.
    fn besides(&self) -> Vec<Awaited> {
        let besides = self.waiting_besides.take();
        let all = besides.as_deref().cloned().unwrap_or_default();
        self.waiting_besides.set(besides);
        all
    }

    /// Whether nothing that it waits for wakes it when it is cancelled.
    pub(crate) fn is_left_alone(&self) -> bool {
        (self.waits_for().iter()).all(|awaited| awaited.target.is_deaf())
    }

    /// Asks all that it waits for to be cancelled. Returns whether any will be told.
    pub(crate) fn cancel_what_it_waits_for(&self, todo: &mut Todo) -> bool {
        let Some(first) = self.first() else {
            return false;
        };
        let besides = self.besides();
        // The last on the list comes first.
        let mut is_told = false;
        for awaited in besides.into_iter().rev() {
            is_told |= awaited.request(todo);
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

    pub(crate) fn waker(&self, make: impl FnOnce() -> Waker) -> &Waker {
        self.waker.get_or_init(make)
    }

    /// Whether it is this task who polls with `context`.
    pub(crate) fn polls_with(&self, context: &Context<'_>) -> bool {
        self.waker
            .get()
            .is_some_and(|own| own.will_wake(context.waker()))
    }
}
