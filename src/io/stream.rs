//! Connections.

#![forbid(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use async_io::Async;

use super::address::Address;
use super::socket::Socket;
use super::wait::{Limits, wait_until};

/// A connection that is read and written like the standard library's, and suspends the fiber where that would block.
///
/// It is `Send` and `Sync`. A clone is the same connection with timeouts of its own. `&Stream` reads and writes too.
///
/// | outcome | |
/// |---|---|
/// | a timeout or deadline passes | an error of the kind [`TimedOut`](io::ErrorKind::TimedOut) |
/// | the fiber is dropped or cancelled | an error [behind which](crate::Cancelled::is_behind) there is a `Cancelled` |
/// | a signal interrupts the system call | it is repeated |
#[derive(Debug)]
pub struct Stream<S>(Socket<S>);

/// A TCP connection.
///
/// ```no_run
/// use std::io::{Read, Write};
/// use yieldfrom::io::TcpStream;
///
/// let mut stream = TcpStream::connect("example.org:80")?; // the name is looked up on another thread
/// stream.set_read_timeout(Some(std::time::Duration::from_secs(5)));
/// stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let page = std::io::read_to_string(stream)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type TcpStream = Stream<std::net::TcpStream>;

/// A connection over a Unix socket.
#[cfg(unix)]
pub type UnixStream = Stream<std::os::unix::net::UnixStream>;

impl<S> Stream<S> {
    /// Sets how long a read may wait; `None` is for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.0.reads.timeout = timeout;
    }

    /// Sets how long a write may wait; `None` is for ever.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.0.writes.timeout = timeout;
    }

    /// Sets when all reads and writes have to be done; `None` is never. What waits then, or later, has timed out.
    ///
    /// A deadline holds against a peer that sends a byte now and then, which a timeout does not.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.0.reads.deadline = deadline;
        self.0.writes.deadline = deadline;
    }

    /// The standard library's socket, which is in non-blocking mode: for its options.
    pub fn get_ref(&self) -> &S {
        self.0.source().get_ref()
    }

    /// The socket as its reactor knows it: to wait for it in other ways.
    pub fn as_async(&self) -> &Async<S> {
        self.0.source()
    }
}

impl<S> Clone for Stream<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> From<Async<S>> for Stream<S> {
    fn from(source: Async<S>) -> Self {
        Self(Socket::new(source))
    }
}

impl TcpStream {
    /// Connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// If the name is not known, or none of its addresses answers: the last one's error.
    pub fn connect(address: impl Into<Address>) -> io::Result<Self> {
        Self::connect_until(address.into(), None)
    }

    /// As [`connect`](Self::connect), but the whole, all addresses together, may take only so long. (The look-up of a name is
    /// not counted.)
    ///
    /// # Errors
    ///
    /// As there, or `TimedOut`.
    pub fn connect_timeout(address: impl Into<Address>, timeout: Duration) -> io::Result<Self> {
        let limits = Limits {
            timeout: Some(timeout),
            deadline: None,
        };
        Self::connect_until(address.into(), limits.end())
    }

    fn connect_until(address: Address, end: Option<Instant>) -> io::Result<Self> {
        address.try_each(|address| {
            wait_until(end, Async::<std::net::TcpStream>::connect(address)).map(Self::from)
        })
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// If there is no other end any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// As the standard library's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().local_addr()
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// As the standard library's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.get_ref().set_nodelay(nodelay)
    }

    /// Reads without taking what it reads.
    ///
    /// # Errors
    ///
    /// As a read.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // Nothing is known afterwards of what is left.
        self.0.read_with(0, |source| source.peek(buffer))
    }
}

#[cfg(unix)]
impl UnixStream {
    /// Connects to the socket of that path.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub fn connect(path: impl AsRef<std::path::Path>) -> io::Result<Self> {
        use std::os::unix::net::UnixStream;
        let connect = Async::<UnixStream>::connect(path);
        wait_until(None, connect).map(Self::from)
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = Async::<std::os::unix::net::UnixStream>::pair()?;
        Ok((a.into(), b.into()))
    }
}

/// Takes over a socket, and makes it non-blocking.
impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    fn try_from(socket: std::net::TcpStream) -> io::Result<Self> {
        Async::new(socket).map(Self::from)
    }
}

/// Takes over a socket, and makes it non-blocking.
#[cfg(unix)]
impl TryFrom<std::os::unix::net::UnixStream> for UnixStream {
    type Error = io::Error;

    fn try_from(socket: std::os::unix::net::UnixStream) -> io::Result<Self> {
        Async::new(socket).map(Self::from)
    }
}

/// A socket of which each direction can be shut down.
pub trait Halves {
    /// As [`std::net::TcpStream::shutdown`].
    ///
    /// # Errors
    ///
    /// As there.
    fn shut_down(&self, how: Shutdown) -> io::Result<()>;
}

impl Halves for std::net::TcpStream {
    fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

#[cfg(unix)]
impl Halves for std::os::unix::net::UnixStream {
    fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

impl<S: Halves> Stream<S> {
    /// Shuts down one direction or both, for all clones.
    ///
    /// # Errors
    ///
    /// If the connection is gone.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.get_ref().shut_down(how)
    }

    /// Divides it into a half to read and a half to write, for two fibers. Dropping the latter says to the other end that
    /// nothing more will come.
    pub fn split(self) -> (ReadHalf<S>, WriteHalf<S>) {
        (ReadHalf(self.clone()), WriteHalf(self))
    }
}

/// The half of a connection that reads.
#[derive(Debug)]
pub struct ReadHalf<S>(Stream<S>);

/// The half of a connection that writes. Dropping it shuts that direction down.
#[derive(Debug)]
pub struct WriteHalf<S: Halves>(Stream<S>);

impl<S> ReadHalf<S> {
    /// The whole connection.
    pub fn stream(&self) -> &Stream<S> {
        &self.0
    }

    /// As [`Stream::set_read_timeout`].
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.0.set_read_timeout(timeout);
    }
}

impl<S: Halves> WriteHalf<S> {
    /// The whole connection.
    pub fn stream(&self) -> &Stream<S> {
        &self.0
    }

    /// As [`Stream::set_write_timeout`].
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.0.set_write_timeout(timeout);
    }
}

impl<S: Halves> Drop for WriteHalf<S> {
    fn drop(&mut self) {
        // The other end may have gone first.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl<S> Read for &Stream<S>
where
    for<'a> &'a S: Read,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let asked = buffer.len();
        self.0.read_with(asked, |mut source| source.read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let asked = buffers.iter().map(|buffer| buffer.len()).sum();
        self.0
            .read_with(asked, |mut source| source.read_vectored(buffers))
    }
}

impl<S> Write for &Stream<S>
where
    for<'a> &'a S: Write,
{
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_with(|mut source| source.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0
            .write_with(|mut source| source.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // sockets keep nothing back
    }
}

impl<S> Read for Stream<S>
where
    for<'a> &'a S: Read,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl<S> Write for Stream<S>
where
    for<'a> &'a S: Write,
{
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl<S> Read for ReadHalf<S>
where
    for<'a> &'a S: Read,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(buffers)
    }
}

impl<S: Halves> Write for WriteHalf<S>
where
    for<'a> &'a S: Write,
{
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
