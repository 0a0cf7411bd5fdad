//! Runs programs: what bodies and the main program do.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::hint::black_box;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;

use yieldfrom::{Exception, Scoped, State, Yielder, scoped};

use crate::decode::{Adaptor, Callback, Kind, Last, Mode, Op, Program, Recipe, Target, Then, Verb};
use crate::ledger::{Oops, Token, comes_from_a_body, count_leak, is_known, is_ours, ledger, throw};
use crate::object::{Label, Object, make};
use crate::port::{Holder, Port, YielderPort, suspend_below_c};
use crate::value::{Owned, Value, arrive, arrive_as};

/// How many things a program does, and how many objects it makes.
const STEPS: u32 = 150;
const OBJECTS: u32 = 16;

/// How many bodies may be captured one by another. Each takes 2 KiB of stack when they are dropped.
const NESTING: usize = 1;

/// How much stack there must be for a block, and for what a destructor does. A body that yields with less than 8 KiB
/// left cannot be unwound, and dropping objects takes as much if one of them panics.
const ROOM_FOR_A_BLOCK: usize = 13 * 1024;
const ROOM_FOR_A_DESTRUCTOR: usize = 11 * 1024;

/// How often the crate's unwind is caught, or suspended by destructors. After ten times a body is leaked.
const ROUNDS: u32 = 4;

/// What all bodies of a program share.
pub struct World {
    program: Program,
    /// Objects that everybody can get at.
    bag: RefCell<Vec<Box<dyn Object>>>,
    steps: Cell<u32>,
    objects: Cell<u32>,
}

impl World {
    /// Whether there is a step left.
    fn spend(&self) -> bool {
        let left = self.steps.get();
        self.steps.set(left.saturating_sub(1));
        left > 0
    }

    fn mode(&self) -> Mode {
        self.program.mode
    }

    fn script(&self, number: u8) -> &[Op] {
        match &*self.program.scripts {
            [only] => only,
            [_, bodies @ ..] => &bodies[usize::from(number) % bodies.len()],
            [] => &[],
        }
    }
}

/// Runs a program and checks that it leaves nothing behind.
pub fn run(program: Program) {
    let mode = program.mode;
    ledger(|ledger| ledger.open(mode != Mode::Strict));
    let world = Rc::new(World {
        program,
        bag: RefCell::default(),
        steps: Cell::new(STEPS),
        objects: Cell::new(OBJECTS),
    });
    let label = Label::plain();
    let body = Body::new(&world, &Holder, &label, None, Vec::new());
    let result = catch_unwind(AssertUnwindSafe(|| {
        body.perform(world.program.scripts.first().map_or(&[], Vec::as_slice))
    }));
    match result {
        Ok(flow) => drop(flow),
        Err(payload) => assert!(is_ours(&*payload)),
    }
    for object in body.own.take() {
        drop_quietly(object);
    }
    // Bodies put more into the bag while they are dropped.
    while let Some(object) = { world.bag.borrow_mut().pop() } {
        drop_quietly(object);
    }
    if !ledger(|ledger| ledger.may_leak()) {
        assert_eq!(Rc::strong_count(&world), 1, "a body was not dropped");
    }
    drop(world);
    assert!(mode == Mode::Panics || !thread::panicking());
    ledger(|ledger| ledger.close());
}

/// Dropping never panics.
fn drop_quietly(object: Box<dyn Object>) {
    assert!(catch_unwind(AssertUnwindSafe(|| drop(object))).is_ok());
}

/// How a script goes on.
pub enum Flow {
    Next,
    Return,
    Raise(Exception),
}

/// What a body captures.
pub struct Start {
    world: Rc<World>,
    script: u8,
    inherited: Vec<Box<dyn Object>>,
    fuse: Fuse,
    _token: Token,
}

impl Start {
    pub fn run(self, port: &dyn Port, label: &Label) -> Flow {
        let Self {
            world,
            script,
            inherited,
            fuse,
            _token,
        } = self;
        fuse.0.set(false);
        Body::new(&world, port, label, None, inherited).perform(world.script(script))
    }
}

/// Panics if it is dropped before its body has started.
struct Fuse(Cell<bool>);

impl Drop for Fuse {
    fn drop(&mut self) {
        if self.0.get() {
            throw();
        }
    }
}

// ---- bodies --------------------------------------------------------------------------------------------------------

/// What a body waits for, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    No,
    Yield,
    Delegate,
}

/// A running body, or the main program.
struct Body<'a> {
    world: &'a Rc<World>,
    port: &'a dyn Port,
    label: &'a Label,
    /// The body around this one, from which a scoped one borrows.
    outer: Option<&'a Body<'a>>,
    own: RefCell<Vec<Box<dyn Object>>>,
    wait: Cell<Wait>,
    /// It was told to finish, so that it ignores that if it yields again.
    told: Cell<bool>,
    /// How often it has got in the way of being unwound by force.
    rounds: Cell<u32>,
    /// About where its stack begins.
    base: usize,
}

/// Where on its stack a body is.
#[derive(Clone, Copy)]
struct Place<'a> {
    frame: &'a Frame<'a>,
    /// The generator of the innermost `scoped` around.
    scope: Option<&'a dyn Scope>,
}

/// A part of a stack that must not change.
struct Frame<'a> {
    pattern: [u8; PATTERN.len()],
    below: Option<&'a Frame<'a>>,
}

const PATTERN: [u8; 768] = [0xa5; 768];

impl<'a> Frame<'a> {
    fn new(below: Option<&'a Frame<'a>>) -> Self {
        Self {
            pattern: black_box(PATTERN),
            below,
        }
    }

    /// Checks this frame and those of its callers.
    fn check(&self) {
        let mut frame = Some(self);
        while let Some(Self { pattern, below }) = frame {
            assert!(*black_box(pattern) == PATTERN);
            frame = *below;
        }
    }
}

trait Scope {
    fn next(&self);
}

impl<V: Value> Scope for (RefCell<&mut Scoped<'_, V, V>>, &Label) {
    fn next(&self) {
        let mut generator = self.0.borrow_mut();
        match generator.next() {
            Some(value) => {
                arrive(value);
                assert_eq!(generator.state(), State::Suspended);
            }
            None => assert_eq!(generator.state(), State::Closed),
        }
        if let Some(value) = generator.take_return() {
            arrive_as(value, self.1.serial);
        }
    }
}

impl<'a> Body<'a> {
    fn new(
        world: &'a Rc<World>,
        port: &'a dyn Port,
        label: &'a Label,
        outer: Option<&'a Body<'a>>,
        own: Vec<Box<dyn Object>>,
    ) -> Self {
        let here = 0u8;
        Self {
            world,
            port,
            label,
            outer,
            own: RefCell::new(own),
            wait: Cell::new(Wait::No),
            told: Cell::new(false),
            rounds: Cell::new(0),
            base: &raw const here as usize,
        }
    }

    fn perform(&self, script: &[Op]) -> Flow {
        let frame = Frame::new(None);
        let place = Place {
            frame: &frame,
            scope: None,
        };
        let flow = self.run(script, place);
        frame.check();
        flow
    }

    fn run(&self, script: &[Op], place: Place<'_>) -> Flow {
        let mut rest = script;
        while let Some((op, tail)) = rest.split_first() {
            if !self.world.spend() {
                return Flow::Return;
            }
            let (block, after) = tail.split_at(op.len().min(tail.len()));
            rest = after;
            match self.act(*op, block, place) {
                Flow::Next => {}
                flow => return flow,
            }
        }
        Flow::Next
    }

    #[inline(never)]
    fn act(&self, op: Op, block: &[Op], place: Place<'_>) -> Flow {
        match op {
            Op::Make(recipe) => self.make_and_keep(&recipe),
            Op::Drive(Verb::Finish, on) => return self.finish(on),
            Op::Drive(verb, on) => return self.drive(verb, on),
            Op::Iterate(adaptor, on, other) => return self.iterate(adaptor, on, other),
            Op::Drop(on) => self.take(on).map_or((), |(object, _)| drop_quietly(object)),
            Op::Forget(on) => self.forget(on),
            Op::Share(on) => {
                if let Some((object, _)) = self.take(on) {
                    self.put(object.share(), false);
                }
            }
            Op::Clone(on) => {
                if let Some(other) = self.with(on, |object| object.another()) {
                    self.put(other, false);
                }
            }
            Op::Weaken(on) => {
                if let Some(weak) = self.with(on, |object| object.weak()) {
                    self.put(weak, on.own);
                }
            }
            Op::Swap(one, other) => self.swap(one, other),
            Op::Move(on) => self.relocate(on),
            Op::Arm => ledger(|ledger| ledger.armed.set(true)),
            Op::Yield(then) => return obey(then, self.yield_(place)),
            Op::YieldEach(count, then) => {
                return obey(then, self.yield_each(count, place));
            }
            Op::YieldBelowC(then) => return obey(then, self.yield_below_c(place)),
            Op::YieldCaughtForever => self.yield_caught_forever(place),
            Op::Delegate(to, then) => return self.delegate(to, then, false, place),
            Op::DelegateBlindly(to, then) => return self.delegate(to, then, true, place),
            Op::DelegateToNew(recipe, then) => return self.delegate_to_new(recipe, then, place),
            Op::Receive(_) => return self.receive(block, place),
            Op::Drain => {
                for _ in 0..102 {
                    let _ = self.wait(Wait::Yield, false, place, || self.port.receive(&mut || {}));
                }
            }
            Op::Intrude(level, on) => return self.intrude(level, on),
            Op::Scoped { script, owned, .. } => return self.scoped(script, owned, block, place),
            Op::NextOfScope => {
                if let Some(scope) = place.scope {
                    scope.next();
                }
            }
            Op::Call { depth, .. } => return self.call(depth, block, place),
            Op::Catch { .. } => return self.catch(block, place),
            Op::Guard { last, on, .. } => return self.guard(last, on, block, place),
            Op::Repeat { times, .. } => {
                for _ in 0..times {
                    match self.run_block(block, place) {
                        Flow::Next => {}
                        flow => return flow,
                    }
                }
            }
            Op::Callback(callback, _) => return self.call_back(callback, block, place),
            Op::Return => return Flow::Return,
            Op::Raise => return raise(),
            Op::Panic => throw(),
        }
        Flow::Next
    }

    fn is_strict(&self) -> bool {
        // One that borrows must never be leaked: that would abort.
        self.world.mode() == Mode::Strict || self.outer.is_some()
    }

    /// Bytes of stack that are left, at least.
    fn room(&self) -> usize {
        let here = 0u8;
        let used = self.base.abs_diff(&raw const here as usize);
        self.label.stack_size.saturating_sub(used + 1024)
    }

    fn run_block(&self, block: &[Op], place: Place<'_>) -> Flow {
        if self.room() < ROOM_FOR_A_BLOCK {
            return Flow::Next;
        }
        self.run(block, place)
    }

    // ---- objects ----

    /// Takes an object out, so that it is this body's for a while. Also tells where it was.
    fn take(&self, target: Target) -> Option<(Box<dyn Object>, usize)> {
        self.take_if(target, |_| true)
    }

    fn take_if(
        &self,
        target: Target,
        fits: impl Fn(&dyn Object) -> bool,
    ) -> Option<(Box<dyn Object>, usize)> {
        let mut objects = self.place(target.own).borrow_mut();
        let len = objects.len();
        let indices = (0..len).map(|n| (n + usize::from(target.index)) % len);
        let index = { indices }.find(|index| fits(&*objects[*index]))?;
        Some((objects.remove(index), index))
    }

    fn put_back(&self, target: Target, object: Box<dyn Object>, index: usize) {
        let mut objects = self.place(target.own).borrow_mut();
        let index = index.min(objects.len());
        objects.insert(index, object);
    }

    fn put(&self, object: Box<dyn Object>, own: bool) {
        self.place(own).borrow_mut().push(object);
    }

    fn place(&self, own: bool) -> &RefCell<Vec<Box<dyn Object>>> {
        if own { &self.own } else { &self.world.bag }
    }

    fn with<T>(&self, target: Target, look: impl FnOnce(&dyn Object) -> Option<T>) -> Option<T> {
        let objects = self.place(target.own).borrow();
        let index = usize::from(target.index).checked_rem(objects.len())?;
        look(&*objects[index])
    }

    #[inline(never)]
    fn make(&self, recipe: &Recipe) -> Option<Box<dyn Object>> {
        // A new stack takes some of this one: how much memory there is has to be looked up and read.
        if self.room() < ROOM_FOR_A_BLOCK {
            return None;
        }
        self.world
            .objects
            .set(self.world.objects.get().checked_sub(1)?);
        let mut nesting = 0;
        let mut inherited = Vec::new();
        if recipe.inherits {
            let mut own = self.own.borrow_mut();
            // A shared one could come to own its owner, and be leaked rightly.
            inherited.extend(
                own.pop_if(|newest| newest.label().nesting < NESTING && newest.another().is_none()),
            );
            nesting = inherited
                .iter()
                .map(|object| object.label().nesting + 1)
                .sum();
        }
        let start = Start {
            world: self.world.clone(),
            script: recipe.script,
            inherited,
            fuse: Fuse(Cell::new(recipe.bomb)),
            _token: Token::new(),
        };
        let shape = self.world.program.shape;
        let mut object = make(recipe, shape, Label::new(recipe, nesting), start);
        assert_eq!(object.state(), State::Created);
        if recipe.reserve {
            object.drive(Verb::Reserve).expect("nothing runs");
        }
        Some(object)
    }

    fn make_and_keep(&self, recipe: &Recipe) {
        if let Some(object) = self.make(recipe) {
            self.put(object, !recipe.shared);
        }
    }

    #[inline(never)]
    fn drive(&self, verb: Verb, on: Target) -> Flow {
        let Some((mut object, index)) = self.take(on) else {
            return Flow::Next;
        };
        let flow = self.attempt(on, || {
            let result = catch_unwind(AssertUnwindSafe(|| object.drive(verb)));
            result.unwrap_or_else(|payload| {
                let state = object.state();
                assert!(state == State::Closed || !comes_from_a_body(&*payload));
                object.label().see(state);
                resume_unwind(payload)
            })
        });
        self.put_back(on, object, index);
        flow
    }

    #[inline(never)]
    fn finish(&self, on: Target) -> Flow {
        let Some((object, index)) = self.take(on) else {
            return Flow::Next;
        };
        self.attempt(on, || {
            if let Some(object) = object.finish() {
                self.put_back(on, object, index);
            }
            Ok(())
        })
    }

    #[inline(never)]
    fn iterate(&self, adaptor: Adaptor, on: Target, other: Target) -> Flow {
        let (Some((mut object, index)), second) = (self.take(on), self.take(other)) else {
            return Flow::Next;
        };
        let (mut second, second_index) = second.unzip();
        let flow = self.attempt(on, || {
            let Some(items) = object.items() else {
                return Ok(());
            };
            let others = second.as_mut().and_then(|second| second.items());
            match (adaptor, others) {
                (Adaptor::Zip, Some(others)) => items.zip(others).take(2).for_each(drop),
                (Adaptor::Chain, Some(others)) => items.chain(others).take(3).for_each(drop),
                (Adaptor::Peekable, _) => {
                    let mut items = items.peekable();
                    while items.peek().is_some() && items.next_if(|()| true).is_some() {}
                    assert!(items.next().is_none());
                }
                _ => drop(items.take(2).collect::<Vec<_>>()),
            }
            Ok(())
        });
        for (target, object, index) in [
            (on, Some(object), Some(index)),
            (other, second, second_index),
        ] {
            if let (Some(object), Some(index)) = (object, index) {
                object.label().see(object.state());
                self.put_back(target, object, index);
            }
        }
        flow
    }

    /// Makes a call that may panic, or raise what a body has raised.
    fn attempt(&self, on: Target, call: impl FnOnce() -> Result<(), Exception>) -> Flow {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(())) => Flow::Next,
            Ok(Err(exception)) => {
                assert!(is_known(&exception), "{exception:?}");
                match on.guarded {
                    true => Flow::Next,
                    false => Flow::Raise(exception),
                }
            }
            Err(payload) => {
                assert!(is_ours(&*payload));
                match on.guarded {
                    true => Flow::Next,
                    false => resume_unwind(payload),
                }
            }
        }
    }

    fn forget(&self, on: Target) {
        let Some((object, _)) = self.take(on) else {
            return;
        };
        if self.world.mode() == Mode::Strict {
            return drop_quietly(object);
        }
        count_leak();
        mem::forget(object);
    }

    fn swap(&self, one: Target, other: Target) {
        if let Some((mut object, index)) = self.take(one) {
            if let Some((mut second, second_index)) = self.take(other) {
                object.swap(&mut *second);
                self.put_back(other, second, second_index);
            }
            self.put_back(one, object, index);
        }
    }

    /// From the bag to this body, or back. A body that owns a shared coroutine could end up owning itself, so it gets a
    /// weak reference.
    fn relocate(&self, on: Target) {
        if let Some((object, index)) = self.take(on) {
            match object.weak() {
                Some(weak) if !on.own => {
                    self.put_back(on, object, index);
                    self.put(weak, true);
                }
                _ => self.put(object, !on.own),
            }
        }
    }

    // ---- suspensions ----

    fn yield_(&self, place: Place<'_>) -> Result<(), Exception> {
        self.wait(Wait::Yield, false, place, || self.port.suspend())
    }

    fn yield_each(&self, count: u8, place: Place<'_>) -> Result<(), Exception> {
        let delegating = self.port.has_each();
        self.wait(Wait::Yield, delegating, place, || self.port.each(count))
    }

    fn wait(
        &self,
        wait: Wait,
        delegating: bool,
        place: Place<'_>,
        suspend: impl FnOnce() -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        // So it is also if this unwinds.
        let told = self.told.replace(true);
        if told {
            ledger(|ledger| ledger.ignored.provoke());
        }
        self.label.delegating.set(delegating);
        self.wait.set(wait);
        let result = suspend();
        self.wait.set(Wait::No);
        place.frame.check();
        let told = told
            || match &result {
                Ok(()) => false,
                Err(exception) => exception.is_exit() || wait == Wait::Delegate,
            };
        self.told.set(told);
        result
    }

    fn yield_below_c(&self, place: Place<'_>) -> Result<(), Exception> {
        if self.is_strict() {
            return self.yield_(place);
        }
        self.wait(Wait::Yield, false, place, || suspend_below_c(self.port))
    }

    fn yield_caught_forever(&self, place: Place<'_>) {
        while self.world.spend() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.yield_(place))) {
                self.caught(payload);
            }
        }
    }

    #[inline(never)]
    fn delegate(&self, to: Target, then: Then, blindly: bool, place: Place<'_>) -> Flow {
        let Some(shape) = self.port.shape() else {
            return Flow::Next;
        };
        let fits = |object: &dyn Object| object.shape() == Some(shape);
        let Some((mut object, index)) = self.take_if(to, fits) else {
            return Flow::Next;
        };
        if object.weak().is_some() {
            // This body owns it meanwhile; should it come to own this body, that is a cycle.
            ledger(|ledger| ledger.allow_leaks());
        }
        let result = self.delegate_to(&mut *object, blindly, place);
        self.put_back(to, object, index);
        obey(then, result)
    }

    #[inline(never)]
    fn delegate_to_new(&self, recipe: Recipe, then: Then, place: Place<'_>) -> Flow {
        let Some(shape) = self.port.shape() else {
            return Flow::Next;
        };
        let kind = Kind::OfShape(shape);
        let Some(mut object) = self.make(&Recipe { kind, ..recipe }) else {
            return Flow::Next;
        };
        if recipe.shared {
            object = object.share();
        }
        obey(then, self.delegate_to(&mut *object, false, place))
    }

    fn delegate_to(
        &self,
        object: &mut dyn Object,
        blindly: bool,
        place: Place<'_>,
    ) -> Result<(), Exception> {
        let before = object.state();
        let send = (before == State::Suspended) != blindly;
        let result = self.wait(Wait::Delegate, true, place, || {
            self.port.delegate(object, send)
        });
        let after = object.state();
        object.label().see(after);
        match &result {
            Ok(()) => assert_eq!(after, State::Closed),
            Err(exception) => {
                assert!(is_known(exception), "{exception:?}");
                if blindly || !matches!(before, State::Created | State::Suspended) {
                    assert_eq!(after, before);
                }
            }
        }
        result
    }

    #[inline(never)]
    fn receive(&self, block: &[Op], place: Place<'_>) -> Flow {
        let mut flow = Flow::Next;
        let mut hold = || {
            self.wait.set(Wait::No);
            place.frame.check();
            flow = self.run_block(block, place);
        };
        let result = self.wait(Wait::Yield, false, place, || self.port.receive(&mut hold));
        match (result, flow) {
            (Err(exception), Flow::Next) => Flow::Raise(exception),
            (_, flow) => flow,
        }
    }

    // ---- blocks ----

    #[inline(never)]
    fn call(&self, depth: u8, block: &[Op], place: Place<'_>) -> Flow {
        let frame = Frame::new(Some(place.frame));
        let place = Place {
            frame: &frame,
            ..place
        };
        let flow = match depth.checked_sub(1) {
            Some(depth) if self.room() >= ROOM_FOR_A_BLOCK => self.call(depth, block, place),
            _ => self.run_block(block, place),
        };
        frame.check();
        flow
    }

    #[inline(never)]
    fn catch(&self, block: &[Op], place: Place<'_>) -> Flow {
        match catch_unwind(AssertUnwindSafe(|| self.run_block(block, place))) {
            Ok(flow) => flow,
            Err(payload) => {
                self.caught(payload);
                place.frame.check();
                Flow::Next
            }
        }
    }

    /// Goes on after a panic, unless it is the crate's unwind and has been caught often enough.
    fn caught(&self, payload: Box<dyn Any + Send>) {
        let waited = self.wait.replace(Wait::No);
        if is_ours(&*payload) {
            return;
        }
        assert_ne!(waited, Wait::No, "the unwind of another body");
        self.rounds.set(self.rounds.get() + 1);
        if self.rounds.get() > ROUNDS && self.is_strict() {
            self.wait.set(waited);
            resume_unwind(payload);
        }
    }

    #[inline(never)]
    fn guard(&self, last: Last, on: Target, block: &[Op], place: Place<'_>) -> Flow {
        let guard = Guard {
            body: self,
            last,
            on,
            place,
            returns: Cell::new(false),
        };
        let flow = self.run_block(block, place);
        guard.returns.set(true);
        // Not by leaving the function: rustc leaks a value that is being returned if a destructor unwinds meanwhile.
        drop(guard);
        flow
    }

    #[inline(never)]
    fn call_back(&self, callback: Callback, block: &[Op], place: Place<'_>) -> Flow {
        if self.room() < ROOM_FOR_A_BLOCK {
            return Flow::Next;
        }
        let flow = RefCell::new(Flow::Next);
        let call = || {
            if matches!(*flow.borrow(), Flow::Next) {
                let next = self.run_block(block, place);
                flow.replace(next);
            }
        };
        match callback {
            Callback::Sort => [3, 1, 2].sort_by(|a, b| {
                call();
                a.cmp(b)
            }),
            Callback::Retain => vec![1, 2].retain(|n| {
                call();
                *n == 1
            }),
            Callback::FromFn => {
                let mut left = 0..2;
                std::iter::from_fn(|| {
                    call();
                    left.next()
                })
                .for_each(drop);
            }
            Callback::Display => drop(format!("{}", Shows(&call))),
        }
        flow.into_inner()
    }

    #[inline(never)]
    fn scoped(&self, script: u8, owned: bool, block: &[Op], place: Place<'_>) -> Flow {
        let Some(left) = self.world.objects.get().checked_sub(1) else {
            return Flow::Next;
        };
        if self.room() < ROOM_FOR_A_BLOCK {
            return Flow::Next;
        }
        self.world.objects.set(left);
        match owned {
            true => self.scope::<Owned>(script, block, place),
            false => self.scope::<u64>(script, block, place),
        }
    }

    fn scope<V: Value>(&self, script: u8, block: &[Op], place: Place<'_>) -> Flow {
        let (label, token) = (Label::plain(), Token::new());
        scoped(
            |y: &Yielder<V>| {
                let _token = token;
                let port = YielderPort(y);
                Body::new(self.world, &port, &label, Some(self), Vec::new())
                    .perform(self.world.script(script));
                place.frame.check();
                V::of(label.serial)
            },
            |generator| {
                let scope = (RefCell::new(generator), &label);
                let place = Place {
                    scope: Some(&scope),
                    ..place
                };
                self.run_block(block, place)
            },
        )
    }

    /// Uses the port of a body around this one, which waits for this one.
    #[inline(never)]
    fn intrude(&self, level: u8, on: Target) -> Flow {
        let mut outer = self.outer;
        for _ in 0..level {
            outer = outer.and_then(|outer| outer.outer).or(outer);
        }
        let Some(outer) = outer else {
            return Flow::Next;
        };
        self.attempt(on, || {
            outer.port.intrude();
            Ok(())
        });
        let shape = outer.port.shape();
        let fits = |object: &dyn Object| shape.is_some() && object.shape() == shape;
        let Some((mut object, index)) = self.take_if(on, fits) else {
            return Flow::Next;
        };
        let before = object.state();
        let flow = self.attempt(on, || {
            let send = before == State::Suspended;
            let result = outer.port.delegate(&mut *object, send);
            assert!(result.is_err());
            assert_eq!(object.state(), before);
            result
        });
        self.put_back(on, object, index);
        flow
    }
}

fn raise() -> Flow {
    let serial = ledger(|ledger| ledger.next_serial());
    Flow::Raise(Oops::new(serial).into())
}

fn obey(then: Then, result: Result<(), Exception>) -> Flow {
    match (result, then) {
        (Ok(()), _) | (Err(_), Then::Ignore) => Flow::Next,
        (Err(exception), Then::Pass) => Flow::Raise(exception),
        (Err(_), Then::Return) => Flow::Return,
        (Err(_), Then::Replace) => raise(),
    }
}

struct Shows<'a>(&'a dyn Fn());

impl fmt::Display for Shows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)();
        f.write_str("shown")
    }
}

// ---- destructors ---------------------------------------------------------------------------------------------------

/// Does something when it is dropped.
struct Guard<'a> {
    body: &'a Body<'a>,
    last: Last,
    on: Target,
    place: Place<'a>,
    /// The block has ended, so that this is not dropped by an unwind.
    returns: Cell<bool>,
}

impl Guard<'_> {
    /// Whether a suspension here can be taken back: a body cannot be unwound any more while it panics itself.
    fn may_suspend(&self) -> bool {
        let body = self.body;
        let leaks = body.world.mode() == Mode::Panics && body.outer.is_none();
        if self.returns.get() || leaks {
            return true;
        }
        // By force, then, and not in the way of that for ever.
        let rounds = body.rounds.replace(body.rounds.get() + 1);
        body.wait.get() == Wait::Yield && rounds < ROUNDS
    }

    fn act(&self) {
        let Self {
            body, on, place, ..
        } = *self;
        match self.last {
            Last::Yield | Last::YieldTwice | Last::YieldCaught => {
                if let Last::YieldTwice = self.last {
                    let _ = body.yield_(place);
                }
                let _ = body.yield_(place);
            }
            Last::YieldForever => {
                while body.world.spend() && self.may_suspend() {
                    let _ = body.yield_(place);
                }
            }
            Last::Each => {
                let _ = body.yield_each(2, place);
            }
            Last::Panic => throw(),
            Last::Send => drop(body.drive(Verb::Send, on)),
            Last::Close => drop(body.drive(Verb::Close, on)),
            Last::Drop => body.take(on).map_or((), |(object, _)| drop_quietly(object)),
            Last::Delegate => drop(body.delegate(on, Then::Ignore, false, place)),
            Last::Intrude => drop(body.intrude(0, on)),
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let body = self.body;
        let suspends = matches!(
            self.last,
            Last::Yield
                | Last::YieldTwice
                | Last::YieldCaught
                | Last::YieldForever
                | Last::Each
                | Last::Delegate
        );
        let room = match suspends && self.returns.get() {
            true => ROOM_FOR_A_BLOCK,
            false => ROOM_FOR_A_DESTRUCTOR,
        };
        if body.room() < room || !body.world.spend() || suspends && !self.may_suspend() {
            return;
        }
        if self.returns.get() {
            return self.act();
        }
        // Rust aborts if a panic leaves a destructor during an unwind.
        let waited = body.wait.get();
        match self.last {
            Last::Panic => {}
            // A frame that catches changes what the crate sees when it looks at the stack.
            Last::Yield | Last::YieldTwice | Last::YieldForever => {
                ledger(|ledger| ledger.armed.set(false));
                self.act();
            }
            _ => {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.act())) {
                    assert!(is_ours(&*payload) || body.wait.get() != Wait::No);
                }
            }
        }
        body.wait.set(waited);
    }
}
