// SPDX-License-Identifier: MIT OR Apache-2.0
//! `load FILE.o`: all programs and maps of an object into the kernel, and pinned there.

use std::fmt;
use std::path::{Path, PathBuf};

use bpf_preload_umd::exec::Object;
use bpf_preload_umd::sys::bpf;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::targets::Search;
use preload_loader::failure::{Failure, line, number};
use preload_loader::pins::{PinDir, Pins};
use preload_loader::{by_name, complete, kernel, object};
use serde::Serialize;

/// What was loaded.
#[derive(Debug, Serialize)]
pub(crate) struct Loaded {
    programs: Vec<One>,
    maps: Vec<One>,
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
        Ok(())
    }
}

/// Loads an object file; pins what it loaded, or unloads it again. Nothing stays
/// pinned of which nobody could be told.
pub(crate) fn load(
    file: &Path,
    pin: Option<&Path>,
    tell: impl FnOnce(&Loaded) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let bytes = complete::complete(object::lower(file)?).map_err(|failure| failure.within(file))?;
    let image = object::parse(&bytes)?;
    let mut memory = kernel::memory();
    let pinned = by_name::find(&image).map_err(|failure| failure.within(file))?;
    let loaded = kernel::load(&Linux, &image, &pinned, Search::All, &mut memory)
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
    };
    for (name, path, fd) in by_name::missing(&image, &pinned, loaded.maps()) {
        let path = pins.pin(&format!("map {name}"), fd, path)?;
        let mut maps = said.maps.iter_mut();
        if let Some(map) = maps.find(|map| map.name == name && map.pinned.is_none()) {
            map.pinned = Some(path);
        }
    }
    tell(&said)?;
    pins.keep();
    if let Some(dir) = dir {
        dir.keep();
    }
    Ok(())
}
