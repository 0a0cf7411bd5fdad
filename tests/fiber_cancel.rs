//! Fibers that are cancelled or dropped: what their waits say, what their destructors may do, and what happens to those
//! that take no notice.
//!
//! Run in debug and release: which frames can be unwound depends on what the compiler makes of them.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Once;
use std::task::{Context, Poll, Waker};

use async_executor::LocalExecutor;
use futures_lite::future::{block_on, yield_now};
use yieldfrom::pipe::{Receiver, sink};
use yieldfrom::{
    Builder, Cancelled, Co, Fiber, Generator, Reason, State, Yielder, await_, coroutine, fiber,
    generator, scoped, set_unraisable_hook,
};

const IGNORED: &str = "while dropping coroutine 'f': it ignored its cancellation";
const LEAKED: &str = "while dropping coroutine 'f': it could not be unwound, its stack is leaked";
const PANICKED: &str = "while dropping coroutine 'f': it panicked: the panic";
const NOTHING: [&str; 0] = [];

/// So many waits are refused before the body is unwound.
const PATIENCE: u32 = 10_000;

thread_local! {
    static REPORTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Collects what is reported on this thread from now on.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_unraisable_hook(|unraisable| {
            if let Reason::Panic(payload) = unraisable.reason() {
                if payload.is::<HookPanics>() {
                    quiet_panic("the hook");
                }
            }
            let _ = REPORTS.try_with(|reports| reports.borrow_mut().push(unraisable.to_string()));
        });
    });
    REPORTS.take();
}

fn reports() -> Vec<String> {
    REPORTS.take()
}

/// Makes the hook panic.
struct HookPanics;

/// A panic without a message on standard error.
fn quiet_panic(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

/// Counts its clones that are alive.
#[derive(Clone, Debug, Default)]
struct Live(Rc<()>);

impl Live {
    fn count(&self) -> usize {
        Rc::strong_count(&self.0) - 1
    }
}

struct PanicsOnDrop(&'static str);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        quiet_panic(self.0);
    }
}

/// Calls something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn step<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn park() -> Result<(), Cancelled> {
    await_(pending())
}

/// A fiber that is suspended in `body`.
fn suspended<R: 'static>(body: impl FnOnce() -> R + 'static) -> Fiber<R> {
    listen();
    let mut f = Builder::new().name("f").fiber(body);
    assert!(step(&mut f).is_pending());
    assert_eq!(f.state(), State::Suspended);
    f
}

/// Drops a fiber that is suspended in `body`, says what was reported and how much was leaked, and checks that other fibers
/// can wait on this thread as before, and the thread itself.
#[track_caller]
fn drop_suspended<R: 'static>(body: impl FnOnce() -> R + 'static) -> (Vec<String>, usize) {
    let live = Live::default();
    let (captured, kept) = (live.clone(), live.clone());
    let f = suspended(move || {
        let _captured = captured;
        let _on_heap = Box::new(kept);
        body()
    });
    drop(f);
    let seen = (reports(), live.count());
    // In no fiber, and on a thread where none waits.
    assert_eq!(await_(async { 5 }), Ok(5));
    assert_eq!(block_on(fiber(|| await_(yield_now()))), Ok(()));
    seen
}

fn quietly() -> (Vec<String>, usize) {
    (Vec::new(), 0)
}

fn with(reports: &[&str], leaked: usize) -> (Vec<String>, usize) {
    (reports.iter().map(ToString::to_string).collect(), leaked)
}

// By value ------------------------------------------------------------------------------------------------------------

#[test]
fn a_wait_ends_with_cancelled_when_its_fiber_is_dropped() {
    let seen = Rc::new(Cell::new(None));
    let says = seen.clone();
    assert_eq!(drop_suspended(move || says.set(Some(park()))), quietly());
    assert_eq!(seen.get(), Some(Err(Cancelled::new())));
}

#[test]
fn cancel_returns_what_the_body_returns() {
    let mut f = suspended(|| park().is_err());
    assert_eq!(f.cancel(), Some(true));
    assert_eq!(f.state(), State::Closed);
    assert_eq!(f.cancel(), None);
}

#[test]
fn a_fiber_that_has_not_begun_is_dropped_with_its_captures() {
    let live = Live::default();
    let kept = live.clone();
    let mut f = fiber(move || drop(kept));
    assert_eq!(f.cancel(), None);
    assert_eq!((live.count(), f.state()), (0, State::Closed));
    let result = catch_unwind(AssertUnwindSafe(|| step(&mut f)));
    assert!(result.is_err());
}

#[test]
fn nothing_is_polled_any_more() {
    let polls = Rc::new(Cell::new(0));
    let counts = polls.clone();
    let body = move || {
        let counted = || {
            let counts = counts.clone();
            std::future::poll_fn(move |_| {
                counts.set(counts.get() + 1);
                Poll::<()>::Pending
            })
        };
        let _ = await_(counted());
        let _ = await_(counted());
        assert_eq!(await_(async { 1 }), Err(Cancelled::new()));
    };
    assert_eq!(drop_suspended(body), quietly());
    assert_eq!(polls.get(), 1);
}

#[test]
fn a_fiber_cancels_through_generators_and_stages() {
    let body = || {
        let mut g = generator(|y: &Yielder<bool>| {
            let mut stage = sink(|items: &mut Receiver<i32>| {
                while items.recv().is_some() {
                    if park().is_err() {
                        break;
                    }
                }
            });
            let _ = stage.send(&1);
            drop(stage);
            y.yield_(park().is_err());
        });
        assert_eq!(g.next(), Some(true));
    };
    assert_eq!(drop_suspended(body), quietly());
}

#[test]
fn the_inner_fiber_goes_before_the_outer() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let log = order.clone();
    let body = move || {
        let inner = fiber({
            let log = log.clone();
            move || {
                let _ = park();
                log.borrow_mut().push("inner");
            }
        });
        let _ = await_(inner);
        log.borrow_mut().push("outer");
    };
    assert_eq!(drop_suspended(body), quietly());
    assert_eq!(*order.borrow(), ["inner", "outer"]);
}

#[test]
fn an_inner_fiber_is_cancelled_while_the_outer_goes_on() {
    let mut outer = suspended(|| {
        let mut inner = fiber(|| {
            let first = park();
            (first, await_(async { 1 }))
        });
        assert!(step(&mut inner).is_pending());
        assert_eq!(await_(yield_now()), Ok(()));
        let seen = inner.cancel();
        assert_eq!(seen, Some((Err(Cancelled::new()), Err(Cancelled::new()))));
        await_(yield_now())
    });
    assert!(step(&mut outer).is_pending());
    assert_eq!(step(&mut outer), Poll::Ready(Ok(())));
}

/// What waits in a fiber of its own is not cancelled, though it cannot be waited for.
#[test]
fn a_cancelled_fiber_may_run_others() {
    let body = || {
        let _ = park();
        assert_eq!(block_on(fiber(|| await_(yield_now()))), Ok(()));
    };
    assert_eq!(drop_suspended(body), quietly());
}

#[test]
fn a_hundred_thousand_suspended_fibers_are_dropped() {
    listen();
    let live = Live::default();
    let builder = Builder::new().stack_size(16 * 1024);
    let fibers: Vec<_> = (0..if cfg!(feature = "sanitizer") {
        3_000
    } else {
        100_000
    })
        .map_while(|_| {
            let kept = live.clone();
            let mut f = builder
                .try_fiber(move || {
                    let _kept = kept;
                    park()
                })
                .ok()?;
            assert!(step(&mut f).is_pending());
            Some(f)
        })
        .collect();
    assert!(fibers.len() >= 3_000, "{}", fibers.len());
    assert_eq!(live.count(), fibers.len());
    drop(fibers);
    assert_eq!((live.count(), reports()), (0, Vec::new()));
}

#[test]
fn a_long_chain_of_fibers_is_dropped() {
    fn chain(depth: u32, live: Live) -> Fiber<()> {
        Builder::new().stack_size(32 * 1024).fiber(move || {
            let _live = live.clone();
            let _ = if depth == 0 {
                park()
            } else {
                await_(chain(depth - 1, live))
            };
        })
    }
    listen();
    let live = Live::default();
    let mut f = chain(1000, live.clone());
    assert!(step(&mut f).is_pending());
    drop(f);
    assert_eq!((live.count(), reports()), (0, Vec::new()));
}

/// Its stack may be borrowed, so that it stays; and the thread is taken for one where a fiber waits.
#[test]
fn a_forgotten_fiber_stays_where_it_is() {
    std::thread::spawn(|| {
        let live = Live::default();
        let kept = live.clone();
        let f = suspended(move || {
            let _kept = kept;
            park()
        });
        std::mem::forget(f);
        assert_eq!(live.count(), 1);
        assert!(catch_unwind(|| await_(async { 1 })).is_err());
        assert_eq!(block_on(fiber(|| await_(yield_now()))), Ok(()));
    })
    .join()
    .unwrap();
}

// Panics --------------------------------------------------------------------------------------------------------------

#[test]
fn a_panic_on_the_way_out_is_reported() {
    let body = || {
        let _ = park();
        quiet_panic("the panic");
    };
    assert_eq!(drop_suspended(body), with(&[PANICKED], 0));
}

#[test]
fn a_panic_on_the_way_out_of_cancel_is_its_callers() {
    let mut f = suspended(|| {
        let _ = park();
        quiet_panic("the panic");
    });
    let payload = catch_unwind(AssertUnwindSafe(|| f.cancel())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"the panic"));
    drop(f);
    assert_eq!(reports(), NOTHING);
}

#[test]
fn destructors_that_panic_are_reported() {
    let result = || {
        let _ = park();
        PanicsOnDrop("the panic")
    };
    assert_eq!(drop_suspended(result), with(&[PANICKED], 0));
    let local = || {
        let _local = PanicsOnDrop("the panic");
        let _ = park();
    };
    assert_eq!(drop_suspended(local), with(&[PANICKED], 0));
    let future = || {
        let guard = PanicsOnDrop("the panic");
        let _ = await_(async move {
            let _guard = guard;
            pending::<()>().await;
        });
    };
    assert_eq!(drop_suspended(future), with(&[PANICKED], 0));
}

#[test]
fn a_panic_whose_payload_panics_is_reported_once() {
    let body = || {
        let _ = park();
        resume_unwind(Box::new(PanicsOnDrop("the payload")));
    };
    let (reports, leaked) = drop_suspended(body);
    assert_eq!((reports.len(), leaked), (1, 0));
}

#[test]
fn a_panic_in_the_hook_is_swallowed() {
    let body = || {
        let _ = park();
        resume_unwind(Box::new(HookPanics));
    };
    assert_eq!(drop_suspended(body), quietly());
}

/// `async-task` aborts the process if the destructor of a cancelled future panics.
#[test]
fn a_task_may_be_cancelled_whose_body_panics() {
    listen();
    let executor = LocalExecutor::new();
    let task = executor.spawn(fiber(|| {
        let _local = PanicsOnDrop("the panic");
        let _ = park();
    }));
    assert!(executor.try_tick());
    block_on(executor.run(task.cancel()));
    let dropped = executor.spawn(Builder::new().name("f").fiber(|| {
        let _ = park();
        quiet_panic("the panic");
    }));
    assert!(executor.try_tick());
    drop(dropped);
    drop(executor);
    assert_eq!(reports().len(), 2);
}

#[test]
fn a_fiber_that_is_dropped_during_a_panic_is_cancelled() {
    let live = Live::default();
    let kept = live.clone();
    let f = suspended(move || {
        let _kept = kept;
        assert!(park().is_err());
        assert!(park().is_err());
    });
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _f = f;
        quiet_panic("outside");
    }));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"outside"));
    assert_eq!((live.count(), reports()), (0, Vec::new()));
}

// Destructors ---------------------------------------------------------------------------------------------------------

#[test]
fn a_destructor_waits_as_any_code_does() {
    let mut f = suspended(|| {
        let waited = Rc::new(Cell::new(0));
        drop(OnDrop(|| {
            for _ in 0..3 {
                await_(yield_now()).unwrap();
                waited.set(waited.get() + 1);
            }
        }));
        waited.get()
    });
    assert!(step(&mut f).is_pending());
    assert!(step(&mut f).is_pending());
    assert_eq!(step(&mut f), Poll::Ready(3));
}

/// The thread would be panicking for whoever runs next.
#[test]
fn a_destructor_does_not_wait_during_a_panic() {
    listen();
    let seen = Rc::new(Cell::new(None));
    let says = seen.clone();
    let mut f = fiber(move || {
        let _guard = OnDrop(|| says.set(Some((await_(async { 1 }), await_(pending::<()>())))));
        quiet_panic("the panic");
    });
    assert!(catch_unwind(AssertUnwindSafe(|| step(&mut f))).is_err());
    assert_eq!(seen.get(), Some((Ok(1), Err(Cancelled::new()))));
}

#[test]
fn a_destructor_does_not_wait_while_a_generator_is_unwound() {
    let mut f = suspended(|| {
        let seen = Rc::new(Cell::new(None));
        let says = seen.clone();
        let mut g = generator(move |y: &Yielder<()>| {
            let _guard = OnDrop(|| says.set(Some(park())));
            y.yield_(());
        });
        g.next();
        await_(yield_now()).unwrap();
        drop(g);
        await_(yield_now()).unwrap();
        seen.get()
    });
    assert!(step(&mut f).is_pending());
    assert_eq!(step(&mut f), Poll::Ready(Some(Err(Cancelled::new()))));
}

/// The walk over the frames remembers where it was; what it remembers lies on the fiber's stack.
#[test]
fn a_fiber_waits_while_it_drops_a_coroutine() {
    let dropping = || {
        Builder::new().name("f").fiber(|| {
            let mut waits = coroutine(|co: &Co<(), ()>| {
                let exit = co.yield_(());
                let mut inner = generator(|y: &Yielder<()>| y.yield_(()));
                inner.next();
                let _ = await_(yield_now());
                drop(inner);
                assert_eq!(park(), Err(Cancelled::new()));
                exit
            });
            waits.prime().unwrap();
            drop(waits);
        })
    };
    listen();
    let mut fibers: Vec<_> = (0..20).map(|_| dropping()).collect();
    for f in &mut fibers {
        assert!(step(f).is_pending()); // in the destructor
    }
    for (n, mut f) in fibers.into_iter().enumerate() {
        if n % 2 == 0 {
            assert!(step(&mut f).is_pending());
        }
        // Others are dropped meanwhile, on other stacks.
        let mut g = generator(|y: &Yielder<()>| y.yield_(()));
        g.next();
        drop(g);
        assert_eq!(f.cancel(), Some(()));
    }
}

#[test]
fn a_fiber_is_dropped_by_another_and_in_a_generator_and_in_a_poll() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let parked = |name: &'static str| {
        let seen = seen.clone();
        suspended(move || {
            let ended = park();
            seen.borrow_mut().push((name, ended.is_err()));
        })
    };
    let (a, b, c) = (parked("a"), parked("b"), parked("c"));
    let f = fiber(move || {
        drop(a);
        await_(yield_now()).unwrap();
        generator(move |_: &Yielder<()>| {
            drop(b);
            await_(yield_now()).unwrap();
        })
        .for_each(drop);
        await_(async move { drop(c) }).unwrap();
        await_(yield_now())
    });
    assert_eq!(block_on(f), Ok(()));
    assert_eq!(*seen.borrow(), [("a", true), ("b", true), ("c", true)]);
}

// By force ------------------------------------------------------------------------------------------------------------

fn for_ever() {
    while park().is_err() {}
}

#[test]
fn what_ignores_its_cancellation_is_unwound() {
    let waits = Rc::new(Cell::new(0));
    let counts = waits.clone();
    let body = move || {
        loop {
            let _ = park();
            counts.set(counts.get() + 1);
        }
    };
    assert_eq!(drop_suspended(body), with(&[IGNORED], 0));
    assert_eq!(waits.get(), PATIENCE);
}

#[test]
fn cancel_of_what_ignores_it_returns_nothing() {
    let mut f = suspended(for_ever);
    assert_eq!(f.cancel(), None);
    assert_eq!(
        (f.state(), reports()),
        (State::Closed, vec![IGNORED.to_string()])
    );
}

#[test]
fn what_waits_as_often_as_it_may_is_not_unwound() {
    let body = || (0..PATIENCE).filter(|_| park().is_err()).count();
    assert_eq!(drop_suspended(body), quietly());
    assert_eq!(suspended(body).cancel(), Some(PATIENCE as usize));
}

#[test]
fn what_ignores_it_in_a_generator_is_unwound() {
    let body = || {
        generator(|y: &Yielder<()>| {
            generator(|y: &Yielder<()>| {
                for_ever();
                y.yield_(());
            })
            .for_each(drop);
            y.yield_(());
        })
        .count()
    };
    assert_eq!(drop_suspended(body), with(&[IGNORED], 0));
}

#[test]
fn what_ignores_it_in_a_coroutine_is_unwound() {
    let body = || {
        let live = Live::default();
        let mut co = coroutine(move |co: &Co<(), ()>| {
            let _live = live;
            for_ever();
            co.yield_(())
        });
        let _ = co.prime();
    };
    assert_eq!(drop_suspended(body), with(&[IGNORED], 0));
}

#[test]
fn what_ignores_it_in_a_stage_is_unwound() {
    let body = || {
        let mut stage = sink(|items: &mut Receiver<i32>| {
            for_ever();
            while items.recv().is_some() {}
        });
        let _ = stage.send(&1);
    };
    assert_eq!(drop_suspended(body), with(&[IGNORED], 0));
}

#[test]
fn what_ignores_it_in_a_scoped_generator_is_unwound() {
    let body = || {
        let words = vec![String::from("borrowed")];
        scoped(
            |y| {
                for word in &words {
                    for_ever();
                    y.yield_(word);
                }
            },
            |g| g.count(),
        )
    };
    assert_eq!(drop_suspended(body), with(&[IGNORED], 0));
}

#[test]
fn what_ignores_it_in_a_destructor_is_unwound() {
    let body = || drop(OnDrop(for_ever));
    assert_eq!(drop_suspended(body), with(&[IGNORED], 0));
}

#[test]
fn what_ignores_it_while_a_coroutine_is_dropped_is_unwound() {
    let body = || {
        let mut co = coroutine(|co: &Co<(), ()>| {
            let exit = co.yield_(());
            for_ever();
            exit
        });
        co.prime().unwrap();
        drop(co);
    };
    assert_eq!(drop_suspended(body), with(&[IGNORED], 0));
}

#[test]
fn what_catches_some_unwinds_is_unwound() {
    let rounds = Rc::new(Cell::new(0));
    let counts = rounds.clone();
    let body = move || {
        for _ in 0..9 {
            let _ = catch_unwind(for_ever);
            counts.set(counts.get() + 1);
        }
        for_ever();
    };
    assert_eq!(drop_suspended(body), with(&[IGNORED], 0));
    assert_eq!(rounds.get(), 9);
}

#[test]
fn what_catches_every_unwind_is_leaked() {
    let body = || {
        loop {
            let _ = catch_unwind(for_ever);
        }
    };
    assert_eq!(drop_suspended(body), with(&[IGNORED, LEAKED], 2));
    let in_a_generator = || {
        generator(|_: &Yielder<()>| {
            loop {
                let _ = catch_unwind(for_ever);
            }
        })
        .count()
    };
    assert_eq!(drop_suspended(in_a_generator), with(&[IGNORED, LEAKED], 2));
    let around_generators = || {
        loop {
            let _ = catch_unwind(|| generator(|_: &Yielder<()>| for_ever()).count());
        }
    };
    assert_eq!(
        drop_suspended(around_generators),
        with(&[IGNORED, LEAKED], 2)
    );
}

extern "C" fn for_ever_below_c() {
    for_ever();
}

#[test]
fn what_ignores_it_below_c_is_leaked() {
    assert_eq!(
        drop_suspended(|| for_ever_below_c()),
        with(&[IGNORED, LEAKED], 2)
    );
    let above = || {
        generator(|y: &Yielder<()>| {
            for_ever_below_c();
            y.yield_(());
        })
        .count()
    };
    assert_eq!(drop_suspended(above), with(&[IGNORED, LEAKED], 2));
    // Without destructors of its own: with them, it could not always be told from one that may be unwound.
    #[allow(improper_ctypes_definitions)] // Rust on both sides
    extern "C" fn next_below_c(g: &mut Generator<()>) {
        g.next();
    }
    let below = || {
        generator(|y: &Yielder<()>| {
            next_below_c(&mut generator(|_: &Yielder<()>| for_ever()));
            y.yield_(());
        })
        .count()
    };
    assert_eq!(drop_suspended(below), with(&[IGNORED, LEAKED], 2));
}

/// On a thread of its own, as it stays panicking.
#[test]
fn what_ignores_it_in_a_destructor_during_a_panic_is_leaked() {
    std::thread::spawn(|| {
        let live = Live::default();
        let kept = live.clone();
        let f = suspended(move || {
            let _kept = kept;
            let _ = park();
            let _guard = OnDrop(for_ever);
            quiet_panic("the panic");
        });
        drop(f);
        assert_eq!((reports(), live.count()), with(&[IGNORED, LEAKED], 1));
        assert!(std::thread::panicking());
    })
    .join()
    .unwrap();
}

#[test]
fn what_ignores_it_where_a_panic_drops_it_is_leaked() {
    let live = Live::default();
    let kept = live.clone();
    let f = suspended(move || {
        let _kept = kept;
        for_ever();
    });
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _f = f;
        quiet_panic("outside");
    }));
    assert!(result.is_err());
    assert_eq!((reports(), live.count()), with(&[IGNORED, LEAKED], 1));
    assert!(!std::thread::panicking());
}

#[inline(never)]
fn deep(left: usize, act: &mut dyn FnMut()) {
    let here = black_box([1_u8; 256]);
    let lowest = std::ptr::from_ref(&here) as usize;
    LOWEST.with(|top| {
        if top.get() == 0 {
            top.set(lowest);
        }
        if top.get() - lowest < left {
            deep(left, act);
        } else {
            act();
        }
    });
    black_box(here);
}

thread_local! {
    static LOWEST: Cell<usize> = const { Cell::new(0) };
}

/// An unwind needs some KiB on each stack that it goes through. An overflow would kill the process.
#[test]
fn what_ignores_it_where_little_stack_is_left_is_leaked() {
    const SIZE: usize = 64 * 1024;
    let unwinds = |used: usize| {
        listen();
        LOWEST.set(0);
        let mut f = Builder::new().name("f").stack_size(SIZE).fiber(move || {
            let mut g = generator(|y: &Yielder<()>| {
                for_ever();
                y.yield_(());
            });
            g.try_reserve().unwrap();
            deep(used, &mut || {
                g.next();
            });
        });
        assert!(step(&mut f).is_pending());
        drop(f);
        reports()
    };
    assert_eq!(unwinds(16 * 1024), [IGNORED]);
    // Without optimisation, more is used above.
    let least = match () {
        () if cfg!(feature = "sanitizer") => 10,
        () if cfg!(debug_assertions) => 5,
        () => 2,
    };
    let mut leaked = 0;
    for used in (SIZE - 14 * 1024..SIZE - least * 1024).step_by(1024) {
        match &unwinds(used)[..] {
            [ignored] => assert_eq!(ignored, IGNORED),
            both => {
                assert_eq!(both, [IGNORED, LEAKED]);
                leaked += 1;
            }
        }
    }
    assert!(leaked > 0);
}
