// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads whose width follows the kernel's field: unsigned integers and pointers
//! only, since a wider or narrower load of anything else reads another value.

use super::{Insn, insns, kernel};
use crate::btf_builder::Btf;
use crate::object;

/// `ldx` of 1, 2, 4 and 8 bytes.
const LDX: [(u32, u8); 4] = [(1, 0x71), (2, 0x69), (4, 0x61), (8, 0x79)];

/// The load of `s->b`, which has this type, against a kernel's.
fn load(local: &str, kernel_types: impl FnOnce(&mut Btf)) -> Insn {
    let source = format!(
        "struct s {{ u64 a; {local}; }} core; ITER int prog(struct s *s) {{ return (u64)s->b; }}"
    );
    let insns = insns(&object::image(&source), &kernel(kernel_types));
    assert_eq!(insns.len(), 1);
    insns[0]
}

#[test]
fn a_load_of_an_unsigned_integer_takes_the_kernels_width() {
    for local in ["u8 b", "u16 b", "u32 b", "u64 b"] {
        for (bytes, code) in LDX {
            let insn = load(local, |btf| {
                let int = btf.int("an integer", bytes, false);
                btf.strukt("s", 64, &[("b", int, 256, 0)]);
            });
            assert_eq!(
                (insn.code, insn.off),
                (code, 32),
                "{local} from {bytes} bytes"
            );
        }
    }
}

#[test]
fn a_load_of_a_signed_integer_of_another_width_is_poison() {
    for (local, bytes, signed) in [
        ("s32 b", 8, true),
        ("s32 b", 2, true),
        // One side suffices: sign or zero extension would be wrong for the other.
        ("u32 b", 8, true),
        ("s32 b", 8, false),
    ] {
        let insn = load(local, |btf| {
            let int = btf.int("an integer", bytes, signed);
            btf.strukt("s", 64, &[("b", int, 256, 0)]);
        });
        assert!(insn.poisoned(), "{local} from {bytes} bytes: {insn:?}");
    }
}

#[test]
fn a_load_of_what_became_a_bit_field_is_poison() {
    // It would read its neighbours, too.
    for local in ["u8 b", "u32 b", "s32 b", "u64 b"] {
        let insn = load(local, |btf| {
            let int = btf.int("unsigned int", 4, false);
            btf.strukt("s", 64, &[("b", int, 256, 3)]);
        });
        assert!(insn.poisoned(), "{local}: {insn:?}");
    }
}

#[test]
fn a_load_of_the_same_width_only_moves() {
    for (local, signed) in [("s32 b", false), ("u32 b", true), ("s32 b", true)] {
        let insn = load(local, |btf| {
            let int = btf.int("an integer", 4, signed);
            btf.strukt("s", 64, &[("b", int, 96, 0)]);
        });
        assert_eq!((insn.code, insn.off), (0x61, 12), "{local}");
    }
}

#[test]
fn a_load_of_a_pointer_only_moves() {
    let insn = load("void *b", |btf| {
        let ptr = btf.ptr(0);
        btf.strukt("s", 64, &[("b", ptr, 128, 0)]);
    });
    assert_eq!((insn.code, insn.off), (0x79, 16));
}

#[test]
fn a_load_of_an_enum_of_another_width_is_poison() {
    let insn = load("enum e { ONE = 1 } b", |btf| {
        let e = btf.enum64("e", &[("ONE", 1)]);
        btf.strukt("s", 64, &[("b", e, 128, 0)]);
    });
    assert!(insn.poisoned(), "{insn:?}");
}

#[test]
fn a_load_of_an_element_takes_the_elements_width() {
    let source = "struct s { u32 list[4]; } core;
ITER int prog(struct s *s) { return s->list[2]; }";
    let image = object::image(source);
    let of = |bytes, signed| {
        let fake = kernel(|btf| {
            let int = btf.int("an integer", bytes, signed);
            let list = btf.array(int, int, 4);
            btf.strukt("s", 64, &[("list", list, 64, 0)]);
        });
        insns(&image, &fake)[0]
    };
    let insn = of(4, false);
    assert_eq!((insn.code, insn.off), (0x61, 8 + 2 * 4));
    // libbpf looks at the element's type here, not at the array's.
    let insn = of(8, false);
    assert_eq!((insn.code, insn.off), (0x79, 8 + 2 * 8));
    assert!(of(8, true).poisoned());
}

#[test]
fn an_offset_that_no_load_can_hold_is_an_error() {
    let image =
        object::image("struct s { u32 b; } core; ITER int prog(struct s *s) { return s->b; }");
    let at = |bit_offset| {
        kernel(|btf| {
            let int = btf.int("unsigned int", 4, false);
            btf.strukt("s", 1 << 20, &[("b", int, bit_offset, 0)]);
        })
    };
    assert_eq!(insns(&image, &at(8 * 0x7fff))[0].off, 0x7fff);
    let line = object::refusal(&at(8 * 0x8000), &image);
    assert!(
        line.starts_with("bpf_preload: relocate prog prog: <byte_off> "),
        "{line}"
    );
    assert!(line.ends_with(": value too big"), "{line}");
}
