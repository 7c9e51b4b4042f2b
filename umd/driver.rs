// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user mode driver: the conversation of `kmod-shim/wire.h`.

use preload_image::Image;

use crate::arena::Arena;
use crate::error::{Error, Line};
use crate::exec::{self, Link};
use crate::sys::{Errno, Sys};

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
pub fn run<'a, S: Sys>(sys: &'a S, image: &'a [u8], memory: &'a mut [u64]) -> i32 {
    let mut arena = Arena::new(memory);
    match serve(sys, image, &mut arena) {
        Ok(()) => 0,
        Err(error) => {
            // Where the log is closed, the exit status alone must do.
            let _ = sys.write(LOG, error.line().bytes());
            1
        }
    }
}

fn serve<'a, S: Sys>(sys: &'a S, image: &'a [u8], arena: &mut Arena<'a>) -> Result<(), Error<'a>> {
    sys.block_sigpipe()
        .map_err(|errno| Error::errno("block", b"SIGPIPE", errno))?;
    expect(sys, "read start word", START, arena)?;
    let image = Image::parse(image).map_err(|error| {
        let mut text = Line::new();
        text.put(b"bad ").put(error.what.as_bytes());
        text.put(b" at offset ").put_dec(error.offset);
        failed("read image", &text, arena)
    })?;
    let loaded = exec::load(sys, &image, arena)?;
    for link in loaded.links() {
        report(sys, &link)?;
    }
    expect(sys, "read end word", END, arena)?;
    core::mem::forget(loaded);
    Ok(())
}

/// A step of the conversation that failed for a reason of its own.
fn failed<'a>(step: &'static str, reason: &Line, arena: &mut Arena<'a>) -> Error<'a> {
    Error {
        step,
        detail: reason.keep(arena),
        ..Error::default()
    }
}

/// Reads a word, which must be this one.
fn expect<'a, S: Sys>(
    sys: &S,
    step: &'static str,
    wanted: u32,
    arena: &mut Arena<'a>,
) -> Result<(), Error<'a>> {
    let mut word = [0; 4];
    let mut len = 0;
    while let Some(rest) = word.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match sys.read(IN, rest) {
            Ok(0) => {
                let mut text = Line::new();
                text.put(b"end of file after ")
                    .put_dec(len as u32)
                    .put(b" of 4 bytes");
                return Err(failed(step, &text, arena));
            }
            Ok(n) => len += n,
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(Error::errno(step, b"", errno)),
        }
    }
    let word = u32::from_ne_bytes(word);
    if word != wanted {
        let mut text = Line::new();
        text.put(b"got ")
            .put_hex(word)
            .put(b", not ")
            .put_hex(wanted);
        return Err(failed(step, &text, arena));
    }
    Ok(())
}

/// Writes the record of a link, in one write(2) unless the kernel cuts it short.
fn report<'a, S: Sys>(sys: &S, link: &Link<'a>) -> Result<(), Error<'a>> {
    let mut record = [0; RECORD_BYTES];
    for (to, from) in record.iter_mut().take(NAME_LEN - 1).zip(link.name) {
        *to = *from;
    }
    for (to, from) in record.iter_mut().skip(NAME_LEN).zip(link.id.to_ne_bytes()) {
        *to = from;
    }
    let mut written = 0;
    while let Some(rest) = record.get(written..).filter(|rest| !rest.is_empty()) {
        match sys.write(OUT, rest) {
            Ok(n) => written += n,
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(Error::errno("write record of link", link.name, errno)),
        }
    }
    Ok(())
}
