// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packed images of the blob, and the blob that has code for no more than
//! its images need.

use bpf_preload_umd::{driver, images};
use preload_image::{Image, core_kind, pack, packed_lens, unpack};

use crate::fake_kernel::FakeKernel;
use crate::object::{self, IMAGE, IMAGES, KERNEL, KERNEL_ALL};

/// What the blob carries.
static PACKED: &[u8] = images::PACKED;

/// Unpacks so much into memory that held something else.
fn unpacked(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut images = vec![0x55; len];
    unpack(packed, &mut images).ok()?;
    Some(images)
}

#[test]
fn what_was_packed_comes_out_byte_for_byte() {
    let all = IMAGES.concat();
    assert_eq!(packed_lens(PACKED), Some((IMAGE.len(), all.len())));
    assert_eq!(unpacked(PACKED, all.len()).unwrap(), all);
    assert!(PACKED.len() < all.len() / 2);
    // Any beginning of it, too: the stream may be left anywhere.
    for len in 0..all.len() {
        assert_eq!(unpacked(PACKED, len).unwrap(), all[..len]);
    }
    // And no more than there is.
    assert!(unpacked(PACKED, all.len() + 1).is_none());
}

#[test]
fn all_sorts_of_bytes_come_out_as_they_went_in() {
    let compress = |images: &[u8]| zx0::Compressor::new().compress(images).output;
    // Runs, none, all bytes, noise, and what repeats from as far as a stream can say.
    let noise = |n: usize| {
        let mut x = 7u32;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        };
        (0..n).map(|_| next()).collect::<Vec<u8>>()
    };
    let far = [noise(600), vec![0; 30_000], noise(600)].concat();
    for bytes in [
        vec![0; 5000],
        vec![7],
        (0..=255).collect(),
        noise(3000),
        far,
    ] {
        let packed = pack(std::slice::from_ref(&bytes), compress);
        assert_eq!(packed_lens(&packed), Some((bytes.len(), bytes.len())));
        assert_eq!(unpacked(&packed, bytes.len()).unwrap(), bytes);
    }
}

#[test]
fn no_truncation_passes_for_packed_images() {
    let all = IMAGES.concat();
    let mut whole = 0;
    for len in 0..PACKED.len() {
        match unpacked(&PACKED[..len], all.len()) {
            // What is missing is the end of the stream, which is not looked at.
            Some(images) => {
                assert_eq!(images, all);
                whole += 1;
            }
            None => assert_eq!(whole, 0),
        }
    }
    assert!(whole < 5, "{whole}");
}

#[test]
fn no_changed_byte_makes_the_unpacking_panic() {
    let len = IMAGES.concat().len();
    let mut packed = PACKED.to_vec();
    for at in 0..packed.len() {
        for change in [0x01, 0x0f, 0x80, 0xf0, 0xff] {
            packed[at] ^= change;
            if let Some(images) = unpacked(&packed, len)
                && let Ok((image, _)) = Image::parse_first(&images)
            {
                let _ = image.check();
            }
            packed[at] ^= change;
        }
    }
}

#[test]
fn packed_images_load_as_the_plain_ones_do() {
    let kernels = || {
        let classic = FakeKernel::new(&KERNEL);
        let all = FakeKernel::new(&KERNEL_ALL).asking_for_all();
        [classic, all]
    };
    for (plain, packed) in kernels().into_iter().zip(kernels()) {
        assert_eq!(object::run_all(&plain), 0);
        assert_eq!(object::run(&packed, PACKED), 0);
        assert_eq!(plain.output(), packed.output());
        assert_eq!(plain.trace(), packed.trace());
    }
}

#[test]
fn a_packed_image_that_is_none_is_one_line_and_no_load() {
    let line = |packed: &[u8]| object::refusal(&FakeKernel::new(&KERNEL), packed);
    assert_eq!(
        line(&PACKED[..PACKED.len() / 4]),
        "bpf_preload: read image: bad packed image at offset 12"
    );
    let mut huge = PACKED.to_vec();
    huge[4..8].fill(0xff);
    assert_eq!(line(&huge), "bpf_preload: read image: ENOMEM (12)");
    let mut empty = PACKED.to_vec();
    empty[4..8].fill(0);
    assert_eq!(
        line(&empty),
        "bpf_preload: read image: bad magic at offset 0"
    );
}

#[test]
fn the_blob_has_code_for_the_kinds_of_its_image_and_refuses_others() {
    const KINDS: u32 = images::CORE_KINDS;
    const FEWER: u32 = KINDS & !(1 << core_kind::FIELD_EXISTS);
    assert_ne!(KINDS, FEWER, "the iterators ask whether a field exists");
    let memory = &mut vec![0; object::ARENA_BYTES / 8];

    let fake = FakeKernel::new(&KERNEL);
    assert_eq!(driver::run_only::<KINDS, _>(&fake, PACKED, memory), 0);

    let fake = FakeKernel::new(&KERNEL);
    assert_eq!(driver::run_only::<FEWER, _>(&fake, PACKED, memory), 1);
    let line = object::line(&fake);
    assert!(line.ends_with(": unsupported"), "{line}");
    assert!(line.contains("<field_exists>"), "{line}");
}
