#![doc = include_str!("../README.md")]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![warn(missing_docs, unreachable_pub)]

mod await_;
mod builder;
mod cancelled;
mod channel;
mod co;
mod coroutine;
mod exception;
mod fiber;
mod frame;
mod frames;
mod generator;
mod interrupt;
pub mod io;
pub mod pipe;
mod protocol;
mod scope;
mod scoped;
mod shared;
mod stack;
mod stream;
mod switch;
pub mod task;
mod unraisable;
mod unwind;
mod wait;

pub use await_::await_;
pub use builder::Builder;
pub use cancelled::Cancelled;
pub use channel::State;
pub use co::{Co, Delegate, MaybeNothing};
pub use coroutine::{Coroutine, coroutine};
pub use exception::{Exception, ProtocolError, Raised};
pub use fiber::{Fiber, fiber};
pub use generator::{Generator, Yielder, generator};
pub use protocol::Step;
pub use scoped::{Scoped, scoped};
pub use shared::{SharedCoroutine, WeakCoroutine};
pub use stack::{
    DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackError, StackLimit, default_stack_size,
    report_overflow, set_default_stack_size, trim_stacks,
};
pub use stream::{
    AsyncGenerator, AsyncYielder, AwaitEach, TryYielder, await_each, stream, try_stream,
};
pub use unraisable::{Reason, Unraisable, reset_unraisable_hook, set_unraisable_hook};
