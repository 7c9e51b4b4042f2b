// SPDX-License-Identifier: MIT OR Apache-2.0
//! clang, for the tests of each crate that makes objects of C.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` for `target` as `name.bpf.c` in a directory, which is made.
pub(crate) fn compile_in(dir: &Path, target: &str, name: &str, source: &str) -> PathBuf {
    std::fs::create_dir_all(dir).expect("create a directory");
    let [c, o] = ["c", "o"].map(|end| dir.join(format!("{name}.bpf.{end}")));
    std::fs::write(&c, source).expect("write the source");
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let output = Command::new(clang)
        .args([
            "-target",
            target,
            "-mcpu=v3",
            "-O2",
            "-g",
            "-Wno-everything",
        ])
        .arg("-c")
        .arg("-o")
        .args([&o, &c])
        .output()
        .expect("clang cannot be run: install it with tests/setup, or set CLANG");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "clang: {messages}");
    o
}
