//! Names and stack sizes.
//!
//! What a [`Builder`] makes is added to it where that is defined: see `generator.rs`, `coroutine.rs` and `pipe/sink.rs`.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use crate::frame::Config;
use crate::stack::default_stack_size;

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
    /// No name, and a stack of [`default_stack_size`](crate::default_stack_size()).
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
    ///
    /// It is address space: memory is taken where the stack is touched. [What common calls need](crate#stacks).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    #[inline]
    pub(crate) fn config(&self) -> Config {
        Config {
            name: self.name.clone(),
            stack_size: self.stack_size.unwrap_or_else(default_stack_size),
        }
    }
}
