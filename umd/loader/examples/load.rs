// SPDX-License-Identifier: MIT OR Apache-2.0
//! From an object file to attached programs, by the library alone:
//! `cargo run -p preload-loader --example load FILE.o` as root. All is gone when it ends.

use std::path::PathBuf;
use std::process::ExitCode;

use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::targets::Search;
use preload_loader::attach::{self, Attachment};
use preload_loader::failure::Failure;
use preload_loader::{complete, kernel, object};

fn run(file: PathBuf) -> Result<(), Failure> {
    // Object to image, by preload_lower: a function of the file alone.
    let image = object::lower(&file)?;
    // What only this machine knows: its configuration, symbols, number of CPUs.
    let image = complete::complete(image)?;
    let image = object::parse(&image)?;
    // Image to programs and maps, by bpf_preload_umd::exec: BTF, maps, CO-RE, load.
    let mut memory = kernel::memory();
    let loaded = kernel::load(&Linux, &image, &[], Search::All, &mut memory)?;
    for map in loaded.maps() {
        println!("map {}: fd {}", String::from_utf8_lossy(map.name), map.fd);
    }
    // Each program to what its section says.
    for attachment in attach::attach(&Linux, &image, &loaded)? {
        match attachment {
            Attachment::Attached(one) => println!("{} runs at {}", one.name, one.section),
            Attachment::NotAttached { prog, why } => println!("{prog} does not: {why}"),
        }
    }
    // Who wants it to stay pins it: `preload_loader::pins`.
    Ok(())
}

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: load FILE.o");
        return ExitCode::from(2);
    };
    match run(file.into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
