// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the kernel cannot do something, where that is certain: its BTF has no name for it, its
//! configuration leaves it out, or this process or its token lacks what it asks for.

use std::collections::BTreeMap;

use bpf_preload_umd::sys::linux::Linux;

use super::{Asked, since};
use crate::errno::{EINVAL, ENODEV, EPERM};
use crate::failure::{Failure, number};
use crate::grants::Set;
use crate::kconfig::Options;
use crate::kernel::Kernel;
use crate::token::WithToken;

/// Numbers and names of an enum.
type Names = BTreeMap<u32, String>;

/// Of two names for one type the first says that there is a better one.
const DEPRECATED: &str = "_deprecated";

/// What is known of kernel and process.
pub(super) struct Reasons<'s> {
    pub(super) sys: &'s WithToken<Linux>,
    /// Its BTF, or why there is none.
    pub(super) kernel: Result<Kernel, Failure>,
    /// Its configuration, if it can be read.
    options: Option<Options>,
    /// What BTF knows of commands, map types, program types and attach types.
    known: [Names; 4],
}

impl<'s> Reasons<'s> {
    pub(super) fn new(sys: &'s WithToken<Linux>) -> Result<Self, Failure> {
        let kernel = Kernel::read();
        let known = |of: &[u8], prefix: &str| match &kernel {
            Ok(kernel) => names(kernel, of, prefix),
            Err(_) => Ok(Names::new()),
        };
        Ok(Reasons {
            sys,
            options: Options::running().ok(),
            known: [
                known(b"bpf_cmd", "BPF_")?,
                known(b"bpf_map_type", "BPF_MAP_TYPE_")?,
                known(b"bpf_prog_type", "BPF_PROG_TYPE_")?,
                known(b"bpf_attach_type", "BPF_")?,
            ],
            kernel,
        })
    }

    fn known(&self, set: Set) -> &Names {
        let [cmds, maps, progs, attachs] = &self.known;
        match set {
            Set::Cmds => cmds,
            Set::Maps => maps,
            Set::Progs => progs,
            Set::Attachs => attachs,
        }
    }

    /// Numbers and names of all there are: those that this program knows, and the kernel's.
    pub(super) fn all(&self, set: Set) -> Names {
        let mut all = self.known(set).clone();
        // 0 is none of a type, but a command and a place to attach to.
        let first = u32::from(matches!(set, Set::Maps | Set::Progs));
        for number in first..set.count() {
            let word = set.word(number);
            let word = word.strip_suffix(DEPRECATED).unwrap_or(&word);
            all.entry(number).or_insert_with(|| word.to_owned());
        }
        all
    }

    /// Why not, if this kernel has never heard of it.
    pub(super) fn lacks(&self, set: Set, number: u32) -> Option<String> {
        let known = self.known(set);
        let unknown = !known.is_empty() && !known.contains_key(&number);
        unknown.then(|| none_since(since::number(set, number)))
    }

    /// Why not, of something that the kernel has a name for and was asked for.
    pub(super) fn of(&self, set: Set, number: u32, asked: Asked) -> Option<String> {
        self.why(asked, options(set, number))
    }

    /// Why not, of what is there from a kernel on, whatever its configuration.
    pub(super) fn since(&self, since: &str, asked: Asked) -> Option<String> {
        // The kernel's words for what it does not know; the second is mmap(2)'s.
        let unknown = asked.is_err_and(|errno| [EINVAL, ENODEV].contains(&number(errno)));
        let why = self.why(asked, &[])?;
        Some(match unknown {
            true => format!("{why} (since {since})"),
            false => why,
        })
    }

    /// Why not; `options` are those without which there is no such thing.
    pub(super) fn why(&self, asked: Asked, options: &[&'static str]) -> Option<String> {
        let errno = number(asked.err()?);
        let why = match errno {
            EPERM => self.sys.why_refused(),
            _ => self.without(options),
        };
        let plain = Failure::bare_errno(errno).to_string();
        Some(match why {
            Some(why) => format!("{plain}: {why}"),
            None => plain,
        })
    }

    /// The first of these options that the kernel was built without.
    pub(super) fn without(&self, options: &[&'static str]) -> Option<String> {
        let known = self.options.as_ref()?;
        let missing = options.iter().find(|option| !known.has(option))?;
        Some(format!("this kernel was built without CONFIG_{missing}"))
    }

    /// Is this option set, built in or as a module? If nobody can say, none.
    pub(super) fn has_option(&self, option: &str) -> Option<bool> {
        self.options.as_ref().map(|options| options.has(option))
    }
}

/// This kernel is older.
pub(super) fn none_since(since: Option<&str>) -> String {
    match since {
        Some(since) => format!("this kernel has none (since {since})"),
        None => "this kernel has none".into(),
    }
}

/// Numbers and names of an enum, without a common prefix and in lower case.
pub(super) fn names(kernel: &Kernel, of: &[u8], prefix: &str) -> Result<Names, Failure> {
    let mut names = Names::new();
    for (name, value) in kernel.enumerators(of)? {
        // `__MAX_...` is no name of one.
        if let Some(name) = name.strip_prefix(prefix) {
            let name = name.to_lowercase();
            let name = name.strip_suffix(DEPRECATED).unwrap_or(&name);
            names.entry(value as u32).or_insert_with(|| name.to_owned());
        }
    }
    names.retain(|_, name| name != "unspec");
    Ok(names)
}

/// Options that all of this kind depend on in all kernels from 5.10 to 7.3.
pub(super) fn options(set: Set, number: u32) -> &'static [&'static str] {
    match (set, number) {
        // Of enum bpf_map_type.
        (Set::Maps, 7) => &["PERF_EVENTS"],
        (Set::Maps, 8 | 32) => &["CGROUPS"],
        (Set::Maps, 14 | 16 | 24 | 25) => &["NET"],
        (Set::Maps, 15 | 18 | 20) => &["NET", "INET"],
        (Set::Maps, 17) => &["NET", "XDP_SOCKETS"],
        (Set::Maps, 19 | 21) => &["CGROUP_BPF"],
        (Set::Maps, 26) => &["BPF_JIT"],
        (Set::Maps, 28) => &["BPF_LSM"],
        // Of enum bpf_prog_type.
        (Set::Progs, 1 | 3 | 4 | 6 | 10..=14 | 16 | 19 | 22) => &["NET"],
        (Set::Progs, 8 | 9 | 18) => &["NET", "CGROUP_BPF"],
        (Set::Progs, 15 | 23 | 25) => &["CGROUP_BPF"],
        (Set::Progs, 2 | 5 | 7 | 17 | 24 | 26) => &["BPF_EVENTS"],
        (Set::Progs, 20) => &["BPF_LIRC_MODE2"],
        (Set::Progs, 21 | 30) => &["NET", "INET"],
        (Set::Progs, 27 | 28) => &["BPF_JIT"],
        (Set::Progs, 29) => &["BPF_JIT", "BPF_LSM"],
        (Set::Progs, 32) => &["NETFILTER_BPF_LINK"],
        // Of enum bpf_attach_type.
        (Set::Attachs, 0..=3 | 6 | 8..=15 | 18..=22 | 29..=32 | 34 | 49..=53) => &["CGROUP_BPF"],
        (Set::Attachs, 4 | 5 | 7 | 38) => &["NET", "INET"],
        (Set::Attachs, 16) => &["BPF_LIRC_MODE2"],
        (Set::Attachs, 17 | 33 | 35 | 37) => &["NET"],
        (Set::Attachs, 23 | 28) => &["BPF_EVENTS"],
        (Set::Attachs, 24..=26 | 58) => &["BPF_EVENTS", "BPF_JIT"],
        (Set::Attachs, 27) => &["BPF_LSM"],
        (Set::Attachs, 36 | 39 | 40) => &["NET", "INET"],
        (Set::Attachs, 41) => &["PERF_EVENTS"],
        (Set::Attachs, 42 | 56) => &["BPF_EVENTS", "FPROBE"],
        (Set::Attachs, 43) => &["BPF_LSM", "CGROUP_BPF"],
        (Set::Attachs, 44) => &["BPF_JIT"],
        (Set::Attachs, 45) => &["NETFILTER_BPF_LINK"],
        (Set::Attachs, 46 | 47) => &["NET_XGRESS"],
        (Set::Attachs, 48 | 57) => &["BPF_EVENTS", "UPROBES"],
        (Set::Attachs, 54 | 55) => &["NETKIT"],
        _ => &[],
    }
}
