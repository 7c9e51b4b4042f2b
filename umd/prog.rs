// SPDX-License-Identifier: MIT OR Apache-2.0
//! One program: its instructions relocated for this kernel, its load, and what
//! the verifier has against it.

use preload_image::{CoreRelo, Prog, Relo, core_kind, relo_kind};

use crate::arena::Arena;
use crate::btf::kind;
use crate::core_relo::Core;
use crate::error::{Error, Failed};
use crate::insn::{self, POISON_CORE, POISON_KFUNC, PatchError};
use crate::load::Load;
use crate::sys::attr::ProgLoad;
use crate::sys::bpf::{self, ProgBytes};
use crate::sys::pod::values_of_mut;
use crate::sys::{Errno, Sys};
use crate::verifier_log;

/// Size of the first buffer for the verifier's log; it grows by 4 up to all the arena.
const LOG_BYTES: usize = 64 << 10;

const STEP_LOAD: &str = "load prog";

/// What a program's relocations refer to.
#[derive(Clone, Copy, Debug)]
pub struct Relocator<'x> {
    /// CO-RE, and with it the image.
    pub core: &'x Core<'x>,
    /// BTF id of each extern in the kernel; 0: missing.
    pub ksyms: &'x [u32],
    /// Fds of the maps.
    pub map_fds: &'x [i32],
}

impl Relocator<'_> {
    /// The instructions of a program as this kernel is to see them.
    ///
    /// # Errors
    /// The relocation that could not be made.
    #[inline(never)]
    pub fn relocate<'a, S>(
        &self,
        load: &mut Load<'a, '_, S>,
        prog: &Prog,
    ) -> Result<&'a mut [u64], Failed> {
        const STEP: &str = "relocate prog";
        let (words, _) = load.image.insns(prog).as_chunks();
        let Some(insns) = load.arena.alloc::<u64>(words.len()) else {
            return Err(load.out_of_memory(STEP, prog.name));
        };
        for (insn, word) in insns.iter_mut().zip(words) {
            *insn = u64::from_le_bytes(*word);
        }
        let name = load.image.str(prog.name);
        for relo in load.image.core_relos(prog).iter() {
            let patched = match self.core.resolve(&relo) {
                Ok(Some(patch)) => insn::patch_core(insns, relo.insn, &patch),
                Ok(None) => insn::poison(insns, relo.insn),
                Err(why) => Err(why),
            };
            load.error.check(STEP, name, self.core.check())?;
            if let Err(why) = patched {
                self.describe(&relo, load.error.begin(STEP, name));
                load.error.put(b": ").put(why.text());
                return Err(Failed);
            }
        }
        for relo in load.image.relos(prog).iter() {
            if let Err(why) = self.patch(insns, &relo) {
                load.error
                    .begin(STEP, name)
                    .put(b"insn ")
                    .put_dec(relo.insn);
                load.error.put(b": ").put(why.text());
                return Err(Failed);
            }
        }
        Ok(insns)
    }

    /// Makes a relocation of a map or a ksym.
    fn patch(&self, insns: &mut [u64], relo: &Relo) -> Result<(), PatchError> {
        let index = relo.index as usize;
        let id = self.ksyms.get(index).copied().unwrap_or(0);
        match relo.kind {
            relo_kind::MAP => {
                let fd = self.map_fds.get(index).copied().unwrap_or(-1);
                insn::set_map_fd(insns, relo.insn, fd)
            }
            relo_kind::EXTERN_LD64 => insn::set_btf_id(insns, relo.insn, id),
            _ => insn::set_kfunc(insns, relo.insn, id, relo.index),
        }
    }

    /// A CO-RE relocation in libbpf's words: `<byte_off> [8] struct bpf_link.type (0:1 @ offset 4)`.
    #[inline(never)]
    fn describe(&self, relo: &CoreRelo, text: &mut Error) {
        let (image, local) = (self.core.image, self.core.pair.local);
        text.put(b"<").put(kind_name(relo.kind)).put(b"> [");
        text.put_dec(relo.type_id).put(b"] ");
        let root = local.type_by_id(relo.type_id);
        text.put(match root.kind() {
            kind::STRUCT => b"struct ".as_slice(),
            kind::UNION => b"union ",
            kind::ENUM | kind::ENUM64 => b"enum ",
            kind::TYPEDEF => b"typedef ",
            _ => b"",
        });
        text.put(local.name(root));
        let enumerator = matches!(
            relo.kind,
            core_kind::ENUMVAL_EXISTS | core_kind::ENUMVAL_VALUE
        );
        for (step, accessor) in image.accessors(relo).iter().enumerate() {
            let name = image.str(accessor.name);
            if enumerator {
                text.put(b"::").put(name);
            } else if !name.is_empty() {
                text.put(b".").put(name);
            } else if step > 0 || accessor.index > 0 {
                text.put(b"[").put_dec(accessor.index).put(b"]");
            }
        }
        if relo.kind <= core_kind::FIELD_RSHIFT_U64 {
            text.put(b" (").put(image.str(relo.access_str));
            text.put(b" @ offset ").put_dec(relo.local_bit_offset / 8);
            if !relo.local_bit_offset.is_multiple_of(8) {
                text.put(b".").put_dec(relo.local_bit_offset % 8);
            }
            text.put(b")");
        }
    }

    /// `BPF_PROG_LOAD`: the fd. If it fails, once more with a log.
    ///
    /// # Errors
    /// What the kernel said, with the verifier's last line, or what is known
    /// of the instruction that it stopped at.
    #[inline(never)]
    pub fn load<S: Sys>(
        &self,
        load: &mut Load<'_, '_, S>,
        prog: &Prog,
        insns: &[u64],
        btf_fd: i32,
    ) -> Result<i32, Failed> {
        let image = load.image;
        let mut attr = ProgLoad {
            prog_type: prog.prog_type,
            prog_flags: prog.prog_flags,
            expected_attach_type: prog.attach_type,
            prog_btf_fd: btf_fd as u32,
            ..ProgLoad::default()
        };
        if let Some(target) = prog.attach_target.checked_sub(1) {
            let Some(id) = self.core.targets.candidates(target).next() else {
                let target = image.targets().get(target).unwrap_or_default();
                let error = load.error.begin(STEP_LOAD, image.str(prog.name));
                error
                    .put(image.str(target.name))
                    .put(b" is not in kernel BTF");
                return Err(Failed);
            };
            attr.attach_btf_id = id;
        }
        let bytes = ProgBytes {
            insns,
            func_info: image.func_info(prog),
            line_info: image.line_info(prog),
            license: image.c_str(image.object().license),
            name: image.str(prog.name),
        };
        let first = match bpf::prog_load(load.sys, attr, &bytes, &mut []) {
            Err(errno) => errno,
            Ok(fd) => return Ok(fd),
        };
        let rest = load.arena.rest();
        let most = size_of_val(rest);
        let mut len = LOG_BYTES.min(most);
        let errno = loop {
            let buffer = values_of_mut(rest).get_mut(..len).unwrap_or_default();
            match bpf::prog_load(load.sys, attr, &bytes, buffer) {
                Ok(fd) => {
                    // Nothing to complain about this time; the next program needs memory, too.
                    *load.arena = Arena::new(rest);
                    return Ok(fd);
                }
                Err(Errno(libc::ENOSPC)) if len < most => len = most.min(4 * len),
                // The log did not fit, which is not why the program was refused.
                Err(Errno(libc::ENOSPC)) => break first,
                Err(errno) => break errno,
            }
        };
        let failed = load.refused(STEP_LOAD, prog.name, errno);
        self.verdict(prog, values_of_mut(rest), load.error);
        Err(failed)
    }

    /// Says why the verifier refused a program, and how many lines of its log that leaves out.
    fn verdict(&self, prog: &Prog, log: &[u8], text: &mut Error) {
        const OMITTED: &[u8] = b" lines omitted)";
        let verdict = verifier_log::read(log);
        let image = self.core.image;
        if verdict.line.is_empty() {
            return;
        }
        text.put(b": ");
        let unknown = verdict.unknown.unwrap_or(0);
        if unknown == POISON_CORE {
            let relo = image
                .core_relos(prog)
                .iter()
                .find(|r| r.insn == verdict.insn);
            self.describe(&relo.unwrap_or_default(), text);
        } else if let Some(ksym) = unknown.checked_sub(POISON_KFUNC) {
            let ksym = image.externs().get(ksym).unwrap_or_default();
            text.put(b"kfunc ").put(image.str(ksym.name));
        } else {
            // The room that " (4294967295 lines omitted)" may take.
            text.put_before(verdict.line, OMITTED.len() + 12);
        }
        if unknown != 0 {
            text.put(b" is not in this kernel");
        }
        if verdict.omitted > 0 {
            text.put(b" (").put_dec(verdict.omitted).put(OMITTED);
        }
    }
}

/// Name of a relocation kind, as libbpf prints it.
fn kind_name(kind: u32) -> &'static [u8] {
    match kind {
        core_kind::FIELD_BYTE_OFFSET => b"byte_off",
        core_kind::FIELD_BYTE_SIZE => b"byte_sz",
        core_kind::FIELD_EXISTS => b"field_exists",
        core_kind::FIELD_SIGNED => b"signed",
        core_kind::FIELD_LSHIFT_U64 => b"lshift_u64",
        core_kind::FIELD_RSHIFT_U64 => b"rshift_u64",
        core_kind::TYPE_ID_LOCAL => b"local_type_id",
        core_kind::TYPE_ID_TARGET => b"target_type_id",
        core_kind::TYPE_EXISTS => b"type_exists",
        core_kind::TYPE_SIZE => b"type_size",
        core_kind::ENUMVAL_EXISTS => b"enumval_exists",
        core_kind::ENUMVAL_VALUE => b"enumval_value",
        core_kind::TYPE_MATCHES => b"type_matches",
        _ => b"unknown",
    }
}
