// SPDX-License-Identifier: MIT OR Apache-2.0
//! CO-RE with a hostile kernel: a valid image, made of types and relocations by
//! choice, is relocated for kernel BTF with some words of it changed; and the
//! image itself with some of its words changed.

use arbitrary::{Result, Unstructured};
use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::error::Error;
use bpf_preload_umd::relo::{Told, relocate};
use bpf_preload_umd::targets::Search;
use preload_image::Image;

use crate::{IMAGES, KERNEL, is_line, pair};

/// Bytes to choose by.
pub fn run(data: &[u8]) {
    // Too few bytes: nothing chosen.
    let _ = chosen(&mut Unstructured::new(data));
}

fn chosen(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut image, mut kernel) = match u.int_in_range(0..=7u8)? {
        which @ 0..=1 => (IMAGES[which as usize].to_vec(), KERNEL.clone()),
        _ => {
            let mut pair = pair::pair(u)?;
            // Values are looked at by the differential target; here they are to fit.
            pair.relos
                .iter()
                .for_each(|relo| pair::place(&mut pair.insns, relo.insn, 0));
            match preload_lower::lower(&pair.object(), "fuzz") {
                Ok(image) => (image, pair.kernel),
                Err(_) => (IMAGES[0].to_vec(), pair.kernel),
            }
        }
    };
    poke(u, &mut kernel, 16)?;
    if u.ratio(1, 4)? {
        poke(u, &mut image, 8)?;
    }
    let search = if u.arbitrary()? {
        Search::All
    } else {
        Search::First
    };
    let Ok(image) = Image::parse(&image) else {
        return Ok(());
    };
    let mut memory = vec![0; 1 << 15];
    let mut error = Error::default();
    let mut told = 0usize;
    let mut tell = |one: Told<'_>| match one {
        Told::Relo { text, .. } => {
            is_line(text);
            told += 1;
        }
        Told::Prog { .. } => {}
    };
    let mut arena = Arena::new(&mut memory);
    match relocate(
        &image, &kernel, None, search, &mut arena, &mut error, &mut tell,
    ) {
        Ok(()) => {
            let relos = image
                .progs()
                .iter()
                .map(|prog| image.core_relos(prog.core_relos).len());
            assert_eq!(told, relos.sum::<usize>());
        }
        Err(_) => {
            is_line(error.line());
            assert!(error.line().starts_with(b"bpf_preload: "));
        }
    }
    Ok(())
}

/// Changes some words, to values of which some have a meaning.
fn poke(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>, most: u32) -> Result<()> {
    for _ in 0..u.int_in_range(0..=most)? {
        let at = u.int_in_range(0..=bytes.len().max(4) / 4 - 1)? * 4;
        let value: u32 = match u.int_in_range(0..=4u8)? {
            0 => u32::MAX,
            1 => u.int_in_range(0..=64)?,
            2 => u.int_in_range(0..=31u32)? << 24 | u.int_in_range(0..=4)?,
            3 => 1 << u.int_in_range(0..=31)?,
            _ => u.arbitrary()?,
        };
        if let Some(place) = bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }
    if u.ratio(1, 16)? {
        bytes.truncate(u.int_in_range(0..=bytes.len())?);
    }
    Ok(())
}
