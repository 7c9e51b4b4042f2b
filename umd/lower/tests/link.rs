// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sub-programs, callbacks, externs and link names.

mod common;

use std::collections::BTreeMap;

use common::{at, functions, insns, lower, map, parse, prog, refusal, relos, text, types, words};
use preload_image::{
    Image, Prog, extern_flags, kconfig_flags, kconfig_kind, map_flags, object_flags, relo_kind,
    target_kind,
};

const SUBPROGS: &str = r#"
volatile int v = 1, w = 2;
static noinline int inner(int x) { return x * v + w; }
static noinline int outer(int x) { return inner(x) + inner(x + v); }
__attribute__((visibility("hidden"))) noinline int hidden(int x) { return x - w; }
noinline int global(int x) { return inner(x) + hidden(x); }
static noinline int callback(u32 i, void *ctx) { return outer(i); }
noinline int global_callback(u32 i, void *ctx) { return i + w; }
SEC("iter/bpf_map") int first(void *ctx) { return outer(v) + inner(w) + outer(w); }
SEC("iter/bpf_map") int second(void *ctx)
{
	bpf_loop(3, callback, 0, 0);
	bpf_loop(3, global_callback, 0, 0);
	return global(v);
}
SEC("iter/bpf_prog") int third(void *ctx) { return v; }
"#;

/// Who calls whom in a linked program, by name.
fn calls(image: &Image<'_>, prog: &Prog) -> BTreeMap<String, Vec<String>> {
    let functions = functions(image, prog);
    let starts: BTreeMap<usize, String> = functions.iter().cloned().collect();
    assert_eq!(starts.len(), functions.len(), "two functions in one place");
    let code = insns(image, prog);
    let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (i, insn) in code.iter().enumerate() {
        let (_, caller) = starts.range(..=i).next_back().expect("function at 0");
        let list = calls.entry(caller.clone()).or_default();
        let call = insn.code == 0x85 && insn.src == 1;
        let address = insn.code == 0x18 && insn.src == 4;
        if call || address {
            let target = (i as i64 + 1 + i64::from(insn.imm)) as usize;
            let callee = starts.get(&target).expect("call of a function's start");
            list.push(format!("{}{callee}", if address { "&" } else { "" }));
            if address {
                assert_eq!(at(&code, i + 1).imm, 0);
            }
        }
    }
    calls
}

fn graph(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let own = |list: &[&str]| list.iter().map(|s| s.to_string()).collect();
    pairs.iter().map(|(k, v)| (k.to_string(), own(v))).collect()
}

#[test]
fn call_never_goes_to_another_function() {
    let image = lower("subprogs", SUBPROGS);
    let image = parse(&image);
    assert_eq!(
        calls(&image, &prog(&image, "first")),
        graph(&[
            ("first", &["outer", "inner", "outer"]),
            ("outer", &["inner", "inner"]),
            ("inner", &[]),
        ])
    );
    assert_eq!(
        calls(&image, &prog(&image, "second")),
        graph(&[
            ("second", &["&callback", "&global_callback", "global"]),
            ("callback", &["outer"]),
            ("outer", &["inner", "inner"]),
            ("global_callback", &[]),
            ("global", &["inner", "hidden"]),
            ("hidden", &[]),
            ("inner", &[]),
        ])
    );
    assert_eq!(
        calls(&image, &prog(&image, "third")),
        graph(&[("third", &[])])
    );
}

#[test]
fn subprogs_keep_the_order_that_gives_libbpfs_tag() {
    let image = lower("subprogs", SUBPROGS);
    let image = parse(&image);
    let order = |name| -> Vec<String> {
        let functions = functions(&image, &prog(&image, name));
        functions.into_iter().map(|(_, name)| name).collect()
    };
    // Depth first, at the first mention.
    assert_eq!(order("first"), ["first", "outer", "inner"]);
    let second = [
        "second",
        "callback",
        "outer",
        "inner",
        "global_callback",
        "global",
        "hidden",
    ];
    assert_eq!(order("second"), second);
}

#[test]
fn line_info_moves_with_its_function() {
    let image = lower("subprogs", SUBPROGS);
    let image = parse(&image);
    let source = format!("{}{SUBPROGS}", common::HEADER);
    let source: Vec<&str> = source.lines().collect();
    for name in ["first", "second", "third"] {
        let prog = prog(&image, name);
        let lines = words(image.line_info(prog.line_info));
        let lines = lines.as_chunks::<4>().0;
        let ascending = |w: &[[u32; 4]]| matches!(w, [[a, ..], [b, ..]] if a < b);
        assert!(lines.windows(2).all(ascending));
        for (start, function) in functions(&image, &prog) {
            let line = lines.iter().find(|[insn, ..]| *insn as usize == start);
            let [_, file, line, place] = *line.expect("line of a function's start");
            assert!(text(&image, file).ends_with("subprogs.bpf.c"));
            // The line is one of the function's: behind its head, if not the head itself.
            let number = (place >> 10) as usize;
            let until = source.get(..number).expect("lines");
            assert_eq!(until.last(), Some(&text(&image, line).as_str()));
            let head = until
                .iter()
                .rfind(|l| l.starts_with(|c: char| c.is_alphabetic() || c == '_'));
            let head = head.expect("head of a function");
            assert!(
                head.contains(&format!(" {function}(")),
                "{function}: {head}"
            );
        }
    }
}

#[test]
fn variables_of_subprogs_are_relocated_in_every_program() {
    let image = lower("subprogs", SUBPROGS);
    let image = parse(&image);
    for name in ["first", "second", "third"] {
        let prog = prog(&image, name);
        let code = insns(&image, &prog);
        let loads = code
            .iter()
            .enumerate()
            .filter(|(_, i)| i.code == 0x18 && i.src == 2);
        let loads: Vec<u32> = loads.map(|(i, _)| i as u32).collect();
        let relos: Vec<u32> = relos(&image, &prog).iter().map(|r| r.insn).collect();
        assert!(!loads.is_empty());
        assert_eq!(loads, relos, "{name}");
    }
}

#[test]
fn hidden_subprog_is_not_verified_on_its_own() {
    let image = lower("subprogs", SUBPROGS);
    let image = parse(&image);
    let types = types(&image);
    for (name, linkage) in [("hidden", 0), ("inner", 0), ("global", 1), ("first", 1)] {
        let func = types.iter().find(|t| t.kind == 12 && t.name == name);
        assert_eq!(func.expect(name).vlen, linkage, "{name}");
    }
}

#[test]
fn static_program_and_unknown_section_are_refused_by_name() {
    let message = refusal(
        "static_prog",
        r#"SEC("iter/bpf_map") static int lost(void *c) { return 0; }"#,
    );
    assert!(
        message.contains("section iter/bpf_map") && message.contains("symbol lost"),
        "{message}"
    );
    let message = refusal(
        "unknown_sec",
        r#"SEC("nonsense/x") int lost(void *c) { return 0; }"#,
    );
    assert!(
        message.contains("section nonsense/x") && message.contains("symbol lost"),
        "{message}"
    );
}

const EXTERNS: &str = r#"
struct kernel_thing { int a; };
extern int strong(const struct kernel_thing *t) SEC(".ksyms");
extern u64 weak___flavored(u64 n) __attribute__((weak)) SEC(".ksyms");
extern const struct kernel_thing variable SEC(".ksyms");
SEC("iter/bpf_map") int dump(void *ctx)
{
	if (weak___flavored)
		return weak___flavored(7);
	return strong(&variable);
}"#;

#[test]
fn externs_are_left_to_the_executor_whole() {
    let image = lower("externs", EXTERNS);
    let image = parse(&image);
    let types = types(&image);
    let externs: Vec<_> = image.externs().iter().collect();
    let names: Vec<_> = externs
        .iter()
        .map(|e| String::from_utf8_lossy(image.str(e.name)))
        .collect();
    assert_eq!(names, ["strong", "variable", "weak___flavored"]);
    let expect = [
        ("strong", 12, 13, 0),
        ("variable", 14, 4, 0),
        ("weak", 12, 13, extern_flags::WEAK),
    ];
    for (ksym, (name, kind, local_kind, flags)) in externs.iter().zip(expect) {
        let target = image.targets().get(ksym.target - 1).expect("target");
        assert_eq!(image.str(target.name), name.as_bytes());
        assert_eq!(target.kind, target_kind::EXACT | kind);
        assert_eq!(ksym.flags, flags);
        assert_eq!(
            types.get(ksym.type_id as usize).expect("type").kind,
            local_kind
        );
    }
    let prog = prog(&image, "dump");
    let code = insns(&image, &prog);
    let mut seen = Vec::new();
    for relo in relos(&image, &prog) {
        let insn = at(&code, relo.insn as usize);
        seen.push((relo.kind, relo.index));
        match relo.kind {
            relo_kind::EXTERN_CALL => assert_eq!((insn.code, insn.src, insn.imm), (0x85, 2, 0)),
            _ => {
                assert_eq!((insn.code, insn.src, insn.imm), (0x18, 0, 0));
                assert_eq!(at(&code, relo.insn as usize + 1).imm, 0);
            }
        }
    }
    seen.sort_unstable();
    let (load, call) = (relo_kind::EXTERN_LD64, relo_kind::EXTERN_CALL);
    assert_eq!(seen, [(load, 1), (load, 2), (call, 0), (call, 2)]);
    // 5.10 refuses functions without code and variables without a place.
    assert!(
        types
            .iter()
            .all(|t| t.name != ".ksyms" && t.name != "strong" && t.name != "variable")
    );
}

#[test]
fn value_of_the_machine_is_taken_for_known() {
    let image = lower(
        "of_the_machine",
        r#"
enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };
extern const void address SEC(".ksyms"), weak_address __attribute__((weak)) SEC(".ksyms");
extern int CONFIG_HZ SEC(".kconfig");
extern _Bool CONFIG_BPF __attribute__((weak)) SEC(".kconfig");
extern char CONFIG_NAME[5] SEC(".kconfig");
extern enum libbpf_tristate CONFIG_TUN SEC(".kconfig");
extern u64 LINUX_KERNEL_VERSION SEC(".kconfig");
SEC("iter/bpf_map") int dump(void *ctx)
{
	return (long)&address + (long)&weak_address + CONFIG_HZ + CONFIG_BPF + CONFIG_NAME[1] + CONFIG_TUN
		+ LINUX_KERNEL_VERSION;
}"#,
    );
    let image = parse(&image);
    assert_eq!(image.object().flags, object_flags::INCOMPLETE);
    let kconfig_map = map(&image, "of_the_.kconfig");
    assert_eq!(
        (
            kconfig_map.map_type,
            kconfig_map.value_size,
            kconfig_map.flags
        ),
        (2, 22, map_flags::FREEZE)
    );
    assert_eq!(image.data(kconfig_map.data), [0; 22]);
    // libbpf's order: by alignment, then by size.
    let variables: Vec<_> = image
        .kconfigs()
        .iter()
        .map(|k| {
            let name = String::from_utf8_lossy(image.str(k.name)).into_owned();
            (
                name,
                k.value.start - kconfig_map.data.start,
                k.value.len,
                k.kind,
                k.flags,
            )
        })
        .collect();
    assert_eq!(
        variables,
        [
            ("LINUX_KERNEL_VERSION".into(), 0, 8, kconfig_kind::INT, 0),
            (
                "CONFIG_HZ".into(),
                8,
                4,
                kconfig_kind::INT,
                kconfig_flags::SIGNED
            ),
            ("CONFIG_TUN".into(), 12, 4, kconfig_kind::TRISTATE, 0),
            (
                "CONFIG_BPF".into(),
                16,
                1,
                kconfig_kind::BOOL,
                kconfig_flags::WEAK
            ),
            ("CONFIG_NAME".into(), 17, 5, kconfig_kind::CHAR_ARRAY, 0),
        ]
    );
    let externs: Vec<_> = image
        .externs()
        .iter()
        .map(|e| (e.target, e.type_id, e.flags, e.address))
        .collect();
    assert_eq!(externs, [(0, 0, 0, 0), (0, 0, extern_flags::WEAK, 0)]);
    let dump = prog(&image, "dump");
    let code = insns(&image, &dump);
    let mut offsets = Vec::new();
    for relo in relos(&image, &dump) {
        let pair = [
            at(&code, relo.insn as usize),
            at(&code, relo.insn as usize + 1),
        ];
        if relo.kind == relo_kind::ADDRESS {
            assert_eq!((pair[0].src, pair[0].imm, pair[1].imm), (0, 0, 0));
        } else {
            assert_eq!((relo.kind, pair[0].src), (relo_kind::MAP, 2));
            offsets.push(pair[1].imm);
        }
    }
    offsets.sort_unstable();
    // CONFIG_NAME[1] is loaded from its array's start.
    assert_eq!(offsets, [0, 8, 12, 16, 17]);
    let types = types(&image);
    let sec = types
        .get(kconfig_map.btf_value_type_id as usize)
        .expect("type");
    assert_eq!(
        (sec.kind, sec.name.as_str(), sec.third),
        (15, ".kconfig", 22)
    );
    let places: Vec<_> = sec
        .rest
        .as_chunks::<3>()
        .0
        .iter()
        .map(|[_, offset, size]| (*offset, *size))
        .collect();
    assert_eq!(places, [(0, 8), (8, 4), (12, 4), (16, 1), (17, 5)]);
}

#[test]
fn unsupported_extern_is_refused_by_name() {
    let body = r#"SEC("iter/bpf_map") int dump(void *ctx) { return (long)&lost; }"#;
    let cases = [(
        "kconfig",
        r#"extern struct s { int x; } lost SEC(".kconfig");"#,
        "unsupported type of a .kconfig variable",
    )];
    for (name, declaration, word) in cases {
        let message = refusal(&format!("extern_{name}"), &format!("{declaration}\n{body}"));
        assert!(
            message.contains("symbol lost") && message.contains(word),
            "{message}"
        );
    }
}

#[test]
fn exception_callback_is_not_loaded() {
    let program = |callback: &str| {
        format!(
            r#"
#define tag(t) __attribute__((btf_decl_tag(t)))
static noinline int unused(int x) {{ return x; }}
noinline int callback(u64 cookie) {{ return cookie; }}
noinline int called(int x) {{ return x + 1; }}
SEC("tc") tag("exception_callback:{callback}") int prog(void *ctx) {{ return called(1); }}"#
        )
    };
    let image = lower("exception_callback", &program("callback"));
    let image = parse(&image);
    let functions = functions(&image, &prog(&image, "prog"));
    let names: Vec<_> = functions.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["prog", "called", "callback"]);
    // The verifier finds it by the tag.
    assert!(
        types(&image)
            .iter()
            .any(|t| t.kind == 17 && t.name == "exception_callback:callback")
    );
    for wrong in ["missing", "unused"] {
        let message = refusal("exception_callback_wrong", &program(wrong));
        assert!(
            message.contains("symbol prog") && message.contains(wrong),
            "{message}"
        );
    }
}

fn tagged(tag: &str) -> String {
    format!(
        r#"
#define tag(t) __attribute__((btf_decl_tag(t)))
SEC("iter/bpf_map") tag("{tag}") int one(void *ctx) {{ return 0; }}
SEC("iter/bpf_prog") tag("link_name:two.debug") int two(void *ctx) {{ return 0; }}
SEC("iter/bpf_prog") tag("somebody else's") int three(void *ctx) {{ return 0; }}"#
    )
}

#[test]
fn link_name_reaches_its_program_and_not_the_kernel() {
    let image = lower("link_name", &tagged("link_name:123456789.debug"));
    let image = parse(&image);
    for (name, link) in [
        ("one", "123456789.debug"),
        ("two", "two.debug"),
        ("three", ""),
    ] {
        assert_eq!(image.str(prog(&image, name).link_name), link.as_bytes());
    }
    // A foreign tag is the kernel's business.
    let tags: Vec<_> = types(&image).into_iter().filter(|t| t.kind == 17).collect();
    assert_eq!(
        tags.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
        ["somebody else's"]
    );
}

#[test]
fn link_name_that_cannot_be_a_file_is_refused() {
    let wrong = ["", "1234567890.debug", "a/b", "..", "two.debug", "a b"];
    for (i, name) in wrong.iter().enumerate() {
        let message = refusal(
            &format!("bad_link_{i}"),
            &tagged(&format!("link_name:{name}")),
        );
        // The second program of the same name is the one too many.
        let symbol = if *name == "two.debug" {
            "symbol two"
        } else {
            "symbol one"
        };
        assert!(
            message.contains(symbol) && message.contains("link name"),
            "{message}"
        );
    }
    let subprog = r#"
volatile int v;
__attribute__((btf_decl_tag("link_name:x"))) noinline int sub(int x) { return x + v; }
SEC("iter/bpf_map") int dump(void *ctx) { return sub(1); }"#;
    let message = refusal("bad_link_subprog", subprog);
    assert!(
        message.contains("symbol sub") && message.contains("no program"),
        "{message}"
    );
}

#[test]
fn struct_that_only_a_tag_names_is_left_out() {
    let source = r#"
#define tag(t) __attribute__((btf_decl_tag(t)))
struct node { u64 o[3]; };
struct head { u64 o[2]; };
struct deep { struct node node; };
struct item { struct node node; struct head deeper tag("contains:deep:node"); };
struct head head tag("contains:item:node");
SEC("tc") int on(void *ctx) { return head.o[0]; }
SEC("?tc") int off(struct item *item, struct deep *deep) { return item->node.o[0] + deep->node.o[0]; }"#;
    let image = lower("contains", source);
    let types = types(&parse(&image));
    let has = |name: &str| types.iter().any(|t| t.kind == 4 && t.name == name);
    assert!(has("item") && has("deep"));
}
