// SPDX-License-Identifier: MIT OR Apache-2.0
//! The executor against a kernel that is none ([`fake_kernel`]) and kernel BTF
//! made by hand ([`btf_builder`]).
#![deny(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

mod btf_builder;
mod fake_kernel;
mod kernel_btf_hostile;
mod kernel_btf_ways;
mod lanes;
mod layout;
mod object;
mod packed;

mod btf_reader;
mod core;
mod driver_faults;
mod image_by_hand;
mod image_mutations;
mod wire;
