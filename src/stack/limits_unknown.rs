//! Where the limits of a process are not known: the system refuses by itself.

#![forbid(unsafe_code)]

use super::error::StackLimit;

#[derive(Debug)]
pub(super) struct Room;

impl Room {
    pub(super) const fn new() -> Self {
        Self
    }

    pub(super) fn take(&mut self, _bytes: usize, _touched: usize) -> Result<(), StackLimit> {
        Ok(())
    }

    pub(super) fn give_back(&mut self, _count: usize) {}
}

pub(super) fn diagnose(_error: &std::io::Error, _bytes: usize) -> StackLimit {
    StackLimit::Unknown
}

#[derive(Debug)]
pub(super) struct Mappings;

impl Mappings {
    pub(super) const fn new() -> Self {
        Self
    }

    pub(super) fn take(&mut self, _count: usize) -> Result<(), StackLimit> {
        Ok(())
    }

    pub(super) fn give_back(&mut self, _count: usize) {}
}
