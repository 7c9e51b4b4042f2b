// SPDX-License-Identifier: MIT OR Apache-2.0
//! `seeds DIR FILE.o...`: what the targets begin with, into a directory for each,
//! made of real objects and of the driver's own images.

use std::path::Path;

use preload_fuzz::{IMAGES, KERNEL};
use preload_image::Image;

fn main() -> std::io::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let dir = args.next().expect("usage: seeds DIR FILE.o...");
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let dir = Path::new(&dir).join(target);
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(name), bytes)
    };
    put("kernel_btf", "all", &KERNEL)?;
    for (number, image) in IMAGES.iter().enumerate() {
        put("image", &format!("driver-{number}"), image)?;
    }
    put("image", "driver-packed", bpf_preload_umd::images::PACKED)?;
    for file in args {
        let bytes = std::fs::read(&file)?;
        let name = preload_lower::object_name(Path::new(&file));
        put("lower", &name, &bytes)?;
        if let Ok(image) = preload_lower::lower(&bytes, &name) {
            put("image", &name, &image)?;
            put(
                "kernel_btf",
                &name,
                Image::parse(&image).expect("an image").btf(),
            )?;
        }
    }
    // What is made of bytes by choice: some of them, of several lengths.
    for target in ["core", "wire", "differential"] {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for number in 0..64 {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .take(64 << (number % 5))
            .collect();
            put(target, &number.to_string(), &bytes)?;
        }
    }
    Ok(())
}
