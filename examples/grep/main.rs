//! `grep`: prints the lines of files that match a pattern.
//!
//! The Python it mirrors: a plain function reads and drives, two coroutines wait to be sent lines.
//!
//! ```python
//! def cat(lines, target):                  def grep(pattern, target):        def printer():
//!     for line in lines:                       while True:                       while True:
//!         target.send(line)                        line = yield                      print((yield))
//!                                                  if pattern in line:
//!                                                      target.send(line)
//!
//! cat(open("log"), grep("python", printer()))
//! ```
//!
//! [`search`] is that last line. What Rust adds: a line is lent from stage to stage and never copied, and a stage that
//! wants no more lines (`-m`, `-q`) ends, which the reader learns from its next `send`.
//!
//! ```text
//! cargo run --release --example grep -- -rn coroutine README.md src
//! ```
//!
//! | file | what |
//! |---|---|
//! | `args.rs` | the command line |
//! | `files.rs` | which files to read; a generator walks directories |
//! | `input.rs` | blocks of a file, and the lines in them |
//! | `pattern.rs` | which lines are selected |
//! | `stages.rs` | the stages of the pipeline |
//! | `output.rs` | standard output, and what is told on standard error |

#![forbid(unsafe_code)]

mod args;
mod files;
mod input;
mod output;
mod pattern;
mod stages;

use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use args::{Command, Mode, Options};
use files::{File, files};
use input::Input;
use output::Output;
use pattern::Pattern;
use stages::{Labels, cat, count, grep, head, printer};

const SELECTED: u8 = 0;
const NONE_SELECTED: u8 = 1;
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let output = Rc::new(Output::new());
    let mut status = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Search(options)) => run(&options, &output),
        Ok(Command::Help) => {
            output.write(&[args::HELP.as_bytes()]);
            SELECTED
        }
        Err(message) => {
            output.complain(&[message.as_bytes()]);
            TROUBLE
        }
    };
    if !output.finish() {
        status = TROUBLE;
    }
    status.into()
}

/// Searches all files. Returns the exit status.
fn run(options: &Options, output: &Rc<Output>) -> u8 {
    if options.selects_nothing() {
        return NONE_SELECTED;
    }
    let pattern = match Pattern::new(options) {
        Ok(pattern) => Rc::new(pattern),
        Err(error) => {
            output.complain(&[b"grep: ", error.to_string().as_bytes()]);
            return TROUBLE;
        }
    };
    let mut search = Search {
        options,
        pattern,
        input: Input::new(),
        output: output.clone(),
        is_trouble: false,
    };
    let mut is_selected = false;
    for file in files(options) {
        match file {
            Ok(file) => is_selected |= search.search(&file) > 0,
            Err((file, error)) => search.fail(&file, &error),
        }
        if output.is_closed() || (is_selected && options.mode == Mode::Quiet) {
            break;
        }
    }
    match options.mode {
        Mode::Quiet if is_selected => SELECTED,
        _ if search.is_trouble => TROUBLE,
        _ if is_selected => SELECTED,
        _ => NONE_SELECTED,
    }
}

struct Search<'a> {
    options: &'a Options,
    pattern: Rc<Pattern>,
    input: Input,
    output: Rc<Output>,
    /// Whether a file could not be read.
    is_trouble: bool,
}

impl Search<'_> {
    /// Searches one file. Returns how many of its lines are selected, as far as it was read.
    fn search(&mut self, file: &File) -> u64 {
        if let Err(error) = self.open(file) {
            self.fail(file, &error);
            return 0;
        }
        let labels = self.labels(file);
        let (input, pattern, output) = (&mut self.input, self.pattern.clone(), self.output.clone());
        let limit = self.options.max_count;
        let (selected, read) = match self.options.mode {
            Mode::Lines => cat(input, grep(pattern, head(limit, printer(labels, output)))),
            Mode::Count => cat(input, grep(pattern, head(limit, count()))),
            Mode::Names | Mode::Quiet => cat(input, grep(pattern, head(Some(1), count()))),
        };
        if let Err(error) = read {
            self.fail(file, &error);
        }
        self.sum_up(file, selected);
        selected
    }

    fn open(&mut self, file: &File) -> io::Result<()> {
        self.input.open(file.path.as_deref())?;
        let prints_lines = self.options.mode == Mode::Lines && self.options.max_count != Some(1);
        if prints_lines && self.output.is_file(&self.input.metadata()?) {
            return Err(io::Error::other("input file is also the output"));
        }
        Ok(())
    }

    fn labels(&self, file: &File) -> Labels {
        let is_one_of_many = self.options.operands.len() > 1 || file.is_walked;
        Labels {
            name: file.name.clone(),
            with_name: self.options.with_filename.unwrap_or(is_one_of_many),
            with_number: self.options.line_number,
        }
    }

    /// Prints what is known only when a file has been read.
    fn sum_up(&mut self, file: &File, selected: u64) {
        match self.options.mode {
            Mode::Count => {
                let count = selected.to_string();
                match self.labels(file).with_name {
                    true => self
                        .output
                        .write(&[&file.name, b":", count.as_bytes(), b"\n"]),
                    false => self.output.write(&[count.as_bytes(), b"\n"]),
                };
            }
            Mode::Names if selected > 0 => {
                self.output.write(&[&file.name, b"\n"]);
            }
            _ => {}
        }
        let is_cut_off = Some(selected) == self.options.max_count;
        if is_cut_off && file.path.is_none() && self.options.mode <= Mode::Count {
            self.input.give_back();
        }
    }

    /// Tells that a file cannot be read.
    fn fail(&mut self, file: &File, error: &io::Error) {
        self.is_trouble = true;
        if !self.options.no_messages {
            let reason = output::reason(error);
            self.output
                .complain(&[b"grep: ", &file.name, b": ", reason.as_bytes()]);
        }
    }
}
