//! Close to a limit there is an error that names it, nobody is harmed, and what is dropped can be used again.
//!
//! Each scenario runs in a child process, whose limits are set here.

#![cfg(target_os = "linux")]

use std::process::Stdio;

use yieldfrom::{Builder, Generator, StackError, StackLimit, Yielder};

mod child;

use child::{child, lived};

const GUARDS: [&str; 3] = ["madvise", "mprotect", "corosensei"];

fn started(builder: &Builder) -> Result<Generator<usize>, StackError> {
    let mut g = builder.try_generator(|y: &Yielder<usize>| y.yield_from(1..))?;
    assert_eq!(g.next(), Some(1));
    Ok(g)
}

fn as_many_as_possible(
    held: &mut Vec<Generator<usize>>,
    builder: &Builder,
    at_most: usize,
) -> Option<StackError> {
    while held.len() < at_most {
        match started(builder) {
            Ok(g) => held.push(g),
            Err(error) => return Some(error),
        }
    }
    None
}

/// What a program needs to go on.
fn is_alive() {
    assert_eq!(
        vec![1u8; 8 << 20].iter().filter(|byte| **byte == 1).count(),
        8 << 20
    );
    let thread = std::thread::spawn(|| std::fs::read_to_string("/proc/self/status").unwrap().len());
    assert!(thread.join().unwrap() > 0);
}

fn up_to_the_limit(limit: StackLimit, knob: &str) {
    let builder = Builder::new();
    let mut held = Vec::new();
    let error = as_many_as_possible(&mut held, &builder, usize::MAX).unwrap();
    assert_eq!(
        (error.limit(), error.size()),
        (limit, 256 * 1024),
        "{error}"
    );
    assert!(error.to_string().contains(knob), "{error}");
    let most = held.len();
    println!("{most} with {limit:?}");
    assert!(most >= 500, "{most}");

    is_alive();
    assert!(held.iter_mut().all(|g| g.next() == Some(2)));

    // Refused again, and again.
    for _ in 0..3 {
        assert_eq!(
            started(&builder).err().map(|error| error.limit()),
            Some(limit)
        );
    }

    // What is dropped can be used again. (Not to the last one: others have taken a little in the meantime.)
    held.truncate(most / 2);
    let again = as_many_as_possible(&mut held, &builder, most - most / 20);
    assert!(again.is_none(), "{again:?} after {}", held.len());

    // For stacks of another size, too.
    held.clear();
    let large = Builder::new().stack_size(1 << 20);
    assert!(as_many_as_possible(&mut held, &large, most / 8).is_none());
    is_alive();
}

fn set_limit(resource: libc::__rlimit_resource_t, bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: the structure is ours.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

#[track_caller]
fn with_guards(test: &str, guards: &[&str], scenario: fn()) {
    for guards in guards {
        let variables = [("YIELDFROM_STACK_GUARDS", *guards)];
        lived(&child(test, &variables, Stdio::piped(), scenario));
    }
}

#[test]
#[cfg_attr(
    feature = "sanitizer",
    ignore = "AddressSanitizer needs terabytes of address space"
)]
fn the_limit_of_address_space_is_an_error() {
    with_guards("the_limit_of_address_space_is_an_error", &GUARDS, || {
        set_limit(libc::RLIMIT_AS, 512 << 20);
        up_to_the_limit(StackLimit::AddressSpace, "ulimit -v");
    });
}

#[test]
#[cfg_attr(
    feature = "sanitizer",
    ignore = "AddressSanitizer needs terabytes of address space"
)]
fn the_limit_of_writable_memory_is_an_error() {
    with_guards("the_limit_of_writable_memory_is_an_error", &GUARDS, || {
        set_limit(libc::RLIMIT_DATA, 512 << 20);
        up_to_the_limit(StackLimit::Data, "ulimit -d");
    });
}

/// Where a guard takes memory mappings.
#[test]
fn the_limit_of_mappings_is_an_error() {
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    if most.trim().parse::<u64>().unwrap() > 100_000 {
        return eprintln!("SKIPPED: vm.max_map_count is {most}, which would take a while");
    }
    with_guards("the_limit_of_mappings_is_an_error", &GUARDS[1..], || {
        up_to_the_limit(StackLimit::Mappings, "vm.max_map_count");
    });
}

/// A little more than what the process has when it starts.
#[test]
#[cfg_attr(
    feature = "sanitizer",
    ignore = "AddressSanitizer needs terabytes of address space"
)]
fn a_limit_that_is_reached_already_is_an_error() {
    with_guards(
        "a_limit_that_is_reached_already_is_an_error",
        &GUARDS,
        || {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            let pages: u64 = text.split(' ').next().unwrap().parse().unwrap();
            set_limit(libc::RLIMIT_AS, (pages << 12) + (100 << 10));
            let error = started(&Builder::new()).unwrap_err();
            assert_eq!(error.limit(), StackLimit::AddressSpace, "{error}");
            assert!(std::error::Error::source(&error).is_some());
            assert_eq!(
                std::io::Error::from(error).kind(),
                std::io::ErrorKind::OutOfMemory
            );
        },
    );
}

/// Linux 6.13 has guards that are no mappings.
#[test]
fn thousands_of_guarded_stacks_take_few_mappings() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split('.')
        .map_while(|number| number.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(6), Some(13)) {
        return eprintln!("SKIPPED: Linux {release} has no such guards");
    }
    with_guards(
        "thousands_of_guarded_stacks_take_few_mappings",
        &GUARDS[..1],
        || {
            let mappings = || {
                std::fs::read_to_string("/proc/self/maps")
                    .unwrap()
                    .lines()
                    .count()
            };
            let builder = Builder::new();
            let mut held = vec![started(&builder).unwrap()];
            let before = mappings();
            assert!(as_many_as_possible(&mut held, &builder, 20_000).is_none());
            let more = mappings() - before;
            assert!(more <= 40, "{more} mappings for 20,000 stacks");
            assert!(held.iter_mut().all(|g| g.next() == Some(2)));
        },
    );
}

#[test]
fn a_stack_larger_than_the_address_space_is_an_error() {
    for bytes in [usize::MAX, usize::MAX / 2, usize::MAX / 4 + 1] {
        let error = started(&Builder::new().stack_size(bytes)).unwrap_err();
        assert_eq!(error.limit(), StackLimit::Size, "{error}");
    }
    let error = started(&Builder::new().stack_size(usize::MAX / 8)).unwrap_err();
    assert_ne!(error.limit(), StackLimit::Size, "{error}");
}

/// A stack is address space, and takes memory where it is touched.
#[test]
#[cfg(target_pointer_width = "64")]
#[cfg_attr(feature = "sanitizer", ignore = "AddressSanitizer unpoisons all of it")]
fn a_stack_may_be_larger_than_what_is_touched_of_it() {
    let mut g = started(&Builder::new().stack_size(1 << 36)).unwrap();
    assert_eq!(g.next(), Some(2));
}

#[test]
fn the_environment_sets_the_default_size() {
    let test = "the_environment_sets_the_default_size";
    for (text, expected) in [("131072", 131_072), ("1000", 16_384), ("64k", 262_144)] {
        let variables = [
            ("YIELDFROM_STACK_SIZE", text),
            ("EXPECTED_SIZE", &expected.to_string()),
        ];
        let output = child(test, &variables, Stdio::piped(), || {
            let expected = std::env::var("EXPECTED_SIZE").unwrap();
            assert_eq!(yieldfrom::default_stack_size().to_string(), expected);
            yieldfrom::set_default_stack_size(1);
            assert_eq!(yieldfrom::default_stack_size(), yieldfrom::MIN_STACK_SIZE);
        });
        lived(&output);
        let ignored =
            child::text(&output.stderr).contains("YIELDFROM_STACK_SIZE=\"64k\" is ignored");
        assert_eq!(ignored, text == "64k");
    }
}
