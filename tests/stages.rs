//! The sources, stages and sinks that come with this crate, against what the standard library makes of the same data.

mod folder;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use yieldfrom::pipe::{
    Block, Follow, Line, Literal, NotUtf8, Pattern, ReadError, Receiver, Sender, Sink, Source,
    Span, Stage, Text, batch, blocks, blocks_of, broadcast, chain, collect, count, count_matches,
    deliver, filter, flat_map, fold, from_iter, grep, grep_blocks, head, inspect, lines, lines_of,
    map, map_ref, merge, merge_by, parallel, read_from, sink, skip, source, spans, split_lines,
    stage, sum, tail, take_while, tee, try_map, uniq, uniq_count, utf8, utf8_lossy, walk, write,
    write_raw,
};
use yieldfrom::{Coroutine, Exception, coroutine};

use folder::Folder;

/// Reads as much at once as the list says, and then fails, if that is asked for.
struct Piecewise {
    data: VecDeque<u8>,
    sizes: Vec<usize>,
    turn: usize,
    fails: bool,
}

impl Piecewise {
    fn new(data: &[u8], sizes: &[usize], fails: bool) -> Self {
        Self {
            data: data.iter().copied().collect(),
            sizes: sizes.to_vec(),
            turn: 0,
            fails,
        }
    }
}

impl Read for Piecewise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.data.is_empty() && self.fails {
            return Err(ErrorKind::ConnectionReset.into());
        }
        self.turn += 1;
        match self.sizes.get(self.turn % self.sizes.len().max(1)) {
            Some(0) => Err(ErrorKind::Interrupted.into()),
            Some(&size) => {
                let size = size.min(buffer.len());
                self.data.read(&mut buffer[..size])
            }
            None => self.data.read(buffer),
        }
    }
}

fn owned(line: &Line) -> (u64, u64, Vec<u8>) {
    (line.number(), line.offset(), line.to_vec())
}

/// Number, offset and bytes of each line.
fn expected_lines(data: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
    let mut offset = 0;
    let mut all = Vec::new();
    for line in data.split_inclusive(|&byte| byte == b'\n') {
        let bytes = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
        all.push((all.len() as u64 + 1, offset, bytes));
        offset += line.len() as u64;
    }
    all
}

/// How much of a text arrives: a line that has begun when the reader fails does not.
fn whole(text: &[u8], fails: bool) -> usize {
    let ended = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    if fails { ended } else { text.len() }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\r'), any::<u8>()], 0..12),
        1 => proptest::collection::vec(Just(b'x'), 60..200),
    ];
    (proptest::collection::vec(line, 0..40), any::<bool>()).prop_map(|(lines, is_ended)| {
        let mut text = lines.join(&b'\n');
        if is_ended {
            text.push(b'\n');
        }
        text
    })
}

fn config(name: &str) -> ProptestConfig {
    let path = format!(
        "{}/proptest-regressions/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(path.leak()))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config("stages"))]

    #[test]
    fn lines_are_those_of_the_text(
        text in text(),
        sizes in proptest::collection::vec(0_usize..9, 0..5),
        fails: bool,
        block_size in 1_usize..3,
    ) {
        prop_assume!(sizes.is_empty() || sizes.iter().any(|&size| size > 0));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let keep = Rc::clone(&seen);
        let reader = Piecewise::new(&text, &sizes, fails);
        let source = Text::new().block_size(block_size).lines(reader);
        let ended = source.pipe(inspect(move |line| keep.borrow_mut().push(owned(line)))).into(count());
        prop_assert_eq!(seen.take(), expected_lines(&text[..whole(&text, fails)]));
        prop_assert_eq!(ended.is_err(), fails);
    }

    #[test]
    fn blocks_are_whole_lines_and_together_the_text(
        text in text(),
        sizes in proptest::collection::vec(0_usize..99, 0..5),
        fails: bool,
        kept in 0_usize..4,
    ) {
        prop_assume!(sizes.is_empty() || sizes.iter().any(|&size| size > 0));
        let blocks = Text::new().block_size(64).blocks(Piecewise::new(&text, &sizes, fails));
        let mut seen: Vec<u8> = Vec::new();
        // Some blocks are still looked at when others are read.
        let mut held = VecDeque::new();
        let ended = blocks.for_each(|block| {
            let bytes = block.to_vec();
            assert!(!bytes.is_empty());
            assert_eq!(block.offset(), seen.len() as u64);
            seen.extend(&bytes);
            assert!(bytes.ends_with(b"\n") || seen.len() == text.len());
            held.push_back((block.clone(), bytes));
            if held.len() > kept {
                held.pop_front();
            }
            assert!(held.iter().all(|(block, bytes)| block.as_bytes() == bytes));
        });
        prop_assert_eq!(seen, &text[..whole(&text, fails)]);
        prop_assert_eq!(ended.is_err(), fails);
    }

    #[test]
    fn a_literal_is_found_in_blocks_as_in_lines(
        text in text(),
        needle in prop_oneof![
            proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\n')], 0..3),
            Just(b"xx".to_vec()),
        ],
        sizes in proptest::collection::vec(1_usize..99, 0..5),
    ) {
        let expected: Vec<Vec<u8>> = expected_lines(&text)
            .into_iter()
            .map(|(_, _, line)| line)
            .filter(|line| needle.is_empty() || line.windows(needle.len()).any(|part| part == needle))
            .collect();
        let read = || Text::new().block_size(64).blocks(Piecewise::new(&text, &sizes, false));
        let found = read().pipe(grep_blocks(needle.clone())).into(collect()).unwrap();
        prop_assert_eq!(&found, &expected);
        let counted = read().pipe(count_matches(needle.clone())).into(sum()).unwrap();
        prop_assert_eq!(counted, expected.len() as u64);
        let found = lines(Piecewise::new(&text, &sizes, false)).pipe(grep(needle.clone()));
        let found = found.pipe(map(|line: &Line| line.to_vec())).into(collect()).unwrap();
        prop_assert_eq!(&found, &expected);
        // A closure is looked at line by line.
        let finder = Literal::new(&needle);
        let by_line = move |line: &[u8]| finder.is_match(line);
        let found = read().pipe(grep_blocks(by_line)).into(collect()).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_is_done_in_parallel_comes_in_order(
        items in proptest::collection::vec(0_u32..50, 0..60),
        threads in 1_usize..4,
        at_close: bool,
    ) {
        let expected: Vec<String> = items.iter().flat_map(|&n| vec![n.to_string(); n as usize % 3]).collect();
        let build = move |numbers: Source<u32>| {
            let repeated = flat_map(|n: &u32| vec![n.to_string(); *n as usize % 3]);
            match at_close {
                true => numbers.pipe(repeated).pipe(tail(usize::MAX)),
                false => numbers.pipe(repeated),
            }
        };
        let mut found = from_iter(items).pipe(parallel(threads, build)).into(collect()).unwrap();
        if at_close {
            // Every thread keeps its own.
            let mut expected = expected;
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected);
        } else {
            prop_assert_eq!(found, expected);
        }
    }
}

/// What a pipeline makes of some numbers, pushed and pulled, which is the same.
#[track_caller]
fn both_ways<T, U>(
    items: impl IntoIterator<Item = T>,
    stage: impl Fn() -> Stage<T, U>,
) -> Vec<U::Owned>
where
    T: Clone + 'static,
    U: ?Sized + ToOwned<Owned: std::fmt::Debug + PartialEq + 'static> + 'static,
{
    let items: Vec<T> = items.into_iter().collect();
    let pushed = from_iter(items.clone())
        .pipe(stage())
        .into(collect())
        .unwrap();
    let pulled: Vec<U::Owned> = from_iter(items)
        .pipe(stage())
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(pushed, pulled);
    pushed
}

#[test]
fn stages_do_as_the_adaptors_of_iterators_do() {
    assert_eq!(both_ways(0..4, || map(|n| n * 2)), [0, 2, 4, 6]);
    assert_eq!(both_ways(0..4, || filter(|n| n % 2 == 1)), [1, 3]);
    assert_eq!(
        both_ways([(1, 'a'), (2, 'b')], || map_ref(
            |pair: &(i32, char)| &pair.1
        )),
        ['a', 'b']
    );
    assert_eq!(both_ways(0..3, || flat_map(|n| 0..*n)), [0, 0, 1]);
    assert_eq!(both_ways(0..9, || head(3)), [0, 1, 2]);
    assert_eq!(both_ways(0..9, || head(0)), []);
    assert_eq!(both_ways(0..2, || head(3)), [0, 1]);
    assert_eq!(both_ways(0..5, || skip(3)), [3, 4]);
    assert_eq!(both_ways(0..2, || skip(3)), []);
    assert_eq!(both_ways(0..9, || take_while(|n| *n < 2)), [0, 1]);
    assert_eq!(both_ways(0..9, || tail(2)), [7, 8]);
    assert_eq!(both_ways(0..9, || tail(0)), []);
    assert_eq!(both_ways(0..1, || tail(2)), [0]);
    assert_eq!(both_ways([1, 1, 2, 1], uniq), [1, 2, 1]);
    assert_eq!(both_ways::<i32, i32>([], uniq), []);
    assert_eq!(
        both_ways([1, 1, 2, 1], uniq_count),
        [(2, 1), (1, 2), (1, 1)]
    );
    assert_eq!(both_ways::<i32, _>([], uniq_count), []);
    assert_eq!(
        both_ways(0..5, || batch(2)),
        [vec![0, 1], vec![2, 3], vec![4]]
    );
    assert_eq!(both_ways(0..4, || batch(2)), [vec![0, 1], vec![2, 3]]);
    let even = |n: &i32| (n % 2 == 0).then_some(n / 2);
    assert_eq!(
        both_ways(0..5, || yieldfrom::pipe::filter_map(even)),
        [0, 1, 2]
    );
}

#[test]
fn stages_on_lent_text() {
    let text = &b"to be\nor\nor\nnot"[..];
    let words = || lines(text).pipe(utf8());
    assert_eq!(
        words().pipe(uniq()).into(collect()).unwrap(),
        ["to be", "or", "not"]
    );
    assert_eq!(
        words().pipe(tail(2)).into(collect()).unwrap(),
        ["or", "not"]
    );
    assert_eq!(lines(text).pipe(uniq()).into(count()).unwrap(), 3);
    let longest = fold(0, |longest, word: &str| word.len().max(longest));
    assert_eq!(words().into(longest).unwrap(), 5);
    let split = blocks(text).pipe(split_lines()).pipe(utf8_lossy());
    assert_eq!(split.into(collect()).unwrap(), ["to be", "or", "or", "not"]);
    let written = lines(text).into(write(Vec::new())).unwrap();
    assert_eq!(written, b"to be\nor\nor\nnot\n");
    assert_eq!(blocks(text).into(write_raw(Vec::new())).unwrap(), text);
    let mut back = String::new();
    blocks(text)
        .into_reader()
        .read_to_string(&mut back)
        .unwrap();
    assert_eq!(back.as_bytes(), text);
}

#[test]
fn what_is_not_utf8_is_an_error_that_counts() {
    let error = lines(&b"fine\n\xff\n"[..])
        .pipe(utf8())
        .into(count())
        .unwrap_err();
    assert_eq!(
        error.downcast_ref::<NotUtf8>().map(NotUtf8::number),
        Some(2)
    );
    assert!(error.source().is_some());
    assert_eq!(error.to_string(), "item 2 is not UTF-8");
}

#[test]
fn a_line_knows_where_it_is_from() {
    let folder = Folder::new();
    let paths = [
        folder.write("a", "1\n\n22"),
        folder.write("b", ""),
        folder.write("c", "x\r\n"),
    ];
    let all = lines_of(paths.clone()).into(collect()).unwrap();
    let seen: Vec<_> = all
        .iter()
        .map(|line| {
            (
                line.path().unwrap(),
                line.number(),
                line.offset(),
                line.to_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (&*paths[0], 1, 0, "1"),
            (&*paths[0], 2, 2, ""),
            (&*paths[0], 3, 3, "22"),
            (&*paths[2], 1, 0, "x\r")
        ]
    );
    // A line without `\n` is known to be whole only at the end, and is a block of its own.
    let all: Vec<Block> = blocks_of(paths.clone()).into(collect()).unwrap();
    let seen: Vec<_> = all
        .iter()
        .map(|block| (block.path().unwrap(), block.offset(), block.lines().count()))
        .collect();
    assert_eq!(
        seen,
        [(&*paths[0], 0, 2), (&*paths[0], 3, 1), (&*paths[2], 0, 1)]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_may_be_skipped() {
    let folder = Folder::new();
    let (good, bad) = (folder.write("good", "1\n2\n"), folder.0.join("missing"));
    let paths = [bad.clone(), folder.0.clone(), good];
    let error = lines_of(paths.clone()).into(count()).unwrap_err();
    let error = error.downcast::<ReadError>().unwrap();
    assert_eq!(error.path(), Some(&*bad));
    assert!(error.to_string().starts_with(bad.to_str().unwrap()));
    assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
    for is_blocks in [false, true] {
        let errors = Rc::new(RefCell::new(Vec::new()));
        let keep = Rc::clone(&errors);
        let text = Text::new()
            .on_error(move |error| keep.borrow_mut().push(error.path().map(Path::to_owned)));
        let seen = match is_blocks {
            true => text
                .blocks_of(paths.clone())
                .pipe(split_lines())
                .into(count()),
            false => text.lines_of(paths.clone()).into(count()),
        };
        assert_eq!(seen.unwrap(), 2);
        assert_eq!(errors.take(), [Some(bad.clone()), Some(folder.0.clone())]);
    }
}

#[test]
fn a_line_beyond_the_limit_is_an_error_and_the_ones_before_it_are_sent() {
    /// `short` lines, and then one without end.
    struct Endless(usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 > 0 {
                self.0 -= 1;
                buffer[..3].copy_from_slice(b"ab\n");
                return Ok(3);
            }
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    for limit in [2, 1000, 1_000_000] {
        let text = || Text::new().max_line(limit);
        let mut seen = 0;
        let error = text()
            .lines(Endless(5))
            .for_each(|_| seen += 1)
            .unwrap_err();
        let error = error.downcast::<ReadError>().unwrap();
        assert_eq!((seen, error.line_too_long()), (5, Some(6)));
        assert_eq!(
            error.to_string(),
            format!("line 6 is longer than {limit} bytes")
        );
        let mut seen = 0;
        let ended = text()
            .blocks(Endless(5))
            .for_each(|block| seen += block.lines().count());
        assert_eq!(
            ended.unwrap_err().to_string(),
            format!("line 6 is longer than {limit} bytes")
        );
        assert_eq!(seen, 5);
    }
    // As long as the limit is not too long; nor is it with several in a block, or without a `\n`.
    let fits = b"abcd\n\nabcd\nabcd";
    assert_eq!(
        Text::new()
            .max_line(4)
            .lines(&fits[..])
            .into(count())
            .unwrap(),
        4
    );
    assert_eq!(
        Text::new()
            .max_line(4)
            .blocks(&fits[..])
            .pipe(split_lines())
            .into(count())
            .unwrap(),
        4
    );
    let error = Text::new()
        .max_line(3)
        .blocks(&b"abc\n\nabcd\n"[..])
        .into(count())
        .unwrap_err();
    assert_eq!(
        error.downcast::<ReadError>().unwrap().line_too_long(),
        Some(3)
    );
    let error = Text::new()
        .max_line(3)
        .blocks(&b"abc\n\nabcd"[..])
        .into(count())
        .unwrap_err();
    assert_eq!(
        error.downcast::<ReadError>().unwrap().line_too_long(),
        Some(3)
    );
}

proptest! {
    #![proptest_config(config("stages"))]

    #[test]
    fn spans_are_together_the_text_whatever_their_size(text in text(), bytes in 1_u64..200, threads in 1_usize..4) {
        let folder = Folder::new();
        let paths = [folder.write("a", &text), folder.write("empty", ""), folder.write("b", "one\ntwo")];
        let read = |spans: Source<Span>| spans.pipe(Text::new().block_size(4096).read_spans());
        let all: Vec<Block> = spans(paths.clone(), bytes).pipe(parallel(threads, read)).into(collect()).unwrap();
        for (path, text) in paths.iter().zip([&text[..], b"", b"one\ntwo"]) {
            let mut seen = Vec::new();
            for block in all.iter().filter(|block| block.path() == Some(&**path)) {
                prop_assert_eq!(block.offset(), seen.len() as u64);
                seen.extend_from_slice(block);
                prop_assert!(block.ends_with(b"\n") || seen.len() == text.len());
            }
            prop_assert_eq!(seen, text);
        }
    }
}

#[test]
fn a_span_of_a_file_that_is_gone_is_named() {
    let folder = Folder::new();
    let path = folder.0.join("missing");
    let error = spans([path.clone()], 100)
        .pipe(Text::new().read_spans())
        .into(count())
        .unwrap_err();
    assert_eq!(
        error.downcast_ref::<ReadError>().unwrap().path(),
        Some(&*path)
    );
    let seen = Rc::new(Cell::new(0));
    let counted = Rc::clone(&seen);
    let text = Text::new().on_error(move |_| counted.set(counted.get() + 1));
    let good = folder.write("good", "1\n2\n");
    let lines = spans([path, good], 2)
        .pipe(text.read_spans())
        .pipe(split_lines());
    assert_eq!((lines.into(count()).unwrap(), seen.get()), (2, 1));
}

#[test]
fn a_directory_is_walked_in_the_order_of_names() {
    let folder = Folder::new();
    for name in ["b/2", "b/1", "a", "c/d/e"] {
        fs::create_dir_all(folder.path(name).parent().unwrap()).unwrap();
        folder.write(name, "");
    }
    fs::create_dir(folder.0.join("empty")).unwrap();
    let found: Vec<_> = walk(&folder.0)
        .map(|path| path.strip_prefix(&folder.0).unwrap().to_owned())
        .collect();
    assert_eq!(found, ["a", "b/1", "b/2", "c/d/e"].map(PathBuf::from));
    let single: Vec<_> = walk(folder.0.join("a")).collect();
    assert_eq!(single, [folder.0.join("a")]);
    let missing: Vec<_> = walk(folder.0.join("missing")).collect();
    assert_eq!(missing, [folder.0.join("missing")]);
}

#[test]
fn a_glob_is_a_list_of_files() {
    let folder = Folder::new();
    folder.write("1.log", "one\n");
    folder.write("2.log", "two\n");
    folder.write("3.txt", "three\n");
    let pattern = format!("{}/*.log", folder.0.display());
    let logs = glob::glob(&pattern).unwrap().map(Result::unwrap);
    let all = lines_of(logs).pipe(utf8()).into(collect()).unwrap();
    assert_eq!(all, ["one", "two"]);
}

/// A limited sink, which fails or not when it has had enough.
fn limited(limit: usize, fails: bool) -> Sink<i32, Result<Vec<i32>, io::Error>> {
    sink(move |items: &mut Receiver<i32>| {
        let mut all = Vec::new();
        while all.len() < limit {
            let Some(&item) = items.recv() else { break };
            all.push(item);
        }
        match fails {
            true => Err(io::Error::other("had enough")),
            false => Ok(all),
        }
    })
}

#[test]
fn a_branch_that_ends_does_not_end_the_others_and_one_that_fails_does() {
    let sinks = |fails| [limited(1, fails), limited(9, false), limited(2, false)];
    assert_eq!(
        from_iter(1..5).into(broadcast(sinks(false))).unwrap(),
        [vec![1], vec![1, 2, 3, 4], vec![1, 2]]
    );
    let error = from_iter(1..5).into(broadcast(sinks(true))).unwrap_err();
    assert_eq!(error.to_string(), "had enough");
    // When nobody wants more, the source is told so.
    let endless = from_iter(1..).into(broadcast([limited(1, false), limited(3, false)]));
    assert_eq!(endless.unwrap(), [vec![1], vec![1, 2, 3]]);
    let none = from_iter(1..).into(broadcast::<i32, (), io::Error>([]));
    assert_eq!(none.unwrap(), []);
}

/// G-145.
#[test]
fn a_branch_that_fails_hides_the_item_from_the_later_ones() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let leaf = |name: &'static str, bad: i32| {
        let seen = Rc::clone(&seen);
        sink(move |items: &mut Receiver<i32>| {
            while let Some(&item) = items.recv() {
                if item == bad {
                    return Err(io::Error::other("bad"));
                }
                seen.borrow_mut().push(format!("{name}:{item}"));
            }
            seen.borrow_mut().push(format!("{name} closed"));
            Ok(())
        })
    };
    let ended = from_iter(1..9).into(broadcast([leaf("a", 0), leaf("b", 2), leaf("c", 0)]));
    assert_eq!(ended.unwrap_err().to_string(), "bad");
    assert_eq!(
        seen.take(),
        ["a:1", "b:1", "c:1", "a:2", "a closed", "c closed"]
    );
}

#[test]
fn a_tee_passes_on_and_ends_when_its_side_fails() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let side = |limit| {
        let seen = Rc::clone(&seen);
        sink(move |items: &mut Receiver<i32>| {
            for _ in 0..limit {
                let Some(&item) = items.recv() else {
                    return Ok(());
                };
                seen.borrow_mut().push(item);
            }
            if limit == 7 {
                Err(io::Error::other("seven"))
            } else {
                Ok(())
            }
        })
    };
    assert_eq!(
        from_iter(1..5).pipe(tee(side(2))).into(collect()).unwrap(),
        [1, 2, 3, 4]
    );
    assert_eq!(seen.take(), [1, 2]);
    assert_eq!(
        from_iter(1..)
            .pipe(tee(side(99)))
            .pipe(head(3))
            .into(collect())
            .unwrap(),
        [1, 2, 3]
    );
    assert_eq!(seen.take(), [1, 2, 3]);
    let error = from_iter(1..)
        .pipe(tee(side(7)))
        .into(collect())
        .unwrap_err();
    assert_eq!(error.to_string(), "seven");
}

#[test]
fn sources_are_merged_and_chained() {
    let numbers = |items: &[i32]| from_iter(items.to_vec());
    let merged = merge([numbers(&[1, 2, 3]), numbers(&[]), numbers(&[10])]);
    assert_eq!(merged.into(collect()).unwrap(), [1, 10, 2, 3]);
    let sorted = merge_by(
        [numbers(&[1, 5, 5]), numbers(&[2, 5]), numbers(&[])],
        Ord::cmp,
    );
    assert_eq!(sorted.into(collect()).unwrap(), [1, 2, 5, 5, 5]);
    let chained = chain([numbers(&[1]), numbers(&[2])]).chain(numbers(&[3]));
    assert_eq!(
        chained.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    // Equal ones come from the earlier source first.
    let named =
        |name, items: &[i32]| from_iter(items.iter().map(move |&n| (n, name)).collect::<Vec<_>>());
    let sorted = merge_by(
        [named('a', &[1, 2]), named('b', &[1, 2])],
        |x: &(i32, char), y| x.0.cmp(&y.0),
    );
    assert_eq!(
        sorted.into(collect()).unwrap(),
        [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')]
    );
}

#[test]
fn a_merge_that_is_stopped_or_fails_ends_its_sources() {
    let ends = Rc::new(Cell::new(0));
    let endless = || {
        let ends = Rc::clone(&ends);
        source(move |out: &mut Sender<i32>| {
            let _ = out.send_each(0..);
            ends.set(ends.get() + 1);
            Ok(())
        })
    };
    assert_eq!(
        merge([endless(), endless()])
            .pipe(head(3))
            .into(count())
            .unwrap(),
        3
    );
    assert_eq!(ends.take(), 2);
    assert_eq!(
        merge_by([endless(), endless()], Ord::cmp)
            .pipe(head(3))
            .into(count())
            .unwrap(),
        3
    );
    assert_eq!(ends.take(), 2);
    let fails = source(|_: &mut Sender<i32>| Err(io::Error::other("bad").into()));
    assert!(merge([endless(), fails]).into(count()).is_err());
    assert_eq!(ends.take(), 1);
}

#[test]
fn a_coroutine_is_the_end_of_a_pipeline() {
    let adder = || -> Coroutine<(), String, String> {
        coroutine(|co| {
            let mut all = String::new();
            loop {
                let sent: Result<String, _> = co.yield_(());
                match sent {
                    Ok(word) if word == "stop" => return Ok(all),
                    Ok(word) => all += &word,
                    Err(Exception::GeneratorExit) => return Ok(all + "."),
                    Err(error) => return Err(error),
                }
            }
        })
    };
    let words = |text: &'static [u8]| lines(text).pipe(utf8());
    assert_eq!(
        words(b"a\nb").into(deliver(adder())).unwrap().as_deref(),
        Some("ab.")
    );
    assert_eq!(
        words(b"a\nstop\nb")
            .into(deliver(adder()))
            .unwrap()
            .as_deref(),
        Some("a")
    );
    let fails: Coroutine<(), String> = coroutine(|co| {
        co.yield_(())?;
        Err(io::Error::other("no").into())
    });
    assert_eq!(
        words(b"a\nb").into(deliver(fails)).unwrap_err().to_string(),
        "no"
    );
}

#[test]
fn a_failure_on_a_thread_comes_out_in_the_order_of_the_items() {
    for threads in [1, 2, 3] {
        let work = |numbers: Source<i32>| {
            numbers.pipe(try_map(|&n| match n {
                20 | 21 => Err(io::Error::other(format!("no {n}"))),
                n => Ok(n),
            }))
        };
        let mut seen = Vec::new();
        let ended = from_iter(0..)
            .pipe(parallel(threads, work))
            .for_each(|n| seen.push(*n));
        assert_eq!(ended.unwrap_err().to_string(), "no 20");
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn a_panic_on_a_thread_comes_out() {
    let work = |numbers: Source<i32>| numbers.pipe(inspect(|n| assert!(*n != 5, "five")));
    let run = || from_iter(0..).pipe(parallel(2, work)).into(count());
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"five"));
}

#[test]
fn a_stage_that_ends_on_a_thread_does_so_for_that_thread() {
    // Two threads, of which each passes its first three on: 0 2 4 and 1 3 5.
    let found = from_iter(0..20).pipe(parallel(2, |numbers: Source<i32>| numbers.pipe(head(3))));
    assert_eq!(found.into(collect()).unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn an_early_end_behind_threads_ends_them() {
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    struct Alive;
    impl Drop for Alive {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let work = |numbers: Source<i32>| {
        LIVE.fetch_add(1, Ordering::SeqCst);
        let alive = Alive;
        numbers.pipe(map(move |n| {
            let _ = &alive;
            n * 2
        }))
    };
    let found = from_iter(0..)
        .pipe(parallel(3, work))
        .pipe(head(4))
        .into(collect());
    assert_eq!(found.unwrap(), [0, 2, 4, 6]);
    assert_eq!(LIVE.load(Ordering::SeqCst), 0);
}

/// What is done to a file while it is followed: one step at each wait.
fn follow_script(
    path: &Path,
    from_start: bool,
    steps: Vec<Box<dyn FnMut() -> io::Result<()>>>,
) -> Result<Vec<(u64, u64, String)>, Exception> {
    let mut steps = steps.into_iter();
    let mut follow = Follow::new(path).on_wait(move || match steps.next() {
        Some(mut step) => step().map(|()| true),
        None => Ok(false),
    });
    if from_start {
        follow = follow.from_start();
    }
    let mut seen = Vec::new();
    follow
        .lines()
        .for_each(|line| seen.push((line.number(), line.offset(), line.to_string())))?;
    Ok(seen)
}

fn append(path: &Path, text: &'static str) -> Box<dyn FnMut() -> io::Result<()>> {
    let path = path.to_owned();
    Box::new(move || {
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(text.as_bytes())
    })
}

#[test]
fn a_growing_file_is_followed_line_by_line() {
    let folder = Folder::new();
    let path = folder.write("log", "old\n");
    let steps = || {
        vec![
            append(&path, "a\nb"),
            append(&path, "b"),
            append(&path, "b\n\nc\n"),
            append(&path, "rest"),
        ]
    };
    let new = follow_script(&path, false, steps()).unwrap();
    let at = |number, offset, text: &str| (number, offset, text.to_owned());
    assert_eq!(
        new,
        [
            at(1, 4, "a"),
            at(2, 6, "bbb"),
            at(3, 10, ""),
            at(4, 11, "c"),
            at(5, 13, "rest")
        ]
    );
    fs::write(&path, "old\n").unwrap();
    let all = follow_script(&path, true, steps()).unwrap();
    assert_eq!(all.len(), 6);
    assert_eq!((&all[0], &all[1]), (&at(1, 0, "old"), &at(2, 4, "a")));
}

#[test]
fn a_truncated_file_is_followed_from_its_start() {
    let folder = Folder::new();
    let path = folder.write("log", "old old old\n");
    let truncate = || -> Box<dyn FnMut() -> io::Result<()>> {
        let path = path.clone();
        Box::new(move || File::create(&path).map(drop))
    };
    let steps = vec![
        append(&path, "one\nbegun"),
        truncate(),
        append(&path, "two\n"),
        truncate(),
        append(&path, "3\n"),
    ];
    let seen = follow_script(&path, false, steps).unwrap();
    let text: Vec<_> = seen
        .iter()
        .map(|(number, offset, text)| (*number, *offset, &**text))
        .collect();
    assert_eq!(
        text,
        [(1, 12, "one"), (2, 16, "begun"), (1, 0, "two"), (1, 0, "3")]
    );
}

#[cfg(unix)]
#[test]
fn a_rotated_file_is_read_to_its_end_and_then_the_new_one() {
    let folder = Folder::new();
    let (path, old) = (folder.write("log", "old\n"), folder.0.join("log.1"));
    let rename = || -> Box<dyn FnMut() -> io::Result<()>> {
        let (path, old) = (path.clone(), old.clone());
        Box::new(move || fs::rename(&path, &old))
    };
    let late = {
        let (mut to_old, mut to_new) = (append(&old, "late\nbegun"), append(&path, "new\n"));
        Box::new(move || to_old().and_then(|()| to_new()))
    };
    let steps = vec![
        append(&path, "a\n"),
        rename(),
        append(&old, "b\n"),
        late,
        append(&path, "c\n"),
    ];
    let seen = follow_script(&path, false, steps).unwrap();
    let text: Vec<_> = seen
        .iter()
        .map(|(number, _, text)| (*number, &**text))
        .collect();
    assert_eq!(
        text,
        [
            (1, "a"),
            (2, "b"),
            (3, "late"),
            (4, "begun"),
            (1, "new"),
            (2, "c")
        ]
    );
}

#[test]
fn what_cannot_be_followed_is_named() {
    let folder = Folder::new();
    let missing = folder.0.join("missing");
    let error = follow_script(&missing, false, vec![]).unwrap_err();
    assert_eq!(
        error.downcast_ref::<ReadError>().unwrap().path(),
        Some(&*missing)
    );
    let path = folder.write("log", "");
    let steps: Vec<Box<dyn FnMut() -> io::Result<()>>> =
        vec![Box::new(|| Err(ErrorKind::TimedOut.into()))];
    let error = follow_script(&path, false, steps).unwrap_err();
    assert_eq!(
        error.downcast_ref().map(io::Error::kind),
        Some(ErrorKind::TimedOut)
    );
}

#[test]
fn following_ends_with_whoever_receives() {
    let folder = Folder::new();
    let path = folder.write("log", "1\n2\n3\n");
    let follow = Follow::new(&path)
        .from_start()
        .on_wait(|| unreachable!("there is enough to read"));
    assert_eq!(follow.lines().pipe(head(2)).into(count()).unwrap(), 2);
}

/// Compress as you read.
#[test]
fn a_compressor_that_writes_becomes_a_reader() {
    let text: Vec<u8> = (0..20_000)
        .flat_map(|n: u32| format!("line {n}\n").into_bytes())
        .collect();
    let input = text.clone();
    let compressed = read_from(move |out| {
        let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
        io::copy(&mut &*input, &mut encoder)?;
        encoder.finish()?;
        Ok(())
    });
    let mut back = Vec::new();
    flate2::read::GzDecoder::new(compressed)
        .read_to_end(&mut back)
        .unwrap();
    assert_eq!(back, text);
    // Half-read: the encoder writes in its destructor, where it is told that nobody reads.
    let mut half = read_from(|out| {
        let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
        for n in 0_u64.. {
            writeln!(encoder, "{}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))?;
        }
        Ok(())
    });
    half.read_exact(&mut [0; 1000]).unwrap();
    drop(half);
}

/// A stage of one's own, as in the book.
#[test]
fn a_stage_may_be_a_function_with_a_loop() {
    fn differences() -> Stage<i32> {
        stage(|numbers: &mut Receiver<i32>, out: &mut Sender<i32>| {
            let Some(&(mut last)) = numbers.recv() else {
                return Ok(());
            };
            while let Some(&number) = numbers.recv() {
                out.send(&(number - last))?;
                last = number;
            }
            Ok(())
        })
    }
    assert_eq!(both_ways([1, 4, 9], differences), [3, 5]);
}

#[cfg(feature = "regex")]
mod regexes {
    use super::*;
    use yieldfrom::pipe::LineRegex;

    proptest! {
        #![proptest_config(config("stages"))]

        #[test]
        fn a_regex_is_found_in_blocks_as_in_lines(
            text in text(),
            pattern in prop_oneof![
                Just("a"), Just("^a"), Just("b$"), Just("^$"), Just(r"a\s+b"), Just(r"\Aa"), Just(r"b\z"), Just("(?i)A.b"),
                Just("[^a]b"), Just(r"(?s)a.*b"), Just(r"\bx"), Just(""), Just("(?-m:^)a"), Just("(?R)b$"), Just(r"(?R)\r$"), Just("(?iR)^a.$"), Just("x{60,}"),
            ],
        ) {
            let regex = LineRegex::new(pattern).unwrap();
            let alone = regex::bytes::Regex::new(&format!("(?m){pattern}")).unwrap();
            let expected: Vec<Vec<u8>> =
                expected_lines(&text).into_iter().map(|(_, _, line)| line).filter(|line| alone.is_match(line)).collect();
            let read = || Text::new().block_size(64).blocks(Piecewise::new(&text, &[70], false));
            let found = read().pipe(grep_blocks(regex.clone())).into(collect()).unwrap();
            prop_assert_eq!(&found, &expected);
            let counted = read().pipe(count_matches(regex.clone())).into(sum()).unwrap();
            prop_assert_eq!(counted, expected.len() as u64);
            let found = lines(&*text.leak()).pipe(grep(regex)).pipe(map(|line: &Line| line.to_vec())).into(collect()).unwrap();
            prop_assert_eq!(&found, &expected);
        }
    }
}

#[test]
fn an_io_error_keeps_its_kind_through_a_pipeline() {
    let folder = Folder::new();
    let error = lines_of([folder.0.join("missing")])
        .into(count())
        .unwrap_err();
    let error = io::Error::from(error);
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn what_a_thread_builds_need_not_look_at_its_items() {
    let ignores = |_: Source<u32>| from_iter([1_u32]);
    assert_eq!(
        from_iter(0..20)
            .pipe(parallel(2, ignores))
            .into(collect())
            .unwrap(),
        [1, 1]
    );
    let forgets = |items: Source<u32>| {
        std::mem::forget(items);
        from_iter([1_u32])
    };
    assert_eq!(
        from_iter(0..20)
            .pipe(parallel(1, forgets))
            .into(collect())
            .unwrap(),
        [1]
    );
    for _ in 0..50 {
        let panics = |_: Source<u32>| -> Source<u32> { panic!("cannot be built") };
        let run = || from_iter(0..20).pipe(parallel(2, panics)).into(count());
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"cannot be built"));
    }
}

#[test]
fn what_is_left_of_the_threads_may_panic_when_it_is_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("bomb");
            }
        }
    }
    #[derive(Clone)]
    struct Result(#[allow(dead_code)] std::sync::Arc<Bomb>);
    let work = |items: Source<u32>| {
        items.pipe(map(|n| match n {
            0..4 => Result(std::sync::Arc::new(Bomb)),
            _ => std::panic::panic_any(Bomb),
        }))
    };
    let run = || {
        from_iter(0..40)
            .pipe(parallel(3, work))
            .pipe(head(1))
            .into(count())
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
}

#[test]
fn sizes_that_cannot_be_are_errors() {
    let text = || Text::new().block_size(usize::MAX);
    let error = text().lines(&b"a\n"[..]).into(count()).unwrap_err();
    assert_eq!(io::Error::from(error).kind(), ErrorKind::OutOfMemory);
    assert!(text().blocks(&b"a\n"[..]).into(count()).is_err());
    let folder = Folder::new();
    let path = folder.write("a", "1\n2\n");
    for range in [
        0..1 << 62,
        0..u64::MAX,
        1..u64::MAX,
        2..u64::MAX,
        4..u64::MAX,
        99..u64::MAX,
    ] {
        let first = range.start;
        let span = Span {
            path: path.clone().into(),
            range,
        };
        let lines = from_iter([span])
            .pipe(Text::new().read_spans())
            .pipe(split_lines())
            .into(count());
        assert_eq!(
            lines.unwrap(),
            [2, 1, 1, 0, 0].get(first as usize).copied().unwrap_or(0)
        );
    }
}

#[test]
fn a_pattern_that_is_wrong_about_its_line_does_not_hang() {
    struct Wrong;
    impl Pattern for Wrong {
        fn is_match(&self, _: &[u8]) -> bool {
            true
        }
        fn find_line(&self, lines: &[u8]) -> Option<std::ops::Range<usize>> {
            (!lines.is_empty()).then_some(0..usize::MAX)
        }
    }
    impl yieldfrom::pipe::IntoPattern for Wrong {
        type Pattern = Self;
        fn into_pattern(self) -> Self {
            self
        }
    }
    assert_eq!(
        blocks(&b"a\nb\n"[..])
            .pipe(count_matches(Wrong))
            .into(sum())
            .unwrap(),
        1
    );
}

#[test]
fn the_failure_of_a_side_is_heard_however_the_pipeline_ends() {
    let side = || {
        sink(|items: &mut Receiver<i32>| {
            while items.recv().is_some() {}
            Err::<(), _>(io::Error::other("the side has failed"))
        })
    };
    let heard = |ended: Result<(), Exception>| {
        assert_eq!(ended.unwrap_err().to_string(), "the side has failed")
    };
    heard(from_iter(1..3).pipe(tee(side())).into(count()).map(drop));
    heard(
        from_iter(1..)
            .pipe(tee(side()))
            .pipe(head(1))
            .into(count())
            .map(drop),
    );
    heard(
        from_iter(1..)
            .pipe(tee(side()))
            .pipe(head(1))
            .for_each(|_| ()),
    );
    let mut pull = from_iter(1..).pipe(tee(side())).pull();
    pull.recv().unwrap();
    heard(pull.close());
    // But not before another one.
    let fails = try_map(|_: &i32| Err::<i32, _>(io::Error::other("first")));
    let ended = from_iter(1..).pipe(tee(side())).pipe(fails).into(count());
    assert_eq!(ended.unwrap_err().to_string(), "first");
}

#[test]
fn when_every_thread_has_had_enough_the_source_is_told() {
    for threads in [1, 3] {
        let first_two = |numbers: Source<i32>| numbers.pipe(head(2));
        let found = from_iter(0..)
            .pipe(parallel(threads, first_two))
            .into(collect());
        assert_eq!(found.unwrap(), (0..2 * threads as i32).collect::<Vec<_>>());
    }
}

#[test]
fn a_sink_that_cannot_fail_is_fed_and_a_closure_may_fail() {
    let longest = sink(|words: &mut Receiver<&str>| {
        let mut longest = 0;
        while let Some(word) = words.recv() {
            longest = word.len().max(longest);
        }
        longest
    });
    assert_eq!(from_iter(["to", "be", "not"]).feed(longest).unwrap(), 3);
    let mut seen = 0;
    let ended = from_iter(0..).try_for_each(|&n| {
        seen += 1;
        if n == 2 {
            Err(io::Error::other("two"))
        } else {
            Ok(())
        }
    });
    assert_eq!(
        (seen, ended.unwrap_err().to_string()),
        (3, "two".to_owned())
    );
    assert!(from_iter(0..3).try_for_each(|_| io::Result::Ok(())).is_ok());
}

#[test]
fn what_does_not_match_is_found_too() {
    let text = &b"a\nb\nab\n\nc"[..];
    let others = || yieldfrom::pipe::not("a");
    assert_eq!(
        lines(text)
            .pipe(grep(others()))
            .pipe(utf8())
            .into(collect())
            .unwrap(),
        ["b", "", "c"]
    );
    assert_eq!(
        blocks(text)
            .pipe(grep_blocks(others()))
            .pipe(utf8())
            .into(collect())
            .unwrap(),
        ["b", "", "c"]
    );
    assert_eq!(
        blocks(text)
            .pipe(count_matches(others()))
            .into(sum())
            .unwrap(),
        3
    );
}
