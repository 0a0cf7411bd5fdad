//! Which names `--include`, `--exclude` and `--exclude-dir` mean.

/// Globs, each of which takes names in or leaves them out.
#[derive(Debug, Default)]
pub struct Globs {
    globs: Vec<(Vec<u8>, bool)>,
}

impl Globs {
    pub fn include(&mut self, glob: Vec<u8>) {
        self.globs.push((glob, true));
    }

    pub fn exclude(&mut self, glob: Vec<u8>) {
        self.globs.push((glob, false));
    }

    /// Whether to leave out what was met in a directory under this name.
    pub fn exclude_met(&self, name: &[u8]) -> bool {
        self.excludes(|glob| matches(glob, name))
    }

    /// Whether to leave out what is named so on the command line: any end of the name that begins behind a slash counts.
    pub fn exclude_named(&self, name: &[u8]) -> bool {
        self.excludes(|glob| {
            let begins = |at: usize| at == 0 || (name[at - 1] == b'/' && name[at] != b'/');
            (0..name.len().max(1)).any(|at| begins(at) && matches(glob, &name[at..]))
        })
    }

    /// The last glob that matches decides, and if there is none, the first one's kind.
    fn excludes(&self, is_match: impl Fn(&[u8]) -> bool) -> bool {
        let decisive = self.globs.iter().rev().find(|(glob, _)| is_match(glob));
        match (decisive, self.globs.first()) {
            (Some((_, includes)), _) => !includes,
            (None, Some((_, includes))) => *includes,
            (None, None) => false,
        }
    }
}

/// Matches as fnmatch without flags: `*` and `?` also match slashes and leading dots.
fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut glob, mut name) = (glob, name);
    // Where the last star was met: what follows it, and what it has left over.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = glob {
            glob = rest;
            star = Some((rest, name));
            continue;
        }
        let step = match (glob.is_empty(), name.is_empty()) {
            (true, true) => return true,
            (false, false) => match_one(glob, name),
            _ => None,
        };
        (glob, name) = match (step, star) {
            (Some(rests), _) => rests,
            (None, Some((behind, left))) if !left.is_empty() => {
                let left = &left[first_char(left).1..];
                star = Some((behind, left));
                (behind, left)
            }
            _ => return false,
        };
    }
}

/// Matches the first element of the glob, which is not a star, with the first character of the name. Returns what
/// follows the two.
fn match_one<'a>(glob: &'a [u8], name: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (char, length) = first_char(name);
    let name = &name[length..];
    match glob {
        [b'?', rest @ ..] => Some((rest, name)),
        [b'[', set @ ..] => match match_set(set, char) {
            Some((true, rest)) => Some((rest, name)),
            Some((false, _)) => None,
            // A bracket that nothing closes is an ordinary character.
            None => (char == '['.into()).then_some((set, name)),
        },
        [b'\\', escaped @ ..] if !escaped.is_empty() => match_char(escaped, char, name),
        _ => match_char(glob, char, name),
    }
}

fn match_char<'a>(glob: &'a [u8], char: u32, name: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (wanted, length) = first_char(glob);
    (wanted == char).then_some((&glob[length..], name))
}

/// Whether a character is in the set that `glob` begins with, behind its `[`, and what follows the set.
fn match_set(glob: &[u8], char: u32) -> Option<(bool, &[u8])> {
    let (is_negated, mut rest) = match glob {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut is_member = false;
    let mut is_first = true;
    loop {
        match rest {
            [] => return None,
            [b']', rest @ ..] if !is_first => return Some((is_member != is_negated, rest)),
            [b'[', b':', behind @ ..] if class_end(behind).is_some() => {
                let end = class_end(behind)?;
                is_member |= is_in_class(&behind[..end], char);
                rest = &behind[end + 2..];
            }
            _ => {
                let (low, behind) = set_char(rest)?;
                let (high, behind) = match behind {
                    [b'-', high @ ..] if !high.is_empty() && high[0] != b']' => set_char(high)?,
                    _ => (low, behind),
                };
                is_member |= (low..=high).contains(&char);
                rest = behind;
            }
        }
        is_first = false;
    }
}

fn class_end(glob: &[u8]) -> Option<usize> {
    glob.windows(2).position(|pair| pair == b":]")
}

fn set_char(glob: &[u8]) -> Option<(u32, &[u8])> {
    let glob = match glob {
        [b'\\', escaped @ ..] => escaped,
        glob => glob,
    };
    if glob.is_empty() {
        return None;
    }
    let (char, length) = first_char(glob);
    Some((char, &glob[length..]))
}

fn is_in_class(name: &[u8], char: u32) -> bool {
    let Some(char) = char::from_u32(char) else {
        return false;
    };
    match name {
        b"alpha" => char.is_alphabetic(),
        b"digit" => char.is_ascii_digit(),
        b"alnum" => char.is_alphanumeric(),
        b"upper" => char.is_uppercase(),
        b"lower" => char.is_lowercase(),
        b"space" => char.is_whitespace(),
        b"blank" => char == ' ' || char == '\t',
        b"punct" => char.is_ascii_punctuation(),
        b"cntrl" => char.is_control(),
        b"xdigit" => char.is_ascii_hexdigit(),
        b"print" => !char.is_control(),
        b"graph" => !char.is_control() && !char.is_whitespace(),
        _ => false,
    }
}

/// The first character and its length; a byte that is not UTF-8 stands for itself, above all characters.
fn first_char(text: &[u8]) -> (u32, usize) {
    let head = &text[..text.len().min(4)];
    match head.utf8_chunks().next() {
        Some(chunk) => match chunk.valid().chars().next() {
            Some(char) => (char.into(), char.len_utf8()),
            None => (0x11_0000 + u32::from(text[0]), 1),
        },
        None => (0, 0),
    }
}
