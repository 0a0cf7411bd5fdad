//! What all five programs share: the services they call, the steps in between, and the log.
//!
//! The services answer later, by calling back; nothing here knows of coroutines. Time is virtual: when nobody has anything
//! to do, the clock jumps to the next answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use yieldfrom::Cancelled;

/// What is asked first: which country has this code?
#[derive(Clone)]
pub struct Country {
    pub name: &'static str,
    pub capital: Option<u32>,
}

/// What is asked second: which city has this number?
#[derive(Clone)]
pub struct City {
    pub name: &'static str,
    pub station: &'static str,
}

/// What is asked last, in °C: how warm is it at this weather station?
pub type Warmth = f64;

/// Everything that can go wrong on the way.
#[derive(Clone, Debug)]
pub enum Failure {
    NoSuchCountry,
    NoCapital(&'static str),
    Unavailable,
    Silent(&'static str),
    Cancelled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCountry => f.write_str("no such country"),
            Self::NoCapital(country) => write!(f, "{country} has no capital"),
            Self::Unavailable => f.write_str("503 service unavailable"),
            Self::Silent(station) => write!(f, "station {station} is silent"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Cancelled> for Failure {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

pub type Answer<T> = Result<T, Failure>;

/// What happens when an answer comes.
type Event = Box<dyn FnOnce()>;

/// The services, their clock, and the log.
#[derive(Default)]
pub struct World {
    /// In milliseconds.
    now: Cell<u64>,
    /// How many calls there were.
    asked: Cell<usize>,
    /// What happens when; the second number keeps what happens at the same time in order.
    events: RefCell<BTreeMap<(u64, usize), Event>>,
    log: RefCell<Vec<String>>,
}

impl World {
    /// The first API call.
    pub fn country(
        self: &Rc<Self>,
        code: &'static str,
        callback: impl FnOnce(Answer<Country>) + 'static,
    ) {
        let country = |name, capital| Ok(Country { name, capital });
        let (after, answer) = match code {
            "BR" => (30, country("Brazil", Some(1))),
            "BT" => (10, country("Bhutan", Some(2))),
            "KI" => (15, country("Kiribati", Some(3))),
            "AQ" => (20, country("Antarctica", None)),
            _ => (25, Err(Failure::NoSuchCountry)),
        };
        self.answer(code, format!("country {code}"), after, answer, callback);
    }

    /// The second.
    pub fn city(
        self: &Rc<Self>,
        code: &'static str,
        number: u32,
        callback: impl FnOnce(Answer<City>) + 'static,
    ) {
        let (after, answer) = match number {
            1 => (
                20,
                Ok(City {
                    name: "Brasília",
                    station: "SBBR",
                }),
            ),
            2 => (
                5,
                Ok(City {
                    name: "Thimphu",
                    station: "VQTH",
                }),
            ),
            _ => (40, Err(Failure::Unavailable)),
        };
        self.answer(code, format!("city {number}"), after, answer, callback);
    }

    /// The third.
    pub fn weather(
        self: &Rc<Self>,
        code: &'static str,
        station: &'static str,
        callback: impl FnOnce(Answer<Warmth>) + 'static,
    ) {
        let (after, answer) = match station {
            "SBBR" => (40, Ok(24.5)),
            _ => (50, Err(Failure::Silent(station))),
        };
        self.answer(code, format!("weather {station}"), after, answer, callback);
    }

    fn answer<T: 'static>(
        self: &Rc<Self>,
        code: &'static str,
        what: String,
        after: u64,
        answer: Answer<T>,
        callback: impl FnOnce(Answer<T>) + 'static,
    ) {
        self.log(code, format!("-> {what}"));
        let world = self.clone();
        let event = Box::new(move || {
            world.log(code, format!("<- {what}"));
            callback(answer);
        });
        let mut events = self.events.borrow_mut();
        self.asked.set(self.asked.get() + 1);
        events.insert((self.now.get() + after, self.asked.get()), event);
    }

    /// Stage 1, between the first call and the second.
    pub fn step1(&self, code: &'static str, country: &Country) -> Answer<u32> {
        self.log(code, format!("step 1: {}", country.name));
        country.capital.ok_or(Failure::NoCapital(country.name))
    }

    /// Stage 2, between the second call and the third.
    pub fn step2(&self, code: &'static str, city: &City) -> &'static str {
        self.log(code, format!("step 2: {}", city.name));
        city.station
    }

    /// Stage 3, after the last.
    pub fn step3(&self, code: &'static str, city: &City, warmth: Warmth) {
        self.log(code, format!("step 3: it is {warmth} °C in {}", city.name));
    }

    /// What happens to an error, wherever it comes from.
    pub fn failed(&self, code: &'static str, failure: &Failure) {
        self.log(code, format!("failed: {failure}"));
    }

    /// What happens in the end, whatever happened before.
    pub fn done(&self, code: &'static str) {
        self.log(code, "done".to_owned());
    }

    fn log(&self, code: &str, text: String) {
        let line = format!("{code} {:>3} ms  {text}", self.now.get());
        self.log.borrow_mut().push(line);
    }

    /// Has the next answer come. `false` if none is outstanding.
    pub fn turn(&self) -> bool {
        let next = self.events.borrow_mut().pop_first();
        let Some(((time, _), event)) = next else {
            return false;
        };
        self.now.set(time);
        event();
        true
    }

    /// All that has happened.
    pub fn take_log(&self) -> Vec<String> {
        self.log.take()
    }
}
