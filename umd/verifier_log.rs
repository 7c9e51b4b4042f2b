// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the verifier's log: the one line that says why, and what the
//! verifier cannot know: that it stopped at an instruction poisoned by us.

/// What a log says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The last line that is not statistics; empty if there is none.
    pub line: &'a [u8],
    /// Lines other than that.
    pub omitted: u32,
    /// The number of the function that the line calls unknown: poison, if it is one of ours.
    pub unknown: Option<u32>,
    /// The instruction that called it.
    pub insn: u32,
}

/// Reads a log; it ends at its NUL.
#[must_use]
#[inline(never)]
pub fn read(log: &[u8]) -> Verdict<'_> {
    let mut verdict = Verdict::default();
    let mut lines = 0u32;
    let text = log.split(|b| *b == 0).next().unwrap_or_default();
    for line in text.split(|b| *b == b'\n') {
        if line.is_empty() {
            continue;
        }
        lines += 1;
        // Statistics follow the verdict: "processed 12 insns ..." and others.
        if let [b'p', b'r', b'o', b'c', ..]
        | [b'v', b'e', b'r', b'i', ..]
        | [b's', b't', b'a', ..] = line
        {
            continue;
        }
        verdict.line = line;
        // "12: (85) call unknown#195896080", then "invalid func unknown#195896080".
        verdict.unknown = None;
        if let Some(at) = line.windows(8).position(|w| w == b"unknown#") {
            verdict.unknown = number(line.get(at + 8..).unwrap_or_default());
            verdict.insn = number(line).unwrap_or(verdict.insn);
        }
    }
    verdict.omitted = lines.saturating_sub(1);
    verdict
}

/// Has a log its end, where the verdict is? Statistics follow that.
#[must_use]
pub fn is_whole(log: &[u8]) -> bool {
    let end = log.get(log.len().saturating_sub(1024)..);
    end.is_some_and(|end| end.windows(11).any(|at| at == b"\nprocessed "))
}

/// The decimal number that a text begins with.
#[inline(never)]
fn number(text: &[u8]) -> Option<u32> {
    let mut value = None;
    for digit in text.iter().map(|b| b.wrapping_sub(b'0')) {
        if digit > 9 {
            break;
        }
        value = Some(
            value
                .unwrap_or(0u32)
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit)),
        );
    }
    value
}
