// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is certain of a refusal beside the kernel's answer. Nothing here is a guess: what
//! is not known is not said.

use preload_image::{Image, Map, Prog};

use crate::errno::{E2BIG, EINVAL, EPERM};
use crate::grants::Set;
use crate::kernel::Kernel;
use crate::verifier_log::number_behind;

/// Of a map that could not be created: what was asked for, and whether there is such a type.
pub(crate) fn map(image: &Image<'_>, map: &Map, errno: Option<i32>) -> Vec<String> {
    // Whoever may not make any is not helped by what this one is like.
    if errno == Some(EPERM) {
        return Vec::new();
    }
    let ty = Set::Maps.word(map.map_type);
    let mut asked = format!(
        "asked for: type {ty}, key_size {}, value_size {}, max_entries {}, flags {:#x}",
        map.key_size, map.value_size, map.max_entries, map.map_flags
    );
    if map.map_extra != 0 {
        asked += &format!(", map_extra {:#x}", map.map_extra);
    }
    if let Some(inner) = map.inner.checked_sub(1).and_then(|at| image.maps().get(at)) {
        asked += &format!(", of {}", Set::Maps.word(inner.map_type));
    }
    let mut notes = vec![asked];
    if errno == Some(EINVAL) {
        notes.extend(unknown_type("map", b"bpf_map_type", map.map_type, &ty));
    }
    // The kernel looks at all that is behind what it knows of an attr.
    if errno == Some(E2BIG) && map.map_extra != 0 && lacks_member(b"bpf_map", b"map_extra") {
        notes.push("this kernel knows no map_extra (since 5.16)".into());
    }
    notes
}

/// Of a program that could not be loaded, with what the verifier says of it, if anything.
pub(crate) fn prog(image: &Image<'_>, prog: &Prog, errno: i32, verdict: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let ty = Set::Progs.word(prog.prog_type);
    if verdict.is_empty() && errno == EINVAL {
        notes.extend(unknown_type(
            "program",
            b"bpf_prog_type",
            prog.prog_type,
            &ty,
        ));
    }
    if verdict.contains("GPL") || verdict.contains("from non-GPL") {
        let license = String::from_utf8_lossy(image.str(image.object().license)).into_owned();
        if !GPL_COMPATIBLE.contains(&&*license) {
            notes.push(format!(
                "the object's license is \"{license}\"; GPL-compatible are: {}",
                GPL_COMPATIBLE.join(", ")
            ));
        }
    }
    // "program of this type cannot use helper ..." since 6.14, "unknown func ..." before.
    if verdict.starts_with("program of this type cannot use helper ")
        || verdict.starts_with("unknown func ")
        || verdict.starts_with("calling kernel function ") && verdict.ends_with(" is not allowed")
    {
        notes.push(format!("the program's type is {ty}"));
    }
    if let Some(number) = number_behind(verdict, "invalid func unknown#")
        && number < FIRST_POISON
    {
        notes.push(format!("this kernel has no helper number {number}"));
    }
    notes
}

/// Numbers of helpers are below, what stands for something missing above.
const FIRST_POISON: u32 = 1 << 24;

/// `license_is_gpl_compatible()`, which has not changed since 2.6.
const GPL_COMPATIBLE: &[&str] = &[
    "GPL",
    "GPL v2",
    "GPL and additional rights",
    "Dual BSD/GPL",
    "Dual MIT/GPL",
    "Dual MPL/GPL",
];

/// That the kernel's own enum has no such type.
fn unknown_type(what: &str, of: &[u8], value: u32, name: &str) -> Option<String> {
    let known = Kernel::read().ok()?.enumerators(of).ok()?;
    let newest = known.iter().map(|(_, value)| *value).max()?;
    let missing = !known
        .iter()
        .any(|(name, known)| *known == u64::from(value) && !name.starts_with("__"));
    let number = if name == value.to_string() {
        String::new()
    } else {
        format!(" ({value})")
    };
    (missing && newest != 0).then(|| format!("this kernel has no {what} type {name}{number}"))
}

/// That a struct of the kernel's has no such member.
fn lacks_member(of: &[u8], member: &[u8]) -> bool {
    let kernel = Kernel::read().ok();
    kernel.is_some_and(|kernel| matches!(kernel.member_index(of, member), Ok(None)))
}
