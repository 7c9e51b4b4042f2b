// SPDX-License-Identifier: MIT OR Apache-2.0
//! The conversation with the shim: what the driver says, and when it gives up.

use preload_image::Image;

use crate::fake_kernel::FakeKernel;
use crate::object::{self, IMAGE, KERNEL};

/// `struct preload_record` of each link of the real image, as the fake kernel counts ids.
pub(crate) fn records() -> Vec<u8> {
    let record = |name: &str, id: u32| {
        let mut record = name.as_bytes().to_vec();
        record.resize(16, 0);
        record.extend(id.to_ne_bytes());
        record
    };
    [record("maps.debug", 0x0a01), record("progs.debug", 0x0a02)].concat()
}

#[test]
fn both_links_are_reported_in_order_and_held_to_the_end() {
    let fake = FakeKernel::new(&KERNEL);
    assert_eq!(object::run(&fake, IMAGE), 0);
    assert_eq!(fake.output(), records());
    assert!(fake.log().is_empty());
    // One BTF, the maps, and a program and a link for each record.
    let image = Image::parse(IMAGE).unwrap();
    assert_eq!(fake.open_fds().len(), 1 + image.maps().len() + 4);
    let bpf = |name: &&str| name.starts_with(|c: char| c.is_ascii_uppercase());
    let calls = fake.calls();
    assert_eq!(
        calls.iter().filter(|call| bpf(call)).count(),
        10,
        "{calls:?}"
    );
}

#[test]
fn a_record_is_one_write_so_that_no_reader_sees_half() {
    let fake = FakeKernel::new(&KERNEL);
    object::run(&fake, IMAGE);
    let writes = fake.calls().iter().filter(|call| **call == "write").count();
    assert_eq!(writes, 2);
}

#[test]
fn pieces_of_any_size_make_whole_words_and_records() {
    for max in 1..=21 {
        let mut fake = FakeKernel::new(&KERNEL);
        (fake.read_max, fake.write_max) = (max.min(4), max);
        assert_eq!(object::run(&fake, IMAGE), 0, "pieces of {max}");
        assert_eq!(fake.output(), records(), "pieces of {max}");
    }
}

#[test]
fn wrong_start_word_touches_nothing() {
    for (word, shown) in [
        (0x5554u32, "0x00005554"),
        (0, "0x00000000"),
        (0x5555_5555, "0x55555555"),
    ] {
        let fake = FakeKernel::new(&KERNEL);
        fake.say(&word.to_ne_bytes());
        let line = object::refusal(&fake, IMAGE);
        assert_eq!(
            line,
            format!("bpf_preload: read start word: got {shown}, not 0x00005555")
        );
        assert_eq!(fake.calls(), ["block_sigpipe", "read", "write"]);
    }
}

#[test]
fn closed_input_is_told_from_a_wrong_word() {
    for len in 0..4usize {
        let fake = FakeKernel::new(&KERNEL);
        fake.say(&[0x55, 0x55, 0, 0][..len]);
        let line = object::refusal(&fake, IMAGE);
        let read = format!("end of file after {len} of 4 bytes");
        assert_eq!(line, format!("bpf_preload: read start word: {read}"));
        assert!(!fake.calls().contains(&"BTF_LOAD"));
    }
}

#[test]
fn wrong_or_missing_end_word_lets_the_links_go() {
    let start = [0x55, 0x55, 0, 0];
    for (end, detail) in [
        (&[0xaa, 0xab, 0, 0][..], "got 0x0000abaa, not 0x0000aaaa"),
        (&[0x55, 0x55, 0, 0], "got 0x00005555, not 0x0000aaaa"),
        (&[0xaa, 0xaa], "end of file after 2 of 4 bytes"),
        (&[], "end of file after 0 of 4 bytes"),
    ] {
        let fake = FakeKernel::new(&KERNEL);
        fake.say(&[&start, end].concat());
        let line = object::refusal(&fake, IMAGE);
        assert_eq!(line, format!("bpf_preload: read end word: {detail}"));
        assert_eq!(fake.output(), records());
    }
}

#[test]
fn closed_output_is_named_and_lets_the_links_go() {
    let mut fake = FakeKernel::new(&KERNEL);
    fake.closed_output = true;
    let line = object::refusal(&fake, IMAGE);
    assert_eq!(line, "bpf_preload: write record maps.debug: EPIPE (32)");
    assert_eq!(fake.output(), []);
    // The shim is not asked whether it is done with what it never got.
    assert_eq!(fake.consumed(), 4);
}

#[test]
fn a_pipe_that_takes_nothing_is_not_written_to_for_ever() {
    let mut fake = FakeKernel::new(&KERNEL);
    fake.write_max = 0;
    let line = object::refusal(&fake, IMAGE);
    assert!(
        line.starts_with("bpf_preload: write record maps.debug: "),
        "{line}"
    );
}

#[test]
fn garbage_for_an_image_is_one_line_and_no_load() {
    for (image, what) in [
        (&b""[..], "magic"),
        (b"BPI\x02 and so on", "magic"),
        (b"\x7fELF", "magic"),
    ] {
        let fake = FakeKernel::new(&KERNEL);
        let line = object::refusal(&fake, image);
        assert_eq!(
            line,
            format!("bpf_preload: read image: bad {what} at offset 0")
        );
        assert!(!fake.calls().contains(&"BTF_LOAD"));
    }
}

/// Unoptimised code calls what optimised code has inlined, `memcmp()` for one.
#[test]
fn the_blob_as_cargo_builds_it_here_does_not_crash() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let mut blob = Command::new(env!("CARGO_BIN_EXE_bpf_preload_umd"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The start word and no end word: whoever may load is told that, others before.
    let start = bpf_preload_umd::driver::START.to_ne_bytes();
    blob.stdin.take().unwrap().write_all(&start).unwrap();
    let output = blob.wait_with_output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.starts_with("bpf_preload: "), "{line}");
}
