// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typed ksyms: kernel variables and kfuncs that a program names.

use preload_image::extern_flags;

use crate::btf::kind;
use crate::core_match::Pair;
use crate::core_relo::Core;
use crate::error::Line;
use crate::load::{Failed, Load};

const STEP: &str = "resolve ksym";

/// BTF id of each extern of an image in the kernel; 0: it has none, and is weak.
///
/// # Errors
/// A strong one is missing or of another type, or BTF makes no sense.
#[inline(never)]
pub fn resolve<'a, S>(load: &mut Load<'a, '_, S>, core: &Core<'_>) -> Result<&'a [u32], Failed> {
    let externs = load.image.externs();
    let Some(ids) = load.arena.alloc(externs.len()) else {
        return Err(load.out_of_memory(STEP, Default::default()));
    };
    for (id, ksym) in ids.iter_mut().zip(externs.iter()) {
        let weak = ksym.flags & extern_flags::WEAK != 0;
        let mut text = Line::new();
        if let Some(found) = core.targets.candidates(ksym.target).next() {
            let found = core.kernel.type_by_id(found);
            let is_func = found.kind() == kind::FUNC;
            let mut type_id = found.type_id();
            if !is_func {
                type_id = core.kernel.skip_mods_and_typedefs(type_id).id;
            }
            let same = Pair::new(core.local, core.kernel).types_compat(ksym.type_id, type_id);
            if let Err(error) = core.check() {
                return Err(load.bad_btf(STEP, ksym.name, error));
            }
            if same {
                *id = found.id;
                continue;
            }
            // As libbpf: a weak kfunc of another type is a missing one.
            if weak && is_func {
                continue;
            }
            text.put(b"type [").put_dec(ksym.type_id);
            text.put(b"] is not the kernel's [")
                .put_dec(type_id)
                .put(b"]");
        } else if weak {
            continue;
        } else {
            text.put(b"not in kernel BTF");
        }
        return Err(load.failed(STEP, ksym.name, &text));
    }
    Ok(ids)
}
