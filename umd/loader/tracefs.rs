// SPDX-License-Identifier: MIT OR Apache-2.0
//! tracefs: ids of tracepoints, and the functions that can be traced. Mounted at
//! its usual place or not at all: then privately.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::failure::Failure;
use crate::kallsyms;

const PATH: &str = "/sys/kernel/tracing";

/// The root of a tracefs.
pub(crate) struct Tracefs(OwnedFd);

impl Tracefs {
    pub(crate) fn open() -> Result<Self, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let usual = openat(rustix::fs::CWD, PATH, flags, Mode::empty());
        // Where none is mounted the directory is empty, or not there.
        if let Ok(dir) = usual
            && openat(&dir, "events", flags, Mode::empty()).is_ok()
        {
            return Ok(Tracefs(dir));
        }
        let mount = || -> Result<OwnedFd, Errno> {
            let fs = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(fs.as_fd())?;
            let none = MountAttrFlags::empty();
            fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, none)
        };
        let step = "mount tracefs for this process";
        let dir = mount().map_err(|errno| Failure::errno(step, errno.raw_os_error()))?;
        Ok(Tracefs(dir))
    }

    fn file(&self, name: &str) -> Result<std::fs::File, Failure> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(&self.0, name, flags, Mode::empty());
        let step = || format!("read tracefs {name}");
        let fd = opened.map_err(|errno| Failure::errno(&step(), errno.raw_os_error()))?;
        Ok(std::fs::File::from(fd))
    }

    /// Id of a tracepoint.
    pub(crate) fn id(&self, category: &str, name: &str) -> Result<u64, Failure> {
        let path = format!("events/{category}/{name}/id");
        let mut text = String::new();
        let read = self.file(&path)?.read_to_string(&mut text);
        let step = format!("read tracefs {path}");
        read.map_err(|error| Failure::new(format!("{step}: {error}")))?;
        let id = text.trim().parse();
        id.map_err(|_| Failure::new(format!("{step}: no number")))
    }

    /// Addresses of the functions that match a pattern and can be traced, ascending.
    pub(crate) fn functions(&self, pattern: &[u8]) -> Result<Vec<u64>, Failure> {
        // With addresses since 6.5: of functions of one name some may not be traceable.
        const WITH_ADDRS: &str = "available_filter_functions_addrs";
        const NAMES: &str = "available_filter_functions";
        let mut addrs = Vec::new();
        if let Ok(file) = self.file(WITH_ADDRS) {
            words_of_lines(file, WITH_ADDRS, |[address, name]| {
                let address = std::str::from_utf8(address).ok();
                let address = address.and_then(|a| u64::from_str_radix(a, 16).ok());
                addrs.extend(address.filter(|_| matches(name, pattern)));
            })?;
        } else {
            let mut names = std::collections::HashSet::new();
            words_of_lines(self.file(NAMES)?, NAMES, |[name, _]| {
                if matches(name, pattern) {
                    names.insert(name.to_vec());
                }
            })?;
            kallsyms::each(|address, name| {
                if names.contains(name) {
                    addrs.push(address);
                }
                Ok(())
            })?;
        }
        addrs.sort_unstable();
        addrs.dedup();
        Ok(addrs)
    }
}

/// The first two words of each line; the second is empty if there is but one.
fn words_of_lines(
    file: std::fs::File,
    name: &str,
    mut see: impl FnMut([&[u8]; 2]),
) -> Result<(), Failure> {
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let len = lines.read_until(b'\n', &mut line);
        match len {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(Failure::io("read tracefs", name.as_ref(), &error)),
        }
        let mut words = line.trim_ascii().split(|b| b.is_ascii_whitespace());
        let mut word = || words.next().unwrap_or_default();
        see([word(), word()]);
    }
}

/// Does a name match a pattern, in which `*` is any text and `?` any byte?
pub(crate) fn matches(name: &[u8], pattern: &[u8]) -> bool {
    // The last `*` seen, and up to where of the name it reaches.
    let (mut n, mut p, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == name.get(n) => {
                (n, p) = (n + 1, p + 1);
            }
            _ => match star {
                Some((after, reach)) => {
                    star = Some((after, reach + 1));
                    (n, p) = (reach + 1, after);
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn pattern_matches_another_function() {
        let m = |name: &str, pattern: &str| matches(name.as_bytes(), pattern.as_bytes());
        for (name, pattern) in [
            ("vfs_read", "vfs_*"),
            ("vfs_read", "*"),
            ("vfs_read", "vfs_?ea?"),
            ("vfs_read", "*read"),
            ("vfs_readv_read", "vfs*_read"),
            ("", "**"),
        ] {
            assert!(m(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [
            ("vfs_read", "vfs"),
            ("vfs", "vfs_*"),
            ("vfs_read", "*readv"),
            ("vfs_read", "vfs_read?"),
            ("", "?"),
            ("a", ""),
        ] {
            assert!(!m(name, pattern), "{name} {pattern}");
        }
    }
}
