// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arenas: memory that programs and user space share. The verifier wants to know
//! where user space has it, so that it is mapped before any program is loaded, and
//! that is also how its variables get their values. The kernel remembers the
//! address; the mapping itself need not last.

use bpf_preload_umd::sys::attr::MapCreate;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Errno, Sys, bpf};
use preload_image::{Image, Map, map_type};

use crate::failure::{Failure, number};

/// What `max_entries` counts.
const PAGE_BYTES: usize = 4096;

/// Makes the arenas of an image: index and fd of each, and before them the maps
/// that are there already. On failure all of them are closed.
///
/// # Errors
/// The arena that cannot be made (`EINVAL` before 6.9), mapped or filled.
pub(crate) fn create<S: Sys>(
    sys: &S,
    image: &Image<'_>,
    given: &[(u32, i32)],
) -> Result<Vec<(u32, i32)>, Failure> {
    let mut maps = given.to_vec();
    for (index, map) in (0..).zip(image.maps().iter()) {
        if map.map_type != map_type::ARENA || maps.iter().any(|(given, _)| *given == index) {
            continue;
        }
        let name = image.str(map.name);
        let failure = |step: &str, errno: Errno| {
            let name = String::from_utf8_lossy(name);
            Failure::errno(&format!("{step} map {name}"), number(errno))
        };
        let mut attr = MapCreate {
            map_type: map.map_type,
            key_size: map.key_size,
            value_size: map.value_size,
            max_entries: map.max_entries,
            map_flags: map.map_flags,
            numa_node: map.numa_node,
            map_extra: map.map_extra,
            ..MapCreate::default()
        };
        let created = bpf::map_create(sys, name, &mut attr);
        let filled = created.map_err(|e| failure("create", e)).and_then(|fd| {
            maps.push((index, fd));
            fill(fd, &map, image.data(map.data)).map_err(|e| failure("mmap", e))
        });
        if let Err(failure) = filled {
            maps.iter().for_each(|(_, fd)| sys.close(*fd));
            return Err(failure);
        }
    }
    Ok(maps)
}

fn fill(fd: i32, map: &Map, data: &[u8]) -> Result<(), Errno> {
    let len = PAGE_BYTES.saturating_mul(map.max_entries as usize);
    let mut mapped = Linux.map_shared(fd, len, map.map_extra as usize)?;
    mapped
        .iter_mut()
        .zip(data)
        .for_each(|(to, from)| *to = *from);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use preload_image::Writer;

    #[test]
    fn variables_of_an_arena_are_not_there() {
        let mut writer = Writer::default();
        let data = writer.data(b"variables");
        let name = writer.str(b"memory");
        writer.map(Map {
            name,
            map_type: map_type::ARENA,
            max_entries: 2,
            map_flags: 1 << 10,
            data,
            map_extra: 1 << 44,
            ..Map::default()
        });
        writer.object(Default::default());
        let image = writer.finish().expect("write");
        let image = Image::parse(&image).expect("image");
        let maps = create(&Linux, &image, &[]).expect("create");
        let [(0, fd)] = *maps else {
            unreachable!("{maps:?}")
        };
        // Wherever user space has it first, it has it later.
        let mapped = Linux.map_shared(fd, 2 * PAGE_BYTES, 1 << 44).expect("map");
        assert!(mapped.starts_with(b"variables\0"));
        // Something is there now: nothing may be put in its place.
        assert_eq!(
            create(&Linux, &image, &[]).map_err(|e| e.to_string()),
            Err("mmap map memory: EEXIST (17)".into())
        );
        Linux.close(fd);
    }
}
