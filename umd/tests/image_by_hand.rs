// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images that fit together, but that no lowering makes: their relocations hit
//! the wrong instructions, their maps are of the wrong shape, or there is
//! nothing in them. And memory that is too small for any.

use preload_image::{CoreRelo, Map, Object, Prog, Relo, Writer, core_flags, core_kind, relo_kind};

use crate::btf_builder::Btf;
use crate::fake_kernel::FakeKernel;
use crate::object::{self, IMAGE, KERNEL};
use crate::wire::records;

/// `r0 = 4; exit`.
const INSNS: [u8; 16] = [0xb7, 0, 0, 0, 4, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

/// An image with BTF and a name.
fn writer() -> Writer {
    let mut btf = Btf::new();
    btf.int("int", 4, true);
    let mut writer = Writer::default();
    let (name, license) = (writer.str(b"hand"), writer.str(b"GPL"));
    writer.object(Object {
        name,
        license,
        flags: 0,
    });
    writer.btf(btf.bytes());
    writer
}

/// One with a program of these relocations.
fn prog(relos: &[Relo], core_relos: &[CoreRelo]) -> Vec<u8> {
    let mut writer = writer();
    let prog = Prog {
        name: writer.str(b"prog"),
        link_name: writer.str(b"link"),
        prog_type: 26,
        attach_type: 28,
        insns: writer.insns(&INSNS),
        relos: writer.relos(relos),
        core_relos: writer.core_relos(core_relos),
        ..Prog::default()
    };
    writer.prog(prog);
    let map = Map {
        name: writer.str(b"map"),
        ..Map::default()
    };
    writer.map(map);
    writer.finish().unwrap()
}

fn refusal(image: &[u8]) -> String {
    object::refusal(&FakeKernel::new(&KERNEL), image)
}

#[test]
fn what_is_written_by_hand_loads() {
    // The tests below fail for the reason that they give, and for no other.
    let fake = FakeKernel::new(&KERNEL);
    assert_eq!(object::run(&fake, &prog(&[], &[])), 0, "{:?}", fake.log());
    assert_eq!(fake.output().len(), 20);
    // Nothing was asked about the kernel's types, so nothing was read of them.
    assert!(!fake.calls().contains(&"open"));
}

#[test]
fn a_map_whose_key_or_value_the_kernel_would_read_beyond_is_not_filled() {
    // Array, hash with a long key, per-CPU array.
    for (map_type, key_size, works) in [(2, 4, true), (1, 64, false), (6, 4, false)] {
        let mut writer = writer();
        let map = Map {
            name: writer.str(b"m"),
            map_type,
            key_size,
            value_size: 8,
            max_entries: 1,
            data: writer.data(&[0; 8]),
            ..Map::default()
        };
        writer.map(map);
        let image = writer.finish().unwrap();
        let fake = FakeKernel::new(&KERNEL);
        assert_eq!(object::run(&fake, &image) == 0, works, "{map_type}");
        assert_eq!(
            fake.calls().contains(&"MAP_UPDATE_ELEM"),
            works,
            "{map_type}"
        );
        if !works {
            assert_eq!(object::line(&fake), "bpf_preload: fill map m: EINVAL (22)");
        }
    }
}

#[test]
fn data_shorter_than_the_value_does_not_get_into_an_image() {
    let mut writer = writer();
    let data = writer.data(&[0; 4]);
    writer.map(Map {
        value_size: 4096,
        data,
        ..Map::default()
    });
    assert!(writer.finish().is_err());
}

#[test]
fn relocations_of_the_wrong_instruction_are_named_by_its_index() {
    for insn in [0, 1, 2, 7, u32::MAX] {
        let relo = Relo {
            insn,
            kind: relo_kind::MAP,
            index: 0,
        };
        let line = refusal(&prog(&[relo], &[]));
        let why = format!("insn {insn}: unexpected instruction");
        assert_eq!(line, format!("bpf_preload: relocate prog prog: {why}"));
    }
}

/// A relocation for the id of the local type `int`, which is 1.
fn type_id_local(insn: u32) -> CoreRelo {
    CoreRelo {
        insn,
        kind: core_kind::TYPE_ID_LOCAL,
        type_id: 1,
        ..CoreRelo::default()
    }
}

#[test]
fn core_relocations_of_the_wrong_instruction_are_described() {
    for insn in [1, 2, u32::MAX] {
        let line = refusal(&prog(&[], &[type_id_local(insn)]));
        let what = "<local_type_id> [1] int: unexpected instruction";
        assert_eq!(line, format!("bpf_preload: relocate prog prog: {what}"));
    }
}

#[test]
fn an_instruction_with_another_value_than_the_local_one_is_not_patched() {
    for (local_value, works) in [(4, true), (5, false), (4 | 1 << 32, false)] {
        let relo = CoreRelo {
            local_value,
            flags: core_flags::VALIDATE,
            ..type_id_local(0)
        };
        let fake = FakeKernel::new(&KERNEL);
        let status = object::run(&fake, &prog(&[], &[relo]));
        assert_eq!(status == 0, works, "{local_value:#x}");
        if works {
            assert_eq!(fake.loads()[0].insns[0], [0xb7, 0, 0, 0, 1, 0, 0, 0]);
        } else {
            assert!(object::line(&fake).ends_with(": unexpected value"));
        }
    }
}

#[test]
fn local_types_that_are_not_there_are_an_error_and_no_panic() {
    for type_id in [0, 2, u32::MAX] {
        for kind in (0..20).chain([u32::MAX]) {
            let relo = CoreRelo {
                kind,
                type_id,
                ..CoreRelo::default()
            };
            let fake = FakeKernel::new(&KERNEL);
            if object::run(&fake, &prog(&[], &[relo])) != 0 {
                object::line(&fake);
            }
        }
    }
}

#[test]
fn an_image_without_programs_reports_nothing_and_ends_well() {
    let fake = FakeKernel::new(&KERNEL);
    assert_eq!(object::run(&fake, &writer().finish().unwrap()), 0);
    assert!(fake.output().is_empty());
}

#[test]
fn too_little_memory_is_said_and_leaks_nothing() {
    let (mut good, mut bad) = (0, 0);
    // From nothing to the blob's, in steps that no allocation is as small as.
    for words in (0..2048).chain((2048..32 << 10).step_by(512)) {
        let fake = FakeKernel::new(&KERNEL);
        if object::run_with(&fake, IMAGE, words) == 0 {
            assert_eq!(fake.output(), records(), "{words} words");
            good += 1;
        } else {
            let line = object::line(&fake);
            let memory = line.ends_with(": ENOMEM (12)") || line.contains("bad BTF size");
            assert!(memory, "{words} words: {line}");
            assert_eq!((fake.open_fds(), fake.mapped()), (vec![], 0), "{line}");
            bad += 1;
        }
    }
    assert!(good > 0 && bad > 0, "{good} good, {bad} bad");
}
