//! Handles used where they do not belong, coroutines that resume themselves, and values of every shape on their way.
//!
//! What must not compile (another thread, a handle that leaves its body) is a `compile_fail` example beside each type.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Once;
use std::task::{Context, Poll, Waker};

use yieldfrom::pipe::{Receiver, sink};
use yieldfrom::{
    Builder, Co, Coroutine, Exception, Generator, ProtocolError, Raised, SharedCoroutine, State,
    Step, Yielder, coroutine, generator, scoped, set_unraisable_hook,
};

const OUTSIDE: &str =
    "`yield_` called from outside the body it belongs to; yield through that body's own handle";

thread_local! {
    static REPORTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Collects what is reported on this thread from now on.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_unraisable_hook(|unraisable| {
            let _ = REPORTS.try_with(|reports| reports.borrow_mut().push(unraisable.to_string()));
        });
    });
    REPORTS.take();
}

fn reports() -> Vec<String> {
    REPORTS.take()
}

/// Counts how many of its clones are alive.
#[derive(Clone, Debug, Default)]
struct Live(Rc<()>);

impl Live {
    fn count(&self) -> usize {
        Rc::strong_count(&self.0) - 1
    }
}

fn is_protocol(exception: &Exception, error: ProtocolError) -> bool {
    exception.downcast_ref::<ProtocolError>() == Some(&error)
}

fn panic_text(result: Result<impl Sized, Box<dyn std::any::Any + Send>>) -> String {
    let Err(payload) = result else {
        return "no panic".into();
    };
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

// Handles in the wrong place ------------------------------------------------------------------------------------------

/// Found out at its first item, the error would be thrown into it; a shared one could answer with the next item, for ever.
#[test]
fn a_handle_of_another_body_cannot_delegate_to_a_shared_one() {
    let stubborn = coroutine(|co: &Co<i32, i32>| -> Result<(), Exception> {
        loop {
            if let Err(Exception::GeneratorExit) = co.yield_(1) {
                return Err(Exception::GeneratorExit);
            }
        }
    })
    .shared();
    let sub = stubborn.clone();
    let mut outer = coroutine(move |co: &Co<i32, i32>| {
        scoped(
            |_: &Yielder<()>| {
                let refused = [co.yield_from(&sub), co.yield_from_with(&sub, 1)];
                refused.map(|result| is_protocol(&result.unwrap_err(), ProtocolError::NotCurrent))
            },
            |g| {
                assert!(g.next().is_none());
                Ok(g.take_return())
            },
        )
    });
    match outer.prime().unwrap() {
        Step::Complete(refused) => assert_eq!(refused, Some([true; 2])),
        Step::Yielded(value) => panic!("{value} came out of another body"),
    }
    assert_eq!(stubborn.state(), State::Created);
}

#[test]
fn a_yielder_used_by_a_body_that_borrows_it_panics_with_one_sentence() {
    let g = generator(|outer| {
        let text = scoped(
            |_inner: &Yielder<()>| {
                panic_text(catch_unwind(AssertUnwindSafe(|| {
                    outer.yield_("from the wrong stack".to_owned())
                })))
            },
            |g| {
                assert_eq!(g.next(), None);
                g.take_return().unwrap()
            },
        );
        outer.yield_(text);
        outer.yield_("and on".to_owned());
    });
    assert_eq!(g.collect::<Vec<_>>(), [OUTSIDE, "and on"]);
}

#[test]
fn a_co_used_by_a_body_that_borrows_it_is_an_error_and_drops_the_value_once() {
    let live = Live::default();
    let counted = live.clone();
    let mut co = coroutine(move |co: &Co<Option<Live>, ()>| {
        let errors = scoped(
            |_inner: &Yielder<()>| {
                [
                    co.yield_(Some(counted.clone())).unwrap_err(),
                    co.yield_each([Some(counted.clone()), None]).unwrap_err(),
                ]
            },
            |g| {
                assert_eq!(g.next(), None);
                g.take_return().unwrap()
            },
        );
        assert_eq!(counted.count(), 1);
        co.yield_(Some(counted))?;
        Ok(errors)
    });
    assert!(matches!(co.prime(), Ok(Step::Yielded(Some(_)))));
    let errors = co.send(()).unwrap().complete().unwrap();
    assert!(
        errors
            .iter()
            .all(|e| is_protocol(e, ProtocolError::NotCurrent))
    );
    assert_eq!(live.count(), 0);
}

#[test]
fn a_delegation_through_a_borrowed_co_is_refused_and_leaves_the_sub_coroutine_as_it_was() {
    let live = Live::default();
    let first = live.clone();
    let mut co = coroutine(move |co: &Co<i32, Option<Live>>| {
        let mut fresh = coroutine(|co: &Co<i32, Option<Live>>| co.yield_(1).map(drop));
        let mut started = coroutine(|co: &Co<i32, Option<Live>>| co.yield_(2).map(drop));
        started.prime()?;
        scoped(
            |_inner: &Yielder<()>| {
                let error = co.yield_from(&mut fresh).unwrap_err();
                assert!(is_protocol(&error, ProtocolError::NotCurrent));
                let error = co.yield_from_with(&mut started, Some(first)).unwrap_err();
                assert!(is_protocol(&error, ProtocolError::NotCurrent));
            },
            |g| assert_eq!(g.next(), None),
        );
        assert_eq!(
            (fresh.state(), started.state()),
            (State::Created, State::Suspended)
        );
        co.yield_from(&mut fresh)?;
        co.yield_from_with(&mut started, None)
    });
    assert_eq!(co.prime().unwrap(), Step::Yielded(1));
    assert_eq!(co.send(None).unwrap(), Step::Complete(()));
    assert_eq!(live.count(), 0);
}

/// Nests four bodies; each tries the handles of all bodies around it and then its own.
#[test]
fn of_nested_handles_only_the_innermost_suspends() {
    fn refused(yielders: &[&Yielder<usize>]) {
        for yielder in yielders {
            let attempt = catch_unwind(AssertUnwindSafe(|| yielder.yield_(usize::MAX)));
            assert_eq!(panic_text(attempt), OUTSIDE);
        }
    }
    fn nest(outer: &[&Yielder<usize>], depth: usize) {
        scoped(
            |y| {
                refused(outer);
                y.yield_(depth);
                let all: Vec<_> = outer.iter().copied().chain([y]).collect();
                if all.len() < 4 {
                    nest(&all, depth + 1);
                }
                refused(outer);
                y.yield_(depth);
            },
            |g| assert_eq!(g.collect::<Vec<_>>(), [depth, depth]),
        );
    }
    nest(&[], 0);
}

#[test]
fn siblings_cannot_suspend_each_other() {
    let text = scoped(
        |first: &Yielder<i32>| {
            let text = scoped(
                |second: &Yielder<i32>| {
                    second.yield_(1);
                    panic_text(catch_unwind(AssertUnwindSafe(|| first.yield_(2))))
                },
                |g| {
                    assert_eq!(g.next(), Some(1));
                    first.yield_(10); // `second` stays suspended meanwhile
                    assert_eq!(g.next(), None);
                    g.take_return().unwrap()
                },
            );
            first.yield_(20);
            text
        },
        |g| {
            assert_eq!(g.by_ref().collect::<Vec<_>>(), [10, 20]);
            g.take_return().unwrap()
        },
    );
    assert_eq!(text, OUTSIDE);
}

#[test]
fn a_future_polled_by_hand_in_the_body_may_yield_for_it() {
    let g = generator(|y| {
        let mut turns = 0;
        let mut future = pin!(poll_fn(|_| {
            turns += 1;
            y.yield_(turns);
            if turns < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        let mut context = Context::from_waker(Waker::noop());
        while future.as_mut().poll(&mut context).is_pending() {}
    });
    assert_eq!(g.collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_future_polled_on_another_stack_cannot() {
    let mut co = coroutine(|co: &Co<i32, ()>| {
        let mut future = pin!(async { co.yield_(1) });
        let error = scoped(
            |_: &Yielder<()>| {
                let mut context = Context::from_waker(Waker::noop());
                match future.as_mut().poll(&mut context) {
                    Poll::Ready(result) => result.unwrap_err(),
                    Poll::Pending => unreachable!("nothing is awaited"),
                }
            },
            |g| {
                assert_eq!(g.next(), None);
                g.take_return().unwrap()
            },
        );
        Ok(is_protocol(&error, ProtocolError::NotCurrent))
    });
    assert_eq!(co.prime().unwrap(), Step::Complete(true));
}

struct YieldsOnDrop<'a>(&'a Yielder<i32>, i32);

impl Drop for YieldsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.yield_(self.1);
    }
}

#[test]
fn a_destructor_yields_while_the_body_panics_and_the_panic_goes_on() {
    let mut g = generator(|y| {
        let _second = YieldsOnDrop(y, 2);
        let _first = YieldsOnDrop(y, 1);
        std::panic::resume_unwind(Box::new("the panic"));
    });
    assert_eq!((g.next(), g.next()), (Some(1), Some(2)));
    let result = catch_unwind(AssertUnwindSafe(|| g.next()));
    assert_eq!(panic_text(result), "the panic");
    assert_eq!(g.state(), State::Closed);
    assert!(!std::thread::panicking());
}

#[test]
fn a_foreign_yielder_in_a_destructor_during_a_panic_is_reported_and_does_not_abort() {
    listen();
    let mut g = generator(|outer| {
        let result = catch_unwind(AssertUnwindSafe(|| {
            scoped(
                |inner: &Yielder<()>| {
                    inner.yield_(());
                    let _wrong_stack = YieldsOnDrop(outer, 1);
                    std::panic::resume_unwind(Box::new("the panic"));
                },
                |g| g.count(),
            )
        }));
        panic_text(result)
    });
    assert_eq!(g.next(), None);
    assert_eq!(g.take_return().unwrap(), "the panic");
    assert_eq!(
        reports(),
        [format!(
            "while dropping coroutine '<unnamed>': it panicked: {OUTSIDE}"
        )]
    );
}

#[test]
fn a_receiver_used_by_a_body_that_borrows_it_panics_and_its_stage_goes_on() {
    let mut stage = sink(|items: &mut Receiver<i32>| {
        let text = scoped(
            |_: &Yielder<()>| panic_text(catch_unwind(AssertUnwindSafe(|| items.recv().copied()))),
            |g| {
                assert_eq!(g.next(), None);
                g.take_return().unwrap()
            },
        );
        (text, items.recv().copied())
    });
    assert!(stage.send(&7).is_err(), "one item is all it wants");
    let (text, item) = stage.close();
    assert_eq!(item, Some(7));
    assert_eq!(
        text,
        "`recv` called from outside the body it belongs to; receive in that body itself"
    );
}

/// A handle lent to whatever is called meanwhile, as the `scoped-tls` crate does it. This is how a body can get hold of
/// the handle of a body that delegates to it.
mod lent {
    use super::*;

    type Handle = Co<i32, ()>;

    thread_local! {
        static LENT: Cell<Option<*const Handle>> = const { Cell::new(None) };
    }

    struct TakeBack(Option<*const Handle>);

    impl Drop for TakeBack {
        fn drop(&mut self) {
            LENT.set(self.0);
        }
    }

    pub(super) fn lend<T>(co: &Handle, call: impl FnOnce() -> T) -> T {
        let _take_back = TakeBack(LENT.replace(Some(co)));
        call()
    }

    pub(super) fn with<T>(call: impl FnOnce(&Handle) -> T) -> T {
        let co = LENT.get().expect("nothing is lent");
        // SAFETY: `lend` borrows the handle until it has taken the pointer back, and these tests end calls in order.
        call(unsafe { &*co })
    }
}

#[test]
fn a_suspended_body_cannot_be_suspended_again() {
    let mut co = coroutine(|co: &Co<i32, ()>| lent::lend(co, || co.yield_(1)));
    co.prime().unwrap();
    let error = lent::with(|co| co.yield_(2)).unwrap_err();
    assert!(is_protocol(&error, ProtocolError::NotCurrent));
    assert_eq!(co.send(()).unwrap(), Step::Complete(()));
}

#[test]
fn a_delegation_refused_to_a_sub_coroutine_does_not_break_the_one_it_is_part_of() {
    listen();
    let live = Live::default();
    let kept = live.clone();
    let mut root = coroutine(|co: &Co<i32, ()>| {
        let mut sub = coroutine(|co: &Co<i32, ()>| {
            let _kept = kept;
            let mut other = coroutine(|co: &Co<i32, ()>| co.yield_(99));
            // Through the handle of the body that waits for this one.
            let error = lent::with(|root| root.yield_from(&mut other)).unwrap_err();
            assert!(is_protocol(&error, ProtocolError::NotCurrent));
            co.yield_(1)
        });
        lent::lend(co, || co.yield_from(&mut sub))
    });
    assert_eq!(root.prime().unwrap(), Step::Yielded(1));
    assert!(root.is_delegating());
    assert!(matches!(root.close(), Ok(None)));
    drop(root);
    assert_eq!(live.count(), 0);
    assert_eq!(reports(), [""; 0]);
}

#[test]
fn a_handle_lent_to_the_sub_coroutine_still_suspends_its_own_body_only() {
    let mut root = coroutine(|co: &Co<i32, ()>| {
        let mut sub = coroutine(|co: &Co<i32, ()>| {
            for attempt in [
                lent::with(|root| root.yield_(98)),
                lent::with(|root| root.yield_each([97])),
            ] {
                assert!(is_protocol(
                    &attempt.unwrap_err(),
                    ProtocolError::NotCurrent
                ));
            }
            co.yield_(1)
        });
        lent::lend(co, || co.yield_from(&mut sub))?;
        co.yield_(2)
    });
    let items: Result<Vec<_>, _> = root.by_ref().collect();
    assert_eq!(items.unwrap(), [1, 2]);
}

// Re-entrancy ---------------------------------------------------------------------------------------------------------

type Shared = SharedCoroutine<i32, i32, i32>;

/// A place where a body finds its own coroutine.
#[derive(Clone, Default)]
struct Slot(Rc<RefCell<Option<Shared>>>);

impl Slot {
    fn put(&self, shared: &Shared) {
        self.0.replace(Some(shared.clone()));
    }

    fn get(&self) -> Shared {
        self.0.borrow().clone().expect("it was put there")
    }
}

#[test]
fn a_coroutine_that_resumes_itself_is_told_so_by_every_call() {
    let slot = Slot::default();
    let own = slot.clone();
    let shared = coroutine(move |co: &Co<i32, i32>| {
        let me = own.get();
        assert_eq!(me.state(), State::Running);
        assert!(matches!(me.prime(), Err(Raised::AlreadyExecuting(None))));
        assert!(matches!(me.send(5), Err(Raised::AlreadyExecuting(Some(5)))));
        assert!(matches!(
            me.throw(std::fmt::Error),
            Err(Raised::AlreadyExecuting(None))
        ));
        assert!(matches!(
            me.throw(Exception::GeneratorExit),
            Err(Raised::AlreadyExecuting(None))
        ));
        assert!(matches!(me.close(), Err(Raised::AlreadyExecuting(None))));
        let error = co.yield_from(&me).unwrap_err();
        assert!(is_protocol(&error, ProtocolError::AlreadyExecuting));
        let error = co.yield_from_with(&me, 1).unwrap_err();
        assert!(is_protocol(&error, ProtocolError::AlreadyExecuting));
        co.yield_(7)
    })
    .shared();
    slot.put(&shared);
    assert_eq!(shared.prime().unwrap(), Step::Yielded(7));
    assert_eq!(shared.send(8).unwrap(), Step::Complete(8));
    assert_eq!(shared.state(), State::Closed);
    slot.0.take();
}

#[test]
fn a_ring_of_delegations_is_already_executing() {
    let slots = [Slot::default(), Slot::default(), Slot::default()];
    let members: Vec<Shared> = (0..3)
        .map(|n| {
            let next = slots[(n + 1) % 3].clone();
            coroutine(move |co: &Co<i32, i32>| {
                co.yield_(n as i32)?;
                co.yield_from_with(&next.get(), 0)
            })
            .shared()
        })
        .collect();
    for (slot, member) in slots.iter().zip(&members) {
        slot.put(member);
        member.prime().unwrap();
    }
    let raised = members[0].send(0).unwrap_err();
    assert!(is_protocol(
        raised.exception().unwrap(),
        ProtocolError::AlreadyExecuting
    ));
    assert!(members.iter().all(|m| m.state() == State::Closed));
    for slot in &slots {
        slot.0.take();
    }
}

#[test]
fn a_sub_coroutine_cannot_resume_the_chain_it_is_the_leaf_of() {
    let slot = Slot::default();
    let root = slot.clone();
    let shared = coroutine(move |co: &Co<i32, i32>| {
        let mut middle = coroutine(move |co: &Co<i32, i32>| {
            let mut leaf = coroutine(move |co: &Co<i32, i32>| {
                let root = root.get();
                for _ in 0..2 {
                    assert_eq!(root.state(), State::Running);
                    assert!(matches!(root.send(1), Err(Raised::AlreadyExecuting(_))));
                    assert!(matches!(root.close(), Err(Raised::AlreadyExecuting(_))));
                    let error = co.yield_from(&root).unwrap_err();
                    assert!(is_protocol(&error, ProtocolError::AlreadyExecuting));
                    co.yield_(1)?;
                }
                Ok(2)
            });
            co.yield_from(&mut leaf)
        });
        co.yield_from(&mut middle)
    })
    .shared();
    slot.put(&shared);
    assert_eq!(shared.prime().unwrap(), Step::Yielded(1));
    assert_eq!(shared.send(0).unwrap(), Step::Yielded(1));
    assert_eq!(shared.send(0).unwrap(), Step::Complete(2));
    slot.0.take();
}

#[test]
fn a_body_that_drops_the_last_other_owner_runs_on_and_is_closed_after_the_call() {
    let live = Live::default();
    let slot = Slot::default();
    let (own, kept) = (slot.clone(), live.clone());
    let shared = coroutine(move |co: &Co<i32, i32>| {
        let _kept = kept;
        co.yield_(1)?;
        drop(own.0.take());
        let result = co.yield_(2);
        assert!(matches!(result, Err(Exception::GeneratorExit)));
        result
    })
    .shared();
    slot.put(&shared);
    shared.prime().unwrap();
    drop(shared);
    let weak = slot.get().downgrade();
    // The only owners are the slot and this temporary; `resume` has neither when the body goes on.
    let resume = |slot: &Slot| {
        let borrowed = slot.get();
        let result = borrowed.send(0);
        drop(borrowed);
        result
    };
    assert_eq!(resume(&slot).unwrap(), Step::Yielded(2));
    assert_eq!(live.count(), 0);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_body_cannot_bring_its_coroutine_back_while_it_is_dropped() {
    let weak: Rc<RefCell<Option<yieldfrom::WeakCoroutine<i32, i32, i32>>>> = Rc::default();
    let (own, upgraded) = (weak.clone(), Rc::new(Cell::new(None)));
    let seen = upgraded.clone();
    let shared = coroutine(move |co: &Co<i32, i32>| {
        let result = co.yield_(1);
        let me = own.borrow().as_ref().and_then(|weak| weak.upgrade());
        seen.set(Some(me.is_some()));
        result
    })
    .shared();
    weak.replace(Some(shared.downgrade()));
    shared.prime().unwrap();
    drop(shared);
    assert_eq!(upgraded.get(), Some(false));
}

#[test]
fn one_shared_coroutine_serves_two_delegators_in_turns() {
    let shared = coroutine(|co: &Co<i32, i32>| {
        let mut sum = 0;
        while sum < 10 {
            sum += co.yield_(sum)?;
        }
        Ok(sum)
    })
    .shared();
    shared.prime().unwrap();
    let delegator = || {
        let shared = shared.clone();
        coroutine(move |co: &Co<i32, i32>| co.yield_from_with(&shared, 1))
    };
    let (mut first, mut second) = (delegator(), delegator());
    assert_eq!(first.prime().unwrap(), Step::Yielded(1));
    assert_eq!(second.prime().unwrap(), Step::Yielded(2));
    assert!(first.is_delegating() && second.is_delegating());
    assert_eq!(first.send(3).unwrap(), Step::Yielded(5));
    assert_eq!(shared.send(1).unwrap(), Step::Yielded(6));
    assert_eq!(second.send(4).unwrap(), Step::Complete(10));
    // The other one finds it finished.
    let raised = first.send(1).unwrap_err();
    assert!(is_protocol(
        raised.exception().unwrap(),
        ProtocolError::Exhausted
    ));
}

#[test]
fn a_shared_coroutine_closed_while_it_is_delegated_to_is_exhausted_for_the_delegator() {
    let shared = coroutine(|co: &Co<i32, i32>| co.yield_(1)).shared();
    let sub = shared.clone();
    let mut delegator = coroutine(move |co: &Co<i32, i32>| co.yield_from(&sub));
    delegator.prime().unwrap();
    assert!(matches!(shared.close(), Ok(None)));
    assert!(delegator.is_delegating());
    let raised = delegator.send(1).unwrap_err();
    assert!(is_protocol(
        raised.exception().unwrap(),
        ProtocolError::Exhausted
    ));
    assert_eq!(delegator.state(), State::Closed);
}

#[test]
fn a_delegator_closed_while_others_own_its_shared_sub_coroutine_closes_it() {
    let shared = coroutine(|co: &Co<i32, i32>| co.yield_(1)).shared();
    let sub = shared.clone();
    let mut delegator = coroutine(move |co: &Co<i32, i32>| co.yield_from(&sub));
    delegator.prime().unwrap();
    assert!(matches!(delegator.close(), Ok(None)));
    assert_eq!(shared.state(), State::Closed);
    assert!(matches!(shared.send(3), Err(Raised::Exhausted(Some(3)))));
}

#[test]
fn a_sub_coroutine_in_a_ref_cell_is_borrowed_as_long_as_it_is_delegated_to() {
    type Sub = Coroutine<i32, i32, i32>;
    let sub: Rc<RefCell<Sub>> = Rc::new(RefCell::new(coroutine(|co: &Co<i32, i32>| {
        let a = co.yield_(1)?;
        let b = match co.yield_(2) {
            Err(Exception::GeneratorExit) => co.yield_(3)?, // ignores the exit
            sent => sent?,
        };
        Ok(a + b)
    })));
    let lent = sub.clone();
    let mut delegator = coroutine(move |co: &Co<i32, i32>| co.yield_from(&mut *lent.borrow_mut()));
    delegator.prime().unwrap();
    assert!(sub.try_borrow().is_err());
    assert_eq!(delegator.send(10).unwrap(), Step::Yielded(2));
    // Broken off, the sub-coroutine goes on alone.
    let raised = delegator.close().unwrap_err();
    assert!(is_protocol(
        raised.exception().unwrap(),
        ProtocolError::IgnoredExit
    ));
    drop(delegator);
    assert_eq!(sub.borrow().state(), State::Suspended);
    assert_eq!(sub.borrow_mut().send(20).unwrap(), Step::Complete(30));
}

#[test]
fn a_generator_cannot_be_dropped_or_resumed_by_its_own_body() {
    let slot: Rc<RefCell<Option<Generator<bool>>>> = Rc::default();
    let own = slot.clone();
    slot.replace(Some(generator(move |y| {
        y.yield_(own.try_borrow_mut().is_err());
    })));
    let first = slot.borrow_mut().as_mut().and_then(Iterator::next);
    assert_eq!(first, Some(true));
    slot.take();
}

#[test]
fn two_shared_coroutines_that_resume_each_other_report_it() {
    let slot = Slot::default();
    let other = slot.clone();
    let ping = coroutine(move |co: &Co<i32, i32>| {
        let n = co.yield_(0)?;
        Ok(match other.get().send(n + 1)? {
            Step::Yielded(n) | Step::Complete(n) => n,
        })
    })
    .shared();
    let back = ping.clone();
    let pong = coroutine(move |co: &Co<i32, i32>| {
        let n = co.yield_(0)?;
        match back.send(n + 1) {
            Err(Raised::AlreadyExecuting(Some(n))) => Ok(n),
            other => panic!("{other:?}"),
        }
    })
    .shared();
    slot.put(&pong);
    ping.prime().unwrap();
    pong.prime().unwrap();
    assert_eq!(ping.send(1).unwrap(), Step::Complete(3));
    slot.0.take();
}

#[test]
fn finished_ones_stay_finished_and_hand_values_back() {
    let live = Live::default();
    let mut co = coroutine(|co: &Co<(), Live>| co.yield_(()));
    assert!(matches!(co.send(live.clone()), Err(Raised::JustStarted(_))));
    co.prime().unwrap();
    assert_eq!(live.count(), 0);
    let Ok(Step::Complete(returned)) = co.send(live.clone()) else {
        panic!("it returns what it is sent");
    };
    assert!(matches!(co.send(returned), Err(Raised::Exhausted(Some(_)))));
    assert!(matches!(co.prime(), Err(Raised::Exhausted(None))));
    assert!(matches!(co.close(), Ok(None)));
    assert_eq!(live.count(), 0);
}

// Values of every shape -----------------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(align(64))]
struct Wide(u8);

#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(align(64))]
struct WideNothing;

/// Sends, yields and returns values of one type, and looks at their addresses.
fn travels<T: Copy + PartialEq + std::fmt::Debug + 'static>(values: [T; 3]) {
    fn aligned<T>(value: &T) -> bool {
        std::ptr::from_ref(value) as usize % align_of::<T>() == 0
    }
    let [a, b, c] = values;
    let captured = a;
    let mut co = coroutine(move |co: &Co<T, T>| {
        assert!(aligned(&captured));
        let sent = co.yield_(captured)?;
        assert!(aligned(&sent));
        let mut sub = coroutine(move |co: &Co<T, T>| co.yield_(sent));
        co.yield_from(&mut sub)
    });
    assert_eq!(co.prime().unwrap(), Step::Yielded(a));
    assert_eq!(co.send(b).unwrap(), Step::Yielded(b));
    let step = co.send(c).unwrap();
    assert!(matches!(&step, Step::Complete(value) if aligned(value)));
    assert_eq!(step, Step::Complete(c));
    assert_eq!(
        generator(move |y| y.yield_from(values)).collect::<Vec<_>>(),
        values
    );
}

#[test]
fn values_of_every_size_and_alignment_travel_both_ways() {
    travels([(); 3]);
    travels([1u8, 2, 3]);
    travels([0x0102_0304_0506_0708u64, 2, u64::MAX]);
    travels([[1u8; 9], [2; 9], [3; 9]]);
    travels([[1u16; 3], [2; 3], [3; 3]]);
    travels([1u128, 2, u128::MAX]);
    travels([[1u8; 4096], [2; 4096], [3; 4096]]);
    travels([Wide(1), Wide(2), Wide(3)]);
    travels([WideNothing; 3]);
    travels([Some(1u64), None, Some(3)]);
    travels(["one", "two", "three"]);
}

/// `N` bytes and one count.
#[derive(Clone, Debug)]
struct Heavy<const N: usize>(#[allow(dead_code)] [u8; N], #[allow(dead_code)] Live);

fn dropped_once<const N: usize>() {
    let live = Live::default();
    let heavy = || Heavy([0; N], live.clone());
    let make = || {
        coroutine(|co: &Co<Heavy<N>, Heavy<N>>| {
            let sent = co.yield_(co.yield_(Heavy([0; N], Live::default()))?)?;
            let mut sub = coroutine(move |co: &Co<Heavy<N>, Heavy<N>>| co.yield_(sent));
            co.yield_from(&mut sub)
        })
    };
    // Refused before the start and after the end.
    let mut co = make();
    assert!(co.send(heavy()).unwrap_err().into_value().is_some());
    assert_eq!(live.count(), 0);
    // Through a whole life, and closed at each step.
    for steps in 0..5 {
        let mut co = make();
        let mut last = co.prime();
        for _ in 0..steps {
            last = co.send(heavy());
        }
        drop(last);
        let close_by_hand = steps % 2 == 0;
        if close_by_hand {
            drop(co.close());
        }
        drop(co);
        assert_eq!(live.count(), 0, "after {steps} steps");
    }
    // Dropped with a value that nobody has asked for, unwound, exhausted, leaked.
    let (first, second) = (heavy(), heavy());
    let mut g = generator(move |y| {
        y.yield_(first);
        y.yield_(second);
    });
    assert!(g.next().is_some());
    assert_eq!(live.count(), 1);
    g.close();
    assert!(g.next().is_none());
    assert_eq!(live.count(), 0);
    let returned = heavy();
    let mut g = generator(move |y| {
        y.yield_(());
        returned
    });
    g.by_ref().for_each(drop);
    assert_eq!(live.count(), 1);
    drop(g);
    assert_eq!(live.count(), 0);
    let kept = heavy();
    let mut g = generator(move |y| {
        let _kept = kept;
        y.yield_(());
    });
    g.next();
    std::mem::forget(g);
    assert_eq!(live.count(), 1, "a forgotten one keeps what it has");
}

#[test]
fn values_are_dropped_exactly_once_on_every_way_out() {
    dropped_once::<0>();
    dropped_once::<1>();
    dropped_once::<9>();
    dropped_once::<4096>();
}

// Many and deep -------------------------------------------------------------------------------------------------------

#[test]
fn a_hundred_thousand_come_and_go() {
    let live = Live::default();
    for n in 0..100_000 {
        let kept = live.clone();
        let mut g = generator(move |y| {
            let _kept = kept;
            y.yield_(n);
        });
        if n % 3 != 0 {
            assert_eq!(g.next(), Some(n));
        }
        if n % 3 == 1 {
            assert_eq!(g.next(), None);
        }
        // One third is dropped created, finished and suspended each. Unwinding is slow, so most of those are skipped.
        if n % 3 == 2 && n % 100 != 2 {
            assert_eq!(g.next(), None);
        }
    }
    let all: Vec<_> = (0..100_000)
        .map(|_| {
            let kept = live.clone();
            coroutine(move |co: &Co<(), ()>| {
                let _kept = kept;
                co.yield_(())
            })
        })
        .collect();
    assert_eq!(live.count(), 100_000);
    drop(all);
    assert_eq!(live.count(), 0);
}

#[test]
fn a_thousand_generators_drive_one_another() {
    fn tower(live: Live, height: usize) -> Generator<usize> {
        Builder::new().stack_size(64 * 1024).generator(move |y| {
            if height > 0 {
                y.yield_from(tower(live.clone(), height - 1).map(|n| n + 1));
            }
            y.yield_(0);
        })
    }
    let live = Live::default();
    let items: Vec<_> = tower(live.clone(), 1000).collect();
    assert_eq!((items[0], items[1000]), (1000, 0));
    assert_eq!(live.count(), 0);
    let mut early = tower(live.clone(), 1000);
    assert_eq!(early.next(), Some(1000));
    drop(early);
    assert_eq!(live.count(), 0);
}

#[test]
fn a_thousand_delegations_are_one_chain() {
    fn chain(live: Live, length: usize) -> Coroutine<usize, usize, usize> {
        Builder::new()
            .stack_size(64 * 1024)
            .coroutine(move |co: &Co<usize, usize>| {
                let _live = live.clone();
                let mut sum = if length > 0 {
                    co.yield_from(&mut chain(live, length - 1))?
                } else {
                    0
                };
                sum += co.yield_(length)?;
                Ok(sum)
            })
    }
    let live = Live::default();
    let mut whole = chain(live.clone(), 1000);
    assert_eq!(whole.prime().unwrap(), Step::Yielded(0));
    for n in 1..=1000 {
        assert_eq!(whole.send(1).unwrap(), Step::Yielded(n));
    }
    assert_eq!(whole.send(1).unwrap(), Step::Complete(1001));
    for end in 0..3 {
        let mut early = chain(live.clone(), 1000);
        early.prime().unwrap();
        early.send(1).unwrap();
        match end {
            0 => assert!(matches!(early.close(), Ok(None))),
            1 => assert!(early.throw(std::fmt::Error).is_err()),
            _ => {}
        }
        drop(early);
        assert_eq!(live.count(), 0);
    }
}

// Chains in every order -----------------------------------------------------------------------------------------------

/// A small generator of pseudo-random numbers (xorshift64), so that every run is the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

type Node = Coroutine<u64, u64, u64>;

/// What the bodies of one random program share.
struct Program {
    dice: RefCell<Dice>,
    live: Live,
    /// Coroutines that somebody has put aside: created, suspended with a chain below them, or closed.
    aside: RefCell<Vec<Rc<RefCell<Node>>>>,
    budget: Cell<u32>,
}

impl Program {
    fn roll(&self, sides: u64) -> u64 {
        self.dice.borrow_mut().roll(sides)
    }
}

fn node(program: &Rc<Program>, depth: u32) -> Node {
    let (program, live) = (program.clone(), program.live.clone());
    Builder::new()
        .stack_size(64 * 1024)
        .coroutine(move |co: &Co<u64, u64>| {
            let _live = live;
            body(&program, co, depth)
        })
}

/// Yields on drop, whatever is going on then.
struct Clingy<'a>(&'a Co<u64, u64>);

impl Drop for Clingy<'_> {
    fn drop(&mut self) {
        let _ = self.0.yield_(77);
    }
}

fn body(program: &Rc<Program>, co: &Co<u64, u64>, depth: u32) -> Result<u64, Exception> {
    let mut sum = 0;
    while program.budget.get() > 0 {
        program.budget.set(program.budget.get() - 1);
        let result = match program.roll(16) {
            0..=3 => co.yield_(sum),
            4..=7 if depth > 0 => {
                let mut sub = node(program, depth - 1);
                if program.roll(3) == 0 {
                    match sub.prime() {
                        Ok(_) => co.yield_from_with(&mut sub, 1),
                        Err(raised) => Err(raised.into()),
                    }
                } else {
                    co.yield_from(&mut sub)
                }
            }
            8 | 9 => delegate_aside(program, co),
            10 if depth > 0 => {
                let sub = node(program, depth - 1);
                program.aside.borrow_mut().push(Rc::new(RefCell::new(sub)));
                Ok(1)
            }
            11 => {
                act(program);
                Ok(1)
            }
            12 => return Ok(sum),
            13 => return Err(std::fmt::Error.into()),
            14 => {
                let _clingy = Clingy(co);
                co.yield_(sum)
            }
            15 if program.roll(4) == 0 => std::panic::resume_unwind(Box::new("a random panic")),
            _ => catch_unwind(AssertUnwindSafe(|| co.yield_(sum))).unwrap_or(Ok(0)),
        };
        match result {
            Ok(n) => sum += n,
            // One in four swallows whatever it is, an exit too.
            Err(_) if program.roll(4) == 0 => {}
            Err(exception) => return Err(exception),
        }
    }
    Ok(sum)
}

fn delegate_aside(program: &Rc<Program>, co: &Co<u64, u64>) -> Result<u64, Exception> {
    let Some(sub) = pick(program) else {
        return Ok(0);
    };
    let Ok(mut sub) = sub.try_borrow_mut() else {
        return Ok(0);
    };
    match sub.state() {
        State::Suspended => co.yield_from_with(&mut *sub, 2),
        _ => co.yield_from(&mut *sub),
    }
}

fn pick(program: &Program) -> Option<Rc<RefCell<Node>>> {
    let aside = program.aside.borrow();
    let count = aside.len() as u64;
    (count > 0).then(|| aside[program.roll(count) as usize].clone())
}

/// Does something to one of the coroutines that were put aside.
fn act(program: &Program) {
    let Some(node) = pick(program) else { return };
    let what = program.roll(8);
    if what == 0 {
        let mut aside = program.aside.borrow_mut();
        let last = aside.pop();
        drop(aside);
        drop(last);
        return;
    }
    let Ok(mut node) = node.try_borrow_mut() else {
        return;
    };
    drive(&mut node, what);
}

fn drive(node: &mut Node, what: u64) {
    let _ = catch_unwind(AssertUnwindSafe(|| match (what, node.state()) {
        (_, State::Created) => drop(node.prime()),
        (1..=4, _) => drop(node.send(1)),
        (5, _) => drop(node.throw(std::fmt::Error)),
        (6, _) => drop(node.throw(Exception::GeneratorExit)),
        _ => drop(node.close()),
    }));
}

#[test]
fn random_chains_neither_crash_nor_leak() {
    listen();
    let rounds = 3000;
    for seed in 1..=rounds {
        let live = Live::default();
        let program = Rc::new(Program {
            dice: RefCell::new(Dice(0x9e37_79b9_7f4a_7c15 ^ (seed << 20))),
            live: live.clone(),
            aside: RefCell::default(),
            budget: Cell::new(60),
        });
        let mut root = node(&program, 4);
        for _ in 0..30 {
            let what = 1 + program.roll(8);
            if what == 8 {
                act(&program);
            } else {
                drive(&mut root, what);
            }
        }
        // What is left of the budget would keep bodies from ending by value.
        program.budget.set(program.budget.get().min(5));
        drop(root);
        while let Some(node) = { program.aside.borrow_mut().pop() } {
            drop(node);
        }
        drop(program);
        let leaked = reports().iter().any(|report| report.contains("leaked"));
        assert!(live.count() == 0 || leaked, "seed {seed}: {}", live.count());
        assert!(!std::thread::panicking() || leaked, "seed {seed}");
    }
}
