//! Where lines end.

use memchr::memchr;

/// Finds the `\n` in a buffer that grows, one after the other.
///
/// Lines are short: to call [`memchr`] for each costs more than to look at its bytes. So 64 bytes are looked at at once, and
/// what is found is kept as one bit each. Where they have no `\n`, the line is long, and `memchr` takes over.
#[derive(Default)]
pub(crate) struct Newlines {
    /// Bit `i` is set if `base + i` is a `\n` that was not returned yet.
    bits: u64,
    base: usize,
    /// From here on nobody has looked.
    next: usize,
}

/// How many bytes are looked at at once.
const CHUNK: usize = 64;

impl Newlines {
    /// Nobody has looked at anything from `next` on.
    pub(crate) fn from(next: usize) -> Self {
        Self {
            bits: 0,
            base: 0,
            next,
        }
    }

    /// Where the next one is. What was looked at must not have changed.
    #[inline(always)]
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.bits == 0 {
            self.look(bytes)?;
        }
        let found = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(found)
    }

    /// Goes on to where there are some.
    #[inline]
    fn look(&mut self, bytes: &[u8]) -> Option<()> {
        if let Some(chunk) = bytes[self.next..].first_chunk() {
            (self.base, self.bits) = (self.next, newlines(chunk));
            self.next += CHUNK;
            if self.bits != 0 {
                return Some(());
            }
        }
        let Some(found) = memchr(b'\n', &bytes[self.next..]) else {
            self.next = bytes.len();
            return None;
        };
        (self.base, self.bits) = (self.next + found, 1);
        self.next = self.base + 1;
        Some(())
    }
}

/// Bit `i` is set if byte `i` is a `\n`.
///
/// One instruction gathers 16 bits. What safe code is compiled to instead takes four times as long, and makes a pipeline of
/// lines a fifth slower (the benchmark `pipelines`).
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn newlines(chunk: &[u8; CHUNK]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    let mut bits = 0;
    for (index, part) in chunk.chunks_exact(16).enumerate() {
        // SAFETY: every x86-64 processor has SSE2, and a part has the 16 bytes that are read. Every byte at every position
        // is tried below.
        let found = unsafe {
            let bytes = _mm_loadu_si128(part.as_ptr().cast());
            _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\n' as i8)))
        };
        bits |= u64::from(found as u32) << (16 * index);
    }
    bits
}

/// Bit `i` is set if byte `i` is a `\n`.
#[cfg(any(not(target_arch = "x86_64"), test))]
fn newlines_by_words(chunk: &[u8; CHUNK]) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    const NEWLINES: u64 = u64::from_ne_bytes([b'\n'; 8]);
    let mut bits = 0;
    for (index, word) in chunk.chunks_exact(8).enumerate() {
        let word = word.try_into().expect("a chunk has this length");
        let differs = u64::from_le_bytes(word) ^ NEWLINES;
        // The high bit of each byte: whether it differs. Nothing is carried from byte to byte.
        let high = ((differs & LOW) + LOW) | differs;
        // One bit for each byte that does not, gathered in the highest byte by a multiplication.
        let found = (!high & !LOW) >> 7;
        bits |= (found.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
    }
    bits
}

#[cfg(not(target_arch = "x86_64"))]
use newlines_by_words as newlines;

/// The lines in `bytes`, without the `\n`.
pub(crate) fn split_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut start, mut newlines) = (0, Newlines::default());
    std::iter::from_fn(move || {
        if start == bytes.len() {
            return None;
        }
        let end = newlines.find(bytes);
        let line = &bytes[start..end.unwrap_or(bytes.len())];
        start = end.map_or(bytes.len(), |end| end + 1);
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every position, and neighbours that differ by one bit or look alike but for the high bit.
    #[test]
    fn newlines_are_told_from_all_other_bytes() {
        for newlines in [newlines, newlines_by_words] {
            try_all(newlines);
        }
    }

    fn try_all(newlines: fn(&[u8; CHUNK]) -> u64) {
        for other in (0..=u8::MAX).filter(|byte| *byte != b'\n') {
            for position in 0..CHUNK {
                let mut chunk = [other; CHUNK];
                chunk[position] = b'\n';
                assert_eq!(newlines(&chunk), 1 << position, "{other} around {position}");
            }
            assert_eq!(newlines(&[other; CHUNK]), 0);
        }
        assert_eq!(newlines(&[b'\n'; CHUNK]), u64::MAX);
    }

    #[test]
    fn lines_are_split_as_by_the_standard_library() {
        let mut state = 1_u32;
        for length in 0..400 {
            let text: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Long stretches without, and some of nothing else.
                    if (state >> 24) < length % 160 {
                        b'\n'
                    } else {
                        b'x'
                    }
                })
                .collect();
            let mut expected: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
            if expected.last() == Some(&&b""[..]) {
                expected.pop();
            }
            assert_eq!(split_lines(&text).collect::<Vec<_>>(), expected);
        }
    }
}
