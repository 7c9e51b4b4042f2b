// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong, as one line: step, object, errno, and the cause where it is
//! known. The line is made here and nowhere else.
//!
//! Every step begins the line, so that what fails in it need not know where it
//! is: it returns the kernel's errno, or says in the line what is wrong and
//! returns [`Failed::TOLD`].

use crate::btf::{Btf, BtfError};
use crate::sys::Errno;

/// Characters of a line, without its newline.
pub const LINE_MAX: usize = 120;

/// A step failed; the [`Error`] at hand says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(i32);

impl Failed {
    /// The line says why.
    pub const TOLD: Failed = Failed(0);
    /// The arena is too small.
    pub const NO_MEMORY: Failed = Failed(libc::ENOMEM);
}

impl From<Errno> for Failed {
    fn from(Errno(errno): Errno) -> Self {
        Failed(errno)
    }
}

/// A failed step, or room for one.
#[derive(Clone, Copy, Debug)]
pub struct Error {
    bytes: [u8; LINE_MAX + 1],
    len: usize,
    errno: Option<Errno>,
    log_bytes: usize,
}

impl Default for Error {
    fn default() -> Self {
        Error {
            bytes: [0; LINE_MAX + 1],
            len: 0,
            errno: None,
            log_bytes: 0,
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

    /// Length of the verifier's log; 0 if there is none. After a failed
    /// [`exec::load`](crate::exec::load) it is the first thing in what is left of
    /// the arena: [`Arena::scratch`](crate::arena::Arena::scratch) of as many bytes.
    #[must_use]
    pub fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    pub(crate) fn set_log(&mut self, bytes: usize) {
        self.log_bytes = bytes;
    }

    /// Begins a step, and with it the line, in case that it fails.
    #[inline(never)]
    pub fn begin(&mut self, step: &'static str, object: &[u8]) {
        self.len = 0;
        self.put(b"bpf_preload: ").put(step.as_bytes());
        if !object.is_empty() {
            self.put(b" ").put(object);
        }
        self.put(b": ");
    }

    /// Tells the errno, unless all is told.
    #[inline(never)]
    pub fn tell(&mut self, Failed(number): Failed) {
        if number == 0 {
            return;
        }
        self.errno = Some(Errno(number));
        let name = errno_name(number);
        if name.is_empty() {
            self.put(b"errno ").put_dec(number as u32);
        } else {
            self.put(name).put(b" (").put_dec(number as u32).put(b")");
        }
    }

    /// Fails if BTF made no sense.
    ///
    /// # Errors
    /// With what was wrong.
    #[inline(never)]
    pub fn check(&mut self, btf: &Btf<'_>) -> Result<(), Failed> {
        let Err(BtfError { what, value }) = btf.check() else {
            return Ok(());
        };
        self.put(b"bad BTF ").put(what.as_bytes());
        self.put(b" ").put_dec(value);
        Err(Failed::TOLD)
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
#[must_use]
pub fn errno_name(errno: i32) -> &'static [u8] {
    match errno {
        libc::EOPNOTSUPP => b"EOPNOTSUPP",
        // ENOTSUPP of the kernel, which user space has no name for.
        524 => b"ENOTSUPP",
        errno => nth_word(NAMES, (errno as u32).wrapping_sub(1)),
    }
}

/// Word number `n` of a text; empty if it has fewer.
#[inline(never)]
pub fn nth_word(text: &'static [u8], n: u32) -> &'static [u8] {
    text.split(|b| *b == b' ')
        .nth(n as usize)
        .unwrap_or_default()
}
