//! Waiting for a task or a future.

#![forbid(unsafe_code)]

use std::rc::Rc;
use std::task::{Context, Poll};

use crate::interrupt::{Interrupt, with_interrupt};
use crate::task::base::Base;
use crate::task::cell::TaskCell;
use crate::task::entry::{Phase, Target};
use crate::task::error::AwaitsItself;
use crate::task::state::State;
use crate::task::turn::running_task;
use crate::task::waiter::{awaits, yields};

/// What has a result of this type, or will have one: a task or a future.
pub(crate) trait Source<T>: Target {
    fn state(&self) -> &State<T>;

    fn as_target(self: Rc<Self>) -> Rc<dyn Target>;

    /// Whether it is the task whose turn it is.
    fn is_running(&self) -> bool {
        false
    }
}

impl<R: 'static> Source<R> for TaskCell<R> {
    fn state(&self) -> &State<R> {
        &self.state
    }

    fn as_target(self: Rc<Self>) -> Rc<dyn Target> {
        self
    }

    fn is_running(&self) -> bool {
        running_task().is_some_and(|task| std::ptr::addr_eq(&*task, self))
    }
}

/// How far somebody who waits has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Join {
    #[default]
    NotYet,
    Watches(u32),
    /// The task waits for itself, and will be told so.
    Itself,
}

impl Join {
    /// Waits for `source`. An error if the task waits for itself.
    pub(crate) fn poll<T, S: Source<T> + ?Sized>(
        &mut self,
        source: &Rc<S>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), AwaitsItself>> {
        let base = &source.state().base;
        match (*self, base.phase()) {
            (Self::Itself, _) => return Poll::Ready(Err(AwaitsItself::new())),
            (Self::NotYet, Phase::Pending) if source.is_running() => {
                // CPython 3.13 tells it in its next turn.
                *self = Self::Itself;
                yields(context);
            }
            (Self::NotYet, Phase::Pending) => {
                let entry = awaits(source.clone().as_cancel(), 0, context);
                *self = Self::Watches(base.watch(entry));
            }
            (Self::Watches(key), Phase::Pending) => {
                base.watch_instead(key, awaits(source.clone().as_cancel(), 0, context));
            }
            (before, phase) => {
                *self = Self::NotYet;
                let was_passed_on = with_interrupt(Interrupt::was_passed_on) == Some(true);
                if !was_passed_on || before == Self::NotYet || phase != Phase::Cancelled {
                    return Poll::Ready(Ok(()));
                }
                // It was cancelled because whoever waits was.
                with_interrupt(Interrupt::raise);
            }
        }
        Poll::Pending
    }

    /// Waits no more.
    pub(crate) fn forget(&mut self, base: &Base) {
        if let Self::Watches(key) = *self {
            *self = Self::NotYet;
            base.unwatch(key);
        }
    }
}
