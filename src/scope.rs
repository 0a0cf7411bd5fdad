//! Which fiber runs on this thread, and whether it may be suspended.
//!
//! ```text
//!   Fiber::poll ──► Scope { waker, port } ── CURRENT ──► resume ──► body
//!                                                                     └─► generator ─► library ─► await_(future)
//!                        on the stack that the caller is on, whichever that is:   poll(future)   ─► Pending
//!   Fiber::poll ◄───────────────────────── one switch ──────────────────────────  park
//!   Pending
//! ```
//!
//! A scope is one resume of a fiber: it lies in the frame of the [`Fiber`](crate::Fiber) method that resumes it, and is
//! this thread's current one from just before that resume until just after. That is the whole check of "may this code
//! suspend that fiber": whoever runs while a scope is current runs on the fiber's stack or on one that was resumed from
//! there, directly or not, and whose resumer waits; so all that lies between can be left where it is and gone on with
//! later, in one piece. A resumed generator or coroutine returns to its resumer or stays below; it cannot carry the scope
//! away, as the scope is the thread's and not its own.
//!
//! A fiber that is a task of the [event loop](crate::task) may besides be *interrupted* in a wait, once for each request to
//! cancel it, see [`Interrupt`].
//!
//! Two things have to be looked at besides:
//!
//! 1. A future that is being polled must not have its poll suspended by another wait: executors keep thread-locals of
//!    their own during a poll, and whoever polls two futures at a time expects the second to be polled too. So each poll
//!    is marked for its duration.
//! 2. A poll can be left all the same, by a generator that yields from it. Then it may be gone on with in another scope,
//!    when the one in which it began is over. So nothing is kept across a poll but numbers that are never used twice, and
//!    the waker is a clone.
//!
//! tests/fiber_misuse.rs attacks each of these.

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;
use std::task::Waker;

use crate::channel::Port;
use crate::frames;
use crate::interrupt::{Interrupt, with_interrupt};
use crate::stack::{stack_of, thread_has_ended};

/// One resume of a fiber.
pub(crate) struct Scope {
    /// The fiber. Null from the first resume until its body begins.
    port: Cell<*const Port<(), ()>>,
    /// Who is to be told when the fiber can go on.
    source: Source,
    /// Which one this is: no other scope of this thread has the same number.
    number: u64,
    /// How many operations that need not wait may follow each other before the others have their turn.
    budget: Cell<u32>,
    /// How often something was not waited for, because the fiber has to come to its end.
    refused: Cell<u32>,
    /// How often it has been unwound therefore.
    unwound: Cell<u32>,
}

/// Where a waker comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// Nobody waits: the fiber has to come to its end.
    None,
    /// Whoever polls the fiber.
    Poll(*const Waker),
    /// The task that the fiber is. To hold on to it costs less than to clone a waker.
    Task(*const Rc<dyn Keep>),
}

/// Keeps the waker of a task.
pub(crate) trait Keep {
    fn waker(&self) -> &Waker;
}

/// What this thread knows.
struct Thread {
    /// Null outside of fibers.
    current: Cell<*const Scope>,
    /// The number of the innermost poll in the current scope, or 0; and where on the stack that is.
    poll: Cell<(u64, usize)>,
    /// The last number that was given to a scope or a poll.
    last: Cell<u64>,
    /// How many fibers are suspended.
    waiting: Cell<usize>,
    /// Thread-locals are being destroyed, see [`End`].
    ends: Cell<bool>,
}

/// Is dropped when the thread ends or calls `exit`, before all thread-locals that were first used before it.
///
/// From then on nobody waits. A thread would be blocked with thread-locals of async-io that are gone. And a fiber in which a
/// destructor runs, because it has called `exit`, would leave others to go on that are suspended in the `with` of a
/// thread-local that is gone. What was first used after this one escapes it, which the README names.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.ends.set(true));
    }
}

thread_local! {
    static END: End = const { End };
    static THREAD: Thread = const {
        Thread {
            current: Cell::new(ptr::null()),
            poll: Cell::new((0, 0)),
            last: Cell::new(0),
            waiting: Cell::new(0),
            ends: Cell::new(false),
        }
    };
}

/// Operations of one fiber in a row that do not have to wait.
const BUDGET: u32 = 64;

/// How often a fiber that has to come to its end may try to wait before it is unwound. A body that does nothing but
/// that would never end; one that closes a thousand connections should.
const PATIENCE: u32 = 10_000;

/// How often it is unwound.
const UNWIND_ROUNDS: u32 = 10;

/// Why something is not waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Cancelled,
    /// In a future that is being polled.
    InPoll,
    /// Outside of fibers on a thread where fibers wait.
    OnLoop,
}

/// Where the caller is.
pub(crate) enum Place<'a> {
    Fiber(&'a Scope),
    /// The thread may be blocked.
    Thread,
    Misplaced(Refusal),
}

impl Thread {
    fn number(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }
}

impl Scope {
    /// # Safety
    ///
    /// What both point to outlives the scope's [`enter`](Self::enter).
    #[inline]
    pub(crate) unsafe fn new(port: *const Port<(), ()>, source: Source) -> Self {
        Self {
            port: Cell::new(port),
            source,
            number: THREAD.with(Thread::number),
            budget: Cell::new(BUDGET),
            refused: Cell::new(0),
            unwound: Cell::new(0),
        }
    }

    /// Resumes the fiber in this scope.
    #[inline]
    pub(crate) fn enter<R>(&self, resume: impl FnOnce() -> R) -> R {
        struct Leave(*const Scope, (u64, usize));
        impl Drop for Leave {
            #[inline(always)]
            fn drop(&mut self) {
                THREAD.with(|thread| {
                    thread.current.set(self.0);
                    thread.poll.set(self.1);
                });
            }
        }
        let _leave =
            THREAD.with(|thread| Leave(thread.current.replace(self), thread.poll.replace((0, 0))));
        resume()
    }

    /// The fiber, once its body has begun.
    pub(crate) fn port(&self) -> *const Port<(), ()> {
        self.port.get()
    }

    /// Whether the body has gone on as if it did not have to come to its end.
    pub(crate) fn was_ignored(&self) -> bool {
        self.refused.get() > PATIENCE
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    pub(crate) fn has_to_end(&self) -> bool {
        matches!(self.source, Source::None)
    }

    /// Whether another operation may follow that need not wait, before the others have their turn.
    pub(crate) fn spend(&self) -> bool {
        match self.budget.get().checked_sub(1) {
            Some(left) => {
                self.budget.set(left);
                true
            }
            None => false,
        }
    }

    /// Counts a wait that is refused because the fiber has to come to its end. One that goes on and on is unwound.
    #[cold]
    pub(crate) fn refuse(&self) {
        let refused = self.refused.get().saturating_add(1);
        self.refused.set(refused);
        let (patience, may_unwind) = if std::thread::panicking() {
            (2 * PATIENCE, false) // destructors run, and come to their end if they do not wait in a loop
        } else {
            (PATIENCE, self.unwound.get() < UNWIND_ROUNDS)
        };
        if refused > patience {
            self.unwound.set(self.unwound.get() + u32::from(may_unwind));
            // SAFETY: the scope is current, so the fiber runs and has resumed whatever runs here. Attacked by
            // `what_ignores_its_cancellation_is_unwound` and its neighbours in tests/fiber_cancel.rs.
            unsafe { (*self.port.get()).unwind_from_above(may_unwind) };
        }
    }
}

/// Tells the current scope which fiber it is of. For the body to call before all else.
pub(crate) fn begin(port: &Port<(), ()>) {
    let current = THREAD.with(|thread| thread.current.get());
    // SAFETY: the first resume of a fiber is in a scope of its own, which is current.
    unsafe { (*current).port.set(port) };
}

/// Whether nobody waits any more on this thread.
#[inline]
pub(crate) fn thread_ends() -> bool {
    THREAD.with(|thread| thread.ends.get()) || thread_has_ended()
}

/// Has the end of the thread be noticed from now on.
pub(crate) fn expect_end() {
    let _ = END.try_with(|_| {});
}

/// Counts a fiber that is suspended from now on, or no longer.
pub(crate) fn count_waiting(more: bool) {
    expect_end();
    THREAD.with(|thread| {
        let waiting = thread.waiting.get();
        thread
            .waiting
            .set(if more { waiting + 1 } else { waiting - 1 });
    });
}

/// Calls `act` with where the caller is. In there, nothing is suspended.
pub(crate) fn at_place<R>(act: impl FnOnce(Place<'_>) -> R) -> R {
    let (current, poll, waiting) = THREAD.with(|thread| {
        (
            thread.current.get(),
            thread.poll.get(),
            thread.waiting.get(),
        )
    });
    // SAFETY: the scope is current, and stays so as long as nothing is suspended and its fiber does not end.
    let scope = unsafe { current.as_ref() };
    act(match scope {
        _ if poll.0 != 0 && !was_left(poll) => Place::Misplaced(Refusal::InPoll),
        Some(scope) => Place::Fiber(scope),
        None if waiting > 0 => Place::Misplaced(Refusal::OnLoop),
        None => Place::Thread,
    })
}

/// Whether a poll that was begun in this scope is not among the callers, because a generator has yielded from it.
#[cold]
#[inline(never)]
fn was_left(poll: (u64, usize)) -> bool {
    let mut is_caller = !frames::VISIBLE;
    let (place, mut inner) = (stack_of(poll.1), usize::MAX);
    frames::outwards(|frame| {
        // The frames of one stack follow each other upwards. Where the walk goes on on another stack, what lies between is
        // no frame, and may be a stack on which a poll was left.
        let within = inner < poll.1 && poll.1 < frame.end();
        is_caller |= within && stack_of(inner) == place && stack_of(frame.end()) == place;
        inner = frame.end();
        !is_caller
    });
    if !is_caller {
        THREAD.with(|thread| thread.poll.set((0, 0)));
    }
    !is_caller
}

/// The task whose fiber the caller may suspend, and the number of the scope. `None` if that is not so simple.
#[inline]
pub(crate) fn task() -> Option<(u64, Rc<dyn Keep>)> {
    with_task(|number, task| (number, task.clone()))
}

/// The number of the scope, if the fiber that the caller may suspend is that of `task`.
#[inline]
pub(crate) fn number_in(task: &Rc<dyn Keep>) -> Option<u64> {
    with_task(|number, current| Rc::ptr_eq(current, task).then_some(number)).flatten()
}

#[inline]
fn with_task<R>(act: impl FnOnce(u64, &Rc<dyn Keep>) -> R) -> Option<R> {
    let (current, poll) = THREAD.with(|thread| (thread.current.get(), thread.poll.get()));
    // SAFETY: as in `at_place`; and what a source points to outlives the resume.
    unsafe {
        let scope = current.as_ref().filter(|_| poll.0 == 0)?;
        let Source::Task(task) = scope.source else {
            return None;
        };
        Some(act(scope.number, &*task))
    }
}

/// Suspends the current fiber, unless the scope is another one by now.
#[inline(always)]
pub(crate) fn park(number: u64) {
    let (current, poll) = THREAD.with(|thread| (thread.current.get(), thread.poll.get()));
    if poll.0 != 0 {
        at_place(|_| ()); // perhaps it was left
    }
    let is_polling = THREAD.with(|thread| thread.poll.get().0 != 0);
    // SAFETY: as in `at_place`.
    let scope = unsafe { current.as_ref() };
    let scope = scope.filter(|scope| scope.number == number && !is_polling);
    // SAFETY: its scope is current: the fiber runs and has resumed whatever runs here, see the head of this file.
    // Attacked by tests/fiber_misuse.rs.
    if let Some(port) = scope.and_then(|scope| unsafe { scope.port.get().as_ref() }) {
        // SAFETY: as above.
        unsafe { port.park() };
        while with_interrupt(Interrupt::looks) == Some(true) {
            with_interrupt(Interrupt::see);
            // SAFETY: whoever has resumed it to look where it is has resumed this very fiber.
            unsafe { port.park() };
        }
    }
}

/// Marks that something is being called that must not be suspended by a wait.
#[inline(always)]
pub(crate) fn marked<R>(call: impl FnOnce() -> R) -> R {
    /// Unless the mark is another one by now, it is taken off.
    struct Mark(u64);
    impl Drop for Mark {
        #[inline(always)]
        fn drop(&mut self) {
            THREAD.with(|thread| {
                if thread.poll.get().0 == self.0 {
                    thread.poll.set((0, 0));
                }
            });
        }
    }
    let mark = Mark(THREAD.with(Thread::number));
    THREAD.with(|thread| thread.poll.set((mark.0, ptr::from_ref(&mark) as usize)));
    call()
}

/// Whether a wait of the caller could suspend a fiber.
pub(crate) fn can_wait() -> bool {
    let is_alive = at_place(|place| matches!(place, Place::Fiber(scope) if !scope.has_to_end()));
    is_alive && !std::thread::panicking() && !thread_ends()
}

/// Has the fiber that the caller runs in, and that has to come to its end, never get there: it is suspended, and leaked by
/// whoever waits for its end.
#[cold]
pub(crate) fn get_stuck() -> ! {
    let port = at_place(|place| match place {
        Place::Fiber(scope) if scope.has_to_end() => scope.port.get(),
        _ => ptr::null(),
    });
    // SAFETY: its scope is current and stays so; it is being resumed to its end, by somebody who looks at the report.
    if let Some(port) = unsafe { port.as_ref() } {
        // SAFETY: as above.
        unsafe { port.unwind_from_above(false) };
    }
    eprintln!("yieldfrom: a task group is left whose tasks cannot be ended");
    std::process::abort()
}

/// Whether the caller runs in a fiber, and not in a future that is being polled there.
pub(crate) fn in_fiber() -> bool {
    at_place(|place| matches!(place, Place::Fiber(_)))
}

/// Whether the caller may block its thread: no fiber runs here, and none waits here.
pub(crate) fn may_block() -> bool {
    at_place(|place| matches!(place, Place::Thread))
}

/// Whether an event loop may run here: not in a fiber, nor in a future that it polls.
pub(crate) fn may_run_loop() -> bool {
    at_place(|place| matches!(place, Place::Thread | Place::Misplaced(Refusal::OnLoop)))
}

/// A fiber, to be recognised by those who run in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Own(pub(crate) *const Port<(), ()>);

/// The fiber that the caller runs in.
pub(crate) fn own() -> Own {
    at_place(|place| match place {
        Place::Fiber(scope) => Own(scope.port.get()),
        Place::Thread | Place::Misplaced(_) => Own(ptr::null()),
    })
}
