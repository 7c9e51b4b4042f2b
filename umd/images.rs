// SPDX-License-Identifier: MIT OR Apache-2.0
//! The images that `build.rs` has made of `iterators/*.bpf.c`, in the order of
//! their names, or of the objects in `BPF_PRELOAD_OBJ`. The first is the classic
//! one, of `maps.debug` and `progs.debug`. What of this a binary does not name is
//! not in it.

/// Name of the object and image of each: for whoever loads them without the driver.
///
/// ```
/// use bpf_preload_umd::images;
/// use preload_image::Image;
///
/// for (name, bytes) in images::PLAIN {
///     let image = Image::parse(bytes).expect("build.rs has written it");
///     println!("{name}: {} programs", image.progs().len());
/// }
/// ```
pub const PLAIN: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/plain.rs"));

/// All of them, packed: what the blob carries.
pub static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/images.packed"));

/// The kinds of CO-RE relocations in all of them, a bit for each: the blob has no code for others.
pub const CORE_KINDS: u32 = include!(concat!(env!("OUT_DIR"), "/core_kinds.rs"));

const _: () = assert!(PLAIN.len() <= crate::driver::MOST_IMAGES);
