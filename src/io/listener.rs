//! Listeners.

#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_io::{Async, Timer};

use super::address::Address;
use super::stream::Stream;
use super::wait::{Limits, wait_until};
use crate::wait::checkpoint;

/// Waits for connections, suspending the fiber.
#[derive(Debug)]
pub struct Listener<L> {
    source: Async<L>,
    limits: Limits,
    /// When to try again, after descriptors or memory have run out.
    pause: Mutex<Option<Instant>>,
}

/// Listens for TCP connections.
///
/// ```
/// use std::io::{Read, Write};
/// use std::rc::Rc;
/// use async_executor::LocalExecutor;
/// use yieldfrom::{fiber, io::{TcpListener, TcpStream}};
///
/// fn echo(mut stream: TcpStream) -> std::io::Result<()> {
///     std::io::copy(&mut stream.clone(), &mut stream).map(drop)
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let executor = Rc::new(LocalExecutor::new());
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// executor.spawn(fiber({
///     let executor = executor.clone();
///     move || {
///         for stream in listener.incoming().flatten() {
///             executor.spawn(fiber(move || echo(stream))).detach(); // one fiber for each connection
///         }
///     }
/// })).detach();
/// let client = fiber(move || -> std::io::Result<[u8; 2]> {
///     let mut stream = TcpStream::connect(address)?;
///     stream.write_all(b"hi")?;
///     let mut answer = [0; 2];
///     stream.read_exact(&mut answer)?;
///     Ok(answer)
/// });
/// assert_eq!(&async_io::block_on(executor.run(client))?, b"hi");
/// # Ok(())
/// # }
/// ```
pub type TcpListener = Listener<std::net::TcpListener>;

/// Listens for connections on a Unix socket.
#[cfg(unix)]
pub type UnixListener = Listener<std::os::unix::net::UnixListener>;

/// How long to wait after descriptors or memory have run out. The listener stays ready then: to try again at once would
/// keep the thread busy with errors.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that may wait to be accepted: what Linux allows if nobody has told it otherwise.
#[cfg(unix)]
const QUEUE: i32 = 4096;

impl<L> Listener<L> {
    /// The standard library's listener, which is in non-blocking mode.
    pub fn get_ref(&self) -> &L {
        self.source.get_ref()
    }

    /// Sets how long to wait for a connection; `None` is for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.limits.timeout = timeout;
    }

    /// Sets until when to wait for connections; `None` is for ever.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.limits.deadline = deadline;
    }

    fn accept_with<S, A>(
        &self,
        accept: impl Fn(&L) -> io::Result<(S, A)>,
        take: impl Fn(S) -> io::Result<Async<S>>,
    ) -> io::Result<(Stream<S>, A)> {
        checkpoint()?;
        let end = self.limits.end();
        let pause = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pause) = pause {
            wait_until(end, async {
                Timer::at(pause).await;
                Ok(())
            })?;
        }
        loop {
            let accepted = accept(self.get_ref())
                .and_then(|(socket, peer)| Ok((Stream::from(take(socket)?), peer)));
            match accepted {
                Ok(accepted) => {
                    if pause.is_some() {
                        self.pause_until(None);
                    }
                    return Ok(accepted);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until(end, self.source.readable())?;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if is_exhaustion(&error) {
                        self.pause_until(Instant::now().checked_add(PAUSE));
                    }
                    return Err(error);
                }
            }
        }
    }

    fn pause_until(&self, end: Option<Instant>) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }
}

/// A connection was gone before it was accepted. The next one may be all right.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Descriptors, memory or watches have run out.
fn is_exhaustion(error: &io::Error) -> bool {
    #[cfg(unix)]
    if let Some(code) = error.raw_os_error() {
        return [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOBUFS,
            libc::ENOMEM,
            libc::ENOSPC,
        ]
        .contains(&code);
    }
    error.kind() == io::ErrorKind::OutOfMemory
}

/// The standard library's queue holds 128. It is soon full: clients on this thread come before the fiber that accepts them has
/// its turn. Who finds it full tries again after a second (tests/listen_queue.rs).
#[cfg(unix)]
fn lengthen_queue(listener: &impl std::os::fd::AsFd) {
    let _ = rustix::net::listen(listener, QUEUE); // it listens anyway
}

impl TcpListener {
    /// Listens at an address; port 0 is any that is free.
    ///
    /// On Unix, up to 4096 connections may wait to be accepted, if the system allows so many (`net.core.somaxconn` on Linux).
    ///
    /// # Errors
    ///
    /// If the address is in use or not one of this machine.
    pub fn bind(address: impl Into<Address>) -> io::Result<Self> {
        let source = address
            .into()
            .try_each(Async::<std::net::TcpListener>::bind)?;
        #[cfg(unix)]
        lengthen_queue(&source);
        Ok(source.into())
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// As the standard library's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().local_addr()
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// If descriptors or memory have run out. The next call then waits for 100 ms first, so that a loop which ignores errors
    /// does not keep the thread busy; connections wait in the system's queue meanwhile. A connection that is gone before it is
    /// accepted is no error.
    pub fn accept(&self) -> io::Result<(Stream<std::net::TcpStream>, SocketAddr)> {
        self.accept_with(std::net::TcpListener::accept, Async::new)
    }

    /// Accepts connections one after the other, until the fiber is cancelled.
    pub fn incoming(&self) -> Incoming<'_, std::net::TcpListener> {
        Incoming {
            listener: self,
            is_over: false,
        }
    }
}

#[cfg(unix)]
impl UnixListener {
    /// Listens at a path, which must not exist yet.
    ///
    /// # Errors
    ///
    /// If the path exists or cannot be made.
    pub fn bind(path: impl AsRef<std::path::Path>) -> io::Result<Self> {
        let source = Async::<std::os::unix::net::UnixListener>::bind(path)?;
        lengthen_queue(&source);
        Ok(source.into())
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::accept`].
    pub fn accept(&self) -> io::Result<Stream<std::os::unix::net::UnixStream>> {
        self.accept_with(std::os::unix::net::UnixListener::accept, Async::new)
            .map(|(stream, _)| stream)
    }

    /// Accepts connections one after the other, until the fiber is cancelled.
    pub fn incoming(&self) -> Incoming<'_, std::os::unix::net::UnixListener> {
        Incoming {
            listener: self,
            is_over: false,
        }
    }
}

impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    /// Takes over a listener of the standard library, or a handle of one that others listen at too.
    fn try_from(listener: std::net::TcpListener) -> io::Result<Self> {
        Async::new(listener).map(Self::from)
    }
}

#[cfg(unix)]
impl TryFrom<std::os::unix::net::UnixListener> for UnixListener {
    type Error = io::Error;

    /// Takes over a listener of the standard library, or a handle of one that others listen at too.
    fn try_from(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        Async::new(listener).map(Self::from)
    }
}

impl<L> From<Async<L>> for Listener<L> {
    fn from(source: Async<L>) -> Self {
        Self {
            source,
            limits: Limits::default(),
            pause: Mutex::new(None),
        }
    }
}

/// The connections that a [`Listener`] accepts. Ends after the error that says that the fiber is cancelled: a loop that
/// ignores errors ends too.
#[derive(Debug)]
#[must_use = "it accepts nothing until it is iterated over"]
pub struct Incoming<'a, L> {
    listener: &'a Listener<L>,
    is_over: bool,
}

impl<L> Incoming<'_, L> {
    fn accept<S>(
        &mut self,
        accept: impl FnOnce(&Listener<L>) -> io::Result<S>,
    ) -> Option<io::Result<S>> {
        if self.is_over {
            return None;
        }
        let accepted = accept(self.listener);
        if let Err(error) = &accepted {
            self.is_over = crate::cancelled::Cancelled::is_behind(error)
                || error.kind() == io::ErrorKind::Deadlock;
        }
        Some(accepted)
    }
}

impl Iterator for Incoming<'_, std::net::TcpListener> {
    type Item = io::Result<Stream<std::net::TcpStream>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.accept(|listener| listener.accept().map(|(stream, _)| stream))
    }
}

#[cfg(unix)]
impl Iterator for Incoming<'_, std::os::unix::net::UnixListener> {
    type Item = io::Result<Stream<std::os::unix::net::UnixStream>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.accept(|listener| listener.accept())
    }
}
