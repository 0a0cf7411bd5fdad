//! Scenarios that may kill their process run in a child: the same test binary, asked for the one test.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

const CHILD: &str = "YIELDFROM_TEST_CHILD";
pub const DONE: &str = "ran to its end";

#[allow(dead_code)]
pub const SIGABRT: i32 = 6;

/// In the child, which also gets these environment variables, runs `scenario` and exits; in the parent, runs the child, of
/// which `test` is the name of the test.
pub fn child(
    test: &str,
    variables: &[(&str, &str)],
    stderr: Stdio,
    scenario: impl FnOnce(),
) -> Output {
    child_with_input(test, variables, Stdio::inherit(), stderr, scenario)
}

/// As [`child`], with this standard input.
pub fn child_with_input(
    test: &str,
    variables: &[(&str, &str)],
    stdin: Stdio,
    stderr: Stdio,
    scenario: impl FnOnce(),
) -> Output {
    if std::env::var_os(CHILD).is_some() {
        scenario();
        println!("{DONE}");
        std::process::exit(0);
    }
    Command::new(std::env::current_exe().expect("this test is a program"))
        .args(["--exact", "--nocapture", test])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .envs(variables.iter().copied())
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("a child process")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The status must be 0, and the scenario must have come to its end.
#[track_caller]
pub fn lived(output: &Output) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
    assert!(out.contains(DONE), "{out}{err}");
}

/// Returns the signal, and what was on standard error.
#[allow(dead_code)] // not every test has one
#[track_caller]
pub fn died(output: &Output) -> (i32, String) {
    let err = text(&output.stderr);
    let signal = output.status.signal();
    (
        signal.unwrap_or_else(|| panic!("{}\n{}{err}", output.status, text(&output.stdout))),
        err,
    )
}
