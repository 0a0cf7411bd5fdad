//! Pipelines: who runs when, what closes what, and where a failure comes out; pushed and pulled.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use yieldfrom::pipe::{
    Closed, Pull, Receiver, Sender, Sink, Source, Stage, Stats, collect, count, filter, from_iter,
    head, inspect, map, read_from, sink, source, stage, tail,
};
use yieldfrom::{Builder, Exception, generator};

/// What happened, in order.
#[derive(Clone, Default)]
struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    fn push(&self, event: impl Into<String>) {
        self.0.borrow_mut().push(event.into());
    }

    #[track_caller]
    fn assert(&self, events: &[&str]) {
        assert_eq!(self.0.take(), events);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Bad(&'static str);

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Bad {}

/// An error with a cause.
#[derive(Debug)]
struct Outer(Bad);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn numbers(trace: &Trace) -> Source<i32> {
    let trace = trace.clone();
    source(move |out: &mut Sender<i32>| {
        for n in 1.. {
            trace.push(format!("source sends {n}"));
            if out.send(&n).is_err() {
                break;
            }
        }
        trace.push("source ends");
        Ok(())
    })
}

/// Passes items on, and says what it sees.
fn pass(name: &'static str, trace: &Trace) -> Stage<i32> {
    let trace = trace.clone();
    stage(move |items: &mut Receiver<i32>, out: &mut Sender<i32>| {
        while let Some(item) = items.recv() {
            trace.push(format!("{name} has {item}"));
            if out.send(item).is_err() {
                break;
            }
        }
        trace.push(format!("{name} ends"));
        Ok(())
    })
}

fn gather(trace: &Trace) -> Sink<i32, Result<Vec<i32>, Bad>> {
    let trace = trace.clone();
    sink(move |items: &mut Receiver<i32>| {
        let mut all = Vec::new();
        while let Some(&item) = items.recv() {
            all.push(item);
        }
        trace.push("sink ends");
        Ok(all)
    })
}

#[test]
fn nothing_runs_before_the_pipeline_is_started() {
    let trace = Trace::default();
    drop(numbers(&trace).pipe(pass("a", &trace)));
    drop(numbers(&trace).pipe(pass("a", &trace)).pull());
    numbers(&trace).pull().close().unwrap();
    trace.assert(&[]);
}

#[test]
fn an_early_end_closes_upstream_at_once_and_the_rest_from_the_source_down() {
    let trace = Trace::default();
    let pipeline = numbers(&trace).pipe(pass("a", &trace)).pipe(head(1));
    let all = pipeline.pipe(pass("b", &trace)).into(gather(&trace));
    assert_eq!(all.unwrap(), [1]);
    // `head` ends with its first item, so `a` and the source learn of it with that very item.
    trace.assert(&[
        "source sends 1",
        "a has 1",
        "b has 1",
        "b ends",
        "sink ends",
        "a ends",
        "source ends",
    ]);
}

#[test]
fn the_end_of_the_source_closes_the_stages_in_their_order() {
    let trace = Trace::default();
    let pipeline = from_iter([1])
        .pipe(pass("a", &trace))
        .pipe(pass("b", &trace));
    assert_eq!(pipeline.into(gather(&trace)).unwrap(), [1]);
    trace.assert(&["a has 1", "b has 1", "a ends", "b ends", "sink ends"]);
}

#[test]
fn a_pulled_pipeline_runs_only_as_far_as_needed() {
    let trace = Trace::default();
    let mut pull = numbers(&trace).pipe(pass("a", &trace)).pull();
    assert_eq!(pull.current(), None);
    assert_eq!(pull.recv().unwrap(), Some(&1));
    assert_eq!(pull.current(), Some(&1));
    trace.assert(&["source sends 1", "a has 1"]);
    assert_eq!(pull.recv().unwrap(), Some(&2));
    trace.assert(&["source sends 2", "a has 2"]);
    // G-147: outside in.
    pull.close().unwrap();
    trace.assert(&["a ends", "source ends"]);
    let mut pull = numbers(&trace).pipe(pass("a", &trace)).pull();
    pull.recv().unwrap();
    trace.assert(&["source sends 1", "a has 1"]);
    drop(pull);
    trace.assert(&["a ends", "source ends"]);
}

#[test]
fn an_early_end_of_a_pulled_stage_ends_the_ones_before_it() {
    let trace = Trace::default();
    let mut pull = numbers(&trace).pipe(pass("a", &trace)).pipe(head(1)).pull();
    assert_eq!(pull.recv().unwrap(), Some(&1));
    assert_eq!(pull.recv().unwrap(), None);
    trace.assert(&["source sends 1", "a has 1", "a ends", "source ends"]);
    assert_eq!(pull.recv().unwrap(), None);
    assert_eq!(pull.current(), None);
    pull.close().unwrap();
}

/// A stage that keeps the last two items back.
fn delayed() -> Stage<i32> {
    stage(|items: &mut Receiver<i32>, out: &mut Sender<i32>| {
        let mut kept = Vec::new();
        while let Some(&item) = items.recv() {
            kept.push(item);
            if kept.len() > 2 {
                out.send(&kept.remove(0))?;
            }
        }
        out.send_each(kept)?;
        Ok(())
    })
}

/// Sends 1, 2, 3 and fails.
fn failing() -> Source<i32> {
    source(|out: &mut Sender<i32>| {
        out.send_each([1, 2, 3])?;
        Err(Bad("source").into())
    })
}

/// Fails at the item `at`.
fn fails_at(at: i32, name: &'static str) -> Stage<i32> {
    stage(move |items: &mut Receiver<i32>, out: &mut Sender<i32>| {
        while let Some(item) = items.recv() {
            if *item == at {
                return Err(Bad(name).into());
            }
            out.send(item)?;
        }
        Ok(())
    })
}

#[track_caller]
fn assert_bad<T: fmt::Debug>(result: Result<T, Exception>, name: &'static str) {
    let error = result.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Bad(name)), "{error:?}");
}

/// Pulls everything: the items, and how it ended.
fn pulled(source: Source<i32>) -> (Vec<i32>, Result<(), Exception>) {
    let mut all = Vec::new();
    let ended = source.for_each(|&item| all.push(item));
    (all, ended)
}

/// Pushes everything: the items, and how it ended.
fn pushed(source: Source<i32>) -> (Vec<i32>, Result<(), Exception>) {
    let all = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&all);
    let ended = source.into(sink(move |items: &mut Receiver<i32>| {
        while let Some(&item) = items.recv() {
            kept.borrow_mut().push(item);
        }
        Ok::<(), Bad>(())
    }));
    (all.take(), ended)
}

/// G-148, and what was accepted is processed.
#[test]
fn a_failing_source_flushes_the_stages_and_its_error_comes_out() {
    for run in [pushed, pulled] {
        let (items, ended) = run(failing().pipe(delayed()).pipe(delayed()));
        assert_eq!(items, [1, 2, 3]);
        assert_bad(ended, "source");
    }
}

/// G-143.
#[test]
fn a_failing_stage_ends_both_sides_and_its_error_comes_out() {
    for run in [pushed, pulled] {
        let trace = Trace::default();
        let pipeline = numbers(&trace).pipe(fails_at(3, "stage")).pipe(delayed());
        let (items, ended) = run(pipeline.pipe(pass("b", &trace)));
        assert_eq!(items, [1, 2]);
        assert_bad(ended, "stage");
        assert!(trace.0.borrow().contains(&"source ends".to_owned()));
        assert!(trace.0.borrow().contains(&"b ends".to_owned()));
    }
}

#[test]
fn a_failing_sink_ends_the_stages_and_its_error_comes_out_with_its_cause() {
    let trace = Trace::default();
    let fails = sink(|items: &mut Receiver<i32>| {
        items.recv();
        Err::<(), _>(Outer(Bad("inner")))
    });
    let error = numbers(&trace)
        .pipe(pass("a", &trace))
        .into(fails)
        .unwrap_err();
    assert!(error.is::<Outer>());
    assert_eq!(error.source().unwrap().to_string(), "inner");
    trace.assert(&["source sends 1", "a has 1", "a ends", "source ends"]);
}

#[test]
fn the_first_failure_wins() {
    // The source fails, and then a stage while it is flushed. (Pulled, the last stage meets its own failure first.)
    let flush = || failing().pipe(delayed()).pipe(fails_at(3, "flush"));
    assert_bad(pushed(flush()).1, "source");
    assert_bad(pulled(flush()).1, "flush");
    // A stage fails, and then the source at its close.
    for run in [pushed, pulled] {
        let source = source(|out: &mut Sender<i32>| {
            let _ = out.send_each(0..);
            Err(Bad("source").into())
        });
        assert_bad(run(source.pipe(fails_at(3, "stage"))).1, "stage");
    }
}

#[test]
fn a_source_that_fails_at_its_close_is_heard() {
    let fails = || {
        source(|out: &mut Sender<i32>| {
            let _ = out.send_each(0..);
            Err(Bad("source").into())
        })
    };
    for run in [pushed, pulled] {
        let (items, ended) = run(fails().pipe(head(2)));
        assert_eq!(items, [0, 1]);
        assert_bad(ended, "source");
    }
    let mut pull = fails().pull();
    pull.recv().unwrap();
    assert_bad(pull.close(), "source");
}

#[test]
fn an_error_that_comes_of_the_close_is_none_however_wrapped() {
    #[derive(Debug)]
    struct Wrapped(io::Error);
    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }
    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let endless = || {
        source(|out: &mut Sender<[u8]>| {
            loop {
                out.write_all(b"x").map_err(Wrapped)?;
            }
        })
    };
    assert_eq!(endless().pipe(head(3)).into(count()).unwrap(), 3);
    let mut pull = endless().pull();
    assert_eq!(pull.recv().unwrap(), Some(&b"x"[..]));
    pull.close().unwrap();
}

/// G-144: the end of another target than the next stage is not the stage's own end.
#[test]
fn the_end_of_another_target_is_an_error() {
    for run in [pushed, pulled] {
        let mut other = head::<i32>(1).into(count());
        let feeds = stage(move |items: &mut Receiver<i32>, out: &mut Sender<i32>| {
            while let Some(item) = items.recv() {
                out.send(item)?;
                other.send(item)?;
            }
            Ok(())
        });
        let (items, ended) = run(from_iter(1..9).pipe(feeds));
        assert_eq!(items, [1]);
        assert!(ended.unwrap_err().is::<Closed>());
    }
}

#[test]
fn a_panic_comes_out_and_the_other_stages_are_closed() {
    type Run = fn(Source<i32>) -> (Vec<i32>, Result<(), Exception>);
    let behind = ["b has 1", "source sends 2", "a has 2", "b ends"];
    let before = ["source sends 2", "a has 2", "a ends", "source ends"];
    for (run, ends) in [(pushed as Run, behind), (pulled, before)] {
        let trace = Trace::default();
        let panics = inspect(|n: &i32| assert!(*n < 2, "boom"));
        let pipeline = numbers(&trace).pipe(pass("a", &trace)).pipe(panics);
        let payload = catch_unwind(AssertUnwindSafe(|| run(pipeline.pipe(pass("b", &trace)))));
        let payload = payload.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"boom"));
        // What is behind the panic when items are pushed is closed; when they are pulled, it is what the panic goes through.
        let trace = trace.0.take();
        assert!(trace.ends_with(&ends.map(str::to_owned)), "{trace:?}");
    }
}

#[test]
fn thin_fat_and_sizeless_items_arrive() {
    fn through<T: ?Sized + ToOwned + 'static>(items: Vec<Box<T>>) -> Source<T> {
        let send = source(move |out: &mut Sender<T>| Ok(out.send_each(items)?));
        send.pipe(filter(|_| true)).pipe(inspect(|_| ()))
    }
    let text = || vec![Box::<str>::from("to"), "".into(), "be".into()];
    assert_eq!(through(text()).into(collect()).unwrap(), ["to", "", "be"]);
    assert_eq!(
        through(text())
            .into_iter()
            .map(Result::unwrap)
            .collect::<Vec<_>>(),
        ["to", "", "be"]
    );
    let units = || (0..5).map(|_| Box::new(())).collect::<Vec<_>>();
    assert_eq!(through(units()).into(count()).unwrap(), 5);
    assert_eq!(through(units()).into_iter().count(), 5);
    let empty = || (0..5).map(|_| Box::new([0_u64; 0])).collect::<Vec<_>>();
    assert_eq!(through(empty()).into(count()).unwrap(), 5);
    assert_eq!(through(empty()).into_iter().count(), 5);
    let large = || (0..5).map(|n| Box::new([n; 1000])).collect::<Vec<_>>();
    let sums = |source: Source<[i32; 1000]>| {
        source.pipe(map(|large: &[i32; 1000]| large.iter().sum::<i32>()))
    };
    assert_eq!(
        sums(through(large())).into(collect()).unwrap(),
        [0, 1000, 2000, 3000, 4000]
    );
    assert_eq!(
        pulled(sums(through(large()))).0,
        [0, 1000, 2000, 3000, 4000]
    );
}

#[test]
fn trait_objects_can_be_lent() {
    let send = source(|out: &mut Sender<dyn fmt::Display>| {
        out.send(&1)?;
        out.send(&"two")?;
        Ok(())
    });
    let words = send.pipe(map(|item: &(dyn fmt::Display + 'static)| item.to_string()));
    assert_eq!(words.into(collect()).unwrap(), ["1", "two"]);
}

#[test]
fn a_lent_item_is_the_senders_own() {
    let address = Rc::new(Cell::new(0));
    let sent = Rc::clone(&address);
    let send = source(move |out: &mut Sender<[u8]>| {
        let buffer = vec![7; 100];
        sent.set(buffer.as_ptr() as usize);
        out.send(&buffer)?;
        Ok(())
    });
    let seen = Rc::new(Cell::new(0));
    let keep = Rc::clone(&seen);
    let pipeline = send.pipe(filter(|_| true)).pipe(head(9));
    pipeline
        .pipe(inspect(move |bytes: &[u8]| {
            keep.set(bytes.as_ptr() as usize)
        }))
        .into(count())
        .unwrap();
    assert_eq!(address, seen);
}

#[test]
fn a_deep_pipeline_works_both_ways() {
    let deep = || (0..300).fold(from_iter(0..100), |source, _| source.pipe(map(|n| n + 1)));
    let expected: Vec<i32> = (300..400).collect();
    assert_eq!(pushed(deep()).0, expected);
    assert_eq!(pulled(deep()).0, expected);
    let (first, ended) = pulled(deep().pipe(head(1)));
    assert_eq!((first, ended.is_ok()), (vec![300], true));
}

#[test]
fn a_stage_may_pull_another_pipeline_or_push_into_it() {
    // A join: to each number its square, pulled from a pipeline of its own.
    let squares = from_iter(1..).pipe(map(|n: &i32| n * n));
    let join = stage(
        move |items: &mut Receiver<i32>, out: &mut Sender<(i32, i32)>| {
            let mut squares = squares.pull();
            while let Some(&n) = items.recv() {
                if let Some(&square) = squares.recv()? {
                    out.send(&(n, square))?;
                }
            }
            squares.close()
        },
    );
    assert_eq!(
        from_iter([1, 2]).pipe(join).into(collect()).unwrap(),
        [(1, 1), (2, 4)]
    );
}

#[test]
fn a_pull_can_be_kept_next_to_others_and_dropped_in_any_order() {
    let trace = Trace::default();
    let mut pulls: Vec<Pull<i32>> = (0..3).map(|_| numbers(&trace).pull()).collect();
    for pull in &mut pulls {
        pull.recv().unwrap();
    }
    assert!(pulls.iter().all(|pull| pull.current() == Some(&1)));
    let last = pulls.pop();
    drop(pulls);
    assert_eq!(last.unwrap().recv().unwrap(), Some(&2));
}

#[test]
fn a_sender_used_on_another_stack_is_refused_when_pulled_and_works_when_pushed() {
    // The generator below runs on a stack of its own. It can resume the next stage, but not suspend this one.
    let nested = || {
        source(|out: &mut Sender<i32>| {
            let sent = yieldfrom::scoped(
                |y: &yieldfrom::Yielder<bool>| y.yield_(out.send(&1).is_ok()),
                |generator| generator.next(),
            );
            assert_eq!(sent, Some(true));
            Ok(())
        })
    };
    assert_eq!(pushed(nested()).0, [1]);
    let payload = catch_unwind(AssertUnwindSafe(|| pulled(nested()))).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("`send` called from outside the body"),
        "{message}"
    );
}

#[test]
fn a_receiver_used_on_another_stack_is_refused_when_pushed_and_works_when_pulled() {
    let nested = || {
        stage(|items: &mut Receiver<i32>, out: &mut Sender<i32>| {
            let first = yieldfrom::scoped(
                |y: &yieldfrom::Yielder<Option<i32>>| y.yield_(items.recv().copied()),
                |generator| generator.next().flatten(),
            );
            Ok(out.send(&first.unwrap())?)
        })
    };
    assert_eq!(pulled(from_iter(1..9).pipe(nested())).0, [1]);
    let run = || pushed(from_iter(1..9).pipe(nested()));
    let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("`recv` called from outside the body"),
        "{message}"
    );
}

#[test]
fn a_stage_that_ignores_the_end_of_what_it_pulls_panics() {
    let deaf = stage(|items: &mut Receiver<i32>, _: &mut Sender<i32>| {
        loop {
            items.recv();
        }
    });
    let payload =
        catch_unwind(AssertUnwindSafe(|| pulled(from_iter(1..3).pipe(deaf)))).unwrap_err();
    assert_eq!(
        *payload.downcast::<String>().unwrap(),
        "a stage asked for more items after the last one"
    );
}

#[test]
fn a_source_that_ignores_the_close_of_a_pull_is_unwound() {
    let dropped = Rc::new(Cell::new(false));
    struct Finally(Rc<Cell<bool>>);
    impl Drop for Finally {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let finally = Finally(Rc::clone(&dropped));
    let deaf = source(move |out: &mut Sender<i32>| {
        let _finally = finally;
        loop {
            let _ = out.send(&1);
        }
    });
    let mut pull = deaf.pull();
    pull.recv().unwrap();
    let error = pull.close().unwrap_err();
    assert!(error.is::<yieldfrom::ProtocolError>(), "{error:?}");
    assert!(dropped.get());
}

#[test]
fn a_stage_as_the_head_of_a_sink_answers_with_the_first_failure() {
    let mut ok = map(|n: &i32| n + 1).into(collect());
    ok.send(&1).unwrap();
    assert_eq!(ok.close().unwrap(), [2]);
    let mut bad = fails_at(2, "stage").into(collect());
    bad.send(&1).unwrap();
    assert_eq!(bad.send(&2), Err(Closed));
    assert_bad(bad.close(), "stage");
}

#[test]
fn names_and_stack_sizes_are_those_of_the_builder() {
    let builder = Builder::new().name("big").stack_size(1 << 20);
    // Needs more than the default of 256 KiB.
    let hungry = builder.stage(|items: &mut Receiver<i32>, out: &mut Sender<i32>| {
        let space = std::hint::black_box([1_u8; 300 * 1024]);
        while let Some(&item) = items.recv() {
            out.send(&(item + i32::from(space[item as usize])))?;
        }
        Ok(())
    });
    assert!(format!("{hungry:?}").contains("big"));
    assert_eq!(pushed(from_iter([1]).pipe(hungry)).0, [2]);
}

#[test]
fn a_reader_reads_what_a_body_writes_and_sees_its_failure_after_it() {
    let mut reader = read_from(|out| {
        out.write_all(b"one ")?;
        out.write_all(b"")?;
        out.write_all(b"two")?;
        Err(ErrorKind::TimedOut.into())
    });
    let mut two = [0; 2];
    reader.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"on");
    assert_eq!(reader.fill_buf().unwrap(), b"e ");
    reader.consume(2);
    assert_eq!(reader.fill_buf().unwrap(), b"two");
    reader.consume(99);
    assert_eq!(reader.fill_buf().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(reader.fill_buf().unwrap(), b"");
    assert_eq!(reader.read(&mut two).unwrap(), 0);
}

#[test]
fn a_reader_that_is_dropped_early_ends_the_writer_with_a_broken_pipe() {
    let kind = Rc::new(Cell::new(None));
    let seen = Rc::clone(&kind);
    let mut reader = read_from(move |out| {
        loop {
            if let Err(error) = out.write_all(b"again and again") {
                seen.set(Some(error.kind()));
                return Err(error);
            }
        }
    });
    reader.read_exact(&mut [0; 50]).unwrap();
    drop(reader);
    assert_eq!(kind.get(), Some(ErrorKind::BrokenPipe));
}

#[test]
fn an_iterator_over_a_pipeline_owns_its_items_and_ends_with_the_failure() {
    let mut items = failing().pipe(map(|n| n * 10)).into_iter();
    let firsts: Vec<i32> = items.by_ref().take(2).map(Result::unwrap).collect();
    assert_eq!(firsts, [10, 20]);
    assert_eq!(items.next().unwrap().unwrap(), 30);
    assert_bad(items.next().unwrap(), "source");
    assert!(items.next().is_none());
}

#[test]
fn a_generator_is_a_source_and_a_pipeline_is_pulled_in_one() {
    let odd = generator(|y| (1..).step_by(2).for_each(|n| y.yield_(n)));
    let pipeline = from_iter(odd).pipe(map(|n: &i32| n * n));
    let squares = generator(move |y| pipeline.for_each(|&n| y.yield_(n)));
    assert_eq!(squares.take(3).collect::<Vec<_>>(), [1, 9, 25]);
}

#[test]
fn stages_are_measured_both_ways() {
    for is_pulled in [false, true] {
        let stats = Stats::new();
        let words =
            from_iter(["to", "be", "or", "not"]).measure_by("source", &stats, |word| word.len());
        let pipeline = words
            .pipe(filter(|word: &&str| word.contains('o')).measure("filter", &stats))
            .pipe(tail(2))
            .measure("tail", &stats);
        let seen = match is_pulled {
            true => pipeline.into_iter().count() as u64,
            false => pipeline.into(count().measure("count", &stats)).unwrap(),
        };
        assert_eq!(seen, 2);
        let rows: Vec<_> = stats
            .stages()
            .iter()
            .map(|s| (s.name.clone(), s.received, s.sent, s.bytes))
            .collect();
        let expected = [
            ("source", 0, 4, 9),
            ("filter", 4, 3, 9),
            ("tail", 3, 2, 5),
            ("count", 2, 0, 5),
        ];
        let expected =
            expected.map(|(name, received, sent, bytes)| (name.to_owned(), received, sent, bytes));
        assert_eq!(rows, expected[..rows.len()]);
        assert!(stats.stages().iter().all(|stage| !stage.time.is_zero()));
        assert_eq!(stats.to_string().lines().count(), rows.len() + 1);
    }
}

/// Without help, what is flushed while the generator is unwound would panic a second time, which aborts.
#[test]
fn a_misplaced_send_or_recv_in_a_destructor_is_reported() {
    let mut pull = source(|out: &mut Sender<[u8]>| {
        out.send(b"1")?;
        let misplaced = |y: &yieldfrom::Yielder<i32>| {
            let mut buffered = io::BufWriter::new(&mut *out);
            buffered.write_all(b"x").unwrap();
            y.yield_(1);
        };
        yieldfrom::scoped(misplaced, |generator| assert_eq!(generator.next(), Some(1)));
        Ok(())
    })
    .pull();
    assert_eq!(pull.recv().unwrap(), Some(&b"1"[..]));
    assert_eq!(pull.recv().unwrap(), None);

    struct Late<'r, 'a>(&'r mut Receiver<'a, i32>);
    impl Drop for Late<'_, '_> {
        fn drop(&mut self) {
            assert_eq!(self.0.recv(), None);
        }
    }
    let misplaced = stage(|items: &mut Receiver<i32>, _: &mut Sender<i32>| {
        let misplaced = |y: &yieldfrom::Yielder<i32>| {
            let _late = Late(&mut *items);
            y.yield_(1);
        };
        yieldfrom::scoped(misplaced, |generator| assert_eq!(generator.next(), Some(1)));
        Ok(())
    });
    assert_eq!(pushed(from_iter(1..9).pipe(misplaced)).0, []);
}

#[test]
fn a_visitor_that_cannot_be_stopped_goes_on_to_its_end() {
    let visitor = || {
        source(|out: &mut Sender<i32>| {
            (0..1000).for_each(|n| {
                let _ = out.send(&n);
            });
            Ok(())
        })
    };
    for run in [pushed, pulled] {
        let (items, ended) = run(visitor().pipe(head(2)));
        assert_eq!((items, ended.is_ok()), (vec![0, 1], true));
    }
    let mut pull = visitor().pull();
    pull.recv().unwrap();
    pull.close().unwrap();
}

#[test]
fn an_error_may_be_its_own_source() {
    #[derive(Debug)]
    struct Ouroboros;
    impl fmt::Display for Ouroboros {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ouroboros")
        }
    }
    impl std::error::Error for Ouroboros {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&Ouroboros)
        }
    }
    let fails = source(|out: &mut Sender<i32>| {
        let _ = out.send_each(0..3);
        Err(Ouroboros.into())
    });
    let error = fails.pipe(head(1)).into(count()).unwrap_err();
    assert!(error.is::<Ouroboros>());
    assert_eq!(io::Error::from(error).kind(), ErrorKind::Other);
}

#[test]
fn a_pull_that_has_panicked_does_not_pass_for_one_that_has_ended() {
    let panics = || {
        source(|out: &mut Sender<[u8]>| {
            out.send(b"half")?;
            panic!("boom")
        })
    };
    let mut pull = panics().pull();
    assert_eq!(pull.recv().unwrap(), Some(&b"half"[..]));
    assert!(catch_unwind(AssertUnwindSafe(|| pull.recv().is_ok())).is_err());
    assert!(pull.recv().is_err());
    assert!(pull.close().is_err());
    let mut reader = panics().into_reader();
    let mut text = Vec::new();
    assert!(catch_unwind(AssertUnwindSafe(|| reader.read_to_end(&mut text))).is_err());
    assert!(reader.read(&mut [0]).is_err());
}

#[test]
fn an_exception_shows_its_message_and_its_causes() {
    let error = Exception::from(Outer(Bad("inner")));
    assert_eq!(format!("{error:?}"), "outer\n  caused by: inner");
    assert!(format!("{error:#?}").contains("Outer"));
    assert_eq!(format!("{:?}", Exception::GeneratorExit), "GeneratorExit");
}
