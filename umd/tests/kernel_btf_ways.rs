// SPDX-License-Identifier: MIT OR Apache-2.0
//! The three ways to kernel BTF, and what is said where none leads there.

use crate::btf_builder::FUNC;
use crate::btf_reader::types;
use crate::fake_kernel::{BtfById, FakeKernel, Sysfs};
use crate::object::{self, IMAGE, KERNEL};
use crate::wire::records;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

fn btf(id: u32, name: &str, data: &[u8]) -> BtfById {
    BtfById {
        id,
        name: name.to_string(),
        kernel: true,
        data: data.to_vec(),
        vanishes: false,
    }
}

/// Loads, and checks that the functions attached to are those of this BTF.
fn loads(fake: &FakeKernel, kernel_btf: &[u8]) {
    assert_eq!(object::run(fake, IMAGE), 0, "{:?}", fake.log());
    assert_eq!(fake.output(), records());
    let types = types(kernel_btf);
    let loads = fake.loads();
    assert_eq!(loads.len(), 2);
    for (load, name) in loads.iter().zip(["bpf_iter_bpf_map", "bpf_iter_bpf_prog"]) {
        let (found, kind) = &types[load.attach_btf_id as usize - 1];
        assert_eq!((found.as_str(), *kind), (name, FUNC));
    }
}

#[test]
fn btf_is_mapped_where_that_works_and_unmapped_at_the_latest_with_an_error() {
    let fake = FakeKernel::new(&KERNEL);
    loads(&fake, &KERNEL);
    assert_eq!(fake.calls()[2..5], ["open", "size", "map_file"]);
    assert!(!fake.calls().contains(&"pread"));
    let fake = FakeKernel::new(&KERNEL);
    fake.say(&[0x55, 0x55, 0, 0]);
    object::refusal(&fake, IMAGE);
}

#[test]
fn short_reads_put_together_the_same_btf() {
    for max in [4096, 4095, 1000, 17, 1] {
        let mut fake = FakeKernel::new(&KERNEL);
        fake.sysfs = Sysfs::Read(max);
        loads(&fake, &KERNEL);
        let reads = fake.calls().iter().filter(|call| **call == "pread").count();
        // One for each piece; the end need not be read to be known.
        assert_eq!(reads, KERNEL.len().div_ceil(max));
    }
}

#[test]
fn a_file_that_ends_early_is_an_error_and_no_endless_loop() {
    let mut fake = FakeKernel::new(&KERNEL);
    fake.sysfs = Sysfs::Read(4096);
    fake.file_len = Some(KERNEL.len() + 5000);
    // All of the BTF is there: what is missing behind it is nobody's loss.
    loads(&fake, &KERNEL);
    let mut fake = FakeKernel::new(&KERNEL[..KERNEL.len() - 1]);
    fake.sysfs = Sysfs::Read(4096);
    fake.file_len = Some(KERNEL.len());
    let line = object::refusal(&fake, IMAGE);
    assert!(
        line.starts_with("bpf_preload: read kernel BTF: bad "),
        "{line}"
    );
}

#[test]
fn an_empty_file_is_an_error() {
    for sysfs in [Sysfs::Mapped, Sysfs::Read(4096)] {
        let mut fake = FakeKernel::new(&[]);
        fake.sysfs = sysfs;
        let line = object::refusal(&fake, IMAGE);
        assert!(line.starts_with("bpf_preload: read kernel BTF: "), "{line}");
    }
}

#[test]
fn without_sysfs_the_shims_fd_3_serves_and_stays_open() {
    for how in [Sysfs::Mapped, Sysfs::Read(4096), Sysfs::Read(77)] {
        let mut fake = FakeKernel::new(&[]);
        fake.sysfs = Sysfs::Absent(libc::ENOENT);
        // Closing it panics there.
        loads(&fake.passing(&KERNEL, how), &KERNEL);
    }
    // Where there is sysfs, it is not looked at.
    let fake = FakeKernel::new(&KERNEL).passing(b"whatever", Sysfs::Mapped);
    loads(&fake, &KERNEL);
    assert!(!fake.trace().iter().any(|call| call.1 == "passed"));
}

#[test]
fn a_fd_3_that_is_something_else_is_passed_over() {
    for other in [&b""[..], b"\x9f", b"#!/bin/sh\n", &[0; 5000]] {
        for how in [Sysfs::Mapped, Sysfs::Read(4096)] {
            let mut fake = FakeKernel::new(&[]);
            fake.sysfs = Sysfs::Absent(libc::ENOENT);
            fake.by_id = vec![btf(1, "vmlinux", &KERNEL)];
            loads(&fake.passing(other, how), &KERNEL);
            let mut fake = FakeKernel::new(&[]);
            fake.sysfs = Sysfs::Absent(libc::EACCES);
            let line = object::refusal(&fake.passing(other, how), IMAGE);
            assert_eq!(line, "bpf_preload: read kernel BTF: EACCES (13)");
        }
    }
}

#[test]
fn without_sysfs_btf_comes_by_id() {
    let mut fake = FakeKernel::new(&[]);
    fake.sysfs = Sysfs::Absent(libc::ENOENT);
    fake.by_id = vec![btf(1, "vmlinux", &KERNEL)];
    loads(&fake, &KERNEL);
    assert!(!fake.calls().contains(&"pread"));
}

#[test]
fn modules_and_programs_are_not_taken_for_the_kernel() {
    let not = b"not the kernel's".as_slice();
    let mut fake = FakeKernel::new(&[]);
    fake.sysfs = Sysfs::Absent(libc::ENOENT);
    fake.by_id = vec![
        // Longer than the buffer for the name: ENOSPC.
        btf(1, "nf_conntrack_netlink", not),
        btf(2, "xfs", not),
        // A prefix, and one byte more.
        btf(3, "vmlinu", not),
        btf(4, "vmlinux_", not),
        // Of a program, which may be named anything.
        BtfById {
            kernel: false,
            ..btf(5, "vmlinux", not)
        },
        BtfById {
            kernel: false,
            ..btf(6, "", not)
        },
        BtfById {
            vanishes: true,
            ..btf(7, "vmlinux", not)
        },
        btf(9, "vmlinux", &KERNEL),
        btf(11, "btrfs", not),
    ];
    loads(&fake, &KERNEL);
}

#[test]
fn no_way_at_all_is_one_clear_line() {
    let mut fake = FakeKernel::new(&[]);
    fake.sysfs = Sysfs::Absent(libc::ENOENT);
    let line = object::refusal(&fake, IMAGE);
    assert_eq!(line, "bpf_preload: read kernel BTF: ENOENT (2)");
    // Modules alone are none, either.
    fake = FakeKernel::new(&[]);
    fake.sysfs = Sysfs::Absent(libc::ENOENT);
    fake.by_id = vec![btf(3, "nf_conntrack", b""), btf(4, "xfs", b"")];
    let line = object::refusal(&fake, IMAGE);
    assert_eq!(line, "bpf_preload: read kernel BTF: ENOENT (2)");
}

#[test]
fn what_the_file_said_is_told_if_ids_lead_nowhere() {
    let mut fake = FakeKernel::new(&[]);
    fake.sysfs = Sysfs::Absent(libc::EACCES);
    let line = object::refusal(&fake, IMAGE);
    assert_eq!(line, "bpf_preload: read kernel BTF: EACCES (13)");
}

#[test]
fn a_size_that_no_memory_is_there_for_is_refused() {
    let mut fake = FakeKernel::new(&KERNEL);
    fake.sysfs = Sysfs::Read(4096);
    fake.file_len = Some(usize::MAX);
    let line = object::refusal(&fake, IMAGE);
    assert_eq!(line, "bpf_preload: read kernel BTF: ENOMEM (12)");
}

#[test]
fn a_kernel_without_iterators_is_named_by_what_it_lacks() {
    let none = crate::btf_builder::Btf::new().bytes();
    let line = object::refusal(&FakeKernel::new(&none), IMAGE);
    let lacks = "bpf_iter_bpf_map is not in kernel BTF";
    assert_eq!(
        line,
        format!("bpf_preload: load prog dump_bpf_map: {lacks}")
    );
}

#[test]
fn this_machines_btf_is_read_by_every_way() {
    // Built without BTF there is nothing to be shown; with it, it must be readable.
    if !std::path::Path::new(VMLINUX).exists() {
        eprintln!("skipped: {VMLINUX} is not there (CONFIG_DEBUG_INFO_BTF)");
        return;
    }
    let vmlinux = std::fs::read(VMLINUX).unwrap();
    for sysfs in [
        Sysfs::Mapped,
        Sysfs::Read(4096),
        Sysfs::Absent(libc::ENOENT),
    ] {
        let mut fake = FakeKernel::new(&vmlinux);
        fake.by_id = vec![btf(1, "vmlinux", &vmlinux)];
        fake.sysfs = sysfs;
        loads(&fake, &vmlinux);
    }
}
