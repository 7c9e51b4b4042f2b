// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong, as one line: step, object, errno, and the cause where it is
//! known. The line is made here and nowhere else.

use crate::arena::Arena;
use crate::sys::Errno;

/// Characters of a line, without its newline.
pub const LINE_MAX: usize = 120;

/// A failed step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Error<'a> {
    /// What was being done: "load prog".
    pub step: &'static str,
    /// To what: the name of the program or map; may be empty.
    pub object: &'a [u8],
    /// What the kernel answered, if it was the kernel.
    pub errno: Option<Errno>,
    /// What is known beyond that; may be empty.
    pub detail: &'a [u8],
    /// Lines of the verifier's log that the detail leaves out.
    pub omitted: u32,
}

impl<'a> Error<'a> {
    /// A step that the kernel refused.
    #[must_use]
    pub fn errno(step: &'static str, object: &'a [u8], errno: Errno) -> Self {
        Error {
            step,
            object,
            errno: Some(errno),
            ..Error::default()
        }
    }

    /// The line, with its newline.
    #[must_use]
    #[inline(never)]
    pub fn line(&self) -> Line {
        let mut omitted = Line::new();
        if self.omitted > 0 {
            omitted
                .put(b" (")
                .put_dec(self.omitted)
                .put(b" lines omitted)");
        }
        let mut line = Line::new();
        line.put(b"bpf_preload: ").put(self.step.as_bytes());
        if !self.object.is_empty() {
            line.put(b" ").put(self.object);
        }
        if let Some(Errno(number)) = self.errno {
            line.put(b": ");
            match name(number) {
                Some(name) => line.put(name).put(b" (").put_dec(number as u32).put(b")"),
                None => line.put(b"errno ").put_dec(number as u32),
            };
        }
        if !self.detail.is_empty() {
            line.put(b": ");
            let room = LINE_MAX.saturating_sub(line.len + omitted.len);
            line.put(self.detail.get(..room).unwrap_or(self.detail));
        }
        line.put(omitted.bytes());
        line.end();
        line
    }
}

/// Text of at most [`LINE_MAX`] printable characters; what is more is cut off.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    bytes: [u8; LINE_MAX + 1],
    len: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Line {
            bytes: [0; LINE_MAX + 1],
            len: 0,
        }
    }

    /// Appends text; names come from outside, so what is not printable becomes `?`.
    #[inline(never)]
    pub fn put(&mut self, text: &[u8]) -> &mut Self {
        let free = self.bytes.iter_mut().take(LINE_MAX).skip(self.len);
        for (to, from) in free.zip(text) {
            let printable = from.is_ascii_graphic() || *from == b' ';
            *to = if printable { *from } else { b'?' };
            self.len += 1;
        }
        self
    }

    /// Appends a number.
    pub fn put_dec(&mut self, number: u32) -> &mut Self {
        let mut power = 1_000_000_000u32;
        while power > 0 {
            let rest = number / power;
            if rest > 0 || power == 1 {
                self.put(&[b'0' + (rest % 10) as u8]);
            }
            power /= 10;
        }
        self
    }

    /// Appends a number as `0x5555`.
    pub fn put_hex(&mut self, number: u32) -> &mut Self {
        self.put(b"0x");
        for shift in (0..8).rev().map(|digit| 4 * digit) {
            let rest = number >> shift;
            if rest > 0 || shift == 0 {
                let digit = b"0123456789abcdef".get(rest as usize % 16);
                self.put(digit.map_or(&[], core::slice::from_ref));
            }
        }
        self
    }

    /// Ends the line.
    fn end(&mut self) {
        if let Some(end) = self.bytes.get_mut(self.len) {
            *end = b'\n';
            self.len += 1;
        }
    }

    /// What has been put.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The text in the arena, for an [`Error`]; nothing if that is full.
    pub fn keep<'a>(&self, arena: &mut Arena<'a>) -> &'a [u8] {
        self.keep_in(arena.alloc(self.len).unwrap_or_default())
    }

    /// The text at the beginning of a buffer; as much of it as fits.
    pub fn keep_in<'a>(&self, buffer: &'a mut [u8]) -> &'a [u8] {
        let mut len = 0;
        for (to, from) in buffer.iter_mut().zip(self.bytes()) {
            *to = *from;
            len += 1;
        }
        buffer.get(..len).unwrap_or_default()
    }
}

/// Names of the error numbers from 1 on.
const NAMES: &[u8] = b"EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN \
ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE \
ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK \
ENOSYS";

/// Name of an error number, of those that bpf() and the other calls give.
fn name(errno: i32) -> Option<&'static [u8]> {
    match errno {
        libc::EOPNOTSUPP => Some(b"EOPNOTSUPP"),
        libc::EBADMSG => Some(b"EBADMSG"),
        libc::EPROTO => Some(b"EPROTO"),
        libc::ETIMEDOUT => Some(b"ETIMEDOUT"),
        libc::ESTALE => Some(b"ESTALE"),
        // ENOTSUPP of the kernel, which user space has no name for.
        524 => Some(b"ENOTSUPP"),
        _ => {
            let index = usize::try_from(errno).ok()?.checked_sub(1)?;
            NAMES.split(|b| *b == b' ').nth(index)
        }
    }
}
