// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where links are pinned: every bpffs that is mounted here, looked through.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Sys as _, bpf};

/// Directories within directories that are looked into: a bpffs has few.
const DEPTH: u32 = 16;

/// The pins of each link, by its id. What cannot be read is left out.
pub fn find() -> BTreeMap<u32, Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for dir in mounts.lines().filter_map(bpffs) {
        look(&dir, DEPTH, &mut found);
    }
    found.values_mut().for_each(|pins| {
        pins.sort();
        pins.dedup();
    });
    found
}

/// The mount point, in a line of `/proc/self/mountinfo`, if it is that of a bpffs.
fn bpffs(line: &str) -> Option<PathBuf> {
    let (mount, fs) = line.split_once(" - ")?;
    let point = mount.split(' ').nth(4)?;
    (fs.split(' ').next()? == "bpf").then(|| unescape(point))
}

/// Blanks and the like stand there as a backslash and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = more
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal.filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = more.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    OsString::from_vec(bytes).into()
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

#[cfg(test)]
mod tests {
    use super::bpffs;

    #[test]
    fn mount_point_is_misread() {
        let line = |point: &str, fs: &str| {
            format!("36 35 0:34 / {point} rw,nosuid shared:5 master:1 - {fs} bpf rw,mode=700")
        };
        let plain = bpffs(&line("/sys/fs/bpf", "bpf"));
        assert_eq!(plain, Some("/sys/fs/bpf".into()));
        let blank = bpffs(&line(r"/tmp/a\040b\134c\0", "bpf"));
        assert_eq!(blank, Some(r"/tmp/a b\c\0".into()));
        assert_eq!(bpffs(&line("/sys/fs/bpf", "tmpfs")), None);
        assert_eq!(bpffs("nonsense"), None);
    }
}
