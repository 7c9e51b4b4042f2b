// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole types: id, existence, size, and whether one matches the other.

use super::{all, change, id_of, insns, kernel, source, values};
use crate::btf_builder::{Btf, FWD};
use crate::object;

const LOCAL: &str = "struct s { u32 a; } core; typedef struct s s_t; union u { u32 a; } core;";

const IDS: [&str; 2] = ["type_id(struct s, 0)", "type_id(struct s, 1)"];

#[test]
fn ids_are_of_their_own_side() {
    let image = object::image(&source(LOCAL, &IDS));
    let mut id = 0;
    let fake = kernel(|btf| {
        let int = btf.int("unsigned int", 4, false);
        btf.union("s", 4, &[("a", int, 0, 0)]);
        btf.raw("s", FWD << 24, 0, &[]);
        btf.typedef("s", int);
        id = btf.strukt("s", 4, &[]);
    });
    let values: Vec<_> = insns(&image, &fake).iter().map(|i| i.value()).collect();
    let local = id_of(preload_image::Image::parse(&image).unwrap().btf(), "s");
    // A union, a forward declaration and a typedef of that name are other types.
    assert_eq!(values, all(&[i64::from(local), i64::from(id)]));
}

const ASKS: [&str; 7] = [
    "type_id(struct s, 1)",
    "type_info(struct s, 0)",
    "type_info(struct s, 1)",
    "type_info(union u, 0)",
    "type_info(union u, 1)",
    "type_info(s_t, 0)",
    "type_info(s_t, 1)",
];

#[test]
fn what_is_there_has_the_kernels_size() {
    let mut id = 0;
    let found = values(LOCAL, &ASKS, |btf| {
        id = btf.strukt("s", 40, &[]);
        btf.union("u", 24, &[]);
        let konst = btf.konst(id);
        let inner = btf.typedef("inner_t", konst);
        btf.typedef("s_t", inner);
    });
    assert_eq!(found, all(&[i64::from(id), 1, 40, 1, 24, 1, 40]));
}

#[test]
fn what_is_missing_is_0_in_every_respect() {
    let found = values(LOCAL, &ASKS, |btf| {
        // Others of the name, or nearly.
        btf.union("s", 40, &[]);
        btf.strukt("u", 40, &[]);
        btf.strukt("s_t", 40, &[]);
        btf.strukt("ss", 40, &[]);
    });
    assert_eq!(found, all(&[0; 7]));
}

/// Does `struct s` match? By a relocation for existence with its kind changed.
fn matches(local: &str, kernel_types: impl FnOnce(&mut Btf)) -> bool {
    let mut image = object::image(&source(local, &["type_info(struct s, 0)"]));
    // BPF_CORE_TYPE_MATCHES, since clang 15.
    change(&mut image, |relo| relo.kind = 12);
    match insns(&image, &kernel(kernel_types))[0].value() {
        Some(0) => false,
        Some(1) => true,
        value => panic!("{value:?}"),
    }
}

#[test]
fn a_type_matches_if_all_of_it_is_there() {
    let local = "enum e { ONE = 1 }; struct other { u32 x; };
struct s { u32 a; struct other *ptr; enum e e; u16 list[3]; };";
    /// What is wrong with the kernel's struct.
    #[derive(Clone, Copy, PartialEq)]
    enum But {
        Nothing,
        More,
        Less,
        Int(u32, bool),
        Pointee(&'static str),
        Enumerator(&'static str),
        Nelems(u32),
    }
    let kernel = |but: But| {
        move |btf: &mut Btf| {
            let (bytes, signed) = match but {
                But::Int(bytes, signed) => (bytes, signed),
                _ => (4, false),
            };
            // Names of integers matter too; an unsigned int has that of u32's root.
            let int = btf.int("unsigned int", bytes, signed);
            let short = btf.int("unsigned short", 2, false);
            let pointee = if let But::Pointee(name) = but {
                name
            } else {
                "other"
            };
            // Behind a pointer the name is enough.
            let other = btf.strukt(pointee, 8, &[]);
            let ptr = btf.ptr(other);
            let one = if let But::Enumerator(name) = but {
                name
            } else {
                "ONE"
            };
            let e = btf.enumeration("e", &[("ZERO", 0), (one, 17)]);
            let list = btf.array(short, int, if let But::Nelems(n) = but { n } else { 3 });
            let mut members = vec![
                ("list", list, 320, 0),
                ("e", e, 128, 0),
                ("a", int, 0, 0),
                ("ptr", ptr, 64, 0),
            ];
            if but == But::More {
                members.push(("more", int, 512, 0));
            }
            if but == But::Less {
                members.pop();
            }
            btf.strukt("s", 128, &members);
        }
    };
    assert!(matches(local, kernel(But::Nothing)));
    assert!(matches(local, kernel(But::More)));
    assert!(!matches(local, kernel(But::Less)));
    assert!(!matches(local, kernel(But::Int(8, false))));
    assert!(!matches(local, kernel(But::Int(4, true))));
    assert!(!matches(local, kernel(But::Pointee("another"))));
    assert!(!matches(local, kernel(But::Enumerator("TWO"))));
    assert!(!matches(local, kernel(But::Nelems(4))));
    assert!(!matches(local, |_| {}));
}

#[test]
fn a_pointer_to_void_matches_whatever_the_first_type_is_called() {
    // Void has no record: its name must not be read from that of type 1.
    let local = "struct other { u32 a; }; struct s { void *ptr; } core;";
    assert!(matches(local, |btf| {
        btf.int("quite another name", 4, false);
        let ptr = btf.ptr(0);
        btf.strukt("s", 8, &[("ptr", ptr, 0, 0)]);
    }));
    assert!(!matches(local, |btf| {
        let int = btf.int("quite another name", 4, false);
        let ptr = btf.ptr(int);
        btf.strukt("s", 8, &[("ptr", ptr, 0, 0)]);
    }));
}
