//! Random programs over generators, coroutines, shared coroutines, scoped generators and sinks, to attack the crate from
//! safe code. A program makes objects, drives them from anywhere, and loses none of its values; see below for what is
//! checked.
//!
//! ```sh
//! export RUSTC_BOOTSTRAP=1 ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0
//! cargo fuzz run programs                             # for ever
//! cargo fuzz run programs -- -runs=0                  # the corpus once
//! cargo fuzz run programs -- -fork=1                  # for days: each process may leak so much, see `MAX_LEAKED`
//! cargo fuzz fmt programs fuzz/artifacts/programs/..  # the program that an input is
//! cargo fuzz tmin programs fuzz/artifacts/programs/..
//! cargo fuzz cmin programs
//! ```
//!
//! Without `detect_stack_use_after_return=0`, AddressSanitizer moves locals to the heap, and how much stack is left cannot
//! be told from their addresses. Leaks are part of what is tested, and are counted here. `--no-trace-compares` makes it a
//! quarter faster.
//!
//! # The bytes
//!
//! | bytes | say |
//! |---|---|
//! | first, modulo 8 | the [`Mode`]: 0..=4 strict, 5 and 6 may leak, 7 may also leak while it panics |
//! | second | the types of the coroutines that do not ask for others |
//! | then | operations, each a code, modulo 48, and its arguments; missing ones are zero |
//!
//! Code 0 ends a script. The first script is the main program, the others are bodies, and every object names its own; where
//! there is only one script it is the body of everything too. Code by code, with their arguments, operations are read in
//! `Input::op` of programs/decode.rs. An argument that selects one of several things is taken modulo their number, so that
//! every input is a program.
//!
//! A target is one byte: bits 0..=4 an index, bit 5 whether into the bag that all bodies share or into what the body owns,
//! bit 6 whether a panic or error that comes out of the call goes on through the body. A block is the number of operations
//! after this one that belong to it: below more calls, in a `catch_unwind`, a loop, a callback, a `scoped`, while an item is
//! lent, or in front of a destructor.
//!
//! Steps and objects are limited, and what takes stack is left out where there is little left.
//!
//! # What is checked
//!
//! - AddressSanitizer has nothing to say, and the process does not die;
//! - every value, error, panic payload and capture is dropped exactly once; in strict mode none is left over and nothing is
//!   reported as leaked;
//! - what is received is what was sent, yielded, thrown, returned or lent last, by its serial number;
//! - arrays on the stacks are unchanged after every suspension;
//! - what each call returns and which state follows is as the tables in the documentation say; one that is closed stays so;
//! - `is_delegating` and `name`;
//! - dropping does not panic, and what comes out of a call is the panic of a body, never the crate's own unwind;
//! - a handle used by another body is refused;
//! - the unraisable hook gets no more reports of each kind than were provoked.
//!
//! What is not: the order of destructors, `NoStack`, threads, overflow, which body of several a value goes to (it
//! is only known to be the one that runs next), and that a report is made where one is due.

#![no_main]
#![forbid(unsafe_code)]

#[path = "programs/body.rs"]
mod body;
#[path = "programs/decode.rs"]
mod decode;
#[path = "programs/ledger.rs"]
mod ledger;
#[path = "programs/object.rs"]
mod object;
#[path = "programs/port.rs"]
mod port;
#[path = "programs/value.rs"]
mod value;

use std::panic;
use std::thread;

use libfuzzer_sys::{Corpus, fuzz_target};

use crate::decode::{Mode, Program};

/// How many bodies one process may leak, as it has only so much memory.
const MAX_LEAKED: usize = 10_000;

fuzz_target!(init: init(), |program: Program| -> Corpus {
    match program.mode {
        Mode::Leaks | Mode::Panics if ledger::leaked() > MAX_LEAKED => return Corpus::Reject,
        Mode::Panics => {
            let done = thread::spawn(move || body::run(program)).join();
            assert!(done.is_ok());
        }
        Mode::Strict | Mode::Leaks => body::run(program),
    }
    Corpus::Keep
});

/// Every panic with a message ends the process, but for those that the crate announces: assertions may so be anywhere,
/// also where a program catches panics.
fn init() {
    let abort = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if ledger::is_misuse(info.payload_as_str()) {
            ledger::ledger(|ledger| ledger.panics.provoke());
        } else {
            abort(info);
        }
    }));
    yieldfrom::set_unraisable_hook(ledger::on_report);
}
