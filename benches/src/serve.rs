//! Does works on request: each line of standard input names a work and how many times to do it, each line of standard
//! output says how many nanoseconds that took and how many memory mappings, or `-` if it cannot be done.

use std::io::{self, Write};
use std::sync::atomic::Ordering;

use crate::work::{MAPPINGS, Run, Work};

pub fn serve(run: Run) -> io::Result<()> {
    let mut stdout = io::stdout();
    for line in io::stdin().lines() {
        let line = line?;
        let request = line
            .split_once(' ')
            .and_then(|(work, n)| Some((Work::named(work)?, n.parse().ok()?)));
        let Some((work, n)) = request else {
            let message = format!("not a work and a number: {line:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        match run(work, n) {
            Some(spent) => {
                let mappings = MAPPINGS.swap(0, Ordering::Relaxed);
                writeln!(stdout, "{} {mappings}", spent.as_nanos())?;
            }
            None => writeln!(stdout, "-")?,
        }
    }
    Ok(())
}
