//! Gets many URLs at once, on one thread, with an HTTP client that blocks.
//!
//! ureq is synchronous: `agent.get(url).call()` returns when the answer is there. Here each call runs in a fiber. ureq lets
//! its sockets be replaced (adapters/ureq.rs), so it waits by suspending the fiber; HTTP, redirects, timeouts and TLS are its
//! own, unmodified. Without fibers one would need a thread for each request, or another client that is written for `async`.
//!
//! Look at `get`: it is what one would write for one URL and a thread that has nothing else to do.
//!
//! ```text
//! cargo run --release --example ureq_many
//! cargo run --release --example ureq_many -- https://www.rust-lang.org https://docs.rs https://crates.io
//! ```

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use async_io::Timer;
use lexopt::{Arg, ValueExt};
use ureq::Agent;
use yieldfrom::{await_, fiber};

#[path = "adapters/http_server.rs"]
mod http_server;
#[path = "adapters/ureq.rs"]
mod ureq_on_fibers;

use http_server::{Response, Server};

type Executor = Rc<LocalExecutor<'static>>;

/// The status and how many bytes there were.
type Answer = Result<(u16, u64), ureq::Error>;

/// The threads that have run a request.
type Threads = Rc<RefCell<HashSet<ThreadId>>>;

/// Nothing in here knows of fibers.
fn get(agent: &Agent, url: &str) -> Answer {
    let response = agent.get(url).call()?;
    let status = response.status().as_u16();
    let mut body = response.into_body().into_reader();
    Ok((status, io::copy(&mut body, &mut io::sink())?))
}

/// As [`get`], and notes the thread.
fn get_noting(agent: &Agent, url: &str, threads: &Threads) -> Answer {
    threads.borrow_mut().insert(thread::current().id());
    let answer = get(agent, url);
    threads.borrow_mut().insert(thread::current().id());
    answer
}

/// One fiber gets them all.
async fn one_after_the_other(options: &Options, urls: &[String], threads: &Threads) -> Vec<Answer> {
    let (agent, urls, threads) = (options.agent(), urls.to_vec(), threads.clone());
    fiber(move || {
        urls.iter()
            .map(|url| get_noting(&agent, url, &threads))
            .collect()
    })
    .await
}

/// Each one has a fiber of its own.
async fn all_at_once(
    options: &Options,
    executor: &Executor,
    urls: &[String],
    threads: &Threads,
) -> Vec<Answer> {
    let agent = options.agent();
    let tasks: Vec<_> = urls
        .iter()
        .map(|url| {
            let (agent, url, threads) = (agent.clone(), url.clone(), threads.clone());
            executor.spawn(fiber(move || get_noting(&agent, &url, &threads)))
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await);
    }
    answers
}

/// A server on this thread too, which takes its time.
fn start_server(executor: &Executor, delay: Duration) -> io::Result<Server> {
    Server::start(executor, move |request| match await_(Timer::after(delay)) {
        Ok(_) => Response::new(200, format!("this is {}", request.path)),
        Err(_) => Response::new(503, "the server has been stopped"),
    })
}

async fn run(mut options: Options, executor: Executor) -> io::Result<ExitCode> {
    let _server;
    if options.urls.is_empty() {
        let server = start_server(&executor, options.delay)?;
        let urls = (0..100).map(|n| format!("http://{}/{n}", server.address()));
        options.urls = urls.collect();
        options.may_use_proxy = false;
        _server = server;
    }
    let count = options.count.unwrap_or(options.urls.len());
    let urls: Vec<_> = options.urls.iter().cycle().take(count).cloned().collect();
    let threads = Threads::default();

    let start = Instant::now();
    one_after_the_other(&options, &urls, &threads).await;
    let sequential = start.elapsed();
    let start = Instant::now();
    let answers = all_at_once(&options, &executor, &urls, &threads).await;
    let concurrent = start.elapsed();

    let mut out = io::stdout().lock();
    let mut code = ExitCode::SUCCESS;
    for (url, answer) in urls.iter().zip(answers) {
        match answer {
            Ok((status, length)) => writeln!(out, "{status} {length:7} bytes  {url}")?,
            Err(error) => {
                eprintln!("ureq_many: {url}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    let (sequential, concurrent) = (sequential.as_secs_f64(), concurrent.as_secs_f64());
    let ratio = sequential / concurrent;
    writeln!(out, "one after the other: {sequential:.3} s")?;
    writeln!(out, "all at once: {concurrent:.3} s")?;
    writeln!(out, "ratio: {ratio:.1}")?;
    let count = threads.borrow().len();
    writeln!(out, "threads that ran the requests: {count}")?;
    Ok(code)
}

// ---- the command line ----

struct Options {
    urls: Vec<String>,
    count: Option<usize>,
    delay: Duration,
    timeout: Duration,
    /// The one that the environment names.
    may_use_proxy: bool,
    is_help: bool,
}

impl Options {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut options = Self {
            urls: Vec::new(),
            count: None,
            delay: Duration::from_millis(20),
            timeout: Duration::from_secs(30),
            may_use_proxy: true,
            is_help: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('h') | Arg::Long("help") => options.is_help = true,
                Arg::Short('n') | Arg::Long("count") => {
                    options.count = Some(parser.value()?.parse()?);
                }
                Arg::Long("delay") => {
                    options.delay = Duration::from_millis(parser.value()?.parse()?);
                }
                Arg::Long("timeout") => {
                    options.timeout = Duration::from_millis(parser.value()?.parse()?);
                }
                Arg::Value(url) => options.urls.push(url.string()?),
                Arg::Long(name) => {
                    return Err(format!("unknown argument {:?}", format!("--{name}")).into());
                }
                Arg::Short(letter) => {
                    return Err(format!("unknown argument {:?}", format!("-{letter}")).into());
                }
            }
        }
        Ok(options)
    }

    /// One that has no open connections yet.
    fn agent(&self) -> Agent {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(self.timeout));
        if !self.may_use_proxy {
            config = config.proxy(None);
        }
        ureq_on_fibers::agent(config.build())
    }
}

const HELP: &str = "\
ureq_many: gets many URLs with ureq, which blocks: first one after the other, then all at once, on one thread

Run it with: cargo run --example ureq_many
         or: cargo run --release --example ureq_many -- [OPTION].. [URL]..

Without a URL it starts a server of its own, on the same thread, which takes its time for each answer.

  -n, --count N   so many requests, the URLs again and again; each URL once, or 100 without URLs
  --delay MS      how long its own server takes; 20
  --timeout MS    how long each request may take; 30000

It fails with 1 if any request of the second run fails, and prints why. A status such as 404 is an answer.
";

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("ureq_many: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    let result = match options.is_help {
        true => write!(io::stdout(), "{HELP}").map(|()| ExitCode::SUCCESS),
        false => {
            let executor = Executor::default();
            async_io::block_on(executor.run(run(options, executor.clone())))
        }
    };
    match result {
        Ok(code) => code,
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ureq_many: {error}");
            ExitCode::FAILURE
        }
    }
}
