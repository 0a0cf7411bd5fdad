//! Generators that borrow.

use std::fmt;
use std::io::Write;
use std::iter::FusedIterator;
use std::marker::PhantomData;

use crate::builder::Builder;
use crate::channel::State;
use crate::generator::{Generator, Yielder};
use crate::stack::StackError;

/// Runs `consume` with a generator whose body may borrow from its surroundings.
///
/// The generator lives only inside `consume`: when that returns or panics, the body is closed first. This is what makes
/// the borrow sound: such a generator can be neither kept nor forgotten.
///
/// ```
/// let words = ["to", "be", "or"];
/// let mut calls = 0;
/// let lengths: Vec<usize> = yieldfrom::scoped(
///     |y| {
///         for word in &words {
///             calls += 1;
///             y.yield_(word.len());
///         }
///     },
///     |lengths| lengths.take(2).collect(),
/// );
/// assert_eq!((lengths, calls), (vec![2, 2], 2));
/// ```
///
/// ```compile_fail
/// // It cannot leave the closure ...
/// let n = 1;
/// let kept = yieldfrom::scoped(|y| y.yield_(&n), |generator| generator);
/// ```
///
/// ```compile_fail
/// // ... not even by being exchanged for another one.
/// let n = 1;
/// yieldfrom::scoped(|y| y.yield_(n), |outer| {
///     yieldfrom::scoped(|y| y.yield_(n), |inner| std::mem::swap(outer, inner))
/// });
/// ```
///
/// # Aborts
///
/// If the body is still suspended in the end and cannot be unwound, because it is below an `extern "C"` frame, catches
/// every unwind, has less than 8 KiB of stack left, or the program is compiled with `panic = "abort"`. Going on would free what the body borrows; for a
/// [`generator`](crate::generator()), which owns what it uses, the answer is to leak it.
pub fn scoped<'env, Y, R, T>(
    body: impl FnOnce(&Yielder<Y>) -> R + 'env,
    consume: impl for<'scope> FnOnce(&mut Scoped<'scope, Y, R>) -> T,
) -> T {
    struct Shut<'scope, Y, R>(Scoped<'scope, Y, R>);

    impl<Y, R> Drop for Shut<'_, Y, R> {
        fn drop(&mut self) {
            if !self.0.generator.shut() {
                // Not `eprintln!`, which panics where standard error cannot be written.
                let _ = std::io::stderr().write_all(
                    b"yieldfrom: a `scoped` generator could not be unwound; aborting, as what it borrows is about to be freed\n",
                );
                std::process::abort();
            }
        }
    }

    // SAFETY: `body` and the values live for `'env`, which outlasts this call. The generator does not: `consume` gets
    // it by reference only, with a lifetime that no other `Scoped` has, so that it can be neither moved out nor
    // exchanged; and `shut` ends the body or the process. Attacked by tests/scoped.rs.
    let generator = unsafe { Generator::new(&Builder::new(), body) };
    let mut shut = Shut(Scoped {
        generator,
        scope: PhantomData,
    });
    consume(&mut shut.0)
}

/// A generator inside [`scoped`].
#[must_use = "a generator does nothing until it is asked for an item"]
pub struct Scoped<'scope, Y, R = ()> {
    generator: Generator<Y, R>,
    /// Invariant: two scopes never have the same type.
    scope: PhantomData<fn(&'scope ()) -> &'scope ()>,
}

impl<Y, R> Scoped<'_, Y, R> {
    /// As [`Generator::state`].
    pub fn state(&self) -> State {
        self.generator.state()
    }

    /// As [`Generator::try_reserve`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_reserve(&mut self) -> Result<(), StackError> {
        self.generator.try_reserve()
    }

    /// As [`Generator::take_return`].
    pub fn take_return(&mut self) -> Option<R> {
        self.generator.take_return()
    }
}

impl<Y, R> Iterator for Scoped<'_, Y, R> {
    type Item = Y;

    #[inline]
    fn next(&mut self) -> Option<Y> {
        self.generator.next()
    }
}

impl<Y, R> FusedIterator for Scoped<'_, Y, R> {}

impl<Y, R> fmt::Debug for Scoped<'_, Y, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
