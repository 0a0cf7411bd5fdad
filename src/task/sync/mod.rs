//! Synchronisation of tasks.

mod barrier;
mod condition;
mod event;
mod lock;
mod queue;
mod semaphore;
mod store;

pub use barrier::{Barrier, BrokenBarrier};
pub use condition::{Condition, ConditionWait};
pub use event::{Event, EventWait};
pub use lock::{Lock, LockAcquire, LockGuard};
pub use queue::{
    Get, GetError, LifoQueue, PriorityQueue, Put, PutError, Queue, QueueJoin, QueueShutDown,
    TooManyDone,
};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore, SemaphoreAcquire, TooManyReleases};
