//! What a task runs.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::builder::Builder;
use crate::exception::Exception;
use crate::fiber::Fiber;
use crate::frame::Outcome;
use crate::interrupt::{Waits, poll_interruptibly};
use crate::scope::Keep;
use crate::task::error::Panicked;
use crate::unraisable::{Reason, report};
use crate::unwind::ForcedUnwind;

/// What [`spawn`](crate::task::spawn()) makes a task of: a closure or a future that returns a `Result<R, `[`Exception`]`>`.
///
/// `M` only tells the two apart, and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the body of a task",
    label = "neither a closure nor a future that returns a `Result<_, Exception>`",
    note = "a body that cannot fail ends with `Ok(..)`: a task may be cancelled, and `?` is how that gets out"
)]
pub trait IntoTask<M> {
    /// What the task returns.
    type Output;

    /// # Safety
    ///
    /// What it borrows outlives the body.
    #[doc(hidden)]
    unsafe fn into_body(self, builder: &Builder) -> Body<Self::Output>;
}

/// Marks closures that are made a task.
#[derive(Debug)]
pub enum ByCalling {}

/// Marks futures that are made a task.
#[derive(Debug)]
pub enum ByPolling {}

impl<F, R> IntoTask<ByCalling> for F
where
    F: FnOnce() -> Result<R, Exception>,
{
    type Output = R;

    unsafe fn into_body(self, builder: &Builder) -> Body<R> {
        // SAFETY: as our caller promises.
        Body(Kind::Fiber(unsafe { builder.fiber_unchecked(self) }))
    }
}

impl<F, R> IntoTask<ByPolling> for F
where
    F: Future<Output = Result<R, Exception>>,
{
    type Output = R;

    unsafe fn into_body(self, _: &Builder) -> Body<R> {
        type Boxed<'a, R> = Pin<Box<dyn Future<Output = Result<R, Exception>> + 'a>>;
        let future: Boxed<'_, R> = Box::pin(self);
        // SAFETY: only the lifetime of what the future borrows is erased, and that lives long enough, says our caller.
        let future = unsafe { std::mem::transmute::<Boxed<'_, R>, Boxed<'static, R>>(future) };
        Body(Kind::Future(future, Waits::Not))
    }
}

/// What a task runs.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Body<R>(Kind<R>);

enum Kind<R> {
    Fiber(Fiber<Result<R, Exception>>),
    Future(Pin<Box<dyn Future<Output = Result<R, Exception>>>>, Waits),
}

impl<R> Body<R> {
    /// Runs it until it waits, or ends: then there is an `outcome`. (That is written where it is to be, as it would otherwise be
    /// copied from place to place each time that there is none.)
    pub(crate) fn turn(&mut self, task: &Rc<dyn Keep>, outcome: &mut Option<Result<R, Exception>>) {
        let payload = match &mut self.0 {
            Kind::Fiber(fiber) => match fiber.turn(task) {
                Ok(true) => return,
                Ok(false) => match fiber.take_outcome() {
                    Outcome::Returned(returned) => {
                        *outcome = Some(returned);
                        return;
                    }
                    Outcome::Panicked(payload) => payload,
                },
                Err(error) => {
                    *outcome = Some(Err(error.into()));
                    return;
                }
            },
            Kind::Future(future, waits) => {
                let mut context = Context::from_waker(task.waker());
                let poll = || match poll_interruptibly(waits, || future.as_mut().poll(&mut context))
                {
                    Poll::Pending => {}
                    Poll::Ready(Ok(returned)) => *outcome = Some(returned),
                    Poll::Ready(Err(cancelled)) => *outcome = Some(Err(cancelled.into())),
                };
                match catch_unwind(AssertUnwindSafe(poll)) {
                    Ok(()) => return,
                    Err(payload) => payload,
                }
            }
        };
        *outcome = Some(Err(match payload.is::<ForcedUnwind>() {
            true => Exception::Cancelled,
            false => Panicked::new(payload).into(),
        }));
    }

    /// Brings it to its end, without waiting for anything. Returns whether nothing is left of it.
    pub(crate) fn abandon(self, name: impl FnOnce() -> String) -> bool {
        match self.0 {
            Kind::Fiber(fiber) => fiber.abandon(),
            Kind::Future(future, _) => {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
                    report(Some(&name()), Reason::Panic(payload));
                }
                true
            }
        }
    }

    /// The stack of a suspended fiber is looked at by resuming it.
    pub(crate) fn look(&mut self, task: &Rc<dyn Keep>) {
        if let Kind::Fiber(fiber) = &mut self.0 {
            if fiber.state() == crate::channel::State::Suspended {
                let looked = fiber.turn(task);
                debug_assert!(matches!(looked, Ok(true)));
            }
        }
    }
}
