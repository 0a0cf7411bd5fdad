//! With `panic = "abort"` closing by value works as ever, and what would have to be unwound is leaked and reported.
//!
//! Prints a line for each thing shown and ends with status 0; anything else is a failure.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use yieldfrom::pipe::{Receiver, sink};
use yieldfrom::{
    Builder, Co, Coroutine, Exception, Fiber, Raised, State, Step, await_, coroutine, fiber,
    generator, scoped, set_unraisable_hook,
};

thread_local! {
    static REPORTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn reports() -> Vec<String> {
    REPORTS.take()
}

fn main() {
    assert!(cfg!(panic = "abort"), "the profile says so");
    set_unraisable_hook(|unraisable| {
        REPORTS.with_borrow_mut(|reports| reports.push(unraisable.to_string()));
    });
    let checks: [(&str, fn()); 11] = [
        ("close returns what the body returns", close_returns),
        ("drop closes by value", drop_by_value),
        ("drop reports what the body raises", drop_reports),
        ("a chain is closed from its leaf", chain_closes),
        ("close tells that the exit was ignored", ignored_exit),
        (
            "who ignores the exit is leaked and reported",
            ignored_exit_leaks,
        ),
        (
            "a generator dropped early is leaked and reported",
            generator_leaks,
        ),
        ("a generator run to its end is not", generator_ends),
        ("a stage closes by value", stage_closes),
        ("a fiber is cancelled by value", fiber_cancels),
        (
            "a fiber that ignores its cancellation is leaked and reported",
            ignored_cancel_leaks,
        ),
    ];
    for (name, check) in checks {
        check();
        assert_eq!(reports(), [""; 0], "{name}");
        println!("ok: {name}");
    }
}

/// Yields for ever, and holds `kept`.
fn patient(kept: Rc<()>) -> Coroutine<i32, i32, i32> {
    Builder::new()
        .name("c")
        .coroutine(move |co: &Co<i32, i32>| {
            let _kept = kept;
            loop {
                match co.yield_(1) {
                    Ok(_) => {}
                    Err(Exception::GeneratorExit) => return Ok(42),
                    Err(exception) => return Err(exception),
                }
            }
        })
}

fn close_returns() {
    let kept = Rc::new(());
    let mut co = patient(kept.clone());
    co.prime().unwrap();
    assert_eq!(co.send(1).unwrap(), Step::Yielded(1));
    assert!(matches!(co.close(), Ok(Some(42))));
    assert_eq!(Rc::strong_count(&kept), 1);
    assert_eq!(co.state(), State::Closed);
}

fn drop_by_value() {
    let kept = Rc::new(());
    let mut co = patient(kept.clone());
    co.prime().unwrap();
    drop(co);
    drop(patient(kept.clone())); // never started
    assert_eq!(Rc::strong_count(&kept), 1);
}

fn drop_reports() {
    let mut co = Builder::new().name("c").coroutine(|co: &Co<i32, i32>| {
        let _ = co.yield_(1);
        Err::<(), _>(Exception::new("the disk is full"))
    });
    co.prime().unwrap();
    drop(co);
    assert_eq!(
        reports(),
        ["while dropping coroutine 'c': it raised: the disk is full"]
    );
}

fn chain_closes() {
    let kept = Rc::new(());
    let inner = kept.clone();
    let mut root = coroutine(move |co: &Co<i32, i32>| co.yield_from(&mut patient(inner)));
    root.prime().unwrap();
    assert!(matches!(root.close(), Ok(None)));
    assert_eq!(Rc::strong_count(&kept), 1);
}

fn stubborn(kept: Rc<()>) -> Coroutine<i32, i32, ()> {
    Builder::new()
        .name("c")
        .coroutine(move |co: &Co<i32, i32>| {
            let _kept = kept;
            loop {
                let _ = co.yield_(1);
            }
        })
}

fn ignored_exit() {
    let mut co = stubborn(Rc::default());
    co.prime().unwrap();
    assert!(matches!(co.close(), Err(Raised::IgnoredExit)));
    assert_eq!(co.state(), State::Suspended);
    assert_eq!(co.send(1).unwrap(), Step::Yielded(1));
    std::mem::forget(co);
}

fn ignored_exit_leaks() {
    let kept = Rc::new(());
    let mut co = stubborn(kept.clone());
    co.prime().unwrap();
    drop(co);
    assert_eq!(Rc::strong_count(&kept), 2);
    assert_eq!(
        reports(),
        [
            "while dropping coroutine 'c': it ignored GeneratorExit",
            "while dropping coroutine 'c': it could not be unwound, its stack is leaked"
        ]
    );
}

fn generator_leaks() {
    let kept = Rc::new(());
    let inner = kept.clone();
    let mut g = Builder::new().name("g").generator(move |y| {
        let _inner = inner;
        (0..).for_each(|n| y.yield_(n));
    });
    assert_eq!(g.next(), Some(0));
    g.close();
    assert_eq!((g.next(), g.state()), (None, State::Closed));
    drop(g);
    assert_eq!(Rc::strong_count(&kept), 2);
    assert_eq!(
        reports(),
        ["while dropping coroutine 'g': it could not be unwound, its stack is leaked"]
    );
}

fn generator_ends() {
    let words = ["to", "be"];
    let lengths: Vec<_> = scoped(
        |y| words.iter().for_each(|word| y.yield_(word.len())),
        |g| g.collect(),
    );
    assert_eq!(lengths, [2, 2]);
    assert_eq!(generator(|y| y.yield_from(0..3)).count(), 3);
    drop(generator(|y| y.yield_(1))); // never started
}

fn stage_closes() {
    let mut stage = sink(|items: &mut Receiver<i32>| {
        let mut sum = 0;
        while let Some(n) = items.recv() {
            sum += n;
        }
        sum
    });
    stage.send(&1).unwrap();
    stage.send(&2).unwrap();
    assert_eq!(stage.close(), 3);
}

/// Has it wait.
fn begin<R>(f: &mut Fiber<R>) {
    let context = &mut Context::from_waker(Waker::noop());
    assert!(Pin::new(f).poll(context).is_pending());
}

fn fiber_cancels() {
    let kept = Rc::new(());
    let inner = kept.clone();
    let mut f = fiber(move || {
        let _inner = inner;
        generator(|y| y.yield_(await_(pending::<()>()).is_err())).all(|cancelled| cancelled)
    });
    begin(&mut f);
    assert_eq!(f.cancel(), Some(true));
    assert_eq!(Rc::strong_count(&kept), 1);
}

fn ignored_cancel_leaks() {
    let kept = Rc::new(());
    let inner = kept.clone();
    let mut f = Builder::new().name("f").fiber(move || {
        let _inner = inner;
        while await_(pending::<()>()).is_err() {}
    });
    begin(&mut f);
    drop(f);
    assert_eq!(Rc::strong_count(&kept), 2);
    assert_eq!(
        reports(),
        [
            "while dropping coroutine 'f': it ignored its cancellation",
            "while dropping coroutine 'f': it could not be unwound, its stack is leaked"
        ]
    );
}
