// SPDX-License-Identifier: MIT OR Apache-2.0
//! One program: its instructions relocated for this kernel, its load, and what
//! the verifier has against it.

use preload_image::{CoreReloAt, ProgAt, ReloAt, core_flags, core_kind, need, relo_kind};

use crate::arena::Arena;
use crate::btf::kind;
use crate::core_relo::Core;
use crate::error::{Error, Failed, nth_word};
use crate::insn::{self, CorePatch, POISON_CORE, POISON_KFUNC, PatchError};
use crate::load::Load;
use crate::modules::{self, MODULES};
use crate::sys::attr::ProgLoad;
use crate::sys::bpf::{ProgAttr, ProgBytes};
use crate::sys::pod::values_of_mut;
use crate::sys::{Errno, Sys};
use crate::verifier_log;

/// Size of the blob's first buffer for the verifier's log; it grows by 4 up to all the arena.
const LOG_BYTES: usize = 64 << 10;

/// What a program's relocations refer to.
#[derive(Clone, Copy, Debug)]
pub struct Relocator<'x, const KINDS: u32> {
    /// CO-RE, and with it the image.
    pub core: &'x Core<'x, KINDS>,
    /// BTF id of each extern in the kernel; 0: missing.
    pub ksyms: &'x [u32],
    /// Fds of the maps.
    pub map_fds: &'x [i32],
}

impl<const KINDS: u32> Relocator<'_, KINDS> {
    /// The instructions of a program as this kernel is to see them.
    ///
    /// # Errors
    /// The relocation that could not be made.
    #[inline(never)]
    pub fn relocate<'a, S>(
        &self,
        load: &mut Load<'a, '_, S>,
        prog: ProgAt<'_>,
    ) -> Result<&'a mut [u64], Failed> {
        load.begin("relocate prog", prog.name());
        let (words, _) = load.image.insns(prog.insns()).as_chunks();
        let insns = load.arena.alloc::<u64>(words.len());
        let insns = insns.ok_or(Failed::NO_MEMORY)?;
        for (insn, word) in insns.iter_mut().zip(words) {
            *insn = u64::from_le_bytes(*word);
        }
        for relo in load.image.core_relos(prog.core_relos()).each() {
            let patched = self.patch_core(insns, relo);
            self.core.check(load.error)?;
            if let Err(why) = patched {
                self.describe(relo, load.error);
                load.error.put(b": ").put(why.text());
                return Err(Failed::TOLD);
            }
        }
        for relo in load.image.relos(prog.relos()).each() {
            if let Err(why) = self.patch(insns, relo) {
                load.error.put(b"insn ").put_dec(relo.insn());
                load.error.put(b": ").put(why.text());
                return Err(Failed::TOLD);
            }
        }
        Ok(insns)
    }

    /// Makes a CO-RE relocation.
    #[inline(always)]
    pub(crate) fn patch_core(
        &self,
        insns: &mut [u64],
        relo: CoreReloAt<'_>,
    ) -> Result<(), PatchError> {
        let mut patch = CorePatch::default();
        match self.core.resolve(relo, &mut patch) {
            Ok(true) => insn::patch_core(insns, relo.insn(), expected(relo), &patch),
            Ok(false) => insn::poison(insns, relo.insn()),
            Err(why) => Err(why),
        }
    }

    /// Makes a relocation of a map or a ksym.
    fn patch(&self, insns: &mut [u64], relo: ReloAt<'_>) -> Result<(), PatchError> {
        let index = relo.index() as usize;
        let id = self.ksyms.get(index).copied().unwrap_or(0);
        match relo.kind() {
            relo_kind::MAP => {
                let fd = self.map_fds.get(index).copied().unwrap_or(-1);
                insn::set_map_fd(insns, relo.insn(), fd)
            }
            kind if KINDS & need::FOREIGN != 0 && modules::split(id).0 != 0 => {
                let (number, id) = modules::split(id);
                let module = self.core.module(number).ok_or(PatchError::Form)?;
                if kind == relo_kind::EXTERN_LD64 {
                    insn::set_btf_id(insns, relo.insn(), id)?;
                    return insn::set_btf_fd(insns, relo.insn(), module.0.fd);
                }
                insn::set_kfunc(insns, relo.insn(), id, relo.index())?;
                insn::set_kfunc_btf(insns, relo.insn(), number as u16)
            }
            relo_kind::EXTERN_LD64 => insn::set_btf_id(insns, relo.insn(), id),
            relo_kind::ADDRESS if KINDS & need::ADDRESSES != 0 => {
                let ksym = self.core.image.externs().at(relo.index());
                insn::set_value(insns, relo.insn(), ksym.unwrap_or_default().address())
            }
            _ => insn::set_kfunc(insns, relo.insn(), id, relo.index()),
        }
    }

    /// A CO-RE relocation in libbpf's words: `<byte_off> [8] struct bpf_link.type (0:1 @ offset 4)`.
    #[inline(never)]
    pub(crate) fn describe(&self, relo: CoreReloAt<'_>, text: &mut Error) {
        let (image, local) = (self.core.image, self.core.pair.local);
        text.put(b"<")
            .put(nth_word(KINDS_OF_RELOS, relo.kind()))
            .put(b"> [");
        text.put_dec(relo.type_id()).put(b"] ");
        let root = local.type_by_id(relo.type_id());
        text.put(match root.kind() {
            kind::STRUCT => b"struct ".as_slice(),
            kind::UNION => b"union ",
            kind::ENUM | kind::ENUM64 => b"enum ",
            kind::TYPEDEF => b"typedef ",
            _ => b"",
        });
        // In a bare image a stub without a name stands for the type.
        let target = image.targets().get(relo.target().wrapping_sub(1));
        text.put(match local.name(root) {
            b"" => image.str(target.unwrap_or_default().name),
            name => name,
        });
        let enumerator = matches!(
            relo.kind(),
            core_kind::ENUMVAL_EXISTS | core_kind::ENUMVAL_VALUE
        );
        for (step, accessor) in image.accessors(relo.accessors()).each().enumerate() {
            let name = image.str(accessor.name());
            if enumerator {
                text.put(b"::").put(name);
            } else if !name.is_empty() {
                text.put(b".").put(name);
            } else if step > 0 || accessor.index() > 0 {
                text.put(b"[").put_dec(accessor.index()).put(b"]");
            }
        }
        if relo.kind() <= core_kind::FIELD_RSHIFT_U64 {
            text.put(b" (").put(image.str(relo.access_str()));
            text.put(b" @ offset ").put_dec(relo.local_bit_offset() / 8);
            if !relo.local_bit_offset().is_multiple_of(8) {
                text.put(b".").put_dec(relo.local_bit_offset() % 8);
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
        prog: ProgAt<'_>,
        insns: &[u64],
        btf_fd: i32,
    ) -> Result<i32, Failed> {
        load.begin("load prog", prog.name());
        let image = load.image;
        let mut attr = ProgLoad {
            prog_type: prog.prog_type(),
            prog_flags: prog.prog_flags(),
            expected_attach_type: prog.attach_type(),
            prog_btf_fd: btf_fd.max(0) as u32,
            ..ProgLoad::default()
        };
        if let Some(target) = prog.attach_target().checked_sub(1) {
            attr.attach_btf_id = self.core.targets.first(target);
            if KINDS & need::FOREIGN != 0 {
                let (number, id) = modules::split(attr.attach_btf_id);
                attr.attach_btf_id = id;
                attr.attach_prog_fd = self.core.module(number).map_or(0, |(m, _)| m.fd as u32);
            }
            if attr.attach_btf_id == 0 {
                let target = image.targets().at(target).unwrap_or_default();
                load.error.put(image.str(target.name()));
                load.error.put(b" is not in kernel BTF");
                return Err(Failed::TOLD);
            }
        }
        let (mut func_info, mut line_info) = (prog.func_info(), prog.line_info());
        if KINDS & need::FOREIGN != 0 && btf_fd < 0 {
            (func_info, line_info) = Default::default();
        }
        // Calls of a module's kfuncs name it by its number.
        let mut fds = [0i32; MODULES + 1];
        let mut fd_array = [].as_slice();
        if KINDS & need::FOREIGN != 0 && self.core.module(1).is_some() {
            for (number, fd) in (0..).zip(&mut fds) {
                *fd = self.core.module(number).map_or(0, |(module, _)| module.fd);
            }
            fd_array = &fds;
        }
        let bytes = ProgBytes {
            insns,
            func_info: image.func_info(func_info),
            line_info: image.line_info(line_info),
            license: image.c_str(image.object().license),
            name: image.str(prog.name()),
            fd_array,
        };
        let mut prog_attr = ProgAttr::new(attr, bytes);
        let first = match prog_attr.load(load.sys, &mut []) {
            Err(errno) => errno,
            Ok(fd) => return Ok(fd),
        };
        let rest = load.arena.rest();
        // A program refused before the verifier saw it leaves the log as it is.
        if let Some(start) = rest.first_mut() {
            *start = 0;
        }
        let most = size_of_val(rest);
        // A log that does not fit costs the verifier another run: a program of a million steps that
        // is refused takes half a minute each on a slow machine. What is not written to costs nothing.
        let mut len = most;
        if KINDS & need::FOREIGN == 0 {
            len = LOG_BYTES.min(most);
        }
        let errno = loop {
            let buffer = values_of_mut(rest).get_mut(..len).unwrap_or_default();
            match prog_attr.load(load.sys, buffer) {
                Ok(fd) => {
                    // Nothing to complain about this time; the next program needs memory, too.
                    *load.arena = Arena::new(rest);
                    return Ok(fd);
                }
                Err(Errno(libc::ENOSPC)) if len < most => len = most.min(4 * len),
                // The log did not fit, which is not why the program was refused. Before 6.4
                // it is its end that is missing.
                Err(Errno(libc::ENOSPC)) => {
                    if KINDS & need::FOREIGN != 0 && !verifier_log::is_whole(buffer) {
                        let _ = prog_attr.load_for_verdict(load.sys, buffer);
                    }
                    break first;
                }
                Err(errno) => break errno,
            }
        };
        load.error.tell(errno.into());
        let log = values_of_mut(rest);
        self.verdict(prog, log, load.error);
        if KINDS & need::FOREIGN != 0 {
            let end = log.iter().position(|byte| *byte == 0);
            load.error.set_log(end.unwrap_or(log.len()));
            *load.arena = Arena::new(rest);
        }
        Err(Failed::TOLD)
    }

    /// Says why the verifier refused a program, and how many lines of its log that leaves out.
    fn verdict(&self, prog: ProgAt<'_>, log: &[u8], text: &mut Error) {
        const OMITTED: &[u8] = b" lines omitted)";
        const MISSING: &[u8] = b" is not in this kernel";
        let verdict = verifier_log::read(log);
        let image = self.core.image;
        if verdict.line.is_empty() {
            return;
        }
        text.put(b": ");
        let unknown = verdict.unknown.unwrap_or(0);
        let mut relos = image.core_relos(prog.core_relos()).each();
        let relo = relos.find(|relo| relo.insn() == verdict.insn);
        let ksym = unknown.checked_sub(POISON_KFUNC);
        match (relo, ksym.and_then(|ksym| image.externs().at(ksym))) {
            (Some(relo), _) if unknown == POISON_CORE => {
                self.describe(relo, text);
                text.put(MISSING);
            }
            (_, Some(ksym)) => {
                text.put(b"kfunc ").put(image.str(ksym.name())).put(MISSING);
            }
            // The room that " (4294967295 lines omitted)" may take.
            _ => {
                text.put_before(verdict.line, OMITTED.len() + 12);
            }
        }
        if verdict.omitted > 0 {
            text.put(b" (").put_dec(verdict.omitted).put(OMITTED);
        }
    }
}

/// The value that the instruction must hold, if that is known for sure.
fn expected(relo: CoreReloAt<'_>) -> Option<u64> {
    (relo.flags() & core_flags::VALIDATE != 0).then(|| relo.local_value())
}

/// Names of the relocation kinds from 0 on, as libbpf prints them.
const KINDS_OF_RELOS: &[u8] =
    b"byte_off byte_sz field_exists signed lshift_u64 rshift_u64 local_type_id \
target_type_id type_exists type_size enumval_exists enumval_value type_matches";
