//! Tasks that are cancelled at random lose nothing: no permit, no item, no notification, and no cancellation.
//!
//! `YIELDFROM_CANCELS=10000000 cargo test --release --test task_cancels` cancels that often in each test; by default it is less.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use yieldfrom::task::{
    BoundedSemaphore, Condition, Event, LifoQueue, Lock, LoopBuilder, PriorityQueue, Queue,
    Semaphore, Task, TimedOut, sleep, spawn, timeout,
};
use yieldfrom::{Cancelled, Exception, await_};

fn cancels() -> u64 {
    let asked = std::env::var("YIELDFROM_CANCELS").ok();
    asked.map_or(20_000, |cancels| cancels.parse().expect("a number"))
}

/// xorshift64: the same draws every time.
#[derive(Clone)]
struct Dice(Rc<Cell<u64>>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Rc::new(Cell::new(seed * 2 + 1)))
    }

    fn below(&self, n: u64) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        (state >> 33) % n
    }
}

/// Counts what was asked for and what was told.
#[derive(Clone, Default)]
struct Tally {
    asked: Rc<Cell<u64>>,
    told: Rc<Cell<u64>>,
    is_over: Rc<Cell<bool>>,
}

fn add(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Tally {
    /// A task that does something again and again, whatever happens to it, until it is over.
    fn worker(&self, mut work: impl FnMut() -> Result<(), Cancelled> + 'static) -> Task<()> {
        let tally = self.clone();
        spawn(move || {
            while !tally.is_over.get() {
                if work().is_err() {
                    add(&tally.told);
                    // One request, one error: there is nothing more to be told.
                    assert_eq!(yieldfrom::task::current().expect("a task").uncancel(), 0);
                }
            }
            Ok(())
        })
    }
}

/// Has workers do their work while they are cancelled at random, each only when it has been told of the last time.
fn torment(
    seed: u64,
    make: impl FnOnce(&Dice, &Tally) -> Vec<Task<()>> + 'static,
    wake: impl Fn() + 'static,
) {
    let cancels = cancels();
    let outcome = LoopBuilder::new().virtual_clock().run(move || {
        let (dice, tally) = (Dice::new(seed), Tally::default());
        let workers = make(&dice, &tally);
        await_(sleep(Duration::ZERO))?; // who is cancelled before that never begins
        while tally.asked.get() < cancels {
            for _ in 0..dice.below(4) {
                let worker = &workers[dice.below(workers.len() as u64) as usize];
                if worker.cancelling() == 0 && worker.cancel() {
                    add(&tally.asked);
                }
            }
            await_(sleep(Duration::from_nanos(dice.below(3))))?;
        }
        // Let all of them come to their end: who waits for something that nobody gives any more is told so.
        tally.is_over.set(true);
        while !workers.iter().all(Task::is_done) {
            wake();
            for worker in workers.iter().filter(|worker| worker.cancelling() == 0) {
                if worker.cancel() {
                    add(&tally.asked);
                }
            }
            await_(sleep(Duration::from_nanos(5)))?;
        }
        for worker in workers {
            // The last request may come when there is nothing more to wait for.
            if let Err(Exception::Cancelled) = await_(worker)? {
                add(&tally.told);
            }
        }
        assert_eq!(
            tally.told.get(),
            tally.asked.get(),
            "a cancellation is lost, or told twice"
        );
        Ok(())
    });
    outcome.expect("nobody waits for ever");
}

/// Waits for a random time, perhaps for no more than a turn.
fn pause(dice: &Dice) -> Result<(), Cancelled> {
    await_(sleep(Duration::from_nanos(dice.below(4))))
}

#[test]
fn no_permit_is_lost_or_doubled() {
    let (semaphore, bounded) = (Semaphore::new(3), BoundedSemaphore::new(2));
    let (ours, its) = (semaphore.clone(), bounded.clone());
    torment(
        1,
        move |dice, tally| {
            let at_once = Rc::new(Cell::new((0, 0)));
            let worker = |_| {
                let (dice, at_once) = (dice.clone(), at_once.clone());
                let (semaphore, bounded) = (ours.clone(), its.clone());
                tally.worker(move || {
                    let leave = |which: bool| {
                        let (a, b) = at_once.get();
                        at_once.set(if which { (a - 1, b) } else { (a, b - 1) });
                    };
                    let which = dice.below(2) == 0;
                    let _permit = match which {
                        true => await_(semaphore.acquire())?,
                        false => await_(bounded.acquire())?,
                    };
                    let (a, b) = at_once.get();
                    at_once.set(if which { (a + 1, b) } else { (a, b + 1) });
                    let (a, b) = at_once.get();
                    assert!(a <= 3 && b <= 2, "too many permits: {a}, {b}");
                    let paused = pause(&dice);
                    leave(which);
                    paused
                })
            };
            (0..12).map(worker).collect()
        },
        || {},
    );
    assert_eq!((semaphore.permits(), bounded.permits()), (3, 2));
    assert!(!semaphore.is_locked() && !bounded.is_locked());
    bounded.release().expect_err("all permits are back");
}

#[test]
fn a_lock_is_held_by_one_and_free_in_the_end() {
    let lock = Lock::new();
    let ours = lock.clone();
    torment(
        2,
        move |dice, tally| {
            let is_held = Rc::new(Cell::new(false));
            let worker = |_| {
                let (dice, lock, is_held) = (dice.clone(), ours.clone(), is_held.clone());
                tally.worker(move || {
                    let _guard = await_(lock.acquire())?;
                    assert!(!is_held.replace(true), "two hold it");
                    let paused = pause(&dice);
                    is_held.set(false);
                    paused
                })
            };
            (0..8).map(worker).collect()
        },
        || {},
    );
    assert!(!lock.is_locked());
    assert!(lock.try_acquire().is_some(), "nobody waits for it");
}

macro_rules! no_item_is_lost {
    ($($test:ident, $queue:ident, $seed:expr;)*) => {$(
        #[test]
        fn $test() {
            let queue = $queue::bounded(3);
            let ours = queue.clone();
            let (put, got) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(BTreeSet::new())));
            let (were_put, were_got) = (put.clone(), got.clone());
            torment(
                $seed,
                move |dice, tally| {
                    let producer = |_| {
                        let (dice, queue, put) = (dice.clone(), ours.clone(), were_put.clone());
                        tally.worker(move || {
                            pause(&dice)?;
                            let item: u64 = put.get();
                            let mut putting = queue.put(item);
                            // Numbered when it is in: whoever is cancelled has not put it.
                            match await_(&mut putting) {
                                Ok(done) => done.expect("it is not shut down"),
                                Err(cancelled) => {
                                    assert_eq!(putting.into_item(), Some(item), "not put, and gone");
                                    return Err(cancelled);
                                }
                            }
                            Ok(())
                        })
                    };
                    let numbered = |_| {
                        let (dice, queue, put) = (dice.clone(), ours.clone(), were_put.clone());
                        tally.worker(move || {
                            pause(&dice)?;
                            // Nobody else runs between these two.
                            if queue.put_nowait(1_000_000_000 + put.get()).is_ok() {
                                put.set(put.get() + 1);
                            }
                            Ok(())
                        })
                    };
                    let consumer = |_| {
                        let (dice, queue, got) = (dice.clone(), ours.clone(), were_got.clone());
                        tally.worker(move || {
                            let item = await_(queue.get())?.expect("it is not shut down");
                            if item >= 1_000_000_000 {
                                assert!(got.borrow_mut().insert(item), "{item} was got twice");
                            }
                            queue.task_done().expect("it was put");
                            pause(&dice)
                        })
                    };
                    let mut workers: Vec<_> = (0..3).map(producer).collect();
                    workers.extend((0..3).map(numbered));
                    workers.extend((0..6).map(consumer));
                    workers
                },
                || {},
            );
            while let Ok(item) = queue.get_nowait() {
                queue.task_done().expect("it was put");
                if item >= 1_000_000_000 {
                    assert!(got.borrow_mut().insert(item), "{item} was got twice");
                }
            }
            // Every item was got once, and the queue knows that all are done with.
            assert_eq!(got.borrow().len() as u64, put.get());
            queue.task_done().expect_err("every item is done with");
            assert!(queue.is_empty() && !queue.is_full());
        }
    )*};
}

no_item_is_lost! {
    no_item_of_a_queue_is_lost_or_doubled, Queue, 3;
    no_item_of_a_lifo_queue_is_lost_or_doubled, LifoQueue, 4;
    no_item_of_a_priority_queue_is_lost_or_doubled, PriorityQueue, 5;
}

/// A buffer of three places, made with a condition: who is notified and cannot use it lets somebody else know.
#[test]
fn no_notification_is_lost() {
    let condition = Condition::new();
    let (ours, wakes) = (condition.clone(), condition.clone());
    let (stored, put, got) = (
        Rc::new(Cell::new(0)),
        Rc::new(Cell::new(0)),
        Rc::new(Cell::new(0)),
    );
    let (in_store, were_put, were_got) = (stored.clone(), put.clone(), got.clone());
    torment(
        6,
        move |dice, tally| {
            let side = |is_producer: bool| {
                let (dice, condition, stored) = (dice.clone(), ours.clone(), in_store.clone());
                let count = if is_producer {
                    were_put.clone()
                } else {
                    were_got.clone()
                };
                tally.worker(move || {
                    pause(&dice)?;
                    let mut guard = await_(condition.acquire())?;
                    let can = || {
                        if is_producer {
                            stored.get() < 3
                        } else {
                            stored.get() > 0
                        }
                    };
                    let waited = await_(condition.wait_for(&mut guard, can));
                    // Cancelled or not, the lock is held.
                    assert!(condition.lock().is_locked());
                    waited?;
                    stored.set(if is_producer {
                        stored.get() + 1
                    } else {
                        stored.get() - 1
                    });
                    add(&count);
                    condition.notify(1);
                    Ok(())
                })
            };
            let sides = (0..4).flat_map(|_| [side(true), side(false)]);
            sides.collect()
        },
        move || assert!(!wakes.lock().is_locked() || wakes.lock().try_acquire().is_none()),
    );
    assert_eq!(put.get(), got.get() + stored.get());
    assert!(!condition.lock().is_locked());
}

#[test]
fn timeouts_and_cancellations_do_not_take_each_other_for_themselves() {
    let event = Event::new();
    let ours = event.clone();
    let (timeouts, in_time) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (late, early) = (timeouts.clone(), in_time.clone());
    torment(
        7,
        move |dice, tally| {
            let worker = |_| {
                let (dice, event) = (dice.clone(), ours.clone());
                let (late, early) = (late.clone(), early.clone());
                tally.worker(move || {
                    pause(&dice)?;
                    let [outer, inner] = [(); 2].map(|()| Duration::from_nanos(dice.below(4)));
                    match timeout(outer, || timeout(inner, || Ok(await_(event.wait())?))) {
                        Ok(()) => add(&early),
                        Err(Exception::Cancelled) => return Err(Cancelled::new()),
                        Err(error) => {
                            assert!(error.is::<TimedOut>(), "{error}");
                            add(&late);
                        }
                    }
                    Ok(())
                })
            };
            let setter = {
                let (dice, event) = (dice.clone(), ours.clone());
                tally.worker(move || {
                    event.set();
                    pause(&dice)?;
                    event.clear();
                    pause(&dice)
                })
            };
            (0..8).map(worker).chain([setter]).collect()
        },
        || {},
    );
    let (timeouts, in_time) = (timeouts.get(), in_time.get());
    assert!(timeouts > 100 && in_time > 100, "{timeouts} and {in_time}");
}
