// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel can do, and why not what it cannot.
//!
//! It is asked wherever that leaves nothing behind: types by making one, helpers by a program
//! that calls them, as libbpf does; of the rest its BTF knows the names. A reason is one that
//! is certain (`probe/reasons.rs`), else what the kernel answered stands alone.

mod ask;
mod attach;
mod btf;
mod helpers;
mod reasons;
mod settings;
mod since;

use bpf_preload_umd::sys::Errno;

use self::reasons::Reasons;
use crate::failure::Failure;
use crate::grants::{SETS, Set};
use crate::token::WithToken;

/// One question, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for: of an enum's its name without prefix and in lower case.
    pub name: String,
    /// Why not; none: it can.
    pub why_not: Option<String>,
    /// That is why nobody knows.
    pub unknown: bool,
}

impl Answer {
    fn new(name: impl Into<String>, why_not: Option<String>) -> Self {
        Answer {
            name: name.into(),
            why_not,
            unknown: false,
        }
    }

    fn unknown(name: impl Into<String>, why: impl Into<String>) -> Self {
        Answer {
            name: name.into(),
            why_not: Some(why.into()),
            unknown: true,
        }
    }
}

/// What programs of one type may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helpers {
    /// The type of the programs; `tracing` is asked for as `fentry` and as `iter`.
    pub of: String,
    /// All helpers that are known, or why none was asked for.
    pub answers: Result<Vec<Answer>, String>,
}

/// All answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// How the machine is set up, by name; of what cannot be read, why.
    pub settings: Vec<(String, String)>,
    /// This process's capabilities that are about BPF.
    pub capabilities: Vec<Answer>,
    /// Commands of bpf(2).
    pub commands: Vec<Answer>,
    /// Types of programs.
    pub prog_types: Vec<Answer>,
    /// Types of maps.
    pub map_types: Vec<Answer>,
    /// Attach types.
    pub attach_types: Vec<Answer>,
    /// What else programs are attached to: probes, tracepoints.
    pub events: Vec<Answer>,
    /// What iterators list.
    pub iterators: Vec<Answer>,
    /// BTF: the kernel's own, and what an object's may be made of.
    pub btf: Vec<Answer>,
    /// What programs may consist of.
    pub programs: Vec<Answer>,
    /// Helpers by type of program.
    pub helpers: Vec<Helpers>,
}

/// Asks the kernel, with the token if there is one.
///
/// # Errors
/// Kernel BTF that is damaged. Where there is none, names are those that this program knows.
pub fn probe(sys: &WithToken) -> Result<Answers, Failure> {
    let reasons = Reasons::new(sys)?;
    let [commands, map_types, prog_types, attach_types] = SETS.map(|set| {
        let answers = reasons.all(set).into_iter().map(|(number, name)| {
            let why_not = reasons.lacks(set, number).or_else(|| match set {
                Set::Cmds => None,
                Set::Maps => reasons.of(set, number, ask::map(sys, number)),
                Set::Progs => reasons.of(set, number, ask::prog(sys, number)),
                Set::Attachs => attach::why_not(&reasons, number),
            });
            (number, Answer::new(name, why_not))
        });
        answers.collect::<Vec<_>>()
    });
    let answers = |all: Vec<(u32, Answer)>| all.into_iter().map(|(_, answer)| answer).collect();
    Ok(Answers {
        settings: settings::all(sys),
        capabilities: settings::capabilities(),
        commands: answers(commands),
        map_types: answers(map_types),
        attach_types: answers(attach_types),
        events: attach::events(&reasons),
        iterators: attach::iterators(&reasons)?,
        btf: btf::all(&reasons)?,
        programs: ask::PROGRAMS
            .iter()
            .map(|(name, since, insns)| {
                let asked = ask::program(sys, &insns());
                Answer::new(*name, reasons.since(since, asked))
            })
            .chain([settings::jit(&reasons)])
            .collect(),
        helpers: helpers::all(&reasons, &prog_types)?,
        prog_types: answers(prog_types),
    })
}

/// What the kernel made of a question.
type Asked = Result<(), Errno>;
