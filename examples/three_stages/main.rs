//! From callbacks to `await`, in five steps.
//!
//! The program asks three services, one after the other, and each question depends on the answer before: which country has
//! this code, what is its capital, how warm is it there? It does so for five codes at once, on one thread, while each service
//! takes its time; and it has to deal with errors, of which there is one of each kind.
//!
//! The same is written five times over, in the order in which programmers have found out how:
//!
//! | | file | what is new |
//! |---|---|---|
//! | 1 | `callbacks.rs` | what to do next is passed along |
//! | 2 | `promises.rs` | an answer that is not there yet is a value |
//! | 3 | `generators.rs` | a function that stops in the middle and is resumed: `yield from`, with a trampoline |
//! | 4 | `fibers.rs` | the trampoline goes without saying: `await_` |
//! | 5 | `native.rs` | the same in the language: `async`, `await` |
//!
//! Read them in this order; each opens with what it improves on. All five leave the same trace, which this program checks. It is
//! the teaching line of *Fluent Python*'s chapters on coroutines and asyncio, whose two ends are
//!
//! ```python
//! def stage1(response1):                      @asyncio.coroutine
//!     request2 = step1(response1)             def three_stages(request1):
//!     api_call2(request2, stage2)                 response1 = yield from api_call1(request1)
//!                                                 request2 = step1(response1)
//! def stage2(response2):                          response2 = yield from api_call2(request2)
//!     request3 = step2(response2)                 request3 = step2(response2)
//!     api_call3(request3, stage3)                 response3 = yield from api_call3(request3)
//!                                                 step3(response3)
//! def stage3(response3):
//!     step3(response3)                        loop.create_task(three_stages(request1))
//!
//! api_call1(request1, stage1)
//! ```
//!
//! ```text
//! cargo run --example three_stages
//! cargo run --example three_stages -- fibers
//! ```

mod callbacks;
mod fibers;
mod generators;
mod native;
mod promises;
mod world;

use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;

use world::World;

type Run = fn(&Rc<World>, &[&'static str]);

const WAYS: [(&str, Run); 5] = [
    ("callbacks", callbacks::run),
    ("promises", promises::run),
    ("generators", generators::run),
    ("fibers", fibers::run),
    ("native", native::run),
];

const CODES: [&str; 5] = ["BR", "BT", "KI", "AQ", "ZZ"];

const HELP: &str = "\
three_stages: from callbacks to await, one program in five ways

    cargo run --example three_stages
    cargo run --example three_stages -- WAY

Asks three services about five countries, and prints what happened when, on a
virtual clock. WAY is callbacks, promises, generators, fibers or native; without
it, all five run and are compared.
";

fn trace(run: Run) -> Vec<String> {
    let world = Rc::new(World::default());
    run(&world, &CODES);
    world.take_log()
}

fn print(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn show_all() -> io::Result<()> {
    let traces = WAYS.map(|(_, run)| trace(run));
    print(&traces[0])?;
    for ((name, _), other) in WAYS.iter().zip(&traces) {
        assert_eq!(*other, traces[0], "{name} has left another trace");
    }
    let total = format!("{} lines, {} ways, one trace", traces[0].len(), WAYS.len());
    print(&[String::new(), total])
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let outcome = match argument.as_deref() {
        None => show_all(),
        Some("-h" | "--help") => io::stdout().write_all(HELP.as_bytes()),
        Some(argument) => match WAYS.iter().find(|(name, _)| *name == argument) {
            Some((_, run)) => print(&trace(*run)),
            None => {
                eprintln!("three_stages: unknown argument {argument:?}; try --help");
                return ExitCode::from(2);
            }
        },
    };
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("three_stages: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
