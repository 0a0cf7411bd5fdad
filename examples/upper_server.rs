//! A TCP server that answers each line in capitals: one fiber for each connection, thousands of them on one thread. In Python:
//!
//! ```python
//! async def upper(reader, writer):
//!     while line := await reader.readline():
//!         writer.write(line.upper())
//!         await writer.drain()
//!
//! async def main():
//!     server = await asyncio.start_server(upper, 'localhost', 8888)
//!     await server.serve_forever()
//!
//! asyncio.run(main())
//! ```
//!
//! Here `upper` is what it would be with a thread for each connection: it reads and writes, and knows nothing of futures.
//!
//! ```text
//! cargo run --example upper_server                            serves 300 clients of its own, and ends
//! cargo run --example upper_server -- --serve 127.0.0.1:8888  until Ctrl-C; try `nc 127.0.0.1 8888`
//! ```

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;

use async_executor::LocalExecutor;
use async_io::block_on;
use yieldfrom::fiber;
use yieldfrom::io::{TcpListener, TcpStream};

type Executor = Rc<LocalExecutor<'static>>;

const HELP: &str = "\
upper_server: answers each line in capitals, with a fiber for each connection

    cargo run --example upper_server
    cargo run --example upper_server -- [OPTIONS]

    --serve ADDRESS  serves at ADDRESS (a port 0 is any that is free) until Ctrl-C
    --clients N      without --serve: how many clients are connected at once [300]
    -h, --help       prints this
";

/// What happens on one connection.
fn upper(stream: &TcpStream) -> io::Result<()> {
    let mut input = BufReader::new(stream);
    let mut out = stream;
    let mut line = Vec::new();
    // A peer that sends no end of line does not fill the memory.
    while (&mut input).take(1 << 16).read_until(b'\n', &mut line)? > 0 {
        line.make_ascii_uppercase();
        out.write_all(&line)?;
        line.clear();
    }
    Ok(())
}

/// Accepts connections for ever.
fn serve(listener: &TcpListener, executor: &Executor) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => executor
                .spawn(fiber(move || {
                    if let Err(error) = upper(&stream) {
                        eprintln!("upper_server: {error}"); // one client's trouble is not the others'
                    }
                }))
                .detach(),
            Err(error) => eprintln!("upper_server: {error}"),
        }
    }
}

/// What a client gets for some lines, all clients having connected before the first is sent.
fn client(address: SocketAddr, number: usize, still_to_come: &Cell<usize>) -> io::Result<bool> {
    let stream = TcpStream::connect(address)?;
    still_to_come.set(still_to_come.get() - 1);
    while still_to_come.get() > 0 {
        yieldfrom::await_(futures_lite::future::yield_now())?;
    }
    let mut answers = BufReader::new(&stream);
    for round in 0..10 {
        let mut answer = String::new();
        (&stream).write_all(format!("client {number}, round {round}\n").as_bytes())?;
        answers.read_line(&mut answer)?;
        if answer != format!("CLIENT {number}, ROUND {round}\n") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Serves clients of its own. Returns how many have got the right answers, and on how many threads all that was.
fn serve_clients(clients: usize) -> io::Result<(usize, usize)> {
    let executor = Executor::default();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = executor.clone();
    executor
        .spawn(fiber(move || serve(&listener, &server)))
        .detach();
    let threads = Rc::new(RefCell::new(HashSet::new()));
    let still_to_come = Rc::new(Cell::new(clients));
    let tasks: Vec<_> = (0..clients)
        .map(|number| {
            let (threads, still_to_come) = (threads.clone(), still_to_come.clone());
            executor.spawn(fiber(move || {
                threads.borrow_mut().insert(thread::current().id());
                client(address, number, &still_to_come)
            }))
        })
        .collect();
    let served = block_on(executor.run(async {
        let mut served = 0;
        for task in tasks {
            served += usize::from(task.await?);
        }
        io::Result::Ok(served)
    }))?;
    let threads = threads.borrow().len();
    Ok((served, threads))
}

fn run(serve_at: Option<String>, clients: usize) -> io::Result<()> {
    let mut out = io::stdout();
    let Some(address) = serve_at else {
        let (served, threads) = serve_clients(clients)?;
        return writeln!(
            out,
            "{served} of {clients} clients served at once, by {threads} thread"
        );
    };
    let listener = TcpListener::bind(&address)
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    writeln!(
        out,
        "Serving on {}. Hit CTRL-C to stop.",
        listener.local_addr()?
    )?;
    let executor = Executor::default();
    let server = executor.clone();
    block_on(executor.run(fiber(move || serve(&listener, &server))));
    Ok(())
}

fn arguments() -> Result<Option<(Option<String>, usize)>, lexopt::Error> {
    use lexopt::prelude::*;

    let (mut serve_at, mut clients) = (None, 300);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("serve") => serve_at = Some(arguments.value()?.string()?),
            Long("clients") => clients = arguments.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => {
                let other = match other {
                    Short(flag) => format!("-{flag}"),
                    Long(flag) => format!("--{flag}"),
                    Value(value) => value.to_string_lossy().into_owned(),
                };
                return Err(format!("unknown argument {other:?}; try --help").into());
            }
        }
    }
    Ok(Some((serve_at, clients)))
}

fn main() -> ExitCode {
    let outcome = match arguments() {
        Ok(Some((serve_at, clients))) => run(serve_at, clients),
        Ok(None) => io::stdout().write_all(HELP.as_bytes()),
        Err(error) => {
            eprintln!("upper_server: {error}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("upper_server: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
