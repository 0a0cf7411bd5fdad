//! Generators: bodies that only hand values out.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::resume_unwind;

use crate::builder::Builder;
use crate::channel::{Port, State};
use crate::frame::{Handle, Outcome, Turn};
use crate::stack::StackError;
use crate::unraisable::{Reason, report, report_if_it_panics};

/// Makes a generator of a body that yields.
///
/// Nothing runs yet. The body runs on a stack of its own, up to the next [`yield_`](Yielder::yield_), each time the
/// generator is asked for an item; that may be at any depth of calls, in a recursion or in a callback.
///
/// ```
/// use yieldfrom::generator;
///
/// let evens = generator(|y| {
///     for n in (0..10).step_by(2) {
///         y.yield_(n);
///     }
/// });
/// assert_eq!(evens.collect::<Vec<_>>(), [0, 2, 4, 6, 8]);
/// ```
///
/// The body owns what it uses (it is `'static`); [`scoped`](crate::scoped()) is for one that borrows.
///
/// ```compile_fail,E0597
/// # use yieldfrom::generator;
/// let local = vec![1, 2, 3];
/// let g = generator(|y| y.yield_from(local.iter()));
/// ```
///
/// The yielder stays in the body:
///
/// ```compile_fail,E0521
/// # use yieldfrom::{generator, Yielder};
/// # use std::cell::Cell;
/// # use std::rc::Rc;
/// let leak: Rc<Cell<Option<&'static Yielder<i32>>>> = Rc::default();
/// let g = generator({
///     let leak = leak.clone();
///     move |y| leak.set(Some(y))
/// });
/// ```
pub fn generator<Y, R, F>(body: F) -> Generator<Y, R>
where
    Y: 'static,
    R: 'static,
    F: FnOnce(&Yielder<Y>) -> R + 'static,
{
    Builder::new().generator(body)
}

impl Builder {
    /// As [`generator`](crate::generator()).
    pub fn generator<Y, R, F>(&self, body: F) -> Generator<Y, R>
    where
        Y: 'static,
        R: 'static,
        F: FnOnce(&Yielder<Y>) -> R + 'static,
    {
        // SAFETY: nothing is borrowed: the bounds say so.
        unsafe { Generator::new(self, body) }
    }

    /// As [`generator`](Self::generator), but takes the stack at once.
    ///
    /// # Errors
    ///
    /// If there is no stack to be had. The body is dropped.
    pub fn try_generator<Y, R, F>(&self, body: F) -> Result<Generator<Y, R>, StackError>
    where
        Y: 'static,
        R: 'static,
        F: FnOnce(&Yielder<Y>) -> R + 'static,
    {
        let mut generator = self.generator(body);
        generator.try_reserve()?;
        Ok(generator)
    }
}

/// What the body of a generator yields with.
#[repr(transparent)]
pub struct Yielder<Y>(Port<Y, ()>);

impl<Y> Yielder<Y> {
    #[inline]
    fn of(port: &Port<Y, ()>) -> &Self {
        // SAFETY: `Yielder` is a transparent wrapper. Every test that yields goes through here.
        unsafe { &*std::ptr::from_ref(port).cast() }
    }

    /// Hands `value` to whoever asked for it, and waits until the next item is asked for.
    ///
    /// If the generator is dropped instead, this does not return: the body is unwound as by a panic, so that its
    /// destructors run, but without a message. A [`Mutex`](std::sync::Mutex) that is locked in the body at that moment
    /// is poisoned. (A [`coroutine`](crate::coroutine()) is told to finish by a value and has neither problem.)
    ///
    /// # Panics
    ///
    /// If it is called from another body than its own, for instance from one that borrows the yielder and was resumed
    /// by this one: ``"`yield_` called from outside the body it belongs to; yield through that body's own handle"``.
    #[inline]
    pub fn yield_(&self, value: Y) {
        if self.0.give(value).is_err() {
            outside();
        }
    }

    /// Yields every item, as Python's `yield from` an iterable.
    ///
    /// # Panics
    ///
    /// As [`yield_`](Self::yield_).
    pub fn yield_from(&self, items: impl IntoIterator<Item = Y>) {
        for item in items {
            self.yield_(item);
        }
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn outside() {
    const MESSAGE: &str =
        "`yield_` called from outside the body it belongs to; yield through that body's own handle";
    if std::thread::panicking() {
        // A second panic could abort the process.
        report(None, Reason::Panic(Box::new(MESSAGE)));
    } else {
        panic!("{MESSAGE}");
    }
}

impl<Y> fmt::Debug for Yielder<Y> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

/// A generator: an iterator whose items a body yields.
///
/// Made by [`generator`] or a [`Builder`].
///
/// | state | `next` | [`take_return`](Self::take_return) | [`close`](Self::close), drop |
/// |---|---|---|---|
/// | created | takes a stack, runs to the first `yield_` | `None` | drops the body, which never runs |
/// | suspended | runs to the next `yield_` | `None` | unwinds the body |
/// | closed | `None` (it is fused) | what the body returned, once | nothing |
///
/// A panic in the body comes out of `next`, and the generator is closed.
///
/// A generator stays on the thread that made it: its stack may hold anything.
///
/// ```compile_fail,E0277
/// let g = yieldfrom::generator(|y| y.yield_(1));
/// std::thread::spawn(move || g.count());
/// ```
///
/// It can be neither copied nor cloned:
///
/// ```compile_fail,E0599
/// let g = yieldfrom::generator(|y| y.yield_(1));
/// let copy = g.clone();
/// ```
#[must_use = "a generator does nothing until it is asked for an item"]
pub struct Generator<Y, R = ()> {
    handle: Handle<Y, (), R>,
    returned: Option<R>,
}

impl<Y, R> Generator<Y, R> {
    /// # Safety
    ///
    /// As [`Handle::new`].
    pub(crate) unsafe fn new<F>(builder: &Builder, body: F) -> Self
    where
        F: FnOnce(&Yielder<Y>) -> R,
    {
        // SAFETY: as our caller promises.
        let handle = unsafe {
            Handle::new(builder.config(), |port: &Port<Y, ()>| {
                body(Yielder::of(port))
            })
        };
        Self {
            handle,
            returned: None,
        }
    }

    /// Where it is in its life. Never [`State::Running`]: whoever could ask is not the one who resumes it.
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// The name that the [`Builder`] gave it.
    pub fn name(&self) -> Option<&str> {
        self.handle.name()
    }

    /// Takes the stack now, so that asking for the first item cannot fail.
    ///
    /// # Errors
    ///
    /// If there is no memory, or a limit on mappings or address space is reached.
    pub fn try_reserve(&mut self) -> Result<(), StackError> {
        self.handle.reserve()
    }

    /// What the body returned (Python's `StopIteration.value`), once, after the last item.
    pub fn take_return(&mut self) -> Option<R> {
        self.returned.take()
    }

    /// Runs the body to its end, dropping the items that are left, and returns what it returns.
    ///
    /// `None` if that has been taken, or the body was closed or panicked earlier.
    pub fn into_return(mut self) -> Option<R> {
        self.by_ref().for_each(drop);
        self.take_return()
    }

    /// Unwinds the body if it is suspended, and drops it if it has not started. No item comes after that.
    ///
    /// A body that cannot be unwound (one below an `extern "C"` frame, or in a program compiled with `panic = "abort"`)
    /// is reported to the hook of [`set_unraisable_hook`](crate::set_unraisable_hook), and its stack is leaked.
    ///
    /// # Aborts
    ///
    /// If a destructor in the body panics meanwhile, as during any other unwind. Also if the body is below an `extern "C"`
    /// function that has destructors of its own and could not be told from one that may be unwound, which depends on how
    /// it was compiled.
    pub fn close(&mut self) {
        self.handle.close();
    }

    /// Whether the body has ended, after unwinding it if need be.
    pub(crate) fn shut(&mut self) -> bool {
        self.handle.state() != State::Suspended || self.handle.unwind()
    }

    #[cold]
    #[inline(never)]
    fn next_otherwise(&mut self) -> Option<Y> {
        match self.state() {
            State::Created => match self.handle.start() {
                Ok(turn) => self.settle(turn),
                Err(error) => panic!("{error}; `try_reserve` reports this as an error"),
            },
            _ => None,
        }
    }

    #[inline(always)]
    fn settle(&mut self, turn: Turn<Y, R>) -> Option<Y> {
        match turn {
            Turn::Yielded(value) => Some(value),
            Turn::Finished(outcome) => {
                self.end(outcome);
                None
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn end(&mut self, outcome: Outcome<R>) {
        match outcome {
            Outcome::Returned(value) => self.returned = Some(value),
            Outcome::Panicked(payload) => resume_unwind(payload),
        }
    }
}

impl<Y, R> Drop for Generator<Y, R> {
    /// The body is the handle's business; this is what it returned.
    #[inline]
    fn drop(&mut self) {
        if std::mem::needs_drop::<R>() {
            let returned = self.returned.take();
            report_if_it_panics(self.name(), returned);
        }
    }
}

impl<Y, R> Iterator for Generator<Y, R> {
    type Item = Y;

    /// The next item. `None` once the body has returned or was closed.
    ///
    /// # Panics
    ///
    /// If the body panics. Also if there is no stack for the first item, see [`try_reserve`](Generator::try_reserve).
    #[inline]
    fn next(&mut self) -> Option<Y> {
        if self.handle.state() == State::Suspended {
            let turn = self.handle.advance();
            self.settle(turn)
        } else {
            self.next_otherwise()
        }
    }
}

impl<Y, R> FusedIterator for Generator<Y, R> {}

impl<Y, R> fmt::Debug for Generator<Y, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
