//! CPython 3.13's `Lib/test/test_generator_stop.py`, case by case under the same names.
//!
//! PEP 479: the end of one generator must not silently end another that asks it for more. `StopIteration` is here
//! [`Raised::Exhausted`], which `?` turns into an exception that holds [`ProtocolError::Exhausted`].
//!
//! | not ported | why |
//! |---|---|
//! | (none) | |
//!
//! Of `test_stopiteration_wrapping_context`, `__context__` and `__suppress_context__` have no counterpart: nothing is
//! wrapped, the error that comes out is the cause itself.

use yieldfrom::{Co, Coroutine, Exception, ProtocolError, Raised, State, Step, coroutine};

/// Asks a finished coroutine for more, as `raise StopIteration` below a body.
fn f() -> Result<i32, Exception> {
    let mut finished = coroutine(|_: &Co<i32, ()>| Ok(()));
    assert!(matches!(finished.prime()?, Step::Complete(())));
    match finished.send(())? {
        Step::Yielded(value) => Ok(value),
        Step::Complete(()) => unreachable!("it was asked after its end"),
    }
}

fn g() -> Coroutine<i32, ()> {
    coroutine(|co| co.yield_(f()?))
}

#[test]
fn test_stopiteration_wrapping() {
    let mut g = g();
    match g.prime() {
        Err(Raised::Exception(exception)) => assert!(exception.is::<ProtocolError>()),
        other => panic!("the end of `finished` ended `g` as {other:?}"),
    }
    assert_eq!(g.state(), State::Closed);
    assert!(matches!(g.send(()), Err(Raised::Exhausted(Some(())))));
}

#[test]
fn test_stopiteration_wrapping_context() {
    let raised = Exception::from(g().prime().unwrap_err());
    assert_eq!(
        raised.downcast_ref::<ProtocolError>(),
        Some(&ProtocolError::Exhausted)
    );
    assert!(raised.source().is_none());

    // For who iterates, it is an item that says so, and not the end.
    let mut items = g();
    match items.next() {
        Some(Err(exception)) => assert!(exception.is::<ProtocolError>()),
        other => panic!("{other:?}"),
    }
    assert!(items.next().is_none());
}
