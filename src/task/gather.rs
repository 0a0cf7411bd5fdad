//! The results of several tasks.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::exception::Exception;
use crate::interrupt::{Interrupt, with_interrupt};
use crate::task::awaitable::{IntoPart, Joinable, Part};
use crate::task::base::Base;
use crate::task::cancel::{Cancel, Ticket, Todo};
use crate::task::entry::{Observation, Observe, Phase, Target};
use crate::task::scheduler::Scheduler;
use crate::task::waiter::awaits;

/// Waits for the results of several tasks or futures, in the order in which they are given: `asyncio.gather`.
///
/// The tasks are a `Vec`, an array, or a tuple of up to eight of different types; or references to such.
///
/// The first error is raised at once; the other tasks go on, and what they raise later is lost. To have an error for each,
/// [`return_exceptions`](Gather::return_exceptions). If whoever waits is cancelled, so are all tasks that are not done. One that is
/// cancelled by others counts as one that has raised [`Exception::Cancelled`].
///
/// ```
/// use std::time::Duration;
/// use yieldfrom::{await_, task::{gather, run, sleep, spawn}};
///
/// let results = run(|| {
///     let slow = |n| spawn(move || {
///         await_(sleep(Duration::from_millis(n)))?;
///         Ok(n)
///     });
///     let word = spawn(async { Ok("spam") });
///     let (numbers, word) = await_(gather((spawn(move || await_(gather([slow(3), slow(1)]))?), word)))??;
///     Ok(format!("{numbers:?} {word}"))
/// });
/// assert_eq!(results.unwrap(), "[3, 1] spam");
/// ```
pub fn gather<S: Gatherable>(tasks: S) -> Gather<S> {
    Gather(Wait {
        gathering: Gathering::new(tasks.into_parts()),
        key: None,
    })
}

/// Several tasks or futures whose results are wanted: what [`gather`] takes.
pub trait Gatherable:
    parts::Sealed<Parts: Parts<Values = Self::Values, Outcomes = Self::Outcomes>>
{
    /// What they return: a `Vec` or a tuple.
    type Values: 'static;
    /// What they return, or the error of each.
    type Outcomes: 'static;
}

mod parts {
    pub trait Sealed {
        type Parts: 'static;

        #[doc(hidden)]
        fn into_parts(self) -> Self::Parts;
    }
}

#[doc(hidden)]
#[allow(missing_debug_implementations, unreachable_pub)]
pub trait Parts: 'static {
    type Values;
    type Outcomes;

    fn targets(&self) -> Vec<Kept>;
    /// The error with which one has ended that has raised one.
    fn error(&self, which: usize) -> Exception;
    fn values(&self) -> Result<Self::Values, Exception>;
    fn outcomes(&self) -> Self::Outcomes;
}

#[doc(hidden)]
#[allow(missing_debug_implementations, unreachable_pub)]
pub struct Kept(Rc<dyn Target>);

impl<J: Joinable> Gatherable for Vec<J> {
    type Values = Vec<J::Value>;
    type Outcomes = Vec<Result<J::Value, Exception>>;
}

impl<J: Joinable> parts::Sealed for Vec<J> {
    type Parts = Vec<Part<J::Value>>;

    fn into_parts(self) -> Self::Parts {
        self.into_iter().map(IntoPart::into_part).collect()
    }
}

impl<J: Joinable, const N: usize> Gatherable for [J; N] {
    type Values = Vec<J::Value>;
    type Outcomes = Vec<Result<J::Value, Exception>>;
}

impl<J: Joinable, const N: usize> parts::Sealed for [J; N] {
    type Parts = Vec<Part<J::Value>>;

    fn into_parts(self) -> Self::Parts {
        self.into_iter().map(IntoPart::into_part).collect()
    }
}

impl<T: 'static> Parts for Vec<Part<T>> {
    type Values = Vec<T>;
    type Outcomes = Vec<Result<T, Exception>>;

    fn targets(&self) -> Vec<Kept> {
        self.iter().map(|part| Kept(part.target())).collect()
    }

    fn error(&self, which: usize) -> Exception {
        self[which].error()
    }

    fn values(&self) -> Result<Vec<T>, Exception> {
        self.iter().map(Part::fetch).collect()
    }

    fn outcomes(&self) -> Self::Outcomes {
        self.iter().map(Part::fetch).collect()
    }
}

macro_rules! tuples_are_gatherable {
    ($(($($part:ident $index:tt),+);)*) => {$(
        impl<$($part: Joinable),+> Gatherable for ($($part,)+) {
            type Values = ($($part::Value,)+);
            type Outcomes = ($(Result<$part::Value, Exception>,)+);
        }

        impl<$($part: Joinable),+> parts::Sealed for ($($part,)+) {
            type Parts = ($(Part<$part::Value>,)+);

            fn into_parts(self) -> Self::Parts {
                ($(self.$index.into_part(),)+)
            }
        }

        impl<$($part: 'static),+> Parts for ($(Part<$part>,)+) {
            type Values = ($($part,)+);
            type Outcomes = ($(Result<$part, Exception>,)+);

            fn targets(&self) -> Vec<Kept> {
                vec![$(Kept(self.$index.target())),+]
            }

            fn error(&self, which: usize) -> Exception {
                let errors = [$(|parts: &Self| parts.$index.error()),+];
                errors[which](self)
            }

            fn values(&self) -> Result<Self::Values, Exception> {
                Ok(($(self.$index.fetch()?,)+))
            }

            fn outcomes(&self) -> Self::Outcomes {
                ($(self.$index.fetch(),)+)
            }
        }
    )*};
}

tuples_are_gatherable! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
}

/// How a gathering has ended.
type Ended<P> = Result<Results<<P as Parts>::Values, <P as Parts>::Outcomes>, Exception>;

/// How all of a gathering have ended.
enum Results<V, O> {
    Values(V),
    Outcomes(O),
}

/// Several tasks whose results are wanted, in memory: asyncio's `_GatheringFuture`, and its `_done_callback`.
struct Gathering<P: Parts> {
    base: Base,
    parts: P,
    targets: Vec<Rc<dyn Target>>,
    /// Those that were done already when this began.
    done_before: RefCell<Vec<usize>>,
    finished: Cell<usize>,
    returns_exceptions: Cell<bool>,
    is_cancelled: Cell<bool>,
    results: RefCell<Option<Results<P::Values, P::Outcomes>>>,
}

impl<P: Parts> Gathering<P> {
    fn new(parts: P) -> Rc<Self> {
        let targets: Vec<_> = parts.targets().into_iter().map(|kept| kept.0).collect();
        let done = |which: &usize| targets[*which].phase() != Phase::Pending;
        let done_before = (0..targets.len()).filter(done).collect::<Vec<_>>();
        let gathering = Rc::new(Self {
            base: Base::new(Scheduler::running()),
            parts,
            done_before: RefCell::new(done_before),
            targets,
            finished: Cell::new(0),
            returns_exceptions: Cell::new(false),
            is_cancelled: Cell::new(false),
            results: RefCell::new(None),
        });
        for (target, which) in gathering.targets.iter().zip(0..) {
            if target.phase() == Phase::Pending {
                target.watch(Observation::of(&gathering, which));
            }
        }
        gathering
    }

    /// Looks at those that were done when this began, now that it is known what is wanted of them.
    fn look_back(&self) {
        if self.targets.is_empty() && !self.base.is_done() {
            self.complete();
        }
        for which in self.done_before.take() {
            self.one_is_done(which);
        }
    }

    fn one_is_done(&self, which: usize) {
        self.finished.set(self.finished.get() + 1);
        let target = &self.targets[which];
        if self.base.is_done() {
            target.acknowledge();
        } else if !self.returns_exceptions.get() && target.phase() == Phase::Cancelled {
            self.base.fail(Exception::Cancelled);
        } else if !self.returns_exceptions.get() && target.phase() == Phase::Raised {
            self.base.fail(self.parts.error(which));
        } else if self.finished.get() == self.targets.len() {
            self.complete();
        }
    }

    fn complete(&self) {
        let results = if self.returns_exceptions.get() {
            Ok(Results::Outcomes(self.parts.outcomes()))
        } else {
            self.parts.values().map(Results::Values)
        };
        match results {
            _ if self.is_cancelled.get() => self.base.fail(Exception::Cancelled),
            Ok(results) => {
                *self.results.borrow_mut() = Some(results);
                self.base.finish(Phase::Returned);
            }
            Err(error) => self.base.fail(error), // somebody else has taken a result
        }
    }
}

impl<P: Parts> Observe for Gathering<P> {
    fn observe(self: Rc<Self>, which: u32) {
        self.look_back();
        self.one_is_done(which as usize);
    }
}

impl<P: Parts> Cancel for Gathering<P> {
    fn request(self: Rc<Self>, _: Ticket, todo: &mut Todo) -> bool {
        if self.base.is_done() {
            return false;
        }
        let mut is_told = false;
        for target in self.targets.iter().rev() {
            if target.phase() == Phase::Pending {
                is_told = true;
                todo.request(target.clone().as_cancel());
            } else {
                target.acknowledge();
            }
        }
        self.is_cancelled.set(self.is_cancelled.get() | is_told);
        is_told
    }

    fn acknowledge(&self) {
        if self.base.is_done() {
            self.base.retrieve();
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = (self.targets.iter()).filter(|target| target.phase() == Phase::Pending);
        let (mut pending, all) = (pending.peekable(), self.targets.len());
        write!(f, "all of {all} tasks, of which are pending:")?;
        if pending.peek().is_none() {
            return f.write_str(" none");
        }
        const SHOWN: usize = 10;
        for (shown, target) in pending.enumerate() {
            match shown {
                SHOWN => return f.write_str(", .."),
                0 => f.write_str(" ")?,
                _ => f.write_str(", ")?,
            }
            target.describe(f)?;
        }
        Ok(())
    }
}

impl<P: Parts> Drop for Gathering<P> {
    fn drop(&mut self) {
        self.base.report_unretrieved(|| None);
    }
}

impl<P: Parts> Gathering<P> {
    /// Waits until it is done. An error if one of the tasks has raised one.
    fn poll(self: &Rc<Self>, key: &mut Option<u32>, context: &mut Context<'_>) -> Poll<Ended<P>> {
        self.look_back();
        match self.base.phase() {
            Phase::Pending => {
                let entry = awaits(self.clone(), 0, context);
                match *key {
                    None => *key = Some(self.base.watch(entry)),
                    Some(key) => self.base.watch_instead(key, entry),
                }
                return Poll::Pending;
            }
            Phase::Raised if self.is_cancelled.get() => {
                let error = self.base.take_error();
                if matches!(error, None | Some(Exception::Cancelled)) {
                    // Because whoever waits is cancelled.
                    with_interrupt(Interrupt::raise);
                    return Poll::Pending;
                }
                return Poll::Ready(Err(error.unwrap_or(Exception::Cancelled)));
            }
            _ => {}
        }
        with_interrupt(Interrupt::was_passed_on);
        let results = self.results.borrow_mut().take();
        let error = || self.base.take_error().unwrap_or(Exception::Cancelled);
        Poll::Ready(results.ok_or_else(error))
    }

    fn forget(&self, key: Option<u32>) {
        if let Some(key) = key {
            self.base.unwatch(key);
        }
    }
}

/// Waits for the results of several tasks, or the first error. Made by [`gather`].
#[must_use = "the results are lost unless they are awaited"]
pub struct Gather<S: Gatherable>(Wait<S::Parts>);

/// Waits for the results or errors of several tasks. Made by [`Gather::return_exceptions`].
#[must_use = "the results are lost unless they are awaited"]
pub struct GatherAll<S: Gatherable>(Wait<S::Parts>);

struct Wait<P: Parts> {
    gathering: Rc<Gathering<P>>,
    key: Option<u32>,
}

impl<P: Parts> Drop for Wait<P> {
    fn drop(&mut self) {
        self.gathering.forget(self.key);
    }
}

impl<S: Gatherable> Gather<S> {
    /// Waits until all are done, however they end, and has an error for each that has failed.
    pub fn return_exceptions(self) -> GatherAll<S> {
        self.0.gathering.returns_exceptions.set(true);
        GatherAll(self.0)
    }
}

impl<S: Gatherable> Future for Gather<S> {
    type Output = Result<S::Values, Exception>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Wait { gathering, key } = &mut self.0;
        gathering.poll(key, context).map(|results| match results? {
            Results::Values(values) => Ok(values),
            Results::Outcomes(_) => unreachable!("they were not asked for"),
        })
    }
}

impl<S: Gatherable> Future for GatherAll<S> {
    type Output = S::Outcomes;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Wait { gathering, key } = &mut self.0;
        gathering.poll(key, context).map(|results| match results {
            Ok(Results::Outcomes(outcomes)) => outcomes,
            _ => unreachable!("outcomes are what was asked for"),
        })
    }
}

impl<S: Gatherable> fmt::Debug for Gather<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("tasks", &self.0.gathering.targets.len())
            .finish_non_exhaustive()
    }
}

impl<S: Gatherable> fmt::Debug for GatherAll<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatherAll")
            .field("tasks", &self.0.gathering.targets.len())
            .finish_non_exhaustive()
    }
}
