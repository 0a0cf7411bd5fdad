//! How large a stack common calls need inside a coroutine.
//!
//! ```text
//! cargo run --release --example stack_needs
//! ```
//!
//! A stack that is too small ends the whole program by a signal, since a guard lies below it. So this program runs itself
//! as a child, which makes the call in a coroutine with a stack of a given size, and finds the smallest that it survives.
//! Each child makes its call for the first time, which is the worst case: what is initialised lazily is so on that stack.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::catch_unwind;
use std::process::{Command, ExitCode, ExitStatus};
use std::thread;

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use lexopt::Arg;
use regex::Regex;
use yieldfrom::{Builder, Coroutine, Generator, MIN_STACK_SIZE, Step, report_overflow};

/// Sizes are multiples of this, in bytes.
const STEP: usize = 4 * 1024;

/// The largest that is tried.
const MAX_STACK_SIZE: usize = 512 * 1024;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A call that is made on a stack as the builder says.
struct Call {
    name: &'static str,
    what: &'static str,
    run: fn(Builder) -> Result,
}

/// The one that is run with `RUST_BACKTRACE=1`.
const BACKTRACE: &str = "backtrace";

#[rustfmt::skip]
const CALLS: &[Call] = &[
    Call { name: "yield", what: "nothing but a `yield_`", run: |b| inside(b, || Ok(())) },
    Call { name: "println", what: "`println!`", run: |b| inside(b, print) },
    Call { name: "format", what: "`format!` of floats", run: |b| inside(b, format_floats) },
    Call { name: "sort", what: "sort of 10,000 numbers, stable", run: |b| inside(b, sort) },
    Call { name: "sort_unstable", what: "the same, unstable", run: |b| inside(b, sort_unstable) },
    Call { name: "hash_map", what: "insertions into a `HashMap`", run: |b| inside(b, hash_map) },
    Call { name: "read_file", what: "`fs::read_to_string`", run: |b| inside(b, read_file) },
    Call { name: "read_dir", what: "`fs::read_dir` to its end", run: |b| inside(b, read_dir) },
    Call { name: "regex", what: "a regular expression, made outside: its first match", run: regex_match },
    Call { name: "regex_new", what: "the same, made inside", run: |b| inside(b, regex_new) },
    Call { name: "json", what: "`serde_json`, a document 100 levels deep", run: |b| inside(b, json) },
    Call { name: "gzip", what: "`flate2`, to compress and decompress", run: |b| inside(b, gzip) },
    Call { name: "connect", what: "`TcpStream::connect` to an address", run: connect },
    Call { name: "resolve", what: "looking up `localhost`, in the hosts file", run: |b| inside(b, resolve) },
    Call { name: "spawn", what: "`thread::spawn`, and its `join`", run: |b| inside(b, spawn) },
    Call { name: "command", what: "`Command::status`", run: |b| inside(b, command) },
    Call { name: "unwind", what: "dropping a suspended generator, which unwinds it", run: unwind },
    Call { name: "panic", what: "a panic that is caught, with its message", run: |b| inside(b, panic_caught) },
    Call { name: BACKTRACE, what: "the same with RUST_BACKTRACE=1", run: |b| inside(b, panic_caught) },
];

// ---- the calls ----

/// Makes the call in a coroutine, which is suspended once and closed.
fn inside(builder: Builder, call: impl FnOnce() -> Result + 'static) -> Result {
    let mut coroutine: Coroutine<Result, ()> = builder.coroutine(|co| co.yield_(call()));
    match coroutine.prime()? {
        Step::Yielded(result) => result,
        Step::Complete(()) => Err("the coroutine did not yield".into()),
    }
}

/// What examples otherwise do without, since it panics when the reader has left; here that is this program.
fn print() -> Result {
    println!("{}", black_box(1));
    Ok(())
}

fn format_floats() -> Result {
    let (pi, small) = black_box((std::f64::consts::PI, 5e-324));
    // The last one has more digits than the fast algorithm can tell.
    black_box(format!("{pi} {pi:.3} {small:e} {small:.600}"));
    Ok(())
}

/// 10,000 numbers in no order.
fn numbers() -> Vec<u64> {
    let next = |n: &u64| Some(n.wrapping_mul(6364136223846793005).wrapping_add(1));
    std::iter::successors(Some(1), next).take(10_000).collect()
}

fn sort() -> Result {
    let mut numbers = black_box(numbers());
    numbers.sort();
    black_box(numbers);
    Ok(())
}

fn sort_unstable() -> Result {
    let mut numbers = black_box(numbers());
    numbers.sort_unstable();
    black_box(numbers);
    Ok(())
}

fn hash_map() -> Result {
    let map: HashMap<u64, String> = (0..100).map(|n| (n, n.to_string())).collect();
    black_box(map);
    Ok(())
}

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

fn read_file() -> Result {
    black_box(fs::read_to_string(format!("{FOLDER}/Cargo.toml"))?);
    Ok(())
}

fn read_dir() -> Result {
    for entry in fs::read_dir(FOLDER)? {
        black_box(entry?.file_name());
    }
    Ok(())
}

const PATTERN: &str = r"(?i)\b(\w+)@(\w+\.)+(com|org)\b";
const TEXT: &str = "so write to the keeper of snakes, python@snakes.example.org, and be patient";

fn regex_match(builder: Builder) -> Result {
    let regex = Regex::new(PATTERN)?;
    inside(builder, move || matches(&regex))
}

fn regex_new() -> Result {
    matches(&Regex::new(PATTERN)?)
}

fn matches(regex: &Regex) -> Result {
    let captures = regex.captures(TEXT).ok_or("the pattern does not match")?;
    black_box(&captures[1]);
    Ok(())
}

fn json() -> Result {
    let levels = 50; // of an object in a list
    let text = r#"[{"a":"#.repeat(levels) + "1.5" + &"}]".repeat(levels);
    black_box(serde_json::from_str::<serde_json::Value>(&text)?);
    Ok(())
}

fn gzip() -> Result {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(TEXT.as_bytes())?;
    let compressed = encoder.finish()?;
    black_box(io::read_to_string(GzDecoder::new(&compressed[..]))?);
    Ok(())
}

fn connect(builder: Builder) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    inside(builder, move || {
        black_box(TcpStream::connect(address)?);
        Ok(())
    })
}

fn resolve() -> Result {
    let addresses: Vec<SocketAddr> = ("localhost", 80).to_socket_addrs()?.collect();
    black_box(addresses);
    Ok(())
}

fn spawn() -> Result {
    let thread = thread::spawn(|| black_box(1));
    black_box(thread.join().map_err(|_| "the thread has panicked")?);
    Ok(())
}

fn command() -> Result {
    black_box(Command::new("true").status()?);
    Ok(())
}

fn unwind(builder: Builder) -> Result {
    let mut generator: Generator<usize> = builder.generator(|y| {
        let local = black_box(String::from("dropped by the unwind"));
        y.yield_(local.len());
    });
    generator.next().ok_or("the generator did not yield")?;
    drop(generator);
    Ok(())
}

fn panic_caught() -> Result {
    match catch_unwind(|| panic!("caught: {}", black_box(1))) {
        Ok(()) => Err("there was no panic".into()),
        Err(_) => Ok(()),
    }
}

// ---- the search ----

const CHILD: &str = "--make-the-call-with-a-stack-of";

/// The smallest size that `call` survives, or `None` if that is more than the largest.
fn smallest(call: &Call) -> io::Result<Option<usize>> {
    // In steps. `least` might do, `enough` does.
    let (mut least, mut enough) = (MIN_STACK_SIZE / STEP, MAX_STACK_SIZE / STEP);
    if !survives(call, enough * STEP)? {
        return Ok(None);
    }
    while least < enough {
        let middle = (least + enough) / 2;
        match survives(call, middle * STEP)? {
            true => enough = middle,
            false => least = middle + 1,
        }
    }
    Ok(Some(enough * STEP))
}

fn survives(call: &Call, stack_size: usize) -> io::Result<bool> {
    let output = Command::new(std::env::current_exe()?)
        .arg(CHILD)
        .args([call.name, &stack_size.to_string()])
        .env(
            "RUST_BACKTRACE",
            if call.name == BACKTRACE { "1" } else { "0" },
        )
        .env_remove("RUST_LIB_BACKTRACE")
        .output()?;
    match output.status {
        status if status.success() => Ok(true),
        status if is_overflow(status) => Ok(false),
        status => {
            let said = String::from_utf8_lossy(&output.stderr);
            let reason = said.lines().last().unwrap_or("no message");
            let reason = reason.strip_prefix("stack_needs: ").unwrap_or(reason);
            Err(io::Error::other(format!("{status}: {reason}")))
        }
    }
}

/// Whether a program has run into the guard below a stack. Any other end is a failure of the call.
#[cfg(unix)]
fn is_overflow(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    const SIGBUS: [i32; 2] = [7, 10]; // on Linux, on the BSDs and macOS
    const SIGSEGV: i32 = 11;
    status
        .signal()
        .is_some_and(|signal| signal == SIGSEGV || SIGBUS.contains(&signal))
}

#[cfg(windows)]
fn is_overflow(status: ExitStatus) -> bool {
    const STATUS_STACK_OVERFLOW: u32 = 0xC000_00FD;
    status.code() == Some(STATUS_STACK_OVERFLOW as i32)
}

fn run_child(name: &str, stack_size: usize) -> Result {
    let call = find(name)?;
    // An overflow is to end this process as a fault, which nothing else does.
    report_overflow(false);
    (call.run)(Builder::new().stack_size(stack_size))
}

/// Prints a line for each call as soon as it is known.
fn run(calls: &[&Call]) -> io::Result<ExitCode> {
    let build = match cfg!(debug_assertions) {
        true => "a debug build",
        false => "a release build",
    };
    let (os, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    let width = width();
    writeln!(io::stdout(), "{build}, {os} on {processor}\n")?;
    writeln!(io::stdout(), "{:width$}  {:>6}  what", "call", "KiB")?;
    let mut code = ExitCode::SUCCESS;
    for call in calls {
        let need = match smallest(call) {
            Ok(Some(MIN_STACK_SIZE)) => format!("≤ {}", MIN_STACK_SIZE / 1024),
            Ok(Some(size)) => (size / 1024).to_string(),
            Ok(None) => format!("> {}", MAX_STACK_SIZE / 1024),
            Err(error) => {
                eprintln!("stack_needs: {}: {error}", call.name);
                code = ExitCode::FAILURE;
                "-".to_owned()
            }
        };
        let (name, what) = (call.name, call.what);
        writeln!(io::stdout(), "{name:width$}  {need:>6}  {what}")?;
    }
    Ok(code)
}

// ---- the command line ----

enum Task {
    Search(Vec<&'static Call>),
    Child { name: String, stack_size: usize },
    Help,
}

fn parse() -> std::result::Result<Task, String> {
    let mut calls = Vec::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Task::Help),
            Arg::Long(name) if name == &CHILD[2..] => {
                return child(&mut parser).map_err(|error| error.to_string());
            }
            Arg::Value(name) => calls.push(find(&name.to_string_lossy())?),
            Arg::Long(name) => return Err(unknown(&format!("--{name}"))),
            Arg::Short(letter) => return Err(unknown(&format!("-{letter}"))),
        }
    }
    if calls.is_empty() {
        calls.extend(CALLS);
    }
    Ok(Task::Search(calls))
}

fn child(parser: &mut lexopt::Parser) -> std::result::Result<Task, lexopt::Error> {
    use lexopt::ValueExt;

    let name = parser.value()?.string()?;
    let stack_size = parser.value()?.parse()?;
    Ok(Task::Child { name, stack_size })
}

fn find(name: &str) -> std::result::Result<&'static Call, String> {
    let call = CALLS.iter().find(|call| call.name == name);
    call.ok_or_else(|| format!("no call is named {name:?}; try --help"))
}

fn unknown(arg: &str) -> String {
    format!("unknown argument {arg:?}; try --help")
}

fn help() -> String {
    let width = width();
    let calls: String = CALLS
        .iter()
        .map(|call| format!("  {:width$}  {}\n", call.name, call.what))
        .collect();
    format!(
        "\
stack_needs: finds the smallest stack with which a coroutine survives each of some calls

Run it with: cargo run --example stack_needs
         or: cargo run --release --example stack_needs -- [CALL]..

It starts a child for each size that it tries, and most sizes that are too small end that by a signal. Sizes are in
steps of {} KiB, the unit in which stacks are made; a stack may be a page larger than was asked for.

Without a name it makes all calls:

{calls}",
        STEP / 1024,
    )
}

fn width() -> usize {
    CALLS.iter().map(|call| call.name.len()).max().unwrap_or(0)
}

fn main() -> ExitCode {
    let result = match parse() {
        Ok(Task::Search(calls)) => run(&calls),
        Ok(Task::Help) => write!(io::stdout(), "{}", help()).map(|()| ExitCode::SUCCESS),
        Ok(Task::Child { name, stack_size }) => run_child(&name, stack_size)
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| io::Error::other(error.to_string())),
        Err(message) => {
            eprintln!("stack_needs: {message}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => code,
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stack_needs: {error}");
            ExitCode::FAILURE
        }
    }
}
