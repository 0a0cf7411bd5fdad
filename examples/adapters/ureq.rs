//! [ureq](https://docs.rs/ureq) over connections that suspend a fiber.
//!
//! ureq lets its sockets and its look-up of names be replaced; everything else (HTTP, redirects, the pool of connections,
//! timeouts, TLS, proxies) is ureq's own code, unmodified. Copy this file, and make agents with [`agent`]:
//!
//! ```ignore
//! #[path = "adapters/ureq.rs"]
//! mod ureq_on_fibers;
//!
//! let agent = ureq_on_fibers::agent(ureq::Agent::config_builder().build());
//! fiber(move || agent.get("https://example.org").call())
//! ```
//!
//! Outside of fibers such an agent blocks the thread, as any other.
//!
//! If the fiber is cancelled, the request fails with `Error::Io`. `ureq::Error` does not tell its source, so ask
//! `Cancelled::is_behind(&error.into_io())`.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_io::Timer;
use blocking::unblock;
use futures_lite::future::or;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    RustlsConnector, ShutdownHandle, Transport,
};
use ureq::{Agent, Error, Timeout};
use yieldfrom::await_;
use yieldfrom::io::TcpStream;

/// An agent whose requests suspend the fiber that makes them: HTTP and HTTPS, directly or through an HTTP proxy.
pub fn agent(config: Config) -> Agent {
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(FiberConnector)
            .chain(RustlsConnector::default());
    Agent::with_parts(config, connector, FiberResolver)
}

/// Looks names up on another thread.
#[derive(Debug)]
pub struct FiberResolver;

impl Resolver for FiberResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = (uri.scheme().zip(uri.authority()))
            .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority))
            .ok_or_else(|| Error::BadUri(format!("{uri} has no host or no port")))?;
        let found = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => look_up(host, timeout)?,
        };
        let mut addresses = self.empty();
        // It has room for so many.
        for address in config.ip_family().keep_wanted(found.into_iter()).take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(addresses)
    }
}

fn look_up(host: String, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
    let (left, reason) = left(timeout)?;
    let found = unblock(move || Ok(host.to_socket_addrs()?.collect()));
    let found = match left {
        Some(left) => await_(or(found, async {
            Timer::after(left).await;
            Err(ErrorKind::TimedOut.into())
        })),
        None => await_(found),
    };
    found
        .map_err(io::Error::from)
        .and_then(|found| found)
        .map_err(|error| translate(error, reason))
}

/// Opens TCP connections, unless an earlier connector in the chain has opened one.
#[derive(Debug)]
pub struct FiberConnector;

impl<In: Transport> Connector<In> for FiberConnector {
    type Out = Either<In, FiberTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let config = details.config;
        let stream = connect(&details.addrs, details.timeout)?;
        stream.set_nodelay(config.no_delay())?;
        let transport = FiberTransport {
            handle: Arc::new(Handle(stream.clone())),
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        };
        let handle: Weak<dyn ShutdownHandle> = Arc::<Handle>::downgrade(&transport.handle);
        (details.register_shutdown)(handle)?;
        Ok(Some(Either::B(transport)))
    }
}

/// Tries one address after the other, each for its share of the time that is left.
fn connect(addresses: &[SocketAddr], timeout: NextTimeout) -> Result<TcpStream, Error> {
    let (left, reason) = left(timeout)?;
    let end = left.and_then(|left| Instant::now().checked_add(left));
    let mut last = Error::HostNotFound;
    for (index, &address) in addresses.iter().enumerate() {
        let connected = match end {
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                let share = left / (addresses.len() - index) as u32;
                TcpStream::connect_timeout(address, share)
            }
            None => TcpStream::connect(address),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            // If it is the fiber that is cancelled, the other attempts fail at once.
            Err(error) => last = translate(error, reason),
        }
    }
    Err(last)
}

/// A connection as ureq sees it.
#[derive(Debug)]
pub struct FiberTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
    handle: Arc<Handle>,
}

impl FiberTransport {
    /// Limits the next operation, as a whole and not each of its reads and writes. Returns what to say if it takes longer.
    fn limit(&mut self, timeout: NextTimeout) -> Result<Timeout, Error> {
        let (left, reason) = left(timeout)?;
        let end = left.and_then(|left| Instant::now().checked_add(left));
        self.stream.set_deadline(end);
        Ok(reason)
    }
}

impl Transport for FiberTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let reason = self.limit(timeout.for_write())?;
        let output = &self.buffers.output()[..amount];
        let written = self.stream.write_all(output);
        written.map_err(|error| translate(error, reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let reason = self.limit(timeout.for_read())?;
        let read = self.stream.read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| translate(error, reason))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// ureq asks this with its pool of connections locked, so it must not wait: another fiber that wants the pool would block
    /// the thread.
    fn is_open(&mut self) -> bool {
        match self.stream.get_ref().peek(&mut [0]) {
            Err(error) => error.kind() == ErrorKind::WouldBlock,
            Ok(_) => false, // the end, or something that nobody has asked for
        }
    }
}

/// What `Agent::shutdown` interrupts.
#[derive(Debug)]
struct Handle(TcpStream);

impl ShutdownHandle for Handle {
    fn shutdown(&self) {
        let _ = self.0.shutdown(Shutdown::Both); // it may be closed already
    }
}

/// How much time is left, if there is a limit, and what to say afterwards.
fn left(timeout: NextTimeout) -> Result<(Option<Duration>, Timeout), Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok((timeout.not_zero().map(|left| *left), timeout.reason))
}

fn translate(error: io::Error, reason: Timeout) -> Error {
    match error.kind() {
        ErrorKind::TimedOut => Error::Timeout(reason),
        _ => Error::Io(error),
    }
}
