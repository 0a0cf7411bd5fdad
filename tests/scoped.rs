//! Generators that borrow: however `consume` ends, the body has ended before what it borrows goes away.
//!
//! That a scoped generator cannot leave `consume` is a `compile_fail` example beside [`yieldfrom::scoped`]; what happens
//! if its body cannot be unwound is in `abort.rs`.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use yieldfrom::{
    Co, Scoped, State, Step, Yielder, coroutine, generator, scoped, set_unraisable_hook,
};

/// Counts down in a counter that it borrows.
struct Guard<'a>(&'a Cell<i32>);

impl<'a> Guard<'a> {
    fn new(live: &'a Cell<i32>) -> Self {
        live.set(live.get() + 1);
        Self(live)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn quiet_panic(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

#[test]
fn the_body_borrows_and_writes_what_is_around_it() {
    let words = vec!["to".to_owned(), "be".to_owned()];
    let mut seen = Vec::new();
    let total = scoped(
        |y| {
            for word in &words {
                seen.push(word.as_str());
                y.yield_(word.len());
            }
            seen.len()
        },
        |g| {
            let sum: usize = g.by_ref().sum();
            (sum, g.take_return(), g.take_return(), g.state())
        },
    );
    assert_eq!(total, (4, Some(2), None, State::Closed));
    assert_eq!(seen, ["to", "be"]);
}

#[test]
fn items_may_outlive_the_scope_they_came_from() {
    let words = ["one", "two", "three"];
    let kept: Vec<&&str> = scoped(|y| y.yield_from(&words), |g| g.skip(1).collect());
    assert_eq!(kept, [&"two", &"three"]);
}

#[test]
fn the_body_has_ended_when_scoped_returns_wherever_it_was() {
    let live = Cell::new(0);
    for taken in 0..5 {
        let captured = Guard::new(&live);
        let count = scoped(
            |y| {
                let _captured = &captured;
                let _local = Guard::new(&live);
                for n in 0..3 {
                    y.yield_(n);
                }
            },
            |g| g.take(taken).count(),
        );
        assert_eq!(count, taken.min(3));
        drop(captured);
        assert_eq!(live.get(), 0, "{taken} taken");
    }
}

#[test]
fn a_body_that_is_moved_in_is_dropped_also_if_it_never_starts() {
    let live = Cell::new(0);
    let captured = Guard::new(&live);
    scoped(
        move |y: &Yielder<i32>| {
            let _captured = captured;
            y.yield_(1);
        },
        |g| {
            g.try_reserve().unwrap();
            assert_eq!((g.state(), live.get()), (State::Created, 1));
        },
    );
    assert_eq!(live.get(), 0);
}

#[test]
fn a_panic_in_consume_ends_the_body_first() {
    let live = Cell::new(0);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let local = Cell::new(7);
        scoped(
            |y| {
                let _guard = Guard::new(&live);
                let _last_look = Guard::new(&local);
                y.yield_(1);
            },
            |g| {
                g.next();
                assert_eq!(live.get(), 1);
                quiet_panic("consume")
            },
        )
    }));
    let payload = result.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"consume"));
    assert_eq!(live.get(), 0);
}

#[test]
fn a_panic_in_the_body_comes_out_of_next_and_consume_may_catch_it() {
    let text = scoped(
        |y| {
            y.yield_(1);
            quiet_panic("body");
        },
        |g| {
            assert_eq!(g.next(), Some(1));
            let payload = catch_unwind(AssertUnwindSafe(|| g.next())).unwrap_err();
            assert_eq!((g.next(), g.take_return()), (None, None));
            assert_eq!(g.state(), State::Closed);
            *payload.downcast_ref::<&str>().unwrap()
        },
    );
    assert_eq!(text, "body");
}

#[test]
fn a_body_that_catches_the_unwind_runs_to_its_end_before_scoped_returns() {
    let ended = Cell::new(false);
    scoped(
        |y| {
            for _ in 0..5 {
                assert!(catch_unwind(AssertUnwindSafe(|| y.yield_(1))).is_err());
            }
            ended.set(true);
        },
        |g| {
            g.next();
        },
    );
    assert!(ended.get());
}

#[test]
fn a_destructor_that_yields_is_run_to_its_end() {
    struct Clingy<'a>(&'a Yielder<i32>, &'a Cell<i32>);
    impl Drop for Clingy<'_> {
        fn drop(&mut self) {
            for n in 0..3 {
                self.0.yield_(n);
                self.1.set(self.1.get() + 1);
            }
        }
    }
    let turns = Cell::new(0);
    scoped(
        |y| {
            let _clingy = Clingy(y, &turns);
            y.yield_(10);
        },
        |g| {
            g.next();
        },
    );
    assert_eq!(turns.get(), 3);
}

#[test]
fn values_that_panic_when_dropped_do_not_keep_the_body_from_ending() {
    static REPORTS: AtomicU32 = AtomicU32::new(0);
    set_unraisable_hook(|_| {
        REPORTS.fetch_add(1, Ordering::Relaxed);
    });
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            quiet_panic("the bomb");
        }
    }
    let live = Cell::new(0);
    scoped(
        |y| {
            let _guard = Guard::new(&live);
            let _ = catch_unwind(AssertUnwindSafe(|| y.yield_(None)));
            y.yield_(Some(Bomb));
        },
        |g| {
            g.next();
        },
    );
    assert_eq!(live.get(), 0);
    assert_eq!(REPORTS.load(Ordering::Relaxed), 1);
    // So is a capture of a body that never starts.
    let bomb = Bomb;
    scoped(
        move |y: &Yielder<i32>| {
            let _bomb = bomb;
            y.yield_(1);
        },
        |_| {},
    );
    assert_eq!(REPORTS.load(Ordering::Relaxed), 2);
}

#[test]
fn threads_of_a_scope_in_the_body_are_joined_before_it_ends() {
    let done = AtomicU32::new(0);
    let (start, wait) = std::sync::mpsc::channel::<()>();
    let mut start = Some(start);
    scoped(
        |y| {
            std::thread::scope(|s| {
                s.spawn(|| {
                    let wait = wait;
                    let _ = wait.recv(); // until `start` is dropped
                    done.fetch_add(1, Ordering::SeqCst);
                });
                y.yield_(1);
            });
        },
        |g| {
            g.next();
            assert_eq!(done.load(Ordering::SeqCst), 0);
            drop(start.take());
        },
    );
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[test]
fn scopes_nest_and_each_borrows_from_those_around_it() {
    fn nest(outer: &[i32], depth: usize, log: &RefCell<Vec<i32>>) {
        if depth == 0 {
            log.borrow_mut().push(outer.iter().sum());
            return;
        }
        scoped(
            |y| {
                let mut longer = outer.to_vec();
                for n in 0..2 {
                    longer.push(n);
                    y.yield_(longer.clone());
                }
            },
            |g| g.for_each(|items| nest(&items, depth - 1, log)),
        );
    }
    let log = RefCell::default();
    nest(&[], 6, &log);
    // Each leaf sums up how often its branch took the second item.
    let expected: Vec<_> = (0..64_u32).map(|leaf| leaf.count_ones() as i32).collect();
    assert_eq!(*log.borrow(), expected);
}

#[test]
fn a_scope_two_hundred_deep_is_unwound_from_the_top() {
    fn nest(live: &Cell<i32>, depth: usize) {
        if depth == 0 {
            quiet_panic("the bottom");
        }
        scoped(
            |y| {
                let _guard = Guard::new(live);
                y.yield_(depth);
            },
            |g| {
                g.next();
                nest(live, depth - 1);
            },
        );
    }
    let live = Cell::new(0);
    assert!(catch_unwind(AssertUnwindSafe(|| nest(&live, 200))).is_err());
    assert_eq!(live.get(), 0);
}

#[test]
fn bodies_two_hundred_deep_are_unwound_when_the_outermost_is_left() {
    fn nest(y: &Yielder<usize>, live: &Cell<i32>, depth: usize) {
        let _guard = Guard::new(live);
        y.yield_(depth);
        if depth > 0 {
            scoped(
                |inner| nest(inner, live, depth - 1),
                |g| g.for_each(|n| y.yield_(n)),
            );
        }
    }
    let live = Cell::new(0);
    scoped(|y| nest(y, &live, 200), |g| assert_eq!(g.nth(200), Some(0)));
    assert_eq!(live.get(), 0);
}

#[test]
fn a_scoped_generator_is_lent_on_as_any_iterator() {
    fn second<I: Iterator>(items: &mut I) -> Option<I::Item> {
        items.nth(1)
    }
    fn rest<R>(g: &mut Scoped<'_, i32, R>) -> Vec<i32> {
        g.collect()
    }
    let limit = 5;
    let result = scoped(
        |y| (0..limit).for_each(|n| y.yield_(n)),
        |g| (second(g), rest(g)),
    );
    assert_eq!(result, (Some(1), vec![2, 3, 4]));
}

#[test]
fn the_outer_generator_and_the_inner_cannot_be_mixed_up_but_take_turns() {
    let n = 3;
    let pairs: Vec<_> = scoped(
        |y| (0..n).for_each(|i| y.yield_(i)),
        |outer| {
            scoped(
                |y| (0..n).for_each(|i| y.yield_(i * 10)),
                |inner| outer.by_ref().zip(inner).collect(),
            )
        },
    );
    assert_eq!(pairs, [(0, 0), (1, 10), (2, 20)]);
}

#[test]
fn a_coroutine_suspended_inside_consume_may_be_closed() {
    let mut co = coroutine(|co: &Co<usize, ()>| {
        let words = ["a", "bb", "ccc"];
        scoped(
            |y| words.iter().for_each(|word| y.yield_(word.len())),
            |g| g.try_for_each(|n| co.yield_(n)),
        )
    });
    assert_eq!(co.prime().unwrap(), Step::Yielded(1));
    assert_eq!(co.send(()).unwrap(), Step::Yielded(2));
    assert!(matches!(co.close(), Ok(None)));
}

#[test]
fn a_generator_forgotten_inside_consume_keeps_what_its_scope_borrows() {
    struct Checked(Vec<u8>);
    impl Drop for Checked {
        fn drop(&mut self) {
            panic!("a forgotten generator is never dropped");
        }
    }
    let mut g = generator(|y| {
        let checked = Checked(vec![1, 2, 3]);
        scoped(
            |inner| inner.yield_from(&checked.0),
            |items| items.for_each(|item| y.yield_(*item)),
        );
    });
    assert_eq!(g.next(), Some(1));
    std::mem::forget(g);
}
