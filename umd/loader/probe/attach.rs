// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where programs can be attached: asked by links that lack what they are to be attached to,
//! where the kernel's answer to that differs from its answer to what it does not know.

use std::path::Path;

use bpf_preload_umd::btf::kind;
use bpf_preload_umd::sys::attr::ProgLoad;
use bpf_preload_umd::sys::{Errno, Sys as _, bpf};

use super::reasons::{Reasons, options};
use super::{Answer, Asked, ask, settings, since};
use crate::errno::{EINVAL, EOPNOTSUPP};
use crate::failure::Failure;
use crate::grants::Set;

const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_PROG_TYPE_LSM: u32 = 29;
const LSM_MAC: u32 = 27;
const LSM_CGROUP: u32 = 43;

/// Why not, of an attach type that the kernel has a name for.
pub(super) fn why_not(reasons: &Reasons<'_>, attach_type: u32) -> Option<String> {
    let needs = options(Set::Attachs, attach_type);
    let asked = match attach_type {
        41 => link(reasons, BPF_PROG_TYPE_KPROBE, 0, attach_type),
        42 | 48 | 56 | 57 => link(reasons, BPF_PROG_TYPE_KPROBE, attach_type, attach_type),
        46 | 47 | 54 | 55 => link(reasons, BPF_PROG_TYPE_SCHED_CLS, attach_type, attach_type),
        23..=26 | 28 | 58 => Some(ask::prog_at(
            reasons.sys,
            ask::BPF_PROG_TYPE_TRACING,
            attach_type,
        )),
        LSM_MAC => Some(ask::prog_at(reasons.sys, BPF_PROG_TYPE_LSM, attach_type)),
        _ => None,
    };
    let why = match asked {
        Some(asked) => reasons.why(asked, needs),
        None => reasons.without(needs),
    };
    why.or_else(|| match attach_type {
        LSM_MAC | LSM_CGROUP => settings::no_bpf_lsm(),
        _ => None,
    })
}

/// A link to nothing. What the kernel says of that is as good as a yes, but for its words for
/// what it does not know; where one word is for both (`EINVAL`), only its configuration tells.
fn link(
    reasons: &Reasons<'_>,
    prog_type: u32,
    expected_attach_type: u32,
    attach_type: u32,
) -> Option<Asked> {
    let attr = ProgLoad {
        expected_attach_type,
        ..ask::attr(prog_type)
    };
    let fd = match ask::load(reasons.sys, attr, &ask::RETURN, &mut []) {
        Ok(fd) => fd,
        Err(errno) => return Some(Err(errno)),
    };
    // Not the fd of an event, and no interface.
    let made = bpf::link_create(reasons.sys, fd, attach_type);
    reasons.sys.close(fd);
    match made {
        Ok(link) => {
            reasons.sys.close(link);
            Some(Ok(()))
        }
        Err(Errno(EOPNOTSUPP)) => Some(Err(Errno(EOPNOTSUPP))),
        Err(Errno(EINVAL)) if [46, 47, 54, 55].contains(&attach_type) => Some(Err(Errno(EINVAL))),
        Err(_) => Some(Ok(())),
    }
}

/// Probes and tracepoints.
pub(super) fn events(reasons: &Reasons<'_>) -> Vec<Answer> {
    let pmu = |name: &str, option: &'static str| {
        let path = format!("/sys/bus/event_source/devices/{name}/type");
        let missing = !Path::new(&path).exists() && Path::new("/sys/bus").exists();
        let why = missing.then(|| {
            let without = reasons.without(&[option]);
            without.unwrap_or_else(|| format!("no {path}"))
        });
        Answer::new(name, why)
    };
    let option = |name: &str, needs: &[&'static str]| Answer::new(name, reasons.without(needs));
    vec![
        pmu("kprobe", "KPROBE_EVENTS"),
        pmu("uprobe", "UPROBE_EVENTS"),
        option("tracepoint", &["BPF_EVENTS", "EVENT_TRACING"]),
        option("tracepoint of a system call", &["FTRACE_SYSCALLS"]),
        option(
            "function of the kernel",
            &["DYNAMIC_FTRACE_WITH_DIRECT_CALLS"],
        ),
        option("error of a function", &["FUNCTION_ERROR_INJECTION"]),
    ]
}

/// What can be iterated: there is a function for each.
pub(super) fn iterators(reasons: &Reasons<'_>) -> Result<Vec<Answer>, Failure> {
    let Ok(kernel) = &reasons.kernel else {
        return Ok(Vec::new());
    };
    let all = since::ITERATORS.iter().map(|(name, since)| {
        let func = format!("bpf_iter_{name}");
        let has = kernel.has(kind::FUNC, func.as_bytes())?;
        let why_not = (!has).then(|| format!("no {func} in kernel BTF (since {since})"));
        Ok(Answer::new(*name, why_not))
    });
    all.collect()
}
