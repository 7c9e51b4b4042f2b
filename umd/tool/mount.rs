// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mount DIR`: the driver's listings in a bpffs, without the kernel module.

use std::fmt;
use std::path::{Path, PathBuf};

use bpf_preload_umd::images;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::targets::Search;
use preload_image::{Image, target_kind};
use preload_loader::failure::Failure;
use preload_loader::kernel::{self, Kernel};
use preload_loader::object;
use preload_loader::pins::{Pins, is_bpffs, pin_name};
use preload_loader::token::{Token, WithToken};
use rustix::mount::{MountFlags, UnmountFlags};
use serde::Serialize;

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct Mounted {
    dir: PathBuf,
    /// Was there no bpffs before?
    mounted: bool,
    pinned: Vec<String>,
    /// What this kernel has no iterator for.
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    name: String,
    missing: String,
}

impl fmt::Display for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.pinned {
            writeln!(f, "{}", self.dir.join(name).display())?;
        }
        for LeftOut { name, missing } in &self.left_out {
            writeln!(f, "left out: {name} (this kernel has no {missing})")?;
        }
        Ok(())
    }
}

/// Mounts a bpffs on `dir`, unless one is there, and fills it. Nothing stays of
/// which nobody could be told.
pub(crate) fn mount(
    dir: &Path,
    tell: impl FnOnce(&Mounted) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // The mount hides the directory: a way to it that leads through itself would end.
    let dir = dir
        .canonicalize()
        .map_err(|error| Failure::io("look at", dir, &error))?;
    let kernel = Kernel::read()?;
    let mount = Mount::unless_there(&dir)?;
    // In a container it is its bpffs that gives the right to load.
    let sys = WithToken::new(Linux, &Token::Try(dir.clone()))?;
    let mut pins = Pins::default();
    let mut said = Mounted {
        mounted: mount.ours,
        pinned: Vec::new(),
        left_out: Vec::new(),
        dir: dir.clone(),
    };
    for (_, image) in images::PLAIN {
        fill(image, &sys, &kernel, &mut pins, &mut said)?;
    }
    if said.pinned.is_empty() {
        let LeftOut { name, missing } = said
            .left_out
            .first()
            .ok_or_else(|| Failure::new("fill bpffs: no iterator was built into this program"))?;
        let what = format!("pin {name}: this kernel has no {missing}");
        return Err(Failure::new(what));
    }
    tell(&said)?;
    pins.keep();
    mount.keep();
    Ok(())
}

/// Loads one image and pins its links.
fn fill(
    bytes: &[u8],
    sys: &WithToken,
    kernel: &Kernel,
    pins: &mut Pins,
    said: &mut Mounted,
) -> Result<(), Failure> {
    let image = object::parse(bytes)?;
    if let Some(missing) = missing_iterator(&image, kernel)? {
        let names = image.progs().iter().map(|prog| prog.link_name);
        said.left_out.extend(names.map(|name| LeftOut {
            name: pin_name(&String::from_utf8_lossy(image.str(name))),
            missing: missing.clone(),
        }));
        return Ok(());
    }
    let mut memory = kernel::memory();
    let loaded = kernel::load(sys, &image, &[], Search::First, &mut memory);
    let loaded = sys.judge(loaded)?;
    for link in loaded.links() {
        let link_name = String::from_utf8_lossy(link.name);
        let name = pin_name(&link_name);
        pins.pin(&format!("link {link_name}"), link.fd, said.dir.join(&name))?;
        said.pinned.push(name);
    }
    Ok(())
}

/// The first function that a program is to be attached to and the kernel has not.
fn missing_iterator(image: &Image<'_>, kernel: &Kernel) -> Result<Option<String>, Failure> {
    for prog in image.progs().iter() {
        let target = prog.attach_target.checked_sub(1);
        if let Some(target) = target.and_then(|index| image.targets().get(index)) {
            let name = image.str(target.name);
            if !kernel.has(target.kind & target_kind::BTF_KIND_MASK, name)? {
                return Ok(Some(String::from_utf8_lossy(name).into_owned()));
            }
        }
    }
    Ok(None)
}

/// A bpffs at a directory; dropping it unmounts what was mounted here, unless
/// [`Mount::keep`] was called.
struct Mount<'d> {
    dir: &'d Path,
    ours: bool,
}

impl<'d> Mount<'d> {
    fn unless_there(dir: &'d Path) -> Result<Self, Failure> {
        let ours = !is_bpffs(dir)?;
        if ours {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            rustix::mount::mount("bpf", dir, "bpf", flags, None).map_err(|errno| {
                let step = format!("mount a bpffs on {}", dir.display());
                Failure::errno(&step, errno.raw_os_error())
            })?;
        }
        Ok(Mount { dir, ours })
    }

    /// It stays.
    fn keep(mut self) {
        self.ours = false;
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        if self.ours {
            // Detached, so that one who looks into it already does not keep it.
            let _ = rustix::mount::unmount(self.dir, UnmountFlags::DETACH);
        }
    }
}
