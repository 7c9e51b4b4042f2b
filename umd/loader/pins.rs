// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pins in a bpffs, and that none is left of a command that failed.

use std::ffi::CString;
use std::fs;
use std::io::ErrorKind;
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
pub struct Pins(Vec<PathBuf>);

impl Pins {
    /// Pins what `fd` refers to at a path; `what` names it in the message.
    ///
    /// # Errors
    /// As the kernel reports it: `EEXIST` if something is there, `EPERM` outside of a bpffs.
    pub fn pin(&mut self, what: &str, fd: i32, path: PathBuf) -> Result<PathBuf, Failure> {
        let step = format!("pin {what} at {}", path.display());
        let c_path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Failure::new(format!("{step}: the path holds a NUL")))?;
        bpf::obj_pin(&Linux, fd, &c_path).map_err(|errno| Failure::errno(&step, number(errno)))?;
        self.0.push(path.clone());
        Ok(path)
    }

    /// They stay.
    pub fn keep(mut self) {
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

/// A directory for pins. Dropping it removes it, if it was made here and is
/// empty, unless [`PinDir::keep`] was called.
#[derive(Debug)]
pub struct PinDir {
    dir: PathBuf,
    ours: bool,
}

impl PinDir {
    /// Opens a directory in a bpffs; makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or lies in no bpffs.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let ours = match fs::create_dir(dir) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(Failure::io("make", dir, &error)),
        };
        let dir = PinDir {
            dir: dir.to_owned(),
            ours,
        };
        if is_bpffs(&dir.dir)? {
            return Ok(dir);
        }
        let what = format!("pin in {}: not in a bpffs", dir.dir.display());
        Err(Failure::new(what))
    }

    /// The path of a pin.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(pin_name(name))
    }

    /// It stays.
    pub fn keep(mut self) {
        self.ours = false;
    }
}

impl Drop for PinDir {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// The name of a pin: a bpffs takes no name with a dot but from the kernel itself,
/// and a slash would lead elsewhere.
pub fn pin_name(name: &str) -> String {
    name.replace(['.', '/'], "_")
}

/// Is there a bpffs at this path?
///
/// # Errors
/// There is nothing at the path.
pub fn is_bpffs(dir: &Path) -> Result<bool, Failure> {
    let step = format!("look at {}", dir.display());
    let stat: StatFs =
        rustix::fs::statfs(dir).map_err(|errno| Failure::errno(&step, errno.raw_os_error()))?;
    Ok(stat.f_type as u32 == BPF_FS_MAGIC)
}
