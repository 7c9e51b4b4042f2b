// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which helpers programs of a type may call: for each a program that does.

use bpf_preload_umd::btf::kind;
use bpf_preload_umd::sys::attr::ProgLoad;
use bpf_preload_umd::sys::{Sys as _, linux::Linux};

use super::reasons::{Reasons, names, none_since};
use super::{Answer, Helpers, ask, settings, since};
use crate::failure::Failure;
use crate::kernel::Kernel;
use crate::token::WithToken;

/// Those that leave something in the kernel's log when a program with them is loaded.
const LOUD: [&str; 3] = ["trace_printk", "trace_vprintk", "probe_write_user"];
/// A number that no helper has.
const NONE: u32 = 0x7fff_ffff;
/// `enum bpf_attach_type`.
const BPF_TRACE_FENTRY: u32 = 24;
const BPF_LSM_MAC: u32 = 27;

/// By type of program.
pub(super) fn all(
    reasons: &Reasons<'_>,
    prog_types: &[(u32, Answer)],
) -> Result<Vec<Helpers>, Failure> {
    let Ok(kernel) = &reasons.kernel else {
        return Ok(Vec::new());
    };
    let known = names(kernel, b"bpf_func_id", "BPF_FUNC_")?;
    let newer = since::HELPERS.iter().flat_map(|(since, names)| {
        let names = names.split_whitespace();
        names.map(move |name| (name, none_since(Some(since))))
    });
    let newer: Vec<_> = newer
        .filter(|(name, _)| !known.values().any(|known| known == name))
        .map(|(name, why)| Answer::new(format!("bpf_{name}"), Some(why)))
        .collect();
    let mut all = Vec::new();
    for (prog_type, answer) in prog_types {
        for (of, attr) in attrs(kernel, *prog_type, &answer.name)? {
            let attr = match (&answer.why_not, attr) {
                (Some(_), _) => Err("no program of the type can be loaded".to_owned()),
                (None, attr) => attr.map_err(str::to_owned),
            };
            let answers = attr.and_then(|attr| {
                // Where the verifier stops before it comes to calls it says nothing of them.
                if call(reasons.sys, attr, NONE).is_none() {
                    return Err("the verifier does not come to its calls".to_owned());
                }
                let known = known.iter().map(|(number, name)| {
                    let shown = format!("bpf_{name}");
                    if LOUD.contains(&&**name) {
                        return Answer::unknown(shown, "asking leaves a line in the kernel's log");
                    }
                    let why = call(reasons.sys, attr, *number).map(|()| settings::not_given(name));
                    Answer::new(shown, why)
                });
                Ok(known.chain(newer.iter().cloned()).collect())
            });
            all.push(Helpers { of, answers });
        }
    }
    Ok(all)
}

/// How programs of a type are loaded here, or why they are not.
type Attr = Result<ProgLoad, &'static str>;

/// For types that want one, with something of the kernel to attach to.
fn attrs(kernel: &Kernel, prog_type: u32, name: &str) -> Result<Vec<(String, Attr)>, Failure> {
    let to = |func: &[u8], attach_type: u32| -> Result<Attr, Failure> {
        let id = kernel.id(kind::FUNC, func)?;
        Ok(id
            .map(|id| to(prog_type, attach_type, id))
            .ok_or("no function to try it with"))
    };
    let one = |attr| vec![(name.to_owned(), attr)];
    // enum bpf_prog_type
    Ok(match prog_type {
        26 => vec![
            (
                "tracing (fentry)".into(),
                to(b"bpf_fentry_test1", BPF_TRACE_FENTRY)?,
            ),
            (
                "tracing (iter)".into(),
                to(b"bpf_iter_bpf_map", ask::BPF_TRACE_ITER)?,
            ),
        ],
        29 => one(to(b"bpf_lsm_file_open", BPF_LSM_MAC)?),
        27 => one(Err("it depends on the struct that the program is in")),
        28 => one(Err("they are those of the program that is extended")),
        _ => one(Ok(ask::attr(prog_type))),
    })
}

fn to(prog_type: u32, expected_attach_type: u32, attach_btf_id: u32) -> ProgLoad {
    ProgLoad {
        expected_attach_type,
        attach_btf_id,
        ..ask::attr(prog_type)
    }
}

/// Loads a program that calls a helper: none if it may, or fails for other reasons.
fn call(sys: &WithToken<Linux>, attr: ProgLoad, helper: u32) -> Option<()> {
    let insns = [u64::from(helper) << 32 | 0x85, 0x95];
    let mut log = vec![0; 4096];
    match ask::load(sys, attr, &insns, &mut log) {
        Ok(fd) => {
            sys.close(fd);
            None
        }
        Err(_) => {
            let refused = [
                b"invalid func ".as_slice(),
                b"unknown func ",
                b"program of this type cannot use helper ",
            ];
            let says = |words: &[u8]| log.windows(words.len()).any(|window| window == words);
            refused.into_iter().any(says).then_some(())
        }
    }
}
