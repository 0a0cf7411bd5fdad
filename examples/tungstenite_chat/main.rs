//! A WebSocket chat, the server and all clients on one thread: tungstenite, which is synchronous, in fibers.
//!
//! A client (client.rs) is written as for a thread of its own. In the server (room.rs) the fiber of a client waits for two
//! things at once: that the client says something, and that another one has. For `async` code there are crates that drive
//! tungstenite by hand: tokio-tungstenite, async-tungstenite.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::HashSet;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread::{self, ThreadId};

use async_executor::LocalExecutor;
use lexopt::{Arg, ValueExt};
use yieldfrom::fiber;
use yieldfrom::io::{TcpListener, TcpStream};

#[path = "../adapters/barrier.rs"]
mod barrier;
mod client;
mod room;

use barrier::Barrier;
use room::Room;

/// Returns what is to be said about it.
async fn run(
    clients: usize,
    executor: Rc<LocalExecutor<'static>>,
) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let room = Rc::new(Room::default());
    let threads = Rc::new(RefCell::new(HashSet::<ThreadId>::new()));

    let accepting = executor.spawn(fiber({
        let (executor, room, threads) = (executor.clone(), room.clone(), threads.clone());
        move || -> io::Result<Vec<_>> {
            let mut serving = Vec::new();
            for stream in listener.incoming().take(clients) {
                let (stream, room, threads) = (stream?, room.clone(), threads.clone());
                serving.push(executor.spawn(fiber(move || {
                    threads.borrow_mut().insert(thread::current().id());
                    room.serve(stream)
                })));
            }
            Ok(serving)
        }
    }));

    // Nobody speaks before all are there.
    let barrier = Rc::new(Barrier::new(clients));
    let chatting: Vec<_> = (0..clients)
        .map(|n| {
            let (barrier, threads) = (barrier.clone(), threads.clone());
            executor.spawn(fiber(move || {
                threads.borrow_mut().insert(thread::current().id());
                let stream = TcpStream::connect(address)?;
                let joined = || _ = barrier.wait(); // if it is cancelled, so is what comes next
                client::chat(stream, joined, &format!("hello from client {n}"), clients)
            }))
        })
        .collect();

    let mut heard = Vec::new();
    for chatting in chatting {
        heard.push(chatting.await?);
    }
    for serving in accepting.await? {
        serving.await?;
    }
    let first = heard.first().cloned().unwrap_or_default();
    let is_same = heard.iter().all(|heard| *heard == first);
    let (messages, left, threads) = (first.len(), room.count(), threads.borrow().len());
    Ok(format!(
        "\
{clients} clients, each has heard {messages} messages
the same in the same order: {is_same}
still in the room: {left}
threads: {threads}
"
    ))
}

const HELP: &str = "\
tungstenite_chat: a WebSocket chat on one thread, the server and all clients: each says hello, and hears the others

Run it with: cargo run --example tungstenite_chat
         or: cargo run --example tungstenite_chat -- [OPTION]..

  -n, --clients N   so many clients; 20
";

/// How many clients; `None` is a call for help.
fn parse() -> Result<Option<usize>, lexopt::Error> {
    let mut clients = 20;
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
            eprintln!("tungstenite_chat: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            eprintln!("tungstenite_chat: {error}");
            return ExitCode::FAILURE;
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("tungstenite_chat: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
