//! Libraries that do their own system calls and say `WouldBlock`.

#![forbid(unsafe_code)]

use std::io;

use async_io::Async;
use futures_lite::future::or;

use super::wait::wait;
use crate::wait::checkpoint;

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// That there is something to read.
    Read,
    /// That there is room to write.
    Write,
    /// Either.
    Either,
}

/// Repeats `operation` until it does not say that it would block, waiting in between for what it `wants`.
///
/// For libraries, mostly written in C, that own a non-blocking descriptor, do their own reads and writes, and then tell what
/// they would have blocked on (`SSL_get_error`, `libssh2_session_block_directions`, `PQflush`). `source` is that descriptor.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use async_io::Async;
/// use yieldfrom::io::{retry, Wants};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let socket = Async::new(TcpStream::connect(listener.local_addr()?)?)?;
/// let other = std::thread::spawn(move || listener.accept()?.0.write_all(b"late"));
/// let mut buffer = [0; 4];
/// let read = retry(&socket, || Wants::Read, || socket.get_ref().read(&mut buffer))?;
/// assert_eq!(&buffer[..read], b"late");
/// # other.join().unwrap()
/// # }
/// ```
///
/// # Errors
///
/// Whatever else `operation` says, or that the fiber is cancelled.
pub fn retry<T, R>(
    source: &Async<T>,
    mut wants: impl FnMut() -> Wants,
    mut operation: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    checkpoint()?;
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match wants() {
                Wants::Read => wait(source.readable())?,
                Wants::Write => wait(source.writable())?,
                Wants::Either => wait(or(source.readable(), source.writable()))?,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
