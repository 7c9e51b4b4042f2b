// SPDX-License-Identifier: MIT OR Apache-2.0
//! A CO-RE pair by choice of bytes: types as an object declares them, a kernel's
//! version of them, and relocations. Both BTFs are sound; the kernel's types are
//! the local ones with changes, so that names meet.
//!
//! Left out is what libbpf (1.7) makes something else of for no good reason: bit-fields
//! of what is no integer, of size 0 (it divides by that), and numbers in access
//! strings that are negative or beyond an int (it takes them modulo 2^32).

use arbitrary::{Result, Unstructured};

use crate::btf_builder as kind;
use crate::elf::{self, CoreRelo};
use crate::types::{Type, a_type, change, count, write};

/// An access string: mostly one that fits the type.
fn access(u: &mut Unstructured<'_>, types: &[Type], kind: u32, root: u32) -> Result<String> {
    if u.ratio(1, 24)? {
        return Ok(u
            .choose(&["", "0:", ":", "0:9", "x", "0:0:0:0:0:0"])?
            .to_string());
    }
    let skipped = |mut number: u32| loop {
        match number.checked_sub(1).map(|index| &types[index as usize]) {
            Some(Type::Mod(_, to) | Type::Typedef(_, to)) => number = *to,
            other => return other,
        }
    };
    if kind > 5 {
        let values = match skipped(root) {
            Some(Type::Enum { values, .. }) if kind > 9 => values.len(),
            Some(Type::Enum64 { values, .. }) if kind > 9 => values.len(),
            _ => 1,
        };
        return Ok(u.int_in_range(0..=values.max(1) - 1)?.to_string());
    }
    let mut text = u.choose(&["0", "0", "0", "1", "3"])?.to_string();
    let mut at = root;
    for _ in 0..8 {
        let (index, to) = match skipped(at) {
            Some(Type::Composite { members, .. }) if !members.is_empty() => {
                let index = u.int_in_range(0..=members.len() as u32 - 1)?;
                (index, members[index as usize].1)
            }
            Some(Type::Array(of, n)) => (count(u, *n)?, *of),
            _ => break,
        };
        text = format!("{text}:{index}");
        at = to;
        if u.ratio(1, 4)? {
            break;
        }
    }
    Ok(text)
}

/// The code of a load, a store, or another instruction that a relocation may be of:
/// `{code, register}`, and whether a second slot follows.
const FORMS: [(u8, u8, bool); 14] = [
    (0xb7, 1, false),    // r1 = imm
    (0x07, 1, false),    // r1 += imm
    (0xb4, 1, false),    // w1 = imm
    (0x61, 0x11, false), // r1 = *(u32 *)(r1 + off)
    (0x69, 0x11, false),
    (0x71, 0x11, false),
    (0x79, 0x11, false),
    (0x81, 0x11, false), // sign-extending
    (0x63, 0x21, false), // *(u32 *)(r1 + off) = r2
    (0x7b, 0x21, false),
    (0x7a, 0x01, false), // *(u64 *)(r1 + off) = imm
    (0x18, 1, true),     // r1 = imm64
    (0xbf, 0x21, false), // r1 = r2
    (0x05, 0, false),    // goto
];

/// A relocation, and the instruction that it is of.
#[derive(Clone, Debug)]
pub(crate) struct Relo {
    /// Index of the instruction.
    pub(crate) insn: u32,
    pub(crate) kind: u32,
    /// Type id, in the local BTF.
    pub(crate) root: u32,
    /// Place of the access string in the local BTF's strings.
    pub(crate) access: u32,
}

/// An object, and a kernel to relocate it for.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) local: Vec<u8>,
    pub(crate) kernel: Vec<u8>,
    pub(crate) insns: Vec<u64>,
    pub(crate) relos: Vec<Relo>,
    section: u32,
    func: u32,
}

impl Pair {
    /// The same with these instructions.
    pub(crate) fn holding(self, insns: Vec<u64>) -> Self {
        Pair { insns, ..self }
    }

    /// The object file.
    pub(crate) fn object(&self) -> Vec<u8> {
        let relos: Vec<CoreRelo> = self
            .relos
            .iter()
            .map(|r| [8 * r.insn, r.root, r.access, r.kind])
            .collect();
        elf::object(&self.insns, &self.local, self.section, self.func, &relos)
    }
}

/// Places a value where a relocation of an instruction would.
pub(crate) fn place(insns: &mut [u64], at: u32, value: u64) {
    let Some([insn, rest @ ..]) = insns.get_mut(at as usize..) else {
        return;
    };
    match *insn as u8 & 7 {
        1..=3 => *insn = *insn & !0xffff_0000 | (value & 0xffff) << 16,
        _ => *insn = *insn & 0xffff_ffff | value << 32,
    }
    if *insn as u8 == 0x18
        && let Some(second) = rest.first_mut()
    {
        *second = value >> 32 << 32;
    }
}

/// A pair by choice.
pub(crate) fn pair(u: &mut Unstructured<'_>) -> Result<Pair> {
    let total = u.int_in_range(1..=10u32)?;
    let mut types = Vec::new();
    for number in 0..total {
        types.push(a_type(u, number, total)?);
    }
    let mut versions = Vec::new();
    for (number, t) in (0..).zip(&types) {
        let mut some = Vec::new();
        for _ in 0..*u.choose(&[1, 1, 1, 2])? {
            let mut t = t.clone();
            change(u, &mut t, number, total)?;
            some.push(t);
        }
        versions.push(some);
    }
    let kernel = write(&versions);
    let mut local = write(&types.iter().map(|t| vec![t.clone()]).collect::<Vec<_>>());
    let proto = local.proto(0, &[]);
    let func = local.raw("prog", kind::FUNC << 24 | 1, proto, &[]);
    let section = local.str("raw_tp/x");

    let (mut insns, mut relos) = (Vec::new(), Vec::new());
    for _ in 0..u.int_in_range(1..=5u32)? {
        let kind = if u.ratio(1, 40)? {
            u.arbitrary()?
        } else {
            count(u, 12)?
        };
        let root = u.int_in_range(1..=total)?;
        let access = access(u, &types, kind, root)?;
        let access = local.str(&access);
        let (code, registers, second) = *u.choose(&FORMS)?;
        relos.push(Relo {
            insn: insns.len() as u32,
            kind,
            root,
            access,
        });
        insns.push(u64::from(code) | u64::from(registers) << 8);
        if second {
            insns.push(0);
        }
    }
    insns.extend([0xb7, 0x95]);
    Ok(Pair {
        local: local.bytes(),
        kernel: kernel.bytes(),
        insns,
        relos,
        section,
        func,
    })
}
