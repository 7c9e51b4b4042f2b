// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where links are pinned: every bpffs that is mounted here, looked through.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Sys as _, bpf};

use crate::mountinfo;

/// Directories within directories that are looked into: a bpffs has few.
const DEPTH: u32 = 16;

/// The pins of each link, by its id. What cannot be read is left out.
pub fn find() -> BTreeMap<u32, Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    let mounts = mountinfo::mounts().unwrap_or_default();
    for bpffs in mounts.iter().filter(|mount| mount.fs_type == "bpf") {
        look(&bpffs.point, DEPTH, &mut found);
    }
    found.values_mut().for_each(|pins| {
        pins.sort();
        pins.dedup();
    });
    found
}

fn look(dir: &Path, depth: u32, found: &mut BTreeMap<u32, Vec<PathBuf>>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => look(&path, depth, found),
            Ok(kind) if kind.is_file() => {
                if let Some(id) = link_id(&path) {
                    found.entry(id).or_default().push(path);
                }
            }
            _ => {}
        }
    }
}

/// The id of the link that is pinned at a path, if it is one.
fn link_id(path: &Path) -> Option<u32> {
    let c_path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let fd = bpf::obj_get(&Linux, &c_path).ok()?;
    let id = crate::tcx::link_id_of(fd);
    Linux.close(fd);
    id
}
