// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the name of a section says about the programs in it (libbpf's `SEC()`
//! names). A further kind of program is one more line of [`SECS`].

use crate::btf::kind;
use crate::error::{LowerError, Result};

const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_ITER: u32 = 28;
/// `prog_flags`: may sleep.
const BPF_F_SLEEPABLE: u32 = 1 << 4;

/// How `attach_btf_id` is found: the name behind the prefix, with another one before it.
pub(crate) struct Attach {
    pub(crate) prefix: &'static str,
    pub(crate) kind: u32,
}

pub(crate) struct Sec {
    /// The section's name begins so; the rest is the attach target's name.
    pub(crate) prefix: &'static str,
    pub(crate) prog_type: u32,
    pub(crate) attach_type: u32,
    pub(crate) prog_flags: u32,
    pub(crate) attach: Attach,
}

/// The kernel declares an iterator by a function of this name.
const ITER: Attach = Attach {
    prefix: "bpf_iter_",
    kind: kind::FUNC,
};

static SECS: &[Sec] = &[
    Sec {
        prefix: "iter/",
        prog_type: BPF_PROG_TYPE_TRACING,
        attach_type: BPF_TRACE_ITER,
        prog_flags: 0,
        attach: ITER,
    },
    Sec {
        prefix: "iter.s/",
        prog_type: BPF_PROG_TYPE_TRACING,
        attach_type: BPF_TRACE_ITER,
        prog_flags: BPF_F_SLEEPABLE,
        attach: ITER,
    },
];

/// What the section is for, and the name of its attach target.
pub(crate) fn find(section: &str) -> Result<(&'static Sec, String)> {
    for sec in SECS {
        match section.strip_prefix(sec.prefix) {
            Some("") => return Err(LowerError::new("section name lacks the attach target")),
            Some(target) => return Ok((sec, format!("{}{target}", sec.attach.prefix))),
            None => {}
        }
    }
    Err(LowerError::new("unsupported program section"))
}
