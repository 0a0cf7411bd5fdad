//! This crate: sync code in fibers, on async-executor's executor of one thread.

use std::io::{self, Read, Write};
use std::rc::Rc;

use async_executor::LocalExecutor;
use yieldfrom::fiber;
use yieldfrom::io::{TcpListener, TcpStream};

use super::{ANY_PORT, BUFFER, report};
use crate::serve::announce;

pub fn serve() -> io::Result<()> {
    let executor = Rc::new(LocalExecutor::new());
    let spawner = Rc::clone(&executor);
    async_io::block_on(executor.run(fiber(move || accept(&spawner))))
}

fn accept(executor: &LocalExecutor<'static>) -> io::Result<()> {
    let listener = TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        executor.spawn(fiber(move || report(echo(stream)))).detach();
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
