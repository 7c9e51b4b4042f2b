// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verifier's log, as far as people want it: what it says last, the instruction
//! that it says it of, and the lines that lead there.
//!
//! It is text for people in the kernel, too, and changes from version to version. Nothing
//! here relies on more than how an instruction's line begins, which all from 5.10 to 7.3
//! have: `12: (85) call bpf_map_lookup_elem#1`.

/// Lines that are shown before what the verifier says last, with it.
const SHOWN: usize = 8;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An instruction.
    Insn(u32),
    /// What is known of registers, or of how precise that has to be.
    State,
    /// The source of the next instruction; line_info has more.
    Source,
    /// How much work it was, at the end.
    Statistics,
    /// Anything else: what the verifier has to say.
    Word,
}

/// A log, or what of it there was room for.
#[derive(Debug)]
pub(crate) struct VerifierLog<'l> {
    lines: Vec<(Kind, &'l str)>,
    /// Index of the line of the last instruction.
    last: Option<usize>,
    /// What the kernel itself makes of it (7.3).
    report: &'l str,
}

/// A line that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown<'l> {
    /// Its instruction, if it is one's.
    pub(crate) insn: Option<u32>,
    /// As the kernel has it.
    pub(crate) line: &'l str,
    /// Lines are left out before it.
    pub(crate) gap: bool,
}

impl<'l> VerifierLog<'l> {
    pub(crate) fn read(text: &'l str) -> Self {
        let (text, report) = text
            .split_once("\nVerification failed: ")
            .unwrap_or((text, ""));
        let lines = text.lines().map(str::trim_end);
        let mut lines: Vec<_> = lines
            .filter(|line| !line.is_empty())
            .map(|line| (kind(line), line))
            .collect();
        let is_insn = |(kind, _): &(Kind, &str)| matches!(kind, Kind::Insn(_));
        let last = lines.iter().rposition(is_insn);
        if last.is_some() {
            // What it wonders about the types of arguments and then does without.
            let before = lines.iter_mut().take_while(|line| !is_insn(line));
            let wonders = before.filter(|(_, line)| line.contains("rg#") && line.contains("type"));
            wonders.for_each(|(kind, _)| *kind = Kind::State);
        }
        VerifierLog {
            lines,
            last,
            report,
        }
    }

    /// How many lines it has.
    pub(crate) fn len(&self) -> usize {
        self.lines.len() + self.report.lines().filter(|line| !line.is_empty()).count()
    }

    /// A paragraph of the kernel's report, as one line.
    pub(crate) fn paragraph(&self, heading: &str) -> Option<String> {
        let mut lines = self.report.lines().skip_while(|line| *line != heading);
        lines.next()?;
        let lines: Vec<_> = lines
            .take_while(|line| line.starts_with(' '))
            .map(str::trim)
            .collect();
        (!lines.is_empty()).then(|| lines.join(" "))
    }

    /// What it says behind the last instruction, or last of all if there is none: the
    /// first and the last of these lines, since one without the other may say little.
    pub(crate) fn verdict(&self) -> String {
        let words = |from: usize| {
            let lines = self.lines.get(from..).unwrap_or_default().iter();
            lines.filter(|(kind, _)| *kind == Kind::Word)
        };
        let (first, last) = match self.last {
            Some(insn) => (words(insn).next(), words(insn).next_back()),
            None => (None, words(0).next_back()),
        };
        match (first, last) {
            (Some((_, first)), Some((_, last))) if first != last => format!("{first}; {last}"),
            (_, Some((_, last))) => (*last).to_owned(),
            (_, None) => String::new(),
        }
    }

    /// The instruction that the verdict is about: that which it names, else the last one.
    pub(crate) fn stopped_at(&self, verdict: &str) -> Option<u32> {
        let last = || match self.lines.get(self.last?)? {
            (Kind::Insn(insn), _) => Some(*insn),
            _ => None,
        };
        number_behind(verdict, " insn ").or_else(last)
    }

    /// The lines that matter: the last ones, and the one that gave the register its
    /// value that the verdict is about.
    pub(crate) fn shown(&self, verdict: &str) -> Vec<Shown<'l>> {
        let matters = |(at, (kind, line)): (usize, &(Kind, &'l str))| {
            let insn = match kind {
                Kind::Insn(insn) => Some(*insn),
                Kind::Word => None,
                Kind::State if line.starts_with("from ") => None,
                _ => return None,
            };
            Some((at, insn, *line))
        };
        let mut shown = Vec::new();
        let mut lines = self.lines.iter().enumerate().filter_map(matters).rev();
        for (at, insn, line) in lines.by_ref() {
            // A loop of one instruction.
            if shown.last().is_some_and(|(_, _, other)| *other == line) {
                continue;
            }
            shown.push((at, insn, line));
            if shown.len() == SHOWN {
                break;
            }
        }
        let register = register(verdict);
        let sets = |(at, insn, line): &(usize, Option<u32>, &str)| {
            insn.is_some() && Some(*at) != self.last && register.is_some_and(|n| sets(line, n))
        };
        if register.is_some() && !shown.iter().any(sets) {
            shown.extend(lines.find(sets));
        }
        shown.reverse();
        // From line to line, but for what is left out as a matter of course.
        let gap = |from: usize, to: usize| {
            let between = self.lines.get(from + 1..to).unwrap_or_default();
            let matters = |(kind, _): &(Kind, &str)| matches!(kind, Kind::Insn(_));
            between.iter().any(matters)
        };
        let before = shown.iter().map(|(at, ..)| Some(*at));
        let before: Vec<_> = std::iter::once(None).chain(before).collect();
        let shown = shown.into_iter().zip(before);
        let shown = shown.map(|((at, insn, line), before)| Shown {
            insn,
            line,
            gap: before.is_some_and(|before| gap(before, at)),
        });
        shown.collect()
    }
}

/// Whether a line is an instruction's, and what it is otherwise.
fn kind(line: &str) -> Kind {
    const STATISTICS: &[&str] = &["processed ", "verification time ", "stack depth "];
    const STATE: &[&str] = &[
        " ",
        "from ",
        "cur state: ",
        "old state: ",
        "mark_precise: ",
        "last_idx ",
        "regs=",
        "parent ",
        "frame",
    ];
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| line.starts_with(prefix));
    let (number, rest) = line.split_once(':').unwrap_or_default();
    if let Ok(insn) = number.parse() {
        return match rest.as_bytes() {
            [b' ', b'(', _, _, b')', ..] => Kind::Insn(insn),
            _ => Kind::State,
        };
    }
    match line {
        _ if line.starts_with(';') => Kind::Source,
        _ if is(STATISTICS) => Kind::Statistics,
        // "R0=inv(id=0) R1=ctx(...)" is a state, "R0 invalid mem access" is not.
        _ if line.starts_with('R') => match line.split([' ', '=']).next() {
            Some(word) if line.get(word.len()..).is_some_and(|l| l.starts_with('=')) => Kind::State,
            _ => Kind::Word,
        },
        _ if is(STATE) => Kind::State,
        _ => Kind::Word,
    }
}

/// The register that a verdict is about.
fn register(verdict: &str) -> Option<u32> {
    let mut words = verdict.split([' ', ',', '\'']);
    words.find_map(|word| word.strip_prefix('R')?.parse().ok())
}

/// Does an instruction set this register, or make it unusable, as calls do?
fn sets(line: &str, register: u32) -> bool {
    let text = line.split_once(") ").unwrap_or_default().1;
    let target = text.get(1..).unwrap_or_default().split(' ').next();
    text.starts_with("call ") && register <= 5
        || text.starts_with(['r', 'w']) && target == Some(&register.to_string())
}

/// The number that follows a word.
pub(crate) fn number_behind(text: &str, word: &str) -> Option<u32> {
    let (_, rest) = text.split_once(word)?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 6.18 says of a value that may be missing.
    const NULL: &str = "0: R1=ctx() R10=fp0\n\
        ; __u32 key = 1; @ refused.bpf.c:80\n\
        0: (b4) w1 = 1                        ; R1=1\n\
        1: (18) r1 = 0xffff8881e3668000       ; R1=map_ptr(map=counts,ks=4,vs=40)\n\
        3: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=counts,ks=4,vs=40)\n\
        ; value->count++; /* here */ @ refused.bpf.c:83\n\
        4: (79) r1 = *(u64 *)(r0 +0)\n\
        R0 invalid mem access 'map_value_or_null'\n\
        processed 7 insns (limit 1000000) max_states_per_insn 0\n";

    #[test]
    fn line_that_matters_is_not_shown() {
        let log = VerifierLog::read(NULL);
        let verdict = log.verdict();
        assert_eq!(verdict, "R0 invalid mem access 'map_value_or_null'");
        assert_eq!(log.stopped_at(&verdict), Some(4));
        let shown = log.shown(&verdict);
        let insns: Vec<_> = shown.iter().map(|shown| shown.insn).collect();
        assert_eq!(insns, [Some(0), Some(1), Some(3), Some(4), None]);
        assert!(shown.iter().all(|shown| !shown.gap));
    }

    #[test]
    fn instruction_that_set_the_register_is_too_far_away_to_be_seen() {
        let mut text = String::from("0: (85) call bpf_get_current_task#35\n1: (bf) r6 = r0\n");
        for insn in 2..20 {
            text += &format!("{insn}: (07) r7 += 1  ; R7=scalar()\n");
        }
        text += "20: (61) r0 = *(u32 *)(r6 +0)\nR6 invalid mem access 'scalar'\n";
        let log = VerifierLog::read(&text);
        let shown = log.shown(&log.verdict());
        let insns: Vec<_> = shown.iter().map(|s| (s.insn, s.gap)).collect();
        assert_eq!(insns.first(), Some(&(Some(1), false)));
        assert_eq!(insns.get(1), Some(&(Some(14), true)));
        assert_eq!(insns.len(), 1 + SHOWN);
    }

    #[test]
    fn kernels_own_report_is_taken_for_the_verdict() {
        // 7.3
        let log = NULL.replace(
            "\nprocessed",
            "\n\nVerification failed: Register Type Safety: Invalid dereference\n\nReason:\n  \
             R0 may be NULL here. The program\n  could dereference it.\n\nSuggestion:\n  \
             Add a check.\n\nprocessed",
        );
        let log = VerifierLog::read(&log);
        assert_eq!(log.verdict(), "R0 invalid mem access 'map_value_or_null'");
        let reason = log.paragraph("Reason:");
        assert_eq!(
            reason.as_deref(),
            Some("R0 may be NULL here. The program could dereference it.")
        );
        assert_eq!(
            log.paragraph("Suggestion:").as_deref(),
            Some("Add a check.")
        );
        assert_eq!(log.paragraph("At:"), None);
        assert_eq!(log.len(), VerifierLog::read(NULL).len() + 6);
    }

    #[test]
    fn verdict_is_taken_for_a_state_or_the_other_way_round() {
        for (text, verdict, insn) in [
            (
                // 5.10
                "0: (05) goto pc-1\n0: (05) goto pc-1\ninfinite loop detected at insn 0\n",
                "infinite loop detected at insn 0",
                Some(0),
            ),
            (
                "3: (05) goto pc-1\ninfinite loop detected at insn 3\ncur state: R1=ctx()\n\
                 old state: R1=ctx()\n",
                "infinite loop detected at insn 3",
                Some(3),
            ),
            (
                "9: (95) exit\nUnreleased reference id=2 alloc_insn=4\nBPF_EXIT would leak\n",
                "Unreleased reference id=2 alloc_insn=4; BPF_EXIT would leak",
                Some(9),
            ),
            (
                "arg#0 reference type('UNKNOWN ') size cannot be determined: -22\n\
                 0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\nprocessed 1 insns\n",
                "R0 !read_ok",
                Some(0),
            ),
            (
                "unreachable insn 7\nprocessed 0 insns\n",
                "unreachable insn 7",
                Some(7),
            ),
            ("", "", None),
            ("processed 0 insns\n", "", None),
        ] {
            let log = VerifierLog::read(text);
            assert_eq!(log.verdict(), verdict, "{text}");
            assert_eq!(log.stopped_at(verdict), insn, "{text}");
        }
    }
}
