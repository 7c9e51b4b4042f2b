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
pub const POISON_KFUNC: u32 = 2_002_000_000;

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
    /// Of a kind that there is no code for here.
    Kind,
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
            PatchError::Kind => b"unsupported",
            PatchError::Ambiguous => b"ambiguous",
        }
    }
}

/// The instruction with another immediate, its bits 32 to 63.
fn with_imm(insn: u64, imm: u32) -> u64 {
    insn & 0xffff_ffff | u64::from(imm) << 32
}

/// The instruction with another offset, its bits 16 to 31.
fn with_off(insn: u64, off: u16) -> u64 {
    insn & !0xffff_0000 | u64::from(off) << 16
}

/// The instruction with another `src_reg`, its bits 12 to 15.
fn with_src(insn: u64, src: u8) -> u64 {
    insn & !0xf000 | u64::from(src) << 12
}

/// A call of something that does not exist: dead code may hold it.
fn poisoned(imm: u32) -> u64 {
    with_imm(u64::from(CALL), imm)
}

/// An instruction with its second half, if it is an `ld_imm64`, or whatever follows it.
type Place<'i> = (&'i mut u64, Option<&'i mut u64>);

/// The instruction at `index`.
#[inline(never)]
fn at(insns: &mut [u64], index: u32) -> Option<Place<'_>> {
    let (first, rest) = insns.get_mut(index as usize..)?.split_first_mut()?;
    Some((first, rest.first_mut()))
}

/// The instruction at `index`, if it has this opcode.
fn at_code(insns: &mut [u64], index: u32, code: u8) -> Result<Place<'_>, PatchError> {
    let place = at(insns, index).filter(|(first, _)| **first as u8 == code);
    place.ok_or(PatchError::Form)
}

/// `ld_imm64` of a map: the fd. `src_reg` and the offset stand there already.
///
/// # Errors
/// [`PatchError::Form`] if it is another instruction.
pub fn set_map_fd(insns: &mut [u64], index: u32, fd: i32) -> Result<(), PatchError> {
    let (first, _) = at_code(insns, index, LD_IMM64)?;
    *first = with_imm(*first, fd as u32);
    Ok(())
}

/// `ld_imm64` of a ksym: its BTF id, or the address 0 if that is 0.
///
/// # Errors
/// [`PatchError::Form`] if it is another instruction.
pub fn set_btf_id(insns: &mut [u64], index: u32, id: u32) -> Result<(), PatchError> {
    let (first, second) = at_code(insns, index, LD_IMM64)?;
    let src = if id == 0 { 0 } else { pseudo::BTF_ID };
    *first = with_imm(with_src(*first, src), id);
    // Its second half is the last thing that is missing where it is missing.
    *second.ok_or(PatchError::Form)? = 0;
    Ok(())
}

/// `ld_imm64` of a plain number.
///
/// # Errors
/// [`PatchError::Form`] if it is another instruction.
pub fn set_value(insns: &mut [u64], index: u32, value: u64) -> Result<(), PatchError> {
    let (first, second) = at_code(insns, index, LD_IMM64)?;
    *first = with_imm(with_src(*first, 0), value as u32);
    *second.ok_or(PatchError::Form)? = with_imm(0, (value >> 32) as u32);
    Ok(())
}

/// Call of a kfunc: its BTF id, or poison with the index of the extern if that is 0.
///
/// # Errors
/// [`PatchError::Form`] if it is no call.
pub fn set_kfunc(insns: &mut [u64], index: u32, id: u32, ksym: u32) -> Result<(), PatchError> {
    let (word, _) = at_code(insns, index, CALL)?;
    *word = if id == 0 {
        poisoned(POISON_KFUNC.wrapping_add(ksym))
    } else {
        with_imm(with_src(with_off(*word, 0), pseudo::KFUNC_CALL), id)
    };
    Ok(())
}

/// Says in which of the BTFs of `fd_array` the kfunc of a call is.
///
/// # Errors
/// [`PatchError::Form`] if it is no call.
pub fn set_kfunc_btf(insns: &mut [u64], index: u32, number: u16) -> Result<(), PatchError> {
    let (word, _) = at_code(insns, index, CALL)?;
    *word = with_off(*word, number);
    Ok(())
}

/// Says in which BTF the ksym of an `ld_imm64` is.
///
/// # Errors
/// [`PatchError::Form`] if it is another instruction.
pub fn set_btf_fd(insns: &mut [u64], index: u32, fd: i32) -> Result<(), PatchError> {
    let (_, second) = at_code(insns, index, LD_IMM64)?;
    let second = second.ok_or(PatchError::Form)?;
    *second = with_imm(*second, fd as u32);
    Ok(())
}

/// Poisons the instruction at `index`, both halves of an `ld_imm64`.
///
/// # Errors
/// [`PatchError::Form`] if there is none.
pub fn poison(insns: &mut [u64], index: u32) -> Result<(), PatchError> {
    let (first, second) = at(insns, index).ok_or(PatchError::Form)?;
    if *first as u8 == LD_IMM64
        && let Some(second) = second
    {
        *second = poisoned(POISON_CORE);
    }
    *first = poisoned(POISON_CORE);
    Ok(())
}

/// Is the instruction at `index` one that a CO-RE relocation has poisoned?
#[must_use]
pub fn is_poisoned(insns: &[u64], index: u32) -> bool {
    insns.get(index as usize) == Some(&poisoned(POISON_CORE))
}

/// What a CO-RE relocation does to its instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorePatch {
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
pub fn patch_core(
    insns: &mut [u64],
    index: u32,
    expected: Option<u64>,
    patch: &CorePatch,
) -> Result<(), PatchError> {
    let (first, second) = at(insns, index).ok_or(PatchError::Form)?;
    let insn = *first;
    let code = insn as u8;
    let check = |holds: u64| match expected {
        Some(expected) if expected != holds => Err(PatchError::Value),
        _ => Ok(()),
    };
    // An immediate or offset counts sign-extended, as libbpf compares it.
    match code & CLASS {
        ALU | ALU64 if code & SRC_REG == 0 => {
            check((insn as i64 >> 32) as u64)?;
            *first = with_imm(insn, patch.value as u32);
        }
        LDX | ST | STX => {
            check(((insn as i64) << 32 >> 48) as u64)?;
            if patch.value > i16::MAX as u64 {
                return Err(PatchError::Range);
            }
            let mut resized = with_off(insn, patch.value as u16);
            let (local, target) = patch.sizes;
            if local != target {
                if !patch.resizable {
                    return poison(insns, index);
                }
                if size_code(local) != Some(code & SIZE) {
                    return Err(PatchError::Form);
                }
                let size = size_code(target).ok_or(PatchError::Form)?;
                resized = resized & !u64::from(SIZE) | u64::from(size);
            }
            *first = resized;
        }
        LD => {
            let second = second.ok_or(PatchError::Form)?;
            // Neither half has more than code, dst_reg and immediate.
            if insn as u32 & 0xffff_f0ff != u32::from(LD_IMM64) || *second as u32 != 0 {
                return Err(PatchError::Form);
            }
            check(insn >> 32 | *second)?;
            *first = with_imm(insn, patch.value as u32);
            *second = with_imm(0, (patch.value >> 32) as u32);
        }
        _ => return Err(PatchError::Form),
    }
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
