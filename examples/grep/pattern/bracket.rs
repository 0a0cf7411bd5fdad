//! Reads bracket expressions.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::first_char;
use super::parse::{Chars, Result};
use super::sets;

const UNMATCHED: &str = "Unmatched [, [^, [:, [., or [=";
const NOTHING_FOLLOWS: &str = "Invalid regular expression";
const INVALID_RANGE: &str = "Invalid range end";
const INVALID_CLASS: &str = "Invalid character class name";
const INVALID_COLLATION: &str = "Invalid collation character";
pub const CLASS_WITHOUT_BRACKET: &str = "character class syntax is [[:space:]], not [:space:]";

enum Element {
    Char(char),
    Class(ClassUnicode),
    /// A byte that is not UTF-8. It matches nothing.
    Byte,
}

/// Reads what stands between `[`, which has been read, and its `]`. Returns the characters that it means and what follows.
pub fn parse(text: &[u8], chars: Chars) -> Result<(ClassUnicode, &[u8])> {
    let (is_negated, mut rest) = match text {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if rest.is_empty() {
        return Err(NOTHING_FOLLOWS);
    }
    let mut set = ClassUnicode::empty();
    let mut is_first = true;
    loop {
        match rest {
            [] => return Err(UNMATCHED),
            [b']', behind @ ..] if !is_first => {
                rest = behind;
                break;
            }
            [b'-', next, ..] if !is_first && *next != b']' => return Err(INVALID_RANGE),
            _ => {}
        }
        is_first = false;
        let (low, behind) = element(rest, chars)?;
        rest = behind;
        match rest {
            [b'-', next, ..] if *next != b']' => {
                let (high, behind) = element(&rest[1..], chars)?;
                rest = behind;
                set.union(&range(low, high, chars)?);
            }
            _ => set.union(&single(low, chars)),
        }
    }
    if is_class_name(&text[..text.len() - rest.len()]) {
        return Err(CLASS_WITHOUT_BRACKET);
    }
    Ok((if is_negated { sets::inverse(set) } else { set }, rest))
}

/// Whether a whole bracket expression is `:name:]`: one pair of brackets was forgotten.
fn is_class_name(text: &[u8]) -> bool {
    text.len() > 3 && text.starts_with(b":") && text.ends_with(b":]")
}

fn single(element: Element, chars: Chars) -> ClassUnicode {
    match element {
        Element::Class(class) => class,
        Element::Byte => ClassUnicode::empty(),
        Element::Char(char) if chars.ignore_case => {
            let upper = sets::upper(char);
            let mut class = sets::folded(upper, upper);
            class.push(ClassUnicodeRange::new(char, char));
            class
        }
        Element::Char(char) => sets::range(char, char),
    }
}

fn range(low: Element, high: Element, chars: Chars) -> Result<ClassUnicode> {
    let (Element::Char(low), Element::Char(high)) = (low, high) else {
        return Err(INVALID_RANGE);
    };
    let (low, high) = match chars.ignore_case {
        true => (sets::upper(low), sets::upper(high)),
        false => (low, high),
    };
    match chars.ignore_case {
        _ if high < low => Err(INVALID_RANGE),
        true => Ok(sets::folded(low, high)),
        false => Ok(sets::range(low, high)),
    }
}

/// Reads a character, `[:class:]`, `[.character.]` or `[=character=]`.
fn element(text: &[u8], chars: Chars) -> Result<(Element, &[u8])> {
    match text {
        [] => Err(UNMATCHED),
        [b'[', kind @ (b':' | b'.' | b'='), rest @ ..] => {
            let length = rest.windows(2).position(|pair| pair == [*kind, b']']);
            let (name, rest) = rest.split_at(length.ok_or(UNMATCHED)?);
            let name = std::str::from_utf8(name).unwrap_or_default();
            let element = match kind {
                b':' => Element::Class(class(name, chars)?),
                _ => Element::Char(only_char(name).ok_or(INVALID_COLLATION)?),
            };
            Ok((element, &rest[2..]))
        }
        _ => Ok(match first_char(text) {
            Some(char) => (Element::Char(char), &text[char.len_utf8()..]),
            None => (Element::Byte, &text[1..]),
        }),
    }
}

fn class(name: &str, chars: Chars) -> Result<ClassUnicode> {
    let name = match name {
        "upper" | "lower" if chars.ignore_case => "alpha",
        name => name,
    };
    sets::class(name).ok_or(INVALID_CLASS)
}

fn only_char(name: &str) -> Option<char> {
    let mut chars = name.chars();
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}
