// SPDX-License-Identifier: MIT OR Apache-2.0
//! From image to attached programs. `run`, which [`load`] and the driver share,
//! is the load sequence, top to bottom: kernel BTF, names, BTF, maps,
//! relocation, programs, links, ids.

use preload_image::{Image, MapAt, ProgAt, Str, core_kind, map_flags};

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
use crate::targets::{self, Search};

/// `enum bpf_map_type`: what `.rodata`, `.data` and `.bss` are.
const BPF_MAP_TYPE_ARRAY: u32 = 2;

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

/// All that a load has made. Dropping it closes every fd; what is attached then
/// goes, unless somebody else holds its link.
pub struct Loaded<'a, S: Sys> {
    sys: &'a S,
    image: Image<'a>,
    /// Fds are -1 as long as there are none.
    btf_fd: i32,
    map_fds: &'a mut [i32],
    /// In the image's order; see [`PROG`].
    progs: &'a mut [[i32; 3]],
}

/// Places in [`Loaded::progs`]: the program's fd, its link's, and the link's id.
const PROG: usize = 0;
const LINK: usize = 1;
const LINK_ID: usize = 2;

impl<'a, S: Sys> Loaded<'a, S> {
    /// Room for what a load will make.
    #[inline(never)]
    pub(crate) fn new(load: &mut Load<'a, '_, S>) -> Result<Self, Failed> {
        load.begin("load", Str::default());
        let map_fds = load.arena.alloc(load.image.maps().len());
        let progs = load.arena.alloc(load.image.progs().len());
        let (map_fds, progs) = map_fds.zip(progs).ok_or(Failed::NO_MEMORY)?;
        map_fds.fill(-1);
        progs.fill([-1; 3]);
        Ok(Loaded {
            sys: load.sys,
            image: load.image,
            btf_fd: -1,
            map_fds,
            progs,
        })
    }

    /// The links, in the image's order of their programs.
    pub fn links(&self) -> impl Iterator<Item = Link<'a>> + use<'_, 'a, S> {
        let progs = self.image.progs().each().zip(self.progs.iter());
        progs
            .filter(|(_, made)| made[LINK] >= 0)
            .map(|(prog, made)| Link {
                name: self.image.str(prog.link_name()),
                fd: made[LINK],
                id: made[LINK_ID] as u32,
            })
    }
}

impl<S: Sys> Drop for Loaded<'_, S> {
    fn drop(&mut self) {
        let close = |fd: i32| {
            if fd >= 0 {
                self.sys.close(fd);
            }
        };
        // Links first: a program is detached before it goes.
        self.progs.iter().for_each(|made| close(made[LINK]));
        self.progs.iter().for_each(|made| close(made[PROG]));
        self.map_fds.iter().for_each(|fd| close(*fd));
        close(self.btf_fd);
    }
}

/// Loads and attaches all programs of an image.
///
/// # Errors
/// The first step that failed, told in `error` as a whole line. Nothing of the load is left then.
pub fn load<'a, S: Sys>(
    sys: &'a S,
    image: &Image<'a>,
    search: Search,
    arena: &mut Arena<'a>,
    error: &mut Error,
) -> Result<Loaded<'a, S>, Failed> {
    let mut load = Load {
        sys,
        image: *image,
        arena,
        error,
    };
    let loaded = Loaded::new(&mut load).and_then(|mut loaded| {
        run::<{ core_kind::ALL }, S>(&mut load, &mut loaded, &mut None, search)?;
        Ok(loaded)
    });
    loaded.map_err(|failed| {
        error.tell(failed);
        Failed::TOLD
    })
}

/// The load sequence, with code for these kinds of CO-RE relocations, a bit for
/// each. Kernel BTF is got once for all that are loaded with it, and only if it is needed.
#[inline(never)]
pub(crate) fn run<const KINDS: u32, S: Sys>(
    load: &mut Load<'_, '_, S>,
    loaded: &mut Loaded<'_, S>,
    kernel_btf: &mut Option<KernelBtf<S>>,
    search: Search,
) -> Result<(), Failed> {
    let image = load.image;
    let object = image.object().name;

    // What the image needs to know of the running kernel.
    load.begin("read object", object);
    let local = read_object(load)?;
    load.begin("read kernel BTF", Str::default());
    let mut names = Default::default();
    if !image.targets().is_empty() {
        if kernel_btf.is_none() {
            *kernel_btf = Some(KernelBtf::get(load.sys)?);
        }
        let data = kernel_btf.as_deref().unwrap_or_default();
        names = targets::find(&image, data, search, load.arena).ok_or(Failed::NO_MEMORY)?;
        load.error.check(&names.0)?;
    }
    let (kernel, targets) = &names;
    let core = Core::<KINDS> {
        image: &image,
        pair: Pair {
            local: &local,
            kernel,
        },
        targets,
    };
    let ksyms = ksym::resolve(load, &core)?;

    // BTF and maps, which programs refer to.
    load.begin("load BTF of", object);
    if !image.btf().is_empty() {
        loaded.btf_fd = bpf::btf_load(load.sys, image.btf())?;
    }
    for (map, fd) in image.maps().each().zip(loaded.map_fds.iter_mut()) {
        *fd = create_map(load, map, loaded.btf_fd)?;
        fill_map(load, map, *fd)?;
    }

    // Programs, relocated for this kernel.
    let relocator = Relocator {
        core: &core,
        ksyms,
        map_fds: loaded.map_fds,
    };
    for (prog, made) in image.progs().each().zip(loaded.progs.iter_mut()) {
        let insns = relocator.relocate(load, prog)?;
        made[PROG] = relocator.load(load, prog, insns, loaded.btf_fd)?;
    }

    // Links: all or none.
    for (prog, made) in image.progs().each().zip(loaded.progs.iter_mut()) {
        attach(load, prog, made)?;
    }
    Ok(())
}

/// `BPF_LINK_CREATE`, of a program that is to have a link.
#[inline(never)]
fn attach<S: Sys>(
    load: &mut Load<'_, '_, S>,
    prog: ProgAt<'_>,
    made: &mut [i32; 3],
) -> Result<(), Failed> {
    if !load.image.str(prog.link_name()).is_empty() {
        load.begin("attach prog", prog.name());
        made[LINK] = bpf::link_create(load.sys, made[PROG], prog.attach_type())?;
        load.begin("get link id of prog", prog.name());
        made[LINK_ID] = bpf::link_id(load.sys, made[LINK])? as i32;
    }
    Ok(())
}

/// BTF of the image itself.
#[inline(never)]
fn read_object<'a, S>(load: &mut Load<'a, '_, S>) -> Result<Btf<'a>, Failed> {
    if load.image.btf().is_empty() {
        return Ok(Btf::default());
    }
    let none = Filter::default();
    let btf = Btf::index(load.image.btf(), load.arena, &none, &mut |_, _, _| Some(0));
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
    let mut attr = MapCreate {
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
    Ok(bpf::map_create(
        load.sys,
        load.image.str(map.name()),
        &mut attr,
    )?)
}

/// Initial contents, and then no more.
#[inline(never)]
fn fill_map<S: Sys>(load: &mut Load<'_, '_, S>, map: MapAt<'_>, fd: i32) -> Result<(), Failed> {
    let data = load.image.data(map.data());
    if !data.is_empty() {
        load.begin("fill map", map.name());
        // The kernel reads as many bytes as key and value of the map have: of an
        // array 4 and those here, of other maps maybe more.
        let array = map.map_type() == BPF_MAP_TYPE_ARRAY;
        if !array || data.len() != map.value_size() as usize {
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
