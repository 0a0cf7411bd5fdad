//! # 5. `async` and `await`
//!
//! And the same in the language itself. The words stand where they stood in step 4, and the promise is the same future. The
//! compiler makes a state machine of each function instead of giving it a stack: a few bytes instead of a page, and in
//! return whoever waits has to be `async`, and so has everybody who calls them, up to the top. A library that takes a closure or
//! reads from a `Read` cannot be called across a wait; in step 4, it can.

use std::rc::Rc;

use async_executor::LocalExecutor;

use super::fibers::turn;
use super::promises::{city, country, weather};
use super::world::{Failure, World};

async fn stages(world: &Rc<World>, code: &'static str) -> Result<(), Failure> {
    let country = country(world, code).await?;
    let number = world.step1(code, &country)?;
    let city = city(world, code, number).await?;
    let station = world.step2(code, &city);
    let warmth = weather(world, code, station).await?;
    world.step3(code, &city, warmth);
    Ok(())
}

async fn three_stages(world: Rc<World>, code: &'static str) {
    if let Err(failure) = stages(&world, code).await {
        world.failed(code, &failure);
    }
    world.done(code);
}

pub fn run(world: &Rc<World>, codes: &[&'static str]) {
    let executor = LocalExecutor::new();
    for code in codes {
        executor.spawn(three_stages(world.clone(), code)).detach();
    }
    turn(world, &executor);
}
