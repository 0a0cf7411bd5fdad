//! The same work with this crate: the reader drives, coroutines are sent what it has read.

use std::io;
use std::path::Path;

use memchr::memchr;
use yieldfrom::pipe::{Receiver, Sink, sink};

use crate::blocks::Blocks;
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
    let mut target = match pattern.clone() {
        Pattern::Literal(finder) => grep(move |line| finder.find(line).is_some(), count()),
        Pattern::Regex(regex) => grep(move |line| regex.is_match(line), count()),
    };
    let mut blocks = Blocks::open(path)?;
    while let Some(mut rest) = blocks.next()? {
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            if target.send(&rest[..end]).is_err() {
                return Ok(target.close());
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    Ok(target.close())
}

/// Sends on the lines that `selects` says.
fn grep<R: 'static>(
    selects: impl Fn(&[u8]) -> bool + 'static,
    mut target: Sink<[u8], R>,
) -> Sink<[u8], R> {
    sink(move |lines: &mut Receiver<[u8]>| {
        while let Some(line) = lines.recv() {
            if selects(line) && target.send(line).is_err() {
                break;
            }
        }
        target.close()
    })
}

fn count() -> Sink<[u8], u64> {
    sink(|lines: &mut Receiver<[u8]>| {
        let mut count = 0;
        while lines.recv().is_some() {
            count += 1;
        }
        count
    })
}

/// Not there yet.
fn per_block(_: &Path, _: &Pattern) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not there yet.
fn on_two_cores(_: &Path, _: &Pattern) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}
