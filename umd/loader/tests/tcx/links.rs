// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an owner of a link can do: update, detach, pin; and who else cannot.

use std::fs;

use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Sys as _, bpf};
use preload_loader::tcx::{Anchor, Cause, Link, Position};

use crate::lists::{attach, link};
use crate::net::{Bpffs, dropped, enter, expect, hooks};
use crate::progs::Progs;

#[test]
fn updated_link_runs_another_program_than_asked_for() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, ..] = progs.ids;
    let [f1, f2, f3, ..] = progs.fds;
    for hook in hooks() {
        let (l1, i1) = link(hook, f1, Position::Last);
        let (l2, i2) = link(hook, f2, Position::Last);
        expect(hook, 3, &[(p1, i1), (p2, i2)]);
        // Only if it still runs what the request says.
        let error = l2.update(f3, Some(f1)).unwrap_err();
        let other = Cause::OtherProgram {
            runs: p2,
            expected: p1,
        };
        assert_eq!(error.cause, other);
        let line = format!("update link {i2}: EPERM (1): it runs prog {p2}, you expected {p1}");
        assert_eq!(error.to_string(), line);
        expect(hook, 3, &[(p1, i1), (p2, i2)]);
        l2.update(f3, Some(f2)).unwrap();
        expect(hook, 4, &[(p1, i1), (p3, i2)]);
        assert_eq!(l2.info().unwrap().prog_id, p3);
        // To itself: done, and no change.
        l2.update(f3, None).unwrap();
        expect(hook, 4, &[(p1, i1), (p3, i2)]);
        // To what the list has already.
        let error = l2.update(f1, None).unwrap_err();
        assert_eq!(error.cause, Cause::AlreadyThere { prog_id: p1 });
        assert!(l2.update(progs.xdp, None).is_err());
        expect(hook, 4, &[(p1, i1), (p3, i2)]);
        l2.update(f2, None).unwrap();
        expect(hook, 5, &[(p1, i1), (p2, i2)]);

        // A detached link stays, and is of no more use.
        l1.detach().unwrap();
        expect(hook, 6, &[(p2, i2)]);
        let info = l1.info().unwrap();
        assert_eq!((info.id, info.prog_id, info.ifindex), (i1, p1, 0));
        let error = l1.update(f3, None).unwrap_err();
        assert_eq!(error.cause, Cause::Detached);
        assert!(error.to_string().contains("ENOLINK (67)"), "{error}");
        l1.detach().unwrap();
        let error = hook.link(&Linux, f3, Position::Before(Anchor::LinkFd(l1.fd())), None);
        let what = format!("link {i1}");
        assert_eq!(error.unwrap_err().cause, Cause::NotThere { what });
        // Its program is free for another one.
        attach(hook, f1, Position::First);
        expect(hook, 7, &[(p1, 0), (p2, i2)]);
    }
}

#[test]
fn pinned_link_goes_with_its_fd() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, ..] = progs.ids;
    let bpffs = Bpffs::mount();
    let [hook, _] = hooks();
    let (l1, i1) = link(hook, progs.fds[0], Position::Last);
    let path = bpffs.pin("link", l1.fd());
    drop(l1);
    expect(hook, 2, &[(p1, i1)]);
    let again = Link::pinned(&Linux, &path).unwrap();
    assert_eq!(again.info().unwrap().id, i1);
    assert_eq!(Link::by_id(&Linux, i1).unwrap().info().unwrap().prog_id, p1);
    fs::remove_file(&path).unwrap();
    expect(hook, 2, &[(p1, i1)]);
    drop(again);
    dropped(hook, 1);
    expect(hook, 1, &[]);
    // What is no link of tcx is not taken for one: an LPM trie has the same number as type.
    let mut lpm = bpf_preload_umd::sys::attr::MapCreate {
        map_type: 11,
        key_size: 8,
        value_size: 4,
        max_entries: 1,
        map_flags: 1,
        ..Default::default()
    };
    let map = bpf::map_create(&Linux, b"trie", &mut lpm).unwrap();
    assert_eq!(bpffs.pin("link", map), path);
    Linux.close(map);
    let error = Link::pinned(&Linux, &path).unwrap_err();
    assert_eq!(error.cause, Cause::NotTcxLink);
    fs::remove_file(&path).unwrap();
    assert!(
        Link::pinned(&Linux, &path)
            .unwrap_err()
            .to_string()
            .contains("ENOENT (2)")
    );
    assert!(Link::by_id(&Linux, u32::MAX).is_err());
}
