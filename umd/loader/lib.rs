// SPDX-License-Identifier: MIT OR Apache-2.0
//! `preload-loader`: BPF objects loaded on this machine, as libbpf would.
//!
//! Knows this machine: its kernel's configuration, symbols and BTF, maps that are
//! pinned by their names, and where pins go. What an object means is lowering's;
//! the load itself is the executor's. Prints nothing: whatever goes wrong is a
//! [`Failure`](failure::Failure), one line for whoever asked.
//!
//! From a file to programs that run:
//!
//! ```no_run
//! use bpf_preload_umd::sys::linux::Linux;
//! use bpf_preload_umd::targets::Search;
//! use preload_loader::{attach, complete, failure::Failure, kernel, object, pins};
//!
//! # fn main() -> Result<(), Failure> {
//! // preload_lower: object to image, a function of the file alone.
//! let image = object::lower("prog.bpf.o".as_ref())?;
//! // What only this machine knows.
//! let image = complete::complete(image)?;
//! let image = object::parse(&image)?;
//! // bpf_preload_umd::exec: image to maps and programs, relocated for this kernel.
//! let mut memory = kernel::memory();
//! let loaded = kernel::load(&Linux, &image, &[], Search::All, &mut memory)?;
//! // To what the sections say; as long as these live.
//! let attached = attach::attach(&Linux, &image, &loaded)?;
//! // Or until the pins are removed.
//! let mut pinned = pins::Pins::default();
//! for map in loaded.maps() {
//!     let name = String::from_utf8_lossy(map.name);
//!     let path = std::path::Path::new("/sys/fs/bpf").join(pins::pin_name(&name));
//!     pinned.pin(&format!("map {name}"), map.fd, path)?;
//! }
//! pinned.keep();
//! # drop(attached);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/load.rs` does so for a file of your choice.

mod arenas;
pub mod attach;
mod btf;
mod btf_base;
pub mod by_name;
mod c_type;
pub mod complete;
pub mod delegate;
mod errno;
pub mod explain;
pub mod failure;
pub mod features;
pub mod grants;
mod kallsyms;
mod kconfig;
pub mod kernel;
pub mod link_pins;
pub mod module_btf;
mod mountinfo;
mod multi;
pub mod netdev;
mod notes;
pub mod object;
mod pass_on;
mod percpu;
pub mod pins;
pub mod probe;
mod probes;
pub mod prog_name;
pub mod sanitize;
mod struct_ops;
pub mod target;
pub mod tcx;
pub mod token;
mod tracefs;
mod uprobe;
mod verifier_log;
