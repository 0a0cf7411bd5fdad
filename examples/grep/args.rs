//! The command line, read as getopt_long reads it: options may follow operands, short ones may be combined, long ones may
//! be abbreviated.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt::Arguments;

pub const USAGE: &str =
    "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.";

/// What an option takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Value,
    /// A value behind `=`, or none.
    Perhaps,
}

/// A long option, and the letter that means the same.
pub struct Long<T: 'static> {
    pub name: &'static str,
    pub takes: Takes,
    pub option: T,
    /// Whether a beginning of the name will do.
    pub may_be_abbreviated: bool,
}

/// What the command line consists of.
pub enum Argument<T> {
    /// An option, and its value if it has one.
    Option(T, Option<Vec<u8>>),
    /// A digit of `-NUM`, and whether it follows one in the same argument.
    Digit(u8, bool),
    Operand(OsString),
}

/// The arguments, one option at a time.
pub struct Reader<T: 'static> {
    arguments: VecDeque<OsString>,
    short: fn(u8) -> Option<(T, Takes)>,
    long: &'static [Long<T>],
    /// What is left of an argument with short options.
    letters: Vec<u8>,
    was_digit: bool,
    only_operands: bool,
}

impl<T: Copy + PartialEq> Reader<T> {
    pub fn new(
        arguments: impl Iterator<Item = OsString>,
        short: fn(u8) -> Option<(T, Takes)>,
        long: &'static [Long<T>],
    ) -> Self {
        Self {
            arguments: arguments.collect(),
            short,
            long,
            letters: Vec::new(),
            was_digit: false,
            only_operands: false,
        }
    }

    /// The next option or operand. The error is the whole message.
    pub fn next(&mut self) -> Result<Option<Argument<T>>, String> {
        if !self.letters.is_empty() {
            return self.short_option().map(Some);
        }
        self.was_digit = false;
        let Some(argument) = self.arguments.pop_front() else {
            return Ok(None);
        };
        let bytes = argument.as_encoded_bytes();
        if self.only_operands || bytes.len() < 2 || bytes[0] != b'-' {
            return Ok(Some(Argument::Operand(argument)));
        }
        if bytes == b"--" {
            self.only_operands = true;
            return self.next();
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            return self.long_option(long).map(Some);
        }
        self.letters = bytes[1..].to_vec();
        self.short_option().map(Some)
    }

    fn short_option(&mut self) -> Result<Argument<T>, String> {
        let letter = self.letters.remove(0);
        let follows_digit = std::mem::replace(&mut self.was_digit, letter.is_ascii_digit());
        if letter.is_ascii_digit() {
            return Ok(Argument::Digit(letter, follows_digit));
        }
        let Some((option, takes)) = (self.short)(letter) else {
            let letter = letter.escape_ascii();
            return Err(misused(format_args!("invalid option -- '{letter}'")));
        };
        if takes != Takes::Value {
            return Ok(Argument::Option(option, None));
        }
        let value = match std::mem::take(&mut self.letters) {
            rest if !rest.is_empty() => Some(rest),
            _ => self.arguments.pop_front().map(OsString::into_encoded_bytes),
        };
        if value.is_none() {
            let letter = char::from(letter);
            return Err(misused(format_args!(
                "option requires an argument -- '{letter}'"
            )));
        }
        Ok(Argument::Option(option, value))
    }

    /// Reads `NAME` or `NAME=VALUE`. The value may also be the next argument.
    fn long_option(&mut self, argument: &[u8]) -> Result<Argument<T>, String> {
        let mut parts = argument.splitn(2, |&byte| byte == b'=');
        let name = String::from_utf8_lossy(parts.next().unwrap_or_default());
        let value = parts.next().map(<[u8]>::to_vec);
        let known = self.find(&name, &String::from_utf8_lossy(argument))?;
        let name = known.name;
        let value = match (known.takes, value) {
            (Takes::Nothing, Some(_)) => {
                return Err(misused(format_args!(
                    "option '--{name}' doesn't allow an argument"
                )));
            }
            (Takes::Value, None) => match self.arguments.pop_front() {
                Some(value) => Some(value.into_encoded_bytes()),
                None => {
                    return Err(misused(format_args!(
                        "option '--{name}' requires an argument"
                    )));
                }
            },
            (_, value) => value,
        };
        Ok(Argument::Option(known.option, value))
    }

    /// The option of that name, or the only one that a name begins with it. Several names of one option are no choice.
    fn find(&self, name: &str, argument: &str) -> Result<&'static Long<T>, String> {
        if let Some(exact) = self.long.iter().find(|long| long.name == name) {
            return Ok(exact);
        }
        let is_meant = |long: &&Long<T>| long.may_be_abbreviated && long.name.starts_with(name);
        let meant: Vec<_> = self.long.iter().filter(is_meant).collect();
        match meant[..] {
            [] => Err(misused(format_args!("unrecognized option '--{argument}'"))),
            [first, ..] if meant.iter().all(|other| other.option == first.option) => Ok(first),
            _ => {
                // As getopt_long does, another name of the first option is left out.
                let is_other =
                    |long: &&&Long<T>| long.name == meant[0].name || long.option != meant[0].option;
                let names = meant.iter().filter(is_other);
                let names: String = names.map(|long| format!(" '--{}'", long.name)).collect();
                Err(misused(format_args!(
                    "option '--{argument}' is ambiguous; possibilities:{names}"
                )))
            }
        }
    }
}

fn misused(what: Arguments) -> String {
    format!("grep: {what}\n{USAGE}")
}
