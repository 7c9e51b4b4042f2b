// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tcx link: who has it owns a program's place in a list.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bpf_preload_umd::sys::attr::LinkUpdate;
use bpf_preload_umd::sys::{Errno, Sys, bpf, tcx};

use super::error::{EBADF, EEXIST, EINVAL, ENOLINK, EPERM};
use super::{BPF_F_REPLACE, Cause, Direction, Error};

/// `enum bpf_link_type`.
const BPF_LINK_TYPE_TCX: u32 = 11;

/// An fd of a link, closed when dropped. If it was the last one, and no pin is there,
/// the program is detached.
#[derive(Debug)]
pub struct Link<'s, S: Sys> {
    sys: &'s S,
    fd: i32,
}

/// What a link says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its id.
    pub id: u32,
    /// Id of the program that it runs.
    pub prog_id: u32,
    /// The device, in the network namespace that it is in; 0 if the link was detached, or
    /// the device is gone.
    pub ifindex: u32,
    /// Which of the device's lists.
    pub direction: Direction,
}

impl<'s, S: Sys> Link<'s, S> {
    pub(super) fn new(sys: &'s S, fd: i32) -> Self {
        Link { sys, fd }
    }

    /// The link with this id.
    ///
    /// # Errors
    /// `ENOENT` if there is none, `EPERM` without `CAP_SYS_ADMIN`, [`Cause::NotTcxLink`].
    pub fn by_id(sys: &'s S, id: u32) -> Result<Self, Error> {
        let step = format!("open link {id}");
        match tcx::link_fd_by_id(sys, id) {
            Ok(fd) => Self::checked(Link { sys, fd }, step),
            Err(errno) => Err(Error::new(step, errno, Cause::Unknown)),
        }
    }

    /// The link that is pinned at a path of a bpffs.
    ///
    /// # Errors
    /// `ENOENT` if there is nothing, `EPERM` outside of a bpffs, [`Cause::NotTcxLink`].
    pub fn pinned(sys: &'s S, path: &Path) -> Result<Self, Error> {
        let step = format!("open link {}", path.display());
        let opened = CString::new(path.as_os_str().as_bytes()).map_err(|_| EINVAL);
        let link = match opened.and_then(|path| bpf::obj_get(sys, &path)) {
            Ok(fd) => Link { sys, fd },
            Err(errno) => return Err(Error::new(step, errno, Cause::Unknown)),
        };
        // What info says would be that of a map or program, if it is one.
        if link_id_of(link.fd).is_none() {
            return Err(Error::new(step, Errno(0), Cause::NotTcxLink));
        }
        Self::checked(link, step)
    }

    fn checked(link: Self, step: String) -> Result<Self, Error> {
        match tcx::link_info(link.sys, link.fd) {
            Ok(info) if info.link_type == BPF_LINK_TYPE_TCX => Ok(link),
            Ok(_) => Err(Error::new(step, Errno(0), Cause::NotTcxLink)),
            Err(errno) => Err(Error::new(step, errno, Cause::Unknown)),
        }
    }

    /// Its fd, as long as the link is not dropped.
    pub fn fd(&self) -> i32 {
        self.fd
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// As the kernel reports it.
    pub fn info(&self) -> Result<LinkInfo, Error> {
        let wrong = |errno| Error::new("get info of a link".into(), errno, Cause::Unknown);
        let info = tcx::link_info(self.sys, self.fd).map_err(wrong)?;
        Ok(LinkInfo {
            id: info.id,
            prog_id: info.prog_id,
            ifindex: info.ifindex,
            direction: Direction::of_attach_type(info.attach_type).ok_or_else(|| wrong(EBADF))?,
        })
    }

    /// Makes it run another program, in the same place; only if it runs `expected_fd`,
    /// where one is given.
    ///
    /// # Errors
    /// [`Cause::OtherProgram`], [`Cause::AlreadyThere`], [`Cause::Detached`].
    pub fn update(&self, new_fd: i32, expected_fd: Option<i32>) -> Result<(), Error> {
        let attr = LinkUpdate {
            link_fd: self.fd as u32,
            new_prog_fd: new_fd as u32,
            flags: expected_fd.map_or(0, |_| BPF_F_REPLACE),
            old_prog_fd: expected_fd.unwrap_or(0) as u32,
        };
        let refused = |errno| {
            let prog_id = |fd| bpf::obj_id(self.sys, fd).ok();
            let info = self.info().ok();
            let id = info.map_or(String::new(), |info| format!(" {}", info.id));
            let cause = match errno {
                ENOLINK => Some(Cause::Detached),
                EEXIST => prog_id(new_fd).map(|prog_id| Cause::AlreadyThere { prog_id }),
                EPERM => info
                    .zip(expected_fd.and_then(prog_id))
                    .filter(|(info, expected)| info.prog_id != *expected)
                    .map(|(info, expected)| Cause::OtherProgram {
                        runs: info.prog_id,
                        expected,
                    }),
                _ => None,
            };
            Error::new(
                format!("update link{id}"),
                errno,
                cause.unwrap_or(Cause::Unknown),
            )
        };
        tcx::link_update(self.sys, attr).map_err(refused)
    }

    /// Detaches its program. The link stays, with its pins, and does no more.
    ///
    /// # Errors
    /// As the kernel reports it.
    pub fn detach(&self) -> Result<(), Error> {
        let wrong = |errno| Error::new("detach a link".into(), errno, Cause::Unknown);
        tcx::link_detach(self.sys, self.fd).map_err(wrong)
    }
}

impl<S: Sys> Drop for Link<'_, S> {
    fn drop(&mut self) {
        self.sys.close(self.fd);
    }
}

/// The id of the link that an fd of this process is of; none if it is of something else.
pub(crate) fn link_id_of(fd: i32) -> Option<u32> {
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let line = about
        .lines()
        .find_map(|line| line.strip_prefix("link_id:"))?;
    line.trim().parse().ok()
}
