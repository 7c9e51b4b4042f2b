// SPDX-License-Identifier: MIT OR Apache-2.0
//! The records of an image. Every field is one little-endian `u32`, so that a
//! record has one layout everywhere and any alignment will do.

use crate::Section;
use crate::field::{Field, Record, Refers, Span, Str};

/// `name: type` or `name: type => Refers`, for what the type does not say.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident, $at:ident {
        $($(#[$fdoc:meta])* $field:ident: $ty:ty $(=> $refers:expr)?,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ty,)+
        }

        impl Record for $name {
            const BYTES: usize = 4 * (0 $(+ <$ty as Field>::WORDS)+);
            const REFERS: &'static [Refers] = &[$(record!(@ $ty $(, $refers)?)),+];
            #[inline(always)]
            fn read(bytes: &[u8]) -> Self {
                // A known length lets every read below be a plain load.
                let Some(bytes) = bytes.first_chunk::<{ Self::BYTES }>() else {
                    return Self::default();
                };
                let mut word = 0;
                $(let $field = <$ty as Field>::read(bytes, word);
                word += <$ty as Field>::WORDS;)+
                let _ = word;
                Self { $($field,)+ }
            }
            fn words(&self, put: &mut dyn FnMut(u32)) {
                $(self.$field.words(put);)+
            }
            type At<'a> = $at<'a>;
            #[inline(always)]
            fn split_first(table: &[u8]) -> Option<($at<'_>, &[u8])> {
                table.split_first_chunk().map(|(bytes, rest)| ($at(bytes), rest))
            }
        }

        #[doc = concat!("A [`", stringify!($name), "`] where it stands in an image.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $at<'a>(&'a [u8; <$name as Record>::BYTES]);

        impl Default for $at<'_> {
            fn default() -> Self {
                $at(&[0; <$name as Record>::BYTES])
            }
        }

        const _: () = {
            #[repr(C)]
            struct Words {
                $($field: [u32; <$ty as Field>::WORDS],)+
            }

            impl $at<'_> {
                /// The record, decoded.
                #[must_use]
                pub fn read(self) -> $name {
                    $name::read(self.0)
                }
                $($(#[$fdoc])*
                #[inline(always)]
                #[must_use]
                pub fn $field(self) -> $ty {
                    <$ty as Field>::read(self.0, core::mem::offset_of!(Words, $field) / 4)
                })+
            }
        };
    };
    (@ $ty:ty, $refers:expr) => { $refers };
    (@ $ty:ty) => { <$ty as Field>::REFERS };
}

record! {
    /// The object as a whole; an image has exactly one.
    Object, ObjectAt {
        /// Name of the object, the stem of its file name.
        name: Str,
        /// Licence that PROG_LOAD passes to the kernel.
        license: Str,
        /// Bits of [`object_flags`].
        flags: u32,
    }
}

/// Bits of [`Object::flags`].
pub mod object_flags {
    /// Something is missing that only the machine knows on which it is loaded, and
    /// that an executor does not look for: values of `.kconfig`, addresses out of
    /// kallsyms, a number of CPUs, places in structs of struct_ops. Whoever fills that in clears this.
    pub const INCOMPLETE: u32 = 1;
}

record! {
    /// A map, as `BPF_MAP_CREATE` takes it.
    Map, MapAt {
        /// Name; the kernel keeps its first 15 bytes.
        name: Str,
        /// `enum bpf_map_type`.
        map_type: u32,
        /// Bytes of a key.
        key_size: u32,
        /// Bytes of a value.
        value_size: u32,
        /// Number of entries, as the object declares it.
        max_entries: u32,
        /// `BPF_F_*` of `BPF_MAP_CREATE`.
        map_flags: u32,
        /// Type of the key in the image's BTF, or 0.
        btf_key_type_id: u32,
        /// Type of the value in the image's BTF, or 0.
        btf_value_type_id: u32,
        /// Bytes of the data section that are written to key 0, or to the start of an arena; empty: none.
        /// Of struct_ops the object's struct, of the type `btf_value_type_id`; in a completed image the
        /// kernel's value, which its host writes when it has put the programs' fds in.
        data: Span => Refers::Span(Section::Data),
        /// Bits of [`map_flags`].
        flags: u32,
        /// NUMA node, if `BPF_F_NUMA_NODE` is among the flags.
        numa_node: u32,
        /// 1 + index of the [`Map`] that says what the maps in this one are like; 0: it holds none.
        inner: u32 => Refers::IndexOrNone(Section::Maps),
        /// Maps or programs that are put into it.
        slots: Span => Refers::Span(Section::Slots),
        /// `map_extra` of `BPF_MAP_CREATE`, by map type.
        map_extra: u64,
        /// 1 + index of the [`Target`] that is the value's type in the kernel, of struct_ops; else 0.
        value_target: u32 => Refers::IndexOrNone(Section::Targets),
    }
}

impl Map {
    /// Is it the variables of `.percpu`? Other maps of its type have no data.
    #[must_use]
    pub fn is_percpu_variables(&self) -> bool {
        self.map_type == map_type::PERCPU_ARRAY && self.data.len != 0
    }
}

/// Values of [`Map::map_type`]: those of `enum bpf_map_type` of the uapi `linux/bpf.h` that
/// mean something to who writes or loads an image.
pub mod map_type {
    #![expect(
        missing_docs,
        reason = "names and meaning are those of enum bpf_map_type"
    )]
    pub const ARRAY: u32 = 2;
    /// Its slots are programs.
    pub const PROG_ARRAY: u32 = 3;
    pub const PERF_EVENT_ARRAY: u32 = 4;
    /// Its data is written for every CPU.
    pub const PERCPU_ARRAY: u32 = 6;
    pub const ARRAY_OF_MAPS: u32 = 12;
    pub const HASH_OF_MAPS: u32 = 13;
    pub const DEVMAP: u32 = 14;
    pub const DEVMAP_HASH: u32 = 25;
    pub const STRUCT_OPS: u32 = 26;
    pub const RINGBUF: u32 = 27;
    pub const BLOOM_FILTER: u32 = 30;
    pub const USER_RINGBUF: u32 = 31;
    /// Only a host fills it: by mapping it.
    pub const ARENA: u32 = 33;
}

/// Bits of [`Map::flags`].
pub mod map_flags {
    /// `BPF_MAP_FREEZE` after the data is written.
    pub const FREEZE: u32 = 1;
    /// No map of its own, but what the maps in others are like.
    pub const TEMPLATE: u32 = 2;
    /// `pinning` of the declaration: the map is the one pinned under its name, or
    /// becomes that. For whoever has a bpffs; an executor makes a map like any other.
    pub const PIN_BY_NAME: u32 = 4;
    /// `max_entries` is to be the number of possible CPUs. For whoever knows it.
    pub const ENTRY_PER_CPU: u32 = 8;
}

record! {
    /// What is put into a map of maps or programs before it is used.
    Slot, SlotAt {
        /// Key, an index.
        key: u32,
        /// Index of the [`Map`], or of the [`Prog`] if the map is a `BPF_MAP_TYPE_PROG_ARRAY`.
        index: u32,
    }
}

/// What an image asks of its executor, a bit for each, beside the kinds of its
/// CO-RE relocations, which are the lowest bits. A binary that carries one
/// image leaves out the code for all else.
pub mod need {
    /// Maps in maps, from a template.
    pub const TEMPLATES: u32 = 1 << 16;
    /// Slots.
    pub const SLOTS: u32 = 1 << 17;
    /// Ksyms without a type.
    pub const ADDRESSES: u32 = 1 << 18;
    /// Maps of struct_ops.
    pub const STRUCT_OPS: u32 = 1 << 20;
    /// What [`object_flags::INCOMPLETE`](super::object_flags::INCOMPLETE) says.
    pub const COMPLETION: u32 = 1 << 19;
    /// For objects that nobody here wrote: what a kernel's refusal leaves to try
    /// and to tell. No image asks for it.
    pub const FOREIGN: u32 = 1 << 31;
    /// All of them, and all kinds of CO-RE relocations.
    pub const ALL: u32 = u32::MAX;
}

record! {
    /// A program, with its sub-programs linked behind it.
    Prog, ProgAt {
        /// Name of the C function; the kernel keeps its first 15 bytes.
        name: Str,
        /// File name under which its link is reported; empty: not attached.
        link_name: Str,
        /// `enum bpf_prog_type`.
        prog_type: u32,
        /// `expected_attach_type`, `enum bpf_attach_type`; also that of the link.
        attach_type: u32,
        /// `BPF_F_*` of `BPF_PROG_LOAD`.
        prog_flags: u32,
        /// 1 + index of the [`Target`] that gives `attach_btf_id`; 0: none.
        attach_target: u32 => Refers::IndexOrNone(Section::Targets),
        /// Its instructions.
        insns: Span => Refers::Span(Section::Insns),
        /// Its [`Relo`]s, by ascending instruction.
        relos: Span => Refers::Span(Section::Relos),
        /// Its [`CoreRelo`]s, by ascending instruction.
        core_relos: Span => Refers::Span(Section::CoreRelos),
        /// Its func_info; `insn_off` in instructions from its first one.
        func_info: Span => Refers::Span(Section::FuncInfo),
        /// Its line_info; `insn_off` in instructions from its first one.
        line_info: Span => Refers::Span(Section::LineInfo),
        /// Name of its section, which says what to attach it to: for whoever attaches
        /// more than `link_name` asks for. Empty in a bare image.
        section: Str,
    }
}

record! {
    /// An instruction whose value only the load gives.
    Relo, ReloAt {
        /// Index of the instruction in its program.
        insn: u32,
        /// One of [`relo_kind`].
        kind: u32,
        /// Index of the [`Map`] or [`Extern`].
        index: u32,
    }
}

/// Values of [`Relo::kind`].
pub mod relo_kind {
    /// `ld_imm64` of a map or of an offset into its value: `imm` becomes its fd.
    /// `src_reg` (`BPF_PSEUDO_MAP_FD` or `_VALUE`) and the offset are set already.
    pub const MAP: u32 = 0;
    /// `ld_imm64` of the address of a typed ksym, variable or function.
    pub const EXTERN_LD64: u32 = 1;
    /// Call of a kfunc.
    pub const EXTERN_CALL: u32 = 2;
    /// `ld_imm64` of the address of a ksym without a type.
    pub const ADDRESS: u32 = 3;
}

record! {
    /// A CO-RE relocation: an access spec by name, and its local value.
    CoreRelo, CoreReloAt {
        /// Index of the instruction in its program.
        insn: u32,
        /// One of [`core_kind`].
        kind: u32,
        /// Local root type in the image's BTF.
        type_id: u32,
        /// 1 + index of the [`Target`] whose types are the candidates; 0 for `TYPE_ID_LOCAL`.
        target: u32 => Refers::IndexOrNone(Section::Targets),
        /// The spec: [`Accessor`]s from the root inwards; empty for type-based kinds.
        accessors: Span => Refers::Span(Section::Accessors),
        /// The access string of the record, for messages ("0:1:2").
        access_str: Str,
        /// Value that the local types give.
        local_value: u64,
        /// Offset of the field from the root, in bits, for messages.
        local_bit_offset: u32,
        /// Bytes that a load of the local field reads (the element for arrays); 0: not a byte offset, or a bit-field.
        local_size: u32,
        /// Bits of [`core_flags`].
        flags: u32,
    }
}

/// Values of [`CoreRelo::kind`]: `enum bpf_core_relo_kind` of the uapi `linux/bpf.h`.
pub mod core_kind {
    #![expect(
        missing_docs,
        reason = "names and meaning are those of enum bpf_core_relo_kind"
    )]
    pub const FIELD_BYTE_OFFSET: u32 = 0;
    pub const FIELD_BYTE_SIZE: u32 = 1;
    pub const FIELD_EXISTS: u32 = 2;
    pub const FIELD_SIGNED: u32 = 3;
    pub const FIELD_LSHIFT_U64: u32 = 4;
    pub const FIELD_RSHIFT_U64: u32 = 5;
    pub const TYPE_ID_LOCAL: u32 = 6;
    pub const TYPE_ID_TARGET: u32 = 7;
    pub const TYPE_EXISTS: u32 = 8;
    pub const TYPE_SIZE: u32 = 9;
    pub const ENUMVAL_EXISTS: u32 = 10;
    pub const ENUMVAL_VALUE: u32 = 11;
    pub const TYPE_MATCHES: u32 = 12;
    /// A bit for each of them.
    pub const ALL: u32 = (1 << 13) - 1;
}

/// Bits of [`CoreRelo::flags`].
pub mod core_flags {
    /// The instruction must hold [`local_value`](super::CoreRelo::local_value) before it is patched.
    pub const VALIDATE: u32 = 1;
    /// The local field is a pointer: a load may change its size to that of a kernel pointer.
    pub const LOCAL_PTR: u32 = 2;
    /// The local field is an unsigned integer: a load may change its size.
    pub const LOCAL_UNSIGNED: u32 = 4;
}

record! {
    /// One step of an access spec.
    Accessor, AccessorAt {
        /// Member or enumerator name; empty: `index` is an array index.
        name: Str,
        /// Array index; for a member its index in the local type.
        index: u32,
        /// Local type of the member, in the image's BTF; 0 for array steps and enumerators.
        type_id: u32,
    }
}

record! {
    /// A name to be looked up in kernel BTF.
    Target, TargetAt {
        /// The name; for CO-RE without its `___flavor`.
        name: Str,
        /// One of [`target_kind`].
        kind: u32,
    }
}

/// Values of [`Target::kind`].
pub mod target_kind {
    /// A CO-RE root: every type of `BTF_KIND_<kind & 0xff>` with that essential
    /// name is a candidate (`ENUM` stands for `ENUM64`, too).
    pub const CORE: u32 = 0x100;
    /// Exactly this name: attach target (`FUNC`, `TYPEDEF`), ksym (`VAR`) or kfunc (`FUNC`).
    pub const EXACT: u32 = 0x200;
    /// Mask of the `BTF_KIND_*` in a kind.
    pub const BTF_KIND_MASK: u32 = 0xff;
}

record! {
    /// A ksym: kernel variable or kfunc.
    Extern, ExternAt {
        /// Its name as the program knows it.
        name: Str,
        /// 1 + index of the [`Target`]; 0 for one without a type.
        target: u32 => Refers::IndexOrNone(Section::Targets),
        /// Local type in the image's BTF that the kernel's must be compatible with: the variable's type, the kfunc's prototype.
        type_id: u32,
        /// Bits of [`extern_flags`].
        flags: u32,
        /// Its address, of one without a type; 0 as long as it is not known.
        address: u64,
    }
}

/// Bits of [`Extern::flags`].
pub mod extern_flags {
    /// May be missing: its address is 0 then and calls are poisoned.
    pub const WEAK: u32 = 1;
    /// [`address`](super::Extern::address) is known, also if it is 0, as that of `__per_cpu_start` was on 6.12.
    pub const KNOWN: u32 = 2;
}

record! {
    /// A variable of `.kconfig`, whose value is part of the data of a map.
    Kconfig, KconfigAt {
        /// Its name, that of a configuration option or one that begins with `LINUX_`.
        name: Str,
        /// The bytes of its value, zeroed.
        value: Span => Refers::Span(Section::Data),
        /// One of [`kconfig_kind`].
        kind: u32,
        /// Bits of [`kconfig_flags`].
        flags: u32,
    }
}

/// Values of [`Kconfig::kind`].
pub mod kconfig_kind {
    #![expect(missing_docs, reason = "names and meaning are those of libbpf")]
    pub const BOOL: u32 = 0;
    pub const CHAR: u32 = 1;
    pub const INT: u32 = 2;
    pub const TRISTATE: u32 = 3;
    pub const CHAR_ARRAY: u32 = 4;
}

/// Bits of [`Kconfig::flags`].
pub mod kconfig_flags {
    /// May be missing: its value is 0 then.
    pub const WEAK: u32 = 1;
    /// Its type is signed.
    pub const SIGNED: u32 = 2;
}

record! {
    /// A function of a map of struct_ops. Where it is in the kernel's struct, which
    /// gives the program its attach type and the map its value's size, only the
    /// running kernel's BTF says.
    StructOp, StructOpAt {
        /// Index of the [`Map`].
        map: u32 => Refers::Index(Section::Maps),
        /// Name of the member that it is.
        member: Str,
        /// Index of the [`Prog`].
        prog: u32 => Refers::Index(Section::Progs),
        /// Where its fd belongs in the kernel's value, in bytes; 0 until the image is completed.
        at: u32,
    }
}
