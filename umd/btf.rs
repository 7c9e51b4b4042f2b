// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading BTF (uapi `linux/btf.h`): of the kernel, or of the image.
//!
//! Type records have no fixed length and no index. [`Btf::index`] walks them
//! once and remembers the place of every 2^n-th, so that a type is found by its
//! id after a short walk from there, without half a megabyte of index.
//!
//! Nothing is trusted. What is not there reads as 0, so that an id that is no
//! type is void and a name that is not there empty; the first such fault is
//! remembered, and who has asked a row of questions asks [`Btf::check`] last.
//! [`Btf::spend`] bounds the work that types nested into themselves can cause.

use core::cell::Cell;

mod lanes;
mod walk;

use walk::TYPE_BYTES;
pub use walk::{Filter, record_words};

/// `BTF_KIND_*`.
pub mod kind {
    #![expect(
        missing_docs,
        reason = "names and meaning are those of the uapi linux/btf.h"
    )]
    pub const UNKN: u32 = 0;
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const FLOAT: u32 = 16;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
    /// Kinds from here on are not known.
    pub const KNOWN: u32 = 20;
}

/// What is wrong with the BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BtfError {
    /// In the words of the uapi header: "magic", "type id".
    pub what: &'static str,
    /// The value that is wrong.
    pub value: u32,
}

/// Steps that all questions to one BTF may take together; the iterators need some 10,000.
/// A second's work, which a fuzzer cannot wait for with each input.
const STEPS: u32 = 1 << if cfg!(fuzzing) { 20 } else { 26 };

/// Bit for each kind that [`Btf::skip_mods_and_typedefs`] skips.
const MODS_AND_TYPEDEFS: u32 = 1 << kind::CONST
    | 1 << kind::VOLATILE
    | 1 << kind::RESTRICT
    | 1 << kind::TYPE_TAG
    | 1 << kind::TYPEDEF;

/// One type: where its record is, and what that says first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Type {
    at: u32,
    info: u32,
}

impl Type {
    /// `BTF_KIND_*`. Seven bits of it since 7.3, five before.
    #[must_use]
    pub fn kind(self) -> u32 {
        self.info >> 24 & 0x7f
    }

    /// Number of members, enumerators or parameters. 24 bits since 7.3, 16 before.
    #[must_use]
    pub fn vlen(self) -> u32 {
        self.info & 0xff_ffff
    }

    /// The kind flag.
    #[must_use]
    pub fn kflag(self) -> bool {
        self.info >> 31 != 0
    }

    /// Is it of one of these kinds, a bit for each?
    #[must_use]
    pub fn is(self, kinds: u32) -> bool {
        kinds.checked_shr(self.kind()).unwrap_or(0) & 1 != 0
    }

    /// True for struct and union.
    #[must_use]
    pub fn is_composite(self) -> bool {
        self.is(1 << kind::STRUCT | 1 << kind::UNION)
    }

    /// True for both kinds of enum.
    #[must_use]
    pub fn is_enum(self) -> bool {
        self.is(1 << kind::ENUM | 1 << kind::ENUM64)
    }

    /// The same kind, or two enums of whatever size.
    #[must_use]
    pub fn kind_compat(self, other: Type) -> bool {
        self.kind() == other.kind() || self.is_enum() && other.is_enum()
    }
}

/// Indexed BTF.
#[derive(Debug, Default)]
pub struct Btf<'b> {
    types: &'b [u8],
    strings: &'b [u8],
    /// Offsets of types 1, 1 + 2^shift, 1 + 2 * 2^shift ...
    marks: &'b [u32],
    shift: u32,
    /// What the kinds of the future look like, where the BTF says so; else empty.
    layout: &'b [u8],
    /// Steps taken.
    steps: Cell<u32>,
    fault: Cell<Option<BtfError>>,
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

impl<'b> Btf<'b> {
    /// Remembers the first fault.
    #[cold]
    #[inline(never)]
    pub fn fault(&self, what: &'static str, value: u32) {
        if self.fault.get().is_none() {
            self.fault.set(Some(BtfError { what, value }));
        }
    }

    /// Was all right that was read?
    ///
    /// # Errors
    /// The first thing that was not.
    pub fn check(&self) -> Result<(), BtfError> {
        self.fault.get().map_or(Ok(()), Err)
    }

    /// Takes one step of the work that this BTF may cause; false once it is used up.
    #[inline(never)]
    pub fn spend(&self) -> bool {
        let steps = self.steps.get() + 1;
        if steps > STEPS {
            self.fault("nesting", STEPS);
            return false;
        }
        self.steps.set(steps);
        true
    }

    /// Word `index` behind the header of a record.
    #[inline(never)]
    fn word(&self, t: Type, index: u32) -> u32 {
        let at = t.at as usize + TYPE_BYTES + 4 * index as usize;
        word(self.types, at).unwrap_or(0)
    }

    /// The type with this id; void if there is none.
    #[must_use]
    #[inline(never)]
    pub fn type_by_id(&self, wanted: u32) -> Type {
        let mut t = Type::default();
        if wanted == 0 {
            return t;
        }
        // Behind the end of the walk the way from the last mark is longer.
        let mark = ((wanted - 1) >> self.shift).min((self.marks.len() as u32).wrapping_sub(1));
        t.at = self.marks.get(mark as usize).copied().unwrap_or(u32::MAX);
        let mut id = (mark << self.shift).wrapping_add(1);
        loop {
            t.info = word(self.types, t.at as usize + 4).unwrap_or(0);
            if id == wanted {
                break;
            }
            // What lies behind the end is of no kind, too.
            let len = self.record_bytes(t) as u32;
            if len == 0 || !self.spend() {
                t.info = 0;
                break;
            }
            t.at = t.at.saturating_add(len);
            id += 1;
        }
        if t.kind() == kind::UNKN {
            self.fault("type id", wanted);
            t = Type::default();
        }
        t
    }

    /// The first byte of the string at `offset`; 0 if it is empty.
    #[must_use]
    pub fn letter(&self, offset: u32) -> u8 {
        self.strings.get(offset as usize).copied().unwrap_or(0)
    }

    /// The string at `offset`, without its NUL; empty if there is none.
    #[must_use]
    #[inline(never)]
    pub fn str(&self, offset: u32) -> &'b [u8] {
        let tail = self.strings.get(offset as usize..).unwrap_or_default();
        tail.split(|b| *b == 0).next().unwrap_or_default()
    }

    /// The name of a type.
    #[must_use]
    #[inline(never)]
    pub fn name(&self, t: Type) -> &'b [u8] {
        self.str(word(self.types, t.at as usize).unwrap_or(0))
    }

    /// Size in bytes, of those kinds that have one; else the type referred to.
    #[must_use]
    #[inline(never)]
    pub fn size_or_type(&self, t: Type) -> u32 {
        word(self.types, t.at as usize + 8).unwrap_or(0)
    }

    /// The type behind const, volatile, restrict, type tags and typedefs.
    #[must_use]
    #[inline(never)]
    pub fn skip_mods_and_typedefs(&self, id: u32) -> Type {
        let mut t = self.type_by_id(id);
        while t.is(MODS_AND_TYPEDEFS) && self.spend() {
            t = self.type_by_id(self.size_or_type(t));
        }
        t
    }

    /// Is it one of those that [`Btf::skip_mods_and_typedefs`] skips, and not the last of too many?
    #[must_use]
    pub fn is_modifier(&self, id: u32) -> bool {
        self.type_by_id(id).is(MODS_AND_TYPEDEFS) && self.spend()
    }

    /// Name and type of member `index` of a struct or union.
    #[must_use]
    pub fn member(&self, t: Type, index: u32) -> (u32, u32) {
        (self.word(t, 3 * index), self.word(t, 3 * index + 1))
    }

    /// Place of member `index` in bits, and its width in bits if it is a bit-field, else 0.
    #[must_use]
    pub fn member_bits(&self, t: Type, index: u32) -> (u32, u32) {
        let offset = self.word(t, 3 * index + 2);
        if t.kflag() {
            (offset & 0xff_ffff, offset >> 24)
        } else {
            (offset, 0)
        }
    }

    /// Name and value of enumerator `index`. 32-bit values are sign-extended
    /// whatever the kind flag says, as libbpf does it.
    #[must_use]
    pub fn enumerator(&self, t: Type, index: u32) -> (u32, u64) {
        if t.kind() == kind::ENUM {
            let value = self.word(t, 2 * index + 1) as i32;
            (self.word(t, 2 * index), i64::from(value) as u64)
        } else {
            let (low, high) = (self.word(t, 3 * index + 1), self.word(t, 3 * index + 2));
            (
                self.word(t, 3 * index),
                u64::from(low) | u64::from(high) << 32,
            )
        }
    }

    /// Type of parameter `index` of a function prototype.
    #[must_use]
    pub fn param(&self, t: Type, index: u32) -> u32 {
        self.word(t, 2 * index + 1)
    }

    /// Element type and number of elements of an array; 0 of them if it is flexible.
    #[must_use]
    pub fn array(&self, t: Type) -> (u32, u32) {
        (self.word(t, 0), self.word(t, 2))
    }

    /// True for a signed int.
    #[must_use]
    pub fn is_signed_int(&self, t: Type) -> bool {
        t.kind() == kind::INT && self.word(t, 0) >> 24 & 1 != 0
    }

    /// True for an int that is a bit-field of its own, as old compilers made them.
    #[must_use]
    pub fn is_offset_int(&self, t: Type) -> bool {
        self.word(t, 0) >> 16 & 0xff != 0
    }

    /// Size of a type in bytes; a fault for what has none: functions, void.
    #[must_use]
    #[inline(never)]
    pub fn resolve_size(&self, mut t: Type) -> u64 {
        let mut nelems = 1u64;
        while t.kind() == kind::ARRAY && self.spend() {
            let (element, n) = self.array(t);
            nelems = nelems.saturating_mul(u64::from(n));
            t = self.skip_mods_and_typedefs(element);
        }
        let size = match t.kind() {
            kind::PTR => 8,
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::FLOAT => {
                self.size_or_type(t)
            }
            kind => {
                self.fault("kind to have a size", kind);
                0
            }
        };
        nelems.saturating_mul(u64::from(size))
    }
}

/// Length of a name without its `___flavor`.
///
/// As libbpf has it: the last `___` counts that has something before and behind it.
#[must_use]
#[inline(never)]
pub fn essential_len(name: &[u8]) -> usize {
    let flavor = |w: &[u8]| matches!(w, [a, b'_', b'_', b'_', c] if *a != b'_' && *c != b'_');
    match name.windows(5).rposition(flavor) {
        Some(at) => at + 1,
        None => name.len(),
    }
}

/// Are two names the same without their flavors?
#[must_use]
#[inline(never)]
pub fn same_essential(a: &[u8], b: &[u8]) -> bool {
    a.get(..essential_len(a)) == b.get(..essential_len(b))
}
