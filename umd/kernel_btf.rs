// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gets the running kernel's BTF as one slice, in the cheapest way it offers.
//!
//! 1. `/sys/kernel/btf/vmlinux`, mapped (6.16 and later), or copied as a whole,
//!    since kernfs gives at most a page each read;
//! 2. where there is no sysfs, fd 3, on which the shim passes the same file;
//! 3. by id through bpf() (5.11 and later, with `CAP_SYS_ADMIN`).

use core::ops::Deref;

use crate::sys::bpf::{btf_fd_by_id, btf_info, btf_next_id};
use crate::sys::{Errno, Sys};

const PATH: &core::ffi::CStr = c"/sys/kernel/btf/vmlinux";
/// `PRELOAD_BTF_FD` of `kmod-shim/wire.h`; it stays open, it is not ours.
const BTF_FD: i32 = 3;
/// How BTF begins on a little-endian machine.
const MAGIC: [u8; 2] = [0x9f, 0xeb];

/// The bytes of kernel BTF: mapped from the kernel, or a copy.
pub enum KernelBtf<S: Sys> {
    /// The kernel's own pages.
    Mapped(S::Mapping),
    /// A copy, and its length.
    Copied(S::Buffer, usize),
}

impl<S: Sys> Deref for KernelBtf<S> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            KernelBtf::Mapped(mapping) => mapping,
            KernelBtf::Copied(buffer, len) => buffer.get(..*len).unwrap_or_default(),
        }
    }
}

impl<S: Sys> KernelBtf<S> {
    /// Kernel BTF from wherever it is to be had.
    ///
    /// # Errors
    /// The answer about the file if that was not "no such file", else the one
    /// about BTF by id: `ENOENT` if the kernel has none.
    #[inline(never)]
    pub fn get(sys: &S) -> Result<Self, Errno> {
        match sys.open(PATH) {
            Ok(fd) => {
                let btf = Self::from_file(sys, fd);
                sys.close(fd);
                btf
            }
            Err(errno) => match Self::from_file(sys, BTF_FD) {
                // By hand fd 3 may be anything.
                Ok(btf) if btf.starts_with(&MAGIC) => Ok(btf),
                _ => Self::from_id(sys).map_err(|by_id| match errno {
                    Errno(libc::ENOENT) => by_id,
                    errno => errno,
                }),
            },
        }
    }

    fn from_file(sys: &S, fd: i32) -> Result<Self, Errno> {
        let len = sys.size(fd)?;
        if let Ok(mapping) = sys.map_file(fd, len) {
            return Ok(KernelBtf::Mapped(mapping));
        }
        let mut buffer = sys.map_anonymous(len)?;
        let mut end = 0;
        while let Some(rest) = buffer.get_mut(end..).filter(|rest| !rest.is_empty()) {
            match sys.pread(fd, rest, end) {
                // Shorter than its size says: the reader of BTF will say so.
                Ok(0) => break,
                Ok(n) => end += n,
                Err(errno) => return Err(errno),
            }
        }
        Ok(KernelBtf::Copied(buffer, end))
    }

    /// Asks for each BTF in turn; the kernel's own is usually the first.
    fn from_id(sys: &S) -> Result<Self, Errno> {
        let mut id = 0;
        loop {
            id = btf_next_id(sys, id)?;
            let fd = match btf_fd_by_id(sys, id) {
                // It went away in between: not the kernel's.
                Err(Errno(libc::ENOENT)) => continue,
                fd => fd?,
            };
            let btf = Self::from_fd(sys, fd);
            sys.close(fd);
            if let Some(btf) = btf.transpose() {
                return btf;
            }
        }
    }

    /// The BTF of a BTF fd, if it is the kernel's.
    fn from_fd(sys: &S, fd: i32) -> Result<Option<Self>, Errno> {
        const VMLINUX: &[u8; 8] = b"vmlinux\0";
        let mut name = [0; VMLINUX.len()];
        let info = match btf_info(sys, fd, &mut [], &mut name) {
            // A longer name: a module's.
            Err(Errno(libc::ENOSPC)) => return Ok(None),
            info => info?,
        };
        if info.kernel_btf == 0 || name != *VMLINUX {
            return Ok(None);
        }
        let len = info.btf_size as usize;
        let mut buffer = sys.map_anonymous(len)?;
        btf_info(sys, fd, &mut buffer, &mut name)?;
        Ok(Some(KernelBtf::Copied(buffer, len)))
    }
}
