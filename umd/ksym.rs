// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ksyms: kernel variables and kfuncs that a program names.

use preload_image::{Str, extern_flags, need};

use crate::btf::kind;
use crate::core_match::Relation;
use crate::core_relo::Core;
use crate::error::Failed;
use crate::load::Load;

const STEP: &str = "resolve ksym";

/// BTF id of each extern of an image in the kernel; 0: it has none, and is weak.
///
/// # Errors
/// A strong one is missing or of another type, or BTF makes no sense.
#[inline(never)]
pub fn resolve<'a, const KINDS: u32, S>(
    load: &mut Load<'a, '_, S>,
    core: &Core<'_, KINDS>,
) -> Result<&'a [u32], Failed> {
    let externs = load.image.externs();
    load.begin(STEP, Str::default());
    let ids = load.arena.alloc_zeroed(externs.len());
    let ids = ids.ok_or(Failed::NO_MEMORY)?;
    for (ksym, id) in externs.each().zip(ids.iter_mut()) {
        let mut optional = ksym.flags() & extern_flags::WEAK != 0;
        load.begin(STEP, ksym.name());
        if KINDS & need::ADDRESSES != 0 && ksym.target() == 0 {
            let known = ksym.address() != 0 || ksym.flags() & extern_flags::KNOWN != 0;
            if !known && !optional {
                load.error.put(b"not in /proc/kallsyms");
                return Err(Failed::TOLD);
            }
            continue;
        }
        let found = core.targets.first(ksym.target().wrapping_sub(1));
        let mut type_id = 0;
        if found != 0 {
            let (there, id_there) = core.within(found);
            let core = if KINDS & need::FOREIGN != 0 {
                &there
            } else {
                core
            };
            let kernel = core.pair.kernel;
            let t = kernel.type_by_id(id_there);
            let is_func = t.kind() == kind::FUNC;
            type_id = kernel.size_or_type(t);
            // A variable's type counts from behind its const on; lowering has
            // done the same to the local one.
            while !is_func && kernel.is_modifier(type_id) {
                type_id = kernel.size_or_type(kernel.type_by_id(type_id));
            }
            let same = core
                .pair
                .related(Relation::TypesCompat, ksym.type_id(), type_id);
            core.check(load.error)?;
            if same {
                *id = found;
                continue;
            }
            // As libbpf: a weak kfunc of another type is a missing one.
            optional &= is_func;
        }
        if !optional {
            if found == 0 {
                load.error.put(b"not in kernel BTF");
            } else {
                load.error.put(b"type [").put_dec(ksym.type_id());
                load.error.put(b"] is not the kernel's [");
                load.error.put_dec(type_id).put(b"]");
            }
            return Err(Failed::TOLD);
        }
    }
    Ok(ids)
}
