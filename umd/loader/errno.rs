// SPDX-License-Identifier: MIT OR Apache-2.0
//! Error numbers of the kernel that something depends on here, as libc has them.

use rustix::io::Errno;

macro_rules! errno {
    ($($name:ident = $errno:ident;)+) => {
        $(pub(crate) const $name: i32 = Errno::$errno.raw_os_error();)+
    };
}

errno! {
    EPERM = PERM;
    ENOENT = NOENT;
    E2BIG = TOOBIG;
    EBADF = BADF;
    ENODEV = NODEV;
    EINVAL = INVAL;
    ENAMETOOLONG = NAMETOOLONG;
    EOPNOTSUPP = OPNOTSUPP;
}

/// Of the kernel alone: user space has no name for it.
pub(crate) const ENOTSUPP: i32 = 524;
