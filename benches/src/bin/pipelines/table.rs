//! The table of one search.

use std::io::{self, Write};

use crate::contestant::{Kind, LOOP_BLOCKS, LOOP_LINES};
use crate::measure::Entry;
use crate::programs::{GREP, RG};
use crate::search::Search;
use crate::text::Text;

const HEADER: [&str; 3] = [
    "                                                                   time ÷      speed ÷   speed ÷ rg",
    "contestant                     GB/s  ns/line  user ms  sys ms  plain loop  GNU grep   --no-mmap",
    "---------------------------  ------  -------  -------  ------  ----------  --------  ----------",
];

/// Writes the table. Returns whether all have found the same number of lines; who has not is told on standard error.
pub fn write(
    out: &mut impl Write,
    search: &Search,
    entries: &[Entry],
    text: &Text,
) -> io::Result<bool> {
    let expected = expected(entries);
    let percent = 100.0 * expected.unwrap_or(0) as f64 / text.lines() as f64;
    let matching = expected.map_or(String::from("?"), thousands);
    writeln!(
        out,
        "\n{}: {:?}, {matching} lines match ({percent:.4} %)",
        search.name, search.pattern
    )?;
    let (least, most) = search.percent;
    if !(least..=most).contains(&percent) {
        writeln!(
            out,
            "!!! it is to be {least} to {most} %: this is another search than its name says"
        )?;
    }
    writeln!(out, "{}", HEADER.join("\n"))?;
    for entry in entries {
        let seconds = entry.time.as_secs_f64();
        let own_loop = match entry.who.kind {
            Kind::Lines => LOOP_LINES,
            Kind::Blocks => LOOP_BLOCKS,
            Kind::Nothing => "",
        };
        let line = format!(
            "{:<27}  {:>6}  {:>7.2}  {:>7.0}  {:>6.0}  {:>10}  {:>8}  {:>10}",
            entry.who.name,
            format!("{:.3}", text.size() as f64 / 1e9 / seconds),
            seconds * 1e9 / text.lines() as f64,
            entry.cpu.user.as_secs_f64() * 1e3,
            entry.cpu.system.as_secs_f64() * 1e3,
            ratio(speed(entries, own_loop, entry.who.name)),
            ratio(speed(entries, entry.who.name, GREP)),
            ratio(speed(entries, entry.who.name, RG)),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    let mut agree = true;
    for entry in entries.iter().filter(|entry| entry.count.is_some()) {
        if entry.count != expected {
            let count = entry.count.map(thousands).unwrap_or_default();
            let (who, search) = (entry.who.name, search.name);
            eprintln!("pipelines: {search}: {who} counts {count} lines, {LOOP_LINES} {matching}");
            agree = false;
        }
    }
    Ok(agree)
}

/// What the simplest of them counts.
fn expected(entries: &[Entry]) -> Option<u64> {
    find(entries, LOOP_LINES)?.count
}

/// The fastest that is called so.
fn find<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    let named = entries.iter().filter(|entry| entry.who.is_called(name));
    named.min_by_key(|entry| entry.time)
}

/// How much faster `who` is than `other`, if both were measured.
pub fn speed(entries: &[Entry], who: &str, other: &str) -> Option<f64> {
    let [who, other] = [who, other].map(|name| find(entries, name));
    Some(other?.time.as_secs_f64() / who?.time.as_secs_f64())
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
}

/// With a comma between thousands.
pub fn thousands(number: u64) -> String {
    match number {
        ..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}
