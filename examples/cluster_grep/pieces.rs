//! Pieces of files: what is handed out to the workers.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use yieldfrom::pipe::{Line, Receiver, Sender, Stage, lines, stage};

use crate::args::Search;

/// The lines of a file that start within a range of bytes. The last line may end behind it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Piece {
    /// Which one it is, from 0, in the order of the output.
    pub number: u64,
    /// Which of the files.
    pub file: usize,
    pub start: u64,
    pub end: u64,
}

/// The pieces of all files, in order.
///
/// Looks at a file when its turn comes. The last piece of each has no end, so that it does not matter if the file grows, or
/// has no length (a pipe), or cannot be looked at; whoever reads it will meet the error.
pub fn pieces(search: &Search) -> impl Iterator<Item = Piece> {
    let size = search.piece_size;
    let ranges = search
        .files
        .iter()
        .enumerate()
        .flat_map(move |(file, path)| {
            let len = path.metadata().map_or(0, |data| data.len());
            let last = len.saturating_sub(1) / size;
            (0..=last).map(move |n| {
                let end = if n == last { u64::MAX } else { (n + 1) * size };
                (file, n * size, end)
            })
        });
    (0..).zip(ranges).map(|(number, (file, start, end))| Piece {
        number,
        file,
        start,
        end,
    })
}

/// Makes a stage that sends on the lines of each piece that it receives. What cannot be read is reported, and the next
/// piece is read.
pub fn read_lines(
    search: Arc<Search>,
    mut report: impl FnMut(String) + 'static,
) -> Stage<Piece, Line> {
    stage(
        move |pieces: &mut Receiver<Piece>, out: &mut Sender<Line>| {
            while let Some(piece) = pieces.recv() {
                let path = &search.files[piece.file];
                let (reader, start) = match open(path, piece) {
                    Ok(Some(opened)) => opened,
                    Ok(None) => continue,
                    Err(error) => {
                        report(format!("{}: {error}", path.display()));
                        continue;
                    }
                };
                let mut lines = lines(reader).pull();
                loop {
                    match lines.recv() {
                        Ok(Some(line)) if start + line.offset() < piece.end => out.send(line)?,
                        Ok(_) => break,
                        Err(error) => {
                            report(format!("{}: {error}", path.display()));
                            break;
                        }
                    }
                }
            }
            Ok(())
        },
    )
}

/// A reader of the first line that starts in the piece and all behind it, and where that is. `None` if no line starts there.
fn open(path: &Path, piece: &Piece) -> io::Result<Option<(impl Read + use<>, u64)>> {
    let mut reader = BufReader::new(File::open(path)?);
    if piece.start == 0 {
        return Ok(Some((reader, 0)));
    }
    // The byte before tells whether a line starts with the piece.
    let before = piece.start - 1;
    reader.seek(SeekFrom::Start(before))?;
    let rest = piece.end - before;
    let skipped = reader.by_ref().take(rest).skip_until(b'\n')? as u64;
    // With `skipped == rest`, the next line starts with the next piece, or later.
    Ok((skipped < rest).then_some((reader, before + skipped)))
}
