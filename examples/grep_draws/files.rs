//! Random files.

use std::fs;
use std::io;
use std::path::Path;

use crate::draw::Draw;

/// What the files of a draw are like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All UTF-8.
    Valid,
    /// The same, and short: GNU grep may take minutes for a back-reference.
    Small,
    /// Also bytes that are not UTF-8.
    Invalid,
}

impl Kind {
    /// GNU grep takes a byte that is not UTF-8 for a letter of Latin-1 at the borders of words.
    pub fn has_word_borders(self) -> bool {
        self != Kind::Invalid
    }

    /// Behind a line that it must not print, GNU grep begins the context where it last printed.
    pub fn has_context(self) -> bool {
        self != Kind::Invalid
    }
}

/// What there is in each folder.
pub const NAMES: [&str; 9] = [
    "a.c",
    "b.h",
    "c",
    ".hidden",
    "dir/a.c",
    "dir/d.txt",
    "dir/sub/a.c",
    "dir/sub/e",
    "x.d/b.h",
];

pub fn write(draw: &mut Draw, folder: &Path, kind: Kind) -> io::Result<()> {
    for directory in ["dir/sub", "x.d"] {
        fs::create_dir_all(folder.join(directory))?;
    }
    for name in NAMES {
        fs::write(folder.join(name), text(draw, kind))?;
    }
    Ok(())
}

/// Small alphabets, so that patterns hit.
pub fn text(draw: &mut Draw, kind: Kind) -> Vec<u8> {
    let letters: &[&[u8]] = &[b"a", b"b", b"ab", b"c", b" ", b"\n", b"\n"];
    let cases: &[&[u8]] = &[
        b"a", b"A", b"b", b"B", b"k", b"S", b"_", b"-", b"1", b"\n", b" ",
    ];
    let umlauts: Vec<&[u8]> = ["a", "ä", "Ä", "b", "é", "Σ", "ς", "ſ", "ı", "漢", "\n", " "]
        .map(str::as_bytes)
        .to_vec();
    let invalid: &[&[u8]] = &[
        b"a",
        b"b",
        b"\n",
        b"\xff",
        b"\xc3",
        b"\xe4\xbd",
        "ä".as_bytes(),
        b"ab",
        b"ba",
    ];
    let nuls: &[&[u8]] = &[b"a", b"b", b"\n", b"\0", b"ab"];
    let ends: &[&[u8]] = &[b"a", b"b", b"ab", b"\r\n", b"\r\n", b"\r", b"\n"];
    let signs: &[&[u8]] = &[
        b"a", b"*", b"{1}", b"(", b")", b"+", b".", b"[", b"]", b"\\", b"^", b"$", b"|", b"\n",
        b"a|b",
    ];
    let alphabet = match draw.below(14) {
        0..=2 if kind == Kind::Invalid => invalid,
        1 => nuls,
        2 => ends,
        3 | 4 => cases,
        5 | 6 => &umlauts,
        7 => signs,
        _ => letters,
    };
    let length = match draw.below(40) {
        0..=2 => 0,
        _ if kind == Kind::Small => draw.below(60),
        3 => 30_000, // often several blocks
        4 => return long_line(draw, alphabet),
        5..=9 => draw.below(500),
        _ => draw.below(60),
    };
    pieces(draw, alphabet, length)
}

fn pieces(draw: &mut Draw, alphabet: &[&[u8]], length: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..length {
        text.extend_from_slice(draw.one_of(alphabet));
    }
    text
}

/// A line that is longer than a block, between others.
fn long_line(draw: &mut Draw, alphabet: &[&[u8]]) -> Vec<u8> {
    let mut text = pieces(draw, alphabet, 20);
    text.resize(text.len() + 90_000 + draw.below(200_000), b'x');
    text.extend(pieces(draw, alphabet, 20));
    text
}
