//! The workers of this process, and its connections to the other ones.
//!
//! timely can make the connections itself. Then it reports on standard output, which is for what is found, and waits for
//! ever. So they are made here, and timely is given the sockets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::panic;
use std::process;
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

use timely::communication::AllocatorBuilder;
use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{Config, Hooks};
use timely::{WorkerConfig, execute};

use crate::args::Search;
use crate::dataflow::{Outcome, work};

/// Time between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a peer, once connected, may take to say who it is.
const GREETING: Duration = Duration::from_secs(10);

/// Runs the workers of this process.
///
/// # Errors
///
/// A message about what is missing to start. If a process is lost later, this one ends.
pub fn run(search: &Arc<Search>) -> Result<Outcome, String> {
    end_with_the_first_panic();
    let (builders, connections) = match search.addresses.is_empty() {
        true => Config::Process(search.threads).try_build()?,
        false => {
            let sockets = connect(search)?;
            let (threads, hooks) = (search.threads, Hooks::default());
            let inner = ProcessBuilder::new_typed_vector(
                threads,
                hooks.refill.clone(),
                hooks.spill.clone(),
            );
            let (builders, connections) =
                initialize_networking_from_sockets(inner, sockets, search.process, threads, hooks)
                    .map_err(|error| error.to_string())?;
            let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
            (builders, Box::new(connections) as _)
        }
    };
    let search = Arc::clone(search);
    let workers = execute::execute_from(
        builders,
        connections,
        WorkerConfig::default(),
        move |worker| work(worker, &search),
    )?;
    let mut all = Outcome::new();
    for outcome in workers.join() {
        let outcome = outcome?;
        all.selected += outcome.selected;
        all.has_failed |= outcome.has_failed;
        all.printed = all.printed.and(outcome.printed);
    }
    Ok(all)
}

/// Has a panic on any thread end the process, once what is being printed has been printed.
///
/// The others would wait for ever for what this thread does not send any more. timely's own threads panic when they lose the
/// connection to another process, before anything else in this one has learned of it.
fn end_with_the_first_panic() {
    static END: Once = Once::new();
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        END.call_once(|| {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            let lost = ["timely:recv-", "timely:send-"]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix));
            let status = match lost {
                Some(peer) => {
                    eprintln!("cluster_grep: process {peer} was lost; the output may lack its end");
                    3
                }
                None => {
                    report(info);
                    101
                }
            };
            let _printing = io::stdout().lock();
            process::exit(status)
        });
    }));
}

/// Connects this process with every other one: to those before it, and with those behind it as they come. The place of
/// this process stays empty.
fn connect(search: &Search) -> Result<Vec<Option<TcpStream>>, String> {
    let deadline = Instant::now() + search.wait;
    let (ours, count) = (search.process, search.addresses.len());
    let mut sockets: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
    // It listens first, so that nobody has to wait for whoever waits for another one.
    let listener = match ours + 1 < count {
        true => Some(listen(&search.addresses[ours], deadline)?),
        false => None,
    };
    for (peer, address) in search.addresses.iter().enumerate().take(ours) {
        sockets[peer] = Some(reach(search, peer, address, deadline)?);
    }
    if let Some(listener) = listener {
        while let Some(missing) = (ours + 1..count).find(|&peer| sockets[peer].is_none()) {
            match listener.accept() {
                Ok((stream, _)) => {
                    // Somebody else may try the port; it is not told anything, and is not waited for long.
                    if let Some((peer, stream)) = greet(search, stream)? {
                        if peer > ours && peer < count {
                            sockets[peer] = Some(stream);
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    pause(deadline).map_err(|()| format!("process {missing} has not come"))?;
                }
                Err(error) => return Err(format!("{}: {error}", search.addresses[ours])),
            }
        }
    }
    Ok(sockets)
}

fn pause(deadline: Instant) -> Result<(), ()> {
    if Instant::now() >= deadline {
        return Err(());
    }
    thread::sleep(PAUSE);
    Ok(())
}

fn listen(address: &str, deadline: Instant) -> Result<TcpListener, String> {
    loop {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match listener {
            Ok(listener) => return Ok(listener),
            // Perhaps by a connection that is about to end.
            Err(error) if error.kind() == ErrorKind::AddrInUse && pause(deadline).is_ok() => {}
            Err(error) => return Err(format!("{address}: {error}")),
        }
    }
}

fn reach(
    search: &Search,
    peer: usize,
    address: &str,
    deadline: Instant,
) -> Result<TcpStream, String> {
    loop {
        let error = match try_reach(address, deadline) {
            Ok(stream) => match greet(search, stream)? {
                Some((greeted, stream)) if greeted == peer => return Ok(stream),
                _ => "somebody else is there".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        pause(deadline).map_err(|()| format!("process {peer} at {address}: {error}"))?;
    }
}

fn try_reach(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = ErrorKind::AddrNotAvailable.into();
    for address in address.to_socket_addrs()? {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(PAUSE);
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

const MAGIC: &[u8; 8] = b"yf-grep1";

/// Says who we are and learns who is there. `None` if it is not one of us.
///
/// # Errors
///
/// If it is, but was started with other arguments.
fn greet(search: &Search, stream: TcpStream) -> Result<Option<(usize, TcpStream)>, String> {
    let ours = search.fingerprint().to_be_bytes();
    let greeting = [*MAGIC, (search.process as u64).to_be_bytes(), ours].concat();
    let Ok((peer, theirs)) = exchange(&stream, &greeting) else {
        return Ok(None);
    };
    if theirs != ours {
        return Err(format!("process {peer} was started with other arguments"));
    }
    Ok(Some((peer, stream)))
}

fn exchange(mut stream: &TcpStream, greeting: &[u8]) -> io::Result<(usize, [u8; 8])> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(GREETING))?;
    stream.write_all(greeting)?;
    let mut theirs = [[0; 8]; 3];
    for part in &mut theirs {
        stream.read_exact(part)?;
    }
    stream.set_read_timeout(None)?;
    let [magic, peer, fingerprint] = theirs;
    match magic == *MAGIC {
        true => Ok((u64::from_be_bytes(peer) as usize, fingerprint)),
        false => Err(ErrorKind::InvalidData.into()),
    }
}
