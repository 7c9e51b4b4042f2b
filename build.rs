// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles the iterators, lowers each object to an image, packs these, and links the blob bare.
//!
//! `CLANG` names the compiler (default: the newest installed `clang` or
//! `clang-NN`). `BPF_PRELOAD_OBJ` names objects to take instead of compiling any, with
//! colons between: the first is the one of a classic start.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use preload_image::{Image, need};

/// Where the sources are, `*.bpf.c`; the order of their names is that of the images.
const SOURCES: &str = "iterators";

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
    let objects = match env::var_os("BPF_PRELOAD_OBJ") {
        Some(paths) => {
            let objects: Vec<PathBuf> = env::split_paths(&paths).collect();
            for object in &objects {
                println!("cargo::rerun-if-changed={}", object.display());
            }
            objects
        }
        None => compile_all(&out)?,
    };
    if objects.is_empty() {
        return Err(format!(
            "no {SOURCES}/*.bpf.c, and no object in BPF_PRELOAD_OBJ"
        ));
    }

    // What umd/images.rs includes.
    let (mut images, mut plain, mut kinds) = (Vec::new(), String::new(), 0);
    for (number, object) in objects.iter().enumerate() {
        let name = preload_lower::object_name(object);
        let image = image(object, &name)?;
        let file = format!("{number}.img");
        write(&out.join(&file), &image)?;
        plain += &format!(
            "({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")) as &[u8]),\n"
        );
        kinds |= needs(&image).map_err(|why| format!("{}: {why}", object.display()))?;
        images.push(image);
    }
    let packed = preload_image::pack(&images, |images| {
        zx0::Compressor::new().compress(images).output
    });
    write(&out.join("plain.rs"), format!("[{plain}]").as_bytes())?;
    write(&out.join("core_kinds.rs"), format!("{kinds:#x}").as_bytes())?;
    write(&out.join("images.packed"), &packed)?;
    link_bare()
}

/// Makes the image of an object.
fn image(object: &Path, name: &str) -> Result<Vec<u8>, String> {
    let shown = object.display();
    let bytes = fs::read(object).map_err(|error| format!("{shown}: {error}"))?;
    preload_lower::lower_bare(&bytes, name).map_err(|error| format!("{shown}: {error}"))
}

/// What an image needs of the blob, which completes none.
fn needs(image: &[u8]) -> Result<u32, String> {
    let image =
        Image::parse(image).map_err(|wrong| format!("bad {} at {}", wrong.what, wrong.offset))?;
    let needs = image.core_kinds();
    if needs & need::COMPLETION != 0 {
        return Err("only the host tool can load it: it has externs that are no BTF ids, or values of one machine".to_owned());
    }
    Ok(needs)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Compiles all iterators.
fn compile_all(out: &Path) -> Result<Vec<PathBuf>, String> {
    // The directory, so that a new file is noticed, too. What is made of them is
    // newer than this run, and must not be named: cargo would run this each time.
    println!("cargo::rerun-if-changed={SOURCES}");
    let entries = fs::read_dir(SOURCES).map_err(|error| format!("{SOURCES}: {error}"))?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut sources: Vec<_> = files
        .filter(|path| path.to_string_lossy().ends_with(".bpf.c"))
        .collect();
    sources.sort();
    let clang = clang()?;
    sources
        .iter()
        .map(|source| compile(&clang, source, out))
        .collect()
}

/// Compiles one; the object depends on the sources alone, not on where they are.
fn compile(clang: &str, source: &Path, out: &Path) -> Result<PathBuf, String> {
    let here = env::var("CARGO_MANIFEST_DIR").map_err(|_| "CARGO_MANIFEST_DIR is not set")?;
    let object = out.join(format!("{}.bpf.o", preload_lower::object_name(source)));
    let status = Command::new(clang)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g"])
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror"])
        .arg(format!("-ffile-prefix-map={here}/="))
        .arg("-fdebug-compilation-dir=.")
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(&object)
        .status()
        .map_err(|error| format!("{clang}: {error}"))?;
    if status.success() {
        Ok(object)
    } else {
        Err(format!(
            "{clang} could not compile {}: {status}",
            source.display()
        ))
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
