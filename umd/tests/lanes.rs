// SPDX-License-Identifier: MIT OR Apache-2.0
//! The walk in lanes finds what the plain walk finds, with the same ids, and every type.

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::btf::{BtfError, Filter, Type, kind};

use crate::btf_builder::{Btf, DATASEC};

/// What a walk gives: id and name of what passed, what is wrong, and the kind and name of each type.
type Walked = (
    Vec<(u32, Vec<u8>)>,
    Result<(), BtfError>,
    Vec<(u32, Vec<u8>)>,
);

fn walk(data: &[u8], types: u32, lanes: bool) -> Walked {
    let mut filter = Filter::default();
    for (kind, name) in [
        (kind::STRUCT, "wanted_struct"),
        (kind::FUNC, "wanted_function"),
        (kind::ENUM64, "w"),
    ] {
        filter.add(kind, name.as_bytes());
    }
    let kinds = 1 << kind::STRUCT | 1 << kind::FUNC | 1 << kind::ENUM64;
    let mut memory = vec![0; 1 << 17];
    let mut arena = Arena::new(&mut memory);
    let mut passed = Vec::new();
    let mut visit = |btf: &bpf_preload_umd::btf::Btf<'_>, id, t: Type| {
        passed.push((id, btf.name(t).to_vec()));
        Some(kinds)
    };
    let btf = if lanes {
        bpf_preload_umd::btf::Btf::index_all(data, &mut arena, &filter, &mut visit)
    } else {
        bpf_preload_umd::btf::Btf::index(data, &mut arena, &filter, &mut visit)
    };
    let checked = btf.check();
    let all = (1..=types).map(|id| {
        let t = btf.type_by_id(id);
        (t.kind(), btf.name(t).to_vec())
    });
    (passed, checked, all.collect())
}

/// Both ways are the same; how many passed.
fn same(data: &[u8], types: u32) -> usize {
    let (plain, lanes) = (walk(data, types, false), walk(data, types, true));
    assert!(plain == lanes, "{:?} {:?}", plain.1, lanes.1);
    plain.0.len()
}

/// BTF of more than one piece: many types of all kinds, in no order that could be learnt. With
/// `decoys`, what is between the headers looks like headers.
fn large(decoys: bool) -> Btf {
    let mut btf = Btf::new();
    let mut state = 1u32;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let decoy = (kind::STRUCT << 24 | 3) as i32;
    let values = [("", if decoys { decoy } else { 7 }); 40];
    let members = [("member", 1, 64, 0); 12];
    for index in 0..60_000 {
        let len = random(12) as usize;
        let name = format!("name_{}", random(1000));
        match random(12) {
            0 => btf.int(&name, 4, true),
            1 => btf.array(1, 1, 4),
            2 | 3 => btf.strukt(&name, 64, &members[..len]),
            4 => btf.enumeration(&name, &values[..if decoys { 40 } else { len }]),
            5 => btf.enum64(&name, &[("value", u64::MAX)]),
            6 => btf.proto(1, &[1, 2, 3][..len % 4]),
            7 => btf.func(&name, 1),
            8 => btf.var(&name, 1),
            9 => btf.raw(&name, DATASEC << 24, 64, &[]),
            10 if index % 97 == 0 => btf.strukt("wanted_struct___flavor", 8, &members[..1]),
            10 if index % 89 == 0 => btf.func("wanted_function", 1),
            10 if index % 83 == 0 => btf.enum64("w", &[]),
            _ => btf.ptr(1),
        };
    }
    btf
}

#[test]
fn lanes_miss_a_type_or_count_wrong() {
    for decoys in [false, true] {
        let btf = large(decoys);
        assert!(btf.bytes().len() > 1 << 20);
        // One letter lets pass whatever begins with it.
        assert!(same(&btf.bytes(), btf.next_id() - 1) > 50);
    }
}

#[test]
fn lanes_differ_on_btf_of_one_type_or_none() {
    let mut btf = Btf::new();
    assert_eq!(same(&btf.bytes(), 0), 0);
    btf.strukt("wanted_struct", 8, &[]);
    assert_eq!(same(&btf.bytes(), 1), 1);
}

#[test]
fn lanes_hide_what_is_wrong() {
    let mut btf = large(false);
    let types = btf.next_id();
    // Of the future, known by its layout, and not known.
    btf.hdr_len = 32;
    btf.raw("new", 20 << 24, 0, &[1]);
    btf.strukt("wanted_struct", 8, &[]);
    let unknown = walk(&btf.bytes(), types, true);
    assert!(unknown.1.is_err());
    btf.layout = [0, 0, 0, 0].repeat(20);
    btf.layout.extend([4, 0, 0, 0]);
    assert!(same(&btf.bytes(), types + 1) > 50);
    assert!(walk(&btf.bytes(), types + 1, true).1.is_ok());
    // Cut off, and a record that is longer than what is left.
    let sound = large(false);
    let mut bytes = sound.bytes();
    let types_len = u32::from_le_bytes(bytes[12..16].try_into().unwrap());
    for short in [4, 8, 12] {
        let mut cut = bytes.clone();
        cut[12..16].copy_from_slice(&(types_len - short).to_le_bytes());
        same(&cut, 100);
    }
    for at in (24..types_len as usize).step_by(40_004) {
        let before = bytes[at];
        bytes[at] ^= 0xff;
        same(&bytes, 100);
        bytes[at] = before;
    }
}

#[test]
fn lanes_differ_on_the_running_kernels_btf() {
    let data = std::fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    same(&data, 100_000);
}
