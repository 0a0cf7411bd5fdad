//! Processor time.

use std::io;
use std::time::Duration;

/// What is taken by a program, and by the kernel on its behalf.
///
/// Their sum is exact. On most kernels how it is divided is a sample, taken at each tick of some milliseconds.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    pub user: Duration,
    pub system: Duration,
}

impl Cpu {
    /// What this process, or the children it has waited for, have taken so far.
    pub fn of(whose: libc::c_int) -> io::Result<Self> {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: `usage` is as large as the call expects, and lives until it returns.
        if unsafe { libc::getrusage(whose, usage.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was zeroed, which is a value of it, and the call has filled it.
        let usage = unsafe { usage.assume_init() };
        Ok(Self {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
        })
    }

    pub fn total(self) -> Duration {
        self.user + self.system
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// Processor time is never negative.
fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}
