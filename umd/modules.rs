// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types of kernel modules: what an image needs and vmlinux has not is looked for
//! there, as libbpf does it. Whoever calls a load knows the modules; the blob has
//! none of this.
//!
//! A module's types count on from the kernel's, so that its BTF behind that of the
//! kernel is BTF like another. A candidate in a module is its id there, with the
//! module's number in the bits above [`ID_BITS`]; vmlinux is number 0.

use preload_image::{Image, target_kind};

use crate::arena::Arena;
use crate::btf::{Btf, Filter, essential_len, kind};
use crate::targets::{Search, Targets};

/// Bits of a type id.
const ID_BITS: u32 = 24;
/// Most modules that one load needs.
pub(crate) const MODULES: usize = 32;

/// A module with something that is needed.
#[derive(Clone, Copy, Debug)]
pub struct Module<'m> {
    /// Its name.
    pub name: &'m [u8],
    /// The kernel's types and behind them its own, as BTF of one piece.
    pub btf: &'m [u8],
    /// The first id that is its own.
    pub first_id: u32,
    /// Fd of its BTF.
    pub fd: i32,
}

/// Is a type wanted, by its module, kind and name?
pub type Wanted<'w> = dyn Fn(&[u8], u32, &[u8]) -> bool + 'w;

/// The modules of the running kernel.
pub trait Modules {
    /// Finds the modules that have any type that is wanted.
    fn find(&self, vmlinux: &[u8], wanted: &Wanted<'_>);

    /// One of those found.
    fn get(&self, index: usize) -> Option<Module<'_>>;
}

/// A module, and its BTF indexed.
pub(crate) type Indexed<'m> = Option<(Module<'m>, Btf<'m>)>;

/// Number of the module and id of the type in it, of a candidate.
pub(crate) fn split(id: u32) -> (u32, u32) {
    (id >> ID_BITS, id & ((1 << ID_BITS) - 1))
}

/// Is a type of a module this target?
///
/// Of `module:name`, an attach target, only in that module.
fn is(image: &Image<'_>, index: u32, module: &[u8], kind: u32, name: &[u8]) -> bool {
    let target = image.targets().get(index).unwrap_or_default();
    let kind = if kind == kind::ENUM64 {
        kind::ENUM
    } else {
        kind
    };
    let exact = target.kind & target_kind::EXACT != 0;
    let mut wanted = image.str(target.name);
    if let Some(colon) = wanted
        .iter()
        .position(|byte| *byte == b':')
        .filter(|_| exact)
    {
        if wanted.get(..colon) != Some(module) {
            return false;
        }
        wanted = wanted.get(colon + 1..).unwrap_or_default();
    }
    target.kind & target_kind::BTF_KIND_MASK == kind
        && name.starts_with(wanted)
        && (name.len() == wanted.len() || !exact && essential_len(name) == wanted.len())
}

/// Adds candidates in modules to the targets that have none in vmlinux; none without memory.
pub(crate) fn find<'b, 'a: 'b>(
    image: &Image<'_>,
    modules: &'b dyn Modules,
    vmlinux: &[u8],
    targets: &mut Targets<'a>,
    search: Search,
    arena: &mut Arena<'a>,
) -> Option<[Indexed<'b>; MODULES]> {
    let mut found = [const { None }; MODULES];
    let missing = arena.alloc_zeroed::<u32>(image.targets().len())?;
    let mut filter = Filter::default();
    for (index, missing) in (0..).zip(missing.iter_mut()) {
        *missing = u32::from(targets.first(index) == 0);
        if *missing != 0 {
            let target = image.targets().get(index).unwrap_or_default();
            let name = image.str(target.name);
            let name = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
            let kind = target.kind & target_kind::BTF_KIND_MASK;
            filter.add(kind, name);
            if kind == kind::ENUM {
                filter.add(kind::ENUM64, name);
            }
        }
    }
    let missing = || (0..).zip(missing.iter()).filter(|(_, is)| **is != 0);
    if missing().next().is_none() {
        return Some(found);
    }
    modules.find(vmlinux, &|module, kind, name| {
        missing().any(|(index, _)| is(image, index, module, kind, name))
    });
    for (number, place) in (0..).zip(&mut found) {
        let Some(module) = modules.get(number) else {
            break;
        };
        let tag = (number as u32 + 1) << ID_BITS;
        let btf = Btf::index(module.btf, arena, &filter, &mut |btf, id, t| {
            let here = || {
                missing().filter(|(index, _)| is(image, *index, module.name, t.kind(), btf.name(t)))
            };
            let room = id < module.first_id
                || here().all(|(index, _)| {
                    let target = image.targets().get(index).unwrap_or_default();
                    let exact = target.kind & target_kind::EXACT != 0;
                    targets.add(index, tag | id, exact || search == Search::First)
                });
            room.then_some(u32::MAX)
        });
        *place = Some((module, btf));
    }
    Some(found)
}
