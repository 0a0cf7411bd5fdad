//! How much a million suspended coroutines weigh, and how fast they are, beside as many threads as there may be.
//!
//! ```text
//! cargo run --release --example million
//! ```
//!
//! Look at [`accumulator`]: each coroutine is a running total in a local variable, and waits to be sent the next number.
//! All of them are held at once. What each yields is added up and checked.
//!
//! The threads do the same. They are made by another process, this program with a hidden argument: a process that has
//! used up what the system allows it may die of that, which here is only the end of a measurement.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::panic;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use lexopt::Arg;
use yieldfrom::{Builder, Coroutine, DEFAULT_STACK_SIZE, Exception, StackError, Step};

/// How many are handled between two looks at the clock, so that looking costs nothing.
const CHUNK: usize = 1024;

/// What is sent to each in the two rounds of resuming.
const IN_ORDER: u64 = 1;
const AT_RANDOM: u64 = 2;

// ---- coroutines ----

type Accumulator = Coroutine<u64, u64>;

/// Yields the total so far, is sent what to add. The stack is taken at once, so that its lack is an error here.
fn accumulator(builder: &Builder, start: u64) -> Result<Accumulator, StackError> {
    builder.try_coroutine(move |co| {
        let mut total = start;
        loop {
            total += co.yield_(total)?;
        }
    })
}

/// The coroutines that could be made, and how long that took.
struct Made {
    create: Duration,
    first_resume: Duration,
    /// Why they are fewer than asked for.
    stopped: Option<String>,
}

/// Makes `n` coroutines and runs each to its first `yield_`, or as many as there can be.
fn make(live: &mut Vec<Accumulator>, n: usize, builder: &Builder, what: &str) -> Made {
    let bar = progress(what, n);
    let mut made = Made {
        create: Duration::ZERO,
        first_resume: Duration::ZERO,
        stopped: None,
    };
    let mut sum = 0;
    while live.len() < n && made.stopped.is_none() {
        let first = live.len();
        let start = Instant::now();
        for index in first..n.min(first + CHUNK) {
            match accumulator(builder, index as u64) {
                Ok(coroutine) => live.push(coroutine),
                Err(error) => {
                    made.stopped = Some(error.to_string());
                    break;
                }
            }
        }
        made.create += start.elapsed();

        let start = Instant::now();
        for coroutine in &mut live[first..] {
            sum += yielded(coroutine.prime());
        }
        made.first_resume += start.elapsed();

        bar.set_position(live.len() as u64);
        if made.stopped.is_none() && is_memory_low(live.len()) {
            made.stopped = Some(MEMORY_IS_LOW.to_owned());
        }
    }
    assert_eq!(sum, sum_to(live.len()), "the sum of the first values");
    bar.finish_and_clear();
    made
}

fn yielded<E: Into<Exception>>(step: Result<Step<u64, ()>, E>) -> u64 {
    match step.map_err(Into::into) {
        Ok(Step::Yielded(value)) => value,
        Ok(Step::Complete(())) => panic!("an accumulator goes on for ever"),
        Err(error) => panic!("an accumulator raises nothing: {error}"),
    }
}

fn measure_coroutines(n: usize, builder: &Builder) -> io::Result<(Figures, Option<String>)> {
    let mut live = Vec::new();
    live.try_reserve_exact(n).map_err(io::Error::other)?;

    let before = Memory::now();
    let made = make(&mut live, n, builder, "creating");
    let mut figures = Figures {
        live: live.len(),
        memory: Memory::now().since(before),
        create: Some(made.create),
        first_resume: Some(made.first_resume),
        create_and_resume: Some(made.create + made.first_resume),
        ..Figures::default()
    };
    let n = live.len();

    let (sum, time) = resume_all(&mut live, &in_order(n), IN_ORDER, "resuming in order");
    assert_eq!(sum, sum_to(n) + n as u64 * IN_ORDER, "the sum, in order");
    figures.resume_in_order = Some(time);

    let (sum, time) = resume_all(&mut live, &shuffled(n), AT_RANDOM, "resuming at random");
    let expected = sum_to(n) + n as u64 * (IN_ORDER + AT_RANDOM);
    assert_eq!(sum, expected, "the sum, at random");
    figures.resume_at_random = Some(time);

    figures.drop = Some(drop_all(&mut live));
    figures.memory_after = Memory::now().since(before);

    let again = make(&mut live, n, builder, "creating again");
    // A rate of fewer than the first time would be compared with that of all.
    if again.stopped.is_none() {
        figures.reused = Some(again.create + again.first_resume);
    }
    drop_all(&mut live);
    let stopped = made.stopped.or_else(|| {
        let reason = again.stopped?;
        Some(format!("the second time: {reason}"))
    });
    Ok((figures, stopped))
}

/// Sends `value` to each. Returns the sum of what they yield.
fn resume_all(
    live: &mut [Accumulator],
    order: &[usize],
    value: u64,
    what: &str,
) -> (u64, Duration) {
    let bar = progress(what, order.len());
    let (mut sum, start) = (0, Instant::now());
    for chunk in order.chunks(CHUNK) {
        for &index in chunk {
            sum += yielded(live[index].send(value));
        }
        bar.inc(chunk.len() as u64);
    }
    let time = start.elapsed();
    bar.finish_and_clear();
    (sum, time)
}

fn drop_all(live: &mut Vec<Accumulator>) -> Duration {
    let bar = progress("dropping", live.len());
    let start = Instant::now();
    while !live.is_empty() {
        let kept = live.len().saturating_sub(CHUNK);
        live.truncate(kept);
        bar.inc(CHUNK as u64);
    }
    let time = start.elapsed();
    bar.finish_and_clear();
    time
}

fn in_order(n: usize) -> Vec<usize> {
    (0..n).collect()
}

/// 0 to n - 1 in an order that no prefetcher guesses, but the same in every run.
fn shuffled(n: usize) -> Vec<usize> {
    let mut order = in_order(n);
    let mut random = 1_u64;
    for last in (1..n).rev() {
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        order.swap(last, (random >> 32) as usize % (last + 1));
    }
    order
}

fn sum_to(n: usize) -> u64 {
    (0..n as u64).sum()
}

// ---- threads, in a process of their own ----

const CHILD: &str = "--threads-of-this-process";

/// In bytes. The smallest that the usual systems give; less is rounded up.
const THREAD_STACK_SIZE: usize = 16 * 1024;

/// How many threads there are, for the panic hook of the child: a thread that starts may find that there are no more
/// mappings for its signal stack, and then the standard library panics where that would abort.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// What one thread after the other is woken with.
struct Turn {
    main: Thread,
    started: AtomicUsize,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// What it says.
    answer: AtomicUsize,
}

const NOBODY: usize = usize::MAX;
const END: usize = usize::MAX - 1;

impl Turn {
    /// The body of a thread, the counterpart of [`accumulator`].
    fn accumulate(&self, index: usize) {
        let mut total = index;
        self.started.fetch_add(1, Ordering::Release);
        loop {
            match self.turn.load(Ordering::Acquire) {
                END => return,
                turn if turn == index => {
                    total += 1;
                    // Before the answer: after it the main thread may already have set the next turn.
                    self.turn.store(NOBODY, Ordering::Relaxed);
                    self.answer.store(total, Ordering::Release);
                    self.main.unpark();
                }
                _ => thread::park(),
            }
        }
    }

    /// Wakes a thread, and waits until that wakes us.
    fn resume(&self, index: usize, thread: &Thread) -> u64 {
        self.answer.store(NOBODY, Ordering::Relaxed);
        self.turn.store(index, Ordering::Release);
        thread.unpark();
        loop {
            match self.answer.load(Ordering::Acquire) {
                NOBODY => thread::park(),
                answer => return answer as u64,
            }
        }
    }

    /// Wakes each for the `round`th time. Returns how long that took.
    fn resume_all(&self, threads: &[JoinHandle<()>], order: &[usize], round: u64) -> Duration {
        let start = Instant::now();
        let answers = order
            .iter()
            .map(|&index| self.resume(index, threads[index].thread()));
        let sum: u64 = answers.sum();
        let time = start.elapsed();
        let n = order.len();
        assert_eq!(sum, sum_to(n) + n as u64 * round, "the sum of a round");
        time
    }

    fn end(&self, threads: Vec<JoinHandle<()>>) {
        self.turn.store(END, Ordering::Release);
        threads.iter().for_each(|thread| thread.thread().unpark());
        for thread in threads {
            thread.join().expect("a thread does not panic");
        }
    }
}

/// Makes `n` threads and measures them. If they are fewer it only says so, and ends them at once: while they live,
/// nobody else on the machine may be able to start anything.
///
/// Prints lines of `made NUMBER`, `stopped REASON` and, for each figure, `cell TEXT`.
fn run_child(n: usize) -> io::Result<()> {
    panic::set_hook(Box::new(|info| {
        let made = MADE.load(Ordering::Relaxed);
        let text = info.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let _ = writeln!(io::stdout(), "made {made}\nstopped {reason}");
        std::process::exit(1);
    }));
    let shared = Arc::new(Turn {
        main: thread::current(),
        started: AtomicUsize::new(0),
        turn: AtomicUsize::new(NOBODY),
        answer: AtomicUsize::new(NOBODY),
    });
    let mut threads = Vec::new();
    threads.try_reserve_exact(n).map_err(io::Error::other)?;

    let before = Memory::now();
    let start = Instant::now();
    let stopped = spawn_all(&mut threads, n, &shared)?;
    writeln!(io::stdout(), "made {}", threads.len())?;
    if let Some(reason) = stopped {
        writeln!(io::stdout(), "stopped {reason}")?;
        shared.end(threads);
        return Ok(());
    }
    while shared.started.load(Ordering::Acquire) < n {
        thread::yield_now();
    }
    let mut figures = Figures {
        live: n,
        create_and_resume: Some(start.elapsed()),
        memory: Memory::now().since(before),
        ..Figures::default()
    };
    figures.resume_in_order = Some(shared.resume_all(&threads, &in_order(n), 1));
    figures.resume_at_random = Some(shared.resume_all(&threads, &shuffled(n), 2));

    let start = Instant::now();
    shared.end(threads);
    figures.drop = Some(start.elapsed());
    figures.memory_after = Memory::now().since(before);
    for cell in figures.cells() {
        writeln!(io::stdout(), "cell {cell}")?;
    }
    Ok(())
}

/// Makes `n` threads. If they are fewer, it returns the reason.
fn spawn_all(
    threads: &mut Vec<JoinHandle<()>>,
    n: usize,
    shared: &Arc<Turn>,
) -> io::Result<Option<String>> {
    while threads.len() < n {
        let (index, turn) = (threads.len(), shared.clone());
        let builder = thread::Builder::new().stack_size(THREAD_STACK_SIZE);
        match builder.spawn(move || turn.accumulate(index)) {
            Ok(thread) => threads.push(thread),
            Err(error) => return Ok(Some(error.to_string())),
        }
        MADE.store(threads.len(), Ordering::Relaxed);
        if threads.len() % 256 == 0 {
            writeln!(io::stdout(), "made {}", threads.len())?;
        }
        if is_memory_low(threads.len()) {
            return Ok(Some(MEMORY_IS_LOW.to_owned()));
        }
    }
    Ok(None)
}

/// What a child has said.
#[derive(Default)]
struct Report {
    made: usize,
    stopped: Option<String>,
    cells: Vec<String>,
}

/// Has a child make `n` threads.
fn ask_child(n: usize, what: &str) -> io::Result<Report> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(CHILD)
        .arg(n.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let bar = progress(what, n);
    let mut report = Report::default();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("made", made)) => {
                report.made = made.parse().map_err(io::Error::other)?;
                bar.set_position(report.made as u64);
            }
            Some(("cell", cell)) => report.cells.push(cell.to_owned()),
            Some(("stopped", reason)) => report.stopped = Some(reason.to_owned()),
            _ => return Err(io::Error::other(format!("the child says {line:?}"))),
        }
    }
    let status = child.wait()?;
    bar.finish_and_clear();
    if report.cells.len() < LABELS.len() && report.stopped.is_none() {
        report.stopped = Some(format!("the process ended: {status}"));
    }
    Ok(report)
}

/// The figures of `n` threads, or of as many as there may be, and why they are fewer.
fn measure_threads(n: usize) -> io::Result<(Vec<String>, Option<String>)> {
    let mut first = ask_child(n, "threads")?;
    let Some(reason) = first.stopped.take() else {
        return Ok((first.cells, None));
    };
    let mut stopped = format!("stopped after {}: {reason}", thousands(first.made as u64));
    // Fewer leave everybody else a few threads, and this process the mappings that it needs to measure.
    let fewer = first.made - first.made.div_ceil(64);
    let second = match fewer {
        0 => Report::default(),
        _ => ask_child(fewer, "fewer threads")?,
    };
    if let Some(reason) = second.stopped {
        let made = thousands(second.made as u64);
        write!(stopped, "\n  again after {made}: {reason}").expect("a string has room");
    }
    Ok((second.cells, Some(stopped)))
}

// ---- memory ----

/// What a process uses, in bytes and in mappings. `None` where the system does not say.
#[derive(Clone, Copy, Default)]
struct Memory {
    resident: Option<u64>,
    page_tables: Option<u64>,
    address_space: Option<u64>,
    /// Of all processes: the kernel does not count it for each.
    kernel_stacks: Option<u64>,
    mappings: Option<u64>,
}

impl Memory {
    fn now() -> Self {
        let status = read_proc("/proc/self/status");
        Self {
            resident: field(&status, "VmRSS:"),
            page_tables: field(&status, "VmPTE:"),
            address_space: field(&status, "VmSize:"),
            kernel_stacks: field(&read_proc("/proc/meminfo"), "KernelStack:"),
            mappings: count_mappings().ok(),
        }
    }

    fn since(self, before: Self) -> Self {
        let less = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
        Self {
            resident: less(self.resident, before.resident),
            page_tables: less(self.page_tables, before.page_tables),
            address_space: less(self.address_space, before.address_space),
            kernel_stacks: less(self.kernel_stacks, before.kernel_stacks),
            mappings: less(self.mappings, before.mappings),
        }
    }
}

/// Empty where there is no such file.
fn read_proc(path: &str) -> String {
    match cfg!(target_os = "linux") {
        true => fs::read_to_string(path).unwrap_or_default(),
        false => String::new(),
    }
}

/// A line of kilobytes, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Reads the list through a buffer, since it is as long as what is measured.
fn count_mappings() -> io::Result<u64> {
    if !cfg!(target_os = "linux") {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut maps = BufReader::with_capacity(64 * 1024, File::open("/proc/self/maps")?);
    let mut lines = 0;
    loop {
        let text = maps.fill_buf()?;
        if text.is_empty() {
            return Ok(lines);
        }
        lines += text.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let length = text.len();
        maps.consume(length);
    }
}

const MEMORY_IS_LOW: &str = "less than a sixteenth of the machine's memory is left";

/// Looks now and then, before the system would have to kill somebody.
fn is_memory_low(live: usize) -> bool {
    if live % (16 * CHUNK) != 0 {
        return false;
    }
    let text = read_proc("/proc/meminfo");
    match (field(&text, "MemAvailable:"), field(&text, "MemTotal:")) {
        (Some(available), Some(total)) => available < total / 16,
        _ => false,
    }
}

// ---- what is printed ----

/// What was measured of coroutines or threads. Times are for all of them.
#[derive(Default)]
struct Figures {
    live: usize,
    /// What they add to the process.
    memory: Memory,
    /// What is left of that after they are dropped.
    memory_after: Memory,
    create: Option<Duration>,
    first_resume: Option<Duration>,
    create_and_resume: Option<Duration>,
    resume_in_order: Option<Duration>,
    resume_at_random: Option<Duration>,
    drop: Option<Duration>,
    reused: Option<Duration>,
}

/// The rows of the table, in the order of [`Figures::cells`].
const LABELS: [&str; 17] = [
    "live",
    "resident memory",
    "resident memory, each",
    "page tables, each",
    "kernel stacks, each",
    "address space, each",
    "mappings",
    "mappings per thousand",
    "create",
    "first resume",
    "create and first resume",
    "resume, in order",
    "resume, in random order",
    "drop",
    "drop all",
    "resident after that",
    "create and first resume, reused",
];

impl Figures {
    fn cells(&self) -> [String; LABELS.len()] {
        let live = self.live as f64;
        let each = |total: Option<u64>| self.each(total.map(|total| bytes(total as f64 / live)));
        let time_each = |total: Option<Duration>| {
            self.each(total.map(|total| {
                let seconds = total.as_secs_f64() / live;
                let rate = thousands(three_digits(1.0 / seconds));
                format!("{}  {rate:>11}/s", time(seconds))
            }))
        };
        let all = |total: Option<u64>| or_dash(total.map(|total| bytes(total as f64)));
        let memory = &self.memory;
        let per_thousand = |total| format!("{:.2}", total as f64 * 1000.0 / live);
        [
            thousands(self.live as u64),
            all(memory.resident),
            each(memory.resident),
            each(memory.page_tables),
            each(memory.kernel_stacks),
            each(memory.address_space),
            or_dash(memory.mappings.map(thousands)),
            self.each(memory.mappings.map(per_thousand)),
            time_each(self.create),
            time_each(self.first_resume),
            time_each(self.create_and_resume),
            time_each(self.resume_in_order),
            time_each(self.resume_at_random),
            time_each(self.drop),
            or_dash(self.drop.map(|total| time(total.as_secs_f64()))),
            all(self.memory_after.resident),
            time_each(self.reused),
        ]
    }

    /// Of none there is nothing to say.
    fn each(&self, text: Option<String>) -> String {
        or_dash(text.filter(|_| self.live > 0))
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// 1,000,000.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rounds off what differs from run to run.
fn three_digits(x: f64) -> u64 {
    let mut unit = 1.0;
    while x / unit >= 1000.0 {
        unit *= 10.0;
    }
    ((x / unit).round() * unit) as u64
}

/// 4.14 KiB.
fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    scaled(bytes, 1024.0, &units)
}

/// 3.10 µs.
fn time(seconds: f64) -> String {
    scaled(seconds * 1e9, 1000.0, &["ns", "µs", "ms", "s"])
}

fn scaled(mut x: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while x >= step && unit + 1 < units.len() {
        x /= step;
        unit += 1;
    }
    let decimals = match x {
        _ if x >= 100.0 || x == 0.0 => 0,
        _ if x >= 10.0 => 1,
        _ => 2,
    };
    format!("{x:.decimals$} {}", units[unit])
}

/// One column for each of `columns`: its title and its cells.
fn table(columns: &[(&str, Vec<String>)]) -> String {
    let width = |cells: &[String]| cells.iter().map(|cell| cell.chars().count()).max();
    let first = LABELS.iter().map(|label| label.len()).max().unwrap_or(0);
    let mut rows: Vec<String> = [""]
        .iter()
        .chain(&LABELS)
        .map(|label| format!("{label:first$}"))
        .collect();
    for (title, cells) in columns {
        let width = width(cells).unwrap_or(0).max(title.len()) + 3;
        let dash = String::from("-");
        let cells = cells.iter().chain(std::iter::repeat(&dash));
        let title = title.to_string();
        for (row, cell) in rows.iter_mut().zip(std::iter::once(&title).chain(cells)) {
            write!(row, "{cell:>width$}").expect("a string has room");
        }
    }
    rows.join("\n") + "\n"
}

/// On a terminal only: `indicatif` sees to that.
fn progress(what: &str, n: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:20} {wide_bar} {human_pos}/{human_len}")
        .expect("the template is right");
    ProgressBar::new(n as u64)
        .with_style(style)
        .with_message(what.to_owned())
}

// ---- the command line ----

struct Options {
    n: usize,
    stack_size: usize,
    with_threads: bool,
}

enum Task {
    Measure(Options),
    Child(usize),
    Help,
}

fn parse() -> Result<Task, String> {
    let mut options = Options {
        n: 1_000_000,
        stack_size: DEFAULT_STACK_SIZE,
        with_threads: true,
    };
    let mut is_given = false;
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        let value = |parser: &mut lexopt::Parser| parser.value().map_err(|error| error.to_string());
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Task::Help),
            Arg::Long("no-threads") => options.with_threads = false,
            Arg::Long("stack-size") => options.stack_size = number(&value(&mut parser)?)?,
            Arg::Long(name) if name == &CHILD[2..] => {
                return Ok(Task::Child(number(&value(&mut parser)?)?));
            }
            Arg::Value(text) if !is_given => {
                is_given = true;
                options.n = number(&text)?;
            }
            Arg::Value(text) => return Err(unknown(&text.to_string_lossy())),
            Arg::Long(name) => return Err(unknown(&format!("--{name}"))),
            Arg::Short(letter) => return Err(unknown(&format!("-{letter}"))),
        }
    }
    if options.n == 0 {
        return Err("there is nothing to measure of 0 coroutines".to_owned());
    }
    Ok(Task::Measure(options))
}

/// 1000000, 1_000_000 or 1,000,000.
fn number(text: &OsStr) -> Result<usize, String> {
    let digits = text.to_string_lossy().replace(['_', ','], "");
    digits
        .parse()
        .map_err(|error| format!("{text:?} is no number that will do: {error}"))
}

fn unknown(arg: &str) -> String {
    format!("unknown argument {arg:?}; try --help")
}

const HELP: &str = "\
million: holds N suspended coroutines at once, and as many threads as the system allows up to N;
shows their memory, and how fast they are made, resumed and dropped

Run it with: cargo run --release --example million
         or: cargo run --release --example million -- [N] [OPTIONS]

  N                    how many (1,000,000)
  --stack-size BYTES   of each coroutine (the crate's default); address space until it is touched
  --no-threads         coroutines only
  -h, --help           this text

Memory is what they add to the process, with the few bytes that each takes in a list. A coroutine needs a page at least,
mostly 4 KiB. The status is 1 if there cannot be N coroutines; that there are fewer threads is no failure.
";

fn run(options: &Options) -> io::Result<ExitCode> {
    let builder = Builder::new().stack_size(options.stack_size);
    let (figures, stopped) = measure_coroutines(options.n, &builder)?;
    let mut columns = vec![("coroutines", figures.cells().to_vec())];
    let mut notes = String::new();
    let mut note = |text: &str| writeln!(notes, "\n{text}").expect("a string has room");
    if let Some(reason) = &stopped {
        let (live, n) = (thousands(figures.live as u64), thousands(options.n as u64));
        note(&format!("coroutines: {live} of {n}: {reason}"));
    }
    if options.with_threads {
        let (cells, stopped) = measure_threads(options.n)?;
        columns.push(("OS threads", cells));
        if let Some(reason) = stopped {
            note(&format!("OS threads: {reason}"));
        }
        note("To resume a thread is to wake it and to be woken by it.");
    }
    write!(io::stdout(), "{}{notes}", table(&columns))?;
    Ok(match stopped {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

fn main() -> ExitCode {
    let result = match parse() {
        Ok(Task::Measure(options)) => run(&options),
        Ok(Task::Child(n)) => run_child(n).map(|()| ExitCode::SUCCESS),
        Ok(Task::Help) => write!(io::stdout(), "{HELP}").map(|()| ExitCode::SUCCESS),
        Err(message) => {
            eprintln!("million: {message}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => code,
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("million: {error}");
            ExitCode::FAILURE
        }
    }
}
