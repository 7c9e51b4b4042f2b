// SPDX-License-Identifier: MIT OR Apache-2.0
//! ZX0, version 2, decompression. For tables and text as short as an image's it
//! comes within a fifth of what an adaptive entropy coder makes of them, in a
//! quarter of that one's time, and its reader is small.
//!
//! A stream is a row of blocks: literals, and copies of what has been written
//! already, from a new distance or from the last one. Numbers are interlaced
//! Elias gamma codes: a bit that says whether this is all, else the next bit of
//! the number, and so on. Bits are taken from bytes as they are needed, between
//! the bytes of literals and distances.

/// A stream, taken by bits and by bytes.
struct Stream<'s> {
    bytes: core::slice::Iter<'s, u8>,
    /// The bits of a byte that are left, from the top, and behind them a 1.
    bits: u8,
}

impl Stream<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.bytes.next().copied()
    }

    fn bit(&mut self) -> Option<bool> {
        let mut bits = self.bits;
        self.bits = bits << 1;
        if self.bits == 0 {
            bits = self.byte()?;
            self.bits = bits << 1 | 1;
        }
        Some(bits & 0x80 != 0)
    }

    /// A number, of which the first bit is given; `flip` is by what its digits differ.
    #[inline(never)]
    fn number(&mut self, mut last: bool, flip: bool) -> Option<usize> {
        let mut number = 1;
        while !last {
            number = number << 1 | usize::from(self.bit()? != flip);
            last = self.bit()?;
        }
        Some(number)
    }
}

/// The number that ends a stream.
const END: usize = 256;

/// Fills `out` from a stream, which may go on; none if it does not have so much.
pub(crate) fn decompress(stream: &[u8], out: &mut [u8]) -> Option<()> {
    let mut stream = Stream {
        bytes: stream.iter(),
        bits: 0x80,
    };
    let (mut at, mut distance) = (0usize, 1);
    // The first block has no bit to say that it is literals.
    let (mut copies, mut far) = (true, false);
    loop {
        copies = far || !copies;
        let mut last = stream.bit()?;
        if far {
            let high = stream.number(last, true)?;
            let low = usize::from(stream.byte()?);
            if high == END {
                return None;
            }
            distance = high.wrapping_mul(128).wrapping_sub(low >> 1);
            // The first bit of the length stands with the distance.
            last = low & 1 != 0;
        }
        let len = stream.number(last, false)?.wrapping_add(usize::from(far));
        let end = at.saturating_add(len).min(out.len());
        while at < end {
            let byte = if copies {
                *out.get(at.checked_sub(distance)?)?
            } else {
                stream.byte()?
            };
            *out.get_mut(at)? = byte;
            at += 1;
        }
        if at == out.len() {
            return Some(());
        }
        far = stream.bit()?;
    }
}
