// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user mode driver: the conversation of `kmod-shim/wire.h`.

use preload_image::Image;

use crate::arena::Arena;
use crate::error::{Error, Failed};
use crate::exec::{self, Link};
use crate::sys::{Errno, Sys};
use crate::targets::Search;

/// `PRELOAD_START`: load, attach, report.
pub const START: u32 = 0x5555;
/// `PRELOAD_END`: the links are taken.
pub const END: u32 = 0xaaaa;
/// Bytes of a link's name with its NUL, `PRELOAD_NAME_LEN`.
pub const NAME_LEN: usize = 16;
/// Bytes of a `struct preload_record`.
pub const RECORD_BYTES: usize = NAME_LEN + 4;

const IN: i32 = 0;
const OUT: i32 = 1;
const LOG: i32 = 2;

/// The driver's life; the result is its exit status.
///
/// What was loaded stays open until the process ends, which closes it all at
/// once: nothing is lost by not doing so one by one.
pub fn run<S: Sys>(sys: &S, image: &[u8], memory: &mut [u64]) -> i32 {
    let mut error = Error::default();
    match serve(sys, image, memory, &mut error) {
        Ok(()) => 0,
        Err(Failed) => {
            // Where the log is closed, the exit status alone must do.
            let _ = sys.write(LOG, error.line_with_newline());
            1
        }
    }
}

fn serve<S: Sys>(
    sys: &S,
    image: &[u8],
    memory: &mut [u64],
    error: &mut Error,
) -> Result<(), Failed> {
    sys.block_sigpipe()
        .map_err(|errno| error.refused("block", b"SIGPIPE", errno))?;
    expect(sys, "read start word", START, error)?;
    let image = match Image::parse(image) {
        Ok(image) => image,
        Err(wrong) => {
            error
                .begin("read image", b"")
                .put(b"bad ")
                .put(wrong.what.as_bytes());
            error.put(b" at offset ").put_dec(wrong.offset);
            return Err(Failed);
        }
    };
    let mut arena = Arena::new(memory);
    let loaded = exec::load(sys, &image, Search::First, &mut arena, error)?;
    for link in loaded.links() {
        report(sys, &link, error)?;
    }
    expect(sys, "read end word", END, error)?;
    core::mem::forget(loaded);
    Ok(())
}

/// Reads a word, which must be this one.
#[inline(never)]
fn expect<S: Sys>(
    sys: &S,
    step: &'static str,
    wanted: u32,
    error: &mut Error,
) -> Result<(), Failed> {
    let mut word = [0; 4];
    let mut len = 0;
    while let Some(rest) = word.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match sys.read(IN, rest) {
            Ok(0) => {
                error.begin(step, b"").put(b"end of file after ");
                error.put_dec(len as u32).put(b" of 4 bytes");
                return Err(Failed);
            }
            Ok(n) => len += n,
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(error.refused(step, b"", errno)),
        }
    }
    let word = u32::from_ne_bytes(word);
    if word != wanted {
        error.begin(step, b"").put(b"got ").put_hex(word);
        error.put(b", not ").put_hex(wanted);
        return Err(Failed);
    }
    Ok(())
}

/// Writes the record of a link, in one write(2) unless the kernel cuts it short.
#[inline(never)]
fn report<S: Sys>(sys: &S, link: &Link<'_>, error: &mut Error) -> Result<(), Failed> {
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
            Err(Errno(libc::EINTR)) => continue,
            Err(errno) => errno,
        };
        return Err(error.refused("write record", link.name, errno));
    }
    Ok(())
}
