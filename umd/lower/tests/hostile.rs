// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects that nobody compiled: an error of one line or a valid image, never a panic.

mod common;

use common::compile;
use preload_image::Image;

const SOURCE: &str = r#"
struct kernel_thing { int id:5, a; struct { u64 n[3]; }; } tracked;
enum colour { RED = 3 };
struct { __uint(type, 1); __type(key, u32); __type(value, u64); __uint(max_entries, 9); } m SEC(".maps");
extern u64 kfunc(const struct kernel_thing *t) __attribute__((weak)) SEC(".ksyms");
volatile int v = 1;
static noinline int sub(int x) { return x * v; }
static noinline int callback(u32 i, void *ctx) { return sub(i); }
SEC("iter/bpf_map") __attribute__((btf_decl_tag("link_name:x.debug")))
int dump(struct kernel_thing *t)
{
	u32 k = t->a + __builtin_preserve_enum_value(*(enum colour *)RED, 1);
	bpf_map_lookup_elem(&m, &k);
	bpf_loop(t->n[1], callback, 0, 0);
	return kfunc ? kfunc(t) : sub(__builtin_preserve_field_info(t->id, 4));
}"#;

/// Lowers; true if that gave an image.
fn try_lower(object: &[u8]) -> bool {
    match preload_lower::lower(object, "hostile") {
        Ok(image) => {
            Image::parse(&image).expect("valid image");
            true
        }
        Err(e) => {
            let message = e.to_string();
            assert!(!message.is_empty() && message.len() < 1000, "{message}");
            assert!(!message.contains(|c: char| c.is_control()), "{message:?}");
            false
        }
    }
}

/// A generator of its own, so that a failure can be repeated (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn truncated_object_does_not_panic() {
    let object = compile("truncated", SOURCE);
    assert!(try_lower(&object));
    // The section headers are last: without the last byte there is nothing to go by.
    for len in (0..object.len()).step_by(7) {
        assert!(
            !try_lower(object.get(..len).expect("prefix")),
            "{len} bytes"
        );
    }
}

#[test]
fn changed_byte_does_not_panic() {
    let object = compile("changed", SOURCE);
    let (mut good, mut bad) = (0, 0);
    for at in (0..object.len()).step_by(3) {
        for value in [0x00, 0x01, 0x7f, 0xff] {
            let mut changed = object.clone();
            *changed.get_mut(at).expect("byte") ^= value;
            if try_lower(&changed) {
                good += 1
            } else {
                bad += 1
            }
        }
    }
    // Otherwise the mutations would not have reached what they are for.
    assert!(good > 1000 && bad > 1000, "{good} good, {bad} bad");
}

#[test]
fn changed_words_do_not_panic() {
    let object = compile("words", SOURCE);
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..4000 {
        let mut changed = object.clone();
        for _ in 0..1 + next(&mut state) % 4 {
            let at = (next(&mut state) as usize % (object.len() / 4)) * 4;
            let word = match next(&mut state) % 4 {
                0 => u32::MAX,
                1 => 1 << (next(&mut state) % 32),
                2 => next(&mut state) as u32,
                _ => (next(&mut state) % 64) as u32,
            };
            let place = changed.get_mut(at..at + 4).expect("word");
            place.copy_from_slice(&word.to_le_bytes());
        }
        try_lower(&changed);
    }
}

#[test]
fn foreign_file_is_named_for_what_it_is() {
    let message = |object: &[u8]| {
        let error = preload_lower::lower(object, "foreign").expect_err("was lowered");
        error.to_string()
    };
    assert_eq!(message(b""), "not an ELF file");
    assert_eq!(
        message(b"#!/bin/sh\necho this is no object\n"),
        "not an ELF file"
    );
    let big = common::compile_for("bpfeb", "bigendian", SOURCE);
    assert!(message(&big).starts_with("big-endian object"));
    let host = std::fs::read("/proc/self/exe").expect("own file");
    assert!(message(&host).contains("ET_REL"));
    let mut other = compile("machine", SOURCE);
    *other.get_mut(18).expect("e_machine") = 62;
    assert!(message(&other).contains("not a BPF object"));
}
