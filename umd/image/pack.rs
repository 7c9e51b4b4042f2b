// SPDX-License-Identifier: MIT OR Apache-2.0
//! A packed image: a third of the size, for a binary that carries one.
//!
//! Behind the magic and the length of the image comes one LZ4 block. It holds
//! the image's header as it is, and of each section first the first byte of
//! every element, then the second of every one, and so on: bytes that mean the
//! same are mostly the same, and that is what LZ4 finds.

#[cfg(feature = "writer")]
use alloc::vec::Vec;

use crate::read::{ELEMENT_BYTES, word};
use crate::{HEADER_BYTES, Image, ImageError, lz4};

/// First four bytes of a packed image; the last one is the version of the image.
const MAGIC: [u8; 4] = *b"BPZ\x02";
/// Bytes before the block.
const START: usize = 8;

/// Length in bytes of the image in this packed one; none if it is not packed.
#[must_use]
pub fn packed_len(packed: &[u8]) -> Option<usize> {
    let len = packed.strip_prefix(&MAGIC)?.first_chunk()?;
    Some(u32::from_le_bytes(*len) as usize)
}

/// Unpacks an image into `image`, by way of `columns`, both of [`packed_len`] bytes.
///
/// # Errors
/// If this is no packed image, or what is in it no image.
pub fn unpack<'a>(
    packed: &[u8],
    columns: &mut [u8],
    image: &'a mut [u8],
) -> Result<Image<'a>, ImageError> {
    let block = packed.get(START..).unwrap_or_default();
    lz4::decompress(block, columns).ok_or(ImageError {
        what: "packed image",
        offset: START as u32,
    })?;
    // The header is that of the image: its sections are where their columns are.
    Image::parse(columns)?;
    places(columns, &mut |row, column| {
        if let (Some(to), Some(from)) = (image.get_mut(row), columns.get(column)) {
            *to = *from;
        }
    });
    Ok(Image { bytes: image })
}

/// Packs an image, as [`Writer::finish`](crate::Writer::finish) gives it, with a
/// compressor to LZ4 block format. Sections must hold whole elements: of what is
/// left over bytes would be lost.
///
/// # Errors
/// The compressor's.
#[cfg(feature = "writer")]
pub fn pack<E>(
    image: &[u8],
    compress: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let mut columns = image.to_vec();
    places(image, &mut |row, column| {
        if let (Some(to), Some(from)) = (columns.get_mut(column), image.get(row)) {
            *to = *from;
        }
    });
    let mut packed = Vec::from(MAGIC);
    packed.extend_from_slice(&(image.len() as u32).to_le_bytes());
    packed.extend(compress(&columns)?);
    Ok(packed)
}

/// Calls `byte` with the place of each byte of an image with this header, in
/// its rows and in its columns.
#[inline(always)]
fn places(header: &[u8], byte: &mut impl FnMut(usize, usize)) {
    // The header is a section of bytes, too.
    let (mut start, mut len, mut size) = (0, HEADER_BYTES, 1);
    let mut sections = (12..).step_by(8).zip(ELEMENT_BYTES);
    loop {
        let end = start + len;
        let mut row = start;
        for column in start..end {
            byte(row, column);
            row += usize::from(size);
            if row >= end {
                // Back to the first element, and on to its next byte.
                row -= len - 1;
            }
        }
        start = end;
        let Some((at, next)) = sections.next() else {
            return;
        };
        len = word(header, at).unwrap_or(0) as usize;
        size = next;
    }
}
