//! Saving a file on another thread, while the loop goes on. In Python:
//!
//! ```python
//! save_flag(image, path)                                       # blocks the loop
//! await loop.run_in_executor(None, save_flag, image, path)     # does not
//! ```
//!
//! Look at the turns of the other task: none in the first case, and as many as there is time for in the second. (In this example
//! the disk is as slow as three turns, always.)

#[path = "adapters/program.rs"]
mod program;

use std::cell::Cell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use yieldfrom::task::{sleep, spawn, unblock};
use yieldfrom::{Exception, await_};

const HELP: &str = "\
save_off_loop: saves a file in the loop, and on another thread

    cargo run --example save_off_loop
    cargo run --example save_off_loop -- [OPTIONS]

";

/// Writes to a temporary name, and renames it when it is whole: nobody sees half a file.
fn save_flag(image: &[u8], path: &Path, slow_disk: Option<&Receiver<()>>) -> Result<(), Exception> {
    let unfinished = path.with_extension("part");
    fs::write(&unfinished, image)?;
    if let Some(slow_disk) = slow_disk {
        for _ in 0..3 {
            slow_disk.recv()?;
        }
    }
    fs::rename(&unfinished, path)?;
    Ok(())
}

/// Another task, which has something to do all the time.
fn other(turns: &Cell<u32>, turn: &Sender<()>) -> Result<(), Exception> {
    loop {
        turns.set(turns.get() + 1);
        let _ = turn.send(()); // perhaps the disk is not busy
        await_(sleep(Duration::ZERO))?;
    }
}

/// A file that is gone in the end.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // perhaps it was never there
    }
}

fn save_twice() -> Result<(), Exception> {
    let name = format!("yieldfrom-flag-{}.gif", std::process::id());
    let file = Temporary(std::env::temp_dir().join(name));
    let image = b"GIF89a, as it were".to_vec();
    let (turns, (turn, slow_disk)) = (Rc::new(Cell::new(0)), channel());
    let other = spawn({
        let turns = turns.clone();
        move || other(&turns, &turn)
    });
    await_(sleep(Duration::ZERO))?;

    let before = turns.get();
    save_flag(&image, &file.0, None)?;
    let mut out = io::stdout();
    writeln!(
        out,
        "in the loop: other tasks had {} turns meanwhile",
        turns.get() - before
    )?;

    let before = turns.get();
    while slow_disk.try_recv().is_ok() {}
    let path = file.0.clone();
    await_(unblock(move || save_flag(&image, &path, Some(&slow_disk))))??;
    let had_turns = turns.get() - before >= 3;
    writeln!(out, "on another thread: at least 3 turns: {had_turns}")?;
    writeln!(out, "saved: {} bytes", fs::metadata(&file.0)?.len())?;

    // An error is the awaiter's, as any other.
    let nowhere = file.0.join("no folder");
    let error = await_(unblock(move || save_flag(b"", &nowhere, None)))?;
    writeln!(out, "into a file: error: {}", error.is_err())?;
    other.cancel();
    Ok(())
}

fn main() -> ExitCode {
    program::run(HELP, |clock| clock.event_loop().run(save_twice))
}
