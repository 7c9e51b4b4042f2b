// SPDX-License-Identifier: MIT OR Apache-2.0
//! Field relocations: offset, size, existence, signedness, and the shifts that
//! extract a bit-field from the 64 bits that a load of it gives.

use super::{all, values};

const LOCAL: &str = "struct s { u32 a; u32 b; } core;";

/// `enum bpf_field_info_kind`, in its order.
const ALL: [&str; 6] = [
    "field(s->b, 0)",
    "field(s->b, 1)",
    "field(s->b, 2)",
    "field(s->b, 3)",
    "field(s->b, 4)",
    "field(s->b, 5)",
];

#[test]
fn a_moved_field_is_found_where_it_is() {
    let found = values(LOCAL, &["field(s->a, 0)", "field(s->b, 0)"], |btf| {
        let int = btf.int("unsigned int", 4, false);
        btf.strukt(
            "s",
            24,
            &[("new", int, 0, 0), ("b", int, 64, 0), ("a", int, 160, 0)],
        );
    });
    assert_eq!(found, all(&[20, 8]));
}

#[test]
fn an_unchanged_field_stays() {
    let found = values(LOCAL, &ALL, |btf| {
        let int = btf.int("unsigned int", 4, false);
        btf.strukt("s", 8, &[("a", int, 0, 0), ("b", int, 32, 0)]);
    });
    // The 4 bytes of a load at 4 are zero-extended: 32 bits to shift out either way.
    assert_eq!(found, all(&[4, 4, 1, 0, 32, 32]));
}

#[test]
fn size_and_sign_are_the_kernels() {
    let kinds = &ALL[1..];
    for (bytes, signed, shift) in [(1, true, 56), (2, false, 48), (8, true, 0)] {
        let found = values(LOCAL, kinds, |btf| {
            let int = btf.int("an integer", bytes, signed);
            btf.strukt("s", 16, &[("b", int, 64, 0)]);
        });
        let bytes = i64::from(bytes);
        assert_eq!(found, all(&[bytes, 1, i64::from(signed), shift, shift]));
    }
}

#[test]
fn a_field_that_is_not_there_is_poison_except_to_who_asks() {
    let found = values(LOCAL, &ALL, |btf| {
        let int = btf.int("unsigned int", 4, false);
        btf.strukt("s", 4, &[("a", int, 0, 0)]);
    });
    assert_eq!(found, [None, None, Some(0), None, None, None]);
}

#[test]
fn a_struct_that_is_not_there_has_no_fields() {
    let found = values(LOCAL, &ALL[..3], |_| {});
    assert_eq!(found, [None, None, Some(0)]);
}

#[test]
fn a_field_of_another_kind_is_not_the_field() {
    // libbpf's bpf_core_fields_are_compat(): an integer is no pointer.
    let found = values(LOCAL, &["field(s->a, 2)", "field(s->b, 2)"], |btf| {
        let int = btf.int("unsigned int", 4, false);
        let ptr = btf.ptr(int);
        btf.strukt("s", 16, &[("a", ptr, 0, 0), ("b", int, 64, 0)]);
    });
    assert_eq!(found, all(&[0, 1]));
}

#[test]
fn bit_fields_are_extracted_from_the_load_that_holds_them() {
    // Width 5 at bit 37: in the u32 at byte 4, from its bit 5 on. Left by
    // 64 - (5 + 5), right by 64 - 5.
    let in_one_word = (37, 5, all(&[4, 4, 1, 0, 54, 59]));
    // Width 4 at bit 30: across two u32, so that it takes 8 bytes from 0 on.
    let across = (30, 4, all(&[0, 8, 1, 0, 30, 60]));
    // The last bit of the third u32.
    let last = (95, 1, all(&[8, 4, 1, 0, 32, 63]));
    for local in [LOCAL, "struct s { u32 a : 7, b : 3; } core;"] {
        for (bit_offset, width, expected) in [&in_one_word, &across, &last] {
            let found = values(local, &ALL, |btf| {
                let int = btf.int("unsigned int", 4, false);
                btf.strukt("s", 12, &[("b", int, *bit_offset, *width)]);
            });
            assert_eq!(found, *expected, "{width} bits at {bit_offset}, {local}");
        }
    }
}

#[test]
fn a_signed_bit_field_is_signed() {
    let found = values("struct s { int b : 3; } core;", &ALL, |btf| {
        let int = btf.int("int", 4, true);
        btf.strukt("s", 4, &[("b", int, 6, 7)]);
    });
    assert_eq!(found, all(&[0, 4, 1, 1, 51, 57]));
}

#[test]
fn a_bit_field_that_became_a_field_is_loaded_as_one() {
    let found = values("struct s { u32 a : 7, b : 3; } core;", &ALL, |btf| {
        let int = btf.int("unsigned short", 2, false);
        btf.strukt("s", 8, &[("b", int, 48, 0)]);
    });
    assert_eq!(found, all(&[6, 2, 1, 0, 48, 48]));
}

#[test]
fn a_field_of_more_than_64_bits_has_libbpfs_shifts() {
    let local = "struct s { struct t { u64 a; } b; } core;";
    let wide = ["field(s->b, 4)", "field(s->b, 5)"];
    let found = values(local, &wide, |btf| {
        let inner = btf.strukt("t", 16, &[]);
        btf.strukt("s", 16, &[("b", inner, 0, 0)]);
    });
    // 64 - 128, as libbpf's unsigned int; the instruction may sign-extend it.
    for value in found {
        assert_eq!(value.map(|value| value as u32), Some(-64i32 as u32));
    }
}
