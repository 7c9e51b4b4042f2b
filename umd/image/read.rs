// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading an image without trusting it.
//!
//! [`Image::parse`] checks every offset, index and span once. After it the
//! accessors find what they look for; for an index that is not of this image
//! they give nothing or the empty slice, and never panic.

use core::marker::PhantomData;

use crate::record::{
    Accessor, CoreRelo, Extern, Map, Object, Prog, Record, Relo, Span, Str, Target, core_kind,
    relo_kind, target_kind,
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

/// A checked image that borrows its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    sections: [&'a [u8]; SECTIONS],
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

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = R> + use<'a, R> {
        self.bytes.chunks_exact(R::BYTES).map(R::read)
    }
}

/// The bytes of `span` in a section of elements of `size` bytes.
fn elements(section: &[u8], span: Span, size: usize) -> Option<&[u8]> {
    let start = (span.start as usize).checked_mul(size)?;
    let len = (span.len as usize).checked_mul(size)?;
    section.get(start..)?.get(..len)
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

impl<'a> Image<'a> {
    /// Checks an image: header, section bounds, and every reference in it.
    ///
    /// # Errors
    /// The first thing found wrong, with its offset.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let wrong = |what, offset: usize| ImageError {
            what,
            offset: offset as u32,
        };
        if bytes.get(..4) != Some(MAGIC.as_slice()) {
            return Err(wrong("magic", 0));
        }
        if word(bytes, 4).map(|len| len as usize) != Some(bytes.len()) {
            return Err(wrong("length", 4));
        }
        let mut sections: [&[u8]; SECTIONS] = [&[]; SECTIONS];
        // Sections follow each other without gaps, in the order of the header.
        let mut end = HEADER_BYTES;
        for (i, section) in sections.iter_mut().enumerate() {
            let at = 8 + 8 * i;
            let (offset, len) = word(bytes, at)
                .zip(word(bytes, at + 4))
                .ok_or(wrong("header", at))?;
            if offset as usize != end {
                return Err(wrong("section offset", at));
            }
            *section = bytes
                .get(end..)
                .and_then(|b| b.get(..len as usize))
                .ok_or(wrong("section length", at))?;
            end += len as usize;
        }
        if end != bytes.len() {
            return Err(wrong("trailing bytes", end));
        }
        let image = Image { bytes, sections };
        image.check()?;
        Ok(image)
    }

    fn section(&self, section: Section) -> &'a [u8] {
        self.sections
            .get(section as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Offset in the image of byte `offset` of a section.
    fn position(&self, section: Section, offset: usize) -> u32 {
        let before = self
            .sections
            .iter()
            .take(section as usize)
            .map(|s| s.len())
            .sum::<usize>();
        (HEADER_BYTES + before + offset) as u32
    }

    /// Checks each record of a table; the check gives the name of the bad field.
    fn check_records<R: Record>(
        &self,
        section: Section,
        check: impl Fn(R) -> Option<&'static str>,
    ) -> Result<(), ImageError> {
        let bytes = self.section(section);
        for (i, record) in bytes.chunks(R::BYTES).enumerate() {
            let what = if record.len() == R::BYTES {
                check(R::read(record))
            } else {
                Some("table length")
            };
            if let Some(what) = what {
                let offset = self.position(section, i * R::BYTES);
                return Err(ImageError { what, offset });
            }
        }
        Ok(())
    }

    fn has_str(&self, string: Str) -> bool {
        (string.0 as usize) < self.section(Section::Strings).len()
    }

    fn has(&self, section: Section, span: Span, size: usize) -> bool {
        elements(self.section(section), span, size).is_some()
    }

    fn check(&self) -> Result<(), ImageError> {
        let strings = self.section(Section::Strings);
        // The last NUL ends every string, the first one is the empty string.
        if strings.first() != Some(&0) || strings.last() != Some(&0) {
            return Err(ImageError {
                what: "strings",
                offset: self.position(Section::Strings, 0),
            });
        }
        for (section, size) in [
            (Section::Insns, INSN_BYTES),
            (Section::FuncInfo, FUNC_INFO_BYTES),
            (Section::LineInfo, LINE_INFO_BYTES),
        ] {
            if !self.section(section).len().is_multiple_of(size) {
                return Err(ImageError {
                    what: "table length",
                    offset: self.position(section, 0),
                });
            }
        }
        if self.section(Section::Object).len() != Object::BYTES {
            return Err(ImageError {
                what: "object",
                offset: HEADER_BYTES as u32,
            });
        }
        let first = |bad: &[(bool, &'static str)]| bad.iter().find(|b| b.0).map(|b| b.1);
        self.check_records(Section::Object, |o: Object| {
            first(&[
                (!self.has_str(o.name), "object name"),
                (!self.has_str(o.license), "license"),
            ])
        })?;
        self.check_records(Section::Maps, |m: Map| {
            first(&[
                (!self.has_str(m.name), "map name"),
                (!self.has(Section::Data, m.data, 1), "map data"),
                (
                    m.data.len != 0 && m.data.len != m.value_size,
                    "map data length",
                ),
            ])
        })?;
        self.check_records(Section::Targets, |t: Target| {
            let class = t.kind & !target_kind::BTF_KIND_MASK;
            first(&[
                (!self.has_str(t.name), "target name"),
                (
                    class != target_kind::CORE && class != target_kind::EXACT,
                    "target kind",
                ),
            ])
        })?;
        self.check_records(Section::Externs, |e: Extern| {
            first(&[
                (!self.has_str(e.name), "extern name"),
                (self.targets().get(e.target).is_none(), "extern target"),
            ])
        })?;
        self.check_records(Section::Accessors, |a: Accessor| {
            first(&[(!self.has_str(a.name), "accessor name")])
        })?;
        self.check_records(Section::CoreRelos, |r: CoreRelo| {
            let local = r.kind == core_kind::TYPE_ID_LOCAL;
            first(&[
                (r.kind > core_kind::TYPE_MATCHES, "CO-RE kind"),
                (
                    !local && self.targets().get(r.target).is_none(),
                    "CO-RE target",
                ),
                (
                    !self.has(Section::Accessors, r.accessors, Accessor::BYTES),
                    "CO-RE accessors",
                ),
                (!self.has_str(r.access_str), "CO-RE access string"),
            ])
        })?;
        self.check_records(Section::Relos, |r: Relo| {
            let target = match r.kind {
                relo_kind::MAP => self.maps().get(r.index).is_some(),
                relo_kind::EXTERN_LD64 | relo_kind::EXTERN_CALL => {
                    self.externs().get(r.index).is_some()
                }
                _ => false,
            };
            first(&[(!target, "relocation")])
        })?;
        self.check_records(Section::Progs, |p: Prog| self.check_prog(p))
    }

    fn check_prog(&self, p: Prog) -> Option<&'static str> {
        let spans = [
            (Section::Insns, p.insns, INSN_BYTES, "instructions"),
            (Section::FuncInfo, p.func_info, FUNC_INFO_BYTES, "func_info"),
            (Section::LineInfo, p.line_info, LINE_INFO_BYTES, "line_info"),
            (Section::Relos, p.relos, Relo::BYTES, "relocations"),
            (
                Section::CoreRelos,
                p.core_relos,
                CoreRelo::BYTES,
                "CO-RE relocations",
            ),
        ];
        for (section, span, size, what) in spans {
            if !self.has(section, span, size) {
                return Some(what);
            }
        }
        if !self.has_str(p.name) || !self.has_str(p.link_name) {
            return Some("program name");
        }
        if p.attach_target != 0 && self.targets().get(p.attach_target - 1).is_none() {
            return Some("attach target");
        }
        let outside = |insn: u32| insn >= p.insns.len;
        let relos = self.relos(&p).iter().any(|r| outside(r.insn));
        let core_relos = self.core_relos(&p).iter().any(|r| outside(r.insn));
        (relos || core_relos).then_some("relocated instruction")
    }

    /// The bytes of the image itself.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The string at `string`, without its NUL.
    #[must_use]
    pub fn str(&self, string: Str) -> &'a [u8] {
        let tail = self.section(Section::Strings).get(string.0 as usize..);
        tail.and_then(|t| t.split(|b| *b == 0).next())
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
        self.section(Section::Btf)
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
    pub fn data(&self, map: &Map) -> &'a [u8] {
        elements(self.section(Section::Data), map.data, 1).unwrap_or_default()
    }

    /// Instructions of a program, 8 bytes each.
    #[must_use]
    pub fn insns(&self, prog: &Prog) -> &'a [u8] {
        elements(self.section(Section::Insns), prog.insns, INSN_BYTES).unwrap_or_default()
    }

    /// func_info of a program, 8 bytes each.
    #[must_use]
    pub fn func_info(&self, prog: &Prog) -> &'a [u8] {
        elements(
            self.section(Section::FuncInfo),
            prog.func_info,
            FUNC_INFO_BYTES,
        )
        .unwrap_or_default()
    }

    /// line_info of a program, 16 bytes each.
    #[must_use]
    pub fn line_info(&self, prog: &Prog) -> &'a [u8] {
        elements(
            self.section(Section::LineInfo),
            prog.line_info,
            LINE_INFO_BYTES,
        )
        .unwrap_or_default()
    }

    /// Relocations of a program.
    #[must_use]
    pub fn relos(&self, prog: &Prog) -> Records<'a, Relo> {
        Records::new(self.section(Section::Relos)).span(prog.relos)
    }

    /// CO-RE relocations of a program.
    #[must_use]
    pub fn core_relos(&self, prog: &Prog) -> Records<'a, CoreRelo> {
        Records::new(self.section(Section::CoreRelos)).span(prog.core_relos)
    }

    /// The access spec of a CO-RE relocation.
    #[must_use]
    pub fn accessors(&self, relo: &CoreRelo) -> Records<'a, Accessor> {
        Records::new(self.section(Section::Accessors)).span(relo.accessors)
    }
}
