//! How long a processor waits: the table that makes one want to do something else meanwhile, beside what this machine needs.
//!
//! | device | cycles | if a cycle were a second |
//! |---|---|---|
//! | L1 cache | 3 | 3 seconds |
//! | L2 cache | 14 | 14 seconds |
//! | RAM | 250 | 250 seconds |
//! | disk | 41,000,000 | 1.3 years |
//! | network | 240,000,000 | 7.6 years |
//!
//! Look at the last two rows: whoever waits for them can do millions of other things. A switch to another task is one of these.
//!
//! Caches are measured by following pointers that lead all over a block of memory; the disk by writing a page and having the
//! system say that it is there; the network by asking a server on this machine (a far one takes a thousand times as long), and a
//! switch by two tasks that give way to each other. A cycle is taken to be a third of a multiplication.

#[path = "adapters/program.rs"]
mod program;

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::task::{gather, run, sleep, spawn};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
latency: how long a processor waits for memory, disk and network

    cargo run --release --example latency
    cargo run --release --example latency -- [OPTIONS]

    --table     only the table, nothing is measured
    --quick     measures less
";

#[derive(Default)]
struct Arguments {
    is_table: bool,
    is_quick: bool,
}

fn take(arguments: &mut Arguments, argument: &str) -> Result<bool, String> {
    match argument {
        "--table" => arguments.is_table = true,
        "--quick" => arguments.is_quick = true,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The table of the notes.
const TABLE: [(&str, u64); 5] = [
    ("L1 cache", 3),
    ("L2 cache", 14),
    ("RAM", 250),
    ("disk", 41_000_000),
    ("network", 240_000_000),
];

/// So many seconds, as people say it.
fn human(seconds: u64) -> String {
    const YEAR: f64 = 365.25 * 24.0 * 3600.0;
    match seconds {
        0..=999 => format!("{seconds} s"),
        _ => format!("{:.1} years", seconds as f64 / YEAR),
    }
}

/// A number with commas between thousands.
fn number(mut number: u64) -> String {
    let mut groups = Vec::new();
    while number >= 1000 {
        groups.push(format!("{:03}", number % 1000));
        number /= 1000;
    }
    groups.push(number.to_string());
    groups.reverse();
    groups.join(",")
}

/// How long a step takes, at best, in seconds.
fn best(rounds: u32, steps: u32, mut all: impl FnMut(u32) -> io::Result<()>) -> io::Result<f64> {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let begin = Instant::now();
        all(steps)?;
        best = best.min(begin.elapsed());
    }
    Ok(best.as_secs_f64() / f64::from(steps))
}

/// A cycle: a third of a multiplication that waits for the one before, on most processors.
fn cycle(rounds: u32) -> io::Result<f64> {
    const CYCLES: f64 = 3.0;
    let (factor, mut product) = (0x9e37_79b9_7f4a_7c15_u64, black_box(1_u64));
    let multiplication = best(rounds, 1_000_000, |steps| {
        for _ in 0..steps {
            product = product.wrapping_mul(black_box(factor)); // or else the compiler does it all at once
        }
        black_box(product);
        Ok(())
    })?;
    Ok(multiplication / CYCLES)
}

/// One access to a block of memory, at an address that the access before has read.
fn memory(bytes: usize, rounds: u32) -> io::Result<f64> {
    const LINE: usize = 64 / size_of::<usize>();
    let lines = bytes / 64;
    // One circle through all lines, in an order that no processor guesses (Sattolo's shuffle).
    let mut order: Vec<usize> = (0..lines).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..lines).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(last, (state >> 16) as usize % last);
    }
    let mut block = vec![0_usize; lines * LINE];
    for (from, to) in order.iter().enumerate() {
        block[from * LINE] = to * LINE;
    }
    let steps = (4 * lines).clamp(100_000, 4_000_000) as u32;
    let mut at = 0;
    best(rounds, steps, |steps| {
        for _ in 0..steps {
            at = block[at];
        }
        black_box(at);
        Ok(())
    })
}

fn disk(rounds: u32) -> io::Result<f64> {
    let path = std::env::temp_dir().join(format!("yieldfrom-latency-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let measured = best(rounds, 1, |_| {
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    drop(file);
    std::fs::remove_file(&path)?;
    measured
}

fn network(rounds: u32) -> Result<f64, Exception> {
    run(move || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let server = spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let mut byte = [0];
            while stream.read(&mut byte)? > 0 {
                stream.write_all(&byte)?;
            }
            Ok(())
        });
        let mut stream = TcpStream::connect(address)?;
        let measured = best(rounds, 100, |steps| {
            for _ in 0..steps {
                stream.write_all(b"?")?;
                stream.read_exact(&mut [0])?;
            }
            Ok(())
        })?;
        drop(stream);
        await_(server)??;
        Ok(measured)
    })
}

/// Two tasks that give way to each other.
fn switch(rounds: u32) -> io::Result<f64> {
    best(rounds, 20_000, |steps| {
        let measured = run(move || {
            let tasks = [(); 2].map(|()| {
                spawn(move || {
                    for _ in 0..steps / 2 {
                        await_(sleep(Duration::ZERO))?;
                    }
                    Ok(())
                })
            });
            await_(gather(tasks))?.map(drop)
        });
        measured.map_err(io::Error::from)
    })
}

fn measure(is_quick: bool) -> Result<(), Exception> {
    let rounds = if is_quick { 1 } else { 10 };
    let far = if is_quick { 4 << 20 } else { 256 << 20 };
    let cycle = cycle(rounds)?;
    let rows = [
        ("L1 cache", memory(16 << 10, rounds)?),
        ("L2 cache", memory(256 << 10, rounds)?),
        ("RAM", memory(far, rounds.min(3))?),
        ("switch of tasks", switch(rounds)?),
        ("network, here", network(rounds)?),
        ("disk", disk(rounds)?),
    ];
    let mut out = io::stdout();
    writeln!(
        out,
        "\nthis machine, where a cycle takes {:.2} ns",
        cycle * 1e9
    )?;
    for (device, time) in rows {
        let cycles = (time / cycle).round() as u64;
        let human = match cycles {
            0..1000 => format!("{cycles} s"),
            1000..300_000 => format!("{:.1} hours", cycles as f64 / 3600.0),
            300_000..9_000_000 => format!("{:.1} days", cycles as f64 / 86_400.0),
            _ => human(cycles),
        };
        let cycles = number(cycles);
        let time = match time * 1e9 {
            nanos @ ..1e3 => format!("{nanos:.1} ns"),
            nanos => format!("{:.1} µs", nanos / 1e3),
        };
        writeln!(
            out,
            "{device:<16}{cycles:>12} cycles {human:>14}   {time:>10}"
        )?;
    }
    Ok(())
}

fn main() -> ExitCode {
    program::run_with(HELP, take, |clock, arguments| {
        let mut out = io::stdout();
        writeln!(out, "in general; if a cycle were a second")?;
        for (device, cycles) in TABLE {
            let (cycles, human) = (number(cycles), human(cycles));
            writeln!(out, "{device:<16}{cycles:>12} cycles {human:>14}")?;
        }
        match arguments.is_table {
            true => Ok(()),
            false => measure(arguments.is_quick || !clock.is_real()),
        }
    })
}
