//! The files in a directory.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::builder::Builder;
use crate::generator::{Generator, Yielder};

/// Address space for the recursion, of which only what is used becomes memory: a path has less than 4,096 bytes, and so
/// less than 2,048 levels.
const STACK_SIZE: usize = 8 << 20;

/// Yields the regular files below a directory, in the order of their names.
///
/// Symbolic links are left out. A directory that cannot be read is yielded itself, so that whoever opens it meets the
/// error. If `directory` is a file, it is yielded.
///
/// ```no_run
/// use yieldfrom::pipe::{grep, lines_of, print, walk};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let sources = walk("src").filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
/// lines_of(sources).pipe(grep("unsafe")).into(print())?;
/// # Ok(())
/// # }
/// ```
pub fn walk(directory: impl Into<PathBuf>) -> Generator<PathBuf> {
    let directory = directory.into();
    let builder = Builder::named("walk").stack_size(STACK_SIZE);
    builder.generator(move |y| descend(y, &directory))
}

fn descend(y: &Yielder<PathBuf>, directory: &Path) {
    let Ok(entries) = entries(directory) else {
        return y.yield_(directory.to_owned());
    };
    for (name, is_directory) in entries {
        let path = directory.join(name);
        match is_directory {
            true => descend(y, &path),
            false => y.yield_(path),
        }
    }
}

/// The regular files and directories in a directory, sorted.
fn entries(directory: &Path) -> io::Result<Vec<(OsString, bool)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() || kind.is_file() {
            entries.push((entry.file_name(), kind.is_dir()));
        }
    }
    entries.sort();
    Ok(entries)
}
