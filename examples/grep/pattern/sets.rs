//! Sets of characters: named ones, and upper and lower case.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// The class of that name as glibc's C.UTF-8 has it.
pub fn class(name: &str) -> Option<ClassUnicode> {
    Some(regex_class(match name {
        "alpha" => r"[\p{Alphabetic}\p{Nd}--0-9]",
        "digit" => "[0-9]",
        "alnum" => r"[\p{Alphabetic}\p{Nd}]",
        "upper" => r"[\p{Uppercase}\p{Lt}]",
        "lower" => r"[\p{Lowercase}\u{1C5}\u{1C8}\u{1CB}\u{1F2}]",
        "space" => {
            r"[\t-\r\x20\u{1680}\u{2000}-\u{2006}\u{2008}-\u{200A}\u{2028}\u{2029}\u{205F}\u{3000}]"
        }
        "blank" => r"[\t\x20\u{1680}\u{2000}-\u{2006}\u{2008}-\u{200A}\u{205F}\u{3000}]",
        "punct" => {
            r"[^\p{Cn}\p{Cc}\p{Zl}\p{Zp}\p{Alphabetic}\p{Nd}\t-\r\x20\u{1680}\u{2000}-\u{2006}\u{2008}-\u{200A}\u{205F}\u{3000}]"
        }
        "graph" => {
            r"[^\p{Cn}\p{Cc}\p{Zl}\p{Zp}\t-\r\x20\u{1680}\u{2000}-\u{2006}\u{2008}-\u{200A}\u{205F}\u{3000}]"
        }
        "print" => r"[^\p{Cn}\p{Cc}\p{Zl}\p{Zp}]",
        "cntrl" => r"[\p{Cc}\p{Zl}\p{Zp}]",
        "xdigit" => "[0-9A-Fa-f]",
        _ => return None,
    }))
}

/// What `\w` matches.
pub fn word() -> ClassUnicode {
    regex_class(r"[\p{Alphabetic}\p{Nd}_]")
}

fn regex_class(pattern: &str) -> ClassUnicode {
    let hir = regex_syntax::parse(pattern).map(regex_syntax::hir::Hir::into_kind);
    match hir {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        other => unreachable!("{pattern} is a class of characters, not {other:?}"),
    }
}

/// The characters of a range.
pub fn range(low: char, high: char) -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new(low, high)])
}

pub fn contains(class: &ClassUnicode, char: char) -> bool {
    let ranges = class.ranges();
    let place = ranges.partition_point(|range| range.end() < char);
    ranges.get(place).is_some_and(|range| range.start() <= char)
}

/// All characters but these.
pub fn inverse(mut class: ClassUnicode) -> ClassUnicode {
    class.negate();
    class
}

/// Without the character that ends a line.
pub fn within_line(mut class: ClassUnicode, line_end: u8) -> ClassUnicode {
    let line_end = char::from(line_end);
    class.difference(&range(line_end, line_end));
    class
}

/// The upper case of a character, if that is one character.
pub fn upper(char: char) -> char {
    if char.is_ascii() {
        return char.to_ascii_uppercase();
    }
    let mut upper = char.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => char,
    }
}

/// Where the last letter with an upper case is, and some room.
const LAST_CASED: char = '\u{1FFFF}';

/// The characters whose upper case is in a range. GNU grep compares upper cases.
pub fn folded(low: char, high: char) -> ClassUnicode {
    let is_member = |char: &char| (low..=high).contains(&upper(*char));
    let mut class = ClassUnicode::empty();
    let mut add = |char| class.push(ClassUnicodeRange::new(char, char));
    if high.is_ascii() {
        // Beyond ASCII, only these have an upper case in it.
        ('\0'..='\x7F')
            .chain(['ı', 'ſ'])
            .filter(is_member)
            .for_each(&mut add);
        return class;
    }
    ('\0'..=LAST_CASED).filter(is_member).for_each(&mut add);
    if high > LAST_CASED {
        class.push(ClassUnicodeRange::new(low.max(LAST_CASED), high));
    }
    class
}
