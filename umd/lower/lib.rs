// SPDX-License-Identifier: MIT OR Apache-2.0
//! Front end: lowers a BPF object file into a preload image.
//!
//! Everything that depends on the object alone happens here, once; what depends
//! on the running kernel is left to the executor, by name. libbpf is the measure
//! for what an object means. The object is not trusted: whatever its bytes are,
//! the result is an image or one line that says what is wrong and where.

mod btf;
mod btf_ext;
mod btf_type;
mod compact;
mod core_relo;
mod core_spec;
mod core_value;
mod elf;
mod emit;
mod error;
mod externs;
mod fixup;
mod func;
mod insn;
mod link;
mod maps;
mod prog;
mod relocs;
mod sec;
mod struct_ops;
mod variables;

use btf::Btf;
use elf::Elf;
use emit::Parts;
pub use error::LowerError;
use func::Funcs;
use relocs::Referents;

/// Lowers the object file in `object` into an image.
///
/// `name` is the object's name, by libbpf's rule the file name up to its first
/// dot; it is the first part of the names of the maps behind variables. The
/// image is a pure function of both arguments.
///
/// # Errors
/// What is malformed or unsupported, with section, offset and symbol.
pub fn lower(object: &[u8], name: &str) -> Result<Vec<u8>, LowerError> {
    lower_to(object, name, false)
}

/// [`lower`] without what no load needs: the lines of source, and what is in the
/// structs that are there for CO-RE only, which goes by its own records.
///
/// # Errors
/// As [`lower`].
pub fn lower_bare(object: &[u8], name: &str) -> Result<Vec<u8>, LowerError> {
    lower_to(object, name, true)
}

fn lower_to(object: &[u8], name: &str, bare: bool) -> Result<Vec<u8>, LowerError> {
    let elf = Elf::parse(object)?;
    let in_btf = |e: LowerError| e.section(".BTF");
    let mut btf = match elf.section(".BTF") {
        Some(section) => Btf::parse(section.data).map_err(in_btf)?,
        None => Btf::empty(),
    };
    fixup::datasecs(&mut btf, &elf).map_err(in_btf)?;

    let externs = externs::collect(&elf, &btf)?;
    let kconfig = externs::place_kconfig(&mut btf, &externs);
    let mut maps = maps::collect(&elf, &btf, name, kconfig)?;
    let mut funcs = Funcs::collect(&elf)?;

    // Without the types that it names it says nothing.
    if let Some(section) = elf.section(".BTF.ext")
        && elf.section(".BTF").is_some()
    {
        btf_ext::attach(section.data, &elf, &btf, &mut funcs).map_err(|e| e.section(".BTF.ext"))?;
    }
    let referents = Referents {
        elf: &elf,
        maps: &maps,
        externs: &externs,
    };
    referents.apply(&mut funcs)?;
    fixup::hidden_funcs(&mut btf, &funcs);

    let uses = struct_ops::used(&elf, &maps);
    let progs = prog::collect(&funcs, &btf, &uses, &struct_ops::unwanted(&elf))?;
    let entries: Vec<usize> = progs.iter().map(|prog| prog.func).collect();
    let ops = struct_ops::functions(&uses, &funcs, &btf, &progs)?;
    for (map, member, prog) in ops {
        if let Some(map) = maps.get_mut(map) {
            map.ops.push((member, prog));
        }
    }
    maps::fill_slots(&elf, &mut maps, &funcs, &entries)?;
    let parts = Parts {
        name,
        license: license(&elf),
        btf: &btf,
        maps: &maps,
        externs: &externs,
        progs: &progs,
        bare,
    };
    parts.image()
}

/// The BTF in a file: the section `.BTF` of an object, kernel or module, or the file itself.
///
/// # Errors
/// If it is an ELF file without that section, or one that is malformed.
pub fn btf(file: &[u8]) -> Result<&[u8], LowerError> {
    if !file.starts_with(b"\x7fELF") {
        return Ok(file);
    }
    elf::section_of_any(file, ".BTF")?.ok_or_else(|| LowerError::new("no section .BTF"))
}

/// The base that the BTF of a kernel module counts on from, if it has one of its own (`.BTF.base`).
///
/// # Errors
/// If it is an ELF file that is malformed.
pub fn btf_base(file: &[u8]) -> Result<Option<&[u8]>, LowerError> {
    if !file.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    elf::section_of_any(file, ".BTF.base")
}

/// The string in section `license`; empty without one, which the kernel takes as not GPL.
fn license<'a>(elf: &Elf<'a>) -> &'a [u8] {
    let data = elf.section("license").map_or([].as_slice(), |s| s.data);
    data.split(|b| *b == 0).next().unwrap_or_default()
}

/// The name that libbpf gives an object: its file's, up to the first dot.
pub fn object_name(file: &std::path::Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}
