//! Fibers: synchronous code that waits for futures.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::builder::Builder;
use crate::channel::{Port, State};
use crate::frame::{Handle, Outcome};
use crate::scope::{Keep, Scope, Source, begin, count_waiting};
use crate::stack::StackError;
use crate::unraisable::{Reason, report, report_if_it_panics};
use crate::unwind::ForcedUnwind;

/// Makes a future of a body that waits with [`await_`](crate::await_()) rather than `.await`.
///
/// Nothing runs yet. The body runs on a stack of its own whenever the future is polled, until it waits for something that is
/// not ready; that may be at any depth of calls, in a callback, in a generator, in a library that knows nothing of it. Any
/// executor of one thread will do: `futures_lite`'s or `async_io`'s `block_on`, `async_executor`'s `LocalExecutor`, tokio's
/// `LocalSet`.
///
/// ```
/// use futures_lite::future::{block_on, yield_now};
/// use yieldfrom::{await_, fiber, Cancelled};
///
/// fn deep_inside(n: u32) -> Result<u32, Cancelled> {
///     await_(yield_now())?; // the fiber waits, the thread does not
///     Ok(n * n)
/// }
/// let squares = fiber(|| (1..=3).map(deep_inside).collect::<Result<Vec<_>, _>>());
/// assert_eq!(block_on(squares), Ok(vec![1, 4, 9]));
/// ```
///
/// The body owns what it uses. A future that it waits for may borrow from it.
///
/// ```compile_fail,E0597
/// let local = vec![1, 2, 3];
/// let f = yieldfrom::fiber(|| local.len());
/// ```
pub fn fiber<R, F>(body: F) -> Fiber<R>
where
    R: 'static,
    F: FnOnce() -> R + 'static,
{
    Builder::new().fiber(body)
}

impl Builder {
    /// As [`fiber`](crate::fiber()).
    pub fn fiber<R, F>(&self, body: F) -> Fiber<R>
    where
        R: 'static,
        F: FnOnce() -> R + 'static,
    {
        // SAFETY: nothing is borrowed: the bounds say so.
        unsafe { self.fiber_unchecked(body) }
    }

    /// # Safety
    ///
    /// What `body` and its result borrow outlives the fiber; and it lives for ever if the fiber is forgotten, or its drop
    /// reports [`Reason::Leaked`] or [`Reason::ThreadEnds`].
    pub(crate) unsafe fn fiber_unchecked<R, F>(&self, body: F) -> Fiber<R>
    where
        F: FnOnce() -> R,
    {
        let body = move |port: &Port<(), ()>| {
            begin(port);
            body()
        };
        Fiber {
            // SAFETY: as our caller promises.
            handle: unsafe { Handle::new(self.config(), body) },
            port: ptr::null(),
        }
    }

    /// As [`fiber`](Self::fiber), but takes the stack at once.
    ///
    /// # Errors
    ///
    /// If there is no stack to be had. The body is dropped.
    pub fn try_fiber<R, F>(&self, body: F) -> Result<Fiber<R>, StackError>
    where
        R: 'static,
        F: FnOnce() -> R + 'static,
    {
        let mut fiber = self.fiber(body);
        fiber.try_reserve()?;
        Ok(fiber)
    }
}

/// A fiber: a future that runs synchronous code on a stack of its own.
///
/// Made by [`fiber`] or a [`Builder`].
///
/// | state | poll | [`cancel`](Self::cancel), drop |
/// |---|---|---|
/// | created | takes a stack, runs until the body waits | drops the body, which never runs |
/// | suspended | goes on, if what the body waits for is ready | has the body's wait, and every later one, end with [`Cancelled`](crate::Cancelled) |
/// | closed | panics, as an `async` block does | nothing |
///
/// A panic in the body comes out of the poll, and the fiber is closed. Neither drop nor `cancel` waits for anything.
///
/// A body that takes no notice of its cancellation and goes on waiting is unwound by force after 10,000 waits. If that is
/// impossible too (below an `extern "C"` frame, or if it catches every unwind), its stack is leaked. Both are
/// [reported](crate::set_unraisable_hook). (One that computes for ever without waiting cannot be stopped by anybody.)
///
/// A fiber stays on the thread that made it: its stack may hold anything. One that is suspended and forgotten
/// ([`mem::forget`](std::mem::forget)) counts as waiting there for ever.
///
/// ```compile_fail,E0277
/// let f = yieldfrom::fiber(|| 1);
/// std::thread::spawn(move || futures_lite::future::block_on(f));
/// ```
#[must_use = "a fiber does nothing until it is awaited or spawned on an executor"]
pub struct Fiber<R> {
    handle: Handle<(), (), R>,
    /// What the body waits with; null until it begins.
    port: *const Port<(), ()>,
}

// It moves freely: what stays in place is behind the handle.
impl<R> Unpin for Fiber<R> {}

impl<R> Fiber<R> {
    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// The name that the [`Builder`] gave it.
    pub fn name(&self) -> Option<&str> {
        self.handle.name()
    }

    /// Takes the stack now, so that the first poll cannot fail.
    ///
    /// # Errors
    ///
    /// If there is no memory, or a limit on mappings or address space is reached.
    pub fn try_reserve(&mut self) -> Result<(), StackError> {
        self.handle.reserve()
    }

    /// Brings the fiber to its end: what it waits for, and whatever it goes on to wait for, ends with
    /// [`Cancelled`](crate::Cancelled). Returns what the body returns.
    ///
    /// `None` if it has not begun, had ended, or had to be unwound.
    ///
    /// # Panics
    ///
    /// If the body does.
    pub fn cancel(&mut self) -> Option<R> {
        match self.handle.state() {
            State::Suspended => {
                let outcome = self.finish();
                if outcome.is_none() {
                    self.handle.leak(Reason::Leaked);
                }
                match outcome? {
                    Outcome::Returned(value) => Some(value),
                    Outcome::Panicked(payload) if payload.is::<ForcedUnwind>() => None,
                    Outcome::Panicked(payload) => resume_unwind(payload),
                }
            }
            _ => {
                self.handle.close();
                None
            }
        }
    }

    /// Resumes it for the last time. `None` if it has got stuck.
    fn finish(&self) -> Option<Outcome<R>> {
        count_waiting(false);
        // SAFETY: the port is that of a body that has begun and not ended, so both are there until the resume is over.
        let scope = unsafe { Scope::new(self.port, Source::None) };
        let outcome = scope.enter(|| self.handle.resume_to_end());
        if scope.was_ignored() {
            report(self.name(), Reason::IgnoredCancel);
        }
        outcome
    }
}

impl<R> Future for Fiber<R> {
    type Output = R;

    /// # Panics
    ///
    /// If the body panics, or has ended. Also if there is no stack for it, see [`try_reserve`](Fiber::try_reserve).
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        if matches!(self.handle.state(), State::Running | State::Closed) {
            // Here, as the panic hook is not to run in a scope whose port is that of a body that has ended.
            panic!("a fiber was polled after its end");
        }
        // SAFETY: the waker outlives this call, and the body uses no other than its clone: one that is suspended by a drop
        // has no waker any more.
        match unsafe { self.advance(Source::Poll(context.waker())) } {
            Ok(true) => Poll::Pending,
            Ok(false) => match self.handle.take_outcome() {
                Outcome::Returned(value) => Poll::Ready(value),
                Outcome::Panicked(payload) => resume_unwind(payload),
            },
            Err(error) => panic!("{error}; `try_reserve` reports this as an error"),
        }
    }
}

impl<R> Fiber<R> {
    /// Runs it until it waits or ends, as the body of a task. It is created or suspended. Returns whether it waits.
    pub(crate) fn turn(&mut self, task: &Rc<dyn Keep>) -> Result<bool, StackError> {
        // SAFETY: the task outlives this call, and who waits holds on to it.
        unsafe { self.advance(Source::Task(task)) }
    }

    /// How the body has ended, once.
    pub(crate) fn take_outcome(&self) -> Outcome<R> {
        self.handle.take_outcome()
    }

    /// Brings it to its end, as a drop does. Returns whether its stack is free.
    pub(crate) fn abandon(mut self) -> bool {
        self.end();
        self.handle.close();
        !self.handle.channel().switch.has_stack()
    }

    /// Runs it until it waits or ends. It is created or suspended. Returns whether it waits.
    ///
    /// # Safety
    ///
    /// What `source` points to outlives this call.
    unsafe fn advance(&mut self, source: Source) -> Result<bool, StackError> {
        let was_waiting = self.handle.state() == State::Suspended;
        if !was_waiting {
            self.handle.reserve()?;
        }
        // SAFETY: the port is null, or that of a body that has begun and not ended; and what our caller promises.
        let scope = unsafe { Scope::new(self.port, source) };
        let is_waiting = scope.enter(|| self.handle.go_on());
        if was_waiting != is_waiting {
            count_waiting(is_waiting);
        }
        self.port = scope.port();
        Ok(is_waiting)
    }
}

impl<R> Fiber<R> {
    fn end(&mut self) {
        if self.handle.state() == State::Suspended {
            let mut is_counted = true;
            self.handle.end_with(|| {
                is_counted = false;
                match self.finish() {
                    Some(Outcome::Panicked(payload)) if !payload.is::<ForcedUnwind>() => {
                        report(self.name(), Reason::Panic(payload));
                    }
                    Some(ended) => report_if_it_panics(self.name(), ended),
                    None => return false,
                }
                true
            });
            if is_counted {
                count_waiting(false);
            }
        }
    }
}

impl<R> Drop for Fiber<R> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<R> fmt::Debug for Fiber<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
