// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the object expects of the kernel: typed ksyms, that is kernel
//! variables and kfuncs, declared in `.ksyms`.

use std::collections::HashMap;

use crate::btf::{self, Btf, kind};
use crate::elf::{Elf, STB_LOCAL, STB_WEAK, STT_NOTYPE};
use crate::error::{LowerError, Result};

pub(crate) struct Extern<'a> {
    pub(crate) name: &'a str,
    /// Index of its ELF symbol.
    pub(crate) symbol: usize,
    /// FUNC or VAR.
    pub(crate) kind: u32,
    /// Prototype of a kfunc, type of a variable behind modifiers and typedefs.
    pub(crate) type_id: u32,
    pub(crate) weak: bool,
}

/// The externs by name, so that the order is not the linker's.
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
        if section != b".ksyms" {
            return Err(wrong("unsupported extern outside of .ksyms").section(section));
        }
        let type_id = btf.skip_mods(ty.third);
        let type_id = type_id.ok_or_else(|| wrong("chain of types is too long"))?;
        // `extern const void x`: libbpf looks its address up in kallsyms.
        if type_id == 0 {
            return Err(wrong("unsupported ksym without a type").section(section));
        }
        externs.push(Extern {
            name: symbol.name,
            symbol: index,
            kind: ty.kind(),
            type_id,
            weak: symbol.bind == STB_WEAK,
        });
    }
    externs.sort_by_key(|e| e.name);
    Ok(externs)
}
