// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF of a module with a base of its own (`.BTF.base`, since 6.11): it counts on not from the
//! kernel's types but from the few that it needs of them, by name, so that it fits kernels that
//! differ otherwise. Here it is made to count on from a kernel's, as that does itself.

use std::collections::HashMap;

use bpf_preload_umd::btf::kind;

use crate::btf::{Sections, assemble, records};
use crate::failure::Failure;

/// The module's BTF for a kernel with this BTF.
///
/// # Errors
/// Damaged BTF, or a type of the base that the kernel has not, or not of that size.
pub(crate) fn onto(vmlinux: &[u8], base: &[u8], split: &[u8]) -> Result<Vec<u8>, Failure> {
    let bad = |of: &str| Failure::new(format!("bad BTF of {of}"));
    let vmlinux = Sections::of(vmlinux).ok_or_else(|| bad("the kernel"))?;
    let base = Sections::of(base).ok_or_else(|| bad("its base"))?;
    let split = Sections::of(split).ok_or_else(|| bad("the module"))?;
    let ids = ids(&vmlinux, &base)?;
    let first = 1 + vmlinux.types().count() as u32;
    let id = |id: u32| match ids.get(id as usize) {
        Some(id) => *id,
        // One that no BTF can have stays one.
        None => (id - ids.len() as u32).saturating_add(first),
    };
    let mut types: Vec<u32> = Vec::new();
    let mut strings = split.strings.to_vec();
    let mut string = |at: u32| -> u32 {
        let (at, len) = (at as usize, vmlinux.strings.len());
        if at == 0 {
            return 0;
        }
        match at.checked_sub(base.strings.len()) {
            Some(at) => (len + at) as u32,
            // One of the base's, which goes.
            None => {
                let place = len + strings.len();
                strings.extend(name(&base, at as u32));
                strings.push(0);
                place as u32
            }
        }
    };
    for record in records(&split) {
        let mut record = record.ok_or_else(|| bad("the module"))?;
        let Some((head, rest)) = record.split_first_chunk_mut::<3>() else {
            return Err(bad("the module"));
        };
        let [name, info, third] = head;
        *name = string(*name);
        match *info >> 24 & 0x7f {
            kind::PTR
            | kind::TYPEDEF
            | kind::VOLATILE
            | kind::CONST
            | kind::RESTRICT
            | kind::FUNC
            | kind::FUNC_PROTO
            | kind::VAR
            | kind::DECL_TAG
            | kind::TYPE_TAG => {
                *third = id(*third);
            }
            _ => {}
        }
        match *info >> 24 & 0x7f {
            kind::ARRAY => rest.iter_mut().take(2).for_each(|ty| *ty = id(*ty)),
            kind::STRUCT | kind::UNION => {
                for [name, ty, _] in rest.as_chunks_mut().0 {
                    (*name, *ty) = (string(*name), id(*ty));
                }
            }
            kind::FUNC_PROTO => {
                for [name, ty] in rest.as_chunks_mut().0 {
                    (*name, *ty) = (string(*name), id(*ty));
                }
            }
            kind::ENUM => {
                for [name, _] in rest.as_chunks_mut().0 {
                    *name = string(*name);
                }
            }
            kind::ENUM64 => {
                for [name, _, _] in rest.as_chunks_mut().0 {
                    *name = string(*name);
                }
            }
            kind::DATASEC => {
                for [ty, _, _] in rest.as_chunks_mut().0 {
                    *ty = id(*ty);
                }
            }
            _ => {}
        }
        types.extend(record);
    }
    Ok(assemble(&types, &strings))
}

fn name<'b>(btf: &Sections<'b>, at: u32) -> &'b [u8] {
    let tail = btf.strings.get(at as usize..).unwrap_or_default();
    tail.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The kernel's type for each of the base, of which 0 is void.
fn ids(vmlinux: &Sections<'_>, base: &Sections<'_>) -> Result<Vec<u32>, Failure> {
    let bad = |of: &str| Failure::new(format!("bad BTF of {of}"));
    // By name and kind, what is wanted: places among the base's types, with sizes.
    let mut wanted: HashMap<&[u8], Vec<(usize, [u32; 2])>> = HashMap::new();
    let mut ids = vec![0];
    for record in records(base) {
        let record = record.ok_or_else(|| bad("its base"))?;
        let [at, info, third] = *record.first_chunk().ok_or_else(|| bad("its base"))?;
        let name = name(base, at);
        wanted
            .entry(name)
            .or_default()
            .push((ids.len(), [info, third]));
        ids.push(0);
    }
    for (id, record) in (1..).zip(records(vmlinux)) {
        let record = record.ok_or_else(|| bad("the kernel"))?;
        let [at, info, third] = *record.first_chunk().ok_or_else(|| bad("the kernel"))?;
        let found = wanted.get(name(vmlinux, at)).filter(|_| at != 0);
        for (place, of) in found.into_iter().flatten() {
            if let Some(found) = ids.get_mut(*place)
                && *found == 0
                && fits(*of, [info, third])
            {
                *found = id;
            }
        }
    }
    for (name, places) in &wanted {
        if places.iter().any(|(place, _)| ids.get(*place) == Some(&0)) {
            let name = String::from_utf8_lossy(name);
            let what =
                format!("its base has type {name}, which the kernel has not, or not of its size");
            return Err(Failure::new(what));
        }
    }
    Ok(ids)
}

/// Is the kernel's type, by info and size, what the base has in its place?
fn fits([base, base_size]: [u32; 2], [info, size]: [u32; 2]) -> bool {
    const KFLAG: u32 = 1 << 31;
    let (of, is) = (base >> 24 & 0x7f, info >> 24 & 0x7f);
    match of {
        // Of a struct, or with the flag a union, of which it is enough that there is one.
        kind::FWD => match is {
            kind::FWD => base & KFLAG == info & KFLAG,
            kind::STRUCT => base & KFLAG == 0,
            kind::UNION => base & KFLAG != 0,
            _ => false,
        },
        kind::ENUM | kind::ENUM64 => [kind::ENUM, kind::ENUM64].contains(&is) && base_size == size,
        _ => of == is && base_size == size,
    }
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds has failed"
)]
mod tests {
    use super::*;
    use crate::module_btf::join;

    const INT: u32 = kind::INT << 24;

    #[test]
    fn base_of_a_module_is_taken_for_the_kernels() {
        // Kernel: struct pad; int; struct both of 8 bytes.
        let kernel = assemble(
            &[
                1,
                kind::STRUCT << 24,
                4,
                5,
                INT,
                4,
                32,
                9,
                kind::STRUCT << 24,
                8,
            ],
            b"\0pad\0int\0both\0",
        );
        // Its base, in another order: both, forward; int.
        let base = assemble(&[5, kind::FWD << 24, 0, 1, INT, 4, 32], b"\0int\0both\0");
        // Module: struct own { int a; struct both *both; }, and names of the base's, too.
        let own = [10, kind::STRUCT << 24 | 2, 16, 14, 2, 0, 5, 4, 64];
        let split = assemble(&[&own[..], &[0, kind::PTR << 24, 1]].concat(), b"own\0a\0");
        let moved = onto(&kernel, &base, &split).expect("moved");
        let joined = join(&kernel, &moved).expect("joined");
        let sections = Sections::of(&joined).expect("sections");
        let all: Vec<Vec<u32>> = records(&sections)
            .map(|record| record.expect("whole"))
            .collect();
        let [own, ptr] = all.get(3..).expect("three before") else {
            unreachable!("two of its own: {all:?}");
        };
        let names = [own[0], own[3], own[6]].map(|at| name(&sections, at).to_vec());
        assert_eq!(names, [b"own".to_vec(), b"a".to_vec(), b"both".to_vec()]);
        assert_eq!((own[4], own[7]), (2, 5), "{own:?}");
        assert_eq!(ptr[2], 3);
        // Of another size it is another type.
        let base = assemble(&[1, INT, 8, 64], b"\0int\0");
        let failed = onto(&kernel, &base, &split).expect_err("another int");
        assert!(
            failed.to_string().contains("its base has type int, "),
            "{failed}"
        );
    }
}
