// SPDX-License-Identifier: MIT OR Apache-2.0
//! One BTF type as its words, and the table that says which of them is a
//! string, a type or plain data. Reading, walking and writing types all go by
//! that table; kinds that it does not know are refused, for their words could
//! hide references.

use crate::error::{LowerError, Result};

/// `BTF_KIND_*` of the uapi `linux/btf.h`.
pub(crate) mod kind {
    pub(crate) const INT: u32 = 1;
    pub(crate) const PTR: u32 = 2;
    pub(crate) const ARRAY: u32 = 3;
    pub(crate) const STRUCT: u32 = 4;
    pub(crate) const UNION: u32 = 5;
    pub(crate) const ENUM: u32 = 6;
    pub(crate) const FWD: u32 = 7;
    pub(crate) const TYPEDEF: u32 = 8;
    pub(crate) const VOLATILE: u32 = 9;
    pub(crate) const CONST: u32 = 10;
    pub(crate) const RESTRICT: u32 = 11;
    pub(crate) const FUNC: u32 = 12;
    pub(crate) const FUNC_PROTO: u32 = 13;
    pub(crate) const VAR: u32 = 14;
    pub(crate) const DATASEC: u32 = 15;
    pub(crate) const FLOAT: u32 = 16;
    pub(crate) const DECL_TAG: u32 = 17;
    pub(crate) const TYPE_TAG: u32 = 18;
    pub(crate) const ENUM64: u32 = 19;
}

/// Static linkage of a VAR or FUNC.
pub(crate) const STATIC: u32 = 0;
/// Linkage of an allocated global VAR, or of a global FUNC.
pub(crate) const GLOBAL: u32 = 1;
/// Linkage of an extern VAR or FUNC.
pub(crate) const EXTERN: u32 = 2;

/// What a word of a type is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Plain,
    Str,
    Type,
}
use Word::{Plain, Str, Type as Id};

/// The words of a kind: the third of `struct btf_type`, those that follow once,
/// and those that follow `vlen` times.
pub(crate) struct Layout {
    third: Word,
    once: &'static [Word],
    each: &'static [Word],
}

fn layout(kind: u32) -> Option<Layout> {
    let layout = |third, once, each| Some(Layout { third, once, each });
    match kind {
        kind::INT => layout(Plain, &[Plain], &[]),
        kind::ARRAY => layout(Plain, &[Id, Id, Plain], &[]),
        kind::STRUCT | kind::UNION => layout(Plain, &[], &[Str, Id, Plain]),
        kind::ENUM => layout(Plain, &[], &[Str, Plain]),
        kind::ENUM64 => layout(Plain, &[], &[Str, Plain, Plain]),
        kind::FWD | kind::FLOAT => layout(Plain, &[], &[]),
        kind::PTR | kind::TYPEDEF | kind::VOLATILE | kind::CONST => layout(Id, &[], &[]),
        kind::RESTRICT | kind::FUNC | kind::TYPE_TAG => layout(Id, &[], &[]),
        kind::FUNC_PROTO => layout(Id, &[], &[Str, Id]),
        kind::VAR | kind::DECL_TAG => layout(Id, &[Plain], &[]),
        kind::DATASEC => layout(Plain, &[], &[Id, Plain, Plain]),
        _ => None,
    }
}

/// A type: `struct btf_type` and the words behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Type {
    pub(crate) name: u32,
    info: u32,
    /// Size in bytes, or a type id.
    pub(crate) third: u32,
    pub(crate) rest: Vec<u32>,
}

impl Type {
    // vlen has 24 bits and the kind 7 since 7.3; before, the added bits are 0.
    pub(crate) fn kind(&self) -> u32 {
        (self.info >> 24) & 0x7f
    }

    pub(crate) fn vlen(&self) -> usize {
        (self.info & 0x00ff_ffff) as usize
    }

    pub(crate) fn kind_flag(&self) -> bool {
        self.info >> 31 != 0
    }

    pub(crate) fn is(&self, kind: u32) -> bool {
        self.kind() == kind
    }

    pub(crate) fn is_composite(&self) -> bool {
        self.is(kind::STRUCT) || self.is(kind::UNION)
    }

    pub(crate) fn is_any_enum(&self) -> bool {
        self.is(kind::ENUM) || self.is(kind::ENUM64)
    }

    /// Is this of a kind that [`Type::stub`] is for?
    pub(crate) fn is_stubbed(&self) -> bool {
        self.is_composite() || self.is(kind::PTR) || self.is(kind::FUNC_PROTO)
    }

    /// A pointer to void, a struct or union without name and members, or `void (void)`.
    pub(crate) fn stub(&self) -> Self {
        Type {
            info: self.kind() << 24,
            ..Type::default()
        }
    }

    /// Linkage of a FUNC.
    pub(crate) fn func_linkage(&self) -> u32 {
        self.info & 0x00ff_ffff
    }

    pub(crate) fn set_func_linkage(&mut self, linkage: u32) {
        self.info = kind::FUNC << 24 | linkage;
    }

    /// First word behind `struct btf_type`: linkage of a VAR, encoding of an INT, index of a DECL_TAG.
    pub(crate) fn extra(&self) -> u32 {
        self.rest.first().copied().unwrap_or(0)
    }

    /// Element type and number of elements of an ARRAY.
    pub(crate) fn array(&self) -> (u32, u32) {
        let at = |i: usize| self.rest.get(i).copied().unwrap_or(0);
        (at(0), at(2))
    }

    /// Name, type and offset word of a member of a STRUCT or UNION.
    pub(crate) fn member(&self, index: usize) -> Option<[u32; 3]> {
        self.members().nth(index)
    }

    /// Also the variables of a DATASEC: type, offset and size.
    pub(crate) fn members(&self) -> impl Iterator<Item = [u32; 3]> {
        self.rest.as_chunks::<3>().0.iter().copied()
    }

    pub(crate) fn members_mut(&mut self) -> &mut [[u32; 3]] {
        self.rest.as_chunks_mut::<3>().0
    }

    /// Every word with what it is, in the order of the file; without `info`.
    pub(crate) fn words(&self) -> impl Iterator<Item = (Word, u32)> {
        let layout = layout(self.kind()).unwrap_or(Layout {
            third: Plain,
            once: &[],
            each: &[],
        });
        let rest = layout.once.iter().chain(layout.each.iter().cycle());
        [(Str, self.name), (layout.third, self.third)]
            .into_iter()
            .chain(rest.copied().zip(self.rest.iter().copied()))
    }

    /// The words as written to a file, each replaced by what `map` makes of it.
    pub(crate) fn write(&self, out: &mut Vec<u8>, mut map: impl FnMut(Word, u32) -> u32) {
        for (i, (word, value)) in self.words().enumerate() {
            out.extend_from_slice(&map(word, value).to_le_bytes());
            if i == 0 {
                out.extend_from_slice(&self.info.to_le_bytes());
            }
        }
    }
}

/// Reads the first type of `words` and moves on behind it.
pub(crate) fn read_type(bytes: &mut &[u8]) -> Result<Type> {
    let mut next = || {
        let (word, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(u32::from_le_bytes(*word))
    };
    let cut = || LowerError::new("type is cut off");
    let mut ty = Type {
        name: next().ok_or_else(cut)?,
        info: next().ok_or_else(cut)?,
        third: next().ok_or_else(cut)?,
        rest: Vec::new(),
    };
    let Some(layout) = layout(ty.kind()) else {
        let what = format!("unsupported BTF kind {}", ty.kind());
        return Err(LowerError::new(what));
    };
    // Both factors are small: 24 bits and at most 3.
    let each = layout.each.len() * ty.vlen();
    for _ in 0..layout.once.len() + each {
        ty.rest.push(next().ok_or_else(cut)?);
    }
    Ok(ty)
}
