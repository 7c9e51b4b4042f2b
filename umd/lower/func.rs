// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions of the object: programs, and in `.text` their sub-programs.
//!
//! A function is what an `STT_FUNC` symbol says it is. Everything that belongs
//! to it hangs on it, with instructions counted from its first one, so that
//! linking only has to add an offset.

use crate::core_relo::CoreRelo;
use crate::elf::{Elf, SHT_PROGBITS, STB_LOCAL, STT_FUNC};
use crate::error::{LowerError, Result};
use crate::insn::Insn;

/// Section of the sub-programs.
pub(crate) const TEXT: &str = ".text";

/// What an instruction refers to; the instruction itself is prepared already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// Sub-program called, by index into [`Funcs`].
    Call(usize),
    /// Sub-program whose address is taken.
    FuncAddress(usize),
    /// Map, or place in its value.
    Map(u32),
    /// Address of an extern.
    ExternLd64(u32),
    /// Address of an extern without a type.
    Address(u32),
    /// Call of an extern.
    ExternCall(u32),
}

pub(crate) struct Func<'a> {
    pub(crate) name: &'a str,
    /// Index of its section, and its name.
    pub(crate) section: usize,
    pub(crate) section_name: &'a str,
    /// First instruction, counted from the start of the section.
    pub(crate) start: u32,
    pub(crate) insns: Vec<Insn>,
    /// Static in ELF.
    pub(crate) local: bool,
    /// Global in ELF but hidden: static for the verifier.
    pub(crate) hidden: bool,
    /// By instruction, ascending.
    pub(crate) references: Vec<(u32, Reference)>,
    pub(crate) core_relos: Vec<CoreRelo>,
    /// Instruction and type id, ascending.
    pub(crate) func_info: Vec<(u32, u32)>,
    /// Instruction, and file name, line text, line and column, ascending.
    pub(crate) line_info: Vec<(u32, [u32; 3])>,
}

impl Func<'_> {
    pub(crate) fn is_subprog(&self) -> bool {
        self.section_name == TEXT
    }

    /// Puts the place of an instruction into an error.
    pub(crate) fn locate(&self, insn: u32, error: LowerError) -> LowerError {
        let offset = 8 * (u64::from(self.start) + u64::from(insn));
        error
            .section(self.section_name)
            .at(offset)
            .symbol(self.name)
    }
}

/// The functions, by section and place in it.
pub(crate) struct Funcs<'a>(pub(crate) Vec<Func<'a>>);

impl<'a> Funcs<'a> {
    pub(crate) fn collect(elf: &Elf<'a>) -> Result<Self> {
        let mut funcs = Vec::new();
        for symbol in elf.symbols.iter().filter(|s| s.kind == STT_FUNC) {
            let Some((index, section)) =
                symbol.section.and_then(|i| Some((i, elf.sections.get(i)?)))
            else {
                continue;
            };
            if !section.exec || section.kind != SHT_PROGBITS {
                continue;
            }
            let wrong = |what: &str| {
                LowerError::new(what)
                    .section(section.name)
                    .at(symbol.value)
                    .symbol(symbol.name)
            };
            if symbol.bind == STB_LOCAL && section.name != TEXT {
                return Err(wrong("static function outside of .text"));
            }
            if symbol.value % 8 != 0 || symbol.size % 8 != 0 || symbol.size == 0 {
                return Err(wrong("function is not made of whole instructions"));
            }
            let end = symbol.value.checked_add(symbol.size);
            let code = end.and_then(|end| section.data.get(symbol.value as usize..end as usize));
            let code = code.ok_or_else(|| wrong("function crosses the end of its section"))?;
            funcs.push(Func {
                name: symbol.name,
                section: index,
                section_name: section.name,
                start: (symbol.value / 8) as u32,
                insns: code.as_chunks().0.iter().map(|b| Insn::read(*b)).collect(),
                local: symbol.bind == STB_LOCAL,
                hidden: symbol.bind != STB_LOCAL && symbol.hidden,
                references: Vec::new(),
                core_relos: Vec::new(),
                func_info: Vec::new(),
                line_info: Vec::new(),
            });
        }
        funcs.sort_by_key(|f: &Func| (f.section, f.start));
        for pair in funcs.windows(2) {
            if let [a, b] = pair
                && a.section == b.section
                && a.start as usize + a.insns.len() > b.start as usize
            {
                return Err(b.locate(0, LowerError::new("function overlaps the one before it")));
            }
        }
        Ok(Funcs(funcs))
    }

    /// The function that holds an instruction of a section. Weak functions that
    /// a static link overrode leave code without a symbol behind: no function.
    pub(crate) fn find(&self, section: usize, insn: u32) -> Option<usize> {
        let after = self
            .0
            .partition_point(|f| (f.section, f.start) <= (section, insn));
        let index = after.checked_sub(1)?;
        let func = self.0.get(index)?;
        let inside = func.section == section && ((insn - func.start) as usize) < func.insns.len();
        inside.then_some(index)
    }

    /// The sub-program that begins at an instruction of `.text`.
    pub(crate) fn subprog(&self, text: usize, insn: i64) -> Option<usize> {
        let insn = u32::try_from(insn).ok()?;
        let index = self.find(text, insn)?;
        let func = self.0.get(index)?;
        (func.is_subprog() && func.start == insn).then_some(index)
    }
}
