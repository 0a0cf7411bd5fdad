//! # 2. Promises
//!
//! A call returns an object that stands for its answer, and takes the callback later. The pyramid becomes a chain, and an
//! error falls through it to one handler at its end. But it is a chain of functions still: a local variable of one is not
//! there in the next, so `city` is passed along by hand, in the value; a loop or an `if` around a call has no place in it.
//!
//! [`Promise`] is what asyncio calls a future: a state, and a list of callbacks for when it is done. All that follows in this
//! program is built on it, and only adds another way to make the callback.

use std::cell::RefCell;
use std::rc::Rc;

use super::world::{Answer, City, Country, Warmth, World};

/// The answer of a call, or who waits for it.
pub struct Promise<T>(Rc<RefCell<State<T>>>);

enum State<T> {
    Pending(Vec<Box<dyn FnOnce()>>),
    Done(Answer<T>),
}

impl<T: Clone + 'static> Promise<T> {
    /// A promise that is kept when `start`'s callback is called.
    pub fn new(start: impl FnOnce(Box<dyn FnOnce(Answer<T>)>)) -> Self {
        let promise = Self(Rc::new(RefCell::new(State::Pending(Vec::new()))));
        let kept = promise.clone();
        start(Box::new(move |answer| {
            let before = kept.0.replace(State::Done(answer));
            if let State::Pending(callbacks) = before {
                callbacks.into_iter().for_each(|callback| callback());
            }
        }));
        promise
    }

    /// The answer, if it is there. Never waits.
    pub fn result(&self) -> Option<Answer<T>> {
        match &*self.0.borrow() {
            State::Pending(_) => None,
            State::Done(answer) => Some(answer.clone()),
        }
    }

    /// Has `callback` called when the answer is there.
    pub fn add_done_callback(&self, callback: impl FnOnce() + 'static) {
        match &mut *self.0.borrow_mut() {
            State::Pending(callbacks) => return callbacks.push(Box::new(callback)),
            State::Done(_) => {}
        }
        callback();
    }

    /// A promise of what comes of the answer. An error is handed on.
    pub fn and_then<U: Clone + 'static>(
        self,
        next: impl FnOnce(T) -> Promise<U> + 'static,
    ) -> Promise<U> {
        Promise::new(move |keep| {
            let first = self.clone();
            self.add_done_callback(move || match first.result().expect("it is done") {
                Ok(value) => {
                    let second = next(value);
                    let last = second.clone();
                    second.add_done_callback(move || keep(last.result().expect("it is done")));
                }
                Err(failure) => keep(Err(failure)),
            });
        })
    }

    /// A promise that is kept already.
    pub fn kept(answer: Answer<T>) -> Self {
        Self::new(|keep| keep(answer))
    }
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pub fn country(world: &Rc<World>, code: &'static str) -> Promise<Country> {
    Promise::new(|keep| world.country(code, keep))
}

pub fn city(world: &Rc<World>, code: &'static str, number: u32) -> Promise<City> {
    Promise::new(|keep| world.city(code, number, keep))
}

pub fn weather(world: &Rc<World>, code: &'static str, station: &'static str) -> Promise<Warmth> {
    Promise::new(|keep| world.weather(code, station, keep))
}

pub fn three_stages(world: &Rc<World>, code: &'static str) {
    let (w, w2, w3, w4) = (world.clone(), world.clone(), world.clone(), world.clone());
    let outcome = country(world, code)
        .and_then(move |country| Promise::kept(w.step1(code, &country)))
        .and_then(move |number| city(&w2, code, number))
        .and_then(move |city| {
            let station = w3.step2(code, &city);
            weather(&w3, code, station).and_then(|warmth| Promise::kept(Ok((city, warmth))))
        });
    let last = outcome.clone();
    outcome.add_done_callback(move || {
        match last.result().expect("it is done") {
            Ok((city, warmth)) => w4.step3(code, &city, warmth),
            Err(failure) => w4.failed(code, &failure),
        }
        w4.done(code);
    });
}

pub fn run(world: &Rc<World>, codes: &[&'static str]) {
    for code in codes {
        three_stages(world, code);
    }
    while world.turn() {}
}
