//! All stacks that no thread has: those that threads gave back, and those that nobody has used yet.
//!
//! Per size there are, in the order in which they are handed out,
//!
//! - *warm* stacks, whose memory is still there: up to a high-water mark, above which half of them become cold;
//! - *cold* ones, whose memory has gone back to the system: they have a guard, and cost a page fault;
//! - *fresh* slots of the newest region: they cost a guard too;
//! - a new region, each as large as all before it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Stack;
use super::error::{StackError, StackLimit};
use super::limits::{self, Mappings, Room};
use super::region::{self, Guards, Region, Shape};

/// Slots of the smallest and of the largest region.
const SMALLEST: usize = 16;
const LARGEST: usize = 1024;

/// How many stacks go from here to a thread at a time if they are warm, and how many are given guards at a time.
const BATCH: usize = 32;

/// Bytes of address space of the warm stacks of one size.
const WARM: usize = 512 << 20;

static DEPOT: Mutex<Depot> = Mutex::new(Depot::new());

fn depot() -> MutexGuard<'static, Depot> {
    DEPOT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stack of exactly `size` bytes. If there are more warm ones, some go to `spare`.
pub(super) fn take(size: usize, spare: &mut Vec<Stack>) -> Result<Stack, StackError> {
    depot().take(size, spare)
}

/// Keeps stacks for whoever needs some, on any thread.
pub(super) fn put(stacks: impl IntoIterator<Item = Stack>) {
    depot().put(stacks);
}

/// Gives the memory of all stacks that are here back to the system, and the address space where a whole region is unused.
pub(super) fn trim() {
    depot().trim();
}

/// The stacks of one size.
struct Class {
    size: usize,
    warm: Vec<Stack>,
    cold: Vec<Stack>,
    fresh: Option<Fresh>,
    /// Slots in all regions.
    slots: usize,
}

/// The region of which stacks are being handed out for the first time.
#[derive(Clone, Copy)]
struct Fresh {
    region: &'static Region,
    /// Slots that have been handed out.
    used: usize,
    /// Slots that have a guard.
    guarded: usize,
}

struct Depot {
    classes: Vec<Class>,
    /// Regions that are not mapped.
    vacant: Vec<&'static Region>,
    room: Room,
    mappings: Mappings,
}

impl Class {
    /// How many guards to make at a time: that is cheaper than one by one, but a waste if few stacks are needed.
    fn guards_at_once(&self) -> usize {
        (self.slots / SMALLEST).clamp(1, BATCH)
    }
}

impl Depot {
    const fn new() -> Self {
        Self {
            classes: Vec::new(),
            vacant: Vec::new(),
            room: Room::new(),
            mappings: Mappings::new(),
        }
    }

    fn class(&mut self, size: usize) -> &mut Class {
        let place = self.classes.iter().position(|class| class.size == size);
        let place = place.unwrap_or_else(|| {
            self.classes.push(Class {
                size,
                warm: Vec::new(),
                cold: Vec::new(),
                fresh: None,
                slots: 0,
            });
            self.classes.len() - 1
        });
        &mut self.classes[place]
    }

    fn take(&mut self, size: usize, spare: &mut Vec<Stack>) -> Result<Stack, StackError> {
        let class = self.class(size);
        if let Some(stack) = class.warm.pop() {
            let more = class.warm.len().min(BATCH - 1);
            spare.extend(class.warm.drain(class.warm.len() - more..));
            return Ok(stack);
        }
        if let Some(stack) = class.cold.pop() {
            return Ok(stack);
        }
        self.take_fresh(size)
    }

    fn take_fresh(&mut self, size: usize) -> Result<Stack, StackError> {
        let mut fresh = match self.class(size).fresh {
            Some(fresh) if fresh.used < fresh.region.shape.slots => fresh,
            _ => {
                let fresh = self.grow(size)?;
                // At once, so that it is not lost if there is no guard to be had.
                self.class(size).fresh = Some(fresh);
                fresh
            }
        };
        if fresh.used == fresh.guarded {
            let more = self.class(size).guards_at_once();
            let to = (fresh.guarded + more).min(fresh.region.shape.slots);
            if Guards::current() == Guards::Protection {
                let refused = |limit| StackError::refused(size, limit);
                self.mappings.take(2).map_err(refused)?;
            }
            fresh.guarded += fresh.region.guard(fresh.guarded..to).map_err(|error| {
                let limit = limits::diagnose(&error, fresh.region.shape.slot);
                StackError::new(size, limit, error)
            })?;
        }
        let index = fresh.used;
        fresh.used += 1;
        self.class(size).fresh = Some(fresh);
        // SAFETY: it has a guard, and each slot comes this way once.
        Ok(unsafe { Stack::new(fresh.region, index) })
    }

    /// Maps a region, as large as possible.
    fn grow(&mut self, size: usize) -> Result<Fresh, StackError> {
        let mut slots = self.class(size).slots.clamp(SMALLEST, LARGEST);
        loop {
            let shape = Shape::new(size, slots, Guards::current())
                .ok_or_else(|| StackError::refused(size, StackLimit::Size))?;
            match self.map(shape) {
                Ok(region) => {
                    let class = self.class(size);
                    class.slots += shape.slots;
                    return Ok(Fresh {
                        region,
                        used: 0,
                        guarded: 0,
                    });
                }
                // A smaller one takes as many mappings.
                Err(error) if shape.slots == 1 || error.limit() == StackLimit::Mappings => {
                    return Err(error);
                }
                Err(_) => slots = shape.slots / 2,
            }
        }
    }

    fn map(&mut self, shape: Shape) -> Result<&'static Region, StackError> {
        let refused = |limit| StackError::refused(shape.size, limit);
        let touched = shape.slots * 2 * region::page_size();
        self.room.take(shape.bytes(), touched).map_err(refused)?;
        if Guards::current() != Guards::Advice {
            self.mappings.take(shape.mappings()).map_err(refused)?;
        }
        let vacant = self.vacant.iter().position(|region| region.shape == shape);
        let region = match vacant {
            Some(place) => self.vacant.swap_remove(place),
            None => Region::new(shape),
        };
        // SAFETY: it is not mapped, and only the depot has it.
        match unsafe { region.map() } {
            Ok(()) => Ok(region),
            Err(error) => {
                self.vacant.push(region);
                self.room.give_back(shape.bytes());
                let limit = limits::diagnose(&error, shape.bytes());
                Err(StackError::new(shape.size, limit, error))
            }
        }
    }

    fn put(&mut self, stacks: impl IntoIterator<Item = Stack>) {
        for stack in stacks {
            let most = stack.shape().kept(WARM);
            let class = self.class(stack.size());
            class.warm.push(stack);
            if class.warm.len() > most {
                // Those that came first are the coldest.
                let excess = class.warm.drain(..class.warm.len() - most / 2).collect();
                let size = class.size;
                self.cool(size, excess);
            }
        }
    }

    /// Gives the memory of stacks back, with as few calls as possible.
    fn cool(&mut self, size: usize, mut stacks: Vec<Stack>) {
        if Guards::current() == Guards::Library {
            return self.unmap_unused(size, stacks);
        }
        stacks.sort_unstable_by_key(Stack::slot_start);
        for run in stacks.chunk_by(|low, high| low.slot_end() == high.slot_start()) {
            let (first, last) = (&run[0], &run[run.len() - 1]);
            // SAFETY: all of them are unused, and there is nothing between them.
            unsafe { region::reclaim(first.slot_start(), last.slot_end()) };
        }
        self.class(size).cold.extend(stacks);
    }

    fn trim(&mut self) {
        for size in self
            .classes
            .iter()
            .map(|class| class.size)
            .collect::<Vec<_>>()
        {
            let class = self.class(size);
            let mut free = std::mem::take(&mut class.warm);
            free.append(&mut class.cold);
            self.unmap_unused(size, free);
        }
    }

    /// Unmaps the regions of which all stacks are among `free`, and gives back the memory of the others.
    fn unmap_unused(&mut self, size: usize, mut free: Vec<Stack>) {
        free.sort_unstable_by_key(Stack::slot_start);
        let mut rest = Vec::new();
        while let Some(region) = free.last().map(Stack::region) {
            let first = free
                .iter()
                .rposition(|stack| !std::ptr::eq(stack.region(), region));
            let stacks = free.split_off(first.map_or(0, |other| other + 1));
            let class = self.class(size);
            let used = match class.fresh {
                Some(fresh) if std::ptr::eq(fresh.region, region) => fresh.used,
                _ => region.shape.slots,
            };
            if stacks.len() < used {
                rest.extend(stacks);
                continue;
            }
            class.slots -= region.shape.slots;
            class.fresh = class
                .fresh
                .filter(|fresh| !std::ptr::eq(fresh.region, region));
            stacks.into_iter().for_each(Stack::discard);
            // SAFETY: all of its stacks that were ever handed out have just been discarded.
            unsafe { region.unmap() };
            self.room.give_back(region.shape.bytes());
            if Guards::current() != Guards::Advice {
                self.mappings
                    .give_back(region.shape.mappings().max(2 * used));
            }
            self.vacant.push(region);
        }
        if !rest.is_empty() {
            self.cool(size, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::size::MIN_STACK_SIZE;
    use corosensei::stack::Stack as _;

    const SIZE: usize = MIN_STACK_SIZE;

    fn take_one(depot: &mut Depot, size: usize) -> Stack {
        depot.take(size, &mut Vec::new()).unwrap()
    }

    fn take_some(depot: &mut Depot, count: usize, size: usize) -> Vec<Stack> {
        (0..count).map(|_| take_one(depot, size)).collect()
    }

    #[test]
    fn stacks_go_from_thread_to_thread() {
        let depot = Mutex::new(Depot::new());
        let first = take_one(&mut depot.lock().unwrap(), SIZE);
        let base = first.base();
        std::thread::scope(|s| {
            s.spawn(|| depot.lock().unwrap().put([first]))
                .join()
                .unwrap()
        });
        let again = std::thread::scope(|s| {
            s.spawn(|| take_one(&mut depot.lock().unwrap(), SIZE))
                .join()
                .unwrap()
        });
        assert_eq!(again.base(), base);
    }

    #[test]
    fn warm_stacks_come_in_batches() {
        let mut depot = Depot::new();
        let stacks = take_some(&mut depot, 40, SIZE);
        let bases: Vec<_> = stacks.iter().map(|stack| stack.base()).collect();
        depot.put(stacks);
        let mut spare = Vec::new();
        let stack = depot.take(SIZE, &mut spare).unwrap();
        spare.push(stack); // the warmest
        assert_eq!(
            spare.iter().map(|stack| stack.base()).collect::<Vec<_>>(),
            bases[40 - BATCH..]
        );
    }

    #[test]
    fn memory_above_the_high_water_mark_goes_back() {
        let mut depot = Depot::new();
        let size = 1 << 20;
        let most = Shape::new(size, 1, Guards::current()).unwrap().kept(WARM);
        let stacks = take_some(&mut depot, most + 1, size);
        for stack in &stacks {
            // SAFETY: the stack is ours.
            unsafe { stack.label_place().write(std::ptr::dangling()) };
        }
        depot.put(stacks);
        let class = depot.class(size);
        assert_eq!(class.warm.len(), most / 2);
        if Guards::current() != Guards::Library {
            assert_eq!(class.cold.len(), most + 1 - most / 2);
            for cold in &class.cold {
                // SAFETY: as above.
                assert!(unsafe { cold.label_place().read() }.is_null());
            }
        }
    }

    #[test]
    fn unused_regions_are_unmapped_and_used_again() {
        let mut depot = Depot::new();
        let mut stacks = take_some(&mut depot, SMALLEST + 3, SIZE);
        let kept = stacks.pop().unwrap();
        let (first, last) = (stacks[0].region(), kept.region());
        depot.put(stacks);
        depot.trim();
        let is_mapped =
            |depot: &Depot, region| !depot.vacant.iter().any(|v| std::ptr::eq(*v, region));
        assert!(!is_mapped(&depot, first));
        assert!(is_mapped(&depot, last), "one of its stacks is in use");
        depot.put([kept]);
        depot.trim();
        assert!(!is_mapped(&depot, last));
        assert_eq!(depot.class(SIZE).slots, 0);
        let again = take_one(&mut depot, SIZE);
        assert!(is_mapped(&depot, again.region()));
        assert_eq!(again.region().shape, first.shape);
    }

    #[test]
    fn regions_grow() {
        if Guards::current() == Guards::Library {
            return eprintln!("SKIPPED: corosensei's stacks come one by one");
        }
        let mut depot = Depot::new();
        let stacks = take_some(&mut depot, 3000, SIZE);
        let regions = stacks.chunk_by(|a, b| std::ptr::eq(a.region(), b.region()));
        let sizes: Vec<usize> = regions.map(|stacks| stacks.len()).collect();
        assert_eq!(sizes, [16, 16, 32, 64, 128, 256, 512, 1024, 952]);
    }
}
