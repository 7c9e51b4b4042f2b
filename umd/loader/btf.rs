// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF as bytes, taken apart and put together. What its types mean is the executor's.

use bpf_preload_umd::btf::record_words;
use bpf_preload_umd::sys::{Errno, Sys, bpf};

/// Bytes of a header that says where the layout of kinds is (7.3).
pub(crate) const LAYOUT_HEADER_BYTES: u32 = 32;

/// What BTF consists of.
pub(crate) struct Sections<'b> {
    pub(crate) types: &'b [u8],
    pub(crate) strings: &'b [u8],
    /// What records of kinds that only the future knows look like.
    pub(crate) layout: &'b [u8],
}

impl<'b> Sections<'b> {
    pub(crate) fn of(btf: &'b [u8]) -> Option<Self> {
        let header_len = word(btf, 4)?;
        let section = |at: usize| {
            let body = btf.get(header_len as usize..)?;
            let body = body.get(word(btf, at)? as usize..)?;
            body.get(..word(btf, at + 4)? as usize)
        };
        let layout = match header_len {
            LAYOUT_HEADER_BYTES.. => section(24)?,
            _ => &[],
        };
        Some(Sections {
            types: section(8)?,
            strings: section(16)?,
            layout,
        })
    }

    /// Kind and place of the name of each type, up to one that cannot be skipped.
    pub(crate) fn types(&self) -> impl Iterator<Item = (u32, u32)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (name, info) = (word(self.types, at)?, word(self.types, at + 4)?);
            at += record_bytes(info, self.layout)?;
            Some((info >> 24 & 0x7f, name))
        })
    }
}

/// The words of each type; none of what cannot be skipped, or is not whole, at the end.
pub(crate) fn records(btf: &Sections<'_>) -> impl Iterator<Item = Option<Vec<u32>>> {
    let mut at = 0;
    let (types, layout) = (btf.types, btf.layout);
    std::iter::from_fn(move || {
        if at >= types.len() {
            return None;
        }
        let len = word(types, at + 4).and_then(|info| record_bytes(info, layout));
        let record = len.and_then(|len| types.get(at..at + len));
        at = record.map_or(types.len(), |record| at + record.len());
        let words = |record: &[u8]| {
            record
                .as_chunks()
                .0
                .iter()
                .map(|w| u32::from_le_bytes(*w))
                .collect()
        };
        Some(record.map(words))
    })
}

/// Bytes of a record with this info.
fn record_bytes(info: u32, layout: &[u8]) -> Option<usize> {
    let kind = info >> 24 & 0x7f;
    let (once, each) = match (record_words(kind), layout.get(4 * kind as usize..)) {
        (Some(words), _) => words,
        (None, Some([once, each, ..])) => (usize::from(once / 4), usize::from(each / 4)),
        _ => return None,
    };
    Some(12 + 4 * (once + each * (info & 0xff_ffff) as usize))
}

pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The bytes of BTF that the kernel has, by its fd: the first `most` of them.
pub(crate) fn read<S: Sys>(sys: &S, fd: i32, most: u32) -> Result<Vec<u8>, Errno> {
    let len = bpf::btf_info(sys, fd, &mut [], &mut [])?.btf_size;
    let mut bytes = vec![0; len.min(most) as usize];
    bpf::btf_info(sys, fd, &mut bytes, &mut [])?;
    Ok(bytes)
}

/// BTF of these types and strings, with the header that all kernels take.
pub(crate) fn assemble(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let len = 4 * types.len() as u32;
    let header = [0x0001_eb9f, 24, 0, len, len, strings.len() as u32];
    let words = header
        .iter()
        .chain(types)
        .flat_map(|word| word.to_le_bytes());
    words.chain(strings.iter().copied()).collect()
}
