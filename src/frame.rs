//! One generator or coroutine in memory: its body, the slots for what goes in and out, its state and its end.
//!
//! ```text
//!   holder ── Handle ──► Frame ┬ Head ┬ Channel ┬ Switch     stack, resume, report: why the body has switched out
//!                              │      │         ├ signal     what the resumer has to say besides the value it sends
//!             body ── Port ────┼──────┼───────► ├ state
//!             (on its stack)   │      │         └ parent, child, leaf     the chain of delegations
//!                              │      └ outcome   how the body ended
//!                              └ body             until it starts
//! ```
//!
//! A frame is one allocation and never moves; the handle that owns it does. Both sides reach the frame through shared
//! references, so everything in it is a cell. They never run at the same time.

use std::any::Any;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use crate::channel::{Channel, Port, Signal, State};
use crate::exception::Exception;
use crate::frames::{self, Obstacle};
use crate::stack::{Name, Stack, StackError};
use crate::switch::{NOTHING, Report, SIGNAL, Word, pack, unpack};
use crate::unraisable::{Reason, forget_if_it_panics, report, report_if_it_panics};
use crate::unwind::ForcedUnwind;

/// How a body ended.
pub(crate) enum Outcome<T> {
    Returned(T),
    Panicked(Box<dyn Any + Send>),
}

/// How a resume ended.
pub(crate) enum Turn<Y, T> {
    Yielded(Y),
    Finished(Outcome<T>),
}

/// What is known about a generator or coroutine besides its body.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: Name,
    /// In bytes.
    pub(crate) stack_size: usize,
}

/// What a body sees, and what it leaves behind.
struct Head<Y, S, T> {
    channel: Channel<Y, S>,
    /// Empty until the body ends.
    outcome: UnsafeCell<Option<Outcome<T>>>,
}

/// A body that has not started. `Option<F>` is one; it is empty from the start on.
trait Body<Y, S, T> {
    /// Sets up `stack` so that the first resume runs the body on it.
    ///
    /// # Safety
    ///
    /// As [`Switch::prepare`], of the body as well as of `head`.
    unsafe fn prepare(&mut self, head: &Head<Y, S, T>, stack: Stack);

    fn discard(&mut self);
}

impl<Y, S, T, F: FnOnce(&Port<Y, S>) -> T> Body<Y, S, T> for Option<F> {
    // The closure is made here, where the type of the body is known, so that the body is inlined at the root of its
    // stack: the processor predicts where a `ret` goes by counting calls, and a switch out of deeper calls than it
    // switched into spoils the prediction of every return after it.
    unsafe fn prepare(&mut self, head: &Head<Y, S, T>, stack: Stack) {
        let (body, head) = (ptr::from_mut(self), ptr::from_ref(head));
        let main = move |inside| {
            // SAFETY: both stay where they are, says our caller. This runs once, and nobody else has looked at the body
            // since or looks at the outcome before it has ended.
            unsafe {
                let body = (*body).take().unwrap_unchecked();
                let port = Port::new(inside, NonNull::from(&(*head).channel));
                let outcome = match catch_unwind(AssertUnwindSafe(|| body(&port))) {
                    Ok(value) => Outcome::Returned(value),
                    Err(payload) => Outcome::Panicked(payload),
                };
                // Drops nothing, and so cannot panic: that would keep `main` from being inlined.
                (*head).outcome.get().write(Some(outcome));
            }
        };
        // SAFETY: as our caller promises. `main` catches every unwind of the body.
        unsafe { (*head).channel.switch.prepare(stack, main) };
    }

    fn discard(&mut self) {
        *self = None;
    }
}

struct Frame<Y, S, T, B: ?Sized = dyn Body<Y, S, T>> {
    head: Head<Y, S, T>,
    config: Config,
    body: UnsafeCell<B>,
}

/// Does nothing, but not so that the compiler could do it in advance.
#[inline(always)]
fn keep_branch() {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: no instructions.
    unsafe {
        std::arch::asm!("", options(nomem, nostack, preserves_flags));
    }
}

/// Owns a frame.
///
/// Methods take `&self` so that several owners can share a handle; each says which state it asks for, and its callers look
/// at [`state`](Self::state) first.
pub(crate) struct Handle<Y, S, T> {
    frame: NonNull<Frame<Y, S, T>>,
    _owns: PhantomData<Frame<Y, S, T>>,
}

/// How often a body is unwound that catches the unwind or yields in its destructors.
const UNWIND_ROUNDS: usize = 10;

/// How many bytes a body may capture and still be moved to its stack, where several copies may lie without optimisation.
const MOVED_TO_STACK: usize = 1024;

impl<Y, S, T> Handle<Y, S, T> {
    /// # Safety
    ///
    /// What `body` and the values of type `Y`, `S` and `T` borrow outlives the handle, and lives for ever if the handle
    /// is forgotten or its drop reports [`Reason::Leaked`].
    pub(crate) unsafe fn new<F>(config: Config, body: F) -> Self
    where
        F: FnOnce(&Port<Y, S>) -> T,
    {
        // A large body stays in a box of its own: it is called there, where one in the frame is first moved to its
        // stack.
        if size_of::<F>() > MOVED_TO_STACK {
            type Boxed<'a, Y, S, T> = Box<dyn FnOnce(&Port<Y, S>) -> T + 'a>;
            let body: Boxed<'_, Y, S, T> = Box::new(body);
            // SAFETY: as our caller promises.
            unsafe { Self::place(config, body) }
        } else {
            // SAFETY: as our caller promises.
            unsafe { Self::place(config, body) }
        }
    }

    /// # Safety
    ///
    /// As [`new`](Self::new).
    unsafe fn place<F>(config: Config, body: F) -> Self
    where
        F: FnOnce(&Port<Y, S>) -> T,
    {
        let mut place = Box::new_uninit();
        // Made in place, where `Box::new` would copy it from the stack.
        place.write(Frame {
            head: Head {
                channel: Channel::new(),
                outcome: UnsafeCell::new(None),
            },
            config,
            body: UnsafeCell::new(Some(body)),
        });
        // SAFETY: it has just been written.
        let frame = Box::into_raw(unsafe { place.assume_init() });
        // SAFETY: a box is not null. Only the lifetime of what `body` borrows is erased, and that lives long enough,
        // says our caller.
        let frame = unsafe {
            type Borrowing<'a, Y, S, T> = Frame<Y, S, T, dyn Body<Y, S, T> + 'a>;
            let frame: *mut Borrowing<'_, Y, S, T> = frame;
            std::mem::transmute::<*mut Borrowing<'_, Y, S, T>, NonNull<Frame<Y, S, T>>>(frame)
        };
        Self {
            frame,
            _owns: PhantomData,
        }
    }

    #[inline(always)]
    fn frame(&self) -> &Frame<Y, S, T> {
        // SAFETY: the handle owns the frame, which is only ever borrowed shared.
        unsafe { self.frame.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn channel(&self) -> &Channel<Y, S> {
        &self.frame().head.channel
    }

    #[inline(always)]
    pub(crate) fn state(&self) -> State {
        self.channel().state.get()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.frame().config.name.as_deref()
    }

    /// Whether it is suspended on behalf of something that it delegates to.
    pub(crate) fn is_delegating(&self) -> bool {
        let channel = self.channel();
        channel.state.get() == State::Suspended
            && (channel.relaying.get() || !channel.child.get().is_null())
    }

    /// How the body ended, once.
    pub(crate) fn take_outcome(&self) -> Outcome<T> {
        // SAFETY: the body is not running, and it has no reference to its outcome that outlives the write.
        let outcome = unsafe { (*self.frame().head.outcome.get()).take() };
        outcome.expect("a body that has ended leaves an outcome")
    }

    /// Takes the stack now rather than at the start.
    pub(crate) fn reserve(&self) -> Result<(), StackError> {
        let channel = self.channel();
        if channel.state.get() != State::Created || channel.switch.has_stack() {
            return Ok(());
        }
        let frame = self.frame();
        let stack = Stack::take(frame.config.stack_size)?;
        // SAFETY: the name is part of the frame, which lives as long as the body, and is never changed.
        unsafe { stack.label(&frame.config.name) };
        // SAFETY: the frame does not move, and it is freed only when its body has ended or never started: see `drop`.
        // Nobody else looks at a body that has not started.
        unsafe { (*frame.body.get()).prepare(&frame.head, stack) };
        Ok(())
    }

    /// Runs a created one up to its first suspension.
    pub(crate) fn start(&self) -> Result<Turn<Y, T>, StackError> {
        assert_eq!(self.state(), State::Created);
        self.reserve()?;
        Ok(self.run(self.channel(), NOTHING))
    }

    /// Resumes a suspended one, or the leaf of its chain, with a value.
    #[inline]
    pub(crate) fn send(&self, value: S) -> Turn<Y, T> {
        let value = ManuallyDrop::new(value);
        let mut target = self.channel();
        if !target.child.get().is_null() {
            // Keeps the compiler from selecting the address without a branch: then every resume of a root would wait
            // for the load of its leaf's address, which a branch predicts away.
            keep_branch();
            target = target.leaf();
        }
        self.run(target, pack(&value))
    }

    /// Raises an exception in a suspended one or in the leaf of its chain.
    pub(crate) fn throw(&self, exception: Exception) -> Turn<Y, T> {
        if exception.is_exit() {
            return self.exit();
        }
        let leaf = self.channel().leaf();
        leaf.thrown.set(Some(exception));
        leaf.signal.set(Signal::Throw);
        self.run(leaf, NOTHING)
    }

    /// Tells a suspended one to finish, by value.
    pub(crate) fn exit(&self) -> Turn<Y, T> {
        let root = self.channel();
        root.signal.set(Signal::Exit);
        self.run(root, NOTHING)
    }

    /// Resumes one of which every suspension is a [`Port::give`] or a [`Port::take`], with the word that those look at.
    ///
    /// Its only owner waits, so that nobody can see that its state does not become [`State::Running`]. But who owns it
    /// may be a thread-local, which is dropped where it is when the body calls `process::exit`: [`unwind`](Self::unwind)
    /// and `drop` therefore look whether the body is running, which is rare, so that there is nothing to write here. (What a
    /// destructor there resumes or closes itself is a gap that the README names.)
    #[inline(always)]
    fn advance_with(&self, word: Word) -> Turn<Y, T> {
        let root = self.channel();
        if !frames::VISIBLE {
            return self.run(root, word);
        }
        // SAFETY: the caller has seen that it is suspended.
        let word = unsafe { root.switch.resume(word) };
        if root.switch.report() == Report::Yielded {
            // SAFETY: the report says that this is a value, and its body waits.
            Turn::Yielded(unsafe { unpack(word) })
        } else {
            self.drive(root, NOTHING) // it does not delegate
        }
    }

    /// Resumes one of which every suspension is a [`Port::give`], with nothing.
    #[inline]
    pub(crate) fn advance(&self) -> Turn<Y, T> {
        self.advance_with(NOTHING)
    }

    #[inline(always)]
    fn run(&self, target: &Channel<Y, S>, word: Word) -> Turn<Y, T> {
        let root = self.channel();
        debug_assert!(matches!(
            root.state.get(),
            State::Suspended | State::Created
        ));
        root.state.set(State::Running);
        // SAFETY: the root was suspended, or created and prepared, and so was the target, which is the root or its
        // leaf. Now the root's state keeps every other owner from coming here again.
        let word = unsafe { target.switch.resume(word) };
        if target.switch.report() == Report::Yielded {
            root.state.set(State::Suspended);
            // SAFETY: the report says that this is a value, and its body waits.
            Turn::Yielded(unsafe { unpack(word) })
        } else {
            self.drive(target, word)
        }
    }

    /// Goes on after a body has ended or delegated.
    #[cold]
    #[inline(never)]
    fn drive(&self, target: &Channel<Y, S>, word: Word) -> Turn<Y, T> {
        let root = self.channel();
        let (mut leaf, mut word) = (target, word);
        loop {
            match leaf.switch.take_report() {
                Report::Yielded => {
                    root.state.set(State::Suspended);
                    // SAFETY: the report says that this is a value, and its body waits.
                    return Turn::Yielded(unsafe { unpack(word) });
                }
                Report::Finished => {
                    leaf.state.set(State::Closed);
                    // SAFETY: it has just finished.
                    unsafe { leaf.switch.release() };
                    if ptr::eq(leaf, root) {
                        return Turn::Finished(self.take_outcome());
                    }
                    // SAFETY: the parent's body waits in `delegate`, so its frame is alive and stays where it is.
                    leaf = unsafe { &*leaf.parent.replace(ptr::null()) };
                    leaf.child.set(ptr::null());
                }
                Report::Delegated => {
                    // SAFETY: the body waits in `delegate` and keeps its sub-coroutine, which was suspended or prepared
                    // and whose chain therefore hangs together, alive and in place.
                    leaf = unsafe {
                        let sub = &*leaf.child.get();
                        sub.state.set(State::Running);
                        sub.leaf()
                    };
                }
                Report::Stuck => unreachable!("only a forced unwind gets stuck"),
            }
            root.set_leaf(leaf);
            // SAFETY: the new leaf is suspended in `delegate`, or was suspended or prepared when it was delegated to.
            // The word is what it waits for, if it waits for a value.
            word = unsafe { leaf.switch.resume(word) };
        }
    }

    /// Unwinds a suspended one by force. Returns whether its body has ended.
    ///
    /// Destructors run, and no other code of the body unless it catches the unwind. Panics go to the unraisable hook.
    #[cold]
    #[inline(never)]
    pub(crate) fn unwind(&self) -> bool {
        // See `advance`.
        !frames::runs_on(self.channel().switch.bounds()) && self.unwind_waiting()
    }

    /// [`unwind`](Self::unwind) for a body that is known to wait.
    fn unwind_waiting(&self) -> bool {
        let root = self.channel();
        root.signal.set(Signal::Unwind);
        root.state.set(State::Running);
        for _ in 0..UNWIND_ROUNDS {
            // SAFETY: it was suspended when we came here, and is in each further round.
            let word = unsafe { root.switch.resume(SIGNAL) };
            match root.switch.take_report() {
                // SAFETY: the report says that this is a value, and its body waits.
                Report::Yielded => report_if_it_panics(self.name(), unsafe { unpack::<Y>(word) }),
                // The signal is still set: `delegate` takes the sub-coroutine off the chain again.
                Report::Delegated => {}
                Report::Stuck => return false,
                Report::Finished => {
                    root.state.set(State::Closed);
                    // SAFETY: it has just finished.
                    unsafe { root.switch.release() };
                    match self.take_outcome() {
                        Outcome::Panicked(payload) if !payload.is::<ForcedUnwind>() => {
                            report(self.name(), Reason::Panic(payload));
                        }
                        ended => report_if_it_panics(self.name(), ended),
                    }
                    return true;
                }
            }
        }
        false
    }
}

impl<Y, S, T> Handle<Y, S, T> {
    /// Ends it without asking: drops a body that has not started and unwinds a suspended one. One that cannot be unwound
    /// is reported and leaked.
    pub(crate) fn close(&self) {
        let frame = self.frame();
        match frame.head.channel.state.get() {
            State::Created => {
                frame.head.channel.state.set(State::Closed);
                // SAFETY: the body has not started and now never will, so nobody else looks at it or at the stack.
                let discard = || unsafe {
                    frame.head.channel.switch.release();
                    (*frame.body.get()).discard();
                };
                if let Err(payload) = catch_unwind(AssertUnwindSafe(discard)) {
                    report(self.name(), Reason::Panic(payload));
                }
            }
            State::Suspended => {
                if !self.unwind() {
                    self.leak(Reason::Leaked);
                }
            }
            State::Running | State::Closed => {}
        }
    }

    /// Gives up a suspended one. `drop` keeps its frame and its stack.
    pub(crate) fn leak(&self, reason: Reason) {
        self.channel().state.set(State::Closed);
        report(self.name(), reason);
    }

    /// As [`close`](Self::close), but does not wake a suspended one while its thread ends, see `frames.rs`.
    fn end(&self) {
        if self.state() != State::Suspended {
            return self.close();
        }
        self.end_with(|| self.unwind_waiting());
    }

    /// Has `wake` bring a suspended one to its end, unless its thread ends. If that fails, it is reported and leaked.
    pub(crate) fn end_with(&self, wake: impl FnOnce() -> bool) {
        let bounds = self.channel().switch.bounds();
        match frames::wake_to_drop(bounds, wake) {
            Ok(true) => {}
            Ok(false) | Err(Obstacle::Runs) => self.leak(Reason::Leaked),
            Err(Obstacle::ThreadEnds) => self.leak(Reason::ThreadEnds),
        }
    }
}

impl<T> Handle<(), (), T> {
    /// Resumes a suspended one for the last time. `None` if it has got stuck on the way to its end.
    pub(crate) fn resume_to_end(&self) -> Option<Outcome<T>> {
        assert!(
            !self.go_on(),
            "a fiber that has to come to its end does not wait"
        );
        (self.state() == State::Closed).then(|| self.take_outcome())
    }

    /// Resumes a suspended one, or one that is created and has its stack. Returns whether it waits again. If not, it has ended, and
    /// its outcome can be taken; or it has got stuck, and runs for ever.
    ///
    /// (The outcome is not returned, as it would be copied from place to place each time that there is none.)
    #[inline]
    pub(crate) fn go_on(&self) -> bool {
        let root = self.channel();
        debug_assert!(matches!(
            root.state.get(),
            State::Suspended | State::Created
        ));
        root.state.set(State::Running);
        // SAFETY: it was suspended, or created and prepared.
        unsafe { root.switch.resume(NOTHING) };
        let waits = root.switch.report() == Report::Yielded;
        if waits {
            root.state.set(State::Suspended);
        } else {
            self.come_to_an_end();
        }
        waits
    }

    #[cold]
    fn come_to_an_end(&self) {
        let root = self.channel();
        match root.switch.take_report() {
            Report::Finished => {
                root.state.set(State::Closed);
                // SAFETY: it has just finished.
                unsafe { root.switch.release() };
            }
            Report::Stuck => {}
            Report::Yielded | Report::Delegated => unreachable!("a fiber waits, or has ended"),
        }
    }
}

impl<I: ?Sized, T> Handle<(), NonNull<I>, T> {
    /// Resumes one of which every suspension is a [`Port::take`], with an address.
    #[inline(always)]
    pub(crate) fn lend(&self, item: NonNull<I>) -> Turn<(), T> {
        self.advance_with(pack(&ManuallyDrop::new(item)))
    }

    /// Goes on after a [`Channel::lend`] that has not found it suspended again.
    pub(crate) fn after_lend(&self) -> Turn<(), T> {
        self.drive(self.channel(), NOTHING)
    }
}

impl<Y, S, T> Drop for Handle<Y, S, T> {
    fn drop(&mut self) {
        self.end();
        let channel = self.channel();
        if channel.switch.has_stack() {
            // It could not be unwound. Its stack stays as it is, with references to this frame on it.
            // (No owner can drop a running one; if one could, a leak would be right too.)
            return;
        }
        // SAFETY: the body has ended or never started, so nothing borrows the frame any more; it is ours, and came out
        // of a box.
        let frame = unsafe { Box::from_raw(self.frame.as_ptr()) };
        forget_if_it_panics(frame);
    }
}
