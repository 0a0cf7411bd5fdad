//! rustls, at either end and at both.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net;
use std::rc::Rc;
use std::sync::{self, Arc};
use std::thread;

use async_io::block_on;
use blocking::unblock;
use futures_lite::future::{or, zip};
use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::{Cancelled, fiber};

use super::executor;
use super::http_server::Barrier;
use super::tls::{Ends, finish};

const COUNT: usize = 8;

/// More than the buffers of a connection hold, so that reads and writes wait for each other.
const LENGTH: usize = 4 << 20;

/// Sends a line back, when all the others have got theirs. The stream may block the thread or suspend a fiber.
fn serve(ends: &Ends, stream: impl Read + Write, wait: impl FnOnce()) -> io::Result<()> {
    let mut stream = BufReader::new(ends.accept(stream)?);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    wait();
    stream.get_mut().write_all(line.to_uppercase().as_bytes())?;
    finish(stream.get_mut())?;
    assert_eq!(stream.read(&mut [0])?, 0); // it was not cut off
    Ok(())
}

fn ask(ends: &Ends, stream: impl Read + Write) -> io::Result<String> {
    let mut stream = ends.connect(stream)?;
    stream.write_all(b"a line\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    finish(&mut stream)?;
    Ok(answer)
}

#[test]
fn fibers_serve_many_blocking_clients_at_once() {
    let (executor, ends) = (executor(), Ends::new().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..COUNT)
        .map(|_| {
            let ends = ends.clone();
            unblock(move || ask(&ends, net::TcpStream::connect(address).unwrap()))
        })
        .collect();
    let barrier = Rc::new(Barrier::new(COUNT));
    let accepting = executor.spawn(fiber({
        let executor = executor.clone();
        move || -> Vec<_> {
            let streams = listener.incoming().take(COUNT);
            let serve = |stream| {
                let (ends, barrier) = (ends.clone(), barrier.clone());
                executor.spawn(fiber(move || {
                    serve(&ends, stream, || barrier.wait().unwrap())
                }))
            };
            streams.map(|stream| serve(stream.unwrap())).collect()
        }
    }));
    block_on(executor.run(async {
        for serving in accepting.await {
            serving.await.unwrap();
        }
        for client in clients {
            assert_eq!(client.await.unwrap(), "A LINE\n");
        }
    }));
}

#[test]
fn fibers_ask_many_blocking_servers_at_once() {
    let (executor, ends) = (executor(), Ends::new().unwrap());
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn({
        let ends = ends.clone();
        move || {
            let barrier = Arc::new(sync::Barrier::new(COUNT));
            let serving: Vec<_> = (0..COUNT)
                .map(|_| {
                    let (ends, barrier) = (ends.clone(), barrier.clone());
                    let stream = listener.accept().unwrap().0;
                    thread::spawn(move || serve(&ends, stream, || _ = barrier.wait()))
                })
                .collect();
            serving
                .into_iter()
                .for_each(|one| one.join().unwrap().unwrap());
        }
    });
    let clients: Vec<_> = (0..COUNT)
        .map(|_| {
            let ends = ends.clone();
            executor.spawn(fiber(move || ask(&ends, TcpStream::connect(address)?)))
        })
        .collect();
    block_on(executor.run(async {
        for client in clients {
            assert_eq!(client.await.unwrap(), "A LINE\n");
        }
    }));
    server.join().unwrap();
}

#[test]
fn more_than_a_connection_holds_goes_through_two_fibers() {
    let ends = Ends::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sent: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
    let server = fiber({
        let (ends, sent) = (ends.clone(), sent.clone());
        move || -> io::Result<()> {
            let mut stream = ends.accept(listener.accept()?.0)?;
            stream.write_all(&sent)?;
            finish(&mut stream)?;
            assert_eq!(stream.read(&mut [0])?, 0);
            Ok(())
        }
    });
    let client = fiber(move || -> io::Result<Vec<u8>> {
        let mut stream = ends.connect(TcpStream::connect(address)?)?;
        let mut got = Vec::new();
        stream.read_to_end(&mut got)?;
        finish(&mut stream)?;
        Ok(got)
    });
    let (served, got) = block_on(zip(server, client));
    served.unwrap();
    assert!(got.unwrap() == sent);
}

#[test]
fn a_connection_that_is_cut_off_is_an_error() {
    let ends = Ends::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = fiber({
        let ends = ends.clone();
        move || -> io::Result<()> {
            let mut stream = ends.accept(listener.accept()?.0)?;
            stream.write_all(b"half of")?;
            stream.flush() // and nothing that says that this is all
        }
    });
    let client = unblock(move || {
        let mut stream = ends.connect(net::TcpStream::connect(address)?)?;
        stream.read_to_end(&mut Vec::new())
    });
    let (served, read) = block_on(zip(server, client));
    served.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_handshake_that_is_cancelled_says_so() {
    let ends = Ends::new().unwrap();
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (has_hello, wait_for_hello) = async_channel::bounded(1);
    let server = unblock(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.read_exact(&mut [0; 5]).unwrap();
        has_hello.try_send(()).unwrap();
        io::copy(&mut stream, &mut io::sink()).map(drop) // until the client has left
    });
    let mut client = fiber(move || ask(&ends, TcpStream::connect(address)?));
    let cancelled = block_on(async {
        let is_waiting = async { wait_for_hello.recv().await.is_ok() };
        let is_over = async {
            let _ = (&mut client).await;
            false
        };
        assert!(or(is_waiting, is_over).await);
        let cancelled = client.cancel();
        server.await.unwrap();
        cancelled
    });
    assert!(Cancelled::is_behind(&cancelled.unwrap().unwrap_err()));
}
