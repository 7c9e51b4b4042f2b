// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF of the object: its types by id, and its strings.
//!
//! [`Btf::parse`] checks each reference once, so that what comes later needs no
//! error for them.

use std::ffi::CStr;

use crate::btf_type::read_type;
pub(crate) use crate::btf_type::{EXTERN, GLOBAL, STATIC, Type, Word, kind};
use crate::elf::{MAX_NAME_BYTES, MAX_NAMES_BYTES};
use crate::error::{LowerError, Result, printable};

pub(crate) const MAGIC: u16 = 0xeb9f;
pub(crate) const VERSION: u8 = 1;
/// Header up to `str_len`; 7.3 knows a longer one.
pub(crate) const HEADER_BYTES: usize = 24;
/// Longest chain of types that libbpf and the kernel follow.
pub(crate) const MAX_DEPTH: usize = 32;
/// Parsed BTF; type 0 is `void`.
pub(crate) struct Btf<'a> {
    types: Vec<Type>,
    strings: &'a [u8],
    void: Type,
}

impl<'a> Btf<'a> {
    /// BTF of an object that has none.
    pub(crate) fn empty() -> Self {
        Btf {
            types: vec![Type::default()],
            strings: &[0],
            void: Type::default(),
        }
    }

    /// Parses the contents of `.BTF`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let wrong = |what: &str, offset: usize| LowerError::new(what).at(offset as u64);
        let word =
            |offset| read_word(bytes, offset).ok_or_else(|| wrong("header is cut off", offset));
        let first = word(0)?;
        if first as u16 == MAGIC.swap_bytes() {
            return Err(wrong("big-endian BTF", 0));
        }
        if first != u32::from(MAGIC) | u32::from(VERSION) << 16 {
            return Err(wrong("not BTF version 1 without flags", 0));
        }
        // Longer headers are newer ones; what is known of them is their beginning.
        let header_len = word(4)? as usize;
        if header_len < HEADER_BYTES {
            return Err(wrong("header is too short", 4));
        }
        let body = bytes
            .get(header_len..)
            .ok_or_else(|| wrong("header is cut off", 4))?;
        let part = |at: usize, what| {
            let (start, len) = (word(at)? as usize, word(at + 4)? as usize);
            let part = body.get(start..).and_then(|b| b.get(..len));
            part.ok_or_else(|| wrong(what, at))
        };
        let strings = part(16, "string section is cut off")?;
        // Then every string ends, and offset 0 is the empty one.
        if strings.first() != Some(&0) || strings.last() != Some(&0) {
            return Err(wrong("strings do not begin and end with NUL", 16));
        }
        let mut btf = Btf {
            strings,
            ..Btf::empty()
        };
        let mut words = part(8, "type section is cut off")?;
        let start = header_len + word(8)? as usize;
        let total = words.len();
        while !words.is_empty() {
            let at = start + (total - words.len());
            let ty = read_type(&mut words).map_err(|e| e.at(at as u64))?;
            btf.types.push(ty);
        }
        btf.check()?;
        Ok(btf)
    }

    /// Checks that every string and type that a type names exists.
    fn check(&self) -> Result<()> {
        let mut names_bytes = 0;
        for (id, ty) in self.iter() {
            for (word, value) in ty.words() {
                if word == Word::Str {
                    let name_bytes = self.str(value).len();
                    names_bytes += name_bytes;
                    if name_bytes > MAX_NAME_BYTES || names_bytes > MAX_NAMES_BYTES {
                        let what = if name_bytes > MAX_NAME_BYTES {
                            format!("type [{id}] has a name of {name_bytes} bytes")
                        } else {
                            format!("names of more than {MAX_NAMES_BYTES} bytes in all")
                        };
                        return Err(LowerError::new(what));
                    }
                }
                let good = match word {
                    Word::Plain => true,
                    Word::Str => (value as usize) < self.strings.len(),
                    Word::Type => (value as usize) < self.types.len(),
                };
                if !good {
                    let what = format!("type [{id}] refers to {value}, which does not exist");
                    return Err(LowerError::new(what));
                }
            }
        }
        Ok(())
    }

    /// Number of types, `void` included.
    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }

    /// The types with their ids, without `void`.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &Type)> {
        self.types
            .iter()
            .enumerate()
            .skip(1)
            .map(|(i, t)| (i as u32, t))
    }

    /// The type `id`; `void` if there is none, which [`Btf::check`] excludes for ids out of BTF.
    pub(crate) fn ty(&self, id: u32) -> &Type {
        self.types.get(id as usize).unwrap_or(&self.void)
    }

    pub(crate) fn ty_mut(&mut self, id: u32) -> Option<&mut Type> {
        self.types.get_mut(id as usize)
    }

    /// The string at `offset`, without its NUL.
    pub(crate) fn str(&self, offset: u32) -> &'a [u8] {
        let tail = self.strings.get(offset as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(tail).map_or(&[], CStr::to_bytes)
    }

    pub(crate) fn strings_len(&self) -> usize {
        self.strings.len()
    }

    pub(crate) fn has_str(&self, offset: u32) -> bool {
        (offset as usize) < self.strings.len()
    }

    /// Name of type `id`.
    pub(crate) fn name(&self, id: u32) -> &'a [u8] {
        self.str(self.ty(id).name)
    }

    /// Name of type `id` for messages.
    pub(crate) fn shown(&self, id: u32) -> String {
        let name = self.name(id);
        printable(if name.is_empty() { b"<anon>" } else { name })
    }

    /// Follows modifiers and typedefs; `None` if there are too many, or a loop of them.
    pub(crate) fn skip_mods(&self, mut id: u32) -> Option<u32> {
        for _ in 0..MAX_DEPTH {
            let ty = self.ty(id);
            match ty.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = ty.third;
                }
                _ => return Some(id),
            }
        }
        None
    }

    /// Alignment in bytes of an integer, an enum, or an array of those.
    pub(crate) fn align(&self, id: u32) -> Option<u32> {
        let mut id = self.skip_mods(id)?;
        for _ in 0..MAX_DEPTH {
            let ty = self.ty(id);
            match ty.kind() {
                kind::INT | kind::ENUM | kind::ENUM64 => {
                    return Some(ty.third.min(8)).filter(|align| align.is_power_of_two());
                }
                kind::ARRAY => id = self.skip_mods(ty.array().0)?,
                _ => return None,
            }
        }
        None
    }

    /// Size in bytes as libbpf resolves it, at most `u32::MAX`; `None` if the type has none.
    pub(crate) fn size(&self, mut id: u32) -> Option<u32> {
        let mut elements = 1u32;
        for _ in 0..MAX_DEPTH {
            let ty = self.ty(id);
            match ty.kind() {
                kind::INT
                | kind::STRUCT
                | kind::UNION
                | kind::ENUM
                | kind::ENUM64
                | kind::DATASEC
                | kind::FLOAT => return ty.third.checked_mul(elements),
                kind::PTR => return elements.checked_mul(8),
                kind::TYPEDEF
                | kind::VOLATILE
                | kind::CONST
                | kind::RESTRICT
                | kind::VAR
                | kind::DECL_TAG
                | kind::TYPE_TAG => id = ty.third,
                kind::ARRAY => {
                    let (element, count) = ty.array();
                    elements = elements.checked_mul(count)?;
                    id = element;
                }
                _ => return None,
            }
        }
        None
    }
}

pub(crate) fn read_word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: u32 = kind::INT << 24;

    /// BTF of these words, with a header of `header_len` bytes and the strings "\0name\0".
    fn btf(header_len: u32, types: &[u32]) -> Vec<u8> {
        let len = types.len() as u32 * 4;
        let mut words = vec![0x0001_eb9f, header_len, 0, len, len, 6];
        words.resize(header_len as usize / 4, 0);
        words.extend(types);
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend_from_slice(b"\0name\0");
        bytes
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = Btf::parse(bytes).err().expect("was parsed");
        error.to_string()
    }

    #[test]
    fn longer_header_of_7_3_is_read() {
        for header_len in [24, 32, 40] {
            let bytes = btf(header_len, &[1, INT, 4, 32]);
            let btf = Btf::parse(&bytes).expect("parse");
            assert_eq!(
                (btf.len(), btf.name(1), btf.size(1)),
                (2, b"name".as_slice(), Some(4))
            );
        }
        assert_eq!(refusal(&btf(20, &[])), "offset 0x4: header is too short");
    }

    #[test]
    fn enum_of_more_than_16_bits_is_read_whole() {
        let count = 0x1_0001;
        let mut types = vec![0, kind::ENUM << 24 | count, 4];
        types.extend((0..count).flat_map(|value| [1, value]));
        types.extend([1, INT, 8, 64]);
        let bytes = btf(24, &types);
        let btf = Btf::parse(&bytes).expect("parse");
        assert_eq!(
            (btf.len(), btf.ty(1).vlen(), btf.size(2)),
            (3, 0x1_0001, Some(8))
        );
    }

    #[test]
    fn what_cannot_be_walked_is_refused_with_its_place() {
        let unknown = btf(24, &[1, INT, 4, 32, 0, 20 << 24, 0]);
        assert_eq!(refusal(&unknown), "offset 0x28: unsupported BTF kind 20");
        let cut = btf(24, &[1, INT, 4, 32, 0, kind::ARRAY << 24, 0, 1, 1]);
        assert_eq!(refusal(&cut), "offset 0x28: type is cut off");
        let huge = btf(24, &[0, kind::STRUCT << 24 | 0x00ff_ffff, 8, 0, 1, 0]);
        assert_eq!(refusal(&huge), "offset 0x18: type is cut off");
        for types in [[0, kind::PTR << 24, 2], [6, kind::FWD << 24, 0]] {
            assert!(refusal(&btf(24, &types)).contains("which does not exist"));
        }
    }

    #[test]
    fn loop_of_types_ends() {
        let bytes = btf(24, &[1, kind::TYPEDEF << 24, 2, 0, kind::CONST << 24, 1]);
        let btf = Btf::parse(&bytes).expect("parse");
        assert_eq!((btf.skip_mods(1), btf.size(1)), (None, None));
        // An array of itself: 2 elements each, as deep as anybody looks.
        let bytes = self::btf(24, &[0, kind::ARRAY << 24, 0, 1, 1, 2]);
        assert_eq!(Btf::parse(&bytes).expect("parse").size(1), None);
    }
}
