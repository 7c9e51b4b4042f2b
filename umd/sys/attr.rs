// SPDX-License-Identifier: MIT OR Apache-2.0
//! `union bpf_attr` of the uapi `linux/bpf.h`: one struct for each command,
//! from its first field to the last one used. The size passed to the kernel is
//! the end of that field, so that kernels which know no more accept it.
#![allow(unsafe_code, reason = "declares the structs to be plain old data")]

use memoffset::offset_of;
use static_assertions::const_assert_eq;

use super::pod::Attr;

/// Bytes of an object name with its NUL, `BPF_OBJ_NAME_LEN`.
pub const OBJ_NAME_LEN: usize = 16;

/// Commands, `enum bpf_cmd`.
pub mod cmd {
    #![expect(missing_docs, reason = "names and meaning are those of enum bpf_cmd")]
    pub const MAP_CREATE: u32 = 0;
    pub const MAP_UPDATE_ELEM: u32 = 2;
    pub const PROG_LOAD: u32 = 5;
    pub const OBJ_PIN: u32 = 6;
    pub const OBJ_GET: u32 = 7;
    pub const OBJ_GET_INFO_BY_FD: u32 = 15;
    pub const BTF_LOAD: u32 = 18;
    pub const BTF_GET_FD_BY_ID: u32 = 19;
    pub const MAP_FREEZE: u32 = 22;
    pub const BTF_GET_NEXT_ID: u32 = 23;
    pub const LINK_CREATE: u32 = 28;
}

macro_rules! attr {
    ($(#[$doc:meta])* $name:ident, $end:literal { $($field:ident: $ty:ty = $offset:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        #[repr(C)]
        #[expect(missing_docs, reason = "fields are those of the uapi linux/bpf.h")]
        pub struct $name { $(pub $field: $ty,)+ }

        impl $name {
            /// Each field as `(name, offset, size)`, for the tests of the layout.
            pub const FIELDS: &'static [(&'static str, usize, usize)] =
                &[$((stringify!($field), $offset, size_of::<$ty>()),)+];
        }

        $(const_assert_eq!(offset_of!($name, $field), $offset);)+
        // No padding before the end: it is the sum of the fields.
        const_assert_eq!(0 $(+ size_of::<$ty>())+, $end);

        // SAFETY: integers without padding in between, as just asserted.
        unsafe impl Attr for $name {
            const END: usize = $end;
        }
    };
}

attr! {
    /// `BPF_MAP_CREATE`
    MapCreate, 72 {
        map_type: u32 = 0,
        key_size: u32 = 4,
        value_size: u32 = 8,
        max_entries: u32 = 12,
        map_flags: u32 = 16,
        inner_map_fd: u32 = 20,
        numa_node: u32 = 24,
        map_name: [u8; OBJ_NAME_LEN] = 28,
        map_ifindex: u32 = 44,
        btf_fd: u32 = 48,
        btf_key_type_id: u32 = 52,
        btf_value_type_id: u32 = 56,
        btf_vmlinux_value_type_id: u32 = 60,
        map_extra: u64 = 64,
    }
}

attr! {
    /// `BPF_MAP_UPDATE_ELEM`
    MapElem, 32 {
        map_fd: u32 = 0,
        pad: u32 = 4,
        key: u64 = 8,
        value: u64 = 16,
        flags: u64 = 24,
    }
}

attr! {
    /// `BPF_MAP_FREEZE`
    MapFreeze, 4 {
        map_fd: u32 = 0,
    }
}

attr! {
    /// `BPF_PROG_LOAD`
    ProgLoad, 112 {
        prog_type: u32 = 0,
        insn_cnt: u32 = 4,
        insns: u64 = 8,
        license: u64 = 16,
        log_level: u32 = 24,
        log_size: u32 = 28,
        log_buf: u64 = 32,
        kern_version: u32 = 40,
        prog_flags: u32 = 44,
        prog_name: [u8; OBJ_NAME_LEN] = 48,
        prog_ifindex: u32 = 64,
        expected_attach_type: u32 = 68,
        prog_btf_fd: u32 = 72,
        func_info_rec_size: u32 = 76,
        func_info: u64 = 80,
        func_info_cnt: u32 = 88,
        line_info_rec_size: u32 = 92,
        line_info: u64 = 96,
        line_info_cnt: u32 = 104,
        attach_btf_id: u32 = 108,
    }
}

attr! {
    /// `BPF_OBJ_PIN` and `BPF_OBJ_GET`
    ObjPin, 16 {
        pathname: u64 = 0,
        bpf_fd: u32 = 8,
        file_flags: u32 = 12,
    }
}

attr! {
    /// `BPF_BTF_LOAD`
    BtfLoad, 28 {
        btf: u64 = 0,
        btf_log_buf: u64 = 8,
        btf_size: u32 = 16,
        btf_log_size: u32 = 20,
        btf_log_level: u32 = 24,
    }
}

attr! {
    /// `BPF_BTF_GET_FD_BY_ID` and `BPF_BTF_GET_NEXT_ID`: `id` is `btf_id` or `start_id`.
    GetId, 12 {
        id: u32 = 0,
        next_id: u32 = 4,
        open_flags: u32 = 8,
    }
}

attr! {
    /// `BPF_LINK_CREATE`
    LinkCreate, 16 {
        prog_fd: u32 = 0,
        target_fd: u32 = 4,
        attach_type: u32 = 8,
        flags: u32 = 12,
    }
}

attr! {
    /// `BPF_OBJ_GET_INFO_BY_FD`
    ObjGetInfo, 16 {
        bpf_fd: u32 = 0,
        info_len: u32 = 4,
        info: u64 = 8,
    }
}

attr! {
    /// `struct bpf_btf_info`
    BtfInfo, 32 {
        btf: u64 = 0,
        btf_size: u32 = 8,
        id: u32 = 12,
        name: u64 = 16,
        name_len: u32 = 24,
        kernel_btf: u32 = 28,
    }
}

attr! {
    /// `struct bpf_link_info`, as far as every link type has it.
    LinkInfo, 8 {
        link_type: u32 = 0,
        id: u32 = 4,
    }
}

attr! {
    /// `struct bpf_map_info`, as far as all kernels have it.
    MapInfo, 24 {
        map_type: u32 = 0,
        id: u32 = 4,
        key_size: u32 = 8,
        value_size: u32 = 12,
        max_entries: u32 = 16,
        map_flags: u32 = 20,
    }
}
