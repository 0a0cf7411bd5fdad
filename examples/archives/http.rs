//! As much of HTTP/1.1 as a download of unknown length needs: a request, an answer, a body in chunks.
//!
//! A body that just ends with its connection would not do. When a sender fails half-way, the destructors of `tar::Builder` and
//! `GzEncoder` put an orderly end to what has been sent so far, and the receiver could not tell. Here the last chunk, of
//! length 0, is sent by whoever knows that all went well.

#![forbid(unsafe_code)]

use std::io::{self, BufRead, ErrorKind, Read, Write};

/// Bytes of a line, or of a request or an answer without its body.
const MOST: u64 = 16 * 1024;

/// Sends a request.
pub fn ask(mut to: impl Write, path: &str) -> io::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    to.write_all(request.as_bytes())
}

/// Receives a request. Returns its path.
pub fn receive_request(from: impl BufRead) -> io::Result<String> {
    let line = receive_head(from)?;
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["GET", path, "HTTP/1.1"] => Ok(path.to_owned()),
        _ => Err(invalid(format!("not a request: {line}"))),
    }
}

/// Begins an answer. What is written to what this returns is the body, until its [`finish`](Chunks::finish).
pub fn begin_answer<W: Write>(mut to: W, status: &str) -> io::Result<Chunks<W>> {
    write!(
        to,
        "HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )?;
    Ok(Chunks(to))
}

/// Receives an answer. What this returns reads the body.
pub fn receive_answer<R: BufRead>(mut from: R) -> io::Result<Body<R>> {
    let line = receive_head(&mut from)?;
    match line.strip_prefix("HTTP/1.1 200 ") {
        Some(_) => Ok(Body {
            from,
            left: 0,
            place: Place::First,
        }),
        None => Err(io::Error::other(format!("the answer is: {line}"))),
    }
}

/// Returns the first line, and passes over the headers.
fn receive_head(from: impl BufRead) -> io::Result<String> {
    let mut head = from.take(MOST);
    let first = receive_line(&mut head)?;
    while !receive_line(&mut head)?.is_empty() {}
    Ok(first)
}

/// Without its end.
fn receive_line(from: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.take(MOST).read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Sends a body: each write is a chunk.
pub struct Chunks<W>(W);

impl<W: Write> Chunks<W> {
    /// Says that this was all. (A drop does not.)
    pub fn finish(mut self) -> io::Result<()> {
        self.0.write_all(b"0\r\n\r\n")?;
        self.0.flush()
    }
}

impl<W: Write> Write for Chunks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            let length = format!("{:x}\r\n", bytes.len());
            self.0
                .write_all(&[length.as_bytes(), bytes, b"\r\n"].concat())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Receives a body. That the connection ends before the last chunk is an error.
pub struct Body<R> {
    from: R,
    /// Bytes of this chunk.
    left: u64,
    place: Place,
}

enum Place {
    First,
    Within,
    End,
}

impl<R: BufRead> Body<R> {
    fn begin_chunk(&mut self) -> io::Result<()> {
        if matches!(self.place, Place::Within) {
            receive_line(&mut self.from)?; // ends the chunk before
        }
        let line = receive_line(&mut self.from)?;
        let length = u64::from_str_radix(&line, 16);
        self.left = length.map_err(|_| invalid(format!("not the length of a chunk: {line:?}")))?;
        self.place = Place::Within;
        if self.left == 0 {
            receive_line(&mut self.from)?;
            self.place = Place::End;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 && !matches!(self.place, Place::End) {
            self.begin_chunk()?;
        }
        if self.left == 0 {
            return Ok(0);
        }
        let got = (&mut self.from).take(self.left).read(buffer)?;
        if got == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left -= got as u64;
        Ok(got)
    }
}
