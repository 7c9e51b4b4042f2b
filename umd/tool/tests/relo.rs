// SPDX-License-Identifier: MIT OR Apache-2.0
//! `relo FILE.o --btf FILE`, without a kernel: objects are each other's kernels. What
//! libbpf makes of the same is compared by tests/conformance.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a source as `name.bpf.c`.
fn compile(name: &str, source: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("relo");
    std::fs::create_dir_all(&dir).expect("create a directory");
    let [c, o] = ["c", "o"].map(|end| dir.join(format!("{name}.bpf.{end}")));
    std::fs::write(&c, source).expect("write the source");
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let status = Command::new(clang)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-c", "-o"])
        .args([&o, &c])
        .status()
        .expect("clang cannot be run: install it with tests/setup, or set CLANG");
    assert!(status.success());
    o
}

/// Whether it succeeds, and what it says on stdout or else on stderr.
fn relo(arguments: &[&Path]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bpf-preload"))
        .arg("relo")
        .args(arguments)
        .output()
        .expect("run");
    let said = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8(said).expect("UTF-8"),
    )
}

const PROGRAM: &str = r#"
struct s { int a, b, c; } __attribute__((preserve_access_index));
__attribute__((section("tc"), used)) int prog(struct s *s)
{
	if (__builtin_preserve_field_info(s->c, 2))
		return s->c;
	return s->b;
}"#;

#[test]
fn relocation_is_shown_with_another_value_than_it_gets() {
    let program = compile("program", PROGRAM);
    let kernel = compile(
        "kernel",
        "struct s { long pad[5]; int b, a; }; struct s s __attribute__((section(\".data\")));",
    );
    let btf = Path::new("--btf");
    let (ok, said) = relo(&[&program, btf, &kernel]);
    assert!(ok, "{said}");
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let ends = |what: &str, end: &str| {
        assert!(
            lines.iter().any(|l| l.contains(what) && l.ends_with(end)),
            "{what} {end}: {said}"
        );
    };
    assert_eq!(lines.first(), Some(&"prog:"));
    ends("<field_exists>", "struct s.c (0:2 @ offset 8) = 0");
    ends("<byte_off>", "struct s.b (0:1 @ offset 4) = 40");
    ends(
        "<byte_off>",
        "struct s.c (0:2 @ offset 8) poisoned: not in this BTF",
    );
    let (ok, raw) = relo(&[&program, btf, &kernel, Path::new("--raw")]);
    assert!(ok, "{raw}");
    let mut lines = raw.lines();
    let head = lines.next().expect("a line");
    let insns: Vec<&str> = lines.collect();
    assert_eq!(head, format!("prog {}", insns.len()));
    // r2 = 40, for what would have been a load at offset 4; and the poisoned call.
    assert!(insns.contains(&"00000028000002b7"), "{raw}");
    assert!(insns.contains(&"0bad231000000085"), "{raw}");
    let (ok, json) = relo(&[&program, btf, &kernel, Path::new("-j")]);
    assert!(
        ok && json.contains(r#""value":40"#) && json.contains(r#""poisoned":true"#),
        "{json}"
    );
}

#[test]
fn poisoned_load_is_shown_with_a_value() {
    let program = compile(
        "misfit",
        r#"
struct s { int a, b; } __attribute__((preserve_access_index));
__attribute__((section("tc"), used)) int prog(struct s *s) { return s->b; }"#,
    );
    let kernel = compile(
        "misfit_kernel",
        "struct s { long a, b; }; struct s s __attribute__((section(\".data\")));",
    );
    let btf = Path::new("--btf");
    let (ok, said) = relo(&[&program, btf, &kernel]);
    let line = "struct s.b (0:1 @ offset 4) poisoned: of another size in this BTF\n";
    assert!(ok && said.ends_with(line), "{said}");
    let (ok, raw) = relo(&[&program, btf, &kernel, Path::new("--raw")]);
    assert!(ok && raw.contains("\n0bad231000000085\n"), "{raw}");
}

#[test]
fn bad_btf_is_not_explained() {
    let program = compile("program_2", PROGRAM);
    let garbage = program.with_extension("garbage");
    std::fs::write(&garbage, b"this is no BTF at all").expect("write");
    for (btf, words) in [
        ("/nonexistent", "read /nonexistent: ENOENT (2)"),
        (
            garbage.to_str().expect("UTF-8"),
            "program_2.bpf.garbage: read kernel BTF: bad BTF header",
        ),
        ("/bin/sh", "/bin/sh: no section .BTF"),
    ] {
        let (ok, said) = relo(&[&program, Path::new("--btf"), Path::new(btf)]);
        assert!(
            !ok && said.contains(words) && said.lines().count() == 1,
            "{said}"
        );
    }
}

/// BTF of these types and strings.
fn btf(types: &[u32], strings: &str) -> Vec<u8> {
    let len = 4 * types.len() as u32;
    let header = [0x0001_eb9f, 24, 0, len, len, strings.len() as u32];
    let words = header.iter().chain(types);
    let words = words.flat_map(|word| word.to_le_bytes());
    words.chain(strings.bytes()).collect()
}

#[test]
fn type_of_a_module_is_not_found_or_hides_the_kernels() {
    let source = r#"
#define CORE __attribute__((preserve_access_index))
struct own { int a, b; } CORE;
struct both { int a, b; } CORE;
__attribute__((section("tc"), used)) int prog(struct own *own) { return own->b; }
__attribute__((section("tc"), used)) int other(struct both *both) { return both->b; }"#;
    let program = compile("of_module", source);
    // The kernel: int; struct both { int b at 4 }.
    let kernel = btf(
        &[1, 1 << 24, 4, 32, 5, 4 << 24 | 1, 8, 10, 1, 32],
        "\0int\0both\0b\0",
    );
    // The module: struct own { int b at 20 }, struct both { int b at 40 }.
    let own = [12, 4 << 24 | 1, 24, 10, 1, 160];
    let both = [5, 4 << 24 | 1, 44, 10, 1, 320];
    let module = btf(&[own, both].concat(), "own\0");
    let dir = program.parent().expect("a directory");
    let [vmlinux, ko] = [("vmlinux", kernel), ("a-module.ko", module)].map(|(name, bytes)| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).expect("write BTF");
        path
    });
    let base = Path::new("--base-btf");
    let (ok, said) = relo(&[&program, Path::new("--btf"), &ko, base, &vmlinux]);
    assert!(ok, "{said}");
    let value = |name: &str| {
        let line = said.lines().find(|line| line.contains(name));
        line.and_then(|line| line.rsplit("= ").next())
            .map(str::to_owned)
    };
    assert_eq!(value("struct own.b").as_deref(), Some("20"), "{said}");
    assert_eq!(value("struct both.b").as_deref(), Some("4"), "{said}");
    // Without its kernel it is none.
    let (ok, said) = relo(&[&program, Path::new("--btf"), &ko]);
    assert!(
        !ok && said.contains("a-module.ko: BTF of a module, "),
        "{said}"
    );
    let (ok, said) = relo(&[&program, Path::new("--btf"), &program, base, &ko]);
    assert!(!ok && said.lines().count() == 1, "{said}");
}
