//! Random patterns.

use crate::draw::Draw;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    Basic,
    Extended,
    Fixed,
}

/// A pattern of which all matches have as many characters.
pub fn even_pattern(draw: &mut Draw, syntax: Syntax, is_valid: bool) -> Vec<u8> {
    let mut pattern = Pattern::new(draw, syntax, is_valid);
    pattern.is_even = true;
    pattern.branch(0);
    pattern.text
}

/// Some patterns, one per line. The borders of words are drawn only if all text is UTF-8, bytes that are not only else.
pub fn patterns(draw: &mut Draw, syntax: Syntax, is_valid: bool) -> Vec<u8> {
    let mut patterns = pattern(draw, syntax, is_valid);
    while draw.once_in(6) {
        patterns.push(b'\n');
        patterns.extend(pattern(draw, syntax, is_valid));
        // At the end of the last of several strings, GNU grep takes it for itself.
        if patterns.ends_with(b"\\") {
            patterns.pop();
        }
    }
    patterns
}

fn pattern(draw: &mut Draw, syntax: Syntax, is_valid: bool) -> Vec<u8> {
    if draw.once_in(25) {
        return odd(draw, syntax);
    }
    let mut pattern = Pattern::new(draw, syntax, is_valid);
    pattern.alternation(2);
    pattern.text
}

/// Wrong ones, and ones of which one may doubt what they mean.
fn odd(draw: &mut Draw, syntax: Syntax) -> Vec<u8> {
    let basic = [
        "*a",
        "\\(*a\\)",
        "a\\|*b",
        "a\\{2,1\\}",
        "a\\{1",
        "a\\{1a\\}",
        "\\{1\\}",
        "\\(",
        "\\)",
        "[",
        "[a",
        "a\\",
        "[[:foo:]]",
        "[:alpha:]",
        "[b-a]",
        "\\1",
        "\\q",
        "\\+a",
        "\\?",
        "a**",
        "^^a",
        "a$$",
        "a$b",
        "a^b",
        "[]a]",
        "[^]a]",
        "[a-]",
        "[--/]",
        "[a-c-e]",
        "[[.a.]b]",
        "[[=a=]]",
        "\\`a",
        "b\\'",
        "a\\{0\\}",
        "\\(\\)",
        "\\(a\\|\\)",
        "$a",
        "[[:alpha:]",
        "a\\{,2\\}",
        "\\(^a\\)b*",
        "\\(a$\\)",
        "[\\n]",
        "[[.-.]a]",
        "a\\{1,2\\}\\{2\\}",
        "\\(ab*\\)*",
        "\\*",
    ];
    let extended = [
        "*a",
        "(*a)",
        "a|*b",
        "a{2,1}",
        "a{1",
        "a{1a}",
        "(",
        ")",
        "a)",
        "[",
        "(a",
        "a\\",
        "[[:foo:]]",
        "[:alpha:]",
        "[b-a]",
        "\\1",
        "\\q",
        "+a",
        "?",
        "a**",
        "^^a",
        "a$$",
        "a$b",
        "a^b",
        "[]a]",
        "()",
        "(|a)",
        "a||b",
        "(^|b)a",
        "(a|ab)(c|bcd)",
        "a{,2}",
        "a+?",
        "(a*)+",
        "(a*)*",
        "a{0}b",
        "\\{",
        "\\|",
        "x{",
        "a{,}",
        "**a",
        "(^)*a",
        "(a)|\\1",
        "(a|b)*ab",
    ];
    let fixed = ["", "*", "a|b", "\\", "[", "a.", "^a", "$", "(", "a\\"];
    let text = match syntax {
        Syntax::Basic => draw.one_of(&basic),
        Syntax::Extended => draw.one_of(&extended),
        Syntax::Fixed => draw.one_of(&fixed),
    };
    text.as_bytes().to_vec()
}

struct Pattern<'a> {
    draw: &'a mut Draw,
    syntax: Syntax,
    text: Vec<u8>,
    is_valid: bool,
    has_anchor: bool,
    has_border: bool,
    /// Whether nothing is repeated.
    is_even: bool,
}

impl<'a> Pattern<'a> {
    fn new(draw: &'a mut Draw, syntax: Syntax, is_valid: bool) -> Self {
        Self {
            draw,
            syntax,
            text: Vec::new(),
            is_valid,
            has_anchor: false,
            has_border: false,
            is_even: false,
        }
    }

    fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// A sign that has a backslash in one of the two syntaxes.
    fn sign(&mut self, sign: &str) {
        if self.syntax == Syntax::Basic {
            self.push("\\");
        }
        self.push(sign);
    }

    fn alternation(&mut self, depth: usize) {
        self.branch(depth);
        while self.syntax != Syntax::Fixed && self.draw.once_in(6) {
            self.sign("|");
            self.branch(depth);
        }
    }

    fn branch(&mut self, depth: usize) {
        if self.syntax == Syntax::Fixed {
            for _ in 0..self.draw.below(4) {
                self.literal();
            }
            return;
        }
        if self.draw.once_in(8) {
            self.push("^");
            self.has_anchor = true;
        }
        let length = match self.draw.below(12) {
            0 => 0,
            n => 1 + n / 4,
        };
        for _ in 0..length {
            self.atom(depth);
        }
        if self.draw.once_in(8) {
            self.push("$");
            self.has_anchor = true;
        }
    }

    fn atom(&mut self, depth: usize) {
        let mut is_group = false;
        match self.draw.below(16) {
            0 | 1 => self.class(),
            2 => self.push("."),
            3 if depth > 0 => {
                self.sign("(");
                self.alternation(depth - 1);
                self.sign(")");
                is_group = true;
                // glibc finds other matches of `(^[^a])+` than of `^[^a]`.
                if self.has_anchor {
                    return;
                }
            }
            4 => {
                let looks = ["\\w", "\\W", "\\s", "\\S", "\\<", "\\>", "\\b", "\\B"];
                let many = if self.is_valid { 8 } else { 4 };
                let look = self.draw.one_of(&looks[..many]);
                self.push(look);
                if !look.ends_with(['w', 'W', 's', 'S']) {
                    self.has_border = true;
                    return;
                }
            }
            _ => self.literal(),
        }
        if self.is_even {
            return;
        }
        match self.draw.below(14) {
            0 | 1 => self.push("*"),
            2 => self.sign("+"),
            3 => self.sign("?"),
            // glibc does not see that of `(\<a*){,2}` there may be none.
            4 if is_group && self.has_border => {}
            4 => {
                let interval = self.draw.one_of(&["1", "2", "0,1", "1,3", "2,", ",2", "0"]);
                self.sign("{");
                self.push(interval);
                self.sign("}");
            }
            _ => {}
        }
    }

    fn literal(&mut self) {
        let letters = [
            "a", "b", "a", "b", "ab", "c", "A", "B", "k", "S", "_", "-", "1", " ", "x",
        ];
        let others = ["ä", "Ä", "é", "σ", "s", "ı", "i", "漢", "\r", "/"];
        match self.draw.below(12) {
            0 => {
                let other = self.draw.one_of(&others);
                self.push(other);
            }
            1 if !self.is_valid && self.draw.once_in(2) => self.text.push(0xff),
            _ => {
                let letter = self.draw.one_of(&letters);
                self.push(letter);
            }
        }
    }

    fn class(&mut self) {
        let classes = [
            "[ab]",
            "[^a]",
            "[a-c]",
            "[^b-z]",
            "[[:alpha:]]",
            "[^[:space:]]",
            "[[:upper:]]",
            "[[:lower:]b]",
            "[[:digit:]_]",
            "[äb]",
            "[^ä]",
            "[[:punct:]]",
            "[]a]",
            "[a-]",
            "[[:alnum:]]",
            "[A-C]",
            "[i-t]",
            "[.]",
            "[[:blank:]]",
        ];
        let class = self.draw.one_of(&classes);
        self.push(class);
    }
}

/// A back-reference, behind the group that it means.
pub fn back_reference(draw: &mut Draw, syntax: Syntax) -> Vec<u8> {
    let basic = [
        "\\(a\\)\\1",
        "\\(a*\\)b\\1",
        "^\\(.*\\)\\1$",
        "\\([ab]\\)\\(.\\)\\2\\1",
        "\\(a\\|b\\)c*\\1",
        "\\(.\\)\\1",
    ];
    let extended = [
        "(a)\\1",
        "(a*)b\\1",
        "^(.*)\\1$",
        "([ab])(.)\\2\\1",
        "(a|b)c*\\1",
        "(.)\\1",
    ];
    let text = match syntax {
        Syntax::Basic => draw.one_of(&basic),
        _ => draw.one_of(&extended),
    };
    text.as_bytes().to_vec()
}
