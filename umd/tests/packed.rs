// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packed image of the blob, and the blob that has code for no more than
//! its image needs.

use bpf_preload_umd::{driver, images};
use preload_image::{Image, core_kind, packed_len, unpack};

use crate::fake_kernel::FakeKernel;
use crate::object::{self, IMAGE, IMAGES, KERNEL};

/// What the blob carries of the classic image.
static PACKED: &[u8] = images::PACKED[0];

/// Unpacks into memory that held something else.
fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    // Packed bytes that claim a gigabyte are refused by the arena.
    let len = packed_len(packed).filter(|len| *len < 1 << 20)?;
    let (mut columns, mut image) = (vec![0xaa; len], vec![0x55; len]);
    unpack(packed, &mut columns, &mut image).ok()?;
    Some(image)
}

#[test]
fn what_was_packed_comes_out_byte_for_byte() {
    for (packed, image) in images::PACKED.iter().zip(IMAGES) {
        assert_eq!(unpacked(packed).unwrap(), image);
    }
    assert!(PACKED.len() < IMAGE.len() / 2);
}

#[test]
fn no_truncation_passes_for_a_packed_image() {
    for len in 0..PACKED.len() {
        assert!(unpacked(&PACKED[..len]).is_none(), "{len} bytes");
    }
}

#[test]
fn no_changed_byte_makes_the_unpacking_panic() {
    let mut packed = PACKED.to_vec();
    for at in 0..packed.len() {
        for change in [0x01, 0x0f, 0x80, 0xf0, 0xff] {
            packed[at] ^= change;
            if let Some(image) = unpacked(&packed) {
                let image = Image::parse(&image).unwrap();
                let _ = image.check();
            }
            packed[at] ^= change;
        }
    }
}

#[test]
fn a_packed_image_loads_as_the_plain_one_does() {
    let (plain, packed) = (FakeKernel::new(&KERNEL), FakeKernel::new(&KERNEL));
    assert_eq!(object::run(&plain, IMAGE), 0);
    assert_eq!(object::run(&packed, PACKED), 0);
    assert_eq!(plain.output(), packed.output());
    assert_eq!(plain.calls(), packed.calls());
}

#[test]
fn a_packed_image_that_is_none_is_one_line_and_no_load() {
    let line = |packed: &[u8]| object::refusal(&FakeKernel::new(&KERNEL), packed);
    assert_eq!(
        line(&PACKED[..PACKED.len() - 1]),
        "bpf_preload: read image: bad packed image at offset 8"
    );
    let mut huge = PACKED.to_vec();
    huge[4..8].fill(0xff);
    assert_eq!(line(&huge), "bpf_preload: read image: ENOMEM (12)");
}

#[test]
fn the_blob_has_code_for_the_kinds_of_its_image_and_refuses_others() {
    const KINDS: u32 = images::CORE_KINDS;
    const FEWER: u32 = KINDS & !(1 << core_kind::FIELD_EXISTS);
    assert_ne!(KINDS, FEWER, "the iterators ask whether a field exists");
    let memory = &mut vec![0; object::ARENA_BYTES / 8];

    let fake = FakeKernel::new(&KERNEL);
    assert_eq!(driver::run_only::<KINDS, _, _>(&fake, &[PACKED], memory), 0);

    let fake = FakeKernel::new(&KERNEL);
    assert_eq!(driver::run_only::<FEWER, _, _>(&fake, &[PACKED], memory), 1);
    let line = object::line(&fake);
    assert!(line.ends_with(": unsupported"), "{line}");
    assert!(line.contains("<field_exists>"), "{line}");
}
