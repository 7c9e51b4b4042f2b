// SPDX-License-Identifier: MIT OR Apache-2.0
//! The conversation with the shim: what the driver says, and when it gives up.

use preload_image::Image;

use crate::fake_kernel::FakeKernel;
use crate::object::{self, IMAGE, IMAGES, KERNEL, KERNEL_ALL};

/// `struct preload_record` of each of these links, as the fake kernel counts ids.
fn records_of(names: &[&str]) -> Vec<u8> {
    let record = |(name, id): (&&str, u32)| {
        let mut record = name.as_bytes().to_vec();
        record.resize(16, 0);
        record.extend(id.to_ne_bytes());
        record
    };
    names.iter().zip(0x0a01..).flat_map(record).collect()
}

/// Those of the classic image.
pub(crate) fn records() -> Vec<u8> {
    records_of(&["maps.debug", "progs.debug"])
}

/// Those of all images.
pub(crate) fn records_all() -> Vec<u8> {
    records_of(&["maps.debug", "progs.debug", "links.debug"])
}

/// Number of bpf() commands.
fn commands(fake: &FakeKernel) -> usize {
    let bpf = |name: &&&str| name.starts_with(|c: char| c.is_ascii_uppercase());
    fake.calls().iter().filter(bpf).count()
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
    assert_eq!(commands(&fake), 10, "{:?}", fake.calls());
}

#[test]
fn all_links_are_reported_in_order_and_held_to_the_end() {
    let fake = FakeKernel::new(&KERNEL_ALL).asking_for_all();
    assert_eq!(object::run_all(&fake), 0, "{:?}", fake.log());
    assert_eq!(fake.output(), records_all());
    assert!(fake.log().is_empty());
    assert_eq!(fake.consumed(), 8);
    let maps: usize = IMAGES
        .iter()
        .map(|image| Image::parse(image).unwrap().maps().len())
        .sum();
    assert_eq!(fake.open_fds().len(), 2 + maps + 6);
    // Nothing is reported while anything may still fail.
    let calls = fake.calls();
    let first = calls.iter().position(|call| *call == "write").unwrap();
    assert_eq!(calls[first..], ["write", "write", "write", "read"]);
    // Kernel BTF is got once, and is still mapped.
    assert_eq!(calls.iter().filter(|call| **call == "open").count(), 1);
}

#[test]
fn a_classic_start_does_nothing_for_the_other_images() {
    let (one, all) = (FakeKernel::new(&KERNEL), FakeKernel::new(&KERNEL));
    assert_eq!(object::run(&one, IMAGE), 0);
    assert_eq!(object::run_all(&all), 0);
    assert_eq!(one.trace(), all.trace());
    // It does not even look at them.
    let fake = FakeKernel::new(&KERNEL);
    assert_eq!(object::run(&fake, &[IMAGE, b"garbage"].concat()), 0);
}

#[test]
fn a_kernel_that_cannot_list_links_is_one_line_and_no_link_at_all() {
    let fake = FakeKernel::new(&KERNEL).asking_for_all();
    assert_eq!(object::run_all(&fake), 1);
    assert_eq!(
        object::refused(&fake),
        "bpf_preload: load prog dump_bpf_link: bpf_iter_bpf_link is not in kernel BTF"
    );
    assert_eq!(fake.output(), []);
}

#[test]
fn garbage_for_a_further_image_lets_the_links_of_the_first_go() {
    let fake = FakeKernel::new(&KERNEL).asking_for_all();
    assert_eq!(object::run(&fake, &[IMAGE, b"garbage"].concat()), 1);
    assert_eq!(
        object::refused(&fake),
        "bpf_preload: read image: bad magic at offset 0"
    );
    assert!(fake.calls().contains(&"LINK_CREATE"));
    assert_eq!(fake.output(), []);
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
        (0x5557, "0x00005557"),
        (0, "0x00000000"),
        (0x5555_5555, "0x55555555"),
    ] {
        let fake = FakeKernel::new(&KERNEL);
        fake.say(&word.to_ne_bytes());
        let line = object::refusal(&fake, IMAGE);
        assert_eq!(
            line,
            format!("bpf_preload: read start word: got {shown}, not 0x00005555 or 0x00005556")
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
        (b"BPI\x03 and so on", "magic"),
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
