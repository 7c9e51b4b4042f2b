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

/// Bytes of `struct btf_type`, which begins every record.
const TYPE_BYTES: usize = 12;
/// Places remembered of one BTF, at most: 64 KiB, of which the iterators touch 8.
const MARKS: usize = 16384;
/// Steps that all questions to one BTF may take together; the iterators need some 10,000.
const STEPS: u32 = 1 << 26;

/// Words that follow the header of a record, by `BTF_KIND_*`: in the low four
/// bits those that are there once, in the high four those for each of vlen.
const WORDS: [u8; 20] = [
    0, // UNKN
    0x01, 0, 0x03, 0x30, 0x30, 0x20, // INT PTR ARRAY STRUCT UNION ENUM
    0, 0, 0, 0, 0, 0, 0x20, // FWD TYPEDEF VOLATILE CONST RESTRICT FUNC FUNC_PROTO
    0x01, 0x30, 0, 0x01, 0, 0x30, // VAR DATASEC FLOAT DECL_TAG TYPE_TAG ENUM64
];

/// Bit for each kind whose records are headers alone: most records, and the
/// branch that the walk over all of them should predict.
const HEADER_ONLY: u32 = 1 << kind::PTR
    | 1 << kind::FWD
    | 1 << kind::TYPEDEF
    | 1 << kind::VOLATILE
    | 1 << kind::CONST
    | 1 << kind::RESTRICT
    | 1 << kind::FUNC
    | 1 << kind::FLOAT
    | 1 << kind::TYPE_TAG;

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
    /// Steps taken.
    steps: Cell<u32>,
    fault: Cell<Option<BtfError>>,
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

impl<'b> Btf<'b> {
    /// Walks the types once: remembers where they are, and calls `visit` with
    /// the id of those that pass the filter. The visitor gives the kinds that it
    /// still wants, a bit for each; the walk ends when it wants none, and it is a
    /// fault of the BTF if the visitor has no room for more. What else makes no
    /// sense is left to [`Btf::check`].
    #[inline(never)]
    pub fn index<'a: 'b>(
        data: &'b [u8],
        arena: &mut Arena<'a>,
        filter: &Filter,
        visit: &mut dyn FnMut(&Btf<'b>, u32, Type) -> Option<u32>,
    ) -> Self {
        let mut btf = Btf::default();
        let field = |offset| word(data, offset).unwrap_or(0);
        let hdr_len = field(4) as usize;
        let section = |offset| {
            let body = data.get(hdr_len..)?.get(field(offset) as usize..)?;
            body.get(..field(offset + 4) as usize)
        };
        // 0xeb9f, version 1; the flags have never been used.
        if field(0) & 0xff_ffff != 0x01_eb9f || hdr_len < 24 {
            btf.fault("header", field(0));
            return btf;
        }
        let (Some(types), Some(strings)) = (section(8), section(16)) else {
            btf.fault("section", hdr_len as u32);
            return btf;
        };
        // Since 7.3: what the kinds of the future look like.
        let layout = if hdr_len >= 32 { section(24) } else { None };
        (btf.types, btf.strings) = (types, strings);

        let most = types.len() / TYPE_BYTES;
        while most >> btf.shift >= MARKS {
            btf.shift += 1;
        }
        let Some(marks) = arena.alloc::<u32>((most >> btf.shift) + 1) else {
            btf.fault("size", types.len() as u32);
            return btf;
        };
        let mut kinds = filter.kinds;
        let (mut at, mut id, mut marked) = (0, 1, 0);
        'walk: while let Some(mark) = marks.get_mut(marked).filter(|_| at < types.len()) {
            *mark = at as u32;
            marked += 1;
            let next_mark = id + (1 << btf.shift);
            while id < next_mark && at < types.len() {
                let (t, end, left) = filter.scan(kinds, types, strings, at, next_mark - id);
                id = next_mark - left;
                at = end;
                if left == 0 {
                    continue;
                }
                // The scan has stopped behind the header of something that it
                // does not know, or that is worth another look.
                if t.at as usize + TYPE_BYTES > types.len() {
                    break 'walk;
                }
                if t.kind() == kind::UNKN || t.kind() >= kind::KNOWN {
                    let Some(words) = words(t, layout) else {
                        btf.fault("kind", t.kind());
                        return btf;
                    };
                    at += 4 * words;
                } else if filter.second(strings, word(types, t.at as usize).unwrap_or(0)) {
                    match visit(&btf, id, t) {
                        Some(0) => break 'walk,
                        Some(wanted) => kinds = wanted,
                        None => btf.fault("number of candidates", id),
                    }
                }
                id += 1;
            }
        }
        if at > types.len() || types.len() - at < TYPE_BYTES && at != types.len() {
            btf.fault("type", id);
        }
        btf.marks = marks.get(..marked).unwrap_or_default();
        btf
    }

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
            // No kind is what lies behind the end, too.
            let words = words(t, None).filter(|_| self.spend());
            let Some(words) = words else {
                t.info = 0;
                break;
            };
            t.at = t.at.saturating_add((TYPE_BYTES + 4 * words) as u32);
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

/// Words behind the header of a record; none if nothing is known of its kind.
#[inline(always)]
fn words(t: Type, layout: Option<&[u8]>) -> Option<usize> {
    let kind = t.kind() as usize;
    let (once, each) = match WORDS.get(kind) {
        Some(words) if kind != 0 => (words & 15, words >> 4),
        _ => match layout?.get(4 * kind..)? {
            // struct btf_layout, in bytes; records are whole words.
            [info, elem, ..] if kind != 0 => (info / 4, elem / 4),
            _ => return None,
        },
    };
    Some(usize::from(once) + usize::from(each) * t.vlen() as usize)
}

/// A cheap look at a type, which nearly all types fail.
///
/// What decides the time of the walk is that the processor predicts its
/// branches and finds what it reads in its caches. So the first look is at the
/// kind alone, and at the first letter of the name, and nearly always says no;
/// where only functions are still wanted, and none are near, no name is read at
/// all. Those that pass are looked at again, at letters that are the same with
/// any `___flavor`.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// By first byte of a name: may it begin so?
    firsts: [bool; 256],
    /// Bit for each kind.
    kinds: u32,
    /// By bytes 0 and 1: a bit for each pair of bytes 4 and 5 that may follow.
    starts: [u64; Filter::SLOTS],
}

impl Default for Filter {
    fn default() -> Self {
        Filter {
            firsts: [false; 256],
            kinds: 0,
            starts: [0; Filter::SLOTS],
        }
    }
}

impl Filter {
    /// Number of [`Filter::slot`]s.
    pub const SLOTS: usize = 64;

    /// Lets types of this kind pass whose name may be this one, with or without flavor.
    pub fn add(&mut self, kind: u32, name: &[u8]) {
        let Some(a) = name.first() else { return };
        if let Some(first) = self.firsts.get_mut(usize::from(*a)) {
            *first = true;
        }
        self.kinds |= 1u32.checked_shl(kind).unwrap_or(0);
        let bits = match name {
            [_, _, _, _, e, f, ..] => Filter::bit(*e, *f),
            // What follows a short name is its NUL, or a flavor.
            _ => u64::MAX,
        };
        match (name.get(1), self.starts.get_mut(Filter::slot(name))) {
            (Some(_), Some(start)) => *start |= bits,
            // As does the second letter of a name of one letter.
            _ => self.starts = [u64::MAX; Filter::SLOTS],
        }
    }

    /// Where names that begin like this one are found.
    #[inline(always)]
    #[must_use]
    pub fn slot(name: &[u8]) -> usize {
        match name {
            [a, b, ..] => (usize::from(*a) * 31 + usize::from(*b)) % Filter::SLOTS,
            _ => 0,
        }
    }

    #[inline(always)]
    fn bit(e: u8, f: u8) -> u64 {
        1 << ((u32::from(e) * 31 + u32::from(f)) & 63)
    }

    /// Scans up to `left` records from `at` on; stops behind one of these kinds
    /// that passes the first look, or behind the header of one of unknown kind. This is where a
    /// load spends a third of its time: it has nothing in it that can wait.
    ///
    /// Gives the record, the place behind it, and how many are left, this one included.
    #[inline(never)]
    fn scan(
        &self,
        kinds: u32,
        types: &[u8],
        strings: &[u8],
        mut at: usize,
        mut left: u32,
    ) -> (Type, usize, u32) {
        loop {
            let mut t = Type {
                at: at as u32,
                info: 0,
            };
            if left == 0 {
                return (t, at, left);
            }
            let Some(head) = types.get(at..).and_then(|t| t.first_chunk::<8>()) else {
                return (t, at, left);
            };
            // struct btf_type begins with name_off and info.
            let head = u64::from_le_bytes(*head);
            t.info = (head >> 32) as u32;
            at += TYPE_BYTES;
            let kind = t.kind();
            if kind >= kind::KNOWN || HEADER_ONLY >> kind & 1 == 0 {
                match WORDS.get(kind as usize) {
                    Some(words) if kind != kind::UNKN => {
                        let (once, each) = (words & 15, words >> 4);
                        let each = usize::from(each) * t.vlen() as usize;
                        at += 4 * (usize::from(once) + each);
                    }
                    _ => return (t, at, left),
                }
            }
            // Kinds that are not known have returned above.
            if kinds >> (kind & 31) & 1 != 0 {
                let first = strings.get(head as u32 as usize).copied().unwrap_or(0);
                let wanted = self.firsts.get(usize::from(first)).copied();
                if wanted.unwrap_or(false) {
                    return (t, at, left);
                }
            }
            left -= 1;
        }
    }

    /// The second look, at four letters.
    #[inline(never)]
    fn second(&self, strings: &[u8], name_off: u32) -> bool {
        let name = strings.get(name_off as usize..).unwrap_or_default();
        let Some([_, _, _, _, e, f]) = name.first_chunk() else {
            // At the end of the section there is too little to look at.
            return true;
        };
        let start = self.starts.get(Filter::slot(name)).copied().unwrap_or(0);
        start & Filter::bit(*e, *f) != 0
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
