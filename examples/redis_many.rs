//! Many users of one redis server at once, on one thread, with the synchronous API of the `redis` crate.
//!
//! Each fiber has a connection of its own and calls `incr`, `set`, `get` and a pipeline, as any synchronous program does. The
//! first one calls `blpop`, which waits at the server until there is a job; it is the last one that pushes the job, when all
//! others are through. So if `blpop` kept the thread, this would never end.
//!
//! Look at `adapters/redis.rs`: those are all the lines between the crate and a socket that suspends a fiber.

#![forbid(unsafe_code)]

#[path = "adapters/redis.rs"]
mod adapter;
#[path = "adapters/redis_server.rs"]
mod redis_server;
#[path = "adapters/threads.rs"]
mod threads;

use std::cell::Cell;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;

use async_executor::LocalExecutor;
use lexopt::prelude::*;
use redis::{Commands, RedisResult, pipe};
use yieldfrom::io::TcpStream;
use yieldfrom::{Fiber, fiber};

use adapter::Connection;
use redis_server::Server;
use threads::Threads;

type Redis = Connection<TcpStream>;

/// What one user does. Returns what it read back, and the sum that the pipeline has computed.
fn visit(redis: &mut Redis, keys: &str, number: usize) -> RedisResult<(String, i64)> {
    let () = redis.incr(format!("{keys}:visits"), 1)?;
    let name = format!("{keys}:name:{number}");
    let () = redis.set(&name, format!("user {number}"))?;
    let name_read = redis.get(&name)?;
    let sum = format!("{keys}:sum:{number}");
    let (_, total): (i64, i64) = pipe()
        .atomic()
        .incr(&sum, number)
        .incr(&sum, 1000)
        .del(&[&name, &sum])
        .ignore()
        .query(redis)?;
    Ok((name_read, total))
}

/// Waits for a job, as long as it takes.
fn work(redis: &mut Redis, keys: &str) -> RedisResult<String> {
    let (_, job): (String, String) = redis.blpop(format!("{keys}:jobs"), 0.0)?;
    Ok(job)
}

/// What all users share.
#[derive(Clone)]
struct Setting {
    address: String,
    keys: Rc<str>,
    threads: Threads,
}

impl Setting {
    /// A fiber with a connection of its own.
    fn user<R: 'static>(
        &self,
        body: impl FnOnce(&mut Redis, &str) -> RedisResult<R> + 'static,
    ) -> Fiber<RedisResult<R>> {
        let setting = self.clone();
        fiber(move || {
            let mut redis = Connection::new(TcpStream::connect(setting.address)?);
            setting.threads.pass();
            let result = body(&mut redis, &setting.keys);
            setting.threads.pass(); // no other thread has gone on with it
            result
        })
    }
}

/// What there is to tell.
struct Report {
    visits: Vec<(String, i64)>,
    count: usize,
    job: String,
    served_before_job: usize,
    threads: usize,
}

async fn serve(
    executor: &LocalExecutor<'_>,
    setting: Setting,
    users: usize,
) -> RedisResult<Report> {
    let served = Rc::new(Cell::new(0));
    let served_before = served.clone();
    let worker = executor
        .spawn(setting.user(move |redis, keys| Ok((work(redis, keys)?, served_before.get()))));
    let visitors: Vec<_> = (0..users)
        .map(|number| {
            let served = served.clone();
            executor.spawn(setting.user(move |redis, keys| {
                let visit = visit(redis, keys, number)?;
                served.set(served.get() + 1);
                Ok(visit)
            }))
        })
        .collect();
    let mut visits = Vec::new();
    for visitor in visitors {
        visits.push(visitor.await?);
    }
    let push = setting.user(|redis, keys| {
        let visits = format!("{keys}:visits");
        let count: usize = redis.get(&visits)?;
        let () = redis.del(visits)?;
        let () = redis.rpush(format!("{keys}:jobs"), "wash up")?;
        Ok(count)
    });
    let count = push.await?;
    let (job, served_before_job) = worker.await?;
    Ok(Report {
        visits,
        count,
        job,
        served_before_job,
        threads: setting.threads.count(),
    })
}

fn print(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (name, sum) in &report.visits {
        writeln!(out, "{name}: {sum}")?;
    }
    let Report {
        count,
        job,
        served_before_job,
        threads,
        ..
    } = report;
    writeln!(out, "visits: {count}")?;
    writeln!(
        out,
        "job: {job}, after {served_before_job} users had been served"
    )?;
    writeln!(out, "threads: {threads}")
}

const HELP: &str = "\
redis_many: many users of a redis server at once, on one thread, one of whom waits in BLPOP

Run it with: cargo run --example redis_many
         or: cargo run --example redis_many -- [-n USERS] [HOST:PORT]

Without an address it starts a redis-server of its own, and does nothing if none is installed.
With one it uses keys that begin with `yieldfrom:`, and deletes them.
";

struct Options {
    users: usize,
    address: Option<String>,
    help: bool,
}

fn parse() -> Result<Options, lexopt::Error> {
    let mut options = Options {
        users: 8,
        address: None,
        help: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => options.help = true,
            Short('n') => options.users = parser.value()?.parse()?,
            Value(address) if options.address.is_none() => {
                options.address = Some(address.string()?);
            }
            Long(name) => return Err(format!("unknown argument \"--{name}\"").into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn perform(options: Options) -> io::Result<()> {
    if options.help {
        return write!(io::stdout(), "{HELP}");
    }
    let (address, _server) = match options.address {
        Some(address) => (address, None),
        None => match Server::start()? {
            Some(server) => (server.address().to_string(), Some(server)),
            None => return writeln!(io::stdout(), "{}", redis_server::MISSING),
        },
    };
    let setting = Setting {
        address: address.clone(),
        keys: format!("yieldfrom:{}", std::process::id()).into(),
        threads: Threads::default(),
    };
    let executor = LocalExecutor::new();
    let served = async_io::block_on(executor.run(serve(&executor, setting, options.users)));
    // Not as it is: its kind may be that of a reader of ours who has left.
    let report = served.map_err(|error| io::Error::other(format!("{address}: {error}")))?;
    print(&report)
}

fn main() -> ExitCode {
    let options = match parse() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("redis_many: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    match perform(options) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("redis_many: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
