// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading an image without trusting it.
//!
//! [`Image::parse`] finds the sections. Every accessor looks before it reads:
//! for what is not there it gives nothing, 0 or the empty slice, and it never
//! panics. [`Image::check`] tells whether all is there that is referred to.

use core::marker::PhantomData;

use crate::field::{Record, Refers, Span, Str};
use crate::record::{
    Accessor, AccessorAt, CoreRelo, Extern, Kconfig, Map, Object, Prog, Relo, Slot, StructOp,
    Target, map_flags, map_type, need, object_flags, relo_kind,
};
use crate::{FUNC_INFO_BYTES, HEADER_BYTES, INSN_BYTES, LINE_INFO_BYTES, MAGIC, SECTIONS, Section};

/// What is wrong with an image, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageError {
    /// The part that is wrong, in the words of this crate: "magic", "map name".
    pub what: &'static str,
    /// Offset in bytes from the start of the image, of the record where there is one.
    pub offset: u32,
}

/// An image that borrows its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    pub(crate) bytes: &'a [u8],
}

/// A table of records.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a, R> {
    bytes: &'a [u8],
    record: PhantomData<R>,
}

impl<'a, R: Record> Records<'a, R> {
    fn new(bytes: &'a [u8]) -> Self {
        Records {
            bytes,
            record: PhantomData,
        }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / R::BYTES
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The record at `index`, if there is one.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<R> {
        let start = (index as usize).checked_mul(R::BYTES)?;
        let bytes = self.bytes.get(start..)?.get(..R::BYTES)?;
        Some(R::read(bytes))
    }

    /// The records of a span; empty if it is not in the table.
    #[must_use]
    pub fn span(&self, span: Span) -> Records<'a, R> {
        Records::new(elements(self.bytes, span, R::BYTES).unwrap_or_default())
    }

    /// The records in order, where they stand.
    pub fn each(&self) -> impl Iterator<Item = R::At<'a>> + use<'a, R> {
        let mut bytes = self.bytes;
        core::iter::from_fn(move || {
            let (record, rest) = R::split_first(bytes)?;
            bytes = rest;
            Some(record)
        })
    }

    /// The record at `index`, where it stands, if there is one.
    #[must_use]
    pub fn at(&self, index: u32) -> Option<R::At<'a>> {
        let start = (index as usize).checked_mul(R::BYTES)?;
        R::split_first(self.bytes.get(start..)?).map(|(record, _)| record)
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = R> + use<'a, R> {
        let mut bytes = self.bytes;
        core::iter::from_fn(move || {
            let (record, rest) = bytes.split_at_checked(R::BYTES)?;
            bytes = rest;
            Some(R::read(record))
        })
    }
}

/// Each section of elements: its name, and what the fields of one refer to.
const TABLES: [(Section, &str, &[Refers]); 16] = [
    (Section::Object, "object", Object::REFERS),
    (Section::Insns, "instructions", &[]),
    (Section::FuncInfo, "func_info", &[]),
    (Section::LineInfo, "line_info", &[]),
    (Section::Maps, "map", Map::REFERS),
    (Section::Progs, "program", Prog::REFERS),
    (Section::Relos, "relocation", Relo::REFERS),
    (Section::CoreRelos, "CO-RE relocation", CoreRelo::REFERS),
    (Section::Accessors, "accessor", Accessor::REFERS),
    (Section::Targets, "target", Target::REFERS),
    (Section::Externs, "extern", Extern::REFERS),
    (Section::Slots, "slot", Slot::REFERS),
    (Section::Kconfigs, "kconfig", Kconfig::REFERS),
    (Section::StructOps, "struct_ops", StructOp::REFERS),
    (Section::Btf, "BTF", &[]),
    (Section::Data, "data", &[]),
];

/// Size of an element of each section, in the order of [`Section`].
#[expect(clippy::indexing_slicing, reason = "done when this is compiled")]
pub(crate) const ELEMENT_BYTES: [u8; SECTIONS] = {
    let mut bytes = [1; SECTIONS];
    bytes[Section::Object as usize] = Object::BYTES as u8;
    bytes[Section::Btf as usize] = 4;
    bytes[Section::Insns as usize] = INSN_BYTES as u8;
    bytes[Section::FuncInfo as usize] = FUNC_INFO_BYTES as u8;
    bytes[Section::LineInfo as usize] = LINE_INFO_BYTES as u8;
    bytes[Section::Maps as usize] = Map::BYTES as u8;
    bytes[Section::Progs as usize] = Prog::BYTES as u8;
    bytes[Section::Relos as usize] = Relo::BYTES as u8;
    bytes[Section::CoreRelos as usize] = CoreRelo::BYTES as u8;
    bytes[Section::Accessors as usize] = Accessor::BYTES as u8;
    bytes[Section::Targets as usize] = Target::BYTES as u8;
    bytes[Section::Externs as usize] = Extern::BYTES as u8;
    bytes[Section::Slots as usize] = Slot::BYTES as u8;
    bytes[Section::Kconfigs as usize] = Kconfig::BYTES as u8;
    bytes[Section::StructOps as usize] = StructOp::BYTES as u8;
    bytes
};

/// Size of an element of a section.
#[inline(always)]
fn element_bytes(section: Section) -> usize {
    ELEMENT_BYTES
        .get(section as usize)
        .map_or(1, |size| usize::from(*size))
}

/// The bytes of `span` in a section of elements of `size` bytes.
fn elements(section: &[u8], span: Span, size: usize) -> Option<&[u8]> {
    let start = (span.start as usize).checked_mul(size)?;
    let len = (span.len as usize).checked_mul(size)?;
    section.get(start..)?.get(..len)
}

pub(crate) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

impl<'a> Image<'a> {
    /// Opens an image: what it begins with, and that it is as long as it says.
    ///
    /// Sections and what stands in them are not looked at; see [`Image::check`].
    ///
    /// # Errors
    /// The first thing found wrong, with its offset.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let wrong = |what, offset: usize| ImageError {
            what,
            offset: offset as u32,
        };
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(&MAGIC) {
            return Err(wrong("magic", 0));
        }
        if word(bytes, 4).map(|len| len as usize) != Some(bytes.len()) {
            return Err(wrong("length", 4));
        }
        Ok(Image { bytes })
    }

    /// Opens the first of images that follow each other; and what follows it.
    ///
    /// # Errors
    /// As for [`Image::parse`].
    pub fn parse_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ImageError> {
        let len = word(bytes, 4).unwrap_or(0) as usize;
        // What has no length, or one that is too big, fails as a whole.
        let (first, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
        Ok((Image::parse(first)?, rest))
    }

    /// Offset and bytes of a section.
    #[inline(never)]
    fn place(&self, section: Section) -> (usize, &'a [u8]) {
        let at = 8 + 8 * section as usize;
        let offset = word(self.bytes, at).unwrap_or(0) as usize;
        let len = word(self.bytes, at + 4).unwrap_or(0) as usize;
        let tail = self.bytes.get(offset..).unwrap_or_default();
        (offset, tail.get(..len).unwrap_or_default())
    }

    fn section(&self, section: Section) -> &'a [u8] {
        self.place(section).1
    }

    fn wrong(&self, what: &'static str, section: Section, offset: usize) -> ImageError {
        ImageError {
            what,
            offset: (self.place(section).0 + offset) as u32,
        }
    }

    /// Checks that the sections follow each other without gaps, in the order of the header.
    fn check_sections(&self) -> Result<(), ImageError> {
        let bytes = self.bytes;
        let wrong = |what, offset: usize| ImageError {
            what,
            offset: offset as u32,
        };
        let mut end = HEADER_BYTES;
        for at in (8..HEADER_BYTES).step_by(8) {
            let (offset, len) = (word(bytes, at), word(bytes, at + 4));
            if offset.map(|offset| offset as usize) != Some(end) {
                return Err(wrong("section offset", at));
            }
            let len = len.unwrap_or(0) as usize;
            if len > bytes.len() - end {
                return Err(wrong("section length", at));
            }
            end += len;
        }
        if end != bytes.len() {
            return Err(wrong("trailing bytes", end));
        }
        Ok(())
    }

    /// Checks every reference in the image. An executor need not: what is not
    /// there reads as empty, and a load of it fails at the step that misses it.
    /// A writer and a reader of foreign images want to know beforehand.
    ///
    /// # Errors
    /// The first thing found wrong, with its offset.
    pub fn check(&self) -> Result<(), ImageError> {
        self.check_sections()?;
        let strings = self.section(Section::Strings);
        // The first NUL is the empty string, the last one ends every string.
        if strings.first() != Some(&0) || strings.last() != Some(&0) {
            return Err(self.wrong("strings", Section::Strings, 0));
        }
        for (section, what, fields) in TABLES {
            let size = element_bytes(section);
            let bytes = self.section(section);
            if !bytes.len().is_multiple_of(size) {
                return Err(self.wrong(what, section, bytes.len()));
            }
            for (i, record) in bytes.chunks_exact(size).enumerate() {
                if !self.refers(record, fields) {
                    return Err(self.wrong(what, section, i * size));
                }
            }
        }
        if self.section(Section::Object).len() != Object::BYTES {
            return Err(self.wrong("object", Section::Object, 0));
        }
        // The kernel copies a whole value from the data, but for an arena.
        let whole = |m: &Map| m.data.len == m.value_size || m.map_type == map_type::ARENA;
        let bad = |m: &Map| m.data.len != 0 && !whole(m);
        if let Some(i) = self.maps().iter().position(|m| bad(&m)) {
            return Err(self.wrong("map data", Section::Maps, i * Map::BYTES));
        }
        let bad = |m: &Map| {
            let all = match m.map_type {
                map_type::PROG_ARRAY => self.progs().len(),
                _ => self.maps().len(),
            };
            self.slots(m.slots).iter().any(|s| s.index as usize >= all)
        };
        if let Some(i) = self.maps().iter().position(|m| bad(&m)) {
            return Err(self.wrong("map slots", Section::Maps, i * Map::BYTES));
        }
        let relos = Records::<Relo>::new(self.section(Section::Relos));
        let bad = |r: &Relo| match r.kind {
            relo_kind::MAP => self.maps().get(r.index).is_none(),
            relo_kind::EXTERN_LD64 | relo_kind::EXTERN_CALL | relo_kind::ADDRESS => {
                self.externs().get(r.index).is_none()
            }
            _ => true,
        };
        match relos.iter().position(|r| bad(&r)) {
            Some(i) => Err(self.wrong("relocation", Section::Relos, i * Relo::BYTES)),
            None => Ok(()),
        }
    }

    /// Is all there that the fields of a record refer to?
    fn refers(&self, record: &[u8], fields: &[Refers]) -> bool {
        let mut at = 0;
        fields.iter().all(|field| {
            let value = word(record, at).unwrap_or(0);
            at += 4;
            match *field {
                Refers::Value(words) => {
                    at += 4 * (words - 1);
                    true
                }
                Refers::Str => (value as usize) < self.section(Section::Strings).len(),
                Refers::Index(section) => self.has(section, value, 1),
                Refers::IndexOrNone(section) => value == 0 || self.has(section, value - 1, 1),
                Refers::Span(section) => {
                    let len = word(record, at).unwrap_or(0);
                    at += 4;
                    self.has(section, value, len)
                }
            }
        })
    }

    fn has(&self, section: Section, start: u32, len: u32) -> bool {
        elements(
            self.section(section),
            Span { start, len },
            element_bytes(section),
        )
        .is_some()
    }

    /// The bytes of a span; empty if it is not there.
    #[inline(always)]
    fn elements(&self, section: Section, span: Span) -> &'a [u8] {
        self.elements_of(section, span, element_bytes(section))
    }

    #[inline(never)]
    fn elements_of(&self, section: Section, span: Span, size: usize) -> &'a [u8] {
        elements(self.section(section), span, size).unwrap_or_default()
    }

    /// The bytes of the image itself.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The string at `string`, without its NUL.
    #[must_use]
    #[inline(never)]
    pub fn str(&self, string: Str) -> &'a [u8] {
        let tail = self.section(Section::Strings).get(string.0 as usize..);
        tail.and_then(|t| t.split(|b| *b == 0).next())
            .unwrap_or_default()
    }

    /// The string at `string` with its NUL, as the kernel takes strings; empty if it has none.
    #[must_use]
    pub fn c_str(&self, string: Str) -> &'a [u8] {
        let tail = self.section(Section::Strings).get(string.0 as usize..);
        tail.and_then(|t| t.get(..self.str(string).len() + 1))
            .unwrap_or_default()
    }

    /// The object record.
    #[must_use]
    pub fn object(&self) -> Object {
        Object::read(self.section(Section::Object))
    }

    /// BTF of the object as `BPF_BTF_LOAD` takes it; empty if it has none.
    #[must_use]
    pub fn btf(&self) -> &'a [u8] {
        let (start, types) = self.place(Section::Btf);
        let len = types.len() + self.section(Section::BtfStrings).len();
        // The one follows the other, as all sections do.
        self.bytes
            .get(start..)
            .and_then(|t| t.get(..len))
            .unwrap_or_default()
    }

    /// The maps, in the order of the object.
    #[must_use]
    pub fn maps(&self) -> Records<'a, Map> {
        Records::new(self.section(Section::Maps))
    }

    /// The programs, in the order of the object.
    #[must_use]
    pub fn progs(&self) -> Records<'a, Prog> {
        Records::new(self.section(Section::Progs))
    }

    /// The names to be found in kernel BTF.
    #[must_use]
    pub fn targets(&self) -> Records<'a, Target> {
        Records::new(self.section(Section::Targets))
    }

    /// The typed ksyms.
    #[must_use]
    pub fn externs(&self) -> Records<'a, Extern> {
        Records::new(self.section(Section::Externs))
    }

    /// Initial contents of a map; empty if it has none.
    #[must_use]
    pub fn data(&self, span: Span) -> &'a [u8] {
        self.elements(Section::Data, span)
    }

    /// Instructions of a program, 8 bytes each.
    #[must_use]
    pub fn insns(&self, span: Span) -> &'a [u8] {
        self.elements(Section::Insns, span)
    }

    /// func_info of a program, 8 bytes each.
    #[must_use]
    pub fn func_info(&self, span: Span) -> &'a [u8] {
        self.elements(Section::FuncInfo, span)
    }

    /// line_info of a program, 16 bytes each.
    #[must_use]
    pub fn line_info(&self, span: Span) -> &'a [u8] {
        self.elements(Section::LineInfo, span)
    }

    /// Relocations of a program.
    #[must_use]
    pub fn relos(&self, span: Span) -> Records<'a, Relo> {
        Records::new(self.section(Section::Relos)).span(span)
    }

    /// CO-RE relocations of a program.
    #[must_use]
    pub fn core_relos(&self, span: Span) -> Records<'a, CoreRelo> {
        Records::new(self.section(Section::CoreRelos)).span(span)
    }

    /// The variables of `.kconfig`.
    #[must_use]
    pub fn kconfigs(&self) -> Records<'a, Kconfig> {
        Records::new(self.section(Section::Kconfigs))
    }

    /// The functions of struct_ops.
    #[must_use]
    pub fn struct_ops(&self) -> Records<'a, StructOp> {
        Records::new(self.section(Section::StructOps))
    }

    /// What goes into a map.
    #[must_use]
    pub fn slots(&self, span: Span) -> Records<'a, Slot> {
        Records::new(self.section(Section::Slots)).span(span)
    }

    /// What it asks of its executor: the kinds of all CO-RE relocations, a bit for
    /// each, and those of [`need`].
    #[must_use]
    pub fn core_kinds(&self) -> u32 {
        let relos = Records::<CoreRelo>::new(self.section(Section::CoreRelos));
        let kinds = relos.iter().fold(0, |kinds, relo| {
            kinds | 1u32.checked_shl(relo.kind).unwrap_or(0)
        });
        let flag = |set: bool, need: u32| if set { need } else { 0 };
        let incomplete = self.object().flags & object_flags::INCOMPLETE != 0;
        let addresses = self.externs().iter().any(|e| e.target == 0);
        let kinds = kinds | flag(incomplete, need::COMPLETION) | flag(addresses, need::ADDRESSES);
        self.maps().iter().fold(kinds, |mut needs, map| {
            if map.inner != 0 || map.flags & map_flags::TEMPLATE != 0 {
                needs |= need::TEMPLATES;
            }
            if map.slots.len != 0 {
                needs |= need::SLOTS;
            }
            if map.value_target != 0 {
                needs |= need::STRUCT_OPS;
            }
            needs
        })
    }

    /// Step `index` of the access spec of a CO-RE relocation.
    #[must_use]
    pub fn accessor(&self, spec: Span, index: u32) -> Option<AccessorAt<'a>> {
        self.accessors(spec).at(index)
    }

    /// The access spec of a CO-RE relocation.
    #[must_use]
    pub fn accessors(&self, spec: Span) -> Records<'a, Accessor> {
        Records::new(self.section(Section::Accessors)).span(spec)
    }
}
