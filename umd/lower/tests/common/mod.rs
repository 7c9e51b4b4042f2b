// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles C at test time and reads the image of it, by means of its own: what
//! is expected never comes from the code under test.
#![allow(dead_code, reason = "each test binary uses a part")]

mod clang;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use preload_image::{CoreRelo, Image, Map, Prog, Relo};

/// What every source may use.
pub(crate) const HEADER: &str = r#"
#define SEC(name) __attribute__((section(name), used))
#define noinline __attribute__((noinline))
#define tracked __attribute__((preserve_access_index))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ulong(name, val) enum { __value_of_##name = val } name
typedef unsigned int u32;
typedef unsigned long long u64;
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_loop)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;
char LICENSE[] SEC("license") = "GPL";
"#;

/// Compiles `HEADER` and `source` for `target` as `name.bpf.c`.
pub(crate) fn compile_for(target: &str, name: &str, source: &str) -> Vec<u8> {
    // Tests run side by side, and some compile the same source.
    static COMPILED: AtomicU32 = AtomicU32::new(0);
    let number = COMPILED.fetch_add(1, Ordering::Relaxed);
    let dir = format!("{}-{number}", env!("CARGO_CRATE_NAME"));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(dir);
    let source = format!("{HEADER}{source}");
    let o = clang::compile_in(&dir, target, name, &source);
    std::fs::read(o).expect("read the object")
}

pub(crate) fn compile(name: &str, source: &str) -> Vec<u8> {
    compile_for("bpf", name, source)
}

/// Compiles and lowers.
pub(crate) fn lower(name: &str, source: &str) -> Vec<u8> {
    preload_lower::lower(&compile(name, source), name).expect("lower")
}

/// Compiles what must be refused; gives the message.
pub(crate) fn refusal(name: &str, source: &str) -> String {
    let result = preload_lower::lower(&compile(name, source), name);
    let message = result.expect_err("was lowered").to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

pub(crate) fn parse(image: &[u8]) -> Image<'_> {
    Image::parse(image).expect("valid image")
}

pub(crate) fn prog<'a>(image: &Image<'a>, name: &str) -> Prog {
    let progs = image.progs();
    find(
        &mut progs.iter(),
        |p| image.str(p.name) == name.as_bytes(),
        name,
    )
}

pub(crate) fn map(image: &Image<'_>, name: &str) -> Map {
    let maps = image.maps();
    find(
        &mut maps.iter(),
        |m| image.str(m.name) == name.as_bytes(),
        name,
    )
}

fn find<T>(all: &mut dyn Iterator<Item = T>, is: impl Fn(&T) -> bool, name: &str) -> T {
    let found: Vec<T> = all.filter(|x| is(x)).collect();
    assert_eq!(found.len(), 1, "{name} must be there once");
    found.into_iter().next().expect(name)
}

/// An instruction, decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Insn {
    pub(crate) code: u8,
    pub(crate) src: u8,
    pub(crate) off: i16,
    pub(crate) imm: i32,
}

pub(crate) fn insns(image: &Image<'_>, prog: &Prog) -> Vec<Insn> {
    let decode = |b: &[u8; 8]| {
        let [code, regs, o0, o1, i0, i1, i2, i3] = *b;
        Insn {
            code,
            src: regs >> 4,
            off: i16::from_le_bytes([o0, o1]),
            imm: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    };
    let (insns, rest) = image.insns(prog.insns).as_chunks::<8>();
    assert!(rest.is_empty());
    insns.iter().map(decode).collect()
}

pub(crate) fn at<T: Copy>(list: &[T], index: usize) -> T {
    *list.get(index).expect("index in range")
}

pub(crate) fn relos(image: &Image<'_>, prog: &Prog) -> Vec<Relo> {
    image.relos(prog.relos).iter().collect()
}

pub(crate) fn core_relos(image: &Image<'_>, prog: &Prog) -> Vec<CoreRelo> {
    image.core_relos(prog.core_relos).iter().collect()
}

pub(crate) fn words(bytes: &[u8]) -> Vec<u32> {
    let (words, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    words.iter().map(|w| u32::from_le_bytes(*w)).collect()
}

/// A BTF type: kind, vlen, name, and size or type.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) kind: u32,
    pub(crate) vlen: u32,
    pub(crate) name: String,
    pub(crate) third: u32,
    pub(crate) rest: Vec<u32>,
}

/// BTF of the image by id, read by the format's description alone.
pub(crate) fn types(image: &Image<'_>) -> Vec<Type> {
    let btf = image.btf();
    let header = words(btf.get(..24).expect("BTF header"));
    assert_eq!(at(&header, 0), 0x0001_eb9f);
    let (type_len, str_off) = (at(&header, 3) as usize, at(&header, 4) as usize);
    assert_eq!(btf.len(), 24 + str_off + at(&header, 5) as usize);
    let all = words(btf.get(24..24 + type_len).expect("types"));
    let mut types = vec![Type {
        kind: 0,
        vlen: 0,
        name: String::new(),
        third: 0,
        rest: vec![],
    }];
    let mut i = 0;
    while i < all.len() {
        let (kind, vlen) = (at(&all, i + 1) >> 24 & 0x1f, at(&all, i + 1) & 0xffff);
        let extra = match kind {
            1 | 14 | 17 => 1,
            3 => 3,
            4 | 5 | 15 | 19 => 3 * vlen as usize,
            6 | 13 => 2 * vlen as usize,
            _ => 0,
        };
        types.push(Type {
            kind,
            vlen,
            name: text(image, at(&all, i)),
            third: at(&all, i + 2),
            rest: all.get(i + 3..i + 3 + extra).expect("type").to_vec(),
        });
        i += 3 + extra;
    }
    types
}

/// String at an offset in BTF.
pub(crate) fn text(image: &Image<'_>, offset: u32) -> String {
    let btf = image.btf();
    let str_off = at(&words(btf.get(16..20).expect("header")), 0) as usize;
    let tail = btf.get(24 + str_off + offset as usize..).expect("string");
    let string = tail.split(|b| *b == 0).next().expect("string");
    String::from_utf8_lossy(string).into_owned()
}

/// First instruction and name of every function of a program, from func_info.
pub(crate) fn functions(image: &Image<'_>, prog: &Prog) -> Vec<(usize, String)> {
    let types = types(image);
    words(image.func_info(prog.func_info))
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[insn, id]| {
            let ty = types.get(*id as usize).expect("type of a function");
            assert_eq!(ty.kind, 12, "func_info must name functions");
            (*insn as usize, ty.name.clone())
        })
        .collect()
}
