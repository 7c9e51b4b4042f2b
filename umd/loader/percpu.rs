// SPDX-License-Identifier: MIT OR Apache-2.0
//! Variables of which each CPU has its own (`.percpu`, of libbpf 1.8), and kernels that
//! can have none.

use bpf_preload_umd::exec::LEFT_OUT;
use bpf_preload_umd::sys::attr::{MapCreate, ProgLoad};
use bpf_preload_umd::sys::bpf::{ProgAttr, ProgBytes};
use bpf_preload_umd::sys::{Sys, bpf};
use preload_image::{Image, map_type};

use crate::errno::EINVAL;
use crate::failure::number;

const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;
const BPF_PSEUDO_MAP_VALUE: u64 = 2;

/// The maps of an image that this kernel cannot have, for [`Given`]: like libbpf, the
/// rest is loaded without them.
///
/// [`Given`]: bpf_preload_umd::exec::Given
pub(crate) fn left_out<S: Sys>(sys: &S, image: &Image<'_>) -> Vec<(u32, i32)> {
    let maps = (0..).zip(image.maps().iter());
    let maps = maps.filter(|(_, map)| map.is_percpu_variables());
    let mut left_out: Vec<_> = maps.map(|(index, _)| (index, LEFT_OUT)).collect();
    if !left_out.is_empty() && supported(sys) {
        left_out.clear();
    }
    left_out
}

/// Does the kernel take a program that reads such a variable? If it refuses anything else
/// of this, the load will say so.
fn supported<S: Sys>(sys: &S) -> bool {
    let mut attr = MapCreate {
        map_type: map_type::PERCPU_ARRAY,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        ..MapCreate::default()
    };
    let Ok(map) = bpf::map_create(sys, b"libbpf_percpu", &mut attr) else {
        return true;
    };
    // r1 = address of the value; r0 = *(u64 *)(r1 + 0); exit
    let insns = [
        0x18 | 1 << 8 | BPF_PSEUDO_MAP_VALUE << 12 | u64::from(map as u32) << 32,
        0,
        0x79 | 1 << 12,
        0x95,
    ];
    let attr = ProgLoad {
        prog_type: BPF_PROG_TYPE_SOCKET_FILTER,
        ..ProgLoad::default()
    };
    let bytes = ProgBytes {
        insns: &insns,
        func_info: &[],
        line_info: &[],
        license: b"GPL\0",
        name: b"",
        fd_array: &[],
    };
    let loaded = ProgAttr::new(attr, bytes).load(sys, &mut []);
    sys.close(map);
    match loaded {
        Ok(fd) => {
            sys.close(fd);
            true
        }
        Err(errno) => number(errno) != EINVAL,
    }
}
