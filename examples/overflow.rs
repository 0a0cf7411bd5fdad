//! What happens when a coroutine runs out of stack: the process says which one it was, and aborts.
//!
//! ```sh
//! cargo run --example overflow                  # how deep can the recursion go?
//! cargo run --example overflow -- 1048576       # the same with a stack of 1 MiB
//! ```

use std::io::{self, Write};

use yieldfrom::{Builder, Yielder, default_stack_size};

/// Yields how deep it is, and goes deeper.
fn dive(y: &Yielder<u64>, depth: u64) {
    y.yield_(depth);
    if depth < u64::MAX {
        dive(y, depth + 1);
    }
    y.yield_(depth); // on the way up, which nobody will see
}

fn main() {
    let bytes = match std::env::args().nth(1).map(|argument| argument.parse()) {
        None => default_stack_size(),
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) => {
            eprintln!("overflow: the argument is the size of the stack, in bytes");
            std::process::exit(2);
        }
    };
    let diver = Builder::new()
        .name("diver")
        .stack_size(bytes)
        .generator(|y| dive(y, 1));
    let mut out = io::stdout();
    for depth in diver {
        // Each depth but the first few would be the last one seen: print powers of two.
        if depth.is_power_of_two() && writeln!(out, "{depth} calls deep").is_err() {
            return; // nobody reads on
        }
    }
}
