//! Python's generator protocol, for any owner of a handle.

#![forbid(unsafe_code)]

use std::panic::resume_unwind;

use crate::channel::State;
use crate::exception::{Exception, Raised};
use crate::frame::{Handle, Outcome, Turn};
use crate::frames::wake_to_drop;
use crate::unraisable::{Reason, report, report_if_it_panics};

/// How far a coroutine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step<Y, R> {
    /// It has yielded a value and is suspended.
    Yielded(Y),
    /// It has returned and is closed (Python's `StopIteration`, with its `value`).
    Complete(R),
}

impl<Y, R> Step<Y, R> {
    /// The yielded value.
    pub fn yielded(self) -> Option<Y> {
        match self {
            Self::Yielded(value) => Some(value),
            Self::Complete(_) => None,
        }
    }

    /// The returned value.
    pub fn complete(self) -> Option<R> {
        match self {
            Self::Yielded(_) => None,
            Self::Complete(value) => Some(value),
        }
    }
}

pub(crate) type Resumed<Y, S, R> = Result<Step<Y, R>, Raised<S>>;

/// The protocol, for any owner of a handle.
impl<Y, S, R> Handle<Y, S, Result<R, Exception>> {
    pub(crate) fn protocol_prime(&self) -> Resumed<Y, S, R> {
        match self.state() {
            State::Created => settle(self.start().map_err(Raised::NoStack)?),
            State::Suspended => Err(Raised::AlreadyStarted),
            State::Running => Err(Raised::AlreadyExecuting(None)),
            State::Closed => Err(Raised::Exhausted(None)),
        }
    }

    #[inline]
    pub(crate) fn protocol_send(&self, value: S) -> Resumed<Y, S, R> {
        // Not a `match` of all states, which can become a jump through a table.
        if self.state() == State::Suspended {
            settle(self.send(value))
        } else {
            Err(self.refuse(value))
        }
    }

    #[cold]
    fn refuse(&self, value: S) -> Raised<S> {
        match self.state() {
            State::Created => Raised::JustStarted(value),
            State::Running => Raised::AlreadyExecuting(Some(value)),
            State::Suspended | State::Closed => Raised::Exhausted(Some(value)),
        }
    }

    pub(crate) fn protocol_throw(&self, exception: Exception) -> Resumed<Y, S, R> {
        match self.state() {
            State::Suspended => settle(self.throw(exception)),
            State::Running => Err(Raised::AlreadyExecuting(None)),
            State::Created | State::Closed => {
                self.close();
                Err(Raised::Exception(exception))
            }
        }
    }

    pub(crate) fn finish(&self) -> Result<Option<R>, Raised<S>> {
        match self.state() {
            State::Running => Err(Raised::AlreadyExecuting(None)),
            State::Created | State::Closed => {
                self.close();
                Ok(None)
            }
            State::Suspended => match settle(self.exit()) {
                Ok(Step::Complete(value)) => Ok(Some(value)),
                Err(Raised::Exception(Exception::GeneratorExit)) => Ok(None),
                Ok(Step::Yielded(_)) => Err(Raised::IgnoredExit),
                Err(raised) => Err(raised),
            },
        }
    }

    /// The first two stages of a drop: asks a suspended one to finish. What is wrong with that is reported. One that
    /// does not finish is left suspended, for the next stage to unwind; and so is every one while its thread ends.
    pub(crate) fn drop_by_value(&self) {
        let bounds = self.channel().switch.bounds();
        let Ok(turn) = wake_to_drop(bounds, || self.exit()) else {
            return;
        };
        match turn {
            Turn::Yielded(value) => {
                report_if_it_panics(self.name(), value);
                report(self.name(), Reason::IgnoredExit);
            }
            Turn::Finished(Outcome::Panicked(payload)) => {
                report(self.name(), Reason::Panic(payload))
            }
            Turn::Finished(Outcome::Returned(Err(Exception::Error(error)))) => {
                report(self.name(), Reason::Exception(Exception::Error(error)));
            }
            Turn::Finished(ended) => report_if_it_panics(self.name(), ended),
        }
    }
}

#[inline(always)]
fn settle<Y, S, R>(turn: Turn<Y, Result<R, Exception>>) -> Resumed<Y, S, R> {
    match turn {
        Turn::Yielded(value) => Ok(Step::Yielded(value)),
        Turn::Finished(outcome) => end(outcome),
    }
}

#[cold]
fn end<Y, S, R>(outcome: Outcome<Result<R, Exception>>) -> Resumed<Y, S, R> {
    match outcome {
        Outcome::Returned(Ok(value)) => Ok(Step::Complete(value)),
        Outcome::Returned(Err(exception)) => Err(Raised::Exception(exception)),
        Outcome::Panicked(payload) => resume_unwind(payload),
    }
}
