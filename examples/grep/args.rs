//! The command line, read as getopt_long reads it: options may follow operands, short ones may be combined.

use std::ffi::OsString;

pub const HELP: &str = "\
Usage: grep [OPTION]... PATTERNS [FILE]...
Prints the lines of each FILE that match one of PATTERNS (one per line).
Without FILE, and for the FILE -, reads standard input; with -r and without FILE, the working directory.

Which lines:
  -e, --regexp=PATTERNS      patterns; may be repeated
  -F, --fixed-strings        PATTERNS are strings, not regular expressions
  -i, --ignore-case          upper and lower case match each other
  -v, --invert-match         selects the lines that do not match
  -m, --max-count=NUM        stops reading a file after NUM selected lines
What is printed:
  -n, --line-number          the line's number before each line
  -H, --with-filename        the file's name before each line; the default with several files or with -r
  -h, --no-filename          no names
  -c, --count                only how many lines each file has
  -l, --files-with-matches   only the names of files that have one
  -q, --quiet, --silent      nothing; ends with the first selected line
  -s, --no-messages          no message about files that cannot be read
Which files:
  -r, --recursive            every regular file below a FILE that is a directory, in the order of their names;
                             symbolic links are followed only if they are a FILE
      --help                 prints this

Regular expressions are those of Rust's regex crate, on bytes: https://docs.rs/regex/1/regex/#syntax
Text is UTF-8. A file with a NUL byte is binary: that it matches is told on standard error instead of printing it, as is
a selected line that is not UTF-8. From its first block with a NUL on, NUL ends a line too.

Exit status: 0 if a line is selected, 1 if none, 2 if there was an error (but 0 with -q and a selected line).
";

const USAGE: &str =
    "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.";

pub enum Command {
    Search(Options),
    Help,
}

/// What is printed for a file. A later one overrides an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    #[default]
    Lines,
    Count,
    Names,
    Quiet,
}

#[derive(Debug, Default)]
pub struct Options {
    pub patterns: Vec<Vec<u8>>,
    pub operands: Vec<OsString>,
    pub mode: Mode,
    pub fixed_strings: bool,
    pub ignore_case: bool,
    pub invert_match: bool,
    pub line_number: bool,
    pub no_messages: bool,
    pub recursive: bool,
    /// Whether to print names, if the command line says.
    pub with_filename: Option<bool>,
    pub max_count: Option<u64>,
}

impl Options {
    /// Whether the options alone say that no line is selected. Then no file is opened, as in GNU grep.
    pub fn selects_nothing(&self) -> bool {
        let matches_all = matches!(&self.patterns[..], [only] if only.is_empty());
        self.max_count == Some(0) || (self.invert_match && matches_all)
    }
}

/// Every option: its short name, its long names, and whether it takes a value.
const OPTIONS: &[(u8, &[&str], bool)] = &[
    (b'e', &["regexp"], true),
    (b'F', &["fixed-strings"], false),
    (b'i', &["ignore-case"], false),
    (b'v', &["invert-match"], false),
    (b'm', &["max-count"], true),
    (b'n', &["line-number"], false),
    (b'H', &["with-filename"], false),
    (b'h', &["no-filename"], false),
    (b'c', &["count"], false),
    (b'l', &["files-with-matches"], false),
    (b'q', &["quiet", "silent"], false),
    (b's', &["no-messages"], false),
    (b'r', &["recursive"], false),
    (HELP_OPTION, &["help"], false),
];

/// Stands for `--help`, which has no short name.
const HELP_OPTION: u8 = 0;

/// Reads the arguments after the program's name. The error is the whole message.
pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut options = Options::default();
    let mut is_help = false;
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_encoded_bytes();
        if bytes == b"--" {
            options.operands.extend(arguments);
            break;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            let (option, value) = long_option(long, &mut arguments)?;
            is_help |= option == HELP_OPTION;
            options.set(option, value)?;
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            options.set_short(&bytes[1..], &mut arguments)?;
        } else {
            options.operands.push(argument);
        }
    }
    if is_help {
        return Ok(Command::Help);
    }
    if options.patterns.is_empty() {
        if options.operands.is_empty() {
            return Err(USAGE.to_owned());
        }
        let patterns = options.operands.remove(0);
        options.add_patterns(patterns.as_encoded_bytes());
    }
    Ok(Command::Search(options))
}

/// Reads `NAME` or `NAME=VALUE`. The value may also be the next argument.
fn long_option(
    argument: &[u8],
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<(u8, Vec<u8>), String> {
    let mut parts = argument.splitn(2, |&byte| byte == b'=');
    let name = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let value = parts.next();
    let known = OPTIONS
        .iter()
        .find(|(_, names, _)| names.contains(&&*name))
        .ok_or_else(|| misused(format_args!("unrecognized option '--{name}'")))?;
    let value = match (known.2, value) {
        (false, None) => Vec::new(),
        (true, Some(value)) => value.to_vec(),
        (true, None) => arguments
            .next()
            .ok_or_else(|| misused(format_args!("option '--{name}' requires an argument")))?
            .into_encoded_bytes(),
        (false, Some(_)) => {
            return Err(misused(format_args!(
                "option '--{name}' doesn't allow an argument"
            )));
        }
    };
    Ok((known.0, value))
}

fn misused(what: std::fmt::Arguments) -> String {
    format!("grep: {what}\n{USAGE}")
}

impl Options {
    /// Reads the short options of one argument, without its hyphen.
    fn set_short(
        &mut self,
        mut letters: &[u8],
        arguments: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), String> {
        while let Some((&letter, rest)) = letters.split_first() {
            letters = rest;
            let known = OPTIONS
                .iter()
                .find(|(short, ..)| *short == letter && letter != HELP_OPTION);
            let mut value = Vec::new();
            match known {
                None => {
                    let letter = letter.escape_ascii();
                    return Err(misused(format_args!("invalid option -- '{letter}'")));
                }
                Some((_, _, true)) if !rest.is_empty() => {
                    value = std::mem::take(&mut letters).to_vec()
                }
                Some((_, _, true)) => {
                    let letter = char::from(letter);
                    let missing =
                        || misused(format_args!("option requires an argument -- '{letter}'"));
                    value = arguments.next().ok_or_else(missing)?.into_encoded_bytes();
                }
                Some((_, _, false)) => {}
            }
            self.set(letter, value)?;
        }
        Ok(())
    }

    fn set(&mut self, option: u8, value: Vec<u8>) -> Result<(), String> {
        match option {
            b'e' => self.add_patterns(&value),
            b'F' => self.fixed_strings = true,
            b'i' => self.ignore_case = true,
            b'v' => self.invert_match = true,
            b'm' => self.max_count = max_count(&value)?,
            b'n' => self.line_number = true,
            b'H' => self.with_filename = Some(true),
            b'h' => self.with_filename = Some(false),
            b'c' => self.mode = self.mode.max(Mode::Count),
            b'l' => self.mode = self.mode.max(Mode::Names),
            b'q' => self.mode = Mode::Quiet,
            b's' => self.no_messages = true,
            b'r' => self.recursive = true,
            _ => {}
        }
        Ok(())
    }

    fn add_patterns(&mut self, lines: &[u8]) {
        let lines = lines.split(|&byte| byte == b'\n');
        self.patterns.extend(lines.map(<[u8]>::to_vec));
    }
}

/// Reads the value of `-m` as strtoimax does. A negative or huge one means no limit, as in GNU grep.
fn max_count(value: &[u8]) -> Result<Option<u64>, String> {
    let (is_negative, digits) = match value.trim_ascii_start() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("grep: invalid max count".to_owned());
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add((digit - b'0').into())
    });
    Ok(match number {
        Some(0) => Some(0),
        _ if is_negative => None,
        number => number,
    })
}
