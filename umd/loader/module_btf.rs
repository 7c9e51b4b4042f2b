// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF of kernel modules, which the kernel gives by id (since 5.11). It is split:
//! types and strings count on from vmlinux's. Only of those modules that have
//! something that a load needs is it put behind the kernel's, to be read as one.

use std::cell::OnceCell;

use bpf_preload_umd::modules::{Module, Modules, Wanted};
use bpf_preload_umd::sys::{Errno, Sys, bpf};

use crate::btf::{LAYOUT_HEADER_BYTES, Sections, word};

/// Bytes of a module's name with its NUL, `MODULE_NAME_LEN`, and some to spare.
const NAME_BYTES: usize = 64;

/// The modules of the running kernel; nothing is read before somebody asks.
pub struct ModuleBtfs<'s, S: Sys> {
    sys: &'s S,
    found: OnceCell<Vec<Owned>>,
}

type NameAndBtf = (Vec<u8>, Vec<u8>);

struct Owned {
    name: Vec<u8>,
    btf: Vec<u8>,
    first_id: u32,
    fd: i32,
}

impl<'s, S: Sys> ModuleBtfs<'s, S> {
    /// None is known yet.
    pub fn new(sys: &'s S) -> Self {
        ModuleBtfs {
            sys,
            found: OnceCell::new(),
        }
    }

    /// Reads those that have something. Where BTF cannot be had by id (no
    /// CAP_SYS_ADMIN) there are no modules, as for libbpf.
    fn read(&self, vmlinux: &[u8], wanted: &Wanted<'_>) -> Vec<Owned> {
        let mut found = Vec::new();
        let Some(base) = Sections::of(vmlinux) else {
            return found;
        };
        let mut first_id = None;
        let mut id = 0;
        while let Ok(next) = bpf::btf_next_id(self.sys, id) {
            id = next;
            // One that went away in between is none.
            let Ok(fd) = bpf::btf_fd_by_id(self.sys, id) else {
                continue;
            };
            let module = self.module(fd).ok().flatten().and_then(|(name, split)| {
                let has = |split: &Sections<'_>| {
                    let string = |at: u32| string(base.strings, split.strings, at);
                    let mut types = split.types();
                    types.any(|(kind, at)| wanted(&name, kind, string(at)))
                };
                Sections::of(&split).filter(has)?;
                let first_id = *first_id.get_or_insert_with(|| 1 + base.types().count() as u32);
                let btf = join(vmlinux, &split)?;
                Some(Owned {
                    name,
                    btf,
                    first_id,
                    fd,
                })
            });
            match module {
                Some(module) => found.push(module),
                None => self.sys.close(fd),
            }
        }
        found
    }

    /// Name and BTF, if it is a module's.
    fn module(&self, fd: i32) -> Result<Option<NameAndBtf>, Errno> {
        let mut name = [0; NAME_BYTES];
        let info = bpf::btf_info(self.sys, fd, &mut [], &mut name)?;
        let len = name.iter().position(|byte| *byte == 0).unwrap_or(0);
        let name = name.get(..len).unwrap_or_default().to_vec();
        if info.kernel_btf == 0 || name == b"vmlinux" {
            return Ok(None);
        }
        let mut btf = vec![0; info.btf_size as usize];
        bpf::btf_info(self.sys, fd, &mut btf, &mut [])?;
        Ok(Some((name, btf)))
    }
}

impl<S: Sys> Modules for ModuleBtfs<'_, S> {
    fn find(&self, vmlinux: &[u8], wanted: &Wanted<'_>) {
        self.found.get_or_init(|| self.read(vmlinux, wanted));
    }

    fn get(&self, index: usize) -> Option<Module<'_>> {
        let module = self.found.get()?.get(index)?;
        Some(Module {
            name: &module.name,
            btf: &module.btf,
            first_id: module.first_id,
            fd: module.fd,
        })
    }
}

impl<S: Sys> Drop for ModuleBtfs<'_, S> {
    fn drop(&mut self) {
        let found = self.found.get().into_iter().flatten();
        found.for_each(|module| self.sys.close(module.fd));
    }
}

/// One module, whose BTF is in a file: for a kernel that need not be the running one.
pub struct ModuleFile {
    name: Vec<u8>,
    btf: Vec<u8>,
    first_id: u32,
}

impl ModuleFile {
    /// Of this name, with this BTF split off that of its kernel; none if either is no BTF.
    #[must_use]
    pub fn new(name: &str, vmlinux: &[u8], split: &[u8]) -> Option<Self> {
        Some(ModuleFile {
            name: name.as_bytes().to_vec(),
            btf: join(vmlinux, split)?,
            first_id: 1 + Sections::of(vmlinux)?.types().count() as u32,
        })
    }

    /// The kernel's BTF and its own, as BTF of one piece.
    #[must_use]
    pub fn btf(&self) -> &[u8] {
        &self.btf
    }
}

impl Modules for ModuleFile {
    fn find(&self, _: &[u8], _: &Wanted<'_>) {}

    fn get(&self, index: usize) -> Option<Module<'_>> {
        (index == 0).then_some(Module {
            name: &self.name,
            btf: &self.btf,
            first_id: self.first_id,
            fd: -1,
        })
    }
}

/// A string of split BTF.
fn string<'b>(base: &'b [u8], split: &'b [u8], at: u32) -> &'b [u8] {
    let at = at as usize;
    let tail = match at.checked_sub(base.len()) {
        Some(at) => split.get(at..),
        None => base.get(at..),
    };
    let tail = tail.unwrap_or_default();
    tail.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Split BTF behind what it counts on from, as BTF of one piece; none if either is no BTF.
pub fn join(base: &[u8], split: &[u8]) -> Option<Vec<u8>> {
    let magic = word(base, 0).filter(|magic| word(split, 0) == Some(*magic))?;
    let (base, split) = (Sections::of(base)?, Sections::of(split)?);
    let parts = [
        base.types,
        split.types,
        base.strings,
        split.strings,
        base.layout,
    ];
    let types_len = base.types.len() + split.types.len();
    let strings_len = base.strings.len() + split.strings.len();
    let header = [
        magic as usize,
        LAYOUT_HEADER_BYTES as usize,
        0,
        types_len,
        types_len,
        strings_len,
        types_len + strings_len,
        base.layout.len(),
    ];
    let header = header.iter().flat_map(|word| (*word as u32).to_le_bytes());
    let mut joined: Vec<u8> = header.collect();
    parts.iter().for_each(|part| joined.extend_from_slice(part));
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::assemble as btf;

    #[test]
    fn types_of_a_module_are_counted_from_the_wrong_end() {
        let base = btf(&[1, 1 << 24, 4, 32, 0, 2 << 24, 1], b"\0int\0");
        // A struct with a name of the kernel's and a member with one of its own.
        let split = btf(&[1, 4 << 24 | 1, 4, 6, 2, 0], b"\0own\0");
        let joined = join(&base, &split).expect("join");
        let sections = Sections::of(&joined).expect("sections");
        let names = |sections: &Sections<'_>| -> Vec<(u32, Vec<u8>)> {
            let types = sections.types();
            let name = |at| string(b"\0int\0", b"\0own\0", at).to_vec();
            types.map(|(kind, at)| (kind, name(at))).collect()
        };
        let [int, ptr, of] = [(1, "int"), (2, ""), (4, "int")].map(|(k, n)| (k, n.into()));
        assert_eq!(names(&sections), [int, ptr, of]);
        assert_eq!(sections.strings, b"\0int\0\0own\0");
        assert_eq!(string(b"\0int\0", b"\0own\0", 6), b"own");
        for len in 0..split.len() {
            assert_eq!(join(&base, split.get(..len).unwrap_or_default()), None);
        }
    }
}
