// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing an image. Determinism is the point: sections are appended to in
//! call order, strings are kept once in order of first use.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::field::{Record, Span, Str};
use crate::read::word;
use crate::record::{
    Accessor, CoreRelo, Extern, Kconfig, Map, Object, Prog, Relo, Slot, StructOp, Target,
};
use crate::{
    FUNC_INFO_BYTES, HEADER_BYTES, INSN_BYTES, Image, ImageError, LINE_INFO_BYTES, MAGIC, SECTIONS,
    Section,
};

/// An image in the making.
#[derive(Clone, Debug)]
pub struct Writer {
    sections: [Vec<u8>; SECTIONS],
    /// Places of the strings, and indices of the targets by name and kind: an
    /// object may have more of them than can be searched one by one.
    strings: BTreeMap<Vec<u8>, Str>,
    targets: BTreeMap<(u32, u32), u32>,
}

impl Default for Writer {
    fn default() -> Self {
        let mut writer = Writer::empty();
        writer.str(b"");
        writer
    }
}

impl Writer {
    fn empty() -> Self {
        Writer {
            sections: [const { Vec::new() }; SECTIONS],
            strings: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }

    /// The contents of an image, to be changed: by whoever completes it for a machine.
    ///
    /// It does not know what strings and targets there are: more of either are added
    /// without a look at them.
    #[must_use]
    pub fn of(image: &Image<'_>) -> Self {
        let mut writer = Writer::empty();
        for (at, section) in (8..).step_by(8).zip(&mut writer.sections) {
            let start = word(image.bytes, at).unwrap_or(0) as usize;
            let len = word(image.bytes, at + 4).unwrap_or(0) as usize;
            let bytes = image.bytes.get(start..).and_then(|tail| tail.get(..len));
            section.extend_from_slice(bytes.unwrap_or_default());
        }
        writer
    }

    /// Puts a record in the place of another one; nothing happens if there is none.
    fn replace<R: Record>(&mut self, section: Section, index: u32, record: R) {
        let start = (index as usize).saturating_mul(R::BYTES);
        let places = self.section(section).get_mut(start..).unwrap_or_default();
        let mut places = places.as_chunks_mut::<4>().0.iter_mut();
        record.words(&mut |word| {
            if let Some(place) = places.next() {
                *place = word.to_le_bytes();
            }
        });
    }

    /// Changes a map.
    pub fn replace_map(&mut self, index: u32, map: Map) {
        self.replace(Section::Maps, index, map);
    }

    /// Changes an extern.
    pub fn replace_extern(&mut self, index: u32, ksym: Extern) {
        self.replace(Section::Externs, index, ksym);
    }

    /// Changes as many bytes of a span of data as both have.
    pub fn replace_data(&mut self, span: Span, bytes: &[u8]) {
        let data = self.section(Section::Data).get_mut(span.start as usize..);
        let places = data.unwrap_or_default().iter_mut().take(span.len as usize);
        places.zip(bytes).for_each(|(place, byte)| *place = *byte);
    }

    fn section(&mut self, section: Section) -> &mut Vec<u8> {
        #[expect(clippy::indexing_slicing, reason = "a Section is less than SECTIONS")]
        &mut self.sections[section as usize]
    }

    /// Appends bytes; the span counts elements of `size` bytes.
    fn append(&mut self, section: Section, bytes: &[u8], size: usize) -> Span {
        let section = self.section(section);
        let start = section.len() / size;
        section.extend_from_slice(bytes);
        Span {
            start: start as u32,
            len: (bytes.len() / size) as u32,
        }
    }

    /// Appends records; the span is theirs.
    fn append_records<R: Record>(&mut self, section: Section, records: &[R]) -> Span {
        let mut bytes = Vec::new();
        for record in records {
            record.words(&mut |word| bytes.extend_from_slice(&word.to_le_bytes()));
        }
        self.append(section, &bytes, R::BYTES)
    }

    /// Keeps a string (without NUL) and gives its place; the same string, the same place.
    pub fn str(&mut self, string: &[u8]) -> Str {
        if let Some(known) = self.strings.get(string) {
            return *known;
        }
        let strings = self.section(Section::Strings);
        let place = Str(strings.len() as u32);
        strings.extend_from_slice(string);
        strings.push(0);
        self.strings.insert(string.to_vec(), place);
        place
    }

    /// Sets the object record.
    pub fn object(&mut self, object: Object) {
        self.section(Section::Object).clear();
        self.append_records(Section::Object, &[object]);
    }

    /// Sets the BTF that `BPF_BTF_LOAD` gets, its strings last.
    pub fn btf(&mut self, mut btf: Vec<u8>) {
        // struct btf_header: hdr_len, and from its end on str_off.
        let field = |offset| word(&btf, offset).unwrap_or(0) as usize;
        let strings = (field(4) + field(16)).min(btf.len());
        *self.section(Section::BtfStrings) = btf.split_off(strings);
        *self.section(Section::Btf) = btf;
    }

    /// Appends initial contents of a map.
    pub fn data(&mut self, bytes: &[u8]) -> Span {
        self.append(Section::Data, bytes, 1)
    }

    /// Appends instructions, 8 bytes each.
    pub fn insns(&mut self, bytes: &[u8]) -> Span {
        self.append(Section::Insns, bytes, INSN_BYTES)
    }

    /// Appends func_info, 8 bytes each.
    pub fn func_info(&mut self, bytes: &[u8]) -> Span {
        self.append(Section::FuncInfo, bytes, FUNC_INFO_BYTES)
    }

    /// Appends line_info, 16 bytes each.
    pub fn line_info(&mut self, bytes: &[u8]) -> Span {
        self.append(Section::LineInfo, bytes, LINE_INFO_BYTES)
    }

    /// Appends a map; the result is its index.
    pub fn map(&mut self, map: Map) -> u32 {
        self.append_records(Section::Maps, &[map]).start
    }

    /// Appends what goes into one map.
    pub fn slots(&mut self, slots: &[Slot]) -> Span {
        self.append_records(Section::Slots, slots)
    }

    /// Appends a program; the result is its index.
    pub fn prog(&mut self, prog: Prog) -> u32 {
        self.append_records(Section::Progs, &[prog]).start
    }

    /// Appends relocations of one program.
    pub fn relos(&mut self, relos: &[Relo]) -> Span {
        self.append_records(Section::Relos, relos)
    }

    /// Appends CO-RE relocations of one program.
    pub fn core_relos(&mut self, relos: &[CoreRelo]) -> Span {
        self.append_records(Section::CoreRelos, relos)
    }

    /// Appends the accessors of one spec.
    pub fn accessors(&mut self, accessors: &[Accessor]) -> Span {
        self.append_records(Section::Accessors, accessors)
    }

    /// Keeps a target and gives its index; the same target, the same index.
    pub fn target(&mut self, target: Target) -> u32 {
        let key = (target.name.0, target.kind);
        if let Some(known) = self.targets.get(&key) {
            return *known;
        }
        let index = self.append_records(Section::Targets, &[target]).start;
        self.targets.insert(key, index);
        index
    }

    /// Appends a function of struct_ops.
    pub fn struct_op(&mut self, op: StructOp) {
        self.append_records(Section::StructOps, &[op]);
    }

    /// These functions of struct_ops, and no others.
    pub fn replace_struct_ops(&mut self, ops: &[StructOp]) {
        self.section(Section::StructOps).clear();
        self.append_records(Section::StructOps, ops);
    }

    /// Changes a program.
    pub fn replace_prog(&mut self, index: u32, prog: Prog) {
        self.replace(Section::Progs, index, prog);
    }

    /// Appends a variable of `.kconfig`.
    pub fn kconfig(&mut self, kconfig: Kconfig) {
        self.append_records(Section::Kconfigs, &[kconfig]);
    }

    /// Appends a ksym; the result is its index.
    pub fn extern_(&mut self, ksym: Extern) -> u32 {
        self.append_records(Section::Externs, &[ksym]).start
    }

    /// The image.
    ///
    /// # Errors
    /// What [`Image::check`] says of it, if what was written does not fit together.
    pub fn finish(self) -> Result<Vec<u8>, ImageError> {
        let total = HEADER_BYTES + self.sections.iter().map(Vec::len).sum::<usize>();
        let mut image = Vec::with_capacity(total);
        image.extend_from_slice(&MAGIC);
        image.extend_from_slice(&(total as u32).to_le_bytes());
        let mut offset = HEADER_BYTES;
        for section in &self.sections {
            image.extend_from_slice(&(offset as u32).to_le_bytes());
            image.extend_from_slice(&(section.len() as u32).to_le_bytes());
            offset += section.len();
        }
        for section in &self.sections {
            image.extend_from_slice(section);
        }
        Image::parse(&image)?.check()?;
        Ok(image)
    }
}
