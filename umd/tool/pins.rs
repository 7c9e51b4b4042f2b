// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pins in a bpffs, and that none is left of a command that failed.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bpf_preload_umd::sys::bpf;
use bpf_preload_umd::sys::linux::Linux;
use rustix::fs::StatFs;

use crate::failure::{Failure, number};

/// Magic number of a bpffs, `BPF_FS_MAGIC` of the uapi `linux/magic.h`.
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;

/// Pins made so far; dropping it removes them, unless [`Pins::keep`] was called.
#[derive(Debug, Default)]
pub(crate) struct Pins(Vec<PathBuf>);

impl Pins {
    /// Pins what `fd` refers to at a path; `what` names it in the message.
    pub(crate) fn pin(&mut self, what: &str, fd: i32, path: PathBuf) -> Result<(), Failure> {
        let step = format!("pin {what} at {}", path.display());
        let c_path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Failure::new(format!("{step}: the path holds a NUL")))?;
        bpf::obj_pin(&Linux, fd, &c_path).map_err(|errno| Failure::errno(&step, number(errno)))?;
        self.0.push(path);
        Ok(())
    }

    /// They stay.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for path in self.0.drain(..).rev() {
            // Who removed it meanwhile has done no harm.
            let _ = fs::remove_file(path);
        }
    }
}

/// Is there a bpffs at this path?
pub(crate) fn is_bpffs(dir: &Path) -> Result<bool, Failure> {
    let step = format!("look at {}", dir.display());
    let stat: StatFs =
        rustix::fs::statfs(dir).map_err(|errno| Failure::errno(&step, errno.raw_os_error()))?;
    Ok(stat.f_type as u32 == BPF_FS_MAGIC)
}
