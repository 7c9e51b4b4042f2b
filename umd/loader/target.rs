// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that are loaded for a function of another program: it is to be replaced
//! (freplace) or traced (fentry, fexit, fmod_ret). libbpf's `bpf_program__set_attach_target()`.

use std::cell::Cell;
use std::ffi::CString;
use std::str::FromStr;

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::btf::{Btf, Filter, kind};
use bpf_preload_umd::sys::attr::{OBJ_NAME_LEN, cmd};
use bpf_preload_umd::sys::{Errno, Sys, bpf, tcx};
use preload_image::{Image, Writer};

use crate::attach::Fd;
use crate::failure::{Failure, number};
use crate::pass_on::pass_on_but_bpf;
use crate::{btf, kernel, object};

/// `BPF_PROG_TYPE_EXT`.
const EXT: u32 = 28;

/// `PROG[:FUNC]=id:N` or `PROG[:FUNC]=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of the program that is loaded.
    pub prog: String,
    /// The function; none: that in the name of its section.
    pub func: Option<String>,
    /// The program that the function is part of.
    pub of: ProgRef,
}

/// A program that is loaded already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgRef {
    /// By its id.
    Id(u32),
    /// By where it is pinned.
    Pinned(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (whose, of) = text
            .split_once('=')
            .ok_or("not PROG[:FUNC]=id:N or PROG[:FUNC]=PATH")?;
        let (prog, func) = match whose.split_once(':') {
            Some((prog, func)) => (prog, Some(func.to_owned())),
            None => (whose, None),
        };
        let of = match of.strip_prefix("id:") {
            Some(id) => ProgRef::Id(id.parse().map_err(|_| format!("id {id} is no number"))?),
            None => ProgRef::Pinned(of.to_owned()),
        };
        if prog.is_empty() || of == ProgRef::Pinned(String::new()) {
            return Err("an empty name".to_owned());
        }
        Ok(Target {
            prog: prog.to_owned(),
            func,
            of,
        })
    }
}

/// The targets of an image's programs, in its order.
#[derive(Debug, Default)]
pub struct Targets(Vec<(ProgName, Option<Found>)>);

/// A program's name as the kernel gets it.
type ProgName = [u8; OBJ_NAME_LEN];

/// A program, open, and the function's id in its BTF.
#[derive(Debug)]
struct Found {
    fd: Fd,
    btf_id: u32,
}

/// Finds the targets, and takes them out of what the image wants from kernel BTF.
///
/// # Errors
/// A program that is not there, that has no BTF, or no such function in it; a
/// program of type freplace without target.
pub fn find<S: Sys>(
    sys: &S,
    bytes: Vec<u8>,
    wanted: &[Target],
) -> Result<(Vec<u8>, Targets), Failure> {
    let image = object::parse(&bytes)?;
    let name_of = |index: &preload_image::Prog| image.str(index.name);
    if let Some(target) = wanted.iter().find(|target| {
        let is = |prog| name_of(&prog) == target.prog.as_bytes();
        !image.progs().iter().any(is)
    }) {
        let what = format!("target of {0}: the object has no program {0}", target.prog);
        return Err(Failure::new(what));
    }
    // Of most objects nothing is changed, and the image stays as it is.
    let mut writer = None;
    let mut targets = Vec::new();
    for (index, mut prog) in (0..).zip(image.progs().iter()) {
        let name = name_of(&prog);
        let mut of = wanted
            .iter()
            .filter(|target| target.prog.as_bytes() == name);
        let shown = String::from_utf8_lossy(name);
        let found = match (of.next(), of.next()) {
            (Some(_), Some(_)) => {
                return Err(Failure::new(format!("target of {shown}: two are given")));
            }
            (Some(target), None) => {
                prog.attach_target = 0;
                let writer = writer.get_or_insert_with(|| Writer::of(&image));
                writer.replace_prog(index, prog);
                let func = function(&image, &prog, target);
                let found = func.and_then(|func| lookup(sys, &target.of, &func));
                Some(found.map_err(|failure| failure.during(&format!("target of {shown}")))?)
            }
            (None, _) if prog.prog_type == EXT => {
                let what = "which program it replaces a function of must be given (--target)";
                return Err(Failure::new(format!("prog {shown}: {what}")));
            }
            (None, _) => None,
        };
        targets.push((bpf::obj_name(name), found));
    }
    let changed = writer.map(Writer::finish).transpose().map_err(|wrong| {
        Failure::new(format!(
            "targets: {} at offset {}",
            wrong.what, wrong.offset
        ))
    })?;
    Ok((changed.unwrap_or(bytes), Targets(targets)))
}

fn function(
    image: &Image<'_>,
    prog: &preload_image::Prog,
    target: &Target,
) -> Result<String, Failure> {
    let section = String::from_utf8_lossy(image.str(prog.section)).into_owned();
    let (kind, name) = section.split_once('/').unwrap_or((&section, ""));
    // What of a program may be replaced or traced (the kernel has the last word).
    let may = ["freplace", "fentry", "fexit", "fmod_ret", "fsession"];
    if !may.contains(&kind.strip_suffix(".s").unwrap_or(kind)) {
        return Err(Failure::new(format!("a program of {section} has none")));
    }
    match &target.func {
        Some(func) => Ok(func.clone()),
        None if name.is_empty() => Err(Failure::new("of what name the function is, is not given")),
        None => Ok(name.to_owned()),
    }
}

fn lookup<S: Sys>(sys: &S, of: &ProgRef, func: &str) -> Result<Found, Failure> {
    let shown = match of {
        ProgRef::Id(id) => format!("prog id {id}"),
        ProgRef::Pinned(path) => path.clone(),
    };
    let failed =
        |step: &str, errno: Errno| Failure::errno(&format!("{step} {shown}"), number(errno));
    let opened = match of {
        ProgRef::Id(id) => tcx::prog_fd_by_id(sys, *id),
        ProgRef::Pinned(path) => {
            let path = CString::new(path.as_str()).map_err(|_| Failure::new("a NUL in a path"))?;
            bpf::obj_get(sys, &path)
        }
    };
    let fd = Fd(opened.map_err(|errno| failed("open", errno))?);
    let info = tcx::prog_info(sys, fd.0, &mut [0; 8]);
    let info = info.map_err(|errno| failed("look at", errno))?;
    if info.btf_id == 0 {
        return Err(Failure::new(format!("{shown} has no BTF")));
    }
    let btf_fd = bpf::btf_fd_by_id(sys, info.btf_id);
    let btf_fd = Fd(btf_fd.map_err(|errno| failed("open BTF of", errno))?);
    let data = btf::read(sys, btf_fd.0, u32::MAX);
    let data = data.map_err(|errno| failed("read BTF of", errno))?;
    let mut filter = Filter::default();
    filter.add(kind::FUNC, func.as_bytes());
    let mut btf_id = 0;
    let mut memory = kernel::memory();
    let mut arena = Arena::new(&mut memory);
    let btf = Btf::index(&data, &mut arena, &filter, &mut |btf, id, ty| {
        if ty.kind() == kind::FUNC && btf.name(ty) == func.as_bytes() {
            btf_id = id;
        }
        Some(if btf_id == 0 { 1 << kind::FUNC } else { 0 })
    });
    if btf.check().is_err() {
        return Err(Failure::new(format!("BTF of {shown} is damaged")));
    }
    if btf_id == 0 {
        return Err(Failure::new(format!("{shown} has no function {func}")));
    }
    Ok(Found { fd, btf_id })
}

/// The kernel as [`Sys`] has it, with the targets in each `BPF_PROG_LOAD`: the
/// executor, which every start of the driver pays for, knows nothing of them.
#[derive(Debug)]
pub struct WithTargets<'s, S> {
    sys: &'s S,
    targets: &'s Targets,
    /// Index of the program that is loaded next.
    next: Cell<usize>,
}

impl<'s, S: Sys> WithTargets<'s, S> {
    /// For one load of the image that these targets were found for.
    pub fn new(sys: &'s S, targets: &'s Targets) -> Self {
        let next = Cell::new(0);
        WithTargets { sys, targets, next }
    }
}

#[allow(unsafe_code, reason = "passes on the system call that takes addresses")]
impl<S: Sys> Sys for WithTargets<'_, S> {
    pass_on_but_bpf!(sys: S);

    unsafe fn bpf(&self, cmd: u32, attr: &mut [u8]) -> Result<i32, Errno> {
        let next = self.targets.0.get(self.next.get());
        // Programs are loaded in the image's order; what has another name is a probe.
        let next = next.filter(|(name, _)| cmd == cmd::PROG_LOAD && attr.get(48..64) == Some(name));
        if let Some((_, Some(found))) = next {
            for (at, value) in [(108, found.btf_id), (112, found.fd.0 as u32)] {
                if let Some(place) = attr.get_mut(at..at + 4) {
                    place.copy_from_slice(&value.to_ne_bytes());
                }
            }
        }
        // SAFETY: the two words that were changed, attach_btf_id and attach_prog_fd, are
        // no addresses; the others are as the caller vouches for.
        let done = unsafe { self.sys.bpf(cmd, attr) };
        if next.is_some() && done.is_ok() {
            self.next.set(self.next.get() + 1);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::{ProgRef, Target};

    #[test]
    fn target_is_misread() {
        let target = |prog: &str, func: Option<&str>, of| Target {
            prog: prog.into(),
            func: func.map(Into::into),
            of,
        };
        let path = |path: &str| ProgRef::Pinned(path.into());
        assert_eq!("p=id:7".parse(), Ok(target("p", None, ProgRef::Id(7))));
        assert_eq!(
            "p:f=/a=b:c".parse(),
            Ok(target("p", Some("f"), path("/a=b:c")))
        );
        for bad in ["", "p", "=id:1", "p=", "p=id:", "p=id:x", "p=id:-1"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
