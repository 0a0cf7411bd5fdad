//! An overflow of a coroutine's stack says whose it was and aborts, wherever it happens; other faults go where they would
//! have gone.
//!
//! With AddressSanitizer there are none of these tests: it reports all faults itself.

#![cfg(all(unix, not(feature = "sanitizer")))]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::process::Stdio;
use std::ptr;

use futures_lite::future::{block_on, yield_now};
use yieldfrom::{Builder, Exception, Yielder, await_, coroutine, generator, report_overflow};

mod child;

use child::{SIGABRT, child, died, lived};

const SIGSEGV: i32 = 11;

/// The kinds of guard, by the value of the variable that asks for them. The best of this system comes first.
const GUARDS: &[&str] = if cfg!(target_os = "linux") {
    &["madvise", "mprotect", "corosensei"]
} else {
    &["corosensei"]
};

#[inline(never)]
fn for_ever(depth: u64) -> u64 {
    let here = black_box([depth; 32]);
    if black_box(true) {
        for_ever(depth + 1) + black_box(here)[0]
    } else {
        0
    }
}

/// One of many, whose stacks lie beside each other. The others would notice.
fn overflow_among(bytes: usize, overflow: fn() -> u64) {
    let builder = Builder::new().stack_size(bytes);
    let mut neighbours: Vec<_> = (0..32)
        .map(|_| {
            builder.generator(|y: &Yielder<bool>| {
                let pattern = black_box([0x5a_u8; 512]);
                y.yield_(true);
                y.yield_(black_box(pattern).iter().all(|byte| *byte == 0x5a));
            })
        })
        .collect();
    for g in &mut neighbours {
        g.next();
    }
    drop(neighbours.remove(16));
    let mut g = builder
        .name("the deep one")
        .generator(move |y| y.yield_(overflow()));
    g.next();
    let intact = neighbours.iter_mut().all(|g| g.next() == Some(true));
    println!("not stopped; neighbours intact: {intact}");
}

fn overflow() {
    overflow_among(256 * 1024, || for_ever(0));
}

/// With each kind of guard.
#[track_caller]
fn reports(test: &str, expected: &str, scenario: fn()) {
    for guards in GUARDS {
        let variables = [("YIELDFROM_STACK_GUARDS", *guards)];
        let (signal, err) = died(&child(test, &variables, Stdio::piped(), scenario));
        assert_eq!(signal, SIGABRT, "{guards}: {err}");
        assert!(err.contains(expected), "{guards}: {err}");
        assert_eq!(err.matches("overflowed").count(), 1, "{guards}: {err}");
    }
}

const EXPECTED: &str = "\ncoroutine 'the deep one' has overflowed its stack (262144 bytes)\n";

macro_rules! reported {
    ($($(#[$meta:meta])* $test:ident $expected:expr, $scenario:block)*) => {$(
        #[test]
        $(#[$meta])*
        fn $test() {
            reports(stringify!($test), $expected, || $scenario);
        }
    )*};
}

reported! {
    on_a_thread_of_the_standard_library EXPECTED, {
        std::thread::spawn(overflow).join().unwrap();
    }

    // It has no alternate signal stack of its own.
    on_a_foreign_thread EXPECTED, {
        on_a_pthread(overflow);
    }

    // Its alternate signal stack is given back at its end.
    on_the_second_foreign_thread EXPECTED, {
        on_a_pthread(|| assert_eq!(generator(|y| y.yield_(1)).sum::<i32>(), 1));
        on_a_pthread(overflow);
    }

    // On a thread that has had its first coroutine long before.
    later_on_a_thread EXPECTED, {
        for n in 0..3 {
            assert_eq!(generator(move |y| y.yield_(n)).sum::<i32>(), n);
        }
        overflow();
    }

    of_the_inner_one EXPECTED, {
        let outer = Builder::new().name("outer").generator(|y| {
            overflow();
            y.yield_(1);
        });
        outer.for_each(drop);
    }

    of_the_outer_one "\ncoroutine 'outer' has overflowed its stack (65536 bytes)\n", {
        let outer = Builder::new().name("outer").stack_size(64 * 1024).generator(|y| {
            let mut inner = Builder::new().name("inner").generator(|y| y.yield_(1));
            inner.next();
            y.yield_(for_ever(0));
        });
        outer.for_each(drop);
    }

    of_one_that_is_delegated_to "\ncoroutine 'sub' has overflowed its stack", {
        let mut outer = Builder::new().name("outer").coroutine(|co: &yieldfrom::Co<u64, ()>| {
            let mut sub = Builder::new().name("sub").coroutine(|co: &yieldfrom::Co<u64, ()>| {
                co.yield_(1)?;
                co.yield_(for_ever(0))
            });
            co.yield_from(&mut sub)
        });
        outer.prime().unwrap();
        let _ = outer.send(());
    }

    of_one_without_a_name "\ncoroutine '<unnamed>' has overflowed its stack (262144 bytes)\n", {
        generator(|y| y.yield_(for_ever(0))).for_each(drop);
    }

    of_one_with_a_name_made_at_run_time "\ncoroutine 'number 7' has overflowed", {
        let named = |n: u32| Builder::new().name(format!("number {n}"));
        let mut others: Vec<_> =
            (0..7).map(|n| named(n).generator(|y: &Yielder<u64>| y.yield_(1))).collect();
        others.iter_mut().for_each(|g| assert_eq!(g.next(), Some(1)));
        named(7).generator(|y| y.yield_(for_ever(0))).for_each(drop);
    }

    of_the_smallest_stack "\ncoroutine 'the deep one' has overflowed its stack (16384 bytes)\n", {
        overflow_among(0, || for_ever(0));
    }

    // Rust touches such a frame page by page.
    with_a_frame_of_4_mib EXPECTED, {
        #[inline(never)]
        fn large() -> u64 {
            black_box([1u8; 4 << 20]).iter().map(|byte| u64::from(*byte)).sum()
        }
        overflow_among(256 * 1024, large);
    }

    // C does not. This one reaches over a guard of one page.
    #[cfg(target_arch = "x86_64")]
    with_a_frame_of_60_kib_that_is_not_probed "'the deep one' has overflowed its stack (16384 bytes)", {
        #[inline(never)]
        fn like_c() -> u64 {
            // SAFETY: the stack pointer is back where it was, and if that memory is not there, it is a fault.
            unsafe {
                std::arch::asm!(
                    "sub rsp, 61440",
                    "mov qword ptr [rsp], 0",
                    "add rsp, 61440",
                );
            }
            0
        }
        overflow_among(16 * 1024, like_c);
    }

    in_a_destructor_while_it_is_unwound EXPECTED, {
        struct Deep;
        impl Drop for Deep {
            fn drop(&mut self) {
                for_ever(0);
            }
        }
        let mut g = Builder::new().name("the deep one").generator(|y| {
            let _deep = Deep;
            y.yield_(1);
        });
        g.next();
    }

    in_a_body_that_is_told_to_finish EXPECTED, {
        let mut co = Builder::new().name("the deep one").coroutine(
            |co: &yieldfrom::Co<u64, ()>| -> Result<(), Exception> {
                co.yield_(1).inspect_err(|_| assert_eq!(for_ever(0), 0))
            },
        );
        co.prime().unwrap();
    }
}

/// Tests run on threads of their own, so this takes an example.
#[test]
fn on_the_main_thread() {
    let program = std::env::current_exe().unwrap();
    let program = program
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/overflow");
    for guards in GUARDS {
        let output = std::process::Command::new(&program)
            .arg("65536")
            .env("YIELDFROM_STACK_GUARDS", guards)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let (signal, err) = died(&output);
        assert_eq!(signal, SIGABRT, "{guards}: {err}");
        let expected = "\ncoroutine 'diver' has overflowed its stack (65536 bytes)\n";
        assert_eq!(err, expected, "{guards}");
        assert!(child::text(&output.stdout).ends_with(" calls deep\n"));
    }
}

/// A thread that the standard library knows nothing of.
fn on_a_pthread(scenario: fn()) {
    extern "C" fn start(scenario: *mut c_void) -> *mut c_void {
        // SAFETY: see below.
        let scenario = unsafe { std::mem::transmute::<*mut c_void, fn()>(scenario) };
        scenario();
        ptr::null_mut()
    }
    // SAFETY: the argument is the function that `start` takes it for, and the thread is joined.
    unsafe {
        let mut thread = std::mem::zeroed();
        let argument = scenario as *mut c_void;
        assert_eq!(
            libc::pthread_create(&raw mut thread, ptr::null(), start, argument),
            0
        );
        assert_eq!(libc::pthread_join(thread, ptr::null_mut()), 0);
    }
}

// What is not ours ----------------------------------------------------------------------------------------------------

fn a_coroutine() {
    assert_eq!(generator(|y| y.yield_(1)).sum::<i32>(), 1);
}

fn null() -> *mut u8 {
    black_box(ptr::null_mut())
}

fn write_to(address: *mut u8) {
    // SAFETY: none: it is a fault.
    unsafe { ptr::write_volatile(address, 1) };
}

/// Dies by this signal, and nobody speaks of an overflow.
#[track_caller]
fn is_killed(test: &str, signal: i32, scenario: fn()) {
    let (by, err) = died(&child(test, &[], Stdio::piped(), scenario));
    assert_eq!(by, signal, "{err}");
    assert!(!err.contains("overflowed"), "{err}");
}

#[track_caller]
fn lives(test: &str, scenario: fn()) {
    lived(&child(test, &[], Stdio::piped(), scenario));
}

#[test]
fn a_null_pointer_is_a_segmentation_fault() {
    is_killed("a_null_pointer_is_a_segmentation_fault", SIGSEGV, || {
        a_coroutine();
        write_to(null());
    });
}

#[test]
fn a_null_pointer_in_a_body_is_a_segmentation_fault() {
    is_killed(
        "a_null_pointer_in_a_body_is_a_segmentation_fault",
        SIGSEGV,
        || {
            generator(|y| {
                write_to(null());
                y.yield_(1);
            })
            .for_each(drop);
        },
    );
}

/// An address in a guard that nobody runs towards is a bad pointer like any other.
#[test]
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn a_bad_pointer_into_a_guard_is_a_segmentation_fault() {
    is_killed(
        "a_bad_pointer_into_a_guard_is_a_segmentation_fault",
        SIGSEGV,
        || {
            let mut g = Builder::new().stack_size(64 * 1024).generator(|y| {
                let local = 0u8;
                y.yield_(&raw const local as usize);
            });
            let address = g.next().unwrap();
            write_to((address - 64 * 1024 - 32 * 1024) as *mut u8);
        },
    );
}

#[test]
fn the_overflow_of_a_thread_is_reported_by_the_standard_library() {
    let scenario = || {
        a_coroutine();
        let thread = std::thread::Builder::new().name("the thread".into());
        thread.spawn(|| for_ever(0)).unwrap().join().unwrap();
    };
    let test = "the_overflow_of_a_thread_is_reported_by_the_standard_library";
    let (signal, err) = died(&child(test, &[], Stdio::piped(), scenario));
    assert_eq!(signal, SIGABRT);
    assert!(
        err.contains("thread 'the thread'") && err.contains("has overflowed its stack"),
        "{err}"
    );
    assert!(!err.contains("coroutine"), "{err}");
}

#[test]
fn without_the_report_an_overflow_is_a_segmentation_fault() {
    is_killed(
        "without_the_report_an_overflow_is_a_segmentation_fault",
        SIGSEGV,
        || {
            let before = handler();
            report_overflow(false);
            a_coroutine();
            assert_eq!(handler(), before);
            overflow();
        },
    );
}

#[test]
fn the_report_can_be_switched_off_late() {
    is_killed("the_report_can_be_switched_off_late", SIGSEGV, || {
        a_coroutine();
        report_overflow(false);
        overflow();
    });
}

#[test]
fn the_report_can_be_switched_on_late() {
    reports("the_report_can_be_switched_on_late", EXPECTED, || {
        report_overflow(false);
        a_coroutine();
        report_overflow(true);
        overflow();
    });
}

// Handlers of others --------------------------------------------------------------------------------------------------

fn handler() -> usize {
    action(None).sa_sigaction
}

/// Sets what is done about `SIGSEGV`; returns what was done before.
fn action(new: Option<libc::sigaction>) -> libc::sigaction {
    // SAFETY: zero is a valid structure, and the handlers below are valid.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        let new = new.as_ref().map_or(ptr::null(), ptr::from_ref);
        assert_eq!(libc::sigaction(libc::SIGSEGV, new, &raw mut old), 0);
        old
    }
}

fn new_action(handler: usize, flags: c_int) -> libc::sigaction {
    // SAFETY: zero is a valid structure.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    action
}

/// A page that faults until the handler has made it writable, as a garbage collector or an emulator does it.
struct Page(*mut u8);

thread_local! {
    static PAGE: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
    static FAULTS: Cell<u32> = const { Cell::new(0) };
}

impl Page {
    fn new() -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        // SAFETY: a new mapping.
        let page = unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        PAGE.set(page.cast());
        Self(page.cast())
    }
}

extern "C" fn mends() {
    FAULTS.set(FAULTS.get() + 1);
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the page is ours.
    unsafe { libc::mprotect(PAGE.get().cast(), 4096, writable) };
}

extern "C" fn mends_plain(_signal: c_int) {
    mends();
}

extern "C" fn mends_with_info(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    assert_eq!(signal, libc::SIGSEGV);
    assert!(!context.is_null());
    // SAFETY: the system passes it.
    assert_eq!(unsafe { (*info).si_addr() }.cast(), PAGE.get());
    mends();
}

fn mended(handler: usize, flags: c_int) {
    action(Some(new_action(handler, flags)));
    a_coroutine();
    for faults in 1..=3 {
        let page = Page::new();
        write_to(page.0);
        assert_eq!(FAULTS.get(), faults);
        let mut g = generator(|y| {
            let page = Page::new();
            write_to(page.0);
            y.yield_(FAULTS.get());
        });
        FAULTS.set(faults - 1);
        assert_eq!(g.next(), Some(faults));
    }
}

#[test]
fn a_handler_from_before_gets_its_faults() {
    lives("a_handler_from_before_gets_its_faults", || {
        mended(mends_plain as *const () as usize, libc::SA_ONSTACK);
    });
}

#[test]
fn a_handler_with_details_from_before_gets_them() {
    lives("a_handler_with_details_from_before_gets_them", || {
        mended(
            mends_with_info as *const () as usize,
            libc::SA_SIGINFO | libc::SA_ONSTACK,
        );
    });
}

#[test]
fn a_handler_from_before_is_no_obstacle_to_the_report() {
    reports(
        "a_handler_from_before_is_no_obstacle_to_the_report",
        EXPECTED,
        || {
            action(Some(new_action(mends_plain as *const () as usize, 0)));
            overflow();
        },
    );
}

#[test]
fn a_handler_for_one_fault_gets_one() {
    is_killed("a_handler_for_one_fault_gets_one", SIGSEGV, || {
        let flags = libc::SA_RESETHAND | libc::SA_ONSTACK;
        action(Some(new_action(mends_plain as *const () as usize, flags)));
        a_coroutine();
        write_to(Page::new().0);
        assert_eq!(FAULTS.get(), 1);
        write_to(Page::new().0);
    });
}

#[test]
fn a_handler_from_later_gets_all_faults() {
    lives("a_handler_from_later_gets_all_faults", || {
        extern "C" fn ends(_signal: c_int) {
            println!("{}", child::DONE);
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) };
        }
        a_coroutine();
        action(Some(new_action(
            ends as *const () as usize,
            libc::SA_ONSTACK,
        )));
        overflow();
    });
}

#[test]
fn a_handler_from_later_can_pass_the_overflow_on() {
    reports(
        "a_handler_from_later_can_pass_the_overflow_on",
        EXPECTED,
        || {
            thread_local! {
                static PREVIOUS: Cell<usize> = const { Cell::new(0) };
            }
            extern "C" fn passes_on(
                signal: c_int,
                info: *mut libc::siginfo_t,
                context: *mut c_void,
            ) {
                type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                // SAFETY: ours was installed with SA_SIGINFO.
                let previous = unsafe { std::mem::transmute::<usize, Handler>(PREVIOUS.get()) };
                previous(signal, info, context);
            }
            a_coroutine();
            let flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            let ours = action(Some(new_action(passes_on as *const () as usize, flags)));
            assert_ne!(ours.sa_flags & libc::SA_SIGINFO, 0);
            PREVIOUS.set(ours.sa_sigaction);
            overflow();
        },
    );
}

#[test]
fn a_signal_that_is_sent_kills() {
    is_killed("a_signal_that_is_sent_kills", SIGSEGV, || {
        action(Some(new_action(libc::SIG_DFL, 0)));
        a_coroutine();
        // SAFETY: sends a signal to this thread.
        unsafe { libc::raise(libc::SIGSEGV) };
    });
}

#[test]
fn a_signal_that_is_sent_is_ignored_where_it_was() {
    lives("a_signal_that_is_sent_is_ignored_where_it_was", || {
        action(Some(new_action(libc::SIG_IGN, 0)));
        a_coroutine();
        // SAFETY: sends a signal to this thread.
        unsafe { libc::raise(libc::SIGSEGV) };
    });
}

#[test]
fn a_fault_that_was_ignored_kills() {
    is_killed("a_fault_that_was_ignored_kills", SIGSEGV, || {
        action(Some(new_action(libc::SIG_IGN, 0)));
        a_coroutine();
        write_to(null());
    });
}

#[test]
fn a_coroutine_of_the_protocol_is_named_too() {
    reports(
        "a_coroutine_of_the_protocol_is_named_too",
        "coroutine '<unnamed>'",
        || {
            let mut co = coroutine(|co: &yieldfrom::Co<u64, u64>| -> Result<(), Exception> {
                let mut depth = co.yield_(0)?;
                loop {
                    depth = co.yield_(for_ever(depth))?;
                }
            });
            co.prime().unwrap();
            let _ = co.send(1);
        },
    );
}

/// Of the fiber itself, and of a generator in a fiber that has waited in it.
#[test]
fn the_overflow_of_a_fiber_is_its_own() {
    let test = "the_overflow_of_a_fiber_is_its_own";
    reports(test, EXPECTED, || {
        let f = Builder::new()
            .name("the deep one")
            .stack_size(256 * 1024)
            .fiber(|| {
                let mut g = Builder::new().name("above").generator(|y| y.yield_(1));
                g.next();
                await_(yield_now()).unwrap();
                for_ever(0)
            });
        block_on(f);
    });
}

#[test]
fn the_overflow_of_a_generator_in_a_fiber_is_the_generators() {
    let test = "the_overflow_of_a_generator_in_a_fiber_is_the_generators";
    reports(test, EXPECTED, || {
        let f = Builder::new().name("the fiber").fiber(|| {
            let builder = Builder::new().name("the deep one").stack_size(256 * 1024);
            let g = builder.generator(|y| {
                await_(yield_now()).unwrap();
                y.yield_(for_ever(0));
            });
            g.count()
        });
        block_on(f);
    });
}
