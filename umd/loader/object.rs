// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files: read, and lowered.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use preload_image::{Image, ImageError};
use rustix::fs::OFlags;

use crate::btf::Sections;
use crate::btf_base;
use crate::failure::Failure;
use crate::kernel;
use crate::module_btf::ModuleFile;

/// Most bytes of a file: of those that are given to this tool, a kernel with its
/// debug information is the longest. Devices have no end.
const MAX_BYTES: u64 = 1 << 30;

/// What is in a file.
///
/// # Errors
/// The file cannot be read, or has more than 1 GiB.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // Of a pipe without a writer, opening would wait for one; what has one is read to its end.
    let opened = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(file);
    let read = opened.and_then(|open| {
        let flags = rustix::fs::fcntl_getfl(&open)? - OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(&open, flags)?;
        // One byte more: then it is seen to end without a larger buffer.
        let len = open.metadata()?.len().min(MAX_BYTES) as usize + 1;
        bytes.try_reserve_exact(len)?;
        open.take(MAX_BYTES + 1).read_to_end(&mut bytes)
    });
    match read {
        Ok(len) if len as u64 <= MAX_BYTES => Ok(bytes),
        Ok(_) => {
            let what = format!("read {}: more than {MAX_BYTES} bytes", file.display());
            Err(Failure::new(what))
        }
        Err(error) => Err(Failure::io("read", file, &error)),
    }
}

/// An object file's image.
///
/// # Errors
/// The file cannot be read, or cannot be lowered: see [`preload_lower::lower`].
pub fn lower(file: &Path) -> Result<Vec<u8>, Failure> {
    lower_bytes(file, &read(file)?)
}

/// The image of what was read of an object file: of a pipe that can be done once.
///
/// # Errors
/// It cannot be lowered: see [`preload_lower::lower`].
pub fn lower_bytes(file: &Path, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let wrong = |line: String| Failure::new(format!("{}: {line}", file.display()));
    preload_lower::lower(bytes, &preload_lower::object_name(file))
        .map_err(|error| wrong(error.to_string()))
}

/// The BTF in what was read of `file`: BTF, or an ELF object with a section `.BTF`.
///
/// # Errors
/// It is neither, or damaged.
pub fn btf<'b>(file: &Path, bytes: &'b [u8]) -> Result<&'b [u8], Failure> {
    let found = preload_lower::btf(bytes).map_err(|error| Failure::new(error.to_string()));
    let checked = found.and_then(|btf| {
        // Strings of its own begin with the empty one, which split BTF has elsewhere.
        let strings = Sections::of(btf).map(|btf| btf.strings);
        if strings.is_some_and(|strings| strings.first().is_some_and(|byte| *byte != 0)) {
            let what = "BTF of a module, which counts on from its kernel's: that is wanted, too";
            return Err(Failure::new(what));
        }
        kernel::check_btf(btf).map(|()| btf)
    });
    checked.map_err(|failure| failure.within(file))
}

/// The BTF of a module in what was read of `file`, which counts on from its kernel's.
///
/// # Errors
/// It is none, or damaged, or not of this kernel.
pub fn module_btf(file: &Path, bytes: &[u8], vmlinux: &[u8]) -> Result<ModuleFile, Failure> {
    let found =
        preload_lower::btf(bytes).and_then(|btf| Ok((btf, preload_lower::btf_base(bytes)?)));
    let found = found.map_err(|error| Failure::new(error.to_string()));
    let joined = found.and_then(|(split, base)| {
        let moved = base
            .map(|base| btf_base::onto(vmlinux, base, split))
            .transpose()?;
        let split = moved.as_deref().unwrap_or(split);
        // As the kernel calls it: `nf-conntrack.ko` is nf_conntrack.
        let name = preload_lower::object_name(file).replace('-', "_");
        let module = ModuleFile::new(&name, vmlinux, split);
        let module = module.ok_or_else(|| Failure::new("not BTF of a module"))?;
        kernel::check_btf(module.btf()).map(|()| module)
    });
    joined.map_err(|failure| failure.within(file))
}

/// Opens an image.
///
/// # Errors
/// They are no image.
pub fn parse(bytes: &[u8]) -> Result<Image<'_>, Failure> {
    Image::parse(bytes).map_err(|ImageError { what, offset }| {
        Failure::new(format!("read image: bad {what} at offset {offset}"))
    })
}
