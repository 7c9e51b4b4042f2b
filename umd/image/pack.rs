// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packed images: a third of the size, for a binary that carries some.
//!
//! Behind the magic, the length of the first image, and that of all of them,
//! comes one ZX0 stream of one image after the other. So a later image is written
//! in terms of an earlier one, and who wants the first unpacks no more than that.

#[cfg(feature = "writer")]
use alloc::vec::Vec;

use crate::read::word;
use crate::{ImageError, zx0};

/// First four bytes of packed images; the last one is the version of the packing.
const MAGIC: [u8; 4] = *b"BPZ\x03";
/// Bytes before the stream.
const START: usize = 12;

/// Length in bytes of the first image in this, and of all; none if it is not packed.
#[must_use]
pub fn packed_lens(packed: &[u8]) -> Option<(usize, usize)> {
    let lens = packed.strip_prefix(&MAGIC)?;
    Some((word(lens, 0)? as usize, word(lens, 4)? as usize))
}

/// Unpacks images into `images`, as many bytes as that has: one of [`packed_lens`].
///
/// # Errors
/// If there are fewer.
pub fn unpack(packed: &[u8], images: &mut [u8]) -> Result<(), ImageError> {
    let stream = packed.get(START..).unwrap_or_default();
    zx0::decompress(stream, images).ok_or(ImageError {
        what: "packed image",
        offset: START as u32,
    })
}

/// Packs images with a compressor to ZX0 version 2, whose distances may be any.
#[cfg(feature = "writer")]
pub fn pack(images: &[Vec<u8>], compress: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let all = images.concat();
    let first = images.first().map_or(0, Vec::len);
    let mut packed = Vec::from(MAGIC);
    packed.extend_from_slice(&(first as u32).to_le_bytes());
    packed.extend_from_slice(&(all.len() as u32).to_le_bytes());
    packed.extend(compress(&all));
    packed
}
