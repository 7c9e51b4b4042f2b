// SPDX-License-Identifier: MIT OR Apache-2.0
//! The object file as sections, symbols and relocations. Knows ELF, not BPF.
//!
//! What `object` reads is checked here for what later steps rely on: names are
//! UTF-8, and the sections do not overlap, so that no table can be read more
//! often than it was paid for in bytes of the file.

use object::LittleEndian;
use object::elf;
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};

use crate::error::{LowerError, Result};

type Header = elf::FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

pub(crate) use object::elf::{
    R_BPF_64_32, R_BPF_64_64, RelocationType, SHF_EXECINSTR, SHT_NOBITS, SHT_PROGBITS, SHT_REL,
    STB_LOCAL, STB_WEAK, STT_FUNC, STT_NOTYPE, STT_OBJECT, STT_SECTION,
};

/// Longest name of a section, symbol or type (no kernel takes one of a type of more than
/// 511), and most bytes of all names of symbols, or of types: many can share the bytes of
/// a long one.
pub(crate) const MAX_NAME_BYTES: usize = 4096;
pub(crate) const MAX_NAMES_BYTES: usize = 64 << 20;

pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: elf::SectionType,
    pub(crate) exec: bool,
    /// Contents; empty for NOBITS.
    pub(crate) data: &'a [u8],
    /// Bytes, also for NOBITS.
    pub(crate) size: u64,
    /// For REL: index of the section that is relocated.
    info: usize,
    /// For REL: its records.
    rels: &'a [elf::Rel64<LittleEndian>],
}

pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    /// Index of its section; `None` if undefined, absolute or common.
    pub(crate) section: Option<usize>,
    pub(crate) undefined: bool,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) bind: elf::SymbolBind,
    pub(crate) kind: elf::SymbolType,
    /// `STV_HIDDEN` or `STV_INTERNAL`: for BTF as good as static.
    pub(crate) hidden: bool,
}

/// A relocation record.
pub(crate) struct Rel {
    pub(crate) offset: u64,
    /// Index into [`Elf::symbols`].
    pub(crate) symbol: usize,
    pub(crate) kind: RelocationType,
}

pub(crate) struct Elf<'a> {
    /// By section index; the first one is the null section.
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) symbols: Vec<Symbol<'a>>,
}

impl<'a> Elf<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        check_ident(bytes)?;
        let bad = |e: object::Error| LowerError::new(format!("malformed ELF: {e}"));
        let header = Header::parse(bytes).map_err(bad)?;
        if header.e_type(LE) != elf::ET_REL {
            return Err(LowerError::new("not a relocatable ELF object (ET_REL)"));
        }
        // EM_NONE is what compilers wrote before EM_BPF was assigned.
        if ![elf::EM_BPF, elf::EM_NONE].contains(&header.e_machine(LE)) {
            return Err(LowerError::new("not a BPF object (e_machine)"));
        }
        let table = header.sections(LE, bytes).map_err(bad)?;
        let mut sections = Vec::with_capacity(table.len());
        let mut file_bytes = 0u64;
        for (index, header) in table.enumerate() {
            let wrong = |what: String| LowerError::new(what).section(format!("[{}]", index.0));
            let name = table
                .section_name(LE, header)
                .map_err(|e| wrong(e.to_string()))?;
            let name = utf8(name, "section")?;
            let kind = header.sh_type(LE);
            let data = header
                .data(LE, bytes)
                .map_err(|e| wrong(e.to_string()).section(name))?;
            file_bytes = file_bytes.saturating_add(data.len() as u64);
            let rels = match header.rel(LE, bytes) {
                Ok(Some((rels, _))) => rels,
                Ok(None) => &[],
                Err(e) => return Err(wrong(e.to_string()).section(name)),
            };
            sections.push(Section {
                name,
                kind,
                exec: header.sh_flags(LE).0 & SHF_EXECINSTR.0 != 0,
                data,
                size: header.sh_size(LE),
                info: header.sh_info(LE) as usize,
                rels,
            });
        }
        if file_bytes > bytes.len() as u64 {
            return Err(LowerError::new("malformed ELF: sections overlap"));
        }
        // Functions, maps and externs are symbols: without them nothing can be found.
        let symbols = table.symbols(LE, bytes, elf::SHT_SYMTAB).map_err(bad)?;
        if symbols.is_empty() {
            return Err(LowerError::new("no symbol table, stripped object?"));
        }
        let mut names_bytes = 0;
        let symbols = symbols
            .enumerate()
            .map(|(index, symbol)| {
                let name = symbols.symbol_name(LE, symbol).map_err(bad)?;
                names_bytes += name.len();
                if names_bytes > MAX_NAMES_BYTES {
                    let what = format!("symbols with names of more than {MAX_NAMES_BYTES} bytes");
                    return Err(LowerError::new(what));
                }
                let section = symbols.symbol_section(LE, symbol, index).map_err(bad)?;
                if section.is_some_and(|s| s.0 >= sections.len()) {
                    return Err(
                        LowerError::new("symbol of a section that does not exist").symbol(name)
                    );
                }
                Ok(Symbol {
                    name: utf8(name, "symbol")?,
                    section: section.map(|s| s.0),
                    undefined: symbol.is_undefined(LE),
                    value: symbol.st_value(LE),
                    size: symbol.st_size(LE),
                    bind: symbol.st_bind(),
                    kind: symbol.st_type(),
                    hidden: [elf::STV_HIDDEN, elf::STV_INTERNAL].contains(&symbol.st_visibility()),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Elf { sections, symbols })
    }

    /// First section of that name that has contents in the file.
    pub(crate) fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections
            .iter()
            .find(|s| s.name == name && s.kind == SHT_PROGBITS)
    }

    /// The relocation sections with the index of the section that each one relocates.
    pub(crate) fn relocation_sections(&self) -> impl Iterator<Item = (&Section<'a>, usize)> {
        self.sections
            .iter()
            .filter(|s| s.kind == SHT_REL)
            .map(|s| (s, s.info))
    }

    /// Name of a symbol for messages: relocations against static things name their section.
    pub(crate) fn symbol_name(&self, symbol: &Symbol<'a>) -> &'a str {
        let section = symbol.section.and_then(|s| self.sections.get(s));
        match section {
            Some(section) if symbol.name.is_empty() => section.name,
            _ => symbol.name,
        }
    }
}

impl Section<'_> {
    pub(crate) fn rels(&self) -> impl Iterator<Item = Rel> {
        self.rels.iter().map(|rel| Rel {
            offset: rel.r_offset.get(LE),
            symbol: rel.r_sym(LE) as usize,
            kind: rel.r_type(LE),
        })
    }
}

/// What is in a section of any ELF file, a kernel or a module; none if there is no such section.
pub(crate) fn section_of_any<'a>(bytes: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    check_ident(bytes)?;
    let bad = |e: object::Error| LowerError::new(format!("malformed ELF: {e}"));
    let header = Header::parse(bytes).map_err(bad)?;
    let table = header.sections(LE, bytes).map_err(bad)?;
    let found = table.section_by_name(LE, name.as_bytes());
    let data = found.map(|(_, section)| section.data(LE, bytes).map_err(bad));
    data.transpose()
}

/// Tells apart what is no ELF at all, and what is ELF but not for this front end.
fn check_ident(bytes: &[u8]) -> Result<()> {
    let Some(ident) = bytes.first_chunk::<16>() else {
        return Err(LowerError::new("not an ELF file"));
    };
    match ident {
        [0x7f, b'E', b'L', b'F', 2, 1, ..] => Ok(()),
        [0x7f, b'E', b'L', b'F', 2, 2, ..] => Err(LowerError::new(
            "big-endian object: only little-endian BPF is supported",
        )),
        [0x7f, b'E', b'L', b'F', ..] => Err(LowerError::new("not a 64-bit ELF object")),
        _ => Err(LowerError::new("not an ELF file")),
    }
}

fn utf8<'a>(name: &'a [u8], what: &str) -> Result<&'a str> {
    if name.len() > MAX_NAME_BYTES {
        let what = format!("{what} name of more than {MAX_NAME_BYTES} bytes");
        return Err(LowerError::new(what));
    }
    std::str::from_utf8(name)
        .map_err(|_| LowerError::new(format!("{what} name is not UTF-8")).symbol(name))
}
