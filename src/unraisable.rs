//! What goes wrong while nobody is there to be told.

#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::exception::Exception;
use crate::unwind::ForcedUnwind;

/// Something that went wrong while nobody was there to be told: mostly while a generator or coroutine was being dropped, or in
/// a [task](crate::task) that nobody waits for.
///
/// A drop cannot raise: what a body does wrong then goes to the hook set with [`set_unraisable_hook`], as in Python to
/// `sys.unraisablehook`. By default it is printed on standard error. What an event loop has to report goes to the loop's own
/// [handler](crate::task::LoopBuilder::report_to), if it has one.
#[derive(Debug)]
pub struct Unraisable<'a> {
    name: Option<&'a str>,
    reason: Reason,
}

/// Why something was reported as [`Unraisable`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The body raised this while it was being dropped.
    Exception(Exception),
    /// The body yielded instead of finishing. It is then unwound by force: destructors run, no further code does.
    IgnoredExit,
    /// The body of a fiber tried to wait again and again after it was cancelled. It is then unwound by force.
    IgnoredCancel,
    /// The body, a destructor in it or one of its captures panicked.
    Panic(Box<dyn Any + Send>),
    /// The body could not be unwound, so its stack and all that lives on it are never freed.
    Leaked,
    /// It was suspended when its thread ended, in a thread-local or in something that one owns. Its body may borrow a
    /// thread-local that is gone already, so that it is not woken: its stack and all that lives on it are never freed.
    ThreadEnds,
    /// The task or future has ended with this, and nobody has asked.
    NeverRetrieved(Exception),
    /// The task has ended with this after its loop was [shut down](crate::task::Loop::run).
    AtShutdown(Exception),
    /// The task, spawned at this place, had not ended when its loop was closed.
    Pending(&'static Location<'static>),
    /// A callback of an event loop panicked, or a destructor that the loop has run.
    Callback(Box<dyn Any + Send>),
    /// In [debug mode](crate::task::LoopBuilder::debug): nobody else had a turn for so long, as the task did not wait
    /// between these places.
    #[non_exhaustive]
    HeldTheLoop {
        /// How long.
        held: Duration,
        /// Where it has gone on, or where it was spawned.
        since: Option<&'static Location<'static>>,
        /// Where it has waited next.
        until: Option<&'static Location<'static>>,
    },
}

impl<'a> Unraisable<'a> {
    /// The name of the generator, coroutine or task, if it has one.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// What happened.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }
}

impl fmt::Display for Unraisable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.unwrap_or("<unnamed>");
        match &self.reason {
            Reason::NeverRetrieved(exception) => match self.name {
                Some(name) => write!(f, "nobody has asked how task '{name}' ended: {exception}"),
                None => write!(f, "nobody has asked how a future ended: {exception}"),
            },
            Reason::AtShutdown(exception) => {
                write!(
                    f,
                    "task '{name}' failed while its loop shut down: {exception}"
                )
            }
            Reason::Pending(place) => write!(
                f,
                "task '{name}', spawned at {place}, was pending when its loop was closed"
            ),
            Reason::Callback(payload) => write!(f, "a callback panicked: {}", message(&**payload)),
            Reason::HeldTheLoop { held, since, until } => {
                match self.name {
                    Some(name) => write!(f, "task '{name}'")?,
                    None => write!(f, "a callback")?,
                }
                write!(f, " held the loop for {:.3} s", held.as_secs_f64())?;
                if let Some(since) = since {
                    write!(f, ", from {since}")?;
                }
                match until {
                    Some(until) => write!(f, " to {until}"),
                    None => Ok(()),
                }
            }
            reason => {
                write!(f, "while dropping coroutine '{name}': ")?;
                match reason {
                    Reason::Exception(exception) => write!(f, "it raised: {exception}"),
                    Reason::IgnoredExit => f.write_str("it ignored GeneratorExit"),
                    Reason::IgnoredCancel => f.write_str("it ignored its cancellation"),
                    Reason::Panic(payload) => write!(f, "it panicked: {}", message(&**payload)),
                    Reason::Leaked => f.write_str("it could not be unwound, its stack is leaked"),
                    _ => f.write_str(
                        "its thread is ending, its stack is leaked; close it before that",
                    ),
                }
            }
        }
    }
}

/// What a panic says.
pub(crate) fn message(payload: &(dyn Any + Send)) -> &str {
    match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "(no message)",
    }
}

type Hook = dyn Fn(&Unraisable<'_>) + Send + Sync;

static HOOK: RwLock<Option<Arc<Hook>>> = RwLock::new(None);

/// Replaces what is done with an [`Unraisable`], for all threads.
///
/// The hook runs on the thread and on the stack where the drop happens, possibly while that thread panics. A panic in
/// the hook itself is swallowed.
///
/// ```
/// use yieldfrom::{coroutine, set_unraisable_hook, Exception};
///
/// set_unraisable_hook(|unraisable| eprintln!("lost: {unraisable}"));
/// # let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
/// # let log = seen.clone();
/// # set_unraisable_hook(move |unraisable| log.lock().unwrap().push(unraisable.to_string()));
/// let mut stubborn = coroutine(|co| -> Result<(), Exception> {
///     let _exit = co.yield_(1); // swallows the order to finish ...
///     co.yield_(2)              // ... and yields again
/// });
/// stubborn.prime().unwrap();
/// drop(stubborn); // lost: while dropping coroutine '<unnamed>': it ignored GeneratorExit
/// # assert_eq!(*seen.lock().unwrap(), ["while dropping coroutine '<unnamed>': it ignored GeneratorExit"]);
/// ```
pub fn set_unraisable_hook(hook: impl Fn(&Unraisable<'_>) + Send + Sync + 'static) {
    let old = HOOK
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(Arc::new(hook));
    drop(old); // outside the lock: it is the user's
}

/// Removes the hook set with [`set_unraisable_hook`].
pub fn reset_unraisable_hook() {
    let old = HOOK.write().unwrap_or_else(PoisonError::into_inner).take();
    drop(old);
}

/// Reports to the hook. Never panics.
#[cold]
pub(crate) fn report(name: Option<&str>, reason: Reason) {
    // Where a fiber is unwound by force while a coroutine above it is dropped, that drop stops the unwind. It is the fiber's
    // business, and reported there.
    if matches!(&reason, Reason::Panic(payload) if payload.is::<ForcedUnwind>()) {
        return;
    }
    let hook = HOOK.read().unwrap_or_else(PoisonError::into_inner).clone();
    let print = |unraisable: &Unraisable<'_>| match hook {
        Some(hook) => hook(unraisable),
        None => eprintln!("yieldfrom: {unraisable}"),
    };
    report_to(print, name, reason);
}

/// Reports to `hook`. Never panics.
#[cold]
pub(crate) fn report_to(hook: impl FnOnce(&Unraisable<'_>), name: Option<&str>, reason: Reason) {
    let unraisable = Unraisable { name, reason };
    let result = catch_unwind(AssertUnwindSafe(|| hook(&unraisable)));
    // What the hook panicked with, and what is reported, may panic once more when dropped.
    forget_if_it_panics(result);
    forget_if_it_panics(unraisable.reason);
}

/// Drops a value. If its destructor panics, that is reported.
#[inline]
pub(crate) fn report_if_it_panics<T>(name: Option<&str>, value: T) {
    if std::mem::needs_drop::<T>() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
            report(name, Reason::Panic(payload));
        }
    }
}

/// Drops a value. If its destructor panics, what that panicked with is leaked rather than dropped in turn.
pub(crate) fn forget_if_it_panics<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        std::mem::forget(payload);
    }
}
