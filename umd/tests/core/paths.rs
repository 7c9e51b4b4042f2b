// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way from a root type to a field: flavors, anonymous members, arrays,
//! typedefs, and several candidates for the root.

use super::{all, id_of, refusal, values};
use crate::btf_builder::Btf;
use crate::fake_kernel::FakeKernel;
use crate::object;

#[test]
fn flavors_count_on_neither_side() {
    let local = "struct s___v2 { u32 a; } core; struct s;";
    let field = ["field(((struct s___v2 *)s)->a, 0)"];
    for name in ["s", "s___v2", "s___other"] {
        let found = values(local, &field, |btf| {
            let int = btf.int("unsigned int", 4, false);
            btf.strukt(name, 16, &[("a", int, 96, 0)]);
        });
        assert_eq!(found, all(&[12]), "{name}");
    }
    // Two underscores make no flavor, nor do three at an end.
    for name in ["s__v2", "s___", "___s"] {
        let found = values(local, &field, |btf| {
            let int = btf.int("unsigned int", 4, false);
            btf.strukt(name, 16, &[("a", int, 96, 0)]);
        });
        assert_eq!(found, [None], "{name}");
    }
}

#[test]
fn one_flavor_is_taken_off_and_no_more() {
    // Of one letter, which is found by another way than longer names.
    let local = "struct a___b___c { u32 a; } core; struct s;";
    let field = ["field(((struct a___b___c *)s)->a, 0)"];
    for (name, there) in [
        ("a___b___c", true),
        ("a___b___d", true),
        ("a___b", false),
        ("a", false),
    ] {
        let found = values(local, &field, |btf| {
            let int = btf.int("unsigned int", 4, false);
            btf.strukt(name, 16, &[("a", int, 96, 0)]);
        });
        assert_eq!(found, [there.then_some(12)], "{name}");
    }
}

#[test]
fn anonymous_members_are_looked_into() {
    let found = values(
        "struct s { u32 a; struct { u32 b; }; union { u32 c; u64 d; }; } core;",
        &[
            "field(s->a, 0)",
            "field(s->b, 0)",
            "field(s->c, 0)",
            "field(s->d, 0)",
        ],
        |btf| {
            let int = btf.int("unsigned int", 4, false);
            let long = btf.int("unsigned long", 8, false);
            let inner = btf.strukt("", 8, &[("pad", int, 0, 0), ("a", int, 32, 0)]);
            let konst = btf.konst(inner);
            let either = btf.union("", 8, &[("d", long, 0, 0), ("", konst, 0, 0)]);
            // Plain here what is nested there, and the other way round.
            btf.strukt(
                "s",
                32,
                &[("b", int, 0, 0), ("", either, 64, 0), ("c", int, 128, 0)],
            );
        },
    );
    assert_eq!(found, all(&[8 + 4, 0, 16, 8]));
}

#[test]
fn a_named_member_is_not_looked_into() {
    let found = values("struct s { u32 a; } core;", &["field(s->a, 2)"], |btf| {
        let int = btf.int("unsigned int", 4, false);
        let inner = btf.strukt("", 8, &[("a", int, 32, 0)]);
        btf.strukt("s", 8, &[("named", inner, 0, 0)]);
    });
    assert_eq!(found, all(&[0]));
}

/// `struct s` with a list of `nelems` u32 at byte 8; behind it something, or not.
fn listed(nelems: u32, last: bool) -> impl FnOnce(&mut Btf) {
    move |btf| {
        let int = btf.int("unsigned int", 4, false);
        let list = btf.array(int, int, nelems);
        let mut members = vec![("a", int, 0, 0), ("list", list, 64, 0)];
        if !last {
            members.push(("behind", int, 512, 0));
        }
        btf.strukt("s", 128, &members);
    }
}

#[test]
fn an_element_beyond_the_kernels_array_is_not_there() {
    let (local, element) = ("struct s { u32 list[4]; } core;", ["field(s->list[2], 0)"]);
    let of = |nelems, last| values(local, &element, listed(nelems, last));
    assert_eq!(of(8, false), all(&[16]));
    assert_eq!(of(3, false), all(&[16]));
    assert_eq!(of(2, false), [None]);
    assert_eq!(of(1, true), [None]);
    // A flexible array has any element, if it is one: at the end.
    assert_eq!(of(0, true), all(&[16]));
    assert_eq!(of(0, false), [None]);
}

#[test]
fn a_flexible_array_may_have_got_a_length() {
    let (local, element) = (
        "struct s { u32 a; u32 list[]; } core;",
        ["field(s->list[5], 0)"],
    );
    let of = |nelems| values(local, &element, listed(nelems, false));
    assert_eq!(of(6), all(&[28]));
    assert_eq!(of(5), [None]);
}

#[test]
fn steps_through_arrays_of_structs_take_the_kernels_sizes() {
    let found = values(
        "struct in { u32 x; u32 y; } core; struct s { struct in in[3]; u32 last; } core;",
        &[
            "field(s->in[2].y, 0)",
            "field(s[1].last, 0)",
            "field(s->in, 1)",
        ],
        |btf| {
            let int = btf.int("unsigned int", 4, false);
            let inner = btf.strukt("in", 24, &[("y", int, 64, 0), ("x", int, 160, 0)]);
            let ins = btf.array(inner, int, 4);
            btf.strukt("s", 128, &[("last", int, 0, 0), ("in", ins, 64, 0)]);
        },
    );
    assert_eq!(found, all(&[8 + 2 * 24 + 8, 128, 4 * 24]));
}

#[test]
fn typedefs_and_qualifiers_are_no_steps() {
    let found = values(
        "typedef u32 id_t; typedef id_t tid_t; struct s { const volatile tid_t a; } core;
typedef struct s s_t; typedef struct { u32 z; } core anon_t;",
        &[
            "field(s->a, 0)",
            "field(((s_t *)s)->a, 0)",
            "field(((anon_t *)s)->z, 0)",
        ],
        |btf| {
            let int = btf.int("int", 4, true);
            let pid = btf.typedef("pid_t", int);
            let konst = btf.konst(pid);
            let own = btf.typedef("own_t", konst);
            let s = btf.strukt("s", 16, &[("a", own, 64, 0)]);
            let inner = btf.typedef("inner", s);
            let konst = btf.konst(inner);
            btf.typedef("s_t", konst);
            let anon = btf.strukt("", 16, &[("z", int, 96, 0)]);
            btf.typedef("anon_t", anon);
        },
    );
    assert_eq!(found, all(&[8, 8, 12]));
}

const LOCAL: &str = "struct s { u32 a; u32 b; } core;";

/// Several `struct s`, each with `b` at its byte.
fn several(places: &[u32]) -> impl FnOnce(&mut Btf) {
    move |btf| {
        let int = btf.int("unsigned int", 4, false);
        for place in places {
            btf.strukt("s", 64, &[("b", int, 8 * place, 0)]);
        }
        // And some that have no b.
        btf.strukt("s", 64, &[("a", int, 0, 0)]);
    }
}

#[test]
fn candidates_that_agree_are_one() {
    let asked = ["field(s->b, 0)", "field(s->b, 2)"];
    assert_eq!(values(LOCAL, &asked, several(&[12, 12, 12])), all(&[12, 1]));
    assert_eq!(values(LOCAL, &asked, several(&[])), [None, Some(0)]);
}

#[test]
fn candidates_that_disagree_are_an_error() {
    let image = object::image(&super::source(LOCAL, &["field(s->b, 0)"]));
    let id = id_of(preload_image::Image::parse(&image).unwrap().btf(), "s");
    for places in [&[12, 16][..], &[16, 12], &[12, 12, 16]] {
        let line = refusal(LOCAL, "field(s->b, 0)", several(places));
        let relo = format!("<byte_off> [{id}] struct s.b (0:1 @ offset 4)");
        assert_eq!(
            line,
            format!("bpf_preload: relocate prog prog: {relo}: ambiguous")
        );
    }
    // As libbpf: the same existence at different places is ambiguous, too.
    let line = refusal(LOCAL, "field(s->b, 2)", several(&[12, 16]));
    assert!(line.ends_with(": ambiguous"), "{line}");
    let line = refusal(LOCAL, "type_id(struct s, 1)", several(&[12]));
    assert!(
        line.ends_with(&format!("<target_type_id> [{id}] struct s: ambiguous")),
        "{line}"
    );
}

#[test]
fn the_driver_takes_the_first_candidate_wherever_the_others_are() {
    let image = object::image(&super::source(LOCAL, &["field(s->b, 0)"]));
    let functions_last = |places: &[u32]| {
        let mut btf = Btf::new();
        several(places)(&mut btf);
        btf.iterators();
        FakeKernel::new(&btf.bytes())
    };
    for fake in [super::kernel(several(&[12, 16])), functions_last(&[12, 16])] {
        assert_eq!(object::run(&fake, &image), 0, "{}", object::line(&fake));
        let insns = fake.loads()[0].insns.clone();
        let imms: Vec<i32> = insns
            .iter()
            .map(|i| i32::from_le_bytes(i[4..].try_into().unwrap()))
            .collect();
        assert!(imms.contains(&12) && !imms.contains(&16), "{imms:?}");
    }
}

#[test]
fn a_candidate_that_a_field_rules_out_is_none_for_the_next_field() {
    // libbpf: where one candidate has the first field, the others count no more.
    let found = values(
        "struct s { u32 a; u32 b; } core;",
        &["field(s->a, 0)", "field(s->b, 0)"],
        |btf| {
            let int = btf.int("unsigned int", 4, false);
            btf.strukt("s___one", 8, &[("a", int, 32, 0)]);
            btf.strukt("s___two", 8, &[("b", int, 32, 0)]);
        },
    );
    assert_eq!(found, [Some(4), None]);
    // Where none has it, all stay.
    let found = values(
        "struct s { u32 a; u32 b; } core;",
        &["field(s->a, 0)", "field(s->b, 0)"],
        |btf| {
            let int = btf.int("unsigned int", 4, false);
            btf.strukt("s___one", 8, &[("c", int, 32, 0)]);
            btf.strukt("s___two", 8, &[("b", int, 32, 0)]);
        },
    );
    assert_eq!(found, [None, Some(4)]);
}

#[test]
fn a_field_within_more_than_64_steps_is_refused_and_not_missing() {
    let nested = |levels: u32| {
        move |btf: &mut Btf| {
            let int = btf.int("unsigned int", 4, false);
            let mut id = btf.strukt("", 4, &[("a", int, 0, 0)]);
            for _ in 0..levels {
                id = btf.strukt("", 4, &[("", id, 0, 0)]);
            }
            btf.strukt("s", 4, &[("", id, 0, 0)]);
        }
    };
    let (types, field) = ("struct s { u32 a; } core;", "field(s->a, 0)");
    // The root, the outermost member and the field itself are steps, too.
    assert_eq!(values(types, &[field], nested(61)), all(&[0]));
    let line = refusal(types, field, nested(62));
    assert_eq!(line, "bpf_preload: relocate prog prog: bad BTF nesting 64");
}
