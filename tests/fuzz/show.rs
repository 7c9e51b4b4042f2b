// SPDX-License-Identifier: MIT OR Apache-2.0
//! `show INPUT DIR`: what an input of the differential target stands for, as the
//! files `object.o`, `local.btf` and `kernel.btf`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let [input, dir] = [1, 2].map(|i| std::env::args_os().nth(i).expect("usage: show INPUT DIR"));
    let Some((object, local, kernel)) = preload_fuzz::differential::files(&std::fs::read(input)?)
    else {
        return Err(std::io::Error::other("too few bytes: nothing chosen"));
    };
    for (name, bytes) in [
        ("object.o", object),
        ("local.btf", local),
        ("kernel.btf", kernel),
    ] {
        std::fs::write(Path::new(&dir).join(name), bytes)?;
    }
    Ok(())
}
