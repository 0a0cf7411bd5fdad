//! The dataflow that each worker holds a copy of: pieces are handed out, searched, and printed in order.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::{Capability, Exchange as _, Input, Operator, Probe};
use timely::worker::Worker;
use yieldfrom::Exception;
use yieldfrom::pipe::{Line, Receiver, Sink, grep, sink};

use crate::args::Search;
use crate::pieces::{Piece, pieces, read_lines};

/// How many pieces per worker are on their way at most.
const AHEAD: u64 = 4;

/// What a piece has given.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Found {
    Line(Vec<u8>),
    /// So many lines.
    Count(u64),
    Unreadable(String),
}

/// What has been found, and in which of the files.
type InFile = (usize, Found);

/// How the search ended, as far as a worker knows.
pub struct Outcome {
    pub selected: u64,
    pub has_failed: bool,
    pub printed: io::Result<()>,
}

/// What a worker does, on its own thread.
pub fn work(worker: &mut Worker, search: &Arc<Search>) -> Outcome {
    let printer = Rc::new(RefCell::new(Printer::new(search)));
    let (mut input, printed) = worker.dataflow::<u64, _, _>(|scope| {
        let (input, pieces) = scope.new_input::<Vec<Piece>>();
        let pieces = pieces.exchange(|piece| piece.number);
        let found = run(pieces, searching(search));
        let (printed, _) = print(found, Rc::clone(&printer)).probe();
        (input, printed)
    });
    if worker.index() == 0 {
        let ahead = AHEAD * worker.peers() as u64;
        for piece in pieces(search) {
            input.advance_to(piece.number); // this also sends off the piece before
            let must_be_printed = (piece.number + 1).saturating_sub(ahead);
            while printed.less_than(&must_be_printed) {
                worker.step_or_park(None);
            }
            if printer.borrow().outcome.printed.is_err() {
                break; // nobody reads what is printed
            }
            input.send(piece);
        }
    }
    drop(input);
    while worker.has_dataflows() {
        worker.step_or_park(None);
    }
    let mut printer = printer.borrow_mut();
    if worker.index() == 0 {
        printer.finish();
    }
    std::mem::replace(&mut printer.outcome, Outcome::new())
}

/// Where stages leave what an operator gives to its output: the session for that lives only as long as one call of it.
type Results<U> = Rc<RefCell<Vec<U>>>;

/// Makes what pieces are lent to: the pipeline of [`local`](crate::local), with its ends on timely's side.
fn searching(search: &Arc<Search>) -> impl FnOnce(Results<Found>) -> Sink<Piece, Done> + use<> {
    let search = Arc::clone(search);
    move |results| {
        let unreadable = Rc::clone(&results);
        let report = move |message| unreadable.borrow_mut().push(Found::Unreadable(message));
        let is_count = search.is_count;
        let matching = grep(search.pattern.clone());
        read_lines(search, report).into(matching.into(keep(results, is_count)))
    }
}

type Done = Result<(), Exception>;

/// Keeps lines, or counts them.
fn keep(results: Results<Found>, is_count: bool) -> Sink<Line, Done> {
    sink(move |lines: &mut Receiver<Line>| {
        while let Some(line) = lines.recv() {
            let mut results = results.borrow_mut();
            match results.last_mut() {
                Some(Found::Count(lines)) => *lines += 1,
                _ if is_count => results.push(Found::Count(1)),
                _ => results.push(Found::Line(line.to_vec())),
            }
        }
        Ok(())
    })
}

/// A stage as an operator. `build` is called here, on the thread of the worker.
///
/// Each piece is lent to the stage, and what that sends because of it goes on at the time of the piece. A stage that sends
/// something only when there are no more items would need a capability for that, which would hold back all later times.
fn run<'scope>(
    pieces: StreamVec<'scope, u64, Piece>,
    build: impl FnOnce(Results<Found>) -> Sink<Piece, Done>,
) -> StreamVec<'scope, u64, InFile> {
    let results = Results::default();
    let mut stage = build(Rc::clone(&results));
    pieces.unary::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "grep", |_, _| {
        move |input, output| {
            input.for_each_stamp(|time, batches| {
                let mut session = output.session(&time);
                for piece in batches.flat_map(|batch| batch.drain(..)) {
                    // One that has ended wants no more pieces. This one never does.
                    let _ = stage.send(&piece);
                    let found = results.take().into_iter();
                    session.give_iterator(found.map(|found| (piece.file, found)));
                }
            });
        }
    })
}

/// An operator that prints on worker 0, each piece when all before it have been printed.
///
/// It keeps the capability of a piece until that is printed. So the probe behind it tells what has been printed.
fn print<'scope>(
    found: StreamVec<'scope, u64, InFile>,
    printer: Rc<RefCell<Printer>>,
) -> StreamVec<'scope, u64, ()> {
    let to_first = Exchange::new(|_: &InFile| 0);
    found.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(to_first, "print", |_, _| {
        let mut waiting: BTreeMap<u64, (Capability<u64>, Vec<InFile>)> = BTreeMap::new();
        move |(input, frontier), output| {
            // Batches come in the order that their worker has sent them in. `for_each_stamp` would sort them by their times,
            // not stably: the test `the_lines_of_a_piece_keep_their_order` fails then.
            input.for_each(|time, batch| {
                if let Some(time) = time.retain_least(output.output_index()) {
                    let entry = waiting.entry(*time.time());
                    let (_, found) = entry.or_insert_with(|| (time, Vec::new()));
                    found.append(batch);
                }
            });
            while let Some(first) = waiting.first_entry() {
                if frontier.less_equal(first.key()) {
                    break; // more may come for this piece, or for one before it
                }
                let (_time, found) = first.remove();
                printer.borrow_mut().print(found);
            }
        }
    })
}

/// Prints, and keeps what is said at the end.
struct Printer {
    search: Arc<Search>,
    /// Files of which it was told that they cannot be read; others of their pieces cannot either.
    unreadable: BTreeSet<usize>,
    outcome: Outcome,
}

impl Printer {
    fn new(search: &Arc<Search>) -> Self {
        Self {
            search: Arc::clone(search),
            unreadable: BTreeSet::new(),
            outcome: Outcome::new(),
        }
    }

    fn print(&mut self, found: Vec<InFile>) {
        let mut text = Vec::new();
        for (file, found) in found {
            match found {
                Found::Line(line) => {
                    let name = self.search.files[file].as_os_str().as_encoded_bytes();
                    text.extend([name, b":", &line, b"\n"].concat());
                    self.outcome.selected += 1;
                }
                Found::Count(lines) => self.outcome.selected += lines,
                Found::Unreadable(message) => {
                    self.outcome.has_failed = true;
                    if self.unreadable.insert(file) {
                        eprintln!("cluster_grep: {message}");
                    }
                }
            }
        }
        self.write(&text);
    }

    /// Prints the number of all lines, if that is wanted.
    fn finish(&mut self) {
        if self.search.is_count {
            self.write(format!("{}\n", self.outcome.selected).as_bytes());
        }
    }

    /// The lock is held until all is written: who ends the process waits for it, see `peers.rs`.
    fn write(&mut self, text: &[u8]) {
        if self.outcome.printed.is_ok() {
            let mut out = io::stdout().lock();
            self.outcome.printed = out.write_all(text).and_then(|()| out.flush());
        }
    }
}

impl Outcome {
    pub fn new() -> Self {
        Self {
            selected: 0,
            has_failed: false,
            printed: Ok(()),
        }
    }
}
