// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets: who gets to see them, and in which order, and whether they arrive.

use bpf_preload_umd::sys::linux::Linux;
use preload_loader::tcx::{Anchor, Detach, Direction, Hook, Position};

use crate::lists::{attach, link};
use crate::net::{LO, Peer, Receiver, dropped, enter, eventually, filter, hooks, ifindex, run};
use crate::progs::{DROP, NEXT, PASS, Progs, REDIRECT};

#[test]
fn packet_takes_another_way_than_the_list_says() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let receiver = Receiver::at("127.0.0.1");
    let arrives = || receiver.gets("127.0.0.1");
    let is_lost = || receiver.misses("127.0.0.1");
    for hook in hooks() {
        arrives();
        assert_eq!(progs.turns(), []);
        let (l1, _) = link(hook, progs.fds[0], Position::Last);
        attach(hook, progs.fds[1], Position::Last);
        let (_l3, _) = link(
            hook,
            progs.fds[2],
            Position::Before(Anchor::LinkFd(l1.fd())),
        );
        arrives();
        assert_eq!(progs.turns(), [2, 0, 1]);
        // What is no verdict ends the list, too.
        for verdict in [1, 3, 6, 100, -100] {
            progs.says(2, verdict);
            arrives();
            assert_eq!(progs.turns(), [2], "{verdict}");
        }
        progs.says(2, NEXT);
        progs.says(0, PASS);
        arrives();
        assert_eq!(progs.turns(), [2, 0]);
        progs.says(0, DROP);
        is_lost();
        assert_eq!(progs.turns(), [2, 0]);
        progs.says(2, PASS);
        arrives();
        assert_eq!(progs.turns(), [2]);
        progs.says(2, NEXT);
        // A new program in the link is asked from the next packet on.
        l1.update(progs.fds[3], Some(progs.fds[0])).unwrap();
        arrives();
        assert_eq!(progs.turns(), [2, 3, 1]);
        l1.detach().unwrap();
        arrives();
        assert_eq!(progs.turns(), [2, 1]);
        hook.detach(&Linux, Detach::Prog(progs.fds[1]), None)
            .unwrap();
        progs.says(0, NEXT);
    }
    arrives();
    assert_eq!(progs.turns(), []);
}

#[test]
fn packet_through_a_pair_is_not_stopped_or_turned() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let peer = Peer::new();
    peer.pair();
    let receiver = peer.run(|| Receiver::at("10.1.0.2"));
    receiver.wait("10.1.0.2");
    let out = Hook {
        ifindex: ifindex("ve0"),
        direction: Direction::Egress,
    };
    let back = Hook {
        direction: Direction::Ingress,
        ..out
    };
    let ve1 = peer.run(|| ifindex("ve1"));
    let into = Hook {
        ifindex: ve1,
        direction: Direction::Ingress,
    };
    let [f1, f2, f3, f4, ..] = progs.fds;
    let _l1 = link(out, f1, Position::Last);
    attach(out, f2, Position::Last);
    let (_l3, _) = peer.run(move || link(into, f3, Position::Last));
    let _l4 = link(back, f4, Position::Last);
    for (one, two, three, turns, comes) in [
        (NEXT, NEXT, NEXT, &[0, 1, 2][..], true),
        (NEXT, PASS, PASS, &[0, 1, 2], true),
        (PASS, DROP, NEXT, &[0, 2], true),
        (NEXT, DROP, NEXT, &[0, 1], false),
        (DROP, NEXT, NEXT, &[0], false),
        (NEXT, NEXT, DROP, &[0, 1, 2], false),
        // Sent back whence it came: the fourth sees it there.
        (NEXT, NEXT, REDIRECT, &[0, 1, 2, 3], false),
        (PASS, DROP, REDIRECT, &[0, 2, 3], false),
        (NEXT, NEXT, NEXT, &[0, 1, 2], true),
    ] {
        progs.says(0, one);
        progs.says(1, two);
        progs.says(2, three);
        progs.redirect_to(ve1.get(), 0);
        match comes {
            true => receiver.gets("10.1.0.2"),
            false => receiver.misses("10.1.0.2"),
        }
        assert_eq!(progs.turns(), turns, "{one} {two} {three}");
    }
}

#[test]
fn classic_filter_is_skipped_or_comes_first() {
    if !enter() {
        return;
    }
    let progs = Progs::load();
    let receiver = Receiver::at("127.0.0.1");
    let arrives = || receiver.gets("127.0.0.1");
    let is_lost = || receiver.misses("127.0.0.1");
    for (direction, kind) in [
        (Direction::Ingress, "clsact"),
        (Direction::Egress, "clsact"),
        (Direction::Ingress, "ingress"),
    ] {
        // Which of the two goes first, and which comes first, makes no difference.
        for (tcx_first, tc_gone_first) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let hook = Hook {
                ifindex: LO,
                direction,
            };
            let classic = || {
                run("tc", &format!("qdisc add dev lo {kind}"));
                filter("lo", direction, progs.fds[2]);
            };
            if !tcx_first {
                classic();
                arrives();
                assert_eq!(progs.turns(), [2]);
            }
            let (l1, _) = link(hook, progs.fds[0], Position::Last);
            attach(hook, progs.fds[1], Position::Last);
            if tcx_first {
                arrives();
                assert_eq!(progs.turns(), [0, 1]);
                classic();
            }
            arrives();
            assert_eq!(progs.turns(), [0, 1, 2]);
            // Classic tc decides of what tcx leaves open, and of nothing else.
            progs.says(2, DROP);
            is_lost();
            assert_eq!(progs.turns(), [0, 1, 2]);
            progs.says(1, PASS);
            arrives();
            assert_eq!(progs.turns(), [0, 1]);
            // That is the difference between PASS and what is no verdict.
            for verdict in [1, 3, 6, 100, -100] {
                progs.says(0, verdict);
                is_lost();
                assert_eq!(progs.turns(), [0, 2], "{verdict}");
            }
            progs.says(0, NEXT);
            progs.says(1, NEXT);
            progs.says(2, NEXT);
            hook.detach(&Linux, Detach::Prog(progs.fds[1]), None)
                .unwrap();
            arrives();
            assert_eq!(progs.turns(), [0, 2]);
            if tc_gone_first {
                run("tc", &format!("qdisc del dev lo {kind}"));
                arrives();
                assert_eq!(progs.turns(), [0]);
                drop(l1);
            } else {
                drop(l1);
                eventually("the link is gone", || {
                    hook.query(&Linux).unwrap().entries.is_empty()
                });
                arrives();
                assert_eq!(progs.turns(), [2]);
                run("tc", &format!("qdisc del dev lo {kind}"));
            }
            dropped(hook, 1);
            arrives();
            assert_eq!(progs.turns(), []);
        }
    }
}
