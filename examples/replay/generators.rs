//! Programs of generators that yield, raise, delegate to and drive each other.
//!
//! ```text
//! CASE   {"id": int, "gens": [BODY, ...], "insts": [g, ...], "script": [DRIVE, ...]}
//!   gens[j] is the body of generator function j; insts[i] says from which one instance i is made.
//! BODY   a list of statements; a body's local v starts null:
//!   ["log", s]  ["yield", k]: v = what is sent  ["return", k]  ["return_v"]  ["raise", K, a]
//!   ["raise_from", K, a]  ["reraise"]  ["break"]  ["loop", n, BODY]  ["for", j, BODY]: over a fresh generator j
//!   ["try", BODY, [[H, BODY], ...], ELSE|null, FINALLY|null]
//!   ["yf", j]: v = yield from a fresh generator j   ["yfi", i]: v = yield from instance i
//!   ["plain", [k..], r, C]: v = yield from an iterator that returns r; C: null, or it has a close() that is "ok" or
//!   "raise"s   ["drive", DRIVE]  ["state", i]
//! DRIVE  ["next", i] | ["send", i, k] | ["throw", i, K, a] | ["close", i] | ["del", i]
//! TRACE  {"id", "steps": [{"op", "out", "log", "st", "yf"}..], "end": [[log..], ..]}
//! ```
//!
//! This is an interpreter of such bodies on the stack of one coroutine each. It uses the crate as any program would: a
//! `yield` is `co.yield_(k)?`, a `yield from` is `co.yield_from(..)?`, and what Python raises is an error type.
//!
//! Two things of Python that the crate has no use for live here: the argument of a `GeneratorExit`, and the order in
//! which CPython drops the temporaries of a frame that is thrown away (outermost first).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Once;

use serde_json::{Value, json};
use yieldfrom::{
    Co, Coroutine, Exception, ProtocolError, Raised, Reason, SharedCoroutine, State, Step,
    Unraisable, coroutine, set_unraisable_hook,
};

use crate::json::{field, index, item, list, number, text};

// ---- the program ---------------------------------------------------------------------------------------------------

type Int = Option<i64>;
type Block = Rc<[Statement]>;

enum Statement {
    Log(String),
    Yield(Int),
    Return(Int),
    ReturnV,
    Raise(Kind, Int),
    RaiseFrom(Kind, Int),
    Reraise,
    Break,
    Loop(u64, Block),
    For(usize, Block),
    Try {
        body: Block,
        handlers: Vec<(String, Block)>,
        orelse: Option<Block>,
        finally: Option<Block>,
    },
    YieldFromFresh(usize),
    YieldFromInstance(usize),
    YieldFromPlain(Plain),
    Drive(Drive),
    State(usize),
}

enum Drive {
    Next(usize),
    Send(usize, Int),
    Throw(usize, Kind, Int),
    Close(usize),
    Del(usize),
}

fn parse_block(value: &Value) -> Result<Block, String> {
    list(value, "a body")?.iter().map(parse_statement).collect()
}

fn parse_optional(value: &Value) -> Result<Option<Block>, String> {
    if value.is_null() {
        Ok(None)
    } else {
        parse_block(value).map(Some)
    }
}

fn parse_statement(value: &Value) -> Result<Statement, String> {
    let parts = list(value, "a statement")?;
    let at = |i| item(parts, i);
    Ok(match text(at(0)?)? {
        "log" => Statement::Log(text(at(1)?)?.to_owned()),
        "yield" => Statement::Yield(number(at(1)?)?),
        "return" => Statement::Return(number(at(1)?)?),
        "return_v" => Statement::ReturnV,
        "raise" => Statement::Raise(Kind::parse(at(1)?)?, number(at(2)?)?),
        "raise_from" => Statement::RaiseFrom(Kind::parse(at(1)?)?, number(at(2)?)?),
        "reraise" => Statement::Reraise,
        "break" => Statement::Break,
        "loop" => Statement::Loop(index(at(1)?)? as u64, parse_block(at(2)?)?),
        "for" => Statement::For(index(at(1)?)?, parse_block(at(2)?)?),
        "try" => Statement::Try {
            body: parse_block(at(1)?)?,
            handlers: list(at(2)?, "handlers")?
                .iter()
                .map(|handler| {
                    let parts = list(handler, "a handler")?;
                    Ok((
                        text(item(parts, 0)?)?.to_owned(),
                        parse_block(item(parts, 1)?)?,
                    ))
                })
                .collect::<Result<_, String>>()?,
            orelse: parse_optional(at(3)?)?,
            finally: parse_optional(at(4)?)?,
        },
        "yf" => Statement::YieldFromFresh(index(at(1)?)?),
        "yfi" => Statement::YieldFromInstance(index(at(1)?)?),
        "plain" => Statement::YieldFromPlain(Plain {
            items: list(at(1)?, "items")?
                .iter()
                .map(number)
                .collect::<Result<_, _>>()?,
            returned: number(at(2)?)?,
            close: match at(3)?.as_str() {
                None => None,
                Some("ok") => Some(Ok(())),
                Some(_) => Some(Err(Raise::new(Kind::E2, Some(99)))),
            },
        }),
        "drive" => Statement::Drive(parse_drive(at(1)?)?),
        "state" => Statement::State(index(at(1)?)?),
        other => return Err(format!("unknown statement {other:?}")),
    })
}

fn parse_drive(value: &Value) -> Result<Drive, String> {
    let parts = list(value, "a drive")?;
    let at = |i| item(parts, i);
    let instance = index(at(1)?)?;
    Ok(match text(at(0)?)? {
        "next" => Drive::Next(instance),
        "send" => Drive::Send(instance, number(at(2)?)?),
        "throw" => Drive::Throw(instance, Kind::parse(at(2)?)?, number(at(3)?)?),
        "close" => Drive::Close(instance),
        "del" => Drive::Del(instance),
        other => return Err(format!("unknown drive {other:?}")),
    })
}

// ---- exceptions ----------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    E1,
    E2,
    Gone,
    BaseErr,
    StopIteration,
    GeneratorExit,
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
}

impl Kind {
    fn parse(value: &Value) -> Result<Self, String> {
        Ok(match text(value)? {
            "E1" => Self::E1,
            "E2" => Self::E2,
            "BaseErr" => Self::BaseErr,
            "StopIteration" => Self::StopIteration,
            "GeneratorExit" => Self::GeneratorExit,
            other => return Err(format!("unknown exception {other:?}")),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::E1 => "E1",
            Self::E2 => "E2",
            Self::Gone => "Gone",
            Self::BaseErr => "BaseErr",
            Self::StopIteration => "StopIteration",
            Self::GeneratorExit => "GeneratorExit",
            Self::RuntimeError => "RuntimeError",
            Self::TypeError => "TypeError",
            Self::ValueError => "ValueError",
            Self::AttributeError => "AttributeError",
        }
    }

    /// Whether `except handler` catches it.
    fn is_a(self, handler: &str) -> bool {
        let base = matches!(self, Self::BaseErr | Self::GeneratorExit);
        handler == self.name() || handler == "BaseException" || handler == "Exception" && !base
    }
}

#[derive(Clone, Debug)]
enum Argument {
    Int(Int),
    Text(&'static str),
}

/// An exception of the replayed program.
#[derive(Clone, Debug)]
struct Raise {
    kind: Kind,
    argument: Argument,
    cause: Option<Box<Raise>>,
}

impl Raise {
    fn new(kind: Kind, argument: Int) -> Self {
        Self {
            kind,
            argument: Argument::Int(argument),
            cause: None,
        }
    }

    fn with_text(kind: Kind, message: &'static str) -> Self {
        Self {
            kind,
            argument: Argument::Text(message),
            cause: None,
        }
    }

    fn caused_by(self, cause: Raise) -> Self {
        Self {
            cause: Some(Box::new(cause)),
            ..self
        }
    }

    fn to_json(&self) -> Value {
        match self.argument {
            Argument::Int(n) => json!([self.kind.name(), n]),
            Argument::Text(message) => json!([self.kind.name(), message]),
        }
    }
}

impl fmt::Display for Raise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.argument {
            Argument::Int(n) => write!(f, "{}:{}", self.kind.name(), show(n)),
            Argument::Text(message) => write!(f, "{}:{message}", self.kind.name()),
        }
    }
}

impl std::error::Error for Raise {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

fn show(value: Int) -> String {
    value.map_or_else(|| "None".to_owned(), |n| n.to_string())
}

impl From<ProtocolError> for Raise {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::JustStarted => Self::with_text(
                Kind::TypeError,
                "can't send non-None value to a just-started generator",
            ),
            ProtocolError::AlreadyExecuting => {
                Self::with_text(Kind::ValueError, "generator already executing")
            }
            ProtocolError::IgnoredExit => {
                Self::with_text(Kind::RuntimeError, "generator ignored GeneratorExit")
            }
            ProtocolError::SendToIterator => Self::with_text(Kind::AttributeError, "no send"),
            ProtocolError::Exhausted => Self::new(Kind::StopIteration, None),
            other => unreachable!("{other}"),
        }
    }
}

// ---- generators ----------------------------------------------------------------------------------------------------

/// The arguments of the `GeneratorExit`s on their way in and out of one generator.
#[derive(Default)]
struct Exits {
    thrown_in: Cell<Option<Int>>,
    raised_out: Cell<Option<Int>>,
    /// The operation in which the body was last told to finish by a close, which will swallow what it raises.
    closed_in: Cell<Option<u64>>,
}

impl Exits {
    /// Packs what a body raises.
    fn pack(&self, raise: Raise) -> Exception {
        match (raise.kind, &raise.argument) {
            (Kind::GeneratorExit, Argument::Int(argument)) => {
                self.raised_out.set(Some(*argument));
                Exception::GeneratorExit
            }
            _ => raise.into(),
        }
    }

    /// Unpacks what has come out of the body.
    fn unpack(&self, exception: Exception) -> Raise {
        match exception {
            Exception::GeneratorExit => {
                Raise::new(Kind::GeneratorExit, self.raised_out.take().flatten())
            }
            other => unpack_error(other),
        }
    }
}

fn unpack_error(exception: Exception) -> Raise {
    match exception.downcast::<Raise>() {
        Ok(raise) => raise,
        Err(other) => match other.downcast::<ProtocolError>() {
            Ok(error) => error.into(),
            Err(other) => unreachable!("{other}"),
        },
    }
}

/// A generator that nobody else can reach: the temporary of a `for` or a `yield from`.
struct Temporary {
    co: RefCell<Coroutine<Int, Int, Int>>,
    exits: Rc<Exits>,
}

/// A generator in the table of instances.
struct Instance {
    co: SharedCoroutine<Int, Int, Int>,
    exits: Rc<Exits>,
}

struct World {
    bodies: Vec<Block>,
    instances: RefCell<Vec<Option<Rc<Instance>>>>,
    log: RefCell<Vec<String>>,
    /// The numbers of the operations that are under way, innermost last.
    operations: RefCell<Vec<u64>>,
    begun: Cell<u64>,
}

impl World {
    fn log(&self, entry: String) {
        self.log.borrow_mut().push(entry);
    }

    fn take_log(&self) -> Vec<String> {
        self.log.take()
    }

    fn make(self: &Rc<Self>, function: usize) -> (Coroutine<Int, Int, Int>, Rc<Exits>) {
        let exits = Rc::new(Exits::default());
        let block = Rc::clone(&self.bodies[function]);
        let (world, own_exits) = (Rc::downgrade(self), Rc::clone(&exits));
        let co = coroutine(move |co| {
            let frame = Frame {
                co,
                world,
                exits: own_exits,
                v: Cell::new(None),
                handling: RefCell::default(),
                temporaries: RefCell::default(),
            };
            match frame.run(&block) {
                Ok(()) => Ok(None),
                Err(Leave::Return(value)) => Ok(value),
                Err(Leave::Break) => unreachable!("a break outside of a loop"),
                Err(Leave::Raise(raise)) => Err(frame.exits.pack(pep_479(raise))),
            }
        });
        (co, exits)
    }

    fn instance(&self, i: usize) -> Result<Rc<Instance>, Raise> {
        let gone = || Raise::new(Kind::Gone, Some(i as i64));
        self.instances.borrow()[i].clone().ok_or_else(gone)
    }

    fn state(&self, i: usize) -> &'static str {
        match self.instances.borrow()[i]
            .as_ref()
            .map(|instance| instance.co.state())
        {
            None => "-",
            Some(State::Created) => "C",
            Some(State::Running) => "R",
            Some(State::Suspended) => "S",
            Some(State::Closed) => "X",
        }
    }

    fn delegates(&self, i: usize) -> &'static str {
        let instances = self.instances.borrow();
        if instances[i]
            .as_ref()
            .is_some_and(|instance| instance.co.is_delegating())
        {
            "1"
        } else {
            "0"
        }
    }

    /// Does what a driver asks for. A return is a `StopIteration`, as in Python.
    fn drive(&self, drive: &Drive) -> Result<Int, Raise> {
        self.begun.set(self.begun.get() + 1);
        self.operations.borrow_mut().push(self.begun.get());
        let result = self.operate(drive);
        self.operations.borrow_mut().pop();
        result
    }

    fn operate(&self, drive: &Drive) -> Result<Int, Raise> {
        match *drive {
            Drive::Next(i) => {
                let instance = self.instance(i)?;
                instance.next_value(None)
            }
            Drive::Send(i, value) => {
                let instance = self.instance(i)?;
                instance.next_value(value)
            }
            Drive::Throw(i, kind, argument) => {
                let instance = self.instance(i)?;
                let raise = Raise::new(kind, argument);
                let exits = &instance.exits;
                if kind == Kind::GeneratorExit {
                    if instance.co.state() == State::Suspended {
                        exits.thrown_in.set(Some(argument));
                    } else {
                        exits.raised_out.set(Some(argument));
                    }
                }
                let thrown = if kind == Kind::GeneratorExit {
                    Exception::GeneratorExit
                } else {
                    raise.into()
                };
                settle(instance.co.throw(thrown), exits)
            }
            Drive::Close(i) => {
                let instance = self.instance(i)?;
                match instance.co.close() {
                    Ok(value) => Ok(value.flatten()),
                    Err(raised) => Err(instance.exits.unpack(raised.into())),
                }
            }
            Drive::Del(i) => {
                let instance = self.instances.borrow_mut()[i].take();
                drop(instance); // after the borrow: this may run the body
                Ok(None)
            }
        }
    }
}

impl Instance {
    /// `next(g)` or `g.send(value)`: in Python they differ by nothing but the value.
    fn next_value(&self, value: Int) -> Result<Int, Raise> {
        let step = match (self.co.state(), value) {
            (State::Created, None) => self.co.prime(),
            _ => self.co.send(value),
        };
        settle(step, &self.exits)
    }
}

fn settle(step: Result<Step<Int, Int>, Raised<Int>>, exits: &Exits) -> Result<Int, Raise> {
    match step {
        Ok(Step::Yielded(value)) => Ok(value),
        Ok(Step::Complete(value)) => Err(Raise::new(Kind::StopIteration, value)),
        Err(raised) => Err(exits.unpack(raised.into())),
    }
}

/// A `StopIteration` that leaves a body is a `RuntimeError`.
fn pep_479(raise: Raise) -> Raise {
    if raise.kind != Kind::StopIteration {
        return raise;
    }
    Raise::with_text(Kind::RuntimeError, "generator raised StopIteration").caused_by(raise)
}

// ---- bodies --------------------------------------------------------------------------------------------------------

/// Why a block is left before its end.
enum Leave {
    Break,
    Return(Int),
    Raise(Raise),
}

impl From<Raise> for Leave {
    fn from(raise: Raise) -> Self {
        Self::Raise(raise)
    }
}

/// An iterator that is no generator.
#[derive(Clone)]
struct Plain {
    items: Vec<Int>,
    returned: Int,
    /// What its `close()` does, if it has one.
    close: Option<Result<(), Raise>>,
}

/// One running body.
struct Frame<'a> {
    co: &'a Co<Int, Int>,
    world: Weak<World>,
    exits: Rc<Exits>,
    v: Cell<Int>,
    handling: RefCell<Vec<Raise>>,
    /// A vector drops its first item first.
    temporaries: RefCell<Vec<Rc<Temporary>>>,
}

impl Frame<'_> {
    fn world(&self) -> Rc<World> {
        self.world
            .upgrade()
            .expect("the world outlives its generators")
    }

    fn run(&self, block: &Block) -> Result<(), Leave> {
        block.iter().try_for_each(|statement| self.step(statement))
    }

    fn step(&self, statement: &Statement) -> Result<(), Leave> {
        let world = self.world();
        match statement {
            Statement::Log(entry) => world.log(entry.clone()),
            Statement::Yield(value) => {
                self.v
                    .set(self.co.yield_(*value).map_err(|e| self.thrown(e))?);
                world.log(format!("recv:{}", show(self.v.get())));
            }
            Statement::Return(value) => return Err(Leave::Return(*value)),
            Statement::ReturnV => return Err(Leave::Return(self.v.get())),
            Statement::Raise(kind, argument) => return Err(Raise::new(*kind, *argument).into()),
            Statement::RaiseFrom(kind, argument) => {
                return Err(Raise::new(*kind, *argument)
                    .caused_by(self.handled())
                    .into());
            }
            Statement::Reraise => return Err(self.handled().into()),
            Statement::Break => return Err(Leave::Break),
            Statement::Loop(times, body) => {
                for _ in 0..*times {
                    match self.run(body) {
                        Err(Leave::Break) => break,
                        other => other?,
                    }
                }
            }
            Statement::For(function, body) => self.temporary(*function, |sub| {
                while let Some(value) = self.next_of(sub)? {
                    world.log(format!("it:{}", show(value)));
                    match self.run(body) {
                        Err(Leave::Break) => break,
                        other => other?,
                    }
                }
                Ok(())
            })?,
            Statement::Try {
                body,
                handlers,
                orelse,
                finally,
            } => {
                let pending = self.guarded(body, handlers, orelse.as_ref());
                if let Some(finally) = finally {
                    self.run(finally)?; // what leaves it replaces what is pending
                }
                pending?;
            }
            Statement::YieldFromFresh(function) => {
                let value = self.temporary(*function, |sub| {
                    let result = self.co.yield_from(&mut *sub.co.borrow_mut());
                    Ok(result.map_err(|e| self.delegated(e, &sub.exits))?)
                })?;
                self.returned(value);
            }
            Statement::YieldFromInstance(i) => {
                let value = self.yield_from_instance(&*world.instance(*i)?)?;
                self.returned(value);
            }
            Statement::YieldFromPlain(plain) => {
                let value = self.yield_from_plain(plain)?;
                self.returned(value);
            }
            Statement::Drive(drive) => {
                let value = world.drive(drive)?;
                world.log(format!("drv:{}", show(value)));
            }
            Statement::State(i) => world.log(format!("st:{}", world.state(*i))),
        }
        Ok(())
    }

    fn guarded(
        &self,
        body: &Block,
        handlers: &[(String, Block)],
        orelse: Option<&Block>,
    ) -> Result<(), Leave> {
        let raise = match self.run(body) {
            Ok(()) => return orelse.map_or(Ok(()), |orelse| self.run(orelse)),
            Err(Leave::Raise(raise)) => raise,
            Err(leave) => return Err(leave),
        };
        let Some((_, handler)) = handlers.iter().find(|(kind, _)| raise.kind.is_a(kind)) else {
            return Err(raise.into());
        };
        self.world().log(format!("caught:{raise}"));
        self.handling.borrow_mut().push(raise);
        let result = self.run(handler);
        self.handling.borrow_mut().pop();
        result
    }

    fn handled(&self) -> Raise {
        self.handling
            .borrow()
            .last()
            .cloned()
            .expect("only inside a handler")
    }

    fn returned(&self, value: Int) {
        self.v.set(value);
        self.world().log(format!("ret:{}", show(value)));
    }

    /// What a `yield` has raised.
    fn thrown(&self, exception: Exception) -> Raise {
        let argument = self.exits.thrown_in.take();
        match exception {
            Exception::GeneratorExit => self.own_exit(argument),
            other => unpack_error(other),
        }
    }

    /// What a `yield from` has raised. A `GeneratorExit` is either the one that woke this body, and then the other was
    /// closed, or the other's own.
    fn delegated(&self, exception: Exception, other: &Exits) -> Raise {
        let argument = self.exits.thrown_in.take();
        match exception {
            Exception::GeneratorExit => match other.raised_out.take() {
                Some(own) if argument.is_none() && other.closed_in.get() != self.operation() => {
                    Raise::new(Kind::GeneratorExit, own)
                }
                _ => self.own_exit(argument),
            },
            error => unpack_error(error),
        }
    }

    fn own_exit(&self, argument: Option<Int>) -> Raise {
        if argument.is_none() {
            self.exits.closed_in.set(self.operation());
        }
        Raise::new(Kind::GeneratorExit, argument.flatten())
    }

    fn operation(&self) -> Option<u64> {
        self.world().operations.borrow().last().copied()
    }

    /// Runs `work` with a fresh generator that lives until it is left, or until this frame is thrown away.
    fn temporary<R>(
        &self,
        function: usize,
        work: impl FnOnce(&Temporary) -> Result<R, Leave>,
    ) -> Result<R, Leave> {
        let (co, exits) = self.world().make(function);
        let sub = Rc::new(Temporary {
            co: RefCell::new(co),
            exits,
        });
        self.temporaries.borrow_mut().push(Rc::clone(&sub));
        let result = work(&sub);
        drop(sub);
        let sub = self.temporaries.borrow_mut().pop();
        drop(sub);
        result
    }

    /// The next item of a `for`.
    fn next_of(&self, sub: &Temporary) -> Result<Option<Int>, Leave> {
        let mut co = sub.co.borrow_mut();
        let step = match co.state() {
            State::Created => co.prime(),
            State::Closed => return Ok(None),
            _ => co.send(None),
        };
        drop(co);
        match settle(step, &sub.exits) {
            Ok(value) => Ok(Some(value)),
            Err(raise) if raise.kind == Kind::StopIteration => Ok(None),
            Err(raise) => Err(raise.into()),
        }
    }

    fn yield_from_instance(&self, sub: &Instance) -> Result<Int, Raise> {
        let result = match sub.co.state() {
            State::Created => self.co.yield_from(&sub.co),
            _ => self.co.yield_from_with(&sub.co, None),
        };
        match result {
            Ok(value) => Ok(value),
            // To Python, a generator that somebody else has finished returns None.
            Err(e) if matches!(e.downcast_ref(), Some(ProtocolError::Exhausted)) => Ok(None),
            Err(exception) => Err(self.delegated(exception, &sub.exits)),
        }
    }

    fn yield_from_plain(&self, plain: &Plain) -> Result<Int, Raise> {
        match self.co.yield_each(plain.items.iter().copied()) {
            Ok(()) => Ok(plain.returned),
            Err(exception) => {
                let raise = self.thrown(exception);
                if raise.kind == Kind::GeneratorExit {
                    if let Some(result) = &plain.close {
                        self.world().log("pclose".to_owned());
                        result.clone()?;
                    }
                }
                Err(raise)
            }
        }
    }
}

// ---- a case --------------------------------------------------------------------------------------------------------

thread_local! {
    /// Where the unraisable hook logs to.
    static CURRENT: RefCell<Weak<World>> = const { RefCell::new(Weak::new()) };
}

fn log_unraisable(unraisable: &Unraisable<'_>) {
    let entry = match unraisable.reason() {
        Reason::Exception(exception) => format!("unraisable:{exception}"),
        Reason::IgnoredExit => format!("unraisable:{}", Raise::from(ProtocolError::IgnoredExit)),
        _ => format!("unraisable:{unraisable}"),
    };
    if let Some(world) = CURRENT.with_borrow(Weak::upgrade) {
        world.log(entry);
    }
}

/// Runs one case and returns its trace.
pub fn run(case: &Value) -> Result<String, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| set_unraisable_hook(log_unraisable));

    let id = field(case, "id")?;
    let bodies = list(field(case, "gens")?, "gens")?;
    let functions = list(field(case, "insts")?, "insts")?;
    let world = Rc::new(World {
        bodies: bodies.iter().map(parse_block).collect::<Result<_, _>>()?,
        instances: RefCell::default(),
        log: RefCell::default(),
        operations: RefCell::default(),
        begun: Cell::new(0),
    });
    CURRENT.set(Rc::downgrade(&world));
    for function in functions {
        let (co, exits) = world.make(index(function)?);
        world.instances.borrow_mut().push(Some(Rc::new(Instance {
            co: co.shared(),
            exits,
        })));
    }

    let all = 0..functions.len();
    let mut steps = Vec::new();
    for op in list(field(case, "script")?, "script")? {
        let drive = parse_drive(op)?;
        let out = outcome(&drive, world.drive(&drive));
        let log = Value::from(world.take_log());
        let states: String = all.clone().map(|i| world.state(i)).collect();
        let delegating: String = all.clone().map(|i| world.delegates(i)).collect();
        steps.push(format!(
            r#"{{"op":{op},"out":{out},"log":{log},"st":"{states}","yf":"{delegating}"}}"#
        ));
    }
    let end = all.map(|i| {
        let _ = world.drive(&Drive::Del(i));
        Value::from(world.take_log()).to_string()
    });
    let end = end.collect::<Vec<_>>().join(",");
    Ok(format!(
        r#"{{"id":{id},"steps":[{}],"end":[{end}]}}"#,
        steps.join(",")
    ))
}

/// What a step of the script came to.
fn outcome(drive: &Drive, result: Result<Int, Raise>) -> String {
    let value = |name: &str, value: Int| format!("{{\"{name}\":{}}}", json!(value));
    match (result, drive) {
        (Ok(v), Drive::Close(_)) => value("close", v),
        (Ok(v), Drive::Del(_)) => value("del", v),
        (Ok(v), _) => value("yield", v),
        (
            Err(Raise {
                kind: Kind::StopIteration,
                argument: Argument::Int(v),
                ..
            }),
            _,
        ) => value("return", v),
        (Err(raise), _) => match &raise.cause {
            None => format!("{{\"raise\":{}}}", raise.to_json()),
            Some(cause) => {
                format!(
                    "{{\"raise\":{},\"cause\":{}}}",
                    raise.to_json(),
                    cause.to_json()
                )
            }
        },
    }
}
