//! The process that does one work, once, and prints what that has taken.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use crate::cpu::Cpu;
use crate::memory;
use crate::peers::Run;
use crate::work::{Size, Work};

/// How many times a work that is repeated is done before it is measured.
const WARM_UP: u64 = 1000;

/// How long a thread that the first loop starts may take to come to rest. Until then it may have hold of the reactor, and
/// the loop, which does without it meanwhile, takes fewer instructions.
const SETTLE: Duration = Duration::from_millis(20);

/// Prints nanoseconds; microseconds in the program and in the kernel; KiB resident before, and at most since then.
pub fn serve(run: Run, work: Work, size: Size) -> io::Result<()> {
    if work.is_repeated() {
        run(work, Size { n: 1, ..size });
        thread::sleep(SETTLE);
        run(work, Size { n: WARM_UP, ..size });
    }
    memory::forget_peak();
    let resident = memory::resident()?;
    let before = Cpu::of(libc::RUSAGE_SELF)?;
    let Some(spent) = run(work, size) else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let cpu = Cpu::of(libc::RUSAGE_SELF)?.since(before);
    writeln!(
        io::stdout(),
        "{} {} {} {resident} {}",
        spent.as_nanos(),
        cpu.user.as_micros(),
        cpu.system.as_micros(),
        memory::peak()?
    )
}
