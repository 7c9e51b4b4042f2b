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
    pub const MAP_DELETE_ELEM: u32 = 3;
    pub const PROG_LOAD: u32 = 5;
    pub const OBJ_PIN: u32 = 6;
    pub const OBJ_GET: u32 = 7;
    pub const PROG_ATTACH: u32 = 8;
    pub const PROG_DETACH: u32 = 9;
    pub const PROG_GET_FD_BY_ID: u32 = 13;
    pub const OBJ_GET_INFO_BY_FD: u32 = 15;
    pub const PROG_QUERY: u32 = 16;
    pub const RAW_TRACEPOINT_OPEN: u32 = 17;
    pub const BTF_LOAD: u32 = 18;
    pub const BTF_GET_FD_BY_ID: u32 = 19;
    pub const MAP_FREEZE: u32 = 22;
    pub const BTF_GET_NEXT_ID: u32 = 23;
    pub const LINK_CREATE: u32 = 28;
    pub const LINK_UPDATE: u32 = 29;
    pub const LINK_GET_FD_BY_ID: u32 = 30;
    pub const LINK_DETACH: u32 = 34;
    pub const PROG_BIND_MAP: u32 = 35;
    pub const TOKEN_CREATE: u32 = 36;
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
    /// `BPF_MAP_CREATE` with a value whose type is a module's (since 6.9): a [`MapCreate`], and
    /// the fd of the module's BTF.
    MapCreateOfModule, 76 {
        create: [[u8; 24]; 3] = 0,
        value_type_btf_obj_fd: u32 = 72,
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
    /// `BPF_PROG_LOAD`; `attach_prog_fd` is `attach_btf_obj_fd`, too.
    ProgLoad, 128 {
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
        attach_prog_fd: u32 = 112,
        core_relo_cnt: u32 = 116,
        fd_array: u64 = 120,
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
    /// `BPF_{PROG,LINK,BTF}_GET_FD_BY_ID` and `BPF_BTF_GET_NEXT_ID`: `id` is `prog_id`,
    /// `link_id`, `btf_id` or `start_id`.
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
    /// `BPF_LINK_CREATE` of a link to many functions (since 5.18).
    LinkCreateMulti, 40 {
        prog_fd: u32 = 0,
        target_fd: u32 = 4,
        attach_type: u32 = 8,
        flags: u32 = 12,
        multi_flags: u32 = 16,
        cnt: u32 = 20,
        syms: u64 = 24,
        addrs: u64 = 32,
    }
}

attr! {
    /// `BPF_LINK_CREATE` of a link to many places in a file (since 6.6).
    LinkCreateUprobeMulti, 60 {
        prog_fd: u32 = 0,
        target_fd: u32 = 4,
        attach_type: u32 = 8,
        flags: u32 = 12,
        path: u64 = 16,
        offsets: u64 = 24,
        ref_ctr_offsets: u64 = 32,
        cookies: u64 = 40,
        cnt: u32 = 48,
        multi_flags: u32 = 52,
        pid: u32 = 56,
    }
}

attr! {
    /// `BPF_RAW_TRACEPOINT_OPEN`
    RawTracepoint, 12 {
        name: u64 = 0,
        prog_fd: u32 = 8,
    }
}

attr! {
    /// `struct perf_event_attr` of the uapi `linux/perf_event.h`, as far as all
    /// kernels have it (`PERF_ATTR_SIZE_VER1`). `flags` are its bits.
    PerfEvent, 72 {
        event_type: u32 = 0,
        size: u32 = 4,
        config: u64 = 8,
        sample_period: u64 = 16,
        sample_type: u64 = 24,
        read_format: u64 = 32,
        flags: u64 = 40,
        wakeup_events: u32 = 48,
        bp_type: u32 = 52,
        config1: u64 = 56,
        config2: u64 = 64,
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

attr! {
    /// `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`, as lists of programs (since 6.6) have them.
    ProgAttach, 32 {
        target_ifindex: u32 = 0,
        attach_bpf_fd: u32 = 4,
        attach_type: u32 = 8,
        attach_flags: u32 = 12,
        replace_bpf_fd: u32 = 16,
        relative_fd: u32 = 20,
        expected_revision: u64 = 24,
    }
}

attr! {
    /// `BPF_PROG_QUERY`, as lists of programs (since 6.6) have it.
    ProgQuery, 64 {
        target_ifindex: u32 = 0,
        attach_type: u32 = 4,
        query_flags: u32 = 8,
        attach_flags: u32 = 12,
        prog_ids: u64 = 16,
        count: u32 = 24,
        pad: u32 = 28,
        prog_attach_flags: u64 = 32,
        link_ids: u64 = 40,
        link_attach_flags: u64 = 48,
        revision: u64 = 56,
    }
}

attr! {
    /// `BPF_LINK_CREATE` of a tcx link (since 6.6).
    LinkCreateTcx, 32 {
        prog_fd: u32 = 0,
        target_ifindex: u32 = 4,
        attach_type: u32 = 8,
        flags: u32 = 12,
        relative_fd: u32 = 16,
        pad: u32 = 20,
        expected_revision: u64 = 24,
    }
}

attr! {
    /// `BPF_PROG_BIND_MAP`
    ProgBindMap, 12 {
        prog_fd: u32 = 0,
        map_fd: u32 = 4,
        flags: u32 = 8,
    }
}

attr! {
    /// `BPF_LINK_UPDATE`
    LinkUpdate, 16 {
        link_fd: u32 = 0,
        new_prog_fd: u32 = 4,
        flags: u32 = 8,
        old_prog_fd: u32 = 12,
    }
}

attr! {
    /// `BPF_LINK_DETACH`
    LinkDetach, 4 {
        link_fd: u32 = 0,
    }
}

attr! {
    /// `struct bpf_link_info` of a tcx link (since 6.6).
    LinkInfoTcx, 24 {
        link_type: u32 = 0,
        id: u32 = 4,
        prog_id: u32 = 8,
        pad: u32 = 12,
        ifindex: u32 = 16,
        attach_type: u32 = 20,
    }
}

attr! {
    /// `struct bpf_prog_info`, up to what names a program.
    ProgInfo, 152 {
        prog_type: u32 = 0,
        id: u32 = 4,
        tag: [u8; 8] = 8,
        jited_prog_len: u32 = 16,
        xlated_prog_len: u32 = 20,
        jited_prog_insns: u64 = 24,
        xlated_prog_insns: u64 = 32,
        load_time: u64 = 40,
        created_by_uid: u32 = 48,
        nr_map_ids: u32 = 52,
        map_ids: u64 = 56,
        name: [u8; OBJ_NAME_LEN] = 64,
        ifindex: u32 = 80,
        gpl_compatible: u32 = 84,
        netns_dev: u64 = 88,
        netns_ino: u64 = 96,
        nr_jited_ksyms: u32 = 104,
        nr_jited_func_lens: u32 = 108,
        jited_ksyms: u64 = 112,
        jited_func_lens: u64 = 120,
        btf_id: u32 = 128,
        func_info_rec_size: u32 = 132,
        func_info: u64 = 136,
        nr_func_info: u32 = 144,
        nr_line_info: u32 = 148,
    }
}

attr! {
    /// `BPF_TOKEN_CREATE`
    TokenCreate, 8 {
        flags: u32 = 0,
        bpffs_fd: u32 = 4,
    }
}

attr! {
    /// `struct bpf_token_info`: a bit for each command, map type, program type and attach type.
    TokenInfo, 32 {
        allowed_cmds: u64 = 0,
        allowed_maps: u64 = 8,
        allowed_progs: u64 = 16,
        allowed_attachs: u64 = 24,
    }
}

/// `BPF_F_VTYPE_BTF_OBJ_FD`, of maps: the type of the value is a module's.
pub const BPF_F_VTYPE_BTF_OBJ_FD: u32 = 1 << 15;

/// `BPF_F_TOKEN_FD`: the attr has the fd of a token.
pub const BPF_F_TOKEN_FD: u32 = 1 << 16;

/// Where a command takes a token: names and offsets of two fields of 4 bytes. The blob
/// has no token, the structs above end before these.
#[derive(Clone, Copy, Debug)]
pub struct TokenAt {
    /// The command.
    pub cmd: u32,
    /// The field that gets [`BPF_F_TOKEN_FD`].
    pub flags: (&'static str, usize),
    /// The field of the token's fd.
    pub fd: (&'static str, usize),
}

/// All commands that take a token.
pub const TOKEN_AT: [TokenAt; 4] = [
    TokenAt {
        cmd: cmd::MAP_CREATE,
        flags: ("map_flags", 16),
        fd: ("map_token_fd", 76),
    },
    TokenAt {
        cmd: cmd::PROG_LOAD,
        flags: ("prog_flags", 44),
        fd: ("prog_token_fd", 144),
    },
    TokenAt {
        cmd: cmd::BTF_LOAD,
        flags: ("btf_flags", 32),
        fd: ("btf_token_fd", 36),
    },
    TokenAt {
        cmd: cmd::BTF_GET_FD_BY_ID,
        flags: ("open_flags", 8),
        fd: ("fd_by_id_token_fd", 12),
    },
];
