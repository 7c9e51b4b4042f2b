// SPDX-License-Identifier: MIT OR Apache-2.0
//! The maps behind variables, and the instructions that refer to these.

mod common;

use common::{at, compile, insns, lower, map, parse, prog, refusal, relos, types};
use preload_image::map_flags;

const BPF_F_RDONLY_PROG: u32 = 128;
const BPF_F_MMAPABLE: u32 = 1024;

const VARIABLES: &str = r#"
volatile int one = 0x11111111, five = 0x55555555;
static volatile int two = 0x22222222;
static volatile const int three = 0x33333333;
volatile int four SEC(".data.custom_name") = 0x44444444;
static volatile int zero;
SEC("iter/bpf_map") int dump(void *ctx) { return one + two + three + four + five + zero; }
"#;

#[test]
fn variable_is_read_from_where_its_value_lies() {
    let image = lower("variables_of_a_long_name", VARIABLES);
    let image = parse(&image);
    let dump = prog(&image, "dump");
    let code = insns(&image, &dump);
    let mut values = Vec::new();
    for relo in relos(&image, &dump) {
        let (first, second) = (
            at(&code, relo.insn as usize),
            at(&code, relo.insn as usize + 1),
        );
        assert_eq!(
            (first.code, first.src, first.imm, second.code),
            (0x18, 2, 0, 0)
        );
        let map = image.maps().get(relo.index).expect("map");
        let data = image.data(map.data);
        if data.is_empty() {
            assert!((second.imm as u32) < map.value_size);
            values.push(0);
        } else {
            let value = data
                .get(second.imm as usize..)
                .and_then(|d| d.first_chunk());
            values.push(u32::from_le_bytes(*value.expect("value")));
        }
    }
    values.sort_unstable();
    assert_eq!(
        values,
        [
            0,
            0x1111_1111,
            0x2222_2222,
            0x3333_3333,
            0x4444_4444,
            0x5555_5555
        ]
    );
}

#[test]
fn data_map_is_not_renamed_nor_left_writable() {
    let image = lower("variables_of_a_long_name", VARIABLES);
    let image = parse(&image);
    let types = types(&image);
    for (name, section, flags, frozen, with_data) in [
        ("variable.data", ".data", BPF_F_MMAPABLE, 0, true),
        (
            "variable.rodata",
            ".rodata",
            BPF_F_RDONLY_PROG,
            map_flags::FREEZE,
            true,
        ),
        (
            ".data.custom_na",
            ".data.custom_name",
            BPF_F_MMAPABLE,
            0,
            true,
        ),
        ("variable.bss", ".bss", 0, 0, false),
    ] {
        let map = map(&image, name);
        assert_eq!(
            (map.map_type, map.key_size, map.max_entries),
            (2, 4, 1),
            "{name}"
        );
        assert_eq!((map.map_flags, map.flags), (flags, frozen), "{name}");
        assert_eq!(map.data.len != 0, with_data, "{name}");
        // The kernel takes a value of variables with void keys only, and sizes must agree.
        assert_eq!(map.btf_key_type_id, 0, "{name}");
        let sec = types
            .get(map.btf_value_type_id as usize)
            .expect("value type");
        assert_eq!(
            (sec.kind, sec.name.as_str(), sec.third),
            (15, section, map.value_size)
        );
        let mut end = 0;
        for [_, offset, size] in sec.rest.as_chunks::<3>().0 {
            assert!(*offset >= end && offset + size <= sec.third, "{name}");
            end = offset + size;
        }
    }
}

#[test]
fn hidden_variable_does_not_make_its_map_mmapable() {
    let source = r#"
__attribute__((visibility("hidden"))) volatile int hidden = 7;
SEC("iter/bpf_map") int dump(void *ctx) { return hidden; }"#;
    let image = lower("hidden", source);
    let image = parse(&image);
    assert_eq!(map(&image, "hidden.data").map_flags, 0);
    let types = types(&image);
    let var = types.iter().find(|t| t.kind == 14 && t.name == "hidden");
    assert_eq!(at(&var.expect("variable").rest, 0), 0, "static linkage");
}

#[test]
fn variable_of_each_cpu_is_taken_for_one_of_all() {
    let source = r#"
int counted SEC(".percpu") = 7;
static volatile int of_its_own SEC(".percpu.of_a_long_name") = 9;
SEC("iter/bpf_map") int dump(void *ctx) { return counted + of_its_own; }"#;
    let image = lower("percpu", source);
    let image = parse(&image);
    // libbpf puts nothing of the object's name before it.
    for (name, value) in [(".percpu", 7u32), (".percpu.of_a_lo", 9)] {
        let map = map(&image, name);
        assert!(map.is_percpu_variables(), "{name}");
        let sizes = [map.key_size, map.value_size, map.max_entries];
        assert_eq!(sizes, [4, 4, 1], "{name}");
        // Such a map cannot be mapped.
        assert_eq!((map.map_flags, map.flags), (0, 0), "{name}");
        assert_eq!(image.data(map.data), value.to_le_bytes(), "{name}");
        assert_ne!(map.btf_value_type_id, 0, "{name}");
    }
    let dump = prog(&image, "dump");
    let code = insns(&image, &dump);
    let relos = relos(&image, &dump);
    let loads = relos.iter().map(|relo| at(&code, relo.insn as usize).src);
    assert_eq!(loads.collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn variable_of_an_arena_gets_lost() {
    let arena = r#"struct { __uint(type, 33); __uint(map_flags, 1024); __uint(max_entries, 1);
         __ulong(map_extra, 0x10000000); } memory SEC(".maps");"#;
    let variables = |bytes: usize| {
        format!(
            r#"
u64 first SEC(".addr_space.1") = 5;
u64 second[{bytes} / 8 - 1] SEC(".addr_space.1") = {{ 7 }};
SEC("syscall") int use(void *ctx) {{ return second[0]; }}"#
        )
    };
    let image = lower("arena", &format!("{arena}{}", variables(24)));
    let image = parse(&image);
    let memory = map(&image, "memory");
    assert_eq!((memory.map_type, memory.map_extra), (33, 1 << 28));
    let data = image.data(memory.data);
    assert!(data.starts_with(&[5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]));
    let program = prog(&image, "use");
    assert_eq!(relos(&image, &program).len(), 1);
    // A value in the map, 8 bytes behind its start.
    let code = insns(&image, &program);
    let mut pairs = code.iter().zip(code.iter().skip(1));
    let pair = pairs.find(|(insn, _)| insn.code == 0x18);
    let (first, second) = pair.expect("ld_imm64");
    assert_eq!((first.src, second.imm), (2, 8));

    let refused = |source: &str| refusal("arena", source);
    assert_eq!(
        refused(&variables(24)),
        "section .addr_space.1: variables of an arena, but no arena"
    );
    assert_eq!(
        refused(&format!("{arena}{}", variables(8192))),
        "section .addr_space.1 symbol memory: more than the arena holds"
    );
    let more = r#"struct { __uint(type, 33); __uint(max_entries, 1); } more SEC(".maps");"#;
    let two = format!("{arena}{more}");
    assert_eq!(
        refused(&two),
        "section .maps symbol more: second arena, of which an object can have only one"
    );
}

#[test]
fn same_object_gives_the_same_image() {
    let object = compile("determinism", VARIABLES);
    let lower = || preload_lower::lower(&object, "determinism").expect("lower");
    let first = lower();
    assert!((0..4).all(|_| lower() == first));
}
