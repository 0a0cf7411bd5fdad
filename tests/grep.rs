//! The example `grep`, run as a program: what it prints, what it tells on standard error, its exit status.

#![cfg(unix)]

mod folder;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use folder::Folder;

impl Folder {
    /// `program`, to be run in the folder, in the locale that GNU grep is compared in.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.0).env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null());
        command
    }

    fn grep(&self) -> Command {
        self.command(example())
    }

    fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        self.grep().args(arguments).output().unwrap()
    }
}

/// The built example: `target/PROFILE/examples/grep` beside our `target/PROFILE/deps`.
fn example() -> PathBuf {
    built("grep")
}

fn built(name: &str) -> PathBuf {
    let ours = std::env::current_exe().unwrap();
    let profile = ours.ancestors().nth(2).unwrap();
    let example = profile.join("examples").join(name);
    assert!(
        example.exists(),
        "{} does not exist; run `cargo build --examples` in the same profile first",
        example.display()
    );
    example
}

/// Runs `command`, writing `input` to it, which it need not read.
fn feed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = feeder.join().unwrap();
    output
}

#[track_caller]
fn assert_output(
    what: &dyn std::fmt::Debug,
    got: &Output,
    stdout: &[u8],
    stderr: &[u8],
    status: i32,
) {
    let text = |stdout: &[u8], stderr: &[u8], status: Option<i32>| {
        format!(
            "{}\n--\n{}\n--\n{status:?}",
            stdout.escape_ascii(),
            stderr.escape_ascii()
        )
    };
    assert_eq!(
        text(&got.stdout, &got.stderr, got.status.code()),
        text(stdout, stderr, Some(status)),
        "{what:?}"
    );
}

/// The files of the table below.
fn fixture() -> Folder {
    let folder = Folder::new();
    let files: &[(&str, &[u8])] = &[
        ("a", b"foo\nbar\nFoo2\n"),
        ("crlf", b"foo\r\nbar\r\n"),
        ("unended", b"bar\nfoo"),
        ("empty", b""),
        ("nul", b"x\0foo\nfoo\0foo\nlast"),
        ("nuls", b"\0\0\0\0"),
        ("invalid", b"foo 1\nfoo \xff\nfoo 3\nbar\n"),
        ("umlaut", "Größe\n".as_bytes()),
        ("-n", b"foo\n"),
        (
            "lines",
            b"one\ntwo\nthree foo\nfour\nfive\nsix\nseven foo foo\neight\n",
        ),
        ("words", b"ab a\n\n a b\n++\nab_a a-b\n"),
        ("patterns", b"one\nsix\n"),
    ];
    for (name, content) in files {
        folder.write(name, content);
    }
    let mut late = b"foo early\n".to_vec();
    late.resize(200_000, b'\n');
    late.extend_from_slice(b"foo\0foo\n");
    folder.write("late", late);
    fs::create_dir_all(folder.path("dir/sub")).unwrap();
    folder.write("dir/z", "foo z\n");
    folder.write("dir/b", "foo b\n");
    folder.write("dir/sub/f", "foo f\n");
    fs::create_dir_all(folder.path("code/lib")).unwrap();
    for name in ["code/a.c", "code/a.h", "code/lib/b.c", "code/lib/notes"] {
        folder.write(name, "foo\n");
    }
    symlink("../a", folder.path("dir/link")).unwrap();
    symlink("dir", folder.path("dirlink")).unwrap();
    symlink("loop", folder.path("loop")).unwrap();
    folder
}

const USAGE: &str =
    "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n";

/// Arguments, standard output, standard error, status. Recorded from GNU grep 3.8 (`LC_ALL=C.UTF-8`), except for the
/// order in directories, which is that of the names here.
type Case = (&'static [&'static str], &'static [u8], &'static str, i32);

#[track_caller]
fn check(cases: &[Case]) {
    let folder = fixture();
    for (arguments, stdout, stderr, status) in cases {
        let got = folder.run(arguments);
        assert_output(arguments, &got, stdout, stderr.as_bytes(), *status);
    }
}

#[test]
#[rustfmt::skip]
fn options_are_those_of_gnu_grep() {
    check(&[
        (&["foo", "a"], b"foo\n", "", 0),
        (&["zebra", "a"], b"", "", 1),
        (&["-i", "foo", "a"], b"foo\nFoo2\n", "", 0),
        (&["--ignore-case", "--fixed-strings", "GRÖSSE", "umlaut"], b"", "", 1),
        (&["-Fi", "GRÖßE", "umlaut"], "Größe\n".as_bytes(), "", 0),
        (&["-v", "foo", "a"], b"bar\nFoo2\n", "", 0),
        (&["--invert-match", "--line-number", "foo", "a"], b"2:bar\n3:Foo2\n", "", 0),
        (&["-nivefoo", "a"], b"2:bar\n", "", 0),
        (&["foo", "a", "-n"], b"1:foo\n", "", 0),
        (&["foo", "--", "-n"], b"foo\n", "", 0),
        (&["-e", "foo", "-e", "bar", "a"], b"foo\nbar\n", "", 0),
        (&["--regexp=foo", "--regexp", "bar", "a"], b"foo\nbar\n", "", 0),
        (&["foo\nbar", "a"], b"foo\nbar\n", "", 0),
        (&["-F", "fo.\nba", "a"], b"bar\n", "", 0),
        (&["-e=foo", "a"], b"", "", 1),
        (&["fo.$", "a"], b"foo\n", "", 0),
        (&["-F", "fo.", "a"], b"", "", 1),
        (&["-F", "", "a"], b"foo\nbar\nFoo2\n", "", 0),
        (&["-v", "", "a", "missing"], b"", "", 1),
        (&["-m1", "", "a", "crlf"], b"a:foo\ncrlf:foo\r\n", "", 0),
        (&["--max-count=2", "-c", "", "a"], b"2\n", "", 0),
        (&["-m", "0", "foo", "missing"], b"", "", 1),
        (&["-m-1", "-c", "", "a"], b"3\n", "", 0),
        (&["-m99999999999999999999", "-c", "", "a"], b"3\n", "", 0),
        (&["-c", "foo", "a", "empty"], b"a:1\nempty:0\n", "", 0),
        (&["--count", "--no-filename", "foo", "a", "empty"], b"1\n0\n", "", 0),
        (&["-c", "foo", "empty"], b"0\n", "", 1),
        (&["-l", "foo", "a", "empty", "nul"], b"a\nnul\n", "", 0),
        (&["--files-with-matches", "-hc", "foo", "a"], b"a\n", "", 0),
        (&["-lv", "foo", "a", "empty"], b"a\n", "", 0),
        (&["-H", "foo", "a"], b"a:foo\n", "", 0),
        (&["-h", "--with-filename", "-n", "foo", "a"], b"a:1:foo\n", "", 0),
        (&["-h", "foo", "a", "unended"], b"foo\nfoo\n", "", 0),
        (&["-q", "foo", "a"], b"", "", 0),
        (&["--quiet", "-c", "foo", "empty"], b"", "", 1),
        (&["--silent", "-l", "foo", "a"], b"", "", 0),
    ]);
}

#[test]
#[rustfmt::skip]
fn context_is_that_of_gnu_grep() {
    check(&[
        (&["-nA1", "foo", "lines"], b"3:three foo\n4-four\n--\n7:seven foo foo\n8-eight\n", "", 0),
        (&["-nB1", "foo", "lines"], b"2-two\n3:three foo\n--\n6-six\n7:seven foo foo\n", "", 0),
        (&["-C1", "foo", "lines"], b"two\nthree foo\nfour\n--\nsix\nseven foo foo\neight\n", "", 0),
        (&["-1", "foo", "lines"], b"two\nthree foo\nfour\n--\nsix\nseven foo foo\neight\n", "", 0),
        (&["-n12", "six", "lines"], b"1-one\n2-two\n3-three foo\n4-four\n5-five\n6:six\n7-seven foo foo\n8-eight\n", "", 0),
        (&["-1", "-2", "six", "lines"], b"four\nfive\nsix\nseven foo foo\neight\n", "", 0),
        (&["-A0", "-C2", "six", "lines"], b"four\nfive\nsix\n", "", 0),
        (&["-A1", "foo", "a", "lines"], b"a:foo\na-bar\n--\nlines:three foo\nlines-four\n--\nlines:seven foo foo\nlines-eight\n", "", 0),
        (&["-c", "-A1", "foo", "lines"], b"2\n", "", 0),
        (&["-nm1", "-A2", "foo", "lines"], b"3:three foo\n4-four\n5-five\n", "", 0),
        (&["-nvA1", "-m2", "foo", "lines"], b"1:one\n2:two\n3-three foo\n", "", 0),
        (&["--context=1", "-v", "o", "lines"], b"four\nfive\nsix\nseven foo foo\neight\n", "", 0),
        (&["--group-separator=XX", "-A0", "foo", "lines"], b"three foo\nXX\nseven foo foo\n", "", 0),
        (&["--no-group-separator", "-A0", "foo", "lines"], b"three foo\nseven foo foo\n", "", 0),
        (&["--color=always", "-nC1", "foo", "lines"], b"\x1b[32m\x1b[K2\x1b[m\x1b[K\x1b[36m\x1b[K-\x1b[m\x1b[Ktwo\n\x1b[32m\x1b[K3\x1b[m\x1b[K\x1b[36m\x1b[K:\x1b[m\x1b[Kthree \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K\n\x1b[32m\x1b[K4\x1b[m\x1b[K\x1b[36m\x1b[K-\x1b[m\x1b[Kfour\n\x1b[36m\x1b[K--\x1b[m\x1b[K\n\x1b[32m\x1b[K6\x1b[m\x1b[K\x1b[36m\x1b[K-\x1b[m\x1b[Ksix\n\x1b[32m\x1b[K7\x1b[m\x1b[K\x1b[36m\x1b[K:\x1b[m\x1b[Kseven \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K\n\x1b[32m\x1b[K8\x1b[m\x1b[K\x1b[36m\x1b[K-\x1b[m\x1b[Keight\n", "", 0),
        (&["-onA1", "foo", "lines"], b"3:foo\n--\n7:foo\n7:foo\n", "", 0),
        (&["-A", "x", "foo", "a"], b"", "grep: x: invalid context length argument\n", 2),
        (&["-C", "-1", "foo", "a"], b"", "grep: -1: invalid context length argument\n", 2),
        (&["-A1", "foo", "nul", "lines"], b"--\nlines:three foo\nlines-four\n--\nlines:seven foo foo\nlines-eight\n", "grep: nul: binary file matches\n", 0),
    ]);
}

#[test]
#[rustfmt::skip]
fn matches_are_the_leftmost_longest() {
    check(&[
        (&["-on", "fo*", "lines"], b"3:foo\n4:fo\n5:f\n7:foo\n7:foo\n", "", 0),
        (&["-oE", "o|on|one", "lines"], b"one\no\no\no\no\no\no\no\no\n", "", 0),
        (&["-oE", "(f|fo)(o|or)?", "lines"], b"foo\nfo\nf\nfoo\nfoo\n", "", 0),
        (&["-ob", "foo", "lines"], b"14:foo\n38:foo\n42:foo\n", "", 0),
        (&["-oi", "F", "lines"], b"f\nf\nf\nf\nf\n", "", 0),
        (&["-ov", "foo", "lines"], b"", "", 0),
        (&["-ow", "[ab]*", "words"], b"ab\na\na\nb\na\nb\n", "", 0),
        (&["-nw", "ab", "words"], b"1:ab a\n", "", 0),
        (&["-nw", "a", "words"], b"1:ab a\n3: a b\n5:ab_a a-b\n", "", 0),
        (&["-w", "-v", "a", "words"], b"\n++\n", "", 0),
        (&["-x", "-n", "three.*", "lines"], b"3:three foo\n", "", 0),
        (&["-xF", "bar", "a"], b"bar\n", "", 0),
        (&["--color=always", "foo", "lines"], b"three \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K\nseven \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K\n", "", 0),
        (&["--color=always", "-H", "foo", "lines"], b"\x1b[35m\x1b[Klines\x1b[m\x1b[K\x1b[36m\x1b[K:\x1b[m\x1b[Kthree \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K\n\x1b[35m\x1b[Klines\x1b[m\x1b[K\x1b[36m\x1b[K:\x1b[m\x1b[Kseven \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K \x1b[01;31m\x1b[Kfoo\x1b[m\x1b[K\n", "", 0),
        (&["--color=always", "-v", "foo", "a"], b"bar\nFoo2\n", "", 0),
        (&["--color=always", "-vC1", "bar", "a"], b"foo\n\x1b[01;31m\x1b[Kbar\x1b[m\x1b[K\nFoo2\n", "", 0),
        (&["--color=always", "-c", "foo", "a", "crlf"], b"\x1b[35m\x1b[Ka\x1b[m\x1b[K\x1b[36m\x1b[K:\x1b[m\x1b[K1\n\x1b[35m\x1b[Kcrlf\x1b[m\x1b[K\x1b[36m\x1b[K:\x1b[m\x1b[K1\n", "", 0),
        (&["--color=always", "-l", "foo", "a"], b"\x1b[35m\x1b[Ka\x1b[m\x1b[K\n", "", 0),
        (&["--colour=never", "foo", "a"], b"foo\n", "", 0),
        (&["-o", ".", "umlaut"], b"G\nr\n\xc3\xb6\n\xc3\x9f\ne\n", "", 0),
        (&["-oE", "x*", "a"], b"", "", 0),
    ]);
}

#[test]
#[rustfmt::skip]
fn printing_is_that_of_gnu_grep() {
    check(&[
        (&["-b", "o", "a"], b"0:foo\n8:Foo2\n", "", 0),
        (&["-nb", "o", "a"], b"1:0:foo\n3:8:Foo2\n", "", 0),
        (&["-nT", "o", "a"], b" 1:\tfoo\n 3:\tFoo2\n", "", 0),
        (&["-HnTb", "foo", "a"], b"a: 1: 0:\tfoo\n", "", 0),
        (&["-Hc", "-T", "foo", "a"], b"a:1\n", "", 0),
        (&["-Z", "-H", "foo", "a"], b"a\0foo\n", "", 0),
        (&["-lZ", "foo", "a", "crlf"], b"a\0crlf\0", "", 0),
        (&["-cZ", "foo", "a", "crlf"], b"a\x001\ncrlf\x001\n", "", 0),
        (&["-L", "foo", "a", "umlaut"], b"umlaut\n", "", 0),
        (&["-L", "foo", "a"], b"", "", 0),
        (&["-lL", "foo", "a", "umlaut"], b"umlaut\n", "", 0),
        (&["-Ll", "foo", "a", "umlaut"], b"a\n", "", 0),
        (&["-Lc", "foo", "a", "umlaut"], b"umlaut\n", "", 0),
        (&["-qL", "foo", "umlaut"], b"", "", 1),
        (&["-z", "foo", "nul"], b"foo\nfoo\0foo\nlast\0", "", 0),
        (&["-zc", "bar", "a"], b"1\n", "", 0),
        (&["--line-buffered", "foo", "a"], b"foo\n", "", 0),
        (&["--label=x", "-H", "foo", "a"], b"a:foo\n", "", 0),
        (&["-f", "patterns", "lines"], b"one\nsix\n", "", 0),
        (&["-f", "patterns", "-e", "two", "lines"], b"one\ntwo\nsix\n", "", 0),
        (&["-vf", "patterns", "-c", "lines"], b"6\n", "", 0),
        (&["-f", "empty", "a"], b"", "", 1),
        (&["-vf", "empty", "a"], b"foo\nbar\nFoo2\n", "", 0),
        (&["-f", "missing", "a"], b"", "grep: missing: No such file or directory\n", 2),
        (&["-a", "foo", "nul"], b"x\0foo\nfoo\0foo\n", "", 0),
        (&["-ac", "foo", "invalid"], b"3\n", "", 0),
        (&["--text", "o", "invalid"], b"foo 1\nfoo \xff\nfoo 3\n", "", 0),
        (&["-I", "foo", "nul"], b"", "", 1),
        (&["-Ic", "foo", "nul", "a"], b"nul:0\na:1\n", "", 0),
        (&["-IL", "foo", "nul", "a"], b"nul\n", "", 0),
        (&["-I", "foo", "invalid"], b"foo 1\nfoo 3\n", "", 0),
        (&["--binary-files=text", "foo", "nul"], b"x\0foo\nfoo\0foo\n", "", 0),
        (&["--binary-files=without-match", "foo", "nul"], b"", "", 1),
        (&["--binary-files=x", "foo", "nul"], b"", "grep: unknown binary-files type\n", 2),
        (&["-U", "foo", "crlf"], b"foo\r\n", "", 0),
        (&["-y", "FOO", "a"], b"foo\nFoo2\n", "", 0),
        (&["-i", "--no-ignore-case", "FOO", "a"], b"", "", 1),
        (&["--no-ignore-case", "-i", "FOO", "a"], b"foo\nFoo2\n", "", 0),
        (&["-E", "-F", "foo", "a"], b"", "grep: conflicting matchers specified\n", 2),
        (&["-EE", "f|b", "a"], b"foo\nbar\n", "", 0),
        (&["-m0", "foo", "missing"], b"", "", 1),
        (&["-m0", "-L", "foo", "a"], b"a\n", "", 1),
        (&["-m1", "-c", "o", "a"], b"1\n", "", 0),
        (&["-d", "skip", "foo", "dir"], b"", "", 1),
        (&["-D", "skip", "foo", "/dev/null"], b"", "", 1),
    ]);
}

#[test]
#[rustfmt::skip]
fn long_options_may_be_abbreviated() {
    check(&[
        (&["--line-n", "foo", "a"], b"1:foo\n", "", 0),
        (&["--colo=always", "bar", "a"], b"\x1b[01;31m\x1b[Kbar\x1b[m\x1b[K\n", "", 0),
        (&["--inv", "-c", "foo", "a"], b"2\n", "", 0),
        (&["--files-witho", "foo", "a"], b"", "", 0),
        (&["--no-i", "-n", "bar", "a"], b"2:bar\n", "", 0),
        (&["--i", "foo", "a"], b"", "grep: option '--i' is ambiguous; possibilities: '--include' '--ignore-case' '--initial-tab' '--invert-match'\nUsage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n", 2),
        (&["--no", "foo", "a"], b"", "grep: option '--no' is ambiguous; possibilities: '--no-ignore-case' '--no-filename' '--no-group-separator' '--no-messages'\nUsage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n", 2),
        (&["--line", "foo", "a"], b"", "grep: option '--line' is ambiguous; possibilities: '--line-buffered' '--line-number' '--line-regexp'\nUsage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n", 2),
        (&["--fi=x", "foo", "a"], b"", "grep: option '--fi=x' is ambiguous; possibilities: '--fixed-regexp' '--file' '--files-with-matches' '--files-without-match'\nUsage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n", 2),
        (&["--nul", "foo", "a"], b"", "grep: option '--nul' is ambiguous; possibilities: '--null' '--null-data'\nUsage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n", 2),
    ]);
}

#[test]
#[rustfmt::skip]
fn globs_choose_files() {
    check(&[
        (&["-r", "--include=*.c", "foo", "code"], b"code/a.c:foo\ncode/lib/b.c:foo\n", "", 0),
        (&["-r", "--exclude=*.c", "foo", "code"], b"code/a.h:foo\ncode/lib/notes:foo\n", "", 0),
        (&["-r", "--include=*.c", "--exclude=a*", "foo", "code"], b"code/lib/b.c:foo\n", "", 0),
        (&["-r", "--exclude=a*", "--include=*.c", "foo", "code"], b"code/a.c:foo\ncode/lib/b.c:foo\ncode/lib/notes:foo\n", "", 0),
        (&["-r", "--exclude-dir=lib", "foo", "code"], b"code/a.c:foo\ncode/a.h:foo\n", "", 0),
        (&["-r", "--exclude-dir=lib/", "foo", "code"], b"code/a.c:foo\ncode/a.h:foo\n", "", 0),
        (&["-r", "--exclude-dir=code", "foo", "code"], b"", "", 1),
        (&["-r", "--exclude-dir=code/lib", "foo", "code"], b"code/a.c:foo\ncode/a.h:foo\ncode/lib/b.c:foo\ncode/lib/notes:foo\n", "", 0),
        (&["-r", "--exclude=lib/b.c", "foo", "code"], b"code/a.c:foo\ncode/a.h:foo\ncode/lib/b.c:foo\ncode/lib/notes:foo\n", "", 0),
        (&["--include=*.c", "foo", "code/a.c", "code/a.h"], b"code/a.c:foo\n", "", 0),
        (&["--exclude=code/a.c", "foo", "code/a.c", "code/a.h"], b"code/a.h:foo\n", "", 0),
        (&["--exclude=c*", "foo", "code/a.c", "a"], b"a:foo\n", "", 0),
        (&["--exclude=a.[!c]", "foo", "code/a.c", "code/a.h"], b"code/a.c:foo\n", "", 0),
        (&["--exclude=missing", "foo", "missing"], b"", "grep: missing: No such file or directory\n", 2),
        (&["--exclude-dir=code", "foo", "code"], b"", "", 1),
        (&["--include=*.c", "foo", "code"], b"", "grep: code: Is a directory\n", 2),
        (&["-R", "-l", "foo", "dir"], b"dir/b\ndir/link\ndir/sub/f\ndir/z\n", "", 0),
        (&["-r", "-l", "foo", "dir"], b"dir/b\ndir/sub/f\ndir/z\n", "", 0),
    ]);
}

/// Syntax, pattern, what `-o` prints of one line. Recorded from GNU grep 3.8.
#[test]
#[rustfmt::skip]
fn patterns_are_those_of_posix() {
    let folder = Folder::new();
    for (syntax, pattern, stdout) in [
        ("-G", "*a", "*a\n"),
        ("-G", "\\(*a\\)", "*a\n"),
        ("-G", "^*a", ""),
        ("-G", "\\(^a\\)", "a\n"),
        ("-G", "a\\|*b", "a\na\na\na\na\n"),
        ("-G", "a\\{1,2\\}", "aa\na\na\na\n"),
        ("-G", "a\\{,2\\}", "aa\na\na\na\n"),
        ("-G", "a\\{1,2\\}\\{2\\}", "aa\n"),
        ("-G", "\\{1\\}", "{1}\n"),
        ("-G", "a**", "aa\na\na\na\n"),
        ("-G", "a\\+", "aa\na\na\na\n"),
        ("-G", "\\+?", "+?\n"),
        ("-G", "\\?|", "?|\n"),
        ("-G", "a^b", "a^b\n"),
        ("-G", "a\\(^b\\)", ""),
        ("-G", "b$", ""),
        ("-G", "b\\$", "b$\n"),
        ("-G", "\\(b$\\)", ""),
        ("-G", "[]a]", "a\na\na\na\na\n"),
        ("-G", "[^]a ]", "b\n*\n^\nb\n{\n1\n}\n(\n+\n?\n|\n)\nb\n$\n{\nc\n"),
        ("-G", "[a-]", "a\na\na\na\na\n"),
        ("-G", "[a\\]", "a\na\na\na\na\n"),
        ("-G", "[[.a.]b]", "a\na\nb\na\nb\na\na\nb\n"),
        ("-G", "[[=a=]]", "a\na\na\na\na\n"),
        ("-G", "[[:alpha:]]*", "aab\na\nb\na\na\nb\nc\n"),
        ("-G", "[^[:alpha:]]*", "*\n^\n{1}\n(+?|\n)\n$ {\n"),
        ("-G", "[--/]", ""),
        ("-G", "\\<a", "a\na\na\na\n"),
        ("-G", "a\\>", "a\na\na\n"),
        ("-G", "\\ba", "a\na\na\na\n"),
        ("-G", "\\Ba", "a\n"),
        ("-G", "\\w*", "aab\na\nb\n1\na\na\nb\nc\n"),
        ("-G", "\\W\\+", "*\n^\n{\n}\n(+?|\n)\n$ {\n"),
        ("-G", "\\s", " \n"),
        ("-G", "\\S*", "aab*a^b{1}a(+?|a)b$\n{c\n"),
        ("-G", "\\`a", "a\n"),
        ("-G", "c\\'", "c\n"),
        ("-G", "a|b", ""),
        ("-G", "(+?", "(+?\n"),
        ("-G", "\\(a\\)\\1", "aa\n"),
        ("-G", "\\(a*\\)b\\1", "b\nb\nb\n"),
        ("-G", "\\(a\\|b\\)*\\1", "aa\n"),
        ("-G", "a\\{0\\}b", "b\nb\nb\n"),
        ("-G", "\\}", "}\n"),
        ("-G", "\\q", ""),
        ("-G", "{c", "{c\n"),
        ("-E", "a|b", "a\na\nb\na\nb\na\na\nb\n"),
        ("-E", "a+", "aa\na\na\na\n"),
        ("-E", "a{1,2}", "aa\na\na\na\n"),
        ("-E", "a{,2}", "aa\na\na\na\n"),
        ("-E", "a{1a}", ""),
        ("-E", "a{1", ""),
        ("-E", "b\\{1", "b{1\n"),
        ("-E", ")", ")\n"),
        ("-E", "a\\)", "a)\n"),
        ("-E", "()", ""),
        ("-E", "(|a)b", "ab\nb\nb\n"),
        ("-E", "a||b", "a\na\nb\na\nb\na\na\nb\n"),
        ("-E", "a**", "aa\na\na\na\n"),
        ("-E", "a+?", "aa\na\na\na\n"),
        ("-E", "(a*)+", "aa\na\na\na\n"),
        ("-E", "^^a", "a\n"),
        ("-E", "a^b", ""),
        ("-E", "a\\^b", "a^b\n"),
        ("-E", "(^|a)b", "ab\n"),
        ("-E", "(a)\\1", "aa\n"),
        ("-E", "(a|b)\\1", "aa\n"),
        ("-E", "(a|ab)(c|bcd)?", "a\nab\na\na\na\n"),
        ("-E", "[ab]{2}", "aa\n"),
        ("-E", "\\(\\+", "(+\n"),
        ("-E", "a{0}b", "b\nb\nb\n"),
        ("-E", "*a", "a\na\na\na\na\n"),
        ("-E", "(+a)", "a\na\na\na\na\n"),
        ("-Ei", "(B).*\\1", "b*a^b{1}a(+?|a)b\n"),
        ("-E", "(a*)b\\1", "b\nb\nb\n"),
    ] {
        let got = feed(folder.grep().args(["-o", syntax, "-e", pattern]), b"aab*a^b{1}a(+?|a)b$ {c\n");
        assert_eq!(String::from_utf8_lossy(&got.stdout), stdout, "{syntax} {pattern}");
    }
}

#[test]
fn wrong_command_lines_are_refused() {
    for (arguments, message) in [
        (&[][..], ""),
        (&["-h"], ""),
        (&["-nY", "a"], "grep: invalid option -- 'Y'\n"),
        (&["--bogus"], "grep: unrecognized option '--bogus'\n"),
        (&["-ne"], "grep: option requires an argument -- 'e'\n"),
        (
            &["--regexp"],
            "grep: option '--regexp' requires an argument\n",
        ),
        (
            &["--count=3", "x"],
            "grep: option '--count' doesn't allow an argument\n",
        ),
    ] {
        let got = Folder::new().run(arguments);
        assert_output(
            &arguments,
            &got,
            b"",
            format!("{message}{USAGE}").as_bytes(),
            2,
        );
    }
    for number in ["x", "", "1k", "+"] {
        let got = Folder::new().run(&["-m", number, "x"]);
        assert_output(&number, &got, b"", b"grep: invalid max count\n", 2);
    }
}

#[test]
#[rustfmt::skip]
fn a_wrong_pattern_is_refused() {
    for (syntax, pattern, message) in [
        ("-E", "a(b", "Unmatched ( or \\("),
        ("-G", "a\\(b", "Unmatched ( or \\("),
        ("-G", "a\\)b", "Unmatched ) or \\)"),
        ("-G", "a\\", "Trailing backslash"),
        ("-E", "a\\", "Trailing backslash"),
        ("-G", "a\\{1", "Unmatched \\{"),
        ("-G", "a\\{x", "Unmatched \\{"),
        ("-G", "a\\{1a\\}", "Invalid content of \\{\\}"),
        ("-G", "a\\{2,1\\}", "Invalid content of \\{\\}"),
        ("-E", "a{2,1}", "Invalid content of \\{\\}"),
        ("-E", "a{32768}", "Regular expression too big"),
        ("-G", "\\(a\\)\\2", "Invalid back reference"),
        ("-E", "(a\\1)", "Invalid back reference"),
        ("-E", "(a)|\\1", "Invalid back reference"),
        ("-G", "[", "Invalid regular expression"),
        ("-G", "a[^", "Invalid regular expression"),
        ("-G", "[a", "Unmatched [, [^, [:, [., or [="),
        ("-G", "[]", "Unmatched [, [^, [:, [., or [="),
        ("-G", "[[:alpha", "Unmatched [, [^, [:, [., or [="),
        ("-G", "[b-a]", "Invalid range end"),
        ("-G", "[a-c-e]", "Invalid range end"),
        ("-G", "[[:alpha:]-z]", "Invalid range end"),
        ("-Gi", "[Z-a]", "Invalid range end"),
        ("-G", "[[:foo:]]", "Invalid character class name"),
        ("-G", "[[.ab.]]", "Invalid collation character"),
        ("-G", "[:space:]", "character class syntax is [[:space:]], not [:space:]"),
    ] {
        let got = Folder::new().run(&[syntax, "-e", "fine", "-e", pattern]);
        assert_output(&pattern, &got, b"", format!("grep: {message}\n").as_bytes(), 2);
    }
}

#[test]
fn help_says_which_regular_expressions() {
    let got = Folder::new().run(&["x", "--help"]);
    let stdout = String::from_utf8(got.stdout).unwrap();
    assert!(stdout.starts_with("Usage: grep"), "{stdout}");
    assert!(stdout.contains("basic regular expressions"), "{stdout}");
    assert_eq!((got.stderr, got.status.code()), (Vec::new(), Some(0)));
}

#[test]
#[rustfmt::skip]
fn errors_are_told_and_the_other_files_searched() {
    const MISSING: &str = "grep: missing: No such file or directory\n";
    const DIRECTORY: &str = "grep: dir: Is a directory\n";
    check(&[
        (&["foo", "missing", "a"], b"a:foo\n", MISSING, 2),
        (&["foo", "dir", "a"], b"a:foo\n", DIRECTORY, 2),
        (&["-c", "foo", "missing", "dir", "a"], b"dir:0\na:1\n", "grep: missing: No such file or directory\ngrep: dir: Is a directory\n", 2),
        (&["-s", "foo", "missing", "dir", "a"], b"a:foo\n", "", 2),
        (&["--no-messages", "foo", "missing"], b"", "", 2),
        (&["-q", "foo", "missing", "a"], b"", MISSING, 0),
        (&["-q", "foo", "missing", "empty"], b"", MISSING, 2),
        (&["-q", "foo", "a", "missing"], b"", "", 0),
        (&["foo", ""], b"", "grep: : No such file or directory\n", 2),
        (&["foo", "a/"], b"", "grep: a/: Not a directory\n", 2),
        (&["-r", "foo", "loop"], b"", "grep: loop: Too many levels of symbolic links\n", 2),
        (&["-r", "foo", "missing", "dir/sub"], b"dir/sub/f:foo f\n", MISSING, 2),
    ]);
}

#[test]
#[rustfmt::skip]
fn directories_are_searched_in_the_order_of_names() {
    check(&[
        (&["-r", "foo", "dir"], b"dir/b:foo b\ndir/sub/f:foo f\ndir/z:foo z\n", "", 0),
        (&["-rhn", "foo", "dir//"], b"1:foo b\n1:foo f\n1:foo z\n", "", 0),
        (&["--recursive", "-l", "foo", "./dir/"], b"./dir/b\n./dir/sub/f\n./dir/z\n", "", 0),
        (&["-rc", "b", "dir"], b"dir/b:1\ndir/sub/f:0\ndir/z:0\n", "", 0),
        (&["-r", "foo", "dirlink/sub"], b"dirlink/sub/f:foo f\n", "", 0),
        (&["-rl", "foo", "dirlink"], b"dirlink/b\ndirlink/sub/f\ndirlink/z\n", "", 0),
        (&["-r", "foo", "dir/link"], b"foo\n", "", 0),
        (&["-r", "foo", "a"], b"foo\n", "", 0),
        (&["-r", "foo", "a", "dir/b"], b"a:foo\ndir/b:foo b\n", "", 0),
    ]);
}

#[test]
fn without_a_file_the_working_directory_is_searched() {
    let folder = fixture();
    let in_directory = |arguments: &[&str]| {
        let mut grep = folder.grep();
        grep.current_dir(folder.path("dir")).args(arguments);
        grep.output().unwrap()
    };
    assert_output(
        &"-r",
        &in_directory(&["-r", "foo"]),
        b"b:foo b\nsub/f:foo f\nz:foo z\n",
        b"",
        0,
    );
    assert_output(
        &"-r .",
        &in_directory(&["-r", "f$", "."]),
        b"./sub/f:foo f\n",
        b"",
        0,
    );
}

#[test]
fn directories_may_be_deep() {
    let folder = Folder::new();
    let path = "d/".repeat(300);
    fs::create_dir_all(folder.path(&path)).unwrap();
    folder.write(format!("{path}f"), "foo\n");
    let got = folder.run(&["-r", "foo"]);
    assert_output(&"deep", &got, format!("{path}f:foo\n").as_bytes(), b"", 0);
}

#[test]
#[rustfmt::skip]
fn line_ends_are_kept_and_a_missing_one_is_added() {
    check(&[
        (&["-n", "", "crlf", "unended", "empty"], b"crlf:1:foo\r\ncrlf:2:bar\r\nunended:1:bar\nunended:2:foo\n", "", 0),
        (&["foo$", "crlf"], b"", "", 1),
        (&["foo\r$", "crlf"], b"foo\r\n", "", 0),
        (&["-c", "", "empty"], b"0\n", "", 1),
        (&["-vc", "x", "unended"], b"2\n", "", 0),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_file_with_a_nul_is_binary() {
    const MATCHES: &str = "grep: nul: binary file matches\n";
    check(&[
        (&["foo", "nul"], b"", MATCHES, 0),
        (&["-n", "foo", "a", "nul"], b"a:1:foo\n", MATCHES, 0),
        (&["-hs", "foo", "nul"], b"", MATCHES, 0),
        (&["zebra", "nul"], b"", "", 1),
        (&["-v", "foo", "nul"], b"", MATCHES, 0),
        // A NUL ends a line.
        (&["-c", "foo", "nul"], b"3\n", "", 0),
        (&["-cv", "foo", "nul"], b"2\n", "", 0),
        (&["-c", "^foo$", "nul"], b"3\n", "", 0),
        (&["-c", "", "nuls"], b"4\n", "", 0),
        (&["-l", "foo", "nul"], b"nul\n", "", 0),
        (&["-q", "foo", "nul"], b"", "", 0),
        // What comes in blocks before the NUL is text.
        (&["-n", "foo", "late"], b"1:foo early\n", "grep: late: binary file matches\n", 0),
        (&["early", "late"], b"foo early\n", "", 0),
        (&["-c", "foo", "late"], b"3\n", "", 0),
    ]);
}

#[test]
#[rustfmt::skip]
fn lines_that_are_not_utf8_are_not_printed() {
    const MATCHES: &str = "grep: invalid: binary file matches\n";
    check(&[
        (&["-n", "foo", "invalid"], b"1:foo 1\n3:foo 3\n", MATCHES, 0),
        (&["-m2", "foo", "invalid"], b"foo 1\n", MATCHES, 0),
        (&["-m1", "foo", "invalid"], b"foo 1\n", "", 0),
        (&["bar", "invalid"], b"bar\n", "", 0),
        (&["-c", "foo", "invalid"], b"3\n", "", 0),
        (&["foo .", "invalid"], b"foo 1\nfoo 3\n", "", 0),
    ]);
    let folder = fixture();
    for fixed in ["-c", "-cF"] {
        let pattern = OsStr::from_bytes(b"o \xff");
        let got = folder.run(&[OsStr::new(fixed), pattern, OsStr::new("invalid")]);
        assert_output(&fixed, &got, b"1\n", b"", 0);
    }
}

#[test]
#[cfg(target_os = "linux")] // others refuse such names
fn names_may_be_any_bytes() {
    let folder = Folder::new();
    let name = OsStr::from_bytes(b"\xff\xfe");
    folder.write(name, "foo\n");
    let arguments: Vec<OsString> = vec!["foo".into(), name.into(), "\u{fc}".into()];
    let got = folder.run(&arguments);
    let missing = "grep: \u{fc}: No such file or directory\n";
    assert_output(&"operand", &got, b"\xff\xfe:foo\n", missing.as_bytes(), 2);
    assert_output(&"-r", &folder.run(&["-rl", "foo"]), b"\xff\xfe\n", b"", 0);
}

#[test]
fn standard_input_is_read_by_default_and_for_a_hyphen() {
    let folder = fixture();
    let cases: &[Case] = &[
        (&["foo"], b"foo\n", "", 0),
        (&["-H", "foo"], b"(standard input):foo\n", "", 0),
        (
            &["-c", "foo", "-", "a"],
            b"(standard input):1\na:1\n",
            "",
            0,
        ),
        (&["-l", "foo"], b"(standard input)\n", "", 0),
        (&["foo", "-", "-"], b"(standard input):foo\n", "", 0),
        (&["-r", "foo", "-"], b"foo\n", "", 0),
    ];
    for (arguments, stdout, stderr, status) in cases {
        let got = feed(folder.grep().args(*arguments), b"bar\nfoo\n");
        assert_output(arguments, &got, stdout, stderr.as_bytes(), *status);
    }
    let got = feed(folder.grep().arg("o"), b"foo\0\n");
    assert_output(
        &"binary",
        &got,
        b"",
        b"grep: (standard input): binary file matches\n",
        0,
    );
    let directory = File::open(folder.path("dir")).unwrap();
    let got = folder.grep().arg("o").stdin(directory).output().unwrap();
    assert_output(
        &"directory",
        &got,
        b"",
        b"grep: (standard input): Is a directory\n",
        2,
    );
}

#[test]
fn a_line_may_be_longer_than_any_block() {
    let mut long = vec![b'x'; 5_000_000];
    long.extend_from_slice(b"foo\nbar\n");
    let folder = Folder::new();
    let got = feed(folder.grep().args(["-n", "foo"]), &long);
    assert_output(
        &got.stdout.len(),
        &got,
        &[b"1:", &long[..5_000_004]].concat(),
        b"",
        0,
    );
    let got = feed(folder.grep().args(["-n", "bar"]), &long);
    assert_output(&"after it", &got, b"2:bar\n", b"", 0);
}

#[test]
fn every_line_across_block_borders_is_seen_once() {
    let lines: Vec<String> = (0..60_000)
        .map(|n| "x".repeat(n % 37) + &n.to_string())
        .collect();
    let text = lines.join("\n");
    let got = feed(Folder::new().grep().arg(""), text.as_bytes());
    assert_eq!(got.stdout.len(), text.len() + 1);
    assert!(got.stdout.starts_with(text.as_bytes()));
}

#[test]
fn a_line_start_is_found_wherever_a_block_begins() {
    for pad in 0..6 {
        // Blocks begin with lines that match, and with others.
        let lines = (0..30_000).map(|n| format!("{}{}\n", "x".repeat((n + pad) % 5), n % 3));
        let lines: Vec<String> = lines.collect();
        let text = lines.concat();
        let expected = lines.iter().filter(|line| line.starts_with('1')).count();
        for arguments in [["-c", "^1"], ["-cx", "1"], ["-cx", "^1"], ["-cE", "^1|^1x"]] {
            let got = feed(Folder::new().grep().args(arguments), text.as_bytes());
            let stdout = format!("{expected}\n");
            assert_output(&(arguments, pad), &got, stdout.as_bytes(), b"", 0);
        }
    }
}

/// A string may be made shorter until it is empty, a regular expression not. The line is cut where the match is made
/// shorter, so that `\'` matches there, but `$` does not.
#[test]
fn words_are_made_shorter_as_in_gnu_grep() {
    let folder = Folder::new();
    let cases: &[(&[&str], &str, &str)] = &[
        (&["-wcE", " |"], "a  b", "0\n"),
        (&["-wcE", " \n"], "a  b", "1\n"),
        (&["-wcE", " \n()"], "a  b", "0\n"),
        (&["-wcE", " \n[x]"], "a  b", "0\n"),
        (&["-wci", "-e-\n"], "a--b", "1\n"),
        (&["-wo", r"a\'\|a-"], "a-b", "a\n"),
        (&["-wo", r"a$\|a-"], "a-b", ""),
        (&["-wo", r"a\>\|a-"], "a-b", "a\n"),
        (&["-woE", "(a|a-)\\1?"], "a-ab", "a\n"),
        (&["-woE", "(-)\\1+|a-*"], "a--b", "a-\n"),
    ];
    for (arguments, line, stdout) in cases {
        let got = feed(folder.grep().args(*arguments), line.as_bytes());
        let status = i32::from(["", "0\n"].contains(stdout));
        assert_output(&(arguments, line), &got, stdout.as_bytes(), b"", status);
    }
}

/// GNU grep 3.8 prints only `x`, and no line.
#[test]
fn words_are_found_that_gnu_grep_loses() {
    let folder = Folder::new();
    let cases: &[(&[&str], &str, &str)] = &[
        (&["-owE", "x|a+-?"], "x a-b", "x\na\n"),
        (&["-wE", r"(\<a*){,2}"], "b-", "b-\n"),
    ];
    for (arguments, line, stdout) in cases {
        let got = feed(folder.grep().args(*arguments), line.as_bytes());
        assert_output(&(arguments, line), &got, stdout.as_bytes(), b"", 0);
    }
}

/// GNU grep makes room for one more than the length of the file.
#[test]
fn numbers_line_up_with_the_length_of_the_file() {
    let folder = Folder::new();
    folder.write("nine", "foo\nbar\n\n");
    folder.write("eight", "foo\nbar\n");
    for (arguments, stdout) in [
        (["-Tn", "foo", "nine"], " 1:\tfoo\n"),
        (["-Tn", "foo", "eight"], "1:\tfoo\n"),
        (["-Tb", "foo", "nine"], "0:\tfoo\n"),
    ] {
        let got = folder.run(&arguments);
        assert_output(&arguments, &got, stdout.as_bytes(), b"", 0);
    }
}

#[test]
fn a_line_longer_than_the_bound_is_told_and_the_other_files_searched() {
    let folder = Folder::new();
    let mut long = b"foo 1\n".to_vec();
    long.resize(long.len() + 500_000, b'x');
    long.extend_from_slice(b" foo\nfoo 3\n");
    folder.write("long", long);
    folder.write("z", "foo z\n");
    let stderr = b"grep: long: the line at byte 6 is longer than 200000 bytes (--max-line)\n";
    let got = folder.run(&["--max-line=200000", "-n", "foo", "long", "z"]);
    assert_output(&"bound", &got, b"long:1:foo 1\nz:1:foo z\n", stderr, 2);
    for size in ["600000", "1M", "1G"] {
        let got = folder.run(&["--max-line", size, "-c", "foo", "long"]);
        assert_output(&size, &got, b"3\n", b"", 0);
    }
    for size in ["", "0", "x", "-1", "1T"] {
        let got = folder.run(&["--max-line", size, "foo", "z"]);
        let stderr = format!("grep: {size}: invalid line size\n");
        assert_output(&size, &got, b"", stderr.as_bytes(), 2);
    }
}

#[test]
fn gitignore_leaves_out_what_the_files_name() {
    let folder = Folder::new();
    for directory in ["repo/.git", "repo/src/deep", "repo/target"] {
        fs::create_dir_all(folder.path(directory)).unwrap();
    }
    folder.write(
        "repo/.gitignore",
        "target/\n*.log\n!keep.log\n/src/deep/only\n",
    );
    folder.write("repo/src/.ignore", "private\n");
    for name in [
        ".git/config",
        "a.log",
        "keep.log",
        "src/a.rs",
        "src/b.log",
        "src/private",
        "src/deep/only",
        "src/deep/other",
        "target/out",
    ] {
        folder.write(format!("repo/{name}"), "foo\n");
    }
    let got = folder.run(&["-rl", "--gitignore", "foo", "repo"]);
    let stdout = b"repo/keep.log\nrepo/src/a.rs\nrepo/src/deep/other\n";
    assert_output(&"whole", &got, stdout, b"", 0);
    // What is named on the command line is searched; the directories above count.
    let got = folder.run(&["-rl", "--gitignore", "foo", "repo/src", "repo/a.log"]);
    let stdout = b"repo/src/a.rs\nrepo/src/deep/other\nrepo/a.log\n";
    assert_output(&"part", &got, stdout, b"", 0);
    let mut inside = folder.grep();
    inside
        .current_dir(folder.path("repo/src"))
        .args(["-rl", "--gitignore", "foo"]);
    assert_output(
        &"inside",
        &inside.output().unwrap(),
        b"a.rs\ndeep/other\n",
        b"",
        0,
    );
    let got = folder.run(&["-rlc", "foo", "repo/target"]);
    assert_output(&"without", &got, b"repo/target/out\n", b"", 0);
}

#[test]
fn a_directory_that_contains_itself_is_told() {
    let folder = Folder::new();
    fs::create_dir(folder.path("d")).unwrap();
    folder.write("d/f", "foo\n");
    symlink(".", folder.path("d/again")).unwrap();
    let got = folder.run(&["-R", "foo", "d"]);
    let stderr = b"grep: d/again: warning: recursive directory loop\n";
    assert_output(&"-R", &got, b"d/f:foo\n", stderr, 0);
    assert_output(
        &"-r",
        &folder.run(&["-r", "foo", "d"]),
        b"d/f:foo\n",
        b"",
        0,
    );
}

/// The input never ends: only one who learns that nobody reads any more does.
#[test]
fn a_reader_that_goes_away_ends_the_feeder_too() {
    let folder = Folder::new();
    let mut child = folder
        .grep()
        .args(["-n", "foo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        loop {
            if let Err(error) = stdin.write_all(&b"bar\nfoo\n".repeat(1000)) {
                return error.kind();
            }
        }
    });
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 6];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"2:foo\n");
    drop(stdout);
    assert_eq!(feeder.join().unwrap(), ErrorKind::BrokenPipe);
    assert_output(&"head", &child.wait_with_output().unwrap(), b"", b"", 0);
}

#[test]
fn a_line_is_printed_at_once_if_asked() {
    let folder = Folder::new();
    let mut child = folder
        .grep()
        .args(["--line-buffered", "foo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    for _ in 0..3 {
        stdin.write_all(b"bar\nfoo\n").unwrap();
        let mut line = [0; 4];
        stdout.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"foo\n");
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn max_count_leaves_standard_input_behind_the_last_selected_line() {
    let folder = fixture();
    let content = fs::read(folder.path("nul")).unwrap();
    let behind_first = &content[b"x\0foo\n".len()..];
    let binary: [(&[&str], &[u8]); 4] = [
        (&["-m1", "foo"], behind_first),
        // What is told is told, so it is as if all had been read.
        (&["-m2", "foo"], b""),
        (&["-vm2", "o"], b""),
        (&["foo"], b""),
    ];
    for (arguments, rest) in binary {
        let mut file = File::open(folder.path("nul")).unwrap();
        let stdin = file.try_clone().unwrap();
        folder.grep().args(arguments).stdin(stdin).output().unwrap();
        let mut left = Vec::new();
        file.read_to_end(&mut left).unwrap();
        assert_eq!(left, rest, "{arguments:?}");
    }
    for (arguments, rest) in [
        (&["-m1", "foo"][..], "bar\nFoo2\n"),
        (&["-cm2", "o"], ""),
        (&["-vm1", "foo"], "Foo2\n"),
        (&["-m3", "foo"], ""),
        (&["-lm1", "foo"], ""),
    ] {
        let mut file = File::open(folder.path("a")).unwrap();
        let stdin = file.try_clone().unwrap(); // the two share their place in the file
        folder.grep().args(arguments).stdin(stdin).output().unwrap();
        let mut left = String::new();
        file.read_to_string(&mut left).unwrap();
        assert_eq!(left, rest, "{arguments:?}");
    }
}

/// Standard input never ends: only a source that learns that nobody wants more comes back.
#[test]
fn a_stage_that_ends_stops_the_reading() {
    let folder = Folder::new();
    for (arguments, stdout) in [
        (&["-q", "foo", "-", "missing"][..], &b""[..]),
        (&["-l", "foo"], b"(standard input)\n"),
        (&["-nm2", "foo"], b"2:foo\n4:foo\n"),
        (&["-cm2", "foo"], b"2\n"),
    ] {
        let mut child = folder
            .grep()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feeder = thread::spawn(move || {
            loop {
                if let Err(error) = stdin.write_all(b"bar\nfoo\n") {
                    return error.kind();
                }
            }
        });
        let got = child.wait_with_output().unwrap();
        assert_output(&arguments, &got, stdout, b"", 0);
        assert_eq!(feeder.join().unwrap(), ErrorKind::BrokenPipe);
    }
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo is on PATH").success());
}

#[test]
fn a_fifo_is_read_if_it_is_named() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    make_fifo(&fifo);
    for recursive in ["-n", "-rn"] {
        let fifo = fifo.clone();
        let feeder = thread::spawn(move || fs::write(fifo, "bar\nfoo\n"));
        let got = folder.run(&[recursive, "foo", "fifo"]);
        assert_output(&recursive, &got, b"2:foo\n", b"", 0);
        feeder.join().unwrap().unwrap();
    }
}

/// Nobody writes to the FIFO: opening it would wait for ever.
#[test]
fn a_fifo_met_in_a_directory_is_skipped() {
    let folder = Folder::new();
    make_fifo(&folder.path("fifo"));
    folder.write("z", "foo\n");
    assert_output(&"-r", &folder.run(&["-r", "foo"]), b"z:foo\n", b"", 0);
}

#[test]
fn an_unreadable_file_is_told() {
    let folder = Folder::new();
    folder.write("secret", "foo\n");
    folder.write("z", "foo\n");
    fs::create_dir(folder.path("locked")).unwrap();
    for name in ["secret", "locked"] {
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    if File::open(folder.path("secret")).is_ok() {
        eprintln!("SKIPPED an_unreadable_file_is_told: this user may read everything");
        return;
    }
    let secret = "grep: secret: Permission denied\n";
    let got = folder.run(&["foo", "secret", "z"]);
    assert_output(&"operand", &got, b"z:foo\n", secret.as_bytes(), 2);
    let got = folder.run(&["-r", "foo"]);
    let both = format!("grep: locked: Permission denied\n{secret}");
    assert_output(&"-r", &got, b"z:foo\n", both.as_bytes(), 2);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_fails_while_it_is_read_is_told() {
    let folder = fixture();
    // Page 0 of the process is not mapped.
    let got = folder.run(&["-c", "foo", "/proc/self/mem", "a"]);
    let stderr = b"grep: /proc/self/mem: Input/output error\n";
    assert_output(&"mem", &got, b"/proc/self/mem:0\na:1\n", stderr, 2);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let folder = Folder::new();
    folder.write("lines", "foo\n".repeat(500_000));
    let mut child = folder
        .grep()
        .args(["-n", "foo", "lines", "lines"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 12];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"lines:1:foo\n");
    drop(stdout);
    let got = child.wait_with_output().unwrap();
    assert_output(&"head", &got, b"", b"", 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_write_is_told() {
    let folder = fixture();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for arguments in [
        &["foo", "a"][..],
        &["-c", "foo", "a"],
        &["-l", "foo", "a"],
        &["--help"],
    ] {
        let got = folder
            .grep()
            .args(arguments)
            .stdout(full())
            .output()
            .unwrap();
        assert_output(
            &arguments,
            &got,
            b"",
            b"grep: write error: No space left on device\n",
            2,
        );
    }
    let got = folder
        .grep()
        .args(["-q", "foo", "a"])
        .stdout(full())
        .output()
        .unwrap();
    assert_output(&"-q", &got, b"", b"", 0);
}

#[test]
fn the_output_file_is_not_searched() {
    let folder = Folder::new();
    folder.write("a", "foo\n");
    folder.write("out", "foo\n");
    let out = || {
        File::options()
            .append(true)
            .open(folder.path("out"))
            .unwrap()
    };
    let got = folder
        .grep()
        .args(["-r", "foo"])
        .stdout(out())
        .output()
        .unwrap();
    assert_output(
        &"-r",
        &got,
        b"",
        b"grep: out: input file is also the output\n",
        2,
    );
    assert_eq!(fs::read(folder.path("out")).unwrap(), b"foo\na:foo\n");
    let got = folder
        .grep()
        .args(["-c", "foo", "out"])
        .stdout(out())
        .output()
        .unwrap();
    assert_output(&"-c", &got, b"", b"", 0);
}

/// Standard output and standard error, both into one file, keep their order.
#[test]
fn messages_come_behind_what_was_printed_before() {
    let folder = fixture();
    let mut both = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(folder.path("both"))
        .unwrap();
    let status = folder
        .grep()
        .args(["foo", "a", "missing", "nul", "unended"])
        .stdout(both.try_clone().unwrap())
        .stderr(both.try_clone().unwrap())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
    let mut text = String::new();
    both.rewind().unwrap();
    both.read_to_string(&mut text).unwrap();
    assert_eq!(
        text,
        "a:foo\ngrep: missing: No such file or directory\ngrep: nul: binary file matches\nunended:foo\n"
    );
}

/// Xorshift, so that every run draws the same.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn text(&mut self) -> Vec<u8> {
        let pieces: &[&[u8]] = match self.below(8) {
            0 => &[b"a", b"b", b"\n", b"\0"],
            1 => &[b"a", b"B", b"\n", b"\xff", "ä".as_bytes()],
            2 => &[b"aAbBc", b"\r\n", b"ab"],
            _ => &[
                b"a",
                b"b",
                b"A",
                b"B",
                b"c",
                b" ",
                b"\n",
                b"\n",
                b"ab",
                "ä".as_bytes(),
            ],
        };
        let length = match self.below(10) {
            0 => 0,
            1 => 60_000, // several blocks
            _ => self.below(80),
        };
        (0..length)
            .flat_map(|_| self.one_of(pieces))
            .copied()
            .collect()
    }

    fn pattern(&mut self, is_fixed: bool) -> String {
        let literals = &["a", "b", "ab", "ba", "B", "c", "ä", " ", "abc", ""][..];
        let classes = &[".", "[ab]", "[^a]", "a*", "b+", "(a|c)b", "(ab)?", "a{2,3}"];
        let mut pattern = String::new();
        if !is_fixed && self.below(6) == 0 {
            pattern.push('^');
        }
        for _ in 0..=self.below(3) {
            let from = if is_fixed || self.below(2) == 0 {
                literals
            } else {
                classes
            };
            pattern.push_str(self.one_of(from));
        }
        if !is_fixed && self.below(6) == 0 {
            pattern.push('$');
        }
        pattern
    }
}

/// Whether `grep` on `PATH` is GNU's, from 3.5 on: earlier ones tell on standard output that a binary file matches.
fn is_gnu_grep() -> bool {
    let Ok(got) = Command::new("grep").arg("--version").output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&got.stdout).into_owned();
    let version = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("grep (GNU grep) "));
    let mut numbers = version
        .unwrap_or("0")
        .split('.')
        .map(|n| n.parse().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (3, 5)
}

#[test]
fn random_searches_print_what_gnu_grep_prints() {
    if !is_gnu_grep() {
        eprintln!("SKIPPED random_searches_print_what_gnu_grep_prints: no GNU grep >= 3.5 on PATH");
        return;
    }
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let folder = Folder::new();
    fs::create_dir(folder.path("dir")).unwrap();
    let names = ["one", "two", "three", "dir/four"];
    let operands = ["one", "two", "three", "dir/four", "-", "dir", "missing"];
    let flags = [
        "-n", "-c", "-i", "-v", "-l", "-m1", "-m3", "-h", "-H", "-q", "-r", "-s",
    ];
    let (mut selected, mut failed) = (0, 0);
    for _ in 0..320 {
        for name in names {
            folder.write(name, draw.text());
        }
        let stdin = draw.text();
        let is_fixed = draw.below(2) == 0;
        let mut arguments: Vec<String> = Vec::new();
        for _ in 0..draw.below(4) {
            arguments.push(draw.one_of(&flags).to_owned());
        }
        for _ in 0..=draw.below(2) {
            arguments.push(format!("-e{}", draw.pattern(is_fixed)));
            // An empty value would be taken from the next argument.
            if arguments.last().is_some_and(|last| last == "-e") {
                arguments.push(String::new());
            }
        }
        for _ in 0..draw.below(4) {
            arguments.push(draw.one_of(&operands).to_owned());
        }
        let mut ours = folder.grep();
        let mut gnu = folder.command("grep");
        let syntax = if is_fixed { "-F" } else { "-E" };
        ours.arg(syntax);
        gnu.arg(syntax);
        let mut expected = feed(gnu.args(&arguments), &stdin);
        let mut got = feed(ours.args(&arguments), &stdin);
        // GNU grep searches a directory in the order that the system gives.
        let sorted = |output: &[u8]| {
            let mut lines: Vec<&[u8]> = output.split_inclusive(|&b| b == b'\n').collect();
            lines.sort();
            lines.concat()
        };
        if arguments.iter().any(|argument| argument == "-r") {
            got.stdout = sorted(&got.stdout);
            expected.stdout = sorted(&expected.stdout);
        }
        // What is told on standard error differs from version to version.
        let what = (is_fixed, &arguments);
        assert_output(
            &what,
            &got,
            &expected.stdout,
            &got.stderr,
            expected.status.code().unwrap(),
        );
        assert_eq!(
            got.stderr.is_empty(),
            expected.stderr.is_empty(),
            "{what:?}"
        );
        selected += usize::from(!got.stdout.is_empty());
        failed += usize::from(got.status.code() == Some(2));
    }
    assert!(selected > 100 && failed > 30, "{selected} {failed}");
}

#[test]
fn draws_show_no_difference_to_gnu_grep() {
    let version = Command::new("grep").arg("--version").output();
    if !version.is_ok_and(|version| version.stdout.starts_with(b"grep (GNU grep) 3.8")) {
        eprintln!("SKIPPED draws_show_no_difference_to_gnu_grep: no GNU grep 3.8 on PATH");
        return;
    }
    let mut draws = Command::new(built("grep_draws"));
    let got = draws
        .args(["--draws", "100", "--seed", "5"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&got.stdout);
    assert_eq!(got.status.code(), Some(0), "{text}");
    assert!(text.contains(" 0 differences"), "{text}");
}
