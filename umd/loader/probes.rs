// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs at events of perf: tracepoints, and probes in the kernel or in files.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use bpf_preload_umd::sys::{Sys, bpf, perf};

use crate::attach::{Fd, Hold};
use crate::errno::EINVAL;
use crate::failure::{Failure, number};
use crate::tracefs::Tracefs;
use crate::uprobe;

/// `tp/CATEGORY/NAME`.
pub(crate) fn tracepoint<'l, S: Sys>(
    sys: &S,
    prog_fd: i32,
    place: &str,
) -> Result<Hold<'l>, Failure> {
    let Some((category, name)) = place.split_once('/') else {
        return Err(Failure::new("no CATEGORY/NAME of a tracepoint"));
    };
    let id = Tracefs::open()?.id(category, name)?;
    run(sys, prog_fd, perf::open_tracepoint(id))
}

/// `kprobe/FUNCTION+OFFSET`.
pub(crate) fn kprobe<'l, S: Sys>(
    sys: &S,
    prog_fd: i32,
    place: &str,
    at_return: bool,
) -> Result<Hold<'l>, Failure> {
    let (function, offset) = offset(place, at_return)?;
    let pmu = pmu("kprobe")?;
    let function = c_string(function)?;
    run(
        sys,
        prog_fd,
        perf::open_probe(pmu, &function, offset, at_return),
    )
}

/// `ksyscall/NAME`: the function that on x86-64 serves it, since 4.17.
pub(crate) fn ksyscall<'l, S: Sys>(
    sys: &S,
    prog_fd: i32,
    name: &str,
    at_return: bool,
) -> Result<Hold<'l>, Failure> {
    let function = format!("__x64_sys_{name}");
    kprobe(sys, prog_fd, &function, at_return)
}

/// `uprobe/FILE:FUNCTION+OFFSET`.
pub(crate) fn uprobe<'l, S: Sys>(
    sys: &S,
    prog_fd: i32,
    place: &str,
    at_return: bool,
) -> Result<Hold<'l>, Failure> {
    let (path, function) = file_and_function(place)?;
    let (function, offset) = offset(function, at_return)?;
    let start = uprobe::offset(&path, function)?;
    let pmu = pmu("uprobe")?;
    let path = c_path(&path)?;
    let event = perf::open_probe(pmu, &path, start.wrapping_add(offset), at_return);
    run(sys, prog_fd, event)
}

/// File and function of `FILE:FUNCTION`.
pub(crate) fn file_and_function(place: &str) -> Result<(PathBuf, &str), Failure> {
    let Some((file, function)) = place.split_once(':') else {
        return Err(Failure::new("no FILE:FUNCTION"));
    };
    let path = uprobe::file(file);
    let missing = || Failure::new(format!("no {file} where programs or libraries are"));
    Ok((path.ok_or_else(missing)?, function))
}

pub(crate) fn c_path(path: &Path) -> Result<CString, Failure> {
    let what = || Failure::new(format!("{} is no UTF-8", path.display()));
    c_string(path.to_str().ok_or_else(what)?)
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::new("a name holds a NUL"))
}

/// Function and offset of `FUNCTION+OFFSET`; the return of a function has none.
fn offset(place: &str, at_return: bool) -> Result<(&str, u64), Failure> {
    let Some((function, offset)) = place.rsplit_once('+') else {
        return Ok((place, 0));
    };
    let number = match offset.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => offset.parse(),
    };
    match number {
        Ok(number) if !at_return || number == 0 => Ok((function, number)),
        Ok(_) => Err(Failure::new("the return of a function has no offset")),
        Err(_) => Err(Failure::new(format!("offset {offset} is no number"))),
    }
}

/// Type of the events of a PMU.
fn pmu(name: &str) -> Result<u32, Failure> {
    let path = format!("/sys/bus/event_source/devices/{name}/type");
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new(format!("this kernel has no {name}s (no {path})"))
        }
        _ => Failure::io("read", path.as_ref(), &error),
    })?;
    let what = || Failure::new(format!("read {path}: no number"));
    text.trim().parse().map_err(|_| what())
}

/// Lets a program run at an event: by a link where there are such (since 5.15), else
/// for as long as the event is held open.
fn run<'l, S: Sys>(
    sys: &S,
    prog_fd: i32,
    event: Result<i32, bpf_preload_umd::sys::Errno>,
) -> Result<Hold<'l>, Failure> {
    let failed = |step: &str, errno| Failure::errno(step, number(errno));
    let event = Fd(event.map_err(|errno| failed("open the event", errno))?);
    let link = match bpf::link_create_perf_event(sys, prog_fd, event.0) {
        Ok(fd) => Some(Fd(fd)),
        Err(errno) if number(errno) == EINVAL => {
            perf::set_bpf(event.0, prog_fd).map_err(|errno| failed("run at the event", errno))?;
            None
        }
        Err(errno) => return Err(failed("link to the event", errno)),
    };
    perf::enable(event.0).map_err(|errno| failed("enable the event", errno))?;
    Ok(match link {
        // The link holds the event.
        Some(link) => Hold::Link(link),
        None => Hold::Event(event),
    })
}

#[cfg(test)]
mod tests {
    use super::offset;

    #[test]
    fn offset_is_misread() {
        let ok = |place, at_return| offset(place, at_return).ok();
        assert_eq!(ok("f", true), Some(("f", 0)));
        assert_eq!(ok("f+0x10", false), Some(("f", 16)));
        assert_eq!(ok("f+10", false), Some(("f", 10)));
        for bad in ["f+", "f+x", "f+-1", "f+0xfffffffffffffffff"] {
            assert_eq!(ok(bad, false), None, "{bad}");
        }
        assert_eq!(ok("f+1", true), None);
    }
}
