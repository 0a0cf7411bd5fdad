//! What kills the process, and what does not although it did elsewhere. Each scenario runs in a child process: this test
//! binary, asked for one test.

#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::future::Future;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Waker};

mod child;

use child::{DONE, SIGABRT, child, died, lived, text};
use yieldfrom::{
    Co, Coroutine, Exception, Fiber, Generator, Step, Yielder, await_, coroutine, fiber, generator,
    scoped, set_unraisable_hook,
};

#[track_caller]
fn survives(test: &str, scenario: fn()) {
    lived(&child(test, &[], Stdio::piped(), scenario));
}

/// Returns the signal, and what was on standard error.
#[track_caller]
fn dies(test: &str, scenario: fn()) -> (i32, String) {
    died(&child(test, &[], Stdio::piped(), scenario))
}

fn quiet_panic(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

fn ignore_reports() {
    set_unraisable_hook(|_| {});
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

// What dies -----------------------------------------------------------------------------------------------------------

extern "C" fn yields_below_c(y: &Yielder<i32>) {
    y.yield_(1);
}

fn scoped_below_c() {
    let words = vec![String::from("borrowed")];
    scoped(
        |y| {
            let _words = &words;
            yields_below_c(y);
        },
        |g| {
            g.next();
        },
    );
}

const SENTENCE: &str = "yieldfrom: a `scoped` generator could not be unwound; aborting";

#[test]
fn a_scoped_body_that_cannot_be_unwound_aborts_with_a_sentence() {
    let (signal, err) = dies(
        "a_scoped_body_that_cannot_be_unwound_aborts_with_a_sentence",
        scoped_below_c,
    );
    assert_eq!(signal, SIGABRT);
    assert!(err.contains(SENTENCE), "{err}");
}

#[test]
fn a_scoped_body_that_catches_every_unwind_aborts_with_a_sentence() {
    let (signal, err) = dies(
        "a_scoped_body_that_catches_every_unwind_aborts_with_a_sentence",
        || {
            scoped(
                |y: &Yielder<i32>| loop {
                    let _ = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
                },
                |g| {
                    g.next();
                },
            );
        },
    );
    assert_eq!(signal, SIGABRT);
    assert!(err.contains(SENTENCE), "{err}");
}

/// A panic in place of the abort would free what the body and its threads borrow.
#[test]
#[cfg(target_os = "linux")]
fn it_aborts_also_if_the_sentence_cannot_be_written() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = child(
        "it_aborts_also_if_the_sentence_cannot_be_written",
        &[],
        full.into(),
        || drop(catch_unwind(scoped_below_c)),
    );
    assert_eq!(
        output.status.signal(),
        Some(SIGABRT),
        "{}\n{}",
        output.status,
        text(&output.stdout)
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_report_that_cannot_be_printed_is_swallowed() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = child(
        "a_report_that_cannot_be_printed_is_swallowed",
        &[],
        full.into(),
        || {
            let mut co = coroutine(|co: &Co<i32, ()>| {
                let _ = co.yield_(1);
                co.yield_(2)
            });
            co.prime().unwrap();
        },
    );
    assert!(output.status.success(), "{}", output.status);
}

/// So it is in Rust whenever a destructor panics while a stack is unwound, and nobody can prevent it.
#[test]
fn a_destructor_that_panics_during_a_forced_unwind_aborts() {
    let (signal, err) = dies(
        "a_destructor_that_panics_during_a_forced_unwind_aborts",
        || {
            let mut g = generator(|y| {
                let _bomb = OnDrop(|| quiet_panic("the bomb"));
                y.yield_(1);
            });
            g.next();
        },
    );
    assert_eq!(signal, SIGABRT);
    assert!(
        err.contains("panic in a destructor during cleanup"),
        "{err}"
    );
}

// What lives ----------------------------------------------------------------------------------------------------------

macro_rules! survive {
    ($($(#[$meta:meta])* $test:ident $scenario:block)*) => {$(
        #[test]
        $(#[$meta])*
        fn $test() {
            survives(stringify!($test), || $scenario);
        }
    )*};
}

survive! {
    a_destructor_that_yields_survives_being_dropped {
        ignore_reports();
        let mut g = generator(|y: &Yielder<i32>| {
            let _clingy = OnDrop(|| y.yield_(2));
            y.yield_(1);
        });
        g.next();
    }

    a_destructor_that_yields_during_a_panic_survives_being_dropped {
        ignore_reports();
        let mut g = generator(|y: &Yielder<i32>| {
            let _clingy = OnDrop(|| y.yield_(1));
            quiet_panic("the panic");
        });
        g.next();
        drop(g);
        let mut co = coroutine(|co: &Co<i32, ()>| -> Result<(), Exception> {
            let _clingy = OnDrop(|| drop(co.yield_(1)));
            quiet_panic("the panic");
        });
        co.prime().unwrap();
    }

    a_body_that_catches_every_unwind_survives_being_dropped {
        ignore_reports();
        let mut g = generator(|y: &Yielder<i32>| loop {
            let _ = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
        });
        g.next();
    }

    a_body_that_answers_the_exit_with_a_panic_survives_being_dropped {
        ignore_reports();
        let mut co = coroutine(|co: &Co<i32, ()>| -> Result<(), Exception> {
            let _bomb = OnDrop(|| quiet_panic("the bomb"));
            co.yield_(1)
        });
        co.prime().unwrap();
    }

    a_body_below_extern_c_survives_being_dropped {
        ignore_reports();
        let mut g = generator(|y| yields_below_c(y));
        g.next();
    }

    // The compiler ends the clean-up of such a frame with an abort.
    #[cfg_attr(feature = "sanitizer", ignore = "what it adds to such a function hides that it aborts")]
    a_body_below_extern_c_with_a_destructor_survives_being_dropped {
        #[inline(never)]
        fn yields(y: &Yielder<i32>) {
            y.yield_(1);
            black_box(y);
        }
        #[inline(never)]
        extern "C" fn calls_with_a_destructor(y: &Yielder<i32>) {
            let _drop = OnDrop(|| {
                black_box(1);
            });
            yields(y);
            black_box(y);
        }
        ignore_reports();
        // Through a frame without a table, which would tell.
        let body: fn(&Yielder<i32>) = black_box(|y| calls_with_a_destructor(y));
        let mut g = generator(body);
        g.next();
    }

    #[cfg_attr(feature = "sanitizer", ignore = "what it adds to such a function hides that it aborts")]
    a_body_below_extern_c_with_a_vector_survives_being_dropped {
        #[inline(never)]
        extern "C" fn yields_with_a_vector(y: &Yielder<i32>) {
            let items = vec![black_box(1u64); black_box(100)];
            let copy = items.clone();
            y.yield_(1);
            black_box((items, copy));
        }
        ignore_reports();
        let body: fn(&Yielder<i32>) = black_box(|y| yields_with_a_vector(y));
        let mut g = generator(body);
        g.next();
    }

    drops_while_the_holder_panics_survive {
        ignore_reports();
        let result = catch_unwind(|| {
            let mut stubborn = coroutine(|co: &Co<i32, ()>| -> Result<(), Exception> {
                loop {
                    let _ = co.yield_(1);
                }
            });
            stubborn.prime().unwrap();
            let mut below_c = generator(|y| yields_below_c(y));
            below_c.next();
            let mut panics = coroutine(|co: &Co<i32, ()>| -> Result<(), Exception> {
                let _ = co.yield_(1);
                quiet_panic("in a body");
            });
            panics.prime().unwrap();
            quiet_panic("the holder");
        });
        assert!(result.is_err());
    }

    a_hook_that_panics_in_a_drop_during_a_panic_survives {
        set_unraisable_hook(|_| quiet_panic("the hook"));
        let result = catch_unwind(|| {
            let mut stubborn = coroutine(|co: &Co<i32, ()>| {
                let _ = co.yield_(1);
                co.yield_(2)
            });
            stubborn.prime().unwrap();
            quiet_panic("the holder");
        });
        assert!(result.is_err());
    }

    a_body_that_captures_a_hundred_kilobytes_survives {
        let bytes = black_box([1u8; 100 * 1024]);
        let g = generator(move |y| y.yield_(bytes.iter().filter(|byte| **byte == 1).count()));
        assert_eq!(g.collect::<Vec<_>>(), [100 * 1024]);
        let mut co = coroutine(move |co: &Co<usize, ()>| {
            co.yield_(bytes.len())?;
            Ok(bytes[0])
        });
        assert_eq!(co.prime().unwrap(), Step::Yielded(100 * 1024));
    }

    suspended_ones_in_thread_locals_survive_the_end_of_their_thread {
        thread_local! {
            static CO: RefCell<Option<Coroutine<i32, ()>>> = const { RefCell::new(None) };
            static GENERATOR: RefCell<Option<Generator<i32>>> = const { RefCell::new(None) };
        }
        ignore_reports();
        std::thread::spawn(|| {
            let mut co = coroutine(|co: &Co<i32, ()>| co.yield_(1));
            co.prime().unwrap();
            CO.set(Some(co));
            let mut g = generator(|y| y.yield_(1));
            g.next();
            GENERATOR.set(Some(g));
        })
        .join()
        .unwrap();
    }
}

// `exit` drops the thread-locals of the thread that calls it, whatever is on its stacks.

#[track_caller]
fn exits(test: &str, scenario: fn()) {
    let output = child(test, &[], Stdio::piped(), scenario);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
    assert!(!out.contains(DONE), "it was to exit by itself");
}

#[test]
fn a_generator_in_a_thread_local_may_exit_the_process() {
    thread_local! {
        static SLOT: RefCell<Option<Generator<i32>>> = const { RefCell::new(None) };
    }
    exits("a_generator_in_a_thread_local_may_exit_the_process", || {
        ignore_reports();
        SLOT.with_borrow_mut(|slot| {
            let g = slot.insert(generator(|y| {
                y.yield_(1);
                std::process::exit(0);
            }));
            g.for_each(drop);
        });
    });
}

#[test]
fn a_generator_in_a_thread_local_may_exit_the_process_before_its_first_item() {
    thread_local! {
        static SLOT: RefCell<Option<Generator<i32>>> = const { RefCell::new(None) };
    }
    exits(
        "a_generator_in_a_thread_local_may_exit_the_process_before_its_first_item",
        || {
            SLOT.with_borrow_mut(|slot| {
                let g = slot.insert(generator(|_: &Yielder<i32>| std::process::exit(0)));
                g.for_each(drop);
            });
        },
    );
}

#[test]
fn a_chain_of_coroutines_in_a_thread_local_may_exit_the_process() {
    thread_local! {
        static SLOT: RefCell<Option<Coroutine<i32, ()>>> = const { RefCell::new(None) };
        static SHARED: RefCell<Option<yieldfrom::SharedCoroutine<i32, ()>>> =
            const { RefCell::new(None) };
    }
    exits(
        "a_chain_of_coroutines_in_a_thread_local_may_exit_the_process",
        || {
            ignore_reports();
            let shared = coroutine(|co: &Co<i32, ()>| {
                co.yield_(1)?;
                std::process::exit(0)
            })
            .shared();
            SHARED.set(Some(shared.clone()));
            SLOT.with_borrow_mut(|slot| {
                let co = slot.insert(coroutine(move |co: &Co<i32, ()>| {
                    let mut sub = coroutine(move |co: &Co<i32, ()>| co.yield_from(&shared));
                    co.yield_from(&mut sub)
                }));
                co.prime().unwrap();
                let _ = co.send(());
            });
        },
    );
}

#[test]
fn a_stage_in_a_thread_local_may_exit_the_process() {
    use yieldfrom::pipe::{Receiver, Sink, sink};
    thread_local! {
        static SLOT: RefCell<Option<Sink<i32>>> = const { RefCell::new(None) };
    }
    exits("a_stage_in_a_thread_local_may_exit_the_process", || {
        ignore_reports();
        SLOT.with_borrow_mut(|slot| {
            let stage = slot.insert(sink(|items: &mut Receiver<i32>| {
                let _ = items.recv();
                std::process::exit(0);
            }));
            let _ = stage.send(&1);
        });
    });
}

#[test]
fn the_process_may_exit_while_others_are_suspended_in_thread_locals() {
    thread_local! {
        static SLOT: RefCell<Option<Generator<i32>>> = const { RefCell::new(None) };
        static DROPS: Cell<u32> = const { Cell::new(0) };
    }
    exits(
        "the_process_may_exit_while_others_are_suspended_in_thread_locals",
        || {
            ignore_reports();
            let mut g = generator(|y| y.yield_(1));
            g.next();
            SLOT.set(Some(g));
            let mut other = generator(|_: &Yielder<i32>| {
                DROPS.set(DROPS.get() + 1);
                std::process::exit(0)
            });
            other.next();
        },
    );
}

// Fibers --------------------------------------------------------------------------------------------------------------

/// Thread-locals are destroyed one after the other. If a destructor among them waited, others that are suspended in the
/// `with` of one that is gone would go on.
#[test]
fn a_destructor_does_not_wait_in_exit_that_is_called_in_a_fiber() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            let _ = await_(std::future::pending::<()>());
            println!("{DONE}");
        }
    }
    struct Borrowed(Cell<bool>);
    impl Drop for Borrowed {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    thread_local! {
        static WAITS: Waits = const { Waits };
        static BORROWED: Borrowed = const { Borrowed(Cell::new(false)) };
    }
    survives(
        "a_destructor_does_not_wait_in_exit_that_is_called_in_a_fiber",
        || {
            let poll = |f: &mut Fiber<()>| {
                let context = &mut Context::from_waker(Waker::noop());
                assert!(Pin::new(f).poll(context).is_pending());
            };
            WAITS.with(|_| {}); // destroyed last
            let mut borrows = fiber(|| {
                BORROWED.with(|borrowed| {
                    let _ = await_(futures_lite::future::yield_now());
                    assert!(!borrowed.0.get(), "a use after free");
                });
            });
            poll(&mut borrows);
            let mut exits = fiber(|| std::process::exit(0));
            poll(&mut exits);
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut borrows).poll(&mut context);
            unreachable!("the process has ended");
        },
    );
}
