// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of programs: whole, where their BTF has more than the 15 bytes that the kernel keeps.

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::btf::Btf;
use bpf_preload_umd::sys::attr::{OBJ_NAME_LEN, ProgInfo};
use bpf_preload_umd::sys::{Sys, bpf, tcx};

use crate::btf;

/// Words of memory for the index of a program's BTF.
const ARENA_WORDS: usize = 1 << 16;
/// Most bytes of a program's BTF.
const BTF_MAX: u32 = 16 << 20;

/// The name of the program with this id; empty if it has none. `None` if it is gone, or
/// we may not ask (`CAP_SYS_ADMIN`).
pub fn of_id<S: Sys>(sys: &S, id: u32) -> Option<String> {
    let fd = tcx::prog_fd_by_id(sys, id).ok()?;
    let mut func_info = [0; 8];
    let info = tcx::prog_info(sys, fd, &mut func_info);
    sys.close(fd);
    let info = info.ok()?;
    let short = info.name.split(|byte| *byte == 0).next()?;
    let whole = (short.len() + 1 == OBJ_NAME_LEN)
        .then(|| from_btf(sys, &info, func_info))
        .flatten()
        .filter(|whole| whole.starts_with(short));
    Some(String::from_utf8_lossy(&whole.unwrap_or(short.to_vec())).into_owned())
}

/// The name of the first function, which is the program.
fn from_btf<S: Sys>(sys: &S, info: &ProgInfo, func_info: [u8; 8]) -> Option<Vec<u8>> {
    let [_, _, _, _, type_id @ ..] = func_info;
    if info.btf_id == 0 || info.nr_func_info == 0 {
        return None;
    }
    let fd = bpf::btf_fd_by_id(sys, info.btf_id).ok()?;
    let bytes = btf::read(sys, fd, BTF_MAX);
    sys.close(fd);
    let (bytes, mut memory) = (bytes.ok()?, vec![0; ARENA_WORDS]);
    let mut arena = Arena::new(&mut memory);
    let btf = Btf::whole(&bytes, &mut arena);
    let name = btf.name(btf.type_by_id(u32::from_ne_bytes(type_id)));
    btf.check().is_ok().then(|| name.to_vec())
}
