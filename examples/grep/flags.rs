//! The names of the options.

use crate::args::{Long, Takes};
use crate::options::{Binary, Mode};
use crate::pattern::Syntax;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    Syntax(Syntax),
    After,
    Before,
    Context,
    BinaryFiles,
    ByteOffset,
    Color,
    Count,
    Devices,
    Directories,
    Exclude,
    ExcludeFrom,
    ExcludeDir,
    File,
    Names(Mode),
    GroupSeparator,
    Help,
    Include,
    IgnoreCase(bool),
    InitialTab,
    Label,
    LineBuffered,
    LineNumber,
    WholeLines,
    MaxCount,
    WithFilename(bool),
    NoGroupSeparator,
    NoMessages,
    Null,
    NullData,
    OnlyMatching,
    Quiet,
    Recursive { follows_links: bool },
    Regexp,
    InvertMatch,
    Binary(Binary),
    Ignored,
    UnixByteOffsets,
    Version,
    WholeWords,
    MaxLine,
    Gitignore,
}

/// What a letter behind a hyphen means.
pub fn short(letter: u8) -> Option<(Flag, Takes)> {
    use Takes::{Nothing, Value};

    Some(match letter {
        b'A' => (Flag::After, Value),
        b'B' => (Flag::Before, Value),
        b'C' => (Flag::Context, Value),
        b'D' => (Flag::Devices, Value),
        b'E' => (Flag::Syntax(Syntax::Extended), Nothing),
        b'F' => (Flag::Syntax(Syntax::Fixed), Nothing),
        b'G' => (Flag::Syntax(Syntax::Basic), Nothing),
        b'H' => (Flag::WithFilename(true), Nothing),
        b'I' => (Flag::Binary(Binary::Skip), Nothing),
        b'L' => (Flag::Names(Mode::OtherNames), Nothing),
        b'P' => (Flag::Syntax(Syntax::Perl), Nothing),
        b'R' => (
            Flag::Recursive {
                follows_links: true,
            },
            Nothing,
        ),
        b'T' => (Flag::InitialTab, Nothing),
        b'U' => (Flag::Ignored, Nothing),
        b'V' => (Flag::Version, Nothing),
        b'Z' => (Flag::Null, Nothing),
        b'a' => (Flag::Binary(Binary::Print), Nothing),
        b'b' => (Flag::ByteOffset, Nothing),
        b'c' => (Flag::Count, Nothing),
        b'd' => (Flag::Directories, Value),
        b'e' => (Flag::Regexp, Value),
        b'f' => (Flag::File, Value),
        b'h' => (Flag::WithFilename(false), Nothing),
        b'i' | b'y' => (Flag::IgnoreCase(true), Nothing),
        b'l' => (Flag::Names(Mode::Names), Nothing),
        b'm' => (Flag::MaxCount, Value),
        b'n' => (Flag::LineNumber, Nothing),
        b'o' => (Flag::OnlyMatching, Nothing),
        b'q' => (Flag::Quiet, Nothing),
        b'r' => (
            Flag::Recursive {
                follows_links: false,
            },
            Nothing,
        ),
        b's' => (Flag::NoMessages, Nothing),
        b'u' => (Flag::UnixByteOffsets, Nothing),
        b'v' => (Flag::InvertMatch, Nothing),
        b'w' => (Flag::WholeWords, Nothing),
        b'x' => (Flag::WholeLines, Nothing),
        b'z' => (Flag::NullData, Nothing),
        _ => return None,
    })
}

const fn long(name: &'static str, takes: Takes, option: Flag) -> Long<Flag> {
    Long {
        name,
        takes,
        option,
        may_be_abbreviated: true,
    }
}

/// One that GNU grep has not: only its whole name is taken, so that what is unambiguous there is so here.
const fn own(name: &'static str, takes: Takes, option: Flag) -> Long<Flag> {
    Long {
        name,
        takes,
        option,
        may_be_abbreviated: false,
    }
}

/// In the order of GNU grep's table, in which an ambiguous one lists them.
pub const LONG: &[Long<Flag>] = &[
    long("basic-regexp", Takes::Nothing, Flag::Syntax(Syntax::Basic)),
    long(
        "extended-regexp",
        Takes::Nothing,
        Flag::Syntax(Syntax::Extended),
    ),
    long("fixed-regexp", Takes::Nothing, Flag::Syntax(Syntax::Fixed)),
    long("fixed-strings", Takes::Nothing, Flag::Syntax(Syntax::Fixed)),
    long("perl-regexp", Takes::Nothing, Flag::Syntax(Syntax::Perl)),
    long("after-context", Takes::Value, Flag::After),
    long("before-context", Takes::Value, Flag::Before),
    long("binary-files", Takes::Value, Flag::BinaryFiles),
    long("byte-offset", Takes::Nothing, Flag::ByteOffset),
    long("context", Takes::Value, Flag::Context),
    long("color", Takes::Perhaps, Flag::Color),
    long("colour", Takes::Perhaps, Flag::Color),
    long("count", Takes::Nothing, Flag::Count),
    long("devices", Takes::Value, Flag::Devices),
    long("directories", Takes::Value, Flag::Directories),
    long("exclude", Takes::Value, Flag::Exclude),
    long("exclude-from", Takes::Value, Flag::ExcludeFrom),
    long("exclude-dir", Takes::Value, Flag::ExcludeDir),
    long("file", Takes::Value, Flag::File),
    long(
        "files-with-matches",
        Takes::Nothing,
        Flag::Names(Mode::Names),
    ),
    long(
        "files-without-match",
        Takes::Nothing,
        Flag::Names(Mode::OtherNames),
    ),
    long("group-separator", Takes::Value, Flag::GroupSeparator),
    long("help", Takes::Nothing, Flag::Help),
    long("include", Takes::Value, Flag::Include),
    long("ignore-case", Takes::Nothing, Flag::IgnoreCase(true)),
    long("no-ignore-case", Takes::Nothing, Flag::IgnoreCase(false)),
    long("initial-tab", Takes::Nothing, Flag::InitialTab),
    long("label", Takes::Value, Flag::Label),
    long("line-buffered", Takes::Nothing, Flag::LineBuffered),
    long("line-number", Takes::Nothing, Flag::LineNumber),
    long("line-regexp", Takes::Nothing, Flag::WholeLines),
    long("max-count", Takes::Value, Flag::MaxCount),
    long("no-filename", Takes::Nothing, Flag::WithFilename(false)),
    long("no-group-separator", Takes::Nothing, Flag::NoGroupSeparator),
    long("no-messages", Takes::Nothing, Flag::NoMessages),
    long("null", Takes::Nothing, Flag::Null),
    long("null-data", Takes::Nothing, Flag::NullData),
    long("only-matching", Takes::Nothing, Flag::OnlyMatching),
    long("quiet", Takes::Nothing, Flag::Quiet),
    long(
        "recursive",
        Takes::Nothing,
        Flag::Recursive {
            follows_links: false,
        },
    ),
    long(
        "dereference-recursive",
        Takes::Nothing,
        Flag::Recursive {
            follows_links: true,
        },
    ),
    long("regexp", Takes::Value, Flag::Regexp),
    long("invert-match", Takes::Nothing, Flag::InvertMatch),
    long("silent", Takes::Nothing, Flag::Quiet),
    long("text", Takes::Nothing, Flag::Binary(Binary::Print)),
    long("binary", Takes::Nothing, Flag::Ignored),
    long("unix-byte-offsets", Takes::Nothing, Flag::UnixByteOffsets),
    long("version", Takes::Nothing, Flag::Version),
    long("with-filename", Takes::Nothing, Flag::WithFilename(true)),
    long("word-regexp", Takes::Nothing, Flag::WholeWords),
    own("max-line", Takes::Value, Flag::MaxLine),
    own("gitignore", Takes::Nothing, Flag::Gitignore),
];
