//! Tasks: bodies that an event loop runs.

#![forbid(unsafe_code)]

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::exception::Exception;
use crate::interrupt::take_turn;
use crate::scope::Keep;
use crate::task::base::Base;
use crate::task::body::Body;
use crate::task::cancel::{Cancel, Ticket, Todo, cancel};
use crate::task::entry::{AnyTask, Entry, Header, Phase, Target};
use crate::task::remote::Remote;
use crate::task::scheduler::Scheduler;
use crate::task::state::State;
use crate::task::turn::{running_task, with_current};
use crate::unraisable::report_if_it_panics;

/// One task in memory.
///
/// ```text
///               ┌──────────── is given a turn ◄── schedule ◄── what it waits for is done, or a waker
///               ▼                                    ▲
///   spawn ──► in the queue ──► has its turn ──► suspended ──► (cancel: asks what it waits for, which is done then)
///                                    └────────► done
/// ```
pub(crate) struct TaskCell<R> {
    header: Header,
    pub(crate) state: State<R>,
    /// Empty when it is done. Borrowed while it has its turn.
    body: RefCell<Option<Body<R>>>,
    scheduler: Rc<Scheduler>,
}

impl<R: 'static> TaskCell<R> {
    /// Makes a task and gives it its first turn.
    pub(crate) fn spawn(
        scheduler: &Rc<Scheduler>,
        name: Option<Cow<'static, str>>,
        place: &'static Location<'static>,
        body: Body<R>,
    ) -> Rc<Self> {
        let parent = running_task().map_or(0, |task| task.header().id);
        let born = scheduler.recently();
        let task = scheduler.insert(|id_and_key| {
            Rc::new(Self {
                header: Header::new(id_and_key, name, place, parent, born),
                state: State::new(Base::new(Some(scheduler.clone()))),
                body: RefCell::new(Some(body)),
                scheduler: scheduler.clone(),
            })
        });
        task.clone().schedule();
        task
    }

    pub(crate) fn base(&self) -> &Base {
        &self.state.base
    }

    /// Ends with this, unless it was cancelled meanwhile.
    fn end(self: &Rc<Self>, outcome: Result<R, Exception>) {
        let header = &self.header;
        header.wait_for_nothing();
        self.scheduler.remove(header.key);
        let is_late = header.interrupt.take() | header.must_cancel.take();
        match outcome {
            Ok(value) if is_late => {
                report_if_it_panics(Some(&header.name()), value);
                self.base().finish(Phase::Cancelled);
            }
            Err(Exception::Cancelled) => self.base().finish(Phase::Cancelled),
            // Some library has made another error of the one that it was told.
            Err(error) if header.cancels.get() > 0 && error.is_cancelled() => {
                report_if_it_panics(Some(&header.name()), error);
                self.base().finish(Phase::Cancelled);
            }
            outcome => self.state.settle(outcome),
        }
    }

    /// Waits from now on.
    fn suspend(self: &Rc<Self>) {
        let header = &self.header;
        if header.interrupt.take() {
            header.must_cancel.set(true);
        }
        if header.must_cancel.get() {
            // It has cancelled itself, or somebody has whom it has called.
            let what = Rc::new(WhatItWaitsFor(self.clone()));
            if cancel(what) {
                header.interrupt.pass_on();
                header.must_cancel.set(false);
            } else if header.is_left_alone() {
                self.clone().schedule();
            }
        }
        if !header.is_scheduled.get() && !header.is_waiting() {
            header.waits_elsewhere.set(true);
            let elsewhere = &self.scheduler.elsewhere;
            elsewhere.set(elsewhere.get() + 1);
        }
    }

    /// What it waits for is somebody else's.
    fn comes_back(&self) {
        if self.header.waits_elsewhere.take() {
            let elsewhere = &self.scheduler.elsewhere;
            elsewhere.set(elsewhere.get() - 1);
        }
    }

    /// What it returns or raises, if it is not to be cancelled. (For whoever drives a cancellation.)
    fn is_suspended(&self) -> bool {
        self.body.try_borrow().is_ok_and(|body| body.is_some())
    }
}

impl<R: 'static> Target for TaskCell<R> {
    fn phase(&self) -> Phase {
        self.base().phase()
    }

    fn watch(&self, entry: Rc<dyn Entry>) -> u32 {
        self.base().watch(entry)
    }

    fn unwatch(&self, key: u32) -> bool {
        self.base().unwatch(key)
    }

    fn as_cancel(self: Rc<Self>) -> Rc<dyn Cancel> {
        self
    }
}

impl<R: 'static> Entry for TaskCell<R> {
    /// Runs it until it waits or ends.
    fn run(self: Rc<Self>) {
        self.header.is_scheduled.set(false);
        let Ok(mut body) = self.body.try_borrow_mut() else {
            return; // nobody has two turns at a time
        };
        if body.is_none() {
            return; // it is done
        }
        let header = &self.header;
        self.comes_back();
        let must_cancel = header.must_cancel.take();
        if must_cancel {
            for awaited in header.waits_for() {
                awaited.target.acknowledge();
            }
        }
        header.wait_for_nothing();
        let this: Rc<dyn AnyTask> = self.clone();
        let mut outcome = None;
        with_current(&this, || {
            if !header.has_begun.replace(true) && must_cancel {
                outcome = Some(Err(Exception::Cancelled));
            } else {
                if must_cancel {
                    header.interrupt.raise();
                }
                let task: Rc<dyn Keep> = self.clone();
                take_turn(&header.interrupt, || {
                    if let Some(body) = &mut *body {
                        body.turn(&task, &mut outcome);
                    }
                });
            }
            if outcome.is_some() {
                // A future is dropped where it is cancelled.
                let body = body.take();
                body.map(|body| body.abandon(|| header.name()));
            }
        });
        drop(body);
        match outcome {
            Some(outcome) => self.end(outcome),
            None => self.suspend(),
        }
    }

    #[inline]
    fn wake(self: Rc<Self>) -> Option<Rc<dyn Entry>> {
        if !self.header.is_scheduled.replace(true) {
            let scheduler = self.scheduler.clone();
            scheduler.append(self);
        }
        None
    }

    fn task(&self) -> Option<&Header> {
        Some(&self.header)
    }
}

impl<R: 'static> AnyTask for TaskCell<R> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn as_target(self: Rc<Self>) -> Rc<dyn Target> {
        self
    }

    fn as_entry(self: Rc<Self>) -> Rc<dyn Entry> {
        self
    }

    fn schedule(self: Rc<Self>) {
        self.wake();
    }

    fn share_error(&self) -> Option<Exception> {
        self.base().share_error()
    }

    fn look(self: Rc<Self>) -> Option<Box<Backtrace>> {
        let mut body = self.body.try_borrow_mut().ok()?;
        let (body, task) = (body.as_mut()?, self.clone() as Rc<dyn Keep>);
        let interrupt = &self.header.interrupt;
        take_turn(interrupt, || interrupt.look(|| body.look(&task)))
    }

    fn abandon(self: Rc<Self>) -> bool {
        let body = self.body.try_borrow_mut().map(|mut body| body.take());
        let Ok(Some(body)) = body else {
            return self.base().is_done();
        };
        self.comes_back();
        self.header.wait_for_nothing();
        let is_gone = body.abandon(|| self.header.name());
        self.end(Err(Exception::Cancelled));
        is_gone
    }
}

impl<R: 'static> Cancel for TaskCell<R> {
    fn request(self: Rc<Self>, _: Ticket, todo: &mut Todo) -> bool {
        self.base().retrieve();
        if self.base().is_done() {
            return false;
        }
        todo.proceed(self);
        true
    }

    fn proceed(self: Rc<Self>, todo: &mut Todo) {
        let header = &self.header;
        if self.base().is_done() {
            return;
        }
        header.cancels.set(header.cancels.get().saturating_add(1));
        // Tasks that wait for each other in a circle would be told for ever (CPython: `RecursionError`). The circle is
        // broken here.
        let is_circle = header.is_cancelling.get();
        if !is_circle {
            header.is_cancelling.set(true);
            todo.conclude(self.clone());
            if header.cancel_what_it_waits_for(todo) {
                header.interrupt.pass_on();
                return;
            }
        }
        header.must_cancel.set(true);
        // Else what it waits for is done, and the task is in the queue or will be.
        if (is_circle || header.is_left_alone()) && self.is_suspended() {
            self.schedule();
        }
    }

    fn conclude(&self) {
        self.header.is_cancelling.set(false);
    }

    fn acknowledge(&self) {
        if self.base().is_done() {
            self.base().retrieve();
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task '{}'", self.header.name())
    }
}

impl<R: 'static> Keep for TaskCell<R> {
    fn waker(&self) -> &Waker {
        self.header.waker(|| {
            let (mailbox, header) = (self.scheduler.mailbox.clone(), &self.header);
            Waker::from(Arc::new(Remote::new(mailbox, header.key, header.id)))
        })
    }
}

impl<R> Drop for TaskCell<R> {
    fn drop(&mut self) {
        let name = || Some(self.header.name());
        self.state.base.report_unretrieved(name);
    }
}

/// What a task waits for, but not the task itself.
struct WhatItWaitsFor<R: 'static>(Rc<TaskCell<R>>);

impl<R: 'static> Cancel for WhatItWaitsFor<R> {
    fn request(self: Rc<Self>, _: Ticket, todo: &mut Todo) -> bool {
        self.0.header.cancel_what_it_waits_for(todo)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}
