// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the machine is set up, as far as that decides what BPF may do.

use std::path::Path;

use rustix::thread::CapabilitySet;

use super::reasons::Reasons;
use super::{Answer, ask};
use crate::failure::Failure;
use crate::kconfig;
use crate::token::{self, WithToken};

/// Files, and what they are called here.
const FILES: [(&str, &str); 6] = [
    (
        "kernel.unprivileged_bpf_disabled",
        "/proc/sys/kernel/unprivileged_bpf_disabled",
    ),
    (
        "net.core.bpf_jit_enable",
        "/proc/sys/net/core/bpf_jit_enable",
    ),
    (
        "net.core.bpf_jit_harden",
        "/proc/sys/net/core/bpf_jit_harden",
    ),
    ("net.core.bpf_jit_limit", "/proc/sys/net/core/bpf_jit_limit"),
    ("lockdown", LOCKDOWN),
    ("lsm", LSM),
];
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const LSM: &str = "/sys/kernel/security/lsm";

/// Each with its value, or why it is not known.
pub(super) fn all(sys: &WithToken) -> Vec<(String, String)> {
    let version = match kconfig::kernel_version() {
        Ok(v) => format!("{}.{}.{}", v >> 16, v >> 8 & 0xff, v & 0xff),
        Err(failure) => failure.to_string(),
    };
    let files = FILES.iter().map(|(name, path)| {
        let value = match (read(path), *name) {
            (Ok(modes), "lockdown") => chosen(&modes).unwrap_or(&modes).to_owned(),
            (Ok(value), _) => value,
            (Err(failure), _) => format!("not known ({failure})"),
        };
        ((*name).to_owned(), value)
    });
    let mut all = vec![("kernel".to_owned(), version)];
    all.extend(files);
    let token = match (sys.token(), sys.allowed()) {
        (None, _) => "none".to_owned(),
        (Some(from), Some(allowed)) => format!("{from}: {allowed}"),
        (Some(from), None) => format!("{from}, which does not say what it allows"),
    };
    all.push(("token".into(), token));
    all
}

fn read(path: &str) -> Result<String, Failure> {
    let path = Path::new(path);
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Failure::io("read", path, &error))?;
    Ok(text.trim().to_owned())
}

/// Of `none [integrity] confidentiality` the one in brackets.
fn chosen(modes: &str) -> Option<&str> {
    modes
        .split_once('[')?
        .1
        .split_once(']')
        .map(|(mode, _)| mode)
}

/// Those that BPF asks for.
pub(super) fn capabilities() -> Vec<Answer> {
    let all = [
        ("CAP_BPF", CapabilitySet::BPF),
        ("CAP_PERFMON", CapabilitySet::PERFMON),
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
        ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN),
    ];
    let answer = |(name, capability)| {
        let why = (!token::capable(capability)).then(|| "this process has it not".to_owned());
        Answer::new(name, why)
    };
    all.map(answer).into()
}

/// Do programs become machine code?
pub(super) fn jit(reasons: &Reasons<'_>) -> Answer {
    let enabled = read("/proc/sys/net/core/bpf_jit_enable");
    let no = |why: String| Answer::new("jit", Some(why));
    match (reasons.without(&["BPF_JIT"]), enabled.as_deref()) {
        (Some(without), _) => no(without),
        (_, Ok("0")) => no("net.core.bpf_jit_enable is 0".into()),
        (_, Ok(_)) => Answer::new("jit", None),
        // The file is root's; who may not see machine code is shown none.
        (_, Err(failure)) => match ask::jited(reasons.sys) {
            Some(true) => Answer::new("jit", None),
            _ => Answer::unknown("jit", failure.to_string()),
        },
    }
}

/// Why not, if the LSM that asks BPF programs does not run.
pub(super) fn no_bpf_lsm() -> Option<String> {
    let running = read(LSM).ok()?;
    let runs = running.split(',').any(|lsm| lsm == "bpf");
    (!runs).then(|| format!("bpf is not among the LSMs that run: {running}"))
}

/// Why a program may not call a helper that the kernel has.
pub(super) fn not_given(helper: &str) -> String {
    let modes = read(LOCKDOWN).ok();
    let mode = modes.as_deref().and_then(chosen);
    let locked = match helper {
        "probe_read" | "probe_read_str" | "probe_read_kernel" | "probe_read_kernel_str" => {
            mode == Some("confidentiality")
        }
        _ => false,
    };
    if locked {
        return "the kernel is locked down (confidentiality)".into();
    }
    let lacks = capabilities()
        .into_iter()
        .filter(|answer| answer.why_not.is_some());
    let lacks: Vec<_> = lacks.map(|answer| answer.name).collect();
    match &*lacks.join(", ") {
        "" => "not for programs of this type".into(),
        lacks => format!("not for programs of this type by a process without {lacks}"),
    }
}
