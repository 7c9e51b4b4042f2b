// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the verifier's log: the one line that says why, and what the
//! verifier cannot know: that it stopped at an instruction poisoned by us.

use crate::insn::{POISON_CORE, POISON_KFUNC};

/// What a log says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The last line that is not statistics; empty if there is none.
    pub line: &'a [u8],
    /// Lines other than that.
    pub omitted: u32,
    /// What it stopped at, if that was poisoned.
    pub poisoned: Option<Poisoned>,
}

/// A poisoned instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poisoned {
    /// By a CO-RE relocation of this instruction.
    Core {
        /// Index in the program.
        insn: u32,
    },
    /// By a missing kfunc.
    Kfunc {
        /// Index of the extern.
        ksym: u32,
    },
}

/// Statistics that follow the verdict: `processed 12 insns ...` and others.
const STATISTICS: [&[u8]; 3] = [b"processed ", b"verification time ", b"stack depth "];

/// Reads a log; it ends at its NUL.
#[must_use]
pub fn read(log: &[u8]) -> Verdict<'_> {
    let text = log.split(|b| *b == 0).next().unwrap_or_default();
    let mut verdict = Verdict::default();
    let mut lines = 0u32;
    let mut insn = None;
    for line in text.split(|b| *b == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        lines += 1;
        if STATISTICS.iter().any(|s| line.starts_with(s)) {
            continue;
        }
        verdict.line = line;
        let called = match find(line, b"unknown#") {
            Some(at) => number(line.get(at..).unwrap_or_default()),
            None => None,
        };
        // "12: (85) call unknown#195896080", then "invalid func unknown#195896080".
        if called.is_some() && line.first().is_some_and(u8::is_ascii_digit) {
            insn = number(line);
        }
        verdict.poisoned = match called {
            Some(POISON_CORE) => insn.map(|insn| Poisoned::Core { insn }),
            Some(imm) if imm >= POISON_KFUNC => Some(Poisoned::Kfunc {
                ksym: imm - POISON_KFUNC,
            }),
            _ => None,
        };
    }
    verdict.omitted = lines.saturating_sub(1);
    verdict
}

/// Offset behind the first occurrence of `what`.
fn find(line: &[u8], what: &[u8]) -> Option<usize> {
    let at = line.windows(what.len()).position(|w| w == what)?;
    Some(at + what.len())
}

/// The decimal number that a text begins with.
fn number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit());
    let mut value = None;
    for digit in digits {
        let digit = u32::from(digit.wrapping_sub(b'0'));
        value = Some(value.unwrap_or(0u32).checked_mul(10)?.checked_add(digit)?);
    }
    value
}
