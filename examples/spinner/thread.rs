//! A thread spins. It has to be told to stop, and may be anywhere when that happens.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use yieldfrom::Exception;

use super::screen::{FRAME, blank, frames, show};
use super::slow::slow_function;

/// Python's `threading.Event`.
#[derive(Default)]
struct Event {
    is_set: Mutex<bool>,
    change: Condvar,
}

impl Event {
    fn set(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.change.notify_all();
    }

    /// Waits so long at most. Returns whether it is set.
    fn wait(&self, timeout: Duration) -> bool {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .change
            .wait_timeout_while(is_set, timeout, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn spin(is_done: impl Fn() -> bool) -> io::Result<()> {
    for frame in frames() {
        show(&frame)?;
        if is_done() {
            return blank(&frame);
        }
    }
    Ok(())
}

pub fn supervisor(takes: Duration) -> Result<u32, Exception> {
    let done = Arc::new(Event::default());
    let spinner = thread::Builder::new().name("spinner".to_owned()).spawn({
        let done = done.clone();
        move || spin(|| done.wait(FRAME))
    })?;
    let name = spinner.thread().name().unwrap_or_default().to_owned();
    writeln!(io::stdout(), "spinner object: <Thread({name}, started)>")?;
    let answer = slow_function(takes)?;
    done.set();
    spinner.join().expect("a spinner does not panic")?;
    Ok(answer)
}

/// The same with a plain flag: the thread sees it when it next looks, which is up to a frame later.
pub fn supervisor_with_a_flag(takes: Duration) -> Result<u32, Exception> {
    let go = Arc::new(AtomicBool::new(!takes.is_zero()));
    let spinner = thread::Builder::new().name("spinner".to_owned()).spawn({
        let go = go.clone();
        move || {
            spin(|| {
                if go.load(Ordering::Relaxed) {
                    thread::sleep(FRAME);
                }
                !go.load(Ordering::Relaxed)
            })
        }
    })?;
    let name = spinner.thread().name().unwrap_or_default().to_owned();
    writeln!(io::stdout(), "spinner object: <Thread({name}, started)>")?;
    let answer = slow_function(takes)?;
    go.store(false, Ordering::Relaxed);
    spinner.join().expect("a spinner does not panic")?;
    Ok(answer)
}
