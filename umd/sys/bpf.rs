// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bpf() commands as functions: slices and numbers in, fds and ids out.
//!
//! Retries live here: `EINTR` and `EAGAIN` a few times (the verifier gives
//! `EAGAIN` when a signal is pending), and `EPERM` once with `RLIMIT_MEMLOCK`
//! raised, since before 5.11 that is how a memory limit shows.
#![allow(unsafe_code, reason = "the one call of bpf()")]

use core::ffi::CStr;
use core::marker::PhantomData;

use super::attr::{
    BPF_F_VTYPE_BTF_OBJ_FD, BtfInfo, BtfLoad, GetId, LinkCreate, LinkCreateMulti,
    LinkCreateUprobeMulti, LinkInfo, MapCreate, MapCreateOfModule, MapElem, MapFreeze, MapInfo,
    OBJ_NAME_LEN, ObjGetInfo, ObjPin, ProgBindMap, ProgLoad, RawTracepoint, cmd,
};
use super::pod::{Attr, attr_bytes};
use super::{Errno, Sys};

/// Calls after which `EINTR` or `EAGAIN` is an error; libbpf gives up at 5, too.
const TRIES: u32 = 5;

/// Address of a slice as bpf_attr takes it; NULL if there is nothing in it.
fn addr(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        0
    } else {
        bytes.as_ptr() as u64
    }
}

/// Address of a slice that the kernel writes.
pub(super) fn addr_mut(bytes: &mut [u8]) -> u64 {
    if bytes.is_empty() {
        0
    } else {
        bytes.as_mut_ptr() as u64
    }
}

/// A name as the kernel gets it: the first 15 bytes, NUL-padded.
#[must_use]
pub fn obj_name(name: &[u8]) -> [u8; OBJ_NAME_LEN] {
    let mut out = [0; OBJ_NAME_LEN];
    for (to, from) in out.iter_mut().take(OBJ_NAME_LEN - 1).zip(name) {
        *to = *from;
    }
    out
}

#[inline(never)]
pub(super) fn bpf<S: Sys>(sys: &S, command: u32, attr: &mut [u8]) -> Result<i32, Errno> {
    let mut tries = TRIES;
    // Commands that lock memory. Where the limit cannot be raised, EPERM stands.
    let mut may_raise = matches!(command, cmd::MAP_CREATE | cmd::PROG_LOAD | cmd::BTF_LOAD);
    loop {
        // SAFETY: the functions below make the pointers in `attr` of slices that
        // they borrow, with the lengths that stand beside them.
        match unsafe { sys.bpf(command, attr) } {
            Err(Errno(libc::EINTR | libc::EAGAIN)) if tries > 1 => tries -= 1,
            Err(Errno(libc::EPERM)) if may_raise && sys.raise_memlock().is_ok() => {
                may_raise = false;
            }
            result => return result,
        }
    }
}

/// `BPF_BTF_LOAD`: the fd.
///
/// # Errors
/// `EINVAL` for BTF that this kernel does not take, `EPERM` without `CAP_BPF`.
pub fn btf_load<S: Sys>(sys: &S, btf: &[u8]) -> Result<i32, Errno> {
    let mut attr = BtfLoad {
        btf: addr(btf),
        btf_size: btf.len() as u32,
        ..BtfLoad::default()
    };
    bpf(sys, cmd::BTF_LOAD, attr_bytes(&mut attr))
}

/// `BPF_MAP_CREATE`: the fd. The attr's name is set from `name`.
///
/// # Errors
/// As the kernel reports it.
pub fn map_create<S: Sys>(sys: &S, name: &[u8], attr: &mut MapCreate) -> Result<i32, Errno> {
    attr.map_name = obj_name(name);
    bpf(sys, cmd::MAP_CREATE, attr_bytes(attr))
}

/// The same with a value whose type is in the BTF of a module (since 6.9).
///
/// # Errors
/// As the kernel reports it: `EINVAL` before 6.9.
pub fn map_create_of_module<S: Sys>(
    sys: &S,
    name: &[u8],
    attr: &mut MapCreate,
    module_btf_fd: i32,
) -> Result<i32, Errno> {
    attr.map_name = obj_name(name);
    attr.map_flags |= BPF_F_VTYPE_BTF_OBJ_FD;
    let mut longer = MapCreateOfModule {
        value_type_btf_obj_fd: module_btf_fd as u32,
        ..MapCreateOfModule::default()
    };
    let create = longer.create.as_flattened_mut().iter_mut();
    create
        .zip(attr_bytes(attr))
        .for_each(|(to, from)| *to = *from);
    bpf(sys, cmd::MAP_CREATE, attr_bytes(&mut longer))
}

/// `BPF_MAP_UPDATE_ELEM` with `BPF_ANY`. Key and value are as long as the map has them.
///
/// # Errors
/// As the kernel reports it.
pub fn map_update_elem<S: Sys>(sys: &S, fd: i32, key: &[u8], value: &[u8]) -> Result<(), Errno> {
    map_update_elem_with(sys, fd, key, value, 0)
}

/// [`map_update_elem`] with these flags.
///
/// # Errors
/// As the kernel reports it.
#[inline(always)]
pub fn map_update_elem_with<S: Sys>(
    sys: &S,
    fd: i32,
    key: &[u8],
    value: &[u8],
    flags: u64,
) -> Result<(), Errno> {
    let mut attr = MapElem {
        map_fd: fd as u32,
        key: addr(key),
        value: addr(value),
        flags,
        ..MapElem::default()
    };
    bpf(sys, cmd::MAP_UPDATE_ELEM, attr_bytes(&mut attr)).map(drop)
}

/// `BPF_MAP_DELETE_ELEM`. The key is as long as the map has it.
///
/// # Errors
/// As the kernel reports it.
pub fn map_delete_elem<S: Sys>(sys: &S, fd: i32, key: &[u8]) -> Result<(), Errno> {
    let mut attr = MapElem {
        map_fd: fd as u32,
        key: addr(key),
        ..MapElem::default()
    };
    bpf(sys, cmd::MAP_DELETE_ELEM, attr_bytes(&mut attr)).map(drop)
}

/// `BPF_MAP_FREEZE`.
///
/// # Errors
/// As the kernel reports it.
pub fn map_freeze<S: Sys>(sys: &S, fd: i32) -> Result<(), Errno> {
    let mut attr = MapFreeze { map_fd: fd as u32 };
    bpf(sys, cmd::MAP_FREEZE, attr_bytes(&mut attr)).map(drop)
}

/// What `BPF_PROG_LOAD` reads by pointer; the rest stands in the attr.
#[derive(Clone, Copy, Debug)]
pub struct ProgBytes<'a> {
    /// Instructions, 8 bytes each.
    pub insns: &'a [u64],
    /// func_info, 8 bytes each.
    pub func_info: &'a [u8],
    /// line_info, 16 bytes each.
    pub line_info: &'a [u8],
    /// Licence, NUL-terminated.
    pub license: &'a [u8],
    /// Name of the program.
    pub name: &'a [u8],
    /// Fds of the BTFs whose kfuncs it calls, the first of none; empty: only of vmlinux's.
    pub fd_array: &'a [i32],
}

/// An attr that points to the bytes of a program, and keeps them borrowed.
#[derive(Debug)]
pub struct ProgAttr<'a> {
    attr: ProgLoad,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> ProgAttr<'a> {
    /// An attr whose pointers and lengths are those of `prog`.
    #[inline(always)]
    #[must_use]
    pub fn new(mut attr: ProgLoad, prog: ProgBytes<'a>) -> Self {
        attr.insn_cnt = prog.insns.len() as u32;
        attr.insns = prog.insns.as_ptr() as u64;
        attr.license = addr(prog.license);
        attr.prog_name = obj_name(prog.name);
        if !prog.fd_array.is_empty() {
            attr.fd_array = prog.fd_array.as_ptr() as u64;
        }
        attr.func_info_rec_size = preload_image::FUNC_INFO_BYTES as u32;
        attr.func_info = addr(prog.func_info);
        attr.func_info_cnt = (prog.func_info.len() / preload_image::FUNC_INFO_BYTES) as u32;
        attr.line_info_rec_size = preload_image::LINE_INFO_BYTES as u32;
        attr.line_info = addr(prog.line_info);
        attr.line_info_cnt = (prog.line_info.len() / preload_image::LINE_INFO_BYTES) as u32;
        ProgAttr {
            attr,
            bytes: PhantomData,
        }
    }

    /// `BPF_PROG_LOAD`: the fd. With a non-empty `log` the verifier writes there at level 1.
    ///
    /// # Errors
    /// As the kernel reports it; `ENOSPC` if the log did not fit.
    pub fn load<S: Sys>(&mut self, sys: &S, log: &mut [u8]) -> Result<i32, Errno> {
        let level = u32::from(!log.is_empty());
        self.load_at(sys, level, log)
    }

    /// The same with what the verifier says last, and not what leads there (since 5.2).
    ///
    /// # Errors
    /// As the kernel reports it.
    pub fn load_for_verdict<S: Sys>(&mut self, sys: &S, log: &mut [u8]) -> Result<i32, Errno> {
        const BPF_LOG_STATS: u32 = 4;
        self.load_at(sys, BPF_LOG_STATS, log)
    }

    fn load_at<S: Sys>(&mut self, sys: &S, level: u32, log: &mut [u8]) -> Result<i32, Errno> {
        self.attr.log_level = level;
        self.attr.log_size = log.len() as u32;
        self.attr.log_buf = addr_mut(log);
        bpf(sys, cmd::PROG_LOAD, attr_bytes(&mut self.attr))
    }
}

/// `BPF_PROG_BIND_MAP`: the map lives as long as the program (since 5.10).
///
/// # Errors
/// As the kernel reports it: `EINVAL` before 5.10.
pub fn prog_bind_map<S: Sys>(sys: &S, prog_fd: i32, map_fd: i32) -> Result<(), Errno> {
    let mut attr = ProgBindMap {
        prog_fd: prog_fd as u32,
        map_fd: map_fd as u32,
        ..ProgBindMap::default()
    };
    bpf(sys, cmd::PROG_BIND_MAP, attr_bytes(&mut attr)).map(drop)
}

/// `BPF_LINK_CREATE` of an iterator without parameters, or of a map of struct_ops: the fd.
///
/// # Errors
/// As the kernel reports it.
pub fn link_create<S: Sys>(sys: &S, prog_fd: i32, attach_type: u32) -> Result<i32, Errno> {
    let mut attr = LinkCreate {
        prog_fd: prog_fd as u32,
        attach_type,
        ..LinkCreate::default()
    };
    bpf(sys, cmd::LINK_CREATE, attr_bytes(&mut attr))
}

/// `BPF_LINK_CREATE` of a program that runs at an event of `perf_event_open(2)` (since 5.15).
///
/// # Errors
/// As the kernel reports it: `EINVAL` before 5.15.
pub fn link_create_perf_event<S: Sys>(sys: &S, prog_fd: i32, event_fd: i32) -> Result<i32, Errno> {
    /// `enum bpf_attach_type`.
    const BPF_PERF_EVENT: u32 = 41;
    let mut attr = LinkCreate {
        prog_fd: prog_fd as u32,
        target_fd: event_fd as u32,
        attach_type: BPF_PERF_EVENT,
        ..LinkCreate::default()
    };
    bpf(sys, cmd::LINK_CREATE, attr_bytes(&mut attr))
}

/// `BPF_LINK_CREATE` of a program that runs at the functions at these addresses, or
/// (`at_return`) at their return: since 5.18.
///
/// # Errors
/// As the kernel reports it: `EINVAL` before 5.18.
pub fn link_create_kprobe_multi<S: Sys>(
    sys: &S,
    prog_fd: i32,
    attach_type: u32,
    addrs: &[u64],
    at_return: bool,
) -> Result<i32, Errno> {
    let mut attr = LinkCreateMulti {
        prog_fd: prog_fd as u32,
        attach_type,
        multi_flags: u32::from(at_return),
        cnt: addrs.len() as u32,
        addrs: addrs.as_ptr() as u64,
        ..LinkCreateMulti::default()
    };
    bpf(sys, cmd::LINK_CREATE, attr_bytes(&mut attr))
}

/// `BPF_LINK_CREATE` of a program that runs at these offsets in the file, or (`at_return`)
/// where the functions there return, in all processes: since 6.6.
///
/// # Errors
/// As the kernel reports it: `EINVAL` before 6.6.
pub fn link_create_uprobe_multi<S: Sys>(
    sys: &S,
    prog_fd: i32,
    attach_type: u32,
    path: &CStr,
    offsets: &[u64],
    at_return: bool,
) -> Result<i32, Errno> {
    let mut attr = LinkCreateUprobeMulti {
        prog_fd: prog_fd as u32,
        attach_type,
        path: addr(path.to_bytes_with_nul()),
        offsets: offsets.as_ptr() as u64,
        cnt: offsets.len() as u32,
        multi_flags: u32::from(at_return),
        ..LinkCreateUprobeMulti::default()
    };
    bpf(sys, cmd::LINK_CREATE, attr_bytes(&mut attr))
}

/// `BPF_RAW_TRACEPOINT_OPEN`: a link to a tracepoint or, without a name, to what the
/// program was loaded for, of those with `attach_btf_id`.
///
/// # Errors
/// As the kernel reports it: `ENOENT` for a tracepoint that it has not.
pub fn raw_tracepoint_open<S: Sys>(
    sys: &S,
    prog_fd: i32,
    name: Option<&CStr>,
) -> Result<i32, Errno> {
    let mut attr = RawTracepoint {
        name: name.map_or(0, |name| addr(name.to_bytes_with_nul())),
        prog_fd: prog_fd as u32,
    };
    bpf(sys, cmd::RAW_TRACEPOINT_OPEN, attr_bytes(&mut attr))
}

/// `BPF_OBJ_PIN` at a path in a bpffs, with mode 0600.
///
/// # Errors
/// `EEXIST` if something is there, `EPERM` outside of a bpffs or for a name with a dot.
pub fn obj_pin<S: Sys>(sys: &S, fd: i32, path: &CStr) -> Result<(), Errno> {
    let mut attr = ObjPin {
        pathname: addr(path.to_bytes_with_nul()),
        bpf_fd: fd as u32,
        ..ObjPin::default()
    };
    bpf(sys, cmd::OBJ_PIN, attr_bytes(&mut attr)).map(drop)
}

/// `BPF_OBJ_GET` of what is pinned at a path: the fd.
///
/// # Errors
/// `ENOENT` if nothing is there, `EPERM` outside of a bpffs.
pub fn obj_get<S: Sys>(sys: &S, path: &CStr) -> Result<i32, Errno> {
    let mut attr = ObjPin {
        pathname: addr(path.to_bytes_with_nul()),
        ..ObjPin::default()
    };
    bpf(sys, cmd::OBJ_GET, attr_bytes(&mut attr))
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a map.
///
/// # Errors
/// As the kernel reports it: `EINVAL` may mean that it is no map.
pub fn map_info<S: Sys>(sys: &S, fd: i32) -> Result<MapInfo, Errno> {
    let mut info = MapInfo::default();
    get_info(sys, fd, &mut info)?;
    Ok(info)
}

pub(super) fn get_info<S: Sys, T: Attr>(sys: &S, fd: i32, info: &mut T) -> Result<(), Errno> {
    let mut attr = ObjGetInfo {
        bpf_fd: fd as u32,
        info_len: T::END as u32,
        info: addr_mut(attr_bytes(info)),
    };
    bpf(sys, cmd::OBJ_GET_INFO_BY_FD, attr_bytes(&mut attr)).map(drop)
}

/// Id of a map, program or link: the info of all of them begins with type and id.
///
/// # Errors
/// As the kernel reports it.
pub fn obj_id<S: Sys>(sys: &S, fd: i32) -> Result<u32, Errno> {
    link_id(sys, fd)
}

/// Id of a link.
///
/// # Errors
/// As the kernel reports it.
pub fn link_id<S: Sys>(sys: &S, fd: i32) -> Result<u32, Errno> {
    let mut info = LinkInfo::default();
    get_info(sys, fd, &mut info)?;
    Ok(info.id)
}

/// `BPF_BTF_GET_NEXT_ID`: the first id above `id`.
///
/// # Errors
/// `ENOENT` at the end, `EPERM` without `CAP_SYS_ADMIN`.
pub fn btf_next_id<S: Sys>(sys: &S, id: u32) -> Result<u32, Errno> {
    let mut attr = GetId {
        id,
        ..GetId::default()
    };
    bpf(sys, cmd::BTF_GET_NEXT_ID, attr_bytes(&mut attr))?;
    Ok(attr.next_id)
}

/// `BPF_BTF_GET_FD_BY_ID`: the fd.
///
/// # Errors
/// `ENOENT` if it is gone, `EPERM` without `CAP_SYS_ADMIN`.
pub fn btf_fd_by_id<S: Sys>(sys: &S, id: u32) -> Result<i32, Errno> {
    let mut attr = GetId {
        id,
        ..GetId::default()
    };
    bpf(sys, cmd::BTF_GET_FD_BY_ID, attr_bytes(&mut attr))
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a BTF: info, its data in `btf`, its name in `name`.
///
/// # Errors
/// As the kernel reports it. Fields that it does not know (before 5.11) are 0.
pub fn btf_info<S: Sys>(
    sys: &S,
    fd: i32,
    btf: &mut [u8],
    name: &mut [u8],
) -> Result<BtfInfo, Errno> {
    let mut info = BtfInfo {
        btf: addr_mut(btf),
        btf_size: btf.len() as u32,
        name: addr_mut(name),
        name_len: name.len() as u32,
        ..BtfInfo::default()
    };
    get_info(sys, fd, &mut info)?;
    Ok(info)
}
