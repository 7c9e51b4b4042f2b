// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF for the kernel: only the types that the image refers to and what these
//! need, renumbered in their old order, with the strings that they use.
//!
//! Left behind are, above all, `.ksyms`, `license` and what only debuggers read.
//! The kernel never sees an extern: its prototype or type stays as a plain type.

use std::collections::HashMap;

use crate::btf::{Btf, HEADER_BYTES, MAGIC, VERSION, Word, kind};
use crate::prog::is_link_name;

/// Longest BTF that a kernel takes (`BTF_MAX_SIZE`).
pub(crate) const MAX_BYTES: usize = 16 << 20;

pub(crate) struct Compact {
    /// BTF as `BPF_BTF_LOAD` takes it; empty if nothing is left.
    pub(crate) bytes: Vec<u8>,
    /// New id by old id; 0 for types left behind.
    ids: Vec<u32>,
    strings: Strings,
}

impl Compact {
    /// Keeps the types at `whole` and `roots`, and the strings at `texts` for line_info.
    ///
    /// `whole` with all that they lead to; of the others just what sort of type
    /// they are: one pointer to void stands for all pointers, one empty struct
    /// for all structs, and what a modifier or typedef is of for that.
    pub(crate) fn new(btf: &Btf, whole: &[u32], roots: &[u32], texts: &[u32]) -> Self {
        let mut kept = vec![false; btf.len()];
        let tags = Tags::of(btf);
        reach(btf, whole, &mut kept, &tags, |id| id, &[]);
        let stand_ins = stand_ins(btf, &kept);
        let stand_in = |id: u32| stand_ins.get(id as usize).copied().unwrap_or(0);
        let stubs: Vec<bool> = (0..)
            .zip(&kept)
            .map(|(id, whole)| !whole && btf.ty(id).is_stubbed())
            .collect();
        reach(btf, roots, &mut kept, &tags, stand_in, &stubs);
        let mut new = Vec::with_capacity(btf.len());
        let mut next = 1;
        for keep in &kept {
            new.push(if *keep { next } else { 0 });
            next += u32::from(*keep);
        }
        let id_of = |old: u32| new.get(stand_in(old) as usize).copied().unwrap_or(0);
        let ids: Vec<u32> = (0..btf.len() as u32).map(id_of).collect();
        let mut strings = Strings::of(btf);
        let mut types = Vec::new();
        for (id, ty) in btf.iter().filter(|(id, _)| is(&kept, *id)) {
            let stub = is(&stubs, id).then(|| ty.stub());
            stub.as_ref()
                .unwrap_or(ty)
                .write(&mut types, |word, value| match word {
                    Word::Plain => value,
                    Word::Type => ids.get(value as usize).copied().unwrap_or(0),
                    Word::Str => strings.keep(btf, value),
                });
        }
        for text in texts {
            strings.keep(btf, *text);
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

    /// New id of a type, or of what stands for it; 0 for those left behind.
    pub(crate) fn id(&self, old: u32) -> u32 {
        self.ids.get(old as usize).copied().unwrap_or(0)
    }

    /// New offset of a string that was kept, by its old one.
    pub(crate) fn text(&self, old: u32) -> u32 {
        self.strings.moved.get(old as usize).copied().unwrap_or(0)
    }
}

fn is(set: &[bool], id: u32) -> bool {
    set.get(id as usize).copied().unwrap_or(false)
}

/// By type what stands for it: itself if it is whole.
fn stand_ins(btf: &Btf, whole: &[bool]) -> Vec<u32> {
    let mut first = HashMap::new();
    let stand_in = |id: u32| {
        let skipped = btf.skip_mods(id).unwrap_or(id);
        match btf.ty(skipped) {
            _ if is(whole, id) => id,
            ty if ty.is_stubbed() && !is(whole, skipped) => {
                *first.entry(ty.kind()).or_insert(skipped)
            }
            _ => skipped,
        }
    };
    (0..btf.len() as u32).map(stand_in).collect()
}

/// Marks what can be reached by way of stand-ins; tags stay with what they are on, and
/// with them the structs that they name.
fn reach(
    btf: &Btf,
    roots: &[u32],
    kept: &mut [bool],
    tags: &Tags<'_>,
    stand_in: impl Fn(u32) -> u32,
    stubs: &[bool],
) {
    let mut open: Vec<u32> = roots.iter().map(|id| stand_in(*id)).collect();
    while let Some(id) = open.pop() {
        // Type 0 is void, which has no place in the file.
        let Some(keep) = kept.get_mut(id as usize).filter(|keep| id != 0 && !**keep) else {
            continue;
        };
        *keep = true;
        open.extend(tags.on.get(&id).into_iter().flatten());
        let ty = btf.ty(id);
        let contained = contains(btf.str(ty.name)).filter(|_| ty.is(kind::DECL_TAG));
        let contained = contained.and_then(|name| tags.structs.get(name));
        open.extend(contained.map(|id| stand_in(*id)));
        // A stub leads nowhere.
        let words = ty.words().filter(|_| !is(stubs, id));
        open.extend(
            words
                .filter(|(word, _)| *word == Word::Type)
                .map(|(_, id)| stand_in(id)),
        );
    }
}

/// The tags that are for the kernel.
struct Tags<'a> {
    /// By the type that they are on.
    on: HashMap<u32, Vec<u32>>,
    /// The structs that they name; of several of a name the kernel takes the first.
    structs: HashMap<&'a [u8], u32>,
}

impl<'a> Tags<'a> {
    fn of(btf: &Btf<'a>) -> Self {
        let mut tags = Tags {
            on: HashMap::new(),
            structs: HashMap::new(),
        };
        for (id, ty) in btf.iter().filter(|(_, ty)| ty.is(kind::DECL_TAG)) {
            let tag = btf.str(ty.name);
            // Ours are not for the kernel, and 5.10 knows no tags at all.
            if !is_link_name(tag) {
                tags.on.entry(ty.third).or_default().push(id);
                tags.structs.extend(contains(tag).map(|name| (name, 0)));
            }
        }
        if tags.structs.is_empty() {
            return tags;
        }
        for (id, ty) in btf.iter().rev().filter(|(_, ty)| ty.is(kind::STRUCT)) {
            if let Some(first) = tags.structs.get_mut(btf.str(ty.name)) {
                *first = id;
            }
        }
        tags
    }
}

/// The struct that a list or tree is of, by the tag on its head: `contains:STRUCT:NODE`. The
/// kernel refuses BTF that lacks it, and nothing else need lead to it.
fn contains(tag: &[u8]) -> Option<&[u8]> {
    let named = tag.strip_prefix(b"contains:")?;
    named.split(|byte| *byte == b':').next()
}

/// A string section in the making, in order of first use. What compilers write has each string
/// once.
struct Strings {
    bytes: Vec<u8>,
    /// By old offset the new one; 0: not kept, or the empty string, which is there. A line of
    /// source is named once for each of its records: so no search.
    moved: Vec<u32>,
}

impl Strings {
    fn of(btf: &Btf) -> Self {
        Strings {
            bytes: vec![0],
            moved: vec![0; btf.strings_len()],
        }
    }

    fn keep(&mut self, btf: &Btf, old: u32) -> u32 {
        let Some(moved) = self.moved.get_mut(old as usize) else {
            return 0;
        };
        // Too much already, as whoever asks will find: many can share the bytes of a long one.
        if *moved == 0 && self.bytes.len() <= MAX_BYTES {
            let string = btf.str(old);
            if !string.is_empty() {
                *moved = self.bytes.len() as u32;
                self.bytes.extend_from_slice(string);
                self.bytes.push(0);
            }
        }
        *moved
    }
}
