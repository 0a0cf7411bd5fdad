//! Random programs of `prime`, `send`, `throw`, `close` and drop, against a naive model of the protocol.
//!
//! A body is a list of reactions, one for each time it is resumed; in front of it stands a chain of delegators, each a
//! `co.yield_from(&mut sub)` and nothing else. The model knows no coroutines: it is a position in the list and a state.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Once;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use yieldfrom::{
    Co, Coroutine, Exception, ProtocolError, Raised, Reason, State, Step, coroutine,
    set_unraisable_hook,
};

fn config(cases: u32) -> Config {
    const SEEDS: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/proptest-regressions/properties.txt"
    );
    Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(SEEDS))),
        ..Config::default()
    }
}

// ---- programs ------------------------------------------------------------------------------------------------------

/// What a body does when it is resumed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reaction {
    Yield(u8),
    Return(u8),
    /// Raises an error of its own.
    Raise(u8),
    /// Passes on what was thrown in; as `Yield(0)` if nothing was.
    Propagate,
    Panic(u8),
}

#[derive(Clone, Debug)]
struct Program {
    /// The first runs at `prime`. After the last, the body returns 255.
    reactions: Vec<Reaction>,
    /// How many delegators stand in front of the body.
    depth: usize,
}

fn reaction() -> impl Strategy<Value = Reaction> {
    prop_oneof![
        6 => any::<u8>().prop_map(Reaction::Yield),
        1 => any::<u8>().prop_map(Reaction::Return),
        1 => any::<u8>().prop_map(Reaction::Raise),
        4 => Just(Reaction::Propagate),
        1 => any::<u8>().prop_map(Reaction::Panic),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    (
        prop::collection::vec(reaction(), 0..8),
        prop_oneof![2 => Just(0), 1 => 1..4usize, 1 => 30..40usize],
    )
        .prop_map(|(reactions, depth)| Program { reactions, depth })
}

#[derive(Clone, Debug)]
enum Call {
    Prime,
    Send(u8),
    Throw(u8),
    ThrowExit,
    Close,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => Just(Call::Prime),
        6 => any::<u8>().prop_map(Call::Send),
        3 => any::<u8>().prop_map(Call::Throw),
        1 => Just(Call::ThrowExit),
        2 => Just(Call::Close),
    ]
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Yielded(u8),
    Complete(u8),
    Closed(Option<u8>),
    Error(u8),
    Exit,
    JustStarted(u8),
    AlreadyStarted,
    Exhausted(Option<u8>),
    /// The call itself found that its exit was ignored.
    IgnoredExit,
    /// A delegator did, and raised it.
    RaisedIgnoredExit,
    Panic(u8),
}

// ---- the crate -----------------------------------------------------------------------------------------------------

#[derive(Debug)]
struct Oops(u8);

impl std::fmt::Display for Oops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "oops {}", self.0)
    }
}

impl std::error::Error for Oops {}

/// What a body logs: what it received, and, last, that it has been dropped.
type Log = Rc<RefCell<Vec<String>>>;

struct Dropped(Log, &'static str);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1.to_owned());
    }
}

fn build(program: &Program, log: &Log) -> Coroutine<u8, u8, u8> {
    if program.depth > 0 {
        let sub = Program {
            depth: program.depth - 1,
            ..program.clone()
        };
        let log = Rc::clone(log);
        return coroutine(move |co| {
            let _dropped = Dropped(Rc::clone(&log), "delegator");
            let mut sub = build(&sub, &log);
            co.yield_from(&mut sub)
        });
    }
    let (reactions, log) = (program.reactions.clone(), Rc::clone(log));
    coroutine(move |co| {
        let _dropped = Dropped(Rc::clone(&log), "body");
        react(co, &reactions, &log)
    })
}

fn react(co: &Co<u8, u8>, reactions: &[Reaction], log: &Log) -> Result<u8, Exception> {
    let mut thrown = None;
    for reaction in reactions {
        let value = match (reaction, thrown.take()) {
            (Reaction::Return(n), _) => return Ok(*n),
            (Reaction::Raise(n), _) => return Err(Oops(*n).into()),
            (Reaction::Panic(n), _) => resume_unwind(Box::new(*n)),
            (Reaction::Propagate, Some(exception)) => return Err(exception),
            (Reaction::Propagate, None) => 0,
            (Reaction::Yield(n), _) => *n,
        };
        match co.yield_(value) {
            Ok(sent) => log.borrow_mut().push(format!("sent {sent}")),
            Err(exception) => {
                log.borrow_mut().push(format!("thrown {exception}"));
                thrown = Some(exception);
            }
        }
    }
    Ok(255)
}

fn perform(co: &mut Coroutine<u8, u8, u8>, call: &Call) -> Outcome {
    let result = catch_unwind(AssertUnwindSafe(|| match call {
        Call::Prime => co.prime().into(),
        Call::Send(n) => co.send(*n).into(),
        Call::Throw(n) => co.throw(Oops(*n)).into(),
        Call::ThrowExit => co.throw(Exception::GeneratorExit).into(),
        Call::Close => co.close().map_or_else(Outcome::from, Outcome::Closed),
    }));
    result.unwrap_or_else(|payload| Outcome::Panic(*payload.downcast().expect("a body's panic")))
}

impl From<Result<Step<u8, u8>, Raised<u8>>> for Outcome {
    fn from(result: Result<Step<u8, u8>, Raised<u8>>) -> Self {
        match result {
            Ok(Step::Yielded(n)) => Self::Yielded(n),
            Ok(Step::Complete(n)) => Self::Complete(n),
            Err(raised) => raised.into(),
        }
    }
}

impl From<Raised<u8>> for Outcome {
    fn from(raised: Raised<u8>) -> Self {
        match raised {
            Raised::Exception(Exception::GeneratorExit) => Self::Exit,
            Raised::Exception(exception) => match exception.downcast::<Oops>() {
                Ok(Oops(n)) => Self::Error(n),
                Err(other) => {
                    assert_eq!(other.downcast_ref(), Some(&ProtocolError::IgnoredExit));
                    Self::RaisedIgnoredExit
                }
            },
            Raised::JustStarted(n) => Self::JustStarted(n),
            Raised::AlreadyStarted => Self::AlreadyStarted,
            Raised::Exhausted(n) => Self::Exhausted(n),
            Raised::IgnoredExit => Self::IgnoredExit,
            other => panic!("unexpected: {other}"),
        }
    }
}

thread_local! {
    static REPORTS: Cell<usize> = const { Cell::new(0) };
}

/// Counts what goes to the unraisable hook on this thread, from here on.
fn count_reports() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        set_unraisable_hook(|unraisable| {
            assert!(
                !matches!(unraisable.reason(), Reason::Leaked),
                "nothing here is to be leaked"
            );
            REPORTS.set(REPORTS.get() + 1);
        });
    });
    REPORTS.set(0);
}

// ---- the model -----------------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
struct Model {
    program: Program,
    state: State,
    /// How many reactions have been used up.
    position: usize,
    reports: usize,
}

/// What a body is resumed with.
#[derive(Clone, Copy)]
enum Wake {
    Value,
    Throw(u8),
    Exit,
}

impl Model {
    fn new(program: Program) -> Self {
        Self {
            program,
            state: State::Created,
            position: 0,
            reports: 0,
        }
    }

    /// The next thing that the innermost body does.
    fn body(&mut self, wake: Wake) -> Outcome {
        let reaction = self.program.reactions.get(self.position).copied();
        self.position += 1;
        match (reaction.unwrap_or(Reaction::Return(255)), wake) {
            (Reaction::Yield(n), _) => Outcome::Yielded(n),
            (Reaction::Return(n), _) => Outcome::Complete(n),
            (Reaction::Raise(n), _) | (Reaction::Propagate, Wake::Throw(n)) => Outcome::Error(n),
            (Reaction::Propagate, Wake::Value) => Outcome::Yielded(0),
            (Reaction::Propagate, Wake::Exit) => Outcome::Exit,
            (Reaction::Panic(n), _) => Outcome::Panic(n),
        }
    }

    /// Resumes the body through the delegators.
    fn resume(&mut self, wake: Wake) -> Outcome {
        let mut outcome = self.body(wake);
        if self.program.depth > 0 && matches!(wake, Wake::Exit) {
            outcome = match outcome {
                // What the body returns on being closed is lost, and the exit goes on.
                Outcome::Complete(_) | Outcome::Exit => Outcome::Exit,
                // It ignored the exit. Its owner leaves, and so drops it: it is told to finish once more.
                Outcome::Yielded(_) => {
                    self.drop_suspended();
                    Outcome::RaisedIgnoredExit
                }
                other => other,
            };
        }
        self.state = if matches!(outcome, Outcome::Yielded(_)) {
            State::Suspended
        } else {
            State::Closed
        };
        outcome
    }

    fn drop_suspended(&mut self) {
        match self.body(Wake::Exit) {
            Outcome::Complete(_) | Outcome::Exit => {}
            _ => self.reports += 1,
        }
    }

    fn perform(&mut self, call: &Call) -> Outcome {
        use State::{Closed, Created, Suspended};
        let closes = |model: &mut Self, outcome| {
            model.state = Closed;
            outcome
        };
        match (call, self.state) {
            (Call::Prime, Created) => self.resume(Wake::Value),
            (Call::Prime, Suspended) => Outcome::AlreadyStarted,
            (Call::Prime, _) => Outcome::Exhausted(None),
            (Call::Send(n), Created) => Outcome::JustStarted(*n),
            (Call::Send(_), Suspended) => self.resume(Wake::Value),
            (Call::Send(n), _) => Outcome::Exhausted(Some(*n)),
            (Call::Throw(n), Suspended) => self.resume(Wake::Throw(*n)),
            (Call::Throw(n), _) => closes(self, Outcome::Error(*n)),
            (Call::ThrowExit, Suspended) => self.resume(Wake::Exit),
            (Call::ThrowExit, _) => closes(self, Outcome::Exit),
            (Call::Close, Suspended) => match self.resume(Wake::Exit) {
                Outcome::Complete(n) => Outcome::Closed(Some(n)),
                Outcome::Exit => Outcome::Closed(None),
                Outcome::Yielded(_) => Outcome::IgnoredExit,
                other => other,
            },
            (Call::Close, _) => closes(self, Outcome::Closed(None)),
        }
    }

    /// How many reports there are in the end, if it is dropped now.
    fn reports_after_drop(mut self) -> usize {
        if self.state == State::Suspended {
            if self.program.depth == 0 {
                self.drop_suspended();
            } else {
                match self.resume(Wake::Exit) {
                    Outcome::Exit => {}
                    _ => self.reports += 1,
                }
            }
        }
        self.reports
    }
}

// ---- the state machine ---------------------------------------------------------------------------------------------

struct Protocol;

impl ReferenceStateMachine for Protocol {
    type State = Model;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Model> {
        program().prop_map(Model::new).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Call> {
        call().boxed()
    }

    fn apply(mut model: Model, call: &Call) -> Model {
        model.perform(call);
        model
    }
}

struct Running {
    co: Coroutine<u8, u8, u8>,
    log: Log,
    /// As it was before the transition that is being applied.
    model: Model,
}

impl StateMachineTest for Protocol {
    type SystemUnderTest = Running;
    type Reference = Protocol;

    fn init_test(model: &Model) -> Running {
        count_reports();
        let log = Log::default();
        Running {
            co: build(&model.program, &log),
            log,
            model: model.clone(),
        }
    }

    fn apply(mut running: Running, _: &Model, call: Call) -> Running {
        let expected = running.model.perform(&call);
        assert_eq!(perform(&mut running.co, &call), expected);
        running
    }

    fn check_invariants(running: &Running, _: &Model) {
        let Running { co, model, .. } = running;
        assert_eq!(co.state(), model.state);
        assert_eq!(
            co.is_delegating(),
            model.state == State::Suspended && model.program.depth > 0
        );
        assert_eq!(REPORTS.get(), model.reports);
    }

    fn teardown(running: Running, _: Model) {
        let Running { co, log, model } = running;
        let (started, depth) = (model.position > 0, model.program.depth);
        drop(co);
        assert_eq!(REPORTS.get(), model.reports_after_drop());
        let log = Rc::into_inner(log)
            .expect("nobody else holds the log any more")
            .into_inner();
        let dropped = |what| log.iter().filter(|entry| *entry == what).count();
        assert_eq!(dropped("body"), usize::from(started));
        assert_eq!(dropped("delegator"), if started { depth } else { 0 });
    }
}

prop_state_machine! {
    #![proptest_config(config(2000))]

    #[test]
    fn the_protocol_is_that_of_the_model(sequential 1..12 => Protocol);
}

// ---- laws ----------------------------------------------------------------------------------------------------------

/// Everything that can be seen of a run: outcomes, states and what the innermost body logged.
fn run(program: &Program, calls: &[Call]) -> (Vec<(Outcome, State)>, Vec<String>) {
    count_reports();
    let log = Log::default();
    let mut co = build(program, &log);
    let outcomes = calls
        .iter()
        .map(|call| (perform(&mut co, call), co.state()))
        .collect();
    let body_log = log
        .borrow()
        .iter()
        .filter(|entry| *entry != "delegator")
        .cloned()
        .collect();
    (outcomes, body_log)
}

proptest! {
    #![proptest_config(config(1000))]

    /// PEP 380: `return (yield from g)` is `g` to its holder, but for `GeneratorExit` (row G-099 of the catalogue).
    #[test]
    fn a_delegator_is_transparent(
        reactions in prop::collection::vec(reaction(), 0..8),
        depth in 1..40usize,
        calls in prop::collection::vec(
            call().prop_filter("an exit", |c| !matches!(c, Call::ThrowExit | Call::Close)), 0..12),
    ) {
        let direct = Program { reactions, depth: 0 };
        let delegated = Program { depth, ..direct.clone() };
        prop_assert_eq!(run(&direct, &calls), run(&delegated, &calls));
    }

    /// A body cannot tell a drop from a close, unless it ignores the exit.
    #[test]
    fn drop_logs_what_close_logs(program in program(), sends in 0..6usize) {
        count_reports();
        let end = |close: bool| {
            let log = Log::default();
            let mut co = build(&program, &log);
            let _ = perform(&mut co, &Call::Prime);
            for n in 0..sends {
                let _ = perform(&mut co, &Call::Send(n as u8));
            }
            let ignored = close && matches!(
                perform(&mut co, &Call::Close), Outcome::IgnoredExit | Outcome::RaisedIgnoredExit);
            drop(co);
            (log.take(), ignored)
        };
        let (closed, ignored) = end(true);
        let (dropped, _) = end(false);
        prop_assume!(!ignored);
        prop_assert_eq!(closed, dropped);
    }

    /// Values of any size and alignment arrive as they were sent.
    #[test]
    fn values_travel_unchanged(
        bytes in prop::collection::vec(any::<u8>(), 1..20),
        words in any::<[u64; 9]>(),
        text in ".*",
    ) {
        fn echo<T: Clone + PartialEq + std::fmt::Debug + 'static>(values: &[T]) -> Result<(), TestCaseError> {
            let mut co = coroutine(|co| -> Result<T, Exception> {
                let mut last = co.yield_(None)?;
                for _ in 0..2 {
                    last = co.yield_(Some(last))?;
                }
                Ok(last)
            });
            prop_assert_eq!(co.prime().map_err(|e| TestCaseError::fail(e.to_string()))?, Step::Yielded(None));
            for value in values.iter().cycle().take(2) {
                let step = co.send(value.clone()).map_err(|e| TestCaseError::fail(e.to_string()))?;
                prop_assert_eq!(step, Step::Yielded(Some(value.clone())));
            }
            let step = co.send(values[0].clone()).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(step, Step::Complete(values[0].clone()));
            Ok(())
        }
        #[derive(Clone, Debug, PartialEq)]
        #[repr(align(64))]
        struct Aligned(u8);
        echo(&bytes)?;
        echo(&[()])?;
        echo(&[words])?;
        echo(&[(bytes[0], words[0], bytes[0])])?;
        echo(&bytes.iter().copied().map(Aligned).collect::<Vec<_>>())?;
        echo(&[text.clone(), String::new()])?;
        echo(&[Some(Box::new(text)), None])?;
    }
}
