// SPDX-License-Identifier: MIT OR Apache-2.0
//! `probe`: what this kernel can do.

use std::fmt;

use bpf_preload_umd::sys::linux::Linux;
use preload_loader::failure::{Failure, line};
use preload_loader::probe::{self, Answer, Helpers};
use preload_loader::token::{Token, WithToken};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// The answers; JSON has `null` for what the kernel can do, else the reason, or
/// `{"unknown": why}`.
#[derive(Debug, Serialize)]
pub(crate) struct Probed {
    settings: Map<String>,
    capabilities: Map<Said>,
    commands: Map<Said>,
    program_types: Map<Said>,
    map_types: Map<Said>,
    attach_types: Map<Said>,
    events: Map<Said>,
    iterators: Map<Said>,
    btf: Map<Said>,
    programs: Map<Said>,
    helpers: Map<Of>,
}

/// Names with something of each, in order.
#[derive(Debug)]
struct Map<T>(Vec<(String, T)>);

/// What there is to say of one thing.
#[derive(Debug)]
enum Said {
    Yes,
    No(String),
    Unknown(String),
}

/// The helpers of programs of a type, or why none was asked for.
#[derive(Debug)]
enum Of {
    Asked(Map<Said>),
    Not(String),
}

impl<T: Serialize> Serialize for Map<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, of)| (name, of)))
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Said::Yes => serializer.serialize_none(),
            Said::No(why) => serializer.serialize_str(why),
            Said::Unknown(why) => unknown(why, serializer),
        }
    }
}

impl Serialize for Of {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Of::Asked(helpers) => helpers.serialize(serializer),
            Of::Not(why) => serializer.serialize_str(why),
        }
    }
}

fn unknown<S: Serializer>(why: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("unknown", why)?;
    map.end()
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.settings.0 {
            writeln!(f, "{name}: {}", line(value))?;
        }
        for (kind, all) in [
            ("", &self.capabilities),
            ("command ", &self.commands),
            ("program type ", &self.program_types),
            ("map type ", &self.map_types),
            ("attach type ", &self.attach_types),
            ("attach to ", &self.events),
            ("iterator ", &self.iterators),
            ("btf: ", &self.btf),
            ("programs: ", &self.programs),
        ] {
            for (name, said) in &all.0 {
                write!(f, "{kind}{}: ", line(name))?;
                match said {
                    Said::Yes => writeln!(f, "yes")?,
                    Said::No(why) => writeln!(f, "no ({})", line(why))?,
                    Said::Unknown(why) => writeln!(f, "unknown ({})", line(why))?,
                }
            }
        }
        for (of, helpers) in &self.helpers.0 {
            write!(f, "helpers of {}:", line(of))?;
            match helpers {
                Of::Not(why) => write!(f, " not asked for ({})", line(why))?,
                Of::Asked(Map(all)) => {
                    let yes = all.iter().filter(|(_, said)| matches!(said, Said::Yes));
                    yes.into_iter()
                        .try_for_each(|(name, _)| write!(f, " {}", line(name)))?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Asks, with a token if there is one.
pub(crate) fn probe(token: &Token) -> Result<Probed, Failure> {
    let answers = probe::probe(&WithToken::new(Linux, token)?)?;
    Ok(Probed {
        settings: Map(answers.settings),
        capabilities: said(answers.capabilities),
        commands: said(answers.commands),
        program_types: said(answers.prog_types),
        map_types: said(answers.map_types),
        attach_types: said(answers.attach_types),
        events: said(answers.events),
        iterators: said(answers.iterators),
        btf: said(answers.btf),
        programs: said(answers.programs),
        helpers: Map(answers.helpers.into_iter().map(helpers).collect()),
    })
}

fn said(answers: Vec<Answer>) -> Map<Said> {
    let one = |answer: Answer| {
        let said = match (answer.why_not, answer.unknown) {
            (None, _) => Said::Yes,
            (Some(why), false) => Said::No(why),
            (Some(why), true) => Said::Unknown(why),
        };
        (answer.name, said)
    };
    Map(answers.into_iter().map(one).collect())
}

fn helpers(Helpers { of, answers }: Helpers) -> (String, Of) {
    let helpers = match answers {
        Ok(answers) => Of::Asked(said(answers)),
        Err(why) => Of::Not(why),
    };
    (of, helpers)
}
