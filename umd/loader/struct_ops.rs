// SPDX-License-Identifier: MIT OR Apache-2.0
//! struct_ops: where the members of the object's structs are in the kernel's.

use bpf_preload_umd::btf::kind;
use preload_image::{Image, Writer, target_kind};

use crate::failure::Failure;
use crate::kernel::Kernel;

/// Gives maps the size of the kernel's values, and programs the places of their members.
pub(crate) fn complete(image: &Image<'_>, writer: &mut Writer) -> Result<(), Failure> {
    let target = |index: u32| {
        let target = image.targets().get(index.checked_sub(1)?)?;
        let is_struct = target.kind & target_kind::BTF_KIND_MASK == kind::STRUCT;
        is_struct.then(|| image.str(target.name))
    };
    if image.maps().iter().all(|map| map.value_target == 0) {
        return Ok(());
    }
    let kernel = Kernel::read()?;
    for (index, mut map) in (0..).zip(image.maps().iter()) {
        if let Some(name) = target(map.value_target)
            && let Some(size) = kernel.struct_size(name)?
        {
            // Of one that is missing the executor says so.
            map.value_size = size;
            writer.replace_map(index, map);
        }
    }
    let mut places: Vec<Option<u32>> = vec![None; image.progs().len()];
    for op in image.struct_ops().iter() {
        let (Some(mut prog), Some(place)) =
            (image.progs().get(op.prog), places.get_mut(op.prog as usize))
        else {
            continue;
        };
        let name = target(prog.attach_target).unwrap_or_default();
        let member = image.str(op.member);
        let [prog_name, name_shown, member_shown] =
            [image.str(prog.name), name, member].map(String::from_utf8_lossy);
        let wrong = |what: &str| {
            let what = format!("prog {prog_name}: struct {name_shown} {what} {member_shown}");
            Err(Failure::new(what))
        };
        let Some(found) = kernel.member_index(name, member)? else {
            return wrong("of this kernel has no member");
        };
        if place.is_some_and(|other| other != found) {
            return wrong("has it as another member, too, than");
        }
        *place = Some(found);
        prog.attach_type = found;
        writer.replace_prog(op.prog, prog);
    }
    Ok(())
}
