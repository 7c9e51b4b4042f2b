// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices and namespaces that go while something is attached.

use bpf_preload_umd::sys::linux::Linux;
use preload_loader::tcx::{Cause, Direction, Hook, Position};

use crate::lists::{attach, link};
use crate::net::{Peer, enter, eventually, expect, filter, hooks, ifindex, ip, run};
use crate::progs::Progs;

#[test]
fn device_goes_and_leaves_links_that_seem_attached() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, ..] = progs.ids;
    let [f1, f2, f3, f4, ..] = progs.fds;
    ip("link add ve0 type veth peer name ve1");
    let links: Vec<_> = Direction::BOTH
        .into_iter()
        .map(|direction| {
            let hook = Hook {
                ifindex: ifindex("ve0"),
                direction,
            };
            let (l1, i1) = link(hook, f1, Position::Last);
            let (l2, i2) = link(hook, f2, Position::Last);
            attach(hook, f3, Position::Last);
            expect(hook, 4, &[(p1, i1), (p2, i2), (p3, 0)]);
            (hook, [l1, l2])
        })
        .collect();
    ip("link del ve0");
    for (hook, pair) in &links {
        assert_eq!(hook.query(&Linux).unwrap_err().cause, Cause::NoDevice);
        for link in pair {
            let info = link.info().unwrap();
            assert_eq!((info.ifindex, info.direction), (0, hook.direction));
            let error = link.update(f4, None).unwrap_err();
            assert_eq!(error.cause, Cause::Detached);
            link.detach().unwrap();
        }
    }
}

#[test]
fn namespace_goes_and_leaves_links_that_seem_attached() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let (f1, f2) = (progs.fds[0], progs.fds[1]);
    let peer = Peer::new();
    let made = peer.run(move || {
        hooks().map(|hook| {
            (
                link(hook, f1, Position::Last).0,
                attach(hook, f2, Position::Last),
            )
                .0
        })
    });
    assert!(made.iter().all(|link| link.info().unwrap().ifindex == 1));
    // Ours is another one of that number.
    hooks().into_iter().for_each(|hook| expect(hook, 1, &[]));
    drop(peer);
    for link in &made {
        eventually("the namespace is gone", || {
            link.info().unwrap().ifindex == 0
        });
        assert_eq!(link.update(f2, None).unwrap_err().cause, Cause::Detached);
    }
}

#[test]
fn device_with_classic_filters_goes() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    ip("link add ve0 type veth peer name ve1");
    let mut links = Vec::new();
    for direction in Direction::BOTH {
        let hook = Hook {
            ifindex: ifindex("ve0"),
            direction,
        };
        links.extend(
            progs.fds[..4]
                .iter()
                .map(|fd| link(hook, *fd, Position::Last).0),
        );
    }
    run("tc", "qdisc add dev ve0 clsact");
    for direction in Direction::BOTH {
        filter("ve0", direction, progs.fds[4]);
    }
    ip("link del ve0");
    for link in &links {
        assert_eq!(link.info().unwrap().ifindex, 0);
    }
}

/// The list of a device with a clsact qdisc is kept when it is empty, and so is its revision.
#[test]
fn revision_of_an_empty_list_is_not_as_documented() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    run("tc", "qdisc add dev lo clsact");
    for hook in hooks() {
        expect(hook, 1, &[]);
        attach(hook, progs.fds[0], Position::Last);
        expect(hook, 2, &[(progs.ids[0], 0)]);
        hook.detach(&Linux, preload_loader::tcx::Detach::Last, None)
            .unwrap();
        expect(hook, 3, &[]);
    }
    run("tc", "qdisc del dev lo clsact");
    hooks().into_iter().for_each(|hook| expect(hook, 1, &[]));
    // The other way round: the qdisc goes first.
    for hook in hooks() {
        attach(hook, progs.fds[0], Position::Last);
    }
    run("tc", "qdisc add dev lo clsact");
    hooks()
        .into_iter()
        .for_each(|hook| expect(hook, 2, &[(progs.ids[0], 0)]));
    run("tc", "qdisc del dev lo clsact");
    hooks()
        .into_iter()
        .for_each(|hook| expect(hook, 2, &[(progs.ids[0], 0)]));
    for hook in hooks() {
        hook.detach(&Linux, preload_loader::tcx::Detach::Last, None)
            .unwrap();
        expect(hook, 1, &[]);
    }
}
