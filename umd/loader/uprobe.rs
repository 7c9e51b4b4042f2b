// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where in a file a function is, for probes in user space.

use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use crate::failure::Failure;
use crate::object::read;

/// The file that a name without a slash stands for: a library or a program, where
/// libbpf looks for them.
pub(crate) fn file(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(name.into());
    }
    let library = name.ends_with(".so") || name.contains(".so.");
    let (variable, more) = if library {
        (
            "LD_LIBRARY_PATH",
            "/usr/lib64:/usr/lib:/usr/lib/x86_64-linux-gnu:/lib64:/lib",
        )
    } else {
        ("PATH", "/usr/bin:/usr/sbin")
    };
    let first = std::env::var_os(variable).unwrap_or_default();
    let dirs = std::env::split_paths(&first).chain(std::env::split_paths(more));
    let mut files = dirs.map(|dir| dir.join(name));
    files.find(|path| path.is_file())
}

/// Offset of a function in a file.
pub(crate) fn offset(path: &Path, function: &str) -> Result<u64, Failure> {
    let bytes = read(path)?;
    let wrong = |what: &str| Failure::new(format!("{} {what}", path.display()));
    let elf = object::File::parse(&*bytes).map_err(|_| wrong("is no ELF file"))?;
    let mut found: Option<(u64, bool)> = None;
    // A stripped file has the first kind alone, a static one the second.
    for symbol in elf.dynamic_symbols().chain(elf.symbols()) {
        let Some(section) = symbol.section_index() else {
            continue;
        };
        if symbol.kind() != SymbolKind::Text || symbol.name() != Ok(function) {
            continue;
        }
        let section = elf.section_by_index(section).ok();
        let offset = section.and_then(|section| {
            let (start, _) = section.file_range()?;
            symbol
                .address()
                .checked_sub(section.address())?
                .checked_add(start)
        });
        let Some(offset) = offset else { continue };
        found = match found {
            Some((other, weak)) if other != offset => match (weak, symbol.is_weak()) {
                (false, false) => return Err(wrong(&format!("has two functions {function}"))),
                (true, false) => Some((offset, false)),
                _ => Some((other, weak)),
            },
            _ => Some((offset, symbol.is_weak())),
        };
    }
    found
        .map(|(offset, _)| offset)
        .ok_or_else(|| wrong(&format!("has no function {function}")))
}
