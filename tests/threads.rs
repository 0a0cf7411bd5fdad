//! What is suspended in a thread-local when its thread ends.
//!
//! The program that frees a thread-local under a suspended body needs no `unsafe`: the slot is touched first and so
//! dropped last; the body suspends inside the `with` of another thread-local; the thread ends. Each scenario runs twice:
//! the crate's own thread-locals, which are destroyed too, are first used after the slot and then before it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use yieldfrom::pipe::{Receiver, Sink, sink};
use yieldfrom::{
    Builder, Co, Coroutine, Exception, Fiber, Generator, Reason, SharedCoroutine, Yielder, await_,
    coroutine, fiber, generator, scoped, set_unraisable_hook,
};

/// How often a body was woken after what it borrows was dropped.
static USED_AFTER_DROP: AtomicU32 = AtomicU32::new(0);
static WOKEN: AtomicU32 = AtomicU32::new(0);
static THREAD_ENDS: AtomicU32 = AtomicU32::new(0);
static OTHER_REPORTS: AtomicU32 = AtomicU32::new(0);

struct Borrowed {
    dropped: Cell<bool>,
}

impl Borrowed {
    fn use_it(&self) {
        WOKEN.fetch_add(1, SeqCst);
        USED_AFTER_DROP.fetch_add(self.dropped.get().into(), SeqCst);
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.dropped.set(true);
    }
}

thread_local! {
    static BORROWED: Borrowed = const { Borrowed { dropped: Cell::new(false) } };
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Resets the counters; other tests wait meanwhile.
fn begin() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for counter in [&USED_AFTER_DROP, &WOKEN, &THREAD_ENDS, &OTHER_REPORTS] {
        counter.store(0, SeqCst);
    }
    set_unraisable_hook(|unraisable| {
        let counter = match unraisable.reason() {
            Reason::ThreadEnds => &THREAD_ENDS,
            _ => &OTHER_REPORTS,
        };
        counter.fetch_add(1, SeqCst);
    });
    guard
}

/// Runs `f` on a thread, and returns how many were woken and how many reported as left by it.
#[track_caller]
fn on_a_thread(f: fn()) -> (u32, u32) {
    thread::spawn(f).join().unwrap();
    assert_eq!(USED_AFTER_DROP.load(SeqCst), 0, "a use after free");
    assert_eq!(OTHER_REPORTS.load(SeqCst), 0);
    (WOKEN.load(SeqCst), THREAD_ENDS.load(SeqCst))
}

fn borrowing_coroutine() -> Coroutine<(), ()> {
    let mut co = coroutine(|co: &Co<(), ()>| {
        BORROWED.with(|borrowed| {
            let _guard = OnDrop(|| borrowed.use_it());
            co.yield_(())
        })
    });
    co.prime().unwrap();
    co
}

fn borrowing_generator() -> Generator<()> {
    let mut g = generator(|y: &Yielder<()>| {
        BORROWED.with(|borrowed| {
            let _guard = OnDrop(|| borrowed.use_it());
            y.yield_(());
        });
    });
    g.next();
    g
}

fn borrowing_fiber() -> Fiber<()> {
    let mut f = fiber(|| {
        BORROWED.with(|borrowed| {
            let _guard = OnDrop(|| borrowed.use_it());
            let _ = await_(std::future::pending::<()>());
        });
    });
    assert!(poll(&mut f).is_pending());
    f
}

/// In a generator that the fiber has resumed.
fn fiber_in_a_generator() -> Fiber<()> {
    let mut f = fiber(|| {
        let inside = generator(|y: &Yielder<()>| {
            y.yield_(());
            BORROWED.with(|borrowed| {
                let _guard = OnDrop(|| borrowed.use_it());
                let _ = await_(std::future::pending::<()>());
            });
        });
        inside.for_each(drop);
    });
    assert!(poll(&mut f).is_pending());
    f
}

fn poll(f: &mut Fiber<()>) -> Poll<()> {
    Pin::new(f).poll(&mut Context::from_waker(Waker::noop()))
}

fn borrowing_sink() -> Sink<u8> {
    let mut stage = sink(|items: &mut Receiver<u8>| {
        BORROWED.with(|borrowed| {
            let _guard = OnDrop(|| borrowed.use_it());
            while items.recv().is_some() {}
        });
    });
    stage.send(&1).unwrap();
    stage
}

macro_rules! parked {
    ($($test:ident: $slot:ty = $make:expr, $count:expr;)*) => {$(
        #[test]
        #[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), ignore = "the end of a thread is not seen in time here")]
        fn $test() {
            thread_local! {
                static SLOT: RefCell<Option<$slot>> = const { RefCell::new(None) };
            }
            fn park() {
                // Before the body borrows, so that the slot is dropped later.
                SLOT.with(|_| {});
                let parked = $make;
                SLOT.set(Some(parked));
            }
            fn park_late() {
                assert_eq!(generator(|y| y.yield_(1)).sum::<i32>(), 1);
                park();
            }
            for park in [park, park_late] {
                let _guard = begin();
                assert_eq!(on_a_thread(park), (0, $count));
            }
        }
    )*};
}

parked! {
    a_coroutine_is_not_woken_when_its_thread_ends: Coroutine<(), ()> = borrowing_coroutine(), 1;
    a_generator_is_not_woken_when_its_thread_ends: Generator<()> = borrowing_generator(), 1;
    a_fiber_is_not_woken_when_its_thread_ends: Fiber<()> = borrowing_fiber(), 1;
    a_fiber_in_a_generator_is_not_woken_when_its_thread_ends: Fiber<()> = fiber_in_a_generator(), 1;
    a_task_is_not_woken_when_its_thread_ends: Box<dyn std::any::Any> = {
        let executor = async_executor::LocalExecutor::new();
        executor.spawn(borrowing_fiber()).detach();
        while executor.try_tick() {}
        Box::new(executor)
    }, 1;
    a_sink_is_not_woken_when_its_thread_ends: Sink<u8> = borrowing_sink(), 1;
    a_shared_one_is_not_woken_when_its_thread_ends: Vec<SharedCoroutine<(), ()>> = {
        let shared = borrowing_coroutine().shared();
        vec![shared.clone(), shared]
    }, 1;
    several_in_a_box_are_not_woken: Box<dyn std::any::Any> = {
        let none: Option<Coroutine<(), ()>> = None;
        Box::new((borrowing_coroutine(), vec![borrowing_generator()], borrowing_sink(), none))
    }, 3;
    one_that_has_not_started_may_own_others: Generator<()> = {
        let inner = borrowing_coroutine();
        generator(move |y: &Yielder<()>| { let _inner = inner; y.yield_(()); })
    }, 1;
    one_below_a_destructor_of_the_users_is_not_woken: Box<dyn std::any::Any> = {
        let mut inner = Some(borrowing_coroutine());
        Box::new(OnDrop(move || drop(inner.take())))
    }, 1;
    // A stage that was never sent anything would start, and close the one that it captures.
    a_stage_that_has_not_started_is_not_started: Sink<u8> = {
        let mut target = borrowing_sink();
        sink(move |items: &mut Receiver<u8>| {
            while let Some(item) = items.recv() {
                let _ = target.send(item);
            }
            target.close()
        })
    }, 1;
    // Only the outer one is dropped: what is on its stack stays there.
    one_that_delegates_is_not_woken: Coroutine<(), ()> = {
        let mut outer = coroutine(|co: &Co<(), ()>| {
            let mut inner = coroutine(|co: &Co<(), ()>| {
                BORROWED.with(|borrowed| {
                    let _guard = OnDrop(|| borrowed.use_it());
                    co.yield_(())
                })
            });
            co.yield_from(&mut inner)
        });
        outer.prime().unwrap();
        outer
    }, 1;
}

/// What is woken on purpose is the owner's business.
#[test]
fn a_destructor_that_closes_it_explicitly_wakes_it() {
    struct Closes(RefCell<Option<Coroutine<(), ()>>>);
    impl Drop for Closes {
        fn drop(&mut self) {
            if let Some(co) = self.0.get_mut() {
                co.close().unwrap();
            }
        }
    }
    let _guard = begin();
    let (woken, left) = on_a_thread(|| {
        thread_local! {
            static SLOT: Closes = const { Closes(RefCell::new(None)) };
        }
        // Last, so that it is dropped first: then all is well.
        let co = borrowing_coroutine();
        SLOT.with(|slot| *slot.0.borrow_mut() = Some(co));
    });
    assert_eq!((woken, left), (1, 0));
}

#[test]
fn a_destructor_may_use_scoped_generators() {
    struct Sums;
    impl Drop for Sums {
        fn drop(&mut self) {
            let items = [1, 2, 3];
            let first = scoped(
                |y| items.iter().for_each(|n| y.yield_(n)),
                |g| g.next().copied(),
            );
            assert_eq!(first, Some(1));
            let all = generator(|y| (0..4).for_each(|n| y.yield_(n)));
            assert_eq!(all.sum::<i32>(), 6);
            WOKEN.fetch_add(1, SeqCst);
        }
    }
    thread_local! {
        static SUMS: Sums = const { Sums };
    }
    let _guard = begin();
    assert_eq!(on_a_thread(|| SUMS.with(|_| {})), (1, 0));
}

#[test]
fn drops_on_a_living_thread_wake() {
    let _guard = begin();
    let (woken, left) = on_a_thread(|| {
        drop(borrowing_coroutine());
        drop(borrowing_generator());
        drop(borrowing_sink());
        drop(borrowing_fiber());
        drop(fiber_in_a_generator());
        // In a body, during a panic, and in a chain.
        let outer = generator(|y: &Yielder<()>| {
            let _inner = borrowing_coroutine();
            y.yield_(());
        });
        outer.for_each(drop);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _parked = borrowing_coroutine();
            std::panic::resume_unwind(Box::new("the panic"));
        }));
        assert!(result.is_err());
    });
    assert_eq!((woken, left), (7, 0));
}

/// Each drop of a suspended one looks at the frames outwards. Down a chain it must not look at all of them again.
#[test]
fn a_long_chain_of_drops_ends() {
    fn chain(depth: u32) -> Coroutine<u32, ()> {
        let mut co = Builder::new().stack_size(32 * 1024).coroutine(
            move |co: &Co<u32, ()>| -> Result<(), Exception> {
                let _next = (depth > 0).then(|| chain(depth - 1));
                let _guard = OnDrop(|| {
                    WOKEN.fetch_add(1, SeqCst);
                });
                co.yield_(depth)
            },
        );
        co.prime().unwrap();
        co
    }
    let _guard = begin();
    assert_eq!(on_a_thread(|| drop(chain(2000))), (2001, 0));
}

#[test]
fn a_long_chain_of_generators_ends() {
    fn chain(depth: u32) -> Generator<u32> {
        Builder::new()
            .stack_size(32 * 1024)
            .generator(move |y: &Yielder<u32>| {
                let _guard = OnDrop(|| {
                    WOKEN.fetch_add(1, SeqCst);
                });
                y.yield_(depth);
                if depth > 0 {
                    y.yield_from(chain(depth - 1));
                }
            })
    }
    let _guard = begin();
    let (woken, left) = on_a_thread(|| {
        let mut g = chain(2000);
        assert_eq!(g.by_ref().take(2001).count(), 2001);
    });
    assert_eq!((woken, left), (2001, 0));
}

/// Other threads may borrow from it, and lists may lead through it.
#[test]
fn what_lies_on_a_forgotten_fiber_stays_there() {
    let _guard = begin();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let seen = AtomicU32::new(0);
    let (seen, notify) = (
        std::sync::Arc::new(seen),
        std::sync::Arc::new(tokio::sync::Notify::new()),
    );
    let (says, notified) = (seen.clone(), notify.clone());
    let (begun, has_begun) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut f = fiber(move || {
            let words = [1_u32, 2, 3];
            thread::scope(|scope| {
                let words = &words;
                scope.spawn(move || {
                    receiver.recv().unwrap();
                    says.store(words.iter().sum(), SeqCst);
                    begun.send(()).unwrap();
                });
                let _ = await_(notified.notified()); // its place in a list is on this stack
            });
        });
        assert!(poll(&mut f).is_pending());
        std::mem::forget(f);
    })
    .join()
    .unwrap();
    yieldfrom::trim_stacks();
    sender.send(()).unwrap();
    has_begun.recv().unwrap();
    assert_eq!(seen.load(SeqCst), 6);
    notify.notify_waiters();
}

/// Its own thread-locals, and those of what it waits with, may be gone.
#[test]
fn a_destructor_of_a_thread_local_does_not_wait() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            assert_eq!(await_(async { 1 }), Ok(1));
            assert!(await_(std::future::pending::<()>()).is_err());
            WOKEN.fetch_add(1, SeqCst);
        }
    }
    thread_local! {
        static WAITS: Waits = const { Waits };
    }
    let _guard = begin();
    thread::spawn(|| {
        WAITS.with(|_| {}); // before async-io's, so that it is destroyed later
        assert_eq!(await_(futures_lite::future::yield_now()), Ok(()));
    })
    .join()
    .unwrap();
    thread::spawn(|| {
        WAITS.with(|_| {});
        drop(borrowing_fiber());
    })
    .join()
    .unwrap();
    assert_eq!(WOKEN.load(SeqCst), 3);
}
