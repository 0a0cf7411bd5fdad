//! How long it takes to do something many times, one after another.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long `n` steps take.
#[inline(always)]
pub fn repeat(n: u64, mut step: impl FnMut() -> u64) -> Duration {
    let start = Instant::now();
    let mut sum = 0u64;
    for _ in 0..n {
        sum = sum.wrapping_add(step());
    }
    black_box(sum);
    start.elapsed()
}

/// [`repeat`] for steps that are given a number, counting from 0.
#[inline(always)]
pub fn repeat_with(n: u64, mut step: impl FnMut(u64) -> u64) -> Duration {
    let mut i = 0;
    repeat(n, || {
        let answer = step(i);
        i += 1;
        answer
    })
}

/// [`repeat_with`] for steps that wait.
pub async fn repeat_async(n: u64, mut step: impl AsyncFnMut(u64) -> u64) -> Duration {
    let start = Instant::now();
    let mut sum = 0u64;
    for i in 0..n {
        sum = sum.wrapping_add(step(i).await);
    }
    black_box(sum);
    start.elapsed()
}
