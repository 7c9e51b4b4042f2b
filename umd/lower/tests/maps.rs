// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps and the instructions that refer to them.

mod common;

use common::{at, insns, lower, map, parse, prog, refusal, relos, types};
use preload_image::{Map, map_flags, object_flags, relo_kind, target_kind};

#[test]
fn declared_map_loses_no_attribute() {
    let image = lower(
        "declared",
        r#"
struct value { u64 a, b, c; };
struct { __uint(type, 1); __type(key, u64); __type(value, struct value);
         __uint(max_entries, 77); __uint(map_flags, 1); } first SEC(".maps");
struct { __uint(type, 2); __uint(key_size, 4); __uint(value_size, 12);
         __uint(max_entries, 3); } second SEC(".maps");
SEC("iter/bpf_map") int dump(void *ctx)
{
	u64 k = 0;
	bpf_map_lookup_elem(&second, &k);
	bpf_map_lookup_elem(&first, &k);
	return 0;
}"#,
    );
    let image = parse(&image);
    let first = map(&image, "first");
    assert_eq!(
        (first.map_type, first.key_size, first.value_size),
        (1, 8, 24)
    );
    assert_eq!(
        (first.max_entries, first.map_flags, first.flags),
        (77, 1, 0)
    );
    let types = types(&image);
    let key = types.get(first.btf_key_type_id as usize).expect("key type");
    let value = types
        .get(first.btf_value_type_id as usize)
        .expect("value type");
    assert_eq!(key.name, "u64");
    assert_eq!(
        (value.kind, value.name.as_str(), value.third),
        (4, "value", 24)
    );
    let second = map(&image, "second");
    assert_eq!(
        (second.map_type, second.key_size, second.value_size),
        (2, 4, 12)
    );
    assert_eq!((second.btf_key_type_id, second.btf_value_type_id), (0, 0));

    let dump = prog(&image, "dump");
    let code = insns(&image, &dump);
    let names: Vec<&[u8]> = relos(&image, &dump)
        .iter()
        .map(|r| {
            assert_eq!(r.kind, relo_kind::MAP);
            let load = at(&code, r.insn as usize);
            assert_eq!((load.code, load.src, load.imm), (0x18, 1, 0));
            image.str(image.maps().get(r.index).expect("map").name)
        })
        .collect();
    assert_eq!(names, [b"second".as_slice(), b"first"]);
}

#[test]
fn unsupported_map_is_refused_by_name() {
    let prog = r#"SEC("iter/bpf_map") int dump(void *ctx) { return 0; }"#;
    let map = |attribute: &str| {
        format!(
            "struct {{ __uint(type, 1); __uint(key_size, 4); __uint(value_size, 4); \
             __uint(max_entries, 1); {attribute} }} numbers SEC(\".maps\");\n{prog}"
        )
    };
    for (name, source, words) in [
        (
            "pinning",
            map("__uint(pinning, 2);"),
            vec!["section .maps", "symbol numbers", "'pinning' is 2"],
        ),
        (
            "unknown",
            map("__uint(colour, 1);"),
            vec!["symbol numbers", "'colour'"],
        ),
        (
            "conflict",
            map("__type(key, u64);"),
            vec!["symbol numbers", "conflicting", "'key'"],
        ),
        (
            "legacy",
            format!("struct {{ u32 type; }} old SEC(\"maps\") = {{ 1 }};\n{prog}"),
            vec!["section maps", "legacy"],
        ),
        (
            "values",
            map("__array(values, int);"),
            vec!["symbol numbers", "'values'", "neither maps nor programs"],
        ),
        (
            "inner_of_inner",
            format!(
                "struct inner {{ __uint(type, 12); __uint(key_size, 4); __uint(max_entries, 1); \
                 __array(values, struct {{ __uint(type, 2); }}); }};\n\
                 struct {{ __uint(type, 12); __uint(key_size, 4); __uint(max_entries, 1); \
                 __array(values, struct inner); }} outer SEC(\".maps\");\n{prog}"
            ),
            vec!["symbol outer", "inner map", "maps of maps of maps"],
        ),
        (
            "inner_of_itself",
            format!(
                "struct self {{ __uint(type, 12); __uint(key_size, 4); __uint(max_entries, 1); \
                 __array(values, struct self); }}; struct self outer SEC(\".maps\");\n{prog}"
            ),
            vec!["symbol outer", "inner map", "maps of maps of maps"],
        ),
        (
            "kconfig_without_end",
            "extern char CONFIG_X[0x7fffffff] SEC(\".kconfig\");\n\
             SEC(\"iter/bpf_map\") int f(void *ctx) { return CONFIG_X[5]; }"
                .to_owned(),
            vec!["section .kconfig", "more than 1048576 bytes"],
        ),
        (
            "wrong_slot",
            format!(
                "static int x; struct {{ __uint(type, 12); __uint(key_size, 4); __uint(max_entries, 1); \
                 __array(values, struct {{ __uint(type, 2); }}); }} outer SEC(\".maps\") \
                 = {{ .values = {{ (void *)&x }} }};\n{prog}"
            ),
            vec!["section .rel.maps", "none of its kind"],
        ),
    ] {
        let message = refusal(&format!("bad_map_{name}"), &source);
        for word in words {
            assert!(message.contains(word), "{name}: {word}: {message}");
        }
    }
}

#[test]
fn map_loses_what_only_some_types_have() {
    let image = lower(
        "attributes",
        r#"
struct { __uint(type, 2); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 1);
         __uint(numa_node, 3); __uint(map_flags, 4); __ulong(map_extra, 0x12345678);
         __uint(pinning, 1); } first SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 5000); } ring SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 8192); } whole_ring SEC(".maps");
struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
SEC("iter/bpf_map") int dump(void *ctx) { return 0; }"#,
    );
    let image = parse(&image);
    let first = map(&image, "first");
    assert_eq!(
        (first.numa_node, first.map_flags, first.map_extra),
        (3, 4, 0x1234_5678)
    );
    assert_eq!(first.flags, map_flags::PIN_BY_NAME);
    // The kernel wants a power of two of pages.
    assert_eq!(map(&image, "ring").max_entries, 8192);
    assert_eq!(map(&image, "whole_ring").max_entries, 8192);
    assert_eq!(map(&image, "events").flags, map_flags::ENTRY_PER_CPU);
    assert_eq!(image.object().flags, object_flags::INCOMPLETE);
}

#[test]
fn slot_gets_another_map_or_program() {
    let image = lower(
        "slots",
        r#"
struct inner { __uint(type, 1); __type(key, u64); __type(value, u32); __uint(max_entries, 5); };
struct { __uint(type, 2); __type(key, u32); __type(value, u32); __uint(max_entries, 1); } other SEC(".maps");
struct inner one SEC(".maps"), two SEC(".maps");
struct { __uint(type, 12); __uint(key_size, 4); __uint(max_entries, 4); __array(values, struct inner); }
	outer SEC(".maps") = { .values = { [3] = &one, [1] = &two } };
int second(void *), first(void *);
struct { __uint(type, 3); __uint(key_size, 4); __uint(max_entries, 3); __array(values, int (void *)); }
	calls SEC(".maps") = { .values = { [2] = (void *)&first, [0] = (void *)&second } };
SEC("socket") int first(void *ctx) { return 0; }
SEC("socket") int second(void *ctx) { return 0; }"#,
    );
    let image = parse(&image);
    let outer = map(&image, "outer");
    let slots = |holder: &Map, name: &dyn Fn(u32) -> Vec<u8>| {
        let mut slots: Vec<_> = image
            .slots(holder.slots)
            .iter()
            .map(|s| (s.key, name(s.index)))
            .collect();
        slots.sort();
        slots
    };
    let map_name = |i| image.str(image.maps().get(i).expect("map").name).to_vec();
    assert_eq!(
        slots(&outer, &map_name),
        [(1, b"two".to_vec()), (3, b"one".to_vec())]
    );
    let inner = image.maps().get(outer.inner - 1).expect("template");
    assert_eq!(image.str(inner.name), b"outer.inner");
    assert_eq!(
        (
            inner.map_type,
            inner.key_size,
            inner.value_size,
            inner.max_entries
        ),
        (1, 8, 4, 5)
    );
    assert_eq!(inner.flags, map_flags::TEMPLATE);
    let prog_name = |i| {
        image
            .str(image.progs().get(i).expect("program").name)
            .to_vec()
    };
    let calls = map(&image, "calls");
    assert_eq!(
        slots(&calls, &prog_name),
        [(0, b"second".to_vec()), (2, b"first".to_vec())]
    );
    assert_eq!((outer.value_size, calls.value_size), (4, 4));
}

#[test]
fn struct_op_is_in_another_member() {
    let source = r#"
struct some_ops___v2 { u64 number; int (*first)(void *); int (*second)(void *); };
SEC("struct_ops/a") int one(void *ctx) { return 0; }
SEC("?struct_ops") int two(void *ctx) { return 0; }
SEC("struct_ops") int unwanted(void *ctx) { return 0; }
SEC("?struct_ops") int unused(void *ctx) { return 0; }
SEC(".struct_ops") struct some_ops___v2 a = { .number = 7, .second = one };
SEC(".struct_ops.link") struct some_ops___v2 b = { .first = two, .second = one };
SEC("?.struct_ops.link") struct some_ops___v2 c = { .first = unwanted };"#;
    let image = lower("struct_ops", source);
    let image = parse(&image);
    assert_eq!(image.object().flags, object_flags::INCOMPLETE);
    let target = |index: u32| {
        let target = image.targets().get(index - 1).expect("target");
        assert_eq!(target.kind, target_kind::EXACT | 4);
        String::from_utf8_lossy(image.str(target.name)).into_owned()
    };
    for (name, flags) in [("a", 0), ("b", 1 << 13)] {
        let map = map(&image, name);
        assert_eq!(
            (map.map_type, map.key_size, map.max_entries, map.map_flags),
            (26, 4, 1, flags)
        );
        assert_eq!(target(map.value_target), "bpf_struct_ops_some_ops");
        // What the kernel's struct gets comes from this: functions are not in it.
        let number = if name == "a" { 7 } else { 0 };
        let mut data = vec![0; 24];
        data.splice(..1, [number]);
        assert_eq!(image.data(map.data), data, "{name}");
        let types = types(&image);
        let ty = types.get(map.btf_value_type_id as usize).expect("type");
        assert_eq!(ty.name, "some_ops___v2");
    }
    let mut names: Vec<_> = image.progs().iter().map(|p| image.str(p.name)).collect();
    names.sort_unstable();
    assert_eq!(names, [b"one".as_slice(), b"two"]);
    assert_eq!(target(prog(&image, "two").attach_target), "some_ops");
    let mut ops: Vec<_> = image
        .struct_ops()
        .iter()
        .map(|op| {
            let map = image.maps().get(op.map).expect("map");
            let prog = image.progs().get(op.prog).expect("program");
            [map.name, op.member, prog.name]
                .map(|name| String::from_utf8_lossy(image.str(name)).into_owned())
        })
        .collect();
    ops.sort();
    assert_eq!(
        ops,
        [
            ["a", "second", "one"],
            ["b", "first", "two"],
            ["b", "second", "one"]
        ]
    );
    for (name, change, words) in [
        (
            "program",
            ("struct_ops/a", "tc"),
            "no program of struct_ops",
        ),
        (
            "member",
            ("int (*second)(void *)", "void *second"),
            "no pointer to one",
        ),
        (
            "anonymous",
            (
                "struct some_ops___v2 a =",
                "struct { u64 number; int (*second)(void *); } a =",
            ),
            "no struct with a name",
        ),
    ] {
        let message = refusal(
            &format!("struct_ops_{name}"),
            &source.replace(change.0, change.1),
        );
        assert!(
            message.contains("section .struct_ops") && message.contains(words),
            "{message}"
        );
    }
}
