//! What programs create and drive, whatever its types are. Each call is checked against the tables in the documentation.

use std::any::Any;
use std::cell::Cell;
use std::mem;
use std::rc::Rc;

use yieldfrom::pipe::{Closed, Receiver, Sink, Target};
use yieldfrom::{
    Builder, Co, Coroutine, DEFAULT_STACK_SIZE, Exception, Generator, MIN_STACK_SIZE, Raised,
    SharedCoroutine, State, Step, WeakCoroutine, Yielder,
};

use crate::body::{Flow, Start};
use crate::decode::{Kind, Recipe, Size, Verb};
use crate::ledger::{Oops, check_thrown, ledger};
use crate::port::{CoPort, SinkPort, YielderPort};
use crate::value::{Item, Owned, Value, arrive, arrive_as, launch};

/// What all handles to one generator, coroutine or sink know about it.
pub struct Label {
    /// What it returns carries this number.
    pub serial: u64,
    name: Option<String>,
    pub stack_size: usize,
    /// How many bodies, captured one by another, are dropped with it if none of them has started. That takes stack.
    pub nesting: usize,
    /// How its body was suspended last, or is about to be.
    pub delegating: Cell<bool>,
    /// What a sink was lent last.
    pub lent: Cell<u64>,
    closed: Cell<bool>,
}

impl Label {
    pub fn new(recipe: &Recipe, nesting: usize) -> Self {
        let serial = ledger(|ledger| ledger.next_serial());
        Self {
            serial,
            name: recipe.named.then(|| format!("body {serial}")),
            stack_size: match recipe.stack {
                Size::Smallest => MIN_STACK_SIZE,
                Size::Kib32 => 32 * 1024,
                Size::Kib64 => 64 * 1024,
                Size::Default => DEFAULT_STACK_SIZE,
                Size::Mib1 => 1024 * 1024,
            },
            nesting,
            delegating: Cell::new(false),
            lent: Cell::new(0),
            closed: Cell::new(false),
        }
    }

    /// For what needs no recipe.
    pub fn plain() -> Self {
        Self {
            serial: ledger(|ledger| ledger.next_serial()),
            name: None,
            stack_size: DEFAULT_STACK_SIZE,
            nesting: 0,
            delegating: Cell::new(false),
            lent: Cell::new(0),
            closed: Cell::new(false),
        }
    }

    fn builder(&self) -> Builder {
        let builder = Builder::new().stack_size(self.stack_size);
        match &self.name {
            Some(name) => builder.name(name.clone()),
            None => builder,
        }
    }

    /// One that is closed stays so.
    pub fn see(&self, state: State) {
        assert!(!self.closed.get() || state == State::Closed);
        self.closed.set(state == State::Closed);
    }

    fn look(&self, name: Option<&str>, debug: &str, state: State) {
        assert_eq!(name, self.name.as_deref());
        assert!(debug.contains(&format!("{state:?}")), "{debug}");
    }
}

pub trait Object: Any {
    fn label(&self) -> &Rc<Label>;

    fn state(&self) -> State;

    /// Does what `verb` says, or what comes nearest. An error is what the body has raised. Unwinds if the body panics.
    fn drive(&mut self, verb: Verb) -> Result<(), Exception>;

    /// As [`Verb::Finish`].
    fn finish(self: Box<Self>) -> Option<Box<dyn Object>>;

    /// Exchanges the two, if they are of one type.
    fn swap(&mut self, other: &mut dyn Object);

    /// Which shape it has, if one can delegate to it.
    fn shape(&self) -> Option<u8> {
        None
    }

    /// Makes it one that can have several owners, if that is possible.
    fn share(self: Box<Self>) -> Box<dyn Object>;

    /// A further owner.
    fn another(&self) -> Option<Box<dyn Object>> {
        None
    }

    /// A reference that does not keep it alive.
    fn weak(&self) -> Option<Box<dyn Object>> {
        None
    }

    /// Its items, if it is an iterator. They have been checked.
    fn items(&mut self) -> Option<Box<dyn Iterator<Item = ()> + '_>> {
        None
    }
}

/// Makes what the recipe says.
pub fn make(recipe: &Recipe, shape: u8, label: Label, start: Start) -> Box<dyn Object> {
    let label = Rc::new(label);
    match recipe.kind {
        Kind::Coroutine => of_shape(shape, recipe, label, start),
        Kind::OfShape(shape) => of_shape(shape, recipe, label, start),
        Kind::Generator(n) => match n % 5 {
            0 => Gen::<()>::make(recipe, label, start),
            1 => Gen::<u8>::make(recipe, label, start),
            2 => Gen::<u64>::make(recipe, label, start),
            3 => Gen::<[u64; 5]>::make(recipe, label, start),
            _ => Gen::<Owned>::make(recipe, label, start),
        },
        Kind::Sink(n) => match n % 3 {
            0 => Stage::<str>::make(label, start),
            1 => Stage::<[u64]>::make(label, start),
            _ => Stage::<Owned>::make(label, start),
        },
    }
}

fn of_shape(shape: u8, recipe: &Recipe, label: Rc<Label>, start: Start) -> Box<dyn Object> {
    match shape % 7 {
        Numbers::NUMBER => Own::<Numbers>::make(recipe, label, start),
        Owners::NUMBER => Own::<Owners>::make(recipe, label, start),
        Nothings::NUMBER => Own::<Nothings>::make(recipe, label, start),
        LargeForOwned::NUMBER => Own::<LargeForOwned>::make(recipe, label, start),
        OwnedForNothing::NUMBER => Own::<OwnedForNothing>::make(recipe, label, start),
        SmallForLarge::NUMBER => Own::<SmallForLarge>::make(recipe, label, start),
        _ => Own::<SmallForOption>::make(recipe, label, start),
    }
}

// ---- coroutines ----------------------------------------------------------------------------------------------------

/// The types of a coroutine.
pub trait Shape: 'static {
    const NUMBER: u8;
    /// Whether it can [`each`](Self::each).
    const EACH: bool = false;
    type Y: Value;
    type S: Value;
    type R: Value;

    /// Yields as many values by [`Co::yield_each`], if that is possible.
    fn each(_: &Co<Self::Y, Self::S>, _: u8) -> Option<Result<(), Exception>> {
        None
    }

    fn items(_: &mut Made<Self>) -> Option<Box<dyn Iterator<Item = ()> + '_>> {
        None
    }
}

type Made<K> = Coroutine<<K as Shape>::Y, <K as Shape>::S, <K as Shape>::R>;
type Shared<K> = SharedCoroutine<<K as Shape>::Y, <K as Shape>::S, <K as Shape>::R>;
type Weak<K> = WeakCoroutine<<K as Shape>::Y, <K as Shape>::S, <K as Shape>::R>;
type Resumed<K> = Result<Step<<K as Shape>::Y, <K as Shape>::R>, Raised<<K as Shape>::S>>;

macro_rules! shape {
    ($number:literal $shape:ident: $y:ty, $s:ty, $r:ty $(, $can:ident)*) => {
        pub struct $shape;

        impl Shape for $shape {
            const NUMBER: u8 = $number;
            type Y = $y;
            type S = $s;
            type R = $r;
            $(shape!($can);)*
        }
    };
    (each) => {
        const EACH: bool = true;

        fn each(co: &Co<Self::Y, Self::S>, count: u8) -> Option<Result<(), Exception>> {
            Some(co.yield_each((0..count).map(|_| launch())))
        }
    };
    (items) => {
        fn items(co: &mut Made<Self>) -> Option<Box<dyn Iterator<Item = ()> + '_>> {
            let check = |item: Result<Self::Y, Exception>| item.map_or((), arrive);
            Some(Box::new(co.by_ref().map(check)))
        }
    };
}

shape!(0 Numbers: u64, u64, u64);
shape!(1 Owners: Owned, Owned, Owned);
shape!(2 Nothings: (), (), (), each, items);
shape!(3 LargeForOwned: [u64; 5], Owned, u8);
shape!(4 OwnedForNothing: Owned, (), [u64; 5], each, items);
shape!(5 SmallForLarge: u8, [u64; 5], Owned);
shape!(6 SmallForOption: u8, Option<Owned>, (), each);

/// What a coroutine and a shared one have in common.
trait Calls<K: Shape> {
    fn prime(&mut self) -> Resumed<K>;
    fn send(&mut self, value: K::S) -> Resumed<K>;
    fn throw(&mut self, exception: Exception) -> Resumed<K>;
    fn close(&mut self) -> Result<Option<K::R>, Raised<K::S>>;
    fn state(&self) -> State;
    fn look(&self, label: &Label);
}

macro_rules! calls {
    ($handle:ident) => {
        impl<K: Shape> Calls<K> for $handle<K> {
            fn prime(&mut self) -> Resumed<K> {
                $handle::<K>::prime(self)
            }

            fn send(&mut self, value: K::S) -> Resumed<K> {
                $handle::<K>::send(self, value)
            }

            fn throw(&mut self, exception: Exception) -> Resumed<K> {
                $handle::<K>::throw(self, exception)
            }

            fn close(&mut self) -> Result<Option<K::R>, Raised<K::S>> {
                $handle::<K>::close(self)
            }

            fn state(&self) -> State {
                $handle::<K>::state(self)
            }

            fn look(&self, label: &Label) {
                let state = $handle::<K>::state(self);
                label.look(self.name(), &format!("{self:?}"), state);
                let delegating = state == State::Suspended && label.delegating.get();
                assert_eq!(self.is_delegating(), delegating);
            }
        }
    };
}

calls!(Made);
calls!(Shared);

/// The table of `Coroutine`'s documentation.
fn protocol<K: Shape>(co: &mut impl Calls<K>, label: &Label, verb: Verb) -> Result<(), Exception> {
    use State::{Closed, Created, Running, Suspended};
    use Verb::{Exit, Prime, Send, Throw};
    let before = co.state();
    label.see(before);
    let result = match verb {
        Prime => co.prime(),
        Send => co.send(launch()),
        Throw => co.throw(Oops::new(ledger(|ledger| ledger.launch())).into()),
        Exit => co.throw(Exception::GeneratorExit),
        Verb::Close => return close(co, label, before),
        Verb::Take | Verb::Look | Verb::Reserve | Verb::Finish => {
            co.look(label);
            return Ok(());
        }
    };
    let after = co.state();
    let mut raised = Ok(());
    let expected = match (verb, before, result) {
        (Prime, Created, Ok(step)) | (Send | Throw | Exit, Suspended, Ok(step)) => match step {
            Step::Yielded(value) => {
                arrive(value);
                Suspended
            }
            Step::Complete(value) => {
                arrive_as(value, label.serial);
                Closed
            }
        },
        (Prime, Created, Err(Raised::Exception(exception)))
        | (Send | Throw | Exit, Suspended, Err(Raised::Exception(exception)))
        | (Throw | Exit, Created, Err(Raised::Exception(exception))) => {
            raised = Err(exception);
            Closed
        }
        (Throw | Exit, Closed, Err(Raised::Exception(exception))) => {
            check_thrown(&exception);
            raised = Err(exception);
            Closed
        }
        (Prime, Suspended, Err(Raised::AlreadyStarted)) => Suspended,
        (Prime, Closed, Err(Raised::Exhausted(None))) => Closed,
        (Prime | Throw | Exit, Running, Err(Raised::AlreadyExecuting(None))) => Running,
        (Send, Created, Err(Raised::JustStarted(value))) => {
            arrive(value);
            Created
        }
        (Send, Closed, Err(Raised::Exhausted(Some(value)))) => {
            arrive(value);
            Closed
        }
        (Send, Running, Err(Raised::AlreadyExecuting(Some(value)))) => {
            arrive(value);
            Running
        }
        (_, _, result) => panic!(
            "{verb:?} of one that is {before:?}: {:?}",
            result.map(drop).map_err(|raised| raised.to_string())
        ),
    };
    assert_eq!(after, expected, "{verb:?} of one that was {before:?}");
    label.see(after);
    raised
}

fn close<K: Shape>(co: &mut impl Calls<K>, label: &Label, before: State) -> Result<(), Exception> {
    use State::{Closed, Created, Running, Suspended};
    let result = co.close();
    let after = co.state();
    let mut raised = Ok(());
    let expected = match (before, result) {
        (Suspended, Ok(Some(value))) => {
            arrive_as(value, label.serial);
            Closed
        }
        (Created | Suspended | Closed, Ok(None)) => Closed,
        (Suspended, Err(Raised::IgnoredExit)) => Suspended,
        (Suspended, Err(Raised::Exception(exception))) if !exception.is_exit() => {
            raised = Err(exception);
            Closed
        }
        (Running, Err(Raised::AlreadyExecuting(None))) => Running,
        (_, result) => panic!(
            "close of one that is {before:?}: {:?}",
            result.map(drop).map_err(|raised| raised.to_string())
        ),
    };
    assert_eq!(after, expected, "close of one that was {before:?}");
    label.see(after);
    raised
}

/// A coroutine with one owner.
pub struct Own<K: Shape> {
    pub co: Made<K>,
    pub label: Rc<Label>,
}

impl<K: Shape> Own<K> {
    fn make(recipe: &Recipe, label: Rc<Label>, start: Start) -> Box<dyn Object> {
        let builder = label.builder();
        let inside = label.clone();
        let body = move |co: &Co<K::Y, K::S>| match start.run(&CoPort::<K>(co), &inside) {
            Flow::Raise(exception) => {
                if !exception.is_exit() {
                    ledger(|ledger| ledger.errors.provoke());
                }
                Err(exception)
            }
            Flow::Next | Flow::Return => Ok(K::R::of(inside.serial)),
        };
        let co = if recipe.large {
            let ballast = Ballast::new(&label);
            builder.coroutine(move |co| {
                let result = body(co);
                ballast.check();
                result
            })
        } else {
            builder.coroutine(body)
        };
        Box::new(Self { co, label })
    }
}

impl<K: Shape> Object for Own<K> {
    fn label(&self) -> &Rc<Label> {
        &self.label
    }

    fn state(&self) -> State {
        self.co.state()
    }

    fn drive(&mut self, verb: Verb) -> Result<(), Exception> {
        assert_ne!(self.co.state(), State::Running);
        if let Verb::Reserve = verb {
            self.co.try_reserve().expect("there is memory");
        }
        protocol::<K>(&mut self.co, &self.label, verb)
    }

    fn finish(self: Box<Self>) -> Option<Box<dyn Object>> {
        let (state, label) = (self.co.state(), self.label);
        match self.co.primed() {
            Ok(co) => {
                assert_eq!((state, co.state()), (State::Created, State::Suspended));
                Some(Box::new(Self { co, label }))
            }
            Err(Raised::AlreadyStarted) => {
                assert_eq!(state, State::Suspended);
                None
            }
            Err(Raised::Exhausted(None)) => {
                assert_eq!(state, State::Closed);
                None
            }
            Err(Raised::Exception(_) | Raised::DidNotYield) => {
                assert_eq!(state, State::Created);
                None
            }
            Err(raised) => panic!("primed: {raised}"),
        }
    }

    fn swap(&mut self, other: &mut dyn Object) {
        swap(self, other);
    }

    fn shape(&self) -> Option<u8> {
        Some(K::NUMBER)
    }

    fn share(self: Box<Self>) -> Box<dyn Object> {
        Box::new(Several::<K> {
            co: self.co.shared(),
            label: self.label,
        })
    }

    fn items(&mut self) -> Option<Box<dyn Iterator<Item = ()> + '_>> {
        K::items(&mut self.co)
    }
}

/// One of the owners of a shared coroutine.
pub struct Several<K: Shape> {
    pub co: Shared<K>,
    pub label: Rc<Label>,
}

impl<K: Shape> Object for Several<K> {
    fn label(&self) -> &Rc<Label> {
        &self.label
    }

    fn state(&self) -> State {
        self.co.state()
    }

    fn drive(&mut self, verb: Verb) -> Result<(), Exception> {
        protocol::<K>(&mut self.co, &self.label, verb)
    }

    fn finish(self: Box<Self>) -> Option<Box<dyn Object>> {
        Some(self)
    }

    fn swap(&mut self, other: &mut dyn Object) {
        swap(self, other);
    }

    fn shape(&self) -> Option<u8> {
        Some(K::NUMBER)
    }

    fn share(self: Box<Self>) -> Box<dyn Object> {
        self
    }

    fn another(&self) -> Option<Box<dyn Object>> {
        Some(Box::new(Self {
            co: self.co.clone(),
            label: self.label.clone(),
        }))
    }

    fn weak(&self) -> Option<Box<dyn Object>> {
        Some(Box::new(Faint::<K> {
            co: self.co.downgrade(),
            label: self.label.clone(),
        }))
    }
}

/// A weak reference to a shared coroutine.
struct Faint<K: Shape> {
    co: Weak<K>,
    label: Rc<Label>,
}

impl<K: Shape> Object for Faint<K> {
    fn label(&self) -> &Rc<Label> {
        &self.label
    }

    fn state(&self) -> State {
        self.co.upgrade().map_or(State::Closed, |co| co.state())
    }

    fn drive(&mut self, verb: Verb) -> Result<(), Exception> {
        match self.co.upgrade() {
            Some(mut co) => protocol::<K>(&mut co, &self.label, verb),
            None => Ok(()),
        }
    }

    fn finish(self: Box<Self>) -> Option<Box<dyn Object>> {
        Some(self)
    }

    fn swap(&mut self, other: &mut dyn Object) {
        swap(self, other);
    }

    fn share(self: Box<Self>) -> Box<dyn Object> {
        match self.co.upgrade() {
            Some(co) => Box::new(Several::<K> {
                co,
                label: self.label,
            }),
            None => self,
        }
    }

    fn another(&self) -> Option<Box<dyn Object>> {
        Some(Box::new(Self {
            co: self.co.clone(),
            label: self.label.clone(),
        }))
    }
}

// ---- generators ----------------------------------------------------------------------------------------------------

struct Gen<V: Value> {
    generator: Generator<V, V>,
    label: Rc<Label>,
}

impl<V: Value> Gen<V> {
    fn make(recipe: &Recipe, label: Rc<Label>, start: Start) -> Box<dyn Object> {
        let builder = label.builder();
        let inside = label.clone();
        let body = move |y: &Yielder<V>| {
            start.run(&YielderPort(y), &inside);
            V::of(inside.serial)
        };
        let generator = if recipe.large {
            let ballast = Ballast::new(&label);
            builder.generator(move |y| {
                let value = body(y);
                ballast.check();
                value
            })
        } else {
            builder.generator(body)
        };
        Box::new(Self { generator, label })
    }
}

impl<V: Value> Object for Gen<V> {
    fn label(&self) -> &Rc<Label> {
        &self.label
    }

    fn state(&self) -> State {
        self.generator.state()
    }

    fn drive(&mut self, verb: Verb) -> Result<(), Exception> {
        let before = self.generator.state();
        self.label.see(before);
        match verb {
            Verb::Prime | Verb::Send => match self.generator.next() {
                Some(value) => {
                    arrive(value);
                    assert_ne!(before, State::Closed);
                    assert_eq!(self.generator.state(), State::Suspended);
                }
                None => assert_eq!(self.generator.state(), State::Closed),
            },
            Verb::Throw | Verb::Exit | Verb::Close => {
                self.generator.close();
                assert_eq!(self.generator.state(), State::Closed);
            }
            Verb::Take => {
                let value = self.generator.take_return();
                assert!(value.is_none() || before == State::Closed);
                if let Some(value) = value {
                    arrive_as(value, self.label.serial);
                }
                assert!(self.generator.take_return().is_none());
            }
            Verb::Reserve => {
                self.generator.try_reserve().expect("there is memory");
                assert_eq!(self.generator.state(), before);
            }
            Verb::Look | Verb::Finish => {
                let debug = format!("{:?}", self.generator);
                self.label.look(self.generator.name(), &debug, before);
            }
        }
        self.label.see(self.generator.state());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Option<Box<dyn Object>> {
        if let Some(value) = self.generator.into_return() {
            arrive_as(value, self.label.serial);
        }
        None
    }

    fn swap(&mut self, other: &mut dyn Object) {
        swap(self, other);
    }

    fn share(self: Box<Self>) -> Box<dyn Object> {
        self
    }

    fn items(&mut self) -> Option<Box<dyn Iterator<Item = ()> + '_>> {
        Some(Box::new(self.generator.by_ref().map(arrive)))
    }
}

// ---- sinks ---------------------------------------------------------------------------------------------------------

struct Stage<T: Item + ?Sized> {
    sink: Sink<T, Owned>,
    label: Rc<Label>,
}

impl<T: Item + ?Sized> Stage<T> {
    fn make(label: Rc<Label>, start: Start) -> Box<dyn Object> {
        let inside = label.clone();
        let sink = label.builder().sink(move |receiver: &mut Receiver<T>| {
            start.run(&SinkPort::new(receiver, &inside), &inside);
            Owned::of(inside.serial)
        });
        Box::new(Self { sink, label })
    }
}

impl<T: Item + ?Sized> Object for Stage<T> {
    fn label(&self) -> &Rc<Label> {
        &self.label
    }

    fn state(&self) -> State {
        self.sink.state()
    }

    fn drive(&mut self, verb: Verb) -> Result<(), Exception> {
        self.label.see(self.sink.state());
        match verb {
            Verb::Prime | Verb::Send => {
                let serial = ledger(|ledger| ledger.next_serial());
                self.label.lent.set(serial);
                let sent = T::lend(serial, |item| Target::send(&mut &mut self.sink, item));
                let expected = match sent {
                    Ok(()) => State::Suspended,
                    Err(Closed) => State::Closed,
                };
                assert_eq!(self.sink.state(), expected);
            }
            _ => {
                let debug = format!("{:?}", self.sink);
                self.label.look(self.sink.name(), &debug, self.sink.state());
            }
        }
        self.label.see(self.sink.state());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Option<Box<dyn Object>> {
        arrive_as(self.sink.close(), self.label.serial);
        None
    }

    fn swap(&mut self, other: &mut dyn Object) {
        swap(self, other);
    }

    fn share(self: Box<Self>) -> Box<dyn Object> {
        self
    }
}

// ---- all of them ---------------------------------------------------------------------------------------------------

fn swap<T: Object>(one: &mut T, other: &mut dyn Object) {
    let other: &mut dyn Any = other;
    if let Some(other) = other.downcast_mut::<T>() {
        mem::swap(one, other);
    }
}

/// Captured by bodies that are to be large.
struct Ballast([u64; 200]);

impl Ballast {
    fn new(label: &Label) -> Self {
        Self([label.serial; 200])
    }

    fn check(&self) {
        assert!(self.0.iter().all(|n| *n == self.0[0]));
    }
}
