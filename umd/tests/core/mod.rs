// SPDX-License-Identifier: MIT OR Apache-2.0
//! CO-RE against kernel types made by hand. What is expected follows from those
//! types and from libbpf's rules, which the tests' comments name.
//!
//! A source here is the program's local types and, as `sum +=`, one expression
//! for each relocation; they come out in that order.

mod enums;
mod fields;
mod ksyms;
mod loads;
mod messages;
mod paths;
mod types;

use preload_image::{CoreRelo, Image, Record, Section};

use crate::btf_builder::Btf;
use crate::fake_kernel::FakeKernel;
use crate::object;

/// `imm` of the call that libbpf puts where a relocation failed.
const POISON: i32 = 0x0bad_2310;

/// An instruction of a loaded program.
#[derive(Clone, Copy, Debug)]
struct Insn {
    code: u8,
    src: u8,
    off: i16,
    imm: i32,
    /// `imm` of the next one, the upper half of an `ld_imm64`.
    next: i32,
}

impl Insn {
    fn poisoned(self) -> bool {
        self.code == 0x85 && self.src == 0 && self.imm == POISON
    }

    /// What the relocation has put there; none if that is poison.
    fn value(self) -> Option<i64> {
        match self.code & 7 {
            _ if self.poisoned() => None,
            // LD, that is ld_imm64.
            0 => Some(i64::from(self.next) << 32 | i64::from(self.imm as u32)),
            // LDX, ST and STX.
            1..=3 => Some(i64::from(self.off)),
            // ALU and ALU64.
            4 | 7 => Some(i64::from(self.imm)),
            _ => panic!("{self:?} holds no value"),
        }
    }
}

/// A program of these declarations and expressions.
fn source(types: &str, expressions: &[&str]) -> String {
    let sums: String = expressions
        .iter()
        .map(|e| format!("\tsum += {e};\n"))
        .collect();
    format!(
        "{types}\nITER int prog(struct s *s)\n{{\n\tvolatile u64 sum = 0;\n{sums}\treturn sum;\n}}\n"
    )
}

/// A kernel with iterators and these types.
fn kernel(types: impl FnOnce(&mut Btf)) -> FakeKernel {
    let mut btf = Btf::new();
    btf.iterators();
    types(&mut btf);
    FakeKernel::new(&btf.bytes())
}

/// Loads an image, and gives the instruction of each CO-RE relocation.
fn insns(image: &[u8], fake: &FakeKernel) -> Vec<Insn> {
    let loads = object::load(fake, image, || fake.loads()).unwrap();
    let image = Image::parse(image).unwrap();
    let prog = image.progs().get(0).unwrap();
    let loaded = &loads[0].insns;
    let insn = |index: usize| {
        let [code, regs, o0, o1, imm @ ..] = loaded[index];
        let off = i16::from_le_bytes([o0, o1]);
        (code, regs >> 4, off, i32::from_le_bytes(imm))
    };
    let relos = image.core_relos(prog.core_relos);
    let relocated = relos.iter().map(|relo| {
        let index = relo.insn as usize;
        let (code, src, off, imm) = insn(index);
        let next = if index + 1 < loaded.len() {
            insn(index + 1).3
        } else {
            0
        };
        Insn {
            code,
            src,
            off,
            imm,
            next,
        }
    });
    relocated.collect()
}

/// The value of each expression; none: poisoned.
fn values(
    types: &str,
    expressions: &[&str],
    kernel_types: impl FnOnce(&mut Btf),
) -> Vec<Option<i64>> {
    let image = object::image(&source(types, expressions));
    let insns = insns(&image, &kernel(kernel_types));
    assert_eq!(insns.len(), expressions.len(), "relocations");
    insns.iter().map(|insn| insn.value()).collect()
}

/// All of them values.
fn all(values: &[i64]) -> Vec<Option<i64>> {
    values.iter().copied().map(Some).collect()
}

/// The line of a load that must fail.
fn refusal(types: &str, expression: &str, kernel_types: impl FnOnce(&mut Btf)) -> String {
    let image = object::image(&source(types, &[expression]));
    object::load(&kernel(kernel_types), &image, || ()).unwrap_err()
}

/// Changes every CO-RE relocation of an image: for kinds that an old clang does
/// not know.
fn change(image: &mut [u8], change: impl Fn(&mut CoreRelo)) {
    let word = |image: &[u8], at: usize| {
        u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize
    };
    let at = 8 + 8 * Section::CoreRelos as usize;
    let (start, len) = (word(image, at), word(image, at + 4));
    for record in image[start..start + len].chunks_exact_mut(CoreRelo::BYTES) {
        let mut relo = CoreRelo::read(record);
        change(&mut relo);
        let mut bytes = Vec::new();
        relo.words(&mut |word| bytes.extend(word.to_le_bytes()));
        record.copy_from_slice(&bytes);
    }
}

/// Id of a named type in BTF.
fn id_of(btf: &[u8], name: &str) -> u32 {
    let types = crate::btf_reader::types(btf);
    1 + types.iter().position(|t| t.0 == name).unwrap() as u32
}
