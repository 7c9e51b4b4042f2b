// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bpf() commands about tokens (since 6.9), which the blob has no use for.

use super::attr::{TokenCreate, TokenInfo, cmd};
use super::bpf::{bpf, get_info};
use super::pod::attr_bytes;
use super::{Errno, Sys};

/// `BPF_TOKEN_CREATE` of what a bpffs delegates, by an fd of its root: the fd.
///
/// # Errors
/// Since 6.9, in this order: `EBADF`; `EINVAL` if it is not the root of a bpffs; `EPERM` if that
/// is of another user namespace, or without `CAP_BPF` there; `EOPNOTSUPP` in the initial one;
/// `ENOENT` if it delegates nothing. `EINVAL` on kernels without tokens.
pub fn create<S: Sys>(sys: &S, bpffs_fd: i32) -> Result<i32, Errno> {
    let mut attr = TokenCreate {
        bpffs_fd: bpffs_fd as u32,
        ..TokenCreate::default()
    };
    bpf(sys, cmd::TOKEN_CREATE, attr_bytes(&mut attr))
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a token.
///
/// # Errors
/// `EINVAL` on kernels that have no info of tokens (6.12), or if it is none.
pub fn info<S: Sys>(sys: &S, fd: i32) -> Result<TokenInfo, Errno> {
    let mut info = TokenInfo::default();
    get_info(sys, fd, &mut info)?;
    Ok(info)
}
