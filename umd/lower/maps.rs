// SPDX-License-Identifier: MIT OR Apache-2.0
//! The maps, and of them those that the program declares; [`variables`] knows those
//! behind its variables, [`struct_ops`] those of struct_ops.
//!
//! Names, flags and order are libbpf's, so that `bpftool map` shows the same and
//! whoever finds maps by name still does. What depends on the machine, like one
//! entry per CPU, is left to whoever loads the image, with a flag that says so.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use preload_image::map_type;

use crate::btf::{self, Btf, kind};
use crate::elf::{Elf, SHT_PROGBITS, Section};
use crate::error::{LowerError, Result, printable};
use crate::func::Funcs;
use crate::{struct_ops, variables};

/// Section of BTF-defined maps.
const MAPS: &str = ".maps";

/// Section of variables that live in the arena: of clang's address space 1.
const ARENA: &str = ".addr_space.1";
/// Most members of a map's definition: there are some dozen attributes.
const MAX_ATTRIBUTES: usize = 256;
/// What `max_entries` of an arena counts.
const PAGE_BYTES: u64 = 4096;

/// Map types whose `BPF_MAP_CREATE` refuses types of key and value: arrays and
/// hashes of kernel objects, stack traces, queues and stacks, arenas.
const WITHOUT_BTF: [u32; 12] = [4, 7, 8, 14, 15, 16, 17, 18, 22, 23, 25, 33];
/// Map types that hold maps.
const MAPS_OF_MAPS: [u32; 2] = [map_type::ARRAY_OF_MAPS, map_type::HASH_OF_MAPS];

/// A map; the sizes and flags are those of `BPF_MAP_CREATE`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map<'a> {
    pub(crate) name: String,
    /// Index of the section that stands for it, and offset there.
    pub(crate) section: usize,
    pub(crate) offset: u64,
    /// The map is a section of variables: instructions point into its value.
    pub(crate) variables: bool,
    /// Of an arena with variables: index of their section.
    pub(crate) arena: Option<usize>,
    pub(crate) map_type: u32,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) map_flags: u32,
    pub(crate) key_type_id: u32,
    pub(crate) value_type_id: u32,
    /// Initial value of key 0; empty: zeros, or nothing.
    pub(crate) data: Cow<'a, [u8]>,
    pub(crate) freeze: bool,
    pub(crate) numa_node: u32,
    pub(crate) map_extra: u64,
    pub(crate) pinned: bool,
    /// What the maps in it are like.
    pub(crate) inner: Option<Box<Map<'a>>>,
    /// Offset of the slots from the start of its section, and what is in them: key
    /// and index of a map or program.
    pub(crate) values: Option<u64>,
    pub(crate) slots: Vec<(u32, u32)>,
    /// Of struct_ops: its type in the object.
    pub(crate) ops_type_id: u32,
    /// Members that are functions, with the index of the program.
    pub(crate) ops: Vec<(&'a [u8], u32)>,
}

impl Map<'_> {
    /// Is it the one of `.kconfig`?
    pub(crate) fn is_kconfig(&self) -> bool {
        self.section == usize::MAX
    }

    /// Is the number of entries that of the CPUs that there may be?
    pub(crate) fn entry_per_cpu(&self) -> bool {
        self.map_type == map_type::PERF_EVENT_ARRAY && self.max_entries == 0
    }
}

/// Gives the arena the variables that live in it, at its beginning.
fn arena<'a>(elf: &Elf<'a>, maps: &mut [Map<'a>]) -> Result<()> {
    let mut arenas = maps.iter_mut().filter(|m| m.map_type == map_type::ARENA);
    let (arena, second) = (arenas.next(), arenas.next());
    if let Some(second) = second {
        let what = "second arena, of which an object can have only one";
        return Err(LowerError::new(what).section(MAPS).symbol(&second.name));
    }
    let variables = (0..)
        .zip(&elf.sections)
        .find(|(_, s)| s.name == ARENA && s.kind == SHT_PROGBITS && !s.data.is_empty());
    let Some((index, section)) = variables else {
        return Ok(());
    };
    let wrong = |what: &str| LowerError::new(what).section(ARENA);
    let arena = arena.ok_or_else(|| wrong("variables of an arena, but no arena"))?;
    if section.size > PAGE_BYTES * u64::from(arena.max_entries) {
        return Err(wrong("more than the arena holds").symbol(&arena.name));
    }
    arena.arena = Some(index);
    arena.data = Cow::Borrowed(section.data);
    Ok(())
}

/// The maps in libbpf's order: declared ones as in BTF, then variables by section,
/// those of the configuration, and struct_ops.
/// `.kconfig` is known by its size and its id in BTF, and is no section.
pub(crate) fn collect<'a>(
    elf: &Elf<'a>,
    btf: &Btf<'a>,
    object: &str,
    kconfig: Option<(u32, u32)>,
) -> Result<Vec<Map<'a>>> {
    let (mut maps, mut ops) = (Vec::new(), Vec::new());
    let datasecs = datasecs(btf);
    for (index, section) in elf.sections.iter().enumerate() {
        let unsupported = |what: &str| Err(LowerError::new(what).section(section.name));
        match section.name {
            "maps" => return unsupported("unsupported legacy map definitions, use .maps"),
            MAPS if section.kind == SHT_PROGBITS => {
                declared(btf, &datasecs, index, section, &mut maps)?;
            }
            name if struct_ops::is_section(name) => {
                struct_ops::collect(btf, &datasecs, index, section, &mut ops)?;
            }
            _ => {}
        }
    }
    arena(elf, &mut maps)?;
    for (index, section) in elf.sections.iter().enumerate() {
        maps.extend(variables::of_section(
            btf, &datasecs, index, section, object,
        )?);
    }
    maps.extend(kconfig.map(|(size, datasec)| variables::of_kconfig(object, size, datasec)));
    maps.extend(ops);
    Ok(maps)
}

/// Adds the maps declared in `.maps`.
fn declared<'a>(
    btf: &Btf,
    datasecs: &Datasecs<'_>,
    index: usize,
    section: &Section<'a>,
    maps: &mut Vec<Map<'a>>,
) -> Result<()> {
    // The attributes are in the types of the variables; the section is zeros.
    let sec = datasecs.get(section.name.as_bytes());
    let sec = *sec.ok_or_else(|| LowerError::new("no BTF for it").section(section.name))?;
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
        definition(btf, &mut map, def, false).map_err(wrong)?;
        map.values = map.values.map(|at| at + u64::from(offset));
        maps.push(map);
    }
    Ok(())
}

/// Takes over the members of a map's definition; `inner` is one that stands for the
/// maps in another one. Such a struct may name itself, so the walk ends there.
fn definition(btf: &Btf, map: &mut Map, def: u32, inner: bool) -> Result<()> {
    let new = |what: &str| Err(LowerError::new(what));
    // Many maps can share a definition: a long one would be read for each.
    if btf.ty(def).vlen() > MAX_ATTRIBUTES {
        let what = format!("map is defined by a struct of more than {MAX_ATTRIBUTES} members");
        return Err(LowerError::new(what));
    }
    let members = btf.ty(def).members();
    for (left, [member, type_id, bits]) in (0..btf.ty(def).vlen()).rev().zip(members) {
        match btf.str(member) {
            b"values" if inner => return new("maps of maps of maps are not supported"),
            b"values" if left > 0 => return new("map attribute 'values' is not the last one"),
            b"values" => {
                values(btf, map, type_id)?;
                map.values = Some(u64::from(bits / 8));
            }
            name => attribute(btf, map, name, type_id)?,
        }
    }
    if map.map_type == 0 {
        return new("map has no type");
    }
    if [map_type::RINGBUF, map_type::USER_RINGBUF].contains(&map.map_type) {
        map.max_entries = whole_pages(map.max_entries);
    }
    // A value type alone is refused, too, where maps have keys.
    let keyless = map.key_type_id == 0 && map.map_type != map_type::BLOOM_FILTER;
    if keyless || WITHOUT_BTF.contains(&map.map_type) || MAPS_OF_MAPS.contains(&map.map_type) {
        (map.key_type_id, map.value_type_id) = (0, 0);
    }
    Ok(())
}

/// `__array(values, ...)`: what the maps in a map are like, or that it holds programs.
fn values(btf: &Btf, map: &mut Map, type_id: u32) -> Result<()> {
    let new = |what: &str| Err(LowerError::new(what));
    let maps = MAPS_OF_MAPS.contains(&map.map_type);
    if !maps && map.map_type != map_type::PROG_ARRAY {
        return new("map attribute 'values' of a map that holds neither maps nor programs");
    }
    if ![0, 4].contains(&map.value_size) {
        return new(
            "conflicting map attribute 'values': a map of maps or programs has values of 4 bytes",
        );
    }
    map.value_size = 4;
    let array = btf.ty(type_id);
    let ptr = btf.ty(btf.skip_mods(array.array().0).unwrap_or(0));
    let target = btf.skip_mods(ptr.third).unwrap_or(0);
    if !array.is(kind::ARRAY) || array.array().1 != 0 || !ptr.is(kind::PTR) {
        return new("map attribute 'values' is no __array() of pointers");
    }
    if !maps {
        if !btf.ty(target).is(kind::FUNC_PROTO) {
            return new("map attribute 'values' of a map of programs is no __array() of functions");
        }
        return Ok(());
    }
    if !btf.ty(target).is(kind::STRUCT) {
        return new("map attribute 'values' of a map of maps is no __array() of maps");
    }
    let mut inner = Map {
        name: format!("{}.inner", map.name),
        ..Map::default()
    };
    definition(btf, &mut inner, target, true).map_err(|e| e.about("inner map"))?;
    if inner.pinned {
        return new("inner map: it cannot be pinned");
    }
    map.inner = Some(Box::new(inner));
    Ok(())
}

/// Bytes of a ring buffer as the kernel takes them: a power of two of pages of 4 KiB.
fn whole_pages(bytes: u32) -> u32 {
    match bytes {
        0 => 0,
        _ => bytes.checked_next_power_of_two().unwrap_or(bytes).max(4096),
    }
}

/// Puts into the maps what their declarations say: addresses of maps or programs,
/// which are relocations of `.maps`. `progs` gives the index of the program that
/// begins at a place in a section.
pub(crate) fn fill_slots(
    elf: &Elf,
    maps: &mut [Map],
    funcs: &Funcs,
    progs: &[usize],
) -> Result<()> {
    // What there is by its place; of several of one place the first.
    let holders: BTreeMap<_, _> = maps
        .iter()
        .enumerate()
        .filter_map(|(index, map)| Some(((map.section, map.values?), index)))
        .collect();
    let by_place: HashMap<_, _> = maps
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, map)| !map.variables)
        .map(|(index, map)| ((map.section, map.offset), index))
        .collect();
    let progs: HashMap<_, _> = progs
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(index, func)| Some((index, funcs.0.get(*func)?)))
        .map(|(index, func)| ((func.section, 8 * u64::from(func.start)), index))
        .collect();
    for (rel_section, target) in elf.relocation_sections() {
        let section = elf.sections.get(target);
        if !section.is_some_and(|s| s.name == MAPS && s.kind == SHT_PROGBITS) {
            continue;
        }
        for (i, rel) in rel_section.rels().enumerate() {
            let wrong = |what: &str| {
                LowerError::new(what)
                    .section(rel_section.name)
                    .at(16 * i as u64)
            };
            let symbol = elf.symbols.get(rel.symbol);
            let symbol = symbol.ok_or_else(|| wrong("symbol does not exist"))?;
            let place = symbol.section.map(|section| (section, symbol.value));
            let wrong = |what: &str| wrong(what).symbol(elf.symbol_name(symbol));
            // The map whose slots begin last before the place.
            let within = holders.range((target, 0)..=(target, rel.offset));
            let within = within.last().map(|(_, index)| *index);
            let Some((index, holder)) = within.and_then(|w| Some((w, maps.get(w)?))) else {
                return Err(wrong(
                    "relocation of a map that holds neither maps nor programs",
                ));
            };
            let key = rel.offset - holder.values.unwrap_or(0);
            let key = u32::try_from(key / 8).ok().filter(|_| key % 8 == 0);
            let key = key.ok_or_else(|| wrong("relocation of no slot of the map"))?;
            let found = if holder.map_type == map_type::PROG_ARRAY {
                place.and_then(|place| progs.get(&place))
            } else {
                if holder.map_type == map_type::HASH_OF_MAPS && holder.key_size != 4 {
                    return Err(wrong(
                        "slot of a hash of maps whose keys are not 4 bytes long",
                    ));
                }
                place.and_then(|place| by_place.get(&place))
            };
            let found =
                *found.ok_or_else(|| wrong("what is put into the map is none of its kind"))?;
            if let Some(holder) = maps.get_mut(index) {
                holder.slots.push((key, found as u32));
            }
        }
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
    // __ulong(name, n) is an enum with a value n.
    let long = || {
        let ty = btf.ty(type_id);
        let word = |i: usize| ty.rest.get(i).copied().map(u64::from);
        match ty.kind() {
            // As everywhere in BTF, the 32 bits of an enum's value are signed.
            kind::ENUM => Ok(word(1).map_or(0, |value| value as i32 as u64)),
            kind::ENUM64 => Ok(word(1).unwrap_or(0) | word(2).unwrap_or(0) << 32),
            _ => number().map(u64::from),
        }
    };
    match name {
        b"type" => map.map_type = number()?,
        b"max_entries" => map.max_entries = number()?,
        b"map_flags" => map.map_flags = number()?,
        b"numa_node" => map.numa_node = number()?,
        b"map_extra" => map.map_extra = long()?,
        b"pinning" => {
            map.pinned = match number()? {
                0 => false,
                1 => true,
                other => {
                    let what = format!("map attribute 'pinning' is {other}, not 0 or 1");
                    return Err(LowerError::new(what));
                }
            }
        }
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

/// Ids of the sections of BTF by name.
pub(crate) type Datasecs<'a> = HashMap<&'a [u8], u32>;

fn datasecs<'a>(btf: &Btf<'a>) -> Datasecs<'a> {
    // From the last type to the first, so that the first of a name stays.
    let types = btf.iter().rev().filter(|(_, ty)| ty.is(kind::DATASEC));
    types.map(|(id, _)| (btf.name(id), id)).collect()
}
