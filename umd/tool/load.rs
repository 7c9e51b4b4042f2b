// SPDX-License-Identifier: MIT OR Apache-2.0
//! `load FILE.o`: all programs and maps of an object into the kernel, and pinned there.

use std::fmt;
use std::path::{Path, PathBuf};

use bpf_preload_umd::exec::Object;
use bpf_preload_umd::sys::bpf;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::targets::Search;
use preload_loader::attach::{self, Attached, Attachment, What};
use preload_loader::failure::{Failure, line, number};
use preload_loader::pins::{PinDir, Pins};
use preload_loader::target::{self, Target, WithTargets};
use preload_loader::token::{Token, WithToken};
use preload_loader::{by_name, complete, kernel, object};
use serde::Serialize;

use crate::pages::let_go;

/// What was loaded.
#[derive(Debug, Serialize)]
pub(crate) struct Loaded {
    programs: Vec<One>,
    maps: Vec<One>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_attached: Vec<NotAttached>,
}

/// A program or a map of struct_ops that is attached.
#[derive(Debug, Serialize)]
struct Link {
    #[serde(flatten)]
    of: Of,
    attached_to: String,
    /// None: a map of `.struct_ops`, or an event of perf on a kernel that has no links of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Of {
    Program(String),
    Map(String),
}

#[derive(Debug, Serialize)]
struct NotAttached {
    program: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct One {
    name: String,
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<PathBuf>,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, all) in [("prog", &self.programs), ("map", &self.maps)] {
            for One { name, id, pinned } in all {
                write!(f, "{kind} {}: id {id}", line(name))?;
                match pinned {
                    Some(path) => writeln!(f, ", pinned at {}", line(path.display()))?,
                    None => writeln!(f)?,
                }
            }
        }
        for link in &self.links {
            let Link {
                of: Of::Program(name) | Of::Map(name),
                attached_to,
                id,
                pinned,
            } = link;
            write!(f, "link {}: {}, ", line(name), line(attached_to))?;
            match id {
                Some(id) => write!(f, "id {id}")?,
                None => write!(f, "without a link")?,
            }
            match pinned {
                Some(path) => writeln!(f, ", pinned at {}", line(path.display()))?,
                None => writeln!(f)?,
            }
        }
        for NotAttached { program, why } in &self.not_attached {
            writeln!(f, "not attached: {} ({why})", line(program))?;
        }
        Ok(())
    }
}

/// Loads an object file; pins what it loaded, or unloads it again. Nothing stays
/// pinned of which nobody could be told. With `attach` the programs are attached, and
/// it is called to wait as long as they are to be where nothing is pinned.
#[inline(never)]
pub(crate) fn load(
    file: &Path,
    pin: Option<&Path>,
    targets: &[Target],
    attach: Option<impl FnOnce() -> Result<(), Failure>>,
    token: &Token,
    tell: impl FnOnce(&Loaded) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let bytes = object::lower(file)?;
    let_go();
    let bytes = complete::complete(bytes).map_err(|failure| failure.within(file))?;
    let sys = WithToken::new(Linux, token)?;
    let (bytes, targets) =
        target::find(&sys, bytes, targets).map_err(|failure| failure.within(file))?;
    let with_targets = WithTargets::new(&sys, &targets);
    let image = object::parse(&bytes)?;
    let mut memory = kernel::memory();
    let pinned = by_name::find(&image).map_err(|failure| failure.within(file))?;
    let loaded = sys
        .judge(kernel::load(
            &with_targets,
            &image,
            &pinned,
            Search::All,
            &mut memory,
        ))
        .map_err(|failure| failure.within(file))?;
    let dir = pin.map(PinDir::open).transpose()?;
    let mut pins = Pins::default();
    let mut one = |kind: &str, object: Object<'_>| {
        let name = String::from_utf8_lossy(object.name).into_owned();
        let what = format!("{kind} {name}");
        let id = bpf::obj_id(&Linux, object.fd)
            .map_err(|errno| Failure::errno(&format!("get id of {what}"), number(errno)))?;
        let pinned = match &dir {
            Some(dir) => Some(pins.pin(&what, object.fd, dir.path(&name))?),
            None => None,
        };
        Ok(One { name, id, pinned })
    };
    let mut said = Loaded {
        programs: loaded
            .progs()
            .map(|prog| one("prog", prog))
            .collect::<Result<_, Failure>>()?,
        maps: loaded
            .maps()
            .map(|map| one("map", map))
            .collect::<Result<_, Failure>>()?,
        links: Vec::new(),
        not_attached: Vec::new(),
    };
    for (name, path, fd) in by_name::missing(&image, &pinned, loaded.maps()) {
        let path = pins.pin(&format!("map {name}"), fd, path)?;
        let mut maps = said.maps.iter_mut();
        if let Some(map) = maps.find(|map| map.name == name && map.pinned.is_none()) {
            map.pinned = Some(path);
        }
    }
    // After the pins, before they are kept: it may fail for more reasons.
    let mut attached = match attach {
        Some(_) => attach::attach(&with_targets, &image, &loaded).map_err(|f| f.within(file))?,
        None => Vec::new(),
    };
    for attachment in &attached {
        match attachment {
            Attachment::Attached(one) => {
                said.links.push(link(one, dir.as_ref(), &mut pins)?);
            }
            Attachment::NotAttached { prog, why } => said.not_attached.push(NotAttached {
                program: prog.clone(),
                why: why.clone(),
            }),
        }
    }
    tell(&said)?;
    match (dir, attach) {
        (None, Some(wait)) if !said.links.is_empty() => wait()?,
        (None, _) => {}
        (Some(dir), _) => {
            dir.keep();
            for attachment in &mut attached {
                if let Attachment::Attached(one) = attachment {
                    one.keep();
                }
            }
        }
    }
    pins.keep();
    Ok(())
}

/// What there is to say of what is attached, which is pinned if all is.
fn link(one: &Attached<'_>, dir: Option<&PinDir>, pins: &mut Pins) -> Result<Link, Failure> {
    let (kind, of) = match one.what {
        What::Prog => ("prog", Of::Program(one.name.clone())),
        What::Map => ("map", Of::Map(one.name.clone())),
    };
    let what = format!("link of {kind} {}", one.name);
    let id = one.link().map(|fd| bpf::obj_id(&Linux, fd)).transpose();
    let id = id.map_err(|errno| Failure::errno(&format!("get id of {what}"), number(errno)))?;
    let pinned = match (dir, one.link()) {
        (Some(dir), Some(fd)) => {
            let path = dir.path(&format!("{}_link", one.name));
            Some(pins.pin(&what, fd, path)?)
        }
        (Some(_), None) if one.what == What::Prog => {
            let why = "this kernel has no links of events (before 5.15), and without cannot pin";
            return Err(Failure::new(format!("pin {what}: {why}")));
        }
        (_, None) | (None, _) => None,
    };
    Ok(Link {
        of,
        attached_to: one.section.clone(),
        id,
        pinned,
    })
}
