// SPDX-License-Identifier: MIT OR Apache-2.0
//! From image to attached programs. [`load`] is the load sequence, top to
//! bottom: kernel BTF, names, BTF, maps, relocation, programs, links, ids.

use preload_image::{Image, MapAt, Str, core_kind, map_flags};

use crate::arena::Arena;
use crate::btf::{Btf, Filter};
use crate::core_match::Pair;
use crate::core_relo::Core;
use crate::error::{Error, Failed};
use crate::kernel_btf::KernelBtf;
use crate::ksym;
use crate::load::Load;
use crate::prog::Relocator;
use crate::sys::attr::MapCreate;
use crate::sys::{Errno, Sys, bpf};
use crate::targets;

/// An attached program.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Name of the link, as the program declares it.
    pub name: &'a [u8],
    /// Its fd.
    pub fd: i32,
    /// Its id, as in `struct bpf_link_info`.
    pub id: u32,
}

/// All that a load has made. Dropping it closes every fd and unmaps kernel BTF;
/// what is attached then goes, unless somebody else holds its link.
pub struct Loaded<'a, S: Sys> {
    sys: &'a S,
    /// Fds: one BTF, then maps, programs and links in the image's order; -1: none.
    fds: &'a mut [i32],
    /// Id of each program's link; 0: none.
    link_ids: &'a mut [u32],
    image: &'a Image<'a>,
    kernel_btf: Option<KernelBtf<S>>,
}

/// What a load fills in, in the image's order.
struct Fds<'f> {
    btf: &'f mut i32,
    maps: &'f mut [i32],
    progs: &'f mut [i32],
    links: &'f mut [i32],
    link_ids: &'f mut [u32],
}

impl<'a, S: Sys> Loaded<'a, S> {
    fn new(sys: &'a S, image: &'a Image<'a>, arena: &mut Arena<'a>) -> Option<Self> {
        let (maps, progs) = (image.maps().len(), image.progs().len());
        let fds = arena.alloc(1 + maps + 2 * progs)?;
        fds.fill(-1);
        Some(Loaded {
            sys,
            fds,
            link_ids: arena.alloc(progs)?,
            image,
            kernel_btf: None,
        })
    }

    fn fds(&mut self) -> Option<Fds<'_>> {
        let (btf, rest) = self.fds.split_first_mut()?;
        let (maps, rest) = rest.split_at_mut_checked(self.image.maps().len())?;
        let (progs, links) = rest.split_at_mut_checked(self.image.progs().len())?;
        Some(Fds {
            btf,
            maps,
            progs,
            links,
            link_ids: self.link_ids,
        })
    }

    /// Calls `each` with the links, in the image's order of their programs.
    ///
    /// # Errors
    /// What `each` gives.
    pub fn links<E>(&self, mut each: impl FnMut(Link<'a>) -> Result<(), E>) -> Result<(), E> {
        let first = self.fds.len() - self.link_ids.len();
        for (i, id) in self.link_ids.iter().enumerate() {
            let fd = self.fds.get(first + i).copied().unwrap_or(-1);
            if let Some(prog) = self.image.progs().at(i as u32).filter(|_| fd >= 0) {
                let name = self.image.str(prog.link_name());
                each(Link { name, fd, id: *id })?;
            }
        }
        Ok(())
    }
}

impl<S: Sys> Drop for Loaded<'_, S> {
    fn drop(&mut self) {
        // Links first: a program is detached before it goes.
        for fd in self.fds.iter().rev().filter(|fd| **fd >= 0) {
            self.sys.close(*fd);
        }
    }
}

/// Loads and attaches all programs of an image.
///
/// # Errors
/// The first step that failed, told in `error`. Nothing of the load is left then.
pub fn load<'a, S: Sys>(
    sys: &'a S,
    image: &'a Image<'a>,
    arena: &mut Arena<'a>,
    error: &mut Error,
) -> Result<Loaded<'a, S>, Failed> {
    load_only::<{ core_kind::ALL }, S>(sys, image, arena, error)
}

/// [`load`] of an image that has only these kinds of CO-RE relocations.
pub(crate) fn load_only<'a, const KINDS: u32, S: Sys>(
    sys: &'a S,
    image: &'a Image<'a>,
    arena: &mut Arena<'a>,
    error: &mut Error,
) -> Result<Loaded<'a, S>, Failed> {
    error.begin("load", b"");
    let mut loaded = Loaded::new(sys, image, arena).ok_or(Failed::NO_MEMORY)?;
    let mut load = Load {
        sys,
        image,
        arena,
        error,
    };
    let mut kernel_btf = None;
    run::<KINDS, S>(&mut load, &mut loaded, &mut kernel_btf)?;
    loaded.kernel_btf = kernel_btf;
    Ok(loaded)
}

/// The load sequence.
#[inline(never)]
fn run<const KINDS: u32, S: Sys>(
    load: &mut Load<'_, '_, S>,
    loaded: &mut Loaded<'_, S>,
    kernel_btf: &mut Option<KernelBtf<S>>,
) -> Result<(), Failed> {
    let image = load.image;
    let object = image.object().name;
    let fds = loaded.fds().ok_or(Failed::NO_MEMORY)?;

    // What the image needs to know of the running kernel.
    load.begin("read object", object);
    let local = read_object(load)?;
    load.begin("read kernel BTF", Str::default());
    let (mut kernel, mut targets) = Default::default();
    if !image.targets().is_empty() {
        let found = kernel_btf.insert(KernelBtf::get(load.sys)?);
        (kernel, targets) = targets::find(image, found, load.arena).ok_or(Failed::NO_MEMORY)?;
        load.error.check(&kernel)?;
    }
    let core = Core::<KINDS> {
        image,
        pair: Pair {
            local: &local,
            kernel: &kernel,
        },
        targets: &targets,
    };
    let ksyms = ksym::resolve(load, &core)?;

    // BTF and maps, which programs refer to.
    load.begin("load BTF of", object);
    *fds.btf = bpf::btf_load(load.sys, image.btf())?;
    for (map, fd) in image.maps().each().zip(fds.maps.iter_mut()) {
        *fd = create_map(load, map, *fds.btf)?;
        fill_map(load, map, *fd)?;
    }

    // Programs, relocated for this kernel.
    let relocator = Relocator {
        core: &core,
        ksyms,
        map_fds: fds.maps,
    };
    for (prog, fd) in image.progs().each().zip(fds.progs.iter_mut()) {
        let insns = relocator.relocate(load, prog)?;
        *fd = relocator.load(load, prog, insns, *fds.btf)?;
    }

    // Links: all or none.
    let links = fds.links.iter_mut().zip(fds.link_ids);
    for ((prog, prog_fd), (fd, id)) in image.progs().each().zip(fds.progs).zip(links) {
        if !image.str(prog.link_name()).is_empty() {
            load.begin("attach prog", prog.name());
            *fd = bpf::link_create(load.sys, *prog_fd, prog.attach_type())?;
            load.begin("get link id of prog", prog.name());
            *id = bpf::link_id(load.sys, *fd)?;
        }
    }
    Ok(())
}

/// BTF of the image itself.
#[inline(never)]
fn read_object<'a, S>(load: &mut Load<'a, '_, S>) -> Result<Btf<'a>, Failed> {
    let none = Filter::default();
    let btf = Btf::index(load.image.btf(), load.arena, &none, &mut |_, _, _| true);
    load.error.check(&btf)?;
    Ok(btf)
}

/// `BPF_MAP_CREATE`.
#[inline(never)]
fn create_map<S: Sys>(
    load: &mut Load<'_, '_, S>,
    map: MapAt<'_>,
    btf_fd: i32,
) -> Result<i32, Failed> {
    load.begin("create map", map.name());
    let typed = map.btf_value_type_id() != 0;
    let attr = MapCreate {
        map_type: map.map_type(),
        key_size: map.key_size(),
        value_size: map.value_size(),
        max_entries: map.max_entries(),
        map_flags: map.map_flags(),
        btf_fd: if typed { btf_fd as u32 } else { 0 },
        btf_key_type_id: map.btf_key_type_id(),
        btf_value_type_id: map.btf_value_type_id(),
        ..MapCreate::default()
    };
    Ok(bpf::map_create(load.sys, load.image.str(map.name()), attr)?)
}

/// Initial contents, and then no more.
#[inline(never)]
fn fill_map<S: Sys>(load: &mut Load<'_, '_, S>, map: MapAt<'_>, fd: i32) -> Result<(), Failed> {
    let data = load.image.data(map);
    if !data.is_empty() {
        load.begin("fill map", map.name());
        // The kernel reads as many bytes as the map's value has.
        if data.len() != map.value_size() as usize || map.key_size() != 4 {
            return Err(Errno(libc::EINVAL).into());
        }
        bpf::map_update_elem(load.sys, fd, &[0; 4], data)?;
    }
    if map.flags() & map_flags::FREEZE != 0 {
        load.begin("freeze map", map.name());
        bpf::map_freeze(load.sys, fd)?;
    }
    Ok(())
}
