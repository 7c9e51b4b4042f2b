// SPDX-License-Identifier: MIT OR Apache-2.0
//! The maps behind variables: arrays of one element, with libbpf's names and flags, or of
//! one for each CPU.

use std::borrow::Cow;

use preload_image::map_type;

use crate::btf::{self, Btf, kind};
use crate::elf::{SHT_NOBITS, SHT_PROGBITS, Section};
use crate::error::{LowerError, Result};
use crate::externs::KCONFIG;
use crate::maps::{Datasecs, Map};

const BPF_F_RDONLY_PROG: u32 = 1 << 7;
const BPF_F_MMAPABLE: u32 = 1 << 10;

/// Section of variables of which each CPU has its own.
const PERCPU: &str = ".percpu";

/// Longest map name that the kernel keeps.
const NAME_BYTES: usize = 15;

/// The array of one element behind a section of variables, if it is one.
pub(crate) fn of_section<'a>(
    btf: &Btf,
    datasecs: &Datasecs<'_>,
    index: usize,
    section: &Section<'a>,
    object: &str,
) -> Result<Option<Map<'a>>> {
    let is = |base: &str| {
        let rest = section.name.strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let (rodata, percpu) = (is(".rodata"), is(PERCPU));
    let with_bytes =
        section.kind == SHT_PROGBITS && !section.exec && (rodata || percpu || is(".data"));
    let zeroed = section.kind == SHT_NOBITS && is(".bss");
    if section.size == 0 || !(with_bytes || zeroed) {
        return Ok(None);
    }
    let value_size = u32::try_from(section.size).map_err(|_| {
        LowerError::new("section is larger than a map value can be").section(section.name)
    })?;
    // Sections of string literals (.rodata.str1.1) have no BTF.
    let datasec = datasecs.get(section.name.as_bytes());
    let datasec = datasec.copied().unwrap_or(0);
    // User space may map the values if it can know any of the variables.
    let visible = !percpu
        && btf
            .ty(datasec)
            .members()
            .any(|[var, _, _]| btf.ty(var).is(kind::VAR) && btf.ty(var).extra() != btf::STATIC);
    let mut map_flags = if rodata { BPF_F_RDONLY_PROG } else { 0 };
    if visible {
        map_flags |= BPF_F_MMAPABLE;
    }
    Ok(Some(Map {
        name: name(object, section.name),
        section: index,
        variables: true,
        map_type: if percpu {
            map_type::PERCPU_ARRAY
        } else {
            map_type::ARRAY
        },
        key_size: 4,
        value_size,
        max_entries: 1,
        map_flags,
        value_type_id: datasec,
        data: Cow::Borrowed(section.data),
        freeze: rodata,
        ..Map::default()
    }))
}

/// The map behind the variables of `.kconfig`, whose values are not known here.
pub(crate) fn of_kconfig<'a>(object: &str, size: u32, datasec: u32) -> Map<'a> {
    Map {
        name: name(object, KCONFIG),
        // None: there is no such section.
        section: usize::MAX,
        variables: true,
        map_type: map_type::ARRAY,
        key_size: 4,
        value_size: size,
        max_entries: 1,
        map_flags: BPF_F_RDONLY_PROG | BPF_F_MMAPABLE,
        value_type_id: datasec,
        data: Cow::Owned(vec![0; size as usize]),
        freeze: true,
        ..Map::default()
    }
}

/// libbpf's name: as much of the object's name as leaves room for the section's,
/// which is taken to have 7 characters at least; nothing of it before `.data.custom` and `.percpu`.
fn name(object: &str, section: &str) -> String {
    let suffix = section.len().clamp(7, NAME_BYTES);
    let alone = section.starts_with(PERCPU) || section.chars().skip(1).any(|c| c == '.');
    let prefix = if alone { 0 } else { NAME_BYTES - suffix };
    let bytes = object
        .bytes()
        .take(prefix)
        .chain(section.bytes().take(suffix));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
    bytes
        .map(|b| if allowed(b) { char::from(b) } else { '_' })
        .collect()
}
