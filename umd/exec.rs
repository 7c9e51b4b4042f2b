// SPDX-License-Identifier: MIT OR Apache-2.0
//! From image to attached programs. `run`, which [`load`] and the driver share,
//! is the load sequence, top to bottom: kernel BTF, names, BTF, maps,
//! relocation, programs, links, ids.

use preload_image::{Image, MapAt, ProgAt, Str, map_flags, map_type, need, object_flags};

use crate::arena::Arena;
use crate::btf::{Btf, Filter};
use crate::core_match::Pair;
use crate::core_relo::{Core, Foreign, RuledOut};
use crate::error::{Error, Failed};
use crate::kernel_btf::KernelBtf;
use crate::ksym;
use crate::load::Load;
use crate::modules::{self, Modules};
use crate::prog::Relocator;
use crate::sys::attr::MapCreate;
use crate::sys::{Errno, Sys, bpf};
use crate::targets::{self, Search};

/// Of `BPF_MAP_UPDATE_ELEM`: one value for all CPUs (not yet in 6.18).
const BPF_F_ALL_CPUS: u64 = 1 << 4;

/// Candidates of CO-RE relocations that may be ruled out.
pub(crate) const RULED_OUT: usize = 1024;

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

/// A map or program that was loaded.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Name, as the object declares it: whole.
    pub name: &'a [u8],
    /// Its fd.
    pub fd: i32,
}

impl<'a, S: Sys> Loaded<'a, S> {
    /// The maps, in the image's order; templates are none.
    pub fn maps(&self) -> impl Iterator<Item = Object<'a>> + use<'_, 'a, S> {
        let maps = self.image.maps().each().zip(self.map_fds.iter());
        maps.filter(|(_, fd)| **fd >= 0).map(|(map, fd)| Object {
            name: self.image.str(map.name()),
            fd: *fd,
        })
    }

    /// The programs, in the image's order.
    pub fn progs(&self) -> impl Iterator<Item = Object<'a>> + use<'_, 'a, S> {
        let progs = self.image.progs().each().zip(self.progs.iter());
        progs.map(|(prog, made)| Object {
            name: self.image.str(prog.name()),
            fd: made[PROG],
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
    load_with(sys, image, Given::default(), search, arena, error)
}

/// What exists already when a load begins. The fds belong to the load from then on,
/// whether it succeeds or not.
#[derive(Clone, Copy, Default)]
pub struct Given<'g> {
    /// The image's BTF, or what of it the kernel takes: it is not loaded.
    pub btf: Option<i32>,
    /// Of some of the image's maps the fd, or [`LEFT_OUT`]: they are not created and not filled.
    pub maps: &'g [(u32, i32)],
    /// Where to look for what is not in vmlinux.
    pub modules: Option<&'g dyn Modules>,
}

/// In the place of a map's fd: the kernel can have none like it. It refuses the programs that
/// refer to it, if there are any, with `EBADF`.
pub const LEFT_OUT: i32 = -2;

/// [`load`] with what exists already.
///
/// # Errors
/// As for [`load`].
pub fn load_with<'a, S: Sys>(
    sys: &'a S,
    image: &Image<'a>,
    given: Given<'_>,
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
    let mut made = Loaded::new(&mut load);
    match (&mut made, given.btf) {
        (Ok(loaded), Some(fd)) => loaded.btf_fd = fd,
        (Err(_), Some(fd)) => sys.close(fd),
        (_, None) => {}
    }
    for (index, fd) in given.maps {
        let map_fds = made.as_mut().map(|loaded| &mut *loaded.map_fds);
        match map_fds.unwrap_or_default().get_mut(*index as usize) {
            Some(place) => *place = *fd,
            None => sys.close(*fd),
        }
    }
    let loaded = made.and_then(|mut loaded| {
        run::<{ need::ALL }, S>(&mut load, &mut loaded, &mut None, search, given.modules)?;
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
    modules: Option<&dyn Modules>,
) -> Result<(), Failed> {
    let image = load.image;
    let object = image.object().name;

    // What the image needs to know of the running kernel.
    load.begin("read object", object);
    if KINDS & need::FOREIGN != 0 && image.object().flags & object_flags::INCOMPLETE != 0 {
        load.error.put(b"not completed for this machine");
        return Err(Failed::TOLD);
    }
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
    let mut in_modules = None;
    if KINDS & need::FOREIGN != 0
        && let Some(modules) = modules
    {
        let data = kernel_btf.as_deref().unwrap_or_default();
        let found = modules::find(&image, modules, data, &mut names.1, search, load.arena);
        in_modules = Some(found.ok_or(Failed::NO_MEMORY)?);
    }
    let (kernel, targets) = &names;
    let ruled_out_len = Default::default();
    let mut foreign = Foreign::default();
    if KINDS & need::FOREIGN != 0 {
        let table = load.arena.alloc(RULED_OUT).ok_or(Failed::NO_MEMORY)?;
        foreign.ruled_out = RuledOut::new(table, &ruled_out_len);
        foreign.modules = in_modules.as_ref().map_or(&[], |found| found);
    }
    let core = Core::<KINDS> {
        image: &image,
        pair: Pair {
            local: &local,
            kernel,
        },
        targets,
        foreign: (KINDS & need::FOREIGN != 0).then_some(&foreign),
    };
    let ksyms = ksym::resolve(load, &core)?;

    // BTF and maps, which programs refer to.
    load.begin("load BTF of", object);
    let given = KINDS & need::FOREIGN != 0 && loaded.btf_fd >= 0;
    if !image.btf().is_empty() && !given {
        match bpf::btf_load(load.sys, image.btf()) {
            Ok(fd) => loaded.btf_fd = fd,
            // As in libbpf, programs then go without: what needs it fails by itself.
            Err(_) if KINDS & need::FOREIGN != 0 => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    for (map, fd) in image.maps().each().zip(loaded.map_fds.iter_mut()) {
        // A template is made where it is needed; what the caller gave is not made again.
        let template = KINDS & need::TEMPLATES != 0 && map.flags() & map_flags::TEMPLATE != 0;
        let given = KINDS & need::FOREIGN != 0 && (*fd >= 0 || *fd == LEFT_OUT);
        if !template && !given {
            *fd = create_map::<KINDS, S>(load, map, loaded.btf_fd, &core)?;
            // What is in struct_ops its host writes, which has the programs then.
            if KINDS & need::STRUCT_OPS == 0 || map.value_target() == 0 {
                fill_map::<KINDS, S>(load, map, *fd)?;
            }
        }
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
    if KINDS & need::SLOTS != 0 {
        fill_slots(load, loaded.map_fds, loaded.progs)?;
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
pub(crate) fn read_object<'a, S>(load: &mut Load<'a, '_, S>) -> Result<Btf<'a>, Failed> {
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
fn create_map<const KINDS: u32, S: Sys>(
    load: &mut Load<'_, '_, S>,
    map: MapAt<'_>,
    btf_fd: i32,
    core: &Core<'_, KINDS>,
) -> Result<i32, Failed> {
    let mut attr = MapCreate {
        map_type: map.map_type(),
        key_size: map.key_size(),
        value_size: map.value_size(),
        max_entries: map.max_entries(),
        map_flags: map.map_flags(),
        ..MapCreate::default()
    };
    if map.btf_value_type_id() != 0 && btf_fd >= 0 {
        attr.btf_fd = btf_fd as u32;
        attr.btf_key_type_id = map.btf_key_type_id();
        attr.btf_value_type_id = map.btf_value_type_id();
    }
    if KINDS & need::FOREIGN != 0 {
        attr.numa_node = map.numa_node();
        attr.map_extra = map.map_extra();
    }
    let mut template = None;
    if KINDS & need::TEMPLATES != 0
        && let Some(inner) = map.inner().checked_sub(1)
    {
        let inner = load.image.maps().at(inner).unwrap_or_default();
        // A template holds no maps itself: none that says so would be its own.
        if inner.inner() == 0 {
            let fd = create_map::<KINDS, S>(load, inner, btf_fd, core)?;
            attr.inner_map_fd = fd as u32;
            template = Some(fd);
        }
    }
    load.begin("create map", map.name());
    if KINDS & need::STRUCT_OPS != 0
        && let Some(target) = map.value_target().checked_sub(1)
    {
        // The kernel wants the object's BTF, too, though it takes nothing from it.
        attr.btf_fd = btf_fd.max(0) as u32;
        let (number, id) = modules::split(core.targets.first(target));
        attr.btf_vmlinux_value_type_id = id;
        if id == 0 {
            let target = load.image.targets().at(target).unwrap_or_default();
            load.error
                .put(b"struct ")
                .put(load.image.str(target.name()));
            load.error.put(b" is not in kernel BTF");
            return Err(Failed::TOLD);
        }
        if let Some((module, _)) = core.module(number) {
            let name = load.image.str(map.name());
            let created = bpf::map_create_of_module(load.sys, name, &mut attr, module.fd);
            return Ok(created?);
        }
    }
    let name = load.image.str(map.name());
    let mut created = bpf::map_create(load.sys, name, &mut attr);
    // libbpf does the same: types that a kernel does not want are not what a map is for.
    if KINDS & need::FOREIGN != 0 && created.is_err() && attr.btf_fd != 0 {
        (attr.btf_fd, attr.btf_key_type_id, attr.btf_value_type_id) = (0, 0, 0);
        created = bpf::map_create(load.sys, name, &mut attr).or(created);
    }
    if let Some(fd) = template {
        load.sys.close(fd);
    }
    Ok(created?)
}

/// Maps into maps, programs into arrays of programs.
#[inline(never)]
fn fill_slots<S: Sys>(
    load: &mut Load<'_, '_, S>,
    map_fds: &[i32],
    progs: &[[i32; 3]],
) -> Result<(), Failed> {
    for (map, map_fd) in load.image.maps().each().zip(map_fds) {
        for slot in load.image.slots(map.slots()).each() {
            load.begin("fill map", map.name());
            let index = slot.index() as usize;
            let fd = match map.map_type() {
                map_type::PROG_ARRAY => progs.get(index).map(|made| made[PROG]),
                _ => map_fds.get(index).copied(),
            };
            // Keys are indices, and what the map gets is an fd: in other maps
            // the kernel would read more than is there.
            if map.key_size() != 4 || map.value_size() != 4 {
                return Err(Errno(libc::EINVAL).into());
            }
            let key = slot.key().to_ne_bytes();
            let fd = fd.unwrap_or(-1).to_ne_bytes();
            bpf::map_update_elem(load.sys, *map_fd, &key, &fd)?;
        }
    }
    Ok(())
}

/// Initial contents, and then no more.
#[inline(never)]
fn fill_map<const KINDS: u32, S: Sys>(
    load: &mut Load<'_, '_, S>,
    map: MapAt<'_>,
    fd: i32,
) -> Result<(), Failed> {
    let data = load.image.data(map.data());
    if !data.is_empty() {
        load.begin("fill map", map.name());
        // The kernel reads as many bytes as key and value of the map have: of an
        // array 4 and those here, also for all CPUs at once, of other maps maybe more.
        let percpu = KINDS & need::FOREIGN != 0 && map.map_type() == map_type::PERCPU_ARRAY;
        let array = map.map_type() == map_type::ARRAY || percpu;
        if !array || data.len() != map.value_size() as usize {
            return Err(Errno(libc::EINVAL).into());
        }
        let flags = if percpu { BPF_F_ALL_CPUS } else { 0 };
        bpf::map_update_elem_with(load.sys, fd, &[0; 4], data, flags)?;
    }
    if map.flags() & map_flags::FREEZE != 0 {
        load.begin("freeze map", map.name());
        bpf::map_freeze(load.sys, fd)?;
    }
    Ok(())
}
