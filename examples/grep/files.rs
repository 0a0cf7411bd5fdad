//! Which files to read.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use yieldfrom::{Builder, Generator, Yielder};

use crate::ignored::Ignored;
use crate::options::{Directories, Options};

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
const STACK_SIZE: usize = 16 << 20;

/// Yields the files that the command line names. With `-r`, those in a directory come in the order of their names.
pub fn files(options: &Rc<Options>) -> Generator<Found> {
    let options = options.clone();
    Builder::new()
        .name("files")
        .stack_size(STACK_SIZE)
        .generator(move |y| {
            let mut walk = Walk {
                y,
                options: &options,
                ancestors: Vec::new(),
            };
            if options.operands.is_empty() && options.is_recursive() {
                let ignored = walk.ignored_above(Path::new("."), b".");
                return walk.directory(Path::new("."), b"", &ignored);
            }
            if options.operands.is_empty() {
                walk.operand("-".as_ref());
            }
            for operand in &options.operands {
                walk.operand(operand);
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

struct Walk<'a> {
    y: &'a Yielder<Found>,
    options: &'a Options,
    /// The directories that are being read, each in the one before it. Only with `-R` they could go round in circles.
    ancestors: Vec<Metadata>,
}

impl Walk<'_> {
    fn operand(&mut self, operand: &OsStr) {
        let options = self.options;
        let (path, name) = (Path::new(operand), operand.as_encoded_bytes());
        if operand == "-" {
            let label = options.label.as_deref().unwrap_or(b"(standard input)");
            let stdin = File {
                path: None,
                ..file(path, label)
            };
            self.y.yield_(Ok(stdin));
            return;
        }
        let kind = fs::metadata(path).map(|metadata| metadata.file_type());
        let is_there = kind.is_ok();
        let is_directory = kind.as_ref().is_ok_and(FileType::is_dir);
        let is_device = kind.is_ok_and(|kind| !kind.is_dir() && !kind.is_file());
        let globs = match is_directory {
            true => &options.excluded_directories,
            false => &options.files,
        };
        if is_there && globs.exclude_named(name) || (is_device && options.skips_devices) {
            return;
        }
        match options.directories {
            Directories::Skip if is_directory => {}
            Directories::Recurse { .. } if is_directory => {
                let ignored = self.ignored_above(path, name);
                self.subdirectory(path, name, &ignored);
            }
            _ => self.y.yield_(Ok(file(path, name))),
        }
    }

    fn ignored_above(&self, path: &Path, name: &[u8]) -> Option<Ignored> {
        if !self.options.gitignore {
            return None;
        }
        match Ignored::above(path) {
            Ok(ignored) => Some(ignored),
            Err(error) => {
                self.y.yield_(Err((file(path, name), error)));
                None
            }
        }
    }

    /// Yields the files below a directory.
    fn directory(&mut self, directory: &Path, name: &[u8], ignored: &Option<Ignored>) {
        let fail = |error| self.y.yield_(Err((file(directory, name), error)));
        let (entries, error) = entries(directory);
        if let Some(error) = error {
            fail(error);
        }
        let ignored = match ignored.as_ref().map(|above| above.within(directory)) {
            Some(Ok(ignored)) => Some(ignored),
            Some(Err(error)) => {
                fail(error);
                ignored.clone()
            }
            None => None,
        };
        for (entry, kind) in entries {
            let (path, name) = (directory.join(&entry), join(name, &entry));
            match self.kind(&path, kind) {
                Ok(Some(kind)) if self.is_left_out(&path, &entry, kind, &ignored) => {}
                Ok(Some(kind)) if kind.is_dir() => self.subdirectory(&path, &name, &ignored),
                Ok(Some(_)) => self.y.yield_(Ok(File {
                    is_walked: true,
                    ..file(&path, &name)
                })),
                Ok(None) => {}
                Err(error) => self.y.yield_(Err((file(&path, &name), error))),
            }
        }
    }

    fn subdirectory(&mut self, path: &Path, name: &[u8], ignored: &Option<Ignored>) {
        if !self.follows_links() {
            return self.directory(path, name, ignored);
        }
        match fs::metadata(path) {
            Ok(metadata) if self.ancestors.iter().any(|other| is_same(other, &metadata)) => {
                let warning = io::Error::other(Loop);
                self.y.yield_(Err((file(path, name), warning)));
            }
            Ok(metadata) => {
                self.ancestors.push(metadata);
                self.directory(path, name, ignored);
                self.ancestors.pop();
            }
            Err(error) => self.y.yield_(Err((file(path, name), error))),
        }
    }

    fn follows_links(&self) -> bool {
        let follows_links = true;
        self.options.directories == Directories::Recurse { follows_links }
    }

    /// What an entry is; `None` if it is not to be read.
    fn kind(&self, path: &Path, kind: FileType) -> io::Result<Option<FileType>> {
        let kind = match kind.is_symlink() && self.follows_links() {
            true => fs::metadata(path)?.file_type(),
            false => kind,
        };
        Ok((kind.is_dir() || kind.is_file()).then_some(kind))
    }

    fn is_left_out(
        &self,
        path: &Path,
        entry: &OsStr,
        kind: FileType,
        ignored: &Option<Ignored>,
    ) -> bool {
        let globs = match kind.is_dir() {
            true => &self.options.excluded_directories,
            false => &self.options.files,
        };
        let is_ignored = |ignored: &Ignored| ignored.contains(path, entry, kind.is_dir());
        globs.exclude_met(entry.as_encoded_bytes()) || ignored.as_ref().is_some_and(is_ignored)
    }
}

/// A directory is in itself. That is only a warning.
#[derive(Debug)]
struct Loop;

impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("warning: recursive directory loop")
    }
}

impl Error for Loop {}

pub fn is_warning(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Loop>())
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere the system limits how many links a path may have.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    false
}

/// What is in a directory, sorted by name, and what went wrong.
fn entries(directory: &Path) -> (Vec<(OsString, FileType)>, Option<io::Error>) {
    let mut entries = Vec::new();
    let mut read = || -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            entries.push((entry.file_name(), entry.file_type()?));
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
