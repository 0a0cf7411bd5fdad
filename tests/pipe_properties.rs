//! Random pipelines against a model: pushed, pulled, and as an iterator they do the same.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use yieldfrom::pipe::{
    Receiver, Sender, Source, batch, filter, flat_map, head, inspect, map, sink, skip, source,
    stage, tail, take_while, tee, uniq,
};
use yieldfrom::{Exception, Step};

/// What is sent: a number that is counted while it lives.
#[derive(Debug)]
struct Item {
    number: i32,
    live: Rc<Cell<i64>>,
}

impl Item {
    fn new(number: i32, live: &Rc<Cell<i64>>) -> Self {
        live.set(live.get() + 1);
        Self {
            number,
            live: Rc::clone(live),
        }
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        Self::new(self.number, &self.live)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.live.set(self.live.get() - 1);
    }
}

#[derive(Debug)]
struct Fault;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fault")
    }
}

impl std::error::Error for Fault {}

#[derive(Clone, Debug)]
enum Op {
    Add(i32),
    Keep(i32),
    Head(usize),
    Skip(usize),
    Tail(usize),
    TakeWhile(i32),
    Uniq,
    Repeat(usize),
    Sums(usize),
    Look,
    Tee(usize),
    /// Has an item of its own at its start and at its end, and deaf to the close up to then.
    Frame,
    FailAt(i32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (-3..4).prop_map(Op::Add),
        (1..4).prop_map(Op::Keep),
        // (Not 0: pulled, nothing before it would run, nor fail.)
        (1_usize..9).prop_map(Op::Head),
        (0_usize..4).prop_map(Op::Skip),
        (0_usize..4).prop_map(Op::Tail),
        (-5..9).prop_map(Op::TakeWhile),
        Just(Op::Uniq),
        (0_usize..3).prop_map(Op::Repeat),
        (1_usize..4).prop_map(Op::Sums),
        Just(Op::Look),
        (0_usize..4).prop_map(Op::Tee),
        Just(Op::Frame),
    ]
}

/// At most one of them fails: which failure comes out of several depends on who meets his first.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    let failing = proptest::option::of((0_usize..9, -5..9));
    (proptest::collection::vec(op(), 0..7), failing).prop_map(|(mut ops, failing)| {
        if let Some((at, number)) = failing {
            ops.insert(at.min(ops.len()), Op::FailAt(number));
        }
        ops
    })
}

fn build(numbers: Vec<i32>, source_fails: bool, ops: &[Op], live: &Rc<Cell<i64>>) -> Source<Item> {
    let made = Rc::clone(live);
    let first = source(move |out: &mut Sender<Item>| {
        for number in numbers {
            out.send(&Item::new(number, &made))?;
        }
        if source_fails {
            Err(Fault.into())
        } else {
            Ok(())
        }
    });
    ops.iter()
        .cloned()
        .fold(first, |source, op| add(source, op, Rc::clone(live)))
}

fn add(source: Source<Item>, op: Op, live: Rc<Cell<i64>>) -> Source<Item> {
    match op {
        Op::Add(n) => source.pipe(map(move |item: &Item| {
            Item::new(item.number + n, &item.live)
        })),
        Op::Keep(n) => source.pipe(filter(move |item: &Item| item.number % n == 0)),
        Op::Head(n) => source.pipe(head(n as u64)),
        Op::Skip(n) => source.pipe(skip(n as u64)),
        Op::Tail(n) => source.pipe(tail(n)),
        Op::TakeWhile(n) => source.pipe(take_while(move |item: &Item| item.number < n)),
        Op::Uniq => source.pipe(uniq()),
        Op::Repeat(n) => source.pipe(flat_map(move |item: &Item| vec![item.clone(); n])),
        Op::Sums(n) => source.pipe(batch(n)).pipe(map(move |items: &[Item]| {
            Item::new(items.iter().map(|item| item.number).sum(), &live)
        })),
        Op::Look => source.pipe(inspect(|item: &Item| assert!(item.live.get() > 0))),
        Op::Tee(n) => source.pipe(tee(head(n as u64).into(yieldfrom::pipe::collect()))),
        Op::Frame => source.pipe(stage(
            move |items: &mut Receiver<Item>, out: &mut Sender<Item>| {
                let _ = out.send(&Item::new(100, &live));
                while let Some(item) = items.recv() {
                    if out.send(item).is_err() {
                        break;
                    }
                }
                let _ = out.send(&Item::new(200, &live));
                Ok(())
            },
        )),
        Op::FailAt(n) => source.pipe(stage(
            move |items: &mut Receiver<Item>, out: &mut Sender<Item>| {
                while let Some(item) = items.recv() {
                    if item.number == n {
                        return Err(Fault.into());
                    }
                    out.send(item)?;
                }
                Ok(())
            },
        )),
    }
}

/// A stage of the model: what it does with an item, and when it ends.
struct Model {
    op: Op,
    seen: usize,
    kept: VecDeque<i32>,
    is_started: bool,
    is_ended: bool,
}

/// The model: plain calls from stage to stage. `Err` is the close, upstream.
struct Models {
    stages: Vec<Model>,
    output: Vec<i32>,
    has_failed: bool,
}

impl Models {
    fn send(&mut self, to: usize, item: i32) -> Result<(), ()> {
        if to == self.stages.len() {
            self.output.push(item);
            return Ok(());
        }
        self.start(to);
        if self.stages[to].is_ended {
            return Err(());
        }
        let went = self.step(to, item);
        if went.is_err() {
            self.end(to, false);
        }
        went
    }

    fn start(&mut self, at: usize) {
        if std::mem::replace(&mut self.stages[at].is_started, true) {
            return;
        }
        if let Op::Frame = self.stages[at].op {
            let _ = self.send(at + 1, 100);
        }
    }

    /// What a stage does with an item; `Err` if it ends with it.
    fn step(&mut self, at: usize, item: i32) -> Result<(), ()> {
        let next = at + 1;
        let stage = &mut self.stages[at];
        stage.seen += 1;
        let seen = stage.seen;
        match stage.op {
            Op::Add(n) => self.send(next, item + n),
            Op::Keep(n) if item % n != 0 => Ok(()),
            Op::Keep(_) | Op::Look | Op::Tee(_) => self.send(next, item),
            Op::Head(n) => {
                self.send(next, item)?;
                if seen == n { Err(()) } else { Ok(()) }
            }
            Op::Skip(n) if seen <= n => Ok(()),
            Op::Skip(_) => self.send(next, item),
            Op::Tail(n) => {
                stage.kept.push_back(item);
                if stage.kept.len() > n {
                    stage.kept.pop_front();
                }
                Ok(())
            }
            Op::TakeWhile(n) if item >= n => Err(()),
            Op::TakeWhile(_) => self.send(next, item),
            Op::Uniq if stage.kept.front() == Some(&item) => Ok(()),
            Op::Uniq => {
                stage.kept = VecDeque::from([item]);
                self.send(next, item)
            }
            Op::Repeat(n) => (0..n).try_for_each(|_| self.send(next, item)),
            Op::Sums(n) => {
                stage.kept.push_back(item);
                if stage.kept.len() < n {
                    return Ok(());
                }
                let sum = stage.kept.drain(..).sum();
                self.send(next, sum)
            }
            Op::Frame => self.send(next, item),
            Op::FailAt(n) if item == n => {
                self.has_failed = true;
                Err(())
            }
            Op::FailAt(_) => self.send(next, item),
        }
    }

    /// A stage ends, of itself or because it is closed, and closes the next one.
    fn end(&mut self, at: usize, is_closed: bool) {
        if at == self.stages.len() {
            return;
        }
        self.start(at);
        if std::mem::replace(&mut self.stages[at].is_ended, true) {
            return;
        }
        let kept: Vec<i32> = self.stages[at].kept.drain(..).collect();
        match self.stages[at].op {
            Op::Tail(_) if is_closed => {
                let _ = kept
                    .into_iter()
                    .try_for_each(|item| self.send(at + 1, item));
            }
            Op::Sums(_) if is_closed && !kept.is_empty() => {
                let _ = self.send(at + 1, kept.iter().sum());
            }
            Op::Frame => {
                let _ = self.send(at + 1, 200);
            }
            _ => {}
        }
        self.end(at + 1, true);
    }
}

/// The items, and whether it fails.
fn model(numbers: &[i32], source_fails: bool, ops: &[Op]) -> (Vec<i32>, bool) {
    let stages = ops.iter().map(|op| Model {
        op: op.clone(),
        seen: 0,
        kept: VecDeque::new(),
        is_started: false,
        is_ended: false,
    });
    let mut models = Models {
        stages: stages.collect(),
        output: Vec::new(),
        has_failed: false,
    };
    let sent = numbers
        .iter()
        .try_for_each(|&number| models.send(0, number));
    models.has_failed |= source_fails && sent.is_ok();
    models.end(0, true);
    (models.output, models.has_failed)
}

fn pushed(source: Source<Item>) -> (Vec<i32>, Result<(), Exception>) {
    let all = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&all);
    let ended = source.into(sink(
        move |items: &mut Receiver<Item>| -> Result<(), Fault> {
            while let Some(item) = items.recv() {
                kept.borrow_mut().push(item.number);
            }
            Ok(())
        },
    ));
    (all.take(), ended)
}

fn pulled(source: Source<Item>) -> (Vec<i32>, Result<(), Exception>) {
    let mut all = Vec::new();
    let ended = source.for_each(|item| all.push(item.number));
    (all, ended)
}

/// Pulled by a coroutine, which yields.
fn yielded(source: Source<Item>) -> (Vec<i32>, Result<(), Exception>) {
    let mut numbers = yieldfrom::coroutine(move |co| {
        let mut items = source.pull();
        while let Some(item) = items.recv()? {
            co.yield_(item.number)?;
        }
        Ok(())
    });
    let mut all = Vec::new();
    let mut step = numbers.prime();
    loop {
        match step {
            Ok(Step::Yielded(number)) => all.push(number),
            Ok(Step::Complete(())) => return (all, Ok(())),
            Err(raised) => return (all, Err(raised.into())),
        }
        step = numbers.send(());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // 1,024, or four times `PROPTEST_CASES`.
        cases: 4 * ProptestConfig::default().cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/pipe_properties.txt"),
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_pipeline_does_what_the_model_does_however_it_is_run(
        numbers in proptest::collection::vec(-5..9, 0..12),
        source_fails: bool,
        ops in ops(),
    ) {
        let source_fails = source_fails && !ops.iter().any(|op| matches!(op, Op::FailAt(_)));
        let expected = model(&numbers, source_fails, &ops);
        let live = Rc::new(Cell::new(0));
        for run in [pushed, pulled, yielded] {
            let (items, ended) = run(build(numbers.clone(), source_fails, &ops, &live));
            prop_assert_eq!(&items, &expected.0);
            prop_assert_eq!(ended.is_err(), expected.1);
            if let Err(error) = ended {
                prop_assert!(error.is::<Fault>());
            }
            prop_assert_eq!(live.get(), 0);
        }
    }

    #[test]
    fn a_pipeline_may_be_left_at_any_item(
        numbers in proptest::collection::vec(-5..9, 0..12),
        ops in ops(),
        after in 0_usize..6,
        is_closed: bool,
    ) {
        let live = Rc::new(Cell::new(0));
        let mut pull = build(numbers.clone(), false, &ops, &live).pull();
        let mut seen = Vec::new();
        for _ in 0..after {
            match pull.recv() {
                Ok(Some(item)) => seen.push(item.number),
                _ => break,
            }
        }
        if is_closed {
            let _ = pull.close();
        } else {
            drop(pull);
        }
        prop_assert_eq!(live.get(), 0);
        let (expected, _) = model(&numbers, false, &ops);
        prop_assert_eq!(&seen[..], &expected[..seen.len()]);
    }
}
