//! may: stackful coroutines with a scheduler of their own, here on one worker.

use std::io::{self, Read, Write};

use may::go;
use may::net::{TcpListener, TcpStream};

use super::{ANY_PORT, BUFFER, report};
use crate::serve::announce;

pub fn serve() -> io::Result<()> {
    may::config().set_workers(1);
    match go!(accept).join() {
        Ok(result) => result,
        Err(_) => Err(io::Error::other("the coroutine that accepts has panicked")),
    }
}

fn accept() -> io::Result<()> {
    let listener = TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        go!(move || report(echo(stream)));
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; BUFFER];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n])?;
    }
}
