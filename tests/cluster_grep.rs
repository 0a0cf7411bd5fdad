//! The example `cluster_grep`, run as a program: it prints what the pipeline prints, however many threads and processes there
//! are, and it ends when a process dies.

#![cfg(unix)]

mod folder;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use folder::Folder;

impl Folder {
    fn make_fifo(&self, name: &str) {
        let made = Command::new("mkfifo").arg(self.path(name)).status();
        assert!(made.expect("mkfifo is on PATH").success());
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(example());
        command.current_dir(&self.0).args(arguments);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts `count` processes of two workers each that find each other, each with its own arguments.
    fn start(&self, count: usize, arguments: impl Fn(usize) -> Vec<String>) -> Vec<Child> {
        // All ports are reserved until all are known.
        let reserved: Vec<_> = (0..count)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let hosts: Vec<String> = reserved
            .iter()
            .map(|listener| format!("{}\n", listener.local_addr().unwrap()))
            .collect();
        drop(reserved);
        self.write("hosts", hosts.concat());
        let start = |process: usize| {
            let (count, process_) = (count.to_string(), process.to_string());
            let mut command = self.command(&["-w", "2", "-h", "hosts", "-n", &count]);
            command.args(["-p", &process_]).args(arguments(process));
            command.spawn().unwrap()
        };
        (0..count).map(start).collect()
    }

    /// What each of `count` processes did.
    fn run_all(&self, count: usize, arguments: &[&str]) -> Vec<Output> {
        let owned: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        let children = self.start(count, |_| owned.clone());
        // Nobody waits for a reader: each has its own.
        let readers: Vec<_> = children
            .into_iter()
            .map(|child| thread::spawn(move || child.wait_with_output().unwrap()))
            .collect();
        let outputs = readers.into_iter().map(|reader| reader.join().unwrap());
        outputs.collect()
    }
}

/// The built example: `target/PROFILE/examples/cluster_grep` beside our `target/PROFILE/deps`.
fn example() -> PathBuf {
    let ours = std::env::current_exe().unwrap();
    let profile = ours.ancestors().nth(2).unwrap();
    let example = profile.join("examples").join("cluster_grep");
    assert!(
        example.exists(),
        "{} does not exist; run `cargo build --examples` in the same profile first",
        example.display()
    );
    example
}

/// Standard output, standard error and exit status, where bytes that are not ASCII are escaped.
fn text(output: &Output) -> (String, String, Option<i32>) {
    let stdout = output.stdout.escape_ascii().to_string();
    (
        stdout.replace("\\n", "\n"),
        String::from_utf8(output.stderr.clone()).unwrap(),
        output.status.code(),
    )
}

#[track_caller]
fn assert_output(got: &Output, stdout: &str, stderr: &str, status: i32) {
    let expected = (stdout.to_owned(), stderr.to_owned(), Some(status));
    assert_eq!(text(got), expected);
}

/// Lines of many lengths, one in seven with `foo`, and what is special about files.
fn fixture() -> Folder {
    let folder = Folder::new();
    let lines = (0..3000).map(|n| {
        let mark = if n % 7 == 0 { "foo" } else { "bar" };
        format!("{}{mark} {n}\n", "x".repeat(n * n % 61))
    });
    folder.write("big", lines.collect::<String>());
    folder.write("unended", "no\nfoo at the end");
    folder.write("empty", "");
    folder.write("newlines", "\n\n\nfoo\n\n");
    let long = [&[b'y'; 30_000][..], b" foo\nfoo\n", &[b'z'; 30_000]];
    folder.write("long", long.concat());
    folder.write("bytes", b"\xff foo \0\r\n\xfffo\n");
    folder
}

const ALL: [&str; 6] = ["big", "unended", "empty", "newlines", "long", "bytes"];

#[test]
fn the_pipeline_prints_file_and_line() {
    let folder = fixture();
    let got = folder.run(&["--local", "foo", "unended", "empty", "newlines", "bytes"]);
    let stdout = "unended:foo at the end\nnewlines:foo\nbytes:\\xff foo \\x00\\r\n";
    assert_output(&got, stdout, "", 0);
    let got = folder.run(&["--local", "-c", "foo", "big", "unended"]);
    assert_output(&got, "430\n", "", 0);
}

#[test]
fn every_number_of_workers_prints_what_the_pipeline_prints() {
    let folder = fixture();
    for pattern in ["foo", "", "foo 21", "nowhere"] {
        for option in ["--threads=2", "-c"] {
            let local = folder.run(&[&["--local", option, pattern], &ALL[..]].concat());
            for workers in ["-w1", "-w2", "-w3"] {
                for piece in ["--piece=500", "--piece=20000", "--piece=1048576"] {
                    let options = [option, workers, piece, pattern];
                    let got = folder.run(&[&options, &ALL[..]].concat());
                    assert_eq!(text(&got), text(&local), "{options:?}");
                }
            }
        }
    }
}

/// All matches of a piece have the same time, and come in many batches, among those of other pieces.
#[test]
fn the_lines_of_a_piece_keep_their_order() {
    let folder = Folder::new();
    let lines: String = (0..200_000).map(|n| format!("foo {n}\n")).collect();
    folder.write("lines", lines);
    let local = folder.run(&["--local", "foo", "lines"]);
    for got in [
        folder.run(&["--piece=100000", "foo", "lines"]),
        folder.run(&["-w3", "--piece=100000", "foo", "lines"]),
        folder
            .run_all(2, &["--piece=100000", "foo", "lines"])
            .swap_remove(0),
    ] {
        assert!(got.stdout == local.stdout);
    }
}

/// A line belongs to the piece that it starts in, wherever the pieces begin.
#[test]
fn no_border_of_a_piece_loses_or_doubles_a_line() {
    let folder = Folder::new();
    for content in [
        "a\nbb\nccc\n\n\ndddd\ne",
        "\n",
        "\n\n",
        "aaaaaaaaaaaa",
        "a\n",
    ] {
        folder.write("file", content);
        let local = folder.run(&["--local", "", "file"]);
        for size in 1..=content.len() + 1 {
            let got = folder.run(&["-w2", &format!("--piece={size}"), "", "file"]);
            assert_eq!(text(&got), text(&local), "{content:?} by {size}");
        }
    }
}

#[test]
fn two_processes_print_what_the_pipeline_prints() {
    let folder = fixture();
    for option in ["--piece=500", "--piece=1048576", "-c"] {
        let arguments = [&[option, "foo"], &ALL[..]].concat();
        let local = folder.run(&[&["--local"], &arguments[..]].concat());
        assert_eq!(local.status.code(), Some(0));
        let got = folder.run_all(2, &arguments);
        assert_eq!(text(&got[0]), text(&local), "{option}");
        assert_output(&got[1], "", "", 0);
    }
}

#[test]
fn three_processes_find_each_other() {
    let folder = fixture();
    let local = folder.run(&["--local", "foo", "big"]);
    let got = folder.run_all(3, &["--piece=1000", "foo", "big"]);
    assert_eq!(text(&got[0]), text(&local));
    assert_output(&got[1], "", "", 0);
    assert_output(&got[2], "", "", 0);
}

#[test]
fn the_status_tells_whether_something_was_found() {
    let folder = fixture();
    for option in ["--local", "-w2", "-c"] {
        assert_eq!(folder.run(&[option, "foo", "big"]).status.code(), Some(0));
        assert_eq!(folder.run(&[option, "foz", "big"]).status.code(), Some(1));
    }
    let got = folder.run_all(2, &["foz", "big"]);
    assert_output(&got[0], "", "", 1);
    assert_output(&got[1], "", "", 0);
}

#[test]
fn an_unreadable_file_is_told_and_the_others_are_searched() {
    let folder = fixture();
    let arguments = ["foo", "unended", "missing", ".", "newlines"];
    let stdout = "unended:foo at the end\nnewlines:foo\n";
    let stderr = "cluster_grep: missing: No such file or directory (os error 2)\n\
                  cluster_grep: .: Is a directory (os error 21)\n";
    for option in ["--local", "-w1", "-w3", "--piece=1"] {
        let got = folder.run(&[&[option], &arguments[..]].concat());
        assert_output(&got, stdout, stderr, 2);
    }
    let got = folder.run_all(2, &arguments);
    assert_output(&got[0], stdout, stderr, 2);
    assert_output(&got[1], "", "", 0);
}

#[test]
fn a_fifo_is_read_to_its_end() {
    let folder = fixture();
    folder.make_fifo("fifo");
    let writer = {
        let fifo = folder.path("fifo");
        thread::spawn(move || fs::write(fifo, "foo 1\nbar\nfoo 2\n"))
    };
    let got = folder.run(&["-w2", "--piece=3", "foo", "unended", "fifo", "newlines"]);
    let stdout = "unended:foo at the end\nfifo:foo 1\nfifo:foo 2\nnewlines:foo\n";
    assert_output(&got, stdout, "", 0);
    writer.join().unwrap().unwrap();
}

/// File `at` of `names` is a FIFO that nobody writes to. Returns once a worker waits for it.
fn start_and_wait(folder: &Folder, names: &[&str]) -> (Vec<Child>, File) {
    folder.make_fifo("fifo");
    let arguments: Vec<String> = [&["foo"], names]
        .concat()
        .iter()
        .map(|&a| a.into())
        .collect();
    let children = folder.start(2, |_| arguments.clone());
    // Opening it for writing waits for whoever opens it for reading.
    let fifo = File::options().write(true).open(folder.path("fifo"));
    (children, fifo.unwrap())
}

/// Process 1 waits for what never comes; it is to end nevertheless.
#[test]
fn when_the_printing_process_dies_the_others_end() {
    let folder = fixture();
    let names = ["unended", "unended", "fifo", "unended"]; // piece 2 goes to the first worker of process 1
    let (mut children, _fifo) = start_and_wait(&folder, &names);
    let survivor = children.pop().unwrap();
    let mut victim = children.pop().unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let got = survivor.wait_with_output().unwrap();
    let lost = "cluster_grep: process 0 was lost; the output may lack its end\n";
    assert_output(&got, "", lost, 3);
}

/// Piece 30 is handed out when at least 15 have been printed, since 4 per worker are on their way at most.
#[test]
fn when_a_process_dies_the_printing_one_has_printed_a_beginning() {
    let folder = fixture();
    for at in [30, 28] {
        // Piece 30 is read by process 1, which is killed; piece 28 by process 0, whose worker waits for it.
        let mut names = vec!["unended"; 40];
        names[at] = "fifo";
        let (mut children, _fifo) = start_and_wait(&folder, &names);
        let mut victim = children.pop().unwrap();
        let survivor = children.pop().unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        let got = survivor.wait_with_output().unwrap();
        let (stdout, stderr, status) = text(&got);
        let lost = "cluster_grep: process 1 was lost; the output may lack its end\n";
        assert_eq!((&*stderr, status), (lost, Some(3)));
        let printed = stdout.lines().count();
        assert_eq!(stdout, "unended:foo at the end\n".repeat(printed));
        assert!((at - 15..=at).contains(&printed), "{printed} before {at}");
        fs::remove_file(folder.path("fifo")).unwrap();
    }
}

#[test]
fn a_process_that_does_not_come_is_missed() {
    let folder = fixture();
    for (process, missing) in [
        ("0", "process 1 has not come"),
        ("1", "process 0 at 127.0.0.1:"),
    ] {
        let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = format!("{}\n", reserved.local_addr().unwrap());
        drop(reserved);
        folder.write("hosts", free.repeat(2));
        let options = ["--wait=0", "-n2", "-p", process, "-h", "hosts"];
        let got = folder.run(&[&options[..], &["foo", "big"]].concat());
        let (stdout, stderr, status) = text(&got);
        assert_eq!((&*stdout, status), ("", Some(3)));
        assert!(
            stderr.starts_with(&format!("cluster_grep: {missing}")),
            "{stderr}"
        );
    }
}

#[test]
fn processes_with_other_arguments_do_not_work_together() {
    let folder = fixture();
    let patterns = ["foo", "bar"];
    let children = folder.start(2, |process| vec![patterns[process].into(), "big".into()]);
    for (child, peer) in children.into_iter().zip([1, 0]) {
        let got = child.wait_with_output().unwrap();
        let message = format!("cluster_grep: process {peer} was started with other arguments\n");
        assert_output(&got, "", &message, 3);
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let folder = Folder::new();
    folder.write("lines", "foo\n".repeat(500_000));
    for option in ["--local", "-w1", "-w2"] {
        let mut child = folder
            .command(&[option, "--piece=65536", "foo", "lines"])
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        assert_eq!(first, "lines:foo\n");
        drop(stdout);
        assert_output(&child.wait_with_output().unwrap(), "", "", 0);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_write_is_told() {
    let folder = fixture();
    for arguments in [
        &["foo", "big"][..],
        &["-c", "foo", "big"],
        &["--local", "foo", "big"],
        &["--local", "-c", "foo", "big"],
        &["--help"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let got = folder.command(arguments).stdout(full).output().unwrap();
        let stderr = "cluster_grep: No space left on device (os error 28)\n";
        assert_output(&got, "", stderr, 2);
    }
}

#[test]
fn the_command_line_is_checked() {
    let folder = fixture();
    let help = folder.run(&["--help"]);
    let (stdout, stderr, status) = text(&help);
    assert!(stdout.starts_with("cluster_grep: "), "{stdout}");
    assert!(
        stdout.contains("cargo run --example cluster_grep"),
        "{stdout}"
    );
    assert_eq!((&*stderr, status), ("", Some(0)));
    for (arguments, message) in [
        (&["--no-such-flag"][..], "invalid option '--no-such-flag'"),
        (&["foo"], "there must be a TEXT and a FILE"),
        (&["-w0", "foo", "big"], "neither -w nor --piece can be 0"),
        (&["-n2", "-p2", "foo", "big"], "there is no process 2 of 2"),
        (
            &["-n2", "-h", "empty", "foo", "big"],
            "empty has 0 addresses for 2 processes",
        ),
    ] {
        let stderr = format!("cluster_grep: {message}; try --help\n");
        assert_output(&folder.run(arguments), "", &stderr, 2);
    }
}
