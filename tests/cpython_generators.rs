//! CPython 3.13's `Lib/test/test_generators.py`, case by case under the same names. The sections of its `__test__`
//! doctests are the modules at the end.
//!
//! `ValueError` and the like are the small error types below. `StopIteration` with a value is [`Step::Complete`], and
//! asking once more is [`Raised::Exhausted`]. `finally` is a destructor, or plain code after the `try` where it yields.
//!
//! | not ported | why |
//! |---|---|
//! | `FinalizationTest.test_frame_resurrect` | frames |
//! | `FinalizationTest.test_refcycle` | the cycle collector (an `Rc` cycle leaks: `catalogue.rs`, G-084) |
//! | `GeneratorTest.test_copy` | does not compile: see `Generator` in src/generator.rs |
//! | `GeneratorTest.test_pickle` | nothing serializes a coroutine |
//! | `GeneratorTest.test_handle_frame_object_in_creation` | frames |
//! | `GeneratorTest.test_ag_frame_f_back` | frames |
//! | `GeneratorTest.test_cr_frame_f_back` | frames |
//! | `GeneratorTest.test_gi_frame_f_back` | frames |
//! | `ExceptionTest.test_except_next` | `sys.exception()`: exceptions are values, none is current |
//! | `ExceptionTest.test_except_gen_except` | the same |
//! | `ExceptionTest.test_nested_gen_except_loop` | the same |
//! | `ExceptionTest.test_except_throw_exception_context` | `__context__` (an explicit source: `catalogue.rs`, G-121) |
//! | `ExceptionTest.test_except_throw_bad_exception` | does not compile: `throw` takes `Into<Exception>` |
//! | `ExceptionTest.test_gen_3_arg_deprecation_warning` | does not compile: `throw` takes one argument |
//! | `GeneratorThrowTest.test_exception_context_with_yield` | `__context__` |
//! | `GeneratorThrowTest.test_exception_context_with_yield_inside_generator` | `__context__` |
//! | `GeneratorThrowTest.test_exception_context_with_yield_from` | `__context__` |
//! | `GeneratorThrowTest.test_exception_context_with_yield_from_with_context_cycle` | `__context__` |
//! | `GeneratorStackTraceTest.test_send_with_yield_from` | frames |
//! | `GeneratorStackTraceTest.test_throw_with_yield_from` | frames |
//! | email: `type`, `dir`, `__doc__`, `gi_frame`, assigning to `gi_running` | introspection; does not compile |
//! | syntax: a generator whose `yield` is never reached; `gi_code` | syntax; code objects |
//! | weakref: a reference to the function | functions are not counted |
//! | coroutine: `SyntaxError`s, what makes a generator, a `yield` in a generator expression | syntax |
//! | coroutine: `throw` of two or three arguments, of a `str`, an `int`, a `list` | does not compile |
//! | coroutine: the traceback of a plain `raise` (#13188) | traceback (that the instance stays is ported) |
//! | refleaks: a cycle through `itertools.tee` | the cycle collector |

use std::cell::{Cell, OnceCell, RefCell};
use std::error::Error;
use std::fmt::{self, Debug};
use std::rc::Rc;
use std::sync::Once;

use yieldfrom::{
    Builder, Co, Coroutine, Exception, Generator, ProtocolError, Raised, SharedCoroutine, State,
    Step, WeakCoroutine, coroutine, generator, set_unraisable_hook,
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

errors! { ValueError TypeError KeyError RuntimeError KeyboardInterrupt ZeroDivisionError }

fn divide(dividend: i32, divisor: i32) -> Result<i32, ZeroDivisionError> {
    dividend
        .checked_div(divisor)
        .ok_or(ZeroDivisionError("division by zero"))
}

/// What is printed in a doctest.
#[derive(Clone, Default)]
struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    fn push(&self, event: impl Into<String>) {
        self.0.borrow_mut().push(event.into());
    }

    /// `finally: print(event)` for the rest of the block.
    fn finally(&self, event: &'static str) -> Finally {
        Finally(self.clone(), event)
    }

    /// Compares what was printed since the last call.
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

/// Python's `list(g)`.
fn list<Y, R>(g: Coroutine<Y, (), R>) -> Result<Vec<Y>, Exception> {
    g.collect()
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
fn assert_stop_iteration<R: Debug>(g: &mut Coroutine<impl Debug, (), R>) {
    match next(g) {
        Err(Raised::Exhausted(Some(()))) => assert_eq!(g.state(), State::Closed),
        other => panic!("expected no more, got {other:?}"),
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

// SignalAndYieldFromTest

/// What a signal handler raises is thrown in here by hand.
#[test]
fn test_raise_and_yield_from() -> Test {
    fn generator1() -> Coroutine<(), (), &'static str> {
        coroutine(|co| co.yield_from(&mut generator2()))
    }
    fn generator2() -> Coroutine<(), (), &'static str> {
        coroutine(|co| match co.yield_(()) {
            Err(exception) if exception.is::<KeyboardInterrupt>() => Ok("PASSED"),
            _ => Ok("FAILED"),
        })
    }
    let mut g = generator1();
    g.prime()?;
    assert_eq!(g.throw(KeyboardInterrupt(""))?, Step::Complete("PASSED"));
    Ok(())
}

// FinalizationTest

#[test]
fn test_lambda_generator() -> Test {
    let f = || coroutine(|co: &Co<i32, i32>| co.yield_(1));
    fn g() -> Coroutine<i32, i32, i32> {
        coroutine(|co| co.yield_(1))
    }
    let f2 = || coroutine(|co: &Co<i32, i32>| co.yield_from(&mut g()));
    fn g2() -> Coroutine<i32, i32, i32> {
        coroutine(|co| co.yield_from(&mut g()))
    }
    let f3 = move || coroutine(move |co: &Co<i32, i32>| co.yield_from(&mut f()));
    fn g3() -> Coroutine<i32, i32, i32> {
        coroutine(|co| co.yield_from(&mut g2()))
    }
    for mut g in [f(), g(), f2(), g2(), f3(), g3()] {
        assert_eq!(g.prime()?, Step::Yielded(1));
        assert_eq!(g.send(2)?, Step::Complete(2));
    }
    Ok(())
}

// GeneratorTest

/// A name is given when a coroutine is made, and not changed later.
#[test]
fn test_name() {
    let body = |co: &Co<i32, ()>| co.yield_(1);
    let named = Builder::new().name("func").coroutine(body);
    assert_eq!(named.name(), Some("func"));
    let named = named.shared();
    assert_eq!(named.name(), Some("func"));
    let computed = Builder::new().name(format!("{}_{}", "func", "name"));
    assert_eq!(computed.coroutine(body).name(), Some("func_name"));
    assert_eq!(
        computed.generator(|y| y.yield_(1)).name(),
        Some("func_name")
    );
    assert_eq!(coroutine(body).name(), None);
}

#[test]
fn test_send_non_none_to_new_gen() -> Test {
    let mut g: Coroutine<i32, i32, i32> = coroutine(|co| co.yield_(1));
    assert!(matches!(g.send(0), Err(Raised::JustStarted(0))));
    assert_eq!(g.state(), State::Created);
    assert_eq!(g.prime()?, Step::Yielded(1));
    Ok(())
}

#[test]
fn test_issue103488() {
    fn gen_raises() -> Coroutine<(), ()> {
        coroutine(|co| {
            co.yield_(())?;
            Err(ValueError("").into())
        })
    }
    let r#loop = || -> Test {
        for item in gen_raises() {
            item?;
        }
        Ok(())
    };
    let caught = r#loop().unwrap_err();
    assert!(caught.is::<ValueError>());
}

// ExceptionTest

#[test]
fn test_except_throw() -> Test {
    let mut make: Coroutine<(), ()> = coroutine(|co| {
        let exception = co.yield_(()).unwrap_err();
        assert!(exception.is::<ValueError>());
        co.yield_(())?;
        // It is still there, and can be raised back.
        assert!(exception.is::<ValueError>());
        co.yield_(())?;
        Err(exception)
    });
    next(&mut make)?;
    assert_eq!(make.throw(ValueError("thrown"))?, Step::Yielded(()));
    assert_eq!(next(&mut make)?, Step::Yielded(()));
    let error: ValueError = raised(next(&mut make));
    assert_eq!(error, ValueError("thrown"));
    Ok(())
}

/// A coroutine that has finished. To ask it for more is what raises `StopIteration`.
fn finished() -> Coroutine<i32, ()> {
    let mut finished = coroutine(|_| Ok(()));
    assert_eq!(finished.prime().unwrap(), Step::Complete(()));
    finished
}

#[test]
fn test_stopiteration_error() {
    let mut g: Coroutine<i32, ()> = coroutine(|_| {
        next(&mut finished())?;
        unreachable!()
    });
    let error: ProtocolError = raised(next(&mut g));
    assert_eq!(error, ProtocolError::Exhausted);
}

#[test]
fn test_tutorial_stopiteration() -> Test {
    let mut g: Coroutine<i32, ()> = coroutine(|co| {
        co.yield_(1)?;
        next(&mut finished())?;
        co.yield_(2) // never reached
    });
    assert_eq!(next(&mut g)?, Step::Yielded(1));
    let error: ProtocolError = raised(next(&mut g));
    assert_eq!(error, ProtocolError::Exhausted);
    assert_stop_iteration(&mut g);
    Ok(())
}

#[test]
fn test_return_tuple() -> Test {
    let mut g: Coroutine<i32, (i32,), (i32,)> = coroutine(|co| co.yield_(1));
    assert_eq!(g.prime()?, Step::Yielded(1));
    assert_eq!(g.send((2,))?, Step::Complete((2,)));
    Ok(())
}

/// An error that is sent is a value like any other.
#[test]
fn test_return_stopiteration() -> Test {
    let mut g: Coroutine<i32, ProtocolError, ProtocolError> = coroutine(|co| co.yield_(1));
    assert_eq!(g.prime()?, Step::Yielded(1));
    assert_eq!(
        g.send(ProtocolError::Exhausted)?,
        Step::Complete(ProtocolError::Exhausted)
    );
    Ok(())
}

// GeneratorCloseTest

/// Yields once and returns 0 when it is closed there.
fn catches_exit() -> Coroutine<(), (), Option<i32>> {
    coroutine(|co| match co.yield_(()) {
        Err(Exception::GeneratorExit) => Ok(Some(0)),
        other => other.map(|()| None),
    })
}

#[test]
fn test_close_no_return_value() -> Test {
    let mut g: Coroutine<(), ()> = coroutine(|co| co.yield_(()));
    g.prime()?;
    assert_eq!(g.close()?, None);
    Ok(())
}

#[test]
fn test_close_return_value() -> Test {
    let mut g = catches_exit();
    g.prime()?;
    assert_eq!(g.close()?, Some(Some(0)));
    Ok(())
}

#[test]
fn test_close_not_catching_exit() -> Test {
    let mut g: Coroutine<(), (), i32> = coroutine(|co| {
        co.yield_(())?;
        Ok(0)
    });
    g.prime()?;
    assert_eq!(g.close()?, None);
    Ok(())
}

#[test]
fn test_close_not_started() -> Test {
    let mut g = catches_exit();
    assert_eq!(g.close()?, None);
    assert_eq!(g.state(), State::Closed);
    Ok(())
}

#[test]
fn test_close_exhausted() -> Test {
    let mut g = catches_exit();
    next(&mut g)?;
    assert_eq!(next(&mut g)?, Step::Complete(None));
    assert_eq!(g.close()?, None);
    Ok(())
}

#[test]
fn test_close_closed() -> Test {
    let mut g = catches_exit();
    g.prime()?;
    assert_eq!(g.close()?, Some(Some(0)));
    assert_eq!(g.close()?, None);
    Ok(())
}

#[test]
fn test_close_raises() -> Test {
    let mut g: Coroutine<(), ()> = coroutine(|co| {
        let _exit = co.yield_(());
        Err(RuntimeError("raised").into())
    });
    g.prime()?;
    let error: RuntimeError = raised(g.close());
    assert_eq!(error, RuntimeError("raised"));
    assert_eq!(g.state(), State::Closed);
    Ok(())
}

#[test]
fn test_close_releases_frame_locals() -> Test {
    let foo = Rc::new("Foo");
    let foo_weak = Rc::downgrade(&foo);
    let mut g: Coroutine<(), ()> = coroutine(move |co| {
        let _a = Rc::clone(&foo);
        co.yield_(())
    });
    next(&mut g)?;
    assert_eq!(foo_weak.strong_count(), 2);
    g.close()?;
    assert_eq!(foo_weak.strong_count(), 0);
    Ok(())
}

// GeneratorThrowTest

#[test]
fn test_throw_after_none_exc_type() -> Test {
    let mut g: Coroutine<(), ()> = coroutine(|co| {
        let handled = Exception::from(KeyError(""));
        drop(handled);
        co.yield_(()).map_err(|_| RuntimeError("raised").into())
    });
    g.prime()?;
    let error: RuntimeError = raised(g.throw(ValueError("")));
    assert_eq!(error, RuntimeError("raised"));
    Ok(())
}

// YieldFromTests

#[test]
fn test_generator_gi_yieldfrom() -> Test {
    fn a(gen_b: Name<(), ()>) -> Coroutine<(), ()> {
        coroutine(move |co| {
            assert_eq!(gen_b.get().state(), State::Running);
            assert!(!gen_b.get().is_delegating());
            co.yield_(())?;
            assert_eq!(gen_b.get().state(), State::Running);
            assert!(!gen_b.get().is_delegating());
            Ok(())
        })
    }
    fn b(gen_b: Name<(), ()>) -> Coroutine<(), ()> {
        coroutine(move |co| {
            assert!(!gen_b.get().is_delegating());
            co.yield_from(&mut a(gen_b.clone()))?;
            assert!(!gen_b.get().is_delegating());
            co.yield_(())?;
            assert!(!gen_b.get().is_delegating());
            Ok(())
        })
    }
    let gen_b = bind(b);
    assert_eq!(gen_b.state(), State::Created);
    assert!(!gen_b.is_delegating());

    gen_b.prime()?;
    assert_eq!(gen_b.state(), State::Suspended);
    assert!(gen_b.is_delegating());

    gen_b.send(())?;
    assert_eq!(gen_b.state(), State::Suspended);
    assert!(!gen_b.is_delegating());

    assert_eq!(gen_b.send(())?, Step::Complete(()));
    assert_eq!(gen_b.state(), State::Closed);
    assert!(!gen_b.is_delegating());
    Ok(())
}

// The doctests.

mod tut {
    use super::*;

    fn yrange(n: i32) -> Generator<i32> {
        generator(move |y| (0..n).for_each(|i| y.yield_(i)))
    }

    #[test]
    fn a_simple_generator() {
        let f = || {
            generator(|y| {
                y.yield_(1);
                y.yield_(2);
            })
        };
        assert_eq!(f().collect::<Vec<_>>(), [1, 2]);
        let mut g = f();
        assert_eq!(g.next(), Some(1));
        assert_eq!(g.next(), Some(2));
        // Falling off the end stops it.
        assert_eq!(g.next(), None);
    }

    #[test]
    fn return_also_stops_the_generator() -> Test {
        let mut g: Coroutine<i32, ()> = coroutine(|co| {
            co.yield_(1)?;
            if std::hint::black_box(true) {
                return Ok(());
            }
            co.yield_(2) // never reached
        });
        assert_eq!(next(&mut g)?, Step::Yielded(1));
        assert_eq!(next(&mut g)?, Step::Complete(()));
        assert_stop_iteration(&mut g); // once stopped, it cannot be resumed
        Ok(())
    }

    #[test]
    fn return_and_stop_iteration_are_not_equivalent() -> Test {
        let g1: Coroutine<i32, ()> = coroutine(|co| {
            let tried: Test = Ok(()); // `return`
            match tried {
                Ok(()) => Ok(()),
                Err(_) => co.yield_(1),
            }
        });
        assert_eq!(list(g1)?, []);

        let g2: Coroutine<i32, ()> = coroutine(|co| {
            let tried = next(&mut finished()); // `raise StopIteration`
            match tried {
                Ok(_) => Ok(()),
                Err(_) => co.yield_(42),
            }
        });
        assert_eq!(list(g2)?, [42]);
        Ok(())
    }

    #[test]
    fn a_yield_in_finally_comes_before_the_return() -> Test {
        let mut g3: Coroutine<i32, (), &str> = coroutine(|co| {
            let returned = "returned";
            co.yield_(1)?;
            Ok(returned)
        });
        assert_eq!(next(&mut g3)?, Step::Yielded(1));
        assert_eq!(next(&mut g3)?, Step::Complete("returned"));
        Ok(())
    }

    #[test]
    fn an_alternate_range() {
        assert_eq!(yrange(5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn generators_always_return_to_the_most_recent_caller() {
        let trace = Trace::default();
        let creator = || {
            let mut r = yrange(5);
            trace.push(format!("creator {}", r.next().unwrap()));
            r
        };
        for i in creator() {
            trace.push(format!("caller {i}"));
        }
        trace.assert(&["creator 0", "caller 1", "caller 2", "caller 3", "caller 4"]);
    }

    #[test]
    fn generators_can_call_other_generators() {
        fn zrange(n: i32) -> Generator<i32> {
            generator(move |y| {
                for i in yrange(n) {
                    y.yield_(i);
                }
            })
        }
        assert_eq!(zrange(5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }
}

mod pep {
    use super::*;

    #[test]
    fn a_generator_cannot_be_resumed_while_it_is_running() {
        let me: SharedCoroutine<i32, ()> = bind(|me: Name<i32, ()>| {
            coroutine(move |co| {
                let i = me.get().prime()?.yielded().unwrap();
                co.yield_(i)
            })
        });
        let error: ProtocolError = raised(me.prime());
        assert_eq!(error, ProtocolError::AlreadyExecuting);
        assert_eq!(me.state(), State::Closed);
    }

    #[test]
    fn exceptions_propagate_and_end_the_generator() {
        let mut k: Coroutine<i32, ()> = coroutine(|co| {
            co.yield_(divide(1, 0)?)?;
            co.yield_(42)
        });
        let _: ZeroDivisionError = raised(next(&mut k));
        assert_stop_iteration(&mut k);
    }

    #[test]
    fn try_except_finally() -> Test {
        let f: Coroutine<i32, ()> = coroutine(|co| {
            let tried = (|| {
                co.yield_(1)?;
                let tried = (|| {
                    co.yield_(2)?;
                    divide(1, 0)?;
                    co.yield_(3) // never get here
                })();
                match tried {
                    Err(exception) if exception.is::<ZeroDivisionError>() => {
                        co.yield_(4)?;
                        co.yield_(5)?;
                        return Err(exception);
                    }
                    Err(_) => co.yield_(6)?,
                    Ok(()) => {}
                }
                co.yield_(7) // the exception above stops this
            })();
            if tried.is_err() {
                co.yield_(8)?;
            }
            co.yield_(9)?;
            co.yield_(10)?;
            co.yield_(11)
        });
        assert_eq!(list(f)?, [1, 2, 4, 5, 8, 9, 10, 11]);
        Ok(())
    }

    struct Tree {
        label: char,
        left: Option<Rc<Tree>>,
        right: Option<Rc<Tree>>,
    }

    fn tree(labels: &[char]) -> Option<Rc<Tree>> {
        let middle = labels.len() / 2;
        labels.get(middle).map(|&label| {
            Rc::new(Tree {
                label,
                left: tree(&labels[..middle]),
                right: tree(&labels[middle + 1..]),
            })
        })
    }

    fn alphabet() -> Option<Rc<Tree>> {
        tree(&('A'..='Z').collect::<Vec<_>>())
    }

    #[test]
    fn a_recursive_generator_walks_a_tree_in_order() {
        fn inorder(t: Option<Rc<Tree>>) -> Generator<char> {
            generator(move |y| {
                if let Some(t) = t {
                    for x in inorder(t.left.clone()) {
                        y.yield_(x);
                    }
                    y.yield_(t.label);
                    for x in inorder(t.right.clone()) {
                        y.yield_(x);
                    }
                }
            })
        }
        assert!(inorder(alphabet()).eq('A'..='Z'));
    }

    #[test]
    fn a_non_recursive_generator_walks_a_tree_in_order() {
        fn inorder(root: Rc<Tree>) -> Generator<char> {
            generator(move |y| {
                let mut stack = Vec::new();
                let mut node = root;
                loop {
                    while let Some(left) = node.left.clone() {
                        stack.push(node);
                        node = left;
                    }
                    y.yield_(node.label);
                    let right = loop {
                        match node.right.clone() {
                            Some(right) => break right,
                            None => match stack.pop() {
                                Some(parent) => node = parent,
                                None => return,
                            },
                        }
                        y.yield_(node.label);
                    };
                    node = right;
                }
            })
        }
        assert!(inorder(alphabet().unwrap()).eq('A'..='Z'));
    }
}

mod email {
    use super::*;

    #[test]
    fn yielding_nothing_is_not_returning_it() -> Test {
        let g: Coroutine<(), ()> = coroutine(|co| {
            for _ in 0..3 {
                co.yield_(())?;
            }
            co.yield_(())
        });
        assert_eq!(list(g)?, [(); 4]);
        Ok(())
    }

    #[test]
    fn raising_stop_iteration_acts_like_any_other_exception() -> Test {
        let g: Coroutine<i32, ()> = coroutine(|co| {
            co.yield_(1)?;
            if next(&mut finished()).is_err() {
                co.yield_(2)?;
            }
            co.yield_(3)
        });
        assert_eq!(list(g)?, [1, 2, 3]);
        Ok(())
    }

    #[test]
    fn all_combinations_of_k_elements() {
        fn gcomb(x: Vec<i32>, k: usize) -> Generator<Vec<i32>> {
            generator(move |y| {
                if k > x.len() {
                    return;
                }
                if k == 0 {
                    y.yield_(Vec::new());
                    return;
                }
                let (first, rest) = (x[0], x[1..].to_vec());
                for mut c in gcomb(rest.clone(), k - 1) {
                    c.insert(0, first);
                    y.yield_(c);
                }
                for c in gcomb(rest, k) {
                    y.yield_(c);
                }
            })
        }
        let combinations: Vec<Vec<Vec<i32>>> = (0..6)
            .map(|k| gcomb((1..5).collect(), k).collect())
            .collect();
        let expected: [Vec<Vec<i32>>; 6] = [
            vec![vec![]],
            vec![vec![1], vec![2], vec![3], vec![4]],
            vec![
                vec![1, 2],
                vec![1, 3],
                vec![1, 4],
                vec![2, 3],
                vec![2, 4],
                vec![3, 4],
            ],
            vec![vec![1, 2, 3], vec![1, 2, 4], vec![1, 3, 4], vec![2, 3, 4]],
            vec![vec![1, 2, 3, 4]],
            vec![],
        ];
        assert_eq!(combinations, expected);
    }

    #[test]
    fn a_generator_is_its_own_iterator() {
        let i: Generator<i32> = generator(|y| y.yield_(1));
        let mut i: Generator<i32> = i.into_iter();
        let again: &mut Generator<i32> = i.by_ref();
        assert_eq!(again.next(), Some(1));
        assert_eq!(i.next(), None);
    }

    #[test]
    fn only_its_own_body_sees_a_generator_running() -> Test {
        let me = bind(|me: Name<State, ()>| coroutine(move |co| co.yield_(me.get().state())));
        assert_ne!(me.state(), State::Running);
        assert_eq!(me.prime()?, Step::Yielded(State::Running));
        assert_ne!(me.state(), State::Running);
        Ok(())
    }

    /// David Eppstein's union-find: a set's generator yields its root, by asking its parent's.
    struct DisjointSet {
        name: char,
        parent: RefCell<Option<Rc<DisjointSet>>>,
        generator: RefCell<Generator<Rc<DisjointSet>>>,
    }

    impl DisjointSet {
        fn new(name: char) -> Rc<Self> {
            Rc::new_cyclic(|this: &std::rc::Weak<Self>| {
                let this = this.clone();
                let generate = generator(move |y| {
                    let parent = loop {
                        let this = this.upgrade().unwrap();
                        if let Some(parent) = this.parent.borrow().clone() {
                            break parent;
                        }
                        y.yield_(this);
                    };
                    loop {
                        y.yield_(parent.find());
                    }
                });
                Self {
                    name,
                    parent: RefCell::new(None),
                    generator: RefCell::new(generate),
                }
            })
        }

        fn find(&self) -> Rc<Self> {
            self.generator.borrow_mut().next().unwrap()
        }

        fn union(&self, parent: &Rc<Self>) {
            let old = self.parent.replace(Some(Rc::clone(parent)));
            assert!(old.is_none(), "{} is not a root", self.name);
        }
    }

    #[test]
    fn union_find() {
        let sets: Vec<_> = ('A'..='M').map(DisjointSet::new).collect();
        let set = |name: u8| &sets[usize::from(name - b'A')];
        let roots = || sets.iter().map(|s| s.find().name).collect::<String>();
        assert_eq!(roots(), "ABCDEFGHIJKLM");
        // What `random.Random(42)` chooses to merge, and the roots of A to M then.
        for (merge, expected) in [
            (b"KB", "ABCDEFGHIJBLM"),
            (b"AF", "FBCDEFGHIJBLM"),
            (b"EF", "FBCDFFGHIJBLM"),
            (b"DC", "FBCCFFGHIJBLM"),
            (b"MC", "FBCCFFGHIJBLC"),
            (b"JB", "FBCCFFGHIBBLC"),
            (b"BC", "FCCCFFGHICCLC"),
            (b"FG", "GCCCGGGHICCLC"),
            (b"LC", "GCCCGGGHICCCC"),
            (b"GI", "ICCCIIIHICCCC"),
            (b"IH", "HCCCHHHHHCCCC"),
            (b"CH", "HHHHHHHHHHHHH"),
        ] {
            let [child, parent] = *merge;
            set(child).union(set(parent));
            assert_eq!(roots(), expected);
        }
    }
}

mod fun {
    use super::*;
    use std::collections::VecDeque;
    use std::rc::Weak;

    type Ints = Box<dyn Iterator<Item = u64>>;

    fn firstn(g: &mut impl Iterator<Item = u64>, n: usize) -> Vec<u64> {
        let first: Vec<u64> = g.take(n).collect();
        assert_eq!(first.len(), n);
        first
    }

    fn intsfrom(start: u64) -> Generator<u64> {
        generator(move |y| y.yield_from(start..))
    }

    fn exclude_multiples(n: u64, ints: Ints) -> Generator<u64> {
        generator(move |y| {
            for i in ints {
                if i % n != 0 {
                    y.yield_(i);
                }
            }
        })
    }

    #[test]
    fn a_recursive_sieve_of_eratosthenes() {
        fn sieve(mut ints: Ints) -> Generator<u64> {
            generator(move |y| {
                let prime = ints.next().unwrap();
                y.yield_(prime);
                let not_divisible_by_prime = exclude_multiples(prime, ints);
                for p in sieve(Box::new(not_divisible_by_prime)) {
                    y.yield_(p);
                }
            })
        }
        assert_eq!(firstn(&mut intsfrom(5), 7), [5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(
            firstn(&mut exclude_multiples(3, Box::new(intsfrom(1))), 6),
            [1, 2, 4, 5, 7, 8]
        );
        assert_eq!(
            firstn(&mut sieve(Box::new(intsfrom(2))), 20),
            [
                2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71
            ]
        );
    }

    fn times(n: u64, g: impl Iterator<Item = u64> + 'static) -> Generator<u64> {
        generator(move |y| g.for_each(|i| y.yield_(n * i)))
    }

    /// Both without end and in order; an item of both comes once.
    fn merge(mut g: Generator<u64>, mut h: Generator<u64>) -> Generator<u64> {
        generator(move |y| {
            let mut ng = g.next().unwrap();
            let mut nh = h.next().unwrap();
            loop {
                y.yield_(ng.min(nh));
                let (advance_g, advance_h) = (ng <= nh, nh <= ng);
                if advance_g {
                    ng = g.next().unwrap();
                }
                if advance_h {
                    nh = h.next().unwrap();
                }
            }
        })
    }

    /// The integers of the form 2^i * 3^j * 5^k.
    const HAMMING: [[u64; 15]; 5] = [
        [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 24],
        [25, 27, 30, 32, 36, 40, 45, 48, 50, 54, 60, 64, 72, 75, 80],
        [
            81, 90, 96, 100, 108, 120, 125, 128, 135, 144, 150, 160, 162, 180, 192,
        ],
        [
            200, 216, 225, 240, 243, 250, 256, 270, 288, 300, 320, 324, 360, 375, 384,
        ],
        [
            400, 405, 432, 450, 480, 486, 500, 512, 540, 576, 600, 625, 640, 648, 675,
        ],
    ];

    const FIBONACCI: [u64; 17] = [
        1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584,
    ];

    #[test]
    fn hamming_numbers_with_much_redundant_work() {
        fn m235() -> Generator<u64> {
            generator(|y| {
                y.yield_(1);
                let me_times2 = times(2, m235());
                let me_times3 = times(3, m235());
                let me_times5 = times(5, m235());
                for i in merge(merge(me_times2, me_times3), me_times5) {
                    y.yield_(i);
                }
            })
        }
        let tens: Vec<u64> = (1..=10).map(|i| 10 * i).collect();
        assert_eq!(firstn(&mut times(10, intsfrom(1)), 10), tens);
        let mut result = m235();
        for line in &HAMMING[..3] {
            assert_eq!(firstn(&mut result, 15), line);
        }
    }

    /// A generator that remembers what it has yielded, so that its own body can look at it.
    struct LazyList {
        sofar: RefCell<Vec<u64>>,
        fetch: RefCell<Generator<u64>>,
    }

    impl LazyList {
        /// The body is given a list that it may look at once it runs.
        fn new(body: impl FnOnce(Weak<Self>) -> Generator<u64>) -> Rc<Self> {
            Rc::new_cyclic(|this| Self {
                sofar: RefCell::default(),
                fetch: RefCell::new(body(this.clone())),
            })
        }

        fn get(&self, i: usize) -> u64 {
            while i >= self.sofar.borrow().len() {
                let fetched = self.fetch.borrow_mut().next().unwrap();
                self.sofar.borrow_mut().push(fetched);
            }
            self.sofar.borrow()[i]
        }

        fn iter(this: &Weak<Self>) -> impl Iterator<Item = u64> + use<> {
            let this = this.clone();
            (0..).map(move |i| this.upgrade().unwrap().get(i))
        }
    }

    #[test]
    fn hamming_numbers_from_a_lazy_list() {
        let m235 = LazyList::new(|m235| {
            generator(move |y| {
                y.yield_(1);
                let me_times2 = times(2, LazyList::iter(&m235));
                let me_times3 = times(3, LazyList::iter(&m235));
                let me_times5 = times(5, LazyList::iter(&m235));
                for i in merge(merge(me_times2, me_times3), me_times5) {
                    y.yield_(i);
                }
            })
        });
        let numbers: Vec<u64> = (0..75).map(|j| m235.get(j)).collect();
        assert_eq!(numbers, HAMMING.concat());
    }

    fn sum(
        mut g: impl Iterator<Item = u64> + 'static,
        mut h: impl Iterator<Item = u64> + 'static,
    ) -> Generator<u64> {
        generator(move |y| {
            loop {
                y.yield_(g.next().unwrap() + h.next().unwrap());
            }
        })
    }

    #[test]
    fn fibonacci_numbers_from_a_lazy_list() {
        fn tail(mut g: impl Iterator<Item = u64> + 'static) -> Generator<u64> {
            generator(move |y| {
                g.next(); // throw the first away
                g.for_each(|x| y.yield_(x));
            })
        }
        let fib = LazyList::new(|fib| {
            generator(move |y| {
                y.yield_(1);
                y.yield_(2);
                for s in sum(LazyList::iter(&fib), tail(LazyList::iter(&fib))) {
                    y.yield_(s);
                }
            })
        });
        assert_eq!(
            firstn(&mut LazyList::iter(&Rc::downgrade(&fib)), 17),
            FIBONACCI
        );
    }

    /// `itertools.tee`: what one copy has seen waits for the others.
    struct Tee {
        shared: Weak<Shared>,
        index: usize,
    }

    struct Shared {
        source: RefCell<Generator<u64>>,
        queues: RefCell<Vec<VecDeque<u64>>>,
    }

    impl Iterator for Tee {
        type Item = u64;

        fn next(&mut self) -> Option<u64> {
            let shared = self.shared.upgrade()?;
            if shared.queues.borrow()[self.index].is_empty() {
                let item = shared.source.borrow_mut().next()?;
                for queue in &mut *shared.queues.borrow_mut() {
                    queue.push_back(item);
                }
            }
            shared.queues.borrow_mut()[self.index].pop_front()
        }
    }

    /// Makes a generator whose body looks at `N` copies of what it yields itself. Returns its owner and one more copy.
    fn tail_chaser<const N: usize>(
        body: impl FnOnce([Tee; N]) -> Generator<u64> + 'static,
    ) -> (Rc<Shared>, Tee) {
        let copies = Rc::new(Cell::new(None));
        let source = generator({
            let copies = Rc::clone(&copies);
            move |y| body(copies.take().unwrap()).for_each(|n| y.yield_(n))
        });
        let shared = Rc::new(Shared {
            source: RefCell::new(source),
            queues: RefCell::new(vec![VecDeque::new(); N + 1]),
        });
        let copy = |index| Tee {
            shared: Rc::downgrade(&shared),
            index,
        };
        copies.set(Some(std::array::from_fn(copy)));
        let result = copy(N);
        (shared, result)
    }

    #[test]
    fn hamming_numbers_running_after_their_tail() {
        let (shared, mut m235) = tail_chaser(|[m2, m3, m5]| {
            generator(|y| {
                y.yield_(1);
                for n in merge(times(2, m2), merge(times(3, m3), times(5, m5))) {
                    y.yield_(n);
                }
            })
        });
        for line in HAMMING {
            assert_eq!(firstn(&mut m235, 15), line);
        }
        // Nothing is kept for those who have seen it.
        assert!(shared.queues.borrow()[3].is_empty());
    }

    #[test]
    fn fibonacci_numbers_running_after_their_tail() {
        let (_shared, mut fib) = tail_chaser(|[head, mut tail]| {
            generator(move |y| {
                y.yield_(1);
                y.yield_(2);
                tail.next(); // throw the first away
                for res in sum(head, tail) {
                    y.yield_(res);
                }
            })
        });
        assert_eq!(firstn(&mut fib, 17), FIBONACCI);
    }
}

mod syntax {
    use super::*;

    #[test]
    fn yields_in_nested_handlers() -> Test {
        let f: Coroutine<i32, ()> = coroutine(|co| {
            let tried = (|| -> Test {
                co.yield_(12)?;
                divide(1, 0)?;
                Ok(())
            })();
            let handled = match tried {
                Err(exception) if exception.is::<ZeroDivisionError>() => co.yield_(666),
                Err(_) => co.yield_(12),
                Ok(()) => Ok(()),
            };
            handled.or(Ok(())) // `except: return`
        });
        assert_eq!(list(f)?, [12, 666]);
        Ok(())
    }

    /// SF bug 567538.
    #[test]
    fn a_yield_in_finally_after_continue() -> Test {
        let mut g: Coroutine<i32, ()> = coroutine(|co| {
            for i in 0..3 {
                let tried = 'try_: {
                    if std::hint::black_box(true) {
                        break 'try_ "continue";
                    }
                    "never get here"
                };
                co.yield_(i)?;
                if tried == "continue" {
                    continue;
                }
                return Err(RuntimeError(tried).into());
            }
            Ok(())
        });
        for i in 0..3 {
            assert_eq!(next(&mut g)?, Step::Yielded(i));
        }
        assert_eq!(next(&mut g)?, Step::Complete(()));
        Ok(())
    }

    #[test]
    fn a_name_and_a_debug_text() {
        let g: Coroutine<i32, ()> = Builder::new().name("f").coroutine(|co| co.yield_(5));
        assert_eq!(g.name(), Some("f"));
        let text = format!("{g:?}");
        assert!(
            text.starts_with("Coroutine") && text.contains("\"f\""),
            "{text}"
        );
    }

    #[test]
    fn closures_may_yield_too() -> Test {
        let x = || coroutine(|co: &Co<i32, ()>| co.yield_(1));
        assert_eq!(list(x())?, [1]);
        let x = || coroutine(|co: &Co<i32, ()>| Ok((co.yield_(1)?, co.yield_(2)?)));
        assert_eq!(list(x())?, [1, 2]);
        Ok(())
    }
}

mod conjoin {
    use super::*;

    /// Starts the choices for one value anew. They may depend on the values chosen before.
    type Choices = Rc<dyn Fn() -> Options>;
    type Options = Box<dyn Iterator<Item = usize>>;
    /// The same list each time, for the sake of speed.
    type Values = Rc<RefCell<Vec<usize>>>;
    type Conjoin = fn(Vec<Choices>) -> Generator<Values>;

    const ALL: [Conjoin; 3] = [simple_conjoin, conjoin, flat_conjoin];

    /// What every level of the recursions below shares.
    #[derive(Clone)]
    struct Level {
        gs: Rc<[Choices]>,
        values: Values,
    }

    impl Level {
        fn new(gs: Vec<Choices>) -> Self {
            Self {
                values: Rc::new(RefCell::new(vec![0; gs.len()])),
                gs: gs.into(),
            }
        }

        /// `for values[i] in gs[i]()`.
        fn for_each(&self, i: usize, mut body: impl FnMut()) {
            for value in self.gs[i]() {
                self.values.borrow_mut()[i] = value;
                body();
            }
        }
    }

    fn simple_conjoin(gs: Vec<Choices>) -> Generator<Values> {
        fn from(level: Level, i: usize) -> Generator<Values> {
            generator(move |y| {
                if i >= level.gs.len() {
                    y.yield_(Rc::clone(&level.values));
                } else {
                    level.for_each(i, || y.yield_from(from(level.clone(), i + 1)));
                }
            })
        }
        from(Level::new(gs), 0)
    }

    /// One generator for three levels.
    fn conjoin(gs: Vec<Choices>) -> Generator<Values> {
        fn from(level: Level, i: usize) -> Generator<Values> {
            let n = level.gs.len();
            generator(move |y| {
                if i >= n {
                    y.yield_(Rc::clone(&level.values));
                } else if (n - i) % 3 != 0 {
                    level.for_each(i, || y.yield_from(from(level.clone(), i + 1)));
                } else {
                    y.yield_from(from3(level.clone(), i));
                }
            })
        }
        fn from3(level: Level, i: usize) -> Generator<Values> {
            let n = level.gs.len();
            assert!(i < n && (n - i) % 3 == 0);
            generator(move |y| {
                level.for_each(i, || {
                    level.for_each(i + 1, || {
                        level.for_each(i + 2, || {
                            if i + 3 >= n {
                                y.yield_(Rc::clone(&level.values));
                            } else {
                                y.yield_from(from3(level.clone(), i + 3));
                            }
                        });
                    });
                });
            })
        }
        from(Level::new(gs), 0)
    }

    /// No recursion: the choices of each level wait on a stack.
    fn flat_conjoin(gs: Vec<Choices>) -> Generator<Values> {
        let Level { gs, values } = Level::new(gs);
        generator(move |y| {
            let mut iters: Vec<Options> = Vec::new();
            loop {
                // Descend, or go on where choices are left.
                if iters.len() == gs.len() {
                    y.yield_(Rc::clone(&values));
                } else {
                    iters.push(gs[iters.len()]());
                }
                loop {
                    let Some(last) = iters.last_mut() else {
                        return;
                    };
                    if let Some(value) = last.next() {
                        values.borrow_mut()[iters.len() - 1] = value;
                        break;
                    }
                    iters.pop();
                }
            }
        })
    }

    fn bits(n: usize) -> Vec<Choices> {
        (0..n)
            .map(|_| Rc::new(|| Box::new(0..=1_usize) as Options) as Choices)
            .collect()
    }

    fn gencopy(conjoined: Generator<Values>) -> Generator<Vec<usize>> {
        generator(move |y| conjoined.for_each(|x| y.yield_(x.borrow().clone())))
    }

    #[test]
    fn three_bit_numbers_in_order() {
        for conjoin in ALL {
            let numbers: Vec<_> = gencopy(conjoin(bits(3))).collect();
            let expected: Vec<_> = (0..8_usize)
                .map(|c| vec![c >> 2 & 1, c >> 1 & 1, c & 1])
                .collect();
            assert_eq!(numbers, expected);
        }
    }

    #[test]
    fn the_same_list_is_yielded_each_time() {
        for conjoin in ALL {
            let mut lists = conjoin(bits(2));
            let (first, second) = (lists.next().unwrap(), lists.next().unwrap());
            assert!(Rc::ptr_eq(&first, &second));
            assert_eq!(*first.borrow(), [0, 1]);
        }
    }

    #[test]
    fn copies_of_all_products() {
        for conjoin in ALL {
            for n in 0..10 {
                let all: Vec<_> = gencopy(conjoin(bits(n))).collect();
                assert_eq!(all.len(), 1 << n);
                assert_eq!(all[0], vec![0; n]);
                assert_eq!(all[all.len() - 1], vec![1; n]);
            }
        }
    }

    fn queens(n: usize) -> Vec<Choices> {
        let used = Rc::new(Cell::new(0_u64));
        (0..n)
            .map(|i| {
                let used = Rc::clone(&used);
                let row = move || {
                    let used = Rc::clone(&used);
                    Box::new(generator(move |y| {
                        for j in 0..n {
                            // A bit each for the column and the two diagonals.
                            let uses = 1 << j | 1 << (2 * n - 1 + i - j) | 1 << (3 * n - 1 + i + j);
                            if uses & used.get() == 0 {
                                used.set(used.get() | uses);
                                y.yield_(j);
                                used.set(used.get() & !uses);
                            }
                        }
                    })) as Options
                };
                Rc::new(row) as Choices
            })
            .collect()
    }

    #[test]
    fn eight_queens() {
        for conjoin in ALL {
            let solutions: Vec<_> = gencopy(conjoin(queens(8))).collect();
            assert_eq!(solutions[0], [0, 4, 7, 5, 2, 6, 1, 3]);
            assert_eq!(solutions[1], [0, 5, 7, 2, 6, 3, 1, 4]);
            assert_eq!(solutions.len(), 92);
        }
    }

    /// A closed knight's tour, by always going where the fewest ways lead on.
    struct Knights {
        m: usize,
        n: usize,
        /// The squares to go to from each square, as far as they are free.
        successors: RefCell<Vec<Vec<usize>>>,
        last: Cell<usize>,
        /// The square to be visited last, so that the tour can be closed.
        last_of_all: Cell<usize>,
    }

    impl Knights {
        fn new(m: usize, n: usize) -> Rc<Self> {
            const MOVES: [(isize, isize); 8] = [
                (1, 2),
                (2, 1),
                (2, -1),
                (1, -2),
                (-1, -2),
                (-2, -1),
                (-2, 1),
                (-1, 2),
            ];
            let square = |i: usize, j: usize, (di, dj)| {
                let i = i.checked_add_signed(di).filter(|&i| i < m)?;
                let j = j.checked_add_signed(dj).filter(|&j| j < n)?;
                Some(i * n + j)
            };
            let successors = (0..m * n)
                .map(|at| {
                    let moves = MOVES.iter();
                    moves.filter_map(|&by| square(at / n, at % n, by)).collect()
                })
                .collect();
            Rc::new(Self {
                m,
                n,
                successors: RefCell::new(successors),
                last: Cell::new(0),
                last_of_all: Cell::new(0),
            })
        }

        fn successors(&self, square: usize) -> Vec<usize> {
            self.successors.borrow()[square].clone()
        }

        fn remove(&self, from: usize, square: usize) {
            let successors = &mut self.successors.borrow_mut()[from];
            let position = successors.iter().position(|&s| s == square).unwrap();
            successors.remove(position);
        }

        fn add(&self, to: usize, square: usize) {
            self.successors.borrow_mut()[to].push(square);
        }

        /// Takes `square` off the ways of others. Whether there can still be a solution: no square has lost its last
        /// exit, and at most one has one left.
        fn remove_from_successors(&self, square: usize) -> bool {
            let (mut without, mut with_one) = (0, 0);
            for i in self.successors(square) {
                self.remove(i, square);
                match self.successors.borrow()[i].len() {
                    0 => without += 1,
                    1 => with_one += 1,
                    _ => {}
                }
            }
            without == 0 && with_one < 2
        }

        fn add_to_successors(&self, square: usize) {
            for i in self.successors(square) {
                self.add(i, square);
            }
        }

        fn first(self: Rc<Self>) -> Generator<usize> {
            generator(move |y| {
                self.remove_from_successors(0);
                self.last.set(0);
                y.yield_(0);
                self.add_to_successors(0);
            })
        }

        /// There are two ways out of the corner: one is taken now, and the other is the last square of all.
        fn second(self: Rc<Self>) -> Generator<usize> {
            generator(move |y| {
                let (right, down) = (self.n + 2, 2 * self.n + 1);
                for (this, last_of_all) in [(right, down), (down, right)] {
                    self.last_of_all.set(last_of_all);
                    self.remove_from_successors(this);
                    self.add(last_of_all, 0);
                    self.last.set(this);
                    y.yield_(this);
                    self.remove(last_of_all, 0);
                    self.add_to_successors(this);
                }
            })
        }

        fn advance(self: Rc<Self>) -> Generator<usize> {
            generator(move |y| {
                let ways = self.successors(self.last.get()).into_iter();
                let mut candidates: Vec<(usize, usize)> = ways
                    .map(|i| (self.successors.borrow()[i].len(), i))
                    .collect();
                match candidates.iter().find(|(exits, _)| *exits == 1) {
                    Some(&must) => candidates = vec![must],
                    None => candidates.sort_unstable(),
                }
                for (_, i) in candidates {
                    if i != self.last_of_all.get() {
                        if self.remove_from_successors(i) {
                            self.last.set(i);
                            y.yield_(i);
                        }
                        self.add_to_successors(i);
                    }
                }
            })
        }

        fn end(self: Rc<Self>) -> Generator<usize> {
            generator(move |y| {
                let last_of_all = self.last_of_all.get();
                assert!(self.successors(self.last.get()).contains(&last_of_all));
                y.yield_(last_of_all);
            })
        }

        fn moves(self: &Rc<Self>) -> Vec<Choices> {
            let choices = |start: fn(Rc<Self>) -> Generator<usize>| -> Choices {
                let this = Rc::clone(self);
                Rc::new(move || Box::new(start(Rc::clone(&this))))
            };
            let mut moves = vec![choices(Self::first), choices(Self::second)];
            moves.extend((0..self.m * self.n - 3).map(|_| choices(Self::advance)));
            moves.push(choices(Self::end));
            moves
        }
    }

    const TOURS: [[usize; 100]; 2] = [
        [
            1, 58, 27, 34, 3, 40, 29, 10, 5, 8, //
            26, 35, 2, 57, 28, 33, 4, 7, 30, 11, //
            59, 100, 73, 36, 41, 56, 39, 32, 9, 6, //
            74, 25, 60, 55, 72, 37, 42, 49, 12, 31, //
            61, 86, 99, 76, 63, 52, 47, 38, 43, 50, //
            24, 75, 62, 85, 54, 71, 64, 51, 48, 13, //
            87, 98, 91, 80, 77, 84, 53, 46, 65, 44, //
            90, 23, 88, 95, 70, 79, 68, 83, 14, 17, //
            97, 92, 21, 78, 81, 94, 19, 16, 45, 66, //
            22, 89, 96, 93, 20, 69, 82, 67, 18, 15,
        ],
        [
            1, 58, 27, 34, 3, 40, 29, 10, 5, 8, //
            26, 35, 2, 57, 28, 33, 4, 7, 30, 11, //
            59, 100, 73, 36, 41, 56, 39, 32, 9, 6, //
            74, 25, 60, 55, 72, 37, 42, 49, 12, 31, //
            61, 86, 99, 76, 63, 52, 47, 38, 43, 50, //
            24, 75, 62, 85, 54, 71, 64, 51, 48, 13, //
            87, 98, 89, 80, 77, 84, 53, 46, 65, 44, //
            90, 23, 92, 95, 70, 79, 68, 83, 14, 17, //
            97, 88, 21, 78, 81, 94, 19, 16, 45, 66, //
            22, 91, 96, 93, 20, 69, 82, 67, 18, 15,
        ],
    ];

    #[test]
    fn a_knights_tour_on_ten_by_ten_squares() {
        for conjoin in ALL {
            let tours: Vec<_> = gencopy(conjoin(Knights::new(10, 10).moves()))
                .take(2)
                .map(|squares| {
                    let mut board = [0; 100];
                    for (k, square) in squares.into_iter().enumerate() {
                        board[square] = k + 1;
                    }
                    board
                })
                .collect();
            assert_eq!(tours, TOURS);
        }
    }
}

mod weakref {
    use super::*;

    #[test]
    fn a_coroutine_is_weakly_referencable() -> Test {
        let gi = coroutine(|co: &Co<&str, ()>| co.yield_("foo!")).shared();
        let wr = gi.downgrade();
        let proxy = wr.upgrade().unwrap();
        assert_eq!(proxy.prime()?, Step::Yielded("foo!"));
        assert_eq!(gi.state(), State::Suspended); // it is the same one
        drop(gi);
        assert_eq!(proxy.send(())?, Step::Complete(()));
        drop(proxy);
        assert!(wr.upgrade().is_none());
        Ok(())
    }
}

mod coroutines {
    //! The section is called `coroutine`.

    use super::*;

    #[test]
    fn sending_a_value_into_a_started_generator() -> Test {
        let trace = Trace::default();
        let mut g: Coroutine<i32, i32> = coroutine({
            let trace = trace.clone();
            move |co| {
                let sent: i32 = co.yield_(1)?;
                trace.push(sent.to_string());
                co.yield_(2)?;
                Ok(())
            }
        });
        assert_eq!(g.prime()?, Step::Yielded(1));
        assert_eq!(g.send(42)?, Step::Yielded(2));
        trace.assert(&["42"]);
        Ok(())
    }

    #[test]
    fn sending_a_value_into_a_new_generator_is_an_error() {
        let mut g = coroutine(|co: &Co<i32, &str>| co.yield_(1));
        let refused = g.send("foo").unwrap_err();
        assert!(matches!(refused, Raised::JustStarted("foo")));
        assert_eq!(refused.into_value(), Some("foo"));
    }

    #[test]
    fn yield_by_itself() -> Test {
        assert_eq!(list(coroutine(|co| co.yield_(())))?, [()]);
        Ok(())
    }

    #[test]
    fn a_yield_with_augmented_assignment() -> Test {
        let seq = Rc::new(RefCell::new(Vec::new()));
        let mut c: Coroutine<(), i32> = coroutine({
            let seq = Rc::clone(&seq);
            move |co| {
                let mut count = 0;
                while count < 200 {
                    count += co.yield_(())?;
                    seq.borrow_mut().push(count);
                }
                Ok(())
            }
        });
        c.prime()?;
        assert_eq!(*seq.borrow(), []);
        c.send(10)?;
        assert_eq!(*seq.borrow(), [10]);
        c.send(10)?;
        assert_eq!(*seq.borrow(), [10, 20]);
        c.send(10)?;
        assert_eq!(*seq.borrow(), [10, 20, 30]);
        Ok(())
    }

    /// Prints what it is sent, and what `ValueError` it catches.
    fn printer(trace: &Trace) -> Coroutine<(), i32> {
        let trace = trace.clone();
        coroutine(move |co: &Co<(), i32>| {
            loop {
                match co.yield_(()) {
                    Ok(value) => trace.push(value.to_string()),
                    Err(exception) => match exception.downcast::<ValueError>() {
                        Ok(error) => trace.push(format!("caught ValueError ({error})")),
                        Err(other) => return Err(other),
                    },
                }
            }
        })
    }

    #[test]
    fn throw_conditions() -> Test {
        let trace = Trace::default();
        let mut g = printer(&trace);
        g.prime()?;
        assert_eq!(g.throw(ValueError(""))?, Step::Yielded(()));
        trace.assert(&["caught ValueError ()"]);
        assert_eq!(g.throw(ValueError("xyz"))?, Step::Yielded(()));
        trace.assert(&["caught ValueError (xyz)"]);

        // What was raised elsewhere is thrown on as it is.
        let caught = Exception::from(ValueError(""));
        assert_eq!(g.throw(caught)?, Step::Yielded(()));
        trace.assert(&["caught ValueError ()"]);
        assert_eq!(g.send(1)?, Step::Yielded(()));
        trace.assert(&["1"]);

        let error: TypeError = raised(g.throw(TypeError("terminates")));
        assert_eq!(error, TypeError("terminates"));
        assert_eq!(g.state(), State::Closed);
        assert!(matches!(g.send(2), Err(Raised::Exhausted(Some(2)))));

        let error: ValueError = raised(g.throw(ValueError("on a closed one")));
        assert_eq!(error, ValueError("on a closed one"));
        let mut fresh = printer(&trace);
        let error: ValueError = raised(fresh.throw(ValueError("on a fresh one")));
        assert_eq!(error, ValueError("on a fresh one"));
        assert_eq!(fresh.state(), State::Closed);
        trace.assert(&[]);
        Ok(())
    }

    #[test]
    fn raising_again_keeps_the_instance() -> Test {
        let mut g: Coroutine<(), ()> = coroutine(|co| match co.yield_(()) {
            Ok(()) => Ok(()),
            Err(exception) => Err(exception),
        });
        next(&mut g)?;
        let thrown: Box<dyn Error + Send + Sync> = Box::new(divide(1, 0).unwrap_err());
        let address = &raw const *thrown as *const ();
        match g.throw(Exception::Error(thrown)) {
            Err(Raised::Exception(Exception::Error(error))) => {
                assert!(error.is::<ZeroDivisionError>());
                assert_eq!(&raw const *error as *const (), address);
            }
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    #[test]
    fn closing() -> Test {
        let trace = Trace::default();
        let f = || {
            let trace = trace.clone();
            coroutine(move |co: &Co<(), ()>| match co.yield_(()) {
                Err(Exception::GeneratorExit) => {
                    trace.push("exiting");
                    Ok(())
                }
                other => other,
            })
        };
        let mut g = f();
        next(&mut g)?;
        assert_eq!(g.close()?, Some(()));
        trace.assert(&["exiting"]);
        assert_eq!(g.close()?, None); // a no-op now
        assert_eq!(f().close()?, None); // as on a fresh one
        trace.assert(&[]);

        let f = || coroutine(|co: &Co<(), ()>| co.yield_(()));
        assert_eq!(f().close()?, None);
        let mut g = f();
        next(&mut g)?;
        assert_eq!(g.close()?, None);
        assert_eq!(g.state(), State::Closed);
        Ok(())
    }

    #[test]
    fn finalization() -> Test {
        let trace = Trace::default();
        let mut g: Coroutine<(), ()> = coroutine({
            let trace = trace.clone();
            move |co| {
                let _finally = trace.finally("exiting");
                co.yield_(())
            }
        });
        next(&mut g)?;
        trace.assert(&[]);
        drop(g);
        trace.assert(&["exiting"]);
        Ok(())
    }

    #[test]
    fn generator_exit_is_not_caught_by_except_exception() -> Test {
        let trace = Trace::default();
        let mut g: Coroutine<(), ()> = coroutine({
            let trace = trace.clone();
            move |co| {
                let _finally = trace.finally("finally");
                match co.yield_(()) {
                    Err(Exception::Error(_)) => {
                        trace.push("except");
                        Ok(())
                    }
                    other => other,
                }
            }
        });
        next(&mut g)?;
        drop(g);
        trace.assert(&["finally"]);
        Ok(())
    }

    /// Yields once more when it is told to finish.
    fn ill_behaved() -> Coroutine<&'static str, ()> {
        coroutine(|co| match co.yield_("") {
            Err(Exception::GeneratorExit) => co.yield_("foo!"),
            other => other,
        })
    }

    #[test]
    fn an_ill_behaved_generator() -> Test {
        let mut g = ill_behaved();
        next(&mut g)?;
        assert!(matches!(g.close(), Err(Raised::IgnoredExit)));
        assert_eq!(g.state(), State::Suspended);
        assert_eq!(g.close()?, None);
        assert_eq!(g.state(), State::Closed);
        Ok(())
    }

    #[test]
    fn ill_behaved_code_is_reported_when_it_is_dropped() {
        let reported = unraisable(|| {
            let mut g = ill_behaved();
            next(&mut g).unwrap();
            drop(g);
        });
        assert_eq!(
            reported,
            ["while dropping coroutine '<unnamed>': it ignored GeneratorExit"]
        );
    }

    #[test]
    fn errors_raised_during_closing_propagate() -> Test {
        let mut g: Coroutine<(), ()> = coroutine(|co| match co.yield_(()) {
            Err(Exception::GeneratorExit) => Err(TypeError("fie!").into()),
            other => other,
        });
        next(&mut g)?;
        let error: TypeError = raised(g.close());
        assert_eq!(error, TypeError("fie!"));
        Ok(())
    }

    #[test]
    fn yields_as_two_targets_of_one_assignment() -> Test {
        let data = Rc::new(RefCell::new(vec![1, 2]));
        let mut g: Coroutine<&str, usize> = coroutine({
            let data = Rc::clone(&data);
            move |co| {
                let index = co.yield_("a")?;
                data.borrow_mut()[index] = 27;
                let index = co.yield_("b")?;
                data.borrow_mut()[index] = 27;
                Ok(())
            }
        });
        assert_eq!(g.prime()?, Step::Yielded("a"));
        assert_eq!(*data.borrow(), [1, 2]);
        assert_eq!(g.send(0)?, Step::Yielded("b"));
        assert_eq!(*data.borrow(), [27, 2]);
        assert_eq!(g.send(1)?, Step::Complete(()));
        assert_eq!(*data.borrow(), [27, 27]);
        Ok(())
    }
}

mod refleaks {
    use super::*;

    /// CPython's collector finds it; here a weak reference in the body keeps it from being a cycle.
    #[test]
    fn a_generator_that_yields_itself() -> Test {
        type Itself = WeakCoroutine<Box<dyn std::any::Any>, ()>;
        let g = bind(|g: Name<Box<dyn std::any::Any>, ()>| {
            coroutine(move |co| {
                loop {
                    let itself: Box<dyn std::any::Any> = Box::new(g.get().downgrade());
                    co.yield_(itself)?;
                }
            })
        });
        let weak = g.downgrade();
        let itself = g.prime()?.yielded().unwrap();
        let itself = itself.downcast_ref::<Itself>().unwrap();
        assert_eq!(itself.upgrade().unwrap().state(), State::Suspended);
        drop(g);
        assert!(weak.upgrade().is_none());
        assert!(itself.upgrade().is_none());
        Ok(())
    }

    #[test]
    fn an_error_in_a_destructor_is_unraisable() {
        struct Leaker;
        impl Drop for Leaker {
            fn drop(&mut self) {
                panic!("del failed");
            }
        }
        let reported = unraisable(|| {
            let mut g: Coroutine<(), ()> = coroutine(|co| {
                let _leaker = Leaker;
                co.yield_(())
            });
            g.prime().unwrap();
            drop(g);
        });
        assert_eq!(
            reported,
            ["while dropping coroutine '<unnamed>': it panicked: del failed"]
        );
    }
}
