//! The server: what one says, all hear.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::pending;
use std::io::{self, ErrorKind, Read, Write};

use async_channel::{Receiver, Sender};
use futures_lite::future::{or, yield_now};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tungstenite::{Error, HandshakeError, Message, Utf8Bytes, WebSocket};
use yieldfrom::await_;
use yieldfrom::io::TcpStream;

/// Messages that may wait for a client. One that does not keep up has to leave.
const BACKLOG: usize = 1000;

/// Who is there.
#[derive(Default)]
pub struct Room {
    seats: RefCell<BTreeMap<u64, Sender<Utf8Bytes>>>,
    next: Cell<u64>,
}

/// A place in a room. Dropping it leaves the room: also when the fiber is cancelled.
struct Seat<'a> {
    room: &'a Room,
    number: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.room.seats.borrow_mut().remove(&self.number);
    }
}

impl Room {
    /// How many are there.
    pub fn count(&self) -> usize {
        self.seats.borrow().len()
    }

    /// Has everybody told that it is over, and leave.
    #[allow(dead_code)]
    pub fn close(&self) {
        self.seats.borrow_mut().clear();
    }

    fn say(&self, text: &Utf8Bytes) {
        let mut seats = self.seats.borrow_mut();
        seats.retain(|_, seat| seat.try_send(text.clone()).is_ok());
    }

    fn join(&self) -> (Seat<'_>, Receiver<Utf8Bytes>) {
        let (sender, receiver) = async_channel::bounded(BACKLOG);
        let number = self.next.get();
        self.next.set(number + 1);
        self.seats.borrow_mut().insert(number, sender);
        (Seat { room: self, number }, receiver)
    }

    /// Serves a client until one end or the other closes the connection.
    ///
    /// A WebSocket cannot be divided into a half that reads and a half that writes, so this fiber waits for both at once: for
    /// something to read, and for something that another client has said.
    pub fn serve(&self, stream: TcpStream) -> Result<(), Error> {
        let (_seat, receiver) = self.join();
        let mut receiver = Some(receiver);
        let stream = tungstenite::accept(stream).map_err(failure)?.into_inner();
        let config = Some(WebSocketConfig::default());
        let mut socket = WebSocket::from_raw_socket(Impatient(stream), Role::Server, config);
        loop {
            match socket.read() {
                Ok(Message::Text(text)) => {
                    self.say(&text);
                    // One that talks without end is not to keep the thread.
                    await_(yield_now()).map_err(io::Error::from)?;
                }
                Ok(_) => {} // pings and the order to close have been answered
                Err(Error::ConnectionClosed) => return Ok(()),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    match next(&socket.get_ref().0, receiver.as_ref())? {
                        Next::Readable => {}
                        Next::Heard(text) => socket.send(Message::Text(text))?,
                        Next::Over => {
                            receiver = None;
                            socket.close(Some(CloseFrame {
                                code: CloseCode::Away,
                                reason: "the room is closed".into(),
                            }))?; // and read on, until the client has answered
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What a client's fiber has waited for.
enum Next {
    Readable,
    Heard(Utf8Bytes),
    /// Nobody will say anything more.
    Over,
}

fn next(stream: &TcpStream, receiver: Option<&Receiver<Utf8Bytes>>) -> io::Result<Next> {
    let heard = async {
        match receiver {
            Some(receiver) => Ok(receiver.recv().await.map_or(Next::Over, Next::Heard)),
            None => pending().await,
        }
    };
    let readable = async {
        stream.as_async().readable().await?;
        Ok(Next::Readable)
    };
    await_(or(heard, readable))?
}

/// A connection whose reads do not wait but say `WouldBlock`, which a `WebSocket` knows to come back from. Writes do wait.
struct Impatient(TcpStream);

impl Read for Impatient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.get_ref().read(buffer)
    }
}

impl Write for Impatient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Why there is no connection. A handshake is never left in the middle, since its reads and writes wait.
pub fn failure<R: tungstenite::handshake::HandshakeRole>(error: HandshakeError<R>) -> Error {
    match error {
        HandshakeError::Failure(error) => error,
        HandshakeError::Interrupted(_) => Error::Io(ErrorKind::WouldBlock.into()),
    }
}
