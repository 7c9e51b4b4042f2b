// SPDX-License-Identifier: MIT OR Apache-2.0
//! `preload-loader`: BPF objects loaded on this machine, as libbpf would.
//!
//! Knows this machine: its kernel's configuration, symbols and BTF, maps that are
//! pinned by their names, and where pins go. What an object means is lowering's;
//! the load itself is the executor's. Prints nothing: whatever goes wrong is a
//! [`Failure`](failure::Failure), one line for whoever asked.

mod arenas;
pub mod attach;
pub mod by_name;
pub mod complete;
pub mod delegate;
pub mod failure;
pub mod features;
pub mod grants;
mod kallsyms;
mod kconfig;
pub mod kernel;
pub mod link_pins;
pub mod netdev;
pub mod object;
pub mod pins;
mod probes;
pub mod prog_name;
pub mod sanitize;
mod struct_ops;
pub mod tcx;
pub mod token;
mod tracefs;
mod uprobe;
