//! Events.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::task::cancel::Ticket;
use crate::task::waiter::Waiting;
use crate::task::waiters::Waiters;

/// A flag that tasks can wait for: `asyncio.Event`. A clone is the same event.
///
/// Who is woken by [`set`](Self::set) stays so, even if the event is [cleared](Self::clear) before they have their turn.
#[derive(Clone)]
pub struct Event(Rc<State>);

struct State {
    is_set: Cell<bool>,
    waiters: Waiters,
}

impl Event {
    /// Makes one that is not set.
    pub fn new() -> Self {
        let (is_set, waiters) = (Cell::new(false), Waiters::new("an event"));
        Self(Rc::new(State { is_set, waiters }))
    }

    /// Waits until the event is set. If it is, does not wait at all.
    pub fn wait(&self) -> EventWait {
        let (event, ticket) = (self.clone(), None);
        EventWait { event, ticket }
    }

    /// Sets it, and wakes all who wait.
    pub fn set(&self) {
        if !self.0.is_set.replace(true) {
            self.0.waiters.wake_all();
        }
    }

    /// Resets it.
    pub fn clear(&self) {
        self.0.is_set.set(false);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.is_set.get()
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("is_set", &self.is_set())
            .field("waiters", &self.0.waiters.len())
            .finish()
    }
}

/// Waits for an [`Event`]. Made by [`Event::wait`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct EventWait {
    event: Event,
    ticket: Option<Ticket>,
}

impl Future for EventWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { event, ticket } = &mut *self;
        if ticket.is_none() && event.is_set() {
            return Poll::Ready(());
        }
        event.0.waiters.poll(ticket, context)
    }
}

impl Drop for EventWait {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            if self.event.0.waiters.state(ticket) != Waiting::Woken {
                self.event.0.waiters.leave(ticket);
            }
        }
    }
}

impl fmt::Debug for EventWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWait").finish_non_exhaustive()
    }
}
