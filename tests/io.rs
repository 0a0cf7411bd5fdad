//! Synchronous input and output in fibers: sockets, pipes, files, children.
#![cfg(unix)]

mod child;

use std::cell::{Cell, RefCell};
use std::fs;
use std::future::Future;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use async_io::{Async, Timer, block_on};
use futures_lite::future::{self, yield_now, zip};
use yieldfrom::io::{
    Blocking, Child, File, Io, TcpListener, TcpStream, UnixListener, UnixStream, Wants, retry,
};
use yieldfrom::{Cancelled, Fiber, await_, fiber};

use child::{child, child_with_input, lived, text};

/// Runs a body in a fiber on this thread.
fn run<R: 'static>(body: impl FnOnce() -> R + 'static) -> R {
    block_on(fiber(body))
}

fn poll<R>(fiber: &mut Fiber<R>) -> Poll<R> {
    Pin::new(fiber).poll(&mut Context::from_waker(Waker::noop()))
}

/// What a fiber's operation says when the fiber is dropped while it waits, and what the next ones say.
fn when_dropped<R: 'static>(
    mut operation: impl FnMut() -> io::Result<R> + 'static,
) -> Vec<io::Error> {
    let errors = Rc::new(RefCell::new(Vec::new()));
    let mut f = fiber({
        let errors = errors.clone();
        move || {
            while errors.borrow().len() < 3 {
                if let Err(error) = operation() {
                    errors.borrow_mut().push(error);
                }
            }
        }
    });
    assert!(poll(&mut f).is_pending());
    drop(f);
    errors.take()
}

fn assert_cancelled(errors: &[io::Error]) {
    assert_eq!(errors.len(), 3);
    for error in errors {
        assert!(Cancelled::is_behind(error), "{error:?}");
        assert_eq!(error.kind(), io::ErrorKind::Other);
    }
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connected) = block_on(zip(
        fiber(move || listener.accept().unwrap().0),
        fiber(move || TcpStream::connect(address).unwrap()),
    ));
    (accepted, connected)
}

/// A path that is removed in the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("yieldfrom-io-{}-{number}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn hundreds_of_connections_share_a_thread() {
    let executor = Rc::new(LocalExecutor::new());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    executor
        .spawn(fiber({
            let executor = executor.clone();
            move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let echo = move || io::copy(&mut stream.clone(), &mut stream).unwrap();
                    executor.spawn(fiber(echo)).detach();
                }
            }
        }))
        .detach();
    const COUNT: usize = 200;
    let connected = Rc::new(Cell::new(0));
    let clients: Vec<_> = (0..COUNT)
        .map(|n| {
            let connected = connected.clone();
            executor.spawn(fiber(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                connected.set(connected.get() + 1);
                // All are open at once.
                while connected.get() < COUNT {
                    await_(yield_now()).unwrap();
                }
                for round in 0..10 {
                    let message = [(n + round) as u8; 100];
                    stream.write_all(&message).unwrap();
                    let mut answer = [0; 100];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, message);
                }
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            }))
        })
        .collect();
    block_on(executor.run(async {
        for client in clients {
            client.await;
        }
    }));
}

#[test]
fn outside_of_fibers_the_thread_is_blocked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        assert_eq!(peer, stream.peer_addr().unwrap());
        stream.write_all(b"from a thread").unwrap();
    });
    let stream = TcpStream::connect(address).unwrap();
    assert_eq!(io::read_to_string(stream).unwrap(), "from a thread");
    server.join().unwrap();
}

#[test]
fn a_name_is_resolved() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    run(move || {
        TcpStream::connect(("localhost", port)).unwrap();
        TcpStream::connect(format!("localhost:{port}")).unwrap();
        TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        let error = TcpStream::connect("no port").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn each_address_is_tried() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let alive = listener.local_addr().unwrap();
    run(move || {
        let stream = TcpStream::connect(&[dead, alive][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        let error = TcpStream::connect(&[dead, dead][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = TcpStream::connect(&[][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn timeouts_and_deadlines_end_a_wait() {
    let (mut a, b) = tcp_pair();
    run(move || {
        let timed_out = |result: io::Result<usize>| {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut)
        };
        a.set_read_timeout(Some(Duration::from_millis(1)));
        timed_out(a.read(&mut [0]));
        // A clone has limits of its own, and so has each direction.
        a.set_read_timeout(None);
        let mut other = a.clone();
        other.set_write_timeout(Some(Duration::ZERO));
        timed_out(loop {
            match other.write(&[0; 1 << 20]) {
                Ok(_) => {}
                full => break full,
            }
        });
        a.set_deadline(Some(Instant::now()));
        timed_out(a.read(&mut [0]));
        timed_out(a.write(&[0; 1 << 20]));
        // What is there is read, however late.
        (&b).write_all(b"x").unwrap();
        other.set_read_timeout(Some(Duration::ZERO));
        assert_eq!(other.read(&mut [0; 8]).unwrap(), 1);
        (&b).write_all(b"x").unwrap();
        assert_eq!(other.read(&mut [0; 8]).unwrap(), 1); // after a short read too
        let mut listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_timeout(Some(Duration::ZERO));
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        listener.set_timeout(None);
        listener.set_deadline(Some(Instant::now()));
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    });
}

#[test]
fn connecting_times_out() {
    // The queue of a listener that accepts nothing takes only so many.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let error = run(move || {
        let mut open = Vec::new();
        loop {
            match TcpStream::connect_timeout(address, Duration::from_millis(50)) {
                Ok(stream) => open.push(stream),
                Err(error) => break error,
            }
        }
    });
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn halves_are_used_by_two_fibers_and_the_writer_says_when_it_is_done() {
    let (a, b) = tcp_pair();
    let (mut read, mut write) = a.split();
    let sends = fiber(move || write.write_all(&[7; 1 << 20]).unwrap()); // more than the buffers hold
    let receives = fiber(move || {
        let mut text = Vec::new();
        read.read_to_end(&mut text).unwrap();
        text
    });
    let echoes = fiber(move || {
        io::copy(&mut &b, &mut &b).unwrap();
        b.shutdown(Shutdown::Write).unwrap();
    });
    let ((), (text, ())) = block_on(zip(sends, zip(receives, echoes)));
    assert_eq!(text, [7; 1 << 20]);
}

#[test]
fn several_slices_go_in_one_operation() {
    let (mut a, mut b) = tcp_pair();
    run(move || {
        assert_eq!(
            a.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"c")])
                .unwrap(),
            3
        );
        let (mut x, mut y) = ([0; 1], [0; 2]);
        assert_eq!(b.peek(&mut x).unwrap(), 1);
        assert_eq!(
            b.read_vectored(&mut [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)])
                .unwrap(),
            3
        );
        assert_eq!((&x, &y), (b"a", b"bc"));
        a.flush().unwrap();
    });
}

#[test]
fn unix_sockets_listen_connect_and_come_in_pairs() {
    let path = Temporary::new("socket");
    let listener = UnixListener::bind(&path.0).unwrap();
    let client = {
        let path = path.0.clone();
        fiber(move || io::read_to_string(UnixStream::connect(path).unwrap()).unwrap())
    };
    let server = fiber(move || {
        let mut stream = listener.incoming().next().unwrap().unwrap();
        stream.write_all(b"over a path").unwrap();
    });
    assert_eq!(block_on(zip(client, server)).0, "over a path");
    run(|| {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        a.write_all(b"x").unwrap();
        assert_eq!(b.read(&mut [0; 8]).unwrap(), 1);
        let taken = std::os::unix::net::UnixStream::pair().unwrap().0;
        assert_eq!(
            UnixStream::try_from(taken).unwrap().read(&mut [0]).unwrap(),
            0
        );
    });
}

#[test]
fn cancellation_is_an_error_that_nothing_retries() {
    let (a, _b) = tcp_pair();
    let stream = a.clone();
    assert_cancelled(&when_dropped(move || (&stream).read(&mut [0; 8])));
    let stream = a.clone();
    assert_cancelled(&when_dropped(move || (&stream).read_exact(&mut [0; 8])));
    let stream = a.clone();
    assert_cancelled(&when_dropped(move || {
        io::copy(&mut &stream, &mut io::sink())
    }));
    let stream = a.clone();
    assert_cancelled(&when_dropped(move || {
        io::BufReader::new(&stream).read_line(&mut String::new())
    }));
    assert_cancelled(&when_dropped(move || (&a).write_all(&[0; 1 << 20])));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_cancelled(&when_dropped(move || listener.accept()));
    let (reader, _writer) = io::pipe().unwrap();
    let mut reader = Io(Async::new(fs::File::from(std::os::fd::OwnedFd::from(reader))).unwrap());
    assert_cancelled(&when_dropped(move || reader.read(&mut [0])));
}

#[test]
fn a_loop_that_ignores_errors_ends_when_it_is_cancelled() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = Rc::new(Cell::new(false));
    let mut f = fiber({
        let ended = ended.clone();
        move || {
            listener.incoming().flatten().for_each(drop);
            ended.set(true);
        }
    });
    assert!(poll(&mut f).is_pending());
    drop(f);
    assert!(ended.get());
}

/// A socket that counts how often it is read.
struct Counted(std::os::unix::net::UnixStream, Arc<AtomicUsize>);

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for &Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.fetch_add(1, Ordering::Relaxed);
        (&self.0).read(buffer)
    }
}

/// How often a socket is read for 100 messages that come one by one, if `each` is what the writer does before each.
fn reads_of_a_hundred_messages(each: impl Fn(&Cell<usize>, usize) + 'static) -> usize {
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let mut counted = yieldfrom::io::Stream::from(Async::new(Counted(a, reads.clone())).unwrap());
    let mut b = UnixStream::try_from(b).unwrap();
    let seen = Rc::new(Cell::new(0));
    let reader = fiber({
        let seen = seen.clone();
        move || {
            for n in 1..=100 {
                assert_eq!(counted.read(&mut [0; 64]).unwrap(), 10);
                seen.set(n);
            }
        }
    });
    let writer = fiber(move || {
        for n in 0..100 {
            each(&seen, n);
            b.write_all(&[0; 10]).unwrap();
        }
    });
    block_on(zip(reader, writer));
    reads.load(Ordering::Relaxed)
}

#[test]
fn after_a_short_read_it_waits_before_it_reads_again() {
    // The next message comes long after the last one was read. It is tried in vain now and then.
    let reads = reads_of_a_hundred_messages(|seen, n| {
        while seen.get() < n {
            await_(yield_now()).unwrap();
        }
        for _ in 0..3 {
            await_(yield_now()).unwrap();
        }
    });
    assert!((100..=125).contains(&reads), "{reads}");
}

#[test]
fn a_fiber_that_never_waits_lets_others_run() {
    let (mut a, mut b) = UnixStream::pair().unwrap();
    let turns = Rc::new(Cell::new(0));
    let ticks = Rc::new(Cell::new(0));
    let busy = fiber({
        let (turns, ticks) = (turns.clone(), ticks.clone());
        move || {
            while ticks.get() < 10 {
                a.write_all(b"x").unwrap();
                b.read_exact(&mut [0]).unwrap();
                turns.set(turns.get() + 1);
            }
        }
    });
    let other = async {
        for _ in 0..10 {
            ticks.set(ticks.get() + 1);
            yield_now().await;
        }
    };
    block_on(zip(busy, other));
    assert!(turns.get() <= 10 * 64, "{turns:?}");
}

#[test]
fn in_an_async_block_the_error_says_what_to_do() {
    let (a, _b) = tcp_pair();
    let waiting = fiber({
        let a = a.clone();
        move || (&a).read(&mut [0])
    });
    let error = block_on(future::or(
        async {
            let error = waiting.await;
            unreachable!("{error:?}")
        },
        async {
            yield_now().await;
            (&a).read(&mut [0]).unwrap_err() // beside a fiber that waits
        },
    ));
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
    assert!(error.to_string().contains("use `.await` there"), "{error}");
    let (a, _b) = tcp_pair();
    let error = run(move || await_(async { (&a).read(&mut [0]).unwrap_err() }).unwrap());
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
}

#[test]
fn the_adapter_reads_lines_and_seeks() {
    run(|| {
        let lines = Io(futures_lite::io::BufReader::with_capacity(
            3,
            &b"one\ntwo\n"[..],
        ))
        .lines();
        assert_eq!(
            lines.collect::<io::Result<Vec<_>>>().unwrap(),
            ["one", "two"]
        );
        let mut cursor = Io(futures_lite::io::Cursor::new(b"0123456789".to_vec()));
        cursor.seek(SeekFrom::End(-3)).unwrap();
        assert_eq!(io::read_to_string(&mut cursor).unwrap(), "789");
        cursor.rewind().unwrap();
        cursor.write_all(b"ab").unwrap();
        assert_eq!(&cursor.into_inner().into_inner()[..3], b"ab2");
    });
}

#[test]
fn two_fibers_share_a_descriptor_through_references() {
    let (a, b) = Async::<std::net::TcpStream>::try_from(
        std::net::TcpStream::connect({
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut bytes = [0; 3];
                stream.read_exact(&mut bytes).unwrap();
                stream.write_all(&bytes).unwrap();
            });
            address
        })
        .unwrap(),
    )
    .map(|socket| {
        let socket = Rc::new(socket);
        (socket.clone(), socket)
    })
    .unwrap();
    let reads = fiber(move || {
        let mut bytes = [0; 3];
        Io(&*a).read_exact(&mut bytes).unwrap();
        bytes
    });
    let writes = fiber(move || Io(&*b).write_all(b"abc").unwrap());
    assert_eq!(&block_on(zip(reads, writes)).0, b"abc");
}

#[test]
fn a_file_is_written_and_read_elsewhere() {
    let path = Temporary::new("file");
    let inner = path.0.clone();
    run(move || {
        let mut file = File::create(&inner).unwrap();
        file.write_all(&[1; 3_000_000]).unwrap();
        // Done when it returns: no flush, no drop.
        assert_eq!(fs::metadata(&inner).unwrap().len(), 3_000_000);
        assert_eq!(
            file.read(&mut [0]).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );
        file.run(|file| file.set_len(10)).unwrap().unwrap();
        drop(file);
        let mut file = File::open(&inner).unwrap();
        assert_eq!(file.seek(SeekFrom::Start(7)).unwrap(), 7);
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [1; 3]);
        assert_eq!(file.into_inner().unwrap().metadata().unwrap().len(), 10);
        assert_eq!(
            File::open("/nowhere/at/all").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    });
}

#[test]
fn others_run_while_an_operation_blocks() {
    // It blocks until somebody else has run.
    let (reader, writer) = io::pipe().unwrap();
    let reads = fiber(move || {
        let mut text = String::new();
        Blocking::new(reader).read_to_string(&mut text).unwrap();
        text
    });
    let writes = async move {
        yield_now().await;
        let mut writer = writer;
        writer.write_all(b"at last").unwrap();
    };
    assert_eq!(block_on(zip(reads, writes)).0, "at last");
}

#[test]
fn a_blocking_operation_that_is_cancelled_goes_on_to_its_end() {
    let (mut reader, writer) = io::pipe().unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let mut f = fiber({
        let seen = seen.clone();
        move || {
            let mut writer = Blocking::new(writer);
            let written = writer.write_all(&[5; 1 << 20]); // more than a pipe holds
            let again = writer.write(b"x");
            seen.borrow_mut()
                .extend([written.unwrap_err(), again.unwrap_err()]);
        }
    });
    assert!(poll(&mut f).is_pending());
    drop(f);
    assert!(
        seen.borrow()
            .iter()
            .all(|error| Cancelled::is_behind(error))
    );
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all, [5; 1 << 20]);
}

#[test]
fn a_panic_in_a_blocking_operation_comes_out_and_later_ones_fail() {
    run(|| {
        let mut number = Blocking::new(1);
        assert_eq!(number.run(|n| *n + 1).unwrap(), 2);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            number.run(|_| panic!("elsewhere")).unwrap();
        }));
        assert!(caught.is_err());
        let error = number.run(|n| *n).unwrap_err();
        assert_eq!(error.to_string(), "an earlier operation has panicked");
    });
}

#[test]
fn a_child_is_fed_read_and_waited_for() {
    run(|| {
        let mut cat = Child::spawn(
            Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        )
        .unwrap();
        cat.stdin.as_mut().unwrap().write_all(b"meow").unwrap();
        let output = cat.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"meow");
        let both = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
        let command = &mut Command::new("sh");
        let sh = Child::spawn(
            command
                .args(["-c", both])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
        .unwrap();
        let output = sh.wait_with_output().unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (300_000, 300_000)
        );
        assert_eq!(output.status.code(), Some(3));
    });
}

#[test]
fn a_child_is_killed_while_it_is_waited_for() {
    let sleep = Child::spawn(Command::new("sleep").arg("1000")).unwrap();
    let sleep = Rc::new(RefCell::new(Some(sleep)));
    let mut waits = fiber({
        let sleep = sleep.clone();
        move || {
            let mut child = sleep.borrow_mut().take().unwrap();
            let error = child.wait().unwrap_err();
            assert!(Cancelled::is_behind(&error));
            *sleep.borrow_mut() = Some(child);
        }
    });
    assert!(poll(&mut waits).is_pending());
    drop(waits);
    let mut child = sleep.take().unwrap();
    child.kill().unwrap();
    let status = run(move || child.wait().unwrap());
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(libc::SIGKILL)
    );
}

#[test]
fn standard_streams_are_read_and_written() {
    let (input, mut writer) = io::pipe().unwrap();
    writer.write_all(b"hello\nmore\n").unwrap();
    drop(writer);
    let output = child_with_input(
        "standard_streams_are_read_and_written",
        &[],
        input.into(),
        Stdio::piped(),
        || {
            run(|| {
                let mut input = io::BufReader::new(yieldfrom::io::stdin()).lines();
                let line = input.next().unwrap().unwrap();
                writeln!(yieldfrom::io::stdout(), "out: {line}").unwrap();
                writeln!(yieldfrom::io::stderr(), "err: {line}").unwrap();
            });
        },
    );
    lived(&output);
    assert!(text(&output.stdout).contains("out: hello\n"));
    assert!(text(&output.stderr).contains("err: hello\n"));
}

#[test]
fn an_operation_is_retried_for_what_it_wants() {
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    let (a, b) = (Async::new(a).unwrap(), Async::new(b).unwrap());
    let writes = fiber(move || {
        // Until it is full, and then once more.
        let mut total = 0;
        let mut blocked = false;
        while !blocked {
            total += retry(
                &a,
                || Wants::Write,
                || {
                    let written = a.get_ref().write(&[0; 1 << 16]);
                    blocked |= written.is_err();
                    written
                },
            )
            .unwrap();
        }
        total
    });
    let reads = fiber(move || {
        let mut total = 0;
        loop {
            let mut wants = [Wants::Either, Wants::Read].into_iter().cycle();
            match retry(
                &b,
                || wants.next().unwrap(),
                || b.get_ref().read(&mut [0; 1 << 16]),
            )
            .unwrap()
            {
                0 => return total,
                read => total += read,
            }
        }
    });
    let (written, read) = block_on(zip(writes, reads));
    assert_eq!(written, read);
    let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
    let a = Async::new(a).unwrap();
    assert_cancelled(&when_dropped(move || {
        retry(&a, || Wants::Read, || a.get_ref().read(&mut [0]))
    }));
}

#[test]
fn a_listener_without_descriptors_waits_rather_than_spins() {
    let output = child(
        "a_listener_without_descriptors_waits_rather_than_spins",
        &[],
        Stdio::piped(),
        run_out_of_descriptors,
    );
    lived(&output);
}

fn run_out_of_descriptors() {
    let limit = libc::rlimit {
        rlim_cur: 100,
        rlim_max: 100,
    };
    // SAFETY: a system call that reads the limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let errors = Rc::new(Cell::new(0_u32));
    let accepts = fiber({
        let errors = errors.clone();
        move || {
            while let Err(error) = listener.accept() {
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                errors.set(errors.get() + 1);
            }
        }
    });
    let starves = async {
        let mut files = Vec::new();
        let full = loop {
            match fs::File::open("/dev/null") {
                Ok(file) => files.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(full.raw_os_error(), Some(libc::EMFILE));
        files.pop();
        let client = Async::<std::net::TcpStream>::connect(address)
            .await
            .unwrap();
        while errors.get() == 0 {
            yield_now().await;
        }
        let begun = Instant::now();
        while errors.get() < 4 {
            Timer::after(Duration::from_millis(1)).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(300));
        drop(files);
        client
    };
    block_on(zip(starves, accepts));
}
