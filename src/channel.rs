//! The half of a generator or coroutine that its body sees: how it waits, what wakes it, and the chain of delegations.
//!
//! # Delegation
//!
//! `yield_from` costs the same at any depth because the delegating body is not on the way of the items: it suspends
//! once, and whoever drives it drives the sub-coroutine in its place. For a chain `root → … → leaf`
//!
//! - `root.leaf` points to the frame that runs when the root's holder resumes it; `leaf` of a frame that is not being
//!   driven by its own holder means nothing;
//! - `child` and `parent` link neighbours. A frame with a parent is exclusively borrowed by the parent's body for the
//!   time of the delegation, so that nobody else can resume, move out of or drop it;
//! - when the leaf ends, its parent is resumed and finds `child` empty;
//! - the order to finish goes to the *root's* body, which takes its sub-coroutine off the chain and closes it itself,
//!   as PEP 380 says.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr;

use crate::exception::Exception;
use crate::switch::{NOTHING, NotCurrent, Report, Switch, Word, pack, unpack};
use crate::unwind::unwind;

/// Where a generator or coroutine is in its life, as CPython's `inspect.getgeneratorstate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing has run yet.
    Created,
    /// It is being resumed right now, or a coroutine that it delegates to is.
    Running,
    /// It waits at a `yield_`.
    Suspended,
    /// It has returned, raised, panicked or been closed.
    Closed,
}

/// What the body finds when it goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// A value is sent.
    Value,
    /// `thrown` holds an exception.
    Throw,
    /// The order to finish, by value.
    Exit,
    /// The order to finish, by force. Stays set.
    Unwind,
}

/// What a body is woken with.
pub(crate) enum Wake<S> {
    Value(S),
    Raise(Exception),
}

/// The half of a frame that the body sees.
pub(crate) struct Channel<Y, S> {
    pub(crate) switch: Switch,
    pub(crate) state: Cell<State>,
    pub(crate) signal: Cell<Signal>,
    /// Suspended by [`relay`](Self::relay).
    pub(crate) relaying: Cell<bool>,
    /// A forced unwind has begun.
    unwinding: Cell<bool>,
    pub(crate) thrown: Cell<Option<Exception>>,
    pub(crate) parent: Cell<*const Channel<Y, S>>,
    pub(crate) child: Cell<*const Channel<Y, S>>,
    pub(crate) leaf: Cell<*const Channel<Y, S>>,
}

impl<Y, S> Channel<Y, S> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            switch: Switch::new(),
            state: Cell::new(State::Created),
            signal: Cell::new(Signal::Value),
            relaying: Cell::new(false),
            unwinding: Cell::new(false),
            thrown: Cell::new(None),
            parent: Cell::new(ptr::null()),
            child: Cell::new(ptr::null()),
            leaf: Cell::new(ptr::null()),
        }
    }

    /// Hands `value` out and waits for the next resume.
    #[inline]
    pub(crate) fn exchange(&self, value: Y) -> Result<Wake<S>, NotCurrent> {
        let word = self.hand_out(value)?;
        if self.signal.get() == Signal::Value {
            // SAFETY: the signal says that this is a value, and its sender waits.
            Ok(Wake::Value(unsafe { unpack(word) }))
        } else {
            Ok(Wake::Raise(self.woken_otherwise()))
        }
    }

    /// [`exchange`](Self::exchange) for a body into which nothing is sent or thrown.
    #[inline]
    pub(crate) fn give(&self, value: Y) -> Result<(), NotCurrent> {
        self.hand_out(value)?;
        if self.signal.get() != Signal::Value {
            self.woken_otherwise();
        }
        Ok(())
    }

    /// [`exchange`](Self::exchange) on behalf of something that is delegated to without being on the chain.
    pub(crate) fn relay(&self, value: Y) -> Result<Wake<S>, NotCurrent> {
        self.relaying.set(true);
        let _reset = Reset(&self.relaying);
        self.exchange(value)
    }

    #[inline(always)]
    fn hand_out(&self, value: Y) -> Result<Word, NotCurrent> {
        let mut value = ManuallyDrop::new(value);
        let word = self.switch.suspend(pack(&value), || {});
        if word.is_err() {
            // SAFETY: nobody has unpacked it.
            unsafe { ManuallyDrop::drop(&mut value) };
        }
        word
    }

    #[cold]
    #[inline(never)]
    fn woken_otherwise(&self) -> Exception {
        match self.signal.get() {
            Signal::Value => unreachable!("the caller has looked"),
            Signal::Throw => {
                self.signal.set(Signal::Value);
                self.thrown.take().expect("the signal says so")
            }
            Signal::Exit => {
                self.signal.set(Signal::Value);
                Exception::GeneratorExit
            }
            Signal::Unwind => {
                self.unwind();
                Exception::GeneratorExit
            }
        }
    }

    /// Unwinds this body by force. Returns only into a destructor that an earlier forced unwind runs: it goes on to its
    /// end, and the unwind after it.
    #[inline(never)]
    fn unwind(&self) {
        let again = self.unwinding.replace(true);
        unwind(self.switch.stack_left());
        if !again {
            self.switch.set_report(Report::Stuck);
            loop {
                // Whoever finds the report never resumes this body again.
                let _ = self.switch.suspend(NOTHING, || {});
            }
        }
    }

    /// Suspends this body and has `sub` driven in its place.
    ///
    /// `first` is sent to a suspended `sub`; a created one, which must have its stack, is started. It is moved out only
    /// if `sub` is driven.
    ///
    /// Returns `None` once `sub` has ended, or the exception to raise here; then `sub` is off the chain and in whatever
    /// state it was.
    ///
    /// # Safety
    ///
    /// The caller has exclusive use of `sub` until this function returns or unwinds, and `sub` is neither running nor
    /// closed.
    pub(crate) unsafe fn delegate(
        &self,
        sub: &Self,
        first: Option<S>,
    ) -> Result<Option<Exception>, NotCurrent> {
        let first = first.map(ManuallyDrop::new);
        let word = first.as_ref().map_or(NOTHING, pack);
        let woken = self.switch.suspend(word, || {
            self.child.set(sub);
            sub.parent.set(self);
            self.switch.set_report(Report::Delegated);
        });
        if woken.is_ok() && self.child.get().is_null() {
            return Ok(None);
        }
        // We were not resumed by the end of `sub` but, as the root of the chain, told to finish; or not suspended.
        self.child.set(ptr::null());
        sub.parent.set(ptr::null());
        if sub.state.get() == State::Running {
            sub.leaf.set(self.leaf.replace(self));
            sub.state.set(State::Suspended);
        } else {
            // Nobody has driven `sub`: as below, or in a destructor during a forced unwind.
            drop(first.map(ManuallyDrop::into_inner));
        }
        woken?;
        Ok(Some(self.woken_otherwise()))
    }
}

/// Clears a flag when it goes out of scope, also by unwinding.
struct Reset<'a>(&'a Cell<bool>);

impl Drop for Reset<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
