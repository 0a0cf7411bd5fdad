//! Parts of files, for several readers.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::builder::Builder;
use crate::pipe::sender::Sender;
use crate::pipe::source::Source;

/// A part of a file, in bytes. It stands for the lines that *start* in it.
///
/// It is small, and goes to the thread (or the machine) that is to read it, see [`spans`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub path: Arc<Path>,
    /// From which byte to which. The end may lie behind that of the file.
    pub range: Range<u64>,
}

/// Makes a source of spans: every file is divided into parts of so many `bytes`.
///
/// So that files are not only searched but also read on several threads, each thread reads spans itself:
///
/// ```
/// use yieldfrom::pipe::{Source, Span, count_matches, parallel, read_spans, spans, sum};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let search = |spans: Source<Span>| spans.pipe(read_spans()).pipe(count_matches("dependencies"));
/// let found = spans(["Cargo.toml"], 8 << 20).pipe(parallel(2, search)).into(sum())?;
/// assert!(found > 0);
/// # Ok(())
/// # }
/// ```
///
/// What is not a regular file, or cannot be looked at, is one span. Whoever reads that meets the error.
///
/// # Panics
///
/// If `bytes` is 0.
pub fn spans<P>(paths: P, bytes: u64) -> Source<Span>
where
    P: IntoIterator<Item: AsRef<Path>> + 'static,
{
    assert!(bytes > 0, "`spans` needs spans of at least one byte");
    Builder::named("spans").source(move |out: &mut Sender<Span>| {
        for path in paths {
            let path: Arc<Path> = path.as_ref().into();
            let mut span = Span {
                path: Arc::clone(&path),
                range: 0..u64::MAX,
            };
            match path.metadata() {
                Ok(metadata) if metadata.is_file() => {
                    let starts =
                        (0..metadata.len()).step_by(usize::try_from(bytes).unwrap_or(usize::MAX));
                    for start in starts {
                        span.range = start..start.saturating_add(bytes);
                        out.send(&span)?;
                    }
                }
                _ => out.send(&span)?,
            }
        }
        Ok(())
    })
}

impl Span {
    /// Opens the file where the first line of the span starts, and returns where that is. What is read ends with the last.
    pub(crate) fn open(&self) -> io::Result<(u64, Take<File>)> {
        let mut file = File::open(&self.path)?;
        let (start, end) = (self.range.start, self.range.end);
        if (start, end) == (0, u64::MAX) {
            return Ok((0, file.take(u64::MAX))); // it may be a pipe, which cannot be searched for the end
        }
        let len = file.metadata()?.len();
        let end = line_start(&mut file, end.min(len))?;
        let start = line_start(&mut file, start.min(end))?.min(end);
        file.seek(SeekFrom::Start(start))?;
        Ok((start, file.take(end - start)))
    }
}

/// Where the first line starts that does not start before `at`. If there is none, the end of the file.
fn line_start(file: &mut File, at: u64) -> io::Result<u64> {
    let Some(before) = at.checked_sub(1) else {
        return Ok(0);
    };
    let before = file.seek(SeekFrom::Start(before))?;
    let skipped = BufReader::new(file).skip_until(b'\n')?;
    Ok(before + skipped as u64)
}
