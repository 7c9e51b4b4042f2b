// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events of `perf_event_open(2)` that a program can run at: probes and
//! tracepoints. Only whoever attaches needs them; the driver does not.
#![allow(unsafe_code, reason = "system calls that take addresses")]

use core::ffi::CStr;

use super::Errno;
use super::attr::PerfEvent;
use super::linux::{syscall, syscall6};
use super::pod::{Attr as _, attr_bytes};

/// `PERF_TYPE_TRACEPOINT`.
const TRACEPOINT: u32 = 2;
const PERF_FLAG_FD_CLOEXEC: usize = 8;
const PERF_EVENT_IOC_ENABLE: usize = 0x2400;
const PERF_EVENT_IOC_SET_BPF: usize = 0x4004_2408;

/// An event at a tracepoint, by its id in tracefs: the fd.
///
/// # Errors
/// As the kernel reports it.
pub fn open_tracepoint(id: u64) -> Result<i32, Errno> {
    // Of whatever happens, since the program is to see each time.
    open(&mut PerfEvent {
        event_type: TRACEPOINT,
        config: id,
        sample_period: 1,
        wakeup_events: 1,
        ..PerfEvent::default()
    })
}

/// An event at an offset from a kernel function, or in a file, or (`at_return`) at
/// the return of the function there: the fd. The event type is that of the PMU
/// `kprobe` or `uprobe`, which sysfs has.
///
/// # Errors
/// As the kernel reports it: `ENOENT` for a function that it has not.
pub fn open_probe(
    event_type: u32,
    name: &CStr,
    offset: u64,
    at_return: bool,
) -> Result<i32, Errno> {
    // Bit 0 is PERF_PROBE_CONFIG_IS_RETPROBE in all kernels that have these PMUs (4.17).
    open(&mut PerfEvent {
        event_type,
        config: u64::from(at_return),
        config1: name.as_ptr() as u64,
        config2: offset,
        ..PerfEvent::default()
    })
}

/// In all processes, which takes one processor to be named, though all count.
fn open(attr: &mut PerfEvent) -> Result<i32, Errno> {
    attr.size = PerfEvent::END as u32;
    let (any, cpu, none) = (-1isize as usize, 0, -1isize as usize);
    let attr = attr_bytes(attr).as_mut_ptr() as usize;
    // SAFETY: `attr` is as long as its size says, and the name in it lives in the callers.
    unsafe {
        syscall6(
            libc::SYS_perf_event_open,
            [attr, any, cpu, none, PERF_FLAG_FD_CLOEXEC, 0],
        )
    }
    .map(|fd| fd as i32)
}

/// Attaches a program to an event, without a link: until the event is closed.
///
/// # Errors
/// As the kernel reports it.
pub fn set_bpf(event_fd: i32, prog_fd: i32) -> Result<(), Errno> {
    ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, prog_fd as usize)
}

/// Lets the event happen.
///
/// # Errors
/// As the kernel reports it.
pub fn enable(event_fd: i32) -> Result<(), Errno> {
    ioctl(event_fd, PERF_EVENT_IOC_ENABLE, 0)
}

fn ioctl(fd: i32, request: usize, value: usize) -> Result<(), Errno> {
    // SAFETY: neither of the two requests takes a pointer.
    unsafe { syscall(libc::SYS_ioctl, [fd as usize, request, value]) }.map(drop)
}
