//! What several can be awaited of at a time.

#![forbid(unsafe_code)]

use std::rc::Rc;

use crate::exception::Exception;
use crate::task::entry::{AnyTask, Target};
use crate::task::future::Future;
use crate::task::join::Source;
use crate::task::state::State;
use crate::task::task::Task;
use crate::task::task_ref::TaskRef;

/// A task or a future, or a reference to one: what [`wait`](crate::task::wait()) and
/// [`as_completed`](crate::task::as_completed()) take several of.
pub trait Awaitable: target::Sealed {}

/// A task or a future whose result is wanted: what [`gather`](crate::task::gather()), [`shield`](crate::task::shield()) and
/// [`wait_for`](crate::task::wait_for()) take.
///
/// Those that own it take the result. From a reference, or an `Rc`, they get a clone.
pub trait Joinable: part::Sealed<Part = Part<Self::Value>> {
    /// What it returns.
    type Value: 'static;
}

/// One whose result is wanted.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Part<T: 'static> {
    pub(crate) source: Rc<dyn Source<T>>,
    fetch: fn(&State<T>) -> Result<T, Exception>,
}

impl<T: 'static> Part<T> {
    /// How it ended, in the way in which it was given.
    pub(crate) fn fetch(&self) -> Result<T, Exception> {
        (self.fetch)(self.source.state())
    }

    /// The error with which it ended, as it has.
    pub(crate) fn error(&self) -> Exception {
        self.fetch().err().unwrap_or(Exception::Cancelled)
    }

    pub(crate) fn target(&self) -> Rc<dyn Target> {
        self.source.clone().as_target()
    }
}

mod target {
    use super::{Rc, Target};

    pub trait Sealed {
        #[doc(hidden)]
        fn target(&self) -> Kept;
    }

    #[allow(missing_debug_implementations)]
    pub struct Kept(pub(crate) Rc<dyn Target>);
}

mod part {
    pub trait Sealed {
        type Part;

        #[doc(hidden)]
        fn into_part(self) -> Self::Part;
    }
}

pub(crate) use part::Sealed as IntoPart;

/// What is to be awaited.
pub(crate) fn target_of(awaitable: &impl Awaitable) -> Rc<dyn Target> {
    awaitable.target().0
}

macro_rules! is_awaitable {
    ($($handle:ident),*) => {$(
        impl<T: 'static> Awaitable for $handle<T> {}

        impl<T: 'static> target::Sealed for $handle<T> {
            fn target(&self) -> target::Kept {
                target::Kept(self.cell.clone())
            }
        }

        impl<T: 'static> Joinable for $handle<T> {
            type Value = T;
        }

        impl<T: 'static> part::Sealed for $handle<T> {
            type Part = Part<T>;

            fn into_part(self) -> Part<T> {
                Part {
                    source: self.cell.clone(),
                    fetch: State::take,
                }
            }
        }

        impl<T: Clone + 'static> Joinable for &$handle<T> {
            type Value = T;
        }

        impl<T: Clone + 'static> part::Sealed for &$handle<T> {
            type Part = Part<T>;

            fn into_part(self) -> Part<T> {
                Part {
                    source: self.cell.clone(),
                    fetch: State::share,
                }
            }
        }

        impl<T: Clone + 'static> Joinable for Rc<$handle<T>> {
            type Value = T;
        }

        impl<T: Clone + 'static> part::Sealed for Rc<$handle<T>> {
            type Part = Part<T>;

            fn into_part(self) -> Part<T> {
                (&*self).into_part()
            }
        }
    )*};
}

is_awaitable!(Task, Future);

impl Awaitable for TaskRef {}

impl target::Sealed for TaskRef {
    fn target(&self) -> target::Kept {
        target::Kept(AnyTask::as_target(self.0.clone()))
    }
}

impl<A: Awaitable> Awaitable for &A {}

impl<A: Awaitable> target::Sealed for &A {
    fn target(&self) -> target::Kept {
        (**self).target()
    }
}

impl<A: Awaitable> Awaitable for Rc<A> {}

impl<A: Awaitable> target::Sealed for Rc<A> {
    fn target(&self) -> target::Kept {
        (**self).target()
    }
}
