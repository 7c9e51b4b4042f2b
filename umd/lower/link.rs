// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linking: a program with every sub-program that it reaches behind it, each
//! once, in the order in which libbpf comes upon them - so that the kernel
//! computes the same tag.

use std::collections::HashMap;

use crate::core_relo::CoreRelo;
use crate::error::{LowerError, Result};
use crate::func::{Func, Funcs, Reference};
use crate::insn::Insn;

/// Most instructions of a program that any kernel takes.
const MAX_PROG_INSNS: usize = 1_000_000;

/// A program with its sub-programs; everything counts from its first instruction.
#[derive(Default)]
pub(crate) struct Linked<'f> {
    pub(crate) insns: Vec<Insn>,
    /// Maps and externs; references to sub-programs are resolved.
    pub(crate) references: Vec<(u32, Reference)>,
    pub(crate) core_relos: Vec<(u32, &'f CoreRelo)>,
    pub(crate) func_info: Vec<(u32, u32)>,
    pub(crate) line_info: Vec<(u32, [u32; 3])>,
    /// First instruction of each function linked so far.
    placed: HashMap<usize, u32>,
}

/// Links the program at `index`, and what the verifier calls by itself: `callback`,
/// the program's exception callback, if it has one.
pub(crate) fn link<'f>(
    funcs: &'f Funcs,
    index: usize,
    callback: Option<usize>,
) -> Result<Linked<'f>> {
    let mut linked = Linked::default();
    let Some(main) = funcs.0.get(index) else {
        return Ok(linked);
    };
    let start = linked.append(main, index, main)?;
    linked.follow(funcs, main, start, main)?;
    // Behind all that is called, as libbpf has it.
    if let Some((index, func)) = callback.and_then(|index| Some((index, funcs.0.get(index)?)))
        && !linked.placed.contains_key(&index)
    {
        let start = linked.append(func, index, main)?;
        linked.follow(funcs, func, start, main)?;
    }
    Ok(linked)
}

impl<'f> Linked<'f> {
    /// Appends all that a function of a program leads to.
    fn follow(&mut self, funcs: &'f Funcs, func: &'f Func, start: u32, main: &Func) -> Result<()> {
        // Functions under way with their next reference: the caller waits until the
        // sub-program it has just met is through, as in a depth-first walk.
        let mut open = vec![(start, func.references.iter())];
        while let Some((start, references)) = open.last_mut() {
            let start = *start;
            let Some(&(insn, reference)) = references.next() else {
                open.pop();
                continue;
            };
            let (Reference::Call(callee) | Reference::FuncAddress(callee)) = reference else {
                continue;
            };
            let Some(target) = funcs.0.get(callee) else {
                continue;
            };
            let place = match self.placed.get(&callee) {
                Some(place) => *place,
                None => {
                    // Known before its own references are walked, so that recursion - for
                    // the verifier to refuse - ends here, too.
                    let place = self.append(target, callee, main)?;
                    open.push((place, target.references.iter()));
                    place
                }
            };
            // Relative to the next instruction, for calls and addresses alike.
            let at = start + insn;
            if let Some(insn) = self.insns.get_mut(at as usize) {
                insn.imm = place.wrapping_sub(at + 1) as i32;
            }
        }
        Ok(())
    }

    /// Appends a function with all that belongs to it.
    fn append(&mut self, func: &'f Func, index: usize, main: &Func) -> Result<u32> {
        let start = self.insns.len();
        if start + func.insns.len() > MAX_PROG_INSNS {
            let what = format!("program of more than {MAX_PROG_INSNS} instructions");
            return Err(main.locate(0, LowerError::new(what)));
        }
        let start = start as u32;
        let moved = |insn: u32| start + insn;
        self.insns.extend(&func.insns);
        self.placed.insert(index, start);
        for (insn, reference) in &func.references {
            if !matches!(reference, Reference::Call(_) | Reference::FuncAddress(_)) {
                self.references.push((moved(*insn), *reference));
            }
        }
        let relos = func.core_relos.iter();
        self.core_relos
            .extend(relos.map(|relo| (moved(relo.insn), relo)));
        // All functions of a program or none must have them, and the program decides.
        for (what, main, info) in [
            ("func_info", main.func_info.len(), func.func_info.len()),
            ("line_info", main.line_info.len(), func.line_info.len()),
        ] {
            if main != 0 && info == 0 {
                return Err(func.locate(0, LowerError::new(format!("sub-program without {what}"))));
            }
        }
        if !main.func_info.is_empty() {
            let info = func.func_info.iter();
            self.func_info
                .extend(info.map(|(insn, id)| (moved(*insn), *id)));
        }
        if !main.line_info.is_empty() {
            let info = func.line_info.iter();
            self.line_info
                .extend(info.map(|(insn, line)| (moved(*insn), *line)));
        }
        Ok(start)
    }
}
