// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel functions and variables that a program names.

use preload_image::{Extern, Image, Object, Writer, extern_flags, object_flags};

use super::kernel;
use crate::btf_builder::Btf;
use crate::fake_kernel::FakeKernel;
use crate::object;

const LD_IMM64: u8 = 0x18;
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` and `BPF_PSEUDO_BTF_ID`.
const KFUNC_CALL: u8 = 2;
const BTF_ID: u8 = 3;
/// `imm` of the call of a missing kfunc, to which libbpf adds its number.
const POISON_KFUNC: i32 = 2_002_000_000;

const WEAK: &str = "struct s { u32 a; };
extern int kfunc(struct s *s) __ksym __weak;
ITER int prog(struct s *s) { if (kfunc) return kfunc(s); return 0; }";
const STRONG: &str = "struct s { u32 a; };
extern int kfunc(struct s *s) __ksym;
ITER int prog(struct s *s) { return kfunc(s); }";
const VAR: &str = "struct s { u32 a; };
extern const struct s var __ksym;
ITER int prog(void *ctx) { return (u64)&var; }";
const WEAK_VAR: &str = "struct s { u32 a; };
extern const struct s var __ksym __weak;
ITER int prog(void *ctx) { return (u64)&var; }";

/// `src_reg` and `imm` of each instruction of an opcode.
fn operands(fake: &FakeKernel, source: &str, code: u8) -> Vec<(u8, i32)> {
    let image = object::image(source);
    assert_eq!(object::run(fake, &image), 0, "{}", object::line(fake));
    let loads = fake.loads();
    let insns = loads[0].insns.iter().filter(|insn| insn[0] == code);
    let imm = |insn: &[u8; 8]| i32::from_le_bytes(insn[4..].try_into().unwrap());
    insns.map(|insn| (insn[1] >> 4, imm(insn))).collect()
}

/// A kernel with `int kfunc(struct <pointee> *)`; its id.
fn with_kfunc(pointee: Option<&str>) -> (FakeKernel, i32) {
    let mut id = 0;
    let fake = kernel(|btf: &mut Btf| {
        let int = btf.int("int", 4, true);
        let param = match pointee {
            Some(name) => {
                let s = btf.strukt(name, 64, &[]);
                btf.ptr(s)
            }
            None => int,
        };
        let proto = btf.proto(int, &[param]);
        // A variable of that name is no function.
        btf.var("kfunc", int);
        id = btf.func("kfunc", proto) as i32;
    });
    (fake, id)
}

#[test]
fn a_present_kfunc_is_called_by_its_id() {
    for source in [WEAK, STRONG] {
        let (fake, id) = with_kfunc(Some("s"));
        assert_eq!(operands(&fake, source, CALL), [(KFUNC_CALL, id)]);
    }
    let (fake, id) = with_kfunc(Some("s"));
    assert_eq!(operands(&fake, WEAK, LD_IMM64), [(BTF_ID, id)]);
}

#[test]
fn an_absent_weak_kfunc_has_the_address_0_and_a_poisoned_call() {
    assert_eq!(operands(&kernel(|_| {}), WEAK, LD_IMM64), [(0, 0)]);
    assert_eq!(operands(&kernel(|_| {}), WEAK, CALL), [(0, POISON_KFUNC)]);
}

#[test]
fn a_weak_kfunc_of_another_prototype_is_an_absent_one() {
    // libbpf: types must be compatible, and an int is no pointer.
    let (fake, _) = with_kfunc(None);
    assert_eq!(operands(&fake, WEAK, LD_IMM64), [(0, 0)]);
}

#[test]
fn an_absent_or_different_strong_kfunc_is_an_error() {
    let image = object::image(STRONG);
    let line = object::refusal(&kernel(|_| {}), &image);
    assert_eq!(line, "bpf_preload: resolve ksym kfunc: not in kernel BTF");
    let (fake, _) = with_kfunc(None);
    let line = object::refusal(&fake, &image);
    assert!(
        line.starts_with("bpf_preload: resolve ksym kfunc: type ["),
        "{line}"
    );
}

#[test]
fn a_reached_call_of_an_absent_kfunc_is_named() {
    let mut fake = kernel(|_| {});
    fake.verifier = Box::new(crate::fake_kernel::unknown_calls);
    let line = object::refusal(&fake, &object::image(WEAK));
    let expected = "bpf_preload: load prog prog: EINVAL (22): kfunc kfunc is not in this kernel";
    assert!(line.starts_with(expected), "{line}");
}

#[test]
fn a_variable_is_found_by_name_and_type() {
    let mut id = 0;
    let fake = kernel(|btf| {
        let s = btf.strukt("s", 64, &[]);
        let konst = btf.konst(s);
        let proto = btf.proto(s, &[]);
        btf.func("var", proto);
        id = btf.var("var", konst) as i32;
    });
    assert_eq!(operands(&fake, VAR, LD_IMM64), [(BTF_ID, id)]);
}

#[test]
fn an_absent_variable_is_0_if_weak_and_else_an_error() {
    assert_eq!(operands(&kernel(|_| {}), WEAK_VAR, LD_IMM64), [(0, 0)]);
    let line = object::refusal(&kernel(|_| {}), &object::image(VAR));
    assert_eq!(line, "bpf_preload: resolve ksym var: not in kernel BTF");
}

#[test]
fn a_variable_of_another_type_is_an_error_even_if_weak() {
    // libbpf: unlike a kfunc, it is not taken for missing.
    for source in [VAR, WEAK_VAR] {
        let fake = kernel(|btf| {
            let int = btf.int("int", 4, true);
            btf.var("var", int);
        });
        let line = object::refusal(&fake, &object::image(source));
        assert!(
            line.starts_with("bpf_preload: resolve ksym var: type ["),
            "{line}"
        );
    }
}

#[test]
fn a_symbol_at_0_is_taken_for_a_missing_one() {
    let image = object::image(
        "extern const void symbol __ksym;
ITER int prog(void *ctx) { return (u64)&symbol; }",
    );
    let completed = |flags: u32| {
        let image = Image::parse(&image).unwrap();
        let mut writer = Writer::of(&image);
        let ksym = image.externs().get(0).unwrap();
        writer.replace_extern(0, Extern { flags, ..ksym });
        let flags = image.object().flags & !object_flags::INCOMPLETE;
        writer.object(Object {
            flags,
            ..image.object()
        });
        writer.finish().unwrap()
    };
    let fake = kernel(|_| {});
    let loaded = object::load(&fake, &completed(extern_flags::KNOWN), || fake.loads());
    let loads = loaded.expect("load");
    assert!(
        loads[0]
            .insns
            .starts_with(&[[LD_IMM64, 0, 0, 0, 0, 0, 0, 0], [0; 8]])
    );
    let refused = object::load(&kernel(|_| {}), &completed(0), || ());
    let line = "bpf_preload: resolve ksym symbol: not in /proc/kallsyms";
    assert_eq!(
        refused.map_err(|line| line.trim_end().to_owned()),
        Err(line.to_owned())
    );
}
