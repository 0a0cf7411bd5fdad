//! Rows of CSV come in, lines of JSON go out, on many connections at once and on one thread, with the crates `csv` and
//! `serde_json`.
//!
//! The first row names the columns. Each further one is answered at once, by an object in a line. Neither what comes in nor
//! what goes out is collected: `csv::Reader` is an iterator around the socket, and where it wants more bytes, its fiber
//! waits. A row that cannot be read is answered by an object with an `error` and ends its connection; the others go on.
//!
//! Look at `convert.rs`: it knows nothing of fibers, and would do the same between two files.
//!
//! The clients of the demonstration are threads with sockets of the standard library, which block. Each sends a row, waits
//! for the answer, and only then sends the next.

#![forbid(unsafe_code)]

mod convert;
#[path = "../adapters/threads.rs"]
mod threads;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;

use async_executor::LocalExecutor;
use lexopt::prelude::*;
use yieldfrom::fiber;
use yieldfrom::io::{TcpListener, TcpStream};

use convert::convert;
use threads::Threads;

/// Accepts connections, and converts for each what comes in. After `most` of them it waits until they have ended.
fn serve(
    executor: &Rc<LocalExecutor<'static>>,
    listener: &TcpListener,
    most: usize,
    threads: &Threads,
) -> io::Result<()> {
    let mut conversions = Vec::new();
    for stream in listener.incoming().take(most) {
        let (stream, threads) = (stream?, threads.clone());
        let conversion = executor.spawn(fiber(move || {
            if let Err(error) = converse(&stream, &threads) {
                let peer = stream.peer_addr().map(|address| address.to_string());
                eprintln!("rows: {}: {error}", peer.as_deref().unwrap_or("a client"));
            }
        }));
        if most == usize::MAX {
            conversion.detach(); // nobody will wait for it
        } else {
            conversions.push(conversion);
        }
    }
    for conversion in conversions {
        yieldfrom::await_(conversion)?;
    }
    Ok(())
}

fn converse(stream: &TcpStream, threads: &Threads) -> io::Result<u64> {
    threads.pass();
    let count = convert(stream, stream);
    threads.pass(); // no other thread has gone on with it
    count
}

/// A client of the demonstration: blocks its thread, which is its own. Returns the answers.
fn ask(address: SocketAddr, number: usize) -> io::Result<Vec<String>> {
    let mut stream = std::net::TcpStream::connect(address)?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    stream.write_all(b"name,number,square\n")?;
    let mut answers = Vec::new();
    for row in number..number + 3 {
        writeln!(stream, "\"row, {row}\",{row},{}", row * row)?;
        answers.extend(lines.next().transpose()?);
    }
    stream.shutdown(Shutdown::Write)?;
    for line in lines {
        answers.push(line?);
    }
    Ok(answers)
}

fn demonstrate(clients: usize) -> io::Result<()> {
    let threads = Threads::default();
    let executor = Rc::new(LocalExecutor::new());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let askers: Vec<_> = (0..clients)
        .map(|number| thread::spawn(move || ask(address, number)))
        .collect();
    let server = fiber({
        let (executor, threads) = (executor.clone(), threads.clone());
        move || serve(&executor, &listener, clients, &threads)
    });
    async_io::block_on(executor.run(server))?;
    let mut out = io::stdout().lock();
    for (number, asker) in askers.into_iter().enumerate() {
        let answers = asker.join().expect("a client does not panic")?;
        writeln!(out, "client {number}: {}", answers.join(" "))?;
    }
    writeln!(out, "threads of the server: {}", threads.count())
}

fn listen(address: String) -> io::Result<()> {
    let executor = Rc::new(LocalExecutor::new());
    let named = |error| io::Error::other(format!("{address}: {error}"));
    let listener = TcpListener::bind(&address).map_err(named)?;
    writeln!(io::stdout(), "listening at {}", listener.local_addr()?)?;
    let server = fiber({
        let executor = executor.clone();
        move || serve(&executor, &listener, usize::MAX, &Threads::default())
    });
    async_io::block_on(executor.run(server))
}

const HELP: &str = "\
rows: a server that answers rows of CSV by lines of JSON, many clients at once on one thread

Run it with: cargo run --example rows
         or: cargo run --example rows -- [-n CLIENTS]
         or: cargo run --example rows -- --listen HOST:PORT

The first two have threads as clients, and end. The last is for clients of yours: nc HOST PORT.
";

enum Task {
    Help,
    Demonstrate(usize),
    Listen(String),
}

fn parse() -> Result<Task, lexopt::Error> {
    let mut task = Task::Demonstrate(3);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Task::Help),
            Short('n') => task = Task::Demonstrate(parser.value()?.parse()?),
            Long("listen") => task = Task::Listen(parser.value()?.string()?),
            Long(name) => return Err(format!("unknown argument \"--{name}\"").into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(task)
}

fn main() -> ExitCode {
    let result = match parse() {
        Ok(Task::Help) => write!(io::stdout(), "{HELP}"),
        Ok(Task::Demonstrate(clients)) => demonstrate(clients),
        Ok(Task::Listen(address)) => listen(address),
        Err(error) => {
            eprintln!("rows: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("rows: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
