// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzz targets do: a module for each, whose `run` takes any bytes and
//! panics if something is wrong that no bytes may cause.
//!
//! The fake kernel and the writer of BTF are those of the executor's own tests.

#[path = "../../umd/tests/btf_builder.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod btf_builder;
#[path = "../../umd/tests/btf_reader.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod btf_reader;
#[path = "../../umd/tests/fake_kernel/mod.rs"]
#[allow(dead_code, unused_imports, reason = "tests use more of it")]
mod fake_kernel;

pub mod core;
pub mod differential;
mod elf;
pub mod image;
pub mod kernel_btf;
pub mod lower;
mod oracle;
mod pair;
mod types;
pub mod wire;

use std::sync::LazyLock;

use bpf_preload_umd::images;
use preload_image::Image;

use btf_builder::Btf;

/// The driver's own images.
pub static IMAGES: [&[u8]; 2] = [images::PLAIN[0].1, images::PLAIN[1].1];

/// BTF of a kernel that has all that these images ask for.
pub static KERNEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut btf = Btf::new();
    for image in IMAGES {
        btf.append(Image::parse(image).expect("an image").btf());
    }
    let proto = btf.iterators();
    btf.func("bpf_iter_bpf_link", proto);
    btf.bytes()
});

/// One line for people, as every failure is to be.
fn is_line(line: &[u8]) {
    assert!(!line.is_empty());
    let printable = |b: &u8| b.is_ascii_graphic() || *b == b' ';
    assert!(line.iter().all(printable), "{}", line.escape_ascii());
}
