// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong, as one line: step, object, errno, and the cause where it is
//! known. The line is made here and nowhere else.
//!
//! A failing function writes the line and returns [`Failed`], which is nothing
//! but the fact, so that results stay small.

use crate::btf::BtfError;
use crate::sys::Errno;

/// Characters of a line, without its newline.
pub const LINE_MAX: usize = 120;

/// A step failed; the [`Error`] at hand says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// A failed step, or room for one.
#[derive(Clone, Copy, Debug)]
pub struct Error {
    bytes: [u8; LINE_MAX + 1],
    len: usize,
    errno: Option<Errno>,
}

impl Default for Error {
    fn default() -> Self {
        Error {
            bytes: [0; LINE_MAX + 1],
            len: 0,
            errno: None,
        }
    }
}

impl Error {
    /// The line, without a newline.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The line, with a newline.
    pub fn line_with_newline(&mut self) -> &[u8] {
        if let Some(end) = self.bytes.get_mut(self.len) {
            *end = b'\n';
        }
        self.bytes.get(..self.len + 1).unwrap_or_default()
    }

    /// What the kernel answered, if it was the kernel that refused.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        self.errno
    }

    /// Begins the line: this step failed, for a reason that follows.
    #[cold]
    #[inline(never)]
    pub fn begin(&mut self, step: &'static str, object: &[u8]) -> &mut Self {
        self.len = 0;
        self.put(b"bpf_preload: ").put(step.as_bytes());
        if !object.is_empty() {
            self.put(b" ").put(object);
        }
        self.put(b": ")
    }

    /// The kernel refused a step.
    #[cold]
    #[inline(never)]
    pub fn refused(&mut self, step: &'static str, object: &[u8], errno: Errno) -> Failed {
        self.begin(step, object);
        self.errno = Some(errno);
        let Errno(number) = errno;
        let name = name(number);
        if name.is_empty() {
            self.put(b"errno ").put_dec(number as u32);
        } else {
            self.put(name).put(b" (").put_dec(number as u32).put(b")");
        }
        Failed
    }

    /// Fails if BTF made no sense.
    ///
    /// # Errors
    /// With what was wrong.
    #[inline(never)]
    pub fn check(
        &mut self,
        step: &'static str,
        object: &[u8],
        checked: Result<(), BtfError>,
    ) -> Result<(), Failed> {
        let Err(BtfError { what, value }) = checked else {
            return Ok(());
        };
        self.begin(step, object).put(b"bad BTF ");
        self.put(what.as_bytes()).put(b" ").put_dec(value);
        Err(Failed)
    }

    /// Appends text, up to the end of the line; names come from outside, so what
    /// is not printable becomes `?`.
    #[inline(never)]
    pub fn put(&mut self, text: &[u8]) -> &mut Self {
        for byte in text {
            if self.len < LINE_MAX
                && let Some(to) = self.bytes.get_mut(self.len)
            {
                *to = if (b' '..=b'~').contains(byte) {
                    *byte
                } else {
                    b'?'
                };
                self.len += 1;
            }
        }
        self
    }

    /// Appends text that leaves room for `n` more characters.
    pub fn put_before(&mut self, text: &[u8], n: usize) -> &mut Self {
        let room = LINE_MAX.saturating_sub(self.len + n);
        self.put(text.get(..room).unwrap_or(text))
    }

    /// Appends a number.
    #[inline(never)]
    pub fn put_dec(&mut self, mut number: u32) -> &mut Self {
        let mut digits = [0; 10];
        let mut at = digits.len();
        loop {
            at -= 1;
            if let Some(digit) = digits.get_mut(at) {
                *digit = b'0' + (number % 10) as u8;
            }
            number /= 10;
            if number == 0 || at == 0 {
                return self.put(digits.get(at..).unwrap_or_default());
            }
        }
    }

    /// Appends a number as `0x00005555`.
    pub fn put_hex(&mut self, number: u32) -> &mut Self {
        self.put(b"0x");
        for shift in (0..8).rev() {
            let digit = (number >> (4 * shift) & 15) as u8;
            self.put(&[if digit < 10 {
                b'0' + digit
            } else {
                b'a' - 10 + digit
            }]);
        }
        self
    }
}

/// Names of the error numbers from 1 on.
const NAMES: &[u8] = b"EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN \
ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE \
ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK \
ENOSYS";

/// Name of an error number, of those that bpf() and the other calls give; else empty.
fn name(errno: i32) -> &'static [u8] {
    let index = match errno {
        libc::EOPNOTSUPP => return b"EOPNOTSUPP",
        // ENOTSUPP of the kernel, which user space has no name for.
        524 => return b"ENOTSUPP",
        errno => (errno as usize).wrapping_sub(1),
    };
    NAMES.split(|b| *b == b' ').nth(index).unwrap_or_default()
}
