// SPDX-License-Identifier: MIT OR Apache-2.0
//! One BPF instruction as the `u64` that it is in memory, and the patches that
//! relocation makes.

/// `BPF_PSEUDO_*` in `src_reg` of an instruction.
pub mod pseudo {
    #![expect(
        missing_docs,
        reason = "names and meaning are those of the uapi linux/bpf.h"
    )]
    pub const BTF_ID: u8 = 3;
    pub const KFUNC_CALL: u8 = 2;
}

/// `imm` of the call that stands where a CO-RE relocation failed; libbpf's value.
pub const POISON_CORE: u32 = 0x0bad_2310;
/// `imm` of the call to missing kfunc n is this plus n; libbpf's value.
pub const POISON_KFUNC: u32 = 2_000_000_000;

const CLASS: u8 = 0x07;
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const ALU64: u8 = 0x07;
const SIZE: u8 = 0x18;
const SRC_REG: u8 = 0x08;
const CALL: u8 = 0x85;
const LD_IMM64: u8 = 0x18;

/// Why an instruction could not be patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// Not an instruction that this relocation goes with.
    Form,
    /// It does not hold the value that the local types give.
    Value,
    /// The new value does not fit.
    Range,
    /// Candidates in the kernel give different values.
    Ambiguous,
}

impl PatchError {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static [u8] {
        match self {
            PatchError::Form => b"unexpected instruction",
            PatchError::Value => b"unexpected value",
            PatchError::Range => b"value too big",
            PatchError::Ambiguous => b"ambiguous",
        }
    }
}

/// Code, registers, offset and immediate of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// Opcode.
    pub code: u8,
    /// `dst_reg` in the low, `src_reg` in the high four bits.
    pub regs: u8,
    /// Signed offset.
    pub off: i16,
    /// Signed immediate.
    pub imm: i32,
}

impl Insn {
    /// From memory.
    #[must_use]
    pub fn get(word: u64) -> Self {
        let [code, regs, o0, o1, i0, i1, i2, i3] = word.to_le_bytes();
        Insn {
            code,
            regs,
            off: i16::from_le_bytes([o0, o1]),
            imm: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }

    /// To memory.
    #[must_use]
    pub fn word(self) -> u64 {
        let [o0, o1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        u64::from_le_bytes([self.code, self.regs, o0, o1, i0, i1, i2, i3])
    }

    /// A call of something that does not exist: dead code may hold it.
    #[must_use]
    pub fn poison(imm: u32) -> Self {
        Insn {
            code: CALL,
            regs: 0,
            off: 0,
            imm: imm as i32,
        }
    }

    fn set_src(&mut self, src: u8) {
        self.regs = self.regs & 0x0f | src << 4;
    }
}

/// The instruction at `index` and, for `ld_imm64`, its second half.
fn at(insns: &mut [u64], index: u32) -> Option<(&mut u64, Option<&mut u64>)> {
    let (first, rest) = insns.get_mut(index as usize..)?.split_first_mut()?;
    Some((first, rest.first_mut()))
}

/// `ld_imm64` of a map: the fd. `src_reg` and the offset stand there already.
///
/// # Errors
/// [`PatchError::Form`] if it is another instruction.
pub fn set_map_fd(insns: &mut [u64], index: u32, fd: i32) -> Result<(), PatchError> {
    let (first, _) = ld_imm64(insns, index)?;
    let mut insn = Insn::get(*first);
    insn.imm = fd;
    *first = insn.word();
    Ok(())
}

/// `ld_imm64` of a ksym: its BTF id, or the address 0 if that is 0.
///
/// # Errors
/// [`PatchError::Form`] if it is another instruction.
pub fn set_btf_id(insns: &mut [u64], index: u32, id: u32) -> Result<(), PatchError> {
    let (first, second) = ld_imm64(insns, index)?;
    let mut insn = Insn::get(*first);
    insn.set_src(if id == 0 { 0 } else { pseudo::BTF_ID });
    insn.imm = id as i32;
    (*first, *second) = (insn.word(), 0);
    Ok(())
}

/// Both halves of an `ld_imm64`.
fn ld_imm64(insns: &mut [u64], index: u32) -> Result<(&mut u64, &mut u64), PatchError> {
    match at(insns, index) {
        Some((first, Some(second))) if *first as u8 == LD_IMM64 => Ok((first, second)),
        _ => Err(PatchError::Form),
    }
}

/// Call of a kfunc: its BTF id, or poison with the index of the extern if that is 0.
///
/// # Errors
/// [`PatchError::Form`] if it is no call.
pub fn set_kfunc(insns: &mut [u64], index: u32, id: u32, ksym: u32) -> Result<(), PatchError> {
    let (word, _) = at(insns, index).ok_or(PatchError::Form)?;
    let mut insn = Insn::get(*word);
    if insn.code != CALL {
        return Err(PatchError::Form);
    }
    if id == 0 {
        insn = Insn::poison(POISON_KFUNC.wrapping_add(ksym));
    } else {
        insn.set_src(pseudo::KFUNC_CALL);
        insn.off = 0;
        insn.imm = id as i32;
    }
    *word = insn.word();
    Ok(())
}

/// Poisons the instruction at `index`, both halves of an `ld_imm64`.
///
/// # Errors
/// [`PatchError::Form`] if there is none.
pub fn poison(insns: &mut [u64], index: u32) -> Result<(), PatchError> {
    let poison = Insn::poison(POISON_CORE).word();
    let (first, second) = at(insns, index).ok_or(PatchError::Form)?;
    if *first as u8 == LD_IMM64
        && let Some(second) = second
    {
        *second = poison;
    }
    *first = poison;
    Ok(())
}

/// What a CO-RE relocation does to its instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorePatch {
    /// The value that the instruction must hold, if that is known for sure.
    pub expected: Option<u64>,
    /// The value that it gets.
    pub value: u64,
    /// Bytes that a load or store of the field moves, local and target; 0: not known.
    pub sizes: (u32, u32),
    /// Whether those may differ: pointers and unsigned integers only.
    pub resizable: bool,
}

/// Patches the instruction at `index`; poisons a load or store of another size
/// that may not be resized, as libbpf does.
///
/// # Errors
/// If the instruction is not of a kind to be patched, holds another value than
/// expected, or cannot hold the new one.
pub fn patch_core(insns: &mut [u64], index: u32, patch: &CorePatch) -> Result<(), PatchError> {
    let (first, second) = at(insns, index).ok_or(PatchError::Form)?;
    let mut insn = Insn::get(*first);
    let check = |holds: u64| match patch.expected {
        Some(expected) if expected != holds => Err(PatchError::Value),
        _ => Ok(()),
    };
    // An immediate or offset counts sign-extended, as libbpf compares it.
    match insn.code & CLASS {
        ALU | ALU64 if insn.code & SRC_REG == 0 => {
            check(i64::from(insn.imm) as u64)?;
            insn.imm = patch.value as i32;
        }
        class @ (LDX | ST | STX) => {
            check(i64::from(insn.off) as u64)?;
            insn.off = i16::try_from(patch.value).map_err(|_| PatchError::Range)?;
            let (local, target) = patch.sizes;
            if local != target {
                if !patch.resizable {
                    return poison(insns, index);
                }
                if size_code(local) != Some(insn.code & SIZE) {
                    return Err(PatchError::Form);
                }
                let size = size_code(target).ok_or(PatchError::Form)?;
                insn.code = insn.code & !(SIZE | CLASS) | size | class;
            }
        }
        LD => {
            let second = second.ok_or(PatchError::Form)?;
            let mut high = Insn::get(*second);
            let plain = insn.code == LD_IMM64 && insn.regs >> 4 == 0 && insn.off == 0;
            if !plain || high.code != 0 || high.regs != 0 || high.off != 0 {
                return Err(PatchError::Form);
            }
            check(u64::from(insn.imm as u32) | u64::from(high.imm as u32) << 32)?;
            insn.imm = patch.value as i32;
            high.imm = (patch.value >> 32) as i32;
            *second = high.word();
        }
        _ => return Err(PatchError::Form),
    }
    *first = insn.word();
    Ok(())
}

/// `BPF_SIZE` of a load of so many bytes.
fn size_code(bytes: u32) -> Option<u8> {
    match bytes {
        4 => Some(0x00),
        2 => Some(0x08),
        1 => Some(0x10),
        8 => Some(0x18),
        _ => None,
    }
}
