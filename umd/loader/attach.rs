// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attaches programs to what the names of their sections say, where libbpf 1.8 does:
//! iterators, functions and hooks of the kernel by BTF, tracepoints, probes; and structs of
//! functions (struct_ops) to where the kernel calls them.
//!
//! What needs more than a name (an interface, a cgroup, a map) is left alone, with
//! the reason: [`Attachment::NotAttached`].

use std::ffi::CString;

use bpf_preload_umd::exec::{Loaded, Object};
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Errno, Sys, bpf};
use preload_image::{Image, Prog};

use crate::failure::{Failure, number};
use crate::multi;
use crate::probes;
use crate::struct_ops::{self, Registered};

const BPF_PROG_TYPE_STRUCT_OPS: u32 = 27;

/// What became of one program or map of struct_ops.
#[derive(Debug)]
pub enum Attachment<'l> {
    /// It is attached, as long as this lives or its link is pinned.
    Attached(Attached<'l>),
    /// It is loaded, and that is all.
    NotAttached {
        /// Name of the program.
        prog: String,
        /// Why it cannot be attached by its section alone.
        why: String,
    },
}

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A program.
    Prog,
    /// A map of struct_ops.
    Map,
}

/// An attached program or map.
#[derive(Debug)]
pub struct Attached<'l> {
    /// Which of them.
    pub what: What,
    /// Its name.
    pub name: String,
    /// What it is attached to: the name of its section.
    pub section: String,
    pub(crate) hold: Hold<'l>,
}

impl Attached<'_> {
    /// The link's fd. None for an event of perf before 5.15, which has no link and
    /// cannot be pinned: the program runs as long as this lives. None, too, for a map of
    /// `.struct_ops`.
    pub fn link(&self) -> Option<i32> {
        match &self.hold {
            Hold::Link(link) => Some(link.0),
            Hold::Event(_) | Hold::Registered(_) => None,
        }
    }

    /// Leaves it attached if neither a link nor this is needed for that, which only a map
    /// of `.struct_ops` can be: until its element is deleted (`bpftool struct_ops unregister`).
    pub fn keep(&mut self) {
        if let Hold::Registered(registered) = &mut self.hold {
            registered.keep();
        }
    }
}

/// What keeps something attached.
#[derive(Debug)]
pub(crate) enum Hold<'l> {
    /// A BPF link.
    Link(Fd),
    /// An event of perf.
    Event(#[expect(dead_code, reason = "closed when dropped")] Fd),
    /// A map of struct_ops without a link.
    Registered(Registered<'l>),
}

/// An fd that is closed when dropped.
#[derive(Debug)]
pub(crate) struct Fd(pub(crate) i32);

impl Drop for Fd {
    fn drop(&mut self) {
        Linux.close(self.0);
    }
}

/// Attaches the programs and maps of an image that are loaded: all that can be, or none.
///
/// # Errors
/// The first one that the kernel does not attach, and where to.
pub fn attach<'l, S: Sys>(
    sys: &S,
    image: &Image<'_>,
    loaded: &'l Loaded<'_, S>,
) -> Result<Vec<Attachment<'l>>, Failure> {
    let progs = image.progs().iter().zip(loaded.progs());
    // Those are called through their maps.
    let progs = progs.filter(|(prog, _)| prog.prog_type != BPF_PROG_TYPE_STRUCT_OPS);
    let attached: Result<Vec<_>, _> = progs
        .map(|(prog, made)| one(sys, image, &prog, made))
        .collect();
    let mut attached = attached?;
    let maps = struct_ops::attach(sys, image, loaded)?;
    attached.extend(maps.into_iter().map(Attachment::Attached));
    Ok(attached)
}

fn one<'l, S: Sys>(
    sys: &S,
    image: &Image<'_>,
    prog: &Prog,
    made: Object<'_>,
) -> Result<Attachment<'l>, Failure> {
    let [name, section] =
        [made.name, image.str(prog.section)].map(|s| String::from_utf8_lossy(s).into_owned());
    match hold(sys, prog, &section, made.fd) {
        Ok(Ok(hold)) => Ok(Attachment::Attached(Attached {
            what: What::Prog,
            name,
            section,
            hold,
        })),
        Ok(Err(why)) => Ok(Attachment::NotAttached {
            prog: name,
            why: why.to_owned(),
        }),
        Err(failure) => Err(failure.during(&format!("attach prog {name} to {section}"))),
    }
}

/// Attaches a program, or says why it cannot be by its section.
fn hold<'l, S: Sys>(
    sys: &S,
    prog: &Prog,
    section: &str,
    fd: i32,
) -> Result<Result<Hold<'l>, &'static str>, Failure> {
    let (kind, place) = section.split_once('/').unwrap_or((section, ""));
    // libbpf leaves those alone, too, that do not say where they belong.
    let nowhere = place.is_empty();
    let held = match kind {
        "iter" | "iter.s" => linked(bpf::link_create(sys, fd, prog.attach_type)),
        "fentry" | "fentry.s" | "fexit" | "fexit.s" | "fmod_ret" | "fmod_ret.s" | "fsession"
        | "fsession.s" | "freplace" | "lsm" | "lsm.s" | "tp_btf" | "tp_btf.s" => {
            linked(bpf::raw_tracepoint_open(sys, fd, None))
        }
        "kprobe" | "kretprobe" | "ksyscall" | "kretsyscall" | "kprobe.multi"
        | "kretprobe.multi" | "kprobe.session" | "uprobe" | "uprobe.s" | "uprobe.multi"
        | "uprobe.multi.s" | "uprobe.session" | "uprobe.session.s" | "uretprobe"
        | "uretprobe.s" | "uretprobe.multi" | "uretprobe.multi.s"
            if nowhere =>
        {
            return Ok(Err("its section names no function"));
        }
        "raw_tp" | "raw_tp.s" | "raw_tp.w" | "raw_tracepoint" | "raw_tracepoint.s"
        | "raw_tracepoint.w" | "tp" | "tp.s" | "tracepoint" | "tracepoint.s"
            if nowhere =>
        {
            return Ok(Err("its section names no tracepoint"));
        }
        "raw_tp" | "raw_tp.s" | "raw_tp.w" | "raw_tracepoint" | "raw_tracepoint.s"
        | "raw_tracepoint.w" => {
            let name = CString::new(place).map_err(|_| Failure::new("a name holds a NUL"))?;
            linked(bpf::raw_tracepoint_open(sys, fd, Some(&name)))
        }
        "tp" | "tp.s" | "tracepoint" | "tracepoint.s" => probes::tracepoint(sys, fd, place),
        "kprobe" | "kretprobe" => probes::kprobe(sys, fd, place, kind == "kretprobe"),
        "ksyscall" | "kretsyscall" => probes::ksyscall(sys, fd, place, kind == "kretsyscall"),
        "kprobe.multi" | "kretprobe.multi" | "kprobe.session" => {
            multi::kprobes(sys, prog, fd, place, kind == "kretprobe.multi")
        }
        "uprobe.multi" | "uprobe.multi.s" | "uprobe.session" | "uprobe.session.s" => {
            multi::uprobes(sys, prog, fd, place, false)
        }
        "uretprobe.multi" | "uretprobe.multi.s" => multi::uprobes(sys, prog, fd, place, true),
        "uprobe" | "uprobe.s" => probes::uprobe(sys, fd, place, false),
        "uretprobe" | "uretprobe.s" => probes::uprobe(sys, fd, place, true),
        _ => return Ok(Err(not_by_name(kind, prog.prog_type))),
    };
    held.map(Ok)
}

pub(crate) fn linked<'l>(made: Result<i32, Errno>) -> Result<Hold<'l>, Failure> {
    match made {
        Ok(fd) => Ok(Hold::Link(Fd(fd))),
        Err(errno) => Err(Failure::bare_errno(number(errno))),
    }
}

/// Why a program's section is not enough.
fn not_by_name(kind: &str, prog_type: u32) -> &'static str {
    if kind.starts_with("usdt") {
        return "usdt is not supported";
    }
    match (kind, prog_type) {
        ("fentry.multi" | "fentry.multi.s" | "fexit.multi" | "fexit.multi.s", _)
        | ("fsession.multi" | "fsession.multi.s", _) => "links to many functions are not supported",
        ("lsm_cgroup", _) => "it needs a cgroup",
        // enum bpf_prog_type, in its order.
        (_, 1) => "it needs a socket",
        (_, 3 | 4) => "it needs an interface",
        (_, 6) if kind.ends_with("map") => "it needs an entry of a map",
        (_, 6) => "it needs an interface",
        (_, 7) => "it needs an event of perf",
        (_, 8 | 9 | 13 | 15 | 18 | 23 | 25) => "it needs a cgroup",
        (_, 10..=12 | 19) => "it needs a route",
        (_, 14 | 16) => "it needs a map of sockets",
        (_, 20) => "it needs a device",
        (_, 21) => "it needs a socket",
        (_, 22 | 30) => "it needs a network namespace",
        (_, 31) => "it is run, not attached",
        (_, 32) => "it needs a netfilter hook",
        _ => "its section does not say where to",
    }
}
