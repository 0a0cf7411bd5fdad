//! The same work with this crate.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use memchr::memchr;
use memmap2::Mmap;
use yieldfrom::pipe::{
    LineRegex, Literal, Receiver, Sender, Source, Span, Stage, blocks, count, count_matches, grep,
    lines, parallel, read_spans, spans, stage, sum,
};

use crate::contestant::Kind::{Blocks as InBlocks, Lines};
use crate::contestant::{Contestant, How::Here};
use crate::search::Pattern;

pub const PER_LINE: &str = "this crate, lines";
pub const PER_BLOCK: &str = "this crate, blocks";
pub const TWO_CORES: &str = "this crate, blocks, 2 cores";

pub const MAPPED: &str = "this crate, mapped, 2 cores";

pub fn all() -> [Contestant; 4] {
    [
        Contestant::new(PER_LINE, Lines, Here(per_line)),
        Contestant::new(PER_BLOCK, InBlocks, Here(per_block)),
        Contestant::new(TWO_CORES, InBlocks, Here(on_two_cores)),
        Contestant::new(MAPPED, InBlocks, Here(mapped_on_two_cores)),
    ]
}

fn per_line(path: &Path, pattern: &Pattern) -> io::Result<u64> {
    let lines = lines(File::open(path)?);
    Ok(match pattern {
        Pattern::Literal(finder) => lines.pipe(grep(literal(finder))).into(count())?,
        Pattern::Regex(regex) => lines.pipe(grep(line_regex(regex))).into(count())?,
    })
}

fn per_block(path: &Path, pattern: &Pattern) -> io::Result<u64> {
    let blocks = blocks(File::open(path)?);
    Ok(match pattern {
        Pattern::Literal(finder) => blocks.pipe(count_matches(literal(finder))).into(sum())?,
        Pattern::Regex(regex) => blocks.pipe(count_matches(line_regex(regex))).into(sum())?,
    })
}

/// How much of the file a thread is given at once, in bytes.
const SPAN: u64 = 4 << 20;

fn on_two_cores(path: &Path, pattern: &Pattern) -> io::Result<u64> {
    count_spans(path, pattern, read_spans)
}

/// What is read from memory need not be copied there: as ripgrep does without `--no-mmap`.
fn mapped_on_two_cores(path: &Path, pattern: &Pattern) -> io::Result<u64> {
    // SAFETY: nobody changes the file while it is searched.
    let map = Arc::new(unsafe { Mmap::map(&File::open(path)?)? });
    count_spans(path, pattern, move || lend_spans(Arc::clone(&map)))
}

fn count_spans<T, F>(path: &Path, pattern: &Pattern, read: F) -> io::Result<u64>
where
    T: AsRef<[u8]> + ?Sized + 'static,
    F: Fn() -> Stage<Span, T> + Send + Sync + 'static,
{
    let spans = spans([path.to_owned()], SPAN);
    let counts = match pattern.clone() {
        Pattern::Literal(finder) => spans.pipe(parallel(2, move |spans: Source<Span>| {
            spans.pipe(read()).pipe(count_matches(literal(&finder)))
        })),
        Pattern::Regex(regex) => spans.pipe(parallel(2, move |spans: Source<Span>| {
            spans.pipe(read()).pipe(count_matches(line_regex(&regex)))
        })),
    };
    Ok(counts.into(sum())?)
}

/// Lends the lines that start in each span.
fn lend_spans(map: Arc<Mmap>) -> Stage<Span, [u8]> {
    stage(move |spans: &mut Receiver<Span>, out: &mut Sender<[u8]>| {
        let line_start = |at: u64| match usize::try_from(at) {
            Ok(0) => 0,
            Ok(at) if at <= map.len() => {
                memchr(b'\n', &map[at - 1..]).map_or(map.len(), |found| at + found)
            }
            _ => map.len(),
        };
        while let Some(span) = spans.recv() {
            out.send(&map[line_start(span.range.start)..line_start(span.range.end)])?;
        }
        Ok(())
    })
}

fn literal(finder: &memchr::memmem::Finder) -> Literal {
    Literal::new(finder.needle())
}

fn line_regex(regex: &regex::bytes::Regex) -> LineRegex {
    LineRegex::new(regex.as_str()).expect("it was compiled before")
}
