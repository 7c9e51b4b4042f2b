// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles the iterators, lowers them to the image, packs it, and links the blob bare.
//!
//! `CLANG` names the compiler (default: the newest installed `clang` or
//! `clang-NN`); `BPF_PRELOAD_OBJ` an object to take instead of compiling one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use lz4::block::CompressionMode;
use preload_image::Image;

const SOURCE: &str = "iterators/iterators.bpf.c";

fn main() {
    if let Err(message) = build() {
        // One line for people; cargo shows what a failed build script prints to stderr.
        eprintln!("error: {message}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BPF_PRELOAD_OBJ");
    println!("cargo::rerun-if-env-changed=CLANG");
    let object = match env::var_os("BPF_PRELOAD_OBJ") {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            PathBuf::from(path)
        }
        None => compile(&out)?,
    };

    let shown = object.display();
    let bytes = fs::read(&object).map_err(|error| format!("{shown}: {error}"))?;
    let image = preload_lower::lower(&bytes, &object_name(&object))
        .map_err(|error| format!("{shown}: {error}"))?;
    // What the blob needs no code for, it has none for: see `driver::run_only`.
    let parsed = Image::parse(&image)
        .map_err(|wrong| format!("{shown}: image with bad {} at {}", wrong.what, wrong.offset))?;
    let kinds = parsed.core_kinds();
    fs::write(out.join("core_kinds.rs"), format!("{kinds:#x}"))
        .map_err(|error| format!("core_kinds.rs: {error}"))?;
    let packed = preload_image::pack(&image, |columns| {
        let best = CompressionMode::HIGHCOMPRESSION(12);
        lz4::block::compress(columns, Some(best), false)
    });
    let packed = packed.map_err(|error| format!("could not pack the image: {error}"))?;
    // The plain image is for tests.
    for (name, bytes) in [("iterators.img", &image), ("iterators.packed", &packed)] {
        fs::write(out.join(name), bytes).map_err(|error| format!("{name}: {error}"))?;
    }
    link_bare()
}

/// libbpf's object name: the file name up to its first dot.
fn object_name(object: &Path) -> String {
    let name = object.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Compiles the iterators; the object depends on the sources alone, not on where they are.
fn compile(out: &Path) -> Result<PathBuf, String> {
    // The directory, so that a new header is noticed, too. What is made here is
    // newer than this run, and must not be named: cargo would run this each time.
    println!("cargo::rerun-if-changed=iterators");
    let clang = clang()?;
    let here = env::var("CARGO_MANIFEST_DIR").map_err(|_| "CARGO_MANIFEST_DIR is not set")?;
    let object = out.join("iterators.bpf.o");
    let status = Command::new(&clang)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g"])
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror"])
        .arg(format!("-ffile-prefix-map={here}/="))
        .arg("-fdebug-compilation-dir=.")
        .arg("-c")
        .arg(SOURCE)
        .arg("-o")
        .arg(&object)
        .status()
        .map_err(|error| format!("{clang}: {error}"))?;
    if status.success() {
        Ok(object)
    } else {
        Err(format!("{clang} could not compile {SOURCE}: {status}"))
    }
}

/// `CLANG`, or the newest of `clang` and `clang-NN` in `PATH`.
fn clang() -> Result<String, String> {
    if let Ok(clang) = env::var("CLANG") {
        return Ok(clang);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let files = env::split_paths(&path)
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| entry.file_name().into_string().ok());
    let versioned = files.filter(|name| {
        let version = name.strip_prefix("clang-");
        name == "clang" || version.is_some_and(|v| v.parse::<u32>().is_ok())
    });
    // The version decides; of equals, the plain name.
    versioned
        .filter_map(|name| Some((version(&name)?, name == "clang", name)))
        .max()
        .map(|(_, _, name)| name)
        .ok_or_else(|| {
            "no clang found: install it, or set CLANG, or BPF_PRELOAD_OBJ to a compiled object"
                .to_owned()
        })
}

/// Major version of a clang that knows the BPF target.
fn version(clang: &str) -> Option<u32> {
    let output = Command::new(clang)
        .args(["-target", "bpf", "-dumpversion"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split('.').next()?.parse().ok()
}

/// Only the blob is linked without a libc; tests and the library are ordinary.
///
/// GNU ld, since lld makes a dynamic executable of what names a shared library
/// on its command line, needed or not.
fn link_bare() -> Result<(), String> {
    const SCRIPT: &str = "umd/blob.ld";
    println!("cargo::rerun-if-changed={SCRIPT}");
    let here = env::var("CARGO_MANIFEST_DIR").map_err(|_| "CARGO_MANIFEST_DIR is not set")?;
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{here}/{SCRIPT}");
    for arg in [
        "-fuse-ld=bfd",
        "-nostartfiles",
        "-nostdlib",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
    ] {
        println!("cargo::rustc-link-arg-bins={arg}");
    }
    Ok(())
}
