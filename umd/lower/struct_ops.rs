// SPDX-License-Identifier: MIT OR Apache-2.0
//! struct_ops: structs of functions that the kernel calls, as maps. What is in them is
//! known here, programs and data; where in the kernel's struct is not.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use preload_image::map_type;

use crate::btf::{Btf, kind};
use crate::elf::{Elf, Section};
use crate::emit::essential_name;
use crate::error::{LowerError, Result};
use crate::func::Funcs;
use crate::maps::{Datasecs, Map};
use crate::prog::Prog;

/// The map is attached by a link.
const BPF_F_LINK: u32 = 1 << 13;
const SECTION: &str = ".struct_ops";
const SECTION_LINK: &str = ".struct_ops.link";

/// Is it a section of structs, created by default (`.struct_ops`) or not (`?.struct_ops`)?
pub(crate) fn is_section(name: &str) -> bool {
    [SECTION, SECTION_LINK].contains(&name.strip_prefix('?').unwrap_or(name))
}

/// Adds the maps of a section, unless they are left alone until somebody asks for them.
pub(crate) fn collect<'a>(
    btf: &Btf<'a>,
    datasecs: &Datasecs<'_>,
    index: usize,
    section: &Section<'a>,
    maps: &mut Vec<Map<'a>>,
) -> Result<()> {
    if section.name.starts_with('?') {
        return Ok(());
    }
    let sec = datasecs.get(section.name.as_bytes());
    let sec = *sec.ok_or_else(|| LowerError::new("no BTF for it").section(section.name))?;
    for [var_id, offset, _] in btf.ty(sec).members() {
        let name = btf.name(var_id);
        let wrong = |what: &str| {
            let error = LowerError::new(what).section(section.name);
            Err(error.at(offset).symbol(name))
        };
        let type_id = btf.skip_mods(btf.ty(var_id).third).unwrap_or(0);
        let ty = btf.ty(type_id);
        if !ty.is(kind::STRUCT) || btf.name(type_id).is_empty() {
            return wrong("struct_ops that is no struct with a name");
        }
        if u64::from(offset) + u64::from(ty.third) > section.size {
            return wrong("struct_ops crosses the end of its section");
        }
        let data = section.data.get(offset as usize..);
        let data = data.and_then(|data| data.get(..ty.third as usize));
        maps.push(Map {
            name: String::from_utf8_lossy(name).into_owned(),
            section: index,
            offset: u64::from(offset),
            map_type: map_type::STRUCT_OPS,
            key_size: 4,
            // Of the object's struct; the kernel's is another one.
            value_size: ty.third,
            max_entries: 1,
            map_flags: if section.name == SECTION_LINK {
                BPF_F_LINK
            } else {
                0
            },
            value_type_id: type_id,
            data: Cow::Borrowed(data.unwrap_or_default()),
            ops_type_id: type_id,
            ..Map::default()
        });
    }
    Ok(())
}

/// The functions in structs that are left alone, by section and offset there: they are
/// left alone with them.
pub(crate) fn unwanted(elf: &Elf) -> HashSet<(usize, u64)> {
    let sections = elf.relocation_sections().filter(|(_, target)| {
        let section = elf.sections.get(*target);
        section.is_some_and(|s| s.name.starts_with('?') && is_section(s.name))
    });
    let rels = sections.flat_map(|(section, _)| section.rels());
    let symbols = rels.filter_map(|rel| elf.symbols.get(rel.symbol));
    symbols
        .filter_map(|symbol| Some((symbol.section?, symbol.value)))
        .collect()
}

/// The functions that are in some map, by section and offset there: what their programs
/// are loaded for.
pub(crate) fn used<'m>(elf: &Elf, maps: &'m [Map]) -> Vec<Use<'m>> {
    let mut used = Vec::new();
    let ops = maps.iter().enumerate().filter(|(_, m)| m.ops_type_id != 0);
    let by_place: BTreeMap<_, _> = ops
        .rev()
        .map(|op| ((op.1.section, op.1.offset), op))
        .collect();
    for (rel_section, target) in elf.relocation_sections() {
        for rel in rel_section.rels() {
            let before = by_place.range((target, 0)..=(target, rel.offset));
            let map = before.last().map(|(_, op)| *op);
            let map = map.filter(|(_, m)| rel.offset - m.offset < u64::from(m.value_size));
            let symbol = elf.symbols.get(rel.symbol);
            if let (Some((index, map)), Some(symbol)) = (map, symbol)
                && let Some(section) = symbol.section
            {
                used.push(Use {
                    map: index,
                    name: &map.name,
                    type_id: map.ops_type_id,
                    at: rel.offset - map.offset,
                    place: (section, symbol.value),
                });
            }
        }
    }
    used
}

/// A function in a map.
pub(crate) struct Use<'m> {
    /// Index and name of the map.
    pub(crate) map: usize,
    name: &'m str,
    /// The struct in the object's BTF, and the offset in it.
    pub(crate) type_id: u32,
    at: u64,
    /// Section and offset of the function.
    pub(crate) place: (usize, u64),
}

/// Members of structs by their place in bits: name and type.
type Members = HashMap<u32, HashMap<u32, (u32, u32)>>;
/// Programs of struct_ops by section and offset.
type ByPlace = HashMap<(usize, u64), usize>;

/// What is in the maps: index of the map, name of the member, index of the program.
pub(crate) fn functions<'a>(
    uses: &[Use],
    funcs: &Funcs,
    btf: &Btf<'a>,
    progs: &[Prog],
) -> Result<Vec<(usize, &'a [u8], u32)>> {
    let of_ops = progs
        .iter()
        .enumerate()
        .filter(|(_, p)| p.sec.is_struct_ops());
    let by_place = of_ops
        .rev()
        .filter_map(|(index, prog)| Some((funcs.0.get(prog.func)?, index)))
        .map(|(func, index)| ((func.section, 8 * u64::from(func.start)), index))
        .collect();
    let mut members = HashMap::new();
    let functions = uses.iter().map(|used| {
        let member = used.member(btf, &mut members)?;
        Ok((used.map, member, used.prog(btf, progs, &by_place)?))
    });
    functions.collect()
}

impl Use<'_> {
    /// Name of the member, which may be one of many.
    fn member<'a>(&self, btf: &Btf<'a>, members: &mut Members) -> Result<&'a [u8]> {
        let wrong = |what: &str| LowerError::new(what).section(SECTION).symbol(self.name);
        let members = members.entry(self.type_id).or_insert_with(|| {
            let members = btf.ty(self.type_id).members();
            let by_place = members.map(|[name, type_id, bits]| (bits, (name, type_id)));
            // Of several of one place the first.
            by_place.collect::<Vec<_>>().into_iter().rev().collect()
        });
        let bits = self
            .at
            .checked_mul(8)
            .and_then(|bits| u32::try_from(bits).ok());
        let found = bits.and_then(|bits| members.get(&bits)).copied();
        let (name, type_id) = found.ok_or_else(|| wrong("function that is no member"))?;
        let ptr = btf.ty(btf.skip_mods(type_id).unwrap_or(0));
        let proto = btf.ty(btf.skip_mods(ptr.third).unwrap_or(0));
        if ptr.is(kind::PTR) && proto.is(kind::FUNC_PROTO) {
            Ok(btf.str(name))
        } else {
            Err(wrong("function in a member that is no pointer to one"))
        }
    }

    /// Index of the program, which is for this struct alone.
    fn prog(&self, btf: &Btf, progs: &[Prog], by_place: &ByPlace) -> Result<u32> {
        let wrong = |what: &str| LowerError::new(what).section(SECTION).symbol(self.name);
        let found = by_place.get(&self.place).copied();
        let index = found.ok_or_else(|| wrong("function that is no program of struct_ops"))?;
        let name = essential_name(btf.name(self.type_id));
        let target = progs.get(index).and_then(|prog| prog.sec.target.as_ref());
        if target.is_none_or(|(target, _)| target.as_bytes() != name) {
            return Err(wrong("program that is in a struct of another type, too"));
        }
        Ok(index as u32)
    }
}
