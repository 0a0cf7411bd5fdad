//! Where asyncio and uvloop can be run.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::rc::Rc;

use crate::python::{Python, first_line};

/// The version of CPython that this crate is compared with.
const REFERENCE: &str = "3.13.";

/// An interpreter.
#[derive(Clone)]
pub struct Interpreter {
    pub program: PathBuf,
    /// Of what is run on it.
    pub version: String,
    /// What there is only as long as this is.
    _folder: Option<Rc<Folder>>,
}

/// The reference interpreter.
///
/// # Errors
///
/// Why there is none, in words.
pub fn asyncio() -> Result<Interpreter, String> {
    let python = Python::find(|version| version.starts_with(REFERENCE));
    let python = python.ok_or("Python 3.13 is missing")?;
    Ok(Interpreter {
        version: format!("CPython {}", python.version),
        program: python.program,
        _folder: None,
    })
}

/// The same with uvloop, which is installed in a temporary folder if it is missing, and if it may be.
///
/// # Errors
///
/// Why there is none, in words.
pub fn uvloop(
    asyncio: Result<Interpreter, String>,
    may_install: bool,
) -> Result<Interpreter, String> {
    let asyncio = asyncio?;
    if let Some(version) = version_of_uvloop(&asyncio.program) {
        return Ok(Interpreter { version, ..asyncio });
    }
    if !may_install {
        return Err("uvloop is missing; --uvloop installs it for this run".into());
    }
    let failed = |error| format!("uvloop is missing and could not be installed: {error}");
    let folder = Folder::new().map_err(failed)?;
    let program = install(&asyncio.program, &folder.0).map_err(failed)?;
    let version = version_of_uvloop(&program).ok_or("uvloop was installed and is still missing")?;
    Ok(Interpreter {
        program,
        version,
        _folder: Some(Rc::new(folder)),
    })
}

fn version_of_uvloop(program: &Path) -> Option<String> {
    const VERSION: &str = "import uvloop; print(uvloop.__version__)";
    let version = first_line(program, &["-c", VERSION])?;
    Some(format!("uvloop {version}"))
}

/// Makes a virtual environment with uvloop. Returns its interpreter.
fn install(python: &Path, folder: &Path) -> io::Result<PathBuf> {
    let mut make = Command::new(python);
    run(make.args(["-m", "venv"]).arg(folder))?;
    let program = folder.join("bin").join("python");
    let mut install = Command::new(&program);
    install.args(["-m", "pip", "install", "--quiet"]);
    install.args(["--disable-pip-version-check", "--retries", "1", "uvloop"]);
    run(&mut install)?;
    Ok(program)
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let report = String::from_utf8_lossy(&output.stderr);
    let last = report.trim_end().lines().last().unwrap_or_default();
    Err(io::Error::other(format!("{}: {last}", output.status)))
}

/// A temporary folder, which goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("yieldfrom-benches-uvloop-{}", process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("tasks: {}: {error}", self.0.display());
        }
    }
}
