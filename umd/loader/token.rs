// SPDX-License-Identifier: MIT OR Apache-2.0
//! A BPF token (since 6.9): who may load what is decided by a bpffs of his user namespace.
//!
//! [`Token`] is what a caller wants, with libbpf's meaning; [`WithToken`] the kernel, asked
//! with it. Whoever goes through that carries the token, feature probes too; the executor
//! knows nothing of it. What a refusal lacks is told from the token itself: its info (6.18
//! and 7.3 have it, 6.12 has not), else its fdinfo. Nothing is guessed: where all is allowed
//! and no capability is missing the errno stands alone.

mod sys;

use std::ffi::OsString;
use std::fmt;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bpf_preload_umd::sys as umd_sys;
use bpf_preload_umd::sys::attr::cmd;
use bpf_preload_umd::sys::linux::Linux;
use rustix::fs::{Mode, OFlags};
use rustix::thread::CapabilitySet;

pub use self::sys::WithToken;
use crate::errno::{EBADF, EINVAL, ENAMETOOLONG, ENOENT, EOPNOTSUPP, EPERM};
use crate::failure::{Failure, number};
use crate::grants::{Grants, SETS, Set};
use crate::pins::is_bpffs;
use crate::{kconfig, mountinfo};

/// Where a token is looked for if nobody says where.
const DEFAULT: &str = "/sys/fs/bpf";
/// Names another place, or, empty, says that there is to be none.
const VARIABLE: &str = "LIBBPF_BPF_TOKEN_PATH";
/// Bytes of a path with its NUL, of the uapi `linux/limits.h`.
const PATH_MAX: usize = 4096;

/// The token that a load is to use.
#[derive(Debug, Default)]
pub enum Token {
    /// That of `/sys/fs/bpf` if it gives one; if not, none. The environment variable
    /// `LIBBPF_BPF_TOKEN_PATH` stands for [`Path`](Token::Path) or, empty, [`Off`](Token::Off).
    #[default]
    Implicit,
    /// That of this bpffs, and no load without it. Empty is [`Off`](Token::Off).
    Path(PathBuf),
    /// That of this bpffs if it gives one; if not, none.
    Try(PathBuf),
    /// This token, which stays the caller's own. Negative is [`Off`](Token::Off).
    Fd(RawFd),
    /// None.
    Off,
}

impl Token {
    /// What a command line says: a path, which may be empty, or nothing.
    #[must_use]
    pub fn of(option: Option<&Path>) -> Self {
        option.map_or(Token::Implicit, |path| Token::Path(path.to_owned()))
    }

    /// Opens the token.
    fn open(&self, variable: Option<OsString>) -> Result<Option<Open>, Failure> {
        let must = |path: &Path| match path.as_os_str().is_empty() {
            true => Ok(None),
            false => Open::create(path).map(Some),
        };
        match (self, variable) {
            (Token::Off, _) => Ok(None),
            (Token::Path(path), _) => must(path),
            (Token::Implicit, Some(variable)) => must(variable.as_ref())
                .map_err(|failure| Failure::new(format!("{VARIABLE}: {failure}"))),
            (Token::Implicit, None) => Ok(Open::attempt(DEFAULT.as_ref()).ok()),
            (Token::Try(path), _) => Ok(Open::attempt(path).ok()),
            (Token::Fd(fd), _) if *fd < 0 => Ok(None),
            (Token::Fd(fd), _) => Open::duplicate(*fd).map(Some),
        }
    }
}

/// What failed, with its errno.
enum NoToken {
    /// To open the directory.
    Directory(i32),
    /// To create a token of it.
    Token(i32),
}

/// An open token.
#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    /// `token of /sys/fs/bpf`
    from: String,
}

impl Open {
    /// The token of a bpffs, or why there is none.
    fn create(dir: &Path) -> Result<Self, Failure> {
        if dir.as_os_str().as_bytes().len() >= PATH_MAX {
            // Such a path shown whole would be no line to read.
            return Err(
                Failure::errno("create token", ENAMETOOLONG).because("the path is too long")
            );
        }
        Open::attempt(dir).map_err(|refused| {
            let step = format!("create token of {}", dir.display());
            match refused {
                NoToken::Directory(errno) => Failure::errno(&step, errno),
                NoToken::Token(errno) => {
                    let failure = Failure::errno(&step, errno);
                    match why_no_token(errno, dir) {
                        Some(why) => failure.because(why),
                        None => failure,
                    }
                }
            }
        })
    }

    /// `BPF_TOKEN_CREATE`.
    fn attempt(dir: &Path) -> Result<Self, NoToken> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let bpffs = rustix::fs::open(dir, flags, Mode::empty())
            .map_err(|errno| NoToken::Directory(errno.raw_os_error()))?;
        let created = umd_sys::token::create(&Linux, bpffs.as_raw_fd());
        let fd = created.map_err(|errno| NoToken::Token(number(errno)))?;
        let from = format!("token of {}", dir.display());
        Ok(Open { fd: own(fd), from })
    }

    /// Of a token that somebody else has, and may close.
    #[expect(unsafe_code, reason = "a number becomes an fd, to be duplicated")]
    fn duplicate(fd: RawFd) -> Result<Self, Failure> {
        // SAFETY: it is not negative, borrowed for this call only, and one that is not
        // open is the kernel's to refuse.
        let theirs = unsafe { BorrowedFd::borrow_raw(fd) };
        let from = format!("token of fd {fd}");
        match rustix::io::fcntl_dupfd_cloexec(theirs, 3) {
            Ok(fd) if matches!(fdinfo(fd.as_raw_fd()), Some(shown) if !shown.contains(FDINFO[0])) => {
                Err(Failure::new(format!("use {from}: not a BPF token")))
            }
            Ok(fd) => Ok(Open { fd, from }),
            Err(errno) => {
                let step = format!("duplicate {from}");
                Err(Failure::errno(&step, errno.raw_os_error()))
            }
        }
    }

    /// What the token allows, if this kernel says so.
    fn grants(&self) -> Option<Grants> {
        let fd = self.fd.as_raw_fd();
        if let Ok(info) = umd_sys::token::info(&Linux, fd) {
            let bits = [
                info.allowed_cmds,
                info.allowed_maps,
                info.allowed_progs,
                info.allowed_attachs,
            ];
            return Some(Grants::new(bits));
        }
        let shown = fdinfo(fd)?;
        let mut grants = Grants::default();
        for (set, name) in SETS.into_iter().zip(FDINFO) {
            let mut lines = shown.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))?;
            grants.add(set, set.parse(line).ok()?);
        }
        Some(grants)
    }
}

/// What the kernel shows of an fd, if there is a /proc.
fn fdinfo(fd: RawFd) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()
}

/// Lines of a token's fdinfo, in the order of [`SETS`].
const FDINFO: [&str; 4] = [
    "allowed_cmds",
    "allowed_maps",
    "allowed_progs",
    "allowed_attachs",
];

/// What the token of a bpffs allows.
///
/// # Errors
/// There is no token, or the kernel does not say.
pub fn grants_of(dir: &Path) -> Result<Grants, Failure> {
    let open = Open::create(dir)?;
    open.grants().ok_or_else(|| {
        Failure::new(format!(
            "{}: neither its info nor its fdinfo can be read",
            open.from
        ))
    })
}

/// What the bpffs that is mounted on a directory delegates, whoever asks.
///
/// # Errors
/// There is none, or its options cannot be read.
pub fn delegated(dir: &Path) -> Result<Grants, Failure> {
    // Of several the last one is on top.
    let mut mounts = mountinfo::mounts()?.into_iter().rev();
    match mounts.find(|mount| mount.point == dir) {
        Some(mount) if mount.fs_type == "bpf" => Grants::of_options(&mount.options),
        _ => {
            let step = format!("find mount of {}", dir.display());
            Err(Failure::new(format!("{step}: no bpffs is mounted there")))
        }
    }
}

/// What a kernel with tokens, which looks at the fd first, has against none.
fn ask() -> Result<i32, i32> {
    umd_sys::token::create(&Linux, -1).map_err(number)
}

/// Has this kernel tokens?
#[must_use]
pub fn supported() -> bool {
    ask() != Err(EINVAL)
}

/// Why `BPF_TOKEN_CREATE` failed, where one can know.
fn why_no_token(errno: i32, dir: &Path) -> Option<&'static str> {
    match errno {
        _ if !supported() => Some("this kernel has no BPF tokens (since 6.9)"),
        _ if ask() != Err(EBADF) => Some("the command as such is refused to this process"),
        EINVAL if matches!(is_bpffs(dir), Ok(false)) => Some("not a bpffs"),
        EINVAL => Some("not the root of a bpffs"),
        EOPNOTSUPP => Some("there are none in the initial user namespace"),
        ENOENT => Some("this bpffs delegates nothing"),
        EPERM if !capable(CapabilitySet::BPF) => {
            Some("this process has no CAP_BPF in its user namespace")
        }
        EPERM => Some("this bpffs is not of this user namespace"),
        _ => None,
    }
}

/// Has this process a capability in its user namespace? If nobody can say, it has.
pub(crate) fn capable(capability: CapabilitySet) -> bool {
    let sets = rustix::thread::capabilities(None);
    sets.map_or(true, |sets| sets.effective.contains(capability))
}

/// Is this process in the initial user namespace? Its inode is `PROC_USER_INIT_INO`.
fn in_initial_userns() -> bool {
    const INITIAL: u64 = 0xefff_fffd;
    rustix::fs::stat("/proc/self/ns/user").is_ok_and(|stat| stat.st_ino == INITIAL)
}

/// A call that was refused with `EPERM`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    cmd: u32,
    /// Type of the map or program, and what the program is to be attached to.
    types: (u32, u32),
    name: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cmd {
            cmd::MAP_CREATE => write!(f, "map \"{}\"", self.name),
            cmd::PROG_LOAD => write!(f, "program \"{}\"", self.name),
            _ => f.write_str("BTF"),
        }
    }
}

impl Refused {
    /// All that the kernel looks for in the token.
    fn wants(&self) -> Vec<(Set, u32)> {
        let (ty, attach_type) = self.types;
        let mut wants = vec![(Set::Cmds, self.cmd)];
        match self.cmd {
            cmd::MAP_CREATE => wants.push((Set::Maps, ty)),
            cmd::PROG_LOAD => wants.extend([(Set::Progs, ty), (Set::Attachs, attach_type)]),
            _ => {}
        }
        wants
    }

    /// What it lacks: a grant, else a capability, else nobody knows.
    fn why(&self, grants: &Grants, from: &str) -> Option<String> {
        let lacking: Vec<_> = self
            .wants()
            .into_iter()
            .filter(|(set, bit)| !grants.has(*set, *bit))
            .collect();
        if lacking.is_empty() {
            let capability = self.capabilities().into_iter().find(|(capability, _)| {
                // CAP_SYS_ADMIN stands for the others.
                !capable(*capability) && !capable(CapabilitySet::SYS_ADMIN)
            });
            let (_, name) = capability?;
            return Some(format!(
                "the {from} allows it; this process has no {name} in its user namespace"
            ));
        }
        let allows: Vec<_> = lacking
            .iter()
            .map(|(set, _)| format!("{} {}", set.what(), set.list(grants.bits(*set))))
            .collect();
        let needs: Vec<_> = lacking
            .iter()
            .map(|(set, bit)| format!("{} ({})", set.word(*bit), set.option()))
            .collect();
        Some(format!(
            "{from} allows {}; {self} needs {}",
            allows.join(" and "),
            needs.join(" and ")
        ))
    }

    /// What it lacks of whoever has no token: capabilities, and memory on kernels that
    /// count it (before 5.11, where the executor has tried to raise the limit).
    fn why_without(&self) -> Option<String> {
        if !capable(CapabilitySet::SYS_ADMIN) {
            let mut all = self.capabilities().into_iter();
            if let Some((_, name)) = all.find(|(capability, _)| !capable(*capability)) {
                return Some(format!("this process has no {name}"));
            }
        }
        if !in_initial_userns() {
            let why = "this process is in a user namespace of its own, and has no BPF token";
            return Some(why.to_owned());
        }
        let memory = [cmd::MAP_CREATE, cmd::PROG_LOAD].contains(&self.cmd);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current?;
        let counted = kconfig::kernel_version().is_ok_and(|version| version < 5 << 16 | 11 << 8);
        (memory && counted).then(|| {
            let kib = limit >> 10;
            format!("its memory counts (before 5.11), and RLIMIT_MEMLOCK is {kib} KiB")
        })
    }

    /// Capabilities that the kernel asks for, if there is a token in the token's user namespace (6.12 to 7.3).
    fn capabilities(&self) -> Vec<(CapabilitySet, &'static str)> {
        const NET_ADMIN: (CapabilitySet, &str) = (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN");
        const PERFMON: (CapabilitySet, &str) = (CapabilitySet::PERFMON, "CAP_PERFMON");
        let mut all = vec![(CapabilitySet::BPF, "CAP_BPF")];
        match (self.cmd, self.types.0) {
            (cmd::BTF_GET_FD_BY_ID, _) => return vec![(CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")],
            // devmap, sockmap, xskmap, sockhash, devmap_hash
            (cmd::MAP_CREATE, 14 | 15 | 17 | 18 | 25) => all.push(NET_ADMIN),
            // sched_cls, sched_act, xdp, cgroup_sock, lwt_*, sock_ops, sk_skb, cgroup_device,
            // sk_msg, cgroup_sock_addr, flow_dissector, cgroup_sysctl, cgroup_sockopt, netfilter
            (cmd::PROG_LOAD, 3 | 4 | 6 | 9..=16 | 18 | 19 | 22 | 23 | 25 | 32) => {
                all.push(NET_ADMIN);
            }
            // kprobe, tracepoint, perf_event, raw_tracepoint*, tracing, struct_ops, lsm
            (cmd::PROG_LOAD, 2 | 5 | 7 | 17 | 24 | 26 | 27 | 29) => all.push(PERFMON),
            // ext
            (cmd::PROG_LOAD, 28) => all.extend([NET_ADMIN, PERFMON]),
            _ => {}
        }
        all
    }
}

/// Takes a new fd as its owner.
#[expect(unsafe_code, reason = "the fd is new, and nobody else's")]
fn own(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just made it for the caller, who keeps no other copy.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
