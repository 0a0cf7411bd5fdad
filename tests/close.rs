//! Dropping and closing what is suspended: by value, by force, or not at all; and what is reported meanwhile.
//!
//! Run in debug and release: which frames can be unwound depends on what the compiler makes of them.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::{Mutex, Once};

use yieldfrom::pipe::{Receiver, sink};
use yieldfrom::{
    Builder, Co, Coroutine, Exception, Generator, Raised, Reason, State, Step, Yielder, coroutine,
    generator, scoped, set_unraisable_hook,
};

const IGNORED: &str = "while dropping coroutine 'c': it ignored GeneratorExit";
const LEAKED: &str = "while dropping coroutine 'c': it could not be unwound, its stack is leaked";
const PANICKED: &str = "while dropping coroutine 'c': it panicked: the panic";

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

const NOTHING: [&str; 0] = [];

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

fn named() -> Builder {
    Builder::new().name("c")
}

// By value ------------------------------------------------------------------------------------------------------------

type Body = fn(&Co<i32, i32>) -> Result<i32, Exception>;

/// Drops a coroutine that is suspended in `body`, says what was reported, and checks that everything on its stack and in
/// its captures was dropped unless it was leaked.
fn drop_suspended(body: Body) -> Vec<String> {
    listen();
    let (live, started) = (Live::default(), Rc::new(Cell::new(0)));
    let (kept, captured, starts) = (live.clone(), live.clone(), started.clone());
    let mut co = named().coroutine(move |co: &Co<i32, i32>| {
        let _captured = &captured;
        let _kept = kept;
        starts.set(starts.get() + 1);
        body(co)
    });
    co.prime().unwrap();
    assert_eq!(co.state(), State::Suspended);
    drop(co);
    let reports = reports();
    assert_eq!(started.get(), 1);
    let left = if reports.iter().any(|report| report == LEAKED) {
        2
    } else {
        0
    };
    assert_eq!(live.count(), left, "{reports:?}");
    reports
}

extern "C" fn below_c(co: &Co<i32, i32>) {
    let _ = black_box(co).yield_(1);
}

fn leaves_by_question_mark(co: &Co<i32, i32>) -> Result<i32, Exception> {
    co.yield_(1)
}

fn is_below_extern_c(co: &Co<i32, i32>) -> Result<i32, Exception> {
    below_c(co);
    Ok(1)
}

fn holds_a_lock(co: &Co<i32, i32>) -> Result<i32, Exception> {
    static LOCK: Mutex<i32> = Mutex::new(0);
    {
        let _guard = LOCK.lock().unwrap();
        let _ = co.yield_(1);
    }
    assert!(!LOCK.is_poisoned());
    Ok(1)
}

fn is_in_catch_unwind(co: &Co<i32, i32>) -> Result<i32, Exception> {
    catch_unwind(AssertUnwindSafe(|| co.yield_(1))).expect("nothing is unwound")
}

fn is_in_a_destructor(co: &Co<i32, i32>) -> Result<i32, Exception> {
    let _drop = OnDrop(|| {
        let exit = co.yield_(1).unwrap_err();
        assert!(exit.is_exit());
    });
    Ok(1)
}

fn is_in_a_comparison(co: &Co<i32, i32>) -> Result<i32, Exception> {
    let mut items = [3, 1, 2];
    items.sort_by(|a, b| {
        let _ = co.yield_(*a);
        a.cmp(b)
    });
    Ok(items[0])
}

#[test]
fn almost_every_body_leaves_by_value_and_nothing_is_reported() {
    let bodies: [Body; 5] = [
        leaves_by_question_mark,
        is_below_extern_c,
        holds_a_lock,
        is_in_catch_unwind,
        is_in_a_destructor,
    ];
    for body in bodies {
        assert_eq!(drop_suspended(body), NOTHING);
    }
}

#[test]
fn a_body_that_is_told_to_finish_by_value_does_not_see_a_panic() {
    let seen = Rc::new(Cell::new(None));
    let out = seen.clone();
    let mut co = coroutine(move |co: &Co<i32, i32>| {
        let _drop = OnDrop(|| out.set(Some(std::thread::panicking())));
        co.yield_(1)
    });
    co.prime().unwrap();
    drop(co);
    assert_eq!(seen.get(), Some(false));
}

#[test]
fn a_destructor_that_yields_during_the_bodys_own_panic_is_closed_by_value() {
    // The panic goes on to the end, and is reported.
    let panics = |co: &Co<i32, i32>| {
        let _drop = OnDrop(|| drop(co.yield_(1)));
        quiet_panic("the panic")
    };
    assert_eq!(drop_suspended(panics), [PANICKED]);
    assert!(!std::thread::panicking());
}

#[test]
fn a_comparison_yields_again_after_the_exit_and_is_unwound() {
    assert_eq!(drop_suspended(is_in_a_comparison), [IGNORED]);
}

// Three stages --------------------------------------------------------------------------------------------------------

#[test]
fn who_ignores_the_exit_once_is_unwound() {
    assert_eq!(
        drop_suspended(|co| {
            let _ = co.yield_(1);
            co.yield_(2)
        }),
        [IGNORED]
    );
}

#[test]
fn who_ignores_the_exit_for_ever_is_unwound() {
    assert_eq!(
        drop_suspended(|co| loop {
            let _ = co.yield_(1);
        }),
        [IGNORED]
    );
}

#[test]
fn who_catches_the_unwind_once_is_let_go() {
    assert_eq!(
        drop_suspended(|co| {
            let _ = co.yield_(1);
            let caught = catch_unwind(AssertUnwindSafe(|| co.yield_(2)));
            assert!(caught.is_err());
            Ok(5)
        }),
        [IGNORED]
    );
}

#[test]
fn who_catches_it_and_yields_again_is_unwound_again() {
    assert_eq!(
        drop_suspended(|co| {
            let _ = co.yield_(1);
            for _ in 0..3 {
                let _ = catch_unwind(AssertUnwindSafe(|| co.yield_(2)));
            }
            co.yield_(3)
        }),
        [IGNORED]
    );
}

#[test]
fn who_catches_it_for_ever_is_leaked() {
    assert_eq!(
        drop_suspended(|co| loop {
            let _ = catch_unwind(AssertUnwindSafe(|| co.yield_(1)));
        }),
        [IGNORED, LEAKED]
    );
}

#[test]
fn who_ignores_the_exit_below_extern_c_is_leaked() {
    extern "C" fn twice(co: &Co<i32, i32>) {
        let _ = co.yield_(1);
        let _ = co.yield_(2);
        unreachable!("it is never resumed");
    }
    assert_eq!(
        drop_suspended(|co| {
            twice(co);
            Ok(1)
        }),
        [IGNORED, LEAKED]
    );
}

#[test]
fn who_catches_the_unwind_and_yields_below_extern_c_is_resumed_a_few_times_and_leaked() {
    extern "C" fn for_ever(co: &Co<i32, i32>, turns: &Cell<u32>) {
        loop {
            turns.set(turns.get() + 1);
            let _ = co.yield_(2);
        }
    }
    thread_local!(static TURNS: Cell<u32> = const { Cell::new(0) });
    assert_eq!(
        drop_suspended(|co| {
            let _ = co.yield_(1);
            let _ = catch_unwind(AssertUnwindSafe(|| co.yield_(1)));
            TURNS.with(|turns| for_ever(co, turns));
            Ok(1)
        }),
        [IGNORED, LEAKED]
    );
    assert!(TURNS.get() < 20, "{}", TURNS.get());
}

#[test]
fn a_delegation_started_during_the_unwind_does_not_take_place() {
    assert_eq!(
        drop_suspended(|co| {
            let mut sub = coroutine(|_: &Co<i32, i32>| -> Result<i32, Exception> {
                unreachable!("nobody drives it")
            });
            let _ = co.yield_(1);
            let _ = catch_unwind(AssertUnwindSafe(|| co.yield_(2)));
            co.yield_from(&mut sub)
        }),
        [IGNORED]
    );
}

#[test]
fn delegations_for_ever_during_the_unwind_are_leaked() {
    assert_eq!(
        drop_suspended(|co| {
            let _ = co.yield_(1);
            loop {
                let mut sub = coroutine(|co: &Co<i32, i32>| co.yield_(1));
                let _ = catch_unwind(AssertUnwindSafe(|| co.yield_from(&mut sub)));
            }
        }),
        [IGNORED, LEAKED]
    );
}

#[test]
fn the_first_value_of_a_delegation_that_does_not_take_place_is_dropped_once() {
    listen();
    let live = Live::default();
    let first = live.clone();
    let mut co = named().coroutine(move |co: &Co<i32, Live>| {
        let mut sub = coroutine(|co: &Co<i32, Live>| co.yield_(1).map(drop));
        sub.prime()?;
        let _ = co.yield_(1);
        let _ = catch_unwind(AssertUnwindSafe(|| co.yield_(2)));
        co.yield_from_with(&mut sub, first)
    });
    co.prime().unwrap();
    drop(co);
    assert_eq!(reports(), [IGNORED]);
    assert_eq!(live.count(), 0);
}

// What goes wrong is reported -----------------------------------------------------------------------------------------

#[test]
fn what_a_dropped_body_raises_is_reported() {
    assert_eq!(
        drop_suspended(|co| {
            let _ = co.yield_(1);
            Err(Exception::new("the disk is full"))
        }),
        ["while dropping coroutine 'c': it raised: the disk is full"]
    );
}

#[test]
fn a_panic_in_a_dropped_body_is_reported() {
    assert_eq!(
        drop_suspended(|co| {
            let _ = co.yield_(1);
            quiet_panic("the panic")
        }),
        [PANICKED]
    );
}

#[test]
fn a_panic_in_a_destructor_of_a_dropped_body_is_reported() {
    assert_eq!(
        drop_suspended(|co| {
            let _bomb = PanicsOnDrop("the panic");
            co.yield_(1)
        }),
        [PANICKED]
    );
}

#[test]
fn a_body_that_is_unwound_and_then_panics_is_reported_twice() {
    assert_eq!(
        drop_suspended(|co| {
            let _ = co.yield_(1);
            let _ = catch_unwind(AssertUnwindSafe(|| co.yield_(2)));
            quiet_panic("the panic")
        }),
        [IGNORED, PANICKED]
    );
}

#[test]
fn a_capture_that_panics_in_a_body_that_never_starts_is_reported() {
    listen();
    let bomb = PanicsOnDrop("the panic");
    let live = Live::default();
    let other = live.clone();
    let co = named().coroutine(move |co: &Co<i32, i32>| {
        let _both = (&bomb, &other);
        co.yield_(1)
    });
    drop(co);
    assert_eq!(reports(), [PANICKED]);
    assert_eq!(live.count(), 0);
    let bomb = PanicsOnDrop("the panic");
    let mut g = named().generator(move |y: &Yielder<i32>| {
        let _bomb = &bomb;
        y.yield_(1);
    });
    g.try_reserve().unwrap();
    g.close();
    assert_eq!(reports(), [PANICKED]);
    assert_eq!(g.state(), State::Closed);
}

#[test]
fn payloads_that_panic_when_dropped_are_survived() {
    listen();
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            quiet_panic("the payload");
        }
    }
    let mut co = named().coroutine(|co: &Co<i32, i32>| -> Result<(), Exception> {
        let _ = co.yield_(1);
        resume_unwind(Box::new(Payload))
    });
    co.prime().unwrap();
    drop(co);
    assert_eq!(
        reports(),
        ["while dropping coroutine 'c': it panicked: (no message)"]
    );
}

#[test]
fn values_that_panic_when_dropped_are_survived_by_a_drop() {
    listen();
    // What is returned to a drop, and what is yielded to one.
    let mut co = named().coroutine(|co: &Co<Option<PanicsOnDrop>, i32>| {
        let _ = co.yield_(None);
        Ok(PanicsOnDrop("returned"))
    });
    co.prime().unwrap();
    drop(co);
    let report = |text: &str| format!("while dropping coroutine 'c': it panicked: {text}");
    assert_eq!(reports(), [report("returned")]);
    let mut co = named().coroutine(|co: &Co<Option<PanicsOnDrop>, i32>| {
        let _ = co.yield_(None);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            co.yield_(Some(PanicsOnDrop("yielded by value")))
        }));
        co.yield_(Some(PanicsOnDrop("yielded by force")))
    });
    co.prime().unwrap();
    drop(co);
    assert_eq!(
        reports(),
        [
            report("yielded by value"),
            IGNORED.into(),
            report("yielded by force")
        ]
    );
    // A return value that nobody took.
    let mut g = named().generator(|y: &Yielder<i32>| {
        y.yield_(1);
        PanicsOnDrop("returned")
    });
    g.by_ref().for_each(drop);
    drop(g);
    let mut stage = named().sink(|items: &mut Receiver<i32>| {
        items.recv();
        PanicsOnDrop("returned")
    });
    assert!(stage.send(&1).is_err());
    drop(stage);
    assert_eq!(reports(), [report("returned"), report("returned")]);
    // What a stage returns because it is dropped.
    let mut stage = named().sink(|items: &mut Receiver<i32>| {
        while items.recv().is_some() {}
        PanicsOnDrop("returned")
    });
    stage.send(&1).unwrap();
    drop(stage);
    assert_eq!(reports(), [report("returned")]);
}

#[test]
fn a_hook_that_panics_is_swallowed() {
    listen();
    let mut co = named().coroutine(|co: &Co<i32, i32>| -> Result<(), Exception> {
        let _ = co.yield_(1);
        resume_unwind(Box::new(HookPanics))
    });
    co.prime().unwrap();
    drop(co);
    assert_eq!(reports(), NOTHING);
}

#[test]
fn reports_carry_the_name_and_the_unnamed_are_called_so() {
    listen();
    for builder in [Builder::new().name(String::from("feeder")), Builder::new()] {
        let mut co = builder.coroutine(|co: &Co<i32, i32>| {
            let _ = co.yield_(1);
            Err::<(), _>(Exception::new("oh"))
        });
        co.prime().unwrap();
        drop(co);
    }
    assert_eq!(
        reports(),
        [
            "while dropping coroutine 'feeder': it raised: oh",
            "while dropping coroutine '<unnamed>': it raised: oh"
        ]
    );
}

#[test]
fn close_raises_to_the_caller_what_drop_reports() {
    listen();
    let panics = || {
        let mut co = coroutine(|co: &Co<i32, i32>| -> Result<(), Exception> {
            let _ = co.yield_(1);
            quiet_panic("the panic")
        });
        co.prime().unwrap();
        co
    };
    let mut co = panics();
    let result = catch_unwind(AssertUnwindSafe(|| co.close().is_ok()));
    assert!(result.unwrap_err().is::<&str>());
    assert_eq!(co.state(), State::Closed);
    assert!(matches!(co.close(), Ok(None)));
    drop(co);
    assert_eq!(reports(), NOTHING);
}

#[test]
fn a_panic_comes_out_once_and_the_state_is_closed_before_it_does() {
    listen();
    let shared = coroutine(|co: &Co<i32, i32>| -> Result<(), Exception> {
        co.yield_(1)?;
        quiet_panic("the panic")
    })
    .shared();
    shared.prime().unwrap();
    let other = shared.clone();
    let seen = Rc::new(Cell::new(None));
    let out = seen.clone();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _drop = OnDrop(|| out.set(Some(other.state())));
        let _ = shared.send(1);
    }));
    assert!(result.is_err());
    assert_eq!(seen.get(), Some(State::Closed));
    assert!(matches!(shared.send(1), Err(Raised::Exhausted(Some(1)))));
    drop((shared, other));
    assert_eq!(reports(), NOTHING);
}

#[test]
fn a_panic_in_a_sub_coroutine_unwinds_every_body_above_it_once() {
    let live = Live::default();
    let kept = live.clone();
    let mut root = coroutine(move |co: &Co<i32, i32>| {
        let _kept = kept.clone();
        let mut middle = coroutine(move |co: &Co<i32, i32>| {
            let _kept = kept;
            let mut leaf = coroutine(|co: &Co<i32, i32>| -> Result<i32, Exception> {
                co.yield_(1)?;
                quiet_panic("the panic")
            });
            co.yield_from(&mut leaf)
        });
        co.yield_from(&mut middle)
    });
    root.prime().unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| root.send(1).is_ok())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"the panic"));
    assert_eq!((live.count(), root.state()), (0, State::Closed));
}

#[test]
fn a_holder_that_panics_closes_what_it_holds() {
    listen();
    let live = Live::default();
    let kept = live.clone();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let (one, two) = (kept.clone(), kept);
        let mut g = named().generator(move |y| {
            let _one = one;
            y.yield_(1);
        });
        g.next();
        let mut co = named().coroutine(move |co: &Co<i32, i32>| {
            let _two = two;
            let exit = co.yield_(1).unwrap_err();
            let _ = co.yield_(2); // unwound while a panic is under way
            Err::<(), _>(exit)
        });
        co.prime().unwrap();
        quiet_panic("the holder");
    }));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"the holder"));
    assert_eq!(reports(), [IGNORED]);
    assert_eq!(live.count(), 0);
}

// By force: every kind of frame ---------------------------------------------------------------------------------------

/// Drops a generator that is suspended in `body`; says whether it was unwound, rather than leaked.
#[track_caller]
fn is_unwound(body: fn(&Yielder<i32>)) -> bool {
    listen();
    let live = Live::default();
    let kept = live.clone();
    let mut g = named().generator(move |y| {
        let _kept = kept;
        body(y);
    });
    assert_eq!(g.next(), Some(1));
    g.close();
    assert_eq!((g.state(), g.next()), (State::Closed, None));
    drop(g);
    match &*reports() {
        [] => {
            assert_eq!(live.count(), 0);
            true
        }
        [leaked] if leaked == LEAKED => {
            assert_eq!(live.count(), 1);
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_frames_are_unwound() {
    #[inline(never)]
    fn deep(y: &Yielder<i32>, depth: u32) {
        if depth == 0 {
            y.yield_(1);
        } else {
            deep(y, black_box(depth - 1));
        }
        black_box(depth);
    }
    assert!(is_unwound(|y| y.yield_(1)));
    assert!(is_unwound(|y| deep(y, 100)));
    assert!(is_unwound(|y| {
        let call = |n| y.yield_(n);
        let call: &dyn Fn(i32) = black_box(&call);
        call(1);
    }));
    assert!(is_unwound(|y| y.yield_from(Some(1))));
}

#[test]
fn frames_with_destructors_are_unwound_and_each_runs_once() {
    #[inline(never)]
    fn deep(y: &Yielder<i32>, drops: &Rc<Cell<u32>>, depth: u32) {
        let _drop = OnDrop(|| drops.set(drops.get() + 1));
        if depth == 0 {
            y.yield_(1);
        } else {
            deep(y, drops, depth - 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let counted = drops.clone();
    let mut g = generator(move |y| deep(y, &counted, 50));
    g.next();
    drop(g);
    assert_eq!(drops.get(), 51);
}

#[test]
fn frames_of_the_standard_library_are_unwound() {
    assert!(is_unwound(|y| {
        let mut items = [3, 2, 1];
        items.sort_by(|a, b| {
            y.yield_(1);
            a.cmp(b)
        });
    }));
    assert!(is_unwound(|y| {
        thread_local!(static KEY: Cell<i32> = const { Cell::new(1) });
        KEY.with(|key| y.yield_(key.get()));
    }));
    assert!(is_unwound(|y| {
        std::thread::scope(|s| {
            s.spawn(|| black_box(1));
            y.yield_(1);
        });
    }));
    assert!(is_unwound(|y| {
        Once::new().call_once(|| y.yield_(1));
    }));
    assert!(is_unwound(|y| {
        struct Shows<'a>(&'a Yielder<i32>);
        impl std::fmt::Display for Shows<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.yield_(1);
                f.write_str("shown")
            }
        }
        black_box(format!("{}", Shows(y)));
    }));
    assert!(is_unwound(|y| {
        let kept: Vec<_> = [1, 2].into_iter().inspect(|n| y.yield_(*n)).collect();
        black_box(kept);
    }));
}

#[test]
fn a_lock_held_across_a_forced_unwind_is_poisoned() {
    let lock = Rc::new(Mutex::new(1));
    let held = lock.clone();
    let mut g = generator(move |y| {
        let guard = held.lock().unwrap();
        y.yield_(*guard);
    });
    g.next();
    drop(g);
    assert!(lock.is_poisoned());
}

#[test]
fn a_body_that_catches_the_unwind_once_runs_to_its_end() {
    assert!(is_unwound(|y| {
        assert!(catch_unwind(AssertUnwindSafe(|| y.yield_(1))).is_err());
    }));
}

#[test]
fn a_body_that_catches_every_unwind_is_leaked() {
    assert!(!is_unwound(|y| loop {
        let _ = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
    }));
}

extern "C" fn yields_below_c(y: &Yielder<i32>) {
    y.yield_(1);
}

#[inline(never)]
extern "C" fn yields_below_c_out_of_line(y: &Yielder<i32>) {
    y.yield_(1);
    black_box(y);
}

#[test]
fn a_body_below_extern_c_is_leaked() {
    assert!(!is_unwound(|y| yields_below_c(y)));
    assert!(!is_unwound(|y| yields_below_c_out_of_line(y)));
    assert!(!is_unwound(|y| {
        let callback: extern "C" fn(&Yielder<i32>) = black_box(yields_below_c);
        callback(y);
    }));
    assert!(!is_unwound(|y| {
        let _drop = OnDrop(|| {
            black_box(1);
        });
        yields_below_c(y);
    }));
    // Nothing between the `extern "C"` frame and the catch matters.
    assert!(!is_unwound(|y| {
        let _ = catch_unwind(AssertUnwindSafe(|| yields_below_c(y)));
    }));
}

#[test]
fn a_catch_below_extern_c_is_reached() {
    extern "C" fn catches(y: &Yielder<i32>) {
        assert!(catch_unwind(AssertUnwindSafe(|| y.yield_(1))).is_err());
    }
    assert!(is_unwound(|y| catches(y)));
}

#[test]
fn frames_of_c_unwind_are_unwound() {
    #[inline(never)]
    extern "C-unwind" fn passes(y: &Yielder<i32>) {
        let _drop = OnDrop(|| {
            black_box(1);
        });
        y.yield_(1);
    }
    assert!(is_unwound(|y| passes(y)));
}

unsafe extern "C" {
    fn qsort(
        base: *mut c_void,
        count: usize,
        size: usize,
        compare: extern "C" fn(*const c_void, *const c_void) -> c_int,
    );
}

thread_local! {
    /// What the callback yields with, while `yields_below_qsort` runs.
    static SORTER: Cell<*const Yielder<i32>> = const { Cell::new(std::ptr::null()) };
}

extern "C" fn compare_and_yield(_: *const c_void, _: *const c_void) -> c_int {
    // SAFETY: `yields_below_qsort` has set it, and waits.
    unsafe { &*SORTER.get() }.yield_(1);
    0
}

fn yields_below_qsort(y: &Yielder<i32>) {
    SORTER.set(y);
    let mut items = [3, 1, 2];
    // SAFETY: three items of this size start there, and the callback compares any two.
    unsafe {
        qsort(
            items.as_mut_ptr().cast(),
            items.len(),
            size_of::<i32>(),
            compare_and_yield,
        );
    }
    black_box(items);
}

#[test]
fn a_body_in_a_callback_of_qsort_is_leaked() {
    assert!(!is_unwound(yields_below_qsort));
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod without_tables {
    use super::*;

    std::arch::global_asm!(
        ".globl yieldfrom_test_call_without_tables",
        "yieldfrom_test_call_without_tables:",
        "sub rsp, 8",
        "call rsi",
        "add rsp, 8",
        "ret",
    );

    unsafe extern "C-unwind" {
        fn yieldfrom_test_call_without_tables(
            y: *const c_void,
            call: extern "C-unwind" fn(&Yielder<i32>),
        );
    }

    extern "C-unwind" fn yields(y: &Yielder<i32>) {
        y.yield_(1);
    }

    #[test]
    fn a_body_below_a_frame_without_unwind_tables_is_leaked() {
        assert!(!is_unwound(|y| {
            let y = std::ptr::from_ref(y).cast();
            // SAFETY: it calls the function with the reference and returns.
            unsafe { yieldfrom_test_call_without_tables(y, yields) };
        }));
    }
}

#[test]
fn a_destructor_that_yields_while_it_is_unwound_goes_on_to_its_end() {
    assert!(is_unwound(|y| {
        let done = Cell::new(false);
        let _check = OnDrop(|| assert!(done.get()));
        let _clingy = OnDrop(|| {
            y.yield_(2);
            y.yield_(3);
            done.set(true);
        });
        y.yield_(1);
    }));
    assert!(is_unwound(|y| {
        let _outer = OnDrop(|| y.yield_(3));
        let _inner = OnDrop(|| y.yield_(2));
        y.yield_(1);
    }));
}

#[test]
fn a_destructor_that_yields_for_ever_while_it_is_unwound_is_leaked() {
    assert!(!is_unwound(|y| {
        let _clingy = OnDrop(|| {
            loop {
                y.yield_(2);
            }
        });
        y.yield_(1);
    }));
}

#[test]
fn a_destructor_that_catches_its_own_unwind_is_left_to_it() {
    assert!(is_unwound(|y| {
        let _catches = OnDrop(|| {
            let caught = catch_unwind(AssertUnwindSafe(|| y.yield_(2)));
            assert!(caught.is_err());
        });
        y.yield_(1);
    }));
}

#[test]
fn a_destructor_called_by_hand_is_a_plain_frame() {
    assert!(is_unwound(|y| drop(OnDrop({
        let mut first = true;
        move || {
            if std::mem::take(&mut first) {
                y.yield_(1);
            }
        }
    }))));
}

/// On threads of their own: the panic that never ends is counted there for ever.
#[test]
fn a_destructor_that_yields_during_the_bodys_own_panic_is_leaked() {
    fn panics(y: &Yielder<i32>) {
        let _drop = OnDrop(|| y.yield_(1));
        quiet_panic("the panic");
    }
    #[inline(never)]
    fn panics_in_a_call(y: &Yielder<i32>) {
        #[inline(never)]
        fn call() {
            if black_box(true) {
                quiet_panic("the panic");
            }
        }
        let _drop = OnDrop(|| y.yield_(1));
        call();
    }
    fn panics_in_a_destructor_called_by_hand(y: &Yielder<i32>) {
        let _drop = OnDrop(|| y.yield_(1));
        drop(PanicsOnDrop("the panic"));
    }
    for body in [
        panics as fn(&Yielder<i32>),
        panics_in_a_call,
        panics_in_a_destructor_called_by_hand,
    ] {
        let unwound = std::thread::spawn(move || is_unwound(body)).join().unwrap();
        assert!(!unwound);
    }
}

#[test]
#[cfg_attr(feature = "sanitizer", ignore = "frames are larger there")]
fn a_body_with_hardly_any_stack_left_is_leaked() {
    #[inline(never)]
    fn down(y: &Yielder<i32>, top: usize, size: usize) {
        let here = black_box([0u8; 64]);
        let used = top - here.as_ptr() as usize;
        if used + 5 * 1024 < size {
            down(y, top, size);
        } else {
            y.yield_(1);
        }
        black_box(&here);
    }
    listen();
    let size = 64 * 1024;
    let mut g = named().stack_size(size).generator(move |y| {
        let top = black_box(0u8);
        down(y, &raw const top as usize, size);
    });
    assert_eq!(g.next(), Some(1));
    drop(g);
    assert_eq!(reports(), [LEAKED]);
}

#[test]
fn the_smallest_stack_is_large_enough_to_be_unwound() {
    listen();
    let live = Live::default();
    let kept = live.clone();
    let mut g = named().stack_size(0).generator(move |y| {
        let _kept = kept;
        y.yield_(1);
    });
    g.next();
    drop(g);
    assert_eq!((live.count(), reports()), (0, vec![]));
}

// Nested chains -------------------------------------------------------------------------------------------------------

#[test]
fn a_generator_in_a_coroutine_in_a_generator_is_dropped_from_the_outside_in() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let note = |text| {
        let log = log.clone();
        OnDrop(move || log.borrow_mut().push(text))
    };
    let (outer, middle, inner) = (note("outer"), note("middle"), note("inner"));
    let mut g = generator(move |y| {
        let _outer = outer;
        let mut co = coroutine(move |co: &Co<i32, ()>| {
            let _middle = middle;
            let mut g = generator(move |y| {
                let _inner = inner;
                y.yield_(1);
                y.yield_(2);
            });
            g.try_for_each(|n| co.yield_(n))
        });
        y.yield_from(co.by_ref().map(Result::unwrap));
    });
    assert_eq!(g.next(), Some(1));
    drop(g);
    // Locals go in reverse order of declaration: what is driven, then what it borrowed from.
    assert_eq!(*log.borrow(), ["inner", "middle", "outer"]);
}

#[test]
fn a_chain_of_five_ends_cleanly_in_every_way() {
    fn chain(depth: u32, live: Live) -> Coroutine<u32, u32, u32> {
        named().coroutine(move |co: &Co<u32, u32>| {
            let kept = live;
            let mut sum = co.yield_(depth)?;
            if depth > 0 {
                sum += co.yield_from(&mut chain(depth - 1, kept.clone()))?;
            }
            sum += co.yield_(depth)?;
            Ok(sum)
        })
    }
    listen();
    for steps in 0..12 {
        for end in 0..5 {
            let live = Live::default();
            let mut root = chain(4, live.clone());
            let mut complete = matches!(root.prime(), Ok(Step::Complete(_)));
            for _ in 0..steps {
                complete |= matches!(root.send(1), Ok(Step::Complete(_)));
            }
            assert_eq!(complete, steps >= 10);
            let is_closed = match end {
                0 => matches!(root.close(), Ok(None)),
                1 => root.throw(std::fmt::Error).is_err(),
                2 => root.throw(Exception::GeneratorExit).is_err(),
                3 => {
                    let result = catch_unwind(AssertUnwindSafe(|| {
                        let _root = root;
                        quiet_panic("the holder");
                    }));
                    assert!(result.is_err());
                    assert_eq!(live.count(), 0);
                    continue;
                }
                _ => true,
            };
            assert!(is_closed);
            drop(root);
            assert_eq!(live.count(), 0, "{steps} steps, end {end}");
        }
    }
    assert_eq!(reports(), NOTHING);
}

#[test]
fn a_sub_coroutine_that_ignores_its_exit_is_usable_after_its_delegator_was_closed() {
    listen();
    let kept: Rc<RefCell<Coroutine<i32, i32, i32>>> =
        Rc::new(RefCell::new(coroutine(|co: &Co<i32, i32>| {
            let mut sum = 0;
            for n in 0..3 {
                let mut leaf = coroutine(move |co: &Co<i32, i32>| co.yield_(n));
                match co.yield_from(&mut leaf) {
                    Err(Exception::GeneratorExit) => sum += co.yield_(100)?,
                    result => sum += result?,
                }
            }
            Ok(sum)
        })));
    let delegator = || {
        let sub = kept.clone();
        coroutine(move |co: &Co<i32, i32>| {
            let mut sub = sub.borrow_mut();
            match sub.state() {
                State::Created => co.yield_from(&mut *sub),
                _ => co.yield_from_with(&mut *sub, 1),
            }
        })
    };
    let mut first = delegator();
    assert_eq!(first.prime().unwrap(), Step::Yielded(0));
    assert!(matches!(first.close(), Err(Raised::Exception(_))));
    assert_eq!(kept.borrow_mut().send(1).unwrap(), Step::Yielded(1));
    // Delegated to once more, with its own chain below it, and broken off once more.
    let mut second = delegator();
    assert_eq!(second.prime().unwrap(), Step::Yielded(2));
    assert!(matches!(second.close(), Err(Raised::Exception(_))));
    drop((first, second));
    assert_eq!(kept.borrow_mut().send(5).unwrap(), Step::Complete(7));
    assert_eq!(reports(), NOTHING);
}

#[test]
fn a_sub_coroutine_kept_outside_survives_the_forced_unwind_of_its_delegator() {
    listen();
    let kept: Rc<RefCell<Coroutine<i32, i32, i32>>> =
        Rc::new(RefCell::new(coroutine(|co: &Co<i32, i32>| {
            let mut leaf = coroutine(|co: &Co<i32, i32>| co.yield_(5));
            co.yield_from(&mut leaf)
        })));
    let sub = kept.clone();
    let mut delegator = named().coroutine(move |co: &Co<i32, i32>| {
        let _ = co.yield_(1); // ignores the exit
        let mut sub = sub.borrow_mut();
        co.yield_from(&mut *sub)
    });
    delegator.prime().unwrap();
    drop(delegator);
    assert_eq!(reports(), [IGNORED]);
    // The exit made the delegator start it, and the unwind took it off the chain again.
    assert_eq!(kept.borrow().state(), State::Suspended);
    assert_eq!(kept.borrow_mut().send(8).unwrap(), Step::Complete(8));
}

#[test]
fn a_delegator_that_is_forgotten_keeps_its_chain() {
    let live = Live::default();
    let kept = live.clone();
    let sub = Rc::new(RefCell::new(coroutine(move |co: &Co<i32, i32>| {
        let _kept = kept;
        co.yield_(1)
    })));
    let lent = sub.clone();
    let mut delegator = coroutine(move |co: &Co<i32, i32>| co.yield_from(&mut *lent.borrow_mut()));
    delegator.prime().unwrap();
    std::mem::forget(delegator);
    assert!(sub.try_borrow().is_err(), "it is borrowed for ever");
    assert_eq!(live.count(), 1);
}

#[test]
fn a_stage_that_ignores_the_close_for_ever_is_unwound() {
    listen();
    let live = Live::default();
    let kept = live.clone();
    let mut stage = named().sink(move |items: &mut Receiver<i32>| {
        let _kept = kept;
        loop {
            let _ = items.recv();
        }
    });
    stage.send(&1).unwrap();
    drop(stage);
    assert_eq!(reports(), [IGNORED]);
    assert_eq!(live.count(), 0);
}

#[test]
fn a_stage_below_extern_c_closes_by_value() {
    extern "C" fn receives(items: &mut Receiver<'_, i32>) -> i32 {
        let mut sum = 0;
        while let Some(n) = items.recv() {
            sum += n;
        }
        sum
    }
    let mut stage = sink(|items: &mut Receiver<i32>| receives(items));
    stage.send(&1).unwrap();
    stage.send(&2).unwrap();
    assert_eq!(stage.close(), 3);
}

#[test]
fn bodies_with_large_captures_start_and_are_dropped() {
    // corosensei's own limit is 1,024 bytes.
    let bytes = [1u8; 8 * 1024];
    let g = generator(move |y| y.yield_(bytes.iter().map(|b| u32::from(*b)).sum::<u32>()));
    assert_eq!(g.collect::<Vec<_>>(), [8 * 1024]);
    drop(generator(move |y: &Yielder<u8>| y.yield_(bytes[0])));
}

#[test]
fn a_scoped_body_inside_a_dropped_generator_is_unwound_with_it() {
    let live = Live::default();
    let kept = live.clone();
    let mut g: Generator<i32> = generator(move |y| {
        let words = vec![kept];
        scoped(
            |inner| {
                for word in &words {
                    let _word = word.clone();
                    inner.yield_(1);
                }
            },
            |items| y.yield_from(items),
        );
    });
    assert_eq!(g.next(), Some(1));
    assert_eq!(live.count(), 2);
    drop(g);
    assert_eq!(live.count(), 0);
}

#[test]
fn a_value_that_panics_while_it_is_primed_does_not_leak_the_coroutine() {
    listen();
    let live = Live::default();
    let kept = live.clone();
    let co = coroutine(move |co: &Co<PanicsOnDrop, ()>| {
        let _local = kept.clone();
        co.yield_(PanicsOnDrop("yielded"))
    });
    assert!(catch_unwind(AssertUnwindSafe(|| co.primed().map(drop).is_ok())).is_err());
    assert_eq!(live.count(), 0);
    assert_eq!(reports(), NOTHING);
}
