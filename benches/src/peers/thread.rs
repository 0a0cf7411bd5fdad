//! A thread that hands its items over through a channel without room.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use crate::work::{Node, Work, close_each, repeat, repeat_with, run_out, tree};

pub fn run(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Item => item(n),
        Work::Send => send(n),
        Work::Create => create(n),
        Work::Close => close_each(n, || Some(begun(count)), |items| drop(items.take())),
        Work::Tree => walk(n),
        // Hundreds of threads measure the scheduler.
        Work::Cold | Work::Delegation(_) | Work::Crowd(_) => return None,
        // These are about tasks of one thread.
        Work::Spawn | Work::PingPong => return None,
    })
}

/// Ends and joins its thread when it is dropped.
struct Items {
    receiver: Option<Receiver<u64>>,
    thread: Option<JoinHandle<()>>,
}

impl Items {
    fn of(body: impl FnOnce(SyncSender<u64>) + Send + 'static) -> Self {
        let (sender, receiver) = sync_channel(0);
        Self {
            receiver: Some(receiver),
            thread: Some(spawn(move || body(sender))),
        }
    }
}

impl Iterator for Items {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.receiver.as_ref()?.recv().ok()
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        self.receiver = None;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "a body panicked");
    }
}

fn begun(body: impl FnOnce(SyncSender<u64>) + Send + 'static) -> Items {
    let mut items = Items::of(body);
    items.next();
    items
}

fn count(sender: SyncSender<u64>) {
    let mut i = 0;
    while sender.send(i).is_ok() {
        i += 1;
    }
}

fn item(n: u64) -> Duration {
    let mut items = begun(count);
    repeat(n, || items.next().unwrap_or(0))
}

fn send(n: u64) -> Duration {
    let (to_body, sent) = sync_channel::<u64>(0);
    let mut answers = Items::of(move |answers| {
        for value in sent {
            if answers.send(value.wrapping_add(1)).is_err() {
                break;
            }
        }
    });
    let spent = repeat_with(n, |i| match to_body.send(i) {
        Ok(()) => answers.next().unwrap_or(0),
        Err(_) => 0,
    });
    drop(to_body); // or the body waits for more
    spent
}

fn create(n: u64) -> Duration {
    repeat_with(n, |i| {
        run_out(Items::of(move |sender| {
            let _ = sender.send(i);
        }))
    })
}

fn walk(n: u64) -> Duration {
    fn in_order(sender: &SyncSender<u64>, node: &Node) -> Option<()> {
        if let Some(left) = &node.left {
            in_order(sender, left)?;
        }
        sender.send(node.value).ok()?;
        if let Some(right) = &node.right {
            in_order(sender, right)?;
        }
        Some(())
    }
    let root = tree();
    let mut values = Items::of(move |sender| {
        let _ = in_order(&sender, root);
    });
    repeat(n, || values.next().unwrap_or(0))
}
