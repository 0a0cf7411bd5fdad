//! The rows of the protocol's catalogue that the ports of CPython's own tests do not show, and what only Rust can ask.
//!
//! Each test names its row. The other rows are shown elsewhere (`gen` = `cpython_generators.rs`, `yf` =
//! `cpython_yield_from.rs`, `stop` = `cpython_generator_stop.rs`):
//!
//! | row | shown by |
//! |---|---|
//! | G-002, G-003, G-109 | gen `test_generator_gi_yieldfrom` |
//! | G-005 | gen `pep::exceptions_propagate_and_end_the_generator` |
//! | G-006 | gen `email::a_generator_is_its_own_iterator` |
//! | G-007 | gen `coroutines::yield_by_itself` |
//! | G-011, G-165 | gen `test_send_non_none_to_new_gen` |
//! | G-013 | gen `coroutines::sending_a_value_into_a_started_generator` |
//! | G-015 | gen `test_return_tuple`, `test_return_stopiteration` |
//! | G-020, G-021, G-022 | yf `test_next_and_return_with_value` |
//! | G-026, G-027 | stop; gen `test_stopiteration_error`, `test_tutorial_stopiteration` |
//! | G-030, G-031, G-033 | gen `coroutines::throw_conditions` |
//! | G-034, G-095 | yf `test_catching_exception_from_subgen_and_returning` |
//! | G-038 | yf `test_close_and_throw_work` |
//! | G-040 | gen `coroutines::generator_exit_is_not_caught_by_except_exception` |
//! | G-041 | gen `coroutines::raising_again_keeps_the_instance` |
//! | G-050, G-051, G-052 | gen `coroutines::closing`, `test_close_not_started`, `test_close_closed` |
//! | G-053, G-054 | gen `test_close_return_value`, `test_close_not_catching_exit` |
//! | G-055, G-056 | gen `coroutines::an_ill_behaved_generator` |
//! | G-058 | gen `coroutines::errors_raised_during_closing_propagate` |
//! | G-062 | gen `test_close_releases_frame_locals` |
//! | G-073 | yf `test_attempted_yield_from_loop` |
//! | G-080 | gen `coroutines::finalization` |
//! | G-090 | yf `test_delegation_of_initial_next_to_subgenerator` |
//! | G-091 | yf `test_generator_return_value` |
//! | G-092 | yf `test_delegation_of_send` |
//! | G-093 | yf `test_returning_value_from_delegated_throw` |
//! | G-094 | yf `test_delegating_throw` |
//! | G-096, G-097 | yf `test_delegating_close`, `test_handing_exception_while_delegating_close` |
//! | G-099, G-100 | yf `test_throwing_GeneratorExit_into_subgen_that_returns`, `.._that_raises` |
//! | G-101, G-102 | yf `test_conversion_of_sendNone_to_next`, `test_attempting_to_send_to_non_generator` |
//! | G-106 | yf `test_yield_from_empty` |
//! | G-111 | yf `test_exception_in_initial_next_call` |
//!
//! These say nothing about the crate:
//!
//! | row | why |
//! |---|---|
//! | G-009 | does not compile: see `Generator` |
//! | G-029 | one kind of body, one message |
//! | G-035, G-036 | does not compile: `throw` takes one `Into<Exception>` |
//! | G-074, B-1 | does not compile: see `Coroutine`, Threads |
//! | G-085 | not observable: a body is always told, and its state is `Running` meanwhile |
//! | G-122, G-123 | no current exception, no implicit `__context__`: an exception is a value |
//! | G-163 | does not compile: a delegation borrows its coroutine (a shared one follows G-108) |
//! | G-164 | does not compile: see `Coroutine`, Iteration |
//! | G-166 | `#[must_use]`, a warning of the compiler |
//! | R-10 | does not compile: see `generator`, `scoped` |

use std::cell::{Cell, OnceCell, RefCell};
use std::error::Error;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, Once};

use yieldfrom::pipe::{Closed, Receiver, Sink, Target, sink};
use yieldfrom::{
    Co, Coroutine, Exception, Generator, ProtocolError, Raised, SharedCoroutine, State, Step,
    WeakCoroutine, Yielder, coroutine, generator, scoped, set_unraisable_hook,
};

type Test = Result<(), Exception>;

macro_rules! errors {
    ($($name:ident)*) => {$(
        #[derive(Debug, PartialEq)]
        struct $name(&'static str);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }

        impl Error for $name {}
    )*};
}

errors! { ValueError TypeError KeyError RuntimeError ZeroDivisionError }

/// The events of one test, in order.
#[derive(Clone, Default)]
struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    fn push(&self, event: impl Into<String>) {
        self.0.borrow_mut().push(event.into());
    }

    /// Logs `event` when it goes out of scope.
    fn finally(&self, event: &'static str) -> Finally {
        Finally(self.clone(), event)
    }

    /// Compares what was logged since the last call.
    #[track_caller]
    fn assert(&self, events: &[&str]) {
        assert_eq!(self.0.take(), events);
    }
}

struct Finally(Trace, &'static str);

impl Drop for Finally {
    fn drop(&mut self) {
        self.0.push(self.1);
    }
}

/// A name that is bound only after the body that looks it up has been made.
struct Name<Y, S, R>(Rc<OnceCell<WeakCoroutine<Y, S, R>>>);

impl<Y, S, R> Name<Y, S, R> {
    fn get(&self) -> SharedCoroutine<Y, S, R> {
        self.0.get().and_then(WeakCoroutine::upgrade).unwrap()
    }
}

impl<Y, S, R> Clone for Name<Y, S, R> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

fn bind<Y, S, R>(
    make: impl FnOnce(Name<Y, S, R>) -> Coroutine<Y, S, R>,
) -> SharedCoroutine<Y, S, R> {
    let name = Name(Rc::default());
    let shared = make(name.clone()).shared();
    assert!(name.0.set(shared.downgrade()).is_ok());
    shared
}

/// Python's `next(g)`.
fn next<Y, R>(g: &mut Coroutine<Y, (), R>) -> Result<Step<Y, R>, Raised> {
    match g.state() {
        State::Created => g.prime(),
        _ => g.send(()),
    }
}

/// The error of type `E` that a call raised.
#[track_caller]
fn raised<E: Error + 'static>(result: Result<impl Debug, Raised<impl Debug>>) -> E {
    match result {
        Err(Raised::Exception(exception)) => exception.downcast().unwrap(),
        other => panic!("expected an exception, got {other:?}"),
    }
}

#[track_caller]
fn raised_exit(result: Result<impl Debug, Raised<impl Debug>>) {
    match result {
        Err(Raised::Exception(Exception::GeneratorExit)) => {}
        other => panic!("expected GeneratorExit, got {other:?}"),
    }
}

thread_local! {
    static UNRAISABLE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What `body` makes report as unraisable.
fn unraisable(body: impl FnOnce()) -> Vec<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        set_unraisable_hook(|unraisable| {
            UNRAISABLE.with_borrow_mut(|seen| seen.push(unraisable.to_string()));
        });
    });
    UNRAISABLE.take();
    body();
    UNRAISABLE.take()
}

const IGNORED: &str = "while dropping coroutine '<unnamed>': it ignored GeneratorExit";

/// The message of the panic that `body` ends with.
#[track_caller]
fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(_) => panic!("expected a panic"),
        Err(payload) => match payload.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => *payload.downcast::<String>().unwrap(),
        },
    }
}

/// Yields 1, 2, 3.
fn one_two_three() -> Coroutine<i32, ()> {
    coroutine(|co| co.yield_each(1..=3))
}

// State machine

/// G-001.
#[test]
fn making_one_runs_nothing() {
    let trace = Trace::default();
    let ran = trace.clone();
    let co: Coroutine<(), ()> = coroutine(move |_| {
        ran.push("ran");
        Ok(())
    });
    assert_eq!(co.state(), State::Created);
    let ran = trace.clone();
    let g: Generator<()> = generator(move |_| ran.push("ran"));
    assert_eq!(g.state(), State::Created);
    drop((co, g));
    trace.assert(&[]);
}

/// G-004.
#[test]
fn returning_closes_it_and_frees_what_it_held() -> Test {
    let held = Rc::new(());
    let local = Rc::clone(&held);
    let mut co: Coroutine<(), ()> = coroutine(move |co| {
        let _local = local;
        co.yield_(())
    });
    next(&mut co)?;
    assert_eq!(Rc::strong_count(&held), 2);
    assert_eq!(next(&mut co)?, Step::Complete(()));
    assert_eq!(co.state(), State::Closed);
    assert_eq!(Rc::strong_count(&held), 1);
    Ok(())
}

/// G-008.
#[test]
fn locals_persist_and_two_of_one_function_are_independent() {
    let count = || generator(|y| (0..3).for_each(|n| y.yield_(n)));
    let (mut a, mut b) = (count(), count());
    let taken = [a.next(), a.next(), b.next(), a.next(), b.next()];
    assert_eq!(taken.map(Option::unwrap), [0, 1, 0, 2, 1]);
}

// Priming and send

/// G-010.
#[test]
fn prime_is_next_on_a_fresh_one_whatever_it_is_sent_later() -> Test {
    let mut co: Coroutine<char, String> = coroutine(|co| co.yield_('a').map(drop));
    assert_eq!(co.prime()?, Step::Yielded('a'));
    assert!(matches!(co.prime(), Err(Raised::AlreadyStarted)));
    assert_eq!(co.state(), State::Suspended);
    Ok(())
}

/// G-012.
#[test]
fn yield_returns_what_was_sent_or_nothing() -> Test {
    let got = Rc::new(RefCell::new(Vec::new()));
    let mut co: Coroutine<(), Option<i32>> = coroutine({
        let got = Rc::clone(&got);
        move |co| {
            loop {
                let sent = co.yield_(())?;
                got.borrow_mut().push(sent);
            }
        }
    });
    co.prime()?;
    co.send(None)?;
    co.send(Some(42))?;
    assert_eq!(*got.borrow(), [None, Some(42)]);
    Ok(())
}

/// G-014.
#[test]
fn who_sends_to_a_closed_one_gets_the_value_back() -> Test {
    let body = |co: &Co<(), String>| co.yield_(()).map(drop);
    let mut finished = coroutine(body);
    finished.prime()?;
    assert_eq!(finished.send("last".to_owned())?, Step::Complete(()));
    let mut closed = coroutine(body);
    closed.prime()?;
    closed.close()?;
    for mut co in [finished, closed] {
        let refused = co.send("late".to_owned()).unwrap_err();
        assert!(matches!(refused, Raised::Exhausted(Some(_))));
        assert_eq!(refused.into_value().as_deref(), Some("late"));
        assert!(matches!(co.prime(), Err(Raised::Exhausted(None))));
    }
    Ok(())
}

/// G-016.
#[test]
fn a_primed_one_takes_its_first_value() -> Test {
    let trace = Trace::default();
    let log = trace.clone();
    let mut co = coroutine(move |co: &Co<(), &str>| {
        loop {
            log.push(co.yield_(())?);
        }
        #[expect(unreachable_code, reason = "it says what is returned")]
        Ok(())
    })
    .primed()?;
    co.send("x")?;
    trace.assert(&["x"]);
    Ok(())
}

/// G-017.
#[test]
fn priming_one_that_does_not_yield_is_an_error() {
    let co: Coroutine<(), (), i32> = coroutine(|_| Ok(3));
    assert!(matches!(co.primed(), Err(Raised::DidNotYield)));
    let co: Coroutine<(), (), i32> = coroutine(|_| Err(ValueError("early").into()));
    let error: ValueError = raised(co.primed());
    assert_eq!(error, ValueError("early"));
}

/// G-018.
#[test]
fn yield_nests_in_any_expression() -> Test {
    let mut co: Coroutine<&str, i32, Vec<i32>> = coroutine(|co| {
        let pair = [co.yield_("a")?, co.yield_("b")? * co.yield_("c")?];
        Ok(pair.to_vec())
    });
    assert_eq!(co.prime()?, Step::Yielded("a"));
    assert_eq!(co.send(2)?, Step::Yielded("b"));
    assert_eq!(co.send(3)?, Step::Yielded("c"));
    assert_eq!(co.send(4)?, Step::Complete(vec![2, 12]));
    Ok(())
}

// Return values

/// G-023.
#[test]
fn the_return_value_is_delivered_once() -> Test {
    let mut co: Coroutine<(), (), i32> = coroutine(|_| Ok(7));
    assert_eq!(next(&mut co)?, Step::Complete(7));
    assert!(matches!(next(&mut co), Err(Raised::Exhausted(_))));
    assert_eq!(co.close()?, None);

    let mut g: Generator<(), i32> = generator(|_| 7);
    assert_eq!(g.next(), None);
    assert_eq!(g.take_return(), Some(7));
    assert_eq!(g.take_return(), None);
    assert_eq!(g.next(), None);
    Ok(())
}

/// G-024.
#[test]
fn iteration_drops_the_return_value_unless_it_is_asked_for() -> Test {
    let body = |y: &Yielder<&'static str>| {
        y.yield_("g2");
        [42]
    };
    assert_eq!(generator(body).collect::<Vec<_>>(), ["g2"]);
    assert_eq!(generator(body).into_return(), Some([42]));
    let mut co: Coroutine<&str, (), [i32; 1]> = coroutine(|co| {
        co.yield_("g2")?;
        Ok([42])
    });
    assert_eq!(co.by_ref().collect::<Result<Vec<_>, _>>()?, ["g2"]);
    assert!(matches!(co.send(()), Err(Raised::Exhausted(_))));
    Ok(())
}

/// G-025.
#[test]
fn what_is_yielded_on_the_way_out_comes_before_the_return() -> Test {
    let mut co: Coroutine<&str, (), i32> = coroutine(|co| {
        let returned = 1;
        co.yield_("fin")?; // `finally`
        Ok(returned)
    });
    assert_eq!(next(&mut co)?, Step::Yielded("fin"));
    assert_eq!(next(&mut co)?, Step::Complete(1));
    Ok(())
}

/// G-028.
#[test]
fn a_default_in_place_of_the_end() {
    let mut g: Generator<&str> = generator(|_| ());
    assert_eq!(g.next().unwrap_or("d"), "d");
}

// throw

/// G-032.
#[test]
fn throwing_into_a_fresh_one_drops_its_body_unrun() {
    let trace = Trace::default();
    let captured = trace.finally("captures dropped");
    let ran = trace.clone();
    let mut co: Coroutine<(), ()> = coroutine(move |co| {
        let _captured = captured;
        let _finally = ran.finally("finally");
        co.yield_(())
    });
    let error: ValueError = raised(co.throw(ValueError("7")));
    assert_eq!(error, ValueError("7"));
    assert_eq!(co.state(), State::Closed);
    trace.assert(&["captures dropped"]);
    assert!(matches!(next(&mut co), Err(Raised::Exhausted(_))));
}

/// G-037.
#[test]
fn an_exit_that_is_thrown_comes_out() -> Test {
    let mut co: Coroutine<(), ()> = coroutine(|co| co.yield_(()));
    next(&mut co)?;
    raised_exit(co.throw(Exception::GeneratorExit));
    assert_eq!(co.state(), State::Closed);

    // And so from a fresh and a closed one, and where the body raises it itself.
    raised_exit(co.throw(Exception::GeneratorExit));
    let mut fresh: Coroutine<(), ()> = coroutine(|co| co.yield_(()));
    raised_exit(fresh.throw(Exception::GeneratorExit));
    let mut raising: Coroutine<(), ()> = coroutine(|_| Err(Exception::GeneratorExit));
    raised_exit(raising.prime());

    // One that yields instead does not ignore an order: this is not `close`.
    let mut yielding: Coroutine<i32, ()> = coroutine(|co| {
        let _exit = co.yield_(1);
        co.yield_(2)
    });
    next(&mut yielding)?;
    assert_eq!(yielding.throw(Exception::GeneratorExit)?, Step::Yielded(2));
    Ok(())
}

/// G-039, where CPython from 3.12 on has a bug.
#[test]
fn throwing_stop_iteration_into_a_fresh_one_does_not_end_it_quietly() {
    let mut co = one_two_three();
    let error: ProtocolError = raised(co.throw(ProtocolError::Exhausted));
    assert_eq!(error, ProtocolError::Exhausted);
}

// close

/// G-057.
#[test]
fn one_that_always_ignores_the_exit() -> Test {
    let trace = Trace::default();
    let log = trace.clone();
    let mut co: Coroutine<(), ()> = coroutine(move |co| {
        let _finally = log.finally("unwound");
        loop {
            match co.yield_(()) {
                Ok(()) | Err(Exception::GeneratorExit) => {}
                Err(other) => return Err(other),
            }
        }
    });
    next(&mut co)?;
    for _ in 0..3 {
        assert!(matches!(co.close(), Err(Raised::IgnoredExit)));
        assert_eq!(co.state(), State::Suspended);
    }
    trace.assert(&[]);
    assert_eq!(unraisable(|| drop(co)), [IGNORED]);
    trace.assert(&["unwound"]);
    Ok(())
}

/// G-059.
#[test]
fn an_exit_raised_anew_while_closing_is_swallowed_and_stop_iteration_is_not() -> Test {
    let raising = |exception: Exception| {
        coroutine(|co: &Co<(), ()>| -> Test {
            let _exit = co.yield_(());
            Err(exception)
        })
    };
    let mut co = raising(Exception::GeneratorExit).primed()?;
    assert_eq!(co.close()?, None);
    let mut co = raising(ProtocolError::Exhausted.into()).primed()?;
    let error: ProtocolError = raised(co.close());
    assert_eq!(error, ProtocolError::Exhausted);
    Ok(())
}

/// G-060.
#[test]
fn a_yield_on_the_way_out_ignores_the_exit() -> Test {
    let trace = Trace::default();
    let log = trace.clone();
    let mut co: Coroutine<(), ()> = coroutine(move |co| {
        let tried = co.yield_(());
        co.yield_(())?;
        log.push("after");
        tried
    });
    next(&mut co)?;
    assert!(matches!(co.close(), Err(Raised::IgnoredExit)));
    // The exit is not forgotten: it is what the body leaves by in the end.
    raised_exit(next(&mut co));
    trace.assert(&["after"]);
    Ok(())
}

/// G-061.
#[test]
fn a_return_on_the_way_out_swallows_the_exit() -> Test {
    let mut co: Coroutine<(), (), &str> = coroutine(|co| {
        let _tried = co.yield_(());
        Ok("r")
    });
    next(&mut co)?;
    assert_eq!(co.close()?, Some("r"));
    Ok(())
}

// Re-entrancy

/// G-070.
#[test]
fn one_that_resumes_itself_is_told_so_and_goes_on() -> Test {
    let co = bind(|me: Name<String, i32, ()>| {
        coroutine(move |co| {
            co.yield_(format!("{:?}", me.get().prime().unwrap_err()))?;
            co.yield_(format!("{:?}", me.get().send(5).unwrap_err()))?;
            Ok(())
        })
    });
    assert_eq!(
        co.prime()?.yielded().as_deref(),
        Some("AlreadyExecuting(None)")
    );
    assert_eq!(
        co.send(0)?.yielded().as_deref(),
        Some("AlreadyExecuting(Some(5))")
    );
    assert_eq!(co.state(), State::Suspended);
    Ok(())
}

/// G-071.
#[test]
fn one_that_closes_or_throws_into_itself_is_told_so_and_goes_on() -> Test {
    let co = bind(|me: Name<String, (), ()>| {
        coroutine(move |co| {
            co.yield_(format!("{:?}", me.get().throw(ValueError("")).unwrap_err()))?;
            co.yield_(format!("{:?}", me.get().close().unwrap_err()))
        })
    });
    let told = Some("AlreadyExecuting(None)");
    assert_eq!(co.prime()?.yielded().as_deref(), told);
    assert_eq!(co.send(())?.yielded().as_deref(), told);
    assert_eq!(co.send(())?, Step::Complete(()));
    Ok(())
}

/// G-072. CPython 3.10 and 3.11 corrupt memory here.
#[test]
fn a_delegator_runs_while_its_sub_coroutine_does() -> Test {
    let trace = Trace::default();
    let log = trace.clone();
    let outer = bind(|outer: Name<i32, (), ()>| {
        coroutine(move |co| {
            let mut inner = coroutine(move |co: &Co<i32, ()>| {
                for n in 1..=2 {
                    let outer = outer.get();
                    log.push(format!("{:?}", outer.state()));
                    log.push(format!("{:?}", outer.prime().unwrap_err()));
                    log.push(format!("{:?}", outer.send(()).unwrap_err()));
                    log.push(format!("{:?}", outer.throw(KeyError("")).unwrap_err()));
                    log.push(format!("{:?}", outer.close().unwrap_err()));
                    co.yield_(n)?;
                }
                Ok(())
            });
            co.yield_from(&mut inner)
        })
    });
    let seen_inside = [
        "Running",
        "AlreadyExecuting(None)",
        "AlreadyExecuting(Some(()))",
        "AlreadyExecuting(None)",
        "AlreadyExecuting(None)",
    ];
    assert_eq!(outer.prime()?, Step::Yielded(1));
    trace.assert(&seen_inside);
    assert_eq!(outer.send(())?, Step::Yielded(2));
    trace.assert(&seen_inside);
    assert_eq!(outer.send(())?, Step::Complete(()));
    Ok(())
}

/// G-073, with the error caught.
#[test]
fn one_that_delegates_to_itself_is_told_so_and_goes_on() -> Test {
    let co = bind(|me: Name<bool, (), ()>| {
        coroutine(move |co| {
            let error = co.yield_from(&me.get()).unwrap_err();
            co.yield_(error.downcast_ref() == Some(&ProtocolError::AlreadyExecuting))
        })
    });
    assert_eq!(co.prime()?, Step::Yielded(true));
    assert_eq!(co.state(), State::Suspended);
    assert!(!co.is_delegating());
    Ok(())
}

// Finalisation

/// G-081.
#[test]
fn dropping_a_fresh_or_finished_one_runs_nothing() -> Test {
    let trace = Trace::default();
    let make = || {
        let (log, captured) = (trace.clone(), trace.finally("captures dropped"));
        coroutine(move |_: &Co<(), ()>| {
            let _captured = captured;
            log.push("ran");
            Ok(())
        })
    };
    let fresh = make();
    trace.assert(&[]);
    drop(fresh);
    trace.assert(&["captures dropped"]);

    let mut finished = make();
    next(&mut finished)?;
    trace.assert(&["ran", "captures dropped"]);
    drop(finished);
    trace.assert(&[]);
    Ok(())
}

/// G-082.
#[test]
fn what_goes_wrong_in_a_drop_is_reported_and_no_more_code_runs() {
    let trace = Trace::default();
    let suspended = |bad: bool| {
        let log = trace.clone();
        let mut co: Coroutine<(), ()> = coroutine(move |co| {
            let _finally = log.finally("finally");
            let _exit = co.yield_(());
            if bad {
                return Err(TypeError("1").into());
            }
            co.yield_(())?;
            log.push("not here");
            Ok(())
        });
        co.prime().unwrap();
        co
    };
    assert_eq!(unraisable(|| drop(suspended(false))), [IGNORED]);
    trace.assert(&["finally"]);
    assert_eq!(
        unraisable(|| drop(suspended(true))),
        ["while dropping coroutine '<unnamed>': it raised: 1"]
    );
    trace.assert(&["finally"]);
}

/// G-083.
#[test]
fn leaving_a_loop_early_drops_its_iterator_at_once() {
    let trace = Trace::default();
    let endless = || {
        let log = trace.clone();
        coroutine(move |co: &Co<(), ()>| -> Test {
            let _finally = log.finally("closed");
            loop {
                co.yield_(())?;
            }
        })
    };
    #[expect(clippy::never_loop, reason = "to leave it is the point")]
    for _ in endless() {
        break;
    }
    trace.push("after");
    trace.assert(&["closed", "after"]);

    // A generator is unwound, with the same effect.
    let log = trace.clone();
    let endless = generator(move |y| {
        let _finally = log.finally("closed");
        loop {
            y.yield_(());
        }
        #[expect(unreachable_code, reason = "it says what is returned")]
        ()
    });
    #[expect(clippy::never_loop, reason = "to leave it is the point")]
    for _ in endless {
        break;
    }
    trace.push("after");
    trace.assert(&["closed", "after"]);
}

/// G-084, where CPython has a collector. `cpython_generators.rs` has the same with a weak reference.
#[test]
fn a_cycle_of_owners_leaks_and_close_breaks_it() -> Test {
    struct Held(#[expect(dead_code, reason = "it is held")] SharedCoroutine<i32, Option<Held>>);

    let trace = Trace::default();
    let log = trace.clone();
    let co: SharedCoroutine<i32, Option<Held>> = coroutine(move |co: &Co<i32, Option<Held>>| {
        let _finally = log.finally("finalized");
        let _cycle = co.yield_(0)?;
        co.yield_(1)?;
        Ok(())
    })
    .shared();
    co.prime()?;
    co.send(Some(Held(co.clone())))?;
    let weak = co.downgrade();
    drop(co);
    trace.assert(&[]);
    weak.upgrade().unwrap().close()?;
    trace.assert(&["finalized"]);
    assert!(weak.upgrade().is_none());
    Ok(())
}

// yield from

/// G-098.
#[test]
fn an_ignored_exit_is_raised_inside_the_delegator() -> Test {
    let mut outer: Coroutine<i32, (), &str> = coroutine(|co| {
        let mut stubborn = coroutine(|co: &Co<i32, ()>| {
            let _exit = co.yield_(1);
            co.yield_(2)
        });
        let error = co.yield_from(&mut stubborn).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&ProtocolError::IgnoredExit));
        assert_eq!(stubborn.state(), State::Suspended);
        // The delegator may well handle it.
        Ok("handled")
    });
    next(&mut outer)?;
    assert_eq!(outer.close()?, Some("handled"));
    Ok(())
}

/// G-103.
#[test]
fn a_throw_into_a_delegation_to_an_iterator_abandons_it() -> Test {
    let trace = Trace::default();
    let items = trace.finally("items dropped");
    let mut co: Coroutine<i32, ()> = coroutine(|co| {
        let caught = co.yield_each((0..3).inspect(move |_| _ = &items));
        assert!(caught.unwrap_err().is::<ValueError>());
        co.yield_(-1)
    });
    assert_eq!(next(&mut co)?, Step::Yielded(0));
    trace.assert(&[]);
    assert_eq!(co.throw(ValueError("1"))?, Step::Yielded(-1));
    trace.assert(&["items dropped"]);
    Ok(())
}

/// G-104.
#[test]
fn closing_a_delegation_to_an_iterator_drops_it() -> Test {
    let trace = Trace::default();
    let items = trace.finally("closed");
    let mut co: Coroutine<i32, ()> =
        coroutine(|co| co.yield_each((0..).inspect(move |_| _ = &items)));
    next(&mut co)?;
    assert!(co.is_delegating());
    trace.assert(&[]);
    assert_eq!(co.close()?, None);
    trace.assert(&["closed"]);
    Ok(())
}

/// G-105.
#[test]
fn stop_iteration_thrown_into_an_iterator_does_not_complete_it() -> Test {
    let mut co = one_two_three();
    next(&mut co)?;
    let error: ProtocolError = raised(co.throw(ProtocolError::Exhausted));
    assert_eq!(error, ProtocolError::Exhausted);
    Ok(())
}

/// G-107. A finished one has no value to complete with, where CPython completes with None: it is an error.
#[test]
fn delegating_to_a_finished_one_is_an_error_and_to_a_part_used_one_gives_the_rest() -> Test {
    let mut finished = one_two_three();
    finished.by_ref().for_each(drop);
    let mut co: Coroutine<i32, ()> = coroutine(move |co| co.yield_from(&mut finished));
    let error: ProtocolError = raised(next(&mut co));
    assert_eq!(error, ProtocolError::Exhausted);

    let mut part_used = one_two_three();
    next(&mut part_used)?;
    let co: Coroutine<i32, ()> = coroutine(move |co| co.yield_from_with(&mut part_used, ()));
    assert_eq!(co.collect::<Result<Vec<_>, _>>()?, [2, 3]);

    // The first value is what tells the two kinds of delegation apart.
    let mut part_used = one_two_three();
    next(&mut part_used)?;
    let mut co: Coroutine<i32, ()> = coroutine(move |co| co.yield_from(&mut part_used));
    let error: ProtocolError = raised(next(&mut co));
    assert_eq!(error, ProtocolError::AlreadyStarted);
    let mut fresh = one_two_three();
    let mut co: Coroutine<i32, ()> = coroutine(move |co| co.yield_from_with(&mut fresh, ()));
    let error: ProtocolError = raised(next(&mut co));
    assert_eq!(error, ProtocolError::JustStarted);
    Ok(())
}

/// G-108.
#[test]
fn two_delegators_of_a_shared_one_take_turns() -> Test {
    let shared = coroutine(|co: &Co<i32, ()>| -> Test {
        for n in 1..=3 {
            co.yield_(n)?;
        }
        Err(ValueError("end").into())
    })
    .shared();
    let first = shared.clone();
    let mut a: Coroutine<i32, ()> = coroutine(move |co| co.yield_from(&first));
    let second = shared.clone();
    let mut b: Coroutine<i32, ()> = coroutine(move |co| co.yield_from_with(&second, ()));
    assert_eq!(next(&mut a)?, Step::Yielded(1));
    assert_eq!(next(&mut b)?, Step::Yielded(2));
    assert_eq!(next(&mut a)?, Step::Yielded(3));
    assert!(a.is_delegating() && b.is_delegating());

    // An exception closes it for both; who comes next finds it finished.
    let error: ValueError = raised(next(&mut b));
    assert_eq!(error, ValueError("end"));
    assert_eq!(shared.state(), State::Closed);
    let error: ProtocolError = raised(next(&mut a));
    assert_eq!(error, ProtocolError::Exhausted);
    Ok(())
}

/// G-110. CPython's limit is about 1,000.
#[test]
fn delegations_nest_deeper_than_a_recursion_limit() -> Test {
    const DEPTH: usize = 2_000;
    let unwound = Rc::new(Cell::new(0));
    let mut co: Coroutine<usize, usize, usize> = coroutine(|co| {
        let sent = co.yield_(1)?;
        Ok(sent)
    });
    for _ in 0..DEPTH {
        let unwound = Rc::clone(&unwound);
        co = coroutine(move |outer| {
            let result = outer.yield_from(&mut co);
            unwound.set(unwound.get() + 1);
            Ok(result? + 1)
        });
    }
    assert_eq!(co.prime()?, Step::Yielded(1));
    assert_eq!(co.send(40)?, Step::Complete(40 + DEPTH));
    assert_eq!(unwound.get(), DEPTH);
    Ok(())
}

/// G-110. A plain call is not a coroutine: yielding from below it costs nothing more.
#[test]
fn a_body_yields_from_any_depth_of_calls() {
    fn countdown(y: &Yielder<u32>, n: u32) {
        if n > 0 {
            countdown(y, n - 1);
            y.yield_(n);
        }
    }
    let g = generator(|y| countdown(y, 300));
    assert!(g.eq(1..=300));
}

// Exception chaining

/// An error with a source of its own choosing.
#[derive(Debug)]
struct Caused {
    text: &'static str,
    cause: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for Caused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl Error for Caused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

/// G-120.
#[test]
fn a_cause_is_the_source_of_an_exception() {
    let fetch = || Err::<(), _>(ValueError("404"));
    let mut co: Coroutine<(), ()> = coroutine(move |_| {
        fetch().map_err(|cause| Caused {
            text: "BR",
            cause: cause.into(),
        })?;
        Ok(())
    });
    let exception = Exception::from(co.prime().unwrap_err());
    assert_eq!(exception.to_string(), "BR");
    let cause = exception.source().unwrap();
    assert_eq!(cause.downcast_ref(), Some(&ValueError("404")));
}

/// G-121. What CPython does by itself is here up to the handler.
#[test]
fn what_is_raised_in_a_handler_can_keep_what_was_thrown() -> Test {
    let mut co: Coroutine<(), ()> = coroutine(|co| {
        co.yield_(()).map_err(|thrown| match thrown {
            exit @ (Exception::GeneratorExit | Exception::Cancelled) => exit,
            Exception::Error(cause) => Caused {
                text: "while handling",
                cause,
            }
            .into(),
        })
    });
    next(&mut co)?;
    let error: Caused = raised(co.throw(ValueError("1")));
    assert_eq!(
        error.source().unwrap().downcast_ref(),
        Some(&ValueError("1"))
    );
    Ok(())
}

// contextlib.contextmanager

/// Runs `block` with what `manager` yields, as Python's `with`. `Ok(None)` if the manager has swallowed the block's
/// error.
fn with_gen<V, T>(
    mut manager: Coroutine<V, ()>,
    block: impl FnOnce(V) -> Result<T, Exception>,
) -> Result<Option<T>, Exception> {
    let value = match manager.prime()? {
        Step::Yielded(value) => value,
        Step::Complete(()) => return Err(ProtocolError::DidNotYield.into()),
    };
    match block(value) {
        Ok(result) => match manager.send(())? {
            Step::Complete(()) => Ok(Some(result)),
            Step::Yielded(_) => Err(RuntimeError("didn't stop").into()),
        },
        Err(exception) => match manager.throw(exception)? {
            Step::Complete(()) => Ok(None),
            Step::Yielded(_) => Err(RuntimeError("didn't stop after throw").into()),
        },
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Manager {
    Plain,
    NeverYields,
    YieldsTwice,
    YieldsAfterThrow,
}

/// What a manager of that kind logs around a block that ends with `error`.
fn log_of_with(kind: Manager, error: Option<Exception>) -> String {
    let trace = Trace::default();
    let log = trace.clone();
    let manager = coroutine(move |co: &Co<&'static str, ()>| {
        log.push("enter");
        if kind == Manager::NeverYields {
            return Ok(());
        }
        let tried = (|| -> Test {
            co.yield_("v")?;
            if kind == Manager::YieldsTwice {
                co.yield_("again")?;
            }
            Ok(())
        })();
        let handled = match tried {
            Err(exception) if exception.is::<KeyError>() => {
                log.push("caught");
                if kind == Manager::YieldsAfterThrow {
                    co.yield_("again")
                } else {
                    Ok(())
                }
            }
            other => other,
        };
        log.push("exit");
        handled
    });
    let left = with_gen(manager, |v| {
        trace.push(v);
        error.map_or(Ok(()), Err)
    });
    if let Err(exception) = left {
        trace.push(exception.to_string());
    }
    trace.0.take().join(" ")
}

/// G-130.
#[test]
fn a_context_manager_runs_around_its_block() {
    assert_eq!(log_of_with(Manager::Plain, None), "enter v exit");
}

/// G-131.
#[test]
fn a_context_manager_can_swallow_the_blocks_exception() {
    assert_eq!(
        log_of_with(Manager::Plain, Some(KeyError("k").into())),
        "enter v caught exit"
    );
}

/// G-132.
#[test]
fn what_a_context_manager_does_not_catch_goes_on() {
    assert_eq!(
        log_of_with(Manager::Plain, Some(ValueError("1").into())),
        "enter v exit 1"
    );
}

/// G-133.
#[test]
fn a_context_manager_yields_exactly_once() {
    assert_eq!(
        log_of_with(Manager::NeverYields, None),
        "enter the coroutine finished without yielding"
    );
    assert_eq!(
        log_of_with(Manager::YieldsTwice, None),
        "enter v exit didn't stop"
    );
    assert_eq!(
        log_of_with(Manager::YieldsAfterThrow, Some(KeyError("k").into())),
        "enter v caught exit didn't stop after throw"
    );
}

/// G-134.
#[test]
fn stop_iteration_passes_through_a_context_manager() {
    assert_eq!(
        log_of_with(Manager::Plain, Some(ProtocolError::Exhausted.into())),
        "enter v exit the coroutine has finished"
    );
}

// Pipelines

/// Logs `limit` lines and ends.
fn line_sink(trace: &Trace, limit: usize) -> Coroutine<(), String> {
    let log = trace.clone();
    let sink = coroutine(move |co: &Co<(), String>| {
        for _ in 0..limit {
            match co.yield_(()) {
                Ok(line) => log.push(line),
                Err(exit) => {
                    log.push("sink closed");
                    return Err(exit);
                }
            }
        }
        Ok(())
    });
    sink.primed().unwrap()
}

/// Sends lines with `Py` on. Raises where a line is not text (is empty), and where the target has finished.
fn line_grep(
    trace: &Trace,
    mut send: impl FnMut(String) -> Result<Step<(), ()>, Raised<String>> + 'static,
) -> Coroutine<(), String> {
    let log = trace.clone();
    let grep = coroutine(move |co: &Co<(), String>| -> Test {
        loop {
            let line = match co.yield_(()) {
                Ok(line) => line,
                Err(exit) => {
                    log.push("grep closed");
                    return Err(exit);
                }
            };
            if line.is_empty() {
                return Err(TypeError("not text").into());
            }
            if line.contains("Py") {
                let Step::Yielded(()) = send(line)? else {
                    return Err(ProtocolError::Exhausted.into());
                };
            }
        }
    });
    grep.primed().unwrap()
}

/// G-140.
#[test]
fn grep_prints_the_lines_that_match() -> Test {
    let trace = Trace::default();
    let log = trace.clone();
    let mut grep: Coroutine<(), &str> = coroutine(move |co| {
        let pattern = "Python";
        log.push(format!("Looking for {pattern}"));
        let _finally = log.finally("bye");
        loop {
            let line: &str = co.yield_(())?;
            if line.contains(pattern) {
                log.push(line);
            }
        }
    });
    grep.prime()?;
    trace.assert(&["Looking for Python"]);
    grep.send("no snakes here")?;
    trace.assert(&[]);
    grep.send("Python, you are so cool")?;
    trace.assert(&["Python, you are so cool"]);
    grep.close()?;
    trace.assert(&["bye"]);
    Ok(())
}

/// A sink as a stage of `pipe`.
fn pipe_sink(trace: &Trace, limit: usize) -> Sink<str, usize> {
    let log = trace.clone();
    sink(move |lines: &mut Receiver<str>| {
        for seen in 0..limit {
            match lines.recv() {
                Some(line) => log.push(line),
                None => {
                    log.push("sink closed");
                    return seen;
                }
            }
        }
        limit
    })
}

/// A grep as a stage of `pipe`, which says whether its target has closed on it.
fn pipe_grep(
    trace: &Trace,
    mut target: impl Target<str> + 'static,
) -> Sink<str, Result<(), Closed>> {
    let log = trace.clone();
    sink(move |lines: &mut Receiver<str>| {
        let _finally = log.finally("grep closed");
        while let Some(line) = lines.recv() {
            if line.contains("Py") {
                target.send(line)?;
            }
        }
        Ok(())
    })
}

/// G-141.
#[test]
fn closing_a_stage_ends_it_and_then_the_target_that_it_owns() -> Test {
    let events = ["Python", "grep closed", "sink closed"];
    let trace = Trace::default();
    let mut target = line_sink(&trace, 99);
    let mut grep = line_grep(&trace, move |line| target.send(line));
    grep.send("no".to_owned())?;
    grep.send("Python".to_owned())?;
    grep.close()?;
    trace.assert(&events);

    let mut grep = pipe_grep(&trace, pipe_sink(&trace, 99));
    grep.send("no")?;
    grep.send("Python")?;
    assert_eq!(grep.close(), Ok(()));
    trace.assert(&events);
    Ok(())
}

/// G-142.
#[test]
fn a_target_with_another_owner_outlives_the_stage() -> Test {
    let trace = Trace::default();
    let target = line_sink(&trace, 99).shared();
    let shared = target.clone();
    let mut grep = line_grep(&trace, move |line| shared.send(line));
    grep.close()?;
    target.send("still".to_owned())?;
    trace.assert(&["grep closed", "still"]);
    drop(target);
    trace.assert(&["sink closed"]);
    Ok(())
}

/// G-143.
#[test]
fn a_stage_that_raises_is_closed_and_drops_its_target() {
    let trace = Trace::default();
    let mut target = line_sink(&trace, 99);
    let mut grep = line_grep(&trace, move |line| target.send(line));
    let error: TypeError = raised(grep.send(String::new()));
    assert_eq!(error, TypeError("not text"));
    trace.assert(&["sink closed"]);
    assert!(matches!(
        grep.send("Py".to_owned()),
        Err(Raised::Exhausted(Some(_)))
    ));
    trace.assert(&[]);
}

/// G-144.
#[test]
fn a_sink_that_returns_ends_its_feeder_loudly() -> Test {
    let trace = Trace::default();
    let mut target = line_sink(&trace, 2);
    let mut grep = line_grep(&trace, move |line| target.send(line));
    grep.send("Py1".to_owned())?;
    let error: ProtocolError = raised(grep.send("Py2".to_owned()));
    assert_eq!(error, ProtocolError::Exhausted);
    trace.assert(&["Py1", "Py2"]);

    // In a `pipe` the end of a target is an error of its own type: `?` passes it on, and nothing takes it for the
    // stage's own end.
    let mut grep = pipe_grep(&trace, pipe_sink(&trace, 2));
    assert_eq!(grep.send("Py1"), Ok(()));
    assert_eq!(grep.send("Py2"), Err(Closed));
    assert_eq!(grep.close(), Err(Closed));
    trace.assert(&["Py1", "Py2", "grep closed"]);
    Ok(())
}

/// G-144, where the feeder looks only at errors: it learns with the next line, and not in silence.
#[test]
fn a_feeder_that_does_not_look_learns_of_the_end_with_the_next_line() -> Test {
    let trace = Trace::default();
    let mut target = line_sink(&trace, 1);
    let mut feeder: Coroutine<(), String> = coroutine(move |co| {
        loop {
            let line = co.yield_(())?;
            target.send(line)?;
        }
    });
    feeder.prime()?;
    assert_eq!(feeder.send("Py1".to_owned())?, Step::Yielded(()));
    let error: ProtocolError = raised(feeder.send("Py2".to_owned()));
    assert_eq!(error, ProtocolError::Exhausted);
    trace.assert(&["Py1"]);
    Ok(())
}

/// G-145.
#[test]
fn a_broadcast_ends_with_the_target_that_fails() -> Test {
    let trace = Trace::default();
    let leaf = |name: &'static str, bad: Option<&'static str>| {
        let log = trace.clone();
        let leaf: Coroutine<(), &str> = coroutine(move |co| {
            loop {
                let v = co.yield_(())?;
                if Some(v) == bad {
                    return Err(KeyError(v).into());
                }
                if name != "b" {
                    log.push(format!("{name}:{v}"));
                }
            }
        });
        leaf.primed().unwrap()
    };
    let mut targets = [leaf("a", None), leaf("b", Some("y")), leaf("c", None)];
    let mut broadcast: Coroutine<(), &str> = coroutine(move |co| {
        loop {
            let v = co.yield_(())?;
            for target in &mut targets {
                target.send(v)?;
            }
        }
    });
    broadcast.prime()?;
    broadcast.send("x")?;
    let error: KeyError = raised(broadcast.send("y"));
    assert_eq!(error, KeyError("y"));
    trace.assert(&["a:x", "c:x", "a:y"]);
    Ok(())
}

/// G-146.
#[test]
fn a_stage_that_feeds_itself_is_told_so() -> Test {
    let direct = bind(|me: Name<(), i32, ()>| {
        coroutine(move |co| {
            loop {
                let v = co.yield_(())?;
                me.get().send(v)?;
            }
        })
    });
    direct.prime()?;
    let error: ProtocolError = raised(direct.send(1));
    assert_eq!(error, ProtocolError::AlreadyExecuting);
    assert_eq!(direct.state(), State::Closed);

    // Through another stage, which does not survive it either.
    let other: Rc<OnceCell<SharedCoroutine<(), i32>>> = Rc::default();
    let target = Rc::clone(&other);
    let first = bind(|_: Name<(), i32, ()>| {
        coroutine(move |co| {
            loop {
                let v = co.yield_(())?;
                target.get().unwrap().send(v)?;
            }
        })
    });
    let back = first.downgrade();
    let second = coroutine(move |co: &Co<(), i32>| -> Test {
        loop {
            let v = co.yield_(())?;
            back.upgrade().unwrap().send(v)?;
        }
    })
    .shared();
    first.prime()?;
    second.prime()?;
    assert!(other.set(second.clone()).is_ok());
    let error: ProtocolError = raised(first.send(1));
    assert_eq!(error, ProtocolError::AlreadyExecuting);
    assert_eq!(
        (first.state(), second.state()),
        (State::Closed, State::Closed)
    );
    Ok(())
}

/// G-147.
#[test]
fn stopping_a_pull_pipeline_ends_its_stages_outside_in() {
    let trace = Trace::default();
    let log = trace.clone();
    let source = generator(move |y: &Yielder<&'static str>| {
        let _finally = log.finally("source");
        for _ in 0..1_000 {
            y.yield_("Py");
        }
    });
    let log = trace.clone();
    let filter = generator(move |y| {
        let mut lines = source;
        let _finally = log.finally("filter");
        for line in lines.by_ref() {
            if line.contains("Py") {
                y.yield_(line);
            }
        }
    });
    assert_eq!(filter.take(1).collect::<Vec<_>>(), ["Py"]);
    trace.assert(&["filter", "source"]);
}

/// G-148.
#[test]
fn an_exception_of_the_source_passes_through_every_stage() {
    let source: Coroutine<i32, ()> =
        coroutine(|_| Err(ZeroDivisionError("division by zero").into()));
    let middle: Coroutine<i32, ()> = coroutine(move |co| {
        for item in source {
            co.yield_(item?)?;
        }
        Ok(())
    });
    let mut last: Coroutine<i32, ()> = coroutine(move |co| {
        for item in middle {
            co.yield_(item?)?;
        }
        Ok(())
    });
    let error: ZeroDivisionError = raised(last.prime());
    assert_eq!(error, ZeroDivisionError("division by zero"));
    assert_eq!(last.state(), State::Closed);
}

/// G-149.
#[test]
fn a_running_averager_yields_averages_and_returns_the_result() -> Test {
    let mut averager: Coroutine<f64, Option<f64>, (u32, f64)> = coroutine(|co| {
        let (mut total, mut count, mut average) = (0.0, 0, 0.0);
        while let Some(term) = co.yield_(average)? {
            total += term;
            count += 1;
            average = total / f64::from(count);
        }
        Ok((count, average))
    });
    averager.prime()?;
    assert_eq!(averager.send(Some(10.0))?, Step::Yielded(10.0));
    assert_eq!(averager.send(Some(30.0))?, Step::Yielded(20.0));
    assert_eq!(averager.send(None)?, Step::Complete((2, 20.0)));
    Ok(())
}

// Native coroutines, driven by hand: one that awaits delegates, and what it is sent reaches the innermost.

/// G-160.
#[test]
fn one_that_awaits_nothing_ends_at_once() -> Test {
    let trace = Trace::default();
    let log = trace.clone();
    let mut speak: Coroutine<(), (), &str> = coroutine(move |_| {
        log.push("OMG asynchronicity!");
        Ok("done")
    });
    trace.assert(&[]);
    assert_eq!(speak.prime()?, Step::Complete("done"));
    trace.assert(&["OMG asynchronicity!"]);
    Ok(())
}

/// G-161.
#[test]
fn what_is_awaited_runs_inline() -> Test {
    let mut b: Coroutine<(), (), i32> = coroutine(|co| {
        let mut a = coroutine(|_| Ok(1));
        co.yield_from(&mut a)
    });
    assert_eq!(b.prime()?, Step::Complete(1));
    Ok(())
}

/// G-162.
#[test]
fn a_finished_one_cannot_be_awaited_again() {
    let mut co: Coroutine<(), ()> = coroutine(|co| {
        let mut a = coroutine(|_| Ok(()));
        co.yield_from(&mut a)?;
        co.yield_from(&mut a)
    });
    let error: ProtocolError = raised(co.prime());
    assert_eq!(error, ProtocolError::Exhausted);
}

/// G-167.
#[test]
fn what_the_innermost_yields_reaches_the_driver() -> Test {
    fn trap(_: ()) -> Coroutine<&'static str, &'static str, &'static str> {
        coroutine(|co| co.yield_("trap"))
    }
    let mut main: Coroutine<&str, &str, Vec<&str>> = coroutine(|co| {
        let mut middle = coroutine(|co| co.yield_from(&mut trap(())));
        Ok(vec![co.yield_from(&mut middle)?])
    });
    assert_eq!(main.prime()?, Step::Yielded("trap"));
    assert_eq!(main.send("ans")?, Step::Complete(vec!["ans"]));
    Ok(())
}

/// G-168.
#[test]
fn one_that_awaits_while_it_is_closed_ignores_the_exit() -> Test {
    let nop = || coroutine(|co: &Co<(), ()>| co.yield_(()));
    let mut a: Coroutine<(), ()> = coroutine(move |co| {
        let tried = co.yield_from(&mut nop());
        assert!(tried.as_ref().is_err_and(Exception::is_exit));
        co.yield_from(&mut nop())?;
        tried
    });
    a.prime()?;
    assert!(matches!(a.close(), Err(Raised::IgnoredExit)));
    assert_eq!(a.state(), State::Suspended);
    assert!(a.is_delegating());
    assert_eq!(a.close()?, None);
    assert_eq!(a.state(), State::Closed);
    Ok(())
}

// What only Rust can ask

/// R-01.
#[test]
fn a_panic_comes_out_once_and_closes_every_one_it_passes() {
    let mut co: Coroutine<(), ()> = coroutine(|_| panic!("in the body"));
    assert_eq!(panic_of(|| co.prime()), "in the body");
    assert_eq!(co.state(), State::Closed);
    assert!(matches!(co.send(()), Err(Raised::Exhausted(_))));

    let mut g: Generator<i32> = generator(|y| {
        y.yield_(1);
        panic!("in the body");
    });
    assert_eq!(g.next(), Some(1));
    assert_eq!(panic_of(|| g.next()), "in the body");
    assert_eq!(g.state(), State::Closed);
    assert_eq!(g.next(), None);

    let mut stage: Sink<str> = sink(|lines: &mut Receiver<str>| {
        lines.recv();
        panic!("in the body");
    });
    assert_eq!(panic_of(|| stage.send("line")), "in the body");
    assert_eq!(stage.state(), State::Closed);
    assert_eq!(stage.send("line"), Err(Closed));

    // Through a delegation, and through a shared one.
    let trace = Trace::default();
    let log = trace.clone();
    let inner = coroutine(|co: &Co<i32, ()>| -> Test {
        co.yield_(1)?;
        panic!("in the innermost");
    })
    .shared();
    let shared = inner.clone();
    let mut outer: Coroutine<i32, ()> = coroutine(move |co| {
        let _finally = log.finally("outer");
        let log = log.clone();
        let mut middle = coroutine(move |co: &Co<i32, ()>| {
            let _finally = log.finally("middle");
            co.yield_from(&shared)
        });
        co.yield_from(&mut middle)
    });
    outer.prime().unwrap();
    assert_eq!(panic_of(|| outer.send(())), "in the innermost");
    trace.assert(&["middle", "outer"]);
    assert_eq!(
        (inner.state(), outer.state()),
        (State::Closed, State::Closed)
    );
    assert!(matches!(outer.send(()), Err(Raised::Exhausted(_))));
}

/// R-02.
#[test]
fn a_drop_runs_the_exits_exactly_once_even_if_the_exit_is_ignored() {
    for ignores in [false, true] {
        let trace = Trace::default();
        let log = trace.clone();
        let reported = unraisable(|| {
            let mut outer: Coroutine<(), ()> = coroutine(move |co| {
                let _finally = log.finally("outer");
                let log = log.clone();
                let mut inner = coroutine(move |co: &Co<(), ()>| {
                    let _finally = log.finally("inner");
                    let tried = co.yield_(());
                    if ignores {
                        co.yield_(())?;
                        log.push("not here");
                    }
                    tried
                });
                co.yield_from(&mut inner)
            });
            outer.prime().unwrap();
            drop(outer);
        });
        trace.assert(&["inner", "outer"]);
        // The outer one is told by an error that the inner one has not finished, and leaves by that.
        let expected =
            ["while dropping coroutine '<unnamed>': it raised: coroutine ignored GeneratorExit"];
        assert_eq!(reported, expected[..usize::from(ignores)]);
    }

    let trace = Trace::default();
    let log = trace.clone();
    let mut g = generator(move |y| {
        let _finally = log.finally("generator");
        y.yield_(());
        log.push("not here");
    });
    g.next();
    assert!(unraisable(|| drop(g)).is_empty());
    trace.assert(&["generator"]);
}

/// R-03.
#[test]
fn a_drop_while_the_thread_panics_does_not_abort() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    let trace = Trace::default();
    let reported = unraisable(|| {
        let panic = panic_of(|| {
            let log = trace.clone();
            let mut by_value: Coroutine<(), ()> = coroutine(move |co| {
                let _finally = log.finally("by value");
                co.yield_(())
            });
            by_value.prime().unwrap();
            let log = trace.clone();
            let mut by_force = generator(move |y| {
                let _finally = log.finally("by force");
                y.yield_(());
            });
            by_force.next();
            let log = trace.clone();
            let mut stubborn: Coroutine<(), ()> = coroutine(move |co| {
                let _finally = log.finally("stubborn");
                let _exit = co.yield_(());
                co.yield_(())
            });
            stubborn.prime().unwrap();
            let mut panics: Coroutine<(), ()> = coroutine(|co| {
                let _panics = Panics;
                co.yield_(())
            });
            panics.prime().unwrap();
            panic!("first");
        });
        assert_eq!(panic, "first");
    });
    trace.assert(&["stubborn", "by force", "by value"]);
    assert_eq!(
        reported,
        [
            "while dropping coroutine '<unnamed>': it panicked: second",
            IGNORED
        ]
    );
}

/// R-04.
#[test]
fn forgetting_one_leaks_it_and_nothing_worse() -> Test {
    let held = Rc::new(());
    let forgotten = Rc::clone(&held);
    let mut outer: Coroutine<i32, ()> = coroutine(move |co| {
        let mut inner = coroutine(move |co: &Co<i32, ()>| {
            let _held = forgotten;
            co.yield_(1)
        });
        co.yield_from(&mut inner)
    });
    outer.prime()?;
    std::mem::forget(outer);
    let mut g = generator({
        let held = Rc::clone(&held);
        move |y| y.yield_(held)
    });
    let yielded = g.next();
    std::mem::forget(g);
    drop(yielded);
    assert_eq!(Rc::strong_count(&held), 2);
    // Others go on.
    assert_eq!(one_two_three().collect::<Result<Vec<_>, _>>()?, [1, 2, 3]);
    Ok(())
}

/// R-05.
#[test]
fn a_body_that_catches_the_forced_unwind_is_unwound_again() {
    let trace = Trace::default();
    let log = trace.clone();
    let mut g = generator(move |y| {
        let _finally = log.finally("finally");
        let caught = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
        log.push(format!("caught {}", caught.is_err()));
        y.yield_(2);
        log.push("not here");
    });
    g.next();
    assert!(unraisable(|| drop(g)).is_empty());
    trace.assert(&["caught true", "finally"]);

    // Not for ever: one that never gives in is left as it is.
    let log = trace.clone();
    let mut endless = generator(move |y| {
        let _finally = log.finally("not here");
        loop {
            let _caught = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
        }
        #[expect(unreachable_code, reason = "it says what is returned")]
        ()
    });
    endless.next();
    assert_eq!(
        unraisable(|| drop(endless)),
        ["while dropping coroutine '<unnamed>': it could not be unwound, its stack is leaked"]
    );
    trace.assert(&[]);
}

/// R-06. With a `'static` body it does not compile; one that borrows can try.
#[test]
fn an_outer_handle_does_not_suspend_an_inner_body() -> Test {
    let mut outer: Coroutine<i32, (), Vec<i32>> = coroutine(|co| {
        let items = scoped(
            |y| {
                let error = co.yield_(1).unwrap_err();
                assert_eq!(error.downcast_ref(), Some(&ProtocolError::NotCurrent));
                let error = co.yield_each([1]).unwrap_err();
                assert_eq!(error.downcast_ref(), Some(&ProtocolError::NotCurrent));
                let error = co.yield_from(&mut one_two_three()).unwrap_err();
                assert_eq!(error.downcast_ref(), Some(&ProtocolError::NotCurrent));
                y.yield_(2);
            },
            |inner| inner.collect(),
        );
        co.yield_(3)?;
        Ok(items)
    });
    assert_eq!(outer.prime()?, Step::Yielded(3));
    assert_eq!(outer.send(())?, Step::Complete(vec![2]));

    let mut outer = generator(|outer| {
        scoped(|_: &Yielder<i32>| outer.yield_(1), |inner| inner.next());
    });
    let panic = panic_of(|| outer.next());
    assert!(panic.contains("outside the body"), "{panic}");
    assert_eq!(outer.state(), State::Closed);
    Ok(())
}

/// R-07.
#[test]
fn one_can_be_moved_between_resumptions() -> Test {
    let delegating = || -> Result<Coroutine<i32, ()>, Exception> {
        let mut inner = one_two_three();
        let mut outer = coroutine(move |co| co.yield_from(&mut inner));
        assert_eq!(next(&mut outer)?, Step::Yielded(1));
        Ok(outer)
    };
    let (mut a, mut b) = (delegating()?, delegating()?);
    assert_eq!(next(&mut a)?, Step::Yielded(2));
    std::mem::swap(&mut a, &mut b);
    assert_eq!(next(&mut a)?, Step::Yielded(2));
    let mut boxed = Box::new(b);
    assert_eq!(next(&mut boxed)?, Step::Yielded(3));
    let mut several = vec![a, *boxed];
    several.reserve(1_000);
    assert_eq!(next(&mut several[0])?, Step::Yielded(3));
    assert_eq!(next(&mut several[1])?, Step::Complete(()));

    // Into the body of another, while it is suspended in a delegation.
    let mut inner = delegating()?;
    let outer: Coroutine<i32, ()> = coroutine(move |co| co.yield_from_with(&mut inner, ()));
    assert_eq!(outer.collect::<Result<Vec<_>, _>>()?, [2, 3]);
    Ok(())
}

/// R-08.
#[test]
fn what_a_body_borrows_or_locks_stays_so_while_it_is_suspended() -> Test {
    let cell = Rc::new(RefCell::new(0));
    let lock = Arc::new(Mutex::new(0));
    let (its_cell, its_lock) = (Rc::clone(&cell), Arc::clone(&lock));
    let mut co: Coroutine<(), ()> = coroutine(move |co| {
        let _borrowed = its_cell.borrow_mut();
        let _locked = its_lock.lock().unwrap();
        co.yield_(())
    });
    co.prime()?;
    assert!(cell.try_borrow().is_err());
    assert!(lock.try_lock().is_err());
    // A coroutine leaves by value, which poisons nothing.
    drop(co);
    assert!(cell.try_borrow().is_ok());
    assert!(lock.try_lock().is_ok());

    // A generator is unwound.
    let (its_cell, its_lock) = (Rc::clone(&cell), Arc::clone(&lock));
    let mut g = generator(move |y| {
        let _borrowed = its_cell.borrow_mut();
        let _locked = its_lock.lock().unwrap();
        y.yield_(());
    });
    g.next();
    assert!(cell.try_borrow().is_err());
    drop(g);
    assert!(cell.try_borrow().is_ok());
    assert!(lock.is_poisoned());
    Ok(())
}

/// R-09.
#[test]
fn a_thousand_generators_drive_each_other() {
    const DEPTH: usize = 1_000;
    let dropped = Rc::new(Cell::new(0));
    struct Count(Rc<Cell<usize>>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let tower = || {
        let mut g = generator(|y| (0..3).for_each(|n| y.yield_(n)));
        for _ in 0..DEPTH {
            let count = Count(Rc::clone(&dropped));
            g = generator(move |y| {
                let _count = count;
                for n in g {
                    y.yield_(n + 1);
                }
            });
        }
        g
    };
    assert!(tower().eq([DEPTH, DEPTH + 1, DEPTH + 2]));
    assert_eq!(dropped.take(), DEPTH);

    // Dropped early, they unwind each other.
    let mut g = tower();
    assert_eq!(g.next(), Some(DEPTH));
    assert_eq!(dropped.get(), 0);
    assert!(unraisable(|| drop(g)).is_empty());
    assert_eq!(dropped.get(), DEPTH);
}

/// R-09. The process is killed before another stack is written to.
#[cfg(unix)]
#[test]
#[cfg_attr(
    feature = "sanitizer",
    ignore = "AddressSanitizer reports the overflow itself"
)]
fn an_overflow_hits_the_guard_page() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const IN_CHILD: &str = "YIELDFROM_CATALOGUE_OVERFLOW";

    fn deeper(n: usize) -> usize {
        let frame = std::hint::black_box([n; 64]);
        if n == 0 { 0 } else { deeper(n - 1) + frame[1] }
    }
    if std::env::var_os(IN_CHILD).is_some() {
        // Frames of 512 bytes, so that none of them reaches over the guard: 2 MiB in all.
        let mut g = generator(|y| y.yield_(deeper(4_096)));
        let result = g.next();
        println!("survived {result:?}");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_overflow_hits_the_guard_page", "--nocapture"])
        .env(IN_CHILD, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(!printed.contains("survived"), "{printed}");
    assert!(output.status.signal().is_some(), "{output:?}");
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(
        reported.contains("coroutine '<unnamed>' has overflowed its stack"),
        "{reported}"
    );
}
