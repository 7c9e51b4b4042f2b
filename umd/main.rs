// SPDX-License-Identifier: MIT OR Apache-2.0
//! The blob: entry point and memory. All else is in the library.
#![no_std]
#![no_main]
#![allow(
    unsafe_code,
    reason = "entry point, the arena's static, what rustc expects of a libc"
)]

use bpf_preload_umd::sys::linux::{self, Linux};
use bpf_preload_umd::{driver, images};

mod mem;

/// In .bss: what is not used is never touched, and costs nothing.
const ARENA_WORDS: usize = (256 << 10) / 8;
static mut ARENA: [u64; ARENA_WORDS] = [0; ARENA_WORDS];

// The kernel enters with the stack 16-byte aligned and no return address; a
// call from here leaves it as the ABI wants it on entry to a function.
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "call {main}",
    main = sym main,
);

extern "C" fn main() -> ! {
    // SAFETY: the only reference to ARENA; main runs once, on the only thread.
    let arena = unsafe { &mut *core::ptr::addr_of_mut!(ARENA) };
    linux::exit(driver::run_only::<{ images::CORE_KINDS }, _>(
        &Linux,
        images::PACKED,
        arena,
    ))
}

/// There is no heap. Where cargo builds all crates in one go, the image's writer
/// comes along, and with it the question who allocates; nothing here asks.
struct NoHeap;

// SAFETY: it gives no memory out, and so has none to keep its promises about.
unsafe impl core::alloc::GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;

/// No panic path is linked into a release build (checked by `make check`); the
/// language wants a handler all the same, and debug builds use it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    linux::exit(101)
}

/// Unoptimised core refers to it; nothing unwinds.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
