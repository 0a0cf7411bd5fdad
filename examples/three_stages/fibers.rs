//! # 4. `await_`
//!
//! `yield from` said three things each time: here I wait, for this, and pass it on to the trampoline. The last can go without
//! saying: a fiber knows who runs it. What is left is [`await_`], a function like any other, which may be called at any depth:
//! from a closure, a sorting function, a library that has never heard of it. Nothing on the way has to be a coroutine.
//!
//! Instead of the hand-written trampoline there is an executor, and what it calls a waker is the done-callback of old: compare
//! the `impl Future` below with `wait_for` in step 3. The first `?` is for the cancellation that a wait can end with, as
//! `yield_` could; the second for what the call answers.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use async_executor::LocalExecutor;
use yieldfrom::{await_, fiber};

use super::promises::{Promise, city, country, weather};
use super::world::{Answer, Failure, World};

impl<T: Clone + 'static> Future for Promise<T> {
    type Output = Answer<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer<T>> {
        match self.result() {
            Some(answer) => Poll::Ready(answer),
            None => {
                let waker = context.waker().clone();
                self.add_done_callback(|| waker.wake());
                Poll::Pending
            }
        }
    }
}

fn stages(world: &Rc<World>, code: &'static str) -> Result<(), Failure> {
    let country = await_(country(world, code))??;
    let number = world.step1(code, &country)?;
    let city = await_(city(world, code, number))??;
    let station = world.step2(code, &city);
    let warmth = await_(weather(world, code, station))??;
    world.step3(code, &city, warmth);
    Ok(())
}

fn three_stages(world: &Rc<World>, code: &'static str) {
    if let Err(failure) = stages(world, code) {
        world.failed(code, &failure);
    }
    world.done(code);
}

pub fn run(world: &Rc<World>, codes: &[&'static str]) {
    let executor = LocalExecutor::new();
    for &code in codes {
        let world = world.clone();
        executor
            .spawn(fiber(move || three_stages(&world, code)))
            .detach();
    }
    turn(world, &executor);
}

/// The event loop: everybody goes on as far as they can, and then the next answer comes.
pub fn turn(world: &World, executor: &LocalExecutor<'_>) {
    loop {
        while executor.try_tick() {}
        if !world.turn() {
            break;
        }
    }
}
