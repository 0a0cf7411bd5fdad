//! The client. It knows nothing of fibers, and would do as well on a thread of its own with a `std::net::TcpStream`.

#![forbid(unsafe_code)]

use std::io::{Read, Write};

use tungstenite::{Error, Message, WebSocket};

use super::room::failure;

/// Joins the room, calls `joined`, says something, listens until it has heard `count` messages, and closes the connection.
pub fn chat<S: Read + Write>(
    stream: S,
    joined: impl FnOnce(),
    what: &str,
    count: usize,
) -> Result<Vec<String>, Error> {
    let (mut socket, _) = tungstenite::client("ws://localhost/", stream).map_err(failure)?;
    joined();
    socket.send(Message::text(what))?;
    let mut heard = Vec::new();
    while heard.len() < count {
        if let Message::Text(text) = socket.read()? {
            heard.push(text.to_string());
        }
    }
    socket.close(None)?;
    drain(socket)?;
    Ok(heard)
}

/// Reads on until the other end has closed the connection too.
pub fn drain<S: Read + Write>(mut socket: WebSocket<S>) -> Result<(), Error> {
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
