// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CO-RE relocation: its spec, its local value, and the instruction form.
//!
//! What can be known without a kernel is checked here, at build time: libbpf
//! finds a spec that does not fit its types, or an instruction that does not hold
//! what they say, only when it loads the object.

use preload_image::{core_flags, core_kind};

use crate::btf::{Btf, kind};
use crate::core_spec::{self, Spec, Step};
use crate::core_value::{self, Value};
use crate::error::{LowerError, Result};
use crate::insn::Insn;

const BPF_LD: u8 = 0;
const BPF_LDX: u8 = 1;
const BPF_ST: u8 = 2;
const BPF_STX: u8 = 3;
const BPF_ALU: u8 = 4;
const BPF_ALU64: u8 = 7;
const BPF_CLASS: u8 = 7;
/// Second operand is a register, not `imm`.
const BPF_X: u8 = 8;

/// Longest access string.
const MAX_ACCESS_BYTES: usize = 4096;

#[derive(Clone, Debug)]
pub(crate) struct CoreRelo {
    /// Instruction in the function; linking adds the function's place.
    pub(crate) insn: u32,
    /// One of [`core_kind`].
    pub(crate) kind: u32,
    /// Type that the spec begins at, as named in the record: a typedef stays one.
    pub(crate) root: u32,
    /// BTF string offset of the access string.
    pub(crate) access: u32,
    /// The spec; empty for kinds that are about the type itself.
    pub(crate) steps: Vec<Step>,
    /// What the instruction holds before relocation.
    pub(crate) value: u64,
    /// Offset of the field from the root, in bits.
    pub(crate) bit_offset: u32,
    /// Bytes that a load of the field reads; 0 where that has no meaning.
    pub(crate) load_size: u32,
    /// Bits of [`core_flags`].
    pub(crate) flags: u32,
}

impl CoreRelo {
    pub(crate) fn new(btf: &Btf, insn: u32, kind: u32, root: u32, access: u32) -> Result<Self> {
        // Void, which gcc asks for, has an id, and is nothing that a kernel can have.
        let missing = root == 0 && kind != core_kind::TYPE_ID_LOCAL;
        if missing || root as usize >= btf.len() || !btf.has_str(access) {
            return Err(LowerError::new("type or access string does not exist"));
        }
        // libbpf's are of at most 64 steps.
        if btf.str(access).len() > MAX_ACCESS_BYTES {
            let what = format!("access string of more than {MAX_ACCESS_BYTES} bytes");
            return Err(LowerError::new(what));
        }
        // Candidates are found by name; a local id needs none.
        if btf.name(root).is_empty() && kind != core_kind::TYPE_ID_LOCAL {
            return Err(LowerError::new("unsupported anonymous type"));
        }
        let string = btf.str(access);
        let (spec, value) = match kind {
            core_kind::FIELD_BYTE_OFFSET..=core_kind::FIELD_RSHIFT_U64 => {
                let spec = core_spec::field(btf, root, string)?;
                let value = core_value::of_field(btf, kind, &spec)?;
                (spec, value)
            }
            core_kind::ENUMVAL_EXISTS | core_kind::ENUMVAL_VALUE => {
                let spec = core_spec::enumerator(btf, root, string)?;
                let value = core_value::of_enumerator(btf, kind, &spec)?;
                (spec, value)
            }
            core_kind::TYPE_ID_LOCAL..=core_kind::TYPE_SIZE | core_kind::TYPE_MATCHES => {
                if string != b"0" {
                    return Err(LowerError::new("access string of a type is not \"0\""));
                }
                (Spec::default(), core_value::of_type(btf, kind, root)?)
            }
            _ => {
                let what = format!("unsupported relocation kind {kind}");
                return Err(LowerError::new(what));
            }
        };
        Ok(CoreRelo {
            insn,
            kind,
            root,
            access,
            steps: spec.steps,
            value: value.value,
            bit_offset: spec.bit_offset,
            load_size: value.load_size,
            flags: flags(btf, &value),
        })
    }

    /// True for the kinds whose value is a type id, which compaction changes.
    pub(crate) fn is_type_id(&self) -> bool {
        matches!(
            self.kind,
            core_kind::TYPE_ID_LOCAL | core_kind::TYPE_ID_TARGET
        )
    }

    /// Checks that the instruction can be patched and holds the local value.
    pub(crate) fn check_insn(&self, insns: &[Insn]) -> Result<()> {
        let insns = insns.get(self.insn as usize..).unwrap_or_default();
        let held = held_value(insns);
        let held = held.ok_or_else(|| LowerError::new("instruction cannot be relocated"))?;
        if self.flags & core_flags::VALIDATE != 0 && held != self.value {
            let what = format!(
                "instruction holds {held:#x}, local types give {:#x}",
                self.value
            );
            return Err(LowerError::new(what));
        }
        Ok(())
    }

    /// Writes the value of a type id into an instruction, where its relocation would.
    pub(crate) fn write_type_id(insns: &mut [Insn], at: u32, id: u32) {
        let Some([first, rest @ ..]) = insns.get_mut(at as usize..) else {
            return;
        };
        if let BPF_LDX | BPF_ST | BPF_STX = first.code & BPF_CLASS {
            // One that is too big the executor refuses.
            first.off = id as i16;
            return;
        }
        first.imm = id as i32;
        if let (true, Some(second)) = (first.is_ld_imm64(), rest.first_mut()) {
            second.imm = 0;
        }
    }
}

fn flags(btf: &Btf, value: &Value) -> u32 {
    let mut flags = 0;
    if value.exact {
        flags |= core_flags::VALIDATE;
    }
    if value.load_type != 0 && btf.ty(value.load_type).is(kind::PTR) {
        flags |= core_flags::LOCAL_PTR;
    }
    if value.load_type != 0 && core_value::is_unsigned(btf, value.load_type) {
        flags |= core_flags::LOCAL_UNSIGNED;
    }
    flags
}

/// The value in the place that a relocation of this instruction would patch, its
/// sign extended as in libbpf's comparison; `None` for other instructions.
fn held_value(insns: &[Insn]) -> Option<u64> {
    let first = insns.first()?;
    match first.code & BPF_CLASS {
        BPF_ALU | BPF_ALU64 if first.code & BPF_X == 0 => Some(i64::from(first.imm) as u64),
        BPF_LDX | BPF_ST | BPF_STX => Some(i64::from(first.off) as u64),
        BPF_LD => {
            let second = insns.get(1)?;
            let plain = |i: &Insn| i.src == 0 && i.off == 0;
            let pair = first.is_ld_imm64() && plain(first) && plain(second);
            let value = u64::from(first.imm as u32) | u64::from(second.imm as u32) << 32;
            (pair && second.code == 0 && second.dst == 0).then_some(value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_id_is_written_where_no_relocation_looks() {
        let insn = |code| Insn {
            code,
            ..Insn::default()
        };
        // w1 = imm; r1 = *(u32 *)(r0 + off); r1 = imm64.
        let mut insns = [insn(0xb4), insn(0x61), insn(0x18), insn(0)];
        (0..3).for_each(|at| CoreRelo::write_type_id(&mut insns, at, 7));
        let held = |at: usize| held_value(insns.get(at..).unwrap_or_default());
        assert_eq!([0, 1, 2].map(held), [Some(7); 3]);
    }
}
