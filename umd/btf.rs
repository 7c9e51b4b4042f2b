// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading BTF (uapi `linux/btf.h`): of the kernel, or of the image.
//!
//! Type records have no fixed length and no index. [`Btf::index`] walks them
//! once and remembers the place of every 2^n-th, so that a type is found by its
//! id after a short walk from there, without half a megabyte of index.
//!
//! Nothing is trusted. An id that is no type reads as void, a string that is
//! not there as empty; the first such fault is remembered, and who has asked a
//! row of questions asks [`Btf::check`] last. [`Btf::spend`] bounds the work
//! that types nested into themselves can cause.

use core::cell::Cell;

use crate::arena::Arena;

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
}

/// What is wrong with the BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BtfError {
    /// In the words of the uapi header: "magic", "type id".
    pub what: &'static str,
    /// The type or offset concerned.
    pub value: u32,
}

fn wrong(what: &'static str, value: u32) -> BtfError {
    BtfError { what, value }
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Bytes of `struct btf_type`, which begins every record.
const TYPE_BYTES: usize = 12;
/// Places remembered of one BTF, at most: 8 KiB.
const MARKS: usize = 2048;
/// Steps that all questions to one BTF may take together. A load of the
/// largest object known needs a hundredth.
const STEPS: u32 = 1 << 26;
/// One type.
#[derive(Clone, Copy, Debug)]
pub struct Type<'b> {
    /// Its id; 0 is void.
    pub id: u32,
    /// Offset of its name.
    pub name_off: u32,
    info: u32,
    size_or_type: u32,
    /// What follows the header: the rest of the section.
    tail: &'b [u8],
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Offset of its name; an empty name is an anonymous member.
    pub name_off: u32,
    /// Its type.
    pub type_id: u32,
    /// Its place in the struct, in bits.
    pub bit_offset: u32,
    /// Its width in bits if it is a bit-field, else 0.
    pub bitfield_size: u32,
}

/// An array.
#[derive(Clone, Copy, Debug)]
pub struct Array {
    /// Type of an element.
    pub type_id: u32,
    /// Number of elements; 0 for a flexible array.
    pub nelems: u32,
}

impl<'b> Type<'b> {
    /// `BTF_KIND_*`. Seven bits of it since 7.3, five before.
    #[must_use]
    pub fn kind(&self) -> u32 {
        self.info >> 24 & 0x7f
    }

    /// Number of members, enumerators or parameters. 24 bits since 7.3, 16 before.
    #[must_use]
    pub fn vlen(&self) -> u32 {
        self.info & 0xff_ffff
    }

    /// The kind flag.
    #[must_use]
    pub fn kflag(&self) -> bool {
        self.info >> 31 != 0
    }

    /// Size in bytes, of those kinds that have one.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size_or_type
    }

    /// The type referred to, by those kinds that do.
    #[must_use]
    pub fn type_id(&self) -> u32 {
        self.size_or_type
    }

    /// True for struct and union.
    #[must_use]
    pub fn is_composite(&self) -> bool {
        matches!(self.kind(), kind::STRUCT | kind::UNION)
    }

    /// True for both kinds of enum.
    #[must_use]
    pub fn is_enum(&self) -> bool {
        matches!(self.kind(), kind::ENUM | kind::ENUM64)
    }

    /// The same kind, or two enums of whatever size.
    #[must_use]
    pub fn kind_compat(&self, other: &Type<'_>) -> bool {
        self.kind() == other.kind() || self.is_enum() && other.is_enum()
    }

    fn words<const N: usize>(&self, index: u32) -> Option<[u32; N]> {
        let bytes = self.tail.get((index as usize).checked_mul(4 * N)?..)?;
        let mut words = [0; N];
        for (i, w) in words.iter_mut().enumerate() {
            *w = word(bytes, 4 * i)?;
        }
        Some(words)
    }

    /// Member `index` of a struct or union.
    #[must_use]
    pub fn member(&self, index: u32) -> Option<Member> {
        if !self.is_composite() || index >= self.vlen() {
            return None;
        }
        let [name_off, type_id, offset] = self.words(index)?;
        let (bit_offset, bitfield_size) = if self.kflag() {
            (offset & 0xff_ffff, offset >> 24)
        } else {
            (offset, 0)
        };
        Some(Member {
            name_off,
            type_id,
            bit_offset,
            bitfield_size,
        })
    }

    /// Enumerator `index` of an enum: name and value, sign-extended if signed.
    #[must_use]
    pub fn enumerator(&self, index: u32) -> Option<(u32, u64)> {
        if index >= self.vlen() {
            return None;
        }
        match self.kind() {
            kind::ENUM => {
                let [name_off, value] = self.words(index)?;
                // Sign-extended whatever the flag says, as libbpf does.
                Some((name_off, i64::from(value as i32) as u64))
            }
            kind::ENUM64 => {
                let [name_off, low, high] = self.words(index)?;
                Some((name_off, u64::from(low) | u64::from(high) << 32))
            }
            _ => None,
        }
    }

    /// The members of a struct or union.
    pub fn members(&self) -> impl Iterator<Item = Member> + use<'b> {
        let t = *self;
        (0..t.vlen()).map_while(move |i| t.member(i))
    }

    /// The enumerators of an enum.
    pub fn enumerators(&self) -> impl Iterator<Item = (u32, u64)> + use<'b> {
        let t = *self;
        (0..t.vlen()).map_while(move |i| t.enumerator(i))
    }

    /// Types of the parameters of a function prototype.
    pub fn params(&self) -> impl Iterator<Item = u32> + use<'b> {
        let t = *self;
        (0..t.vlen()).map_while(move |i| Some(t.words::<2>(i)?[1]))
    }

    /// The array that an `ARRAY` describes; of void for other kinds.
    #[must_use]
    pub fn array(&self) -> Array {
        let words = if self.kind() == kind::ARRAY {
            self.words(0)
        } else {
            None
        };
        let [type_id, _, nelems] = words.unwrap_or_default();
        Array { type_id, nelems }
    }

    /// True for a signed int.
    #[must_use]
    pub fn is_signed_int(&self) -> bool {
        self.int() >> 24 & 1 != 0
    }

    /// True for an int that is a bit-field of its own, as old compilers made them.
    #[must_use]
    pub fn is_offset_int(&self) -> bool {
        self.int() >> 16 & 0xff != 0
    }

    /// Encoding, offset and bits of an int; 0 for other kinds.
    fn int(&self) -> u32 {
        if self.kind() == kind::INT {
            word(self.tail, 0).unwrap_or(0)
        } else {
            0
        }
    }
}

/// Indexed BTF.
#[derive(Debug)]
pub struct Btf<'b> {
    types: &'b [u8],
    strings: &'b [u8],
    layout: &'b [u8],
    /// Offsets of types 1, 1 + 2^shift, 1 + 2 * 2^shift ...
    marks: &'b [u32],
    shift: u32,
    /// Ids are below this; 1 while the index is being made.
    nr_types: u32,
    steps: Cell<u32>,
    fault: Cell<Option<BtfError>>,
}

impl<'b> Btf<'b> {
    /// BTF without types.
    #[must_use]
    pub fn empty() -> Self {
        Btf {
            types: &[],
            strings: &[],
            layout: &[],
            marks: &[],
            shift: 0,
            nr_types: 1,
            steps: Cell::new(STEPS),
            fault: Cell::new(None),
        }
    }

    fn parse(data: &'b [u8]) -> Result<Self, BtfError> {
        let field = |offset| word(data, offset).ok_or(wrong("header", offset as u32));
        let magic = field(0)?;
        // 0xeb9f, version 1; the flags have never been used.
        if magic & 0xff_ffff != 0x01_eb9f {
            return Err(wrong("magic", magic));
        }
        let hdr_len = field(4)? as usize;
        let section = |offset: usize| -> Result<&'b [u8], BtfError> {
            let (start, len) = (field(offset)? as usize, field(offset + 4)? as usize);
            data.get(hdr_len..)
                .and_then(|body| body.get(start..)?.get(..len))
                .ok_or(wrong("section", offset as u32))
        };
        if hdr_len < 24 {
            return Err(wrong("hdr_len", hdr_len as u32));
        }
        Ok(Btf {
            types: section(8)?,
            strings: section(16)?,
            layout: if hdr_len >= 32 { section(24)? } else { &[] },
            ..Btf::empty()
        })
    }

    /// Walks all types once: remembers where they are, and calls `visit` for
    /// those that pass the filter until it says stop.
    ///
    /// # Errors
    /// The first thing that makes no sense, or `arena` if that is too small.
    #[inline(never)]
    pub fn index<'a: 'b>(
        data: &'b [u8],
        arena: &mut Arena<'a>,
        filter: Filter,
        visit: &mut dyn FnMut(&Btf<'b>, &Type<'b>) -> bool,
    ) -> Result<Self, BtfError> {
        let mut btf = Btf::parse(data)?;
        let most = btf.types.len() / TYPE_BYTES + 1;
        while most >> btf.shift > MARKS - 1 {
            btf.shift += 1;
        }
        let full = wrong("arena", most as u32);
        let marks = arena.alloc::<u32>((most >> btf.shift) + 1).ok_or(full)?;
        let mut unmarked = marks.iter_mut();
        let mask = (1u32 << btf.shift) - 1;
        let (mut at, mut id) = (0, 1);
        while at < btf.types.len() {
            if (id - 1) & mask == 0
                && let Some(mark) = unmarked.next()
            {
                *mark = at as u32;
            }
            let t = btf.read(at, id)?;
            at += btf.record_bytes(&t)?;
            if filter.passes(&btf, &t) && !visit(&btf, &t) {
                return Err(full);
            }
            id += 1;
        }
        if at != btf.types.len() {
            return Err(wrong("type section length", at as u32));
        }
        btf.marks = marks;
        btf.nr_types = id;
        Ok(btf)
    }

    #[inline(always)]
    fn read(&self, at: usize, id: u32) -> Result<Type<'b>, BtfError> {
        let head = self.types.get(at..).and_then(|t| t.split_first_chunk());
        let (head, tail): (&[u8; TYPE_BYTES], _) = head.ok_or(wrong("type", id))?;
        let [n0, n1, n2, n3, i0, i1, i2, i3, t0, t1, t2, t3] = *head;
        Ok(Type {
            id,
            name_off: u32::from_le_bytes([n0, n1, n2, n3]),
            info: u32::from_le_bytes([i0, i1, i2, i3]),
            size_or_type: u32::from_le_bytes([t0, t1, t2, t3]),
            tail,
        })
    }

    /// Length of a record: header, one fixed part, and a part for each of vlen.
    #[inline(always)]
    fn record_bytes(&self, t: &Type<'_>) -> Result<usize, BtfError> {
        let vlen = t.vlen() as usize;
        let tail = match t.kind() {
            kind::PTR
            | kind::FWD
            | kind::TYPEDEF
            | kind::VOLATILE
            | kind::CONST
            | kind::RESTRICT
            | kind::FUNC
            | kind::FLOAT
            | kind::TYPE_TAG => 0,
            kind::FUNC_PROTO | kind::ENUM => 8 * vlen,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * vlen,
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            unknown => self.unknown_bytes(unknown, vlen)?,
        };
        Ok(TYPE_BYTES + tail)
    }

    /// What the layout section (since 7.3) says of a kind that nobody knew in 2026.
    #[cold]
    fn unknown_bytes(&self, kind: u32, vlen: usize) -> Result<usize, BtfError> {
        match self.layout.get(4 * kind as usize..) {
            Some([info_sz, elem_sz, ..]) if kind != kind::UNKN => {
                Ok(usize::from(*info_sz) + usize::from(*elem_sz) * vlen)
            }
            _ => Err(wrong("kind", kind)),
        }
    }

    /// Remembers the first fault.
    #[cold]
    #[inline(never)]
    pub fn fault(&self, what: &'static str, value: u32) {
        self.fault
            .set(self.fault.get().or(Some(wrong(what, value))));
    }

    /// Was all right that was read?
    ///
    /// # Errors
    /// The first thing that was not.
    pub fn check(&self) -> Result<(), BtfError> {
        self.fault.get().map_or(Ok(()), Err)
    }

    /// Takes one step of the work that this BTF may cause; false once it is used up.
    pub fn spend(&self) -> bool {
        match self.steps.get().checked_sub(1) {
            Some(left) => self.steps.set(left),
            None => self.fault("nesting", STEPS),
        }
        self.steps.get() > 0
    }

    /// The type with this id; void if there is none.
    #[must_use]
    #[inline(never)]
    pub fn type_by_id(&self, id: u32) -> Type<'b> {
        if id != 0 {
            match self.find(id) {
                Ok(t) => return t,
                Err(BtfError { what, value }) => self.fault(what, value),
            }
        }
        Type {
            id: 0,
            name_off: 0,
            info: 0,
            size_or_type: 0,
            tail: &[],
        }
    }

    fn find(&self, wanted: u32) -> Result<Type<'b>, BtfError> {
        let none = wrong("type id", wanted);
        if wanted >= self.nr_types {
            return Err(none);
        }
        let mark = (wanted - 1) >> self.shift;
        let mut at = *self.marks.get(mark as usize).ok_or(none)? as usize;
        let mut id = (mark << self.shift) + 1;
        loop {
            let t = self.read(at, id)?;
            if id == wanted || !self.spend() {
                return Ok(t);
            }
            at += self.record_bytes(&t)?;
            id += 1;
        }
    }

    /// The string at `offset`, without its NUL; empty if there is none.
    #[inline]
    #[must_use]
    pub fn name(&self, offset: u32) -> &'b [u8] {
        let tail = self.strings.get(offset as usize..).unwrap_or_default();
        tail.split(|b| *b == 0).next().unwrap_or_default()
    }

    /// The type behind const, volatile, restrict, type tags and typedefs.
    #[must_use]
    #[inline(never)]
    pub fn skip_mods_and_typedefs(&self, id: u32) -> Type<'b> {
        let mut t = self.type_by_id(id);
        while MODS_AND_TYPEDEFS >> t.kind() & 1 != 0 && self.spend() {
            t = self.type_by_id(t.type_id());
        }
        t
    }

    /// Size of a type in bytes; a fault for what has none: functions, void.
    #[must_use]
    #[inline(never)]
    pub fn resolve_size(&self, id: u32) -> u64 {
        let mut t = self.skip_mods_and_typedefs(id);
        let mut nelems = 1u64;
        while self.spend() {
            let size = match t.kind() {
                kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 => t.size(),
                kind::DATASEC | kind::FLOAT => t.size(),
                kind::PTR => 8,
                kind::ARRAY => {
                    let array = t.array();
                    nelems = nelems.saturating_mul(u64::from(array.nelems));
                    t = self.skip_mods_and_typedefs(array.type_id);
                    continue;
                }
                _ => break,
            };
            return nelems.saturating_mul(u64::from(size));
        }
        self.fault("size of type", id);
        0
    }
}

/// Bit for each kind that [`Btf::skip_mods_and_typedefs`] skips.
const MODS_AND_TYPEDEFS: u128 = 1 << kind::CONST
    | 1 << kind::VOLATILE
    | 1 << kind::RESTRICT
    | 1 << kind::TYPE_TAG
    | 1 << kind::TYPEDEF;

/// A cheap look at a type, which nearly all types fail: kind, then two bytes of the name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    kinds: u32,
    starts: u64,
}

impl Filter {
    /// Lets types of a kind pass, whose name may begin like this one.
    pub fn add(&mut self, kind: u32, name: &[u8]) {
        self.kinds |= 1u32.checked_shl(kind).unwrap_or(0);
        self.starts |= match name.first_chunk::<2>() {
            Some(start) => Filter::bit(*start),
            // One letter: with a flavor the second byte is another.
            None => u64::MAX,
        };
    }

    #[inline(always)]
    fn bit([a, b]: [u8; 2]) -> u64 {
        1 << ((u32::from(a) * 31 + u32::from(b)) & 63)
    }

    #[inline(always)]
    fn passes(self, btf: &Btf<'_>, t: &Type<'_>) -> bool {
        if self.kinds.checked_shr(t.kind()).unwrap_or(0) & 1 == 0 {
            return false;
        }
        let name = btf.strings.get(t.name_off as usize..);
        let start = name.and_then(|name| name.first_chunk::<2>());
        start.is_some_and(|start| self.starts & Filter::bit(*start) != 0)
    }
}

/// Length of a name without its `___flavor`.
///
/// As libbpf has it: the last `___` counts that has something before and behind it.
#[must_use]
pub fn essential_len(name: &[u8]) -> usize {
    let flavor = |w: &[u8]| matches!(w, [a, b'_', b'_', b'_', c] if *a != b'_' && *c != b'_');
    match name.windows(5).rposition(flavor) {
        Some(at) => at + 1,
        None => name.len(),
    }
}

/// The name without its `___flavor`.
#[must_use]
pub fn essential(name: &[u8]) -> &[u8] {
    name.get(..essential_len(name)).unwrap_or_default()
}
