//! The same job by processes, by threads and by tasks: many at once, each of which waits for an answer from the network. In Python:
//!
//! ```python
//! with multiprocessing.Pool(n) as pool: pool.map(job, range(n))
//! with ThreadPoolExecutor(n) as pool: list(pool.map(job, range(n)))
//! await asyncio.gather(*[job_async(i) for i in range(n)])
//! ```
//!
//! All three wait as long as one of them. What differs is what each costs. Look at the last two columns: a task is started by
//! a function call, and takes a few hundred bytes and the stack that it touches, a page at least; an `async` block takes no stack. A
//! thread is a matter of the system. (The notes that this follows count a suspended Python coroutine at 200 bytes and a thread at
//! megabytes; that is what a thread reserves, not what it takes.)

#[path = "adapters/program.rs"]
mod program;

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream as BlockingStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::task::{Event, LoopThread, Task, gather, run, sleep, spawn};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
three_ways: the same job by processes, by threads and by tasks, and what each costs

    cargo run --release --example three_ways
    cargo run --release --example three_ways -- [OPTIONS]

    --quick     few of each, and an answer at once
";

#[derive(Default)]
struct Arguments {
    is_quick: bool,
    /// Not for people: one of the processes asks here.
    ask: Option<SocketAddr>,
}

fn take(arguments: &mut Arguments, argument: &str) -> Result<bool, String> {
    match argument.strip_prefix("--ask=") {
        Some(address) => {
            let address = address
                .parse()
                .map_err(|_| format!("not an address: {address:?}"))?;
            arguments.ask = Some(address);
            Ok(true)
        }
        None if argument == "--quick" => {
            arguments.is_quick = true;
            Ok(true)
        }
        None => Ok(false),
    }
}

/// The job: asks, and waits for the answer. It is the same code for a thread and for a task; the stream makes the difference.
fn ask(mut stream: impl Read + Write) -> io::Result<()> {
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])
}

/// Answers whoever asks, after a while.
fn answer(listener: &TcpListener, delay: Duration) -> Result<(), Exception> {
    loop {
        let (mut stream, _) = listener.accept()?;
        spawn(move || {
            stream.read_exact(&mut [0])?;
            await_(sleep(delay))?;
            stream.write_all(b"!")?;
            Ok(())
        });
    }
}

/// How much memory a process takes, in bytes, less what it shares with others. `None` where that cannot be asked.
fn memory(process: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let private = rollup.lines().filter(|line| line.starts_with("Private_"));
    let kilobytes = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
    Some(private.filter_map(kilobytes).sum::<u64>() * 1024)
}

fn own_memory() -> Option<u64> {
    memory(std::process::id())
}

/// What `count` of a kind take that wait at the same time.
struct Cost {
    count: usize,
    start: Duration,
    memory: Option<u64>,
}

impl Cost {
    fn per_unit(&self) -> (Duration, Option<u64>) {
        let count = self.count as u64;
        (
            self.start / self.count as u32,
            self.memory.map(|memory| memory / count),
        )
    }
}

/// Starts some, and sees what they take when all of them wait.
fn cost<T>(
    count: usize,
    start: impl FnOnce() -> Result<T, Exception>,
) -> Result<(Cost, T), Exception> {
    let (before, begin) = (own_memory(), Instant::now());
    let started = start()?;
    let start = begin.elapsed();
    let memory = own_memory()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    Ok((
        Cost {
            count,
            start,
            memory,
        },
        started,
    ))
}

// ---- processes ------------------------------------------------------------------------------------------------------

fn start_process(address: SocketAddr) -> io::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(format!("--ask={address}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // It says that it is there, and then waits for a line.
    let out = child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
    out.read_exact(&mut [0])?;
    Ok(child)
}

/// What such a process does.
fn be_a_process(address: SocketAddr) -> Result<(), Exception> {
    io::stdout().write_all(b".")?;
    io::stdout().flush()?;
    io::stdin().lock().read_line(&mut String::new())?;
    ask(BlockingStream::connect(address)?)?;
    Ok(())
}

fn by_processes(address: SocketAddr, count: usize) -> Result<(Cost, Duration), Exception> {
    let (mut cost, mut children) = cost(count, || {
        let children = (0..count).map(|_| start_process(address));
        Ok(children.collect::<io::Result<Vec<_>>>()?)
    })?;
    cost.memory = children.iter().map(|child| memory(child.id())).sum();
    let begin = Instant::now();
    for child in &mut children {
        child
            .stdin
            .take()
            .expect("it is piped")
            .write_all(b"go\n")?;
    }
    for child in &mut children {
        if !child.wait()?.success() {
            return Err(Exception::new("a process has failed"));
        }
    }
    Ok((cost, begin.elapsed()))
}

// ---- threads --------------------------------------------------------------------------------------------------------

fn start_thread(go: Receiver<()>, address: SocketAddr) -> io::Result<JoinHandle<io::Result<()>>> {
    let (there, is_there) = channel();
    let thread = thread::Builder::new().spawn(move || {
        let _ = there.send(()); // the main thread waits for it
        match go.recv() {
            Ok(()) => ask(BlockingStream::connect(address)?),
            Err(_) => Ok(()), // this one was only to be looked at
        }
    })?;
    let _ = is_there.recv(); // as above
    Ok(thread)
}

fn by_threads(
    address: SocketAddr,
    count: usize,
    asked: usize,
) -> Result<(Cost, Duration), Exception> {
    let (gos, goes): (Vec<_>, Vec<_>) = (0..count).map(|_| channel()).unzip();
    let (cost, threads) = cost(count, || {
        let threads = goes.into_iter().map(|go| start_thread(go, address));
        Ok(threads.collect::<io::Result<Vec<_>>>()?)
    })?;
    let begin = Instant::now();
    for go in &gos[..asked] {
        go.send(())?;
    }
    drop(gos);
    for thread in threads {
        thread.join().expect("no job panics")?;
    }
    Ok((cost, begin.elapsed()))
}

// ---- tasks ----------------------------------------------------------------------------------------------------------

/// Starts tasks, lets all of them come to the place where they wait, and has some of them ask.
fn by_tasks(
    count: usize,
    asked: usize,
    start: impl Fn(Event, bool) -> Task<()> + 'static,
) -> Result<(Cost, Duration), Exception> {
    run(move || {
        let go = Event::new();
        let (cost, tasks) = cost(count, || {
            let tasks: Vec<_> = (0..count)
                .map(|which| start(go.clone(), which < asked))
                .collect();
            await_(sleep(Duration::ZERO))?;
            Ok(tasks)
        })?;
        let begin = Instant::now();
        go.set();
        await_(gather(tasks))??;
        Ok((cost, begin.elapsed()))
    })
}

fn start_task(address: SocketAddr, go: &Event, asks: bool) -> Task<()> {
    let go = go.clone();
    spawn(move || {
        await_(go.wait())?;
        if asks {
            ask(TcpStream::connect(address)?)?;
        }
        Ok(())
    })
}

/// The same without a stack: the job has to be written once more.
fn start_async(address: SocketAddr, go: &Event, asks: bool) -> Task<()> {
    use async_io::Async;
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    let go = go.clone();
    spawn(async move {
        go.wait().await;
        if asks {
            // (In a box: only some of these have sockets.)
            let job = Box::pin(async {
                let mut stream = Async::<BlockingStream>::connect(address).await?;
                stream.write_all(b"?").await?;
                stream.read_exact(&mut [0]).await
            });
            job.await?;
        }
        Ok(())
    })
}

// ---- the table ------------------------------------------------------------------------------------------------------

fn bytes(number: Option<u64>) -> String {
    match number {
        None => "-".to_owned(),
        Some(number @ ..10_240) => format!("{number} B"),
        Some(number) => format!("{} KiB", number / 1024),
    }
}

fn compare(is_quick: bool) -> Result<(), Exception> {
    let (delay, asked) = match is_quick {
        true => (Duration::ZERO, 5),
        false => (Duration::from_millis(50), 50),
    };
    let (processes, threads, tasks) = match is_quick {
        true => (asked, 20, 500),
        false => (asked, 1_000, 10_000),
    };
    let server = LoopThread::start("server")?;
    let (tell, hear) = channel();
    server.spawn(move || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        tell.send(listener.local_addr()?)?;
        answer(&listener, delay)
    });
    let address = hear.recv()?;

    let begin = Instant::now();
    for _ in 0..asked {
        ask(BlockingStream::connect(address)?)?;
    }
    let in_sequence = begin.elapsed();

    // From the smallest to the largest: what one has freed would do for the next.
    let by_async = by_tasks(tasks, asked, move |go, asks| {
        start_async(address, &go, asks)
    })?;
    let by_tasks = by_tasks(tasks, asked, move |go, asks| start_task(address, &go, asks))?;
    let rows = [
        ("processes", by_processes(address, processes)?),
        ("threads", by_threads(address, threads, asked)?),
        ("tasks", by_tasks),
        ("tasks, async", by_async),
    ];
    let mut out = io::stdout();
    writeln!(
        out,
        "{asked} jobs, each of which waits {delay:?} for an answer: one after the other {in_sequence:.3?}"
    )?;
    writeln!(
        out,
        "{:<14}{:>14}{:>10}{:>16}{:>16}",
        "by", "all at once", "of", "starting one", "memory of one"
    )?;
    for (way, (cost, took)) in rows {
        let (start, memory) = cost.per_unit();
        let (took, start) = (format!("{took:.3?}"), format!("{start:.2?}"));
        let (count, memory) = (cost.count, bytes(memory));
        writeln!(out, "{way:<14}{took:>14}{count:>10}{start:>16}{memory:>16}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    program::run_with(HELP, take, |_, arguments| match arguments.ask {
        Some(address) => be_a_process(address),
        None => compare(arguments.is_quick),
    })
}
