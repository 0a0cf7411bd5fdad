//! corosensei raw with its default features, one of which makes a coroutine catch panics at its root and can unwind it.
//! A program of its own, because the library is built without; the main program builds and asks it.

#[allow(dead_code)] // the fresh stacks
#[path = "../peers/corosensei.rs"]
mod corosensei;
#[allow(dead_code)] // what only other peers need
#[path = "../repeat.rs"]
mod repeat;
#[path = "../serve.rs"]
mod serve;
#[allow(dead_code, unused_imports)] // what only other peers need
#[path = "../work.rs"]
mod work;

fn main() -> std::io::Result<()> {
    serve::serve(corosensei::run)
}
