//! How much room there is left for stacks.
//!
//! Close to a limit the rest of the process fails before we do: at the last memory mapping or the last byte of address
//! space it is `malloc` that gets nothing and aborts. So stacks are refused while there is still something left.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::StackLimit;
use super::region::page_size;

/// Bytes to leave to everybody else, of a limit of `limit` bytes.
fn reserve(limit: u64) -> u64 {
    (limit / 4).min(64 << 20)
}

/// Decides whether there is room for another region.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes that have been mapped, and of them such that will be touched, since somebody has last looked how much memory
    /// there is.
    unseen: (u64, u64),
    /// Bytes that have been mapped in all.
    mapped: u64,
}

impl Room {
    /// What is less than this in all does not matter, and is not worth the time to look.
    const MATTERS: (u64, u64) = (16 << 20, 512 << 10);

    pub(super) const fn new() -> Self {
        Self {
            unseen: (0, 0),
            mapped: 0,
        }
    }

    /// Asks for `bytes` more, of which `touched` will be used. Refuses close to a limit.
    pub(super) fn take(&mut self, bytes: usize, touched: usize) -> Result<(), StackLimit> {
        let (bytes, touched) = (bytes as u64, touched as u64);
        check_resources(bytes, self.mapped)?;
        let unseen = (
            self.unseen.0.saturating_add(bytes),
            self.unseen.1.saturating_add(touched),
        );
        if unseen.0 <= Self::MATTERS.0 && unseen.1 <= Self::MATTERS.1 {
            self.unseen = unseen;
        } else {
            // If it is refused, the next one is looked at again, however small.
            check_memory(bytes, touched)?;
            self.unseen = (0, 0);
        }
        self.mapped += bytes;
        Ok(())
    }

    /// Takes back what was [taken](Self::take).
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.mapped = self.mapped.saturating_sub(bytes as u64);
    }
}

/// `ours` is how many bytes are ours at least, should nobody know how many there are in all.
fn check_resources(bytes: u64, ours: u64) -> Result<(), StackLimit> {
    // (The type of a resource's number is not the same in every C library.)
    for (resource, column, limit) in [
        (libc::RLIMIT_AS as _, 0, StackLimit::AddressSpace),
        (libc::RLIMIT_DATA as _, 5, StackLimit::Data),
    ] {
        if let Some(most) = resource_limit(resource) {
            let used = usage(column).unwrap_or_else(|| ours.saturating_add(most / 4));
            if used.saturating_add(bytes) > most - reserve(most) {
                return Err(limit);
            }
        }
    }
    Ok(())
}

fn check_memory(bytes: u64, touched: u64) -> Result<(), StackLimit> {
    if let Ok(text) = fs::read_to_string("/proc/meminfo") {
        let left = memory_left(&text, strict_accounting());
        if left.is_some_and(|left| touched > left.touchable || bytes > left.promisable) {
            return Err(StackLimit::Memory);
        }
    }
    if control_group_left().is_some_and(|left| touched > left) {
        return Err(StackLimit::Memory);
    }
    Ok(())
}

/// A column of the process' `statm`, in bytes.
fn usage(column: usize) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(column)?.trim().parse().ok()?;
    Some(pages * page_size() as u64)
}

/// Which limit has most likely made a `mmap` or `madvise` fail.
pub(super) fn diagnose(error: &io::Error, bytes: usize) -> StackLimit {
    if error.kind() != io::ErrorKind::OutOfMemory {
        return StackLimit::Unknown;
    }
    match (Mappings::count(), Mappings::most()) {
        (Some(count), Some(most)) if count + 16 > most => StackLimit::Mappings,
        _ => check_resources(bytes as u64, u64::MAX)
            .err()
            .unwrap_or(StackLimit::Memory),
    }
}

/// The memory mappings of this process.
#[derive(Debug)]
pub(super) struct Mappings {
    /// How many more we may take before somebody counts again.
    left: usize,
    /// How many we have taken in all.
    taken: usize,
    /// When somebody was last refused.
    refused: Option<Instant>,
}

impl Mappings {
    /// How many are taken between two counts, which take long: the kernel lists them all.
    const BETWEEN_COUNTS: usize = 1024;

    /// How long it is of no use to count again.
    const PAUSE: Duration = Duration::from_millis(50);

    /// Linux' own limit, if nobody has changed it.
    const USUAL: usize = 65_530;

    pub(super) const fn new() -> Self {
        Self {
            left: 0,
            taken: 0,
            refused: None,
        }
    }

    /// Asks for `count` more. Refuses when three quarters of what the process may have are in use.
    pub(super) fn take(&mut self, count: usize) -> Result<(), StackLimit> {
        if self.left < count {
            if self
                .refused
                .is_some_and(|then| then.elapsed() < Self::PAUSE)
            {
                return Err(StackLimit::Mappings);
            }
            let most = Self::most().unwrap_or(Self::USUAL);
            // If they cannot be counted, as without a descriptor to spare, there are ours at least.
            let now = Self::count().unwrap_or(self.taken);
            self.left = (most / 4 * 3).saturating_sub(now).min(Self::BETWEEN_COUNTS);
            if self.left < count {
                self.refused = Some(Instant::now());
                return Err(StackLimit::Mappings);
            }
        }
        self.left -= count;
        self.taken += count;
        Ok(())
    }

    /// Takes back what was [taken](Self::take).
    pub(super) fn give_back(&mut self, count: usize) {
        self.taken = self.taken.saturating_sub(count);
        self.refused = None;
    }

    fn count() -> Option<usize> {
        Some(
            fs::read("/proc/self/maps")
                .ok()?
                .iter()
                .filter(|b| **b == b'\n')
                .count(),
        )
    }

    fn most() -> Option<usize> {
        number("/proc/sys/vm/max_map_count")
    }
}

fn number<T: std::str::FromStr>(path: impl AsRef<Path>) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `None`: there is no limit.
fn resource_limit(resource: std::ffi::c_int) -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the kernel writes to the structure that we own.
    unsafe { libc::getrlimit(resource as _, &raw mut limit) };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// If every private mapping counts as used memory: how many bytes of what the kernel promises it keeps back from us.
fn strict_accounting() -> Option<u64> {
    let kept = |name: &str| number::<u64>(Path::new("/proc/sys/vm").join(name)).unwrap_or(0) << 10;
    let is_strict = number::<u8>("/proc/sys/vm/overcommit_memory") == Some(2);
    is_strict.then(|| kept("admin_reserve_kbytes") + kept("user_reserve_kbytes"))
}

/// What is left beyond the reserve, in bytes.
#[derive(PartialEq, Eq, Debug)]
struct MemoryLeft {
    /// Of memory and swap space.
    touchable: u64,
    /// Of what the kernel promises.
    promisable: u64,
}

fn memory_left(meminfo: &str, strict: Option<u64>) -> Option<MemoryLeft> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line
            .strip_prefix(':')?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        Some(kilobytes << 10)
    };
    let reserve = reserve(field("MemTotal")?) / 2;
    let touchable = field("MemAvailable")? + field("SwapFree").unwrap_or(0);
    let promisable = match (strict, field("CommitLimit"), field("Committed_AS")) {
        (Some(kept), Some(limit), Some(promised)) => limit.saturating_sub(promised + kept),
        _ => u64::MAX,
    };
    Some(MemoryLeft {
        touchable: touchable.saturating_sub(reserve),
        promisable: promisable.saturating_sub(reserve),
    })
}

/// Bytes left in this process' control groups beyond the reserve. `None`: there is no limit.
fn control_group_left() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    text.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
            // Version 2 has one hierarchy, without names; version 1 has one per controller.
            let (root, files) = match controllers {
                "" => (
                    "/sys/fs/cgroup",
                    ["memory.max", "memory.current", "inactive_file"],
                ),
                "memory" => (
                    "/sys/fs/cgroup/memory",
                    [
                        "memory.limit_in_bytes",
                        "memory.usage_in_bytes",
                        "total_inactive_file",
                    ],
                ),
                _ => return None,
            };
            // A limit of a group is one of the groups in it.
            Path::new(path)
                .ancestors()
                .filter_map(|group| left_in(&Path::new(root).join(group), files))
                .min()
        })
        .min()
}

fn left_in(group: &Path, [limit, usage, cache]: [&str; 3]) -> Option<u64> {
    let limit: u64 = number(group.join(limit))?; // or "max"
    let usage: u64 = number(group.join(usage))?;
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    // Cached files are counted as used, but given up first.
    let cache: u64 = statistics
        .lines()
        .find_map(|line| line.strip_prefix(cache)?.trim().parse().ok())
        .unwrap_or(0);
    Some(
        limit
            .saturating_sub(usage.saturating_sub(cache))
            .saturating_sub(reserve(limit) / 2),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "\
MemTotal:       24600000 kB
MemFree:          100000 kB
MemAvailable:     132768 kB
SwapFree:           1000 kB
CommitLimit:    12300000 kB
Committed_AS:   12200000 kB
";

    #[test]
    fn memory_is_what_can_be_freed_and_promised() {
        let reserve = 32 << 10;
        assert_eq!(
            memory_left(MEMINFO, None),
            Some(MemoryLeft {
                touchable: (132_768 + 1000 - reserve) << 10,
                promisable: u64::MAX - (reserve << 10),
            })
        );
        let strict = memory_left(MEMINFO, Some(10_000 << 10)).unwrap();
        assert_eq!(strict.promisable, (90_000 - reserve) << 10);
        assert_eq!(memory_left("", Some(0)), None);
    }

    #[test]
    fn a_control_group_does_not_count_the_cache() {
        let group = std::env::temp_dir().join(format!("yieldfrom-{}", std::process::id()));
        fs::create_dir_all(&group).unwrap();
        let write = |name: &str, text: &str| fs::write(group.join(name), text).unwrap();
        let files = ["memory.max", "memory.current", "inactive_file"];
        assert_eq!(left_in(&group, files), None);
        write("memory.max", "1073741824\n");
        write("memory.current", "973741824\n");
        write(
            "memory.stat",
            "anon 1\ninactive_file 50000000\nactive_file 7\n",
        );
        assert_eq!(left_in(&group, files), Some(150_000_000 - (32 << 20)));
        write("memory.max", "max\n");
        assert_eq!(left_in(&group, files), None);
        fs::remove_dir_all(&group).unwrap();
    }

    #[test]
    fn mappings_are_refused_at_three_quarters() {
        let (Some(now), Some(most)) = (Mappings::count(), Mappings::most()) else {
            return eprintln!("SKIPPED: no /proc here");
        };
        let mut mappings = Mappings::new();
        assert_eq!(mappings.take(most), Err(StackLimit::Mappings));
        if now + 1000 < most / 4 * 3 {
            assert_eq!(mappings.take(2), Ok(()));
            assert!(mappings.left > 0);
        }
    }

    /// Else many small ones would get by where one large one is refused.
    #[test]
    fn after_a_refusal_every_request_is_looked_at() {
        let mut room = Room::new();
        let all_but_a_little = (16 << 20) - 4096;
        assert_eq!(room.take(all_but_a_little, 0), Ok(()));
        assert!(room.take(usize::MAX / 2, usize::MAX / 2).is_err());
        assert_eq!(room.unseen, (all_but_a_little as u64, 0));
    }

    #[test]
    fn nothing_is_refused_far_from_every_limit() {
        let mut room = Room::new();
        assert_eq!(room.take(1 << 20, 1 << 12), Ok(()));
        assert_eq!(room.unseen, (1 << 20, 1 << 12));
        assert_eq!(room.take(32 << 20, 1 << 12), Ok(()));
        assert_eq!(room.unseen, (0, 0));
    }
}
