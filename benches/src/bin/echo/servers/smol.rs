//! smol: async code on async-io, on an executor of one thread.

use std::io;
use std::net::{TcpListener, TcpStream};

use async_executor::LocalExecutor;
use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use super::{ANY_PORT, BUFFER, report};
use crate::serve::announce;

pub fn serve() -> io::Result<()> {
    let executor = LocalExecutor::new();
    async_io::block_on(executor.run(accept(&executor)))
}

async fn accept(executor: &LocalExecutor<'_>) -> io::Result<()> {
    let listener = Async::<TcpListener>::bind(ANY_PORT)?;
    announce(listener.get_ref().local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        executor
            .spawn(async { report(echo(stream).await) })
            .detach();
    }
}

async fn echo(mut stream: Async<TcpStream>) -> io::Result<()> {
    stream.get_ref().set_nodelay(true)?;
    let mut buffer = [0; BUFFER];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}
