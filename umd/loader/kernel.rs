// SPDX-License-Identifier: MIT OR Apache-2.0
//! The running kernel, as the commands need it: an image loaded, a name found.

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::btf::{Btf, Filter, Type, kind};
use bpf_preload_umd::error::Error;
use bpf_preload_umd::exec::{self, Given, Loaded};
use bpf_preload_umd::kernel_btf::KernelBtf;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Sys, bpf};
use bpf_preload_umd::targets::Search;
use preload_image::Image;

use crate::failure::{Failure, number};
use crate::module_btf::ModuleBtfs;
use crate::{arenas, c_type, explain, percpu, sanitize};

/// Words of memory for a load: what nobody asks for is never touched.
const ARENA_WORDS: usize = (256 << 20) / 8;

/// Memory of one load: less where the process may not have as much (`ulimit -v`), and
/// what does not fit then is an error like another.
pub fn memory() -> Vec<u64> {
    let mut words = ARENA_WORDS;
    while words > 0 {
        let mut memory: Vec<u64> = Vec::new();
        // Resizing would write to all of it; zeroed memory costs nothing until it is used.
        if memory.try_reserve_exact(words).is_ok() {
            drop(memory);
            return vec![0; words];
        }
        words /= 2;
    }
    Vec::new()
}

/// Loads an image; all is closed again when the result is dropped.
///
/// `maps` are those that exist already, by index; their fds are closed with the rest.
///
/// # Errors
/// The first step that failed, with what is known of it. Nothing stays loaded.
pub fn load<'a, S: Sys>(
    sys: &'a S,
    image: &Image<'a>,
    maps: &[(u32, i32)],
    search: Search,
    memory: &'a mut [u64],
) -> Result<Loaded<'a, S>, Failure> {
    let mut error = Error::default();
    let mut arena = Arena::new(memory);
    let mut maps = arenas::create(sys, image, maps)?;
    maps.extend(percpu::left_out(sys, image));
    let modules = ModuleBtfs::new(sys);
    let given = Given {
        btf: match image.btf() {
            [] => None,
            // As in libbpf, programs go without BTF that the kernel does not take at all.
            btf => sanitize::load(sys, btf).ok(),
        },
        maps: &maps,
        modules: Some(&modules),
    };
    let loaded = exec::load_with(sys, image, given, search, &mut arena, &mut error);
    if let Ok(loaded) = &loaded {
        bind_rodata(sys, loaded);
    }
    loaded.map_err(|_| {
        let log = arena.scratch(error.log_bytes()).unwrap_or_default();
        explain::explain(sys, image, Failure::of(&error), log)
    })
}

/// As in libbpf, constants live as long as any program, whether it reads them or not: what
/// `bpftool prog show` calls metadata is among them. Before 5.10 only those that are read do.
fn bind_rodata<S: Sys>(sys: &S, loaded: &Loaded<'_, S>) {
    let is_rodata = |name: &[u8]| {
        let section = name.iter().position(|byte| *byte == b'.');
        let section = section.and_then(|at| name.get(at..)).unwrap_or_default();
        section == b".rodata" || section.starts_with(b".rodata.")
    };
    for map in loaded.maps().filter(|map| is_rodata(map.name)) {
        for prog in loaded.progs() {
            let _ = bpf::prog_bind_map(sys, prog.fd, map.fd);
        }
    }
}

/// BTF of the running kernel.
pub struct Kernel(KernelBtf<Linux>);

impl Kernel {
    /// Reads it.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read() -> Result<Self, Failure> {
        let btf = KernelBtf::get(&Linux);
        btf.map(Kernel)
            .map_err(|errno| Failure::errno("read kernel BTF", number(errno)))
    }

    /// Has it a type of this kind and name?
    ///
    /// # Errors
    /// The BTF is damaged.
    pub fn has(&self, kind: u32, name: &[u8]) -> Result<bool, Failure> {
        self.find(kind, name, |_, _, _| true)
    }

    /// Id of the first type of this kind and name.
    ///
    /// # Errors
    /// The BTF is damaged.
    pub fn id(&self, kind: u32, name: &[u8]) -> Result<Option<u32>, Failure> {
        let mut found = None;
        self.find(kind, name, |_, id, _| {
            found = Some(id);
            true
        })?;
        Ok(found)
    }

    /// Has it an enumerator of this name in this enum?
    ///
    /// # Errors
    /// The BTF is damaged.
    pub fn has_enumerator(&self, of: &[u8], name: &[u8]) -> Result<bool, Failure> {
        self.find(kind::ENUM, of, |btf, _, ty| {
            (0..ty.vlen()).any(|index| btf.str(btf.enumerator(ty, index).0) == name)
        })
    }

    /// Names and values of an enum; empty if there is none of this name.
    ///
    /// # Errors
    /// The BTF is damaged.
    pub fn enumerators(&self, of: &[u8]) -> Result<Vec<(String, u64)>, Failure> {
        let mut found = Vec::new();
        self.find(kind::ENUM, of, |btf, _, ty| {
            found.extend((0..ty.vlen()).map(|index| {
                let (name, value) = btf.enumerator(ty, index);
                (String::from_utf8_lossy(btf.str(name)).into_owned(), value)
            }));
            true
        })?;
        Ok(found)
    }

    /// Index of a member in a struct, if there is one of this name.
    ///
    /// # Errors
    /// The BTF is damaged.
    pub fn member_index(&self, of: &[u8], name: &[u8]) -> Result<Option<u32>, Failure> {
        let mut found = None;
        self.find(kind::STRUCT, of, |btf, _, ty| {
            found = (0..ty.vlen()).find(|index| btf.str(btf.member(ty, *index).0) == name);
            true
        })?;
        Ok(found)
    }

    /// BTF, and in it the structs of these names.
    ///
    /// # Errors
    /// The BTF is damaged.
    pub(crate) fn structs<'a>(
        &'a self,
        names: &[&[u8]],
        arena: &mut Arena<'a>,
    ) -> Result<(Btf<'a>, Vec<Option<Type>>), Failure> {
        structs(&self.0, names, arena)
    }

    /// It as it is.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The type with this id, as C writes it.
    pub(crate) fn c_type(&self, id: u32) -> String {
        let mut memory = memory();
        let btf = Btf::whole(&self.0, &mut Arena::new(&mut memory));
        c_type::name(&btf, id)
    }

    /// Has it a type of this kind and name that is so?
    fn find(
        &self,
        kind: u32,
        name: &[u8],
        mut is: impl FnMut(&Btf<'_>, u32, Type) -> bool,
    ) -> Result<bool, Failure> {
        let mut filter = Filter::default();
        filter.add(kind, name);
        let mut memory = memory();
        let mut found = false;
        let btf = Btf::index(
            &self.0,
            &mut Arena::new(&mut memory),
            &filter,
            &mut |btf, id, ty| {
                found |= !found && ty.kind() == kind && btf.name(ty) == name && is(btf, id, ty);
                Some(if found { 0 } else { 1 << kind })
            },
        );
        check(&btf, "kernel BTF")?;
        Ok(found)
    }
}

/// BTF, the kernel's or a module's behind it, and in it the structs of these names.
///
/// # Errors
/// The BTF is damaged.
pub(crate) fn structs<'a>(
    bytes: &'a [u8],
    names: &[&[u8]],
    arena: &mut Arena<'a>,
) -> Result<(Btf<'a>, Vec<Option<Type>>), Failure> {
    let mut filter = Filter::default();
    names.iter().for_each(|name| filter.add(kind::STRUCT, name));
    let mut found = vec![None; names.len()];
    let btf = Btf::index(bytes, arena, &filter, &mut |btf, _, ty| {
        let names = names.iter().zip(&mut found);
        for (_, place) in names.filter(|(name, _)| btf.name(ty) == **name) {
            *place = place.or((ty.kind() == kind::STRUCT).then_some(ty));
        }
        Some(1 << kind::STRUCT)
    });
    check(&btf, "kernel BTF")?;
    Ok((btf, found))
}

/// Is this BTF at all?
///
/// # Errors
/// It is damaged, or something else.
pub(crate) fn check_btf(bytes: &[u8]) -> Result<(), Failure> {
    let mut memory = memory();
    let btf = Btf::whole(bytes, &mut Arena::new(&mut memory));
    check(&btf, "kernel BTF")
}

/// Was all right that was read? `of` says in a failure whose BTF it is.
pub(crate) fn check(btf: &Btf<'_>, of: &str) -> Result<(), Failure> {
    btf.check().map_err(|error| {
        let what = format!("read {of}: bad BTF {} {}", error.what, error.value);
        Failure::new(what)
    })
}
