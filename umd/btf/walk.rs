// SPDX-License-Identifier: MIT OR Apache-2.0
//! The walk over all types of BTF: where each record is, and which of them are
//! worth another look. It knows how long records are, and of their contents no
//! more than kind and name.

use super::{Btf, Type, kind, word};
use crate::arena::Arena;

/// Bytes of `struct btf_type`, which begins every record.
pub(super) const TYPE_BYTES: usize = 12;
/// Places remembered of one BTF, at most: 64 KiB, of which the iterators touch 8.
const MARKS: usize = 16384;

/// Words that follow the header of a record, by `BTF_KIND_*` less one: in the low
/// four bits those that are there once, in the high four those for each of vlen.
pub(super) const WORDS: [u8; 19] = [
    0x01, 0, 0x03, 0x30, 0x30, 0x20, // INT PTR ARRAY STRUCT UNION ENUM
    0, 0, 0, 0, 0, 0, 0x20, // FWD TYPEDEF VOLATILE CONST RESTRICT FUNC FUNC_PROTO
    0x01, 0x30, 0, 0x01, 0, 0x30, // VAR DATASEC FLOAT DECL_TAG TYPE_TAG ENUM64
];

/// Words that follow the header of a record of this kind, once and for each of vlen;
/// void has none, nor have the kinds of the future.
#[inline(always)]
#[must_use]
pub fn record_words(kind: u32) -> Option<(usize, usize)> {
    let words = usize::from(*WORDS.get(kind.wrapping_sub(1) as usize)?);
    Some((words & 15, words >> 4))
}

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

impl<'b> Btf<'b> {
    /// Length of a record in bytes; 0 if nothing is known of its kind.
    #[inline(never)]
    pub(super) fn record_bytes(&self, t: Type) -> usize {
        let at = 4 * t.kind() as usize;
        let (once, each) = match (record_words(t.kind()), self.layout.get(at..)) {
            (Some(words), _) => words,
            // struct btf_layout, in bytes; records are whole words.
            (None, Some([info, elem, ..])) if at > 0 => {
                (usize::from(info / 4), usize::from(elem / 4))
            }
            _ => return 0,
        };
        TYPE_BYTES + 4 * (once + each * t.vlen() as usize)
    }

    /// With all its types, of which none is looked for.
    pub fn whole<'a: 'b>(data: &'b [u8], arena: &mut Arena<'a>) -> Self {
        Btf::index(data, arena, &Filter::default(), &mut |_, _, _| Some(0))
    }

    /// Where its sections are.
    #[inline(always)]
    pub(super) fn find_sections(&mut self, data: &'b [u8]) {
        let field = |offset| word(data, offset).unwrap_or(0);
        let hdr_len = field(4) as usize;
        let section = |offset| {
            let body = data.get(hdr_len..)?.get(field(offset) as usize..)?;
            body.get(..field(offset + 4) as usize)
        };
        // 0xeb9f, version 1; the flags have never been used. A fault leaves nothing
        // to walk over.
        if field(0) & 0xff_ffff != 0x01_eb9f || hdr_len < 24 {
            self.fault("header", field(0));
        } else if let (Some(types), Some(strings)) = (section(8), section(16)) {
            (self.types, self.strings) = (types, strings);
            // Since 7.3.
            if hdr_len >= 32 {
                self.layout = section(24).unwrap_or_default();
            }
        } else {
            self.fault("section", hdr_len as u32);
        }
    }

    /// Room for the marks of as many types as there can be.
    #[inline(always)]
    pub(super) fn room_for_marks<'a>(&mut self, arena: &mut Arena<'a>) -> Option<&'a mut [u32]> {
        let most = self.types.len() / TYPE_BYTES;
        while most >> self.shift >= MARKS {
            self.shift += 1;
        }
        arena.alloc::<u32>((most >> self.shift) + 1)
    }

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
        btf.find_sections(data);
        let (types, strings) = (btf.types, btf.strings);

        let marks = btf.room_for_marks(arena).unwrap_or_default();
        if marks.is_empty() {
            btf.fault("size", types.len() as u32);
        }
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
                if record_words(t.kind()).is_none() {
                    let len = btf.record_bytes(t);
                    if len == 0 {
                        btf.fault("kind", t.kind());
                        break 'walk;
                    }
                    at = t.at as usize + len;
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

    /// Is it one of these kinds? For who sees to kinds that are not known himself.
    #[inline(always)]
    pub(super) fn wants(&self, kind: u32) -> bool {
        self.kinds >> (kind & 31) & 1 != 0
    }

    /// The first look at a name.
    #[inline(always)]
    pub(super) fn first(&self, letter: u8) -> bool {
        self.firsts
            .get(usize::from(letter))
            .copied()
            .unwrap_or(false)
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
                let Some((once, each)) = record_words(kind) else {
                    return (t, at, left);
                };
                at += 4 * (once + each * t.vlen() as usize);
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
    pub(super) fn second(&self, strings: &[u8], name_off: u32) -> bool {
        let name = strings.get(name_off as usize..).unwrap_or_default();
        let Some([_, _, _, _, e, f]) = name.first_chunk() else {
            // At the end of the section there is too little to look at.
            return true;
        };
        let start = self.starts.get(Filter::slot(name)).copied().unwrap_or(0);
        start & Filter::bit(*e, *f) != 0
    }
}
