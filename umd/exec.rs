// SPDX-License-Identifier: MIT OR Apache-2.0
//! From image to attached programs. [`load`] is the load sequence, top to
//! bottom: kernel BTF, names, BTF, maps, relocation, programs, links, ids.

use preload_image::{Image, Map, Str, map_flags};

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

    fn set(&mut self, index: usize, fd: i32) {
        match self.fds.get_mut(index) {
            Some(slot) => *slot = fd,
            None => self.sys.close(fd),
        }
    }

    fn fd(&self, index: usize) -> i32 {
        self.fds.get(index).copied().unwrap_or(-1)
    }

    fn prog_index(&self, prog: usize) -> usize {
        1 + self.image.maps().len() + prog
    }

    fn link_index(&self, prog: usize) -> usize {
        self.prog_index(prog) + self.image.progs().len()
    }

    /// Fd of the BTF; -1 if the image has none.
    #[must_use]
    pub fn btf_fd(&self) -> i32 {
        self.fd(0)
    }

    /// Fds of the maps, in the image's order.
    #[must_use]
    pub fn map_fds(&self) -> &[i32] {
        self.fds.get(1..self.prog_index(0)).unwrap_or_default()
    }

    /// Fd of program number `prog`.
    #[must_use]
    pub fn prog_fd(&self, prog: usize) -> i32 {
        self.fd(self.prog_index(prog))
    }

    /// The links, in the image's order of their programs.
    pub fn links(&self) -> impl Iterator<Item = Link<'a>> + use<'_, 'a, S> {
        let progs = self.image.progs().iter().zip(self.link_ids.iter());
        progs.enumerate().filter_map(|(i, (prog, id))| {
            let fd = self.fd(self.link_index(i));
            let name = self.image.str(prog.link_name);
            (fd >= 0).then_some(Link { name, fd, id: *id })
        })
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
    let Some(mut loaded) = Loaded::new(sys, image, arena) else {
        return Err(error.refused("load", b"", Errno(libc::ENOMEM)));
    };
    let mut load = Load {
        sys,
        image,
        arena,
        error,
    };
    let mut kernel_btf = None;
    run(&mut load, &mut loaded, &mut kernel_btf)?;
    loaded.kernel_btf = kernel_btf;
    Ok(loaded)
}

/// The load sequence.
#[inline(never)]
fn run<S: Sys>(
    load: &mut Load<'_, '_, S>,
    loaded: &mut Loaded<'_, S>,
    kernel_btf: &mut Option<KernelBtf<S>>,
) -> Result<(), Failed> {
    let image = load.image;
    let object = image.object().name;

    // What the image needs to know of the running kernel.
    let local = Btf::index(
        image.btf(),
        load.arena,
        &Filter::default(),
        &mut |_, _, _| true,
    );
    load.error
        .check("read object", image.str(object), local.check())?;
    let (mut kernel, mut targets) = Default::default();
    if !image.targets().is_empty() {
        const STEP: &str = "read kernel BTF";
        let found =
            KernelBtf::get(load.sys).map_err(|errno| load.refused(STEP, Str::default(), errno))?;
        (kernel, targets) = targets::find(image, kernel_btf.insert(found), load.arena)
            .ok_or_else(|| load.out_of_memory(STEP, Str::default()))?;
        load.error.check(STEP, b"", kernel.check())?;
    }
    let core = Core {
        image,
        pair: Pair {
            local: &local,
            kernel: &kernel,
        },
        targets: &targets,
    };
    let ksyms = ksym::resolve(load, &core)?;

    // BTF and maps, which programs refer to.
    let btf_fd = bpf::btf_load(load.sys, image.btf())
        .map_err(|errno| load.refused("load BTF of", object, errno))?;
    loaded.set(0, btf_fd);
    for (i, map) in image.maps().iter().enumerate() {
        let fd = create_map(load, &map, btf_fd)?;
        loaded.set(1 + i, fd);
        fill_map(load, &map, fd)?;
    }

    // Programs, relocated for this kernel.
    for (i, prog) in image.progs().iter().enumerate() {
        let relocator = Relocator {
            core: &core,
            ksyms,
            map_fds: loaded.map_fds(),
        };
        let insns = relocator.relocate(load, &prog)?;
        let fd = relocator.load(load, &prog, insns, btf_fd)?;
        loaded.set(loaded.prog_index(i), fd);
    }

    // Links: all or none.
    for (i, prog) in image.progs().iter().enumerate() {
        if image.str(prog.link_name).is_empty() {
            continue;
        }
        let fd = bpf::link_create(load.sys, loaded.prog_fd(i), prog.attach_type)
            .map_err(|errno| load.refused("attach prog", prog.name, errno))?;
        loaded.set(loaded.link_index(i), fd);
        let id = bpf::link_id(load.sys, fd)
            .map_err(|errno| load.refused("get link id of prog", prog.name, errno))?;
        if let Some(slot) = loaded.link_ids.get_mut(i) {
            *slot = id;
        }
    }
    Ok(())
}

/// `BPF_MAP_CREATE`.
#[inline(never)]
fn create_map<S: Sys>(load: &mut Load<'_, '_, S>, map: &Map, btf_fd: i32) -> Result<i32, Failed> {
    let typed = map.btf_value_type_id != 0;
    let attr = MapCreate {
        map_type: map.map_type,
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        map_flags: map.map_flags,
        btf_fd: if typed { btf_fd as u32 } else { 0 },
        btf_key_type_id: map.btf_key_type_id,
        btf_value_type_id: map.btf_value_type_id,
        ..MapCreate::default()
    };
    bpf::map_create(load.sys, load.image.str(map.name), attr)
        .map_err(|errno| load.refused("create map", map.name, errno))
}

/// Initial contents, and then no more.
#[inline(never)]
fn fill_map<S: Sys>(load: &mut Load<'_, '_, S>, map: &Map, fd: i32) -> Result<(), Failed> {
    let data = load.image.data(map);
    if !data.is_empty() {
        // The kernel reads as many bytes as the map's value has.
        if data.len() != map.value_size as usize || map.key_size != 4 {
            return Err(load.refused("fill map", map.name, Errno(libc::EINVAL)));
        }
        bpf::map_update_elem(load.sys, fd, &[0; 4], data)
            .map_err(|errno| load.refused("fill map", map.name, errno))?;
    }
    if map.flags & map_flags::FREEZE != 0 {
        bpf::map_freeze(load.sys, fd)
            .map_err(|errno| load.refused("freeze map", map.name, errno))?;
    }
    Ok(())
}
