//! The result of a task or future, once there is one.

#![forbid(unsafe_code)]

use std::cell::RefCell;

use crate::exception::Exception;
use crate::task::base::Base;
use crate::task::entry::Phase;
use crate::task::error::InvalidState;

/// What a task or future returns, or why it does not.
pub(crate) struct State<T> {
    pub(crate) base: Base,
    /// Empty if it has not returned, or if what it has returned was taken.
    value: RefCell<Option<T>>,
}

impl<T> State<T> {
    pub(crate) fn new(base: Base) -> Self {
        Self {
            base,
            value: RefCell::new(None),
        }
    }

    /// Now it is done, and this is how.
    pub(crate) fn settle(&self, outcome: Result<T, Exception>) {
        match outcome {
            Ok(value) => {
                *self.value.borrow_mut() = Some(value);
                self.base.finish(Phase::Returned);
            }
            Err(error) => self.base.fail(error),
        }
    }

    /// What it returned or raised, which is gone then.
    pub(crate) fn take(&self) -> Result<T, Exception> {
        match self.base.phase() {
            Phase::Pending => Err(InvalidState::pending().into()),
            Phase::Cancelled => Err(Exception::Cancelled),
            Phase::Returned => match self.value.try_borrow_mut() {
                Ok(mut value) => value.take().ok_or_else(|| InvalidState::taken().into()),
                // It is being cloned.
                Err(_) => Err(InvalidState::taken().into()),
            },
            Phase::Raised => Err(self
                .base
                .take_error()
                .unwrap_or_else(|| InvalidState::taken().into())),
        }
    }

    /// What it returned or raised, which stays.
    pub(crate) fn share(&self) -> Result<T, Exception>
    where
        T: Clone,
    {
        match self.base.phase() {
            Phase::Returned => match &*self.value.borrow() {
                Some(value) => Ok(value.clone()),
                None => Err(InvalidState::taken().into()),
            },
            Phase::Raised => Err(self
                .base
                .share_error()
                .unwrap_or_else(|| InvalidState::taken().into())),
            Phase::Pending | Phase::Cancelled => self.take(),
        }
    }

    /// The error with which it ended, which stays.
    ///
    /// # Errors
    ///
    /// `Cancelled` or an [`InvalidState`].
    pub(crate) fn error(&self) -> Result<Option<Exception>, Exception> {
        match self.base.phase() {
            Phase::Pending => Err(InvalidState::pending().into()),
            Phase::Cancelled => Err(Exception::Cancelled),
            Phase::Returned => Ok(None),
            Phase::Raised => Ok(self.base.share_error()),
        }
    }
}
