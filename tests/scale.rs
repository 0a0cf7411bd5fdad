//! The examples that are about stacks, as their user runs them.

use std::path::PathBuf;
use std::process::{Command, Output};

fn run(name: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile: PathBuf = test.ancestors().nth(2).expect("target/PROFILE/deps").into();
    let mut program = profile.join("examples").join(name);
    program.set_extension(std::env::consts::EXE_EXTENSION);
    let output = Command::new(&program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The line of a table that begins so.
#[track_caller]
fn line<'a>(table: &'a str, start: &str) -> &'a str {
    let line = table.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no line begins with {start:?}:\n{table}"))
        .trim()
}

#[test]
fn million_shows_what_it_holds() {
    let output = run("million", &["20_000", "--no-threads"]);
    let (table, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{table}{err}");
    assert_eq!(err, "");
    assert_eq!(line(&table, "live "), "20,000");
    let rows = [
        "resident memory, each",
        "page tables, each",
        "mappings per thousand",
    ];
    for row in rows
        .into_iter()
        .chain(["create ", "resume, in order", "resume, in random order"])
    {
        assert!(!line(&table, row).is_empty(), "{row}");
    }
}

#[test]
fn million_compares_with_threads() {
    let output = run("million", &["200"]);
    let (table, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{table}{err}");
    let live: Vec<&str> = line(&table, "live ").split_whitespace().collect();
    assert_eq!(live, ["200", "200"]);
}

#[test]
#[cfg_attr(feature = "sanitizer", ignore = "AddressSanitizer unpoisons all of it")]
fn million_says_how_far_it_came() {
    let size = (1u64 << 45).to_string();
    let output = run("million", &["100", "--no-threads", "--stack-size", &size]);
    assert_eq!(output.status.code(), Some(1));
    let out = text(&output.stdout);
    assert!(out.contains("no stack of 35184372088832 bytes"), "{out}");
}

#[test]
#[cfg_attr(
    feature = "sanitizer",
    ignore = "AddressSanitizer reports the overflows itself"
)]
fn stack_needs_finds_the_smallest_stack() {
    let output = run("stack_needs", &["yield", "json"]);
    let (table, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{table}{err}");
    assert!(line(&table, "yield").starts_with("≤ 16"), "{table}");
    let json = line(&table, "json").split_whitespace().next().unwrap();
    assert!((20..300).contains(&json.parse().unwrap()), "{table}");
}

#[test]
fn what_is_not_understood_is_an_error() {
    for (name, argument) in [
        ("million", "many"),
        ("million", "--nothing"),
        ("stack_needs", "nothing"),
        ("stack_needs", "--nothing"),
        ("overflow", "deep"),
    ] {
        let output = run(name, &[argument]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{name} {argument}: {out}{err}"
        );
        assert!(err.starts_with(&format!("{name}: ")), "{err}");
        assert_eq!(out, "");
    }
}
