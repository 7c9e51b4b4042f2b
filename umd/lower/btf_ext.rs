// SPDX-License-Identifier: MIT OR Apache-2.0
//! `.BTF.ext`: func_info, line_info and CO-RE records, handed to their functions.
//!
//! Records count bytes from the start of a section; from here on everything
//! counts instructions from the start of a function. Longer records than those
//! known here are newer ones: what is known of them is their beginning.

use std::collections::HashMap;

use crate::btf::{Btf, HEADER_BYTES, MAGIC, VERSION, kind, read_word};
use crate::core_relo::CoreRelo;
use crate::elf::Elf;
use crate::error::{LowerError, Result, printable};
use crate::func::Funcs;

/// Offset in the header of each part's `{offset, len}`.
const FUNC_INFO: usize = 8;
const LINE_INFO: usize = 16;
const CORE_RELO: usize = 24;
/// Length of a header that has the CO-RE part.
const HEADER_BYTES_CORE: usize = 32;

/// Gives every function its records, by instruction.
pub(crate) fn attach(bytes: &[u8], elf: &Elf, btf: &Btf, funcs: &mut Funcs) -> Result<()> {
    let wrong = |what: &str, at: u64| LowerError::new(what).at(at);
    let word =
        |at: usize| read_word(bytes, at).ok_or_else(|| wrong("header is cut off", at as u64));
    if word(0)? != u32::from(MAGIC) | u32::from(VERSION) << 16 {
        return Err(wrong("not little-endian BTF version 1 without flags", 0));
    }
    let header_len = word(4)? as usize;
    if header_len < HEADER_BYTES {
        return Err(wrong("header is too short", 4));
    }
    let ext = Ext {
        bytes,
        header_len,
        btf,
        exec: elf
            .sections
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, s)| s.exec)
            .map(|(i, s)| (s.name.as_bytes(), i))
            .collect(),
    };
    ext.records(
        FUNC_INFO,
        funcs,
        |funcs, func, insn, [type_id]: [u32; 1]| {
            if !btf.ty(type_id).is(kind::FUNC) {
                return Err(LowerError::new(format!(
                    "func_info names type [{type_id}], no function"
                )));
            }
            if let Some(f) = funcs.0.get_mut(func) {
                f.func_info.push((insn, type_id));
            }
            Ok(())
        },
    )?;
    ext.records(LINE_INFO, funcs, |funcs, func, insn, line: [u32; 3]| {
        let [file, text, _] = line;
        if !btf.has_str(file) || !btf.has_str(text) {
            return Err(LowerError::new(
                "line_info names a string that does not exist",
            ));
        }
        if let Some(f) = funcs.0.get_mut(func) {
            f.line_info.push((insn, line));
        }
        Ok(())
    })?;
    // Objects from before CO-RE end their header in front of it.
    if header_len >= HEADER_BYTES_CORE {
        ext.records(
            CORE_RELO,
            funcs,
            |funcs, func, insn, [type_id, access, kind]: [u32; 3]| {
                let Some(f) = funcs.0.get_mut(func) else {
                    return Ok(());
                };
                let relo = CoreRelo::new(btf, insn, kind, type_id, access)
                    .and_then(|relo| relo.check_insn(&f.insns).map(|()| relo))
                    .map_err(|e| {
                        let (root, access) = (btf.shown(type_id), printable(btf.str(access)));
                        f.locate(
                            insn,
                            e.about(format!("CO-RE relocation of {root} ({access})")),
                        )
                    })?;
                f.core_relos.push(relo);
                Ok(())
            },
        )?;
    }
    for func in &mut funcs.0 {
        func.func_info.sort_by_key(|(insn, _)| *insn);
        func.line_info.sort_by_key(|(insn, _)| *insn);
        func.core_relos.sort_by_key(|relo| relo.insn);
        // The kernel wants one record per instruction; linking relies on it for its limits.
        let twice = first_twice(func.func_info.iter().map(|(insn, _)| *insn))
            .or(first_twice(func.line_info.iter().map(|(insn, _)| *insn)))
            .or(first_twice(func.core_relos.iter().map(|relo| relo.insn)));
        if let Some(insn) = twice {
            return Err(func.locate(insn, LowerError::new("two .BTF.ext records of one kind")));
        }
    }
    Ok(())
}

fn first_twice(mut insns: impl Iterator<Item = u32>) -> Option<u32> {
    let mut last = insns.next()?;
    insns.find(|insn| std::mem::replace(&mut last, *insn) == *insn)
}

struct Ext<'a> {
    bytes: &'a [u8],
    header_len: usize,
    btf: &'a Btf<'a>,
    /// Sections of code by name.
    exec: HashMap<&'a [u8], usize>,
}

impl Ext<'_> {
    /// Calls `take` with each record of a part: function, instruction in it, and
    /// the `N` words that follow `insn_off`. What is behind them is not known here.
    fn records<const N: usize>(
        &self,
        part: usize,
        funcs: &mut Funcs,
        mut take: impl FnMut(&mut Funcs, usize, u32, [u32; N]) -> Result<()>,
    ) -> Result<()> {
        let cut = |at: usize| LowerError::new("records are cut off").at(at as u64);
        let word = |at: usize| read_word(self.bytes, at).ok_or_else(|| cut(at));
        let len = word(part + 4)? as usize;
        if len == 0 {
            return Ok(());
        }
        let mut at = self.header_len.saturating_add(word(part)? as usize);
        let end = at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| cut(part))?;
        // First comes the length of a record, for all sections of the part.
        let record_len = word(at)? as usize;
        if record_len < 4 + 4 * N || !record_len.is_multiple_of(4) {
            return Err(LowerError::new("records are too short").at(at as u64));
        }
        at += 4;
        while at < end {
            let name = self.btf.str(word(at)?);
            let count = word(at + 4)? as usize;
            // None: of code that somebody has taken out of the object.
            let section = self.exec.get(name).copied();
            at += 8;
            // Before the loop, which would else run to a count out of nowhere.
            let fits = count
                .checked_mul(record_len)
                .is_some_and(|len| len <= end - at.min(end));
            if !fits {
                return Err(cut(at));
            }
            let Some(section) = section else {
                at += count * record_len;
                continue;
            };
            for _ in 0..count {
                let insn_off = word(at)?;
                if insn_off % 8 != 0 {
                    return Err(LowerError::new("record of no instruction").at(at as u64));
                }
                let mut words = [0; N];
                for (i, place) in words.iter_mut().enumerate() {
                    *place = word(at + 4 + 4 * i)?;
                }
                // No function: weak code that a static link overrode.
                if let Some(index) = funcs.find(section, insn_off / 8) {
                    let start = funcs.0.get(index).map_or(0, |f| f.start);
                    take(funcs, index, insn_off / 8 - start, words).map_err(|e| e.at(at as u64))?;
                }
                at += record_len;
            }
        }
        Ok(())
    }
}
