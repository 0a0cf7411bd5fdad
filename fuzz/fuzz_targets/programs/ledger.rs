//! What is counted on a thread while a program runs on it, and what is thrown and sent there.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use yieldfrom::{Exception, ProtocolError, Reason, Unraisable};

/// How often something was provoked, and how often it has been reported to the unraisable hook.
pub struct Tally {
    provoked: Cell<u32>,
    reported: Cell<u32>,
}

impl Tally {
    const fn new() -> Self {
        Self {
            provoked: Cell::new(0),
            reported: Cell::new(0),
        }
    }

    pub fn provoke(&self) {
        self.provoked.set(self.provoked.get() + 1);
    }

    fn report(&self, what: &dyn fmt::Debug) {
        self.reported.set(self.reported.get() + 1);
        assert!(
            self.reported.get() <= self.provoked.get(),
            "{what:?} was not provoked"
        );
    }

    fn reset(&self) {
        self.provoked.set(0);
        self.reported.set(0);
    }
}

pub struct Ledger {
    /// How many [`Token`]s there are.
    live: Cell<i64>,
    serial: Cell<u64>,
    /// The serial number of what was last sent, thrown or yielded. Whoever goes on next has received it.
    pub in_flight: Cell<u64>,
    /// The next value that can, panics if it is dropped before it has arrived.
    pub armed: Cell<bool>,
    /// A body went on to yield after the order to finish.
    pub ignored: Tally,
    pub panics: Tally,
    /// A coroutine's body returned an error.
    pub errors: Tally,
    may_leak: Cell<bool>,
}

thread_local! {
    static LEDGER: Ledger = const {
        Ledger {
            live: Cell::new(0),
            serial: Cell::new(0),
            in_flight: Cell::new(0),
            armed: Cell::new(false),
            ignored: Tally::new(),
            panics: Tally::new(),
            errors: Tally::new(),
            may_leak: Cell::new(false),
        }
    };
}

/// How many bodies have been leaked in this process. Each keeps its stack, and there is only so much memory.
static LEAKED: AtomicUsize = AtomicUsize::new(0);

pub fn ledger<T>(look: impl FnOnce(&Ledger) -> T) -> T {
    LEDGER.with(look)
}

impl Ledger {
    /// Something may come to own itself from now on, and be leaked rightly.
    pub fn allow_leaks(&self) {
        self.may_leak.set(true);
    }

    pub fn may_leak(&self) -> bool {
        self.may_leak.get()
    }

    /// Opens the books for a program.
    pub fn open(&self, may_leak: bool) {
        self.live.set(0);
        self.serial.set(0);
        self.armed.set(false);
        self.may_leak.set(may_leak);
        for tally in [&self.ignored, &self.panics, &self.errors] {
            tally.reset();
        }
    }

    /// Everything has been dropped. What has not been was leaked.
    pub fn close(&self) {
        let live = self.live.get();
        assert!(live >= 0, "{} were dropped twice", -live);
        assert!(
            live == 0 || self.may_leak.get(),
            "{live} were never dropped"
        );
    }

    pub fn next_serial(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    /// A serial number that is about to cross a switch.
    pub fn launch(&self) -> u64 {
        let serial = self.next_serial();
        self.in_flight.set(serial);
        serial
    }
}

pub fn leaked() -> usize {
    LEAKED.load(Ordering::Relaxed)
}

pub fn count_leak() {
    LEAKED.fetch_add(1, Ordering::Relaxed);
}

/// The unraisable hook.
pub fn on_report(unraisable: &Unraisable<'_>) {
    let reason = unraisable.reason();
    ledger(|ledger| match reason {
        Reason::IgnoredExit => ledger.ignored.report(reason),
        Reason::Exception(exception) => {
            assert!(is_known(exception), "{unraisable}");
            ledger.errors.report(reason);
        }
        Reason::Panic(payload) => {
            assert!(is_ours(&**payload), "a panic that nobody has started");
            ledger.panics.report(reason);
        }
        Reason::Leaked => {
            assert!(ledger.may_leak.get(), "a body was leaked");
            count_leak();
        }
        other => panic!("unknown: {other:?}"),
    });
}

/// Exists exactly once, and is missed if it is not dropped.
#[derive(Debug)]
pub struct Token(());

impl Token {
    pub fn new() -> Self {
        ledger(|ledger| ledger.live.set(ledger.live.get() + 1));
        Self(())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        ledger(|ledger| ledger.live.set(ledger.live.get() - 1));
    }
}

/// The error that is thrown and raised.
#[derive(Debug)]
pub struct Oops {
    serial: u64,
    _token: Token,
}

impl Oops {
    pub fn new(serial: u64) -> Self {
        Self {
            serial,
            _token: Token::new(),
        }
    }
}

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oops {}", self.serial)
    }
}

impl std::error::Error for Oops {}

/// Whether it is of a kind that comes up in these programs.
pub fn is_known(exception: &Exception) -> bool {
    exception.is_exit() || exception.is::<Oops>() || exception.is::<ProtocolError>()
}

/// Checks what a `yield_` has raised: it was thrown just now.
pub fn check_thrown(exception: &Exception) {
    match exception.downcast_ref::<Oops>() {
        Some(oops) => assert_eq!(oops.serial, ledger(|ledger| ledger.in_flight.get())),
        None => assert!(exception.is_exit(), "nobody has thrown {exception:?}"),
    }
}

/// What a program panics with.
struct Thrown(#[allow(dead_code, reason = "it is dropped")] Token);

/// What values panic with when they are dropped.
struct Bang;

/// Panics as programs do: without the panic hook.
pub fn throw() -> ! {
    ledger(|ledger| ledger.panics.provoke());
    resume_unwind(Box::new(Thrown(Token::new())))
}

/// Panics as a destructor of a value.
pub fn bang() -> ! {
    ledger(|ledger| ledger.panics.provoke());
    resume_unwind(Box::new(Bang))
}

/// The crate's own panics on misuse.
const MISUSE: &[&str] = &[
    "`yield_` called from outside the body it belongs to; yield through that body's own handle",
    "`recv` called from outside the body it belongs to; receive in that body itself",
    "a stage asked for more items after it was closed",
    "the body of this stage has panicked before",
];

/// Whether this is the text of one of the crate's own panics.
pub fn is_misuse(text: Option<&str>) -> bool {
    text.is_some_and(|text| MISUSE.contains(&text))
}

/// Whether a payload comes from a program, or from the crate because of its misuse.
pub fn is_ours(payload: &(dyn Any + Send)) -> bool {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    payload.is::<Bang>() || comes_from_a_body(payload) || is_misuse(text)
}

/// Whether a body has panicked, rather than a value in a destructor.
pub fn comes_from_a_body(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Thrown>()
}
