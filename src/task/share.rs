//! Waiting for what others wait for too.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::exception::Exception;
use crate::task::join::{Join, Source};

/// Waits for a reference to a [`Task`](crate::task::Task) or [`Future`](crate::task::Future), and gets a clone of its result.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Share<T> {
    source: Rc<dyn Source<T>>,
    join: Join,
}

impl<T> Share<T> {
    pub(crate) fn new(source: Rc<dyn Source<T>>) -> Self {
        let join = Join::NotYet;
        Self { source, join }
    }
}

impl<T: Clone> Future for Share<T> {
    type Output = Result<T, Exception>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let joined = this.join.poll(&this.source, context);
        joined.map(|joined| {
            joined
                .map_err(Exception::from)
                .and_then(|()| this.source.state().share())
        })
    }
}

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        self.join.forget(&self.source.state().base);
    }
}

impl<T> fmt::Debug for Share<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").finish_non_exhaustive()
    }
}
