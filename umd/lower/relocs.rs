// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF relocations: finds what each instruction refers to, and prepares it as
//! far as the object alone allows.
//!
//! libbpf goes by the instruction alone; here the relocation's type must fit it,
//! too. What cannot be expressed is refused: an instruction that keeps the
//! compiler's placeholder would be a wrong program, not a failed load.

use std::collections::HashMap;

use crate::btf::kind;
use crate::elf::{
    Elf, R_BPF_64_32, R_BPF_64_64, Rel, STB_LOCAL, STT_FUNC, STT_SECTION, Section, Symbol,
};
use crate::error::{LowerError, Result};
use crate::externs::{Extern, What};
use crate::func::{Funcs, Reference, TEXT};
use crate::insn::{Insn, pseudo};
use crate::maps::Map;

/// Section of what compilers make of a switch, for kernels with maps of instructions.
const JUMP_TABLES: &str = ".jumptables";

/// What a relocation can refer to.
pub(crate) struct Referents<'e, 'a> {
    pub(crate) elf: &'e Elf<'a>,
    pub(crate) maps: &'e [Map<'a>],
    pub(crate) externs: &'e [Extern<'a>],
}

/// The same by what a relocation has of them: it may be one of very many.
struct Found<'m> {
    /// Maps by section and offset there.
    maps: HashMap<(usize, u64), (u32, &'m Map<'m>)>,
    /// Externs by symbol.
    externs: HashMap<usize, u32>,
    /// The map of `.kconfig`.
    kconfig: Option<usize>,
}

impl Referents<'_, '_> {
    /// Gives every function its references.
    pub(crate) fn apply(&self, funcs: &mut Funcs) -> Result<()> {
        let by_place: HashMap<_, _> = (0u32..)
            .zip(self.maps)
            .flat_map(|(i, m)| {
                let arena = m.arena.map(|section| ((section, 0), (i, m)));
                [Some(((m.section, m.offset), (i, m))), arena]
            })
            .flatten()
            .collect();
        let externs = (0u32..).zip(self.externs).map(|(i, e)| (e.symbol, i));
        let found = Found {
            maps: by_place,
            externs: externs.collect(),
            kconfig: self.maps.iter().position(Map::is_kconfig),
        };
        // Sections do not overlap, so that each record is met once.
        for (rel_section, target) in self.elf.relocation_sections() {
            let Some(section) = self.elf.sections.get(target) else {
                let what = "relocates a section that does not exist";
                return Err(LowerError::new(what).section(rel_section.name));
            };
            if !section.exec {
                // BTF and debug information, whose in-place values are right already;
                // declared maps, whose slots are filled elsewhere; and variables, which
                // keep what the compiler wrote: nothing lives at an address before it is
                // loaded. libbpf has it so, and objects that are fine with that (udev-hid-bpf
                // has tables of its programs, for itself).
                continue;
            }
            for (i, rel) in rel_section.rels().enumerate() {
                let wrong = |e: LowerError| e.section(rel_section.name).at(16 * i as u64);
                let symbol = self.elf.symbols.get(rel.symbol);
                let symbol =
                    symbol.ok_or_else(|| wrong(LowerError::new("symbol does not exist")))?;
                self.relocate(funcs, (target, section), &rel, symbol, &found)
                    .map_err(|e| wrong(e).symbol(self.elf.symbol_name(symbol)))?;
            }
        }
        unrelocated_calls(funcs)
    }

    fn relocate(
        &self,
        funcs: &mut Funcs,
        (index, section): (usize, &Section),
        rel: &Rel,
        symbol: &Symbol,
        found: &Found<'_>,
    ) -> Result<()> {
        if !rel.offset.is_multiple_of(8) || rel.offset >= section.data.len() as u64 {
            return Err(LowerError::new("relocation of no instruction"));
        }
        let insn = (rel.offset / 8) as u32;
        // Code without a function is what a static link overrode.
        let Some(holder) = funcs.find(index, insn) else {
            return Ok(());
        };
        let Some(func) = funcs.0.get(holder) else {
            return Ok(());
        };
        let insn = insn - func.start;
        let pair = func.insns.get(insn as usize..).unwrap_or_default();
        let (reference, patched) = match pair {
            [call, ..] if call.is_call() && rel.kind == R_BPF_64_32 => {
                let (reference, call) = self.call(funcs, *call, (rel.symbol, symbol), found)?;
                (reference, vec![call])
            }
            [first, second, ..]
                if first.is_ld_imm64() && rel.kind == R_BPF_64_64 && second.code == 0 =>
            {
                self.load(funcs, [*first, *second], (rel.symbol, symbol), found)?
            }
            _ => {
                let what = format!(
                    "unsupported relocation type {} of this instruction",
                    rel.kind.0
                );
                return Err(LowerError::new(what));
            }
        };
        if let Some(func) = funcs.0.get_mut(holder) {
            func.references.push((insn, reference));
            let places = func.insns.iter_mut().skip(insn as usize);
            places.zip(patched).for_each(|(place, new)| *place = new);
        }
        Ok(())
    }

    /// Undefined symbols are externs, or nothing that BTF knows.
    fn find_extern(&self, symbol: usize, found: &Found<'_>) -> Result<(u32, &Extern<'_>)> {
        let index = found.externs.get(&symbol);
        index
            .and_then(|index| Some((*index, self.externs.get(*index as usize)?)))
            .ok_or_else(|| LowerError::new("relocation against an unknown symbol"))
    }

    /// What a call calls, and the instruction for it.
    fn call(
        &self,
        funcs: &Funcs,
        mut call: Insn,
        (index, symbol): (usize, &Symbol),
        found: &Found<'_>,
    ) -> Result<(Reference, Insn)> {
        if symbol.undefined {
            let (i, ksym) = self.find_extern(index, found)?;
            if !matches!(
                ksym.what,
                What::Ksym {
                    kind: kind::FUNC,
                    ..
                }
            ) {
                return Err(LowerError::new("call of a variable"));
            }
            // Clang writes a call of a sub-program at -1: it cannot know better.
            (call.src, call.off, call.imm) = (pseudo::KFUNC_CALL, 0, 0);
            return Ok((Reference::ExternCall(i), call));
        }
        if !call.is_subprog_call() {
            return Err(LowerError::new("relocation of a call of a helper"));
        }
        // Static functions are section plus imm, global ones have -1 there.
        let target = (symbol.value / 8) as i64 + i64::from(call.imm) + 1;
        let callee = self.text(symbol).and_then(|t| funcs.subprog(t, target));
        let what = "call of something that is no function in .text";
        let callee = callee.ok_or_else(|| LowerError::new(what))?;
        Ok((Reference::Call(callee), call))
    }

    /// The section of a symbol, if sub-programs live there.
    fn text(&self, symbol: &Symbol) -> Option<usize> {
        let index = symbol.section?;
        (self.elf.sections.get(index)?.name == TEXT).then_some(index)
    }

    /// What an `ld_imm64` loads, and the instruction for it.
    fn load(
        &self,
        funcs: &Funcs,
        [mut first, mut second]: [Insn; 2],
        (index, symbol): (usize, &Symbol),
        found: &Found<'_>,
    ) -> Result<(Reference, Vec<Insn>)> {
        // Static things are the section's symbol plus imm, global ones are symbols.
        let addend = i64::from(first.imm);
        let offset = (symbol.value as i64).checked_add(addend);
        let offset = offset.ok_or_else(|| LowerError::new("address overflows"))?;
        (first.imm, second.imm) = (0, 0);
        let reference = if symbol.undefined {
            let (i, ext) = self.find_extern(index, found)?;
            match &ext.what {
                What::Kconfig(kconfig) => {
                    first.src = pseudo::MAP_VALUE;
                    second.imm = kconfig.offset as i32;
                    Reference::Map(found.kconfig.unwrap_or(usize::MAX) as u32)
                }
                What::Ksym { type_id: 0, .. } => {
                    first.src = 0;
                    Reference::Address(i)
                }
                What::Ksym { .. } => {
                    first.src = 0;
                    Reference::ExternLd64(i)
                }
            }
        } else if let Some(text) = self.text(symbol)
            && (symbol.kind == STT_FUNC || symbol.bind == STB_LOCAL && symbol.kind == STT_SECTION)
        {
            // Clang leaves 0: a plain number, which the verifier would take.
            first.src = pseudo::FUNC;
            let callee = Some(offset).filter(|o| o % 8 == 0);
            let callee = callee.and_then(|o| funcs.subprog(text, o / 8));
            let what = "address of something that is no function in .text";
            Reference::FuncAddress(callee.ok_or_else(|| LowerError::new(what))?)
        } else {
            let section = symbol.section;
            let section = section.ok_or_else(|| LowerError::new("address of no section"))?;
            // Variables lie in the map that begins with their section.
            let maps = [0, offset as u64].map(|offset| found.maps.get(&(section, offset)));
            match maps.into() {
                (Some((i, map)), _) if map.variables || map.arena == Some(section) => {
                    first.src = pseudo::MAP_VALUE;
                    second.imm = offset as u32 as i32;
                    if u32::try_from(offset).is_err() {
                        return Err(LowerError::new("address outside of its section"));
                    }
                    Reference::Map(*i)
                }
                (_, Some((i, _))) => {
                    first.src = pseudo::MAP_FD;
                    Reference::Map(*i)
                }
                _ if self
                    .elf
                    .sections
                    .get(section)
                    .is_some_and(|s| s.name == JUMP_TABLES) =>
                {
                    return Err(LowerError::new("unsupported jump table (Linux 6.19)"));
                }
                _ => return Err(LowerError::new("address of something that is in no map")),
            }
        };
        Ok((reference, vec![first, second]))
    }
}

/// Calls within `.text` need no relocation record: `imm` is right as it is.
/// Also puts the references in order and refuses two for one instruction.
fn unrelocated_calls(funcs: &mut Funcs) -> Result<()> {
    for index in 0..funcs.0.len() {
        let Some(func) = funcs.0.get(index) else {
            break;
        };
        let mut references = func.references.clone();
        references.sort_by_key(|(insn, _)| *insn);
        for pair in references.windows(2) {
            if let [(a, _), (b, _)] = pair
                && a == b
            {
                let what = "two relocations of one instruction";
                return Err(func.locate(*b, LowerError::new(what)));
            }
        }
        // The second word of an ld_imm64 is no call: its code is 0.
        let mut added = Vec::new();
        for (i, insn) in (0u32..).zip(&func.insns) {
            let known = references
                .binary_search_by_key(&i, |(insn, _)| *insn)
                .is_ok();
            if !insn.is_subprog_call() || known {
                continue;
            }
            let target = i64::from(func.start) + i64::from(i) + i64::from(insn.imm) + 1;
            let callee = funcs.subprog(func.section, target);
            let what = "call of something that is no function in .text";
            let callee = callee.ok_or_else(|| func.locate(i, LowerError::new(what)))?;
            added.push((i, Reference::Call(callee)));
        }
        references.extend(added);
        references.sort_by_key(|(insn, _)| *insn);
        if let Some(func) = funcs.0.get_mut(index) {
            func.references = references;
        }
    }
    Ok(())
}
