//! The little server, examples/adapters/http_server.rs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use async_io::block_on;
use blocking::unblock;

use super::executor;
use super::http_server::{Barrier, Response, Server};

/// What a server says to these bytes, until it closes the connection.
fn ask(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What the echoing server says to these bytes.
fn echoed(bytes: &'static str) -> String {
    let executor = executor();
    let server = Server::start(&executor, |request| {
        let host = request.header("host").unwrap_or("-");
        let what = format!("{} {} {host} ", request.method, request.path);
        Response::new(200, [what.as_bytes(), &request.body].concat()).header("X-Is", "echo")
    });
    let address = server.as_ref().unwrap().address();
    block_on(executor.run(unblock(move || ask(address, bytes))))
}

#[test]
fn the_server_keeps_a_connection_for_several_requests() {
    assert_eq!(
        echoed(
            "POST /a?b HTTP/1.1\r\nHOST: h\r\ncontent-length: 3\r\n\r\nonePUT /c HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
        ),
        "HTTP/1.1 200 -\r\nContent-Length: 15\r\nX-Is: echo\r\n\r\nPOST /a?b h one\
         HTTP/1.1 200 -\r\nContent-Length: 9\r\nX-Is: echo\r\n\r\nPUT /c - "
    );
}

#[test]
fn the_server_closes_a_connection_when_it_is_asked_to() {
    assert_eq!(
        echoed("HEAD / HTTP/1.1\r\nConnection: Close\r\n\r\nGET /not-answered HTTP/1.1\r\n\r\n"),
        "HTTP/1.1 200 -\r\nContent-Length: 9\r\nX-Is: echo\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn the_server_refuses_what_it_does_not_know() {
    let status = |answer: String| answer[..12].to_owned();
    assert_eq!(status(echoed("nonsense\r\n\r\n")), "HTTP/1.1 400");
    assert_eq!(
        status(echoed("GET / HTTP/1.1\r\nx\r\n\r\n")),
        "HTTP/1.1 400"
    );
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(status(echoed(chunked)), "HTTP/1.1 411");
    assert_eq!(
        echoed("GET / HTTP/1.1\r\nHost"),
        "HTTP/1.1 400 -\r\nContent-Length: 17\r\nConnection: close\r\n\r\na line has no end"
    );
}

#[test]
fn the_server_serves_others_while_a_route_waits() {
    const CLIENTS: usize = 20;
    let executor = executor();
    let barrier = Barrier::new(CLIENTS);
    let server = Server::start(&executor, move |_| match barrier.wait() {
        Ok(()) => Response::new(200, "all are here"),
        Err(_) => Response::new(503, ""),
    });
    let address = server.as_ref().unwrap().address();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| unblock(move || ask(address, "GET / HTTP/1.1\r\n\r\n")))
        .collect();
    block_on(executor.run(async {
        for client in clients {
            assert!(client.await.ends_with("\r\n\r\nall are here"));
        }
    }));
}
