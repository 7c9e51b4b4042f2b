// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF of an object for kernels that do not know all of its kinds. What a kernel
//! does not know becomes something of the same length that it does, as in libbpf,
//! so that every type keeps its id; all else stays. For CO-RE the executor goes on
//! reading the object's own BTF.
//!
//! The layout section of 7.3 needs nothing here: lowering does not pass it on.

use bpf_preload_umd::btf::{kind, record_words};
use bpf_preload_umd::sys::{Errno, Sys, bpf};

use crate::btf::{Sections, assemble};
use crate::errno::EINVAL;
use crate::failure::number;
use crate::features::{Feature, Features};

/// One byte, unsigned: as a type it fits wherever something was.
const INT_8_BITS: u32 = 8;
const KFLAG: u32 = 1 << 31;

/// `BPF_BTF_LOAD` of an object's BTF, sanitised if the kernel does not take it as
/// it is: the fd.
///
/// # Errors
/// The kernel's first answer, where nothing in the BTF is of a kind that it does not know.
pub fn load<S: Sys>(sys: &S, btf: &[u8]) -> Result<i32, Errno> {
    let first = match bpf::btf_load(sys, btf) {
        // Its word for what it does not know. Who lacks a right would lack it for probes, too.
        Err(errno) if number(errno) == EINVAL => errno,
        loaded => return loaded,
    };
    let features = Features::new(sys);
    match sanitize(btf, &|feature| features.has(feature)) {
        Some(sanitised) => bpf::btf_load(sys, &sanitised),
        None => Err(first),
    }
}

/// BTF without what the kernel has not; none if that is nothing, or cannot be read.
fn sanitize(btf: &[u8], has: &dyn Fn(Feature) -> bool) -> Option<Vec<u8>> {
    let Sections { types, strings, .. } = Sections::of(btf)?;
    let words = types.as_chunks().0.iter();
    let mut sanitizer = Sanitizer {
        types: words.map(|word| u32::from_le_bytes(*word)).collect(),
        strings: strings.to_vec(),
        // Of each type the place of its name.
        names: vec![0],
        has,
        changed: false,
        placeholder: None,
    };
    sanitizer.run()?;
    let Sanitizer { types, strings, .. } = sanitizer;
    sanitizer.changed.then(|| assemble(&types, &strings))
}

struct Sanitizer<'f> {
    types: Vec<u32>,
    strings: Vec<u8>,
    names: Vec<u32>,
    has: &'f dyn Fn(Feature) -> bool,
    changed: bool,
    /// Id of an int that is there as long as there is no ENUM64.
    placeholder: Option<u32>,
}

impl Sanitizer<'_> {
    fn run(&mut self) -> Option<()> {
        let mut records = Vec::new();
        let mut at = 0;
        while at < self.types.len() {
            let [name, info] = *self.types.get(at..)?.first_chunk()?;
            let (once, each) = record_words(info >> 24 & 0x7f)?;
            // vlen; what a FUNC has in its place is its linkage.
            let len = 3 + once + each * (info & 0xff_ffff) as usize;
            self.types.get(at..)?.get(..len)?;
            records.push((at, len));
            self.names.push(name);
            at += len;
        }
        for (at, len) in records {
            let mut record = self.types.get(at..at + len)?.to_vec();
            if let Some(()) = self.record(&mut record) {
                self.changed = true;
                self.types.get_mut(at..at + len)?.copy_from_slice(&record);
            }
        }
        Some(())
    }

    /// Changes a record, if need be; else none.
    fn record(&mut self, record: &mut [u32]) -> Option<()> {
        use Feature::*;
        let has = self.has;
        let lacks = |feature| !has(feature);
        let (head, rest) = record.split_first_chunk_mut::<3>()?;
        let [name, info, third] = head;
        let (vlen, kflag) = (*info & 0xff_ffff, *info & KFLAG != 0);
        let of = |kind: u32| kind << 24;
        match *info >> 24 & 0x7f {
            kind::VAR if lacks(Datasec) => {
                (*info, *third) = (of(kind::INT), 1);
                *rest.first_mut()? = INT_8_BITS;
            }
            kind::DECL_TAG if lacks(DeclTag) || kflag && lacks(AttributeTag) => {
                (*info, *third) = (of(kind::INT), 1);
                *rest.first_mut()? = INT_8_BITS;
            }
            kind::DATASEC if lacks(Datasec) => {
                *name = self.renamed(*name, |byte| matches!(byte, b'.' | b'?'));
                *info = of(kind::STRUCT) | vlen;
                for [var, offset, size] in rest.as_chunks_mut().0 {
                    let name = *self.names.get(*var as usize)?;
                    (*var, *offset, *size) = (name, *var, *offset * 8);
                }
            }
            kind::DATASEC if self.letter(*name) == b'?' && lacks(QmarkDatasec) => {
                *name = self.renamed(*name, |byte| byte == b'?');
            }
            // As long as a member of an enum is a parameter.
            kind::FUNC_PROTO if lacks(Func) => (*info, *third) = (of(kind::ENUM) | vlen, 4),
            kind::FUNC if lacks(Func) => *info = of(kind::TYPEDEF),
            kind::FUNC if vlen != 0 && lacks(FuncGlobal) => *info = of(kind::FUNC),
            kind::FLOAT if lacks(Float) => (*name, *info) = (0, of(kind::STRUCT)),
            kind::TYPE_TAG if lacks(TypeTag) || kflag && lacks(AttributeTag) => {
                (*name, *info) = (0, of(kind::CONST));
            }
            kind::ENUM if kflag && lacks(Enum64) => *info &= !KFLAG,
            kind::ENUM64 if lacks(Enum64) => {
                let placeholder = self.placeholder();
                *info = of(kind::UNION) | vlen;
                for [_, low, high] in rest.as_chunks_mut().0 {
                    (*low, *high) = (placeholder, 0);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// What enumerators of 64 bits are members of: behind all other types.
    fn placeholder(&mut self) -> u32 {
        if let Some(id) = self.placeholder {
            return id;
        }
        let name = self.strings.len() as u32;
        self.strings.extend(b"enum64_placeholder\0");
        self.types.extend([name, kind::INT << 24, 1, INT_8_BITS]);
        let id = self.names.len() as u32;
        self.placeholder = Some(id);
        id
    }

    fn letter(&self, name: u32) -> u8 {
        self.strings.get(name as usize).copied().unwrap_or(0)
    }

    /// A name with `_` for some bytes. Others may have the old one.
    fn renamed(&mut self, name: u32, replace: impl Fn(u8) -> bool) -> u32 {
        let tail = self.strings.get(name as usize..).unwrap_or_default();
        let bytes = tail.iter().take_while(|byte| **byte != 0);
        let new = bytes.map(|byte| if replace(*byte) { b'_' } else { *byte });
        let new: Vec<u8> = new.chain([0]).collect();
        let place = self.strings.len() as u32;
        self.strings.extend(new);
        place
    }
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds has failed"
)]
mod tests {
    use super::*;

    const INT: [u32; 4] = [1, kind::INT << 24, 4, 32];
    const NAMES: &[u8] = b"\0a\0b\0?.s.x\0";

    /// Types behind an int (1), sanitised for a kernel without these features: what
    /// they become, and the strings.
    fn without(lacking: &[Feature], types: &[u32]) -> Option<(Vec<u32>, Vec<u8>)> {
        let all: Vec<u32> = INT.iter().chain(types).copied().collect();
        let len = 4 * all.len();
        let new = sanitize(&assemble(&all, NAMES), &|f| !lacking.contains(&f))?;
        let words = new.as_chunks().0.iter();
        let words: Vec<u32> = words.map(|word| u32::from_le_bytes(*word)).collect();
        let types_len = words[3] as usize;
        assert_eq!(words[..4], [0x0001_eb9f, 24, 0, types_len as u32]);
        assert_eq!(words[4], words[3], "strings follow the types");
        assert_eq!(new.len(), 24 + types_len + words[5] as usize);
        assert!(types_len >= len, "a type is gone");
        let types = &words[6..6 + types_len / 4];
        assert_eq!(types[..4], INT);
        Some((types[4..].to_vec(), new[24 + types_len..].to_vec()))
    }

    #[test]
    fn what_a_kernel_lacks_changes_the_length_of_a_record() {
        use Feature::*;
        let of = |kind: u32| kind << 24;
        let var = [1, of(kind::VAR), 1, 1];
        let cases: &[(Feature, &[u32], &[u32])] = &[
            (Datasec, &var, &[1, of(kind::INT), 1, 8]),
            (
                DeclTag,
                &[1, of(kind::DECL_TAG), 1, 0],
                &[1, of(kind::INT), 1, 8],
            ),
            (
                AttributeTag,
                &[1, KFLAG | of(kind::DECL_TAG), 1, 0],
                &[1, of(kind::INT), 1, 8],
            ),
            (
                Func,
                &[0, of(kind::FUNC_PROTO) | 1, 1, 3, 1, 1, of(kind::FUNC), 2],
                &[0, of(kind::ENUM) | 1, 4, 3, 1, 1, of(kind::TYPEDEF), 2],
            ),
            (
                FuncGlobal,
                &[1, of(kind::FUNC) | 1, 1],
                &[1, of(kind::FUNC), 1],
            ),
            (Float, &[1, of(kind::FLOAT), 8], &[0, of(kind::STRUCT), 8]),
            (
                TypeTag,
                &[1, of(kind::TYPE_TAG), 1],
                &[0, of(kind::CONST), 1],
            ),
            (
                AttributeTag,
                &[1, KFLAG | of(kind::TYPE_TAG), 1],
                &[0, of(kind::CONST), 1],
            ),
            (
                Enum64,
                &[1, KFLAG | of(kind::ENUM) | 1, 4, 3, 7],
                &[1, of(kind::ENUM) | 1, 4, 3, 7],
            ),
        ];
        for (lacking, types, expected) in cases {
            let (new, strings) = without(&[*lacking], types).expect("sanitised");
            assert_eq!(
                (new.as_slice(), strings.as_slice()),
                (*expected, NAMES),
                "{lacking:?}"
            );
            // What the kernel has stays.
            assert_eq!(without(&[], types), None, "{lacking:?}");
        }
    }

    #[test]
    fn section_of_variables_loses_its_name_or_theirs() {
        let var = [1, kind::VAR << 24, 1, 1];
        let mut types = var.to_vec();
        types.extend([5, kind::DATASEC << 24 | 1, 4, 2, 8, 4]);
        let (new, strings) = without(&[Feature::Datasec], &types).expect("sanitised");
        let name = NAMES.len() as u32;
        let int = [1, kind::INT << 24, 1, 8];
        assert_eq!(new[..4], int);
        assert_eq!(new[4..], [name, kind::STRUCT << 24 | 1, 4, 1, 2, 64]);
        assert!(strings.ends_with(b"\0__s_x\0"));

        let (new, strings) = without(&[Feature::QmarkDatasec], &types).expect("sanitised");
        assert_eq!((&new[..4], new[4]), (var.as_slice(), name));
        assert_eq!(new[5..], types[5..]);
        assert!(strings.ends_with(b"\0_.s.x\0"));
    }

    #[test]
    fn large_enums_share_one_placeholder_behind_all_types() {
        let large = [1, kind::ENUM64 << 24 | 1, 8, 3, 5, 6];
        let types: Vec<u32> = large.iter().chain(&large).copied().collect();
        let (new, strings) = without(&[Feature::Enum64], &types).expect("sanitised");
        let union = [1, kind::UNION << 24 | 1, 8, 3, 4, 0];
        assert_eq!((&new[..6], &new[6..12]), (&union[..], &union[..]));
        assert_eq!(new[12..], [NAMES.len() as u32, kind::INT << 24, 1, 8]);
        assert!(strings.ends_with(b"\0enum64_placeholder\0"));
    }

    #[test]
    fn btf_that_cannot_be_read_is_sanitised() {
        let all = |_| false;
        let float = assemble(&[1, kind::FLOAT << 24, 8], NAMES);
        assert!(sanitize(&float, &all).is_some());
        for len in 0..float.len() {
            assert_eq!(sanitize(&float[..len], &all), None, "{len}");
        }
        let unknown = assemble(&[1, kind::FLOAT << 24, 8, 1, 20 << 24, 8], NAMES);
        assert_eq!(sanitize(&unknown, &all), None);
        let cut = assemble(&[1, kind::FLOAT << 24, 8, 1, kind::VAR << 24, 1], NAMES);
        assert_eq!(sanitize(&cut, &all), None);
    }
}
