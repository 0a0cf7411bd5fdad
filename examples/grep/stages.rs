//! The stages of the pipeline. Each is sent lines, and returns how many lines were selected.

use std::rc::Rc;

use yieldfrom::pipe::{Receiver, Sink, sink};

use crate::input::{Input, Line};
use crate::output::Output;
use crate::pattern::Pattern;

/// Sends the lines of `input` on until there are none left or nobody wants more. Returns what the pipeline returns, and
/// how the reading ended.
pub fn cat<R>(input: &mut Input, mut target: Sink<Line, R>) -> (R, std::io::Result<()>) {
    let mut read = || {
        while let Some(line) = input.next_line()? {
            if target.send(line).is_err() {
                break;
            }
        }
        Ok(())
    };
    let result = read();
    (target.close(), result)
}

/// Sends on the lines that `pattern` selects.
pub fn grep<R: 'static>(pattern: Rc<Pattern>, mut target: Sink<Line, R>) -> Sink<Line, R> {
    sink(move |lines: &mut Receiver<Line>| {
        while let Some(line) = lines.recv() {
            if pattern.selects(line.bytes()) && target.send(line).is_err() {
                break;
            }
        }
        target.close()
    })
}

/// Sends on the first `limit` lines, then ends. Without a limit there is no such stage: it is `target` itself.
pub fn head<R: 'static>(limit: Option<u64>, mut target: Sink<Line, R>) -> Sink<Line, R> {
    let Some(limit) = limit else {
        return target;
    };
    sink(move |lines: &mut Receiver<Line>| {
        for _ in 0..limit {
            match lines.recv() {
                Some(line) if target.send(line).is_ok() => {}
                _ => break,
            }
        }
        target.close()
    })
}

/// Counts lines.
pub fn count() -> Sink<Line, u64> {
    sink(|lines: &mut Receiver<Line>| {
        let mut selected = 0;
        while lines.recv().is_some() {
            selected += 1;
        }
        selected
    })
}

/// What is printed besides the line.
pub struct Labels {
    /// The name of the file.
    pub name: Vec<u8>,
    pub with_name: bool,
    pub with_number: bool,
}

/// Prints lines. Of a file with a NUL, and of a line that is not UTF-8, it only tells that it matches, in the end.
pub fn printer(labels: Labels, output: Rc<Output>) -> Sink<Line, u64> {
    sink(move |lines: &mut Receiver<Line>| {
        let mut selected = 0;
        let mut is_hidden = false;
        while let Some(line) = lines.recv() {
            selected += 1;
            if line.is_binary() {
                is_hidden = true;
                break;
            } else if std::str::from_utf8(line.bytes()).is_err() {
                is_hidden = true;
            } else if !print(line, &labels, &output) {
                break;
            }
        }
        if is_hidden {
            output.complain(&[b"grep: ", &labels.name, b": binary file matches"]);
        }
        selected
    })
}

/// Returns whether more can be printed.
fn print(line: &Line, labels: &Labels, output: &Output) -> bool {
    let name: [&[u8]; 2] = match labels.with_name {
        true => [&labels.name, b":"],
        false => [b"", b""],
    };
    match labels.with_number {
        true => {
            let number = line.number().to_string();
            output.write(&[
                name[0],
                name[1],
                number.as_bytes(),
                b":",
                line.bytes(),
                b"\n",
            ])
        }
        false => output.write(&[name[0], name[1], line.bytes(), b"\n"]),
    }
}
