//! # 1. Callbacks
//!
//! A call returns at once; what is to be done with its answer is passed along as a function. So the program stands on its
//! head: each stage is inside the one before. There is no `return`, no `?`, no end of a scope: what has to happen to an
//! error, and what has to happen in the end, is written down at each stage again. Forget it once, and nobody will know.
//!
//! What a later stage needs (`city`) has to be handed on into the closure that will need it.

use std::rc::Rc;

use super::world::World;

pub fn three_stages(world: &Rc<World>, code: &'static str) {
    let w = world.clone();
    world.country(code, move |country| {
        let number = match country.and_then(|country| w.step1(code, &country)) {
            Ok(number) => number,
            Err(failure) => {
                w.failed(code, &failure);
                return w.done(code);
            }
        };
        let w2 = w.clone();
        w.city(code, number, move |city| {
            let city = match city {
                Ok(city) => city,
                Err(failure) => {
                    w2.failed(code, &failure);
                    return w2.done(code);
                }
            };
            let station = w2.step2(code, &city);
            let w3 = w2.clone();
            w2.weather(code, station, move |warmth| {
                match warmth {
                    Ok(warmth) => w3.step3(code, &city, warmth),
                    Err(failure) => w3.failed(code, &failure),
                }
                w3.done(code);
            });
        });
    });
}

/// The event loop of a program of callbacks: start, and let the answers come.
pub fn run(world: &Rc<World>, codes: &[&'static str]) {
    for code in codes {
        three_stages(world, code);
    }
    while world.turn() {}
}
