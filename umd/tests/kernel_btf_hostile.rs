// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel BTF that is cut off, broken, of the future, or made to keep a reader
//! busy. The driver ends soon and cleanly: with both links, or with one line.

use crate::btf_builder::{ARRAY, Btf, CONST, DECL_TAG, FWD, PTR, STRUCT, TYPEDEF, UNION};
use crate::btf_reader::types;
use crate::fake_kernel::FakeKernel;
use crate::object::{self, IMAGE, KERNEL};
use crate::wire::records;

/// What nobody should need longer for, in ticks of this thread's own time: 5 s; a
/// mount waits. The worst below take a second in a test build.
const SOON: u64 = 500;

/// What this thread has run for, in hundredths of a second: see proc(5).
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // Fields from 3 on follow the name; 14 and 15 are user and system time.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields = fields.split_whitespace().skip(14 - 3).take(2);
    fields.map(|field| field.parse::<u64>().unwrap()).sum()
}

/// A life against this BTF: whether it worked. All else is asserted.
fn survives(btf: &[u8], image: &[u8]) -> bool {
    let fake = FakeKernel::new(btf);
    let start = ticks();
    let status = object::run(&fake, image);
    assert!(ticks() - start < SOON, "{} ticks", ticks() - start);
    if status != 0 {
        let line = object::line(&fake);
        assert_eq!(fake.open_fds(), [], "{line}");
        assert_eq!(fake.mapped(), 0, "{line}");
        assert_eq!(fake.output(), [], "{line}");
    }
    status == 0
}

/// The line of a life that must fail.
fn line(btf: &[u8], image: &[u8]) -> String {
    assert!(!survives(btf, image));
    let fake = FakeKernel::new(btf);
    object::run(&fake, image);
    object::line(&fake)
}

#[test]
fn no_header_makes_the_reader_panic() {
    for at in 0..24 {
        for value in 0..=255 {
            let mut btf = KERNEL.clone();
            // The flags have never meant anything, so that any will do.
            let harmless = at == 3 || btf[at] == value;
            btf[at] = value;
            assert!(survives(&btf, IMAGE) || !harmless, "byte {at} = {value}");
        }
        // Whole fields at their limits.
        for value in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX - 24, u32::MAX] {
            let mut btf = KERNEL.clone();
            btf[at / 4 * 4..at / 4 * 4 + 4].copy_from_slice(&u32::to_le_bytes(value));
            survives(&btf, IMAGE);
        }
    }
}

#[test]
fn wrong_magic_is_named() {
    for magic in [[0xeb, 0x9f], [0, 0], [0x7f, b'E']] {
        let mut btf = KERNEL.clone();
        btf[..2].copy_from_slice(&magic);
        let line = line(&btf, IMAGE);
        assert!(
            line.starts_with("bpf_preload: read kernel BTF: bad "),
            "{line}"
        );
    }
}

#[test]
fn no_truncation_passes_for_kernel_btf() {
    for len in 1..KERNEL.len() {
        let line = line(&KERNEL[..len], IMAGE);
        assert!(
            line.starts_with("bpf_preload: read kernel BTF: bad "),
            "{line}"
        );
    }
}

#[test]
fn no_changed_byte_makes_the_reader_panic_or_spin() {
    let (mut good, mut bad) = (0, 0);
    let mut btf = KERNEL.clone();
    for at in 24..btf.len() {
        let byte = btf[at];
        for value in [byte ^ 1, byte ^ 4, byte ^ 0x10, byte ^ 0x80, 0, 0xff] {
            btf[at] = value;
            *(if survives(&btf, IMAGE) {
                &mut good
            } else {
                &mut bad
            }) += 1;
        }
        btf[at] = byte;
    }
    assert!(good > 0 && bad > 0, "{good} loads, {bad} refusals");
}

/// A program that asks for everything about `struct s`, so that all of the
/// reader meets the kernel's idea of it.
fn asks() -> Vec<u8> {
    object::image(
        r#"
struct s { u32 a; struct s *next; u32 list[4]; struct { u64 inner; } in; } core;
ITER int prog(struct s *s)
{
	volatile u64 sum = 0;
	sum += field(s->a, 0); sum += field(s->a, 1); sum += field(s->a, 2); sum += field(s->a, 3);
	sum += field(s->list[2], 0); sum += field(s->next, 2); sum += field(s->in.inner, 0);
	sum += type_id(struct s, 1); sum += type_info(struct s, 0);
	sum += type_info(struct s, 1);
	return sum;
}
"#,
    )
}

#[test]
fn types_within_themselves_end_quickly() {
    let image = asks();
    // Each makes the type of `s.a`, whose own id is given.
    type Knot = fn(&mut Btf, u32) -> u32;
    let knots: [(&str, Knot); 7] = [
        ("typedef", |btf, own| btf.typedef("t", own)),
        ("const", |btf, own| btf.konst(own)),
        ("array", |btf, own| btf.array(own, own, 3)),
        ("pointer", |btf, own| btf.ptr(own)),
        ("struct", |btf, own| {
            btf.strukt("", 4, &[("", own, 0, 0), ("", own, 0, 0), ("", own, 0, 0)])
        }),
        ("typedef of the next", |btf, own| {
            btf.typedef("t", own + 1);
            btf.konst(own)
        }),
        ("array of the next", |btf, own| {
            btf.array(own + 1, own, 0x8000_0000);
            btf.array(own, own, 0x8000_0000)
        }),
    ];
    for (name, knot) in knots {
        let mut btf = Btf::new();
        btf.iterators();
        let own = btf.next_id();
        knot(&mut btf, own);
        // The name is looked for in anonymous members first.
        let members = [
            ("", own, 0, 0),
            ("a", own, 0, 0),
            ("list", own, 32, 0),
            ("next", own, 0, 0),
        ];
        btf.strukt("s", 8, &members);
        eprintln!("{name}: {}", survives(&btf.bytes(), &image));
    }
}

#[test]
fn anonymous_structs_within_each_other_end_quickly() {
    let image = asks();
    let mut btf = Btf::new();
    btf.iterators();
    let int = btf.int("int", 4, true);
    let mut inner = btf.strukt("", 4, &[("other", int, 0, 0)]);
    // 2^40 ways down for who does not count steps.
    for _ in 0..40 {
        inner = btf.union("", 4, &[("", inner, 0, 0), ("", inner, 0, 0)]);
    }
    btf.strukt("s", 8, &[("", inner, 0, 0), ("", inner, 0, 0)]);
    survives(&btf.bytes(), &image);
}

#[test]
fn long_chains_end_quickly() {
    let image = asks();
    for wrap in [Btf::konst as fn(&mut Btf, u32) -> u32, Btf::ptr] {
        let mut btf = Btf::new();
        btf.iterators();
        let mut last = btf.int("int", 4, false);
        for _ in 0..100_000 {
            last = wrap(&mut btf, last);
        }
        btf.strukt("s", 8, &[("a", last, 0, 0), ("list", last, 32, 0)]);
        survives(&btf.bytes(), &image);
    }
}

#[test]
fn type_ids_out_of_range_are_an_error_only_where_they_are_met() {
    let image = asks();
    for id in [1000, 0x7fff_ffff, u32::MAX] {
        let mut btf = Btf::new();
        btf.iterators();
        let int = btf.int("unsigned int", 4, false);
        btf.strukt("s", 8, &[("a", id, 0, 0)]);
        let line = line(&btf.bytes(), &image);
        assert!(line.contains(&format!("bad BTF type id {id}")), "{line}");
        // Of no concern to anybody.
        let mut btf = Btf::new();
        btf.iterators();
        btf.strukt("other", 8, &[("a", id, 0, 0)]);
        btf.raw("other", TYPEDEF << 24, id, &[]);
        for kind in [PTR, CONST, FWD] {
            btf.raw("", kind << 24, id, &[]);
        }
        btf.raw("", ARRAY << 24, 0, &[id, id, id]);
        btf.raw("tag", DECL_TAG << 24, id, &[id]);
        btf.strukt("s", 4, &[("a", int, 0, 0)]);
        assert!(survives(&btf.bytes(), &image), "{id}");
    }
}

#[test]
fn names_outside_the_strings_are_no_names() {
    for name_off in [0x00ff_ffff, u32::MAX] {
        let mut btf = KERNEL.clone();
        // The first type of them all.
        btf[24..28].copy_from_slice(&u32::to_le_bytes(name_off));
        survives(&btf, IMAGE);
    }
    // The last string has lost its NUL.
    let mut btf = Btf::new();
    btf.iterators();
    let mut btf = btf.bytes();
    let strings = u32::from_le_bytes(btf[20..24].try_into().unwrap());
    btf[20..24].copy_from_slice(&(strings - 1).to_le_bytes());
    survives(&btf, IMAGE);
}

/// Kernel BTF with one more type in front of those that are needed.
fn behind(first: impl Fn(&mut Btf)) -> Btf {
    let mut btf = Btf::new();
    first(&mut btf);
    btf.iterators();
    btf
}

/// Loads, and checks that the iterators' functions were found behind `first`.
fn loads_behind(btf: &Btf, first: u32) {
    let fake = FakeKernel::new(&btf.bytes());
    assert_eq!(object::run(&fake, IMAGE), 0, "{:?}", fake.log());
    assert_eq!(fake.output(), records());
    // int, prototype, then the functions.
    let ids: Vec<u32> = fake.loads().iter().map(|load| load.attach_btf_id).collect();
    assert_eq!(ids, [first + 3, first + 4]);
}

#[test]
fn headers_longer_than_any_known_are_read_past() {
    for hdr_len in [24, 28, 32, 36, 64] {
        let mut btf = behind(|_| ());
        btf.hdr_len = hdr_len;
        loads_behind(&btf, 0);
    }
    for hdr_len in [0, 20, 23] {
        let mut btf = KERNEL.clone();
        btf[4..8].copy_from_slice(&u32::to_le_bytes(hdr_len));
        let line = line(&btf, IMAGE);
        assert!(
            line.starts_with("bpf_preload: read kernel BTF: bad "),
            "{line}"
        );
    }
}

/// A kind of the future: 2 words that are always there, 3 for each of vlen.
const KIND: u32 = 0x60;

fn with_unknown_kind(vlen: u32) -> Btf {
    behind(|btf| {
        let words = vec![0xffff_ffff; 2 + 3 * vlen as usize];
        btf.raw("new", KIND << 24 | vlen, 0, &words);
    })
}

#[test]
fn unknown_kinds_are_skipped_by_the_layout() {
    for vlen in [0, 1, 7, 70_000] {
        let mut btf = with_unknown_kind(vlen);
        btf.hdr_len = 32;
        // `struct btf_layout`: info_sz, elem_sz, flags.
        btf.layout = vec![0; 4 * (KIND as usize + 1)];
        let at = 4 * KIND as usize;
        btf.layout[at..at + 2].copy_from_slice(&[8, 12]);
        loads_behind(&btf, 1);
    }
}

#[test]
fn unknown_kinds_between_two_marks_hide_no_type() {
    // So many types that not every one has its place remembered, and behind the
    // unknown ones an int that a relocation must reach by its id.
    let mut btf = Btf::new();
    for _ in 0..40_000 {
        btf.ptr(0);
    }
    btf.iterators();
    for _ in 0..7 {
        btf.raw("new", KIND << 24, 0, &[0xffff_ffff; 2]);
        btf.ptr(0);
    }
    let int = btf.int("u32", 4, false);
    btf.strukt("s", 8, &[("pad", int, 0, 0), ("x", int, 32, 0)]);
    btf.hdr_len = 32;
    btf.layout = vec![0; 4 * (KIND as usize + 1)];
    let at = 4 * KIND as usize;
    btf.layout[at] = 8;
    let image = object::image(
        "struct s { u32 x; } core;
        ITER int prog(struct s *s) { return field(s->x, 0); }",
    );
    let fake = FakeKernel::new(&btf.bytes());
    assert_eq!(object::run(&fake, &image), 0, "{:?}", fake.log());
}

#[test]
fn unknown_kinds_without_layout_are_named() {
    let mut btf = with_unknown_kind(1);
    let expected = format!("bpf_preload: read kernel BTF: bad BTF kind {KIND}");
    assert_eq!(line(&btf.bytes(), IMAGE), expected);
    // A layout that ends before it.
    btf.hdr_len = 32;
    btf.layout = vec![0; 4 * KIND as usize];
    assert_eq!(line(&btf.bytes(), IMAGE), expected);
    // And one that is not in the file.
    let mut bytes = btf.bytes();
    bytes[28..32].copy_from_slice(&u32::to_le_bytes(u32::MAX));
    assert!(line(&bytes, IMAGE).starts_with("bpf_preload: read kernel BTF: bad "));
}

#[test]
fn void_in_the_middle_is_no_type() {
    let btf = behind(|btf| {
        btf.raw("", 0, 0, &[]);
    });
    assert_eq!(
        line(&btf.bytes(), IMAGE),
        "bpf_preload: read kernel BTF: bad BTF kind 0"
    );
}

#[test]
fn structs_of_more_than_65535_members_are_read_to_their_end() {
    let image = object::image(
        "struct s { u32 a; u32 last; } core;
ITER int prog(struct s *s) { return s->a + s->last; }",
    );
    let mut btf = Btf::new();
    btf.iterators();
    let int = btf.int("unsigned int", 4, false);
    let names: Vec<String> = (0..70_000).map(|i| format!("m{i}")).collect();
    let mut members: Vec<_> = (0..)
        .zip(&names)
        .map(|(i, m)| (m.as_str(), int, 32 * i, 0))
        .collect();
    members[3].0 = "a";
    members[69_999].0 = "last";
    btf.strukt("s", 4 * 70_000, &members);
    let line = line(&btf.bytes(), &image);
    // Found, at a place that no load's 16-bit offset reaches.
    let field = "<byte_off> [2] struct s.last (0:1 @ offset 4)";
    assert_eq!(
        line,
        format!("bpf_preload: relocate prog prog: {field}: value too big")
    );
    // As an immediate it fits.
    let image = object::image(
        "struct s { u32 a; u32 last; } core;
ITER int prog(struct s *s) { return field(s->last, 0); }",
    );
    let fake = FakeKernel::new(&btf.bytes());
    assert_eq!(object::run(&fake, &image), 0, "{:?}", fake.log());
    let imms: Vec<i32> = fake.loads()[0]
        .insns
        .iter()
        .map(|i| i32::from_le_bytes([i[4], i[5], i[6], i[7]]))
        .collect();
    assert!(imms.contains(&(4 * 69_999)), "{imms:?}");
}

#[test]
fn the_test_kernel_is_what_it_seems() {
    // The offsets above are counted from these.
    let names = types(&behind(|_| ()).bytes());
    assert_eq!(names.len(), 4);
    assert_eq!(names[2].0, "bpf_iter_bpf_map");
    assert!(
        types(&KERNEL)
            .iter()
            .any(|t| *t == ("bpf_map".into(), STRUCT))
    );
    assert!(
        !types(&KERNEL)
            .iter()
            .any(|t| t.1 == UNION && t.0 == "bpf_map")
    );
}
