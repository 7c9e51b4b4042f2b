// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects with very many things in them, made by hand: lowering takes time in
//! proportion, not to its square.

use std::time::{Duration, Instant};

const INT: u32 = 1 << 24;
const PTR: u32 = 2 << 24;
const ARRAY: u32 = 3 << 24;
const STRUCT: u32 = 4 << 24;
const VAR: u32 = 14 << 24;
const DATASEC: u32 = 15 << 24;

/// A string table, and where each string is.
struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, string: &str) -> u32 {
        let at = self.0.len() as u32;
        self.0.extend(string.bytes().chain([0]));
        at
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// An object with `n` programs, each with a map and a kernel symbol of its own.
fn object(n: u32) -> Vec<u8> {
    let mut strings = Strings(vec![0]);
    // BTF: `struct { int (*type)[1]; int (*max_entries)[1]; ... }`, a variable for
    // each map and symbol, and their two sections.
    let mut names = Strings(vec![0]);
    let attributes = ["type", "key_size", "value_size", "max_entries"].map(|name| names.add(name));
    let int = names.add("int");
    let mut types = vec![int, INT, 4, 32];
    // [2] int[1], [3] a pointer to it, [4] int[4], [5] a pointer to it.
    types.extend([0, ARRAY, 0, 1, 1, 1, 0, PTR, 2]);
    types.extend([0, ARRAY, 0, 1, 1, 4, 0, PTR, 4]);
    types.extend([0, STRUCT | 4, 32]);
    for (i, (name, type_id)) in (0..).zip(attributes.into_iter().zip([3, 5, 5, 3])) {
        types.extend([name, type_id, 64 * i]);
    }
    for i in 0..n {
        types.extend([names.add(&format!("map{i}")), VAR, 6, 1]);
        types.extend([names.add(&format!("symbol{i}")), VAR, 0, 2]);
    }
    types.extend([names.add(".maps"), DATASEC | n, 0]);
    (0..n).for_each(|i| types.extend([7 + 2 * i, 32 * i, 32]));
    types.extend([names.add(".ksyms"), DATASEC | n, 0]);
    (0..n).for_each(|i| types.extend([8 + 2 * i, 0, 0]));
    let types = bytes(&types);
    let len = types.len() as u32;
    let mut btf = bytes(&[0x0001_eb9f, 24, 0, len, len, names.0.len() as u32]);
    btf.extend(types);
    btf.extend(names.0);

    let (mut code, mut rels) = (Vec::new(), Vec::new());
    let mut symbols = vec![0u8; 24];
    let mut symbol = |name: u32, info: u8, section: u16, value: u32, size: u32| {
        symbols.extend(bytes(&[name]));
        symbols.extend([info, 0]);
        symbols.extend(section.to_le_bytes());
        symbols.extend(bytes(&[value, 0, size, 0]));
    };
    for i in 0..n {
        // r1 = map ll; r1 = symbol ll; r0 = 0; exit
        let start = 48 * i;
        code.extend(bytes(&[0x118, 0, 0, 0, 0x118, 0, 0, 0, 0xb7, 0, 0x95, 0]));
        symbol(strings.add(&format!("prog{i}")), 0x12, 1, start, 48);
        symbol(strings.add(&format!("map{i}")), 0x11, 2, 32 * i, 32);
        symbol(strings.add(&format!("symbol{i}")), 0x10, 0, 0, 0);
        rels.extend(bytes(&[start, 0, 1, 2 + 3 * i]));
        rels.extend(bytes(&[start + 16, 0, 1, 3 + 3 * i]));
    }
    let maps = vec![0; 32 * n as usize];
    // Name, type (PROGBITS 1, SYMTAB 2, STRTAB 3, REL 9), flags, link, info, entry size.
    let sections = [
        (strings.add("socket"), 1, 6, 0, 0, 0, code),
        (strings.add(".maps"), 1, 3, 0, 0, 0, maps),
        (strings.add(".BTF"), 1, 0, 0, 0, 0, btf),
        (strings.add(".relsocket"), 9, 0, 5, 1, 16, rels),
        (strings.add(".symtab"), 2, 0, 6, 1, 24, symbols),
        (strings.add(".strtab"), 3, 0, 0, 0, 0, strings.0),
    ];
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([1, 0, 247, 0]);
    file.extend(bytes(&[1, 0, 0, 0, 0, 0, 0, 0]));
    file.extend([64, 0, 0, 0, 0, 0, 64, 0, 7, 0, 6, 0]);
    let mut headers = vec![0; 64];
    for (name, kind, flags, link, info, entry_bytes, contents) in sections {
        file.resize(file.len().next_multiple_of(8), 0);
        let (at, len) = (file.len() as u32, contents.len() as u32);
        headers.extend(bytes(&[name, kind, flags, 0, 0, 0, at, 0, len, 0]));
        headers.extend(bytes(&[link, info, 8, 0, entry_bytes, 0]));
        file.extend(contents);
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let table = file.len() as u64;
    let e_shoff = file.get_mut(40..48).expect("a header");
    e_shoff.copy_from_slice(&table.to_le_bytes());
    file.extend(headers);
    file
}

/// The shortest of some runs: what else the machine does is not counted.
fn time(n: u32) -> Duration {
    let object = object(n);
    let runs = (0..5).map(|_| {
        let start = Instant::now();
        preload_lower::lower(&object, "many").expect("lowers");
        start.elapsed()
    });
    runs.min().expect("runs")
}

#[test]
fn time_grows_with_the_square_of_the_object() {
    let (one, eight) = (time(2_500), time(20_000));
    assert!(
        eight < 24 * one,
        "{one:?}, of eight times as much {eight:?}"
    );
}

#[test]
fn names_that_share_their_bytes_take_for_ever() {
    // One long name, and everything is called by a part of it.
    let mut file = object(20_000);
    let start = Instant::now();
    let at = |name: &[u8]| file.windows(name.len()).rposition(|w| w == name);
    let (from, to) = (at(b"prog0"), at(b"socket"));
    let names = file.get_mut(from.expect("a name")..to.expect("a name"));
    names.expect("names").fill(b'a');
    let error = preload_lower::lower(&file, "long").expect_err("is refused");
    assert!(error.to_string().contains("name"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20));
}
