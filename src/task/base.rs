//! What tasks and futures have in common: they are pending, and at some time they are done.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::exception::Exception;
use crate::task::entry::{Entry, Phase};
use crate::task::scheduler::Scheduler;
use crate::unraisable::{Reason, report};

/// The part of a task or future that does not depend on what it returns.
///
/// | phase | `error` | watchers |
/// |---|---|---|
/// | pending | empty | wait |
/// | cancelled | empty | have been told |
/// | returned | empty | have been told |
/// | raised | the error, unless it was taken | have been told |
#[derive(Default)]
pub(crate) struct Base {
    phase: Cell<Phase>,
    error: Cell<Option<Exception>>,
    /// There is an error that nobody has asked for.
    is_unretrieved: Cell<bool>,
    watchers: RefCell<Watchers>,
    /// The loop that runs what is to be done afterwards. Without one, that is the loop which runs then.
    scheduler: Option<Rc<Scheduler>>,
}

/// What to do when something is done, in the order in which it was asked for.
#[derive(Default)]
struct Watchers {
    next: u32,
    /// Mostly there is one at most.
    first: Option<Rc<dyn Entry>>,
    first_key: u32,
    rest: Option<Box<Rest>>,
}

#[derive(Default)]
struct Rest {
    entries: Vec<(u32, Option<Rc<dyn Entry>>)>,
    /// How many of them are empty.
    gone: usize,
}

impl Rest {
    fn find(&mut self, key: u32) -> Option<&mut Option<Rc<dyn Entry>>> {
        let index = self.entries.binary_search_by_key(&key, |(key, _)| *key);
        Some(&mut self.entries[index.ok()?].1)
    }
}

impl Watchers {
    fn add(&mut self, entry: Rc<dyn Entry>) -> u32 {
        let key = self.next;
        self.next += 1;
        if self.first.is_none() && self.rest.is_none() {
            self.first = Some(entry);
            self.first_key = key;
        } else {
            let rest = self.rest.get_or_insert_default();
            rest.entries.push((key, Some(entry)));
        }
        key
    }

    /// Puts an entry in the place of another one.
    fn replace(&mut self, key: u32, entry: Rc<dyn Entry>) -> Option<Rc<dyn Entry>> {
        if self.first.is_some() && self.first_key == key {
            return self.first.replace(entry);
        }
        match self.rest.as_mut().and_then(|rest| rest.find(key)) {
            Some(place) => place.replace(entry),
            None => Some(entry),
        }
    }

    fn remove(&mut self, key: u32) -> Option<Rc<dyn Entry>> {
        if self.first.is_some() && self.first_key == key {
            return self.first.take();
        }
        let rest = self.rest.as_mut()?;
        let entry = rest.find(key)?.take()?;
        rest.gone += 1;
        if rest.gone > rest.entries.len() / 2 {
            rest.entries.retain(|(_, entry)| entry.is_some());
            rest.gone = 0;
        }
        Some(entry)
    }
}

impl Base {
    pub(crate) fn new(scheduler: Option<Rc<Scheduler>>) -> Self {
        Self {
            scheduler,
            ..Self::default()
        }
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.phase.get() != Phase::Pending
    }

    pub(crate) fn scheduler(&self) -> Option<Rc<Scheduler>> {
        self.scheduler.clone().or_else(Scheduler::running)
    }

    /// Does `entry` when this is done: at once, which is to say after all that is ready, if it is.
    ///
    /// # Panics
    ///
    /// If there is no loop to do it.
    pub(crate) fn watch(&self, entry: Rc<dyn Entry>) -> u32 {
        if self.is_done() {
            self.push(entry);
            return u32::MAX;
        }
        self.watchers.borrow_mut().add(entry)
    }

    /// Does `entry` instead of what [`watch`](Self::watch) was given.
    pub(crate) fn watch_instead(&self, key: u32, entry: Rc<dyn Entry>) {
        let old = self.watchers.borrow_mut().replace(key, entry);
        drop(old);
    }

    /// Forgets what [`watch`](Self::watch) was given. Returns whether it was still there.
    pub(crate) fn unwatch(&self, key: u32) -> bool {
        let entry = self.watchers.borrow_mut().remove(key);
        entry.is_some()
    }

    fn push(&self, entry: Rc<dyn Entry>) {
        let Some(entry) = entry.wake() else { return };
        match self.scheduler() {
            Some(scheduler) => scheduler.append(entry),
            None => {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| entry.run())) {
                    report(None, Reason::Callback(payload));
                }
            }
        }
    }

    /// Now it is done.
    pub(crate) fn finish(&self, phase: Phase) {
        debug_assert!(!self.is_done() && phase != Phase::Pending);
        self.phase.set(phase);
        let mut watchers = self.watchers.borrow_mut();
        let (first, rest) = (watchers.first.take(), watchers.rest.take());
        drop(watchers);
        if let Some(entry) = first {
            self.push(entry);
        }
        for (_, entry) in rest.into_iter().flat_map(|rest| rest.entries) {
            if let Some(entry) = entry {
                self.push(entry);
            }
        }
    }

    /// Now it is done, and this is how.
    pub(crate) fn fail(&self, error: Exception) {
        self.error.set(Some(error));
        self.is_unretrieved.set(true);
        self.finish(Phase::Raised);
    }

    /// Somebody has asked how it ended.
    #[inline]
    pub(crate) fn retrieve(&self) {
        self.is_unretrieved.set(false);
    }

    pub(crate) fn is_unretrieved(&self) -> bool {
        self.is_unretrieved.get()
    }

    /// The error, which stays.
    pub(crate) fn share_error(&self) -> Option<Exception> {
        self.retrieve();
        let mut error = self.error.take()?;
        let share = error.share();
        self.error.set(Some(error));
        Some(share)
    }

    /// The error itself.
    pub(crate) fn take_error(&self) -> Option<Exception> {
        self.retrieve();
        self.error.take().map(Exception::unshared)
    }

    /// Reports an error that nobody has asked for. For what is dropped.
    pub(crate) fn report_unretrieved(&self, name: impl FnOnce() -> Option<String>) {
        if self.is_unretrieved.take() {
            self.report_never_retrieved(name());
        }
    }

    #[cold]
    fn report_never_retrieved(&self, name: Option<String>) {
        let Some(error) = self.error.take() else {
            return;
        };
        let reason = Reason::NeverRetrieved(error.unshared());
        match self.scheduler() {
            Some(scheduler) => scheduler.report(name.as_deref(), reason),
            None => report(name.as_deref(), reason),
        }
    }
}
