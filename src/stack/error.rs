//! Why there is no stack.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io;

/// No stack could be had for a coroutine.
///
/// It says which [limit](Self::limit) stands in the way, and what raises it. Stacks are refused a little before the limit
/// is reached, so that the rest of the program can go on; what is dropped can be used again.
#[derive(Debug)]
pub struct StackError {
    size: usize,
    limit: StackLimit,
    source: io::Error,
}

/// What there is not enough of for another stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StackLimit {
    /// The size itself is impossible.
    Size,
    /// Memory mappings of this process (`vm.max_map_count` on Linux). A stack takes two, where the kernel has no cheaper
    /// guards (Linux before 6.13).
    Mappings,
    /// Address space of this process (`ulimit -v`).
    AddressSpace,
    /// Writable memory of this process (`ulimit -d`).
    Data,
    /// Memory: of the machine, of the control group (container), or what the kernel is willing to promise
    /// (`vm.overcommit_memory`).
    Memory,
    /// The operating system did not say.
    Unknown,
}

impl StackError {
    pub(super) fn new(size: usize, limit: StackLimit, source: io::Error) -> Self {
        Self {
            size,
            limit,
            source,
        }
    }

    /// For a limit that we keep before the operating system does.
    pub(super) fn refused(size: usize, limit: StackLimit) -> Self {
        Self::new(size, limit, io::ErrorKind::OutOfMemory.into())
    }

    /// How large a stack was asked for, in bytes, after rounding up.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What there is not enough of.
    pub fn limit(&self) -> StackLimit {
        self.limit
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no stack of {} bytes for a coroutine: ", self.size)?;
        f.write_str(match self.limit {
            StackLimit::Size => "that is larger than any stack can be",
            StackLimit::Mappings => {
                "the process is close to its limit of memory mappings; raise it with \
                 `sysctl vm.max_map_count`, or use Linux 6.13 or later, where stacks need none"
            }
            StackLimit::AddressSpace => {
                "the process is close to its limit of address space; raise it with `ulimit -v`, \
                 or ask for smaller stacks"
            }
            StackLimit::Data => {
                "the process is close to its limit of writable memory; raise it with `ulimit -d`, \
                 or ask for smaller stacks"
            }
            StackLimit::Memory => {
                "memory is running out; give the machine or the container more, or hold fewer \
                 coroutines at a time; if `sysctl vm.overcommit_memory` is 2, ask for smaller stacks \
                 or raise `vm.overcommit_ratio`"
            }
            StackLimit::Unknown => return write!(f, "{}", self.source),
        })
    }
}

impl Error for StackError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<StackError> for io::Error {
    fn from(error: StackError) -> Self {
        io::Error::new(error.source.kind(), error)
    }
}
