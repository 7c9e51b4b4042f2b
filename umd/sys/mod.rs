// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel, as the executor sees it: one trait that every system call goes
//! through, so that tests can put a recording or failing kernel in its place.

use core::ops::{Deref, DerefMut};

pub mod attr;
pub mod bpf;
#[cfg(target_arch = "x86_64")]
pub mod linux;
#[cfg(target_arch = "x86_64")]
pub mod perf;
pub mod pod;
pub mod tcx;
pub mod token;

/// A positive error number of the kernel, `E*` of `libc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// The system calls that a load needs.
///
/// File descriptors are raw numbers here; who opens one closes it. Transfers are
/// not tried again after `EINTR`: no signal has a handler in the driver, so that
/// the kernel takes them up again itself.
pub trait Sys {
    /// A mapped file; unmapped when dropped.
    type Mapping: Deref<Target = [u8]>;
    /// Memory of its own; given back when dropped.
    type Buffer: DerefMut<Target = [u8]>;

    /// `bpf(2)`. `attr` is the prefix of `union bpf_attr` that the command uses.
    ///
    /// # Safety
    /// Every pointer in `attr` is valid, until the call returns, for what the
    /// command reads or writes there.
    ///
    /// # Errors
    /// As the kernel reports it.
    #[allow(unsafe_code, reason = "addresses stand in attr as numbers")]
    unsafe fn bpf(&self, cmd: u32, attr: &mut [u8]) -> Result<i32, Errno>;

    /// `openat(2)` of a path for reading, close-on-exec.
    ///
    /// # Errors
    /// As the kernel reports it.
    fn open(&self, path: &core::ffi::CStr) -> Result<i32, Errno>;

    /// Size of an open file in bytes, by `lseek(2)` to its end.
    ///
    /// # Errors
    /// As the kernel reports it.
    fn size(&self, fd: i32) -> Result<usize, Errno>;

    /// `read(2)`; 0 is the end of the file.
    ///
    /// # Errors
    /// As the kernel reports it.
    fn read(&self, fd: i32, buf: &mut [u8]) -> Result<usize, Errno>;

    /// `pread(2)`; 0 is the end of the file.
    ///
    /// # Errors
    /// As the kernel reports it.
    fn pread(&self, fd: i32, buf: &mut [u8], offset: usize) -> Result<usize, Errno>;

    /// `write(2)`.
    ///
    /// # Errors
    /// As the kernel reports it.
    fn write(&self, fd: i32, buf: &[u8]) -> Result<usize, Errno>;

    /// `close(2)`; there is nothing to do about its errors.
    fn close(&self, fd: i32);

    /// `mmap(2)` of the first `len` bytes of a file, private and read-only.
    ///
    /// # Errors
    /// As the kernel reports it: `ENODEV` for kernel BTF before 6.16.
    fn map_file(&self, fd: i32, len: usize) -> Result<Self::Mapping, Errno>;

    /// `mmap(2)` of `len` zero bytes, private and writable.
    ///
    /// # Errors
    /// As the kernel reports it.
    fn map_anonymous(&self, len: usize) -> Result<Self::Buffer, Errno>;

    /// Raises `RLIMIT_MEMLOCK` to infinity.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_RESOURCE`.
    fn raise_memlock(&self) -> Result<(), Errno>;

    /// Blocks `SIGPIPE`, so that a closed pipe is an error like another.
    ///
    /// # Errors
    /// As the kernel reports it.
    fn block_sigpipe(&self) -> Result<(), Errno>;
}
