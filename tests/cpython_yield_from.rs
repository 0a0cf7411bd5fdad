//! CPython 3.13's `Lib/test/test_yield_from.py`, case by case under the same names.
//!
//! `ValueError` and the like are the small error types below, told apart by their text where CPython tells instances
//! apart. `StopIteration` with a value is [`Step::Complete`]; raised where it is an error (PEP 479), it is an exception
//! that holds [`ProtocolError::Exhausted`]. `finally` is a destructor, or plain code after the `try` where it yields,
//! raises or returns.
//!
//! | not ported | why |
//! |---|---|
//! | `test_value_attribute_of_StopIteration_exception` | no `StopIteration` object: the value is in `Step::Complete` |
//! | `test_broken_getattr_handling` | no attribute look-up: `yield_each` takes an `Iterator` |
//! | `test_delegator_is_visible_to_debugger` | frames and `inspect.stack` |
//! | `test_close_with_cleared_frame` | the order in which the collector clears frames of a cycle |
//!
//! `__context__` is nowhere compared: an exception is a value and has the source that its author gives it.

// The tests keep CPython's names.
#![allow(non_snake_case)]

use std::cell::{OnceCell, RefCell};
use std::error::Error;
use std::fmt::{self, Debug};
use std::rc::Rc;
use std::sync::Once;

use yieldfrom::{
    Co, Coroutine, Exception, ProtocolError, Raised, SharedCoroutine, State, Step, WeakCoroutine,
    coroutine, set_unraisable_hook,
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

errors! { ValueError ZeroDivisionError LunchError MyErr OtherError PlainError }

/// The events of one test, in order.
#[derive(Clone, Default)]
struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    fn push(&self, event: impl Into<String>) {
        self.0.borrow_mut().push(event.into());
    }

    /// `finally: trace.append(event)` for the rest of the block.
    fn finally(&self, event: &'static str) -> Finally {
        Finally(self.clone(), event)
    }

    #[track_caller]
    fn assert(&self, events: &[&str]) {
        assert_eq!(*self.0.borrow(), events);
    }
}

struct Finally(Trace, &'static str);

impl Drop for Finally {
    fn drop(&mut self) {
        self.0.push(self.1);
    }
}

/// A name that is bound only after the body that looks it up has been made.
struct Name<Y, S>(Rc<OnceCell<WeakCoroutine<Y, S>>>);

impl<Y, S> Name<Y, S> {
    fn get(&self) -> SharedCoroutine<Y, S> {
        self.0.get().and_then(WeakCoroutine::upgrade).unwrap()
    }
}

impl<Y, S> Clone for Name<Y, S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

fn bind<Y, S>(make: impl FnOnce(Name<Y, S>) -> Coroutine<Y, S>) -> SharedCoroutine<Y, S> {
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

// TestPEP380Operation

#[test]
fn test_delegation_of_initial_next_to_subgenerator() -> Test {
    fn g1(trace: Trace) -> Coroutine<i32, ()> {
        coroutine(move |co| {
            trace.push("Starting g1");
            co.yield_from(&mut g2(trace.clone()))?;
            trace.push("Finishing g1");
            Ok(())
        })
    }
    fn g2(trace: Trace) -> Coroutine<i32, ()> {
        coroutine(move |co| {
            trace.push("Starting g2");
            co.yield_(42)?;
            trace.push("Finishing g2");
            Ok(())
        })
    }
    let trace = Trace::default();
    for x in g1(trace.clone()) {
        trace.push(format!("Yielded {}", x?));
    }
    trace.assert(&[
        "Starting g1",
        "Starting g2",
        "Yielded 42",
        "Finishing g2",
        "Finishing g1",
    ]);
    Ok(())
}

#[test]
fn test_raising_exception_in_initial_next_call() {
    fn g1(trace: Trace) -> Coroutine<i32, ()> {
        coroutine(move |co| {
            let _finally = trace.finally("Finishing g1");
            trace.push("Starting g1");
            co.yield_from(&mut g2(trace.clone()))
        })
    }
    fn g2(trace: Trace) -> Coroutine<i32, ()> {
        coroutine(move |_| {
            let _finally = trace.finally("Finishing g2");
            trace.push("Starting g2");
            Err(ValueError("spanish inquisition occurred").into())
        })
    }
    let trace = Trace::default();
    let mut items = g1(trace.clone());
    let exception = items.next().unwrap().unwrap_err();
    assert_eq!(
        exception.downcast_ref(),
        Some(&ValueError("spanish inquisition occurred"))
    );
    assert!(items.next().is_none());
    trace.assert(&["Starting g1", "Starting g2", "Finishing g2", "Finishing g1"]);
}

#[test]
fn test_delegation_of_next_call_to_subgenerator() -> Test {
    fn g1(trace: Trace) -> Coroutine<&'static str, ()> {
        coroutine(move |co| {
            trace.push("Starting g1");
            co.yield_("g1 ham")?;
            co.yield_from(&mut g2(trace.clone()))?;
            co.yield_("g1 eggs")?;
            trace.push("Finishing g1");
            Ok(())
        })
    }
    fn g2(trace: Trace) -> Coroutine<&'static str, ()> {
        coroutine(move |co| {
            trace.push("Starting g2");
            co.yield_("g2 spam")?;
            co.yield_("g2 more spam")?;
            trace.push("Finishing g2");
            Ok(())
        })
    }
    let trace = Trace::default();
    for x in g1(trace.clone()) {
        trace.push(format!("Yielded {}", x?));
    }
    trace.assert(&[
        "Starting g1",
        "Yielded g1 ham",
        "Starting g2",
        "Yielded g2 spam",
        "Yielded g2 more spam",
        "Finishing g2",
        "Yielded g1 eggs",
        "Finishing g1",
    ]);
    Ok(())
}

/// `g1` of the tests that leave it while it delegates.
fn ham_and_eggs(
    trace: Trace,
    g2: fn(Trace) -> Coroutine<&'static str, ()>,
) -> Coroutine<&'static str, ()> {
    coroutine(move |co| {
        let _finally = trace.finally("Finishing g1");
        trace.push("Starting g1");
        co.yield_("g1 ham")?;
        co.yield_from(&mut g2(trace.clone()))?;
        co.yield_("g1 eggs")
    })
}

/// `g2` of those that have nothing of their own to do at the end.
fn spam(trace: Trace) -> Coroutine<&'static str, ()> {
    coroutine(move |co| {
        let _finally = trace.finally("Finishing g2");
        trace.push("Starting g2");
        co.yield_("g2 spam")?;
        co.yield_("g2 more spam")
    })
}

/// Asks for two items, so that `g1` waits in its delegation.
fn next_twice(g: &mut Coroutine<&'static str, ()>, trace: &Trace) -> Test {
    for _ in 0..2 {
        trace.push(format!("Yielded {}", next(g)?.yielded().unwrap()));
    }
    assert!(g.is_delegating());
    Ok(())
}

#[test]
fn test_raising_exception_in_delegated_next_call() -> Test {
    fn g2(trace: Trace) -> Coroutine<&'static str, ()> {
        coroutine(move |co| {
            let _finally = trace.finally("Finishing g2");
            trace.push("Starting g2");
            co.yield_("g2 spam")?;
            Err(ValueError("hovercraft is full of eels").into())
        })
    }
    let trace = Trace::default();
    let mut g = ham_and_eggs(trace.clone(), g2);
    next_twice(&mut g, &trace)?;
    let error: ValueError = raised(next(&mut g));
    assert_eq!(error, ValueError("hovercraft is full of eels"));
    trace.assert(&[
        "Starting g1",
        "Yielded g1 ham",
        "Starting g2",
        "Yielded g2 spam",
        "Finishing g2",
        "Finishing g1",
    ]);
    Ok(())
}

/// `g1` of the two tests of `send`.
fn receiving(
    trace: Trace,
    g2: fn(Trace) -> Coroutine<&'static str, i32>,
) -> Coroutine<&'static str, i32> {
    coroutine(move |co| {
        trace.push("Starting g1");
        let x = co.yield_("g1 ham")?;
        trace.push(format!("g1 received {x}"));
        co.yield_from(&mut g2(trace.clone()))?;
        let x = co.yield_("g1 eggs")?;
        trace.push(format!("g1 received {x}"));
        trace.push("Finishing g1");
        Ok(())
    })
}

/// Sends 1, 2, 3 … until `g` completes.
fn send_numbers(mut g: Coroutine<&'static str, i32>, trace: &Trace) -> Result<(), Raised<i32>> {
    assert_eq!(g.prime()?, Step::Yielded("g1 ham"));
    for x in 1.. {
        match g.send(x)? {
            Step::Yielded(y) => trace.push(format!("Yielded {y}")),
            Step::Complete(()) => break,
        }
    }
    Ok(())
}

#[test]
fn test_delegation_of_send() -> Test {
    fn g2(trace: Trace) -> Coroutine<&'static str, i32> {
        coroutine(move |co| {
            trace.push("Starting g2");
            let x = co.yield_("g2 spam")?;
            trace.push(format!("g2 received {x}"));
            let x = co.yield_("g2 more spam")?;
            trace.push(format!("g2 received {x}"));
            trace.push("Finishing g2");
            Ok(())
        })
    }
    let trace = Trace::default();
    send_numbers(receiving(trace.clone(), g2), &trace)?;
    trace.assert(&[
        "Starting g1",
        "g1 received 1",
        "Starting g2",
        "Yielded g2 spam",
        "g2 received 2",
        "Yielded g2 more spam",
        "g2 received 3",
        "Finishing g2",
        "Yielded g1 eggs",
        "g1 received 4",
        "Finishing g1",
    ]);
    Ok(())
}

#[test]
fn test_handling_exception_while_delegating_send() {
    fn g2(trace: Trace) -> Coroutine<&'static str, i32> {
        coroutine(move |co| {
            trace.push("Starting g2");
            let x = co.yield_("g2 spam")?;
            trace.push(format!("g2 received {x}"));
            Err(ValueError("hovercraft is full of eels").into())
        })
    }
    let trace = Trace::default();
    let error: ValueError = raised(send_numbers(receiving(trace.clone(), g2), &trace));
    assert_eq!(error, ValueError("hovercraft is full of eels"));
    trace.assert(&[
        "Starting g1",
        "g1 received 1",
        "Starting g2",
        "Yielded g2 spam",
        "g2 received 2",
    ]);
}

#[test]
fn test_delegating_close() -> Test {
    let trace = Trace::default();
    let mut g = ham_and_eggs(trace.clone(), spam);
    next_twice(&mut g, &trace)?;
    assert_eq!(g.close()?, None);
    assert_eq!(g.state(), State::Closed);
    trace.assert(&[
        "Starting g1",
        "Yielded g1 ham",
        "Starting g2",
        "Yielded g2 spam",
        "Finishing g2",
        "Finishing g1",
    ]);
    Ok(())
}

#[test]
fn test_handing_exception_while_delegating_close() -> Test {
    fn g2(trace: Trace) -> Coroutine<&'static str, ()> {
        coroutine(move |co| {
            trace.push("Starting g2");
            let tried = co
                .yield_("g2 spam")
                .and_then(|()| co.yield_("g2 more spam"));
            trace.push("Finishing g2");
            assert!(tried.unwrap_err().is_exit());
            Err(ValueError("nybbles have exploded with delight").into())
        })
    }
    let trace = Trace::default();
    let mut g = ham_and_eggs(trace.clone(), g2);
    next_twice(&mut g, &trace)?;
    let error: ValueError = raised(g.close());
    assert_eq!(error, ValueError("nybbles have exploded with delight"));
    assert_eq!(g.state(), State::Closed);
    trace.assert(&[
        "Starting g1",
        "Yielded g1 ham",
        "Starting g2",
        "Yielded g2 spam",
        "Finishing g2",
        "Finishing g1",
    ]);
    Ok(())
}

#[test]
fn test_delegating_throw() -> Test {
    let trace = Trace::default();
    let mut g = ham_and_eggs(trace.clone(), spam);
    next_twice(&mut g, &trace)?;
    let error: ValueError = raised(g.throw(ValueError("tomato ejected")));
    assert_eq!(error, ValueError("tomato ejected"));
    assert_eq!(g.state(), State::Closed);
    trace.assert(&[
        "Starting g1",
        "Yielded g1 ham",
        "Starting g2",
        "Yielded g2 spam",
        "Finishing g2",
        "Finishing g1",
    ]);
    Ok(())
}

#[test]
fn test_exception_value_crash() -> Test {
    fn g1() -> Coroutine<&'static str, ()> {
        coroutine(|co| {
            let _: Vec<i32> = co.yield_from(&mut g2())?;
            Ok(())
        })
    }
    fn g2() -> Coroutine<&'static str, (), Vec<i32>> {
        coroutine(|co| {
            co.yield_("g2")?;
            Ok(vec![42])
        })
    }
    assert_eq!(g1().collect::<Result<Vec<_>, _>>()?, ["g2"]);
    // Iterating drops the value that is returned, too.
    assert_eq!(g2().collect::<Result<Vec<_>, _>>()?, ["g2"]);
    Ok(())
}

#[test]
fn test_generator_return_value() -> Test {
    fn g1(trace: Trace) -> Coroutine<&'static str, ()> {
        coroutine(move |co| {
            trace.push("Starting g1");
            co.yield_("g1 ham")?;
            log_return(co, &trace, ())?;
            log_return(co, &trace, 1)?;
            log_return(co, &trace, (2,))?;
            log_return(co, &trace, ProtocolError::Exhausted)?;
            co.yield_("g1 eggs")?;
            trace.push("Finishing g1");
            Ok(())
        })
    }
    fn log_return<V: Debug + 'static>(co: &Co<&'static str, ()>, trace: &Trace, value: V) -> Test {
        let ret = co.yield_from(&mut g2(trace.clone(), value))?;
        trace.push(format!("g2 returned {ret:?}"));
        Ok(())
    }
    fn g2<V: 'static>(trace: Trace, v: V) -> Coroutine<&'static str, (), V> {
        coroutine(move |co| {
            trace.push("Starting g2");
            co.yield_("g2 spam")?;
            co.yield_("g2 more spam")?;
            trace.push("Finishing g2");
            Ok(v)
        })
    }
    let trace = Trace::default();
    for x in g1(trace.clone()) {
        trace.push(format!("Yielded {}", x?));
    }
    let mut expected = vec!["Starting g1", "Yielded g1 ham"];
    for returned in [
        "g2 returned ()",
        "g2 returned 1",
        "g2 returned (2,)",
        "g2 returned Exhausted",
    ] {
        expected.extend([
            "Starting g2",
            "Yielded g2 spam",
            "Yielded g2 more spam",
            "Finishing g2",
            returned,
        ]);
    }
    expected.extend(["Yielded g1 eggs", "Finishing g1"]);
    trace.assert(&expected);
    Ok(())
}

#[test]
fn test_delegation_of_next_to_non_generator() -> Test {
    let g: Coroutine<i32, ()> = coroutine(|co| co.yield_each(0..3));
    assert_eq!(g.collect::<Result<Vec<_>, _>>()?, [0, 1, 2]);
    Ok(())
}

/// A plain iterator takes the `None` of those who could also send something.
#[test]
fn test_conversion_of_sendNone_to_next() -> Test {
    let mut g: Coroutine<i32, Option<&str>> = coroutine(|co| co.yield_each(0..3));
    let mut yielded = vec![g.prime()?];
    for _ in 0..2 {
        yielded.push(g.send(None)?);
    }
    assert_eq!(
        yielded,
        [Step::Yielded(0), Step::Yielded(1), Step::Yielded(2)]
    );
    assert_eq!(g.send(None)?, Step::Complete(()));
    Ok(())
}

#[test]
fn test_delegation_of_close_to_non_generator() -> Test {
    let trace = Trace::default();
    let mut g: Coroutine<i32, ()> = coroutine({
        let trace = trace.clone();
        move |co| {
            let _finally = trace.finally("finishing g");
            trace.push("starting g");
            co.yield_each(0..3)?;
            trace.push("g should not be here");
            Ok(())
        }
    });
    assert_eq!(g.prime()?, Step::Yielded(0));
    let reported = unraisable(|| assert_eq!(g.close().unwrap(), None));
    assert!(reported.is_empty(), "{reported:?}");
    trace.assert(&["starting g", "finishing g"]);
    Ok(())
}

#[test]
fn test_delegating_throw_to_non_generator() -> Test {
    let trace = Trace::default();
    let mut g: Coroutine<i32, ()> = coroutine({
        let trace = trace.clone();
        move |co| {
            let _finally = trace.finally("Finishing g");
            trace.push("Starting g");
            co.yield_each(0..10)
        }
    });
    for _ in 0..5 {
        trace.push(format!("Yielded {}", next(&mut g)?.yielded().unwrap()));
    }
    let error: ValueError = raised(g.throw(ValueError("tomato ejected")));
    assert_eq!(error, ValueError("tomato ejected"));
    trace.assert(&[
        "Starting g",
        "Yielded 0",
        "Yielded 1",
        "Yielded 2",
        "Yielded 3",
        "Yielded 4",
        "Finishing g",
    ]);
    Ok(())
}

#[test]
fn test_attempting_to_send_to_non_generator() -> Test {
    let trace = Trace::default();
    let mut g: Coroutine<i32, Option<i32>> = coroutine({
        let trace = trace.clone();
        move |co| {
            let _finally = trace.finally("finishing g");
            trace.push("starting g");
            co.yield_each(0..3)?;
            trace.push("g should not be here");
            Ok(())
        }
    });
    assert_eq!(g.prime()?, Step::Yielded(0));
    let error: ProtocolError = raised(g.send(Some(42)));
    assert_eq!(error, ProtocolError::SendToIterator);
    assert_eq!(g.state(), State::Closed);
    trace.assert(&["starting g", "finishing g"]);
    Ok(())
}

#[test]
fn test_exception_in_initial_next_call() {
    fn g1(trace: Trace) -> Coroutine<i32, ()> {
        coroutine(move |co| {
            trace.push("g1 about to yield from g2");
            co.yield_from(&mut g2())?;
            trace.push("g1 should not be here");
            Ok(())
        })
    }
    fn g2() -> Coroutine<i32, ()> {
        coroutine(|co| {
            let quotient = 1_i32
                .checked_div(0)
                .ok_or(ZeroDivisionError("division by zero"))?;
            co.yield_(quotient)
        })
    }
    let trace = Trace::default();
    let _: ZeroDivisionError = raised(next(&mut g1(trace.clone())));
    trace.assert(&["g1 about to yield from g2"]);
}

#[test]
fn test_attempted_yield_from_loop() {
    fn g1(trace: Trace, gi: Name<&'static str, ()>) -> Coroutine<&'static str, ()> {
        coroutine(move |co| {
            trace.push("g1: starting");
            co.yield_("y1")?;
            trace.push("g1: about to yield from g2");
            co.yield_from(&mut g2(trace.clone(), gi))?;
            trace.push("g1 should not be here");
            Ok(())
        })
    }
    fn g2(trace: Trace, gi: Name<&'static str, ()>) -> Coroutine<&'static str, ()> {
        coroutine(move |co| {
            trace.push("g2: starting");
            co.yield_("y2")?;
            trace.push("g2: about to yield from g1");
            co.yield_from(&gi.get())?;
            trace.push("g2 should not be here");
            Ok(())
        })
    }
    let trace = Trace::default();
    let gi = bind(|name| g1(trace.clone(), name));
    let mut step = gi.prime();
    while let Ok(Step::Yielded(y)) = step {
        trace.push(format!("Yielded: {y}"));
        step = gi.send(());
    }
    let error: ProtocolError = raised(step);
    assert_eq!(error, ProtocolError::AlreadyExecuting);
    assert_eq!(gi.state(), State::Closed);
    trace.assert(&[
        "g1: starting",
        "Yielded: y1",
        "g1: about to yield from g2",
        "g2: starting",
        "Yielded: y2",
        "g2: about to yield from g1",
    ]);
}

#[test]
fn test_returning_value_from_delegated_throw() -> Test {
    fn g2(trace: Trace) -> Coroutine<&'static str, ()> {
        coroutine(move |co| {
            trace.push("Starting g2");
            let tried = co
                .yield_("g2 spam")
                .and_then(|()| co.yield_("g2 more spam"));
            match tried {
                Err(exception) if exception.is::<LunchError>() => {
                    trace.push("Caught LunchError in g2");
                    co.yield_("g2 lunch saved")?;
                    co.yield_("g2 yet more spam")
                }
                other => other,
            }
        })
    }
    let trace = Trace::default();
    let mut g = ham_and_eggs(trace.clone(), g2);
    next_twice(&mut g, &trace)?;
    let saved = g.throw(LunchError("tomato ejected"))?;
    assert_eq!(saved, Step::Yielded("g2 lunch saved"));
    for x in g {
        trace.push(format!("Yielded {}", x?));
    }
    trace.assert(&[
        "Starting g1",
        "Yielded g1 ham",
        "Starting g2",
        "Yielded g2 spam",
        "Caught LunchError in g2",
        "Yielded g2 yet more spam",
        "Yielded g1 eggs",
        "Finishing g1",
    ]);
    Ok(())
}

#[test]
fn test_next_and_return_with_value() -> Test {
    fn f<V: Debug + 'static>(trace: &Trace, r: V) -> Test {
        let mut gi = g(trace.clone(), r);
        assert_eq!(next(&mut gi)?.yielded(), Some(()));
        trace.push("f resuming g");
        match next(&mut gi)? {
            Step::Yielded(()) => trace.push("f SHOULD NOT BE HERE"),
            Step::Complete(value) => trace.push(format!("f caught {value:?}")),
        }
        Ok(())
    }
    fn g<V: Debug + 'static>(trace: Trace, r: V) -> Coroutine<(), (), V> {
        coroutine(move |co| {
            trace.push("g starting");
            co.yield_(())?;
            trace.push(format!("g returning {r:?}"));
            Ok(r)
        })
    }
    let trace = Trace::default();
    f(&trace, ())?;
    f(&trace, 1)?;
    f(&trace, (2,))?;
    f(&trace, ProtocolError::Exhausted)?;
    trace.assert(&[
        "g starting",
        "f resuming g",
        "g returning ()",
        "f caught ()",
        "g starting",
        "f resuming g",
        "g returning 1",
        "f caught 1",
        "g starting",
        "f resuming g",
        "g returning (2,)",
        "f caught (2,)",
        "g starting",
        "f resuming g",
        "g returning Exhausted",
        "f caught Exhausted",
    ]);
    Ok(())
}

#[test]
fn test_send_and_return_with_value() -> Test {
    fn f<V: Debug + 'static>(trace: &Trace, r: V) -> Test {
        let mut gi = g(trace.clone(), r);
        gi.prime()?;
        trace.push("f sending spam to g");
        match gi.send("spam")? {
            Step::Yielded(()) => trace.push("f SHOULD NOT BE HERE"),
            Step::Complete(value) => trace.push(format!("f caught {value:?}")),
        }
        Ok(())
    }
    fn g<V: Debug + 'static>(trace: Trace, r: V) -> Coroutine<(), &'static str, V> {
        coroutine(move |co| {
            trace.push("g starting");
            let x = co.yield_(())?;
            trace.push(format!("g received {x:?}"));
            trace.push(format!("g returning {r:?}"));
            Ok(r)
        })
    }
    let trace = Trace::default();
    f(&trace, ())?;
    f(&trace, 1)?;
    f(&trace, (2,))?;
    f(&trace, ProtocolError::Exhausted)?;
    let mut expected = Vec::new();
    for [returning, caught] in [
        ["g returning ()", "f caught ()"],
        ["g returning 1", "f caught 1"],
        ["g returning (2,)", "f caught (2,)"],
        ["g returning Exhausted", "f caught Exhausted"],
    ] {
        expected.extend([
            "g starting",
            "f sending spam to g",
            "g received \"spam\"",
            returning,
            caught,
        ]);
    }
    trace.assert(&expected);
    Ok(())
}

#[test]
fn test_catching_exception_from_subgen_and_returning() -> Test {
    fn inner<V: 'static>(trace: Trace, value: V) -> Coroutine<String, (), V> {
        coroutine(move |co| {
            match co.yield_("1".to_owned()) {
                Err(exception) if exception.is::<ValueError>() => {
                    trace.push("inner caught ValueError");
                }
                other => other?,
            }
            Ok(value)
        })
    }
    fn outer<V: Debug + 'static>(trace: Trace, value: V) -> Coroutine<String, ()> {
        coroutine(move |co| {
            let v = co.yield_from(&mut inner(trace.clone(), value))?;
            trace.push(format!("inner returned {v:?} to outer"));
            co.yield_(format!("{v:?}"))
        })
    }
    fn check<V: Debug + Clone + 'static>(value: V) -> Test {
        let trace = Trace::default();
        let mut g = outer(trace.clone(), value.clone());
        trace.push(next(&mut g)?.yielded().unwrap());
        trace.push(g.throw(ValueError(""))?.yielded().unwrap());
        trace.assert(&[
            "1",
            "inner caught ValueError",
            &format!("inner returned {value:?} to outer"),
            &format!("{value:?}"),
        ]);
        Ok(())
    }
    check(2)?;
    check((2,))?;
    check(ProtocolError::Exhausted)
}

/// `g` of the tests that throw `GeneratorExit` into a delegation; `f` handles it with `handler`.
fn exit_into(
    trace: &Trace,
    handler: impl FnOnce(&Co<(), ()>, Exception) -> Test + 'static,
) -> Coroutine<(), ()> {
    let trace = trace.clone();
    coroutine(move |co| {
        trace.push("Enter g");
        let mut f = coroutine({
            let trace = trace.clone();
            move |co| {
                trace.push("Enter f");
                match co.yield_(()) {
                    Ok(()) => {
                        trace.push("Exit f");
                        Ok(())
                    }
                    Err(exception) => handler(co, exception),
                }
            }
        });
        co.yield_from(&mut f)?;
        trace.push("Exit g");
        Ok(())
    })
}

#[test]
fn test_throwing_GeneratorExit_into_subgen_that_returns() -> Test {
    let trace = Trace::default();
    let mut g = exit_into(&trace, |_, exit| {
        assert!(exit.is_exit());
        Ok(())
    });
    next(&mut g)?;
    raised_exit(g.throw(Exception::GeneratorExit));
    assert_eq!(g.state(), State::Closed);
    trace.assert(&["Enter g", "Enter f"]);
    Ok(())
}

#[test]
fn test_throwing_GeneratorExit_into_subgenerator_that_yields() -> Test {
    let trace = Trace::default();
    let mut g = exit_into(&trace, |co, exit| {
        assert!(exit.is_exit());
        co.yield_(())
    });
    next(&mut g)?;
    let error: ProtocolError = raised(g.throw(Exception::GeneratorExit));
    assert_eq!(error, ProtocolError::IgnoredExit);
    assert_eq!(g.state(), State::Closed);
    trace.assert(&["Enter g", "Enter f"]);
    Ok(())
}

#[test]
fn test_throwing_GeneratorExit_into_subgen_that_raises() -> Test {
    let trace = Trace::default();
    let mut g = exit_into(&trace, |_, exit| {
        assert!(exit.is_exit());
        Err(ValueError("Vorpal bunny encountered").into())
    });
    next(&mut g)?;
    let error: ValueError = raised(g.throw(Exception::GeneratorExit));
    assert_eq!(error, ValueError("Vorpal bunny encountered"));
    assert_eq!(g.state(), State::Closed);
    trace.assert(&["Enter g", "Enter f"]);
    Ok(())
}

#[test]
fn test_yield_from_empty() -> Test {
    let mut g: Coroutine<i32, ()> = coroutine(|co| co.yield_each([]));
    assert_eq!(next(&mut g)?, Step::Complete(()));
    Ok(())
}

#[test]
fn test_delegating_generators_claim_to_be_running() -> Test {
    /// `yield value`, with `MyErr` swallowed.
    fn past_my_err(co: &Co<i32, i32>, value: i32) -> Test {
        match co.yield_(value) {
            Err(exception) if exception.is::<MyErr>() => Ok(()),
            other => other.map(drop),
        }
    }
    fn one(g1: Name<i32, i32>) -> Coroutine<i32, i32> {
        coroutine(move |co| {
            past_my_err(co, 0)?;
            co.yield_from(&mut two(g1))?;
            past_my_err(co, 3)
        })
    }
    fn two(g1: Name<i32, i32>) -> Coroutine<i32, i32> {
        coroutine(move |co| {
            past_my_err(co, 1)?;
            assert_eq!(g1.get().state(), State::Running);
            let error = co.yield_from(&g1.get()).unwrap_err();
            assert_eq!(
                error.downcast_ref(),
                Some(&ProtocolError::AlreadyExecuting),
                "{error:?}"
            );
            past_my_err(co, 2)
        })
    }
    type Resume = fn(&SharedCoroutine<i32, i32>) -> Result<Step<i32, ()>, Raised<i32>>;
    let check = |resume: Resume| -> Result<Vec<i32>, Exception> {
        let g1 = bind(one);
        let mut res = Vec::new();
        let mut step = g1.prime()?;
        while let Step::Yielded(value) = step {
            res.push(value);
            step = resume(&g1)?;
        }
        Ok(res)
    };
    assert_eq!(check(|g| g.send(0))?, [0, 1, 2, 3], "basic iteration");
    assert_eq!(check(|g| g.send(42))?, [0, 1, 2, 3], "send");
    assert_eq!(check(|g| g.throw(MyErr("")))?, [0, 1, 2, 3], "throw");

    // Check with close: a Rust iterator is closed by being dropped.
    struct MyIt(Name<i32, ()>, Trace);
    impl Iterator for MyIt {
        type Item = i32;

        fn next(&mut self) -> Option<i32> {
            Some(42)
        }
    }
    impl Drop for MyIt {
        fn drop(&mut self) {
            let Self(g1, trace) = self;
            trace.push(format!("{:?}", g1.get().state()));
            trace.push(format!("{:?}", g1.get().send(()).unwrap_err()));
            trace.push(format!("{:?}", g1.get().close().unwrap_err()));
        }
    }
    let trace = Trace::default();
    let g1 = bind(|g1| {
        let it = MyIt(g1, trace.clone());
        coroutine(|co| co.yield_each(it))
    });
    assert_eq!(g1.prime()?, Step::Yielded(42));
    assert_eq!(g1.close()?, None);
    trace.assert(&[
        "Running",
        "AlreadyExecuting(Some(()))",
        "AlreadyExecuting(None)",
    ]);
    Ok(())
}

/// An iterator whose end comes with a value has it to itself: `yield_each` can borrow it.
#[test]
fn test_custom_iterator_return() -> Test {
    struct MyIter {
        returned: Option<i32>,
    }
    impl Iterator for MyIter {
        type Item = i32;

        fn next(&mut self) -> Option<i32> {
            self.returned = Some(42);
            None
        }
    }
    let ret = Rc::new(RefCell::new(None));
    let g: Coroutine<i32, ()> = coroutine({
        let ret = Rc::clone(&ret);
        move |co| {
            let mut items = MyIter { returned: None };
            co.yield_each(&mut items)?;
            *ret.borrow_mut() = items.returned;
            Ok(())
        }
    });
    assert_eq!(g.count(), 0);
    assert_eq!(*ret.borrow(), Some(42));
    Ok(())
}

/// What can be sent to is a coroutine here, never an object of the user's own.
#[test]
fn test_send_tuple_with_custom_generator() -> Test {
    type Sent = (i32, i32, i32, i32);
    let v = Rc::new(RefCell::new(None));
    let mut g: Coroutine<i32, Sent, Exception> = coroutine({
        let v = Rc::clone(&v);
        move |co| {
            let mut my_gen: Coroutine<i32, Sent, Exception> = coroutine(move |co| {
                loop {
                    let what = co.yield_(42)?;
                    *v.borrow_mut() = Some(what);
                }
            });
            co.yield_from(&mut my_gen)
        }
    });
    assert_eq!(g.prime()?.yielded(), Some(42));
    assert_eq!(g.send((1, 2, 3, 4))?.yielded(), Some(42));
    assert_eq!(*v.borrow(), Some((1, 2, 3, 4)));
    Ok(())
}

// TestInterestingEdgeCases: an outer coroutine does nothing but delegate to an inner one, which waits at its first
// `yield_` and reacts in various ways to being closed or thrown at.

type Subject = Coroutine<&'static str, (), &'static str>;

const FIRST: &str = "yielded first";
const SECOND: &str = "yielded second";
const RETURNED: &str = "returned";

/// Makes an outer one that waits at the first `yield_` of the inner one.
type Outer = fn(Subject) -> Subject;

/// An inner one with a single owner is driven in place of the outer one; one with several is not. Nobody can tell.
const OUTERS: [Outer; 2] = [
    |mut inner| started(coroutine(move |co| co.yield_from(&mut inner))),
    |inner| {
        let inner = inner.shared();
        started(coroutine(move |co| co.yield_from(&inner)))
    },
];

fn started(mut outer: Subject) -> Subject {
    assert_eq!(outer.prime().unwrap(), Step::Yielded(FIRST));
    assert!(outer.is_delegating());
    outer
}

/// The `try` block of every inner one.
fn two_yields(co: &Co<&'static str, ()>) -> Result<&'static str, Exception> {
    co.yield_(FIRST)?;
    co.yield_(SECOND)?;
    Ok(RETURNED)
}

/// One that raises `raised` in a `finally`.
fn raising(raised: impl Into<Exception>) -> Subject {
    let raised = raised.into();
    coroutine(|co| {
        let _tried = two_yields(co);
        Err(raised)
    })
}

#[track_caller]
fn assert_stop_iteration(mut g: Subject) {
    assert_eq!(g.state(), State::Closed);
    assert!(matches!(g.send(()), Err(Raised::Exhausted(Some(())))));
}

/// What the subtests throw, in their order. `OtherError` stands for a `BaseException` that is not `GeneratorExit`.
fn thrown() -> [(&'static str, Exception); 4] {
    [
        ("throw GeneratorExit", Exception::GeneratorExit),
        ("throw StopIteration", ProtocolError::Exhausted.into()),
        ("throw BaseException", OtherError("thrown").into()),
        ("throw Exception", PlainError("thrown").into()),
    ]
}

#[test]
fn test_close_and_throw_work() -> Test {
    for outer in OUTERS {
        let inner = || outer(coroutine(two_yields));

        let mut g = inner();
        assert_eq!(g.close()?, None);
        assert_stop_iteration(g);

        let mut g = inner();
        raised_exit(g.throw(Exception::GeneratorExit));
        assert_stop_iteration(g);

        // PEP 479: it is an error, and not the end of anything.
        let mut g = inner();
        let error: ProtocolError = raised(g.throw(ProtocolError::Exhausted));
        assert_eq!(error, ProtocolError::Exhausted);
        assert_stop_iteration(g);

        let mut g = inner();
        let error: OtherError = raised(g.throw(OtherError("thrown")));
        assert_eq!(error, OtherError("thrown"));
        assert_stop_iteration(g);

        let mut g = inner();
        let error: PlainError = raised(g.throw(PlainError("thrown")));
        assert_eq!(error, PlainError("thrown"));
        assert_stop_iteration(g);
    }
    Ok(())
}

#[test]
fn test_close_and_throw_raise_generator_exit() -> Test {
    for outer in OUTERS {
        let mut g = outer(raising(Exception::GeneratorExit));
        assert_eq!(g.close()?, None);
        assert_stop_iteration(g);

        for (_, thrown) in thrown() {
            let mut g = outer(raising(Exception::GeneratorExit));
            raised_exit(g.throw(thrown));
            assert_stop_iteration(g);
        }
    }
    Ok(())
}

#[test]
fn test_close_and_throw_raise_stop_iteration() {
    for outer in OUTERS {
        let mut g = outer(raising(ProtocolError::Exhausted));
        let error: ProtocolError = raised(g.close());
        assert_eq!(error, ProtocolError::Exhausted);
        assert_stop_iteration(g);

        for (subtest, thrown) in thrown() {
            let mut g = outer(raising(ProtocolError::Exhausted));
            let error: ProtocolError = raised(g.throw(thrown));
            assert_eq!(error, ProtocolError::Exhausted, "{subtest}");
            assert_stop_iteration(g);
        }
    }
}

#[test]
fn test_close_and_throw_raise_base_exception() {
    for outer in OUTERS {
        let mut g = outer(raising(OtherError("raised")));
        let error: OtherError = raised(g.close());
        assert_eq!(error, OtherError("raised"));
        assert_stop_iteration(g);

        for (subtest, thrown) in thrown() {
            let mut g = outer(raising(OtherError("raised")));
            let error: OtherError = raised(g.throw(thrown));
            assert_eq!(error, OtherError("raised"), "{subtest}");
            assert_stop_iteration(g);
        }
    }
}

#[test]
fn test_close_and_throw_raise_exception() {
    for outer in OUTERS {
        let mut g = outer(raising(PlainError("raised")));
        let error: PlainError = raised(g.close());
        assert_eq!(error, PlainError("raised"));
        assert_stop_iteration(g);

        for (subtest, thrown) in thrown() {
            let mut g = outer(raising(PlainError("raised")));
            let error: PlainError = raised(g.throw(thrown));
            assert_eq!(error, PlainError("raised"), "{subtest}");
            assert_stop_iteration(g);
        }
    }
}

#[test]
fn test_close_and_throw_yield() -> Test {
    for outer in OUTERS {
        let inner = || {
            outer(coroutine(|co| {
                let tried = co.yield_(FIRST);
                co.yield_(SECOND)?;
                tried?;
                Ok(RETURNED)
            }))
        };

        // The ignored exit is raised inside the outer one, which ends by it.
        let mut g = inner();
        let error: ProtocolError = raised(g.close());
        assert_eq!(error, ProtocolError::IgnoredExit);
        assert_stop_iteration(g);

        let mut g = inner();
        let error: ProtocolError = raised(g.throw(Exception::GeneratorExit));
        assert_eq!(error, ProtocolError::IgnoredExit);
        assert_stop_iteration(g);

        let mut g = inner();
        assert_eq!(g.throw(ProtocolError::Exhausted)?, Step::Yielded(SECOND));
        let error: ProtocolError = raised(next(&mut g));
        assert_eq!(error, ProtocolError::Exhausted);
        assert_stop_iteration(g);

        let mut g = inner();
        assert_eq!(g.throw(OtherError("thrown"))?, Step::Yielded(SECOND));
        let error: OtherError = raised(next(&mut g));
        assert_eq!(error, OtherError("thrown"));
        assert_stop_iteration(g);

        let mut g = inner();
        assert_eq!(g.throw(PlainError("thrown"))?, Step::Yielded(SECOND));
        let error: PlainError = raised(next(&mut g));
        assert_eq!(error, PlainError("thrown"));
        assert_stop_iteration(g);
    }
    Ok(())
}

#[test]
fn test_close_and_throw_return() -> Test {
    for outer in OUTERS {
        let inner = || {
            outer(coroutine(|co| {
                let _tried = two_yields(co);
                Ok(RETURNED)
            }))
        };

        // The value of the inner one is lost: the order to finish is raised in the outer one all the same.
        let mut g = inner();
        assert_eq!(g.close()?, None);
        assert_stop_iteration(g);

        for (subtest, thrown) in thrown() {
            let mut g = inner();
            if thrown.is_exit() {
                raised_exit(g.throw(thrown));
            } else {
                assert_eq!(g.throw(thrown)?, Step::Complete(RETURNED), "{subtest}");
            }
            assert_stop_iteration(g);
        }
    }
    Ok(())
}
