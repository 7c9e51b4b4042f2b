// SPDX-License-Identifier: MIT OR Apache-2.0
//! tcx on the running kernel, as root: the rules that the kernel's own tests
//! `tc_links` and `tc_opts` check, and more ([`COVERAGE.md`] has the table). Each
//! test has a network namespace of its own, and looks at order, links and revision
//! by a query after each step; what runs when is told by packets.
//!
//! The same program runs in guests: there `TCX_OBJECT` names the compiled
//! `tests/bpf/tcx.bpf.c`, and `TCX_MUST=1` says that this kernel has tcx.
//!
//! [`COVERAGE.md`]: ../../../../tests/tcx/COVERAGE.md
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

mod ends;
mod links;
mod lists;
mod net;
mod owners;

mod progs;
mod refusals;
mod traffic;
