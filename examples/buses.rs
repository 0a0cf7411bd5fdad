//! Where are the buses? The events of an XML parser become dictionaries, which are filtered and printed. In Python:
//!
//! ```python
//! @coroutine
//! def buses_to_dicts(target):
//!     while True:
//!         if (yield) == ("start", "bus"):
//!             bus, text = {}, ""
//!             while True:
//!                 match (yield):
//!                     case "start", _: text = ""
//!                     case "text", piece: text += piece
//!                     case "end", "bus": break
//!                     case "end", name: bus[name] = text
//!             target.send(bus)
//!
//! parse(document, buses_to_dicts(filter_on_field("route", "22",
//!     filter_on_field("direction", "North Bound", bus_locations()))))
//! ```
//!
//! Look at the inner loop of `buses_to_dicts`, which is from David Beazley's course on coroutines. It is a state machine,
//! and its state is the place in the code: inside of a bus there are a `bus` and a `text`, outside there are none, and no
//! flag says which it is. A parser calls back at each event; a function that is called back cannot wait in a loop for the
//! next call, a coroutine can.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use yieldfrom::Exception;

const DOCUMENT: Str = "<buses>
  <bus> <id>1485</id> <route>22</route> <direction>North Bound</direction>
    <latitude>41.880481123924255</latitude> <longitude>-87.62948191165924</longitude> </bus>
  <bus> <id>7574</id> <route>147</route> <direction>North Bound</direction>
    <latitude>41.925682067871094</latitude> <longitude>-87.63092803955078</longitude> </bus>
  <bus> <id>1612</id> <route>22</route> <direction>South Bound</direction>
    <latitude>41.90108776092529</latitude> <longitude>-87.63145136833191</longitude> </bus>
  <bus> <id>1629</id> <route>22</route> <direction>North Bound</direction>
    <latitude>42.01851969751819</latitude> <longitude>-87.6730209876751</longitude> </bus>
</buses>";

#[derive(Clone, Copy, PartialEq)]
enum Event {
    Start(Str),
    Text(Str),
    End(Str),
}

type Str = &'static str;
type Bus = BTreeMap<Str, String>;

/// Calls `handle` with each event: tags, and text, which comes in pieces as from any such parser; here, word by word.
fn parse<E>(xml: Str, mut handle: impl FnMut(Event) -> Result<(), E>) -> Result<(), E> {
    for (tag, text) in xml.split('<').filter_map(|part| part.split_once('>')) {
        handle(match tag.strip_prefix('/') {
            Some(name) => Event::End(name),
            None => Event::Start(tag),
        })?;
        for piece in text.split_inclusive(' ') {
            handle(Event::Text(piece))?;
        }
    }
    Ok(())
}

/// One line for one bus; an error where Python has a `KeyError`.
fn location(bus: &Bus) -> Result<String, Exception> {
    let missing = |name| Exception::new(format!("a bus without {name}"));
    let field = |name| bus.get(name).ok_or_else(|| missing(name));
    let (route, id, direction) = (field("route")?, field("id")?, field("direction")?);
    let (latitude, longitude) = (field("latitude")?, field("longitude")?);
    let line = format!("{route},{id},\"{direction}\",{latitude},{longitude}");
    Ok(line)
}

mod coroutines {
    use std::io::{self, Write};

    use yieldfrom::{Coroutine, Exception, Raised, coroutine};

    use super::{Bus, DOCUMENT, Event, Str, location, parse};

    type Stage<T> = Coroutine<(), T>;
    type Primed<T> = Result<Stage<T>, Raised<T>>;

    fn buses_to_dicts(mut target: Stage<Bus>) -> Primed<Event> {
        coroutine(move |co| {
            loop {
                if co.yield_(())? == Event::Start("bus") {
                    let (mut bus, mut text) = (Bus::new(), String::new());
                    loop {
                        match co.yield_(())? {
                            Event::Start(_) => text.clear(),
                            Event::Text(piece) => text += piece,
                            Event::End("bus") => break,
                            Event::End(name) => _ = bus.insert(name, text.clone()),
                        }
                    }
                    target.send(bus)?;
                }
            }
        })
        .primed()
    }

    fn filter_on_field(name: Str, value: Str, mut target: Stage<Bus>) -> Primed<Bus> {
        coroutine(move |co| {
            loop {
                let bus: Bus = co.yield_(())?;
                if bus.get(name).is_some_and(|field| field == value) {
                    target.send(bus)?;
                }
            }
        })
        .primed()
    }

    fn bus_locations() -> Primed<Bus> {
        coroutine(|co| {
            loop {
                writeln!(io::stdout(), "{}", location(&co.yield_(())?)?)?;
            }
        })
        .primed()
    }

    pub fn run() -> Result<(), Exception> {
        let north_bound = filter_on_field("direction", "North Bound", bus_locations()?)?;
        let mut buses = buses_to_dicts(filter_on_field("route", "22", north_bound)?)?;
        parse(DOCUMENT, |event| buses.send(event).map(drop))?;
        buses.close()?;
        Ok(())
    }
}

mod lent {
    use yieldfrom::Exception;
    use yieldfrom::pipe::{Receiver, Sender, Stage, filter, print, source, stage, try_map};

    use super::{Bus, DOCUMENT, Event, Str, location, parse};

    fn buses_to_dicts() -> Stage<Event, Bus> {
        stage(|events: &mut Receiver<Event>, out: &mut Sender<Bus>| {
            while let Some(event) = events.recv() {
                if *event == Event::Start("bus") {
                    let (mut bus, mut text) = (Bus::new(), String::new());
                    loop {
                        match events.recv() {
                            Some(Event::Start(_)) => text.clear(),
                            Some(Event::Text(piece)) => text += piece,
                            Some(Event::End("bus")) => break,
                            Some(Event::End(name)) => _ = bus.insert(name, text.clone()),
                            None => return Ok(()), // what has begun of a bus is no bus
                        }
                    }
                    out.send(&bus)?;
                }
            }
            Ok(())
        })
    }

    fn filter_on_field(name: Str, value: Str) -> Stage<Bus> {
        filter(move |bus: &Bus| bus.get(name).is_some_and(|field| field == value))
    }

    pub fn run() -> Result<(), Exception> {
        source(|out: &mut Sender<Event>| Ok(parse(DOCUMENT, |event| out.send(&event))?))
            .pipe(buses_to_dicts())
            .pipe(filter_on_field("route", "22"))
            .pipe(filter_on_field("direction", "North Bound"))
            .pipe(try_map(location))
            .into(print())?;
        Ok(())
    }
}

fn run() -> io::Result<()> {
    writeln!(io::stdout(), "-- coroutines, which are sent events:")?;
    coroutines::run()?;
    writeln!(io::stdout(), "-- stages, which are lent them:")?;
    Ok(lent::run()?)
}

const HELP: &str = "\
buses: the events of an XML parser become buses; the north-bound ones of route 22 are
printed, by coroutines and by stages of a `pipe`

Run it with: cargo run --example buses
";

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        None => run(),
        Some(arg) if arg == "-h" || arg == "--help" => write!(io::stdout(), "{HELP}"),
        Some(arg) => {
            eprintln!("buses: unknown argument {arg:?}; try --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("buses: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS, // a reader that has seen enough is no failure
    }
}
