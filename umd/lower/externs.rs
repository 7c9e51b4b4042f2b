// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the object expects of the kernel: kernel variables and kfuncs, declared in
//! `.ksyms`, and values of its configuration, declared in `.kconfig`.

use std::collections::HashMap;

use preload_image::kconfig_kind;

use crate::btf::{self, Btf, kind};
use crate::elf::{Elf, STB_LOCAL, STB_WEAK, STT_NOTYPE};
use crate::error::{LowerError, Result};

/// Sections of externs, in BTF: there is nothing of them in ELF.
pub(crate) const KSYMS: &str = ".ksyms";
pub(crate) const KCONFIG: &str = ".kconfig";
/// Most bytes of all values of the configuration, so that an array in BTF, of which
/// nothing stands in the file, cannot fill memory.
const MAX_KCONFIG_BYTES: u32 = 1 << 20;

pub(crate) struct Extern<'a> {
    pub(crate) name: &'a str,
    /// Index of its ELF symbol.
    pub(crate) symbol: usize,
    pub(crate) weak: bool,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// A kernel function or variable.
    Ksym {
        /// FUNC or VAR.
        kind: u32,
        /// Prototype of a kfunc, type of a variable behind modifiers and typedefs; 0: it has none.
        type_id: u32,
    },
    /// A value of the kernel's configuration.
    Kconfig(Kconfig),
}

pub(crate) struct Kconfig {
    /// One of [`kconfig_kind`].
    pub(crate) kind: u32,
    pub(crate) signed: bool,
    pub(crate) size: u32,
    align: u32,
    /// Offset in the section, once all are known.
    pub(crate) offset: u32,
    var: u32,
}

impl Extern<'_> {
    pub(crate) fn kconfig(&self) -> Option<&Kconfig> {
        match &self.what {
            What::Kconfig(kconfig) => Some(kconfig),
            What::Ksym { .. } => None,
        }
    }

    /// Is it a variable whose address kallsyms gives?
    pub(crate) fn is_address(&self) -> bool {
        matches!(self.what, What::Ksym { type_id: 0, .. })
    }
}

/// The externs by name, so that the order is not the linker's; those of `.kconfig`
/// last, since the image has a table of their own for them, with their places.
pub(crate) fn collect<'a>(elf: &Elf<'a>, btf: &Btf) -> Result<Vec<Extern<'a>>> {
    // From the last type to the first, so that the first of a name stays.
    let mut declared = HashMap::new();
    let mut sections = HashMap::new();
    for (id, ty) in btf.iter().rev() {
        match ty.kind() {
            kind::VAR | kind::FUNC => _ = declared.insert(btf.str(ty.name), id),
            kind::DATASEC => sections.extend(ty.members().map(|[var, _, _]| (var, id))),
            _ => {}
        }
    }
    let mut externs = Vec::new();
    for (index, symbol) in elf.symbols.iter().enumerate() {
        // Clang gives what it has no definition of no type either.
        let named = symbol.kind == STT_NOTYPE && symbol.bind != STB_LOCAL;
        if !symbol.undefined || !named || symbol.name.is_empty() {
            continue;
        }
        let wrong = |what: &str| LowerError::new(what).symbol(symbol.name);
        let id = declared.get(symbol.name.as_bytes());
        let id = *id.ok_or_else(|| wrong("extern without BTF"))?;
        let ty = btf.ty(id);
        // FUNC has no further words: its linkage is where others have vlen.
        let linkage = if ty.is(kind::FUNC) {
            ty.func_linkage()
        } else {
            ty.extra()
        };
        if linkage != btf::EXTERN {
            return Err(wrong("extern is defined in BTF"));
        }
        let section = sections.get(&id).map_or(b"".as_slice(), |s| btf.name(*s));
        let what = if section == KSYMS.as_bytes() {
            let type_id = btf.skip_mods(ty.third);
            What::Ksym {
                kind: ty.kind(),
                type_id: type_id.ok_or_else(|| wrong("chain of types is too long"))?,
            }
        } else if section == KCONFIG.as_bytes() {
            What::Kconfig(kconfig(btf, id).map_err(|e| e.symbol(symbol.name).section(section))?)
        } else {
            let what = "unsupported extern outside of .ksyms and .kconfig";
            return Err(wrong(what).section(section));
        };
        externs.push(Extern {
            name: symbol.name,
            symbol: index,
            weak: symbol.bind == STB_WEAK,
            what,
        });
    }
    // libbpf's order of .kconfig: by alignment, the largest first, then by size.
    externs.sort_by_key(|e| {
        let place = e.kconfig().map(|k| (u32::MAX - k.align, k.size));
        (place, e.name)
    });
    let mut end = 0u32;
    for ext in &mut externs {
        if let What::Kconfig(kconfig) = &mut ext.what {
            kconfig.offset = end.next_multiple_of(kconfig.align);
            let next = kconfig.offset.checked_add(kconfig.size);
            end = next
                .filter(|end| *end <= MAX_KCONFIG_BYTES)
                .ok_or_else(|| {
                    let what = format!("values of more than {MAX_KCONFIG_BYTES} bytes");
                    LowerError::new(what).section(KCONFIG)
                })?;
        }
    }
    Ok(externs)
}

/// A variable of `.kconfig`, by its type.
fn kconfig(btf: &Btf, var: u32) -> Result<Kconfig> {
    let ty = btf.ty(var);
    if !ty.is(kind::VAR) {
        return Err(LowerError::new("function in .kconfig"));
    }
    let unsupported = || LowerError::new("unsupported type of a .kconfig variable");
    let (kind, signed) = kconfig_kind_of(btf, ty.third).ok_or_else(unsupported)?;
    let size = btf.size(ty.third).filter(|size| *size > 0);
    Ok(Kconfig {
        kind,
        signed,
        size: size.ok_or_else(unsupported)?,
        align: btf.align(ty.third).ok_or_else(unsupported)?,
        offset: 0,
        var,
    })
}

/// What a type can hold, and whether it is signed.
fn kconfig_kind_of(btf: &Btf, id: u32) -> Option<(u32, bool)> {
    // Encoding of an INT, the top byte of its word.
    const SIGNED: u32 = 1;
    const BOOL: u32 = 4;
    let id = btf.skip_mods(id)?;
    let ty = btf.ty(id);
    let size = ty.third;
    match ty.kind() {
        kind::INT => {
            let encoding = ty.extra() >> 24;
            let kind = match size {
                1 if encoding & BOOL != 0 => return Some((kconfig_kind::BOOL, false)),
                _ if encoding & BOOL != 0 => return None,
                1 => kconfig_kind::CHAR,
                2 | 4 | 8 => kconfig_kind::INT,
                _ => return None,
            };
            Some((kind, encoding & SIGNED != 0))
        }
        kind::ENUM | kind::ENUM64 => {
            let fits = size == 4 && btf.name(id) == b"libbpf_tristate";
            fits.then_some((kconfig_kind::TRISTATE, false))
        }
        kind::ARRAY => {
            let (element, count) = ty.array();
            let char = btf.skip_mods(element).is_some_and(|e| {
                btf.ty(e).is(kind::INT)
                    && kconfig_kind_of(btf, e).is_some_and(|(kind, _)| kind == kconfig_kind::CHAR)
            });
            (char && count > 0).then_some((kconfig_kind::CHAR_ARRAY, false))
        }
        _ => None,
    }
}

/// Gives the variables of `.kconfig` their places in BTF, as if they were defined here.
/// The section's size and id in BTF, if there is one.
pub(crate) fn place_kconfig(btf: &mut Btf, externs: &[Extern]) -> Option<(u32, u32)> {
    let kconfigs = || externs.iter().filter_map(|e| e.kconfig());
    // Of two symbols of one name the first.
    let all: Vec<_> = kconfigs().map(|k| (k.var, k)).collect();
    let by_var: HashMap<_, _> = all.into_iter().rev().collect();
    let end = kconfigs().map(|k| k.offset + k.size).max()?;
    let found =
        |(id, ty): &(u32, &btf::Type)| ty.is(kind::DATASEC) && btf.name(*id) == KCONFIG.as_bytes();
    let id = btf.iter().find(found).map(|(id, _)| id)?;
    let mut sec = btf.ty(id).clone();
    sec.third = end;
    for [var, offset, size] in sec.members_mut() {
        if let Some(kconfig) = by_var.get(var) {
            (*offset, *size) = (kconfig.offset, kconfig.size);
        }
        if let Some(var) = btf.ty_mut(*var) {
            var.rest = vec![btf::GLOBAL];
        }
    }
    sec.members_mut().sort_by_key(|[_, offset, _]| *offset);
    *btf.ty_mut(id)? = sec;
    Some((end, id))
}
