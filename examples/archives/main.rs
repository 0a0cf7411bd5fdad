//! Archives that are made while they are sent and unpacked while they are received, several at once on one thread, with the
//! crates `tar`, `flate2` and `zip`.
//!
//! - A server sends a folder as `.tar.gz` over HTTP, to several clients at once: `tar::Builder` around `GzEncoder` around the
//!   socket, where the other end is `tar::Archive` around `GzDecoder` around the socket.
//! - Several fibers zip the folder, each into a connection, and as many unzip what comes out.
//!
//! Nothing is as large as an archive: not a buffer, not a file. Wherever one of those crates writes to a socket that is full
//! or reads from one that is empty, its fiber waits, with all calls in between on its stack, and another one goes on.
//!
//! What is received cannot leave the folder that it is meant for. Look at `tarball.rs` and `zipped.rs`: they know sockets only
//! as `Read` and `Write`.

#![forbid(unsafe_code)]

mod http;
mod tarball;
#[path = "../adapters/threads.rs"]
mod threads;
mod zipped;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use async_executor::{LocalExecutor, Task};
use lexopt::prelude::*;
use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::{Builder, Fiber, await_};

use threads::Threads;

type Executor = Rc<LocalExecutor<'static>>;

/// Bytes. A compressor is made on the stack before it is boxed, for which a debug build needs up to 512 KiB.
const STACK_SIZE: usize = 1 << 20;

fn fiber<R: 'static>(body: impl FnOnce() -> R + 'static) -> Fiber<R> {
    Builder::new().stack_size(STACK_SIZE).fiber(body)
}

/// Answers one request with the folder.
fn serve(stream: &TcpStream, folder: &Path) -> io::Result<()> {
    match http::receive_request(BufReader::new(stream))?.as_str() {
        "/folder.tar.gz" => {
            let mut body = http::begin_answer(stream, "200 OK")?;
            tarball::send(folder, &mut body)?;
            body.finish()
        }
        _ => http::begin_answer(stream, "404 Not Found")?.finish(),
    }
}

fn download(address: SocketAddr, folder: &Path) -> io::Result<usize> {
    let stream = TcpStream::connect(address)?;
    http::ask(&stream, "/folder.tar.gz")?;
    tarball::receive(http::receive_answer(BufReader::new(&stream))?, folder)
}

/// Accepts so many connections, and has a fiber of its own call `with` each.
fn accept(
    executor: &Executor,
    listener: TcpListener,
    count: usize,
    with: impl Fn(TcpStream, usize) -> io::Result<()> + 'static,
) -> Task<io::Result<()>> {
    let spawner = executor.clone();
    let with = Rc::new(with);
    executor.spawn(fiber(move || {
        let mut tasks = Vec::new();
        for (number, stream) in listener.incoming().take(count).enumerate() {
            let (stream, with) = (stream?, with.clone());
            tasks.push(spawner.spawn(fiber(move || with(stream, number))));
        }
        tasks.into_iter().try_for_each(|task| await_(task)?)
    }))
}

/// Has so many clients download the folder at once, into folders of their own.
async fn tar_over_http(run: Run) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = run.clone();
    let server = accept(&run.executor, listener, run.count, move |stream, _| {
        sender.threads.pass();
        serve(&stream, &sender.folder)
    });
    let clients: Vec<_> = (0..run.count)
        .map(|number| {
            let client = run.clone();
            run.executor.spawn(fiber(move || {
                download(address, &client.new_copy("tar", number)?)?;
                client.threads.pass();
                io::Result::Ok(())
            }))
        })
        .collect();
    for client in clients {
        client.await?;
    }
    server.await
}

/// Has so many fibers zip the folder into connections at once, and as many unzip what comes.
async fn zip_over_sockets(run: Run) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let receiver = run.clone();
    let receivers = accept(&run.executor, listener, run.count, move |stream, number| {
        zipped::receive(stream, &receiver.new_copy("zip", number)?)?;
        receiver.threads.pass();
        Ok(())
    });
    let senders: Vec<_> = (0..run.count)
        .map(|_| {
            let sender = run.clone();
            run.executor.spawn(fiber(move || {
                sender.threads.pass();
                zipped::send(&sender.folder, TcpStream::connect(address)?)?;
                io::Result::Ok(())
            }))
        })
        .collect();
    for sender in senders {
        sender.await?;
    }
    receivers.await
}

/// A run of the example.
#[derive(Clone)]
struct Run {
    executor: Executor,
    /// What is sent.
    folder: PathBuf,
    /// Where it is received.
    scratch: PathBuf,
    /// How many at once.
    count: usize,
    threads: Threads,
}

impl Run {
    fn copy(&self, name: &str, number: usize) -> PathBuf {
        self.scratch.join(format!("{name}.{number}"))
    }

    fn new_copy(&self, name: &str, number: usize) -> io::Result<PathBuf> {
        let folder = self.copy(name, number);
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    fn compare(&self, name: &str) -> io::Result<usize> {
        let original = content(&self.folder)?;
        for number in 0..self.count {
            if content(&self.copy(name, number))? != original {
                return Err(io::Error::other(format!("{name}: a copy is different")));
            }
        }
        Ok(original.len())
    }
}

/// The files in a folder, with a hash of what is in them. (Other things than files and folders are passed over.)
fn content(folder: &Path) -> io::Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let mut hasher = DefaultHasher::new();
                hasher.write(&fs::read(entry.path())?);
                let path = entry.path();
                let name = path.strip_prefix(folder).map_err(io::Error::other)?;
                found.insert(name.to_owned(), hasher.finish());
            }
        }
    }
    Ok(found)
}

/// Some files in folders, one of them larger than all buffers on the way.
fn make_folder(folder: &Path) -> io::Result<()> {
    for number in 0..20_usize {
        let within = folder.join(format!("{}/{}", number % 3, number % 2));
        fs::create_dir_all(&within)?;
        let text = format!("line {number}\n").repeat(number * number);
        fs::write(within.join(format!("{number}.txt")), text)?;
    }
    // Numbers that look random, which are hard to compress.
    let next = |n: &u64| Some(n.wrapping_mul(6364136223846793005).wrapping_add(1));
    let noise = std::iter::successors(Some(1), next).flat_map(|n| (n >> 32).to_le_bytes());
    fs::write(
        folder.join("noise"),
        noise.take(512 << 10).collect::<Vec<_>>(),
    )
}

fn demonstrate(folder: Option<PathBuf>, count: usize, scratch: &Path) -> io::Result<()> {
    let folder = match folder {
        Some(folder) => folder,
        None => {
            let folder = scratch.join("original");
            make_folder(&folder)?;
            folder
        }
    };
    let run = Run {
        executor: Rc::default(),
        folder,
        scratch: scratch.to_owned(),
        count,
        threads: Threads::default(),
    };
    let mut out = io::stdout();
    async_io::block_on(run.executor.run(tar_over_http(run.clone())))?;
    let files = run.compare("tar")?;
    writeln!(out, "tar.gz over HTTP: {count} at once, {files} files each")?;
    async_io::block_on(run.executor.run(zip_over_sockets(run.clone())))?;
    let files = run.compare("zip")?;
    writeln!(out, "zip over sockets: {count} at once, {files} files each")?;
    writeln!(out, "threads: {}", run.threads.count())
}

fn in_scratch(folder: Option<PathBuf>, count: usize) -> io::Result<()> {
    if let Some(folder) = &folder {
        let named = |error| io::Error::other(format!("{}: {error}", folder.display()));
        fs::read_dir(folder).map_err(named)?;
    }
    let scratch = std::env::temp_dir().join(format!("yieldfrom-archives-{}", std::process::id()));
    fs::create_dir(&scratch)?;
    let shown = demonstrate(folder, count, &scratch);
    fs::remove_dir_all(&scratch)?;
    shown
}

const HELP: &str = "\
archives: tar.gz over HTTP and zip over sockets, several at once on one thread, made as they go

Run it with: cargo run --example archives
         or: cargo run --example archives -- [-n COUNT] [FOLDER]

It sends the folder, or one that it makes, to itself, and compares what arrives. Nothing is kept.
";

enum Work {
    Help,
    Demonstrate(Option<PathBuf>, usize),
}

fn parse() -> Result<Work, lexopt::Error> {
    let (mut folder, mut count) = (None, 4);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Work::Help),
            Short('n') => count = parser.value()?.parse()?,
            Value(path) if folder.is_none() => folder = Some(path.into()),
            Long(name) => return Err(format!("unknown argument \"--{name}\"").into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Work::Demonstrate(folder, count))
}

fn main() -> ExitCode {
    let result = match parse() {
        Ok(Work::Help) => write!(io::stdout(), "{HELP}"),
        Ok(Work::Demonstrate(folder, count)) => in_scratch(folder, count),
        Err(error) => {
            eprintln!("archives: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("archives: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
