//! Unwinds a stack by force, or tells that this would abort the process.
//!
//! A suspended body that has to go is unwound by raising a panic at the point where it is suspended. That panic would
//! abort the process
//!
//! 1. below an `extern "C"` frame, because a panic may not cross it;
//! 2. in a destructor that runs because of another panic, because a second one may not leave it;
//! 3. below a frame without unwind tables;
//! 4. with too little stack left, because unwinding itself takes about 6 KiB;
//! 5. where panics abort anyway (`panic = "abort"`).
//!
//! So we look first. The unwinder decides frame by frame with a table that the compiler wrote for each function (the
//! *language-specific data area*, LSDA): it maps ranges of code to "nothing to do", "clean up", "catch" or, in cases 1
//! and 2, "terminate". We walk the same frames and read the same tables as the personality routine of Rust's standard
//! library does, but only look. The format is that of the Itanium C++ ABI's exception tables, as LLVM writes it.
//!
//! What the tables do not tell, so that the unwind aborts after all:
//!
//! - whether a destructor on the way will panic itself, which aborts during any panic;
//! - an `extern "C"` function that is inlined into the function that calls it, or that has destructors of its own and also
//!   calls `memcpy` or a function pointer. Its clean-up can look like one that goes on.
//!
//! Nothing is known that is taken for one that cannot be unwound although it can; it would be leaked and reported.
//!
//! Where there are no such tables (Windows, 32-bit ARM) only 4 and 5 are noticed.

use crate::frames::VISIBLE;
use crate::stack::bytes_left;

/// The payload of the panic that unwinds a body by force.
pub(crate) struct ForcedUnwind;

/// Bytes of stack.
const NEEDED: usize = 8 * 1024;

/// Unwinds up to the nearest `catch_unwind` with a [`ForcedUnwind`], or returns if that would abort the process.
///
/// `stack_left` is in bytes. The panic hook does not run.
#[cold]
#[inline(never)]
pub(crate) fn unwind(stack_left: usize) {
    // Lies in this function's frame, which is how the walk knows that frame and the ones it called.
    let marker = 0u8;
    if !cfg!(panic = "abort")
        && stack_left >= NEEDED
        && (!VISIBLE || tables::reach_a_catch(&marker))
    {
        std::panic::resume_unwind(Box::new(ForcedUnwind));
    }
}

/// [`unwind`]s the body on the stack with this address from within a coroutine that was resumed from there, directly or
/// through others: all of them, as each hands the panic to its resumer.
///
/// A `catch_unwind` on the way does not count: what lies beyond it has to be able to be unwound too.
#[cold]
#[inline(never)]
pub(crate) fn unwind_several(stack: usize) {
    let marker = 0u8;
    if !cfg!(panic = "abort")
        && bytes_left(std::ptr::from_ref(&marker) as usize).is_none_or(|left| left >= NEEDED)
        && (!VISIBLE || tables::pass_all(&marker, stack))
    {
        std::panic::resume_unwind(Box::new(ForcedUnwind));
    }
}

mod tables {
    use super::NEEDED;
    use crate::frames::{Frame, outwards};
    use crate::stack::{bytes_left, stack_of};

    /// What the unwinder would do at one frame.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) enum Action {
        /// Run destructors, if there are any, and go on to the next frame.
        Pass,
        Catch,
        Terminate,
    }

    pub(super) fn reach_a_catch(marker: &u8) -> bool {
        // The stack grows down: the frames that the one with the marker has called end below the marker. What is of
        // interest begins with that one's caller. tests/close.rs walks every kind of frame.
        let mut in_callers = false;
        let mut action = Action::Pass;
        outwards(|frame| {
            if in_callers {
                // SAFETY: the table is the one of the frame's function, which the compiler wrote.
                action = unsafe { action_at(frame) };
            } else {
                in_callers = frame.end() > std::ptr::from_ref(marker) as usize;
            }
            action == Action::Pass
        });
        action == Action::Catch
    }

    /// Whether every frame can be unwound, from the caller of the one with the marker to the root of the stack with this
    /// address.
    ///
    /// At the root of each stack the panic is caught, and raised anew where that coroutine was resumed, on the next stack. So
    /// the outermost frame that catches is the root of a body. Beyond it are frames of the switch and its library, of which
    /// the tables say, depending on how they were compiled, that nothing may leave them; nothing does.
    pub(super) fn pass_all(marker: &u8, outermost: usize) -> bool {
        let marker = std::ptr::from_ref(marker) as usize;
        let outermost = stack_of(outermost);
        let mut stack = stack_of(marker);
        let (mut in_callers, mut caught, mut terminates, mut passes) = (false, false, false, false);
        outwards(|frame| {
            if !in_callers {
                in_callers = frame.end() > marker;
                return true;
            }
            let next = stack_of(frame.end());
            if next != stack {
                passes = caught && stack == outermost;
                // The panic needs room on each stack.
                if !caught || passes || bytes_left(frame.end()).is_some_and(|left| left < NEEDED) {
                    return false;
                }
                (stack, caught, terminates) = (next, false, false);
            }
            // SAFETY: the table is the one of the frame's function, which the compiler wrote.
            match unsafe { action_at(frame) } {
                Action::Pass => {}
                Action::Catch if terminates => return false,
                Action::Catch => caught = true,
                Action::Terminate => terminates = true,
            }
            true
        });
        passes
    }

    /// # Safety
    ///
    /// The frame's table must be well-formed.
    unsafe fn action_at(frame: &Frame) -> Action {
        let table = frame.table();
        if table.is_null() {
            return Action::Pass;
        }
        let offset = frame.instruction().wrapping_sub(frame.function());
        // SAFETY: as our caller promises.
        unsafe { find_action(table, offset) }.unwrap_or(Action::Terminate)
    }

    /// Looks up the action for the code at `offset` from the function's start. `None`: the table does not say, or not
    /// in a form that we read; both end in `std::process::abort` or are better treated so.
    ///
    /// The clean-up of a function that may not be left by a panic looks like any other in the table, but ends in a call
    /// that aborts, where others end in a call that goes on unwinding. That call may leave the function and has nothing to
    /// clean up after it, so it has a range without landing pad; and that range ends behind the first landing pad, as only
    /// landing pads lead there. A function that may not be left seldom has such a range: almost every call in it that might
    /// unwind has a landing pad.
    ///
    /// # Safety
    ///
    /// `table` must point to a well-formed LSDA.
    unsafe fn find_action(table: *const u8, offset: usize) -> Option<Action> {
        let mut reader = Reader(table);
        // SAFETY: the reader stays in the table as long as the table is well-formed, which our caller promises: the
        // header says where the call sites end and each of them where its action is.
        unsafe {
            let landing_pad_base = reader.byte();
            if landing_pad_base != OMIT {
                reader.encoded(landing_pad_base)?;
            }
            if reader.byte() != OMIT {
                reader.uleb128(); // offset of the type table, which we do not need: Rust has one type of exception
            }
            let encoding = reader.byte();
            let length = reader.uleb128();
            let actions = reader.0.add(length);

            let mut found = None;
            let mut first_landing_pad = usize::MAX;
            let mut last_without = None;
            while reader.0 < actions {
                let start = reader.encoded(encoding)?;
                let size = reader.encoded(encoding)?;
                let landing_pad = reader.encoded(encoding)?;
                let action = reader.uleb128();
                if landing_pad == 0 {
                    last_without = Some(start + size); // sorted by start
                } else {
                    first_landing_pad = first_landing_pad.min(landing_pad);
                }
                if (start..start + size).contains(&offset) {
                    found = Some((landing_pad, action));
                }
            }
            Some(match found? {
                (0, _) => Action::Pass,
                (_, action) => {
                    let goes_on = last_without.is_some_and(|end| end > first_landing_pad);
                    match if action == 0 {
                        Action::Pass
                    } else {
                        chain(actions.add(action - 1))
                    } {
                        Action::Pass if landing_pad_base == OMIT && !goes_on => Action::Terminate,
                        action => action,
                    }
                }
            })
        }
    }

    /// Reads a chain of action records. A clean-up that ends in a "terminate" (inlined from another function) counts as
    /// terminating.
    ///
    /// # Safety
    ///
    /// `record` must point to an action record of a well-formed LSDA.
    unsafe fn chain(mut record: *const u8) -> Action {
        loop {
            let mut reader = Reader(record);
            // SAFETY: a record is two numbers, the second of which is the distance to the next record from itself,
            // or zero at the end of the chain.
            unsafe {
                let filter = reader.sleb128();
                let link = reader.0;
                let next = reader.sleb128();
                match filter {
                    0 => {}
                    1.. => return Action::Catch,
                    ..0 => return Action::Terminate,
                }
                if next == 0 {
                    return Action::Pass;
                }
                record = link.offset(next);
            }
        }
    }

    const OMIT: u8 = 0xff;

    /// Reads DWARF numbers.
    struct Reader(*const u8);

    impl Reader {
        unsafe fn byte(&mut self) -> u8 {
            // SAFETY: our caller promises that there is a byte left.
            unsafe {
                let byte = *self.0;
                self.0 = self.0.add(1);
                byte
            }
        }

        unsafe fn leb128(&mut self) -> (usize, u32, u8) {
            let (mut value, mut shift) = (0, 0);
            loop {
                // SAFETY: our caller promises that a whole number follows.
                let byte = unsafe { self.byte() };
                if shift < usize::BITS {
                    value |= usize::from(byte & 0x7f) << shift;
                }
                shift += 7;
                if byte & 0x80 == 0 {
                    return (value, shift, byte);
                }
            }
        }

        unsafe fn uleb128(&mut self) -> usize {
            // SAFETY: as our caller promises.
            unsafe { self.leb128().0 }
        }

        unsafe fn sleb128(&mut self) -> isize {
            // SAFETY: as our caller promises.
            let (value, shift, last) = unsafe { self.leb128() };
            let negative = last & 0x40 != 0 && shift < usize::BITS;
            (if negative {
                value | usize::MAX << shift
            } else {
                value
            }) as isize
        }

        /// A number in one of the encodings that compilers use for code ranges.
        unsafe fn encoded(&mut self, encoding: u8) -> Option<usize> {
            const ULEB128: u8 = 0x01;
            const UDATA2: u8 = 0x02;
            const UDATA4: u8 = 0x03;
            const UDATA8: u8 = 0x04;
            if encoding == ULEB128 {
                // SAFETY: as our caller promises.
                return Some(unsafe { self.uleb128() });
            }
            let size = match encoding {
                UDATA2 => 2,
                UDATA4 => 4,
                UDATA8 => 8,
                _ => return None,
            };
            let mut bytes = [0; 8];
            for byte in &mut bytes[..size] {
                // SAFETY: as our caller promises.
                *byte = unsafe { self.byte() };
            }
            if cfg!(target_endian = "big") {
                bytes[..size].reverse();
            }
            Some(u64::from_le_bytes(bytes) as usize)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Ranges 0..4 pass, 4..8 clean up, 8..12 catch, 12..16 clean up and then terminate; a gap from 16 to 20. Landing
        /// pads from 18 on, and behind them a call that goes on unwinding.
        const TABLE: &[u8] = &[
            OMIT, OMIT, 1, 20, //
            0, 4, 0, 0, //
            4, 4, 18, 0, //
            8, 4, 18, 1, //
            12, 4, 18, 3, //
            20, 4, 0, 0, //
            1, 0, // action 1: catch, no next
            0, 1, // action 3: clean up, next record is one byte after the link
            0x7f, 0, // terminate
        ];

        /// The same clean-up, but no call goes on unwinding behind it.
        const NOT_TO_BE_LEFT: &[u8] = &[OMIT, OMIT, 1, 8, 0, 4, 0, 0, 4, 4, 18, 0];

        #[test]
        fn the_table_says_what_happens() {
            let at = |table: &[u8], offset| {
                // SAFETY: the tables above are well-formed.
                unsafe { find_action(table.as_ptr(), offset) }
            };
            assert_eq!(at(TABLE, 0), Some(Action::Pass));
            assert_eq!(at(TABLE, 7), Some(Action::Pass));
            assert_eq!(at(TABLE, 8), Some(Action::Catch));
            assert_eq!(at(TABLE, 15), Some(Action::Terminate));
            assert_eq!(at(TABLE, 17), None);
            assert_eq!(at(TABLE, 21), Some(Action::Pass));
            assert_eq!(at(TABLE, 30), None);
            assert_eq!(at(NOT_TO_BE_LEFT, 2), Some(Action::Pass));
            assert_eq!(at(NOT_TO_BE_LEFT, 6), Some(Action::Terminate));
        }

        #[test]
        fn numbers_are_dwarf() {
            // The examples of the DWARF 5 standard, tables 7.7 and 7.8.
            let unsigned = |bytes: &[u8]| {
                // SAFETY: each is a whole number.
                unsafe { Reader(bytes.as_ptr()).uleb128() }
            };
            assert_eq!(
                [
                    unsigned(&[2]),
                    unsigned(&[0x80, 1]),
                    unsigned(&[0xb9, 0x64])
                ],
                [2, 128, 12857]
            );
            let signed = |bytes: &[u8]| {
                // SAFETY: each is a whole number.
                unsafe { Reader(bytes.as_ptr()).sleb128() }
            };
            assert_eq!(
                [signed(&[0x7e]), signed(&[0xff, 0]), signed(&[0x81, 0x7f])],
                [-2, 127, -127]
            );
        }
    }
}
