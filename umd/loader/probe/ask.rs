// SPDX-License-Identifier: MIT OR Apache-2.0
//! The questions: the smallest map and the shortest program of a type, closed at once.

use bpf_preload_umd::sys::attr::{MapCreate, ProgLoad};
use bpf_preload_umd::sys::bpf::{ProgAttr, ProgBytes};
use bpf_preload_umd::sys::{Errno, Sys, bpf, tcx};
use preload_image::map_type;

use super::Asked;
use crate::btf::assemble;
use crate::errno::{EINVAL, ENOTSUPP};
use crate::failure::number;

/// Named, for whoever reads what a token refused.
const NAME: &[u8] = b"probe";
/// r0 = 0; exit
pub(super) const RETURN: [u64; 2] = [0xb7, 0x95];
const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;
pub(super) const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_PROG_TYPE_STRUCT_OPS: u32 = 27;
/// `enum bpf_attach_type`.
pub(super) const BPF_TRACE_ITER: u32 = 28;

/// Loads the shortest program of a type.
pub(super) fn prog<S: Sys>(sys: &S, prog_type: u32) -> Asked {
    let asked = prog_to(sys, attr(prog_type));
    // Of tracing there is more than functions to run at.
    match (prog_type, asked) {
        (BPF_PROG_TYPE_TRACING, Err(errno)) => {
            prog_at(sys, prog_type, BPF_TRACE_ITER).map_err(|_| errno)
        }
        (_, asked) => asked,
    }
}

/// Loads the shortest program of a type with this attach type.
pub(super) fn prog_at<S: Sys>(sys: &S, prog_type: u32, expected_attach_type: u32) -> Asked {
    let attr = ProgLoad {
        expected_attach_type,
        ..attr(prog_type)
    };
    prog_to(sys, attr)
}

fn prog_to<S: Sys>(sys: &S, attr: ProgLoad) -> Asked {
    let mut log = vec![0; 4096];
    match load(sys, attr, &RETURN, &mut log) {
        Ok(fd) => {
            sys.close(fd);
            Ok(())
        }
        // The verifier has come to what the program is for: type 1 is no function or typedef,
        // and freplace wants a program's.
        Err(errno)
            if attr.attach_btf_id != 0
                && number(errno) == EINVAL
                && (log.starts_with(b"attach_btf_id 1 is not a ")
                    || log.starts_with(b"Cannot replace kernel functions")) =>
        {
            Ok(())
        }
        // Of struct_ops, in which it is to be; only the code behind a type says so.
        Err(errno) if attr.prog_type == BPF_PROG_TYPE_STRUCT_OPS && number(errno) == ENOTSUPP => {
            Ok(())
        }
        Err(errno) => Err(errno),
    }
}

/// Loads a program: the fd.
pub(super) fn load<S: Sys>(
    sys: &S,
    attr: ProgLoad,
    insns: &[u64],
    log: &mut [u8],
) -> Result<i32, Errno> {
    let bytes = ProgBytes {
        insns,
        func_info: &[],
        line_info: &[],
        license: b"GPL\0",
        name: NAME,
        fd_array: &[],
    };
    ProgAttr::new(attr, bytes).load(sys, log)
}

/// How a program of a type is loaded, with an attach type where 0 is none of its.
pub(super) fn attr(prog_type: u32) -> ProgLoad {
    const SLEEPABLE: u32 = 1 << 4;
    // enum bpf_prog_type
    let (expected_attach_type, prog_flags, attach_btf_id) = match prog_type {
        18 => (10, 0, 0),
        20 => (16, 0, 0),
        25 => (21, 0, 0),
        26 => (24, 0, 1),
        28 => (0, 0, 1),
        29 => (27, 0, 1),
        30 => (36, 0, 0),
        31 => (0, SLEEPABLE, 0),
        32 => (45, 0, 0),
        _ => (0, 0, 0),
    };
    ProgLoad {
        prog_type,
        prog_flags,
        expected_attach_type,
        attach_btf_id,
        ..ProgLoad::default()
    }
}

/// A question to the verifier: its name, the first kernel that it is right for, instructions.
type Question = (&'static str, &'static str, fn() -> Vec<u64>);

/// What programs may consist of.
pub(super) const PROGRAMS: &[Question] = &[
    // r0 = 1, 4,096 times; exit
    ("more than 4096 instructions", "5.2", || {
        let mut insns = vec![1 << 32 | 0xb7; 4096];
        insns.push(0x95);
        insns
    }),
    // r0 = 10; r0 -= 1; if r0 != 0 goto -2; exit
    ("loops with an end", "5.3", || {
        vec![10 << 32 | 0xb7, 1 << 32 | 0x17, 0xfffe << 16 | 0x55, 0x95]
    }),
    // r0 = 0; if r0 < 0 goto +1; r0 = 1; exit
    ("instruction set v2", "4.14", || {
        vec![0xb7, 1 << 16 | 0xa5, 1 << 32 | 0xb7, 0x95]
    }),
    // r0 = 0; if w0 < 0 goto +1; r0 = 1; exit
    ("instruction set v3", "5.1", || {
        vec![0xb7, 1 << 16 | 0xa6, 1 << 32 | 0xb7, 0x95]
    }),
    // r0 = 0; if w0 == 1 goto +1; gotol +1; r0 = 1; exit
    ("instruction set v4", "6.6", || {
        vec![
            0xb7,
            1 << 32 | 1 << 16 | 0x16,
            1 << 32 | 0x06,
            1 << 32 | 0xb7,
            0x95,
        ]
    }),
];

/// Loads these instructions, as a socket filter.
pub(super) fn program<S: Sys>(sys: &S, insns: &[u64]) -> Asked {
    let fd = load(sys, attr(BPF_PROG_TYPE_SOCKET_FILTER), insns, &mut [])?;
    sys.close(fd);
    Ok(())
}

/// Is a program translated? By the bytes of machine code that it has; none: nobody can say.
pub(super) fn jited<S: Sys>(sys: &S) -> Option<bool> {
    let attr = attr(BPF_PROG_TYPE_SOCKET_FILTER);
    let fd = load(sys, attr, &RETURN, &mut []).ok()?;
    let info = tcx::prog_info(sys, fd, &mut [0; 8]);
    sys.close(fd);
    Some(info.ok()?.jited_prog_len != 0)
}

/// Makes the smallest map of a type.
pub(super) fn map<S: Sys>(sys: &S, map_type: u32) -> Asked {
    const NO_PREALLOC: u32 = 1;
    const MMAPABLE: u32 = 1 << 10;
    let mut attr = MapCreate {
        map_type,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..MapCreate::default()
    };
    let mut others = Vec::new();
    // enum bpf_map_type
    match map_type {
        7 => attr.value_size = 8,
        11 => (attr.key_size, attr.value_size, attr.map_flags) = (8, 8, NO_PREALLOC),
        12 | 13 => {
            let mut inner = MapCreate {
                map_type: 1,
                ..attr
            };
            let fd = bpf::map_create(sys, NAME, &mut inner)?;
            attr.inner_map_fd = fd as u32;
            others.push(fd);
        }
        19 | 21 => (attr.key_size, attr.value_size, attr.max_entries) = (16, 8, 0),
        22 | 23 | 30 => attr.key_size = 0,
        // Storage with objects of the kernel wants types: an int of 4 bytes.
        24 | 28 | 29 | 32 => {
            let int = [1, 1 << 24, 4, 32];
            let fd = bpf::btf_load(sys, &assemble(&int, b"\0x\0"))?;
            attr.btf_fd = fd as u32;
            (attr.btf_key_type_id, attr.btf_value_type_id) = (1, 1);
            (attr.max_entries, attr.map_flags) = (0, NO_PREALLOC);
            others.push(fd);
        }
        26 => attr.btf_vmlinux_value_type_id = 1,
        27 | 31 => (attr.key_size, attr.value_size, attr.max_entries) = (0, 0, 4096),
        33 => (attr.key_size, attr.value_size, attr.map_flags) = (0, 0, MMAPABLE),
        // Since 6.19, of places in programs.
        34 => attr.value_size = 16,
        35 => attr.map_flags = NO_PREALLOC,
        _ => {}
    }
    let made = bpf::map_create(sys, NAME, &mut attr);
    others.into_iter().for_each(|fd| sys.close(fd));
    match made {
        Ok(fd) => {
            sys.close(fd);
            Ok(())
        }
        // Type 1 is no struct of struct_ops.
        Err(errno) if map_type == map_type::STRUCT_OPS && number(errno) == ENOTSUPP => Ok(()),
        Err(errno) => Err(errno),
    }
}
