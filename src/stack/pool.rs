//! The stacks that this thread has used and will use again.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

use super::Stack;
use super::depot;
use super::error::StackError;

/// Bytes of address space of the free stacks of one size that a thread keeps for itself.
const KEPT: usize = 256 << 20;

/// A stack that takes more than this, in bytes, is not kept: too much memory may have been touched.
const LARGE: usize = 64 << 20;

/// The place of the stack that came back last, which is still in the cache.
///
/// It has no destructor, which would be asked for at each access; that of the shelves empties it.
#[derive(Default)]
enum Last {
    /// The thread has no shelves yet.
    Unopened,
    #[default]
    Empty,
    Full(Stack),
    /// The thread is ending and has no shelves any more.
    Closed,
}

/// The other free stacks, by size. Programs use one or two sizes, so a linear search beats a map.
struct Shelves(Vec<(usize, Vec<Stack>)>);

thread_local! {
    static LAST: Cell<ManuallyDrop<Last>> = const { Cell::new(ManuallyDrop::new(Last::Unopened)) };
    /// The last place is closed.
    static IS_GONE: Cell<bool> = const { Cell::new(false) };
    static SHELVES: RefCell<Shelves> = const { RefCell::new(Shelves(Vec::new())) };
}

/// A free stack of exactly `size` bytes that this thread has.
#[inline]
pub(super) fn take(size: usize) -> Option<Stack> {
    match replace_last(Last::Empty) {
        Last::Full(stack) if stack.size() == size => Some(stack),
        last => take_from_shelf(size, last),
    }
}

/// Keeps `stack` for the next [`take`], or gives it to the depot.
#[inline]
pub(super) fn put(stack: Stack) {
    if stack.shape().slot > LARGE {
        return put_large(stack);
    }
    match replace_last(Last::Full(stack)) {
        Last::Empty => {}
        before => put_elsewhere(before),
    }
}

#[cold]
#[inline(never)]
fn put_large(stack: Stack) {
    depot::put([stack]);
}

#[inline]
fn replace_last(last: Last) -> Last {
    ManuallyDrop::into_inner(LAST.replace(ManuallyDrop::new(last)))
}

/// Whether the thread-locals of this thread that are needed here have been destroyed.
#[inline]
pub(super) fn is_gone() -> bool {
    IS_GONE.get()
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
    match replace_last(Last::Empty) {
        Last::Full(stack) => depot::put([stack]),
        last => drop(replace_last(last)),
    }
    let shelves = SHELVES.try_with(|shelves| std::mem::take(&mut shelves.borrow_mut().0));
    depot::put(
        shelves
            .unwrap_or_default()
            .into_iter()
            .flat_map(|(_, shelf)| shelf),
    );
}

#[inline(never)]
fn take_from_shelf(size: usize, last: Last) -> Option<Stack> {
    match last {
        Last::Full(stack) => put_on_shelf(stack),
        Last::Empty => {}
        Last::Unopened => open(),
        Last::Closed => close(),
    }
    let take = |shelves: &RefCell<Shelves>| shelves.borrow_mut().shelf(size).pop();
    SHELVES.try_with(take).ok().flatten()
}

/// Called when the place of the last stack has just been taken by another one.
#[cold]
#[inline(never)]
fn put_elsewhere(before: Last) {
    match before {
        Last::Full(stack) => put_on_shelf(stack),
        Last::Empty => {}
        Last::Unopened => open(),
        Last::Closed => close(),
    }
}

/// Makes sure that the stacks of this thread go to the depot when it ends.
fn open() {
    // An error means that it is ending already, and the shelves are gone without ever having been needed.
    if SHELVES.try_with(|_| {}).is_err() {
        close();
    }
}

/// From now on nothing is kept.
fn close() {
    IS_GONE.set(true);
    if let Last::Full(stack) = replace_last(Last::Closed) {
        depot::put([stack]);
    }
}

fn put_on_shelf(stack: Stack) {
    let mut stack = Some(stack);
    // While the thread is ending, there are no shelves any more.
    let _ = SHELVES.try_with(|shelves| {
        let mut shelves = shelves.borrow_mut();
        let Some(stack) = stack.take() else { return };
        let (size, most) = (stack.size(), stack.shape().kept(KEPT));
        let shelf = shelves.shelf(size);
        shelf.push(stack);
        if shelf.len() > most {
            // The coldest half.
            depot::put(shelf.drain(..shelf.len() - most / 2));
        }
    });
    depot::put(stack);
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
        close();
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
        let size = 60 << 20;
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
