// SPDX-License-Identifier: MIT OR Apache-2.0
//! The preload image: what lowering leaves of a BPF object file.
//!
//! An image is a header and eighteen sections: flat tables of records made of
//! little-endian `u32` words, and byte sections (strings, BTF, data,
//! instructions, func_info, line_info). Records name each other by index and by
//! [`Span`], never by address, so that an image is a pure function of the object
//! it came from. A binary carries it packed: [`unpack`].
//!
//! This crate knows the format and nothing else: not ELF, not the kernel. The
//! front end writes images with the `writer` feature; the executor reads them
//! with [`Image::parse`], which trusts no byte.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "writer")]
extern crate alloc;

mod field;
mod pack;
mod read;
mod record;
#[cfg(feature = "writer")]
mod write;
mod zx0;

pub use field::{Record, Refers, Span, Str};
#[cfg(feature = "writer")]
pub use pack::pack;
pub use pack::{packed_lens, unpack};
pub use read::{Image, ImageError, Records};
pub use record::{
    Accessor, AccessorAt, CoreRelo, CoreReloAt, Extern, ExternAt, Kconfig, KconfigAt, Map, MapAt,
    Object, ObjectAt, Prog, ProgAt, Relo, ReloAt, Slot, SlotAt, StructOp, StructOpAt, Target,
    TargetAt, core_flags, core_kind, extern_flags, kconfig_flags, kconfig_kind, map_flags,
    map_type, need, object_flags, relo_kind, target_kind,
};
#[cfg(feature = "writer")]
pub use write::Writer;

/// First four bytes of an image; the last one is the version of the format.
pub const MAGIC: [u8; 4] = *b"BPI\x03";

/// Bytes of one BPF instruction.
pub const INSN_BYTES: usize = 8;
/// Bytes of one `struct bpf_func_info` (uapi `linux/bpf.h`).
pub const FUNC_INFO_BYTES: usize = 8;
/// Bytes of one `struct bpf_line_info` (uapi `linux/bpf.h`).
pub const LINE_INFO_BYTES: usize = 16;

/// The sections, in the order in which the header lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Section {
    /// The [`Object`] record.
    Object,
    /// NUL-terminated strings.
    Strings,
    /// BTF as `BPF_BTF_LOAD` takes it, up to the strings, in words.
    Btf,
    /// The strings of the BTF.
    BtfStrings,
    /// Initial contents of maps.
    Data,
    /// Instructions of all programs.
    Insns,
    /// func_info of all programs.
    FuncInfo,
    /// line_info of all programs.
    LineInfo,
    /// [`Map`] records.
    Maps,
    /// [`Prog`] records.
    Progs,
    /// [`Relo`] records.
    Relos,
    /// [`CoreRelo`] records.
    CoreRelos,
    /// [`Accessor`] records.
    Accessors,
    /// [`Target`] records.
    Targets,
    /// [`Extern`] records.
    Externs,
    /// [`Slot`] records.
    Slots,
    /// [`Kconfig`] records.
    Kconfigs,
    /// [`StructOp`] records.
    StructOps,
}

pub(crate) const SECTIONS: usize = 18;
/// Magic, total length, then `{offset, len}` in bytes for each section.
pub(crate) const HEADER_BYTES: usize = 8 + 8 * SECTIONS;
