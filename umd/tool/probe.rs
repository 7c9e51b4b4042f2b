// SPDX-License-Identifier: MIT OR Apache-2.0
//! `probe`: what this kernel can do.

use std::collections::BTreeMap;
use std::fmt;

use bpf_preload_umd::sys::linux::Linux;
use preload_loader::failure::{Failure, line};
use preload_loader::probe::{self, Answer};
use serde::Serialize;

/// The answers; JSON has `null` for what the kernel can do, else the reason.
#[derive(Debug, Serialize)]
pub(crate) struct Probed {
    program_types: BTreeMap<String, Option<String>>,
    map_types: BTreeMap<String, Option<String>>,
    uses: BTreeMap<String, Option<String>>,
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, all) in [
            ("program type ", &self.program_types),
            ("map type ", &self.map_types),
            ("", &self.uses),
        ] {
            for (name, why_not) in all {
                match why_not {
                    None => writeln!(f, "{kind}{}: yes", line(name))?,
                    Some(why) => writeln!(f, "{kind}{}: no ({why})", line(name))?,
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn probe() -> Result<Probed, Failure> {
    let answers = probe::probe(&Linux)?;
    let by_name = |all: Vec<Answer>| all.into_iter().map(|a| (a.name, a.why_not)).collect();
    Ok(Probed {
        program_types: by_name(answers.prog_types),
        map_types: by_name(answers.map_types),
        uses: by_name(answers.uses),
    })
}
