//! A TCP server that answers each line in capitals: one task for each connection, thousands of them on one thread. In Python:
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

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread::{self, ThreadId};

use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::task::{Barrier, Interrupted, gather, run, spawn};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
upper_server: answers each line in capitals, with a task for each connection

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

/// Accepts connections until it is cancelled.
fn serve(listener: &TcpListener) -> Result<(), Exception> {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                spawn(move || {
                    if let Err(error) = upper(&stream) {
                        if !yieldfrom::Cancelled::is_behind(&error) {
                            eprintln!("upper_server: {error}"); // one client's trouble is not the others'
                        }
                    }
                    Ok(())
                });
            }
            Err(error) if yieldfrom::Cancelled::is_behind(&error) => return Err(error.into()),
            Err(error) => eprintln!("upper_server: {error}"),
        }
    }
    Ok(())
}

/// Whether a client gets the right answers, all clients having connected before the first line is sent.
fn client(address: SocketAddr, number: usize, all_are_here: &Barrier) -> Result<bool, Exception> {
    let stream = TcpStream::connect(address)?;
    await_(all_are_here.wait())??;
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
fn serve_clients(clients: usize) -> Result<(usize, usize), Exception> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = spawn(move || serve(&listener));
    let threads: Rc<RefCell<HashSet<ThreadId>>> = Rc::default();
    let all_are_here = Rc::new(Barrier::new(clients));
    let tasks = (0..clients).map(|number| {
        let (threads, all_are_here) = (threads.clone(), all_are_here.clone());
        spawn(move || {
            threads.borrow_mut().insert(thread::current().id());
            client(address, number, &all_are_here)
        })
    });
    let answers = await_(gather(tasks.collect::<Vec<_>>()))??;
    server.cancel();
    let served = answers.into_iter().filter(|is_right| *is_right).count();
    let threads = threads.borrow().len();
    Ok((served, threads))
}

fn start(serve_at: Option<String>, clients: usize) -> Result<(), Exception> {
    let mut out = io::stdout();
    let Some(address) = serve_at else {
        let (served, threads) = run(move || serve_clients(clients))?;
        let line = format!("{served} of {clients} clients served at once, by {threads} thread");
        return Ok(writeln!(out, "{line}")?);
    };
    run(move || {
        let listener = TcpListener::bind(&address)
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        let address = listener.local_addr()?;
        writeln!(out, "Serving on {address}. Hit CTRL-C to stop.")?;
        serve(&listener)
    })
}

fn arguments() -> Result<Option<(Option<String>, usize)>, lexopt::Error> {
    use lexopt::prelude::*;

    let (mut serve_at, mut clients) = (None, 300);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("serve") => serve_at = Some(arguments.value()?.string()?),
            Long("clients") => match arguments.value()?.parse()? {
                0 => return Err("there is at least one client".into()),
                some => clients = some,
            },
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
        Ok(Some((serve_at, clients))) => start(serve_at, clients),
        Ok(None) => io::stdout()
            .write_all(HELP.as_bytes())
            .map_err(Exception::from),
        Err(error) => {
            eprintln!("upper_server: {error}");
            return ExitCode::from(2);
        }
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ if error.is::<Interrupted>() => ExitCode::from(130), // as the shell expects after Ctrl-C
        _ => {
            eprintln!("upper_server: {error}");
            ExitCode::FAILURE
        }
    }
}
