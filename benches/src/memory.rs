//! How much of this process is in memory, in KiB.

use std::fs;
use std::io;

/// What is resident now.
pub fn resident() -> io::Result<u64> {
    tell("VmRSS:")
}

/// The most that has ever been resident, or since [`forget_peak`].
pub fn peak() -> io::Result<u64> {
    tell("VmHWM:")
}

/// Has the peak begin with what is resident now, where the system lets a process do that.
pub fn forget_peak() {
    // Without it, a peak that was higher before hides this one, and that is all.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn tell(key: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|size| size.trim().strip_suffix("kB")?.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("/proc/self/status does not tell {key:?}")))
}
