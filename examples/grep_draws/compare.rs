//! Runs both programs, and compares what they do.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::draw::Draw;
use crate::files::{self, Kind};
use crate::options::{CommandLine, command_line};

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How much is written to a pipe at once: `PIPE_BUF` of Linux.
const MAX_PIPED: usize = 4096;

/// The two programs.
pub struct Programs {
    ours: PathBuf,
}

impl Programs {
    pub fn find() -> Result<Self, String> {
        let here = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut ours = here.with_file_name("grep");
        ours.set_extension(std::env::consts::EXE_EXTENSION);
        if !ours.exists() {
            let ours = ours.display();
            return Err(format!(
                "{ours} is missing; build it with `cargo build --examples`"
            ));
        }
        let version = Command::new("grep").arg("--version").output();
        match version {
            Ok(version) if version.stdout.starts_with(b"grep (GNU grep) 3.8") => Ok(Self { ours }),
            Ok(version) if version.stdout.starts_with(b"grep (GNU grep) ") => {
                eprintln!("grep_draws: compares with another version than 3.8, which may differ");
                Ok(Self { ours })
            }
            _ => Err("there is no GNU grep on PATH".to_owned()),
        }
    }
}

/// A folder, and what is run in it.
pub struct Case {
    folder: PathBuf,
    line: CommandLine,
    stdin: Vec<u8>,
}

pub struct Outcome {
    /// GNU grep's; none if it took too long, and nothing was compared.
    pub status: Option<i32>,
    pub difference: Option<String>,
}

impl Case {
    pub fn draw(draw: &mut Draw, folder: &Path) -> Self {
        let kind = draw.one_of(&[Kind::Valid, Kind::Valid, Kind::Small, Kind::Invalid]);
        let made = fs::create_dir(folder).and_then(|()| files::write(draw, folder, kind));
        made.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let case = Self {
            stdin: files::text(draw, kind),
            line: command_line(draw, kind),
            folder: folder.to_owned(),
        };
        if let Some(patterns) = &case.line.patterns_file {
            let file = folder.join("patterns");
            fs::write(&file, patterns)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        case
    }

    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    pub fn run(&self, programs: &Programs) -> Outcome {
        let ours = self.output(programs.ours.as_os_str());
        let gnu = self.output("grep".as_ref());
        if gnu.status.code().is_none() {
            return Outcome {
                status: None,
                difference: None,
            };
        }
        let parts = [
            ("status", status(&gnu), status(&ours)),
            (
                "standard output",
                self.comparable(gnu.stdout),
                self.comparable(ours.stdout),
            ),
            (
                "standard error",
                self.comparable(gnu.stderr),
                self.comparable(ours.stderr),
            ),
        ];
        let mut difference = String::new();
        for (name, gnu, ours) in parts {
            if gnu != ours {
                let (gnu, ours) = (excerpt(&gnu, &ours), excerpt(&ours, &gnu));
                let _ = writeln!(difference, "  {name}:\n    GNU:  {gnu}\n    ours: {ours}");
            }
        }
        Outcome {
            status: gnu.status.code(),
            difference: (!difference.is_empty()).then(|| self.reproduction() + &difference),
        }
    }

    fn output(&self, program: &OsStr) -> Output {
        let mut command = Command::new(program);
        command.args(&self.line.arguments).current_dir(&self.folder);
        command
            .env("LC_ALL", "C.UTF-8")
            .env_remove("GREP_COLORS")
            .env_remove("GREP_COLOR");
        command
            .stdin(self.standard_input().expect("a folder can be written to"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program that exists starts");
        if let Some(mut pipe) = child.stdin.take() {
            // It need not be read to its end.
            let _ = pipe.write_all(&self.stdin);
        }
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let status = wait(&mut child);
        Output {
            status,
            stdout: stdout.join().expect("a reader does not panic"),
            stderr: stderr.join().expect("a reader does not panic"),
        }
    }

    /// A pipe if one `read` returns all of it: else what the second of two `-` finds there is a matter of timing.
    fn standard_input(&self) -> io::Result<Stdio> {
        if self.stdin.len() <= MAX_PIPED {
            return Ok(Stdio::piped());
        }
        let path = self.folder.with_extension("stdin");
        fs::write(&path, &self.stdin)?;
        let file = File::open(&path)?;
        fs::remove_file(path)?;
        Ok(file.into())
    }

    /// The order of the files in a directory is the system's.
    fn comparable(&self, text: Vec<u8>) -> Vec<u8> {
        if !self.line.is_recursive {
            return text;
        }
        let mut lines: Vec<&[u8]> = text
            .split_inclusive(|&byte| byte == b'\n' || byte == b'\0')
            .collect();
        // So it decides before which groups of lines there is a separator.
        let separators: [&[u8]; 4] = [b"\n", b"--\n", b"XX\n", b"\x1b[36m\x1b[K--\x1b[m\x1b[K\n"];
        lines.retain(|line| !separators.contains(line));
        lines.sort();
        lines.concat()
    }

    /// What to type to see it again.
    fn reproduction(&self) -> String {
        let mut text = String::new();
        let _ = write!(text, "  (cd {}; LC_ALL=C.UTF-8 grep", self.folder.display());
        for argument in &self.line.arguments {
            text.push(' ');
            text.push_str(&quoted(argument.as_encoded_bytes()));
        }
        let stdin = match self.stdin.len() {
            0..200 => format!("printf '{}'", printf(&self.stdin)),
            length => format!("{length} bytes"),
        };
        let _ = writeln!(text, ")\n  standard input: {stdin}");
        for name in files::NAMES {
            let content = fs::read(self.folder.join(name)).unwrap_or_default();
            if content.len() < 200 {
                let _ = writeln!(text, "  printf '{}' >{name}", printf(&content));
            }
        }
        text
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    let mut pipe = pipe.expect("what it writes is piped");
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        text
    })
}

/// Waits for the end of a program, and ends it if that takes too long. It then has no exit status.
fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_micros(200));
    }
}

fn status(output: &Output) -> Vec<u8> {
    format!("{:?}", output.status.code()).into_bytes()
}

/// From a little before where the two part.
fn excerpt(text: &[u8], other: &[u8]) -> String {
    let equal = text.iter().zip(other).take_while(|(a, b)| a == b).count();
    let start = equal.saturating_sub(40);
    let end = text.len().min(equal + 120);
    format!(
        "{} bytes, from {start}: {}",
        text.len(),
        text[start..end].escape_ascii()
    )
}

/// For a shell that has `$'..'`.
fn quoted(argument: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-=./_:,".contains(byte);
    match !argument.is_empty() && argument.iter().all(is_plain) {
        true => String::from_utf8_lossy(argument).into_owned(),
        false => format!("$'{}'", argument.escape_ascii()),
    }
}

/// For `printf`, between single quotes.
fn printf(text: &[u8]) -> String {
    let mut format = String::new();
    for &byte in text {
        match byte {
            b'\n' => format.push_str("\\n"),
            b'\\' => format.push_str("\\\\"),
            b'%' => format.push_str("%%"),
            b' '..=b'~' if byte != b'\'' => format.push(byte.into()),
            _ => {
                let _ = write!(format, "\\{byte:03o}");
            }
        }
    }
    format
}
