// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes BTF by hand, for the kernel's side of a test: sound by default, and
//! with knobs for what only a hostile or future kernel would serve.

use crate::btf_reader::Reader;

pub(crate) const INT: u32 = 1;
pub(crate) const PTR: u32 = 2;
pub(crate) const ARRAY: u32 = 3;
pub(crate) const STRUCT: u32 = 4;
pub(crate) const UNION: u32 = 5;
pub(crate) const ENUM: u32 = 6;
pub(crate) const FWD: u32 = 7;
pub(crate) const TYPEDEF: u32 = 8;
pub(crate) const CONST: u32 = 10;
pub(crate) const FUNC: u32 = 12;
pub(crate) const FUNC_PROTO: u32 = 13;
pub(crate) const VAR: u32 = 14;
pub(crate) const DATASEC: u32 = 15;
pub(crate) const DECL_TAG: u32 = 17;
pub(crate) const ENUM64: u32 = 19;

/// `BTF_INT_SIGNED`, in the word behind an integer.
const SIGNED: u32 = 1 << 24;
/// The kind flag of `info`.
const KFLAG: u32 = 1 << 31;

/// A member of a struct or union: name, type, offset in bits, and its width if
/// it is a bit-field (else 0).
pub(crate) type Member<'a> = (&'a str, u32, u32, u32);

/// BTF in the making.
#[derive(Clone)]
pub(crate) struct Btf {
    types: Vec<u8>,
    strings: Vec<u8>,
    next_id: u32,
    /// Length of the header: 24, or 32 with a layout section behind the strings.
    pub(crate) hdr_len: u32,
    /// `{info_sz, elem_sz, flags}` for each kind: 4 bytes each.
    pub(crate) layout: Vec<u8>,
}

impl Btf {
    /// Without types.
    pub(crate) fn new() -> Self {
        Btf {
            types: Vec::new(),
            strings: vec![0],
            next_id: 1,
            hdr_len: 24,
            layout: Vec::new(),
        }
    }

    /// Appends the types of other sound BTF, with the ids that follow.
    pub(crate) fn append(&mut self, btf: &[u8]) {
        let first = self.next_id - 1;
        for t in Reader::new(btf).records() {
            let id = |id: u32| if id == 0 { 0 } else { first + id };
            let kind = t.info >> 24 & 0x1f;
            let refers = match kind {
                INT | STRUCT | UNION | ENUM | ENUM64 | DATASEC => t.size_or_type,
                _ => id(t.size_or_type),
            };
            let mut tail = t.tail.clone();
            match kind {
                ARRAY => (tail[0], tail[1]) = (id(tail[0]), id(tail[1])),
                STRUCT | UNION | FUNC_PROTO => {
                    let words = if kind == FUNC_PROTO { 2 } else { 3 };
                    for member in tail.chunks_mut(words) {
                        member[0] = self.str(t.str(member[0]));
                        member[1] = id(member[1]);
                    }
                }
                ENUM => tail
                    .chunks_mut(2)
                    .for_each(|e| e[0] = self.str(t.str(e[0]))),
                ENUM64 => tail
                    .chunks_mut(3)
                    .for_each(|e| e[0] = self.str(t.str(e[0]))),
                DATASEC => tail.chunks_mut(3).for_each(|var| var[0] = id(var[0])),
                _ => {}
            }
            self.raw(t.str(t.name_off), t.info, refers, &tail);
        }
    }

    /// Offset of a string, which is appended.
    pub(crate) fn str(&mut self, string: &str) -> u32 {
        if string.is_empty() {
            return 0;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(string.as_bytes());
        self.strings.push(0);
        offset
    }

    /// The id that the next type will have: for types that name themselves.
    pub(crate) fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Any type: `info` as it stands in `struct btf_type`, and the words behind it.
    pub(crate) fn raw(&mut self, name: &str, info: u32, size_or_type: u32, tail: &[u32]) -> u32 {
        let name_off = self.str(name);
        let words = [name_off, info, size_or_type];
        let words = words.iter().chain(tail);
        self.types.extend(words.flat_map(|word| word.to_le_bytes()));
        self.next_id += 1;
        self.next_id - 1
    }

    fn plain(&mut self, kind: u32, name: &str, size_or_type: u32) -> u32 {
        self.raw(name, kind << 24, size_or_type, &[])
    }

    pub(crate) fn int(&mut self, name: &str, bytes: u32, signed: bool) -> u32 {
        let sign = if signed { SIGNED } else { 0 };
        self.raw(name, INT << 24, bytes, &[sign | (bytes * 8)])
    }

    pub(crate) fn ptr(&mut self, to: u32) -> u32 {
        self.plain(PTR, "", to)
    }

    pub(crate) fn konst(&mut self, of: u32) -> u32 {
        self.plain(CONST, "", of)
    }

    pub(crate) fn typedef(&mut self, name: &str, of: u32) -> u32 {
        self.plain(TYPEDEF, name, of)
    }

    pub(crate) fn array(&mut self, of: u32, index: u32, nelems: u32) -> u32 {
        self.raw("", ARRAY << 24, 0, &[of, index, nelems])
    }

    fn composite(&mut self, kind: u32, name: &str, bytes: u32, members: &[Member<'_>]) -> u32 {
        let bitfields = members.iter().any(|m| m.3 != 0);
        let mut tail = Vec::new();
        for (name, type_id, bit_offset, width) in members {
            tail.extend([self.str(name), *type_id, (width << 24) | bit_offset]);
        }
        let flag = if bitfields { KFLAG } else { 0 };
        let info = flag | kind << 24 | members.len() as u32;
        self.raw(name, info, bytes, &tail)
    }

    pub(crate) fn strukt(&mut self, name: &str, bytes: u32, members: &[Member<'_>]) -> u32 {
        self.composite(STRUCT, name, bytes, members)
    }

    pub(crate) fn union(&mut self, name: &str, bytes: u32, members: &[Member<'_>]) -> u32 {
        self.composite(UNION, name, bytes, members)
    }

    pub(crate) fn enumeration(&mut self, name: &str, values: &[(&str, i32)]) -> u32 {
        let mut tail = Vec::new();
        for (name, value) in values {
            tail.extend([self.str(name), *value as u32]);
        }
        self.raw(name, ENUM << 24 | values.len() as u32, 4, &tail)
    }

    pub(crate) fn enum64(&mut self, name: &str, values: &[(&str, u64)]) -> u32 {
        let mut tail = Vec::new();
        for (name, value) in values {
            tail.extend([self.str(name), *value as u32, (*value >> 32) as u32]);
        }
        self.raw(name, ENUM64 << 24 | values.len() as u32, 8, &tail)
    }

    /// A prototype; parameters have no names.
    pub(crate) fn proto(&mut self, returns: u32, params: &[u32]) -> u32 {
        let tail: Vec<u32> = params.iter().flat_map(|param| [0, *param]).collect();
        let info = FUNC_PROTO << 24 | params.len() as u32;
        self.raw("", info, returns, &tail)
    }

    pub(crate) fn func(&mut self, name: &str, proto: u32) -> u32 {
        // Static linkage, as kernel BTF has it of all functions.
        self.plain(FUNC, name, proto)
    }

    pub(crate) fn var(&mut self, name: &str, of: u32) -> u32 {
        self.raw(name, VAR << 24, of, &[1])
    }

    /// What every kernel with BPF iterators has: their functions, of this prototype.
    pub(crate) fn iterators(&mut self) -> u32 {
        let int = self.int("int", 4, true);
        let proto = self.proto(int, &[]);
        self.func("bpf_iter_bpf_map", proto);
        self.func("bpf_iter_bpf_prog", proto);
        proto
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut words = vec![0x0001_eb9f, self.hdr_len, 0, types, types, strings];
        if self.hdr_len >= 32 {
            words.extend([types + strings, self.layout.len() as u32]);
        }
        words.resize(self.hdr_len as usize / 4, 0);
        let header = words.iter().flat_map(|word| word.to_le_bytes());
        let body = self.types.iter().chain(&self.strings).chain(&self.layout);
        header.chain(body.copied()).collect()
    }
}
