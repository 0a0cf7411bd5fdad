//! Random command lines.

use std::ffi::OsString;

use crate::draw::Draw;
use crate::files::{self, Kind};
use crate::patterns::{Syntax, back_reference, even_pattern, patterns};

pub struct CommandLine {
    pub arguments: Vec<OsString>,
    /// What `-f` reads, if it is given.
    pub patterns_file: Option<Vec<u8>>,
    pub is_recursive: bool,
    kind: Kind,
    /// Whether `-w` is drawn, or else `-x`.
    takes_words: bool,
}

pub fn command_line(draw: &mut Draw, kind: Kind) -> CommandLine {
    let mut line = CommandLine {
        arguments: Vec::new(),
        patterns_file: None,
        is_recursive: false,
        kind,
        takes_words: draw.once_in(2),
    };
    let syntax = line.add_syntax(draw);
    for _ in 0..draw.below(5) {
        line.add_option(draw);
    }
    line.add_patterns(draw, syntax);
    if line.has_anchor_in_group() {
        // With `-z`, one of GNU grep's two matchers finds it behind a `\n`, and the other does not.
        let is_null_data = |option: &OsString| option == "-z" || option == "--null-data";
        line.arguments.retain(|option| !is_null_data(option));
    }
    line.add_operands(draw);
    line
}

impl CommandLine {
    fn has_anchor_in_group(&self) -> bool {
        let arguments = self
            .arguments
            .iter()
            .map(|argument| argument.as_encoded_bytes());
        let mut texts = arguments.chain(self.patterns_file.as_deref());
        texts.any(|text| text.contains(&b'(') && text.iter().any(|byte| b"^$".contains(byte)))
    }

    fn push(&mut self, argument: impl Into<OsString>) {
        self.arguments.push(argument.into());
    }

    fn add_syntax(&mut self, draw: &mut Draw) -> Syntax {
        let (names, syntax): (&[&str], _) = match draw.below(5) {
            0 => (&["-F", "--fixed-strings", "--fixed"], Syntax::Fixed),
            1 | 2 => (&["-E", "--extended-regexp", "--ext"], Syntax::Extended),
            3 => (&["-G", "--basic-regexp", "--ba"], Syntax::Basic),
            _ => return Syntax::Basic,
        };
        self.push(draw.one_of(names));
        syntax
    }

    fn add_option(&mut self, draw: &mut Draw) {
        let option = match draw.below(34) {
            0 | 1 => draw.one_of(&["-i", "--ignore-case", "-y", "--no-ignore-case"]),
            2 | 3 => draw.one_of(&["-v", "--invert-match", "--inv"]),
            4 | 5 if self.takes_words => draw.one_of(&["-w", "--word-regexp", "--wo"]),
            4..=6 if !self.takes_words => draw.one_of(&["-x", "--line-regexp"]),
            7 => draw.one_of(&["-c", "--count"]),
            8 | 9 => draw.one_of(&["-n", "--line-number", "--line-n"]),
            10 => draw.one_of(&["-l", "--files-with-matches", "-L", "--files-without-match"]),
            11..=13 => draw.one_of(&["-o", "--only-matching"]),
            14 => draw.one_of(&["-q", "--quiet", "--silent"]),
            15 => draw.one_of(&["-s", "--no-messages"]),
            16 => draw.one_of(&["-h", "--no-filename", "-H", "--with-filename"]),
            17 | 18 => draw.one_of(&["-m1", "-m", "--max-count=2", "-m0", "-m3"]),
            19..=21 if self.kind.has_context() => return self.add_context(draw),
            22 | 23 => draw.one_of(&[
                "--color=always",
                "--colour=always",
                "--color",
                "--color=never",
                "--color=always",
            ]),
            24 => "--line-buffered",
            25 => draw.one_of(&["-b", "--byte-offset"]),
            26 => draw.one_of(&[
                "-a",
                "--text",
                "--binary-files=text",
                "--binary-files=without-match",
                "-I",
                "--binary-files=binary",
            ]),
            27 => draw.one_of(&["--label=stdin", "--label=x"]),
            28 => draw.one_of(&["-T", "--initial-tab", "-Z", "--null"]),
            29 => draw.one_of(&["-z", "--null-data"]),
            30 => draw.one_of(&[
                "--group-separator=XX",
                "--no-group-separator",
                "--group-separator=",
            ]),
            31..=32 => return self.add_recursion(draw),
            _ => draw.one_of(&["-nv", "-on", "-ci", "-vn", "-ob", "-U", "-hn", "-dskip"]),
        };
        self.push(option);
        if option == "-m" {
            self.push(draw.one_of(&["1", "2", "5"]));
        }
    }

    fn add_context(&mut self, draw: &mut Draw) {
        let number = draw.one_of(&["0", "1", "2", "3"]);
        match draw.below(6) {
            0 => self.push(format!("-{number}")),
            1 => self.push(format!("--context={number}")),
            2 => self.push(format!("-B{number}")),
            3 => self.push(format!("-A{number}")),
            4 => self.push(format!("-C{number}")),
            _ => {
                self.push(draw.one_of(&["-A", "-B", "-C", "--after-context", "--before"]));
                self.push(number);
            }
        }
    }

    fn add_recursion(&mut self, draw: &mut Draw) {
        self.is_recursive = true;
        self.push(draw.one_of(&[
            "-r",
            "-R",
            "--recursive",
            "--dereference-recursive",
            "-drecurse",
        ]));
        let globs = [
            "*.c", "*.h", "a*", "*", "sub", "dir", "dir/", "?.c", "[ab].*", "e", ".*", "dir/*",
            "*/a.c", "a.\\c",
        ];
        while draw.once_in(2) {
            let name = draw.one_of(&["include", "exclude", "exclude-dir"]);
            self.push(format!("--{name}={}", draw.one_of(&globs)));
        }
    }

    fn add_patterns(&mut self, draw: &mut Draw, syntax: Syntax) {
        let is_valid = self.kind.has_word_borders();
        if draw.once_in(25) && !self.shows_words() {
            let mut text = patterns(draw, syntax, is_valid);
            if draw.once_in(2) {
                text.push(b'\n');
            }
            if draw.once_in(4) {
                text.clear();
            }
            self.patterns_file = Some(text);
            self.push("-f");
            self.push("patterns");
            return;
        }
        let pattern = match syntax {
            _ if self.shows_words() => even_pattern(draw, syntax, is_valid),
            Syntax::Fixed => patterns(draw, syntax, is_valid),
            _ if self.kind == Kind::Small && draw.once_in(3) => back_reference(draw, syntax),
            _ => patterns(draw, syntax, is_valid),
        };
        self.push("-e");
        self.push(os_string(pattern));
    }

    /// Whether matches are printed that have to be words. GNU grep 3.8 makes those behind the first of a line too short.
    fn shows_words(&self) -> bool {
        let has = |names: &[&str]| {
            let mut arguments = self.arguments.iter();
            arguments.any(|argument| names.iter().any(|name| argument == name))
        };
        has(&["-w", "--word-regexp", "--wo"])
            && has(&[
                "-o",
                "--only-matching",
                "-on",
                "-ob",
                "--color=always",
                "--colour=always",
            ])
    }

    fn add_operands(&mut self, draw: &mut Draw) {
        for _ in 0..draw.below(4) {
            match draw.below(14) {
                0 | 1 => self.push("-"),
                2 => self.push("missing"),
                3 | 4 => self.push(draw.one_of(&["dir", "dir/", "x.d", "./dir", "."])),
                _ => self.push(draw.one_of(&files::NAMES)),
            }
        }
    }
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
