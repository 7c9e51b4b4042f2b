// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads sound BTF, by means of its own: so that tests need not believe the code
//! under test. What is not sound panics.

use crate::btf_builder::{
    ARRAY, CONST, DATASEC, DECL_TAG, ENUM, ENUM64, FUNC_PROTO, INT, PTR, STRUCT, TYPEDEF, UNION,
    VAR,
};

/// Sound BTF, and where each of its types is.
pub(crate) struct Reader<'a> {
    btf: &'a [u8],
    strings: usize,
    /// Of type 1 first.
    offsets: Vec<usize>,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(btf: &'a [u8]) -> Self {
        let mut reader = Reader {
            btf,
            strings: 0,
            offsets: Vec::new(),
            end: 0,
        };
        let body = reader.word(4) as usize;
        let mut at = body + reader.word(8) as usize;
        let end = at + reader.word(12) as usize;
        reader.end = end;
        reader.strings = body + reader.word(16) as usize;
        while at < end {
            reader.offsets.push(at);
            let vlen = (reader.word(at + 4) & 0xffff) as usize;
            at += 12
                + match reader.word(at + 4) >> 24 & 0x1f {
                    INT | VAR | DECL_TAG => 4,
                    ARRAY => 12,
                    ENUM | FUNC_PROTO => 8 * vlen,
                    STRUCT | UNION | DATASEC | ENUM64 => 12 * vlen,
                    _ => 0,
                };
        }
        reader
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.btf[at..at + 4].try_into().unwrap())
    }

    fn at(&self, id: u32) -> usize {
        self.offsets[id as usize - 1]
    }

    fn kind(&self, id: u32) -> u32 {
        self.word(self.at(id) + 4) >> 24 & 0x1f
    }

    fn str(&self, offset: u32) -> &'a str {
        let tail = &self.btf[self.strings + offset as usize..];
        let string = tail.split(|b| *b == 0).next().unwrap();
        std::str::from_utf8(string).unwrap()
    }

    /// Name and kind of each type, type 1 first.
    pub(crate) fn types(&self) -> Vec<(String, u32)> {
        let ids = 1..=self.offsets.len() as u32;
        ids.map(|id| (self.str(self.word(self.at(id))).to_string(), self.kind(id)))
            .collect()
    }

    /// The types as they stand there, type 1 first.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let ends = self.offsets.iter().skip(1).copied().chain([self.end]);
        self.offsets.iter().zip(ends).map(|(at, end)| Record {
            reader: self,
            name_off: self.word(*at),
            info: self.word(at + 4),
            size_or_type: self.word(at + 8),
            tail: (at + 12..end).step_by(4).map(|at| self.word(at)).collect(),
        })
    }

    /// The struct or union of a name.
    pub(crate) fn find(&self, name: &str) -> u32 {
        let mut ids = 1..=self.offsets.len() as u32;
        let found = ids.find(|id| {
            matches!(self.kind(*id), STRUCT | UNION) && self.str(self.word(self.at(*id))) == name
        });
        found.unwrap_or_else(|| panic!("no struct or union {name}"))
    }

    /// The type behind typedefs and const.
    fn resolve(&self, mut id: u32) -> u32 {
        while matches!(self.kind(id), TYPEDEF | CONST) {
            id = self.word(self.at(id) + 8);
        }
        id
    }

    fn size(&self, id: u32) -> u32 {
        let id = self.resolve(id);
        let at = self.at(id);
        match self.kind(id) {
            PTR => 8,
            ARRAY => self.size(self.word(at + 12)) * self.word(at + 20),
            _ => self.word(at + 8),
        }
    }

    /// Offset in bits and size in bytes of a member by its path, `info.bpf_fd`;
    /// anonymous members are looked into.
    pub(crate) fn member(&self, root: u32, path: &str) -> Option<(u32, u32)> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let at = self.at(root);
        let flagged = self.word(at + 4) >> 31 != 0;
        for i in 0..(self.word(at + 4) & 0xffff) as usize {
            let [member, type_id, offset] = [0, 4, 8].map(|o| self.word(at + 12 + 12 * i + o));
            let offset = if flagged { offset & 0xff_ffff } else { offset };
            let within = self.resolve(type_id);
            let found = match self.str(member) {
                "" => self.member(within, path),
                found if found != name => continue,
                _ => match rest {
                    Some(rest) => self.member(within, rest),
                    None => Some((0, self.size(within))),
                },
            };
            if let Some((inner, size)) = found {
                return Some((offset + inner, size));
            }
        }
        None
    }
}

/// Name and kind of each type of sound BTF, type 1 first.
pub(crate) fn types(btf: &[u8]) -> Vec<(String, u32)> {
    Reader::new(btf).types()
}

/// One type as it stands there.
pub(crate) struct Record<'a> {
    reader: &'a Reader<'a>,
    pub(crate) name_off: u32,
    pub(crate) info: u32,
    pub(crate) size_or_type: u32,
    /// The words behind that.
    pub(crate) tail: Vec<u32>,
}

impl<'a> Record<'a> {
    pub(crate) fn str(&self, offset: u32) -> &'a str {
        self.reader.str(offset)
    }
}
