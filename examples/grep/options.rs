//! What the options mean.

use std::collections::HashSet;
use std::ffi::OsString;

use crate::args::{Argument, Reader, USAGE};
use crate::flags::{self, Flag};
use crate::globs::Globs;
use crate::pattern::Syntax;
use crate::values::{
    binary_files, context_length, directories, is_color_terminal, lines, max_count, max_line,
    number, read, without_slashes,
};

pub enum Command {
    Search(Box<Options>),
    Help,
    Version,
}

/// What is printed for a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Lines,
    Count,
    /// The names of the files that have a selected line.
    Names,
    /// The names of the files that have none.
    OtherNames,
    Quiet,
}

/// What is done with a file that is not text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binary {
    #[default]
    Tell,
    Print,
    Skip,
}

/// What is done with a directory that is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directories {
    #[default]
    Read,
    Skip,
    Recurse {
        follows_links: bool,
    },
}

/// A pattern as it was given.
#[derive(Debug)]
pub struct Source {
    /// Without a line end.
    pub text: Vec<u8>,
    /// The file and the line that it is from, if it is from a file.
    pub place: Option<(String, usize)>,
}

#[derive(Debug)]
pub struct Options {
    /// None at all match nothing.
    pub patterns: Vec<Source>,
    pub syntax: Syntax,
    pub ignore_case: bool,
    pub whole_words: bool,
    pub whole_lines: bool,
    /// What ends a line.
    pub line_end: u8,
    pub invert_match: bool,
    pub max_count: Option<u64>,
    pub max_line: usize,

    pub mode: Mode,
    pub only_matching: bool,
    pub before: u64,
    pub after: u64,
    /// Whether groups of lines are told apart, and by what.
    pub group_separator: Option<Vec<u8>>,
    pub has_context: bool,
    pub line_number: bool,
    pub byte_offset: bool,
    pub initial_tab: bool,
    pub null_after_name: bool,
    /// Whether to print names, if the command line says.
    pub with_filename: Option<bool>,
    pub label: Option<Vec<u8>>,
    pub color: bool,
    pub line_buffered: bool,
    pub no_messages: bool,

    pub operands: Vec<OsString>,
    pub binary: Binary,
    pub directories: Directories,
    pub skips_devices: bool,
    pub files: Globs,
    pub excluded_directories: Globs,
    pub gitignore: bool,
    /// What is to be told before anything else.
    pub warnings: Vec<String>,
}

impl Options {
    /// Whether the options alone say that no line is selected. Then no file is opened, as in GNU grep.
    pub fn selects_nothing(&self) -> bool {
        let matches_all = matches!(&self.patterns[..], [only] if only.text.is_empty())
            && !self.whole_lines
            && !self.whole_words;
        let can_match = match self.invert_match {
            false => !self.patterns.is_empty(),
            true => !matches_all,
        };
        self.mode != Mode::OtherNames && (self.max_count == Some(0) || !can_match)
    }

    pub fn is_recursive(&self) -> bool {
        matches!(self.directories, Directories::Recurse { .. })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            syntax: Syntax::Basic,
            ignore_case: false,
            whole_words: false,
            whole_lines: false,
            line_end: b'\n',
            invert_match: false,
            max_count: None,
            max_line: 256 << 20,
            mode: Mode::Lines,
            only_matching: false,
            before: 0,
            after: 0,
            group_separator: Some(b"--".to_vec()),
            has_context: false,
            line_number: false,
            byte_offset: false,
            initial_tab: false,
            null_after_name: false,
            with_filename: None,
            label: None,
            color: false,
            line_buffered: false,
            no_messages: false,
            operands: Vec::new(),
            binary: Binary::Tell,
            directories: Directories::Read,
            skips_devices: false,
            files: Globs::default(),
            excluded_directories: Globs::default(),
            gitignore: false,
            warnings: Vec::new(),
        }
    }
}

/// Reads the arguments after the program's name. The error is the whole message.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut reader = Reader::new(arguments, flags::short, flags::LONG);
    let mut given = Given::default();
    while let Some(argument) = reader.next()? {
        match argument {
            Argument::Option(flag, value) => given.set(flag, value)?,
            Argument::Digit(digit, follows_digit) => given.add_digit(digit, follows_digit),
            Argument::Operand(operand) => given.options.operands.push(operand),
        }
    }
    given.finish()
}

/// What the command line has said so far, where the meaning depends on what follows.
#[derive(Default)]
struct Given {
    options: Options,
    patterns: Option<Vec<Source>>,
    syntax: Option<Syntax>,
    context: Option<u64>,
    before: Option<u64>,
    after: Option<u64>,
    digits: Vec<u8>,
    counts: bool,
    names: Option<Mode>,
    is_quiet: bool,
    wants_help: bool,
    wants_version: bool,
}

impl Given {
    fn set(&mut self, flag: Flag, value: Option<Vec<u8>>) -> Result<(), String> {
        let options = &mut self.options;
        let given = value.is_some();
        let value = value.unwrap_or_default();
        match flag {
            Flag::Syntax(syntax) => match self.syntax.replace(syntax) {
                Some(other) if other != syntax => {
                    return Err("grep: conflicting matchers specified".to_owned());
                }
                _ => {}
            },
            Flag::After => self.after = Some(context_length(&value)?),
            Flag::Before => self.before = Some(context_length(&value)?),
            Flag::Context => self.context = Some(context_length(&value)?),
            Flag::Regexp => self.add_patterns(&value),
            Flag::File => self.add_patterns_of(&value)?,
            Flag::Count => self.counts = true,
            Flag::Names(mode) => self.names = Some(mode),
            Flag::Quiet => self.is_quiet = true,
            Flag::Help => self.wants_help = true,
            Flag::Version => self.wants_version = true,
            Flag::Color => match &value[..] {
                _ if !given => options.color = is_color_terminal(),
                b"always" | b"yes" | b"force" => options.color = true,
                b"never" | b"no" | b"none" => options.color = false,
                b"auto" | b"tty" | b"if-tty" => options.color = is_color_terminal(),
                _ => self.wants_help = true,
            },
            Flag::BinaryFiles => options.binary = binary_files(&value)?,
            Flag::Directories => options.directories = directories(&value)?,
            Flag::Devices => {
                options.skips_devices = match &value[..] {
                    b"read" => false,
                    b"skip" => true,
                    _ => return Err("grep: unknown devices method".to_owned()),
                }
            }
            Flag::ExcludeFrom => {
                for glob in lines(read(&value)?) {
                    options.files.exclude(glob);
                }
            }
            Flag::MaxCount => options.max_count = max_count(&value)?,
            Flag::MaxLine => options.max_line = max_line(&value)?,
            _ => options.set(flag, value),
        }
        Ok(())
    }

    /// `-1` `-2` are two numbers, the later of which counts, `-12` is one.
    fn add_digit(&mut self, digit: u8, follows_digit: bool) {
        if !follows_digit {
            self.digits.clear();
        }
        self.digits.push(digit);
        self.context = Some(number(&self.digits).unwrap_or(u64::MAX));
    }

    fn add_patterns(&mut self, text: &[u8]) {
        let patterns = self.patterns.get_or_insert_default();
        patterns.extend(text.split(|&byte| byte == b'\n').map(|text| Source {
            text: text.to_vec(),
            place: None,
        }));
    }

    fn add_patterns_of(&mut self, file: &[u8]) -> Result<(), String> {
        let patterns = self.patterns.get_or_insert_default();
        let name = String::from_utf8_lossy(file);
        patterns.extend(
            lines(read(file)?)
                .into_iter()
                .zip(1..)
                .map(|(text, number)| Source {
                    text,
                    place: Some((name.to_string(), number)),
                }),
        );
        Ok(())
    }

    fn finish(mut self) -> Result<Command, String> {
        if self.wants_version {
            return Ok(Command::Version);
        }
        if self.wants_help {
            return Ok(Command::Help);
        }
        if self.patterns.is_none() {
            if self.options.operands.is_empty() {
                return Err(USAGE.to_owned());
            }
            let patterns = self.options.operands.remove(0);
            self.add_patterns(patterns.as_encoded_bytes());
        }
        let mut options = self.options;
        let mut seen = HashSet::new();
        options.patterns = self.patterns.unwrap_or_default();
        options
            .patterns
            .retain(|pattern| seen.insert(pattern.text.clone()));
        options.syntax = self.syntax.unwrap_or(Syntax::Basic);
        let has_context = [self.before, self.after, self.context]
            .iter()
            .any(Option::is_some);
        options.has_context = has_context;
        options.before = self.before.or(self.context).unwrap_or(0);
        options.after = self.after.or(self.context).unwrap_or(0);
        options.mode = match self.names {
            _ if self.is_quiet => Mode::Quiet,
            Some(mode) => mode,
            None if self.counts => Mode::Count,
            None => Mode::Lines,
        };
        Ok(Command::Search(Box::new(options)))
    }
}

impl Options {
    /// Those that stand for themselves.
    fn set(&mut self, flag: Flag, value: Vec<u8>) {
        match flag {
            Flag::ByteOffset => self.byte_offset = true,
            Flag::Exclude => self.files.exclude(value),
            Flag::Include => self.files.include(value),
            Flag::ExcludeDir => self.excluded_directories.exclude(without_slashes(value)),
            Flag::GroupSeparator => self.group_separator = Some(value),
            Flag::NoGroupSeparator => self.group_separator = None,
            Flag::IgnoreCase(ignored) => self.ignore_case = ignored,
            Flag::InitialTab => self.initial_tab = true,
            Flag::Label => self.label = Some(value),
            Flag::LineBuffered => self.line_buffered = true,
            Flag::LineNumber => self.line_number = true,
            Flag::WholeLines => self.whole_lines = true,
            Flag::WholeWords => self.whole_words = true,
            Flag::WithFilename(with) => self.with_filename = Some(with),
            Flag::NoMessages => self.no_messages = true,
            Flag::Null => self.null_after_name = true,
            Flag::NullData => self.line_end = b'\0',
            Flag::OnlyMatching => self.only_matching = true,
            Flag::Recursive { follows_links } => {
                self.directories = Directories::Recurse { follows_links };
            }
            Flag::InvertMatch => self.invert_match = true,
            Flag::Binary(binary) => self.binary = binary,
            Flag::UnixByteOffsets => self
                .warnings
                .push("grep: warning: --unix-byte-offsets (-u) is obsolete".to_owned()),
            Flag::Gitignore => self.gitignore = true,
            _ => {}
        }
    }
}
