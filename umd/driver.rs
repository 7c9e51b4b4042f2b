// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user mode driver: the conversation of `kmod-shim/wire.h`.

use preload_image::{Image, ImageError, core_kind};

use crate::arena::Arena;
use crate::error::{Error, Failed};
use crate::exec::{self, Link, Loaded};
use crate::load::Load;
use crate::sys::{Errno, Sys};
use crate::targets::Search;

/// `PRELOAD_START`: load, attach and report what the first image has.
pub const START: u32 = 0x5555;
/// `PRELOAD_START_ALL`: the same of all images.
pub const START_ALL: u32 = 0x5556;
/// `PRELOAD_END`: the links are taken.
pub const END: u32 = 0xaaaa;
/// Bytes of a link's name with its NUL, `PRELOAD_NAME_LEN`.
pub const NAME_LEN: usize = 16;
/// Bytes of a `struct preload_record`.
pub const RECORD_BYTES: usize = NAME_LEN + 4;

const IN: i32 = 0;
const OUT: i32 = 1;
const LOG: i32 = 2;

/// Images that a driver has at most.
pub const MOST_IMAGES: usize = 4;

/// The driver's life, with these images, one after the other, packed or plain;
/// the result is its exit status.
///
/// What was loaded stays open until the process ends, which closes it all at
/// once: nothing is lost by not doing so one by one.
pub fn run<S: Sys>(sys: &S, images: &[u8], memory: &mut [u64]) -> i32 {
    run_only::<{ core_kind::ALL }, S>(sys, images, memory)
}

/// [`run`] of images that have only these kinds of CO-RE relocations, a bit for
/// each: what serves others alone is not compiled in, and such are refused.
pub fn run_only<const KINDS: u32, S: Sys>(sys: &S, images: &[u8], memory: &mut [u64]) -> i32 {
    let mut error = Error::default();
    match serve::<KINDS, S>(sys, images, memory, &mut error) {
        Ok(()) => 0,
        Err(failed) => {
            error.tell(failed);
            // Where the log is closed, the exit status alone must do.
            let _ = sys.write(LOG, error.line_with_newline());
            1
        }
    }
}

fn serve<'a, const KINDS: u32, S: Sys>(
    sys: &'a S,
    images: &'a [u8],
    memory: &'a mut [u64],
    error: &mut Error,
) -> Result<(), Failed> {
    error.begin("block", b"SIGPIPE");
    sys.block_sigpipe()?;
    let start = read_word(sys, "read start word", [START, START_ALL], error)?;
    error.begin("read image", b"");
    let mut arena = Arena::new(memory);
    let mut images = unpack(images, start, &mut arena, error)?;

    let mut kernel_btf = None;
    let mut loads = [const { None }; MOST_IMAGES];
    for place in &mut loads {
        error.begin("read image", b"");
        let (image, rest) = Image::parse_first(images).map_err(|wrong| bad(wrong, error))?;
        let mut load = Load {
            sys,
            image,
            arena: &mut arena,
            error,
        };
        let loaded = place.insert(Loaded::new(&mut load)?);
        exec::run::<KINDS, S>(&mut load, loaded, &mut kernel_btf, Search::First, None)?;
        images = rest;
        if start == START || images.is_empty() {
            break;
        }
    }
    // All links are there; none was reported before.
    for loaded in loads.iter().flatten() {
        for link in loaded.links() {
            report(sys, &link, error)?;
        }
    }
    read_word(sys, "read end word", [END; 2], error)?;
    core::mem::forget((loads, kernel_btf));
    Ok(())
}

/// The images, of which there may be just the first; unpacked if they are packed.
#[inline(never)]
fn unpack<'a>(
    images: &'a [u8],
    start: u32,
    arena: &mut Arena<'a>,
    error: &mut Error,
) -> Result<&'a [u8], Failed> {
    let Some((first, all)) = preload_image::packed_lens(images) else {
        return Ok(images);
    };
    let len = if start == START { first } else { all };
    let unpacked = arena.alloc(len).ok_or(Failed::NO_MEMORY)?;
    preload_image::unpack(images, unpacked).map_err(|wrong| bad(wrong, error))?;
    Ok(unpacked)
}

/// Says what is wrong with an image.
#[inline(never)]
fn bad(wrong: ImageError, error: &mut Error) -> Failed {
    error.put(b"bad ").put(wrong.what.as_bytes());
    error.put(b" at offset ").put_dec(wrong.offset);
    Failed::TOLD
}

/// Reads a word, which must be one of these.
#[inline(never)]
fn read_word<S: Sys>(
    sys: &S,
    step: &'static str,
    wanted: [u32; 2],
    error: &mut Error,
) -> Result<u32, Failed> {
    error.begin(step, b"");
    let mut word = [0; 4];
    let mut len = 0;
    while let Some(rest) = word.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match sys.read(IN, rest) {
            Ok(0) => {
                error.put(b"end of file after ").put_dec(len as u32);
                error.put(b" of 4 bytes");
                return Err(Failed::TOLD);
            }
            Ok(n) => len += n,
            Err(errno) => return Err(errno.into()),
        }
    }
    let word = u32::from_ne_bytes(word);
    let [one, other] = wanted;
    if word != one && word != other {
        error.put(b"got ").put_hex(word);
        error.put(b", not ").put_hex(one);
        if one != other {
            error.put(b" or ").put_hex(other);
        }
        return Err(Failed::TOLD);
    }
    Ok(word)
}

/// Writes the record of a link, in one write(2) unless the kernel cuts it short.
#[inline(never)]
fn report<S: Sys>(sys: &S, link: &Link<'_>, error: &mut Error) -> Result<(), Failed> {
    error.begin("write record", link.name);
    let mut record = [0; RECORD_BYTES];
    for (to, from) in record.iter_mut().take(NAME_LEN - 1).zip(link.name) {
        *to = *from;
    }
    if let Some(id) = record.last_chunk_mut() {
        *id = link.id.to_ne_bytes();
    }
    let mut written = 0;
    while let Some(rest) = record.get(written..).filter(|rest| !rest.is_empty()) {
        let errno = match sys.write(OUT, rest) {
            // Nothing taken, and no reason given: asking on would never end.
            Ok(0) => Errno(libc::EIO),
            Ok(n) => {
                written += n;
                continue;
            }
            Err(errno) => errno,
        };
        return Err(errno.into());
    }
    Ok(())
}
