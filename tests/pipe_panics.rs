//! Pipelines in which each step panics once, wherever code of a user's runs: no item is seen after its end, none is dropped
//! twice, and none is lost. Everything else about a panic is in tests/pipes.rs. Run under AddressSanitizer by `.ci/run`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use yieldfrom::pipe::{
    Receiver, Sender, Source, Stage, batch, broadcast, chain, collect, filter_map, flat_map,
    from_iter, head, map, map_ref, merge, merge_by, sink, skip, source, stage, tail, take_while,
    tee, try_map, uniq, uniq_count,
};
use yieldfrom::{Exception, set_unraisable_hook};

thread_local! {
    static LIVE: RefCell<BTreeSet<u64>> = const { RefCell::new(BTreeSet::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
    /// How many steps are left before the panic.
    static FUSE: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Panics if its turn has come.
fn step() {
    match FUSE.get() {
        Some(0) => {
            FUSE.set(None);
            panic!("the fuse has burnt");
        }
        fuse => FUSE.set(fuse.map(|left| left - 1)),
    }
}

/// An item on the heap that knows whether it lives.
#[derive(Debug)]
struct Item {
    number: Box<i32>,
    id: u64,
}

impl Item {
    fn new(number: i32) -> Self {
        let id = NEXT.replace(NEXT.get() + 1);
        LIVE.with_borrow_mut(|live| live.insert(id));
        Self {
            number: Box::new(number),
            id,
        }
    }

    fn look(&self) -> i32 {
        if !LIVE.with_borrow(|live| live.contains(&self.id)) {
            fatal("an item is seen after its end");
        }
        *self.number
    }
}

/// Not a panic, which would pass for one of those that are planned.
fn fatal(message: &str) -> ! {
    eprintln!("{message}");
    std::process::abort();
}

impl Clone for Item {
    fn clone(&self) -> Self {
        step();
        Self::new(self.look())
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        step();
        self.look() == other.look()
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if !LIVE.with_borrow_mut(|live| live.remove(&self.id)) {
            fatal("an item is dropped twice");
        }
        if !std::thread::panicking() {
            step();
        }
    }
}

/// Passes items on, looks at each before and after, and sends one that it has captured in the end.
fn pass() -> Stage<Item> {
    let last = Item::new(99);
    stage(move |items: &mut Receiver<Item>, out: &mut Sender<Item>| {
        while let Some(item) = items.recv() {
            step();
            last.look();
            out.send(item)?;
            item.look();
        }
        step();
        Ok(out.send(&last)?)
    })
}

fn items() -> Source<Item> {
    source(|out: &mut Sender<Item>| {
        for n in 0..7 {
            step();
            let item = Item::new(n / 2);
            out.send(&item)?;
            item.look();
        }
        step();
        Ok(())
    })
}

fn pipelines() -> Vec<fn() -> Source<Item>> {
    vec![
        || items().pipe(pass()).pipe(pass()),
        || items().pipe(uniq()).pipe(pass()),
        || items().pipe(tail(2)).pipe(pass()),
        || {
            items()
                .pipe(uniq_count())
                .pipe(map_ref(|counted: &(u64, Item)| &counted.1))
                .pipe(pass())
        },
        || {
            items()
                .pipe(batch(2))
                .pipe(map(|batch: &[Item]| batch[0].clone()))
                .pipe(pass())
        },
        || items().pipe(pass()).pipe(head(3)).pipe(pass()),
        || {
            items()
                .pipe(skip(1))
                .pipe(flat_map(|item: &Item| vec![item.clone(); 2]))
        },
        || {
            items()
                .pipe(take_while(|item: &Item| item.look() < 2))
                .pipe(pass())
        },
        || {
            items()
                .pipe(filter_map(|item: &Item| {
                    (item.look() > 0).then(|| item.clone())
                }))
                .pipe(pass())
        },
        || {
            items()
                .pipe(try_map(|item: &Item| Ok::<_, Exception>(item.clone())))
                .pipe(pass())
        },
        || items().pipe(tee(uniq().into(collect()))).pipe(pass()),
        || merge([items().pipe(pass()), items()]).pipe(pass()),
        || {
            merge_by([items(), items().pipe(pass())], |a: &Item, b: &Item| {
                step();
                a.look().cmp(&b.look())
            })
        },
        || chain([items().pipe(head(2)), items().pipe(pass())]),
        || from_iter(vec![Item::new(1), Item::new(2)]).pipe(pass()),
    ]
}

fn ways() -> Vec<fn(Source<Item>)> {
    vec![
        |source| drop(source.into(collect())),
        |source| {
            let sinks = [
                head(2).into(collect()),
                tail(2).into(collect()),
                uniq().into(collect()),
            ];
            drop(source.into(broadcast(sinks)));
        },
        |source| {
            let _ = source.for_each(|item| {
                item.look();
                step();
            });
        },
        |source| {
            for item in source {
                let Ok(item) = item else { break };
                item.look();
            }
        },
        |source| {
            let mut pull = source.pull();
            for _ in 0..3 {
                let _ = pull.recv().map(|item| item.map(Item::look));
                pull.current().map(Item::look);
            }
        },
        |source| {
            let mut pull = source.pull();
            let _ = pull.recv().map(|item| item.map(Item::look));
            let _ = pull.close();
        },
        // Goes on after a panic.
        |source| {
            let mut pull = source.pull();
            for _ in 0..20 {
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    pull.recv().map(|item| item.map(Item::look))
                }));
                pull.current().map(Item::look);
            }
        },
        |source| {
            let mut sink = pass().into(uniq().into(sink(|items: &mut Receiver<Item>| {
                let mut all = Vec::new();
                while let Some(item) = items.recv() {
                    all.push(item.clone());
                }
                Ok::<_, Exception>(all)
            })));
            for item in source {
                let Ok(item) = item else { break };
                let _ = catch_unwind(AssertUnwindSafe(|| sink.send(&item)));
            }
            drop(sink.close());
        },
    ]
}

#[test]
fn a_panic_at_any_step_leaves_no_item_behind() {
    std::panic::set_hook(Box::new(|_| {}));
    set_unraisable_hook(|_| {});
    let mut runs = 0;
    for pipeline in pipelines() {
        for way in ways() {
            for fuse in 0.. {
                FUSE.set(Some(fuse));
                let _ = catch_unwind(|| way(pipeline()));
                let has_burnt = FUSE.take().is_none();
                runs += 1;
                let live = LIVE.with_borrow(BTreeSet::len);
                if live != 0 {
                    fatal(&format!("run {runs}: {live} items are left"));
                }
                if !has_burnt {
                    break;
                }
            }
        }
    }
    let _ = std::panic::take_hook();
    assert!(runs > 3000, "only {runs} runs");
}
