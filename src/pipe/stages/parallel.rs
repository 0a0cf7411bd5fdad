//! A part of a pipeline on several threads.

#![forbid(unsafe_code)]

use std::any::Any;
use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Queue, Sender as Enqueue, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::receiver::Receiver;
use crate::pipe::sender::Sender;
use crate::pipe::sink::{Sink, sink};
use crate::pipe::source::Source;
use crate::pipe::stage::Stage;
use crate::pipe::target::Closed;
use crate::unraisable::forget_if_it_panics;

/// How many items wait for each thread at most.
const WAITING: usize = 4;

/// Beyond what a system has, `std` aborts instead of failing to spawn.
const MOST_THREADS: usize = 4096;

/// Runs a part of a pipeline on `threads` threads. The results go on in the order of the items they come from.
///
/// Coroutines stay on their thread, so it is `build` that travels: every thread makes stages of its own with it, puts them
/// behind a source of the items that it is given, and what comes out there goes on here. Items go to the threads in turn.
/// So stages that keep something between items, such as `head`, do so for each thread; what a thread sends only when its
/// items have come to an end goes on last, in the order of the threads. (So does a `parallel` inside, and what is measured
/// has to be outside: [`Stats`](crate::pipe::Stats) stay on their thread.) When every thread has had enough, this ends.
///
/// It is worth its while if the work on an item takes some ten microseconds or more: search blocks of 1 MiB
/// ([`Text::block_size`](crate::pipe::Text::block_size)), not lines.
///
/// ```
/// use yieldfrom::pipe::{Block, Source, Text, count_matches, parallel, sum};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let text = &b"no snakes here\nPython, you are so cool\n"[..];
/// let search = |blocks: Source<Block>| blocks.pipe(count_matches("Python"));
/// let blocks = Text::new().block_size(1 << 20).blocks(text);
/// assert_eq!(blocks.pipe(parallel(2, search)).into(sum())?, 1);
/// # Ok(())
/// # }
/// ```
///
/// Items are cloned for their thread; a [`Block`](crate::pipe::Block) shares its bytes. A result may wait until
/// 4 × `threads` further items have come, or the source ends.
///
/// # Errors
///
/// The first failure in the order of the items; the items before it have been processed. An [`io::Error`] if a thread
/// cannot be spawned.
///
/// # Panics
///
/// If `threads` is 0 or more than 4,096. A panic on a thread goes on here.
pub fn parallel<T, U, F>(threads: usize, build: F) -> Stage<T, U>
where
    T: ?Sized + ToOwned<Owned: Send + 'static> + 'static,
    U: ?Sized + ToOwned<Owned: Send + 'static> + 'static,
    F: Fn(Source<T>) -> Source<U> + Send + Sync + 'static,
{
    assert!(
        (1..=MOST_THREADS).contains(&threads),
        "`parallel` takes from 1 to {MOST_THREADS} threads"
    );
    Builder::named("parallel").stage(move |items: &mut Receiver<T>, out: &mut Sender<U>| {
        let mut workers = Workers::spawn::<T, U, F>(threads, build)?;
        while let Some(item) = items.recv() {
            if workers.are_busy() {
                workers.pass_next(out)?;
            }
            workers.give(item.to_owned());
            while workers.pass_ready(out)? {}
            if workers.have_ended() {
                break;
            }
        }
        while workers.pass_next(out)? {}
        workers.finish(out)
    })
}

/// What a thread has sent on because of one item, or, last of all, because there were no more.
struct Answer<U> {
    results: Vec<U>,
    failure: Option<Failure>,
    /// The pipeline on the thread has ended with this item.
    has_ended: bool,
}

enum Failure {
    Exception(Exception),
    Panic(Box<dyn Any + Send>),
}

struct Worker<T, U> {
    /// Empty once there are no more items.
    items: Option<SyncSender<T>>,
    answers: Queue<Answer<U>>,
    thread: JoinHandle<()>,
}

/// The threads, and for which items there is no answer yet.
///
/// Item `n` goes to thread `n % threads`, and each thread answers in the order of its items. So it is known whose answer is
/// the next in the order of all items, and nothing has to be sorted.
struct Workers<T, U> {
    workers: Vec<Worker<T, U>>,
    given: usize,
    answered: usize,
    /// How many pipelines have ended before their items have.
    ended: usize,
}

impl<T: Send + 'static, U: Send + 'static> Workers<T, U> {
    fn spawn<S, V, F>(threads: usize, build: F) -> io::Result<Self>
    where
        S: ?Sized + ToOwned<Owned = T> + 'static,
        V: ?Sized + ToOwned<Owned = U> + 'static,
        T: Borrow<S>,
        F: Fn(Source<S>) -> Source<V> + Send + Sync + 'static,
    {
        let build = Arc::new(build);
        let mut all = Self {
            workers: Vec::new(),
            given: 0,
            answered: 0,
            ended: 0,
        };
        for number in 1..=threads {
            let build = Arc::clone(&build);
            let (items, queue) = sync_channel(WAITING);
            let (answer, answers) = channel();
            let thread = thread::Builder::new()
                .name(format!("parallel {number}"))
                .spawn(move || work(queue, answer, &*build))?;
            all.workers.push(Worker {
                items: Some(items),
                answers,
                thread,
            });
        }
        Ok(all)
    }

    /// Whether nobody wants more items.
    fn have_ended(&self) -> bool {
        self.ended == self.workers.len()
    }

    /// Whether as many items are on their way as there may be.
    fn are_busy(&self) -> bool {
        self.given - self.answered == self.workers.len() * WAITING
    }

    fn give(&mut self, item: T) {
        let worker = &self.workers[self.given % self.workers.len()];
        let items = worker.items.as_ref().expect("the source has not ended");
        // It takes items until it is told that there are no more, also if its pipeline has ended.
        items.send(item).expect("a worker takes every item");
        self.given += 1;
    }

    /// Waits for the next answer and sends it on, if there is one to come.
    fn pass_next<V>(&mut self, out: &mut Sender<V>) -> Result<bool, Exception>
    where
        V: ?Sized,
        U: Borrow<V>,
    {
        let answer = self
            .next()
            .map(|answers| answers.recv().expect("a worker answers every item"));
        self.pass(answer, out)
    }

    /// Sends the next answer on, if it is there.
    fn pass_ready<V>(&mut self, out: &mut Sender<V>) -> Result<bool, Exception>
    where
        V: ?Sized,
        U: Borrow<V>,
    {
        let answer = self.next().and_then(|answers| answers.try_recv().ok());
        self.pass(answer, out)
    }

    /// Where the next answer comes, unless there is none to come.
    fn next(&self) -> Option<&Queue<Answer<U>>> {
        let worker = &self.workers[self.answered % self.workers.len()];
        (self.answered < self.given).then_some(&worker.answers)
    }

    fn pass<V>(&mut self, answer: Option<Answer<U>>, out: &mut Sender<V>) -> Result<bool, Exception>
    where
        V: ?Sized,
        U: Borrow<V>,
    {
        let Some(answer) = answer else {
            return Ok(false);
        };
        self.answered += 1;
        self.ended += usize::from(answer.has_ended);
        pass(answer, out)?;
        Ok(true)
    }

    /// Tells every thread that there are no more items, and sends on what they still have.
    fn finish<V>(mut self, out: &mut Sender<V>) -> Result<(), Exception>
    where
        V: ?Sized,
        U: Borrow<V>,
    {
        for worker in &mut self.workers {
            worker.items = None;
        }
        for worker in &self.workers {
            let last = worker.answers.recv();
            pass(last.expect("a worker answers at its end"), out)?;
        }
        Ok(())
    }
}

impl<T, U> Drop for Workers<T, U> {
    /// Waits for the threads. Nobody wants their answers any more, so each ends with the item that it has.
    fn drop(&mut self) {
        let mut threads = Vec::new();
        for worker in self.workers.drain(..) {
            threads.push(worker.thread);
            forget_if_it_panics((worker.items, worker.answers));
        }
        for thread in threads {
            if let Err(payload) = thread.join() {
                std::mem::forget(payload); // its destructor might panic
            }
        }
    }
}

fn pass<U, V>(answer: Answer<U>, out: &mut Sender<V>) -> Result<(), Exception>
where
    V: ?Sized,
    U: Borrow<V>,
{
    out.send_each(answer.results)?;
    match answer.failure {
        None => Ok(()),
        Some(Failure::Exception(exception)) => Err(exception),
        Some(Failure::Panic(payload)) => resume_unwind(payload),
    }
}

/// What a thread does: answers every item, and once more at the end.
fn work<S, V>(
    queue: Queue<S::Owned>,
    answers: Enqueue<Answer<V::Owned>>,
    build: impl Fn(Source<S>) -> Source<V>,
) where
    S: ?Sized + ToOwned<Owned: 'static> + 'static,
    V: ?Sized + ToOwned<Owned: 'static> + 'static,
{
    let queue = Rc::new(queue);
    let results = Rc::new(RefCell::new(Vec::new()));
    // Whether there is an item that was not answered yet.
    let owes = Rc::new(Cell::new(false));
    let source = {
        let (queue, results) = (Rc::clone(&queue), Rc::clone(&results));
        let (owes, answers) = (Rc::clone(&owes), answers.clone());
        Builder::named("parallel").source(move |out: &mut Sender<S>| {
            for item in queue.iter() {
                owes.set(true);
                out.send(item.borrow())?;
                let answer = Answer {
                    results: results.take(),
                    failure: None,
                    has_ended: false,
                };
                answers.send(answer).map_err(|_| Closed)?;
                owes.set(false);
            }
            Ok(())
        })
    };
    let run = || build(source).into(keep(Rc::clone(&results)));
    let failure = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => None,
        Ok(Err(exception)) => Some(Failure::Exception(exception)),
        Err(payload) => Some(Failure::Panic(payload)),
    };
    // If the pipeline has ended before its items have, the next one is answered with what it has left behind, and the others
    // with nothing. Whoever asks may be gone; then nobody wants the answers.
    let mut last = Answer {
        results: results.take(),
        failure,
        has_ended: true,
    };
    let mut owes = owes.get();
    loop {
        if !owes {
            let Ok(item) = queue.recv() else { break };
            forget_if_it_panics(item);
        }
        owes = false;
        let nothing = Answer {
            results: Vec::new(),
            failure: None,
            has_ended: false,
        };
        if answers.send(std::mem::replace(&mut last, nothing)).is_err() {
            return;
        }
    }
    let _ = answers.send(last);
}

fn keep<V>(results: Rc<RefCell<Vec<V::Owned>>>) -> Sink<V, Result<(), Infallible>>
where
    V: ?Sized + ToOwned<Owned: 'static> + 'static,
{
    sink(move |items: &mut Receiver<V>| {
        while let Some(item) = items.recv() {
            results.borrow_mut().push(item.to_owned());
        }
        Ok(())
    })
}
