// SPDX-License-Identifier: MIT OR Apache-2.0
//! The executor: takes a preload image to loaded, attached programs.
//!
//! [`driver::run`] is the user mode driver's whole life: it speaks the wire of
//! `kmod-shim/wire.h` on fd 0 and 1. What it does in between is in [`exec`],
//! which reads top to bottom as the load sequence; [`images`] are those built in.
//! Below that:
//!
//! * [`btf`] reads BTF, [`kernel_btf`] gets the running kernel's,
//!   [`targets`] finds all needed names in it in one walk;
//! * [`core_relo`], [`core_match`] and [`insn`] are CO-RE: value, compatibility, patch;
//! * [`prog`] relocates and loads one program, [`ksym`] finds what it names;
//! * [`sys`] is the kernel: every system call goes through [`sys::Sys`].
//!
//! The library is `no_std`, allocates from one [`arena::Arena`], trusts neither
//! image nor kernel BTF, and has no panic path.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod arena;
pub mod btf;
pub mod core_match;
pub mod core_relo;
pub mod driver;
pub mod error;
pub mod exec;
pub mod images;
pub mod insn;
pub mod kernel_btf;
pub mod ksym;
pub mod load;
pub mod modules;
pub mod prog;
pub mod relo;
pub mod sys;
pub mod targets;
pub mod verifier_log;
