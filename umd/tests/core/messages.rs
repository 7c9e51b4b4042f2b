// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said of a program that the verifier refuses.

use bpf_preload_umd::driver;

use super::{id_of, kernel, source};
use crate::fake_kernel::{FakeKernel, Fault, unknown_calls};
use crate::object;

const LINK: &str = "enum bpf_link_type { ITER_LINK = 4 };
struct bpf_link { u32 id; enum bpf_link_type type; } core; struct s;";

/// A program that nobody relocates, against a verifier that says this.
fn refused(errno: i32, log: Vec<u8>) -> (String, Vec<&'static str>) {
    let mut fake = kernel(|_| {});
    fake.verifier = Box::new(move |_| Err((errno, log.clone())));
    let line = object::refusal(
        &fake,
        &object::image("ITER int prog(void *ctx) { return 0; }"),
    );
    (line, fake.calls())
}

/// The line of a program refused with EINVAL.
fn said(log: &str) -> String {
    let (line, _) = refused(libc::EINVAL, log.as_bytes().to_vec());
    let rest = line.strip_prefix("bpf_preload: load prog prog: EINVAL (22)");
    rest.unwrap_or_else(|| panic!("{line}")).to_string()
}

#[test]
fn a_reached_poison_is_named_by_its_relocation() {
    // Its load stands behind other instructions, and another poison behind it.
    let expressions = ["field(((struct bpf_link *)s)->id, 2)"];
    let types = format!(
        "{LINK}\nITER int prog(struct bpf_link *link) {{ volatile u64 x = 3; x += link->type; return x; }}"
    );
    let image = object::image(&types);
    let id = id_of(
        preload_image::Image::parse(&image).unwrap().btf(),
        "bpf_link",
    );
    let mut fake = kernel(|_| {});
    fake.verifier = Box::new(unknown_calls);
    let line = object::refusal(&fake, &image);
    let relo = format!("<byte_off> [{id}] struct bpf_link.type (0:1 @ offset 4)");
    let expected =
        format!("bpf_preload: load prog prog: EINVAL (22): {relo} is not in this kernel");
    assert!(line.starts_with(&expected), "{line}");
    // Who only asks is not refused.
    let mut fake = kernel(|_| {});
    fake.verifier = Box::new(unknown_calls);
    assert_eq!(
        object::run(&fake, &object::image(&source(LINK, &expressions))),
        0
    );
}

#[test]
fn what_was_in_memory_is_not_the_verifiers_word() {
    // Refused before the verifier has a say, in memory that somebody used before.
    let mut fake = kernel(|_| {});
    fake.verifier = Box::new(|_| Err((libc::EPERM, Vec::new())));
    let image = object::image("ITER int prog(void *ctx) { return 0; }");
    let mut memory = vec![u64::from_ne_bytes(*b"leftover"); object::ARENA_BYTES / 8];
    assert_eq!(driver::run(&fake, &image, &mut memory), 1);
    let expected = "bpf_preload: load prog prog: EPERM (1)";
    assert_eq!(object::line(&fake), expected);
}

#[test]
fn a_load_tells_the_errno_itself() {
    let image = object::image("ITER int prog(void *ctx) { return 0; }");
    let fake = kernel(|_| {}).failing(Fault {
        at: 0,
        errno: libc::EMFILE,
        times: 1,
    });
    let line = object::load(&fake, &image, || ()).unwrap_err();
    assert!(line.ends_with(": EMFILE (24)"), "{line}");
}

#[test]
fn the_last_line_that_is_not_statistics_is_the_one() {
    let statistics = "processed 9 insns (limit 1000000) max_states_per_insn 0\n";
    let verdict = "R1 type=scalar expected=ptr_\n";
    assert_eq!(said(verdict), ": R1 type=scalar expected=ptr_");
    let log = format!("0: (79) r1 = *(u64 *)(r1 +8)\n{verdict}{statistics}");
    assert_eq!(
        said(&log),
        ": R1 type=scalar expected=ptr_ (2 lines omitted)"
    );
    let lines: String = (0..36).map(|i| format!("{i}: (b7) r0 = 0\n")).collect();
    let log = format!("{lines}{verdict}{statistics}");
    assert_eq!(
        said(&log),
        ": R1 type=scalar expected=ptr_ (37 lines omitted)"
    );
    let log = format!("{verdict}verification time 12 usec\nstack depth 0\n{statistics}");
    assert_eq!(
        said(&log),
        ": R1 type=scalar expected=ptr_ (3 lines omitted)"
    );
}

#[test]
fn an_empty_log_adds_nothing() {
    assert_eq!(said(""), "");
    assert_eq!(said("\n\n"), "");
}

#[test]
fn a_long_line_leaves_room_for_what_was_omitted() {
    let log = format!("0: start\n{}\n", "x".repeat(500));
    let said = said(&log);
    assert!(said.ends_with("x (1 lines omitted)"), "{said}");
}

#[test]
fn bytes_that_no_log_should_hold_do_not_get_into_the_kernels() {
    for log in [
        b"\x1b[31mred\x07\x7f\xff\xfe\n".to_vec(),
        b"unknown#99999999999999999999\n".to_vec(),
        b"4294967296: (85) call unknown#195896080\ninvalid func unknown#195896080\n".to_vec(),
        b"7: (85) call unknown#195896080\n".to_vec(),
        b"invalid func unknown#2002000000\n".to_vec(),
        b"invalid func unknown#4294967295\n".to_vec(),
        b"unknown#\n:\n(\n".to_vec(),
        vec![b'\n'; 1000],
        vec![0xff; 1000],
        (0..=255).rev().collect(),
    ] {
        // The form of the line is checked there.
        let (line, _) = refused(libc::EINVAL, log);
        assert!(
            line.starts_with("bpf_preload: load prog prog: EINVAL (22)"),
            "{line}"
        );
    }
}

#[test]
fn a_log_larger_than_the_first_buffer_gets_a_larger_one() {
    let log = |bytes: usize| {
        let mut log = "0: (b7) r0 = 0\n".repeat(bytes / 15);
        log.push_str("the reason\n");
        log.into_bytes()
    };
    // 64 KiB at first.
    let (line, calls) = refused(libc::EACCES, log(100_000));
    assert_eq!(
        line,
        "bpf_preload: load prog prog: EACCES (13): the reason (6666 lines omitted)"
    );
    let tries = |calls: &[&str]| calls.iter().filter(|call| **call == "PROG_LOAD").count();
    assert_eq!(tries(&calls), 3);
    // More than all memory: what came first counts, which was not ENOSPC.
    let (line, _) = refused(libc::EACCES, log(10 << 20));
    assert!(
        line.starts_with("bpf_preload: load prog prog: EACCES (13)"),
        "{line}"
    );
}

#[test]
fn no_permission_is_said_as_such() {
    let (line, calls) = refused(libc::EPERM, Vec::new());
    assert_eq!(line, "bpf_preload: load prog prog: EPERM (1)");
    assert!(calls.contains(&"raise_memlock"));
}

#[test]
fn a_long_relocation_does_not_make_a_long_line() {
    let name = "a_name_that_somebody_has_taken_very_long_to_think_of_and_longer_to_write";
    let types = format!(
        "struct {name} {{ u32 {name}; }} core;
ITER int prog(struct {name} *s) {{ return s->{name}; }}"
    );
    let mut fake: FakeKernel = kernel(|_| {});
    fake.verifier = Box::new(unknown_calls);
    let line = object::refusal(&fake, &object::image(&types));
    assert_eq!(line.len(), 120);
}
