//! Who waits for the same thing, in the order in which they came.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::interrupt::{Interrupt, with_interrupt};
use crate::task::cancel::{Cancel, Ticket, Todo};
use crate::task::entry::Entry;
use crate::task::waiter::{Waiting, awaits};

/// A line of tasks that wait: each for its turn, as asyncio's have a bare future each. Whoever waits holds a ticket.
///
/// Who is woken leaves the line, but has a turn later. Until then the ticket tells what has become of it; and whoever goes on,
/// or is dropped, has to do something about what it was woken for.
#[derive(Clone)]
pub(crate) struct Waiters(Rc<Line>);

struct Line {
    /// What they wait for, in words.
    what: &'static str,
    last: Cell<Ticket>,
    places: RefCell<Places>,
    /// Those that were cancelled, and are not in the line any more, but do not know yet.
    cancelled: RefCell<BTreeSet<Ticket>>,
}

/// The places in line, in the order of their tickets. Those that leave in the middle stay until there are too many of them, so
/// that none of this takes longer if many wait.
///
/// Two lists rather than one, as what is written in several parts, and read in one just after, has the processor wait for the
/// store of each part.
#[derive(Default)]
struct Places {
    marks: VecDeque<Mark>,
    /// Who waits at each place, as long as they do.
    entries: VecDeque<Option<Rc<dyn Entry>>>,
    /// How many places are empty.
    empty: usize,
}

/// What is known of a place.
#[derive(Clone, Copy)]
struct Mark {
    ticket: Ticket,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waits,
    Woken,
    Cancelled,
    Empty,
}

impl Places {
    #[inline]
    fn push(&mut self, ticket: Ticket, entry: Rc<dyn Entry>) {
        let state = State::Waits;
        self.marks.push_back(Mark { ticket, state });
        self.entries.push_back(Some(entry));
    }

    #[cold]
    fn sort(&mut self) {
        let mut places: Vec<_> = self.marks.drain(..).zip(self.entries.drain(..)).collect();
        places.sort_by_key(|(mark, _)| mark.ticket);
        (self.marks, self.entries) = places.into_iter().unzip();
    }

    #[inline]
    fn find(&self, ticket: Ticket) -> Option<usize> {
        let before = ticket.checked_sub(self.marks.front()?.ticket)?;
        match self.marks.get(before as usize) {
            Some(mark) if mark.ticket == ticket => Some(before as usize),
            _ => (self.marks.binary_search_by_key(&ticket, |mark| mark.ticket)).ok(),
        }
    }

    /// Returns who waits at that place, if somebody does.
    fn end(&mut self, at: usize, how: State) -> Option<Rc<dyn Entry>> {
        let state = &mut self.marks[at].state;
        if *state == State::Waits || how == State::Empty {
            *state = how;
        }
        self.entries[at].take()
    }

    fn clear_empty(&mut self) {
        if self.empty > self.marks.len() / 2 {
            let mut marks = self.marks.iter();
            let is_kept = |_: &_| marks.next().is_some_and(|mark| mark.state != State::Empty);
            self.entries.retain(is_kept);
            self.marks.retain(|mark| mark.state != State::Empty);
            self.empty = 0;
        }
    }
}

impl Waiters {
    /// Makes an empty line of those who wait for that.
    pub(crate) fn new(what: &'static str) -> Self {
        Self(Rc::new(Line {
            what,
            last: Cell::new(0),
            places: RefCell::default(),
            cancelled: RefCell::default(),
        }))
    }

    /// Gets in line, if there is no ticket yet. Ready if the ticket was woken; if it was cancelled, so is whoever polls.
    #[inline]
    pub(crate) fn poll(&self, ticket: &mut Option<Ticket>, context: &mut Context<'_>) -> Poll<()> {
        let held = match *ticket {
            None => {
                *ticket = Some(self.queue(context));
                return Poll::Pending;
            }
            Some(held) => held,
        };
        match self.state(held) {
            Waiting::Woken => Poll::Ready(()),
            Waiting::Cancelled => {
                with_interrupt(Interrupt::raise);
                Poll::Pending
            }
            Waiting::Yes => {
                self.renew(held, context);
                Poll::Pending
            }
        }
    }

    /// Gets in line. Returns the ticket.
    #[inline]
    pub(crate) fn queue(&self, context: &Context<'_>) -> Ticket {
        let ticket = self.0.last.get() + 1;
        self.0.last.set(ticket);
        let entry = awaits(self.0.clone(), ticket, context);
        let mut places = self.0.places.borrow_mut();
        places.push(ticket, entry);
        if self.0.last.get() != ticket {
            places.sort(); // somebody has come while a waker was cloned
        }
        ticket
    }

    /// Somebody else polls for the ticket, or the same once more.
    #[cold]
    fn renew(&self, ticket: Ticket, context: &Context<'_>) {
        let entry = awaits(self.0.clone(), ticket, context);
        let mut places = self.0.places.borrow_mut();
        let before = match places.find(ticket).map(|at| &mut places.entries[at]) {
            Some(place) if place.is_some() => place.replace(entry),
            _ => Some(entry),
        };
        drop(places);
        drop(before);
    }

    #[inline]
    pub(crate) fn state(&self, ticket: Ticket) -> Waiting {
        let places = self.0.places.borrow();
        match places.find(ticket).map(|at| places.marks[at].state) {
            Some(State::Waits) => Waiting::Yes,
            Some(State::Cancelled) => Waiting::Cancelled,
            Some(State::Woken | State::Empty) => Waiting::Woken,
            None if self.0.cancelled.borrow().contains(&ticket) => Waiting::Cancelled,
            None => Waiting::Woken,
        }
    }

    /// One waits no more, however that has ended. To be told once.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut places = self.0.places.borrow_mut();
        let Some(at) = places.find(ticket) else {
            self.0.cancelled.borrow_mut().remove(&ticket);
            return;
        };
        let before = places.end(at, State::Empty);
        places.empty += 1;
        places.clear_empty();
        drop(places);
        drop(before);
    }

    /// Whether all in the line are cancelled.
    pub(crate) fn are_cancelled(&self) -> bool {
        (self.0.places.borrow().marks.iter())
            .all(|mark| matches!(mark.state, State::Empty | State::Cancelled))
    }

    /// Wakes the first in the line, who stays the first until they leave it. If they know already that they go on, or are
    /// cancelled, that is all.
    pub(crate) fn wake_first(&self) {
        let mut places = self.0.places.borrow_mut();
        let first = (places.marks.iter()).position(|mark| mark.state != State::Empty);
        let entry = first.and_then(|first| places.end(first, State::Woken));
        drop(places);
        if let Some(entry) = entry {
            wake(entry);
        }
    }

    /// Whether somebody waits who can be woken. Forgets those before them.
    pub(crate) fn can_wake(&self) -> bool {
        let mut places = self.0.places.borrow_mut();
        while let Some(first) = places.marks.front() {
            if first.state == State::Waits {
                return true;
            }
            self.0.next(&mut places);
        }
        false
    }

    /// Wakes the first who waits, and forgets them. Returns whether there was one.
    #[inline(always)]
    pub(crate) fn wake_next(&self) -> bool {
        !self.0.places.borrow().marks.is_empty() && self.wake_next_of_some()
    }

    fn wake_next_of_some(&self) -> bool {
        let mut places = self.0.places.borrow_mut();
        while !places.marks.is_empty() {
            if let Some(entry) = self.0.next(&mut places) {
                drop(places);
                wake(entry);
                return true;
            }
        }
        false
    }

    /// Wakes all who wait, and forgets them.
    pub(crate) fn wake_all(&self) {
        let mut places = self.0.places.take();
        while !places.marks.is_empty() {
            if let Some(entry) = self.0.next(&mut places) {
                wake(entry);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        (self.0.places.borrow().marks.iter())
            .filter(|mark| mark.state == State::Waits)
            .count()
    }
}

fn wake(entry: Rc<dyn Entry>) {
    let left = entry.wake();
    debug_assert!(left.is_none(), "tasks wait in line, or who polls them");
}

impl Line {
    /// Takes the first place out of the line. Returns who waited there, if somebody did.
    #[inline(always)]
    fn next(&self, places: &mut Places) -> Option<Rc<dyn Entry>> {
        let (mark, entry) = (places.marks.pop_front()?, places.entries.pop_front()?);
        match mark.state {
            State::Waits | State::Woken => {}
            State::Cancelled => {
                self.cancelled.borrow_mut().insert(mark.ticket);
            }
            State::Empty => places.empty -= 1,
        }
        entry
    }
}

impl Cancel for Line {
    fn request(self: Rc<Self>, ticket: Ticket, _: &mut Todo) -> bool {
        let mut places = self.places.borrow_mut();
        let at = places.find(ticket);
        let entry = at.and_then(|at| places.end(at, State::Cancelled));
        drop(places);
        entry.map(wake).is_some()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}
