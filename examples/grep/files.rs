//! Which files to read.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use yieldfrom::{Builder, Generator, Yielder};

use crate::args::Options;

/// A file to read, and what it is called in the output.
pub struct File {
    /// `None` is standard input.
    pub path: Option<PathBuf>,
    pub name: Vec<u8>,
    /// Whether it was met in a directory.
    pub is_walked: bool,
}

type Found = Result<File, (File, io::Error)>;

/// Address space for the recursion into directories, of which only what is used becomes memory. A path has less than
/// 4,096 bytes, so the recursion has less than 2,048 levels.
const STACK_SIZE: usize = 8 << 20;

/// Yields the files that the command line names. With `-r`, those in a directory come in the order of their names.
pub fn files(options: &Options) -> Generator<Found> {
    let mut operands = options.operands.clone();
    let recursive = options.recursive;
    Builder::new()
        .name("files")
        .stack_size(STACK_SIZE)
        .generator(move |y| {
            if operands.is_empty() && recursive {
                return walk(y, Path::new("."), b"");
            }
            if operands.is_empty() {
                operands.push("-".into());
            }
            for operand in &operands {
                let name = operand.as_encoded_bytes();
                let path = Path::new(operand);
                if operand == "-" {
                    y.yield_(Ok(File {
                        path: None,
                        name: b"(standard input)".to_vec(),
                        is_walked: false,
                    }));
                } else if recursive && path.is_dir() {
                    walk(y, path, name);
                } else {
                    y.yield_(Ok(file(path, name)));
                }
            }
        })
}

fn file(path: &Path, name: &[u8]) -> File {
    File {
        path: Some(path.to_owned()),
        name: name.to_vec(),
        is_walked: false,
    }
}

/// Yields the regular files below a directory.
fn walk(y: &Yielder<Found>, directory: &Path, name: &[u8]) {
    let (entries, error) = entries(directory);
    if let Some(error) = error {
        y.yield_(Err((file(directory, name), error)));
    }
    for (entry, kind) in entries {
        let (path, name) = (directory.join(&entry), join(name, &entry));
        match kind {
            Kind::Directory => walk(y, &path, &name),
            Kind::Regular => y.yield_(Ok(File {
                is_walked: true,
                ..file(&path, &name)
            })),
        }
    }
}

enum Kind {
    Directory,
    Regular,
}

/// The files and directories in a directory, sorted by name, and what went wrong.
fn entries(directory: &Path) -> (Vec<(OsString, Kind)>, Option<io::Error>) {
    let mut entries = Vec::new();
    let mut read = || -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                entries.push((entry.file_name(), Kind::Directory));
            } else if kind.is_file() {
                entries.push((entry.file_name(), Kind::Regular));
            }
        }
        Ok(())
    };
    let error = read().err();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    (entries, error)
}

/// `name/entry`; slashes that `name` ends with are not doubled.
fn join(name: &[u8], entry: &OsStr) -> Vec<u8> {
    let mut joined = name.to_vec();
    while joined.len() > 1 && joined.ends_with(b"/") {
        joined.pop();
    }
    if !joined.is_empty() && joined != b"/" {
        joined.push(b'/');
    }
    joined.extend_from_slice(entry.as_encoded_bytes());
    joined
}
