//! Fibers on executors: what waits, what is woken, and by whom.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use async_executor::LocalExecutor;
use futures_lite::future::{self, block_on, yield_now};
use yieldfrom::{
    Builder, Cancelled, Exception, State, Step, await_, coroutine, fiber, generator, scoped,
};

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

/// Counts wakes.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_fiber_that_does_not_wait_is_ready_at_once() {
    let mut f = fiber(|| 42);
    assert_eq!(f.state(), State::Created);
    assert_eq!(poll(&mut f, Waker::noop()), Poll::Ready(42));
    assert_eq!(f.state(), State::Closed);
}

#[test]
fn nothing_runs_before_the_first_poll() {
    let ran = Rc::new(Cell::new(false));
    let f = fiber({
        let ran = ran.clone();
        move || ran.set(true)
    });
    assert!(!ran.get());
    drop(f);
    assert!(!ran.get());
    assert_eq!(Rc::strong_count(&ran), 1);
}

#[test]
fn a_fiber_waits_as_often_as_it_likes() {
    let f = fiber(|| -> Result<usize, Cancelled> {
        Ok((0..100).map(|n| await_(after(n % 3)).unwrap()).sum())
    });
    assert_eq!(block_on(f), Ok(99));
}

#[test]
fn it_is_the_last_waker_that_is_woken() {
    let sent = Rc::new(RefCell::new(None::<Waker>));
    let open = Rc::new(Cell::new(false));
    let mut f = fiber({
        let (sent, open) = (sent.clone(), open.clone());
        move || {
            await_(std::future::poll_fn(|context| {
                *sent.borrow_mut() = Some(context.waker().clone());
                if open.get() {
                    Poll::Ready(7)
                } else {
                    Poll::Pending
                }
            }))
        }
    });
    let counters = [Arc::new(Counter::default()), Arc::new(Counter::default())];
    let wakers = counters.clone().map(Waker::from);
    assert!(poll(&mut f, &wakers[0]).is_pending());
    assert!(poll(&mut f, &wakers[1]).is_pending());
    open.set(true);
    sent.borrow().as_ref().unwrap().wake_by_ref();
    assert_eq!(
        counters.map(|counter| counter.0.load(Ordering::SeqCst)),
        [0, 1]
    );
    assert_eq!(poll(&mut f, &wakers[0]), Poll::Ready(Ok(7)));
}

#[test]
fn a_future_may_borrow_locals() {
    let f = fiber(|| {
        let mut text = String::from("a");
        await_(async {
            yield_now().await;
            text.push('b');
        })?;
        Ok::<_, Cancelled>(text)
    });
    assert_eq!(block_on(f).unwrap(), "ab");
}

#[test]
fn a_generator_waits_in_the_fiber_that_asks_it() {
    let f = fiber(|| {
        generator(|y| {
            for n in 0..5 {
                y.yield_(await_(after(n)).unwrap());
            }
        })
        .collect::<Vec<_>>()
    });
    assert_eq!(block_on(f), [0, 1, 2, 3, 4]);
}

#[test]
fn a_scoped_generator_and_its_consumer_wait() {
    let f = fiber(|| {
        let numbers = [3, 1, 2];
        scoped(
            |y| {
                numbers
                    .iter()
                    .for_each(|n| y.yield_(await_(after(*n)).unwrap()))
            },
            |items| {
                items
                    .map(|n| n + await_(after(n)).unwrap())
                    .collect::<Vec<_>>()
            },
        )
    });
    assert_eq!(block_on(f), [6, 2, 4]);
}

#[test]
fn a_coroutine_in_a_chain_waits() {
    let f = fiber(|| -> Result<usize, Exception> {
        let mut outer = coroutine(|co| {
            let mut inner = coroutine(|co| {
                let mut total = 0;
                while let Some(n) = co.yield_(total)? {
                    total += await_(after(n))?;
                }
                Ok(total)
            });
            co.yield_from(&mut inner)
        });
        outer.prime()?;
        for n in 1..=3 {
            await_(yield_now())?;
            assert!(matches!(outer.send(Some(n))?, Step::Yielded(_)));
        }
        match outer.send(None)? {
            Step::Complete(total) => Ok(total),
            Step::Yielded(_) => unreachable!(),
        }
    });
    assert_eq!(block_on(f).unwrap(), 6);
}

#[test]
fn a_generator_goes_from_fiber_to_fiber() {
    let numbers = Rc::new(RefCell::new(generator(|y| {
        for n in 0.. {
            y.yield_(await_(after(n)).unwrap());
        }
    })));
    let take = |count: usize| {
        let numbers = numbers.clone();
        fiber(move || {
            let taken: Vec<usize> = numbers.borrow_mut().by_ref().take(count).collect();
            taken
        })
    };
    assert_eq!(block_on(take(2)), [0, 1]);
    assert_eq!(numbers.borrow_mut().next(), Some(2)); // blocks the thread
    assert_eq!(block_on(take(2)), [3, 4]);
}

#[test]
fn fibers_are_nested_to_any_depth() {
    fn nest(depth: usize) -> usize {
        if depth == 0 {
            return await_(after(3)).unwrap();
        }
        await_(yield_now()).unwrap();
        1 + await_(fiber(move || nest(depth - 1))).unwrap()
    }
    assert_eq!(block_on(fiber(|| nest(50))), 53);
}

#[test]
fn fibers_are_joined_in_a_fiber() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let worker = |name: char| {
        let log = log.clone();
        fiber(move || {
            for n in 0..3 {
                log.borrow_mut().push((name, n));
                await_(yield_now()).unwrap();
            }
        })
    };
    let (a, b) = (worker('a'), worker('b'));
    block_on(fiber(|| await_(future::zip(a, b)))).unwrap();
    assert_eq!(
        *log.borrow(),
        [('a', 0), ('b', 0), ('a', 1), ('b', 1), ('a', 2), ('b', 2)]
    );
}

#[test]
fn an_executor_runs_in_a_fiber() {
    let f = fiber(|| {
        let inner = LocalExecutor::new();
        let tasks: Vec<_> = (0..4)
            .map(|n| inner.spawn(fiber(move || await_(after(n)).unwrap())))
            .collect();
        await_(inner.run(async {
            let mut all = Vec::new();
            for task in tasks {
                all.push(task.await);
            }
            all
        }))
    });
    assert_eq!(block_on(f).unwrap(), [0, 1, 2, 3]);
}

#[test]
fn many_fibers_share_a_local_executor() {
    let executor = LocalExecutor::new();
    let (sender, receiver) = async_channel::bounded::<usize>(1);
    for n in 0..1000 {
        let sender = sender.clone();
        executor
            .spawn(fiber(move || await_(sender.send(n)).unwrap().unwrap()))
            .detach();
    }
    drop(sender);
    let sum = fiber(move || {
        let mut sum = 0;
        while let Ok(n) = await_(receiver.recv()).unwrap() {
            sum += n;
        }
        sum
    });
    assert_eq!(block_on(executor.run(sum)), 499_500);
}

#[test]
fn fibers_run_in_a_tokio_local_set() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let tasks = tokio::task::LocalSet::new();
    let sums = tasks.block_on(&runtime, async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<u64>(1);
        for n in 0..10 {
            let sender = sender.clone();
            tokio::task::spawn_local(fiber(move || {
                for _ in 0..n {
                    await_(tokio::task::yield_now()).unwrap();
                }
                await_(sender.send(n)).unwrap().unwrap();
            }));
        }
        drop(sender);
        let all = fiber(move || {
            let mut all = Vec::new();
            while let Some(n) = await_(receiver.recv()).unwrap() {
                all.push(n);
            }
            all
        });
        tokio::task::spawn_local(all).await.unwrap()
    });
    assert_eq!(sums, (0..10).collect::<Vec<_>>());
}

#[test]
fn another_thread_wakes_a_fiber() {
    let (sender, receiver) = async_channel::bounded::<usize>(1);
    let other = std::thread::spawn(move || {
        for n in 0..1000 {
            sender.send_blocking(n).unwrap();
        }
    });
    let f = fiber(move || {
        let mut seen = 0;
        while let Ok(n) = await_(receiver.recv()).unwrap() {
            assert_eq!(n, seen);
            seen += 1;
        }
        seen
    });
    assert_eq!(block_on(f), 1000);
    other.join().unwrap();
}

#[test]
fn outside_of_fibers_the_thread_is_blocked() {
    assert_eq!(await_(after(3)), Ok(3));
    let (sender, receiver) = async_channel::bounded::<usize>(1);
    let other = std::thread::spawn(move || await_(sender.send(5)).unwrap().unwrap());
    assert_eq!(await_(receiver.recv()), Ok(Ok(5)));
    other.join().unwrap();
}

#[test]
fn a_panic_comes_out_of_the_poll() {
    let mut f = fiber(|| {
        await_(yield_now()).unwrap();
        panic!("at the disco");
    });
    assert!(poll(&mut f, Waker::noop()).is_pending());
    let payload =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut f, Waker::noop())))
            .unwrap_err();
    assert_eq!(*payload.downcast_ref::<&str>().unwrap(), "at the disco");
    assert_eq!(f.state(), State::Closed);
}

#[test]
fn a_panic_in_a_poll_comes_out_of_the_wait() {
    let f = fiber(|| {
        let caught = std::panic::catch_unwind(|| await_(async { panic!("in a poll") }));
        assert!(caught.is_err());
        await_(after(2))
    });
    assert_eq!(block_on(f), Ok(2));
}

#[test]
fn a_panic_goes_through_generators_to_the_poll() {
    let mut f = fiber(|| {
        generator(|y| {
            y.yield_(await_(after(1)).unwrap());
            await_(after(1)).unwrap();
            panic!("deep");
        })
        .count()
    });
    assert!(poll(&mut f, Waker::noop()).is_pending());
    assert!(poll(&mut f, Waker::noop()).is_pending());
    let result =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut f, Waker::noop())));
    assert!(result.is_err());
}

#[test]
fn a_fiber_has_a_name_and_a_stack_size() {
    let mut f = Builder::new()
        .name("reader")
        .stack_size(64 * 1024)
        .try_fiber(|| await_(after(1)))
        .unwrap();
    assert_eq!(f.name(), Some("reader"));
    assert_eq!(
        format!("{f:?}"),
        "Fiber { name: Some(\"reader\"), state: Created, .. }"
    );
    assert!(poll(&mut f, Waker::noop()).is_pending());
    assert_eq!(f.state(), State::Suspended);
}

#[test]
fn a_fiber_waits_below_c_unwind_frames() {
    #[allow(improper_ctypes_definitions)] // Rust on both sides
    extern "C-unwind" fn call(body: &mut dyn FnMut()) {
        body();
    }
    let f = fiber(|| {
        let mut n = 0;
        call(&mut || n = await_(after(4)).unwrap());
        n
    });
    assert_eq!(block_on(f), 4);
}

#[test]
fn a_fiber_waits_in_the_callback_of_a_library() {
    let f = fiber(|| {
        let mut numbers = vec![5, 3, 4];
        numbers.sort_by_key(|n| await_(after(*n)).unwrap());
        numbers
    });
    assert_eq!(block_on(f), [3, 4, 5]);
}
