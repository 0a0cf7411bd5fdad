//! What a stage receives from.

use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::channel::Port;
use crate::exception::Exception;
use crate::pipe::pull::Pull;
use crate::pipe::stats::Meter;
use crate::switch::NotCurrent;

/// How often a stage may go on receiving or sending after it was told that this has come to an end, before it is taken to
/// ignore that.
pub(crate) const CALLS_AFTER_CLOSE: u32 = 100;

/// What the body of a stage receives from.
///
/// Whether items are pushed into the stage or it pulls them is not the body's business: in the first case `recv` waits for
/// whoever sends, in the second it resumes the stage before this one.
pub struct Receiver<'a, T: ?Sized> {
    from: From<'a, T>,
    closed: bool,
    calls_after_close: u32,
    /// Why the stage before this one has ended, if it has failed.
    failure: Option<Exception>,
    pub(crate) meter: Option<Rc<Meter<T>>>,
}

enum From<'a, T: ?Sized> {
    Push(&'a Port<(), NonNull<T>>),
    Pull(&'a mut Pull<T>),
}

impl<'a, T: ?Sized> Receiver<'a, T> {
    fn new(from: From<'a, T>) -> Self {
        Self {
            from,
            closed: false,
            calls_after_close: 0,
            failure: None,
            meter: None,
        }
    }

    /// # Safety
    ///
    /// Every message is the address of an item that stays borrowed until the body suspends on `port` again or ends.
    #[inline]
    pub(crate) unsafe fn push(port: &'a Port<(), NonNull<T>>) -> Self {
        Self::new(From::Push(port))
    }

    pub(crate) fn pull(upstream: &'a mut Pull<T>) -> Self {
        Self::new(From::Pull(upstream))
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
        if self.meter.is_some() {
            self.recv_measured()
        } else {
            self.receive()
        }
    }

    #[inline(always)]
    fn receive(&mut self) -> Option<&T> {
        if self.closed && self.is_patient() {
            return None;
        }
        match &mut self.from {
            From::Push(port) => match port.take(()) {
                // SAFETY: the item is borrowed until this body suspends on this port again or ends, said our maker.
                // It does so only here, and `&mut self` says that the item is not in use any more by then.
                Ok(Some(item)) => Some(unsafe { item.as_ref() }),
                Ok(None) => {
                    self.closed = true;
                    None
                }
                Err(NotCurrent) => outside(),
            },
            From::Pull(upstream) => match upstream.recv() {
                Ok(Some(item)) => Some(item),
                ended => {
                    self.closed = true;
                    self.failure = ended.err();
                    None
                }
            },
        }
    }

    #[cold]
    #[inline(never)]
    fn is_patient(&mut self) -> bool {
        self.calls_after_close += 1;
        if self.calls_after_close <= CALLS_AFTER_CLOSE {
            return true;
        }
        // One that is pushed into suspends, which whoever closes it takes for what it is.
        if let From::Pull(_) = self.from {
            panic!("a stage asked for more items after the last one");
        }
        false
    }

    #[cold]
    #[inline(never)]
    fn recv_measured(&mut self) -> Option<&T> {
        let meter = self.meter.clone().expect("the caller has looked");
        meter.leave();
        let item = self.receive();
        meter.enter(item);
        item
    }
}

#[cold]
#[inline(never)]
fn outside() -> ! {
    panic!("`recv` called from outside the body it belongs to; receive in that body itself")
}

impl<T: ?Sized> fmt::Debug for Receiver<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
