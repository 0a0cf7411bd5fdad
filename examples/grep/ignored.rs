//! What `.gitignore` and `.ignore` leave out.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The files that say so in a directory; the later one decides.
const NAMES: [&str; 2] = [".gitignore", ".ignore"];

/// What is left out below a directory.
#[derive(Clone)]
pub struct Ignored {
    /// The directory, and the whole path of it: the globs of the directories above it are about that.
    directory: PathBuf,
    whole: PathBuf,
    /// The globs of each directory from the outermost on.
    globs: Vec<Rc<Gitignore>>,
}

impl Ignored {
    /// What the directories above this one say, up to the root of the repository, if it is in one.
    pub fn above(directory: &Path) -> io::Result<Self> {
        let whole = directory.canonicalize()?;
        let above: Vec<&Path> = whole.ancestors().skip(1).collect();
        let is_root = |directory: &Path| directory.join(".git").exists();
        let depth = match is_root(&whole) {
            true => 0,
            false => above
                .iter()
                .position(|above| is_root(above))
                .map_or(0, |at| at + 1),
        };
        let globs = above[..depth].iter().rev().map(|above| globs(above));
        Ok(Self {
            globs: globs
                .collect::<io::Result<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect(),
            directory: directory.to_owned(),
            whole,
        })
    }

    /// The same for a directory below, or for this one, with what it says itself.
    pub fn within(&self, directory: &Path) -> io::Result<Self> {
        let whole = self.whole(directory);
        let mut globs_within = self.globs.clone();
        globs_within.extend(globs(&whole)?);
        Ok(Self {
            directory: directory.to_owned(),
            whole,
            globs: globs_within,
        })
    }

    /// Whether an entry of the directory is left out. The innermost directory that says anything about it decides.
    pub fn contains(&self, path: &Path, name: &OsStr, is_directory: bool) -> bool {
        if is_directory && name == ".git" {
            return true;
        }
        let path = self.whole(path);
        let mut says = self
            .globs
            .iter()
            .rev()
            .map(|globs| globs.matched(&path, is_directory));
        says.find(|says| !says.is_none())
            .is_some_and(|says: Match<_>| says.is_ignore())
    }

    fn whole(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.directory) {
            Ok(below) if below.as_os_str().is_empty() => self.whole.clone(),
            Ok(below) => self.whole.join(below),
            Err(_) => path.to_owned(),
        }
    }
}

/// What the files in a directory say, if there are any.
fn globs(directory: &Path) -> io::Result<Option<Rc<Gitignore>>> {
    let mut builder = GitignoreBuilder::new(directory);
    for name in NAMES {
        let path = directory.join(name);
        if path.is_file() {
            if let Some(error) = builder.add(path) {
                return Err(io::Error::other(error));
            }
        }
    }
    let globs = builder.build().map_err(io::Error::other)?;
    Ok((!globs.is_empty()).then(|| Rc::new(globs)))
}
