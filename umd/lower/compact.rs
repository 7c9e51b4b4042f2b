// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF for the kernel: only the types that the image refers to and what these
//! need, renumbered in their old order, with the strings that they use.
//!
//! Left behind are, above all, `.ksyms`, `license` and what only debuggers read.
//! The kernel never sees an extern: its prototype or type stays as a plain type.

use std::collections::HashMap;

use crate::btf::{Btf, HEADER_BYTES, MAGIC, VERSION, Word, kind};
use crate::prog::is_link_name;

pub(crate) struct Compact<'a> {
    /// BTF as `BPF_BTF_LOAD` takes it; empty if nothing is left.
    pub(crate) bytes: Vec<u8>,
    /// New id by old id; 0 for types left behind.
    ids: Vec<u32>,
    strings: Strings<'a>,
}

impl<'a> Compact<'a> {
    /// Keeps the types at `roots`, and the strings at `texts` for line_info.
    pub(crate) fn new(btf: &Btf<'a>, roots: &[u32], texts: &[u32]) -> Self {
        let kept = reachable(btf, roots);
        let mut ids = Vec::with_capacity(btf.len());
        let mut next = 1;
        for keep in &kept {
            ids.push(if *keep { next } else { 0 });
            next += u32::from(*keep);
        }
        let mut strings = Strings::default();
        let mut types = Vec::new();
        for (_, ty) in btf.iter().filter(|(id, _)| is(&kept, *id)) {
            ty.write(&mut types, |word, value| match word {
                Word::Plain => value,
                Word::Type => ids.get(value as usize).copied().unwrap_or(0),
                Word::Str => strings.keep(btf.str(value)),
            });
        }
        for text in texts {
            strings.keep(btf.str(*text));
        }
        let mut bytes = Vec::new();
        if !types.is_empty() {
            let (types_len, strings_len) = (types.len() as u32, strings.bytes.len() as u32);
            bytes.extend_from_slice(&MAGIC.to_le_bytes());
            bytes.extend_from_slice(&[VERSION, 0]);
            for word in [HEADER_BYTES as u32, 0, types_len, types_len, strings_len] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes.extend_from_slice(&types);
            bytes.extend_from_slice(&strings.bytes);
        }
        Compact {
            bytes,
            ids,
            strings,
        }
    }

    /// New id of a type; 0 for those left behind.
    pub(crate) fn id(&self, old: u32) -> u32 {
        self.ids.get(old as usize).copied().unwrap_or(0)
    }

    /// New offset of a string that was kept.
    pub(crate) fn text(&self, text: &[u8]) -> u32 {
        self.strings.known.get(text).copied().unwrap_or(0)
    }
}

fn is(set: &[bool], id: u32) -> bool {
    set.get(id as usize).copied().unwrap_or(false)
}

/// Marks what can be reached; tags stay with what they are on.
fn reachable(btf: &Btf, roots: &[u32]) -> Vec<bool> {
    let mut kept = vec![false; btf.len()];
    let mut open = roots.to_vec();
    while let Some(id) = open.pop() {
        // Type 0 is void, which has no place in the file.
        let Some(keep) = kept.get_mut(id as usize).filter(|keep| id != 0 && !**keep) else {
            continue;
        };
        *keep = true;
        let words = btf.ty(id).words();
        open.extend(
            words
                .filter(|(word, _)| *word == Word::Type)
                .map(|(_, id)| id),
        );
    }
    for (id, ty) in btf.iter() {
        // Ours are not for the kernel, and 5.10 knows no tags at all.
        let ours = ty.is(kind::DECL_TAG) && is_link_name(btf.str(ty.name));
        if ty.is(kind::DECL_TAG)
            && !ours
            && is(&kept, ty.third)
            && let Some(keep) = kept.get_mut(id as usize)
        {
            *keep = true;
        }
    }
    kept
}

/// A string section in the making, each string once in order of first use.
struct Strings<'a> {
    bytes: Vec<u8>,
    known: HashMap<&'a [u8], u32>,
}

impl Default for Strings<'_> {
    fn default() -> Self {
        Strings {
            bytes: vec![0],
            known: HashMap::from([([].as_slice(), 0)]),
        }
    }
}

impl<'a> Strings<'a> {
    fn keep(&mut self, string: &'a [u8]) -> u32 {
        if let Some(known) = self.known.get(string) {
            return *known;
        }
        let offset = self.bytes.len() as u32;
        self.known.insert(string, offset);
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        offset
    }
}
