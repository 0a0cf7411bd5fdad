//! The commands of the `redis` crate on any connection that reads and writes, so also on one that suspends a fiber.
//!
//! `redis::Connection` owns a socket of the standard library. But all commands, pipelines and transactions only ask for a
//! [`ConnectionLike`], and the crate gives away its [`Parser`]. This puts the two together:
//!
//! ```ignore
//! let mut redis = Connection::new(yieldfrom::io::TcpStream::connect("127.0.0.1:6379")?);
//! let visits: u64 = redis.incr("visits", 1)?; // `redis::Commands`
//! let (job, _): (String, String) = redis.blpop("jobs", 0.0)?; // this fiber waits, the thread does not
//! ```
//!
//! To log in, send `AUTH` as the first command. Left out: `PubSub`, which the crate offers for its own connection only.

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};

use redis::{Cmd, ConnectionLike, ErrorKind, Parser, RedisError, RedisResult, Value, cmd};

/// A connection to a redis server.
pub struct Connection<S> {
    stream: S,
    parser: Parser,
    database: i64,
    is_open: bool,
}

impl<S: Read + Write> Connection<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            parser: Parser::new(),
            database: 0,
            is_open: true,
        }
    }

    /// Goes on with another database than that of number 0.
    #[allow(dead_code)] // most have but one
    pub fn select(&mut self, database: i64) -> RedisResult<()> {
        cmd("SELECT").arg(database).exec(self)?;
        self.database = database;
        Ok(())
    }

    fn send(&mut self, packed: &[u8]) -> RedisResult<()> {
        if !self.is_open {
            let error = "an earlier command has failed half-way";
            return Err(io::Error::new(io::ErrorKind::NotConnected, error).into());
        }
        let sent = self.stream.write_all(packed);
        let sent = sent.and_then(|()| self.stream.flush());
        self.note(sent.map_err(RedisError::from))
    }

    fn receive(&mut self) -> RedisResult<Value> {
        loop {
            let value = self.parser.parse_value(&mut self.stream);
            match self.note(value)? {
                Value::Push { .. } => {} // comes between the answers, with protocol 3
                value => return Ok(value),
            }
        }
    }

    /// After an answer that was not read to its end, nobody knows whose answer is next.
    fn note<T>(&mut self, done: RedisResult<T>) -> RedisResult<T> {
        self.is_open &= done.is_ok();
        done
    }
}

impl<S: Read + Write> ConnectionLike for Connection<S> {
    fn req_packed_command(&mut self, packed: &[u8]) -> RedisResult<Value> {
        if packed.is_empty() {
            return Err((ErrorKind::Client, "empty command").into());
        }
        self.send(packed)?;
        self.receive()
    }

    /// For a transaction, `offset` answers come before those that are asked for: one for `MULTI`, and "QUEUED" for each
    /// command. What was not queued is an error, after all answers are read.
    fn req_packed_commands(
        &mut self,
        packed: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        self.send(packed)?;
        let mut refused = None;
        for _ in 0..offset {
            if let Value::ServerError(error) = self.receive()? {
                refused.get_or_insert(error);
            }
        }
        let answers: RedisResult<_> = (0..count).map(|_| self.receive()).collect();
        match refused {
            Some(error) => answers.and(Err(RedisError::from(error))),
            None => answers,
        }
    }

    fn req_command(&mut self, command: &Cmd) -> RedisResult<Value> {
        let packed = command.get_packed_command();
        if command.is_no_response() {
            return self.send(&packed).map(|()| Value::Nil);
        }
        self.req_packed_command(&packed)
    }

    fn get_db(&self) -> i64 {
        self.database
    }

    fn check_connection(&mut self) -> bool {
        cmd("PING").exec(self).is_ok()
    }

    fn is_open(&self) -> bool {
        self.is_open
    }
}
