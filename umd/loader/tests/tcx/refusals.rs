// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is refused changes nothing, and the line says why.

use std::num::NonZeroU32;

use bpf_preload_umd::sys::linux::Linux;
use preload_loader::tcx::{Anchor, Cause, Detach, Direction, Error, Hook, Neighbour, Position};

use crate::lists::{attach, link, revision};
use crate::net::{LO, dropped, enter, expect, hooks};
use crate::progs::Progs;

/// Both ways to attach are refused in the same way.
fn both(hook: Hook, fd: i32, at: Position, named: Option<u64>, wanted: &Cause) -> [String; 2] {
    let named = named.and_then(revision);
    let link = hook.link(&Linux, fd, at, named).map(drop);
    let attach = hook.attach(&Linux, fd, at, named);
    [link, attach].map(|result| {
        let error: Error = result.unwrap_err();
        assert_eq!(&error.cause, wanted, "{error}");
        error.to_string()
    })
}

#[test]
fn stale_revision_is_not_noticed() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, ..] = progs.ids;
    let [f1, f2, f3, f4, ..] = progs.fds;
    for hook in hooks() {
        let stale = |expected: u64, now: u64| Cause::Stale {
            expected: expected.try_into().unwrap(),
            now: now.try_into().unwrap(),
        };
        both(hook, f1, Position::Last, Some(2), &stale(2, 1));
        hook.attach(&Linux, f1, Position::Last, revision(1))
            .unwrap();
        let l2 = hook.link(&Linux, f2, Position::First, revision(2)).unwrap();
        let i2 = l2.info().unwrap().id;
        expect(hook, 3, &[(p2, i2), (p1, 0)]);
        let lines = both(hook, f3, Position::Last, Some(2), &stale(2, 3));
        let line = format!(
            "attach at ifindex 1 {}: ESTALE (116): revision is now 3, you expected 2",
            hook.direction.name()
        );
        assert_eq!(lines, [line.clone(), line]);
        both(
            hook,
            f3,
            Position::First,
            Some(u64::MAX),
            &stale(u64::MAX, 3),
        );
        let replaced = hook.replace(&Linux, f1, f3, None, revision(2));
        assert_eq!(replaced.unwrap_err().cause, stale(2, 3));
        let detached = hook.detach(&Linux, Detach::Prog(f1), revision(2));
        assert_eq!(detached.unwrap_err().cause, stale(2, 3));
        let neighbour = Neighbour::After(Anchor::ProgId(p2));
        let detached = hook.detach(&Linux, Detach::Beside(neighbour), revision(2));
        assert_eq!(detached.unwrap_err().cause, stale(2, 3));
        expect(hook, 3, &[(p2, i2), (p1, 0)]);
        // A replacement and an update are changes, too.
        hook.replace(&Linux, f1, f3, None, revision(3)).unwrap();
        expect(hook, 4, &[(p2, i2), (p3, 0)]);
        l2.update(f4, None).unwrap();
        hook.detach(&Linux, Detach::Prog(f3), revision(5)).unwrap();
        drop(l2);
        // Forgotten, and from 1 again.
        dropped(hook, 1);
        expect(hook, 1, &[]);
    }
}

#[test]
fn refused_request_changes_something_or_says_nothing() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, ..] = progs.ids;
    let [f1, f2, f3, f4, ..] = progs.fds;
    for hook in hooks() {
        let name = hook.direction.name();
        // Nothing there yet.
        both(
            hook,
            f1,
            Position::Before(Anchor::ProgFd(f2)),
            None,
            &Cause::Empty,
        );
        both(
            hook,
            f1,
            Position::After(Anchor::ProgId(p2)),
            None,
            &Cause::Empty,
        );
        for what in [Detach::Prog(f1), Detach::First, Detach::Last] {
            let error = hook.detach(&Linux, what, None).unwrap_err();
            let line = format!("detach at ifindex 1 {name}: ENOENT (2): nothing is attached there");
            assert_eq!(error.to_string(), line);
        }
        expect(hook, 1, &[]);
        attach(hook, f1, Position::Last);
        let (l2, i2) = link(hook, f2, Position::Last);
        let there = [(p1, 0), (p2, i2)];

        let twice = both(
            hook,
            f1,
            Position::First,
            None,
            &Cause::AlreadyThere { prog_id: p1 },
        );
        let line =
            format!("attach at ifindex 1 {name}: EEXIST (17): prog {p1} is attached there already");
        assert_eq!(twice[0], line);
        both(
            hook,
            f2,
            Position::First,
            None,
            &Cause::AlreadyThere { prog_id: p2 },
        );
        // Not there; not there any more; never been.
        let prog_3 = Cause::NotThere {
            what: format!("prog {p3}"),
        };
        both(
            hook,
            f4,
            Position::Before(Anchor::ProgFd(f3)),
            None,
            &prog_3,
        );
        both(hook, f4, Position::After(Anchor::ProgId(p3)), None, &prog_3);
        let no_prog = Cause::NotThere {
            what: format!("prog {}", u32::MAX),
        };
        both(
            hook,
            f4,
            Position::After(Anchor::ProgId(u32::MAX)),
            None,
            &no_prog,
        );
        let no_link = Cause::NotThere {
            what: format!("link {}", u32::MAX),
        };
        both(
            hook,
            f4,
            Position::After(Anchor::LinkId(u32::MAX)),
            None,
            &no_link,
        );
        let zero = Cause::NotThere {
            what: "link 0".into(),
        };
        both(hook, f4, Position::After(Anchor::LinkId(0)), None, &zero);
        // In the other list it is.
        let other = hooks().into_iter().find(|other| *other != hook).unwrap();
        let (l3, i3) = link(other, f3, Position::Last);
        let link_3 = Cause::NotThere {
            what: format!("link {i3}"),
        };
        both(
            hook,
            f4,
            Position::Before(Anchor::LinkId(i3)),
            None,
            &link_3,
        );
        both(
            hook,
            f4,
            Position::Before(Anchor::LinkFd(l3.fd())),
            None,
            &link_3,
        );
        drop(l3);
        // The link holds the program; the program alone is another thing.
        let detached = hook.detach(&Linux, Detach::Prog(f2), None).unwrap_err();
        let line = format!("detach at ifindex 1 {name}: EBUSY (16): link {i2} holds it");
        assert_eq!(detached.to_string(), line);
        assert_eq!(
            detached.cause,
            Cause::HeldByLink {
                link_id: NonZeroU32::new(i2)
            }
        );
        let missing = hook.detach(&Linux, Detach::Prog(f4), None).unwrap_err();
        assert!(matches!(missing.cause, Cause::NotThere { .. }), "{missing}");
        // No programs of that kind.
        let xdp = hook
            .attach(&Linux, progs.xdp, Position::Last, None)
            .unwrap_err();
        assert!(matches!(xdp.cause, Cause::NotClassifier { .. }), "{xdp}");
        let beside = Position::Before(Anchor::ProgFd(progs.xdp));
        let xdp = hook.link(&Linux, f4, beside, None).unwrap_err();
        assert!(matches!(xdp.cause, Cause::NotClassifier { .. }), "{xdp}");
        // No descriptors at all; a program's for a link's, and the other way round.
        for (fd, at) in [
            (1000, Position::Last),
            (f4, Position::Before(Anchor::ProgFd(1000))),
            (f4, Position::Before(Anchor::LinkFd(1000))),
            (f4, Position::Before(Anchor::LinkFd(f1))),
            (f4, Position::Before(Anchor::ProgFd(l2.fd()))),
            // Where 0 stands for nothing, it must not: that is standard input.
            (f4, Position::Before(Anchor::ProgFd(0))),
            (f4, Position::After(Anchor::LinkFd(0))),
        ] {
            assert!(hook.attach(&Linux, fd, at, None).is_err(), "{fd} {at:?}");
            assert!(hook.link(&Linux, fd, at, None).is_err(), "{fd} {at:?}");
        }
        assert!(hook.detach(&Linux, Detach::Prog(0), None).is_err());
        assert!(hook.detach(&Linux, Detach::Prog(1000), None).is_err());
        expect(hook, 3, &there);

        let nowhere = Hook {
            ifindex: NonZeroU32::MAX,
            ..hook
        };
        both(nowhere, f4, Position::Last, None, &Cause::NoDevice);
        assert_eq!(nowhere.query(&Linux).unwrap_err().cause, Cause::NoDevice);
        let detached = nowhere.detach(&Linux, Detach::Prog(f1), None).unwrap_err();
        assert_eq!(detached.cause, Cause::NoDevice);
        hook.detach(&Linux, Detach::Prog(f1), None).unwrap();
    }
}

/// The program says for which list it was written, and the kernel does not care: who
/// attaches has to.
#[test]
fn kernel_refuses_a_program_for_the_other_list() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let egress = Hook {
        ifindex: LO,
        direction: Direction::Egress,
    };
    attach(egress, progs.fds[4], Position::Last);
    expect(egress, 2, &[(progs.ids[4], 0)]);
}
