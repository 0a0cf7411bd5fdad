//! A small HTTP/1.1 server on fibers: one fiber for each connection, all on the thread of the executor.
//!
//! For examples and tests that need somebody to talk to. It keeps connections alive, and knows bodies with a `Content-Length`;
//! chunked requests are refused with 411, and there is neither compression nor a limit on time.
//!
//! ```ignore
//! #[path = "adapters/http_server.rs"]
//! mod http_server;
//! use http_server::{Response, Server};
//!
//! let executor = Rc::new(LocalExecutor::new());
//! let server = Server::start(&executor, |request| match request.path.as_str() {
//!     "/slow" => {
//!         let _ = await_(Timer::after(DELAY)); // the others are served meanwhile
//!         Response::new(200, "at last")
//!     }
//!     _ => Response::new(404, "no such page"),
//! })?;
//! println!("http://{}/slow", server.address());
//! // ... until the server is dropped.
//! ```

#![forbid(unsafe_code)]
// Each example uses what it needs.
#![allow(dead_code)]

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use async_executor::{LocalExecutor, Task};
use yieldfrom::fiber;
use yieldfrom::io::{TcpListener, TcpStream};

#[path = "barrier.rs"]
mod barrier;

#[allow(unused_imports)]
pub use barrier::Barrier;

/// A server that accepts connections until it is dropped. Those that are open then go on to their end.
pub struct Server {
    address: SocketAddr,
    _accepting: Task<()>,
}

impl Server {
    /// Listens at a free port of the loopback address. `route` is called in the fiber of the connection, and may wait there.
    pub fn start(
        executor: &Rc<LocalExecutor<'static>>,
        route: impl Fn(&Request) -> Response + 'static,
    ) -> io::Result<Self> {
        let route = Rc::new(route);
        Self::accept(executor, move |stream| serve(stream, &*route))
    }

    /// As [`start`](Self::start), but `connection` gets the bare connection: to put TLS around it, then call [`serve`].
    pub fn accept(
        executor: &Rc<LocalExecutor<'static>>,
        connection: impl Fn(TcpStream) -> io::Result<()> + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let connection = Rc::new(connection);
        // The executor owns this fiber, so the fiber must not own the executor.
        let spawner = Rc::downgrade(executor);
        let accepting = executor.spawn(fiber(move || {
            for stream in listener.incoming().flatten() {
                let Some(executor) = spawner.upgrade() else {
                    return;
                };
                let connection = connection.clone();
                let serving = fiber(move || {
                    // A client that has gone away is none of the server's business.
                    let _ = connection(stream);
                });
                executor.spawn(serving).detach();
            }
        }));
        Ok(Self {
            address,
            _accepting: accepting,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What a client asks for.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.0 == name)?;
        Some(&header.1)
    }
}

/// What the client gets.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Adds a header. Do not add `Content-Length`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn send(&self, mut to: impl Write, has_body: bool, is_last: bool) -> io::Result<()> {
        let length = self.body.len();
        let mut bytes = format!("HTTP/1.1 {} -\r\nContent-Length: {length}\r\n", self.status);
        for (name, value) in &self.headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        bytes += if is_last {
            "Connection: close\r\n\r\n"
        } else {
            "\r\n"
        };
        let mut bytes = bytes.into_bytes();
        if has_body {
            bytes.extend_from_slice(&self.body);
        }
        to.write_all(&bytes)?;
        to.flush()
    }
}

/// Answers the requests of one connection until the client has no more.
pub fn serve(stream: impl Read + Write, route: impl Fn(&Request) -> Response) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let request = match receive(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return Response::new(411, "").send(reader.get_mut(), true, true);
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Response::new(400, error.to_string()).send(reader.get_mut(), true, true);
            }
            Err(error) => return Err(error),
        };
        let is_last = request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let has_body = request.method != "HEAD";
        route(&request).send(reader.get_mut(), has_body, is_last)?;
        if is_last {
            return Ok(());
        }
    }
}

/// Bytes of a request line with all headers, and of a body.
const MOST: u64 = 1 << 20;

/// Reads one request. `None` if the client has no more.
fn receive(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = reader.by_ref().take(MOST);
    let Some(line) = receive_line(&mut head)? else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(invalid("this is no HTTP/1.1 request line"));
    };
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = receive_line(&mut head)?.ok_or(ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or(invalid("a header has no colon"))?;
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
    if request.header("transfer-encoding").is_some() {
        return Err(ErrorKind::Unsupported.into());
    }
    let length = request.header("content-length").map_or(Ok(0), str::parse);
    let length = length.map_err(|_| invalid("the length is no number"))?;
    if length > MOST {
        return Err(invalid("the body is too long"));
    }
    reader.take(length).read_to_end(&mut request.body)?;
    if (request.body.len() as u64) < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(request))
}

/// Reads a line, without its end. `None` at the end of the connection.
fn receive_line(head: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(Some(line.to_owned())),
        None => Err(invalid("a line has no end")),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
