//! What bodies suspend themselves with, whatever its types are.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use yieldfrom::pipe::Receiver;
use yieldfrom::{Co, Exception, ProtocolError, Yielder};

use crate::ledger::{check_thrown, is_ours, ledger};
use crate::object::{Label, Object, Own, Several, Shape};
use crate::value::{Item, Value, arrive, arrive_as, launch};

/// What a body suspends itself with.
pub trait Port {
    /// Yields or receives once.
    fn suspend(&self) -> Result<(), Exception>;

    /// Whether [`each`](Self::each) is a delegation.
    fn has_each(&self) -> bool {
        false
    }

    /// Yields several times at once.
    fn each(&self, count: u8) -> Result<(), Exception> {
        let _ = count;
        self.suspend()
    }

    /// What one can delegate to here.
    fn shape(&self) -> Option<u8> {
        None
    }

    /// Delegates to one of this shape, sending it a value first or not.
    fn delegate(&self, _: &mut dyn Object, _send: bool) -> Result<(), Exception> {
        Ok(())
    }

    /// Receives an item and calls `hold` while that is lent.
    fn receive(&self, hold: &mut dyn FnMut()) -> Result<(), Exception> {
        self.suspend()?;
        hold();
        Ok(())
    }

    /// Yields from a body that this is not the port of, which is to be refused.
    fn intrude(&self);
}

/// The main program, which cannot yield.
pub struct Holder;

impl Port for Holder {
    fn suspend(&self) -> Result<(), Exception> {
        Ok(())
    }

    fn intrude(&self) {}
}

pub struct CoPort<'a, K: Shape>(pub &'a Co<K::Y, K::S>);

impl<K: Shape> Port for CoPort<'_, K> {
    fn suspend(&self) -> Result<(), Exception> {
        let sent = self.0.yield_(launch()).inspect_err(check_thrown)?;
        arrive(sent);
        Ok(())
    }

    fn has_each(&self) -> bool {
        K::EACH
    }

    fn each(&self, count: u8) -> Result<(), Exception> {
        match K::each(self.0, count) {
            Some(result) => result.inspect_err(|exception| {
                if exception.downcast_ref() != Some(&ProtocolError::SendToIterator) {
                    check_thrown(exception);
                }
            }),
            None => self.suspend(),
        }
    }

    fn shape(&self) -> Option<u8> {
        Some(K::NUMBER)
    }

    fn delegate(&self, to: &mut dyn Object, send: bool) -> Result<(), Exception> {
        let to: &mut dyn Any = to;
        let (returned, label) = if let Some(Own::<K> { co, label }) = to.downcast_mut() {
            let returned = match send {
                true => self.0.yield_from_with(co, launch()),
                false => self.0.yield_from(co),
            };
            (returned, label)
        } else if let Some(Several::<K> { co, label }) = to.downcast_mut() {
            let returned = match send {
                true => self.0.yield_from_with(&*co, launch()),
                false => self.0.yield_from(&*co),
            };
            (returned, label)
        } else {
            return Ok(());
        };
        arrive_as(returned?, label.serial);
        Ok(())
    }

    fn intrude(&self) {
        let refused = self.0.yield_(launch()).map(drop);
        let exception = refused.expect_err("another body's `yield_`");
        assert_eq!(exception.downcast_ref(), Some(&ProtocolError::NotCurrent));
    }
}

pub struct YielderPort<'a, V>(pub &'a Yielder<V>);

impl<V: Value> Port for YielderPort<'_, V> {
    fn suspend(&self) -> Result<(), Exception> {
        self.0.yield_(launch());
        Ok(())
    }

    fn each(&self, count: u8) -> Result<(), Exception> {
        self.0.yield_from((0..count).map(|_| launch()));
        Ok(())
    }

    fn intrude(&self) {
        if thread::panicking() {
            // It is reported, and returns.
            ledger(|ledger| ledger.panics.provoke());
            self.0.yield_(launch());
        } else {
            let refused = catch_unwind(AssertUnwindSafe(|| self.0.yield_(launch())));
            let payload = refused.expect_err("another body's `yield_`");
            assert!(is_ours(&*payload));
            resume_unwind(payload);
        }
    }
}

pub struct SinkPort<'a, 'b, T: Item + ?Sized> {
    /// Borrowed while an item is lent.
    receiver: RefCell<&'a mut Receiver<'b, T>>,
    label: &'a Label,
    /// How often it has received nothing.
    nothings: Cell<u32>,
}

impl<'a, 'b, T: Item + ?Sized> SinkPort<'a, 'b, T> {
    pub fn new(receiver: &'a mut Receiver<'b, T>, label: &'a Label) -> Self {
        Self {
            receiver: RefCell::new(receiver),
            label,
            nothings: Cell::new(0),
        }
    }
}

impl<T: Item + ?Sized> Port for SinkPort<'_, '_, T> {
    fn suspend(&self) -> Result<(), Exception> {
        self.receive(&mut || {})
    }

    fn receive(&self, hold: &mut dyn FnMut()) -> Result<(), Exception> {
        let Ok(mut receiver) = self.receiver.try_borrow_mut() else {
            return Ok(());
        };
        if self.nothings.get() >= 100 {
            ledger(|ledger| ledger.ignored.provoke());
        }
        match receiver.recv() {
            Some(item) => {
                let serial = self.label.lent.get();
                assert!(item.is(serial));
                hold();
                assert!(item.is(serial));
            }
            None => self.nothings.set(self.nothings.get() + 1),
        }
        Ok(())
    }

    fn intrude(&self) {
        if let Ok(mut receiver) = self.receiver.try_borrow_mut() {
            if thread::panicking() {
                // It is reported, and returns, unless there is nothing to wait for.
                ledger(|ledger| ledger.panics.provoke());
            }
            assert!(receiver.recv().is_none());
            self.nothings.set(self.nothings.get() + 1);
        }
    }
}

/// As [`Port::suspend`], below a frame that no panic may cross.
pub fn suspend_below_c(port: &dyn Port) -> Result<(), Exception> {
    let call = BelowC {
        port,
        result: RefCell::new(Ok(())),
    };
    below_c(&call);
    call.result.into_inner()
}

#[inline(never)]
extern "C" fn below_c(call: &BelowC<'_>) {
    call.suspend();
}

struct BelowC<'a> {
    port: &'a dyn Port,
    result: RefCell<Result<(), Exception>>,
}

impl BelowC<'_> {
    /// Not in the frame itself, which must not have anything to clean up: see the README's known gaps.
    #[inline(never)]
    fn suspend(&self) {
        let result = self.port.suspend();
        self.result.replace(result).ok();
    }
}
