//! Fibers that are dropped, or panic, in the middle of writing through libraries whose destructors write: what is buffered, an
//! end, a directory. The other end does not read, so that each is suspended in a write.

#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::future::Future;
use std::io::{self, BufWriter, ErrorKind, LineWriter, Read, Write};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_executor::LocalExecutor;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use futures_lite::future::{block_on, yield_now};
use yieldfrom::io::UnixStream;
use yieldfrom::{Builder, Cancelled, Fiber, State, await_, fiber, set_unraisable_hook};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

type Outcome = Result<(), Box<dyn Error>>;

/// What is asked of the socket, and what it says.
#[derive(Default)]
struct Log {
    calls: Cell<usize>,
    /// Bytes.
    written: Cell<usize>,
    errors: RefCell<Vec<io::Error>>,
}

/// A socket with a log. A flush is logged too.
struct Logged {
    stream: UnixStream,
    log: Rc<Log>,
}

impl Logged {
    fn note<R>(&self, result: io::Result<R>) -> io::Result<R> {
        self.log.calls.set(self.log.calls.get() + 1);
        result.inspect_err(|error| {
            let copy = match Cancelled::is_behind(error) {
                true => Cancelled::new().into(),
                false => io::Error::new(error.kind(), error.to_string()),
            };
            self.log.errors.borrow_mut().push(copy);
        })
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes);
        if let Ok(written) = written {
            self.log.written.set(self.log.written.get() + written);
        }
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stream.flush();
        self.note(flushed)
    }
}

/// A connection: the end that writes, and the one that does not read.
fn connect() -> (UnixStream, StdUnixStream) {
    let (stream, peer) = StdUnixStream::pair().unwrap();
    (stream.try_into().unwrap(), peer)
}

// ---- when to panic ----

thread_local! {
    /// How many blocks there are before their source panics.
    static BLOCKS: Cell<usize> = const { Cell::new(usize::MAX) };
    /// Whether what has failed is unwrapped, while the writer is alive.
    static UNWRAPS: Cell<bool> = const { Cell::new(false) };
}

fn checked<R, E: Error + 'static>(result: Result<R, E>) -> Result<R, Box<dyn Error>> {
    if UNWRAPS.get() {
        return Ok(result.unwrap());
    }
    Ok(result?)
}

// ---- the writers ----

/// Bytes that are hard to compress, without end.
struct Noise(u64);

impl Iterator for Noise {
    type Item = [u8; 1024];

    fn next(&mut self) -> Option<[u8; 1024]> {
        match BLOCKS.get().checked_sub(1) {
            Some(left) => BLOCKS.set(left),
            None => panic!("no more noise"),
        }
        let mut block = [0; 1024];
        for byte in &mut block {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
        Some(block)
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let block = self.next().expect("it has no end");
        let count = buffer.len().min(block.len());
        buffer[..count].copy_from_slice(&block[..count]);
        Ok(count)
    }
}

fn write_without_end(mut to: impl Write) -> Outcome {
    Noise(1).try_for_each(|block| checked(to.write_all(&block)))
}

/// Each writes until it fails, and has by then something that a destructor is to write.
type Writer = fn(Logged) -> Outcome;

const WRITERS: &[(&str, Writer)] = &[
    ("BufWriter", |to| {
        write_without_end(BufWriter::with_capacity(1500, to))
    }),
    ("LineWriter", |to| write_without_end(LineWriter::new(to))),
    ("GzEncoder", |to| {
        write_without_end(GzEncoder::new(to, Compression::fast()))
    }),
    ("ZlibEncoder", |to| {
        write_without_end(ZlibEncoder::new(to, Compression::fast()))
    }),
    ("DeflateEncoder in BufWriter", |to| {
        let to = BufWriter::with_capacity(100_000, to);
        write_without_end(DeflateEncoder::new(to, Compression::fast()))
    }),
    ("tar::Builder", |to| {
        let mut archive = tar::Builder::new(to);
        append_without_end(&mut archive)
    }),
    ("tar::Builder in GzEncoder", |to| {
        let mut archive = tar::Builder::new(GzEncoder::new(to, Compression::fast()));
        append_without_end(&mut archive)
    }),
    ("ZipWriter", |to| {
        let mut archive = ZipWriter::new_stream(to);
        checked(archive.start_file("small", SimpleFileOptions::default()))?;
        checked(archive.write_all(b"text"))?;
        checked(archive.start_file("large", SimpleFileOptions::default()))?;
        write_without_end(archive)
    }),
    ("ZipWriter in BufWriter", |to| {
        let mut archive = ZipWriter::new_stream(BufWriter::new(to));
        Noise(1).enumerate().try_for_each(|(number, block)| {
            checked(archive.start_file(number.to_string(), SimpleFileOptions::default()))?;
            checked(archive.write_all(&block))
        })
    }),
    ("csv::Writer", |to| {
        let mut rows = csv::Writer::from_writer(to);
        Noise(1).try_for_each(|block| checked(rows.write_record([b"a row", &block[..]])))
    }),
    ("csv::Writer, flushed", |to| {
        let mut rows = csv::Writer::from_writer(to);
        Noise(1).try_for_each(|block| {
            checked(rows.write_record([&block]))?;
            checked(rows.flush())
        })
    }),
    ("serde_json", |to| {
        let mut lines = BufWriter::new(to);
        Noise(1).try_for_each(|block| checked(serde_json::to_writer(&mut lines, &block[..])))
    }),
];

fn append_without_end<W: Write>(archive: &mut tar::Builder<W>) -> Outcome {
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::MAX / 4);
    checked(archive.append_data(&mut header, "large", Noise(1)))
}

/// `csv::Error` tells of no causes, but of its kind.
fn is_cancelled(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<csv::Error>().map(csv::Error::kind) {
        Some(csv::ErrorKind::Io(error)) => Cancelled::is_behind(error),
        _ => Cancelled::is_behind(error),
    }
}

/// A debug build of a compressor needs more than the default.
fn deep_fiber<R: 'static>(body: impl FnOnce() -> R + 'static) -> Fiber<R> {
    Builder::new().stack_size(1 << 20).fiber(body)
}

/// Polls until the fiber is suspended for another reason than that it has had its turn.
fn poll_until_full<R>(fiber: &mut Fiber<R>, log: &Log) {
    let mut before = usize::MAX;
    // A turn of 64 writes may end just where nothing more fits in.
    while before != log.written.get() {
        before = log.written.get();
        assert!(poll(fiber).is_pending());
    }
    assert!(log.written.get() > 0);
}

fn poll<R>(fiber: &mut Fiber<R>) -> Poll<R> {
    Pin::new(fiber).poll(&mut Context::from_waker(Waker::noop()))
}

fn assert_all_cancelled(name: &str, log: &Log) {
    let errors = log.errors.borrow();
    assert!(!errors.is_empty(), "{name}");
    for error in &*errors {
        assert!(Cancelled::is_behind(error), "{name}: {error}");
        assert_ne!(error.kind(), ErrorKind::Interrupted, "{name}");
    }
}

/// Says that it has been dropped, when all that was declared after it has been.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn cancelled_is_seen_behind_errors_that_give_away_only_the_source_of_theirs() {
    let cancelled = || io::Error::from(Cancelled::new());
    let behind: [Box<dyn Error>; 5] = [
        Box::new(serde_json::Error::io(cancelled())),
        Box::new(redis::RedisError::from(cancelled())), // in an `Arc`
        Box::new(Box::new(cancelled())),
        Box::new(zip::result::ZipError::Io(cancelled())),
        Box::new(io::Error::other(serde_json::Error::io(cancelled()))),
    ];
    for error in behind {
        assert!(Cancelled::is_behind(&*error), "{error:?}");
    }
    assert!(!Cancelled::is_behind(&serde_json::Error::io(
        ErrorKind::Interrupted.into()
    )));
}

#[test]
fn a_writer_that_is_dropped_in_a_write_ends_with_cancelled() {
    for (name, write) in WRITERS {
        let (stream, peer) = connect();
        let log = Rc::new(Log::default());
        let outcome = Rc::new(RefCell::new(None));
        let mut f = deep_fiber({
            let (log, outcome) = (log.clone(), outcome.clone());
            move || *outcome.borrow_mut() = Some(write(Logged { stream, log }))
        });
        poll_until_full(&mut f, &log);
        let calls = log.calls.get();
        drop(f);
        let error = outcome.take().expect(name).expect_err(name);
        assert!(is_cancelled(&*error), "{name}: {error:?}");
        assert_all_cancelled(name, &log);
        // What destructors try to write is not tried for ever.
        let more = log.calls.get() - calls;
        assert!((1..20).contains(&more), "{name}: {more}");
        drop(peer);
    }
}

#[test]
fn nothing_is_written_after_a_cancellation_even_if_there_is_room() {
    for (name, write) in WRITERS {
        let (stream, mut peer) = connect();
        let log = Rc::new(Log::default());
        let mut f = deep_fiber({
            let log = log.clone();
            move || drop(write(Logged { stream, log }))
        });
        poll_until_full(&mut f, &log);
        // Room, which the fiber does not know of.
        let mut some = vec![0; log.written.get() / 2];
        peer.read_exact(&mut some).unwrap();
        let written = log.written.get();
        f.cancel();
        assert_eq!(f.state(), State::Closed, "{name}");
        assert_eq!(log.written.get(), written, "{name}");
        assert_all_cancelled(name, &log);
        // No end that could be taken for a good one.
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        assert_eq!(some.len() + rest.len(), written, "{name}");
    }
}

#[test]
fn the_others_go_on_while_writers_are_dropped() {
    let executor = LocalExecutor::new();
    let (turns, sum) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let other = executor.spawn(fiber({
        let turns = turns.clone();
        move || {
            while turns.get() < 1_000_000 {
                turns.set(turns.get() + 1);
                if await_(yield_now()).is_err() {
                    return;
                }
            }
        }
    }));
    let (mut writers, mut peers) = (Vec::new(), Vec::new());
    for (_, write) in WRITERS {
        let (stream, peer) = connect();
        peers.push(peer);
        let log = Rc::new(Log::default());
        let (sum, log_inside) = (sum.clone(), log.clone());
        let writer = executor.spawn(deep_fiber(move || {
            let log = log_inside;
            let _end = Rc::clone(&sum);
            let outcome = write(Logged { stream, log });
            sum.set(sum.get() + usize::from(outcome.is_err_and(|error| is_cancelled(&*error))));
        }));
        writers.push((writer, log));
    }
    block_on(executor.run(async {
        // Each is suspended in a write when it has had a hundred turns without writing.
        for (_, log) in &writers {
            let (mut written, mut quiet) = (0, 0);
            while written == 0 || quiet < 100 {
                yield_now().await;
                quiet = if log.written.get() == written {
                    quiet + 1
                } else {
                    0
                };
                written = log.written.get();
            }
        }
        for (writer, _) in writers {
            let before = turns.get();
            writer.cancel().await;
            yield_now().await;
            assert!(turns.get() > before);
        }
        other.cancel().await;
    }));
    assert_eq!(sum.get(), WRITERS.len());
}

// ---- panics ----

#[test]
fn a_panic_while_writers_are_alive_comes_out_of_the_poll() {
    for (name, write) in WRITERS {
        let (stream, peer) = connect();
        let (log, is_dropped) = (Rc::new(Log::default()), Rc::new(Cell::new(false)));
        let mut f = deep_fiber({
            let (log, dropped) = (log.clone(), Dropped(is_dropped.clone()));
            move || {
                let _dropped = dropped;
                write(Logged { stream, log }).map_err(drop)
            }
        });
        poll_until_full(&mut f, &log);
        drop(peer); // the write that waits fails, and is unwrapped
        UNWRAPS.set(true);
        let polled = catch_unwind(AssertUnwindSafe(|| async_io::block_on(&mut f)));
        UNWRAPS.set(false);
        polled.expect_err(name);
        assert_eq!(f.state(), State::Closed, "{name}");
        assert!(is_dropped.get(), "{name}");
        for error in &*log.errors.borrow() {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{name}");
        }
    }
}

#[test]
fn destructors_that_write_during_a_panic_do_not_wait() {
    let mut panicked = 0;
    for (name, write) in WRITERS {
        for blocks in [1, 2, 40] {
            let (stream, _peer) = connect();
            // Nothing fits in from the beginning, so what panics before it is suspended has all in its buffers.
            while stream.get_ref().write(&[0; 1024]).is_ok() {}
            let log = Rc::new(Log::default());
            let mut f = deep_fiber({
                let log = log.clone();
                move || write(Logged { stream, log }).map_err(drop)
            });
            BLOCKS.set(blocks);
            let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut f)));
            BLOCKS.set(usize::MAX);
            match polled {
                Err(payload) => {
                    assert_eq!(payload.downcast_ref(), Some(&"no more noise"), "{name}");
                    assert_all_cancelled(name, &log);
                    panicked += 1;
                }
                Ok(polled) => assert!(polled.is_pending(), "{name}"), // keeps less than that
            }
            assert_eq!(log.written.get(), 0, "{name}");
        }
    }
    assert!(panicked >= 10, "{panicked}");
}

#[test]
fn what_destructors_write_during_a_panic_arrives_if_there_is_room() {
    for (name, write) in WRITERS {
        let (stream, mut peer) = connect();
        let log = Rc::new(Log::default());
        let mut f = deep_fiber({
            let log = log.clone();
            move || write(Logged { stream, log }).map_err(drop)
        });
        BLOCKS.set(3);
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut f)));
        BLOCKS.set(usize::MAX);
        polled.expect_err(name);
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), log.written.get(), "{name}");
        assert!(all.len() >= 3 * 1024, "{name}: {}", all.len());
        assert!(log.errors.borrow().is_empty(), "{name}");
    }
}

#[test]
fn a_cancellation_that_is_unwrapped_while_writers_are_alive_is_reported() {
    const NAME: &str = "unwraps its cancellation";
    let reported = Arc::new(Mutex::new(0));
    set_unraisable_hook({
        let reported = reported.clone();
        move |unraisable| {
            assert_eq!(unraisable.name(), Some(NAME));
            assert!(unraisable.to_string().contains("it panicked"));
            *reported.lock().unwrap() += 1;
        }
    });
    for (name, write) in WRITERS {
        let (stream, _peer) = connect();
        let (log, is_dropped) = (Rc::new(Log::default()), Rc::new(Cell::new(false)));
        let builder = Builder::new().stack_size(1 << 20).name(NAME);
        let mut f = builder.fiber({
            let (log, dropped) = (log.clone(), Dropped(is_dropped.clone()));
            move || {
                let _dropped = dropped;
                write(Logged { stream, log }).map_err(drop)
            }
        });
        poll_until_full(&mut f, &log);
        UNWRAPS.set(true);
        drop(f);
        UNWRAPS.set(false);
        assert!(is_dropped.get(), "{name}");
        assert_all_cancelled(name, &log);
    }
    assert_eq!(*reported.lock().unwrap(), WRITERS.len());
}
