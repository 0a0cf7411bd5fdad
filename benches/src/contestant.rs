//! Who is measured, in this program or in another one.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::peers;
use crate::work::{Run, Work};

pub struct Contestant {
    pub name: &'static str,
    place: Place,
}

enum Place {
    Here(Run),
    There(Box<Other>),
}

impl Contestant {
    /// Everybody. What the other program is missing for is said on standard error.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = peers::ALL
            .into_iter()
            .map(|(name, run)| Self {
                name,
                place: Place::Here(run),
            })
            .collect();
        match Other::start() {
            Ok(other) => {
                let after = all.iter().position(|c| c.name == peers::RAW);
                let contestant = Self {
                    name: peers::RAW_DEFAULTS,
                    place: Place::There(Box::new(other)),
                };
                all.insert(after.map_or(0, |i| i + 1), contestant);
            }
            Err(error) => eprintln!("without {:?}: {error}", peers::RAW_DEFAULTS),
        }
        all
    }

    /// As [`Run`].
    pub fn run(&mut self, work: Work, n: u64) -> Option<Duration> {
        match &mut self.place {
            Place::Here(run) => run(work, n),
            Place::There(other) => other
                .run(work, n)
                .unwrap_or_else(|error| panic!("{} stopped at {work}: {error}", self.name)),
        }
    }

    /// A command line that [serves](crate::serve) its works.
    pub fn command_line(&self) -> io::Result<Vec<String>> {
        let (program, arguments) = match &self.place {
            Place::Here(_) => (env::current_exe()?, vec!["serve", self.name]),
            Place::There(other) => (other.program.clone(), vec![]),
        };
        let arguments = arguments.into_iter().map(String::from);
        Ok([program.display().to_string()]
            .into_iter()
            .chain(arguments)
            .collect())
    }
}

struct Other {
    program: PathBuf,
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Other {
    const NAME: &str = "corosensei-defaults";

    /// Builds it beside this program and starts it.
    fn start() -> io::Result<Self> {
        let this = env::current_exe()?;
        let folder = this.parent().ok_or(io::ErrorKind::NotFound)?;
        let target = folder.parent().ok_or(io::ErrorKind::NotFound)?;
        let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--release", "--features", "unwind"])
            .args(["--bin", Self::NAME, "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .arg("--target-dir")
            .arg(target)
            .status()?;
        if !built.success() {
            return Err(io::Error::other("cargo could not build it"));
        }
        let program = target
            .join("release")
            .join(Self::NAME)
            .with_extension(env::consts::EXE_EXTENSION);
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self {
            program,
            requests: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
        })
    }

    fn run(&mut self, work: Work, n: u64) -> io::Result<Option<Duration>> {
        let requests = self.requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(requests, "{work} {n}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim() {
            "-" => Ok(None),
            "" => Err(io::ErrorKind::UnexpectedEof.into()),
            answer => {
                let nanos = answer.split(' ').next().unwrap_or_default();
                let nanos = nanos.parse().map_err(io::Error::other)?;
                Ok(Some(Duration::from_nanos(nanos)))
            }
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.requests = None; // which ends it
        let _ = self.child.wait();
    }
}
