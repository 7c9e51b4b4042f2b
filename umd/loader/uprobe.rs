// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where in a file a function is, for probes in user space.

use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolFlags, elf::STT_FUNC};

use crate::failure::Failure;
use crate::object::read;
use crate::tracefs::matches;

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
    let mut found: Option<Function> = None;
    for this in functions(path, |name| name == function.as_bytes())? {
        found = match found {
            Some(other) if other.offset != this.offset => match (other.weak, this.weak) {
                (false, false) => {
                    return Err(wrong(path, &format!("has two functions {function}")));
                }
                (true, false) => Some(this),
                _ => Some(other),
            },
            _ => Some(this),
        };
    }
    found
        .map(|function| function.offset)
        .ok_or_else(|| wrong(path, &format!("has no function {function}")))
}

/// Offsets of the functions in a file that match a pattern, ascending; at least one.
pub(crate) fn offsets(path: &Path, pattern: &str) -> Result<Vec<u64>, Failure> {
    let found = functions(path, |name| matches(name, pattern.as_bytes()))?;
    let mut offsets: Vec<u64> = found.iter().map(|function| function.offset).collect();
    if offsets.is_empty() {
        return Err(wrong(path, &format!("has no function {pattern}")));
    }
    offsets.sort_unstable();
    offsets.dedup();
    Ok(offsets)
}

struct Function {
    offset: u64,
    weak: bool,
}

/// The functions of a file with names that are wanted.
fn functions(path: &Path, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<Function>, Failure> {
    let bytes = read(path)?;
    let elf = object::File::parse(&*bytes).map_err(|_| wrong(path, "is no ELF file"))?;
    // A stripped file has the first kind alone, a static one the second.
    let symbols = elf.dynamic_symbols().chain(elf.symbols());
    let found = symbols.filter_map(|symbol| {
        let section = symbol.section_index()?;
        // No resolver of an IFUNC, which is no function that is called by its name.
        let func =
            matches!(symbol.flags(), SymbolFlags::Elf { st_info, .. } if st_info.st_type() == STT_FUNC);
        if !func || !wanted(symbol.name_bytes().ok()?) {
            return None;
        }
        let section = elf.section_by_index(section).ok()?;
        let (start, _) = section.file_range()?;
        let within = symbol.address().checked_sub(section.address())?;
        Some(Function {
            offset: within.checked_add(start)?,
            weak: symbol.is_weak(),
        })
    });
    Ok(found.collect())
}

fn wrong(path: &Path, what: &str) -> Failure {
    Failure::new(format!("{} {what}", path.display()))
}
