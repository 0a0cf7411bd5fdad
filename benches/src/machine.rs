//! What the machine grants: descriptors, cores.

use std::fs;
use std::io;
use std::thread;

/// Which side of the connections a thread is on.
#[derive(Clone, Copy)]
pub enum Side {
    Client,
    Server,
}

/// Raises the limit of descriptors as far as this process may. Returns how many it may have now.
pub fn allow_descriptors() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` lives until the call returns.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

/// How many connections a client may have to one server, and that server with it.
pub fn most_connections() -> io::Result<usize> {
    /// What else a process has open.
    const OTHERS: u64 = 64;
    /// What else is under way, or was a minute ago.
    const OTHER_PORTS: u64 = 1000;
    let descriptors = allow_descriptors()?.saturating_sub(OTHERS);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let range: Vec<u64> = range.split_whitespace().flat_map(str::parse).collect();
    let ports = match range[..] {
        [first, last] => (last + 1).saturating_sub(first + OTHER_PORTS),
        _ => u64::MAX,
    };
    Ok(descriptors.min(ports).try_into().unwrap_or(usize::MAX))
}

/// Runs `work` on the client's core.
pub fn as_client<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    on_core(Side::Client, work)
}

/// Runs `work` on one of the two cores. The processes that it starts stay there too.
pub fn on_core<T: Send>(side: Side, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    // A thread of its own: the other processes that this one starts have its cores.
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            stay_on_core(side)?;
            work()
        });
        thread.join().expect("the work does not panic")
    })
}

/// Gives the client one core and every server another one, the same for all, if there are two.
///
/// Else the scheduler would move them, and a server with more threads would have more cores. Threads that are made later
/// stay on it too.
#[cfg(target_os = "linux")]
pub fn stay_on_core(side: Side) -> io::Result<()> {
    // SAFETY: it is an array of integers.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: `allowed` has that size and lives until the call returns.
    check(unsafe { libc::sched_getaffinity(0, size, &raw mut allowed) })?;
    // SAFETY: the numbers are below the size of the set.
    let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
    let mut cores = (0..libc::CPU_SETSIZE as usize).filter(is_allowed);
    let (Some(first), Some(second)) = (cores.next(), cores.next()) else {
        return Ok(());
    };
    let core = match side {
        Side::Client => first,
        Side::Server => second,
    };
    // SAFETY: as above.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: as above.
    check(unsafe { libc::sched_setaffinity(0, size, &raw const set) })
}

#[cfg(not(target_os = "linux"))]
pub fn stay_on_core(_: Side) -> io::Result<()> {
    Ok(())
}

fn check(status: libc::c_int) -> io::Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
