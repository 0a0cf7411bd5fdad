//! loom runs threads that send messages to a loop, and the loop that sleeps when there are none, in every order. If a wake-up could
//! be lost, there would be one in which the loop sleeps for ever, and loom would say so.

#![cfg(all(test, loom))]
#![forbid(unsafe_code)]

#[path = "../../../src/task/inbox.rs"]
#[allow(dead_code)]
mod inbox;

use std::task::{Wake, Waker};

use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

use inbox::{Errand, Inbox};

/// Whoever runs the loop.
struct Sleeper(Notify);

impl Wake for Sleeper {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.notify();
    }
}

/// A loop: takes what there is, and sleeps when there is nothing, until `enough` says so.
fn run<M>(inbox: &Inbox<M>, mut take: impl FnMut(M), enough: impl Fn() -> bool) {
    let sleeper = std::sync::Arc::new(Sleeper(Notify::new()));
    let waker = Waker::from(sleeper.clone());
    while !enough() {
        if inbox.has_mail() {
            inbox.take().into_iter().for_each(&mut take);
        }
        if !enough() && inbox.sleep(&waker) {
            sleeper.0.wait();
        }
    }
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(model);
}

#[test]
fn a_loop_that_sleeps_is_woken_by_every_message() {
    check(|| {
        let inbox = Arc::new(Inbox::new());
        let senders = [1, 2].map(|number| {
            let inbox = inbox.clone();
            thread::spawn(move || inbox.send(number).expect("it is not closed"))
        });
        let got = std::cell::Cell::new(0);
        run(&inbox, |number| got.set(got.get() + number), || got.get() == 3);
        for sender in senders {
            sender.join().expect("it does not panic");
        }
    });
}

/// Two threads make something ready, and wake the same task. It is enough that one message arrives, if the loop then sees what
/// both have done.
#[test]
fn a_wake_that_finds_a_message_on_its_way_is_not_lost() {
    check(|| {
        let (inbox, errand) = (Arc::new(Inbox::new()), Arc::new(Errand::new()));
        let ready = Arc::new(AtomicUsize::new(0));
        let wakers = [(); 2].map(|()| {
            let (inbox, errand, ready) = (inbox.clone(), errand.clone(), ready.clone());
            thread::spawn(move || {
                ready.fetch_add(1, Ordering::Relaxed);
                if errand.sets_out() {
                    inbox.send(()).expect("it is not closed");
                }
            })
        });
        let seen = std::cell::Cell::new(0);
        let turn = |()| {
            errand.arrives();
            seen.set(ready.load(Ordering::Relaxed));
        };
        run(&inbox, turn, || seen.get() == 2);
        for waker in wakers {
            waker.join().expect("it does not panic");
        }
    });
}

#[test]
fn a_message_is_taken_or_comes_back_when_the_loop_closes() {
    check(|| {
        let inbox = Arc::new(Inbox::new());
        let sender = {
            let inbox = inbox.clone();
            thread::spawn(move || inbox.send(()).is_ok())
        };
        let left = inbox.close().len();
        let was_taken = sender.join().expect("it does not panic");
        assert_eq!(left, usize::from(was_taken));
    });
}
