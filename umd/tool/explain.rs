// SPDX-License-Identifier: MIT OR Apache-2.0
//! A failure as it is printed: its line, and below it, indented, what else is known.

use std::fmt;

use preload_loader::explain::{Explanation, Place, Source};
use preload_loader::failure::{Failure, line};
use serde::Serialize;

/// The line as `error`, the rest as far as there is any.
#[derive(Debug, Serialize)]
pub(crate) struct Explained<'f> {
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    places: Vec<At<'f>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    verifier: &'f [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    lines_omitted: Option<usize>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'f [String],
    /// All of the log is printed anyway.
    #[serde(skip)]
    has_log: bool,
}

/// An instruction.
#[derive(Debug, Serialize)]
struct At<'f> {
    program: &'f str,
    insn: u32,
    function: &'f str,
    function_insn: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relocation: Option<&'f str>,
}

impl<'f> Explained<'f> {
    pub(crate) fn of(failure: &'f Failure, debug: bool) -> Self {
        let mut explained = Explained {
            error: failure.to_string(),
            errno: failure.os_error(),
            places: Vec::new(),
            verifier: &[],
            lines_omitted: None,
            notes: &[],
            has_log: debug && !failure.log().is_empty(),
        };
        if let Some(Explanation {
            places,
            verifier,
            omitted,
            notes,
        }) = failure.explanation()
        {
            explained.places = places.iter().map(At::of).collect();
            explained.verifier = verifier;
            explained.lines_omitted = (!verifier.is_empty()).then_some(*omitted);
            explained.notes = notes;
        }
        explained
    }
}

impl<'f> At<'f> {
    fn of(place: &'f Place) -> Self {
        let source = place.source.as_ref();
        let column = |source: &Source| (source.column != 0).then_some(source.column);
        At {
            program: &place.program,
            insn: place.insn,
            function: &place.function,
            function_insn: place.function_insn,
            file: source.map(|source| &*source.file),
            line: source.map(|source| source.line),
            column: source.and_then(column),
            source: source.map(|source| &*source.text),
            relocation: place.relocation.as_deref(),
        }
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.error)?;
        for at in &self.places {
            write!(f, "  at ")?;
            if let (Some(file), Some(number)) = (at.file, at.line) {
                write!(f, "{}:{number} ", line(file))?;
            }
            write!(f, "({}", line(at.function))?;
            if (at.function, at.function_insn) != (at.program, at.insn) {
                write!(f, "+{} in {}", at.function_insn, line(at.program))?;
            }
            write!(f, ", insn {})", at.insn)?;
            match at.source {
                Some(source) => writeln!(f, ": {}", line(source))?,
                None => writeln!(f)?,
            }
            // Below the instruction itself, if that is shown.
            let shown = !self.verifier.is_empty() && !self.has_log;
            if let Some(relocation) = at.relocation.filter(|_| !shown) {
                writeln!(f, "    ^ {}", line(relocation))?;
            }
        }
        if !self.has_log {
            for shown in self.verifier {
                writeln!(f, "    {}", line(shown))?;
            }
        }
        for note in self.notes {
            writeln!(f, "  {}", line(note))?;
        }
        match self.lines_omitted {
            Some(omitted) if omitted > 0 && !self.has_log => {
                let lines = if omitted == 1 { "line" } else { "lines" };
                writeln!(
                    f,
                    "  ({omitted} {lines} of the verifier's log omitted, -d prints all)"
                )
            }
            _ => Ok(()),
        }
    }
}
