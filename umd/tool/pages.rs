// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pages of the program itself, which count as its memory where the kernel has mapped them:
//! sixteen where one is touched.
#![expect(unsafe_code, reason = "mappings")]

use rustix::mm::{Advice, madvise};

// The linker says where the program begins, and where its code ends: nothing that is written to.
unsafe extern "C" {
    static __executable_start: u8;
    static etext: u8;
}

/// Gives back what a step has had of the program's code and constants: the next one's are others.
/// With them go the breakpoints that a debugger has set.
pub(crate) fn let_go() {
    const PAGE: usize = 4096;
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let bytes = (end.addr() - start.addr()) / PAGE * PAGE;
    // The addresses between segments, of which it complains, it passes over.
    // SAFETY: nothing is written to there: what is used again is read from the file again.
    let _ = unsafe { madvise(start.cast_mut().cast(), bytes, Advice::LinuxDontNeed) };
}
