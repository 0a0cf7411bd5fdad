//! The servers: whatever arrives on a connection is sent back on it.
//!
//! Everybody reads into a buffer of the same size, one for each connection, in the place where a program would keep it:
//! on the stack of a fiber or a thread, in a future. And nobody's answers wait for acknowledgements (`TCP_NODELAY`), which
//! would cost 40 ms for each message that is longer than the buffer.

mod may;
mod smol;
mod threads;
mod tokio;
mod yieldfrom;

use std::io;

/// Listens at a port that the system chooses, [announces](crate::serve::announce) it, and serves until the process ends.
pub type Serve = fn() -> io::Result<()>;

pub const YIELDFROM: &str = "yieldfrom";
pub const SMOL: &str = "smol";
pub const TOKIO: &str = "tokio";
pub const THREADS: &str = "threads";

/// In the order of the table.
pub const ALL: [(&str, Serve); 5] = [
    (YIELDFROM, yieldfrom::serve),
    (SMOL, smol::serve),
    (TOKIO, tokio::serve),
    ("may", may::serve),
    (THREADS, threads::serve),
];

/// In bytes. More than a message has by default, so that one read takes a whole message and sees that it is all.
const BUFFER: usize = 4096;

const ANY_PORT: (std::net::Ipv4Addr, u16) = (std::net::Ipv4Addr::LOCALHOST, 0);

/// A connection that a client resets has ended, and no more.
fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

/// Reports what a connection has failed with.
fn report(result: io::Result<()>) {
    match result {
        Err(error) if !has_ended(&error) => eprintln!("a connection failed: {error}"),
        _ => {}
    }
}
