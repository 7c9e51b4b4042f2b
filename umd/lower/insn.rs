// SPDX-License-Identifier: MIT OR Apache-2.0
//! One BPF instruction (`struct bpf_insn`), and the few forms that relocation knows.

/// `ld_imm64`, first of two words.
pub(crate) const LD_IMM64: u8 = 0x18;
/// `call imm`.
pub(crate) const CALL: u8 = 0x85;

/// Values of `src_reg` (`BPF_PSEUDO_*` of the uapi `linux/bpf.h`).
pub(crate) mod pseudo {
    pub(crate) const MAP_FD: u8 = 1;
    pub(crate) const MAP_VALUE: u8 = 2;
    /// Of `ld_imm64`: address of a sub-program.
    pub(crate) const FUNC: u8 = 4;
    /// Of `call`: sub-program.
    pub(crate) const CALL: u8 = 1;
    /// Of `call`: kfunc.
    pub(crate) const KFUNC_CALL: u8 = 2;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) code: u8,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    pub(crate) off: i16,
    pub(crate) imm: i32,
}

impl Insn {
    pub(crate) fn read(bytes: [u8; 8]) -> Self {
        let [code, regs, off @ .., i0, i1, i2, i3] = bytes;
        Insn {
            code,
            dst: regs & 0xf,
            src: regs >> 4,
            off: i16::from_le_bytes(off),
            imm: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }

    pub(crate) fn bytes(self) -> [u8; 8] {
        let [o0, o1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.code, self.dst | self.src << 4, o0, o1, i0, i1, i2, i3]
    }

    pub(crate) fn is_ld_imm64(self) -> bool {
        self.code == LD_IMM64
    }

    pub(crate) fn is_call(self) -> bool {
        self.code == CALL
    }

    /// Call of a sub-program, by `imm` instructions from the next one.
    pub(crate) fn is_subprog_call(self) -> bool {
        self.is_call() && self.src == pseudo::CALL
    }
}
