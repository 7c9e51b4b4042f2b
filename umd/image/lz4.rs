// SPDX-License-Identifier: MIT OR Apache-2.0
//! LZ4 block format, decompression.
//!
//! A block is a row of sequences: a token, literals, and a match, which is a
//! piece of what has been written already. The token's high four bits are the
//! number of literals, the low four the match's length less 4; 15 goes on in
//! further bytes. The last sequence ends with its literals.

/// Decompresses a block that gives exactly `out`; none if it does not.
pub(crate) fn decompress(block: &[u8], out: &mut [u8]) -> Option<()> {
    let mut block = block.iter();
    let mut at = 0;
    loop {
        let token = usize::from(*block.next()?);
        for _ in 0..length(token >> 4, &mut block)? {
            *out.get_mut(at)? = *block.next()?;
            at += 1;
        }
        let Some(low) = block.next() else {
            return (at == out.len()).then_some(());
        };
        let distance = usize::from(u16::from_le_bytes([*low, *block.next()?]));
        // Byte by byte, since a match may reach into itself.
        for _ in 0..4 + length(token & 15, &mut block)? {
            let byte = *out.get(at.checked_sub(distance)?)?;
            *out.get_mut(at)? = byte;
            at += 1;
        }
    }
}

/// The length that four bits of a token begin.
fn length<'b>(bits: usize, more: &mut impl Iterator<Item = &'b u8>) -> Option<usize> {
    let mut len = bits;
    let mut last = if bits == 15 { 255 } else { 0 };
    while last == 255 {
        last = *more.next()?;
        // Less than the block's length times 255: no overflow.
        len += usize::from(last);
    }
    Some(len)
}
