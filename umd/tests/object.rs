// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images to test with, and the executor as these tests run it: what of its
//! interface is not for eternity is named here and nowhere else.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::error::Error;
use bpf_preload_umd::targets::Search;
use bpf_preload_umd::{driver, exec, images};
use preload_image::Image;

use crate::btf_builder::Btf;
use crate::fake_kernel::FakeKernel;

/// The blob's memory.
pub(crate) const ARENA_BYTES: usize = 256 << 10;

/// The real images, as `build.rs` has made them for the blob.
pub(crate) static IMAGES: [&[u8]; 2] = [images::PLAIN[0].1, images::PLAIN[1].1];
/// The classic one.
pub(crate) static IMAGE: &[u8] = IMAGES[0];

/// BTF of a kernel in which all types of these images are as they declare them:
/// their own BTF, and the functions that every kernel with iterators has. And the
/// prototype of those.
fn kernel(images: &[&[u8]]) -> (Btf, u32) {
    let mut btf = Btf::new();
    for image in images {
        btf.append(Image::parse(image).unwrap().btf());
    }
    let proto = btf.iterators();
    (btf, proto)
}

/// A kernel before 5.19, with all that the classic image needs and no more.
pub(crate) static KERNEL: LazyLock<Vec<u8>> = LazyLock::new(|| kernel(&[IMAGE]).0.bytes());

/// One that can list links, too.
pub(crate) static KERNEL_ALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (mut btf, proto) = kernel(&IMAGES);
    btf.func("bpf_iter_bpf_link", proto);
    btf.bytes()
});

/// A life of the driver with an image: its exit status.
pub(crate) fn run(fake: &FakeKernel, image: &[u8]) -> i32 {
    run_with(fake, image, ARENA_BYTES / 8)
}

/// A life with all real images; how many are loaded is up to the start word.
pub(crate) fn run_all(fake: &FakeKernel) -> i32 {
    run(fake, &IMAGES.concat())
}

/// A life with so many words of memory.
pub(crate) fn run_with(fake: &FakeKernel, images: &[u8], words: usize) -> i32 {
    driver::run(fake, images, &mut vec![0; words])
}

/// The load alone, with all candidates looked at: what `while_loaded` sees of
/// it, or the line. Nothing is left of it either way.
pub(crate) fn load<T>(
    fake: &FakeKernel,
    image: &[u8],
    while_loaded: impl FnOnce() -> T,
) -> Result<T, String> {
    let mut memory = vec![0; ARENA_BYTES / 8];
    let mut arena = Arena::new(&mut memory);
    let image = Image::parse(image).unwrap();
    let mut error = Error::default();
    let result = match exec::load(fake, &image, Search::All, &mut arena, &mut error) {
        Ok(_loaded) => Ok(while_loaded()),
        Err(_) => Err(String::from_utf8(error.line().to_vec()).unwrap()),
    };
    assert_eq!(
        fake.open_fds(),
        [],
        "descriptors: {:?}",
        result.as_ref().err()
    );
    assert_eq!(fake.mapped(), 0, "mappings: {:?}", result.as_ref().err());
    result
}

/// The one line on fd 2, without its newline; its form is checked.
pub(crate) fn line(fake: &FakeKernel) -> String {
    let log = fake.log();
    assert_eq!(log.len(), 1, "write(2)s to fd 2: {log:?}");
    let line = String::from_utf8(log[0].clone()).unwrap();
    let line = line.strip_suffix('\n').expect("the line ends");
    assert!(line.starts_with("bpf_preload: "), "{line}");
    assert!(line.len() <= 120, "{} characters: {line}", line.len());
    let printable = |c: char| c.is_ascii_graphic() || c == ' ';
    assert!(line.chars().all(printable), "{line:?}");
    line.to_string()
}

/// A life that ends in an error: the line. Nothing is left of it.
pub(crate) fn refusal(fake: &FakeKernel, image: &[u8]) -> String {
    assert_eq!(run(fake, image), 1, "exit status");
    refused(fake)
}

/// The line of a life that has ended so.
pub(crate) fn refused(fake: &FakeKernel) -> String {
    assert_eq!(fake.open_fds(), [], "descriptors");
    assert_eq!(fake.mapped(), 0, "mappings");
    line(fake)
}

/// What every source may use.
const HEADER: &str = r#"
#define SEC(name) __attribute__((section(name), used))
#define ITER SEC("iter/bpf_map")
#define core __attribute__((preserve_access_index))
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))
#define field(f, kind) __builtin_preserve_field_info(f, kind)
#define type_info(t, kind) __builtin_preserve_type_info(*(t *)0, kind)
#define type_id(t, kind) __builtin_btf_type_id(*(t *)0, kind)
#define enumval(t, v, kind) __builtin_preserve_enum_value(*(t *)v, kind)
typedef signed char s8;
typedef unsigned char u8;
typedef unsigned short u16;
typedef int s32;
typedef unsigned int u32;
typedef long long s64;
typedef unsigned long long u64;
char LICENSE[] SEC("license") = "GPL";
"#;

/// Compiles a source, lowers it under the name `t`, and gives the image.
pub(crate) fn image(source: &str) -> Vec<u8> {
    static COMPILED: AtomicU32 = AtomicU32::new(0);
    let number = COMPILED.fetch_add(1, Ordering::Relaxed);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("umd-{number}"));
    std::fs::create_dir_all(&dir).unwrap();
    let (c, o) = (dir.join("t.bpf.c"), dir.join("t.bpf.o"));
    std::fs::write(&c, format!("{HEADER}{source}")).unwrap();
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let output = Command::new(&clang)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g"])
        .args(["-Wno-everything", "-c", "-o"])
        .args([&o, &c])
        .output()
        .expect("clang cannot be run: install it with tests/setup, or set CLANG");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "clang: {messages}");
    preload_lower::lower(&std::fs::read(o).unwrap(), "t").unwrap()
}
