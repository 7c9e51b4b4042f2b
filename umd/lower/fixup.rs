// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the compiler leaves open in BTF and only ELF knows.

use std::collections::HashMap;

use crate::btf::{self, Btf, kind};
use crate::elf::{Elf, SHT_REL, STB_LOCAL, STT_OBJECT, Symbol};
use crate::error::{LowerError, Result};
use crate::externs::{KCONFIG, KSYMS};
use crate::func::Funcs;

/// Sections of externs: no such section in ELF, nothing to take from it.
const EXTERN_SECTIONS: [&[u8]; 2] = [KSYMS.as_bytes(), KCONFIG.as_bytes()];

/// Completes every DATASEC: size, offsets of global variables, order.
pub(crate) fn datasecs(btf: &mut Btf, elf: &Elf) -> Result<()> {
    // From the last symbol to the first, so that the first of a name stays.
    let globals: HashMap<&str, &Symbol> = elf
        .symbols
        .iter()
        .rev()
        .filter(|s| s.kind == STT_OBJECT && s.bind != STB_LOCAL)
        .map(|s| (s.name, s))
        .collect();
    let ids: Vec<u32> = btf
        .iter()
        .filter(|(_, ty)| ty.is(kind::DATASEC))
        .map(|(id, _)| id)
        .collect();
    let sections: HashMap<&[u8], u64> = elf
        .sections
        .iter()
        .rev()
        .filter(|s| s.kind != SHT_REL)
        .map(|s| (s.name.as_bytes(), s.size))
        .collect();
    for id in ids {
        let name = btf.name(id);
        if !EXTERN_SECTIONS.contains(&name) {
            datasec(btf, sections.get(name).copied(), &globals, id).map_err(|e| e.section(name))?;
        }
    }
    Ok(())
}

/// `size` is that of the section in ELF.
fn datasec(
    btf: &mut Btf,
    size: Option<u64>,
    globals: &HashMap<&str, &Symbol>,
    id: u32,
) -> Result<()> {
    let mut sec = btf.ty(id).clone();
    // A static link has filled in sizes and offsets already.
    let unfilled = sec.third == 0;
    if unfilled {
        let size = size
            .and_then(|size| u32::try_from(size).ok())
            .filter(|size| *size != 0);
        sec.third = size.ok_or_else(|| LowerError::new("BTF section has no contents in ELF"))?;
    }
    for [var_id, offset, _] in sec.members_mut() {
        let var = btf.ty(*var_id);
        if !var.is(kind::VAR) {
            return Err(LowerError::new(
                "BTF section holds something that is no variable",
            ));
        }
        // The compiler fills in static ones; externs have no place here.
        if [btf::STATIC, btf::EXTERN].contains(&var.extra()) {
            continue;
        }
        let name = btf.str(var.name);
        let wrong = |what: &str| LowerError::new(what).symbol(name);
        let symbol = std::str::from_utf8(name)
            .ok()
            .and_then(|n| globals.get(n))
            .ok_or_else(|| wrong("BTF variable has no ELF symbol"))?;
        if unfilled {
            *offset = u32::try_from(symbol.value)
                .map_err(|_| wrong("variable lies beyond 4 GiB").at(symbol.value))?;
        }
        // Hidden is static to everybody outside of the object, as for functions.
        if symbol.hidden
            && let Some(var) = btf.ty_mut(*var_id)
        {
            var.rest = vec![btf::STATIC];
        }
    }
    // The kernel refuses variables that do not ascend.
    sec.members_mut().sort_by_key(|[_, offset, _]| *offset);
    if let Some(place) = btf.ty_mut(id) {
        *place = sec;
    }
    Ok(())
}

/// Makes hidden sub-programs static: the verifier then checks them in the
/// context of their callers instead of on their own.
pub(crate) fn hidden_funcs(btf: &mut Btf, funcs: &Funcs) {
    let hidden = funcs.0.iter().filter(|f| f.hidden && f.is_subprog());
    for (_, type_id) in hidden.flat_map(|f| &f.func_info) {
        if let Some(ty) = btf.ty_mut(*type_id) {
            ty.set_func_linkage(btf::STATIC);
        }
    }
}
