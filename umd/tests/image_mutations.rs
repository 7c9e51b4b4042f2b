// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real images with a byte changed or its end cut off: valid or an error,
//! never a panic; and a driver that gets it through ends as cleanly.

use preload_image::{Image, Relo, Str};

use crate::fake_kernel::FakeKernel;
use crate::object::{self, IMAGES, KERNEL_ALL};

/// Asks an image for everything that it can be asked for, and some that it cannot.
/// What is there is as long as the record says, or not there at all.
/// `whole`: all that it refers to is there.
fn walk(image: &Image<'_>, whole: bool) {
    let len = |bytes: &[u8], expected: usize| {
        assert!(bytes.len() == expected || bytes.is_empty() && !whole);
    };
    let object = image.object();
    string(image, object.name);
    string(image, object.license);
    for map in image.maps().iter() {
        string(image, map.name);
        len(image.data(map.data), map.data.len as usize);
        assert!(!whole || map.data.len == 0 || map.data.len == map.value_size);
    }
    for target in image.targets().iter() {
        string(image, target.name);
    }
    for ksym in image.externs().iter() {
        string(image, ksym.name);
        let target = ksym.target.checked_sub(1);
        assert!(!whole || target.is_none_or(|t| image.targets().get(t).is_some()));
    }
    for prog in image.progs().iter() {
        string(image, prog.name);
        string(image, prog.link_name);
        len(image.insns(prog.insns), 8 * prog.insns.len as usize);
        len(
            image.func_info(prog.func_info),
            8 * prog.func_info.len as usize,
        );
        len(
            image.line_info(prog.line_info),
            16 * prog.line_info.len as usize,
        );
        for Relo { kind, index, .. } in image.relos(prog.relos).iter() {
            let known = match kind {
                0 => image.maps().get(index).is_some(),
                _ => image.externs().get(index).is_some(),
            };
            assert!(known || !whole, "relocation of kind {kind} against {index}");
        }
        for relo in image.core_relos(prog.core_relos).iter() {
            string(image, relo.access_str);
            let accessors = image.accessors(relo.accessors);
            assert!(accessors.len() == relo.accessors.len as usize || !whole);
            accessors.iter().for_each(|a| string(image, a.name));
        }
    }
    assert!(image.maps().get(u32::MAX).is_none());
    assert!(image.progs().get(image.progs().len() as u32).is_none());
}

/// The kernel gets a string with its NUL or not at all.
fn string(image: &Image<'_>, at: Str) {
    let c_str = image.c_str(at);
    match c_str.iter().position(|b| *b == 0) {
        Some(nul) => {
            assert_eq!(nul + 1, c_str.len());
            assert_eq!(image.str(at), &c_str[..nul]);
        }
        None => assert_eq!(c_str, []),
    }
}

/// A life of the driver with image `number` replaced: no panic, nothing left
/// behind an error, and only whole records.
fn live(number: usize, image: &[u8]) {
    let fake = FakeKernel::new(&KERNEL_ALL).asking_for_all();
    let mut images = IMAGES;
    images[number] = image;
    if object::run(&fake, &images.concat()) == 0 {
        assert!(fake.output().len().is_multiple_of(20));
        assert!(fake.log().is_empty());
    } else {
        object::line(&fake);
        assert_eq!(fake.open_fds(), []);
        assert_eq!(fake.mapped(), 0);
        assert_eq!(fake.output(), []);
    }
}

/// Calls `with` with the number of each image and every value of every byte of
/// it, changed in place.
fn mutate(values: impl Fn(u8) -> Vec<u8>, mut with: impl FnMut(usize, &[u8], usize)) {
    for (number, original) in IMAGES.iter().enumerate() {
        let mut image = original.to_vec();
        for at in 0..image.len() {
            let byte = image[at];
            for value in values(byte) {
                image[at] = value;
                with(number, &image, at);
            }
            image[at] = byte;
        }
    }
}

#[test]
fn no_changed_byte_makes_the_reader_panic() {
    let (mut valid, mut parsed, mut bad) = (0, 0, 0);
    mutate(
        |byte| (0..=255).filter(|value| *value != byte).collect(),
        |_, image, at| match Image::parse(image) {
            Ok(image) => {
                let checked = image.check();
                walk(&image, checked.is_ok());
                match checked {
                    Ok(()) => valid += 1,
                    Err(error) => {
                        let offset = error.offset as usize;
                        assert!(offset <= image.bytes().len(), "byte {at}: {error:?}");
                        parsed += 1;
                    }
                }
            }
            Err(error) => {
                assert!(error.offset as usize <= image.len(), "byte {at}: {error:?}");
                bad += 1;
            }
        },
    );
    // All ways were gone: contents may be anything, references and the header may not.
    assert!(
        valid > 0 && parsed > 0 && bad > 0,
        "{valid}, {parsed}, {bad}"
    );
}

#[test]
fn no_changed_byte_makes_the_driver_panic_or_leak() {
    let flips = |byte: u8| {
        let mut values: Vec<u8> = (0..8).map(|bit| byte ^ 1 << bit).collect();
        values.extend([0, 0xff]);
        values
    };
    mutate(flips, |number, image, _| live(number, image));
}

#[test]
fn no_truncation_passes_for_an_image() {
    for (number, image) in IMAGES.iter().enumerate() {
        for len in 0..image.len() {
            assert!(Image::parse(&image[..len]).is_err(), "{len} bytes");
            live(number, &image[..len]);
        }
        // Nor does one with something behind it.
        assert!(Image::parse(&[*image, &[0]].concat()).is_err());
    }
}

#[test]
fn no_cut_section_makes_the_reader_panic() {
    for (number, whole) in IMAGES.iter().enumerate() {
        // A cut whose header agrees: the total length and the last section shrink with it.
        let word = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
        let sections = (8..word(8) as usize).step_by(8);
        let last = sections.rev().find(|at| word(at + 4) > 0).unwrap();
        let most = word(last + 4);
        for cut in 1..=most {
            let mut image = whole[..whole.len() - cut as usize].to_vec();
            let len = image.len() as u32;
            image[4..8].copy_from_slice(&len.to_le_bytes());
            image[last + 4..last + 8].copy_from_slice(&(most - cut).to_le_bytes());
            // Empty sections behind it begin where the image ends.
            for at in (last + 8..word(8) as usize).step_by(8) {
                image[at..at + 4].copy_from_slice(&len.to_le_bytes());
            }
            if let Ok(image) = Image::parse(&image) {
                walk(&image, image.check().is_ok());
            }
            live(number, &image);
        }
    }
}
