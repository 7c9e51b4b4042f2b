// SPDX-License-Identifier: MIT OR Apache-2.0
//! `dump IMAGE|FILE.o`: what lowering makes of an object, whatever machine this is.

use std::fmt;
use std::path::Path;

use preload_image::{Image, Map, Prog, Str, extern_flags, kconfig_flags, map_flags};
use preload_loader::failure::{Failure, line};
use preload_loader::object;
use serde::Serialize;

/// An image.
#[derive(Debug, Serialize)]
pub(crate) struct Dump {
    name: String,
    license: String,
    image_bytes: usize,
    btf_bytes: usize,
    programs: Vec<Program>,
    maps: Vec<OneMap>,
    /// Names that are looked up in kernel BTF.
    targets: Vec<String>,
    ksyms: Vec<Named>,
    kconfig: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Program {
    name: String,
    prog_type: u32,
    attach_type: u32,
    prog_flags: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    attach_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    insns: u32,
    relocations: u32,
    core_relocations: u32,
}

#[derive(Debug, Serialize)]
struct OneMap {
    name: String,
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    data_bytes: u32,
    slots: u32,
    frozen: bool,
    pinned_by_name: bool,
    /// No map, but what those in another one are like.
    template: bool,
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    weak: bool,
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dump {
            name,
            license,
            image_bytes,
            btf_bytes,
            ..
        } = self;
        writeln!(
            f,
            "object {name}: license {license:?}, image {image_bytes} bytes, BTF {btf_bytes}"
        )?;
        for prog in &self.programs {
            let Program {
                name,
                prog_type,
                attach_type,
                prog_flags,
                insns,
                ..
            } = prog;
            write!(
                f,
                "prog {name}: type {prog_type}, attach type {attach_type}, flags {prog_flags:#x}, "
            )?;
            write!(
                f,
                "{insns} insns, {} relocations, {} CO-RE",
                prog.relocations, prog.core_relocations
            )?;
            for (what, value) in [("attach to", &prog.attach_to), ("link", &prog.link)] {
                if let Some(value) = value {
                    write!(f, ", {what} {value}")?;
                }
            }
            writeln!(f)?;
        }
        for map in &self.maps {
            let OneMap {
                name,
                map_type,
                key_size,
                value_size,
                max_entries,
                map_flags,
                ..
            } = map;
            write!(
                f,
                "map {name}: type {map_type}, key {key_size}, value {value_size}, "
            )?;
            write!(f, "max_entries {max_entries}, flags {map_flags:#x}")?;
            for (what, number) in [("bytes of data", map.data_bytes), ("slots", map.slots)] {
                if number > 0 {
                    write!(f, ", {number} {what}")?;
                }
            }
            for (what, is) in [
                ("frozen", map.frozen),
                ("pinned by name", map.pinned_by_name),
                ("template", map.template),
            ] {
                if is {
                    write!(f, ", {what}")?;
                }
            }
            writeln!(f)?;
        }
        for (what, all) in [("ksym", &self.ksyms), ("kconfig", &self.kconfig)] {
            for Named { name, weak } in all {
                writeln!(f, "{what} {name}{}", if *weak { ", weak" } else { "" })?;
            }
        }
        self.targets
            .iter()
            .try_for_each(|name| writeln!(f, "target {name}"))
    }
}

/// Reads an image, or lowers an object to one.
pub(crate) fn dump(file: &Path) -> Result<Dump, Failure> {
    let bytes = object::read(file)?;
    let bytes = if bytes.starts_with(&preload_image::MAGIC) {
        bytes
    } else {
        object::lower_bytes(file, &bytes)?
    };
    let image = object::parse(&bytes).map_err(|failure| failure.within(file))?;
    // Nobody vouches for an image that was written elsewhere.
    image.check().map_err(|wrong| {
        let what = format!("bad {} at offset {}", wrong.what, wrong.offset);
        Failure::new(what).within(file)
    })?;
    let str = |string: Str| text(image.str(string));
    Ok(Dump {
        name: str(image.object().name),
        license: str(image.object().license),
        image_bytes: bytes.len(),
        btf_bytes: image.btf().len(),
        programs: image
            .progs()
            .iter()
            .map(|prog| program(&image, &prog))
            .collect(),
        maps: image
            .maps()
            .iter()
            .map(|map| one_map(&image, &map))
            .collect(),
        // Those of ksyms are among these.
        targets: (1..)
            .zip(image.targets().iter())
            .filter(|(number, _)| image.externs().iter().all(|ksym| ksym.target != *number))
            .map(|(_, target)| str(target.name))
            .collect(),
        ksyms: image
            .externs()
            .iter()
            .map(|ksym| Named {
                name: str(ksym.name),
                weak: ksym.flags & extern_flags::WEAK != 0,
            })
            .collect(),
        kconfig: image
            .kconfigs()
            .iter()
            .map(|kconfig| Named {
                name: str(kconfig.name),
                weak: kconfig.flags & kconfig_flags::WEAK != 0,
            })
            .collect(),
    })
}

fn program(image: &Image<'_>, prog: &Prog) -> Program {
    let target = prog.attach_target.checked_sub(1);
    let target = target.and_then(|index| image.targets().get(index));
    let link = image.str(prog.link_name);
    Program {
        name: text(image.str(prog.name)),
        prog_type: prog.prog_type,
        attach_type: prog.attach_type,
        prog_flags: prog.prog_flags,
        attach_to: target.map(|target| text(image.str(target.name))),
        link: (!link.is_empty()).then(|| text(link)),
        insns: prog.insns.len,
        relocations: prog.relos.len,
        core_relocations: prog.core_relos.len,
    }
}

fn one_map(image: &Image<'_>, map: &Map) -> OneMap {
    let has = |flag| map.flags & flag != 0;
    OneMap {
        name: text(image.str(map.name)),
        map_type: map.map_type,
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        map_flags: map.map_flags,
        data_bytes: map.data.len,
        slots: map.slots.len,
        frozen: has(map_flags::FREEZE),
        pinned_by_name: has(map_flags::PIN_BY_NAME),
        template: has(map_flags::TEMPLATE),
    }
}

/// A name, on one line whatever is in it.
fn text(name: &[u8]) -> String {
    line(String::from_utf8_lossy(name))
}
