// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typed ksyms: kernel variables and kfuncs that a program names.

use preload_image::{Str, extern_flags};

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
pub fn resolve<'a, S>(load: &mut Load<'a, '_, S>, core: &Core<'_>) -> Result<&'a [u32], Failed> {
    let externs = load.image.externs();
    let Some(ids) = load.arena.alloc(externs.len()) else {
        return Err(load.out_of_memory(STEP, Str::default()));
    };
    let kernel = core.pair.kernel;
    for (id, ksym) in ids.iter_mut().zip(externs.iter()) {
        let mut optional = ksym.flags & extern_flags::WEAK != 0;
        let name = load.image.str(ksym.name);
        let found = core.targets.first(ksym.target);
        let mut type_id = 0;
        if found != 0 {
            let t = kernel.type_by_id(found);
            let is_func = t.kind() == kind::FUNC;
            type_id = kernel.size_or_type(t);
            // A variable's type counts from behind its const on; lowering has
            // done the same to the local one.
            while !is_func && kernel.is_modifier(type_id) {
                type_id = kernel.size_or_type(kernel.type_by_id(type_id));
            }
            let same = core
                .pair
                .related(Relation::TypesCompat, ksym.type_id, type_id);
            load.error.check(STEP, name, core.check())?;
            if same {
                *id = found;
                continue;
            }
            // As libbpf: a weak kfunc of another type is a missing one.
            optional &= is_func;
        }
        if !optional {
            let error = load.error.begin(STEP, name);
            if found == 0 {
                error.put(b"not in kernel BTF");
            } else {
                error.put(b"type [").put_dec(ksym.type_id);
                error
                    .put(b"] is not the kernel's [")
                    .put_dec(type_id)
                    .put(b"]");
            }
            return Err(Failed);
        }
    }
    Ok(ids)
}
