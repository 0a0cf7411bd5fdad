//! The client: on each connection it sends a message, waits until all of it is back, and sends the next one.
//!
//! One thread waits for all connections at once, edge-triggered, which takes a read and a write for each message and a
//! share of a wait: no more than the fastest server. Where the client is slower all the same, the server's core is not
//! busy all the time, and the table says so.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

/// How many connections there are, and what is sent on them.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Connections on which nothing is sent meanwhile.
    pub idle: usize,
    pub busy: usize,
    /// Of a message, in bytes.
    pub size: usize,
}

/// When no further message is sent.
#[derive(Clone, Copy)]
pub enum Until {
    Elapsed(Duration),
    Messages(u64),
}

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    poll: Poll,
    busy: Vec<Busy>,
    idle: Vec<TcpStream>,
    /// As long as a message.
    answer: Vec<u8>,
}

struct Busy {
    stream: mio::net::TcpStream,
    message: Vec<u8>,
    sent: usize,
    received: usize,
    since: Instant,
}

impl Client {
    /// Opens all connections. The server is known to serve each of them before the next one is opened.
    pub fn connect(address: SocketAddr, scenario: &Scenario) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut answer = vec![0; scenario.size];
        let mut open = || -> io::Result<TcpStream> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            exchange(&mut stream, &mut answer)?;
            Ok(stream)
        };
        let idle: io::Result<Vec<TcpStream>> = (0..scenario.idle).map(|_| open()).collect();
        let idle = idle?;
        let mut busy = Vec::with_capacity(scenario.busy);
        for i in 0..scenario.busy {
            let stream = open()?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(i), both)?;
            busy.push(Busy {
                stream,
                message: message(i, scenario.size),
                sent: scenario.size,
                received: scenario.size,
                since: Instant::now(),
            });
        }
        Ok(Self {
            poll,
            busy,
            idle,
            answer,
        })
    }

    /// Keeps the busy connections busy, and waits for what is under way in the end. Adds how long each message took, in
    /// nanoseconds, and returns how long all of it took.
    pub fn run(&mut self, until: Until, latencies: &mut Vec<u32>) -> io::Result<Duration> {
        let start = Instant::now();
        let (mut left, time) = match until {
            Until::Elapsed(time) => (u64::MAX, time),
            Until::Messages(n) => (n, Duration::MAX),
        };
        let mut under_way = 0;
        for busy in &mut self.busy {
            if left > 0 {
                left -= 1;
                under_way += 1;
                busy.start(Instant::now())?;
            }
        }
        let mut events = Events::with_capacity(1024);
        while under_way > 0 {
            wait(&mut self.poll, &mut events)?;
            if start.elapsed() >= time {
                left = 0;
            }
            for event in &events {
                let busy = &mut self.busy[event.token().0];
                if !busy.go_on(&mut self.answer)? {
                    continue;
                }
                let now = Instant::now();
                let latency = now.duration_since(busy.since).as_nanos();
                latencies.push(latency.try_into().unwrap_or(u32::MAX));
                if left > 0 {
                    left -= 1;
                    busy.start(now)?;
                } else {
                    under_way -= 1;
                }
            }
        }
        Ok(start.elapsed())
    }

    /// Sends a message on each idle connection, and sees it come back.
    pub fn wake_idle(&mut self) -> io::Result<()> {
        for stream in &mut self.idle {
            exchange(stream, &mut self.answer)?;
        }
        Ok(())
    }
}

impl Busy {
    /// Begins with the next message.
    fn start(&mut self, now: Instant) -> io::Result<()> {
        // Every message is another one.
        let turn = self.message.iter_mut().take(4);
        for byte in turn {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        (self.sent, self.received, self.since) = (0, 0, now);
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        while self.sent < self.message.len() {
            match self.stream.write(&self.message[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns whether all of the message is back.
    fn go_on(&mut self, answer: &mut [u8]) -> io::Result<bool> {
        let size = self.message.len();
        if self.received == size {
            return Ok(false); // an event about nothing
        }
        self.send()?;
        while self.received < size {
            let rest = size - self.received;
            match self.stream.read(&mut answer[..rest]) {
                Ok(0) => return Err(closed()),
                Ok(n) => {
                    let sent = &self.message[self.received..self.received + n];
                    check(sent, &answer[..n])?;
                    self.received += n;
                    if n < rest {
                        break; // there is an event when there is more
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.received == size)
    }
}

/// A message that nobody else sends.
fn message(number: usize, size: usize) -> Vec<u8> {
    let turn = [0; 4];
    let number = (number as u32).to_le_bytes();
    let filling = (0..size).map(|i| i as u8);
    turn.into_iter()
        .chain(number)
        .chain(filling)
        .take(size)
        .collect()
}

/// Sends a message and waits for it.
fn exchange(stream: &mut TcpStream, answer: &mut [u8]) -> io::Result<()> {
    let message = message(usize::MAX, answer.len());
    stream.write_all(&message)?;
    stream.read_exact(answer)?;
    check(&message, answer)
}

fn wait(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    loop {
        match poll.poll(events, Some(PATIENCE)) {
            Ok(()) if events.is_empty() => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn check(sent: &[u8], received: &[u8]) -> io::Result<()> {
    if sent != received {
        return Err(io::Error::other("what comes back is not what was sent"));
    }
    Ok(())
}

fn closed() -> io::Error {
    let message = "the server has closed a connection";
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}
