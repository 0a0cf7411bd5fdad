//! Names and stack sizes.

use std::borrow::Cow;

use crate::coroutine::{Co, Coroutine};
use crate::exception::Exception;
use crate::frame::Config;
use crate::generator::{Generator, Yielder};
use crate::stack::{DEFAULT_STACK_SIZE, StackError};

/// Makes generators and coroutines with a name or with a stack of another size.
///
/// ```
/// use yieldfrom::Builder;
///
/// let builder = Builder::new().name("squares").stack_size(64 * 1024);
/// let squares = builder.generator(|y| (1..=3).for_each(|n| y.yield_(n * n)));
/// assert_eq!(squares.name(), Some("squares"));
/// assert_eq!(squares.sum::<i32>(), 14);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is asked for a generator or coroutine"]
pub struct Builder {
    name: Option<Cow<'static, str>>,
    stack_size: Option<usize>,
}

impl Builder {
    /// No name, and a stack of [`DEFAULT_STACK_SIZE`].
    pub const fn new() -> Self {
        Self {
            name: None,
            stack_size: None,
        }
    }

    /// Sets the name that reports and `Debug` show.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the size of the stack in bytes. It is rounded up to whole pages and to at least
    /// [`MIN_STACK_SIZE`](crate::MIN_STACK_SIZE).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

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

    /// As [`coroutine`](crate::coroutine()).
    pub fn coroutine<Y, S, R, F>(&self, body: F) -> Coroutine<Y, S, R>
    where
        Y: 'static,
        S: 'static,
        R: 'static,
        F: FnOnce(&Co<Y, S>) -> Result<R, Exception> + 'static,
    {
        Coroutine::new(self, body)
    }

    /// As [`coroutine`](Self::coroutine), but takes the stack at once.
    ///
    /// # Errors
    ///
    /// If there is no stack to be had. The body is dropped.
    pub fn try_coroutine<Y, S, R, F>(&self, body: F) -> Result<Coroutine<Y, S, R>, StackError>
    where
        Y: 'static,
        S: 'static,
        R: 'static,
        F: FnOnce(&Co<Y, S>) -> Result<R, Exception> + 'static,
    {
        let mut coroutine = self.coroutine(body);
        coroutine.try_reserve()?;
        Ok(coroutine)
    }

    #[inline]
    pub(crate) fn config(&self) -> Config {
        Config {
            name: self.name.clone(),
            stack_size: self.stack_size.unwrap_or(DEFAULT_STACK_SIZE),
        }
    }
}
