// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places in a list: where each request puts, replaces and takes away what, with links
//! and without, by each kind of anchor, and the revision that it leaves.

use bpf_preload_umd::sys::Errno;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::tcx::{QueryRoom, prog_attach, prog_detach, prog_query};
use preload_loader::tcx::{Anchor, Cause, Detach, Hook, Link, Neighbour, Position, Revision};

use crate::net::{dropped, enter, expect, hooks};
use crate::progs::Progs;

/// Attaches with a link; the id of that.
pub(crate) fn link(hook: Hook, fd: i32, at: Position) -> (Link<'static, Linux>, u32) {
    let link = hook.link(&Linux, fd, at, None).unwrap();
    let id = link.info().unwrap().id;
    (link, id)
}

pub(crate) fn attach(hook: Hook, fd: i32, at: Position) {
    hook.attach(&Linux, fd, at, None).unwrap();
}

pub(crate) fn revision(number: u64) -> Option<Revision> {
    Some(Revision::new(number).unwrap())
}

#[test]
fn link_is_elsewhere_than_asked_for() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, p4, p5, p6, ..] = progs.ids;
    let [f1, f2, f3, f4, f5, f6, ..] = progs.fds;
    for hook in hooks() {
        expect(hook, 1, &[]);
        let (l1, i1) = link(hook, f1, Position::Last);
        expect(hook, 2, &[(p1, i1)]);
        let info = l1.info().unwrap();
        let said = (info.id, info.prog_id, info.ifindex, info.direction);
        assert_eq!(said, (i1, p1, 1, hook.direction));
        let (l2, i2) = link(hook, f2, Position::First);
        expect(hook, 3, &[(p2, i2), (p1, i1)]);
        let (_l3, i3) = link(hook, f3, Position::Before(Anchor::LinkFd(l1.fd())));
        expect(hook, 4, &[(p2, i2), (p3, i3), (p1, i1)]);
        let (_l4, i4) = link(hook, f4, Position::After(Anchor::ProgFd(f2)));
        expect(hook, 5, &[(p2, i2), (p4, i4), (p3, i3), (p1, i1)]);
        let (_l5, i5) = link(hook, f5, Position::Before(Anchor::ProgId(p2)));
        expect(hook, 6, &[(p5, i5), (p2, i2), (p4, i4), (p3, i3), (p1, i1)]);
        let (_l6, i6) = link(hook, f6, Position::After(Anchor::LinkId(i1)));
        let all = [(p5, i5), (p2, i2), (p4, i4), (p3, i3), (p1, i1), (p6, i6)];
        expect(hook, 7, &all);
        // A link goes with its fd.
        drop(l2);
        dropped(hook, 8);
        let rest = [(p5, i5), (p4, i4), (p3, i3), (p1, i1), (p6, i6)];
        expect(hook, 8, &rest);
    }
    // All others went with theirs, and the kernel has forgotten the lists.
    for hook in hooks() {
        dropped(hook, 1);
        expect(hook, 1, &[]);
    }
}

#[test]
fn program_is_elsewhere_than_asked_for() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, p4, p5, ..] = progs.ids;
    let [f1, f2, f3, f4, f5, ..] = progs.fds;
    for hook in hooks() {
        attach(hook, f1, Position::First);
        attach(hook, f2, Position::Last);
        expect(hook, 3, &[(p1, 0), (p2, 0)]);
        attach(hook, f3, Position::Before(Anchor::ProgFd(f2)));
        expect(hook, 4, &[(p1, 0), (p3, 0), (p2, 0)]);
        attach(hook, f4, Position::After(Anchor::ProgId(p1)));
        expect(hook, 5, &[(p1, 0), (p4, 0), (p3, 0), (p2, 0)]);
        attach(hook, f5, Position::Before(Anchor::ProgId(p1)));
        expect(hook, 6, &[(p5, 0), (p1, 0), (p4, 0), (p3, 0), (p2, 0)]);
        // From both ends, from the middle, and by place.
        hook.detach(&Linux, Detach::First, None).unwrap();
        expect(hook, 7, &[(p1, 0), (p4, 0), (p3, 0), (p2, 0)]);
        hook.detach(&Linux, Detach::Last, None).unwrap();
        expect(hook, 8, &[(p1, 0), (p4, 0), (p3, 0)]);
        hook.detach(&Linux, Detach::Prog(f4), revision(8)).unwrap();
        expect(hook, 9, &[(p1, 0), (p3, 0)]);
        let before = Neighbour::Before(Anchor::ProgFd(f3));
        hook.detach(&Linux, Detach::ProgAt(f1, before), None)
            .unwrap();
        expect(hook, 10, &[(p3, 0)]);
        hook.detach(&Linux, Detach::Prog(f3), None).unwrap();
        expect(hook, 1, &[]);
    }
}

#[test]
fn detached_by_place_is_another_one() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, p4, ..] = progs.ids;
    for hook in hooks() {
        for fd in &progs.fds[..4] {
            attach(hook, *fd, Position::Last);
        }
        let detach = |neighbour, named| hook.detach(&Linux, Detach::Beside(neighbour), named);
        let before = |fd: usize| Neighbour::Before(Anchor::ProgFd(progs.fds[fd]));
        let after = |fd: usize| Neighbour::After(Anchor::ProgFd(progs.fds[fd]));
        expect(hook, 5, &[(p1, 0), (p2, 0), (p3, 0), (p4, 0)]);
        // At the ends there is nothing beside: the kernel itself would take the end.
        for wrong in [before(0), after(3)] {
            let error = detach(wrong, None).unwrap_err();
            assert_eq!(error.cause, Cause::NoNeighbour);
        }
        assert!(matches!(
            detach(before(7), None).unwrap_err().cause,
            Cause::NotThere { .. }
        ));
        expect(hook, 5, &[(p1, 0), (p2, 0), (p3, 0), (p4, 0)]);
        detach(before(2), None).unwrap();
        expect(hook, 6, &[(p1, 0), (p3, 0), (p4, 0)]);
        detach(after(2), revision(6)).unwrap();
        expect(hook, 7, &[(p1, 0), (p3, 0)]);
        // The program must be where the request says.
        let error = |fd: usize, at| {
            let what = Detach::ProgAt(progs.fds[fd], at);
            hook.detach(&Linux, what, None).unwrap_err().cause
        };
        assert_eq!(error(0, after(2)), Cause::Elsewhere);
        assert_eq!(error(2, before(0)), Cause::Elsewhere);
        assert_eq!(
            error(0, before(1)),
            Cause::NotThere {
                what: format!("prog {p2}")
            }
        );
        expect(hook, 7, &[(p1, 0), (p3, 0)]);
        hook.detach(&Linux, Detach::ProgAt(progs.fds[2], after(0)), None)
            .unwrap();
        hook.detach(&Linux, Detach::Last, None).unwrap();
        expect(hook, 1, &[]);
    }
}

#[test]
fn replaced_program_loses_its_place() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, p4, ..] = progs.ids;
    let [f1, f2, f3, f4, ..] = progs.fds;
    for hook in hooks() {
        attach(hook, f1, Position::Last);
        attach(hook, f2, Position::Last);
        let replace = |old, new, at, named| hook.replace(&Linux, old, new, at, named);
        replace(f2, f3, None, revision(3)).unwrap();
        expect(hook, 4, &[(p1, 0), (p3, 0)]);
        // Only in the place that is named.
        let before_3 = Some(Neighbour::Before(Anchor::ProgFd(f3)));
        let after_3 = Some(Neighbour::After(Anchor::ProgId(p3)));
        let cause = |result: Result<(), preload_loader::tcx::Error>| result.unwrap_err().cause;
        assert_eq!(cause(replace(f1, f4, after_3, None)), Cause::Elsewhere);
        expect(hook, 4, &[(p1, 0), (p3, 0)]);
        replace(f1, f4, before_3, None).unwrap();
        expect(hook, 5, &[(p4, 0), (p3, 0)]);
        // Not by itself, not by what is there, and not what is not.
        assert_eq!(
            cause(replace(f3, f3, None, None)),
            Cause::AlreadyThere { prog_id: p3 }
        );
        assert_eq!(
            cause(replace(f4, f3, None, None)),
            Cause::AlreadyThere { prog_id: p3 }
        );
        let what = format!("prog {p2}");
        assert_eq!(cause(replace(f2, f1, None, None)), Cause::NotThere { what });
        expect(hook, 5, &[(p4, 0), (p3, 0)]);
        hook.detach(&Linux, Detach::First, None).unwrap();
        hook.detach(&Linux, Detach::First, None).unwrap();
        expect(hook, 1, &[]);
        assert_eq!(cause(replace(f2, f1, None, None)), Cause::Empty);
    }
}

#[test]
fn links_and_programs_do_not_share_a_list() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, p3, p4, p5, ..] = progs.ids;
    let [f1, f2, f3, f4, f5, ..] = progs.fds;
    for hook in hooks() {
        attach(hook, f1, Position::Last);
        let (l2, i2) = link(hook, f2, Position::Before(Anchor::ProgFd(f1)));
        attach(hook, f3, Position::After(Anchor::LinkId(i2)));
        expect(hook, 4, &[(p2, i2), (p3, 0), (p1, 0)]);
        // What a link holds goes only by that: neither by name nor by place.
        let held = Cause::HeldByLink {
            link_id: std::num::NonZeroU32::new(i2),
        };
        let detach = |what| hook.detach(&Linux, what, None).unwrap_err().cause;
        assert_eq!(detach(Detach::Prog(f2)), held);
        assert!(matches!(detach(Detach::First), Cause::HeldByLink { .. }));
        let before = Neighbour::Before(Anchor::ProgFd(f3));
        assert!(matches!(
            detach(Detach::Beside(before)),
            Cause::HeldByLink { .. }
        ));
        let replaced = hook.replace(&Linux, f2, f4, None, None);
        assert_eq!(replaced.unwrap_err().cause, held);
        // Nor does a second link hold what is there already.
        for fd in [f1, f2] {
            let error = hook.link(&Linux, fd, Position::Last, None).unwrap_err();
            assert!(matches!(error.cause, Cause::AlreadyThere { .. }), "{error}");
        }
        expect(hook, 4, &[(p2, i2), (p3, 0), (p1, 0)]);
        l2.update(f4, Some(f2)).unwrap();
        expect(hook, 5, &[(p4, i2), (p3, 0), (p1, 0)]);
        let (_l5, i5) = link(hook, f5, Position::Last);
        hook.detach(&Linux, Detach::Prog(f1), None).unwrap();
        expect(hook, 7, &[(p4, i2), (p3, 0), (p5, i5)]);
        hook.detach(&Linux, Detach::Prog(f3), None).unwrap();
        expect(hook, 8, &[(p4, i2), (p5, i5)]);
    }
}

#[test]
fn list_of_63_is_cut_or_takes_more() {
    if !enter() {
        return;
    }
    let progs: Vec<Progs> = (0..8).map(|_| Progs::load()).collect();
    let fds: Vec<i32> = progs.iter().flat_map(|progs| progs.fds).collect();
    let ids: Vec<u32> = progs.iter().flat_map(|progs| progs.ids).collect();
    let places = [
        Position::First,
        Position::Last,
        Position::Before(Anchor::ProgId(ids[0])),
        Position::After(Anchor::ProgId(ids[0])),
    ];
    for hook in hooks() {
        let mut links = Vec::new();
        for (n, fd) in fds[..63].iter().enumerate() {
            if n % 2 == 0 {
                attach(hook, *fd, Position::Last);
                links.push((ids[n], 0));
            } else {
                let (link, id) = link(hook, *fd, Position::Last);
                std::mem::forget(link);
                links.push((ids[n], id));
            }
        }
        expect(hook, 64, &links);
        for place in places {
            let error = hook.attach(&Linux, fds[63], place, None).unwrap_err();
            assert_eq!((error.errno, &error.cause), (Errno(34), &Cause::Full));
            let error = hook.link(&Linux, fds[63], place, None).unwrap_err();
            assert_eq!((error.errno, &error.cause), (Errno(34), &Cause::Full));
        }
        // In the place of another there is room.
        hook.replace(&Linux, fds[0], fds[63], None, None).unwrap();
        links[0].0 = ids[63];
        expect(hook, 65, &links);
        hook.replace(&Linux, fds[63], fds[0], None, None).unwrap();
    }
}

/// The kernel's side of a query, with less room than there is to list.
#[test]
fn query_with_little_room_says_what_is_not_so() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let ids = progs.ids;
    for hook in hooks() {
        for fd in &progs.fds[..4] {
            attach(hook, *fd, Position::Last);
        }
        let attach_type = hook.direction.attach_type();
        let asked = |len: usize, ifindex: u32| {
            let [mut a, mut b, mut c, mut d] = [(); 4].map(|()| vec![9; len]);
            let mut room = QueryRoom {
                prog_ids: &mut a,
                prog_flags: &mut b,
                link_ids: &mut c,
                link_flags: &mut d,
            };
            let (attr, done) = prog_query(&Linux, ifindex, attach_type, &mut room);
            assert!(b.iter().chain(&d).all(|flags| *flags == 0 || *flags == 9));
            (attr.count, attr.revision, done, a)
        };
        assert_eq!(asked(0, 1), (4, 5, Ok(()), vec![]));
        let short = (4, 5, Err(Errno(28)), vec![ids[0], ids[1], ids[2]]);
        assert_eq!(asked(3, 1), short);
        assert_eq!(asked(4, 1), (4, 5, Ok(()), ids[..4].to_vec()));
        let longer = [&ids[..4], &[9]].concat();
        assert_eq!(asked(5, 1), (4, 5, Ok(()), longer));
        let (.., done, _) = asked(4, 4711);
        assert_eq!(done, Err(Errno(19)));
        // One more at each of its ends, and one less.
        attach(hook, progs.fds[4], Position::First);
        assert_eq!(asked(8, 1).3[..5], [ids[4], ids[0], ids[1], ids[2], ids[3]]);
        hook.detach(&Linux, Detach::Last, None).unwrap();
        assert_eq!(
            asked(4, 1),
            (4, 7, Ok(()), vec![ids[4], ids[0], ids[1], ids[2]])
        );
        while !hook.query(&Linux).unwrap().entries.is_empty() {
            hook.detach(&Linux, Detach::First, None).unwrap();
        }
        assert_eq!(asked(4, 1), (0, 1, Ok(()), vec![9; 4]));
    }
}

/// What the types leave out, the kernel refuses, too: with it all is still as it was.
#[test]
fn kernel_takes_a_contradiction() {
    use bpf_preload_umd::sys::attr::ProgAttach;
    const REPLACE: u32 = 4;
    const BEFORE: u32 = 8;
    const AFTER: u32 = 16;
    const ID: u32 = 32;
    const LINK: u32 = 1 << 13;
    const EINVAL: i32 = 22;
    const ENOENT: i32 = 2;
    const EBADF: i32 = 9;
    const ERANGE: i32 = 34;
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let [p1, p2, ..] = progs.ids;
    let [f1, f2, f3, ..] = progs.fds;
    for hook in hooks() {
        let attr = |fd: i32, flags: u32, relative: u32| ProgAttach {
            target_ifindex: 1,
            attach_bpf_fd: fd as u32,
            attach_type: hook.direction.attach_type(),
            attach_flags: flags,
            relative_fd: relative,
            ..ProgAttach::default()
        };
        let raw = |fd, flags, relative| {
            let done = prog_attach(&Linux, attr(fd, flags, relative));
            done.map_err(|errno| errno.0)
        };
        let raw_detach = |fd, flags, relative| {
            let done = prog_detach(&Linux, attr(fd, flags, relative));
            done.map_err(|errno| errno.0)
        };
        assert_eq!(raw(f1, BEFORE | AFTER, 0), Err(ERANGE));
        assert_eq!(raw(f1, BEFORE | ID, 0), Err(ENOENT));
        assert_eq!(raw_detach(0, 0, 0), Err(ENOENT));
        attach(hook, f1, Position::Last);
        attach(hook, f2, Position::Last);
        for (flags, relative, errno) in [
            (BEFORE | AFTER, f1 as u32, ERANGE),
            (BEFORE | AFTER | ID, p2, ERANGE),
            // An anchor, and no side of it.
            (0, f1 as u32, EINVAL),
            (ID, p1, EINVAL),
            (LINK, f1 as u32, EINVAL),
            // A link is wanted, and a program or nothing is named.
            (BEFORE | LINK, 0, EINVAL),
            (BEFORE | LINK, f1 as u32, EINVAL),
            (BEFORE | LINK | ID, 0, ENOENT),
            (BEFORE | ID, 0, ENOENT),
            (BEFORE, 1000, EBADF),
            // Unknown flags.
            (1 << 30, 0, EINVAL),
        ] {
            assert_eq!(
                raw(f3, flags, relative),
                Err(errno),
                "{flags:#x} {relative}"
            );
        }
        // Replaced without a word of which.
        assert!(raw(f3, REPLACE, 0).is_err());
        assert_eq!(raw_detach(f1, REPLACE, 0), Err(EINVAL));
        // The first has nothing before it: no place is that of a program at an end.
        assert_eq!(raw_detach(f1, BEFORE, 0), Err(ERANGE));
        assert_eq!(raw_detach(0, BEFORE | AFTER, 0), Err(ERANGE));
        assert_eq!(raw_detach(0, BEFORE | AFTER, f1 as u32), Err(ERANGE));
        expect(hook, 3, &[(p1, 0), (p2, 0)]);
        // What `Detach::Beside` is kept from: the anchor itself goes.
        raw_detach(0, BEFORE, f1 as u32).unwrap();
        expect(hook, 4, &[(p2, 0)]);
        raw_detach(0, AFTER, f2 as u32).unwrap();
        expect(hook, 1, &[]);
    }
}
