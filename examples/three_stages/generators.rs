//! # 3. Generator coroutines, and a trampoline
//!
//! The turn of the tale. A coroutine can stop in the middle and be resumed later, with its local variables. So let it *yield*
//! the promise that it waits for, to somebody who adds the done-callback: "resume me". Then a call that answers later can be
//! written as one that answers now. The stages stand one below the other again; `city` is a variable; `?` carries every error
//! to the one place that handles it; what is to happen in the end is written at the end.
//!
//! This is all of asyncio as it was before Python 3.5:
//!
//! - [`wait_for`] is `Future.__iter__`: `yield self` if it is not done, then `return self.result()`. One delegates to it, for
//!   the yield has to come out at the far end of however many coroutines there are: `yield from`.
//! - [`step`] is `Task.__step`, the trampoline: resume, look what is yielded, and come back when it is done.

use std::rc::Rc;

use yieldfrom::{Co, Coroutine, Exception, SharedCoroutine, Step, coroutine};

use super::promises::{Promise, city, country, weather};
use super::world::{Failure, World};

/// What is yielded to the trampoline: takes the callback that resumes.
type Wait = Box<dyn FnOnce(Box<dyn FnOnce()>)>;

fn wait_for<T: Clone + 'static>(promise: Promise<T>) -> Coroutine<Wait, (), T> {
    coroutine(move |co: &Co<Wait, ()>| {
        if promise.result().is_none() {
            let waited = promise.clone();
            co.yield_(Box::new(move |resume| waited.add_done_callback(resume)))?;
        }
        Ok(promise.result().expect("it is done")?)
    })
}

fn stages(co: &Co<Wait, ()>, world: &Rc<World>, code: &'static str) -> Result<(), Exception> {
    let country = co.yield_from(&mut wait_for(country(world, code)))?;
    let number = world.step1(code, &country)?;
    let city = co.yield_from(&mut wait_for(city(world, code, number)))?;
    let station = world.step2(code, &city);
    let warmth = co.yield_from(&mut wait_for(weather(world, code, station)))?;
    world.step3(code, &city, warmth);
    Ok(())
}

fn three_stages(world: Rc<World>, code: &'static str) -> Coroutine<Wait, ()> {
    coroutine(move |co| {
        if let Err(exception) = stages(co, &world, code) {
            world.failed(code, &exception.downcast::<Failure>()?);
        }
        world.done(code);
        Ok(())
    })
}

/// Resumes a task, and sees to it that it is resumed again.
fn step(task: SharedCoroutine<Wait, ()>) {
    let resumed = match task.state() {
        yieldfrom::State::Created => task.prime(),
        _ => task.send(()),
    };
    match resumed {
        Ok(Step::Yielded(wait)) => wait(Box::new(move || step(task))),
        Ok(Step::Complete(())) => {}
        Err(raised) => panic!("a task failed: {raised:?}"),
    }
}

pub fn run(world: &Rc<World>, codes: &[&'static str]) {
    for code in codes {
        step(three_stages(world.clone(), code).shared());
    }
    while world.turn() {}
}
