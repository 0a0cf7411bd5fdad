//! Fibers used where they do not belong, polls that are left and gone on with elsewhere, and wakers that do as they like.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_lite::future::{block_on, yield_now};
use futures_lite::io::Cursor;
use yieldfrom::io::Io;
use yieldfrom::{Builder, Cancelled, Fiber, Generator, State, await_, fiber, generator};

/// Pending until it has been polled so often; wakes itself.
fn after(polls: usize) -> impl Future<Output = usize> {
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(polls);
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Pending once; wakes nobody.
fn pending_once() -> impl Future<Output = ()> {
    let mut polled = false;
    std::future::poll_fn(move |_| match std::mem::replace(&mut polled, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls without telling anybody.
fn step<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

// Wakers --------------------------------------------------------------------------------------------------------------

/// Waits when it is dropped.
struct WaitsOnDrop(u32);

impl Wake for WaitsOnDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for WaitsOnDrop {
    fn drop(&mut self) {
        for _ in 0..self.0 {
            let _ = await_(yield_now());
        }
    }
}

/// The body's clone of the old waker is the last one, and dropped where the new one is cloned.
#[test]
fn a_waker_may_wait_where_it_is_dropped() {
    fn elsewhere(depth: u32, f: &mut Fiber<usize>, waits: u32) -> Poll<usize> {
        let room = std::hint::black_box([0xa5_u8; 300]);
        let result = if depth == 0 {
            poll(f, &Waker::from(Arc::new(WaitsOnDrop(waits))))
        } else {
            elsewhere(depth - 1, f, waits)
        };
        std::hint::black_box(room);
        result
    }
    let mut f = fiber(|| await_(after(20)).unwrap());
    let mut polls = 0;
    // Each time from another depth, so that no scope lies where the last one was.
    while elsewhere(polls * 7 % 5, &mut f, u32::from(polls % 3 == 0)).is_pending() {
        polls += 1;
        assert!(polls < 200);
    }
    assert!(polls > 20);
}

/// Waits when it is woken by reference.
struct WaitsOnWake;

impl Wake for WaitsOnWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let _ = await_(pending_once());
    }
}

#[test]
fn a_waker_may_wait_where_it_is_woken() {
    fn elsewhere(depth: u32, f: &mut Fiber<usize>) -> Poll<usize> {
        let room = std::hint::black_box([0xa5_u8; 300]);
        let result = if depth == 0 {
            poll(f, &Waker::from(Arc::new(WaitsOnWake)))
        } else {
            elsewhere(depth - 1, f)
        };
        std::hint::black_box(room);
        result
    }
    let mut f = fiber(|| {
        let mut read = 0;
        let mut source = Io(Cursor::new(vec![1; 1000]));
        let mut byte = [0];
        while source.read(&mut byte).unwrap() == 1 {
            read += 1;
        }
        read
    });
    let mut polls = 0;
    let read = loop {
        if let Poll::Ready(read) = elsewhere(polls % 5, &mut f) {
            break read;
        }
        polls += 1;
        assert!(polls < 2000);
    };
    assert_eq!(read, 1000);
}

// Polls that are left -------------------------------------------------------------------------------------------------

/// Yields from inside a poll.
fn yields_in_a_poll() -> Generator<usize> {
    Builder::new().name("left").generator(|y| {
        await_(async {
            y.yield_(1);
            yield_now().await;
            y.yield_(2);
        })
        .unwrap();
        y.yield_(await_(after(3)).unwrap());
    })
}

#[test]
fn a_poll_that_was_left_is_in_nobodys_way() {
    // Wherever the stacks lie beside each other.
    for n in 0..6 {
        let mut before: Vec<_> = (0..n).map(|_| yields_in_a_poll()).collect();
        let f = fiber(move || {
            let mut left = yields_in_a_poll();
            for g in &mut before {
                assert_eq!(g.next(), Some(1));
                assert_eq!(await_(after(1)), Ok(1));
            }
            assert_eq!(left.next(), Some(1));
            assert_eq!(await_(after(1)), Ok(1));
            let sums: Vec<usize> = before.into_iter().map(Iterator::sum).collect();
            assert_eq!(sums, vec![5; n]);
            left.sum::<usize>()
        });
        assert_eq!(block_on(f), 5);
    }
}

#[test]
fn a_poll_that_was_left_is_gone_on_with_in_another_fiber() {
    let slot = Rc::new(RefCell::new(None));
    let put = slot.clone();
    block_on(fiber(move || {
        let mut g = yields_in_a_poll();
        assert_eq!(g.next(), Some(1));
        *put.borrow_mut() = Some(g);
    }));
    let take = slot.clone();
    let f = fiber(move || take.take().unwrap().sum::<usize>());
    assert_eq!(block_on(f), 5);
}

#[test]
fn a_poll_that_was_left_outside_of_fibers_is_gone_on_with_in_one() {
    let mut g = yields_in_a_poll();
    assert_eq!(g.next(), Some(1));
    assert_eq!(block_on(fiber(move || g.sum::<usize>())), 5);
}

/// The poll was begun where the thread may be blocked. Where that is no longer so, the fiber is suspended.
#[test]
fn what_began_to_block_the_thread_does_not_block_a_fiber() {
    let (sender, receiver) = async_channel::bounded::<usize>(1);
    let mut g = generator(move |y| {
        let n = await_(async {
            y.yield_(0);
            receiver.recv().await.unwrap()
        });
        y.yield_(n.unwrap());
    });
    assert_eq!(g.next(), Some(0));
    let mut f = fiber(move || g.next());
    assert!(step(&mut f).is_pending());
    sender.try_send(7).unwrap();
    assert_eq!(step(&mut f), Poll::Ready(Some(7)));
}

#[test]
fn a_poll_that_was_left_is_dropped_or_leaked_in_another_place() {
    for leak in [false, true] {
        let live = Rc::new(());
        let slot = Rc::new(RefCell::new(None));
        let (put, kept) = (slot.clone(), live.clone());
        let mut first = fiber(move || {
            let mut g = generator(move |y| {
                let _kept = kept;
                let _ = await_(async {
                    y.yield_(1);
                    yield_now().await;
                });
            });
            g.next();
            *put.borrow_mut() = Some(g);
            await_(pending_once())
        });
        assert!(step(&mut first).is_pending());
        let take = slot.clone();
        let mut second = fiber(move || {
            let g = take.take().unwrap();
            await_(pending_once()).unwrap();
            if leak {
                std::mem::forget(g)
            } else {
                drop(g)
            }
            await_(pending_once())
        });
        assert!(step(&mut second).is_pending());
        drop(first);
        assert!(step(&mut second).is_pending());
        assert_eq!(step(&mut second), Poll::Ready(Ok(())));
        assert_eq!(Rc::strong_count(&live), 1 + usize::from(leak));
    }
}

/// The scope in which the poll began is over, and so is its fiber.
#[test]
fn a_poll_that_was_left_is_gone_on_with_when_its_fiber_has_been_dropped() {
    let slot = Rc::new(RefCell::new(None));
    let put = slot.clone();
    let mut first = fiber(move || {
        let mut g = yields_in_a_poll();
        g.next();
        *put.borrow_mut() = Some(g);
        await_(pending_once())
    });
    assert!(step(&mut first).is_pending());
    drop(first);
    let take = slot.clone();
    let outer = fiber(move || {
        let inner = fiber(move || {
            let mut g = take.take().unwrap();
            assert_eq!(g.next(), Some(2));
            g
        });
        let mut g = await_(inner).unwrap();
        assert_eq!(g.next(), Some(3)); // waits in another fiber than it was polled in
        g.next()
    });
    assert_eq!(block_on(outer), None);
}

// In the wrong place --------------------------------------------------------------------------------------------------

const IN_POLL: &str = "`await_` called inside a future that is being polled; use `.await` there";
const ON_LOOP: &str = "`await_` called outside a fiber on a thread where fibers wait, which it would block; \
     use `.await` there, or run the code in a `fiber`";

fn panic_text<T>(call: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => "no panic".into(),
        Err(payload) => match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(text), _) => text.to_string(),
            (_, Some(text)) => text.clone(),
            _ => "another".into(),
        },
    }
}

#[test]
fn a_wait_in_a_poll_panics() {
    let in_poll = || panic_text(|| await_(async { await_(yield_now()) }));
    assert_eq!(in_poll(), IN_POLL);
    let f = fiber(move || {
        assert_eq!(in_poll(), IN_POLL);
        let in_a_generator = panic_text(|| {
            await_(async {
                generator(|y| y.yield_(await_(yield_now()))).for_each(drop);
            })
        });
        assert_eq!(in_a_generator, IN_POLL);
        await_(yield_now())
    });
    assert_eq!(block_on(f), Ok(()));
    assert_eq!(await_(yield_now()), Ok(()));
}

#[test]
fn a_wait_outside_of_fibers_panics_where_fibers_wait() {
    let mut f = fiber(|| await_(pending_once()));
    assert_eq!(await_(yield_now()), Ok(()));
    assert!(step(&mut f).is_pending());
    assert_eq!(panic_text(|| await_(yield_now())), ON_LOOP);
    assert_eq!(step(&mut f), Poll::Ready(Ok(())));
    assert_eq!(await_(yield_now()), Ok(()));
}

#[test]
fn a_fiber_is_not_polled_after_its_end() {
    let mut f = fiber(|| 1);
    assert_eq!(step(&mut f), Poll::Ready(1));
    for _ in 0..2 {
        assert_eq!(
            panic_text(|| step(&mut f)),
            "a fiber was polled after its end"
        );
        assert_eq!((f.state(), f.cancel()), (State::Closed, None));
    }
}

#[test]
fn a_body_can_neither_poll_nor_drop_its_own_fiber() {
    let own = Rc::new(RefCell::new(None::<Fiber<()>>));
    let itself = own.clone();
    *own.borrow_mut() = Some(fiber(move || {
        assert!(itself.try_borrow_mut().is_err());
        await_(pending_once()).unwrap();
        assert!(itself.try_borrow_mut().is_err());
    }));
    assert!(step(own.borrow_mut().as_mut().unwrap()).is_pending());
    assert_eq!(step(own.borrow_mut().as_mut().unwrap()), Poll::Ready(()));

    // What is taken out is not there any more.
    let own = Rc::new(Cell::new(None::<Fiber<()>>));
    let itself = own.clone();
    own.set(Some(fiber(move || {
        assert!(itself.take().is_none());
        let _ = await_(pending_once());
        drop(itself.take());
    })));
    let mut f = own.take().unwrap();
    assert!(step(&mut f).is_pending());
    own.set(Some(f));
    drop(own.take());
}

#[test]
fn a_fiber_that_is_polled_during_a_panic_does_not_wait() {
    struct Polls(Fiber<[Result<(), Cancelled>; 2]>);
    impl Drop for Polls {
        fn drop(&mut self) {
            let Poll::Ready([first, second]) = step(&mut self.0) else {
                unreachable!("nothing waits");
            };
            assert!(first.is_ok() && second.is_err());
        }
    }
    let mut f = fiber(|| [await_(pending_once()), await_(std::future::pending())]);
    assert!(step(&mut f).is_pending());
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _polls = Polls(f);
        std::panic::resume_unwind(Box::new("outside"));
    }));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"outside"));
}

#[test]
fn captures_and_results_are_of_any_size() {
    let large = [7_u8; 20_000];
    let mut f = fiber(move || {
        await_(pending_once()).unwrap();
        large
    });
    assert!(step(&mut f).is_pending());
    assert_eq!(step(&mut f), Poll::Ready(large));
    let mut f = fiber(move || await_(pending_once()).map(|()| large.len()));
    assert!(step(&mut f).is_pending());
    assert_eq!(f.cancel(), Some(Err(Cancelled::new())));
}

#[test]
fn without_a_stack_there_is_an_error_or_a_panic() {
    let builder = Builder::new().stack_size(usize::MAX);
    assert!(builder.try_fiber(|| ()).is_err());
    let mut f = builder.fiber(|| ());
    assert!(panic_text(|| step(&mut f)).ends_with("`try_reserve` reports this as an error"));
    assert_eq!((f.state(), f.cancel()), (State::Created, None));
    assert_eq!(await_(yield_now()), Ok(()));
}
