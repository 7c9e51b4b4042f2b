// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every system call of a life of the driver fails, once and for good, with
//! each errno that bpf() and the others are known for. What is expected of
//! which call stands in [`survives`] and [`step`].

use crate::fake_kernel::{ALWAYS, BtfById, Call, FakeKernel, Fault, Sysfs};
use crate::object::{self, IMAGE, KERNEL, KERNEL_ALL};
use crate::wire::{records, records_all};

const ERRNOS: [(i32, &str); 11] = [
    (libc::EPERM, "EPERM (1)"),
    (libc::EINVAL, "EINVAL (22)"),
    (libc::ENOMEM, "ENOMEM (12)"),
    (libc::EINTR, "EINTR (4)"),
    (libc::EAGAIN, "EAGAIN (11)"),
    (libc::E2BIG, "E2BIG (7)"),
    (libc::ENOSPC, "ENOSPC (28)"),
    (libc::EMFILE, "EMFILE (24)"),
    (libc::EACCES, "EACCES (13)"),
    (libc::ENOSYS, "ENOSYS (38)"),
    (libc::EFAULT, "EFAULT (14)"),
];

/// A kernel with BTF ids: a module's before and behind its own, which is 2.
fn by_id() -> Vec<BtfById> {
    let btf = |id, name: &str| BtfById {
        id,
        name: name.to_string(),
        kernel: true,
        data: KERNEL_ALL.clone(),
        vanishes: false,
    };
    vec![btf(1, "nf_conntrack"), btf(2, "vmlinux"), btf(7, "xfs")]
}

/// Makes the same kernel as often as one is needed.
type Scene = Box<dyn Fn() -> FakeKernel>;

/// Ways that a load goes: each has system calls of its own.
fn scenes() -> Vec<(&'static str, Scene)> {
    let scene = |change: fn(&mut FakeKernel)| {
        Box::new(move || {
            let mut fake = FakeKernel::new(&KERNEL);
            change(&mut fake);
            fake
        }) as Scene
    };
    vec![
        ("mapped", scene(|_| {})),
        ("mapped, ids", scene(|fake| fake.by_id = by_id())),
        ("read", scene(|fake| fake.sysfs = Sysfs::Read(4096))),
        (
            "by id",
            scene(|fake| {
                fake.sysfs = Sysfs::Absent(libc::ENOENT);
                fake.by_id = by_id();
            }),
        ),
        (
            "passed",
            Box::new(|| {
                let mut fake = FakeKernel::new(&[]);
                fake.sysfs = Sysfs::Absent(libc::ENOENT);
                fake.passing(&KERNEL, Sysfs::Mapped)
            }),
        ),
        (
            "passed, read, ids",
            Box::new(|| {
                let mut fake = FakeKernel::new(&[]);
                fake.sysfs = Sysfs::Absent(libc::ENOENT);
                fake.by_id = by_id();
                fake.passing(&KERNEL, Sysfs::Read(4096))
            }),
        ),
        (
            "all",
            Box::new(|| FakeKernel::new(&KERNEL_ALL).asking_for_all()),
        ),
        (
            "all, read, ids",
            Box::new(|| {
                let mut fake = FakeKernel::new(&KERNEL_ALL).asking_for_all();
                fake.sysfs = Sysfs::Read(4096);
                fake.by_id = by_id();
                fake
            }),
        ),
        (
            "pieces",
            scene(|fake| {
                fake.sysfs = Sysfs::Read(1000);
                (fake.read_max, fake.write_max) = (3, 7);
            }),
        ),
    ]
}

/// Does the driver get over this fault? The rules of `sys/bpf.rs`, and of the
/// ways to kernel BTF.
fn survives(call: &Call, errno: i32, once: bool, fake: &FakeKernel) -> bool {
    let again = matches!(errno, libc::EINTR | libc::EAGAIN);
    let ids = !fake.by_id.is_empty();
    match call.0 {
        "pread" if call.1 == "passed" && ids => true,
        "read" | "write" | "pread" => false,
        "open" => ids || fake.passes(),
        // Where fd 3 leads nowhere, ids may; they ask for memory anew.
        "size" => call.1 == "passed" && ids,
        "map_anonymous" => once && fake.passes() && ids,
        "map_file" => true,
        "BTF_LOAD" | "MAP_CREATE" => once && (again || errno == libc::EPERM),
        // The second try is for the log; here it finds nothing wrong.
        "PROG_LOAD" => once,
        "block_sigpipe" => false,
        _ => once && again,
    }
}

/// What the line says was being done.
fn step(call: &Call) -> String {
    let object = match call.1.as_str() {
        "record 0" => "maps.debug",
        "record 1" => "progs.debug",
        "record 2" => "links.debug",
        "BTF 0" => "iterators",
        "BTF 1" => "links",
        object => object,
    };
    let step = match call.0 {
        "block_sigpipe" => "block SIGPIPE",
        "read" if object == "start" => return "read start word".into(),
        "read" => return "read end word".into(),
        "BTF_LOAD" => "load BTF of",
        "MAP_CREATE" => "create map",
        "MAP_UPDATE_ELEM" => "fill map",
        "MAP_FREEZE" => "freeze map",
        "PROG_LOAD" => "load prog",
        "LINK_CREATE" => "attach prog",
        "OBJ_GET_INFO_BY_FD" if object != "BTF" => "get link id of prog",
        "write" => "write record",
        "open" | "size" | "map_anonymous" | "pread" | "OBJ_GET_INFO_BY_FD" | "BTF_GET_NEXT_ID"
        | "BTF_GET_FD_BY_ID" => return "read kernel BTF".into(),
        _ => panic!("{call:?} is not expected"),
    };
    format!("{step} {object}").trim_end().to_string()
}

/// The errnos that the line may name: another one only where `ENOSPC` means that
/// a BTF has a longer name than the kernel's, or where fd 3 is just a try, and
/// no BTF is found by id, either.
fn shown(call: &Call, errno: i32, name: &str) -> Vec<String> {
    let mut shown = vec![name.to_string()];
    let longer = call.0 == "OBJ_GET_INFO_BY_FD" && call.1 == "BTF" && errno == libc::ENOSPC;
    if longer || call.1 == "passed" {
        shown.push("ENOENT (2)".to_string());
    }
    shown
}

/// Calls `with` with every fault in every scene: its maker, call and name.
fn faults(mut with: impl FnMut(&dyn Fn() -> FakeKernel, &Call, Fault, &str)) {
    for (name, scene) in scenes() {
        let good = scene();
        assert_eq!(object::run_all(&good), 0, "{name}: {:?}", good.log());
        for (at, call) in good.trace().iter().enumerate() {
            for (errno, errno_name) in ERRNOS {
                for times in [1, ALWAYS] {
                    let fault = Fault { at, errno, times };
                    let faulty = || scene().failing(fault);
                    with(&faulty, call, fault, errno_name);
                }
            }
        }
    }
}

#[test]
fn no_failing_call_panics_leaks_or_half_reports() {
    let mut lives = 0;
    faults(|kernel, call, fault, errno_name| {
        let fake = kernel();
        let what = format!(
            "{call:?} at {} fails {} times: {errno_name}",
            fault.at, fault.times
        );
        let status = object::run_all(&fake);
        let survived = survives(call, fault.errno, fault.times == 1, &fake);
        // A BTF that is taken for a module's is passed over.
        let skipped = call.1 == "BTF" && shown(call, fault.errno, "").len() > 1;
        assert!(
            status == i32::from(!survived) || skipped,
            "{what}: {status} {:?}",
            fake.log()
                .iter()
                .map(|l| String::from_utf8_lossy(l).into_owned())
                .collect::<Vec<_>>()
        );

        let output = fake.output();
        let records = if fake.asks_for_all() {
            records_all()
        } else {
            records()
        };
        if status == 0 {
            assert_eq!(output, records, "{what}");
            assert_eq!(fake.consumed(), 8, "{what}");
            assert!(fake.log().is_empty(), "{what}: {:?}", fake.log());
        } else {
            let line = object::line(&fake);
            let lines = shown(call, fault.errno, errno_name);
            let mut lines = lines
                .iter()
                .map(|e| format!("bpf_preload: {}: {e}", step(call)));
            assert!(lines.any(|expected| line == expected), "{what}: {line}");
            assert_eq!(fake.open_fds(), [], "{what}");
            assert_eq!(fake.mapped(), 0, "{what}");
            assert!(records.starts_with(&output), "{what}");
            // All links or none, unless it was the writing that failed.
            let reported = output.len();
            match call {
                ("write", _) => {}
                ("read", word) if word == "end" => assert_eq!(reported, records.len(), "{what}"),
                _ => assert_eq!(reported, 0, "{what}"),
            }
            if call.0 == "write" && fake.write_max >= 20 {
                assert_eq!(reported % 20, 0, "{what}");
            }
        }
        lives += 1;
    });
    // 20 calls are the least that a life has.
    assert!(lives > 7 * 20 * 11 * 2, "{lives}");
}

#[test]
fn no_failing_load_leaves_anything_open_or_mapped() {
    let (mut loaded, mut failed) = (0, 0);
    faults(|kernel, call, fault, _| {
        // The conversation around the load is not part of it: its calls are
        // not counted here, nor those behind the load.
        let lead = usize::from(call.0 == "read" || call.0 == "write" || call.0 == "block_sigpipe");
        let fake = kernel();
        let words = if fake.read_max < 4 { 2 } else { 1 };
        if lead > 0 {
            return;
        }
        let at = fault.at - 1 - words;
        let fake = kernel().failing(Fault { at, ..fault });
        match object::load(&fake, IMAGE, || fake.open_fds().len()) {
            Ok(fds) => {
                // BTF, a map, two programs and their links; BTF may be missing.
                let least = if call.0 == "BTF_LOAD" { 5 } else { 6 };
                assert!(fds >= least, "{call:?}: {fds} descriptors while loaded");
                loaded += 1;
            }
            Err(_) => failed += 1,
        }
    });
    assert!(
        loaded > 100 && failed > 100,
        "{loaded} loaded, {failed} failed"
    );
}

/// Times that a call was made, if the first of that name fails for good.
fn tries(name: &str, errno: i32) -> Vec<&'static str> {
    let good = FakeKernel::new(&KERNEL);
    object::run(&good, IMAGE);
    let at = good.calls().iter().position(|call| *call == name).unwrap();
    let times = ALWAYS;
    let fake = FakeKernel::new(&KERNEL).failing(Fault { at, errno, times });
    object::refusal(&fake, IMAGE);
    fake.calls()[at..].to_vec()
}

#[test]
fn interrupted_commands_are_tried_five_times_and_no_more() {
    for errno in [libc::EINTR, libc::EAGAIN] {
        for name in ["BTF_LOAD", "MAP_CREATE", "MAP_FREEZE", "LINK_CREATE"] {
            let mut expected = vec![name; 5];
            expected.push("write");
            assert_eq!(tries(name, errno), expected);
        }
        // And once more with a log.
        let calls = tries("PROG_LOAD", errno);
        assert_eq!(calls, [vec!["PROG_LOAD"; 10], vec!["write"]].concat());
    }
}

#[test]
fn memlock_is_raised_once_where_memory_is_charged_to_it() {
    for name in ["BTF_LOAD", "MAP_CREATE"] {
        assert_eq!(
            tries(name, libc::EPERM),
            [name, "raise_memlock", name, "write"]
        );
    }
    let calls = tries("PROG_LOAD", libc::EPERM);
    let load = ["PROG_LOAD", "raise_memlock", "PROG_LOAD"];
    assert_eq!(calls, [&load[..], &load[..], &["write"]].concat());
    // Where EPERM has nothing to do with memory it is final.
    assert_eq!(tries("LINK_CREATE", libc::EPERM), ["LINK_CREATE", "write"]);
    assert_eq!(tries("MAP_FREEZE", libc::EPERM), ["MAP_FREEZE", "write"]);
}

#[test]
fn a_closed_log_changes_no_exit_status() {
    let (at, errno, times) = (2, libc::EPIPE, ALWAYS);
    let fake = FakeKernel::new(&KERNEL).failing(Fault { at, errno, times });
    fake.say(b"nope");
    assert_eq!(object::run(&fake, IMAGE), 1);
    assert_eq!(fake.trace()[at].1, "log");
    assert!(fake.log().is_empty());
}
