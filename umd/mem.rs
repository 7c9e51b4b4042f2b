// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory functions that compiled code calls and no libc provides here.
//! Small beats fast: what is copied is small.

use core::arch::asm;

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dst: *mut u8, src: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller vouches for `len` bytes at both, without overlap; the
    // ABI has the direction flag clear.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") len => _, inout("rdi") dst => _, inout("rsi") src => _,
            options(nostack, preserves_flags),
        );
    }
    dst
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dst: *mut u8, byte: i32, len: usize) -> *mut u8 {
    // SAFETY: the caller vouches for `len` bytes at `dst`; the direction flag is clear.
    unsafe {
        asm!(
            "rep stosb",
            inout("rcx") len => _, inout("rdi") dst => _, in("al") byte as u8,
            options(nostack, preserves_flags),
        );
    }
    dst
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    for i in 0..len {
        // SAFETY: the caller vouches for `len` bytes at both.
        let (a, b) = unsafe { (*a.add(i), *b.add(i)) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    // SAFETY: the caller's promise is the same.
    unsafe { memcmp(a, b, len) }
}
