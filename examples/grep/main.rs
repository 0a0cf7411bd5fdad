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
//! What it prints is what GNU grep 3.8 prints in the locale C.UTF-8; `grep_draws` compares the two. It differs on purpose:
//!
//! - the files of a directory come in the order of their names;
//! - ranges of letters beyond ASCII (`[α-ω]`) go by code point, which glibc's C.UTF-8 refuses;
//! - a byte that is not UTF-8 is no letter, also at the border of a word;
//! - behind a line that must not be printed, context is what stands behind that line;
//! - `^*`, `\<*` and `(^a)+` mean the same to `-o` and to the choice of lines;
//! - there is no `-P`; `--help` and `--version` are its own, and so are `--max-line` and `--gitignore`;
//! - `-o` shows the second word of a line, too, if only a shorter part of a match is a word (`x|a+-?` in `x a-b`);
//! - in `(\\<a*){,2}` an interval does not forget that the group need not be there;
//! - a backslash at the end of a pattern is refused also behind other patterns;
//! - of a pipe with a binary file it reads no more than it needs;
//! - a back-reference that takes more than 20 million steps for one start is taken for no match.
//!
//! | file | what |
//! |---|---|
//! | `args.rs`, `flags.rs`, `options.rs`, `values.rs`, `help.rs` | the command line: its form, the names, what they mean, the help |
//! | `files.rs`, `globs.rs`, `ignored.rs` | which files to read; a generator walks directories |
//! | `input.rs` | blocks of a file |
//! | `pattern/` | POSIX regular expressions, and which lines match |
//! | `stages.rs`, `printer.rs` | the stages of the pipeline |
//! | `output.rs` | standard output, and what is told on standard error |

#![forbid(unsafe_code)]

mod args;
mod files;
mod flags;
mod globs;
mod help;
mod ignored;
mod input;
mod options;
mod output;
mod pattern;
mod printer;
mod stages;
mod values;

use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use files::{File, files};
use input::Input;
use options::{Command, Mode, Options};
use output::{Output, Paint};
use pattern::Pattern;
use printer::{Source, Style, printer};
use stages::{Sum, cat, context, count, grep, head};

const SELECTED: u8 = 0;
const NONE_SELECTED: u8 = 1;
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let output = Rc::new(Output::new());
    let mut status = match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Search(options)) => run(&Rc::new(*options), &output),
        Ok(Command::Help) => {
            output.write(help::HELP.as_bytes());
            SELECTED
        }
        Ok(Command::Version) => {
            output.write(help::VERSION.as_bytes());
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
fn run(options: &Rc<Options>, output: &Rc<Output>) -> u8 {
    for warning in &options.warnings {
        output.complain(&[warning.as_bytes()]);
    }
    if options.selects_nothing() {
        return NONE_SELECTED;
    }
    let mut warnings = Vec::new();
    let pattern = Pattern::new(options, &mut warnings);
    for warning in &warnings {
        output.complain(&[b"grep: warning: ", warning.as_bytes()]);
    }
    let pattern = match pattern {
        Ok(pattern) => Rc::new(pattern),
        Err(errors) => {
            for error in errors {
                output.complain(&[b"grep: ", error.as_bytes()]);
            }
            return TROUBLE;
        }
    };
    output.set_up(options.color, options.line_buffered);
    let mut search = Search {
        options,
        pattern,
        style: Rc::new(Style::new(options)),
        input: Input::new(options),
        output: output.clone(),
        is_trouble: false,
    };
    let is_selected = search.search_all();
    match options.mode {
        Mode::Quiet if is_selected => SELECTED,
        _ if search.is_trouble => TROUBLE,
        _ if is_selected => SELECTED,
        _ => NONE_SELECTED,
    }
}

struct Search<'a> {
    options: &'a Rc<Options>,
    pattern: Rc<Pattern>,
    style: Rc<Style>,
    input: Input,
    output: Rc<Output>,
    /// Whether a file could not be read.
    is_trouble: bool,
}

impl Search<'_> {
    /// Searches one file after the other. Returns whether a line is selected.
    fn search_all(&mut self) -> bool {
        let mut is_selected = false;
        for file in files(self.options) {
            match file {
                Ok(file) => is_selected |= self.search(&file) > 0,
                Err((file, error)) => self.fail(&file, &error),
            }
            if self.output.is_closed() || (is_selected && self.options.mode == Mode::Quiet) {
                break;
            }
        }
        is_selected
    }

    /// Searches one file. Returns how many of its lines are selected, as far as it was read.
    fn search(&mut self, file: &File) -> u64 {
        if let Err(error) = self.open(file) {
            self.fail(file, &error);
            return 0;
        }
        let (mut sum, read) = self.pipeline(file);
        if self.input.was_skipped() {
            sum = Sum::default();
        }
        if let Err(error) = read {
            self.fail(file, &error);
        }
        self.sum_up(file, sum);
        sum.selected
    }

    /// Builds the stages and has them run.
    fn pipeline(&mut self, file: &File) -> (Sum, io::Result<()>) {
        let options = self.options;
        let (limit, before, after) = (options.max_count, options.before, options.after);
        let prints = options.mode == Mode::Lines && !self.output.is_null();
        let search = stages::Search {
            pattern: self.pattern.clone(),
            inverts: options.invert_match,
            counts: options.mode == Mode::Count && limit.is_none(),
            sends_passed: prints && before + after > 0,
            line_end: options.line_end,
        };
        if !prints {
            let limit = match options.mode {
                Mode::Count => limit,
                _ => Some(limit.map_or(1, |limit| limit.min(1))),
            };
            return cat(&mut self.input, grep(search, head(limit, 0, count())));
        }
        let (style, pattern) = (self.style.clone(), self.pattern.clone());
        let printer = printer(style, self.source(file), pattern, self.output.clone());
        let printer = match before + after {
            0 => printer,
            _ => context(before, after, printer),
        };
        cat(&mut self.input, grep(search, head(limit, after, printer)))
    }

    fn open(&mut self, file: &File) -> io::Result<()> {
        self.input.open(file.path.as_deref())?;
        let prints_lines = self.options.mode == Mode::Lines && self.options.max_count != Some(1);
        if prints_lines && self.output.is_file(&self.input.metadata()?) {
            return Err(io::Error::other("input file is also the output"));
        }
        Ok(())
    }

    fn source(&self, file: &File) -> Source {
        let number_width = match self.input.metadata() {
            _ if !self.options.initial_tab => 0,
            Ok(metadata) if metadata.is_file() => {
                let last = metadata.len() + u64::from(self.options.line_number);
                last.to_string().len()
            }
            _ => i64::MAX.to_string().len(),
        };
        Source {
            name: file.name.clone(),
            with_name: self.has_name(file),
            number_width,
        }
    }

    fn has_name(&self, file: &File) -> bool {
        let is_one_of_many = self.options.operands.len() > 1 || file.is_walked;
        self.options.with_filename.unwrap_or(is_one_of_many)
    }

    /// Prints what is known only when a file has been read.
    fn sum_up(&mut self, file: &File, sum: Sum) {
        let mode = self.options.mode;
        let behind_name: &[u8] = match self.options.null_after_name {
            true => b"\0",
            false => b"\n",
        };
        if mode == Mode::Count {
            if self.has_name(file) {
                self.output.paint(Paint::Name, &file.name);
                match self.options.null_after_name {
                    true => self.output.write(b"\0"),
                    false => self.output.paint(Paint::Separator, b":"),
                };
            }
            self.output.write(format!("{}\n", sum.selected).as_bytes());
        }
        let is_listed = match mode {
            Mode::Names => sum.selected > 0,
            Mode::OtherNames => sum.selected == 0,
            _ => false,
        };
        if is_listed {
            self.output.paint(Paint::Name, &file.name);
            self.output.write(behind_name);
            self.output.end_line();
        }
        let is_cut_off = Some(sum.selected) == self.options.max_count;
        if file.path.is_none() && matches!(mode, Mode::Lines | Mode::Count) {
            match is_cut_off {
                true => self.input.give_back(sum.end),
                false => self.input.skip_rest(),
            }
        }
    }

    /// Tells that a file cannot be read.
    fn fail(&mut self, file: &File, error: &io::Error) {
        self.is_trouble |= !files::is_warning(error);
        if !self.options.no_messages {
            let reason = output::reason(error);
            self.output
                .complain(&[b"grep: ", &file.name, b": ", reason.as_bytes()]);
        }
    }
}
