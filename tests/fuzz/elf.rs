// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes an object file with one program, by hand: what clang would make of it.

/// Bytes of `struct bpf_core_relo`: insn_off, type_id, access_str_off, kind.
pub(crate) type CoreRelo = [u32; 4];

const NAMES: &[u8] = b"\0.strtab\0.symtab\0raw_tp/x\0.BTF\0.BTF.ext\0license\0prog\0";
/// Section names by their place in the string table.
fn name(wanted: &str) -> u32 {
    let mut at = 0;
    for name in NAMES.split(|b| *b == 0) {
        if name == wanted.as_bytes() {
            return at;
        }
        at += name.len() as u32 + 1;
    }
    unreachable!("{wanted} is in NAMES")
}

/// Name, type, flags (alloc and exec), data; link, info, size of an element.
type Section<'a> = (&'a str, u32, u32, &'a [u8], [u32; 3]);

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// An object whose one program, `prog` in `raw_tp/x`, has these instructions, and
/// this BTF. `section` is the place of "raw_tp/x" in its strings, `func` the
/// program's type.
pub(crate) fn object(
    insns: &[u64],
    btf: &[u8],
    section: u32,
    func: u32,
    relos: &[CoreRelo],
) -> Vec<u8> {
    let code: Vec<u8> = insns.iter().flat_map(|insn| insn.to_le_bytes()).collect();
    let func_info = words(&[8, section, 1, 0, func]);
    let mut core = words(&[16, section, relos.len() as u32]);
    relos.iter().for_each(|relo| core.extend(words(relo)));
    let (func_len, core_len) = (func_info.len() as u32, core.len() as u32);
    let mut ext = words(&[
        0x0001_eb9f,
        32,
        0,
        func_len,
        func_len,
        0,
        func_len,
        core_len,
    ]);
    ext.extend(func_info);
    ext.extend(core);
    // st_name, info (global function), other, shndx; value, size.
    let mut symtab = vec![0; 24];
    symtab.extend(words(&[
        name("prog"),
        0x0003_0012,
        0,
        0,
        code.len() as u32,
        0,
    ]));

    let sections: [Section<'_>; 7] = [
        ("", 0, 0, &[], [0; 3]),
        (".strtab", 3, 0, NAMES, [0; 3]),
        (".symtab", 2, 0, &symtab, [1, 1, 24]),
        ("raw_tp/x", 1, 6, &code, [0; 3]),
        (".BTF", 1, 0, btf, [0; 3]),
        (".BTF.ext", 1, 0, &ext, [0; 3]),
        ("license", 1, 0, b"GPL\0", [0; 3]),
    ];
    let mut object = vec![0; 64];
    let mut headers = Vec::new();
    for (section, kind, flags, data, [link, info, element]) in sections {
        object.resize(object.len().next_multiple_of(8), 0);
        let (at, len) = (object.len() as u32, data.len() as u32);
        headers.extend(words(&[name(section), kind, flags, 0, 0, 0, at, 0, len, 0]));
        headers.extend(words(&[link, info, 8, 0, element, 0]));
        object.extend(data);
    }
    object.resize(object.len().next_multiple_of(8), 0);
    let at = object.len() as u32;
    object.extend(headers);
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    // ET_REL of EM_BPF, version; no entry and no segments; sections.
    header.extend(words(&[1 | 247 << 16, 1, 0, 0, 0, 0, at, 0, 0]));
    header.extend(words(&[64, 64 << 16, 7 | 1 << 16]));
    object[..64].copy_from_slice(&header);
    object
}
