// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gives a container a bpffs of its user namespace that delegates BPF to it (since 6.9):
//! what its manager does, with CAP_SYS_ADMIN in the initial user namespace.
//!
//! A bpffs belongs to the user namespace of whoever opens it; what it delegates, only we may
//! say. So a child enters that namespace, opens the file system and hands it out; we set the
//! options and create it; a second child mounts it in the container's mount namespace.
#![expect(
    unsafe_code,
    reason = "children between fork and exec, where they stay"
)]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Gid, Uid};
use rustix::thread::{
    LinkNameSpaceType, UnshareFlags, move_into_link_name_space, set_thread_res_gid,
    set_thread_res_uid, unshare_unsafe,
};

use crate::failure::Failure;
use crate::grants::Grants;
use crate::token;

/// Who gets it.
#[derive(Debug)]
pub struct Container {
    /// As it was asked for, for messages.
    spec: String,
    user: File,
    /// Mount namespace and root directory, if it is a process.
    inside: Option<(File, File)>,
}

impl Container {
    /// A process by its number, or a user namespace by the path of its file.
    ///
    /// # Errors
    /// There is none, or it is the caller's own user namespace.
    pub fn open(spec: &str) -> Result<Self, Failure> {
        let open =
            |path: &Path| File::open(path).map_err(|error| Failure::io("open", path, &error));
        let (user, inside) = if spec.bytes().all(|b| b.is_ascii_digit()) && !spec.is_empty() {
            let proc = Path::new("/proc").join(spec);
            let inside = (open(&proc.join("ns/mnt"))?, open(&proc.join("root"))?);
            (proc.join("ns/user"), Some(inside))
        } else {
            (PathBuf::from(spec), None)
        };
        let user = open(&user)?;
        let ours = std::fs::metadata("/proc/self/ns/user");
        if let (Ok(ours), Ok(theirs)) = (ours, user.metadata())
            && (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
        {
            let what = format!("enter user namespace of {spec}: it is this program's own");
            return Err(Failure::new(what));
        }
        let spec = spec.to_owned();
        Ok(Container { spec, user, inside })
    }

    /// Mounts a bpffs that delegates `grants` on `dir`: of a process, in its mount namespace
    /// and as it sees `dir`; of a user namespace, in ours. It belongs to the first user of
    /// the namespace, its root as a rule.
    ///
    /// # Errors
    /// The step that failed. Nothing is mounted then.
    pub fn mount(&self, dir: &Path, grants: &Grants) -> Result<(), Failure> {
        if !token::supported() {
            return Err(Failure::new(
                "delegate BPF: this kernel has no BPF tokens (since 6.9)",
            ));
        }
        let place = self.place(dir)?;
        let bpffs = self.open_bpffs()?;
        for (option, list) in grants.options() {
            // Numbers need no BTF to be understood.
            let value = format!("{:#x}", grants.bits_of(option));
            let set = fsconfig_set_string(&bpffs, option, &*value);
            set.map_err(|errno| failure(&format!("set {option}={list}"), errno))?;
        }
        let made = fsconfig_create(&bpffs).and_then(|()| {
            let attrs = MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            fsmount(&bpffs, FsMountFlags::FSMOUNT_CLOEXEC, attrs)
        });
        let mount = made.map_err(|errno| {
            failure(
                &format!("create bpffs of user namespace of {}", self.spec),
                errno,
            )
        })?;
        let step = format!("mount bpffs on {}", dir.display());
        let moved = match &self.inside {
            Some((namespace, _)) => {
                let namespace = clone(namespace.as_fd())?;
                in_child(move || {
                    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))?;
                    attach(mount.as_fd(), place.as_fd())
                })
            }
            None => attach(mount.as_fd(), place.as_fd()),
        };
        moved.map_err(|errno| failure(&step, errno))
    }

    /// The directory. No symbolic link of the container leads out of it.
    fn place(&self, dir: &Path) -> Result<OwnedFd, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match &self.inside {
            Some((_, root)) => {
                rustix::fs::openat2(root, dir, flags, Mode::empty(), ResolveFlags::IN_ROOT)
            }
            None => rustix::fs::openat(CWD, dir, flags, Mode::empty()),
        };
        opened.map_err(|errno| failure(&format!("look at {}", dir.display()), errno))
    }

    /// A bpffs of the user namespace, not yet created.
    fn open_bpffs(&self) -> Result<OwnedFd, Failure> {
        let step = format!("open bpffs in user namespace of {}", self.spec);
        let pair = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        );
        let (ours, theirs) = pair.map_err(|errno| failure("make socketpair", errno))?;
        let user = clone(self.user.as_fd())?;
        let opened = in_child(move || {
            move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))?;
            become_first_user()?;
            // It takes a mount namespace of the same owner. SAFETY: this process has
            // one thread, and FILES is not among the flags.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
            let bpffs = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC)?;
            send(theirs.as_fd(), bpffs.as_fd())
        });
        let received = opened.and_then(|()| receive(ours.as_fd()));
        received.map_err(|errno| failure(&step, errno))
    }
}

fn failure(step: &str, errno: Errno) -> Failure {
    Failure::errno(step, errno.raw_os_error())
}

fn clone(fd: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let cloned = rustix::io::fcntl_dupfd_cloexec(fd, 3);
    cloned.map_err(|errno| failure("duplicate fd", errno))
}

fn attach(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}

/// Runs this in a child, which may enter namespaces since it has one thread. It never gets
/// to execute anything: that its work is done it reports as an error, of number 0.
fn in_child(
    mut work: impl FnMut() -> rustix::io::Result<()> + Send + Sync + 'static,
) -> rustix::io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    let report = move || {
        let number = work().err().map_or(0, Errno::raw_os_error);
        Err(io::Error::from_raw_os_error(number))
    };
    // SAFETY: what the children do is system calls on what was made before the fork;
    // none of it allocates or takes a lock.
    unsafe { command.pre_exec(report) };
    match command.spawn() {
        Err(error) if error.raw_os_error() == Some(0) => Ok(()),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        Ok(_) => Err(Errno::IO),
    }
}

/// Becomes the first user and group that the user namespace maps: others can own nothing.
fn become_first_user() -> rustix::io::Result<()> {
    let first = |path: &str| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let map = rustix::fs::open(path, flags, Mode::empty())?;
        let mut bytes = [0; 64];
        let len = rustix::io::read(&map, &mut bytes)?;
        let bytes = bytes.get(..len).unwrap_or_default();
        let digits = bytes
            .trim_ascii_start()
            .split(|b| !b.is_ascii_digit())
            .next();
        let digits = digits
            .filter(|digits| !digits.is_empty())
            .ok_or(Errno::NXIO)?;
        let number = digits.iter().fold(0u32, |number, digit| {
            number
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit - b'0'))
        });
        Ok(number)
    };
    let (uid, gid) = (first("/proc/self/uid_map")?, first("/proc/self/gid_map")?);
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

fn send(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(
        socket,
        &[IoSlice::new(&[0])],
        &mut control,
        SendFlags::empty(),
    )
    .map(drop)
}

fn receive(socket: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.next().ok_or(Errno::BADF)
}
