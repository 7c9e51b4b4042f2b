// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF: has the kernel its own, has it that of modules, and what may an object's be made of?

use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Errno, Sys as _};

use super::reasons::Reasons;
use super::{Answer, Asked};
use crate::failure::Failure;
use crate::features::FEATURES;

const VMLINUX: &std::ffi::CStr = c"/sys/kernel/btf/vmlinux";

pub(super) fn all(reasons: &Reasons<'_>) -> Result<Vec<Answer>, Failure> {
    let own = reasons.kernel.as_ref().err().map(|failure| {
        let without = reasons.without(&["DEBUG_INFO_BTF"]);
        without.unwrap_or_else(|| failure.to_string())
    });
    let mut answers = vec![Answer::new("kernel", own)];
    // Where nobody knows the configuration it shows with the first module.
    if reasons.has_option("DEBUG_INFO_BTF").is_some() {
        let needs = ["DEBUG_INFO_BTF", "MODULES", "DEBUG_INFO_BTF_MODULES"];
        answers.push(Answer::new("modules", reasons.without(&needs)));
    }
    if reasons.kernel.is_ok() {
        answers.push(Answer::new(
            "mmap of the kernel's",
            reasons.since("6.16", map()),
        ));
    }
    for (feature, name, since) in FEATURES {
        let asked = feature.ask(reasons.sys);
        answers.push(Answer::new(*name, reasons.since(since, asked)));
    }
    Ok(answers)
}

/// Maps the kernel's BTF, as [`KernelBtf`](bpf_preload_umd::kernel_btf::KernelBtf) tries it.
fn map() -> Asked {
    let fd = Linux.open(VMLINUX)?;
    let mapped = Linux.size(fd).and_then(|len| Linux.map_file(fd, len));
    Linux.close(fd);
    mapped.map(drop).map_err(|errno: Errno| errno)
}
