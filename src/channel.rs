//! Between a body and its holder: how the body waits, what wakes it, and the chain of delegations.
//!
//! # Delegation
//!
//! `yield_from` costs the same at any depth because the delegating body is not on the way of the items: it suspends
//! once, and whoever drives it drives the sub-coroutine in its place. For a chain `root → … → leaf`
//!
//! - `root.leaf` points to the channel of whoever runs when the root's holder resumes it, and is null if that is the root
//!   itself; the `leaf` of one that is not driven by its own holder means nothing;
//! - `child` and `parent` link neighbours. One with a parent is exclusively borrowed by the parent's body for the
//!   time of the delegation, so that nobody else can resume, move out of or drop it;
//! - when the leaf ends, its parent is resumed and finds `child` empty;
//! - the order to finish goes to the *root's* body, which takes its sub-coroutine off the chain and closes it itself,
//!   as PEP 380 says.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use crate::exception::Exception;
use crate::switch::{Inside, NOTHING, NotCurrent, Report, Switch, Word, pack, unpack};
use crate::unwind::{unwind, unwind_several};

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

/// What a body and its holder share.
pub(crate) struct Channel<Y, S> {
    pub(crate) switch: Switch,
    pub(crate) state: Cell<State>,
    pub(crate) signal: Cell<Signal>,
    /// Suspended by [`relay`](Port::relay).
    pub(crate) relaying: Cell<bool>,
    /// A forced unwind has begun.
    unwinding: Cell<bool>,
    pub(crate) thrown: Cell<Option<Exception>>,
    pub(crate) parent: Cell<*const Channel<Y, S>>,
    pub(crate) child: Cell<*const Channel<Y, S>>,
    leaf: Cell<*const Channel<Y, S>>,
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

    /// Whoever runs when the holder resumes this one.
    #[inline]
    pub(crate) fn leaf(&self) -> &Self {
        // SAFETY: if this is not suspended in a delegation it is null; else the chain hangs together, see the head of
        // this file.
        unsafe { self.leaf.get().as_ref() }.unwrap_or(self)
    }

    pub(crate) fn set_leaf(&self, leaf: &Self) {
        self.leaf.set(if ptr::eq(self, leaf) {
            ptr::null()
        } else {
            leaf
        });
    }
}

/// The body's end of a channel.
pub(crate) struct Port<Y, S> {
    inside: Inside,
    channel: NonNull<Channel<Y, S>>,
}

impl<Y, S> Port<Y, S> {
    /// # Safety
    ///
    /// The channel outlives the port and belongs to the coroutine that `inside` is the inside of.
    #[inline(always)]
    pub(crate) unsafe fn new(inside: Inside, channel: NonNull<Channel<Y, S>>) -> Self {
        Self { inside, channel }
    }

    #[inline(always)]
    fn channel(&self) -> &Channel<Y, S> {
        // SAFETY: it outlives the port, says who made that.
        unsafe { self.channel.as_ref() }
    }

    /// Whether the caller runs on this body's stack, so that the body can be suspended.
    pub(crate) fn is_current(&self) -> bool {
        self.inside.is_current()
    }

    /// Hands `value` out and waits for the next resume.
    #[inline(always)]
    pub(crate) fn exchange(&self, value: Y) -> Result<Wake<S>, NotCurrent> {
        let word = self.hand_out(value, || {})?;
        Ok(self.wake(word))
    }

    /// [`exchange`](Self::exchange) for a body into which nothing is sent or thrown. The word that wakes it is free to
    /// say whether there is a signal, which keeps the channel out of a register that the body has better use for.
    #[inline]
    pub(crate) fn give(&self, value: Y) -> Result<(), NotCurrent> {
        let word = self.hand_out(value, || {})?;
        // SAFETY: whoever resumes such a body sends `NOTHING` or `SIGNAL`, see `Handle`.
        if unsafe { word.assume_init() } != 0 {
            self.woken_otherwise();
        }
        Ok(())
    }

    /// [`exchange`](Self::exchange) on behalf of something that is delegated to without being on the chain.
    pub(crate) fn relay(&self, value: Y) -> Result<Wake<S>, NotCurrent> {
        let relaying = &self.channel().relaying;
        let word = self.hand_out(value, || relaying.set(true))?;
        relaying.set(false);
        Ok(self.wake(word))
    }

    #[inline(always)]
    fn hand_out(&self, value: Y, before: impl FnOnce()) -> Result<Word, NotCurrent> {
        let mut value = ManuallyDrop::new(value);
        let word = self.inside.suspend(pack(&value), before);
        if word.is_err() {
            // SAFETY: nobody has unpacked it.
            unsafe { ManuallyDrop::drop(&mut value) };
        }
        word
    }

    #[inline(always)]
    fn wake(&self, word: Word) -> Wake<S> {
        if self.channel().signal.get() == Signal::Value {
            // SAFETY: the signal says that this is a value, and its sender waits.
            Wake::Value(unsafe { unpack(word) })
        } else {
            Wake::Raise(self.woken_otherwise())
        }
    }

    #[cold]
    #[inline(never)]
    fn woken_otherwise(&self) -> Exception {
        let channel = self.channel();
        match channel.signal.get() {
            Signal::Value => unreachable!("the caller has looked"),
            Signal::Throw => {
                channel.signal.set(Signal::Value);
                channel.thrown.take().expect("the signal says so")
            }
            Signal::Exit => {
                channel.signal.set(Signal::Value);
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
        let again = self.channel().unwinding.replace(true);
        let (lowest, _) = self.channel().switch.bounds();
        unwind(self.inside.stack_left(lowest));
        if !again {
            self.channel().switch.set_report(Report::Stuck);
            loop {
                // Whoever finds the report never resumes this body again.
                let _ = self.inside.suspend(NOTHING, || {});
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
        sub: &Channel<Y, S>,
        first: Option<S>,
    ) -> Result<Option<Exception>, NotCurrent> {
        let channel = self.channel();
        let first = first.map(ManuallyDrop::new);
        let word = first.as_ref().map_or(NOTHING, pack);
        let woken = self.inside.suspend(word, || {
            channel.child.set(sub);
            sub.parent.set(channel);
            channel.switch.set_report(Report::Delegated);
        });
        if woken.is_ok() && channel.child.get().is_null() {
            return Ok(None);
        }
        if woken.is_err() || sub.state.get() != State::Running {
            // Nobody has driven `sub`: we were not suspended, or are in a destructor during a forced unwind.
            drop(first.map(ManuallyDrop::into_inner));
        }
        woken?;
        // We were not resumed by the end of `sub` but, as the root of the chain, told to finish.
        channel.child.set(ptr::null());
        sub.parent.set(ptr::null());
        if sub.state.get() == State::Running {
            sub.set_leaf(channel.leaf());
            channel.set_leaf(channel);
            sub.state.set(State::Suspended);
        }
        Ok(Some(self.woken_otherwise()))
    }
}

impl Port<(), ()> {
    /// Suspends this body, a fiber's, together with the coroutines that it has resumed and in one of which the caller may
    /// be.
    ///
    /// # Safety
    ///
    /// As [`Inside::suspend_from_above`].
    #[inline(always)]
    pub(crate) unsafe fn park(&self) {
        // SAFETY: as our caller promises.
        unsafe { self.inside.suspend_from_above(NOTHING) };
    }

    /// Unwinds a fiber's body by force, together with the coroutines that it has resumed and in one of which the caller may
    /// be. If that would abort the process, or `may_unwind` is false, it is stuck: it is suspended and never resumed again.
    ///
    /// # Safety
    ///
    /// As [`Inside::suspend_from_above`]. Whoever has resumed it looks at the report.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn unwind_from_above(&self, may_unwind: bool) {
        let switch = &self.channel().switch;
        if may_unwind {
            let (lowest, _) = switch.bounds();
            unwind_several(lowest);
        }
        switch.set_report(Report::Stuck);
        loop {
            // SAFETY: as our caller promises.
            unsafe { self.inside.suspend_from_above(NOTHING) };
        }
    }
}

impl<T: ?Sized> Channel<(), NonNull<T>> {
    /// What [`Handle::lend`](crate::frame::Handle::lend) does, for who does not know what the body returns. Returns whether
    /// it is suspended again; if not, [`Handle::after_lend`](crate::frame::Handle::after_lend) has to be called.
    ///
    /// # Safety
    ///
    /// It is suspended, and every suspension is a [`Port::take`].
    #[inline(always)]
    pub(crate) unsafe fn lend(&self, item: NonNull<T>) -> bool {
        // SAFETY: it is suspended, says our caller.
        unsafe { self.switch.resume(pack(&ManuallyDrop::new(item))) };
        self.switch.report() == Report::Yielded
    }
}

impl<Y, T: ?Sized> Port<Y, NonNull<T>> {
    /// [`exchange`](Self::exchange) for a body into which nothing but addresses is sent. Packed, they are not null, so that
    /// the word that wakes it says whether there is a signal, as for [`give`](Self::give).
    #[inline(always)]
    pub(crate) fn take(&self, value: Y) -> Result<Option<NonNull<T>>, NotCurrent> {
        let word = self.hand_out(value, || {})?;
        // SAFETY: whoever resumes such a body sends an address, `NOTHING` or `SIGNAL`, see `Handle`.
        // (The address of something without a size may look like one of those.)
        if unsafe { word.assume_init() } <= 1 && self.channel().signal.get() != Signal::Value {
            self.woken_otherwise();
            return Ok(None);
        }
        // SAFETY: it is an address, packed by a sender that waits.
        Ok(Some(unsafe { unpack(word) }))
    }
}
