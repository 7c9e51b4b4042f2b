// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of the caller: what `copy_from_user()` and `copy_to_user()` reach.
//! The caller is this process, so a wrong pointer crashes the test.
#![allow(unsafe_code, reason = "pointers in bpf_attr are dereferenced")]

/// `len` bytes that an attr points to; a NULL pointer goes with no bytes.
pub(super) fn bytes(addr: u64, len: usize) -> Vec<u8> {
    assert_eq!(addr == 0, len == 0, "pointer {addr:#x} with {len} bytes");
    if len == 0 {
        return Vec::new();
    }
    // SAFETY: the caller of bpf() vouches for `len` readable bytes, and waits.
    unsafe { std::slice::from_raw_parts(addr as *const u8, len) }.to_vec()
}

/// The NUL-terminated string at an address.
pub(super) fn string(addr: u64) -> String {
    // SAFETY: the caller of bpf() vouches for a NUL at the end of it.
    let string = unsafe { std::ffi::CStr::from_ptr(addr as *const _) };
    string.to_string_lossy().into_owned()
}

/// Writes to the caller.
pub(super) fn put(addr: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    assert_ne!(addr, 0, "write to NULL");
    // SAFETY: the caller of bpf() vouches for as many bytes as it said, holds a
    // mutable borrow of them, and nobody gives more than that.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), addr as *mut u8, bytes.len()) }
}
