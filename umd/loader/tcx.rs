// SPDX-License-Identifier: MIT OR Apache-2.0
//! tcx (Linux 6.6 and later): ordered lists of programs at a network device, one for
//! what comes in and one for what goes out ("bpf: Add fd-based tcx multi-prog infra
//! with link support", and `kernel/bpf/mprog.c`).
//!
//! A list ([`Chain`]) holds at most 63 programs, each of them once, and has a revision,
//! which every change counts up. Who changes a list may say which revision he has seen:
//! if it is another by then, nothing is done ([`Cause::Stale`]). A revision is of use
//! only while the list is not empty: the kernel forgets an empty one, and counts from 1
//! again (unless a clsact or ingress qdisc keeps it).
//!
//! A program is held in a list by a link ([`Hook::link`]), or by nothing but the list
//! ([`Hook::attach`]). A link is owned: it goes with its last fd and pin, and nobody
//! else can replace or detach it by naming its program. Without one a program stays
//! until somebody, whoever that is, takes it away, or the device goes.
//!
//! # What a program returns
//!
//! | value | name | what happens |
//! |---|---|---|
//! | -1 | `TCX_NEXT` | the next program decides; behind the last one it is classic tc |
//! | 0 | `TCX_PASS` | the packet goes on, and nobody else is asked |
//! | 2 | `TCX_DROP` | the packet is dropped, and nobody else is asked |
//! | 7 | `TCX_REDIRECT` | it goes where `bpf_redirect()` said, and nobody else is asked |
//! | any other | | no other program of the list is asked, and classic tc decides |
//!
//! So `TC_ACT_RECLASSIFY` (1) or `TC_ACT_PIPE` (3), which classic tc knows, are no way to
//! the next program (`tcx_run()` and `tcx_action_code()` of the kernel). A classic program
//! (a `cls_bpf` filter on a clsact qdisc) sees just the packets that tcx leaves open.

mod chain;
mod error;
mod link;

use std::num::{NonZeroU32, NonZeroU64};

use bpf_preload_umd::sys::attr::{LinkCreateTcx, ProgAttach};
use bpf_preload_umd::sys::{Errno, Sys, bpf, tcx};

pub use chain::{Chain, Entry};
pub use error::{Cause, Error};
pub(crate) use link::link_id_of;
pub use link::{Link, LinkInfo};

use error::Named;

/// Flags of `BPF_PROG_ATTACH`, `BPF_PROG_DETACH` and `BPF_LINK_CREATE`.
const BPF_F_REPLACE: u32 = 1 << 2;
const BPF_F_BEFORE: u32 = 1 << 3;
const BPF_F_AFTER: u32 = 1 << 4;
const BPF_F_ID: u32 = 1 << 5;
const BPF_F_LINK: u32 = 1 << 13;

/// Which of a device's two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What the device has received.
    Ingress,
    /// What it is about to send.
    Egress,
}

impl Direction {
    /// Both, in the kernel's order.
    pub const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

    /// `BPF_TCX_INGRESS` or `BPF_TCX_EGRESS` of `enum bpf_attach_type`.
    pub fn attach_type(self) -> u32 {
        match self {
            Direction::Ingress => 46,
            Direction::Egress => 47,
        }
    }

    /// `ingress` or `egress`.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }

    fn of_attach_type(number: u32) -> Option<Self> {
        Self::BOTH.into_iter().find(|d| d.attach_type() == number)
    }
}

/// A revision of a list: never 0, which the kernel takes for "any".
pub type Revision = NonZeroU64;

/// A program or link that is in a list already. Fds stay the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// A program, by an fd.
    ProgFd(i32),
    /// A program, by its id.
    ProgId(u32),
    /// A link, by an fd.
    LinkFd(i32),
    /// A link, by its id.
    LinkId(u32),
}

/// Beside which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// Directly before it.
    Before(Anchor),
    /// Directly after it.
    After(Anchor),
}

/// A place in a list. The kernel would take both of before and after, and refuse it: there
/// is no such place here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before all others.
    First,
    /// After all others.
    Last,
    /// Directly before one.
    Before(Anchor),
    /// Directly after one.
    After(Anchor),
}

impl From<Neighbour> for Position {
    fn from(neighbour: Neighbour) -> Self {
        match neighbour {
            Neighbour::Before(anchor) => Position::Before(anchor),
            Neighbour::After(anchor) => Position::After(anchor),
        }
    }
}

/// What to detach that no link holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detach {
    /// The program of this fd.
    Prog(i32),
    /// The program of this fd, if it is there.
    ProgAt(i32, Neighbour),
    /// The first program.
    First,
    /// The last program.
    Last,
    /// Whatever is beside this one.
    Beside(Neighbour),
}

impl Anchor {
    /// Flags, and the fd or id that goes with them.
    fn encode<S: Sys>(self, sys: &S) -> Result<(u32, u32), Errno> {
        Ok(match self {
            // The kernel takes 0 for "none given", and would choose an end of the list.
            Anchor::ProgFd(0) => (BPF_F_ID, bpf::obj_id(sys, 0)?),
            Anchor::LinkFd(0) => (BPF_F_ID | BPF_F_LINK, bpf::link_id(sys, 0)?),
            Anchor::ProgFd(fd) => (0, fd as u32),
            Anchor::LinkFd(fd) => (BPF_F_LINK, fd as u32),
            Anchor::ProgId(id) => (BPF_F_ID, id),
            Anchor::LinkId(id) => (BPF_F_ID | BPF_F_LINK, id),
        })
    }
}

impl Position {
    /// Flags, and the fd or id that goes with them.
    fn encode<S: Sys>(self, sys: &S) -> Result<(u32, u32), Errno> {
        let (side, anchor) = match self {
            Position::First => (BPF_F_BEFORE, None),
            Position::Last => (BPF_F_AFTER, None),
            Position::Before(anchor) => (BPF_F_BEFORE, Some(anchor)),
            Position::After(anchor) => (BPF_F_AFTER, Some(anchor)),
        };
        let (flags, relative) = anchor.map_or(Ok((0, 0)), |anchor| anchor.encode(sys))?;
        Ok((side | flags, relative))
    }

    fn anchor(self) -> Option<Anchor> {
        match self {
            Position::First | Position::Last => None,
            Position::Before(anchor) | Position::After(anchor) => Some(anchor),
        }
    }
}

/// A list of a device in this network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hook {
    /// The device.
    pub ifindex: NonZeroU32,
    /// Which of its lists.
    pub direction: Direction,
}

impl Hook {
    /// Attaches a program with a link, which is its only owner.
    ///
    /// # Errors
    /// [`Cause`] says which there are; nothing is attached then.
    pub fn link<'s, S: Sys>(
        self,
        sys: &'s S,
        prog_fd: i32,
        position: Position,
        revision: Option<Revision>,
    ) -> Result<Link<'s, S>, Error> {
        let created = position.encode(sys).and_then(|(flags, relative_fd)| {
            let attr = LinkCreateTcx {
                prog_fd: prog_fd as u32,
                target_ifindex: self.ifindex.get(),
                attach_type: self.direction.attach_type(),
                flags,
                relative_fd,
                expected_revision: revision.map_or(0, Revision::get),
                ..LinkCreateTcx::default()
            };
            tcx::link_create(sys, attr)
        });
        match created {
            Ok(fd) => Ok(Link::new(sys, fd)),
            Err(errno) => Err(self.error(sys, "attach", errno, revision, &{
                Named::inserted(prog_fd, position.anchor())
            })),
        }
    }

    /// Attaches a program that nobody owns.
    ///
    /// # Errors
    /// [`Cause`] says which there are; nothing is attached then.
    pub fn attach<S: Sys>(
        self,
        sys: &S,
        prog_fd: i32,
        position: Position,
        revision: Option<Revision>,
    ) -> Result<(), Error> {
        let attached = position
            .encode(sys)
            .and_then(|(attach_flags, relative_fd)| {
                let attr = ProgAttach {
                    attach_bpf_fd: prog_fd as u32,
                    attach_flags,
                    relative_fd,
                    ..self.attr(revision)
                };
                tcx::prog_attach(sys, attr)
            });
        let named = Named::inserted(prog_fd, position.anchor());
        attached.map_err(|errno| self.error(sys, "attach", errno, revision, &named))
    }

    /// Puts a program in the place of another one that no link holds; only if that is
    /// beside a third one, if such is given.
    ///
    /// # Errors
    /// [`Cause`] says which there are; the old program stays then.
    pub fn replace<S: Sys>(
        self,
        sys: &S,
        old_fd: i32,
        new_fd: i32,
        at: Option<Neighbour>,
        revision: Option<Revision>,
    ) -> Result<(), Error> {
        let at = at.map(Position::from);
        let encoded = at.map_or(Ok((0, 0)), |at| at.encode(sys));
        let replaced = encoded.and_then(|(flags, relative_fd)| {
            let attr = ProgAttach {
                attach_bpf_fd: new_fd as u32,
                attach_flags: BPF_F_REPLACE | flags,
                replace_bpf_fd: old_fd as u32,
                relative_fd,
                ..self.attr(revision)
            };
            tcx::prog_attach(sys, attr)
        });
        let named = Named {
            new: Some(new_fd),
            old: Some(old_fd),
            anchor: at.and_then(Position::anchor),
        };
        replaced.map_err(|errno| self.error(sys, "replace", errno, revision, &named))
    }

    /// Takes away a program that no link holds.
    ///
    /// # Errors
    /// [`Cause`] says which there are; nothing is detached then.
    pub fn detach<S: Sys>(
        self,
        sys: &S,
        what: Detach,
        revision: Option<Revision>,
    ) -> Result<(), Error> {
        let (prog_fd, at, revision) = match what {
            Detach::Prog(fd) => (Some(fd), None, revision),
            Detach::ProgAt(fd, neighbour) => (Some(fd), Some(neighbour.into()), revision),
            Detach::First => (None, Some(Position::First), revision),
            Detach::Last => (None, Some(Position::Last), revision),
            Detach::Beside(neighbour) => {
                let seen = self.beside(sys, neighbour)?;
                (None, Some(neighbour.into()), Some(revision.unwrap_or(seen)))
            }
        };
        let named = Named {
            new: None,
            old: prog_fd,
            anchor: at.and_then(Position::anchor),
        };
        // Again 0 is none: the last program of the list would go.
        if prog_fd == Some(0) {
            let what = "detach a program whose fd is 0, which the kernel takes for none";
            return Err(Error::new(what.into(), error::EBADF, Cause::Unknown));
        }
        let encoded = at.map_or(Ok((0, 0)), |at| at.encode(sys));
        let detached = encoded.and_then(|(attach_flags, relative_fd)| {
            let attr = ProgAttach {
                attach_bpf_fd: prog_fd.unwrap_or(0) as u32,
                attach_flags,
                relative_fd,
                ..self.attr(revision)
            };
            tcx::prog_detach(sys, attr)
        });
        detached.map_err(|errno| self.error(sys, "detach", errno, revision, &named))
    }

    /// Makes sure that there is something beside the anchor, and returns the revision in
    /// which it is: the kernel would detach the anchor itself if it is at that end.
    fn beside<S: Sys>(self, sys: &S, neighbour: Neighbour) -> Result<Revision, Error> {
        let chain = self.query(sys)?;
        let (Neighbour::Before(anchor) | Neighbour::After(anchor)) = neighbour;
        let found = error::place(sys, &chain, anchor)
            .map_err(|errno| self.error(sys, "detach", errno, None, &Named::anchor(anchor)))?;
        let end = match neighbour {
            Neighbour::Before(_) => Some(0),
            Neighbour::After(_) => chain.entries.len().checked_sub(1),
        };
        match found {
            Some(place) if Some(place) != end => Ok(chain.revision),
            Some(_) => Err(self.refused("detach", Cause::NoNeighbour)),
            None => Err(self.error(sys, "detach", error::ENOENT, None, &Named::anchor(anchor))),
        }
    }

    /// The list as it is now.
    ///
    /// # Errors
    /// [`Cause::NoTcx`], [`Cause::NoDevice`], or `EPERM` without `CAP_NET_ADMIN`.
    pub fn query<S: Sys>(self, sys: &S) -> Result<Chain, Error> {
        Chain::query(sys, self).map_err(|errno| {
            let cause = match errno {
                error::EINVAL => Cause::NoTcx,
                error::ENODEV => Cause::NoDevice,
                _ => Cause::Unknown,
            };
            Error::new(self.step("query"), errno, cause)
        })
    }

    /// What all requests have in common.
    fn attr(self, revision: Option<Revision>) -> ProgAttach {
        ProgAttach {
            target_ifindex: self.ifindex.get(),
            attach_type: self.direction.attach_type(),
            expected_revision: revision.map_or(0, Revision::get),
            ..ProgAttach::default()
        }
    }

    fn step(self, what: &str) -> String {
        let Hook { ifindex, direction } = self;
        format!("{what} at ifindex {ifindex} {}", direction.name())
    }
}
