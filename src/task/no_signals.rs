//! Signals, where there are none that a loop could be told of: Ctrl-C ends the process there.

#![forbid(unsafe_code)]

use std::task::{Context, Poll};

/// What a signal is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    Interrupt,
    Quit,
}

/// There is none.
pub(crate) enum Listener {}

impl Listener {
    pub(crate) fn new(_: &[Signal]) -> Option<Self> {
        let _ = (Signal::Interrupt, Signal::Quit);
        None
    }

    pub(crate) fn poll(&self, _: &mut Context<'_>) -> Poll<Signal> {
        match *self {}
    }
}
