//! The Python interpreter, where it is there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The interpreter itself. What is on the path may be a script that looks for it.
pub struct Python {
    pub program: PathBuf,
    /// Such as `3.13.0`.
    pub version: String,
}

impl Python {
    /// The first one whose version is accepted: those of version 3.13 on the path and where pyenv keeps them, then any.
    pub fn find(accepts: impl Fn(&str) -> bool) -> Option<Self> {
        let candidates = [PathBuf::from("python3.13")]
            .into_iter()
            .chain(kept_by_pyenv())
            .chain([PathBuf::from("python3")]);
        candidates
            .filter_map(|candidate| Self::at(&candidate))
            .find(|python| accepts(&python.version))
    }

    /// What a command starts, if it is an interpreter.
    pub fn at(program: &Path) -> Option<Self> {
        const WHERE: &str = "import sys; print(sys.executable, sys.version.split()[0], sep='\\t')";
        let line = first_line(program, &["-c", WHERE])?;
        let (program, version) = line.split_once('\t')?;
        Some(Self {
            program: program.into(),
            version: version.into(),
        })
    }
}

/// Those of version 3.13.
fn kept_by_pyenv() -> Vec<PathBuf> {
    let root = first_line("pyenv", &["root"]);
    let versions = root.and_then(|root| Path::new(&root).join("versions").read_dir().ok());
    let versions = versions.into_iter().flatten().flatten();
    versions
        .filter(|version| version.file_name().to_string_lossy().starts_with("3.13."))
        .map(|version| version.path().join("bin").join("python3.13"))
        .collect()
}

/// The first line of what a program prints, if there is such a program.
pub fn first_line(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stderr(Stdio::null());
    let output = command.output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(String::from)
}
