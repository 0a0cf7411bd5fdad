//! What the values of options mean.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IsTerminal, Read};

use crate::options::{Binary, Directories};
use crate::output;

pub fn is_color_terminal() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

pub fn binary_files(value: &[u8]) -> Result<Binary, String> {
    match value {
        b"binary" => Ok(Binary::Tell),
        b"text" => Ok(Binary::Print),
        b"without-match" => Ok(Binary::Skip),
        _ => Err("grep: unknown binary-files type".to_owned()),
    }
}

pub fn directories(value: &[u8]) -> Result<Directories, String> {
    let follows_links = false;
    match value {
        b"read" => Ok(Directories::Read),
        b"skip" => Ok(Directories::Skip),
        b"recurse" => Ok(Directories::Recurse { follows_links }),
        _ => Err("grep: unknown directories method".to_owned()),
    }
}

/// Reads the file of `-f` or `--exclude-from`.
pub fn read(name: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let result = match name {
        b"-" => io::stdin().read_to_end(&mut text).map(|_| ()),
        _ => fs::read(path(name)).map(|read| text = read),
    };
    match result {
        Ok(()) => Ok(text),
        Err(error) => {
            let name = String::from_utf8_lossy(name);
            Err(format!("grep: {name}: {}", output::reason(&error)))
        }
    }
}

#[cfg(unix)]
fn path(name: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

#[cfg(not(unix))]
fn path(name: &[u8]) -> &OsStr {
    OsStr::new(std::str::from_utf8(name).unwrap_or_default())
}

/// The lines of a file. The last need not be ended.
pub fn lines(text: Vec<u8>) -> Vec<Vec<u8>> {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec())
        .collect()
}

/// `name/` and `name` are the same directory.
pub fn without_slashes(mut glob: Vec<u8>) -> Vec<u8> {
    while glob.len() > 1 && glob.ends_with(b"/") {
        glob.pop();
    }
    glob
}

/// `None` if it is too large.
pub fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add((digit - b'0').into())
    })
}

/// The sign and the digits of a number as strtoimax reads it, if it is one.
fn signed(value: &[u8]) -> Option<(bool, &[u8])> {
    let (is_negative, digits) = match value.trim_ascii_start() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then_some((is_negative, digits))
}

/// Reads the value of `-A`, `-B` or `-C`.
pub fn context_length(value: &[u8]) -> Result<u64, String> {
    match signed(value) {
        Some((false, digits)) => Ok(number(digits).unwrap_or(u64::MAX)),
        _ => {
            let value = String::from_utf8_lossy(value);
            Err(format!("grep: {value}: invalid context length argument"))
        }
    }
}

/// Reads the value of `-m`. A negative or huge one means no limit, as in GNU grep.
pub fn max_count(value: &[u8]) -> Result<Option<u64>, String> {
    let (is_negative, digits) = signed(value).ok_or("grep: invalid max count")?;
    Ok(match number(digits) {
        Some(0) => Some(0),
        _ if is_negative => None,
        number => number,
    })
}

/// Reads the value of `--max-line`.
pub fn max_line(value: &[u8]) -> Result<usize, String> {
    let (digits, shift) = match value {
        [digits @ .., b'K'] => (digits, 10),
        [digits @ .., b'M'] => (digits, 20),
        [digits @ .., b'G'] => (digits, 30),
        digits => (digits, 0),
    };
    let size = match signed(digits) {
        Some((false, digits)) => number(digits).and_then(|number| number.checked_mul(1 << shift)),
        _ => None,
    };
    match size.map(usize::try_from) {
        Some(Ok(size)) if size > 0 => Ok(size),
        _ => {
            let value = String::from_utf8_lossy(value);
            Err(format!("grep: {value}: invalid line size"))
        }
    }
}
