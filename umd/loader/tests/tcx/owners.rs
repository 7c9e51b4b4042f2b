// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hundred owners at one list, each a process: they attach, move and detach what is
//! theirs, by the revision that they have seen. No change is lost, the order that all of
//! them keep to (by id) holds at any time, and nothing goes but by its owner.
//!
//! That these checks see what they are for is shown by owners that name no revision.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bpf_preload_umd::sys::linux::Linux;
use preload_loader::tcx::{Anchor, Cause, Chain, Detach, Direction, Hook, Link, Position};
use rustix::fs::{FlockOperation, flock};

use crate::lists::link;
use crate::net::{LO, enter};
use crate::progs::Progs;

const OWNERS: usize = 100;
/// Says that this process is one, for so many seconds, and how.
const OWNER: &str = "TCX_OWNER";

/// What an owner has done and seen, or all of them together.
#[derive(Default, Debug)]
struct Tally {
    /// Changes that the kernel made for it.
    changes: u64,
    /// Requests that came too late.
    stale: u64,
    /// Requests for which there was no room.
    full: u64,
    /// Looks at the list in which what it owns was not there, or was twice.
    missing: u64,
    /// Looks at the list that was not in order.
    unsorted: u64,
}

impl Tally {
    fn fields(&mut self) -> [&mut u64; 5] {
        let Tally {
            changes,
            stale,
            full,
            missing,
            unsorted,
        } = self;
        [changes, stale, full, missing, unsorted]
    }
}

/// What an owner has attached.
struct Mine {
    prog: usize,
    /// Its id, and that of its link, if it has one.
    ids: (u32, Option<NonZeroU32>),
    link: Option<Link<'static, Linux>>,
}

struct Owner {
    hook: Hook,
    /// Two sets, and their ids: those of a set are next to each other, among all owners',
    /// those of the two are not.
    fds: Vec<i32>,
    ids: Vec<u32>,
    /// Does it say which revision it has seen?
    careful: bool,
    number: usize,
    mine: Option<Mine>,
    tally: Tally,
}

impl Owner {
    /// The next number of a sequence that is as good as random.
    fn random(&mut self) -> usize {
        self.number = self
            .number
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.number >> 33
    }

    fn look(&mut self) -> Chain {
        let chain = self.hook.query(&Linux).unwrap();
        let entries = &chain.entries;
        if !entries.is_sorted_by_key(|entry| entry.prog_id) {
            self.tally.unsorted += 1;
        }
        let ours = entries
            .iter()
            .filter(|entry| self.ids.contains(&entry.prog_id));
        let ours: Vec<_> = ours.map(|entry| (entry.prog_id, entry.link_id)).collect();
        let expected = self.mine.iter().map(|mine| mine.ids);
        if !expected.eq(ours) {
            self.tally.missing += 1;
        }
        chain
    }

    /// Takes in what has come of a request.
    fn count<T>(&mut self, result: Result<T, preload_loader::tcx::Error>) -> Option<T> {
        match result {
            Ok(done) => {
                self.tally.changes += 1;
                return Some(done);
            }
            Err(error) => match error.cause {
                Cause::Stale { .. } => self.tally.stale += 1,
                Cause::Full => self.tally.full += 1,
                // What happens to the careless.
                _ if !self.careful => self.tally.missing += 1,
                // The list is another by now: the revision was asked for first, so it
                // cannot be the one that was seen.
                _ => panic!("{error}"),
            },
        }
        None
    }

    fn step(&mut self) {
        let chain = self.look();
        let revision = self.careful.then_some(chain.revision);
        // Others may come in between, if they can.
        std::thread::yield_now();
        let Some(mine) = self.mine.take() else {
            return self.attach(&chain, revision);
        };
        let (ends, random) = (chain.entries.len() - 1, self.random());
        let place = chain
            .entries
            .iter()
            .position(|entry| entry.prog_id == mine.ids.0);
        let detached = match (&mine.link, place) {
            // In its place, another one of that set: that is next to it in the order.
            (Some(link), _) if random.is_multiple_of(2) => {
                let prog = if mine.prog % 2 == 0 {
                    mine.prog + 1
                } else {
                    mine.prog - 1
                };
                let updated = link.update(self.fds[prog], Some(self.fds[mine.prog]));
                let updated = self.count(updated).is_some();
                let prog = if updated { prog } else { mine.prog };
                let ids = (self.ids[prog], mine.ids.1);
                self.mine = Some(Mine { prog, ids, ..mine });
                return;
            }
            (Some(link), _) => link.detach(),
            // By place, as who has looked at the list may.
            (None, Some(0)) => self.hook.detach(&Linux, Detach::First, revision),
            (None, Some(place)) if place == ends => {
                self.hook.detach(&Linux, Detach::Last, revision)
            }
            (None, _) => self
                .hook
                .detach(&Linux, Detach::Prog(self.fds[mine.prog]), revision),
        };
        if self.count(detached).is_none() {
            self.mine = Some(mine);
        }
    }

    /// Takes away what it has.
    fn leave(&mut self) {
        while let Some(mine) = self.mine.take() {
            let chain = self.hook.query(&Linux).unwrap();
            let revision = self.careful.then_some(chain.revision);
            let detached = match &mine.link {
                Some(link) => link.detach(),
                None => self
                    .hook
                    .detach(&Linux, Detach::Prog(self.fds[mine.prog]), revision),
            };
            if self.count(detached).is_none() && self.careful {
                self.mine = Some(mine);
            }
        }
    }

    /// Where the order wants it, by the list that was seen.
    fn attach(&mut self, chain: &Chain, revision: Option<std::num::NonZeroU64>) {
        let random = self.random();
        let prog = random / 2 % self.fds.len();
        let (fd, id) = (self.fds[prog], self.ids[prog]);
        let next = chain.entries.iter().find(|entry| entry.prog_id > id);
        let at = next.map_or(Position::Last, |next| {
            Position::Before(Anchor::ProgId(next.prog_id))
        });
        self.mine = if random.is_multiple_of(2) {
            let linked = self.hook.link(&Linux, fd, at, revision);
            self.count(linked).map(|link| Mine {
                prog,
                ids: (id, NonZeroU32::new(link.info().unwrap().id)),
                link: Some(link),
            })
        } else {
            let attached = self.hook.attach(&Linux, fd, at, revision);
            self.count(attached).map(|()| Mine {
                prog,
                ids: (id, None),
                link: None,
            })
        };
    }
}

/// The process of one owner: started by the tests below, and no test else.
#[test]
fn one_owner() {
    let Ok(how) = std::env::var(OWNER) else {
        return;
    };
    let (number, rest) = how.split_once(' ').unwrap();
    let (seconds, careful) = rest.split_once(' ').unwrap();
    let sets = [(); 2].map(|()| {
        let lock = File::create(std::env::temp_dir().join("tcx_owners")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        Progs::load()
    });
    let mut owner = Owner {
        hook: Hook {
            ifindex: LO,
            direction: Direction::Ingress,
        },
        fds: sets.iter().flat_map(|set| set.fds).collect(),
        ids: sets.iter().flat_map(|set| set.ids).collect(),
        careful: careful == "careful",
        number: number.parse().unwrap(),
        mine: None,
        tally: Tally::default(),
    };
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    while Instant::now() < end {
        owner.step();
    }
    owner.leave();
    let mut line = String::from("tally");
    for field in owner.tally.fields() {
        write!(line, " {field}").unwrap();
    }
    println!("{line}");
}

fn start(number: usize, seconds: u64, how: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "owners::one_owner",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(OWNER, format!("{number} {seconds} {how}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Lets them race for so many seconds; what they tell. With a link that stays, so that the
/// kernel does not forget the list, and its revision.
fn race(seconds: u64, how: &str) -> (Tally, u64, Chain) {
    let progs = Progs::load();
    let hook = Hook {
        ifindex: LO,
        direction: Direction::Ingress,
    };
    let (_kept, _) = link(hook, progs.fds[0], Position::Last);
    let mut owners: Vec<_> = (0..OWNERS)
        .map(|number| start(number, seconds, how))
        .collect();
    let mut said: Vec<_> = owners
        .iter_mut()
        .map(|owner| BufReader::new(owner.stdout.take().unwrap()).lines())
        .collect();
    for lines in &mut said {
        assert!(
            lines.any(|line| line.unwrap().ends_with("ready")),
            "an owner is not ready"
        );
    }
    let before = hook.query(&Linux).unwrap().revision.get();
    // All of them start when their standard input ends.
    owners.iter_mut().for_each(|owner| drop(owner.stdin.take()));
    let mut all = Tally::default();
    for lines in &mut said {
        let line = lines.find_map(|line| Some(line.unwrap().strip_prefix("tally ")?.to_owned()));
        let line = line.expect("an owner ended too early");
        for (sum, number) in all.fields().into_iter().zip(line.split(' ')) {
            *sum += number.parse::<u64>().unwrap();
        }
    }
    for (mut owner, lines) in owners.into_iter().zip(said) {
        // What it says when it ends, too: it would fail if nobody read that.
        lines.for_each(drop);
        assert!(owner.wait().unwrap().success());
    }
    let after = hook.query(&Linux).unwrap();
    eprintln!(
        "{OWNERS} owners, {seconds} s, {how}: {all:?}, revision {before} to {}",
        after.revision
    );
    (all, after.revision.get() - before, after)
}

#[test]
fn owners_lose_a_change_or_what_is_theirs() {
    if !enter() {
        return;
    }
    let (all, revisions, left) = race(10, "careful");
    assert_eq!((all.missing, all.unsorted), (0, 0));
    // Each change that an owner was told of is one, and there are no others.
    assert_eq!(all.changes, revisions);
    assert_eq!(left.entries.len(), 1, "{left:?}");
    // It was a race.
    assert!(all.changes > 100 && all.stale > 100, "{all:?}");
}

#[test]
fn careless_owners_do_no_harm() {
    if !enter() {
        return;
    }
    let (all, ..) = race(3, "careless");
    assert!(all.missing > 0 && all.unsorted > 0, "{all:?}");
    assert_eq!(all.stale, 0);
}
