// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls of Linux on x86-64. Arguments become registers here and
//! nowhere else.
#![allow(unsafe_code, reason = "system calls and the memory they map")]

use core::arch::asm;
use core::ffi::{CStr, c_long};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::{Errno, Sys};

/// The running kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

/// A private, readable mapping of this process.
#[derive(Debug)]
pub struct Mapping {
    addr: NonNull<u8>,
    len: usize,
}

/// A mapping that is writable, too.
#[derive(Debug)]
pub struct Buffer(Mapping);

/// A system call of up to three arguments; unused ones are 0.
///
/// # Safety
/// As the call asks: pointers are valid for what it reads and writes.
#[inline(always)]
pub(super) unsafe fn syscall(nr: c_long, [a, b, c]: [usize; 3]) -> Result<usize, Errno> {
    let ret: isize;
    // SAFETY: the kernel clobbers rcx, r11 and rax only; that memory may be
    // read and written is the default of asm!, and its validity the caller's.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr as isize => ret,
            in("rdi") a, in("rsi") b, in("rdx") c,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result(ret)
}

/// A system call of up to six arguments; unused ones are 0.
///
/// # Safety
/// As for [`syscall`].
#[inline(always)]
pub(super) unsafe fn syscall6(nr: c_long, args: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = args;
    let ret: isize;
    // SAFETY: as for `syscall`.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr as isize => ret,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result(ret)
}

/// The kernel's errors are the last page of numbers.
#[inline(always)]
fn result(ret: isize) -> Result<usize, Errno> {
    if (-4095..0).contains(&ret) {
        Err(Errno(-(ret as i32)))
    } else {
        Ok(ret as usize)
    }
}

/// Ends the process with this exit status.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: exit_group takes no pointer.
        let _ = unsafe { syscall(libc::SYS_exit_group, [status as usize, 0, 0]) };
    }
}

/// `mmap(2)`, private.
#[inline(always)]
fn map(len: usize, prot: i32, flags: i32, fd: i32) -> Result<Mapping, Errno> {
    map_at(0, len, prot, libc::MAP_PRIVATE | flags, fd)
}

/// `mmap(2)`; flags that replace a mapping are none of those here.
fn map_at(addr: usize, len: usize, prot: i32, flags: i32, fd: i32) -> Result<Mapping, Errno> {
    let args = [addr, len, prot as usize, flags as usize, fd as usize, 0];
    // SAFETY: a new mapping where there is none aliases nothing.
    let addr = unsafe { syscall6(libc::SYS_mmap, args) }?;
    match NonNull::new(addr as *mut u8) {
        Some(addr) => Ok(Mapping { addr, len }),
        None => Err(Errno(libc::ENOMEM)),
    }
}

impl Linux {
    /// `mmap(2)` of the first `len` bytes of a BPF map, shared and writable, at this
    /// address; 0: wherever the kernel wants it.
    ///
    /// # Errors
    /// As the kernel reports it: `EEXIST` if something is mapped there.
    pub fn map_shared(&self, fd: i32, len: usize, addr: usize) -> Result<Buffer, Errno> {
        let flags = match addr {
            0 => libc::MAP_SHARED,
            _ => libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE,
        };
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        map_at(addr, len, prot, flags, fd).map(Buffer)
    }
}

impl Deref for Mapping {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes from `addr` are mapped readable until the drop, and
        // nobody else writes: anonymous, a BPF map before its programs are there, or
        // the kernel's constant BTF, be it by its
        // path or on fd 3. Who starts the blob by hand with another file on fd 3,
        // and no sysfs, vouches for that file as for all else that root runs.
        unsafe { core::slice::from_raw_parts(self.addr.as_ptr(), self.len) }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and a Buffer's mapping is writable.
        unsafe { core::slice::from_raw_parts_mut(self.0.addr.as_ptr(), self.0.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let args = [self.addr.as_ptr() as usize, self.len, 0];
        // SAFETY: the mapping is this value's own, and its slices are gone.
        let _ = unsafe { syscall(libc::SYS_munmap, args) };
    }
}

impl Sys for Linux {
    type Mapping = Mapping;
    type Buffer = Buffer;

    unsafe fn bpf(&self, cmd: u32, attr: &mut [u8]) -> Result<i32, Errno> {
        let args = [cmd as usize, attr.as_mut_ptr() as usize, attr.len()];
        // SAFETY: `attr` is valid for its length, what it points to by contract.
        unsafe { syscall(libc::SYS_bpf, args) }.map(|ret| ret as i32)
    }

    fn open(&self, path: &CStr) -> Result<i32, Errno> {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let args = [
            libc::AT_FDCWD as usize,
            path.as_ptr() as usize,
            flags as usize,
        ];
        // SAFETY: a CStr is NUL-terminated.
        unsafe { syscall(libc::SYS_openat, args) }.map(|fd| fd as i32)
    }

    fn size(&self, fd: i32) -> Result<usize, Errno> {
        let args = [fd as usize, 0, libc::SEEK_END as usize];
        // SAFETY: lseek takes no pointer.
        unsafe { syscall(libc::SYS_lseek, args) }
    }

    fn read(&self, fd: i32, buf: &mut [u8]) -> Result<usize, Errno> {
        let args = [fd as usize, buf.as_mut_ptr() as usize, buf.len()];
        // SAFETY: `buf` is valid for writes of its length.
        unsafe { syscall(libc::SYS_read, args) }
    }

    fn pread(&self, fd: i32, buf: &mut [u8], offset: usize) -> Result<usize, Errno> {
        let args = [
            fd as usize,
            buf.as_mut_ptr() as usize,
            buf.len(),
            offset,
            0,
            0,
        ];
        // SAFETY: `buf` is valid for writes of its length.
        unsafe { syscall6(libc::SYS_pread64, args) }
    }

    fn write(&self, fd: i32, buf: &[u8]) -> Result<usize, Errno> {
        let args = [fd as usize, buf.as_ptr() as usize, buf.len()];
        // SAFETY: `buf` is valid for reads of its length.
        unsafe { syscall(libc::SYS_write, args) }
    }

    fn close(&self, fd: i32) {
        // SAFETY: close takes no pointer, and no fd here owns memory.
        let _ = unsafe { syscall(libc::SYS_close, [fd as usize, 0, 0]) };
    }

    fn map_file(&self, fd: i32, len: usize) -> Result<Mapping, Errno> {
        map(len, libc::PROT_READ, 0, fd)
    }

    fn map_anonymous(&self, len: usize) -> Result<Buffer, Errno> {
        // Every page will be written: populating them at once saves the faults.
        let flags = libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        map(len, libc::PROT_READ | libc::PROT_WRITE, flags, -1).map(Buffer)
    }

    fn raise_memlock(&self) -> Result<(), Errno> {
        let limit = libc::rlimit64 {
            rlim_cur: libc::RLIM64_INFINITY,
            rlim_max: libc::RLIM64_INFINITY,
        };
        let new = core::ptr::from_ref(&limit) as usize;
        let args = [0, libc::RLIMIT_MEMLOCK as usize, new, 0, 0, 0];
        // SAFETY: `limit` lives during the call, which reads it.
        unsafe { syscall6(libc::SYS_prlimit64, args) }.map(drop)
    }

    fn block_sigpipe(&self) -> Result<(), Errno> {
        let set = 1u64 << (libc::SIGPIPE - 1);
        let new = core::ptr::from_ref(&set) as usize;
        let args = [libc::SIG_BLOCK as usize, new, 0, size_of::<u64>(), 0, 0];
        // SAFETY: `set` lives during the call, which reads its 8 bytes.
        unsafe { syscall6(libc::SYS_rt_sigprocmask, args) }.map(drop)
    }
}
