//! How often memory is allocated: once for each generator or coroutine, and never after that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use yieldfrom::pipe::{
    Receiver, Sender, count, filter, from_iter, head, inspect, map_ref, sink, source,
};
use yieldfrom::{Exception, Step, coroutine, generator};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: forwards to the system's allocator; the counter is a plain thread-local that allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The second run finds the stacks of the first in the pool.
fn of_the_second(mut work: impl FnMut()) -> usize {
    work();
    allocations(work)
}

#[test]
fn a_generator_is_one_allocation() {
    let count = of_the_second(|| {
        let mut numbers = generator(|y| {
            y.yield_from(0..10_u64);
            "end"
        });
        assert_eq!(numbers.by_ref().sum::<u64>(), 45);
        assert_eq!(numbers.take_return(), Some("end"));
    });
    assert_eq!(count, 1);
}

#[test]
fn a_coroutine_is_one_allocation_and_closing_it_is_none() {
    let count = of_the_second(|| {
        let mut echo = coroutine(|co| -> Result<(), Exception> {
            let mut last = co.yield_(0)?;
            loop {
                last = co.yield_(last)?;
            }
        });
        echo.prime().unwrap();
        assert_eq!(echo.send(7_u64).unwrap(), Step::Yielded(7));
        assert!(matches!(echo.close(), Ok(None)));
    });
    assert_eq!(count, 1);
}

#[test]
fn a_delegation_allocates_nothing() {
    let count = of_the_second(|| {
        let outer = coroutine(|co| {
            let mut inner = coroutine(|co| co.yield_each(0..10_u64));
            co.yield_from(&mut inner)
        });
        assert_eq!(outer.map(Result::unwrap).sum::<u64>(), 45);
    });
    assert_eq!(count, 2);
}

#[test]
fn a_pipeline_allocates_nothing_for_an_item() {
    let mut counter = sink(|lines: &mut Receiver<str>| {
        let mut bytes = 0;
        while let Some(line) = lines.recv() {
            bytes += line.len();
        }
        bytes
    });
    counter.send("first").unwrap();
    assert_eq!(
        allocations(|| (0..100).for_each(|_| counter.send("line").unwrap())),
        0
    );
    assert_eq!(counter.close(), 405);
}

#[test]
fn a_composed_pipeline_allocates_nothing_for_an_item_pushed_or_pulled() {
    let pipeline = |items: u64| {
        let source = source(move |out: &mut Sender<(u64, String)>| {
            let mut item = (0, "a string".to_owned());
            for n in 0..items {
                item.0 = n;
                out.send(&item)?;
            }
            Ok(())
        });
        let words = source
            .pipe(filter(|item: &(u64, String)| item.0 % 3 > 0))
            .pipe(head(u64::MAX));
        words
            .pipe(map_ref(|item: &(u64, String)| &*item.1))
            .pipe(inspect(|_| ()))
    };
    let pushed = |items| of_the_second(|| assert!(pipeline(items).into(count()).is_ok()));
    assert_eq!(pushed(10), pushed(1000));
    let pulled = |items| of_the_second(|| assert!(pipeline(items).for_each(|_| ()).is_ok()));
    assert_eq!(pulled(10), pulled(1000));
    let iterated = of_the_second(|| assert_eq!(from_iter(0..1000).into_iter().count(), 1000));
    assert!(iterated < 10, "{iterated} allocations");
}
