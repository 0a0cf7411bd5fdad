//! The state of an event loop, and its turns.
//!
//! ```text
//!            other threads ──► inbox ─┐
//!                     timers ─────────┼──► ready: one queue, first in, first out ──► run what is there now ──┐
//!   wakers, done futures, spawn ──────┘                                                                      │
//!                     ▲                                                                                      │
//!                     └───────────────────────────── what that has made ready ◄──────────────────────────────┘
//! ```
//!
//! One iteration is asyncio's (`BaseEventLoop._run_once`, CPython 3.13): look at input and output, append the timers that are
//! due, run exactly what is in the queue by then. What that makes ready is for the next iteration. Input and output are
//! looked at when nothing is ready, and else every few iterations: that is a system call, and nobody can tell.
//!
//! Nothing is borrowed while somebody else's code runs, which may be whatever is dropped.

#![forbid(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::scope::count_waiting;
use crate::task::alarm::Alarm;
use crate::task::callback::Callback;
use crate::task::clock::Clock;
use crate::task::entry::{AnyTask, Entry, Header, Phase};
use crate::task::inbox::Inbox;
use crate::task::remote::{Local, Mailbox, Message, Outside, wake_locally};
use crate::task::signals::{Listener, Signal};
use crate::task::timers::{TimerKey, Timers};
use crate::unraisable::{Reason, Unraisable, report, report_if_it_panics, report_to};

/// How many entries are run before input and output are looked at again.
const ENTRIES_BETWEEN_LOOKS: usize = 128;

/// Does something with what a loop has to report.
pub(crate) type Handler = Rc<dyn Fn(&Unraisable<'_>)>;

/// How a loop is to behave.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) is_virtual: bool,
    /// How long to wait for the rest of the world before a virtual clock moves on.
    pub(crate) patience: Duration,
    /// Of the order in which those run that are ready at the same time.
    pub(crate) seed: Option<u64>,
    /// Whoever holds the loop longer is reported.
    pub(crate) slow: Option<Duration>,
    /// What to do if nothing is ready and nothing ever will be.
    pub(crate) on_deadlock: Option<Rc<dyn Fn()>>,
    pub(crate) handler: Option<Handler>,
    /// What Ctrl-\ does: it prints what the tasks are doing.
    pub(crate) on_quit: Option<fn(&Scheduler)>,
}

/// Why a loop has stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Asked,
    /// Nothing is ready, and nothing ever will be.
    Deadlock,
}

/// An event loop.
pub(crate) struct Scheduler {
    ready: RefCell<VecDeque<Rc<dyn Entry>>>,
    timers: RefCell<Timers<Rc<dyn Entry>>>,
    has_timers: Cell<bool>,
    /// Those that have not ended.
    tasks: RefCell<Slab<Rc<dyn AnyTask>>>,
    pub(crate) clock: Clock,
    /// The time when it was last asked for.
    last_time: Cell<Duration>,
    pub(crate) mailbox: Arc<Mailbox>,
    last_id: Cell<u64>,
    pub(crate) is_running: Cell<bool>,
    pub(crate) is_stopping: Cell<bool>,
    pub(crate) is_closed: Cell<bool>,
    /// Nothing is ready, and somebody is to be woken when that changes: who runs the loop.
    is_asleep: Cell<bool>,
    sleeper: Cell<Option<Waker>>,
    alarm: RefCell<Alarm>,
    /// How many tasks wait for futures of others.
    pub(crate) elsewhere: Cell<usize>,
    /// The promises of functions that run on other threads.
    kept: RefCell<Slab<Box<dyn Any>>>,
    /// The loop is to stop when there is none.
    pub(crate) waits_for_kept: Cell<bool>,
    /// For handles of the loop.
    pub(crate) outside: Arc<Outside>,
    listener: RefCell<Option<Listener>>,
    on_interrupt: RefCell<Option<Rc<dyn Fn()>>>,
    pub(crate) options: Options,
    random: RefCell<Option<fastrand::Rng>>,
}

thread_local! {
    /// The loop that runs on this thread.
    static RUNNING: RefCell<Option<Rc<Scheduler>>> = const { RefCell::new(None) };
}

impl Scheduler {
    pub(crate) fn new(options: Options) -> Rc<Self> {
        static LOOPS: AtomicU64 = AtomicU64::new(0);
        let mailbox = Arc::new(Mailbox {
            id: LOOPS.fetch_add(1, Ordering::Relaxed) + 1,
            inbox: Inbox::new(),
        });
        Rc::new(Self {
            ready: RefCell::default(),
            timers: RefCell::new(Timers::new()),
            has_timers: Cell::new(false),
            tasks: RefCell::default(),
            clock: match options.is_virtual {
                true => Clock::stopped(),
                false => Clock::real(),
            },
            last_time: Cell::new(Duration::ZERO),
            mailbox: mailbox.clone(),
            last_id: Cell::new(0),
            is_running: Cell::new(false),
            is_stopping: Cell::new(false),
            is_closed: Cell::new(false),
            is_asleep: Cell::new(false),
            sleeper: Cell::new(None),
            alarm: RefCell::default(),
            elsewhere: Cell::new(0),
            kept: RefCell::default(),
            waits_for_kept: Cell::new(false),
            outside: Arc::new(Outside(mailbox)),
            listener: RefCell::default(),
            on_interrupt: RefCell::default(),
            random: RefCell::new(options.seed.map(fastrand::Rng::with_seed)),
            options,
        })
    }

    /// The loop that runs on this thread.
    #[inline]
    pub(crate) fn running() -> Option<Rc<Self>> {
        RUNNING
            .try_with(|running| running.borrow().clone())
            .ok()
            .flatten()
    }

    pub(crate) fn now(&self) -> Duration {
        let now = self.clock.now();
        self.last_time.set(now);
        now
    }

    /// The time some turns ago, which costs less.
    pub(crate) fn recently(&self) -> Duration {
        self.last_time.get()
    }

    /// Has something be done from now on.
    #[inline]
    pub(crate) fn push(&self, entry: Rc<dyn Entry>) {
        if let Some(entry) = entry.wake() {
            self.append(entry);
        }
    }

    /// Appends something to what is ready.
    #[inline(always)]
    pub(crate) fn append(&self, entry: Rc<dyn Entry>) {
        if self.is_closed.get() {
            return;
        }
        self.ready.borrow_mut().push_back(entry);
        if self.is_asleep.get() {
            self.wake_up();
        }
    }

    #[cold]
    fn wake_up(&self) {
        self.is_asleep.set(false);
        if let Some(sleeper) = self.sleeper.take() {
            sleeper.wake();
        }
    }

    pub(crate) fn add_timer(&self, when: Duration, entry: Rc<dyn Entry>) -> TimerKey {
        self.has_timers.set(true);
        self.timers.borrow_mut().add(when, entry)
    }

    pub(crate) fn remove_timer(&self, key: TimerKey) {
        let entry = self.timers.borrow_mut().remove(key);
        drop(entry);
    }

    /// Keeps a task until it [ends](Self::remove).
    pub(crate) fn insert<T: AnyTask + 'static>(
        &self,
        make: impl FnOnce((u64, usize)) -> Rc<T>,
    ) -> Rc<T> {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let mut tasks = self.tasks.borrow_mut();
        let vacant = tasks.vacant_entry();
        let task = make((id, vacant.key()));
        vacant.insert(task.clone());
        task
    }

    pub(crate) fn remove(&self, key: usize) {
        let task = self.tasks.borrow_mut().try_remove(key);
        drop(task);
    }

    /// All that have not ended, in the order in which they were spawned.
    pub(crate) fn tasks(&self) -> Vec<Rc<dyn AnyTask>> {
        let mut tasks: Vec<_> = (self.tasks.borrow().iter())
            .map(|(_, task)| task.clone())
            .collect();
        tasks.sort_by_key(|task| task.header().id);
        tasks
    }

    /// The task that is kept there, if it is this one.
    pub(crate) fn task(&self, key: usize, id: u64) -> Option<Rc<dyn AnyTask>> {
        let task = self.tasks.borrow().get(key).cloned()?;
        (task.header().id == id).then_some(task)
    }

    /// Keeps the promise of a function that runs on another thread. Returns where.
    pub(crate) fn keep(&self, promise: Box<dyn Any>) -> usize {
        self.kept.borrow_mut().insert(promise)
    }

    /// Gives back what was [kept](Self::keep).
    pub(crate) fn take_kept(&self, key: usize) -> Box<dyn Any> {
        let promise = self.kept.borrow_mut().remove(key);
        if self.waits_for_kept.get() && !self.has_kept() {
            self.is_stopping.set(true);
        }
        promise
    }

    pub(crate) fn has_kept(&self) -> bool {
        !self.kept.borrow().is_empty()
    }

    /// Tells whoever is to be told.
    pub(crate) fn report(&self, name: Option<&str>, reason: Reason) {
        match &self.options.handler {
            Some(handler) => report_to(&**handler, name, reason),
            None => report(name, reason),
        }
    }

    /// Listens to signals from now on, to Ctrl-C if there is something to do then.
    pub(crate) fn listen(&self, on_interrupt: Option<Rc<dyn Fn()>>) {
        let interrupt = on_interrupt.is_some().then_some(Signal::Interrupt);
        let quit = self.options.on_quit.map(|_| Signal::Quit);
        let signals: Vec<_> = interrupt.into_iter().chain(quit).collect();
        let mut listener = self.listener.borrow_mut();
        if listener.is_none() && !signals.is_empty() {
            *listener = Listener::new(&signals);
            *self.on_interrupt.borrow_mut() = on_interrupt;
        }
    }

    /// Does what the keyboard asks for.
    fn hear(&self, context: &mut Context<'_>) {
        loop {
            let signal = match &*self.listener.borrow() {
                Some(listener) => listener.poll(context),
                None => return,
            };
            match signal {
                Poll::Pending => return,
                Poll::Ready(Signal::Interrupt) => {
                    let on_interrupt = self.on_interrupt.borrow().clone();
                    if let Some(on_interrupt) = on_interrupt {
                        on_interrupt();
                    }
                }
                Poll::Ready(Signal::Quit) => {
                    if let Some(on_quit) = self.options.on_quit {
                        on_quit(self);
                    }
                }
            }
        }
    }

    /// Runs the loop until it is stopped.
    pub(crate) fn run(self: &Rc<Self>) -> Stop {
        struct Leave(Local);
        impl Drop for Leave {
            fn drop(&mut self) {
                let (id, wake) = self.0;
                wake_locally(id, wake);
                count_waiting(false);
                let scheduler = RUNNING.with(RefCell::take);
                if let Some(scheduler) = scheduler {
                    scheduler.is_running.set(false);
                    scheduler.is_stopping.set(false);
                }
            }
        }
        self.is_running.set(true);
        RUNNING.set(Some(self.clone()));
        count_waiting(true);
        let _leave = Leave(wake_locally(self.mailbox.id, |key, id| {
            if let Some(scheduler) = Self::running() {
                if let Some(task) = scheduler.task(key, id) {
                    task.schedule();
                }
            }
        }));
        async_io::block_on(poll_fn(|context| self.poll(context)))
    }

    /// Runs iterations until nothing is ready, or input and output are to be looked at.
    fn poll(&self, context: &mut Context<'_>) -> Poll<Stop> {
        self.is_asleep.set(false);
        drop(self.sleeper.take());
        self.hear(context);
        let mut left = ENTRIES_BETWEEN_LOOKS;
        loop {
            if self.mailbox.inbox.has_mail() {
                self.fetch_messages();
            }
            if self.has_timers.get() {
                self.fetch_timers();
            }
            let ready = self.ready.borrow().len();
            if ready == 0 && !self.is_stopping.get() {
                match self.sleep(context) {
                    Some(next) => return next,
                    None => continue,
                }
            }
            if self.options.seed.is_some() {
                self.shuffle();
            }
            // What is in the queue now; what that makes ready is behind it.
            for _ in 0..ready {
                let entry = self.ready.borrow_mut().pop_front();
                if let Some(entry) = entry {
                    self.run_entry(entry);
                }
            }
            if self.is_stopping.take() {
                return Poll::Ready(Stop::Asked);
            }
            left = left.saturating_sub(ready);
            if left == 0 {
                self.last_time.set(self.clock.now());
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    #[cold]
    fn shuffle(&self) {
        if let Some(random) = &mut *self.random.borrow_mut() {
            random.shuffle(self.ready.borrow_mut().make_contiguous());
        }
    }

    #[cold]
    fn fetch_messages(&self) {
        for message in self.mailbox.inbox.take() {
            match message {
                Message::Wake(remote) => {
                    remote.has_arrived();
                    if let Some(task) = self.task(remote.key(), remote.id) {
                        task.schedule();
                    }
                }
                Message::Call(call) => self.append(Callback::new(call)),
            }
        }
    }

    fn fetch_timers(&self) {
        let now = self.now();
        loop {
            let due = self.timers.borrow_mut().take_due(now);
            match due {
                Some(entry) => self.push(entry),
                None => break,
            }
        }
        self.has_timers.set(!self.timers.borrow().is_empty());
    }

    /// Waits until something is ready. `None` if that is so at once.
    fn sleep(&self, context: &mut Context<'_>) -> Option<Poll<Stop>> {
        let next = self.timers.borrow().next();
        let mut alarm = self.alarm.borrow_mut();
        if !self.clock.is_virtual() {
            let at = next.and_then(|next| self.clock.instant(next));
            if alarm.is_due(at, context) {
                return None;
            }
        } else if !self.has_kept() {
            let waits_elsewhere = self.elsewhere.get() > 0 || Arc::strong_count(&self.outside) > 1;
            if let Some(next) = next {
                if !waits_elsewhere || alarm.is_due_after(self.options.patience, context) {
                    alarm.forget();
                    self.clock.advance(next);
                    return None;
                }
            } else if !waits_elsewhere {
                drop(alarm);
                return self.deadlock();
            }
        }
        drop(alarm);
        if !self.mailbox.inbox.sleep(context.waker()) {
            return None;
        }
        self.sleeper.set(Some(context.waker().clone()));
        self.is_asleep.set(true);
        Some(Poll::Pending)
    }

    #[cold]
    fn deadlock(&self) -> Option<Poll<Stop>> {
        if let Some(on_deadlock) = self.options.on_deadlock.clone() {
            let done = catch_unwind(AssertUnwindSafe(|| on_deadlock()));
            if let Err(payload) = done {
                self.report(None, Reason::Callback(payload));
            }
            if self.is_stopping.get() || !self.ready.borrow().is_empty() {
                return None;
            }
        }
        Some(Poll::Ready(Stop::Deadlock))
    }

    #[inline]
    fn run_entry(&self, entry: Rc<dyn Entry>) {
        match self.options.slow {
            None => self.run_reporting(entry),
            Some(slow) => self.run_timed(entry, slow),
        }
    }

    #[inline(always)]
    fn run_reporting(&self, entry: Rc<dyn Entry>) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| entry.run())) {
            self.report(None, Reason::Callback(payload));
        }
    }

    /// Runs an entry, and reports it if it takes too long.
    #[cold]
    fn run_timed(&self, entry: Rc<dyn Entry>, slow: Duration) {
        let before = entry.clone();
        let task = before.task();
        let place = task.and_then(|task| task.interrupt.forget_place());
        let start = Instant::now();
        self.run_reporting(entry);
        let held = start.elapsed();
        if held >= slow {
            let name = task.map(Header::name);
            let reason = Reason::HeldTheLoop {
                held,
                since: place.or(task.map(|task| task.place)),
                until: task.and_then(|task| task.interrupt.place()),
            };
            self.report(name.as_deref(), reason);
        }
    }

    /// Drops all that is left. Tasks that have not ended are reported.
    pub(crate) fn close(&self) {
        if self.is_closed.replace(true) {
            return;
        }
        let messages = self.mailbox.inbox.close();
        report_if_it_panics(None, messages);
        for task in self.tasks() {
            if task.phase() == Phase::Pending {
                let header = task.header();
                self.report(Some(&header.name()), Reason::Pending(header.place));
                task.abandon();
            }
        }
        let (ready, timers) = (self.ready.take(), self.timers.borrow_mut().take_all());
        report_if_it_panics(None, self.kept.take());
        drop(self.listener.take());
        report_if_it_panics(None, self.on_interrupt.take());
        report_if_it_panics(None, ready);
        for entry in timers {
            report_if_it_panics(None, entry);
        }
    }
}
