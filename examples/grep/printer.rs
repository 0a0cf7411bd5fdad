//! The end of the pipeline: prints lines.

use std::rc::Rc;

use memchr::memchr_iter;
use yieldfrom::Builder;
use yieldfrom::pipe::{Receiver, Sink};

use crate::options::{Binary, Options};
use crate::output::{Output, Paint};
use crate::pattern::Pattern;
use crate::stages::{Kind, MATCHING_STACK_SIZE, Run, Sum};

/// What is printed of each line.
pub struct Style {
    pub with_number: bool,
    pub with_offset: bool,
    pub initial_tab: bool,
    pub null_after_name: bool,
    pub only_matching: bool,
    pub color: bool,
    pub inverts: bool,
    pub prints_binary: bool,
    pub tells_of_binary: bool,
    /// What separates groups of lines, if there are any.
    pub separator: Option<Vec<u8>>,
    pub line_end: u8,
}

impl Style {
    pub fn new(options: &Options) -> Self {
        Self {
            with_number: options.line_number,
            with_offset: options.byte_offset,
            initial_tab: options.initial_tab,
            null_after_name: options.null_after_name,
            only_matching: options.only_matching,
            color: options.color,
            inverts: options.invert_match,
            prints_binary: options.binary == Binary::Print,
            tells_of_binary: options.binary == Binary::Tell,
            separator: options
                .group_separator
                .clone()
                .filter(|_| options.has_context),
            line_end: options.line_end,
        }
    }
}

/// The file whose lines are printed.
pub struct Source {
    pub name: Vec<u8>,
    pub with_name: bool,
    /// How wide numbers are printed if they have to line up.
    pub number_width: usize,
}

/// Prints lines. Of a file with a NUL, and of a line that is not UTF-8, it only tells that it matches, in the end.
pub fn printer(
    style: Rc<Style>,
    source: Source,
    pattern: Rc<Pattern>,
    output: Rc<Output>,
) -> Sink<Run, Sum> {
    let body = move |runs: &mut Receiver<Run>| {
        let mut printer = Printer {
            style: &style,
            source: &source,
            pattern: &pattern,
            output: &output,
            counted: (0, 0),
            printed: None,
            is_in_group: false,
            is_hidden: false,
        };
        let mut sum = Sum::default();
        while let Some(run) = runs.recv() {
            if run.block.is_binary && run.kind == Kind::Selected {
                // One is enough to know.
                sum.add(&run.clone().split_first(1).0);
                output.set_group();
                printer.is_hidden = true;
                break;
            }
            sum.add(run);
            if !run.block.is_binary && !printer.run(run) {
                break;
            }
        }
        if printer.is_hidden && style.tells_of_binary {
            output.complain(&[b"grep: ", &source.name, b": binary file matches"]);
        }
        sum
    };
    Builder::new().stack_size(MATCHING_STACK_SIZE).sink(body)
}

struct Printer<'a> {
    style: &'a Style,
    source: &'a Source,
    pattern: &'a Pattern,
    output: &'a Output,
    /// Up to which offset lines have been counted, and how many there are.
    counted: (u64, u64),
    /// Where the line ends that was printed last.
    printed: Option<u64>,
    /// Whether the lines before a selected one have been printed, and it comes next.
    is_in_group: bool,
    /// Whether a line was not printed.
    is_hidden: bool,
}

impl Printer<'_> {
    /// Returns whether more can be printed.
    fn run(&mut self, run: &Run) -> bool {
        let starts_group = run.kind != Kind::Behind && !self.is_in_group;
        if starts_group && self.output.has_group() && self.printed != Some(run.offset()) {
            self.separate();
        }
        self.is_in_group = run.kind == Kind::Passed;
        if run.kind == Kind::Selected {
            self.output.set_group();
        }
        let is_plain = !(self.style.only_matching || self.style.color || self.has_prefix());
        if is_plain && self.is_printable(run.bytes()) {
            self.printed = Some(run.offset() + run.bytes().len() as u64);
            return self.output.write(run.bytes());
        }
        let mut start = 0;
        for end in memchr_iter(self.style.line_end, run.bytes()) {
            let line = Line {
                bytes: &run.bytes()[start..end],
                offset: run.offset() + start as u64,
                is_selected: run.kind == Kind::Selected,
                run,
            };
            if self.line(&line) {
                self.printed = Some(run.offset() + end as u64 + 1);
            }
            if self.output.is_closed() {
                return false;
            }
            start = end + 1;
        }
        true
    }

    fn has_prefix(&self) -> bool {
        self.source.with_name
            || self.style.with_number
            || self.style.with_offset
            || self.style.initial_tab
    }

    fn separate(&self) {
        if let Some(separator) = &self.style.separator {
            self.output.paint(Paint::Separator, separator);
            self.output.write(b"\n");
        }
    }

    /// Whether lines may be printed; those that are not UTF-8 may not.
    fn is_printable(&mut self, lines: &[u8]) -> bool {
        self.style.prints_binary || std::str::from_utf8(lines).is_ok()
    }

    /// Prints a line. Returns whether it was printed and not hidden.
    fn line(&mut self, line: &Line) -> bool {
        let style = self.style;
        let is_matching = line.is_selected != style.inverts;
        if !style.only_matching {
            if !self.is_printable(line.bytes) {
                self.is_hidden = true;
                return false;
            }
            self.prefix(line, line.offset);
        }
        let mut at = 0;
        if is_matching && (style.only_matching || style.color) {
            match self.matches(line) {
                Some(end) => at = end,
                None => return false,
            }
        }
        if !style.only_matching {
            self.output.write(&line.bytes[at..]);
            self.end_line();
        }
        true
    }

    /// Prints the matches, and without `-o` what stands between them. Returns where the last ends; `None` if one of them
    /// had to be hidden.
    fn matches(&mut self, line: &Line) -> Option<usize> {
        let style = self.style;
        let (mut at, mut from) = (0, 0);
        while let Some(found) = self.pattern.find(line.bytes, from) {
            if found.start == line.bytes.len() {
                break;
            }
            if found.is_empty() {
                from = found.start + 1;
                continue;
            }
            let text = &line.bytes[found.clone()];
            if style.only_matching {
                if !self.is_printable(text) {
                    self.is_hidden = true;
                    return None;
                }
                self.prefix(line, line.offset + found.start as u64);
            } else {
                self.output.write(&line.bytes[at..found.start]);
            }
            self.output.paint(Paint::Match, text);
            if style.only_matching {
                self.end_line();
            }
            (at, from) = (found.end, found.end);
        }
        Some(at)
    }

    fn end_line(&self) {
        self.output.write(&[self.style.line_end]);
        self.output.end_line();
    }

    /// Prints the name, the number and the offset.
    fn prefix(&mut self, line: &Line, offset: u64) {
        let style = self.style;
        let sign: &[u8] = if line.is_selected { b":" } else { b"-" };
        if self.source.with_name {
            self.output.paint(Paint::Name, &self.source.name);
            match style.null_after_name {
                true => self.output.write(b"\0"),
                false => self.output.paint(Paint::Separator, sign),
            };
        }
        if style.with_number {
            let number = self.number(line);
            self.print_number(number, sign);
        }
        if style.with_offset {
            self.print_number(offset, sign);
        }
        let has_prefix = self.source.with_name || style.with_number || style.with_offset;
        // Nothing has to line up in an empty line.
        if style.initial_tab && has_prefix && !line.bytes.is_empty() {
            self.output.write(b"\t");
        }
    }

    fn print_number(&self, number: u64, sign: &[u8]) {
        let width = self.source.number_width;
        let text = format!("{number:>width$}");
        self.output.paint(Paint::Number, text.as_bytes());
        self.output.paint(Paint::Separator, sign);
    }

    /// The number of the line, counted from the last one that was counted, or from the start of its block.
    fn number(&mut self, line: &Line) -> u64 {
        let block = &line.run.block;
        if self.counted.0 < block.offset {
            self.counted = (block.offset, block.lines_before);
        }
        let between =
            (self.counted.0 - block.offset) as usize..(line.offset - block.offset) as usize;
        let ends = memchr_iter(self.style.line_end, &block.lines()[between]);
        self.counted = (line.offset, self.counted.1 + ends.count() as u64);
        self.counted.1 + 1
    }
}

struct Line<'a> {
    /// Without what ends it.
    bytes: &'a [u8],
    offset: u64,
    is_selected: bool,
    run: &'a Run,
}
