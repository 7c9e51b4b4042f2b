// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bpf() commands that only who attaches to a network device needs, and the
//! blob has no use for: attach, detach, update, query, and what programs and
//! links say of themselves.

use super::attr::{
    GetId, LinkCreateTcx, LinkDetach, LinkInfoTcx, LinkUpdate, ProgAttach, ProgInfo, ProgQuery, cmd,
};
use super::bpf::{addr_mut, bpf, get_info};
use super::pod::attr_bytes;
use super::{Errno, Sys};

/// `BPF_PROG_ATTACH`.
///
/// # Errors
/// As the kernel reports it.
pub fn prog_attach<S: Sys>(sys: &S, mut attr: ProgAttach) -> Result<(), Errno> {
    bpf(sys, cmd::PROG_ATTACH, attr_bytes(&mut attr)).map(drop)
}

/// `BPF_PROG_DETACH`.
///
/// # Errors
/// As the kernel reports it.
pub fn prog_detach<S: Sys>(sys: &S, mut attr: ProgAttach) -> Result<(), Errno> {
    bpf(sys, cmd::PROG_DETACH, attr_bytes(&mut attr)).map(drop)
}

/// `BPF_LINK_CREATE`: the fd.
///
/// # Errors
/// As the kernel reports it.
pub fn link_create<S: Sys>(sys: &S, mut attr: LinkCreateTcx) -> Result<i32, Errno> {
    bpf(sys, cmd::LINK_CREATE, attr_bytes(&mut attr))
}

/// `BPF_LINK_UPDATE`.
///
/// # Errors
/// As the kernel reports it.
pub fn link_update<S: Sys>(sys: &S, mut attr: LinkUpdate) -> Result<(), Errno> {
    bpf(sys, cmd::LINK_UPDATE, attr_bytes(&mut attr)).map(drop)
}

/// `BPF_LINK_DETACH`.
///
/// # Errors
/// As the kernel reports it.
pub fn link_detach<S: Sys>(sys: &S, link_fd: i32) -> Result<(), Errno> {
    let mut attr = LinkDetach {
        link_fd: link_fd as u32,
    };
    bpf(sys, cmd::LINK_DETACH, attr_bytes(&mut attr)).map(drop)
}

/// What `BPF_PROG_QUERY` fills: ids and flags of programs and of their links (0 for a
/// program without one), place by place. All are equally long.
#[derive(Debug)]
pub struct QueryRoom<'b> {
    /// Ids of the programs.
    pub prog_ids: &'b mut [u32],
    /// Flags of the programs.
    pub prog_flags: &'b mut [u32],
    /// Ids of the links.
    pub link_ids: &'b mut [u32],
    /// Flags of the links.
    pub link_flags: &'b mut [u32],
}

/// `BPF_PROG_QUERY`: the attr as the kernel leaves it, with `count` and `revision`.
///
/// # Errors
/// As the kernel reports it. With `ENOSPC` there are more programs than there is
/// room for: as many as fit are there, and the attr says how many there are.
pub fn prog_query<S: Sys>(
    sys: &S,
    ifindex: u32,
    attach_type: u32,
    room: &mut QueryRoom<'_>,
) -> (ProgQuery, Result<(), Errno>) {
    let lists = [
        &mut *room.prog_ids,
        &mut *room.prog_flags,
        &mut *room.link_ids,
        &mut *room.link_flags,
    ];
    // The kernel fills each of them up to the same count.
    let count = lists.iter().map(|list| list.len()).min().unwrap_or(0);
    let [prog_ids, prog_attach_flags, link_ids, link_attach_flags] =
        lists.map(|list| list.as_mut_ptr() as u64);
    let mut attr = ProgQuery {
        target_ifindex: ifindex,
        attach_type,
        prog_ids,
        count: count as u32,
        prog_attach_flags,
        link_ids,
        link_attach_flags,
        ..ProgQuery::default()
    };
    let done = bpf(sys, cmd::PROG_QUERY, attr_bytes(&mut attr)).map(drop);
    (attr, done)
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a tcx link.
///
/// # Errors
/// As the kernel reports it.
pub fn link_info<S: Sys>(sys: &S, fd: i32) -> Result<LinkInfoTcx, Errno> {
    let mut info = LinkInfoTcx::default();
    get_info(sys, fd, &mut info)?;
    Ok(info)
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a program: info, and in `func_info` the record of its first
/// function (its type's id is in the second word), if it has any.
///
/// # Errors
/// As the kernel reports it.
pub fn prog_info<S: Sys>(sys: &S, fd: i32, func_info: &mut [u8; 8]) -> Result<ProgInfo, Errno> {
    let mut info = ProgInfo {
        func_info: addr_mut(func_info),
        nr_func_info: 1,
        func_info_rec_size: func_info.len() as u32,
        ..ProgInfo::default()
    };
    get_info(sys, fd, &mut info)?;
    Ok(info)
}

/// `BPF_PROG_GET_FD_BY_ID`: the fd.
///
/// # Errors
/// `ENOENT` if it is gone, `EPERM` without `CAP_SYS_ADMIN`.
pub fn prog_fd_by_id<S: Sys>(sys: &S, id: u32) -> Result<i32, Errno> {
    fd_by_id(sys, cmd::PROG_GET_FD_BY_ID, id)
}

/// `BPF_LINK_GET_FD_BY_ID`: the fd.
///
/// # Errors
/// `ENOENT` if it is gone, `EPERM` without `CAP_SYS_ADMIN`.
pub fn link_fd_by_id<S: Sys>(sys: &S, id: u32) -> Result<i32, Errno> {
    fd_by_id(sys, cmd::LINK_GET_FD_BY_ID, id)
}

fn fd_by_id<S: Sys>(sys: &S, command: u32, id: u32) -> Result<i32, Errno> {
    let mut attr = GetId {
        id,
        ..GetId::default()
    };
    bpf(sys, command, attr_bytes(&mut attr))
}
