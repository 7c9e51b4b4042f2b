// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps that their declarations want pinned under their names (`pinning` of 1): who
//! comes second takes the map that is there.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bpf_preload_umd::exec::Object;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Sys as _, bpf};
use preload_image::{Image, Map, map_flags, map_type};

use crate::errno::ENOENT;
use crate::failure::{Failure, number};
use crate::pins::pin_name;

/// libbpf's place for them.
const ROOT: &str = "/sys/fs/bpf";
const BPF_F_RDONLY_PROG: u32 = 1 << 7;

/// The maps that are there, by index, open. If one cannot be used all are closed.
///
/// # Errors
/// A pinned map that cannot be opened, or that differs from the one declared.
pub fn find(image: &Image<'_>) -> Result<Vec<(u32, i32)>, Failure> {
    let mut found = Vec::new();
    for (index, map) in wanted(image) {
        let (name, path) = place(image, &map);
        let opened = open(&map, &name, &path);
        match opened {
            Ok(Some(fd)) => found.push((index, fd)),
            Ok(None) => {}
            Err(failure) => {
                found.iter().for_each(|(_, fd)| Linux.close(*fd));
                return Err(failure);
            }
        }
    }
    Ok(found)
}

/// Those that were not there and are loaded now: name, path and fd.
pub fn missing<'a>(
    image: &Image<'_>,
    found: &[(u32, i32)],
    loaded: impl Iterator<Item = Object<'a>>,
) -> Vec<(String, PathBuf, i32)> {
    let loaded: Vec<_> = loaded.collect();
    let absent = wanted(image).filter(|(index, _)| !found.iter().any(|(i, _)| i == index));
    let fd = |map: &Map| {
        let name = image.str(map.name);
        loaded.iter().find(|l| l.name == name).map(|l| l.fd)
    };
    absent
        .filter_map(|(_, map)| {
            let (name, path) = place(image, &map);
            Some((name, path, fd(&map)?))
        })
        .collect()
}

fn wanted<'i>(image: &Image<'i>) -> impl Iterator<Item = (u32, Map)> + use<'i> {
    let maps = (0..).zip(image.maps().iter());
    maps.filter(|(_, map)| map.flags & map_flags::PIN_BY_NAME != 0)
}

fn place(image: &Image<'_>, map: &Map) -> (String, PathBuf) {
    let name = String::from_utf8_lossy(image.str(map.name)).into_owned();
    let path = Path::new(ROOT).join(pin_name(&name));
    (name, path)
}

/// Opens the map that is pinned at a path, if one is, and it is one like this.
fn open(map: &Map, name: &str, path: &Path) -> Result<Option<i32>, Failure> {
    let step = format!("reuse map {name} pinned at {}", path.display());
    let c_path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Failure::new(format!("{step}: the path holds a NUL")))?;
    let fd = match bpf::obj_get(&Linux, &c_path) {
        Err(errno) if number(errno) == ENOENT => return Ok(None),
        fd => fd.map_err(|errno| Failure::errno(&step, number(errno)))?,
    };
    let info = bpf::map_info(&Linux, fd);
    let differs = info.map(|info| {
        // The kernel adds a flag of its own to these.
        let added = match map.map_type {
            map_type::DEVMAP | map_type::DEVMAP_HASH => BPF_F_RDONLY_PROG,
            _ => 0,
        };
        let pairs = [
            ("type", info.map_type, map.map_type),
            ("key_size", info.key_size, map.key_size),
            ("value_size", info.value_size, map.value_size),
            ("max_entries", info.max_entries, map.max_entries),
            ("map_flags", info.map_flags, map.map_flags | added),
        ];
        pairs.into_iter().find(|(_, there, here)| there != here)
    });
    let failure = match differs {
        Ok(None) => return Ok(Some(fd)),
        Ok(Some((what, there, here))) => {
            Failure::new(format!("{step}: its {what} is {there}, not {here}"))
        }
        Err(errno) => Failure::errno(&step, number(errno)),
    };
    Linux.close(fd);
    Err(failure)
}
