//! What a stage receives from.

use std::fmt;
use std::ptr::NonNull;

use crate::channel::Port;
use crate::exception::Exception;
use crate::pipe::pull::Pull;
use crate::pipe::stats::Meter;
use crate::switch::NotCurrent;
use crate::unraisable::{Reason, report};

/// How often a stage may go on receiving after it was told that this has come to an end, before it is taken to ignore that.
const CALLS_AFTER_CLOSE: u32 = 100;

/// What the body of a stage receives from.
///
/// Whether items are pushed into the stage or it pulls them is not the body's business: in the first case `recv` waits for
/// whoever sends, in the second it resumes the stage before this one.
pub struct Receiver<'a, T: ?Sized> {
    /// Where items come from if that is all there is to look after: they are pushed, nothing is measured, and there has been
    /// no close. This is the way on which each instruction counts.
    plain: Option<&'a Port<(), NonNull<T>>>,
    from: From<'a, T>,
    closed: bool,
    calls_after_close: u32,
    /// Why the stage before this one has ended, if it has failed.
    failure: Option<Exception>,
    meter: Option<Meter<T>>,
}

enum From<'a, T: ?Sized> {
    Push(&'a Port<(), NonNull<T>>),
    Pull(&'a mut Pull<T>),
}

impl<'a, T: ?Sized> Receiver<'a, T> {
    fn new(from: From<'a, T>) -> Self {
        Self {
            plain: match &from {
                From::Push(port) => Some(port),
                From::Pull(_) => None,
            },
            from,
            closed: false,
            calls_after_close: 0,
            failure: None,
            meter: None,
        }
    }

    /// # Safety
    ///
    /// What is sent is the address of an item that stays borrowed until the body suspends on `port` again or ends.
    #[inline]
    pub(crate) unsafe fn push(port: &'a Port<(), NonNull<T>>) -> Self {
        Self::new(From::Push(port))
    }

    pub(crate) fn pull(upstream: &'a mut Pull<T>) -> Self {
        Self::new(From::Pull(upstream))
    }

    pub(crate) fn measure(&mut self, meter: Meter<T>) {
        self.plain = None;
        self.meter = Some(meter);
    }

    pub(crate) fn meter(&self) -> Option<&Meter<T>> {
        self.meter.as_ref()
    }

    /// Why there were no more items, if the stage that sent them has failed.
    pub(crate) fn into_failure(self) -> Option<Exception> {
        self.failure
    }

    /// The next item, lent until the next call. `None` once there are no more: the stage is closed or dropped, or the
    /// stage before it has ended.
    ///
    /// # Panics
    ///
    /// If it is called from another body than its own, or more than a hundred times after the end.
    // Always inlined, down to the switch: see `run_root` on why a switch should not lie in a call of its own. The pipeline
    // that counts lines takes twice as long otherwise.
    #[inline(always)]
    pub fn recv(&mut self) -> Option<&T> {
        let Some(port) = self.plain else {
            return self.recv_otherwise();
        };
        match port.take(()) {
            // SAFETY: the item is borrowed until this body suspends on this port again or ends, said our maker. It does so
            // only here and in `receive`, and `&mut self` says that the item is not in use any more by then.
            Ok(Some(item)) => Some(unsafe { item.as_ref() }),
            Ok(None) => self.close(),
            Err(NotCurrent) => misused(OUTSIDE),
        }
    }

    #[cold]
    fn close(&mut self) -> Option<&T> {
        self.plain = None;
        self.closed = true;
        None
    }

    #[inline(never)]
    fn recv_otherwise(&mut self) -> Option<&T> {
        if let Some(meter) = &self.meter {
            meter.leave();
        }
        let item = receive(
            &mut self.from,
            &mut self.closed,
            &mut self.calls_after_close,
            &mut self.failure,
        );
        if let Some(meter) = &self.meter {
            meter.enter(item);
        }
        item
    }
}

fn receive<'i, T: ?Sized>(
    from: &'i mut From<'_, T>,
    closed: &mut bool,
    calls_after_close: &mut u32,
    failure: &mut Option<Exception>,
) -> Option<&'i T> {
    if *closed {
        *calls_after_close += 1;
        if *calls_after_close <= CALLS_AFTER_CLOSE {
            return None;
        }
        // One that is pushed into suspends below, which whoever closes it takes for what it is.
        if let From::Pull(_) = from {
            return misused("a stage asked for more items after the last one");
        }
    }
    let item = match from {
        // SAFETY: as in `recv`: our caller has an exclusive reference to the receiver, from which the item is borrowed.
        From::Push(port) => port
            .take(())
            .unwrap_or_else(|NotCurrent| misused(OUTSIDE))
            .map(|item| unsafe { item.as_ref() }),
        From::Pull(upstream) => upstream.recv().unwrap_or_else(|exception| {
            *failure = Some(exception);
            None
        }),
    };
    *closed |= item.is_none();
    item
}

const OUTSIDE: &str =
    "`recv` called from outside the body it belongs to; receive in that body itself";

/// Panics, unless that could abort the process: then it reports, and there is no item.
#[cold]
#[inline(never)]
fn misused<T>(message: &'static str) -> Option<T> {
    if std::thread::panicking() {
        report(None, Reason::Panic(Box::new(message)));
        return None;
    }
    panic!("{message}");
}

impl<T: ?Sized> fmt::Debug for Receiver<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
