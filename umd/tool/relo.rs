// SPDX-License-Identifier: MIT OR Apache-2.0
//! `relo FILE.o --btf FILE`: what CO-RE makes of an object for a kernel that need
//! not be the running one.

use std::fmt;
use std::path::Path;

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::error::Error;
use bpf_preload_umd::modules::Modules;
use bpf_preload_umd::relo::{Outcome, Told, relocate};
use bpf_preload_umd::targets::Search;
use preload_loader::failure::{Failure, line};
use preload_loader::{kernel, object};
use serde::Serialize;

/// The relocations of each program, or its instructions.
#[derive(Debug, Serialize)]
pub(crate) struct Relocated {
    programs: Vec<Prog>,
    #[serde(skip)]
    raw: bool,
}

#[derive(Debug, Serialize)]
struct Prog {
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relocations: Vec<Relo>,
    /// Each instruction as a number of 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    insns: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Relo {
    insn: u32,
    relocation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poisoned: Option<bool>,
    /// Why, for people.
    #[serde(skip)]
    why: &'static str,
}

impl fmt::Display for Relocated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for prog in &self.programs {
            if self.raw {
                writeln!(f, "{} {}", line(&prog.name), prog.insns.len())?;
                prog.insns
                    .iter()
                    .try_for_each(|insn| writeln!(f, "{insn}"))?;
            } else {
                writeln!(f, "{}:", line(&prog.name))?;
            }
            for relo in &prog.relocations {
                write!(f, "  insn {}: {} ", relo.insn, relo.relocation)?;
                match relo.value {
                    Some(value) => writeln!(f, "= {value}")?,
                    None => writeln!(f, "poisoned: {}", relo.why)?,
                }
            }
        }
        Ok(())
    }
}

/// Relocates an object for the kernel with the BTF in `btf`; with `base`, for the kernel
/// with the BTF in that and a module with the one in `btf`.
pub(crate) fn relo(
    file: &Path,
    btf: &Path,
    base: Option<&Path>,
    raw: bool,
) -> Result<Relocated, Failure> {
    let bytes = object::lower(file)?;
    let image = object::parse(&bytes)?;
    let bytes = object::read(base.unwrap_or(btf))?;
    let kernel = object::btf(base.unwrap_or(btf), &bytes)?;
    let module = base.map(|_| object::module_btf(btf, &object::read(btf)?, kernel));
    let module = module.transpose()?;
    let mut said = Relocated {
        programs: Vec::new(),
        raw,
    };
    let mut relocations = Vec::new();
    let mut error = Error::default();
    let mut memory = kernel::memory();
    let mut arena = Arena::new(&mut memory);
    let mut tell = |told: Told<'_>| match told {
        Told::Relo {
            insn,
            text,
            outcome,
            ..
        } => relocations.push(Relo {
            insn,
            relocation: String::from_utf8_lossy(text).into_owned(),
            value: match outcome {
                Outcome::Value(value) => Some(value),
                _ => None,
            },
            poisoned: matches!(outcome, Outcome::Poisoned | Outcome::Misfit).then_some(true),
            why: match outcome {
                Outcome::Misfit => "of another size in this BTF",
                _ => "not in this BTF",
            },
        }),
        Told::Prog { name, insns } => {
            let mut relocations = std::mem::take(&mut relocations);
            let mut lines = Vec::new();
            if raw {
                relocations.clear();
                lines.extend(insns.iter().map(|insn| format!("{insn:016x}")));
            }
            said.programs.push(Prog {
                name: String::from_utf8_lossy(name).into_owned(),
                relocations,
                insns: lines,
            });
        }
    };
    let relocated = relocate(
        &image,
        kernel,
        module.as_ref().map(|module| module as &dyn Modules),
        Search::All,
        &mut arena,
        &mut error,
        &mut tell,
    );
    relocated.map_err(|_| Failure::of(&error).within(file))?;
    Ok(said)
}
