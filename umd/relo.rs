// SPDX-License-Identifier: MIT OR Apache-2.0
//! Relocation alone: what a load does to the instructions of programs, for BTF of
//! any kernel and without a kernel. Maps and ksyms have no fds and ids here: where a
//! map's fd would stand is -1, and ksyms are as if they were missing.

use core::cell::Cell;

use preload_image::{Image, Str, need};

use crate::arena::Arena;
use crate::core_match::Pair;
use crate::core_relo::{Core, Foreign, RuledOut};
use crate::error::{Error, Failed};
use crate::exec::{self, RULED_OUT};
use crate::insn::{CorePatch, PatchError, is_poisoned};
use crate::load::Load;
use crate::modules::{self, Modules};
use crate::prog::Relocator;
use crate::targets::{self, Search};

/// What a CO-RE relocation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instruction gets this value.
    Value(u64),
    /// The kernel has no such thing: the instruction must not be reached.
    Poisoned,
    /// The field has another size than the instruction moves: it must not be reached, either.
    Misfit,
    /// There is no answer.
    Refused(PatchError),
}

/// What [`relocate`] tells, in the order of the image.
#[derive(Clone, Copy, Debug)]
pub enum Told<'t> {
    /// A CO-RE relocation of the program that is told next.
    Relo {
        /// Index of the instruction in the program.
        insn: u32,
        /// One of [`preload_image::core_kind`].
        kind: u32,
        /// In libbpf's words: `<byte_off> [8] struct bpf_link.type (0:1 @ offset 4)`.
        text: &'t [u8],
        /// What it comes to.
        outcome: Outcome,
    },
    /// A program, all of it relocated.
    Prog {
        /// Its name.
        name: &'t [u8],
        /// Its instructions.
        insns: &'t [u64],
    },
}

/// Relocates all programs of an image for a kernel with this BTF, and these modules.
///
/// # Errors
/// The first relocation that a load would fail for, told in `error` as a whole
/// line; those before it, and it, have been told.
pub fn relocate<'a>(
    image: &Image<'a>,
    kernel_btf: &'a [u8],
    modules: Option<&dyn Modules>,
    search: Search,
    arena: &mut Arena<'a>,
    error: &mut Error,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<(), Failed> {
    let mut load = Load {
        sys: &(),
        image: *image,
        arena,
        error,
    };
    let relocated = run(&mut load, kernel_btf, modules, search, tell);
    relocated.map_err(|failed| {
        error.tell(failed);
        Failed::TOLD
    })
}

fn run<'a>(
    load: &mut Load<'a, '_, ()>,
    kernel_btf: &'a [u8],
    modules: Option<&dyn Modules>,
    search: Search,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<(), Failed> {
    let image = load.image;
    load.begin("read object", image.object().name);
    let local = exec::read_object(load)?;
    load.begin("read kernel BTF", Str::default());
    let found = targets::find(&image, kernel_btf, search, load.arena);
    let (kernel, mut targets) = found.ok_or(Failed::NO_MEMORY)?;
    load.error.check(&kernel)?;
    let mut in_modules = None;
    if let Some(modules) = modules {
        let found = modules::find(
            &image,
            modules,
            kernel_btf,
            &mut targets,
            search,
            load.arena,
        );
        in_modules = Some(found.ok_or(Failed::NO_MEMORY)?);
    }
    let table = load.arena.alloc(RULED_OUT).ok_or(Failed::NO_MEMORY)?;
    let ruled_out_len = Cell::new(0);
    let foreign = Foreign {
        ruled_out: RuledOut::new(table, &ruled_out_len),
        modules: in_modules.as_ref().map_or(&[], |found| found),
    };
    let core = Core::<{ need::ALL }> {
        image: &image,
        pair: Pair {
            local: &local,
            kernel: &kernel,
        },
        targets: &targets,
        foreign: Some(&foreign),
    };
    let relocator = Relocator {
        core: &core,
        ksyms: &[],
        map_fds: &[],
    };
    for prog in image.progs().each() {
        let known = ruled_out_len.get();
        let relocated = relocator.relocate(load, prog);
        // Asked again, each with the candidates that it had just now.
        ruled_out_len.set(known);
        let insns = relocated.as_deref().unwrap_or_default();
        for relo in image.core_relos(prog.core_relos()).each() {
            let mut patch = CorePatch::default();
            let outcome = match core.resolve(relo, &mut patch) {
                Ok(true) if is_poisoned(insns, relo.insn()) => Outcome::Misfit,
                Ok(true) => Outcome::Value(patch.value),
                Ok(false) => Outcome::Poisoned,
                Err(why) => Outcome::Refused(why),
            };
            let mut text = Error::default();
            relocator.describe(relo, &mut text);
            tell(Told::Relo {
                insn: relo.insn(),
                kind: relo.kind(),
                text: text.line(),
                outcome,
            });
        }
        tell(Told::Prog {
            name: image.str(prog.name()),
            insns: relocated?,
        });
    }
    Ok(())
}
