//! Synchronous input and output that suspends a fiber where it would block the thread.
//!
//! Everything here implements the standard library's [`Read`](std::io::Read) and [`Write`](std::io::Write), so that any library
//! written for these runs in a [`fiber`](crate::fiber()), unmodified, with thousands of others on the same thread. Outside of
//! fibers the same types block the thread, as the standard library's do.
//!
//! ```
//! use std::io::{BufRead, BufReader, Write};
//! use futures_lite::future::{block_on, zip};
//! use yieldfrom::fiber;
//! use yieldfrom::io::{TcpListener, TcpStream};
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let server = fiber(move || -> std::io::Result<()> {
//!     let (stream, _) = listener.accept()?;
//!     let mut line = String::new();
//!     BufReader::new(&stream).read_line(&mut line)?;
//!     (&stream).write_all(line.to_uppercase().as_bytes())
//! });
//! let client = fiber(move || -> std::io::Result<String> {
//!     let mut stream = TcpStream::connect(address)?;
//!     stream.write_all(b"hello\n")?;
//!     std::io::read_to_string(stream)
//! });
//! let (served, answer) = block_on(zip(server, client)); // both on this thread
//! served?;
//! assert_eq!(answer?, "HELLO\n");
//! # Ok(())
//! # }
//! ```
//!
//! | for | use |
//! |---|---|
//! | TCP, Unix sockets | [`TcpListener`], [`TcpStream`], [`UnixListener`], [`UnixStream`] |
//! | any type with the `futures` traits: `async-net`, `async-process`, a decompressor | [`Io`] |
//! | other non-blocking descriptors: pipes, terminals, devices | [`Io`] around [`async_io::Async`] |
//! | what can only block: files, standard streams | [`File`], [`stdin`], [`Blocking`] |
//! | child processes | [`Child`] |
//! | a C library that says `WouldBlock` | [`retry`] |
//!
//! # Errors
//!
//! A fiber that is dropped or cancelled gets an error of which [`Cancelled::is_behind`](crate::Cancelled::is_behind) is true, from
//! the operation that waits and from every later one. Its kind is `Other`: no loop that retries takes it for something else.
//!
//! An operation that would have to wait where nothing may, as in an `async` block, fails with
//! [`ErrorKind::Deadlock`](std::io::ErrorKind::Deadlock) and says what to do instead.
//!
//! # Turns
//!
//! A fiber whose operations never have to wait would keep the thread. After 64 of them in a row it is suspended until the
//! others have had their turn.

#![forbid(unsafe_code)]

mod adapter;
mod address;
mod blocking;
mod child;
mod file;
#[doc = include_str!("guide.md")]
pub mod guide {}
mod listener;
mod retry;
mod socket;
mod standard;
mod stream;
mod wait;

pub use adapter::Io;
pub use address::Address;
pub use blocking::Blocking;
pub use child::Child;
pub use file::File;
#[cfg(unix)]
pub use listener::UnixListener;
pub use listener::{Incoming, Listener, TcpListener};
pub use retry::{Wants, retry};
pub use standard::{stderr, stdin, stdout};
#[cfg(unix)]
pub use stream::UnixStream;
pub use stream::{Halves, ReadHalf, Stream, TcpStream, WriteHalf};
