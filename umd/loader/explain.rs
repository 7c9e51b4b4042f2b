// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a load failed, beside the one line: where in the source the verifier stopped, its
//! last lines that matter, which relocation, map or ksym is behind it, and what else is
//! known for certain.
//!
//! All of it is found after the fact, from the image and the log: a load that succeeds
//! pays nothing. Instructions have the same numbers in the image, in the log and in
//! line_info; the names of files, and on kernels before 6.9 even the numbers of lines,
//! are in none of the kernel's own words.

use std::cell::OnceCell;

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::btf::Btf;
use bpf_preload_umd::error::Error;
use bpf_preload_umd::exec::LEFT_OUT;
use bpf_preload_umd::insn::{POISON_CORE, POISON_KFUNC};
use bpf_preload_umd::kernel_btf::KernelBtf;
use bpf_preload_umd::relo::{Outcome, Told, relocate};
use bpf_preload_umd::sys::Sys;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::targets::Search;
use preload_image::{Image, Map, Prog, extern_flags, relo_kind, target_kind};

use crate::c_type;
use crate::failure::Failure;
use crate::kernel::{self, Kernel};
use crate::module_btf::ModuleBtfs;
use crate::notes;
use crate::verifier_log::{VerifierLog, number_behind};

/// What is known beside the line of a [`Failure`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Where it was: the instruction that the verifier stopped at, and then others that it
    /// names; or those that refer to what is missing.
    pub places: Vec<Place>,
    /// The verifier's last lines that matter, with the source and relocations of their
    /// instructions.
    pub verifier: Vec<String>,
    /// How many lines of the log are not among them.
    pub omitted: usize,
    /// What is certain beside that.
    pub notes: Vec<String>,
}

/// An instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its program.
    pub program: String,
    /// Its index in that.
    pub insn: u32,
    /// Its function, the program's own or a sub-program's.
    pub function: String,
    /// Its index in that.
    pub function_insn: u32,
    /// File, line and column of the source, and the text of that line.
    pub source: Option<Source>,
    /// The relocation that made it what it is: in words.
    pub relocation: Option<String>,
}

/// A line of source, of line_info.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// File, as the compiler was told.
    pub file: String,
    /// Line, from 1 on.
    pub line: u32,
    /// Column, from 1 on; 0: not known.
    pub column: u32,
    /// Text of the line, without its indentation.
    pub text: String,
}

/// The failure with what can be said of it.
pub(crate) fn explain<S: Sys>(sys: &S, image: &Image<'_>, failure: Failure, log: &[u8]) -> Failure {
    let mut memory = kernel::memory();
    let mut arena = Arena::new(&mut memory);
    let btf = Btf::whole(image.btf(), &mut arena);
    let explainer = Explainer {
        sys,
        image,
        btf: &btf,
        told: OnceCell::new(),
    };
    let line = failure.to_string();
    if let Some((prog, name)) = named(&line, "load prog", image.progs().iter(), |prog| {
        image.str(prog.name)
    }) {
        explainer.prog(&prog, &name, failure, log)
    } else if let Some((map, _)) = named(&line, "create map", image.maps().iter(), |map| {
        image.str(map.name)
    }) {
        let notes = notes::map(image, &map, failure.os_error());
        failure.explained(Explanation {
            notes,
            ..Explanation::default()
        })
    } else if let Some((index, _)) = named(
        &line,
        "resolve ksym",
        0..image.externs().len() as u32,
        |index| image.str(image.externs().get(*index).unwrap_or_default().name),
    ) {
        failure.explained(Explanation {
            places: explainer.users(index),
            notes: explainer.types_of(index, &line).into_iter().collect(),
            ..Explanation::default()
        })
    } else if let Some((prog, name)) = named(&line, "relocate prog", image.progs().iter(), |prog| {
        image.str(prog.name)
    }) {
        let refused = explainer
            .told()
            .iter()
            .find(|relo| relo.prog == name && matches!(relo.outcome, Outcome::Refused(_)));
        let places = refused.map(|relo| explainer.place(&prog, relo.insn));
        failure.explained(Explanation {
            places: places.into_iter().collect(),
            ..Explanation::default()
        })
    } else {
        failure
    }
}

/// That one of these which a line `STEP NAME: ...` is about. The executor's line is all
/// that it says of a failure, so that the blob need not carry more.
fn named<'i, T>(
    line: &str,
    step: &str,
    mut all: impl Iterator<Item = T>,
    name: impl Fn(&T) -> &'i [u8],
) -> Option<(T, String)> {
    let rest = line.strip_prefix(step)?.strip_prefix(' ')?;
    let is = |one: &T| {
        let rest = rest.strip_prefix(&*String::from_utf8_lossy(name(one)));
        rest.is_some_and(|rest| rest.starts_with(": "))
    };
    let found = all.find(is)?;
    let name = String::from_utf8_lossy(name(&found)).into_owned();
    Some((found, name))
}

/// A CO-RE relocation, and what it comes to here.
struct CoreRelo {
    prog: String,
    insn: u32,
    text: String,
    outcome: Outcome,
}

struct Explainer<'x, S> {
    sys: &'x S,
    image: &'x Image<'x>,
    /// The image's.
    btf: &'x Btf<'x>,
    told: OnceCell<Vec<CoreRelo>>,
}

impl<S: Sys> Explainer<'_, S> {
    /// A program that was refused.
    fn prog(&self, prog: &Prog, name: &str, failure: Failure, log: &[u8]) -> Failure {
        let text = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default());
        let log = VerifierLog::read(&text);
        let verdict = log.verdict();
        let mut explanation = Explanation::default();
        let Some(errno) = failure.os_error() else {
            return failure;
        };
        if verdict.is_empty() {
            explanation.notes = notes::prog(self.image, prog, errno, "");
            return failure.explained(explanation);
        }
        let insn = log.stopped_at(&verdict);
        // "Unreleased reference id=2 alloc_insn=4"
        let other = number_behind(&verdict, "alloc_insn=");
        let insns = insn.into_iter().chain(other);
        explanation.places = insns.map(|insn| self.place(prog, insn)).collect();
        if explanation.places.is_empty() {
            explanation.places = self.ksym_in(&verdict);
        }
        let mut shown = log.shown(&verdict);
        // Lines that say what the line above says, and no more.
        if shown.iter().all(|shown| verdict.contains(shown.line)) {
            shown.clear();
        }
        explanation.omitted = log.len().saturating_sub(shown.len());
        let mut source: Option<Source> = None;
        for shown in &shown {
            if shown.gap {
                explanation.verifier.push("...".into());
            }
            let at = shown.insn.and_then(|insn| self.source(prog, insn));
            let known = |at: &Source| {
                let known = source.as_ref();
                known.is_some_and(|known| (&known.file, known.line) == (&at.file, at.line))
            };
            if let Some(at) = at.filter(|at| !known(at)) {
                let file = at.file.rsplit('/').next().unwrap_or_default();
                let line = format!("; {} @ {file}:{}", at.text, at.line);
                explanation.verifier.push(line);
                source = Some(at);
            }
            explanation.verifier.push(shown.line.to_owned());
            let relocation = shown.insn.and_then(|insn| self.relocation(prog, insn));
            explanation
                .verifier
                .extend(relocation.map(|relocation| format!("^ {relocation}")));
        }
        explanation.notes = notes::prog(self.image, prog, errno, &verdict);
        for (heading, said) in [
            ("Reason:", "the kernel's reason"),
            ("Suggestion:", "the kernel suggests"),
        ] {
            let paragraph = log.paragraph(heading);
            let notes = paragraph.map(|paragraph| format!("{said}: {paragraph}"));
            explanation.notes.extend(notes);
        }
        let poisoned = self.poisoned(&verdict, explanation.places.first());
        let poisoned = poisoned.or_else(|| self.left_out(prog, &verdict));
        let line = Failure::errno(&format!("load prog {name}"), errno);
        let said = poisoned.unwrap_or(verdict);
        let failure = line.because(&said).with_log(text.as_bytes());
        failure.explained(explanation)
    }

    /// What is wrong in truth where the verifier stopped at something of our own making.
    fn poisoned(&self, verdict: &str, place: Option<&Place>) -> Option<String> {
        let unknown = number_behind(verdict, "unknown#")?;
        if unknown == POISON_CORE {
            return place?.relocation.clone();
        }
        let ksym = self
            .image
            .externs()
            .get(unknown.checked_sub(POISON_KFUNC)?)?;
        let name = String::from_utf8_lossy(self.image.str(ksym.name));
        Some(format!("kfunc {name} is not in this kernel"))
    }

    /// The map without which a program was loaded that refers to it.
    fn left_out(&self, prog: &Prog, verdict: &str) -> Option<String> {
        if !verdict.starts_with(&format!("fd {LEFT_OUT} is not ")) {
            return None;
        }
        let relos = self.image.relos(prog.relos).iter();
        let mut maps = relos
            .filter(|relo| relo.kind == relo_kind::MAP)
            .filter_map(|relo| self.image.maps().get(relo.index));
        let map = maps.find(Map::is_percpu_variables)?;
        let name = String::from_utf8_lossy(self.image.str(map.name));
        Some(format!(
            "map {name}: this kernel has no variables of each CPU"
        ))
    }

    /// A ksym's type in the object and in the kernel, where the line has their ids.
    fn types_of(&self, ksym: u32, line: &str) -> Option<String> {
        let there = number_behind(line, "is not the kernel's [")?;
        let ksym = self.image.externs().get(ksym)?;
        let target = self.image.targets().get(ksym.target.checked_sub(1)?)?;
        let kernel = Kernel::read().ok()?;
        // An id in a module is none of vmlinux.
        let of_vmlinux = kernel.has(
            target.kind & target_kind::BTF_KIND_MASK,
            self.image.str(target.name),
        );
        let there = of_vmlinux.ok()?.then(|| kernel.c_type(there))?;
        let here = c_type::name(self.btf, ksym.type_id);
        Some(format!("the object has: {here}; this kernel: {there}"))
    }

    /// Where the ksym is used that a verdict names, if it does.
    fn ksym_in(&self, verdict: &str) -> Vec<Place> {
        let named = |name: &[u8]| verdict.contains(&format!("'{}'", String::from_utf8_lossy(name)));
        let mut externs = (0..).zip(self.image.externs().iter());
        let ksym = externs.find(|(_, ksym)| named(self.image.str(ksym.name)));
        ksym.map_or_else(Vec::new, |(index, _)| self.users(index))
    }

    /// Where an instruction is.
    fn place(&self, prog: &Prog, insn: u32) -> Place {
        let (func_insn, type_id) =
            last(self.image.func_info(prog.func_info), insn, |_: [u32; 1]| {
                true
            })
            .map_or((0, 0), |(at, [type_id])| (at, type_id));
        let function = self.btf.name(self.btf.type_by_id(type_id));
        let program = String::from_utf8_lossy(self.image.str(prog.name)).into_owned();
        Place {
            function: match function {
                b"" => program.clone(),
                function => String::from_utf8_lossy(function).into_owned(),
            },
            program,
            insn,
            function_insn: insn - func_insn,
            source: self.source(prog, insn),
            relocation: self.relocation(prog, insn),
        }
    }

    /// The line that an instruction was made of. The compiler's line 0 is none; of a
    /// sub-program the one before is another function's, but each begins with one.
    fn source(&self, prog: &Prog, insn: u32) -> Option<Source> {
        let lines = self.image.line_info(prog.line_info);
        let (_, [file, text, at]) = last(lines, insn, |[_, _, at]: [u32; 3]| at >> 10 != 0)?;
        let str = |at: u32| String::from_utf8_lossy(self.btf.str(at)).trim().to_owned();
        Some(Source {
            file: str(file),
            line: at >> 10,
            column: at & 0x3ff,
            text: str(text),
        })
    }

    /// The relocation of an instruction, in words.
    fn relocation(&self, prog: &Prog, insn: u32) -> Option<String> {
        let image = self.image;
        if let Some(relo) = image
            .relos(prog.relos)
            .iter()
            .find(|relo| relo.insn == insn)
        {
            let name = |name| String::from_utf8_lossy(image.str(name));
            if relo.kind == relo_kind::MAP {
                return Some(format!("map {}", name(image.maps().get(relo.index)?.name)));
            }
            let ksym = image.externs().get(relo.index)?;
            let weak = if ksym.flags & extern_flags::WEAK == 0 {
                ""
            } else {
                "weak "
            };
            let what = if relo.kind == relo_kind::EXTERN_CALL {
                "kfunc"
            } else {
                "ksym"
            };
            return Some(format!("{weak}{what} {}", name(ksym.name)));
        }
        let mut relos = image.core_relos(prog.core_relos).iter();
        relos.find(|relo| relo.insn == insn)?;
        let name = String::from_utf8_lossy(image.str(prog.name));
        let mut told = self.told().iter();
        let relo = told.find(|relo| relo.prog == name && relo.insn == insn)?;
        Some(match relo.outcome {
            Outcome::Value(value) => format!("{} = {value}", relo.text),
            Outcome::Poisoned => format!("{} is not in this kernel", relo.text),
            Outcome::Misfit => format!("{} has another size in this kernel", relo.text),
            Outcome::Refused(why) => {
                format!("{}: {}", relo.text, String::from_utf8_lossy(why.text()))
            }
        })
    }

    /// The first instruction of each program that refers to a ksym.
    fn users(&self, ksym: u32) -> Vec<Place> {
        let mut places = Vec::new();
        for prog in self.image.progs().iter() {
            let mut relos = self.image.relos(prog.relos).iter();
            let uses = relos.find(|relo| relo.kind != relo_kind::MAP && relo.index == ksym);
            places.extend(uses.map(|relo| self.place(&prog, relo.insn)));
        }
        places
    }

    /// All CO-RE relocations, made once more; none where that cannot be said.
    fn told(&self) -> &[CoreRelo] {
        self.told.get_or_init(|| {
            let mut all: Vec<CoreRelo> = Vec::new();
            let Ok(vmlinux) = KernelBtf::get(&Linux) else {
                return all;
            };
            let modules = ModuleBtfs::new(self.sys);
            let (mut memory, mut error) = (kernel::memory(), Error::default());
            let mut arena = Arena::new(&mut memory);
            let mut of_prog = 0;
            let mut tell = |told: Told<'_>| match told {
                Told::Relo {
                    insn,
                    text,
                    outcome,
                    ..
                } => all.push(CoreRelo {
                    prog: String::new(),
                    insn,
                    text: String::from_utf8_lossy(text).into_owned(),
                    outcome,
                }),
                Told::Prog { name, .. } => {
                    for relo in all.iter_mut().skip(of_prog) {
                        relo.prog = String::from_utf8_lossy(name).into_owned();
                    }
                    of_prog = all.len();
                }
            };
            let relocated = relocate(
                self.image,
                &vmlinux,
                Some(&modules),
                Search::All,
                &mut arena,
                &mut error,
                &mut tell,
            );
            // Those of the program that cannot be relocated have not got its name.
            if relocated.is_err()
                && let Some((_, name)) = named(
                    &Failure::of(&error).to_string(),
                    "relocate prog",
                    self.image.progs().iter(),
                    |prog| self.image.str(prog.name),
                )
            {
                all.iter_mut()
                    .skip(of_prog)
                    .for_each(|relo| relo.prog.clone_from(&name));
            }
            all
        })
    }
}

/// The last record `{insn, ...}` at or before an instruction that is so: its
/// instruction and the rest.
fn last<const N: usize>(
    records: &[u8],
    insn: u32,
    is: impl Fn([u32; N]) -> bool,
) -> Option<(u32, [u32; N])> {
    let records = records.chunks_exact(4 + 4 * N).map(|record| {
        let word = |at: usize| {
            let bytes = record.get(4 * at..).and_then(|rest| rest.first_chunk());
            u32::from_le_bytes(*bytes.unwrap_or(&[0; 4]))
        };
        (word(0), std::array::from_fn(|at| word(1 + at)))
    });
    records
        .take_while(|(at, _)| *at <= insn)
        .filter(|(_, rest)| is(*rest))
        .last()
}
