//! The stacks that this thread has used and will use again.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

use super::Stack;
use super::depot;
use super::error::StackError;

/// Bytes of address space of the free stacks of one size that a thread keeps for itself.
const KEPT: usize = 256 << 20;

/// Free stacks by size. Programs use one or two sizes, so a linear search beats a map.
struct Shelves(Vec<(usize, Vec<Stack>)>);

thread_local! {
    /// The stack that came back last, which is still in the cache.
    static LAST: Cell<Option<Stack>> = const { Cell::new(None) };
    /// The others.
    static SHELVES: RefCell<Shelves> = const { RefCell::new(Shelves(Vec::new())) };
}

/// A free stack of exactly `size` bytes that this thread has. `None` also while the thread is ending.
#[inline]
pub(super) fn take(size: usize) -> Option<Stack> {
    match LAST.try_with(Cell::take).ok()? {
        Some(stack) if stack.size() == size => Some(stack),
        other => take_from_shelf(size, other),
    }
}

/// Keeps `stack` for the next [`take`], or gives it to the depot.
#[inline]
pub(super) fn put(stack: Stack) {
    // While the thread is ending, what is dropped goes to the depot.
    if let Ok(Some(before)) = LAST.try_with(|last| last.replace(Some(stack))) {
        put_on_shelf(before);
    }
}

/// Whether the thread-locals of this thread that are needed here have been destroyed.
pub(super) fn is_gone() -> bool {
    LAST.try_with(|_| {}).is_err()
}

/// A stack of exactly `size` bytes from the depot, which this thread has none of.
pub(super) fn take_from_depot(size: usize) -> Result<Stack, StackError> {
    let mut spare = Vec::new();
    let stack = depot::take(size, &mut spare);
    // From the coldest to the warmest, so that the warmest is taken first.
    spare.into_iter().for_each(put_on_shelf);
    stack
}

/// Gives all free stacks of this thread to the depot.
pub(super) fn empty() {
    let last = LAST.try_with(Cell::take).ok().flatten();
    let shelves = SHELVES.try_with(|shelves| std::mem::take(&mut shelves.borrow_mut().0));
    let shelves = shelves.unwrap_or_default().into_iter();
    depot::put(shelves.flat_map(|(_, shelf)| shelf).chain(last));
}

#[inline(never)]
fn take_from_shelf(size: usize, last: Option<Stack>) -> Option<Stack> {
    if let Some(last) = last {
        put(last);
    }
    let take = |shelves: &RefCell<Shelves>| shelves.borrow_mut().shelf(size).pop();
    SHELVES.try_with(take).ok().flatten()
}

#[inline(never)]
fn put_on_shelf(stack: Stack) {
    // As in `put`.
    let _ = SHELVES.try_with(|shelves| {
        let mut shelves = shelves.borrow_mut();
        let size = stack.size();
        let shelf = shelves.shelf(size);
        shelf.push(stack);
        let most = (KEPT / size).max(1);
        if shelf.len() > most {
            // The coldest half.
            depot::put(shelf.drain(..most.div_ceil(2)));
        }
    });
}

impl Shelves {
    fn shelf(&mut self, size: usize) -> &mut Vec<Stack> {
        let place = self.0.iter().position(|(s, _)| *s == size);
        let place = place.unwrap_or_else(|| {
            self.0.push((size, Vec::new()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }
}

impl Drop for Shelves {
    fn drop(&mut self) {
        depot::put(self.0.drain(..).flat_map(|(_, shelf)| shelf));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MIN_STACK_SIZE, Stack};
    use super::*;
    use corosensei::stack::Stack as _;

    #[test]
    fn stacks_given_back_are_taken_again() {
        let take = || Stack::take(MIN_STACK_SIZE).unwrap();
        let (first, second) = (take(), take());
        let bases = [first.base(), second.base()];
        first.give_back();
        second.give_back();
        let (last, before) = (take(), take());
        assert_eq!([before.base(), last.base()], bases);
    }

    #[test]
    fn sizes_do_not_mix() {
        let small = Stack::take(MIN_STACK_SIZE).unwrap();
        let base = small.base();
        small.give_back();
        let large = Stack::take(2 * MIN_STACK_SIZE).unwrap();
        assert_ne!(large.base(), base);
        assert_eq!(Stack::take(MIN_STACK_SIZE).unwrap().base(), base);
    }

    #[test]
    fn the_stacks_of_a_thread_that_ends_are_used_by_others() {
        let size = MIN_STACK_SIZE + 4096 * 900;
        let bases = move |n: usize| {
            let stacks: Vec<Stack> = (0..n).map(|_| Stack::take(size).unwrap()).collect();
            let mut bases: Vec<_> = stacks.iter().map(|stack| stack.base()).collect();
            stacks.into_iter().for_each(Stack::give_back);
            bases.sort_unstable();
            bases
        };
        let first = std::thread::spawn(move || bases(5)).join().unwrap();
        let second = std::thread::spawn(move || bases(5)).join().unwrap();
        assert_eq!(first, second);
    }

    #[test]
    fn a_thread_keeps_only_so_many() {
        let size = 64 << 20;
        let stacks: Vec<Stack> = (0..6).map(|_| Stack::take(size).unwrap()).collect();
        stacks.into_iter().for_each(Stack::give_back);
        let kept = SHELVES.with_borrow_mut(|shelves| shelves.shelf(size).len());
        assert!((1..=4).contains(&kept), "{kept}");
        empty();
        assert_eq!(
            SHELVES.with_borrow_mut(|shelves| shelves.shelf(size).len()),
            0
        );
    }
}
