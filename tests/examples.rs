//! Every example runs, says what it should, and ends as a program in a shell pipeline should.
//!
//! Plain `cargo test` builds the examples first. With `--test examples` or `--all-targets` it does not (the latter builds
//! them as tests): this then runs what an earlier `cargo build --examples` has left.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Name and whole standard output.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "evens",
        "\
by hand:      [0, 2, 4, 6, 8]
by iteration: [0, 2, 4, 6, 8]
a generator:  [0, 2, 4, 6, 8]
",
    ),
    (
        "rustls_echo",
        "\
hello from client 0: HELLO FROM CLIENT 0
hello from client 1: HELLO FROM CLIENT 1
hello from client 2: HELLO FROM CLIENT 2
hello from client 3: HELLO FROM CLIENT 3
hello from client 4: HELLO FROM CLIENT 4
5 connections at once, both ends of each: TLSv1_3
threads: 1
",
    ),
    (
        "tungstenite_chat",
        "\
20 clients, each has heard 20 messages
the same in the same order: true
still in the room: 0
threads: 1
",
    ),
    (
        "just_started",
        r#"the error: can't send a value to a just-started coroutine; prime it first
came back: "spam"
state:     Created
prime:     Yielded(None)
send:      Yielded(Some("spam"))
"#,
    ),
    (
        "grep_coroutine",
        "\
Looking for Python
Python, you are so cool
bye
Looking for Python
Python, you are so cool
bye
",
    ),
    (
        "pipeline",
        "\
-- coroutines, which are sent lines:
Python, you are so cool
Monty Python's Flying Circus
grep closed
sink closed
-- stages, which are lent them:
Python, you are so cool
Monty Python's Flying Circus
grep closed
sink closed
-- the same, composed:
Python, you are so cool
Monty Python's Flying Circus
grep closed
sink closed
",
    ),
    (
        "pull_pipeline",
        "\
[1, 3, 5]
filter closed
source closed
done
",
    ),
    (
        "broadcast",
        "\
-- coroutines, with one printer:
Python: Python, you are so cool
snake: a snake in the grass
Python: a python is a snake, a Python is not
snake: a python is a snake, a Python is not
(the greps are closed, the printer is open)
-- stages, one of which leaves early:
the first line: Python, you are so cool
Python: Python, you are so cool
snake: a snake in the grass
Python: a python is a snake, a Python is not
snake: a python is a snake, a Python is not
",
    ),
    (
        "pipeline_errors",
        "\
a stage raises:
1
  send 1: ok
  send twelve: invalid digit found in string
  send 3: the coroutine has finished
a target returns:
1
  send 1: ok
2
  send 2: ok
  send 3: the coroutine has finished
a stage feeds itself:
  send 1: coroutine already executing
",
    ),
    (
        "follow",
        r#"... append "GET /index.html\nGET /python/tutorial.html\n"
python: 1  error: 0
... append "error: no snakes here\nGET /pyth"
python: 1  error: 1
... append "on/library.html\n"
python: 2  error: 1
... truncate
... append "GET /python\n"
python: 3  error: 1
... rotate
... append "error: a python error\n"
python: 4  error: 1
python: 4  error: 2
"#,
    ),
    (
        "blocking_sin",
        "\
warning: task 'sinner' held the loop for more than 20ms, between lines 51 and 55
while the sinner blocks, the ticker has 0 turns
while another thread blocks, at least 3: true
",
    ),
    (
        "hello",
        "\
Hello
World!
Hello
World!
Hello
World!
Hello
World!
Hello
World!
Hello
World!
Hello
World!
Hello
World!
Hello
World!
Hello
World!
in sequence: 30.0 s
Hello
Hello
Hello
Hello
Hello
Hello
Hello
Hello
Hello
Hello
World!
World!
World!
World!
World!
World!
World!
World!
World!
World!
as tasks: 3.0 s
",
    ),
    (
        "two_coroutines",
        "\
coroutine_1 is active on the event loop
coroutine_1 yielding control. Going to be blocked for 4 seconds
coroutine_2 is active on the event loop
coroutine_2 yielding control. Going to be blocked for 5 seconds
coroutine_1 resumed. coroutine_1 exiting
coroutine_2 resumed. coroutine_2 exiting
5 seconds in all
",
    ),
    (
        "chain",
        "\
Compute 1 + 2 ...
1 + 2 = 3
",
    ),
    (
        "display_date",
        "\
12:00:00
12:00:01
12:00:02
12:00:03
12:00:04
",
    ),
    (
        "loop_errors",
        "\
from a task, the same loop: this event loop is already running (AlreadyRunning)
from a task, another loop: cannot run an event loop while another one, or a fiber, is running on this thread (AnotherIsRunning)
other tasks go on: 42
after it was closed: the event loop is closed (Closed)
a new loop: 42
",
    ),
    (
        "future_object",
        r#"                          of the loop                     of a thread
is it done                false                           false
its result, too early     error: it is not done yet       cannot be asked for
its result is set by      a promise                       the end of the task
callbacks called by then  []                              there are none
a turn of the loop later  ["a", "b"]                      there are none
set once more             error: it is done already       cannot be written
awaited by a thread       cannot be sent there            blocks, 42
awaited by a task         42                              42
awaited once more         42                              cannot be written
"#,
    ),
    (
        "await_anything",
        "\
awaited: a future
awaited: a task
awaited: a coroutine
awaited: a future, from a function
awaited: a task, from a function
awaited: an `async fn`
awaited: a fiber
awaited: a future of another crate
",
    ),
    (
        "wait_sets",
        "\
the first, after 1.0 s:
    done: one
    pending: three; two, bad
the first error, after 2.0 s:
    done: one; two, bad
    pending: three
those of 1.5 s, after 1.5 s:
    done: one
    pending: three; two, bad
the others, after 1.5 s:
    done: three; two, bad
    pending: 
all, after 3.0 s:
    done: three; one; two, bad
    pending: 
",
    ),
    (
        "save_off_loop",
        "\
in the loop: other tasks had 0 turns meanwhile
on another thread: at least 3 turns: true
saved: 18 bytes
into a file: error: true
",
    ),
    (
        "many_loops",
        "\
200 of 200 clients have the right answer
2 loops have served 200 connections at one port
threads: 3, one of them the clients'
",
    ),
    ("log_report", LOG_REPORT),
    ("log_report_without", LOG_REPORT),
    (
        "buses",
        r#"-- coroutines, which are sent events:
22,1485,"North Bound",41.880481123924255,-87.62948191165924
22,1629,"North Bound",42.01851969751819,-87.6730209876751
-- stages, which are lent them:
22,1485,"North Bound",41.880481123924255,-87.62948191165924
22,1629,"North Bound",42.01851969751819,-87.6730209876751
"#,
    ),
    (
        "threaded_target",
        "\
-- 3 lines for a target on a thread:
target: 1485 North Bound
target: 1629 North Bound
main: done
-- 5 lines for a target on a thread:
target: 1485 North Bound
target: 1629 North Bound
main: invalid digit found in string
-- stages on two threads:
1485 North Bound
1629 North Bound
",
    ),
    ("round_robin", "2 2 1 1 0 0 None None\n"),
    (
        "averager",
        "10.0
20.0
Average { count: 2, average: 20.0 }
 2 boys  averaging 39.90kg
 2 boys  averaging 1.44m
 3 girls averaging 41.23kg
 3 girls averaging 1.50m
",
    ),
    (
        "by_hand",
        "\
a coroutine; nothing has run
OMG asynchronicity!
the end: done
an `async fn`; nothing has run
OMG asynchronicity!
the end: done
",
    ),
    (
        "taxi_sim",
        r#"taxi: 0  Event { time: 0, proc: 0, action: "leave garage" }
taxi: 1     Event { time: 5, proc: 1, action: "leave garage" }
taxi: 0  Event { time: 6, proc: 0, action: "pick up passenger" }
taxi: 1     Event { time: 9, proc: 1, action: "pick up passenger" }
taxi: 2        Event { time: 10, proc: 2, action: "leave garage" }
taxi: 1     Event { time: 11, proc: 1, action: "drop off passenger" }
taxi: 2        Event { time: 14, proc: 2, action: "pick up passenger" }
taxi: 1     Event { time: 18, proc: 1, action: "pick up passenger" }
taxi: 0  Event { time: 35, proc: 0, action: "drop off passenger" }
taxi: 0  Event { time: 37, proc: 0, action: "pick up passenger" }
taxi: 1     Event { time: 38, proc: 1, action: "drop off passenger" }
taxi: 2        Event { time: 38, proc: 2, action: "drop off passenger" }
taxi: 1     Event { time: 45, proc: 1, action: "pick up passenger" }
taxi: 2        Event { time: 45, proc: 2, action: "pick up passenger" }
taxi: 2        Event { time: 54, proc: 2, action: "drop off passenger" }
taxi: 0  Event { time: 61, proc: 0, action: "drop off passenger" }
taxi: 2        Event { time: 62, proc: 2, action: "pick up passenger" }
taxi: 0  Event { time: 66, proc: 0, action: "going home" }
taxi: 1     Event { time: 66, proc: 1, action: "drop off passenger" }
taxi: 1     Event { time: 69, proc: 1, action: "pick up passenger" }
taxi: 2        Event { time: 86, proc: 2, action: "drop off passenger" }
taxi: 2        Event { time: 90, proc: 2, action: "pick up passenger" }
taxi: 1     Event { time: 97, proc: 1, action: "drop off passenger" }
taxi: 1     Event { time: 102, proc: 1, action: "going home" }
taxi: 2        Event { time: 112, proc: 2, action: "drop off passenger" }
taxi: 2        Event { time: 121, proc: 2, action: "pick up passenger" }
taxi: 2        Event { time: 130, proc: 2, action: "drop off passenger" }
taxi: 2        Event { time: 136, proc: 2, action: "pick up passenger" }
taxi: 2        Event { time: 160, proc: 2, action: "drop off passenger" }
taxi: 2        Event { time: 166, proc: 2, action: "going home" }
*** end of events ***
"#,
    ),
    (
        "pyos",
        "\
-- two tasks:
I'm foo 1
I'm bar 2
I'm foo 1
I'm bar 2
I'm foo 1
I'm bar 2
Task 1 terminated
I'm bar 2
I'm bar 2
Task 2 terminated
-- a child that is killed:
I'm foo 2
I'm foo 2
I'm foo 2
Task 2 terminated
main done
Task 1 terminated
-- a child that is waited for:
Waiting for child
I'm foo 2
I'm foo 2
I'm foo 2
Task 2 terminated
Child done
Task 1 terminated
-- subroutines:
Task 1 adds
Task 1 adds
Task 1 adds
2 4 6
Task 1 terminated
",
    ),
    (
        "tree",
        "\
recursion: abcdefg
visitor:   <d><b><a></a><c></c></b><f><e></e><g></g></f></d>
callback:  dba
in step:   [('b', 'b'), ('g', 'g')]
",
    ),
    (
        "three_stages",
        "\
BR   0 ms  -> country BR
BT   0 ms  -> country BT
KI   0 ms  -> country KI
AQ   0 ms  -> country AQ
ZZ   0 ms  -> country ZZ
BT  10 ms  <- country BT
BT  10 ms  step 1: Bhutan
BT  10 ms  -> city 2
KI  15 ms  <- country KI
KI  15 ms  step 1: Kiribati
KI  15 ms  -> city 3
BT  15 ms  <- city 2
BT  15 ms  step 2: Thimphu
BT  15 ms  -> weather VQTH
AQ  20 ms  <- country AQ
AQ  20 ms  step 1: Antarctica
AQ  20 ms  failed: Antarctica has no capital
AQ  20 ms  done
ZZ  25 ms  <- country ZZ
ZZ  25 ms  failed: no such country
ZZ  25 ms  done
BR  30 ms  <- country BR
BR  30 ms  step 1: Brazil
BR  30 ms  -> city 1
BR  50 ms  <- city 1
BR  50 ms  step 2: Brasília
BR  50 ms  -> weather SBBR
KI  55 ms  <- city 3
KI  55 ms  failed: 503 service unavailable
KI  55 ms  done
BT  65 ms  <- weather VQTH
BT  65 ms  failed: station VQTH is silent
BT  65 ms  done
BR  90 ms  <- weather SBBR
BR  90 ms  step 3: it is 24.5 °C in Brasília
BR  90 ms  done

36 lines, 5 ways, one trace
",
    ),
    (
        "upper_server",
        "300 of 300 clients served at once, by 1 thread\n",
    ),
    (
        "contextmanager",
        "\
enter parser
PARSER reads 12
exit parser
enter parser
caught: invalid digit found in string
exit parser
enter parser
exit parser
raised: the block has failed in another way
",
    ),
    (
        "rows",
        r#"client 0: {"name":"row, 0","number":0,"square":0} {"name":"row, 1","number":1,"square":1} {"name":"row, 2","number":2,"square":4}
client 1: {"name":"row, 1","number":1,"square":1} {"name":"row, 2","number":2,"square":4} {"name":"row, 3","number":3,"square":9}
client 2: {"name":"row, 2","number":2,"square":4} {"name":"row, 3","number":3,"square":9} {"name":"row, 4","number":4,"square":16}
threads of the server: 1
"#,
    ),
    (
        "archives",
        "\
tar.gz over HTTP: 4 at once, 21 files each
zip over sockets: 4 at once, 21 files each
threads: 1
",
    ),
];

/// From both, with this crate and without.
const LOG_REPORT: &str = "\
status
       4 200
       1 304
       1 404
       1 503
most wanted
       3 /python/
       2 /index.html
       1 /favicon.ico
traffic
       7 requests
   10770 bytes
";

/// Examples with tests of their own, since they read input, or print what is different each time.
const TESTED_ELSEWHERE: [&str; 12] = [
    "cluster_grep",
    "grep",
    "grep_draws",
    "latency",
    "million",
    "overflow",
    "redis_many",
    "replay",
    "spinner",
    "stack_needs",
    "three_ways",
    "ureq_many",
];

/// target/PROFILE/examples/NAME, beside the target/PROFILE/deps that this test runs from.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("a test is in target/PROFILE/deps");
    let mut path = profile.join("examples").join(name);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build --examples`, or run all of `cargo test`",
        path.display()
    );
    path
}

fn run(name: &str, arguments: &[&str]) -> Output {
    Command::new(binary(name))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("examples print UTF-8")
}

#[test]
fn each_example_prints_exactly_this() {
    for (name, expected) in EXAMPLES {
        let output = run(name, &[]);
        assert_eq!(text(output.stderr), "", "{name}: standard error");
        assert_eq!(text(output.stdout), *expected, "{name}: standard output");
        assert_eq!(output.status.code(), Some(0), "{name}: exit code");
    }
}

#[test]
fn help_names_the_example_and_how_to_run_it() {
    for (name, _) in EXAMPLES {
        for flag in ["--help", "-h"] {
            let output = run(name, &[flag]);
            let help = text(output.stdout);
            assert!(help.starts_with(&format!("{name}: ")), "{name}: {help}");
            let command = format!("cargo run --example {name}\n");
            assert!(help.contains(&command), "{name}: {help}");
            assert_eq!(text(output.stderr), "", "{name}");
            assert_eq!(output.status.code(), Some(0), "{name}");
        }
    }
}

#[test]
fn an_unknown_argument_is_an_error_that_names_it() {
    for (name, _) in EXAMPLES {
        let output = run(name, &["--no-such-flag"]);
        let message = format!("{name}: unknown argument \"--no-such-flag\"; try --help\n");
        assert_eq!(text(output.stderr), message);
        assert_eq!(text(output.stdout), "", "{name}");
        assert_eq!(output.status.code(), Some(2), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_left_ends_an_example_quietly() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    for (name, _) in EXAMPLES {
        for arguments in [&[][..], &["--help"]] {
            let (reader, writer) = UnixStream::pair().expect("a pair of sockets");
            drop(reader);
            let output = Command::new(binary(name))
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(OwnedFd::from(writer))
                .output()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(text(output.stderr), "", "{name} {arguments:?}");
            assert_eq!(output.status.code(), Some(0), "{name} {arguments:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_in_one_line() {
    for (name, _) in EXAMPLES {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has /dev/full");
        let output = Command::new(binary(name))
            .stdin(Stdio::null())
            .stdout(full)
            .output()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let message = text(output.stderr);
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert_eq!(output.status.code(), Some(1), "{name}");
    }
}

/// What is written of the spinner: so many frames, and the blank one.
fn frames(count: usize) -> String {
    let frame = |text: &str| format!("{text}{}", "\x08".repeat(text.len()));
    let bars = r"|/-\".chars().cycle().take(count);
    let turning: String = bars.map(|bar| frame(&format!("{bar} thinking!"))).collect();
    turning + &frame(&" ".repeat(11))
}

#[test]
fn a_spinner_turns_thirty_times_and_blanks_its_line_though_nobody_waits_for_it() {
    for way in ["task", "async"] {
        let output = run("spinner", &[way]);
        let out = text(output.stdout);
        let (object, rest) = out.split_once('\n').expect("a line names the object");
        let place = object
            .strip_prefix("spinner object: <Task pending name='spinner' spawned at ")
            .expect("it is a task");
        assert!(place.starts_with("examples/spinner/"), "{object}");
        assert_eq!(rest, format!("{}Answer: 42\n", frames(30)), "{way}");
        assert_eq!(text(output.stderr), "");
    }
}

#[test]
fn the_same_slow_function_serves_a_thread() {
    for way in ["thread", "flag"] {
        let out = text(run("spinner", &[way]).stdout);
        let object = "spinner object: <Thread(spinner, started)>\n";
        assert_eq!(
            out.len(),
            object.len() + frames(1).len() + "Answer: 42\n".len()
        );
        // The thread may have its turn before the line or after it.
        assert_eq!(
            out.replacen(object, "", 1),
            format!("{}Answer: 42\n", frames(1))
        );
    }
}

#[test]
fn a_spinner_names_what_it_cannot_understand() {
    for (arguments, message) in [
        (
            &["--seconds", "many"][..],
            "spinner: not a number of seconds: \"many\"; try --help\n",
        ),
        (
            &["--turns"],
            "spinner: unknown argument \"--turns\"; try --help\n",
        ),
    ] {
        let output = run("spinner", arguments);
        assert_eq!(text(output.stderr), message);
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn three_ways_have_a_row_each_in_which_everything_is_measured() {
    let output = run("three_ways", &["--quick"]);
    assert_eq!(text(output.stderr), "");
    let out = text(output.stdout);
    let rows: Vec<_> = out.lines().collect();
    assert!(
        rows[0].starts_with("5 jobs, each of which waits 0ns for an answer"),
        "{out}"
    );
    assert!(rows[1].starts_with("by    "), "{out}");
    for (row, way) in rows[2..]
        .iter()
        .zip(["processes", "threads", "tasks", "tasks, async"])
    {
        let (name, columns) = row.split_at(14);
        assert_eq!(name.trim(), way, "{out}");
        let columns: Vec<_> = columns.split_whitespace().collect();
        assert!(columns.len() >= 4, "{out}");
        assert!(
            columns[0].ends_with('s') && columns[2].ends_with('s'),
            "{out}"
        );
        assert!(columns[1].parse::<u32>().is_ok(), "{out}");
    }
    assert_eq!(rows.len(), 6, "{out}");
}

#[test]
fn a_cycle_is_a_second_in_the_table_of_latencies() {
    let table = "\
in general; if a cycle were a second
L1 cache                   3 cycles            3 s
L2 cache                  14 cycles           14 s
RAM                      250 cycles          250 s
disk              41,000,000 cycles      1.3 years
network          240,000,000 cycles      7.6 years
";
    assert_eq!(text(run("latency", &["--table"]).stdout), table);
    let measured = text(run("latency", &["--quick"]).stdout);
    let measured = measured.strip_prefix(table).expect("the table comes first");
    let devices: Vec<_> = measured
        .lines()
        .skip(2)
        .map(|line| line[..16].trim())
        .collect();
    let expected = [
        "L1 cache",
        "L2 cache",
        "RAM",
        "switch of tasks",
        "network, here",
        "disk",
    ];
    assert_eq!(devices, expected);
    assert!(
        measured
            .lines()
            .skip(2)
            .all(|line| line.contains(" cycles ")),
        "{measured}"
    );
}

#[test]
fn each_of_the_five_ways_leaves_the_same_trace() {
    let all = text(run("three_stages", &[]).stdout);
    for way in ["callbacks", "promises", "generators", "fibers", "native"] {
        let one = text(run("three_stages", &[way]).stdout);
        assert_eq!(
            format!("{one}\n36 lines, 5 ways, one trace\n"),
            all,
            "{way}"
        );
    }
}

#[test]
fn an_upper_server_serves_until_it_is_killed() {
    use std::io::{BufRead, BufReader, Read, Write};

    let mut server = Command::new(binary("upper_server"))
        .args(["--serve", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut first = String::new();
    let mut out = BufReader::new(server.stdout.take().expect("it is a pipe"));
    out.read_line(&mut first).expect("it says where it is");
    let address = first
        .strip_prefix("Serving on ")
        .and_then(|rest| rest.strip_suffix(". Hit CTRL-C to stop.\n"))
        .expect("it says so in these words");
    let mut idle = std::net::TcpStream::connect(address).expect("it accepts");
    let mut busy = std::net::TcpStream::connect(address).expect("it accepts another");
    let mut answer = String::new();
    busy.write_all(b"Lower\r\nno end")
        .and_then(|()| busy.shutdown(std::net::Shutdown::Write))
        .and_then(|()| busy.read_to_string(&mut answer))
        .expect("it answers");
    assert_eq!(answer, "LOWER\r\nNO END");
    server.kill().and_then(|()| server.wait()).expect("it ends");
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn follow_names_the_file_that_it_cannot_follow() {
    for path in ["no/such/file", env!("CARGO_MANIFEST_DIR")] {
        let output = run("follow", &[path, "pattern"]);
        let message = text(output.stderr);
        assert!(
            message.starts_with(&format!("follow: {path}: ")),
            "{message}"
        );
        assert_eq!(text(output.stdout), "");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_log_report_reads_on_after_what_it_cannot_read_with_the_crate_and_without() {
    let log = std::env::temp_dir().join(format!("yieldfrom-report-{}", std::process::id()));
    std::fs::write(&log, "no entry\n- - - [-] \"GET /x HTTP/1.0\" 200 5\n")
        .expect("a log is written");
    let log_name = log.to_str().expect("it is UTF-8");
    for name in ["log_report", "log_report_without"] {
        let output = run(name, &["no/such/file", log_name]);
        let messages = text(output.stderr);
        let messages: Vec<_> = messages.lines().collect();
        assert!(
            messages[0].starts_with(&format!("{name}: no/such/file: ")),
            "{messages:?}"
        );
        assert_eq!(
            messages[1..],
            [format!("{name}: {log_name}:1: not a log entry")]
        );
        let report = "status\n       1 200\nmost wanted\n       1 /x\ntraffic\n       1 requests\n       5 bytes\n";
        assert_eq!(text(output.stdout), report);
        assert_eq!(output.status.code(), Some(1));
    }
    std::fs::remove_file(&log).expect("the log is removed");
}

#[test]
fn every_example_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("there is a folder of examples") {
        let path = entry.expect("it can be read").path();
        let is_example = match path.extension() {
            Some(extension) => extension == "rs",
            None => path.join("main.rs").exists(),
        };
        if is_example {
            let name = path.file_stem().expect("a file has a name");
            found.insert(name.to_string_lossy().into_owned());
        }
    }
    for name in TESTED_ELSEWHERE {
        found.remove(name);
    }
    let tested = EXAMPLES.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(found, tested);
}
