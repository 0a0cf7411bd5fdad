//! The stacks that this thread has used and will use again.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

use super::Stack;

/// How many free stacks of one size a thread keeps. What comes back beyond that is unmapped.
const KEPT: usize = 1024;

/// Free stacks by size. Programs use one or two sizes, so a linear search beats a map.
type Shelves = Vec<(usize, Vec<Stack>)>;

thread_local! {
    /// The stack that came back last, which is still in the cache.
    static LAST: Cell<Option<Stack>> = const { Cell::new(None) };
    /// The others.
    static SHELVES: RefCell<Shelves> = const { RefCell::new(Vec::new()) };
}

/// A free stack of exactly `size` bytes. `None` also while the thread is ending.
#[inline]
pub(super) fn take(size: usize) -> Option<Stack> {
    match LAST.try_with(Cell::take).ok()? {
        Some(stack) if stack.size == size => Some(stack),
        other => take_from_shelf(size, other),
    }
}

/// Keeps `stack` for the next [`take`]. While the thread is ending it is unmapped instead.
#[inline]
pub(super) fn put(stack: Stack) {
    if let Ok(Some(before)) = LAST.try_with(|last| last.replace(Some(stack))) {
        put_on_shelf(before);
    }
}

#[inline(never)]
fn take_from_shelf(size: usize, last: Option<Stack>) -> Option<Stack> {
    if let Some(last) = last {
        put(last);
    }
    let take = |shelves: &RefCell<Shelves>| shelf(&mut shelves.borrow_mut(), size)?.pop();
    SHELVES.try_with(take).ok().flatten()
}

#[inline(never)]
fn put_on_shelf(stack: Stack) {
    let mut stack = Some(stack);
    // An error means that the shelves are gone. What is left in `stack` is unmapped.
    let _ = SHELVES.try_with(|shelves| {
        let mut shelves = shelves.borrow_mut();
        let size = stack.as_ref().map_or(0, |stack| stack.size);
        if shelf(&mut shelves, size).is_none() {
            shelves.push((size, Vec::new()));
        }
        if let Some(shelf) = shelf(&mut shelves, size).filter(|shelf| shelf.len() < KEPT) {
            shelf.extend(stack.take());
        }
    });
}

fn shelf(shelves: &mut Shelves, size: usize) -> Option<&mut Vec<Stack>> {
    shelves
        .iter_mut()
        .find(|(s, _)| *s == size)
        .map(|(_, shelf)| shelf)
}

#[cfg(test)]
mod tests {
    use super::super::{MIN_STACK_SIZE, Stack};
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
}
