//! One port, several loops: a server on all cores. In Python this takes processes:
//!
//! ```python
//! sock = socket.create_server(('localhost', 8888), reuse_port=True)
//! for _ in range(os.cpu_count()):
//!     multiprocessing.Process(target=lambda: asyncio.run(serve(sock))).start()
//! ```
//!
//! Here each thread has a loop and a handle of the same listener, and the system gives each connection to one of them. A task stays on
//! its thread; what travels between threads are closures, and their results. Look at the clients: they are tasks of the main
//! thread's loop, and the sum that each server has to tell is awaited there like anything else.

#[path = "adapters/program.rs"]
mod program;

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread::{self, ThreadId};

use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::task::{LoopThread, all_tasks, current, gather, spawn};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
many_loops: one port that several event loops serve, each on a thread of its own

    cargo run --example many_loops
    cargo run --example many_loops -- [OPTIONS]

    --clients=N how many clients are connected at once [200]
    --loops=N   how many loops serve them [as many as there are cores, and 2 at least]
";

#[derive(Default)]
struct Arguments {
    clients: Option<usize>,
    loops: Option<usize>,
}

fn take(arguments: &mut Arguments, argument: &str) -> Result<bool, String> {
    let Some((name, value)) = argument.split_once('=') else {
        return Ok(false);
    };
    let number = || match value.parse() {
        Ok(number @ 1..=10_000) => Ok(Some(number)),
        _ => Err(format!("{name}: not a number from 1 to 10000: {value:?}")),
    };
    match name {
        "--clients" => arguments.clients = number()?,
        "--loops" => arguments.loops = number()?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Answers each line in capitals. Could be anybody's: it reads and writes.
fn upper(stream: &TcpStream) -> io::Result<()> {
    let (mut input, mut out, mut line) = (BufReader::new(stream), stream, Vec::new());
    while (&mut input).take(1 << 16).read_until(b'\n', &mut line)? > 0 {
        line.make_ascii_uppercase();
        out.write_all(&line)?;
        line.clear();
    }
    Ok(())
}

/// Serves until it is cancelled. Counts the connections.
fn serve(listener: &TcpListener, served: &Rc<Cell<usize>>) -> Result<(), Exception> {
    loop {
        let (stream, _) = listener.accept()?;
        let served = served.clone();
        spawn(move || {
            upper(&stream)?;
            served.set(served.get() + 1);
            Ok(())
        });
    }
}

/// What one of the loops has done in the end.
struct Report {
    thread: ThreadId,
    served: usize,
}

fn client(address: SocketAddr, number: usize) -> Result<bool, Exception> {
    let stream = TcpStream::connect(address)?;
    (&stream).write_all(format!("client {number}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    Ok(answer == format!("CLIENT {number}\n"))
}

fn serve_them(clients: usize, loops: usize) -> Result<(), Exception> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut servers = Vec::new();
    for number in 0..loops {
        let listener = listener.try_clone()?;
        let event_loop = LoopThread::start(format!("loop {number}"))?;
        // The closure travels, and makes what stays there.
        let server = event_loop.spawn(move || {
            let listener = TcpListener::try_from(listener)?;
            let served = Rc::new(Cell::new(0));
            let _ = serve(&listener, &served); // until it is cancelled
            let this = current();
            for task in all_tasks() {
                if Some(&task) != this.as_ref() {
                    await_(&task)?; // a connection that ends
                }
            }
            let (thread, served) = (thread::current().id(), served.get());
            Ok(Report { thread, served })
        });
        servers.push((event_loop, server));
    }
    let answers = (0..clients).map(|number| spawn(move || client(address, number)));
    let answers = await_(gather(answers.collect::<Vec<_>>()))??;
    let right = answers.into_iter().filter(|is_right| *is_right).count();
    let (mut served, mut threads) = (0, vec![thread::current().id()]);
    for (_event_loop, server) in servers {
        server.cancel();
        let report = await_(server)??;
        served += report.served;
        threads.push(report.thread);
    }
    threads.sort_by_key(|thread| format!("{thread:?}"));
    threads.dedup();
    let mut out = io::stdout();
    writeln!(out, "{right} of {clients} clients have the right answer")?;
    writeln!(
        out,
        "{loops} loops have served {served} connections at one port"
    )?;
    writeln!(out, "threads: {}, one of them the clients'", threads.len())?;
    Ok(())
}

fn main() -> ExitCode {
    program::run_with(HELP, take, |clock, arguments| {
        let clients = arguments.clients.unwrap_or(200);
        let loops = arguments.loops.unwrap_or_else(|| match clock.is_real() {
            true => thread::available_parallelism().map_or(2, |cores| cores.get().max(2)),
            false => 2,
        });
        // Sockets are the rest of the world: they take the time that they take.
        yieldfrom::task::run(move || serve_them(clients, loops))
    })
}
