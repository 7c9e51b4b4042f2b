// SPDX-License-Identifier: MIT OR Apache-2.0
//! The maps: those that the program declares, and those behind its variables.
//!
//! Names, flags and order are libbpf's, so that `bpftool map` shows the same and
//! whoever finds maps by name still does. What depends on the machine - a ring
//! buffer's size in pages, one entry per CPU - nobody fills in yet: the kernel gets
//! the object's numbers, and refuses those that it cannot take.

use crate::btf::{self, Btf, kind};
use crate::elf::{Elf, SHT_NOBITS, SHT_PROGBITS, Section};
use crate::error::{LowerError, Result, printable};

const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_MAP_TYPE_BLOOM_FILTER: u32 = 30;
const BPF_F_RDONLY_PROG: u32 = 1 << 7;
const BPF_F_MMAPABLE: u32 = 1 << 10;

/// Section of BTF-defined maps.
const MAPS: &str = ".maps";
/// Longest map name that the kernel keeps.
const NAME_BYTES: usize = 15;

/// Map types whose `BPF_MAP_CREATE` refuses types of key and value: arrays and
/// hashes of kernel objects, stack traces, queues and stacks, arenas.
const WITHOUT_BTF: [u32; 12] = [4, 7, 8, 14, 15, 16, 17, 18, 22, 23, 25, 33];
/// Map types that need a map to be created from.
const MAPS_OF_MAPS: [u32; 2] = [12, 13];

/// A map; the sizes and flags are those of `BPF_MAP_CREATE`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map<'a> {
    pub(crate) name: String,
    /// Index of the section that stands for it, and offset there.
    pub(crate) section: usize,
    pub(crate) offset: u64,
    /// The map is a section of variables: instructions point into its value.
    pub(crate) variables: bool,
    pub(crate) map_type: u32,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) map_flags: u32,
    pub(crate) key_type_id: u32,
    pub(crate) value_type_id: u32,
    /// Initial value of key 0; empty: zeros, or nothing.
    pub(crate) data: &'a [u8],
    pub(crate) freeze: bool,
}

/// The maps in libbpf's order: declared ones as in BTF, then variables by section.
pub(crate) fn collect<'a>(elf: &Elf<'a>, btf: &Btf, object: &str) -> Result<Vec<Map<'a>>> {
    let mut maps = Vec::new();
    for (index, section) in elf.sections.iter().enumerate() {
        let unsupported = |what: &str| Err(LowerError::new(what).section(section.name));
        match section.name {
            "maps" => return unsupported("unsupported legacy map definitions, use .maps"),
            MAPS if section.kind == SHT_PROGBITS => declared(btf, index, section, &mut maps)?,
            name if name.trim_start_matches('?').starts_with(".struct_ops") => {
                return unsupported("unsupported struct_ops map");
            }
            _ => {}
        }
    }
    for (index, section) in elf.sections.iter().enumerate() {
        maps.extend(variables(btf, index, section, object)?);
    }
    Ok(maps)
}

/// Adds the maps declared in `.maps`.
fn declared<'a>(
    btf: &Btf,
    index: usize,
    section: &Section<'a>,
    maps: &mut Vec<Map<'a>>,
) -> Result<()> {
    // The attributes are in the types of the variables; the section is zeros.
    let sec = find_datasec(btf, section.name);
    let sec = sec.ok_or_else(|| LowerError::new("no BTF for it").section(section.name))?;
    for [var_id, offset, size] in btf.ty(sec).members() {
        let var = btf.ty(var_id);
        let name = btf.str(var.name);
        let wrong = |e: LowerError| e.section(section.name).at(offset).symbol(name);
        let new = |what: &str| Err(wrong(LowerError::new(what)));
        if name.is_empty() {
            return new("map without a name");
        }
        // libbpf's rule: a static map would have no symbol of its own to refer to.
        if var.extra() != btf::GLOBAL {
            return new("unsupported static map");
        }
        if u64::from(offset) + u64::from(size) > section.size {
            return new("map crosses the end of its section");
        }
        let def = btf.skip_mods(var.third).unwrap_or(0);
        if !btf.ty(def).is(kind::STRUCT) {
            return new("map is not defined by a struct");
        }
        let mut map = Map {
            name: String::from_utf8_lossy(name).into_owned(),
            section: index,
            offset: u64::from(offset),
            ..Map::default()
        };
        for [member, type_id, _] in btf.ty(def).members() {
            attribute(btf, &mut map, btf.str(member), type_id).map_err(wrong)?;
        }
        if map.map_type == 0 {
            return new("map has no type");
        }
        if MAPS_OF_MAPS.contains(&map.map_type) {
            return new("unsupported map of maps");
        }
        // A value type alone is refused, too, where maps have keys.
        let keyless = map.key_type_id == 0 && map.map_type != BPF_MAP_TYPE_BLOOM_FILTER;
        if keyless || WITHOUT_BTF.contains(&map.map_type) {
            (map.key_type_id, map.value_type_id) = (0, 0);
        }
        maps.push(map);
    }
    Ok(())
}

/// Takes over one member of a map's definition.
fn attribute(btf: &Btf, map: &mut Map, name: &[u8], type_id: u32) -> Result<()> {
    // __uint(name, n) is a pointer to an array of n elements.
    let number = || {
        let ptr = btf.ty(btf.skip_mods(type_id).unwrap_or(0));
        let array = btf.ty(ptr.third);
        if ptr.is(kind::PTR) && array.is(kind::ARRAY) {
            return Ok(array.array().1);
        }
        let what = format!("map attribute '{}' is no __uint()", printable(name));
        Err(LowerError::new(what))
    };
    // __type(name, T) is a pointer to T.
    let sized = || {
        let ptr = btf.ty(type_id);
        let size = btf.size(ptr.third).filter(|_| ptr.is(kind::PTR));
        let what = format!(
            "map attribute '{}' is no __type() with a size",
            printable(name)
        );
        size.map(|size| (ptr.third, size))
            .ok_or_else(|| LowerError::new(what))
    };
    let agree = |old: u32, new: u32| {
        let what = format!(
            "conflicting map attribute '{}': {old} and {new} bytes",
            printable(name)
        );
        if old == 0 || old == new {
            Ok(new)
        } else {
            Err(LowerError::new(what))
        }
    };
    match name {
        b"type" => map.map_type = number()?,
        b"max_entries" => map.max_entries = number()?,
        b"map_flags" => map.map_flags = number()?,
        b"key_size" => map.key_size = agree(map.key_size, number()?)?,
        b"value_size" => map.value_size = agree(map.value_size, number()?)?,
        b"key" => {
            let (id, size) = sized()?;
            (map.key_type_id, map.key_size) = (id, agree(map.key_size, size)?);
        }
        b"value" => {
            let (id, size) = sized()?;
            (map.value_type_id, map.value_size) = (id, agree(map.value_size, size)?);
        }
        _ => {
            let what = format!("unsupported map attribute '{}'", printable(name));
            return Err(LowerError::new(what));
        }
    }
    Ok(())
}

fn find_datasec(btf: &Btf, name: &str) -> Option<u32> {
    let mut types = btf.iter();
    let found = types.find(|(id, ty)| ty.is(kind::DATASEC) && btf.name(*id) == name.as_bytes());
    found.map(|(id, _)| id)
}

/// The array of one element behind a section of variables, if it is one.
fn variables<'a>(
    btf: &Btf,
    index: usize,
    section: &Section<'a>,
    object: &str,
) -> Result<Option<Map<'a>>> {
    let is = |base: &str| {
        let rest = section.name.strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let rodata = is(".rodata");
    let with_bytes = section.kind == SHT_PROGBITS && !section.exec && (rodata || is(".data"));
    let zeroed = section.kind == SHT_NOBITS && is(".bss");
    if section.size == 0 || !(with_bytes || zeroed) {
        return Ok(None);
    }
    let value_size = u32::try_from(section.size).map_err(|_| {
        LowerError::new("section is larger than a map value can be").section(section.name)
    })?;
    // Sections of string literals (.rodata.str1.1) have no BTF.
    let datasec = find_datasec(btf, section.name).unwrap_or(0);
    // User space may map the values if it can know any of the variables.
    let visible = btf
        .ty(datasec)
        .members()
        .any(|[var, _, _]| btf.ty(var).is(kind::VAR) && btf.ty(var).extra() != btf::STATIC);
    let mut map_flags = if rodata { BPF_F_RDONLY_PROG } else { 0 };
    if visible {
        map_flags |= BPF_F_MMAPABLE;
    }
    Ok(Some(Map {
        name: variables_name(object, section.name),
        section: index,
        variables: true,
        map_type: BPF_MAP_TYPE_ARRAY,
        key_size: 4,
        value_size,
        max_entries: 1,
        map_flags,
        value_type_id: datasec,
        data: section.data,
        freeze: rodata,
        ..Map::default()
    }))
}

/// libbpf's name: as much of the object's name as leaves room for the section's,
/// which is taken to have 7 characters at least; nothing of it before `.data.custom`.
fn variables_name(object: &str, section: &str) -> String {
    let suffix = section.len().clamp(7, NAME_BYTES);
    let custom = section.chars().skip(1).any(|c| c == '.');
    let prefix = if custom { 0 } else { NAME_BYTES - suffix };
    let bytes = object
        .bytes()
        .take(prefix)
        .chain(section.bytes().take(suffix));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
    bytes
        .map(|b| if allowed(b) { char::from(b) } else { '_' })
        .collect()
}
