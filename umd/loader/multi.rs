// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links to all functions that match a pattern: of the kernel, or of a file.

use bpf_preload_umd::sys::{Errno, Sys, bpf};
use preload_image::Prog;

use crate::attach::{Hold, linked};
use crate::errno::{EINVAL, EOPNOTSUPP};
use crate::failure::{Failure, number};
use crate::kernel::Kernel;
use crate::tracefs::Tracefs;
use crate::{probes, uprobe};

/// Attach types of such links, with the first kernel that knows them.
const SINCE: [(u32, &str, &str); 4] = [
    (42, "BPF_TRACE_KPROBE_MULTI", "5.18"),
    (48, "BPF_TRACE_UPROBE_MULTI", "6.6"),
    (56, "BPF_TRACE_KPROBE_SESSION", "6.10"),
    (57, "BPF_TRACE_UPROBE_SESSION", "6.13"),
];

/// `kprobe.multi/PATTERN`.
pub(crate) fn kprobes<'l, S: Sys>(
    sys: &S,
    prog: &Prog,
    fd: i32,
    pattern: &str,
    at_return: bool,
) -> Result<Hold<'l>, Failure> {
    let addrs = Tracefs::open()?.functions(pattern.as_bytes())?;
    if addrs.is_empty() {
        return Err(Failure::new("no function of that name can be traced"));
    }
    if addrs.contains(&0) {
        return Err(Failure::new("/proc/kallsyms hides addresses"));
    }
    let made = bpf::link_create_kprobe_multi(sys, fd, prog.attach_type, &addrs, at_return);
    match made {
        // What stands in for the function where it is left out; a 64-bit kernel has no
        // other reason (since 5.18).
        Err(errno) if number(errno) == EOPNOTSUPP => {
            Err(Failure::new("this kernel was built without CONFIG_FPROBE"))
        }
        made => linked_or_unknown(made, prog.attach_type),
    }
}

/// `uprobe.multi/FILE:PATTERN`.
pub(crate) fn uprobes<'l, S: Sys>(
    sys: &S,
    prog: &Prog,
    fd: i32,
    place: &str,
    at_return: bool,
) -> Result<Hold<'l>, Failure> {
    let (path, pattern) = probes::file_and_function(place)?;
    let offsets = uprobe::offsets(&path, pattern)?;
    let path = probes::c_path(&path)?;
    let made = bpf::link_create_uprobe_multi(sys, fd, prog.attach_type, &path, &offsets, at_return);
    linked_or_unknown(made, prog.attach_type)
}

/// What was linked, unless the kernel has never heard of the attach type.
fn linked_or_unknown<'l>(made: Result<i32, Errno>, attach_type: u32) -> Result<Hold<'l>, Failure> {
    if made.is_err_and(|errno| number(errno) == EINVAL) {
        for (_, name, since) in SINCE.iter().filter(|(known, ..)| *known == attach_type) {
            let kernel = Kernel::read();
            let has = kernel.and_then(|k| k.has_enumerator(b"bpf_attach_type", name.as_bytes()));
            if has == Ok(false) {
                let what = format!("this kernel has no {name} (since {since})");
                return Err(Failure::new(what));
            }
        }
    }
    linked(made)
}
