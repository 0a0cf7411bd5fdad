//! Synchronous libraries in fibers, each with a real peer at the other end: a redis server, or a thread with a socket of the
//! standard library.
//!
//! What is tested are the parts of the examples `redis_many`, `rows` and `archives` that touch the libraries, and then the
//! programs.

#[path = "../examples/adapters/redis.rs"]
mod adapter;
#[path = "../examples/rows/convert.rs"]
mod convert;
mod folder;
#[path = "../examples/archives/http.rs"]
mod http;
#[path = "../examples/adapters/redis_server.rs"]
mod redis_server;
#[path = "../examples/archives/tarball.rs"]
mod tarball;
#[path = "../examples/adapters/threads.rs"]
mod threads;
#[path = "../examples/archives/zipped.rs"]
mod zipped;

use std::cell::RefCell;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::rc::Rc;
use std::thread;

use async_executor::LocalExecutor;
use futures_lite::future::{block_on, try_zip, zip};
use redis::{Commands, ConnectionLike, RedisResult, pipe};
use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::{Builder, Cancelled, Fiber, await_, fiber};

use adapter::Connection;
use folder::Folder;
use redis_server::Server;
use threads::Threads;

/// As the example `archives` does, for a debug build of the compressors.
fn deep_fiber<R: 'static>(body: impl FnOnce() -> R + 'static) -> Fiber<R> {
    Builder::new().stack_size(1 << 20).fiber(body)
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

// ---- redis ----

/// Says loudly what is not tested if there is no server.
fn redis() -> Option<Server> {
    let server = Server::start().unwrap();
    if server.is_none() {
        // Not `eprintln`, which is shown only of tests that fail.
        let mut loud = io::stderr();
        writeln!(loud, "\n!!! {}", redis_server::MISSING).unwrap();
    }
    server
}

/// Runs `body` in a fiber with a connection to a server of its own.
fn with_redis<R: 'static>(
    body: impl FnOnce(&mut Connection<TcpStream>) -> R + 'static,
) -> Option<R> {
    let server = redis()?;
    let address = server.address();
    Some(async_io::block_on(fiber(move || {
        body(&mut Connection::new(TcpStream::connect(address).unwrap()))
    })))
}

#[test]
fn redis_commands_pipelines_and_transactions_work_as_on_its_own_connection() {
    let tried = with_redis(|redis| -> RedisResult<()> {
        assert_eq!(redis.incr::<_, _, i64>("n", 5)?, 5);
        assert_eq!(redis.get::<_, Option<String>>("none")?, None);
        let long = "x".repeat(1 << 20); // in many reads and writes
        let () = redis.set("long", &long)?;
        assert_eq!(redis.get::<_, String>("long")?, long);

        let answers: (i64, Vec<String>) = pipe()
            .incr("n", 1)
            .rpush("list", &["a", "b"])
            .ignore()
            .lrange("list", 0, -1)
            .query(redis)?;
        assert_eq!(answers, (6, vec!["a".to_owned(), "b".to_owned()]));

        let answers: (i64, i64) = pipe().atomic().incr("n", 1).incr("n", 1).query(redis)?;
        assert_eq!(answers, (7, 8));
        let added: (i64,) = redis::transaction(redis, &["n"], |redis, pipe| {
            let n: i64 = redis.get("n")?;
            pipe.set("n", n + 1).ignore().get("n").query(redis)
        })?;
        assert_eq!(added, (9,));

        let mut keys: Vec<String> = redis.scan()?.collect::<RedisResult<_>>()?;
        keys.sort();
        assert_eq!(keys, ["list", "long", "n"]);

        redis.select(3)?;
        assert_eq!(redis.get_db(), 3);
        assert_eq!(redis.get::<_, Option<i64>>("n")?, None);
        assert!(redis.check_connection());
        Ok(())
    });
    tried.transpose().unwrap();
}

#[test]
fn an_error_of_the_redis_server_leaves_the_connection_usable() {
    let tried = with_redis(|redis| -> RedisResult<()> {
        let () = redis.set("text", "not a number")?;
        let error = redis.incr::<_, _, i64>("text", 1).unwrap_err();
        assert!(error.to_string().contains("not an integer"), "{error}");
        let error = pipe()
            .cmd("NO SUCH COMMAND")
            .get("text")
            .query::<redis::Value>(redis)
            .unwrap_err();
        assert!(error.to_string().contains("unknown command"), "{error}");
        let mut transaction = pipe();
        transaction.atomic().cmd("NO SUCH COMMAND").get("text");
        let error = transaction.query::<redis::Value>(redis).unwrap_err();
        assert!(error.to_string().contains("unknown command"), "{error}");
        assert!(redis.is_open());
        assert_eq!(redis.get::<_, String>("text")?, "not a number");
        Ok(())
    });
    tried.transpose().unwrap();
}

#[test]
fn a_redis_connection_of_which_the_server_goes_is_not_open_any_more() {
    let Some(server) = redis() else { return };
    let address = server.address();
    async_io::block_on(fiber(move || {
        let mut redis = Connection::new(TcpStream::connect(address).unwrap());
        assert!(redis.check_connection());
        drop(server);
        for _ in 0..2 {
            let error = redis.get::<_, Option<String>>("x").unwrap_err();
            assert!(error.is_connection_dropped(), "{error}");
            assert!(!redis.is_open());
        }
    }));
}

#[test]
fn a_fiber_in_blpop_is_cancelled_and_says_so() {
    let Some(server) = redis() else { return };
    let address = server.address();
    let executor = LocalExecutor::new();
    let seen = Rc::new(RefCell::new(None));
    let waiter = executor.spawn(fiber({
        let seen = seen.clone();
        move || {
            let mut redis = Connection::new(TcpStream::connect(address).unwrap());
            let job = redis.blpop::<_, (String, String)>("jobs", 0.0);
            *seen.borrow_mut() = Some((job, redis.get::<_, String>("x"), redis.is_open()));
        }
    }));
    let other = fiber(move || -> RedisResult<()> {
        let mut redis = Connection::new(TcpStream::connect(address)?);
        // Until the server says that somebody waits.
        while !redis::cmd("INFO")
            .arg("clients")
            .query::<String>(&mut redis)?
            .contains("blocked_clients:1")
        {}
        await_(waiter.cancel()).map_err(io::Error::from)?;
        assert!(redis.check_connection());
        Ok(())
    });
    async_io::block_on(executor.run(other)).unwrap();
    let (job, next, is_open) = seen.take().unwrap();
    assert!(Cancelled::is_behind(&job.unwrap_err()));
    assert!(!Cancelled::is_behind(&next.unwrap_err())); // it did not come to that
    assert!(!is_open);
}

// ---- csv and JSON ----

#[test]
fn each_row_is_answered_before_the_next_is_there() {
    let (listener, address) = listen();
    let clients: Vec<_> = (0..10)
        .map(|client| {
            thread::spawn(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
                stream.write_all(b"client,n,text\n").unwrap();
                for n in 0..100 {
                    write!(stream, "{client},{n},\"a \"\"b\"\"\nc\"\r\n").unwrap();
                    assert_eq!(
                        answers.next().unwrap().unwrap(),
                        format!(r#"{{"client":{client},"n":{n},"text":"a \"b\"\nc"}}"#)
                    );
                }
                stream.shutdown(Shutdown::Write).unwrap();
                assert!(answers.next().is_none());
            })
        })
        .collect();
    let executor = Rc::new(LocalExecutor::new());
    let threads = Threads::default();
    let server = fiber({
        let (executor, threads) = (executor.clone(), threads.clone());
        move || {
            let conversions: Vec<_> = listener
                .incoming()
                .take(10)
                .map(|stream| {
                    let (stream, threads) = (stream.unwrap(), threads.clone());
                    executor.spawn(fiber(move || {
                        let count = convert::convert(&stream, &stream).unwrap();
                        threads.pass();
                        count
                    }))
                })
                .collect();
            let counts = conversions.into_iter().map(|task| await_(task).unwrap());
            counts.sum::<u64>()
        }
    });
    assert_eq!(async_io::block_on(executor.run(server)), 1000);
    assert_eq!(threads.count(), 1);
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
}

/// Sends `rows` at once. Returns what is answered, and how it ended.
fn convert_rows(rows: &'static [u8]) -> (String, io::Result<u64>) {
    let (listener, address) = listen();
    let client = thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(rows).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        io::read_to_string(stream).unwrap()
    });
    let converted = async_io::block_on(fiber(move || {
        let (stream, _) = listener.accept().unwrap();
        convert::convert(&stream, &stream)
    }));
    (client.join().unwrap(), converted)
}

#[test]
fn a_row_that_cannot_be_read_is_answered_by_an_error() {
    let (answer, converted) = convert_rows(b"a,b\n1,x\n2\n3,y\n");
    assert_eq!(
        answer,
        "{\"a\":1,\"b\":\"x\"}\n{\"error\":\"line 3: 1 fields instead of 2\"}\n"
    );
    assert_eq!(
        converted.unwrap_err().to_string(),
        "line 3: 1 fields instead of 2"
    );
    let (answer, converted) = convert_rows(b"a,b\n1,\xff\n");
    assert!(answer.starts_with("{\"error\":\"line 2: "), "{answer}");
    assert_eq!(converted.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn no_rows_are_no_lines() {
    for rows in [&b""[..], b"a,b\n", b"a,b"] {
        let (answer, converted) = convert_rows(rows);
        assert_eq!((answer.as_str(), converted.unwrap()), ("", 0));
    }
}

// ---- tar.gz ----

/// A folder in a folder, with a large file and an empty one.
fn original() -> Folder {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("a/b")).unwrap();
    folder.write("a/b/empty", "");
    let noise = (0..100_000_u64).flat_map(|n| n.wrapping_mul(6364136223846793005).to_le_bytes());
    folder.write("a/large", noise.collect::<Vec<_>>());
    folder.write("small", "of a few bytes");
    folder
}

fn assert_is_original(copy: &Folder, original: &Folder) {
    for name in ["a/b/empty", "a/large", "small"] {
        let [copy, original] = [copy, original].map(|folder| fs::read(folder.path(name)).unwrap());
        assert!(copy == original, "{name}");
    }
}

#[test]
fn a_thread_unpacks_the_tar_gz_that_a_fiber_sends() {
    let (listener, address) = listen();
    let (original, copy) = (original(), Folder::new());
    let destination = copy.0.clone();
    let client = thread::spawn(move || {
        let stream = std::net::TcpStream::connect(address).unwrap();
        http::ask(&stream, "/x").unwrap();
        let body = http::receive_answer(BufReader::new(stream)).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(body))
            .unpack(destination)
            .unwrap();
    });
    let path = original.0.clone();
    let sent = async_io::block_on(deep_fiber(move || -> io::Result<String> {
        let (stream, _) = listener.accept()?;
        let asked = http::receive_request(BufReader::new(&stream))?;
        let mut body = http::begin_answer(&stream, "200 OK")?;
        tarball::send(&path, &mut body)?;
        body.finish()?;
        Ok(asked)
    }));
    client.join().unwrap();
    assert_eq!(sent.unwrap(), "/x");
    assert_is_original(&copy, &original);
}

/// Has a thread send `bytes` as the answer to a request, and unpacks them in a fiber.
fn unpack(bytes: Vec<u8>) -> (Folder, io::Result<usize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        http::receive_request(BufReader::new(&stream)).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    let folder = Folder::new();
    fs::create_dir(folder.path("in")).unwrap();
    let destination = folder.path("in");
    let unpacked = async_io::block_on(deep_fiber(move || {
        let stream = TcpStream::connect(address)?;
        http::ask(&stream, "/")?;
        let body = http::receive_answer(BufReader::new(&stream))?;
        tarball::receive(body, &destination)
    }));
    server.join().unwrap();
    (folder, unpacked)
}

/// As an answer in chunks.
fn answer(body: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut chunks = http::begin_answer(&mut answer, "200 OK").unwrap();
    for chunk in body.chunks(1000) {
        chunks.write_all(chunk).unwrap();
    }
    chunks.finish().unwrap();
    answer
}

/// A `.tar.gz` with entries of these names, and links of these to those.
fn tarball_of(links: &[(&str, &str)], files: &[&str]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    let header = |name: &str, kind, size| {
        let mut header = tar::Header::new_gnu();
        // `set_path` would refuse what is tested here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        header
    };
    for (name, target) in links {
        let mut header = header(name, tar::EntryType::Symlink, 0);
        header.set_link_name(target).unwrap();
        header.set_cksum();
        archive.append(&header, io::empty()).unwrap();
    }
    for name in files {
        let mut header = header(name, tar::EntryType::Regular, 4);
        header.set_cksum();
        archive.append(&header, &b"evil"[..]).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_tar_cannot_write_outside_of_its_folder() {
    for name in ["../evil", "a/../../evil"] {
        let (folder, unpacked) = unpack(answer(&tarball_of(&[], &[name])));
        let error = unpacked.unwrap_err();
        assert_eq!(error.to_string(), format!("{name}: outside of the folder"));
        assert!(!folder.path("evil").exists());
    }
    let (folder, unpacked) = unpack(answer(&tarball_of(&[], &["/evil"])));
    assert_eq!(unpacked.unwrap(), 1);
    assert!(folder.path("in/evil").exists() && !PathBuf::from("/evil").exists());
}

#[cfg(unix)]
#[test]
fn a_tar_cannot_write_through_a_link_to_elsewhere() {
    let archive = tarball_of(&[("link", "..")], &["link/evil"]);
    let (folder, unpacked) = unpack(answer(&archive));
    unpacked.unwrap_err();
    assert!(!folder.path("evil").exists());
}

#[test]
fn a_download_that_breaks_off_anywhere_is_an_error() {
    let whole = answer(&tarball_of(&[], &["a", "b"]));
    unpack(whole.clone()).1.unwrap();
    for length in [
        0,
        10,
        100,
        whole.len() / 2,
        whole.len() - 8,
        whole.len() - 1,
    ] {
        let (_, unpacked) = unpack(whole[..length].to_vec());
        assert!(unpacked.is_err(), "{length} of {} bytes", whole.len());
    }
    let mut archive = tarball_of(&[], &["a"]);
    let checksum = archive.len() - 8;
    archive[checksum] ^= 1;
    unpack(answer(&archive)).1.unwrap_err();
}

#[test]
fn a_sender_that_fails_half_way_is_noticed_although_the_archive_is_brought_to_an_end() {
    let mut bytes = Vec::new();
    let mut body = http::begin_answer(&mut bytes, "200 OK").unwrap();
    let missing = Folder::new().path("missing");
    tarball::send(&missing, &mut body).unwrap_err();
    let body = http::receive_answer(&bytes[..]).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(body));
    assert_eq!(archive.entries().unwrap().count(), 0); // a good archive of nothing
    let error = unpack(bytes).1.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

// ---- zip ----

#[test]
fn a_thread_reads_the_zip_that_a_fiber_sends() {
    let (listener, address) = listen();
    let client = thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.read_to_end(&mut bytes).unwrap();
        let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        let names: Vec<_> = archive.file_names().map(str::to_owned).collect();
        let small = io::read_to_string(archive.by_name("small").unwrap()).unwrap();
        (names, small)
    });
    let original = original();
    let path = original.0.clone();
    async_io::block_on(deep_fiber(move || {
        zipped::send(&path, listener.accept().unwrap().0).unwrap();
    }));
    let (names, small) = client.join().unwrap();
    assert_eq!(names, ["a/", "a/b/", "a/b/empty", "a/large", "small"]);
    assert_eq!(small, "of a few bytes");
}

#[test]
fn fibers_zip_and_unzip_through_a_socket() {
    let (listener, address) = listen();
    let (original, copy) = (original(), Folder::new());
    let (from, to) = (original.0.clone(), copy.0.clone());
    let sender = deep_fiber(move || zipped::send(&from, TcpStream::connect(address)?));
    let receiver = deep_fiber(move || zipped::receive(listener.accept()?.0, &to));
    let ((), count) = async_io::block_on(try_zip(sender, receiver)).unwrap();
    assert_eq!(count, 5);
    assert_is_original(&copy, &original);
}

/// The reason for `zipped::Entry`.
#[test]
fn a_zip_written_as_a_stream_is_not_read_as_one() {
    let (listener, address) = listen();
    let sender = deep_fiber(move || -> zip::result::ZipResult<()> {
        let mut archive = zip::ZipWriter::new_stream(TcpStream::connect(address)?);
        archive.start_file("name", zip::write::SimpleFileOptions::default())?;
        archive.write_all(b"text")?;
        archive.finish()?;
        Ok(())
    });
    let receiver = deep_fiber(move || {
        let mut bytes = Vec::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    });
    let (sent, bytes) = block_on(zip(sender, receiver));
    sent.unwrap();
    let error = zip::read::read_zipfile_from_stream(&mut &bytes[..]).err();
    assert!(error.unwrap().to_string().contains("length"));
    let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
    let text = io::read_to_string(archive.by_index(0).unwrap()).unwrap();
    assert_eq!(text, "text");
}

/// Has a thread send these bytes, and unzips them in a fiber.
fn unzip(bytes: Vec<u8>) -> (Folder, Result<usize, String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || listener.accept().unwrap().0.write_all(&bytes).unwrap());
    let folder = Folder::new();
    fs::create_dir(folder.path("in")).unwrap();
    let destination = folder.path("in");
    let unzipped = async_io::block_on(deep_fiber(move || {
        zipped::receive(TcpStream::connect(address).unwrap(), &destination)
    }));
    server.join().unwrap();
    (folder, unzipped.map_err(|error| error.to_string()))
}

#[test]
fn a_zip_cannot_write_outside_of_its_folder() {
    for name in ["../evil", "a/../../evil", "/evil"] {
        let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        archive
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(b"evil").unwrap();
        let (folder, unzipped) = unzip(archive.finish().unwrap().into_inner());
        let is_inside = folder.path("in/evil").exists();
        match unzipped {
            Ok(_) => assert!(is_inside && name == "/evil"),
            Err(error) => assert!(error.contains("outside of the folder"), "{error}"),
        }
        assert!(!folder.path("evil").exists() && !PathBuf::from("/evil").exists());
    }
}

// ---- the programs ----

/// target/PROFILE/examples/NAME, beside the target/PROFILE/deps that this test runs from.
fn run(name: &str, arguments: &[&str], path: Option<&str>) -> Output {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let mut example = profile.join("examples").join(name);
    example.set_extension(std::env::consts::EXE_EXTENSION);
    let mut command = Command::new(example);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("examples are built by `cargo test`, or `cargo build --examples`")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn redis_many_serves_all_while_one_waits_and_on_one_thread() {
    let Some(server) = redis() else { return };
    let expected = "\
user 0: 1000
user 1: 1001
visits: 2
job: wash up, after 2 users had been served
threads: 1
";
    let address = server.address().to_string();
    for arguments in [&["-n", "2"][..], &["-n", "2", &address]] {
        let output = run("redis_many", arguments, None);
        assert_eq!(text(&output.stderr), "");
        assert_eq!(text(&output.stdout), expected);
        assert_eq!(output.status.code(), Some(0));
    }
    let left = async_io::block_on(fiber(move || -> RedisResult<usize> {
        let mut redis = Connection::new(TcpStream::connect(server.address())?);
        redis::cmd("DBSIZE").query(&mut redis)
    }));
    assert_eq!(left.unwrap(), 0);
}

#[test]
fn redis_many_says_what_is_missing() {
    let output = run("redis_many", &[], Some(""));
    assert!(text(&output.stdout).starts_with("SKIPPED: "));
    assert!(text(&output.stdout).contains("apt-get install redis-server"));
    assert_eq!(output.status.code(), Some(0));

    let (listener, address) = listen();
    drop(listener);
    let output = run("redis_many", &[&address.to_string()], None);
    let message = text(&output.stderr);
    assert!(
        message.starts_with(&format!("redis_many: {address}: ")),
        "{message}"
    );
    assert_eq!(output.status.code(), Some(1));

    for (arguments, message) in [
        (
            ["--no-such-flag", "x"],
            "unknown argument \"--no-such-flag\"",
        ),
        (["a:1", "b:1"], "unexpected argument \"b:1\""),
        (["-n", "many"], "cannot parse argument \"many\""),
    ] {
        let output = run("redis_many", &arguments, None);
        let said = text(&output.stderr);
        assert!(
            said.starts_with(&format!("redis_many: {message}")),
            "{said}"
        );
        assert_eq!(output.status.code(), Some(2));
    }
    let output = run("redis_many", &["--help"], None);
    assert!(text(&output.stdout).contains("cargo run --example redis_many\n"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn archives_sends_a_folder_of_ones_own_and_names_one_that_is_not_there() {
    let folder = original();
    let name = folder.0.to_str().unwrap();
    let output = run("archives", &["-n", "2", name], None);
    assert_eq!(text(&output.stderr), "");
    let expected = "\
tar.gz over HTTP: 2 at once, 3 files each
zip over sockets: 2 at once, 3 files each
threads: 1
";
    assert_eq!(text(&output.stdout), expected);
    let missing = folder.path("missing");
    let output = run("archives", &[missing.to_str().unwrap()], None);
    let message = text(&output.stderr);
    assert!(
        message.starts_with(&format!("archives: {}: ", missing.display())),
        "{message}"
    );
    assert_eq!(output.status.code(), Some(1));
}
