//! From CSV to lines of JSON.

#![forbid(unsafe_code)]

use std::io::{self, LineWriter, Read, Write};

use serde_json::{Map, Value, json};

/// Answers each row, as soon as it is there, by an object in a line of its own. Returns how many there were.
///
/// A row that is no CSV is answered too, by an object with an `error`. Nothing is read after it.
pub fn convert(rows: impl Read, lines: impl Write) -> io::Result<u64> {
    let mut reader = csv::Reader::from_reader(rows);
    let mut out = LineWriter::new(lines);
    let mut count = 0;
    let mut convert_all = || -> csv::Result<()> {
        let names = reader.headers()?.clone();
        for row in reader.records() {
            let row = row?;
            let fields = names.iter().zip(&row);
            let object: Map<_, _> = fields
                .map(|(name, field)| (name.to_owned(), value(field)))
                .collect();
            // Its error is made an `io::Error` again, or no one could see what is behind it.
            serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            count += 1;
        }
        Ok(())
    };
    let converted = convert_all();
    match converted.map_err(csv::Error::into_kind) {
        Ok(()) => Ok(count),
        // As it was: `csv::Error` has no `source`.
        Err(csv::ErrorKind::Io(error)) => Err(error),
        Err(other) => {
            let message = describe(&other);
            writeln!(out, "{}", json!({ "error": message }))?;
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
    }
}

/// A number, if it looks like one.
fn value(field: &str) -> Value {
    match field.parse::<serde_json::Number>() {
        Ok(number) => number.into(),
        Err(_) => field.into(),
    }
}

fn describe(kind: &csv::ErrorKind) -> String {
    let line = |position: &Option<csv::Position>| match position {
        Some(position) => format!("line {}: ", position.line()),
        None => String::new(),
    };
    match kind {
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => format!("{}{len} fields instead of {expected_len}", line(pos)),
        csv::ErrorKind::Utf8 { pos, err } => format!("{}{err}", line(pos)),
        other => format!("{other:?}"),
    }
}
