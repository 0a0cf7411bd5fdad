//! The same work with this crate.

use std::fs::File;
use std::io;
use std::path::Path;

use yieldfrom::pipe::{
    LineRegex, Literal, Source, Span, blocks, count, count_matches, grep, lines, parallel,
    read_spans, spans, sum,
};

use crate::contestant::Kind::{Blocks as InBlocks, Lines};
use crate::contestant::{Contestant, How::Here};
use crate::search::Pattern;

pub const PER_LINE: &str = "this crate, lines";
pub const PER_BLOCK: &str = "this crate, blocks";
pub const TWO_CORES: &str = "this crate, blocks, 2 cores";

pub fn all() -> [Contestant; 3] {
    [
        Contestant::new(PER_LINE, Lines, Here(per_line)),
        Contestant::new(PER_BLOCK, InBlocks, Here(per_block)),
        Contestant::new(TWO_CORES, InBlocks, Here(on_two_cores)),
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
    let spans = spans([path.to_owned()], SPAN);
    let counts = match pattern.clone() {
        Pattern::Literal(finder) => spans.pipe(parallel(2, move |spans: Source<Span>| {
            let pattern = literal(&finder);
            spans.pipe(read_spans()).pipe(count_matches(pattern))
        })),
        Pattern::Regex(regex) => spans.pipe(parallel(2, move |spans: Source<Span>| {
            let pattern = line_regex(&regex);
            spans.pipe(read_spans()).pipe(count_matches(pattern))
        })),
    };
    Ok(counts.into(sum())?)
}

fn literal(finder: &memchr::memmem::Finder) -> Literal {
    Literal::new(finder.needle())
}

fn line_regex(regex: &regex::bytes::Regex) -> LineRegex {
    LineRegex::new(regex.as_str()).expect("it was compiled before")
}
