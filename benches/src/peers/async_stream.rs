//! async-stream: stackless generators as `Stream`s, polled with a waker that does nothing. On the heap, as they are kept
//! mostly; one that is pinned to the stack of its only caller is folded into the loop, and nothing is left to measure.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_stream::stream;
use futures_core::Stream;

use crate::work::{Work, close_each, hold_all, repeat, repeat_with, resume_at_random};

pub fn run(work: Work, n: u64) -> Option<Duration> {
    Some(match work {
        Work::Item => item(n),
        Work::Create => create(n),
        Work::Cold => hold_all(n, begun),
        Work::Close => close_each(n, || Some(chain(0)), |items| *items = None),
        Work::Delegation(depth) => delegation(depth, n),
        Work::Crowd(live) => resume_at_random(live, n, || chain(0), |items| next(items.as_mut())),
        // Nothing can be sent to it, and it cannot yield out of calls.
        Work::Send | Work::Tree | Work::Spawn | Work::PingPong => return None,
    })
}

fn begun() -> Pin<Box<dyn Stream<Item = u64>>> {
    let mut items = chain(0);
    next(items.as_mut());
    items
}

#[inline(always)]
fn next(items: Pin<&mut (impl Stream<Item = u64> + ?Sized)>) -> u64 {
    match items.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(value)) => value,
        _ => 0,
    }
}

fn item(n: u64) -> Duration {
    let mut items = black_box(Box::pin(stream! {
        let mut i = 0;
        loop {
            yield i;
            i += 1;
        }
    }));
    next(items.as_mut());
    repeat(n, || next(items.as_mut()))
}

fn create(n: u64) -> Duration {
    repeat_with(n, |i| {
        let mut items = black_box(Box::pin(stream! { yield i }));
        next(items.as_mut()).wrapping_add(next(items.as_mut()))
    })
}

/// A stream that counts, below so many others that forward it. It has begun.
fn chain(depth: usize) -> Pin<Box<dyn Stream<Item = u64>>> {
    let mut items: Pin<Box<dyn Stream<Item = u64>>> = if depth > 0 {
        Box::pin(stream! {
            for await value in chain(depth - 1) {
                yield value;
            }
        })
    } else {
        Box::pin(stream! {
            let mut i = 0;
            loop {
                yield i;
                i += 1;
            }
        })
    };
    next(items.as_mut());
    items
}

fn delegation(depth: usize, n: u64) -> Duration {
    let mut items = chain(depth);
    repeat(n, || next(items.as_mut()))
}
