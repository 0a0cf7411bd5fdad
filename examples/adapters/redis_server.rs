//! A redis server for an example or a test, which ends with it.

#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A `redis-server` at a free port of the loopback address. It keeps nothing on disk, and is killed when this is dropped.
pub struct Server {
    address: SocketAddr,
    child: Child,
    /// Its log. If this were closed, the server would fail to write.
    _log: BufReader<ChildStdout>,
}

/// What to do where there is none.
pub const MISSING: &str = "SKIPPED: there is no redis-server on PATH; \
    install it (`apt-get install redis-server`, `brew install redis`), or give the address of one";

impl Server {
    /// Starts one, and waits until it answers. `None` if it is not installed.
    pub fn start() -> io::Result<Option<Self>> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            // Somebody else may take the port meanwhile, so there is more than one try.
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            drop(listener);
            match Self::at(address) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Ok(None) => {}
                started => return started,
            }
        }
        Err(io::Error::other("redis-server ends as soon as it starts"))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn at(address: SocketAddr) -> io::Result<Option<Self>> {
        let port = address.port().to_string();
        let mut child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--logfile", "", "--loglevel", "notice"])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut line = Vec::new();
        while log.read_until(b'\n', &mut line)? > 0 {
            if String::from_utf8_lossy(&line).contains("eady to accept connections") {
                return Ok(Some(Self {
                    address,
                    child,
                    _log: log,
                }));
            }
            line.clear();
        }
        child.wait()?;
        Ok(None)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
