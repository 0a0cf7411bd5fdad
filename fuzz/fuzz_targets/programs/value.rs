//! Values of several sizes that carry a serial number.

use std::cell::Cell;

use crate::ledger::{Token, bang, ledger};

pub trait Value: Sized + 'static {
    fn of(serial: u64) -> Self;

    /// Whether it carries this number, as far as it has room for one.
    fn carries(&self, serial: u64) -> bool;

    /// It has arrived, and may be dropped from now on.
    fn settle(&self) {}
}

impl Value for () {
    fn of(_: u64) {}

    fn carries(&self, _: u64) -> bool {
        true
    }
}

impl Value for u8 {
    fn of(serial: u64) -> Self {
        serial as u8
    }

    fn carries(&self, serial: u64) -> bool {
        *self == serial as u8
    }
}

impl Value for u64 {
    fn of(serial: u64) -> Self {
        serial
    }

    fn carries(&self, serial: u64) -> bool {
        *self == serial
    }
}

impl Value for [u64; 5] {
    fn of(serial: u64) -> Self {
        [serial, !serial, serial, !serial, serial]
    }

    fn carries(&self, serial: u64) -> bool {
        *self == Self::of(serial)
    }
}

/// A value that owns memory and is missed if it is lost.
#[derive(Debug)]
pub struct Owned {
    serial: Box<u64>,
    text: String,
    /// Panics when it is dropped.
    armed: Cell<bool>,
    _token: Token,
}

impl Value for Owned {
    fn of(serial: u64) -> Self {
        Self {
            serial: Box::new(serial),
            text: serial.to_string(),
            armed: Cell::new(ledger(|ledger| ledger.armed.take())),
            _token: Token::new(),
        }
    }

    fn carries(&self, serial: u64) -> bool {
        *self.serial == serial && self.text == serial.to_string()
    }

    fn settle(&self) {
        self.armed.set(false);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.armed.get() {
            bang();
        }
    }
}

/// `None` for every fourth number.
impl Value for Option<Owned> {
    fn of(serial: u64) -> Self {
        (!serial.is_multiple_of(4)).then(|| Owned::of(serial))
    }

    fn carries(&self, serial: u64) -> bool {
        match self {
            None => serial.is_multiple_of(4),
            Some(value) => value.carries(serial),
        }
    }

    fn settle(&self) {
        if let Some(value) = self {
            value.settle();
        }
    }
}

/// A new value that is about to be sent or yielded.
pub fn launch<V: Value>() -> V {
    V::of(ledger(|ledger| ledger.launch()))
}

/// Checks a value that has been sent or yielded, and drops it.
pub fn arrive<V: Value>(value: V) {
    arrive_as(value, ledger(|ledger| ledger.in_flight.get()));
}

/// Checks a value of which the number is known, and drops it.
pub fn arrive_as<V: Value>(value: V, serial: u64) {
    value.settle();
    assert!(value.carries(serial), "this is not value {serial}");
}

/// What is lent to a sink.
pub trait Item: 'static {
    fn lend<T>(serial: u64, to: impl FnOnce(&Self) -> T) -> T;

    fn is(&self, serial: u64) -> bool;
}

impl Item for str {
    fn lend<T>(serial: u64, to: impl FnOnce(&Self) -> T) -> T {
        to(&serial.to_string())
    }

    fn is(&self, serial: u64) -> bool {
        self.parse() == Ok(serial)
    }
}

impl Item for [u64] {
    fn lend<T>(serial: u64, to: impl FnOnce(&Self) -> T) -> T {
        to(&vec![serial; 1 + serial as usize % 7])
    }

    fn is(&self, serial: u64) -> bool {
        !self.is_empty() && self.iter().all(|n| *n == serial)
    }
}

impl Item for Owned {
    fn lend<T>(serial: u64, to: impl FnOnce(&Self) -> T) -> T {
        let item = Owned::of(serial);
        item.settle();
        to(&item)
    }

    fn is(&self, serial: u64) -> bool {
        Value::carries(self, serial)
    }
}
