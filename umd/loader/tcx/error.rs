// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an error number of the kernel means, of those that tcx gives. Nothing is
//! guessed: what the number leaves open is looked up, and if that does not tell, the
//! number is all that is said.

use std::fmt;
use std::num::NonZeroU32;

use bpf_preload_umd::sys::tcx::prog_info;
use bpf_preload_umd::sys::{Errno, Sys, bpf};

use super::{Anchor, Chain, Hook, Revision};
use crate::failure::{Failure, number};

pub(super) const EPERM: Errno = Errno(1);
pub(super) const ENOENT: Errno = Errno(2);
pub(super) const EBADF: Errno = Errno(9);
const EBUSY: Errno = Errno(16);
pub(super) const EEXIST: Errno = Errno(17);
pub(super) const ENODEV: Errno = Errno(19);
pub(super) const EINVAL: Errno = Errno(22);
const ERANGE: Errno = Errno(34);
pub(super) const ENOLINK: Errno = Errno(67);
const ESTALE: Errno = Errno(116);

/// `enum bpf_prog_type`.
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;

/// Most programs in a list: `BPF_MPROG_MAX` (64), less one place that ends it.
const MOST: usize = 63;

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    step: String,
    /// The kernel's error number.
    pub errno: Errno,
    /// What it means.
    pub cause: Cause,
}

/// What an error means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The error number is all that is known.
    Unknown,
    /// `EINVAL`: this kernel has no tcx at all.
    NoTcx,
    /// `ENODEV`: no such device in this network namespace.
    NoDevice,
    /// `ESTALE`: somebody has changed the list meanwhile.
    Stale {
        /// The revision that the request named.
        expected: Revision,
        /// That of the list, now.
        now: Revision,
    },
    /// `EEXIST`: the program is in the list.
    AlreadyThere {
        /// Its id.
        prog_id: u32,
    },
    /// `ENOENT`: what the request names is not in the list.
    NotThere {
        /// Words for it: "prog 7", "link 5".
        what: String,
    },
    /// `ENOENT`: the list has no programs at all.
    Empty,
    /// There is nothing on that side of the anchor.
    NoNeighbour,
    /// `ERANGE`: the list has all that it can hold.
    Full,
    /// `ERANGE`: the program is in the list, but not in the place that the request says.
    Elsewhere,
    /// `EBUSY`: the program is held by a link.
    HeldByLink {
        /// The link's id, if it is still so.
        link_id: Option<NonZeroU32>,
    },
    /// `EINVAL`: the program is of another type.
    NotClassifier {
        /// Its id.
        prog_id: u32,
    },
    /// `ENOLINK`: the link is detached; its device may be gone.
    Detached,
    /// `EPERM`: the link runs another program than the request says.
    OtherProgram {
        /// What it runs.
        runs: u32,
        /// What the request says that it runs.
        expected: u32,
    },
    /// It is something else than a tcx link.
    NotTcxLink,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Unknown => Ok(()),
            Cause::NoTcx => f.write_str("this kernel has no tcx (since 6.6, CONFIG_NET_XGRESS)"),
            Cause::NoDevice => f.write_str("no such device in this network namespace"),
            Cause::Stale { expected, now } => {
                write!(f, "revision is now {now}, you expected {expected}")
            }
            Cause::AlreadyThere { prog_id } => {
                write!(f, "prog {prog_id} is attached there already")
            }
            Cause::NotThere { what } => write!(f, "{what} is not attached there"),
            Cause::Empty => f.write_str("nothing is attached there"),
            Cause::NoNeighbour => f.write_str("nothing is attached on that side of it"),
            Cause::Full => write!(f, "{MOST} programs are attached there, more cannot be"),
            Cause::Elsewhere => f.write_str("it is attached there, but not in that place"),
            Cause::HeldByLink { link_id: Some(id) } => write!(f, "link {id} holds it"),
            Cause::HeldByLink { link_id: None } => f.write_str("a link holds it"),
            Cause::NotClassifier { prog_id } => {
                write!(f, "prog {prog_id} is not of type sched_cls")
            }
            Cause::Detached => f.write_str("the link is detached, or its device is gone"),
            Cause::OtherProgram { runs, expected } => {
                write!(f, "it runs prog {runs}, you expected {expected}")
            }
            Cause::NotTcxLink => f.write_str("not a tcx link"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { step, errno, cause } = self;
        match (errno, cause) {
            (Errno(0), cause) => write!(f, "{step}: {cause}"),
            (_, Cause::Unknown) => Failure::errno(step, number(*errno)).fmt(f),
            (_, cause) => write!(f, "{}: {cause}", Failure::errno(step, number(*errno))),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::new(error.to_string())
    }
}

impl Error {
    pub(super) fn new(step: String, errno: Errno, cause: Cause) -> Self {
        Error { step, errno, cause }
    }

    /// With the caller's words for what was to be done.
    pub fn with_step(self, step: impl Into<String>) -> Self {
        let step = step.into();
        Error { step, ..self }
    }
}

/// What a request names, by fds of programs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named {
    /// What is to be attached.
    pub(super) new: Option<i32>,
    /// What is to be replaced or detached: it must be there.
    pub(super) old: Option<i32>,
    pub(super) anchor: Option<Anchor>,
}

impl Named {
    pub(super) fn inserted(new: i32, anchor: Option<Anchor>) -> Self {
        let new = Some(new);
        Named {
            new,
            anchor,
            ..Self::default()
        }
    }

    pub(super) fn anchor(anchor: Anchor) -> Self {
        let anchor = Some(anchor);
        Named {
            anchor,
            ..Self::default()
        }
    }
}

/// Words for an anchor, and whether an entry of a list is it.
fn anchor_id<S: Sys>(sys: &S, anchor: Anchor) -> Result<(bool, u32), Errno> {
    Ok(match anchor {
        Anchor::ProgFd(fd) => (false, bpf::obj_id(sys, fd)?),
        Anchor::ProgId(id) => (false, id),
        Anchor::LinkFd(fd) => (true, bpf::link_id(sys, fd)?),
        Anchor::LinkId(id) => (true, id),
    })
}

/// Where in a list an anchor is.
pub(super) fn place<S: Sys>(
    sys: &S,
    chain: &Chain,
    anchor: Anchor,
) -> Result<Option<usize>, Errno> {
    let (link, id) = anchor_id(sys, anchor)?;
    Ok(chain.entries.iter().position(|entry| match link {
        true => entry.link_id.is_some_and(|link_id| link_id.get() == id),
        false => entry.prog_id == id,
    }))
}

impl Hook {
    /// A request that was not made.
    pub(super) fn refused(self, what: &str, cause: Cause) -> Error {
        Error::new(self.step(what), Errno(0), cause)
    }

    /// What the kernel's answer to a request means.
    pub(super) fn error<S: Sys>(
        self,
        sys: &S,
        what: &str,
        errno: Errno,
        revision: Option<Revision>,
        named: &Named,
    ) -> Error {
        let cause = self.cause(sys, errno, revision, named);
        Error::new(self.step(what), errno, cause.unwrap_or(Cause::Unknown))
    }

    fn cause<S: Sys>(
        self,
        sys: &S,
        errno: Errno,
        revision: Option<Revision>,
        named: &Named,
    ) -> Option<Cause> {
        let prog_id = |fd: i32| bpf::obj_id(sys, fd).ok();
        Some(match errno {
            ENODEV => Cause::NoDevice,
            ESTALE => Cause::Stale {
                expected: revision?,
                now: self.query(sys).ok()?.revision,
            },
            EEXIST => Cause::AlreadyThere {
                prog_id: prog_id(named.new?)?,
            },
            // Of what can be asked for here, only a place beside what is in the list
            // already contradicts it.
            ERANGE if named.old.is_some() => Cause::Elsewhere,
            ERANGE => Cause::Full,
            EBUSY => Cause::HeldByLink {
                link_id: self.link_of(sys, named.old),
            },
            ENOENT => self.missing(sys, named)?,
            EINVAL => match Chain::query(sys, self) {
                Err(EINVAL) => Cause::NoTcx,
                _ => Cause::NotClassifier {
                    prog_id: self.other_type(sys, named)?,
                },
            },
            _ => return None,
        })
    }

    fn link_of<S: Sys>(self, sys: &S, prog_fd: Option<i32>) -> Option<NonZeroU32> {
        let prog_id = bpf::obj_id(sys, prog_fd?).ok()?;
        let chain = self.query(sys).ok()?;
        chain.entries.iter().find(|e| e.prog_id == prog_id)?.link_id
    }

    /// The first that a request names and the list has not.
    fn missing<S: Sys>(self, sys: &S, named: &Named) -> Option<Cause> {
        let chain = self.query(sys).ok()?;
        if chain.entries.is_empty() {
            return Some(Cause::Empty);
        }
        let anchors = named
            .old
            .map(Anchor::ProgFd)
            .into_iter()
            .chain(named.anchor);
        anchors
            .filter(|anchor| matches!(place(sys, &chain, *anchor), Ok(None)))
            .find_map(|anchor| {
                let (is_link, id) = anchor_id(sys, anchor).ok()?;
                let what = format!("{} {id}", if is_link { "link" } else { "prog" });
                Some(Cause::NotThere { what })
            })
    }

    /// The first program that a request names and that is of another type.
    fn other_type<S: Sys>(self, sys: &S, named: &Named) -> Option<u32> {
        let anchor = match named.anchor {
            Some(Anchor::ProgFd(fd)) => Some(fd),
            _ => None,
        };
        [named.new, named.old, anchor]
            .into_iter()
            .flatten()
            .find_map(|fd| {
                let info = prog_info(sys, fd, &mut [0; 8]).ok()?;
                (info.prog_type != BPF_PROG_TYPE_SCHED_CLS).then_some(info.id)
            })
    }
}
