//! TLS at both ends of many connections, on one thread: rustls, which is synchronous, in fibers.
//!
//! `rustls::StreamOwned` reads and writes like any other stream, and does the handshake on the way: its reads write and its
//! writes read. In a fiber it waits by suspending the fiber, because the stream below it does, so nothing has to be done for
//! it. For `async` code there is another crate that drives rustls by hand: tokio-rustls, futures-rustls, and so on.
//!
//! Look at `serve` and `ask`: they take any stream, and would run on a thread with a `std::net::TcpStream` as well.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread::{self, ThreadId};

use async_executor::LocalExecutor;
use lexopt::Arg;
use yieldfrom::fiber;
use yieldfrom::io::{TcpListener, TcpStream};

#[path = "adapters/barrier.rs"]
mod barrier;
#[path = "adapters/tls.rs"]
mod tls;

use barrier::Barrier;
use tls::{Ends, finish};

/// Sends each line back in capitals, until the client has no more. `before_answer` is called after the first line.
fn serve(
    ends: &Ends,
    stream: impl Read + Write,
    before_answer: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let mut stream = BufReader::new(ends.accept(stream)?);
    let mut before_answer = Some(before_answer);
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        if let Some(before_answer) = before_answer.take() {
            before_answer()?;
        }
        stream.get_mut().write_all(line.to_uppercase().as_bytes())?;
        line.clear();
    }
    finish(stream.get_mut())
}

/// Sends a line and returns what comes back, with the version of TLS.
fn ask(ends: &Ends, stream: impl Read + Write, line: &str) -> io::Result<(String, String)> {
    let mut stream = ends.connect(stream)?;
    writeln!(stream, "{line}")?;
    finish(&mut stream)?;
    let version = stream.conn.protocol_version();
    let version = version.map_or(String::new(), |version| format!("{version:?}"));
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok((answer.trim_end().to_owned(), version))
}

/// Returns what is to be said about it.
async fn run(
    clients: usize,
    executor: Rc<LocalExecutor<'static>>,
) -> Result<String, Box<dyn Error>> {
    let ends = Ends::new()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let threads = Rc::new(RefCell::new(HashSet::<ThreadId>::new()));

    // No client gets an answer before all of them are there: it ends only if all connections are open at once.
    let barrier = Rc::new(Barrier::new(clients));
    let accepting = executor.spawn(fiber({
        let (ends, threads, executor) = (ends.clone(), threads.clone(), executor.clone());
        move || -> io::Result<Vec<_>> {
            let mut serving = Vec::new();
            for stream in listener.incoming().take(clients) {
                let stream = stream?;
                let (ends, threads) = (ends.clone(), threads.clone());
                let barrier = barrier.clone();
                serving.push(executor.spawn(fiber(move || {
                    threads.borrow_mut().insert(thread::current().id());
                    serve(&ends, stream, || Ok(barrier.wait()?))
                })));
            }
            Ok(serving)
        }
    }));
    let asking: Vec<_> = (0..clients)
        .map(|n| {
            let (ends, threads) = (ends.clone(), threads.clone());
            executor.spawn(fiber(move || {
                threads.borrow_mut().insert(thread::current().id());
                let line = format!("hello from client {n}");
                let (answer, version) = ask(&ends, TcpStream::connect(address)?, &line)?;
                Ok::<_, io::Error>((line, answer, version))
            }))
        })
        .collect();

    let mut report = String::new();
    let mut versions = BTreeSet::new();
    for asking in asking {
        let (line, answer, version) = asking.await?;
        report += &format!("{line}: {answer}\n");
        versions.insert(version);
    }
    for serving in accepting.await? {
        serving.await?;
    }
    let versions: Vec<_> = versions.into_iter().collect();
    let (versions, threads) = (versions.join(", "), threads.borrow().len());
    report += &format!("{clients} connections at once, both ends of each: {versions}\n");
    report += &format!("threads: {threads}\n");
    Ok(report)
}

const HELP: &str = "\
rustls_echo: TLS connections at once on one thread, both ends of each; the server sends back in capitals what it gets

Run it with: cargo run --example rustls_echo
         or: cargo run --example rustls_echo -- [OPTION]..

  -n, --clients N   so many connections; 5

The certificate is made when it starts, and believed by nobody else.
";

/// How many clients; `None` is a call for help.
fn parse() -> Result<Option<usize>, lexopt::Error> {
    use lexopt::ValueExt;

    let mut clients = 5;
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Short('n') | Arg::Long("clients") => clients = parser.value()?.parse()?,
            Arg::Long(name) => {
                return Err(format!("unknown argument {:?}", format!("--{name}")).into());
            }
            Arg::Short(letter) => {
                return Err(format!("unknown argument {:?}", format!("-{letter}")).into());
            }
            Arg::Value(value) => return Err(format!("unknown argument {value:?}").into()),
        }
    }
    Ok(Some(clients))
}

fn main() -> ExitCode {
    let text = match parse() {
        Ok(Some(clients)) => {
            let executor = Rc::new(LocalExecutor::new());
            async_io::block_on(executor.run(run(clients, executor.clone())))
        }
        Ok(None) => Ok(HELP.to_owned()),
        Err(error) => {
            eprintln!("rustls_echo: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            eprintln!("rustls_echo: {error}");
            return ExitCode::FAILURE;
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("rustls_echo: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
