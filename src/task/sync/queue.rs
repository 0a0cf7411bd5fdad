//! Queues.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::task::cancel::Ticket;
use crate::task::sync::event::{Event, EventWait};
use crate::task::sync::store::Store;
use crate::task::waiter::Waiting;
use crate::task::waiters::Waiters;

/// The items of a queue, and who waits for them or for room.
struct State<T, S> {
    store: RefCell<S>,
    /// 0: any number.
    max_size: usize,
    getters: Waiters,
    putters: Waiters,
    /// Items that were put and for which nobody has said that they are done with.
    unfinished: Cell<usize>,
    finished: Event,
    is_shut_down: Cell<bool>,
    _items: std::marker::PhantomData<T>,
}

impl<T, S: Store<T>> State<T, S> {
    fn new(max_size: usize) -> Rc<Self> {
        let finished = Event::new();
        finished.set();
        Rc::new(Self {
            store: RefCell::default(),
            max_size,
            getters: Waiters::new("an item of a queue"),
            putters: Waiters::new("room in a queue"),
            unfinished: Cell::new(0),
            finished,
            is_shut_down: Cell::new(false),
            _items: std::marker::PhantomData,
        })
    }
}

/// A queue, whatever its items and their order.
trait Room<T> {
    fn is_full(&self) -> bool;
    fn is_empty(&self) -> bool;
    fn getters(&self) -> &Waiters;
    fn putters(&self) -> &Waiters;
    /// Takes `item` if there is room.
    fn try_put(&self, item: &mut Option<T>) -> Result<(), Refused>;
    fn get_nowait(&self) -> Result<T, GetError>;
}

/// Why an item is not put.
enum Refused {
    Full,
    ShutDown,
}

impl<T, S: Store<T>> Room<T> for State<T, S> {
    fn is_full(&self) -> bool {
        self.max_size > 0 && self.store.borrow().len() >= self.max_size
    }

    fn is_empty(&self) -> bool {
        self.store.borrow().len() == 0
    }

    fn getters(&self) -> &Waiters {
        &self.getters
    }

    fn putters(&self) -> &Waiters {
        &self.putters
    }

    fn try_put(&self, item: &mut Option<T>) -> Result<(), Refused> {
        if self.is_shut_down.get() {
            return Err(Refused::ShutDown);
        }
        let mut store = self.store.borrow_mut();
        if self.max_size > 0 && store.len() >= self.max_size {
            return Err(Refused::Full);
        }
        // (Items are compared in there, if the queue has priorities.)
        store.put(item.take().expect("an item is put once"));
        drop(store);
        self.unfinished.set(self.unfinished.get() + 1);
        self.finished.clear();
        self.getters.wake_next();
        Ok(())
    }

    fn get_nowait(&self) -> Result<T, GetError> {
        let item = self.store.borrow_mut().get();
        match item {
            Some(item) => {
                self.putters.wake_next();
                Ok(item)
            }
            None if self.is_shut_down.get() => Err(GetError::ShutDown),
            None => Err(GetError::Empty),
        }
    }
}

impl<T, S: Store<T>> State<T, S> {
    fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
        let mut item = Some(item);
        let put = self.try_put(&mut item);
        match (put, item) {
            (Ok(()), _) | (_, None) => Ok(()),
            (Err(Refused::Full), Some(item)) => Err(PutError::Full(item)),
            (Err(Refused::ShutDown), Some(item)) => Err(PutError::ShutDown(item)),
        }
    }

    fn task_done(&self) -> Result<(), TooManyDone> {
        let left = self.unfinished.get().checked_sub(1);
        self.unfinished.set(left.ok_or(TooManyDone(()))?);
        if left == Some(0) {
            self.finished.set();
        }
        Ok(())
    }

    fn join(&self) -> QueueJoin {
        QueueJoin((self.unfinished.get() > 0).then(|| self.finished.wait()))
    }

    fn shut_down(&self) {
        self.is_shut_down.set(true);
        self.getters.wake_all();
        self.putters.wake_all();
    }

    fn shut_down_now(&self) -> Vec<T> {
        self.is_shut_down.set(true);
        let mut items = Vec::new();
        loop {
            let item = self.store.borrow_mut().get();
            match item {
                Some(item) => items.push(item),
                None => break,
            }
        }
        let left = self.unfinished.get().saturating_sub(items.len());
        self.unfinished.set(left);
        if left == 0 {
            self.finished.set();
        }
        self.shut_down();
        items
    }
}

macro_rules! queues {
    ($($(#[$doc:meta])* $name:ident: $store:ty $(, $order:ident)?;)*) => {$(
        $(#[$doc])*
        pub struct $name<T>(Rc<State<T, $store>>);

        impl<T $(: $order)?> $name<T> {
            /// Makes one of any number of items.
            pub fn new() -> Self {
                Self(State::new(0))
            }

            /// Makes one of so many items at most.
            ///
            /// # Panics
            ///
            /// If that is none.
            pub fn bounded(max_size: usize) -> Self {
                assert!(max_size > 0, "a queue needs room for at least one item");
                Self(State::new(max_size))
            }

            /// Waits until there is an item, and takes it. Those who wait get items in the order in which they came.
            pub fn get(&self) -> Get<T>
            where
                T: 'static,
            {
                Get(Turn { queue: self.0.clone(), ticket: None })
            }

            /// Waits until there is room, and adds an item.
            pub fn put(&self, item: T) -> Put<T>
            where
                T: 'static,
            {
                Put { turn: Turn { queue: self.0.clone(), ticket: None }, item: Some(item) }
            }

            /// Takes an item. Never waits.
            ///
            /// # Errors
            ///
            /// If there is none.
            pub fn get_nowait(&self) -> Result<T, GetError> {
                self.0.get_nowait()
            }

            /// Adds an item. Never waits.
            ///
            /// # Errors
            ///
            /// If there is no room, or the queue is shut down. The item comes back.
            pub fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
                self.0.put_nowait(item)
            }

            /// Says that one is done with an item that was taken, see [`join`](Self::join).
            ///
            /// # Errors
            ///
            /// If it was said of every item already.
            pub fn task_done(&self) -> Result<(), TooManyDone> {
                self.0.task_done()
            }

            /// Waits until [`task_done`](Self::task_done) was called for every item that was put.
            pub fn join(&self) -> QueueJoin {
                self.0.join()
            }

            /// Takes no more items, and gives out those that are there. Whoever waits for an item or for room gets an error.
            pub fn shutdown(&self) {
                self.0.shut_down();
            }

            /// As [`shutdown`](Self::shutdown), and returns the items that are there; nobody else gets them. They count as
            /// done with.
            pub fn shutdown_now(&self) -> Vec<T> {
                self.0.shut_down_now()
            }

            /// How many items there are.
            pub fn len(&self) -> usize {
                self.0.store.borrow().len()
            }

            /// Whether there is no item.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether there is no room.
            pub fn is_full(&self) -> bool {
                self.0.is_full()
            }

            /// How many items there can be. `None`: any number.
            pub fn max_size(&self) -> Option<usize> {
                Some(self.0.max_size).filter(|size| *size > 0)
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<T $(: $order)?> Default for $name<T> {
            fn default() -> Self {
                Self::new()
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("max_size", &self.0.max_size)
                    .field("getters", &self.0.getters.len())
                    .field("putters", &self.0.putters.len())
                    .field("unfinished", &self.0.unfinished.get())
                    .field("is_shut_down", &self.0.is_shut_down.get())
                    .finish_non_exhaustive()
            }
        }
    )*};
}

queues! {
    /// Hands items from tasks to tasks, the first first: `asyncio.Queue`. A clone is the same queue.
    ///
    /// No item is lost when a task is cancelled that waits for one.
    ///
    /// ```
    /// use yieldfrom::{await_, task::{run, spawn, Queue}};
    ///
    /// let sum = run(|| {
    ///     let queue = Queue::bounded(2);
    ///     let producer = queue.clone();
    ///     spawn(move || {
    ///         for n in 1..=10 {
    ///             await_(producer.put(n))??; // waits while there are two
    ///         }
    ///         producer.shutdown();
    ///         Ok(())
    ///     });
    ///     let mut sum = 0;
    ///     while let Ok(n) = await_(queue.get())? {
    ///         sum += n;
    ///     }
    ///     Ok(sum)
    /// });
    /// assert_eq!(sum.unwrap(), 55);
    /// ```
    Queue: VecDeque<T>;

    /// As [`Queue`], but the last item first: `asyncio.LifoQueue`.
    LifoQueue: Vec<T>;

    /// As [`Queue`], but the lowest item first: `asyncio.PriorityQueue`.
    ///
    /// Of equal ones, any comes first.
    PriorityQueue: BinaryHeap<Reverse<T>>, Ord;
}

/// Somebody's turn to get or put an item.
struct Turn<T> {
    queue: Rc<dyn Room<T>>,
    ticket: Option<Ticket>,
}

/// Whether whoever waits in line goes on. What they were woken for may be gone by then.
#[inline]
fn may_try(ticket: &mut Option<Ticket>, line: &Waiters, context: &mut Context<'_>) -> bool {
    if ticket.is_some() {
        if line.poll(ticket, context).is_pending() {
            return false;
        }
        *ticket = None;
    }
    true
}

/// Waits no more. `is_in_vain`: there is nothing that somebody else could be woken for.
#[cold]
fn give_up(ticket: Ticket, line: &Waiters, is_in_vain: bool) {
    if line.state(ticket) != Waiting::Woken {
        line.leave(ticket);
    } else if !is_in_vain {
        line.wake_next();
    }
}

/// Waits for an item of a queue. Made by [`Queue::get`] and its like.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Get<T: 'static>(Turn<T>);

impl<T: 'static> Future for Get<T> {
    type Output = Result<T, QueueShutDown>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Turn { queue, ticket } = &mut self.0;
        if !may_try(ticket, queue.getters(), context) {
            return Poll::Pending;
        }
        match queue.get_nowait() {
            Ok(item) => Poll::Ready(Ok(item)),
            Err(GetError::ShutDown) => Poll::Ready(Err(QueueShutDown(()))),
            Err(GetError::Empty) => {
                *ticket = Some(queue.getters().queue(context));
                Poll::Pending
            }
        }
    }
}

impl<T: 'static> Drop for Get<T> {
    #[inline]
    fn drop(&mut self) {
        let Turn { queue, ticket } = &self.0;
        if let Some(ticket) = *ticket {
            give_up(ticket, queue.getters(), queue.is_empty());
        }
    }
}

impl<T: 'static> fmt::Debug for Get<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").finish_non_exhaustive()
    }
}

/// Waits for room in a queue. Made by [`Queue::put`] and its like.
///
/// If it is cancelled, the item was not put and is dropped with this. To have it back, wait for a `&mut Put`.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Put<T: 'static> {
    turn: Turn<T>,
    /// Gone when it was put.
    item: Option<T>,
}

impl<T: 'static> Put<T> {
    /// The item, unless it was put.
    pub fn into_item(mut self) -> Option<T> {
        self.item.take()
    }
}

impl<T: 'static> Unpin for Put<T> {}

impl<T: 'static> Future for Put<T> {
    type Output = Result<(), QueueShutDown>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { turn, item } = &mut *self;
        let Turn { queue, ticket } = turn;
        if !may_try(ticket, queue.putters(), context) {
            return Poll::Pending;
        }
        match queue.try_put(item) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Refused::ShutDown) => Poll::Ready(Err(QueueShutDown(()))),
            Err(Refused::Full) => {
                *ticket = Some(queue.putters().queue(context));
                Poll::Pending
            }
        }
    }
}

impl<T: 'static> Drop for Put<T> {
    #[inline]
    fn drop(&mut self) {
        let Turn { queue, ticket } = &self.turn;
        if let Some(ticket) = *ticket {
            give_up(ticket, queue.putters(), queue.is_full());
        }
    }
}

impl<T: 'static> fmt::Debug for Put<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").finish_non_exhaustive()
    }
}

/// Waits until every item is done with. Made by [`Queue::join`] and its like.
#[must_use = "a future does nothing unless it is awaited"]
#[derive(Debug)]
pub struct QueueJoin(Option<EventWait>);

impl Future for QueueJoin {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(wait) => Pin::new(wait).poll(context),
            None => Poll::Ready(()),
        }
    }
}

/// The queue is shut down: nothing can be put any more, and nothing is left to be got. `asyncio.QueueShutDown`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueShutDown(());

impl fmt::Display for QueueShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is shut down")
    }
}

impl Error for QueueShutDown {}

/// Why [`Queue::get_nowait`] gets no item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GetError {
    /// There is none: `asyncio.QueueEmpty`.
    Empty,
    /// There is none, and there will be none.
    ShutDown,
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the queue is empty"),
            Self::ShutDown => QueueShutDown(()).fmt(f),
        }
    }
}

impl Error for GetError {}

/// Why [`Queue::put_nowait`] does not put an item, which comes back.
///
/// `?` makes an [`Exception`](crate::Exception) of it if the item is `Send` and `Sync`; if not,
/// `.map_err(PutError::without_item)?` does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// There is no room: `asyncio.QueueFull`.
    Full(T),
    /// No more items are taken.
    ShutDown(T),
}

impl<T> PutError<T> {
    /// The item.
    pub fn into_item(self) -> T {
        let (Self::Full(item) | Self::ShutDown(item)) = self;
        item
    }

    /// The same, less the item.
    pub fn without_item(self) -> PutError<()> {
        match self {
            Self::Full(_) => PutError::Full(()),
            Self::ShutDown(_) => PutError::ShutDown(()),
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::ShutDown(_) => "ShutDown(..)",
        })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the queue is full"),
            Self::ShutDown(_) => QueueShutDown(()).fmt(f),
        }
    }
}

impl<T> Error for PutError<T> {}

/// [`Queue::task_done`] was called more often than items were put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyDone(());

impl fmt::Display for TooManyDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`task_done` called too many times")
    }
}

impl Error for TooManyDone {}
