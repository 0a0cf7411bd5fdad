//! Asynchronous generators, both ways.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::future::{block_on, yield_now};
use futures_lite::stream::{self, StreamExt};
use futures_lite::{FutureExt, Stream};
use yieldfrom::{Cancelled, await_, await_each, fiber, generator, stream, try_stream};

type Log = Rc<RefCell<Vec<String>>>;

fn poll_next<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_body_yields_and_waits_at_any_depth() {
    fn deep(depth: usize, s: &yieldfrom::AsyncYielder<usize>) -> Result<(), Cancelled> {
        if depth > 0 {
            deep(depth - 1, s)?;
            await_(yield_now())?;
            s.yield_(depth)?;
        }
        Ok(())
    }
    let items = stream(|s| deep(20, s));
    assert_eq!(
        block_on(items.collect::<Vec<_>>()),
        (1..=20).collect::<Vec<_>>()
    );
}

#[test]
fn nothing_runs_before_the_first_poll_and_nothing_after_the_end() {
    let log = Log::default();
    let mut s = stream({
        let log = log.clone();
        move |s| {
            log.borrow_mut().push("begins".into());
            s.yield_(1)?;
            log.borrow_mut().push("goes on".into());
            Ok(())
        }
    });
    assert!(log.borrow().is_empty());
    assert_eq!(poll_next(&mut s), Poll::Ready(Some(1)));
    assert_eq!(*log.borrow(), ["begins"]);
    assert_eq!(poll_next(&mut s), Poll::Ready(None));
    assert_eq!(poll_next(&mut s), Poll::Ready(None));
    assert_eq!(*log.borrow(), ["begins", "goes on"]);
}

#[test]
fn a_dropped_stream_ends_its_body_where_it_is() {
    for waits in [false, true] {
        let log = Log::default();
        let mut s = stream({
            let log = log.clone();
            move |s| {
                s.yield_("first")?;
                let ended = if waits {
                    await_(std::future::pending::<()>())
                } else {
                    s.yield_("second")
                };
                log.borrow_mut().push(format!("{ended:?}"));
                log.borrow_mut().push(format!("{:?}", s.yield_("third")));
                log.borrow_mut().push(format!("{:?}", await_(async {})));
                ended
            }
        });
        assert!(poll_next(&mut s).is_ready());
        assert_eq!(poll_next(&mut s).is_pending(), waits);
        drop(s);
        assert_eq!(*log.borrow(), ["Err(Cancelled)"; 3]);
    }
}

#[test]
fn an_error_is_the_last_item() {
    let s = try_stream(|s| {
        s.yield_(1)?;
        await_(yield_now())?;
        Err(io::Error::other("enough"))
    });
    let items: Vec<io::Result<i32>> = block_on(s.collect());
    assert_eq!(*items[0].as_ref().unwrap(), 1);
    assert_eq!(items[1].as_ref().unwrap_err().to_string(), "enough");
    assert_eq!(items.len(), 2);
}

#[test]
fn a_panic_comes_out_of_the_poll_and_ends_the_stream() {
    let mut s = stream(|s| {
        s.yield_(1)?;
        panic!("no more")
    });
    assert_eq!(poll_next(&mut s), Poll::Ready(Some(1)));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_next(&mut s))).is_err());
    assert_eq!(poll_next(&mut s), Poll::Ready(None));
}

#[test]
fn a_stream_is_an_iterator_in_a_fiber() {
    let f = fiber(|| {
        let slow = stream::iter(0..5).then(|n| async move {
            yield_now().await;
            n * n
        });
        await_each(slow).collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(block_on(f), Ok(vec![0, 1, 4, 9, 16]));
}

#[test]
fn an_iterator_over_a_stream_ends_after_it_is_cancelled() {
    let log = Log::default();
    let mut f = fiber({
        let log = log.clone();
        move || {
            for item in await_each(stream::pending::<u32>()) {
                log.borrow_mut().push(format!("{item:?}"));
            }
            log.borrow_mut().push("over".into());
        }
    });
    assert!(f.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(f);
    assert_eq!(*log.borrow(), ["Err(Cancelled)", "over"]);
}

#[test]
fn streams_are_chained_through_fibers() {
    let numbers = stream(|s| s.yield_from(0..10));
    let even = stream(|s| {
        for n in await_each(numbers) {
            let n: u32 = n?;
            if n % 2 == 0 {
                s.yield_(n)?;
            }
        }
        Ok(())
    });
    let sums = stream(|s| {
        let mut sum = 0;
        for n in generator(move |y| await_each(even).for_each(|n| y.yield_(n.unwrap()))) {
            sum += n;
            s.yield_(sum)?;
        }
        Ok(())
    });
    assert_eq!(block_on(sums.collect::<Vec<_>>()), [0, 2, 6, 12, 20]);
}

#[test]
fn to_yield_from_a_polled_future_is_a_clean_panic() {
    let mut s = stream(|s| {
        let outcome = catch_unwind(AssertUnwindSafe(|| await_(async { s.yield_(7) })));
        let payload = outcome.unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.starts_with("`yield_` called from outside the stream it belongs to"));
        s.yield_(1)
    });
    assert_eq!(poll_next(&mut s), Poll::Ready(Some(1)));
}
