// SPDX-License-Identifier: MIT OR Apache-2.0
//! Enumerators: by name, whatever value and whichever width they have here.

use super::{all, refusal, values};

const LOCAL: &str = "struct s; enum e { RED = 1, GREEN = 2, BLUE___alt = 3 };
enum e___v2 { PINK = 9 };";

#[test]
fn values_are_the_kernels() {
    let found = values(
        LOCAL,
        &[
            "enumval(enum e, RED, 1)",
            "enumval(enum e, GREEN, 1)",
            "enumval(enum e, BLUE___alt, 1)",
        ],
        |btf| {
            btf.enumeration("e", &[("BLUE", 30), ("GREEN", -5), ("RED", 0x7fff_ffff)]);
        },
    );
    // Negative ones are sign-extended to 64 bits, as libbpf has them.
    assert_eq!(found, all(&[0x7fff_ffff, -5, 30]));
}

#[test]
fn existence_is_by_name_without_flavor() {
    let found = values(
        LOCAL,
        &[
            "enumval(enum e, RED, 0)",
            "enumval(enum e, GREEN, 0)",
            "enumval(enum e, BLUE___alt, 0)",
            "enumval(enum e___v2, PINK, 0)",
        ],
        |btf| {
            btf.enumeration("e", &[("BLUE", 1), ("GREEN___was", 2), ("PINK", 3)]);
        },
    );
    assert_eq!(found, all(&[0, 1, 1, 1]));
}

#[test]
fn one_flavor_is_taken_off_and_no_more() {
    let found = values(
        "struct s; enum e { A___b___c = 1 };",
        &["enumval(enum e, A___b___c, 1)"],
        |btf| {
            btf.enumeration("e", &[("A", 1), ("A___b", 2), ("A___b___d", 3)]);
        },
    );
    assert_eq!(found, all(&[3]));
}

#[test]
fn a_missing_enumerator_has_no_value() {
    let expressions = ["enumval(enum e, RED, 0)", "enumval(enum e, RED, 1)"];
    let found = values(LOCAL, &expressions, |btf| {
        btf.enumeration("e", &[("REDDISH", 1), ("RE", 2)]);
    });
    assert_eq!(found, [Some(0), None]);
    // Nor has an enumerator of a missing enum.
    let found = values(LOCAL, &expressions, |_| {});
    assert_eq!(found, [Some(0), None]);
}

#[test]
fn an_enum_may_have_grown_to_64_bits() {
    let found = values(
        LOCAL,
        &[
            "enumval(enum e, RED, 1)",
            "enumval(enum e, GREEN, 1)",
            "enumval(enum e, GREEN, 0)",
        ],
        |btf| {
            btf.enum64("e", &[("RED", 0x1_0000_0005), ("GREEN", u64::MAX)]);
        },
    );
    assert_eq!(found, all(&[0x1_0000_0005, -1, 1]));
}

#[test]
fn two_enums_that_disagree_are_an_error() {
    let line = refusal(LOCAL, "enumval(enum e, GREEN, 1)", |btf| {
        btf.enumeration("e", &[("GREEN", 1)]);
        btf.enumeration("e___old", &[("GREEN", 2)]);
    });
    assert!(
        line.starts_with("bpf_preload: relocate prog prog: <enumval_value> ["),
        "{line}"
    );
    assert!(line.ends_with("] enum e::GREEN: ambiguous"), "{line}");
}

#[test]
fn two_enums_that_agree_are_one() {
    let found = values(LOCAL, &["enumval(enum e, GREEN, 1)"], |btf| {
        btf.enumeration("e", &[("RED", 7), ("GREEN", 2)]);
        btf.enumeration("e", &[("GREEN", 2)]);
        btf.enumeration("e", &[("RED", 2)]);
    });
    assert_eq!(found, all(&[2]));
}
