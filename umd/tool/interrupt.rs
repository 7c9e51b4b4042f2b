// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIGINT, SIGTERM and SIGHUP while a command makes what must not be left behind:
//! they wait until it looks for them, and then it fails like for any other reason.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use preload_loader::failure::Failure;

/// The signals, held back from here on.
pub(crate) struct Interrupt(SignalFd);

impl Interrupt {
    pub(crate) fn hold_back() -> Result<Self, Failure> {
        let set = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        let held = set.thread_block();
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        held.and_then(|()| SignalFd::with_flags(&set, flags))
            .map(Interrupt)
            .map_err(|errno| Failure::errno("hold signals back", errno as i32))
    }

    /// Fails if one has come.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let come = self.0.read_signal();
        match come.map_err(|errno| Failure::errno("read signals", errno as i32))? {
            Some(info) => {
                let signal = Signal::try_from(info.ssi_signo as i32);
                let name = signal.map_or("a signal", Signal::as_str);
                Err(Failure::new(format!("interrupted by {name}")))
            }
            None => Ok(()),
        }
    }

    /// Waits for one.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        loop {
            self.poll(None)?;
            if self.check().is_err() {
                return Ok(());
            }
        }
    }

    /// Prints to standard output, unless a signal comes before it can be written.
    pub(crate) fn print(&self, mut text: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        while !text.is_empty() {
            self.poll(Some(std::io::stdout().as_fd()))?;
            self.check()?;
            // A pipe that takes anything takes as much as this without waiting.
            let (now, later) = text.split_at(text.len().min(PIPE_BUF));
            let written = out.write_all(now).and_then(|()| out.flush());
            written.map_err(|error| Failure::io("write", "standard output".as_ref(), &error))?;
            text = later;
        }
        self.check()
    }

    /// Waits for a signal, or for a file that can be written.
    fn poll(&self, out: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
        let mut fds = vec![PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        fds.extend(out.map(|out| PollFd::new(out, PollFlags::POLLOUT)));
        poll(&mut fds, PollTimeout::NONE)
            .map(drop)
            .map_err(|errno| Failure::errno("wait for signals", errno as i32))
    }
}

/// As the kernel has it.
const PIPE_BUF: usize = 4096;
