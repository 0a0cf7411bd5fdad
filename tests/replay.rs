//! The recorded programs of `tests/fixtures` do what they did on CPython 3.13, byte for byte.
//!
//! `gen-minimal` are 44 small cases that between them notice every one of 23 bugs planted in a model of the protocol;
//! `gen-300` are random ones, and `gen-met` are cases that once came out differently. The `aio` are programs of tasks: the order
//! of every log entry, the times and the ends are asyncio's. `tests/oracle/differ.py` draws new ones.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/PROFILE/deps/TEST");
    let path = profile
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --examples`",
        path.display()
    );
    path
}

fn replay(what: &str, input: String) -> (String, String, Option<i32>) {
    let mut child = Command::new(example("replay"))
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the example ends");
    let _ = writer.join().expect("the writer does not panic");
    let text = |bytes| String::from_utf8(bytes).expect("the traces are text");
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

fn agrees(what: &str, fixtures: &str) {
    let (traces, errors, code) = replay(what, fixtures.to_owned());
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    let mut traces = traces.lines();
    for fixture in fixtures.lines() {
        // Compared as text: the order of the fields is part of the format.
        let (case, expected) = fixture
            .split_once(r#","trace":"#)
            .expect("a case and its trace");
        let expected = expected.strip_suffix('}').expect("the end of the fixture");
        assert_eq!(traces.next(), Some(expected), "{case}}}");
    }
    assert_eq!(traces.next(), None);
}

#[test]
fn minimal_cases_agree_with_cpython() {
    agrees("generators", include_str!("fixtures/gen-minimal.jsonl"));
}

#[test]
fn random_cases_agree_with_cpython() {
    agrees("generators", include_str!("fixtures/gen-300.jsonl"));
}

#[test]
fn cases_that_once_differed_agree_with_cpython() {
    agrees("generators", include_str!("fixtures/gen-met.jsonl"));
}

/// In these, CPython keeps an exception that one generator has caught alive in another, and with its traceback a frame
/// whose temporaries are then finalised later. The traces are CPython's with such tracebacks cleared, as `differ.py` does
/// when traces differ, and those of a model that counts references.
#[test]
fn cases_that_only_a_kept_traceback_delays_are_not_delayed() {
    agrees("generators", include_str!("fixtures/gen-tracebacks.jsonl"));
}

#[test]
fn random_tasks_agree_with_asyncio() {
    agrees("tasks", include_str!("fixtures/aio-200.jsonl"));
}

/// In these, CPython 3.11 and 3.12 do the same as 3.13.
#[test]
fn random_tasks_agree_with_asyncio_of_any_version() {
    agrees("tasks", include_str!("fixtures/aio-200-anyversion.jsonl"));
}

#[test]
fn tasks_that_once_differed_agree_with_asyncio() {
    agrees("tasks", include_str!("fixtures/aio-met.jsonl"));
}

#[test]
fn a_wrong_case_is_an_error_that_names_the_line() {
    let good = r#"{"id":1,"gens":[[["yield",1]]],"insts":[0],"script":[["next",0]]}"#;
    let bad = r#"{"id":2,"gens":[[["yeild",1]]],"insts":[0],"script":[]}"#;
    let (_, errors, code) = replay("generators", format!("{good}\n{bad}\n"));
    assert_eq!(code, Some(2));
    assert_eq!(errors, "replay: line 2: unknown statement \"yeild\"\n");
    let (_, errors, code) = replay("generators", "not json\n".to_owned());
    assert_eq!(code, Some(2));
    assert!(errors.starts_with("replay: line 1: "), "{errors}");
}
