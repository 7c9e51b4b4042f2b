// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where libc begins: what std's own beginning does before `main`, but for what it takes longest
//! for (it reads the process's mappings, to tell an overflow of the stack from other faults; the
//! process ends by the same signal without).
#![expect(unsafe_code, reason = "the function that libc calls, and signals")]

use std::ffi::{c_char, c_int};
use std::fs::File;
use std::os::fd::{BorrowedFd, IntoRawFd as _};

use nix::sys::signal::{SigHandler, Signal, signal};

/// The arguments std has from libc itself.
// SAFETY: there is no other function of this name.
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    // SAFETY: to ignore a signal calls nothing. A reader who goes away is an error then.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    for fd in 0..3 {
        // SAFETY: borrowed to ask whether it is open.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        // Closed ones are filled, or a file of ours would take their place, and be printed to.
        if rustix::io::fcntl_getfd(fd).is_err()
            && let Ok(null) = File::options().read(true).write(true).open("/dev/null")
        {
            let _ = null.into_raw_fd();
        }
    }
    c_int::from(crate::tool())
}
