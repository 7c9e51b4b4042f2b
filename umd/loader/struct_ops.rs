// SPDX-License-Identifier: MIT OR Apache-2.0
//! struct_ops: the object's structs become the kernel's, whose members of the same
//! names may be elsewhere, and the kernel calls what is in them from [`attach`] on.

use std::collections::HashMap;
use std::marker::PhantomData;

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::btf::{Btf, Type, kind};
use bpf_preload_umd::exec::Loaded;
use bpf_preload_umd::modules::Modules as _;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Sys, bpf};
use preload_image::{Image, Map, Prog, StructOp, Writer, map_flags};

use crate::attach::{Attached, Fd, Hold, What};
use crate::failure::{Failure, number};
use crate::kernel::{self, Kernel};
use crate::module_btf::ModuleBtfs;

/// `BPF_F_LINK`, of maps.
const BPF_F_LINK: u32 = 1 << 13;
/// `BPF_STRUCT_OPS`, `enum bpf_attach_type` (since 6.4).
const BPF_STRUCT_OPS: u32 = 44;

/// Gives maps the kernel's values, and programs the places of their members. As in
/// libbpf, a member that the kernel has not is left out if it is zero and has no program.
pub(crate) fn complete(image: &Image<'_>, writer: &mut Writer) -> Result<(), Failure> {
    let of_ops = || {
        let maps = (0..).zip(image.maps().iter());
        maps.filter(|(_, map)| map.value_target != 0)
    };
    if of_ops().next().is_none() {
        return Ok(());
    }
    let value_name = |map: &Map| {
        let target = image.targets().get(map.value_target.saturating_sub(1));
        target.map_or(b"".as_slice(), |target| image.str(target.name))
    };
    let mut names: Vec<&[u8]> = of_ops().map(|(_, map)| value_name(&map)).collect();
    names.sort_unstable();
    names.dedup();

    let kernel = Kernel::read()?;
    let modules = ModuleBtfs::new(&Linux);
    let mut memory = kernel::memory();
    let mut arena = Arena::new(&mut memory);
    let local = Btf::whole(image.btf(), &mut arena);
    let (btfs, structs) = structs(&kernel, &modules, &names, &mut arena)?;
    let mut has_links = None;
    let mut ops: Vec<Op> = image.struct_ops().iter().map(Op::from).collect();
    for (index, mut map) in of_ops() {
        let found = names.binary_search(&value_name(&map)).ok();
        let found = found.and_then(|at| {
            let (number, ty) = (*structs.get(at)?)?;
            Some((btfs.get(number)?, ty))
        });
        let Some((btf, kernel_value)) = found else {
            // The executor says which struct it is.
            return Ok(());
        };
        let shown = String::from_utf8_lossy(image.str(map.name));
        let step = format!("create map {shown}");
        if map.map_flags & BPF_F_LINK != 0 {
            let has = match has_links {
                Some(has) => has,
                None => kernel.has_enumerator(b"bpf_attach_type", b"BPF_STRUCT_OPS")?,
            };
            has_links = Some(has);
            if !has {
                let why = "this kernel has no links of struct_ops (since 6.4)";
                return Err(Failure::new(why).during(&step));
            }
        }
        let layout = Layout {
            local: &local,
            local_struct: local.skip_mods_and_typedefs(map.btf_value_type_id),
            kernel: btf,
            kernel_value,
        };
        let ops = ops.iter_mut().filter(|op| op.record.map == index);
        let mut by_member: HashMap<_, Vec<_>> = HashMap::new();
        for op in ops {
            let member = image.str(op.record.member);
            by_member.entry(member).or_default().push(op);
        }
        let value = layout.value(image.data(map.data), by_member);
        let value = value.map_err(|failure| failure.during(&step))?;
        map.value_size = value.len() as u32;
        map.data = writer.data(&value);
        // The kernel takes no other type beside its own.
        map.btf_value_type_id = 0;
        writer.replace_map(index, map);
    }
    for btf in &btfs {
        kernel::check(btf, "kernel BTF")?;
    }
    kernel::check(&local, "BTF of the object")?;
    place(image, writer, &ops)
}

/// Where structs are: the number of the BTF, and the type in it.
type Found = Vec<Option<(usize, Type)>>;

/// The kernel's structs of these names, else those of its modules (since 6.9), and the BTFs
/// that they are in.
fn structs<'a>(
    kernel: &'a Kernel,
    modules: &'a ModuleBtfs<'_, Linux>,
    names: &[&[u8]],
    arena: &mut Arena<'a>,
) -> Result<(Vec<Btf<'a>>, Found), Failure> {
    let (btf, found) = kernel.structs(names, arena)?;
    let mut btfs = vec![btf];
    let mut structs: Found = found.into_iter().map(|ty| Some((0, ty?))).collect();
    let missing: Vec<&[u8]> = structs
        .iter()
        .zip(names)
        .filter_map(|(found, name)| found.is_none().then_some(*name))
        .collect();
    if missing.is_empty() {
        return Ok((btfs, structs));
    }
    modules.find(kernel.bytes(), &|_, kind, name| {
        kind == kind::STRUCT && missing.contains(&name)
    });
    for module in (0..).map_while(|number| modules.get(number)) {
        let (btf, found) = kernel::structs(module.btf, names, arena)?;
        // As in the executor: the first module that has it.
        for (place, ty) in structs.iter_mut().zip(found) {
            *place = place.or(ty.map(|ty| (btfs.len(), ty)));
        }
        btfs.push(btf);
    }
    Ok((btfs, structs))
}

/// A function of a map.
struct Op {
    record: StructOp,
    /// Index of the kernel's member, if it has one.
    place: Option<u32>,
}

impl From<StructOp> for Op {
    fn from(record: StructOp) -> Self {
        Op {
            record,
            place: None,
        }
    }
}

/// The object's struct, and the kernel's value around its own.
struct Layout<'l, 'b> {
    local: &'l Btf<'b>,
    local_struct: Type,
    kernel: &'l Btf<'b>,
    kernel_value: Type,
}

impl Layout<'_, '_> {
    /// The kernel's value with what is in the object's struct, and the places of the functions.
    fn value(
        &self,
        data: &[u8],
        mut ops: HashMap<&[u8], Vec<&mut Op>>,
    ) -> Result<Vec<u8>, Failure> {
        let (local, kernel) = (self.local, self.kernel);
        let mut value = vec![0; kernel.size_or_type(self.kernel_value) as usize];
        let (id, base) = match member(kernel, self.kernel_value, b"data") {
            Some(at) => (
                kernel.member(self.kernel_value, at).1,
                kernel.member_bits(self.kernel_value, at).0 / 8,
            ),
            None => {
                return Err(Failure::new(
                    "kernel BTF has no data in the struct around it",
                ));
            }
        };
        let kernel_struct = kernel.skip_mods_and_typedefs(id);
        let struct_name = String::from_utf8_lossy(kernel.name(kernel_struct));
        for index in 0..self.local_struct.vlen() {
            let (name, id) = local.member(self.local_struct, index);
            let name = local.str(name);
            let shown = String::from_utf8_lossy(name);
            let wrong = |what: String| Err(Failure::new(format!("member {shown} {what}")));
            let (bits, width) = local.member_bits(self.local_struct, index);
            let ty = local.skip_mods_and_typedefs(id);
            let size = local.resolve_size(ty);
            let start = bits as usize / 8;
            let bytes = data.get(start..).unwrap_or_default();
            let bytes = bytes
                .get(..bytes.len().min(size as usize))
                .unwrap_or_default();
            let is_set = bytes.iter().any(|byte| *byte != 0);
            let of_member = ops.remove(name).unwrap_or_default();

            let Some(there) = member(kernel, kernel_struct, name) else {
                if is_set || !of_member.is_empty() {
                    return wrong(format!("is set, which this kernel's {struct_name} has not"));
                }
                continue;
            };
            let (_, kernel_id) = kernel.member(kernel_struct, there);
            let (kernel_bits, kernel_width) = kernel.member_bits(kernel_struct, there);
            let kernel_type = kernel.skip_mods_and_typedefs(kernel_id);
            if width != 0 || kernel_width != 0 {
                return wrong("is a bit-field, which is not supported".into());
            }
            if ty.kind() != kernel_type.kind() {
                return wrong(format!("is of another kind in this kernel's {struct_name}"));
            }
            let at = base.saturating_add(kernel_bits / 8);
            if ty.kind() == kind::PTR {
                let to = kernel.skip_mods_and_typedefs(kernel.size_or_type(kernel_type));
                if of_member.is_empty() {
                    if is_set {
                        return wrong("is a pointer that is set, but to no program".into());
                    }
                } else if to.kind() != kind::FUNC_PROTO {
                    return wrong(format!("is no function in this kernel's {struct_name}"));
                }
                for op in of_member {
                    op.record.at = at;
                    op.place = Some(there);
                }
                continue;
            }
            let kernel_size = kernel.resolve_size(kernel_type);
            if size != kernel_size {
                let sizes = format!("has {size} bytes, {kernel_size} in");
                return wrong(format!("{sizes} this kernel's {struct_name}"));
            }
            put(&mut value, at, bytes);
        }
        Ok(value)
    }
}

/// Writes as many of these bytes as the value has there.
fn put(value: &mut [u8], at: u32, bytes: &[u8]) {
    let places = value.get_mut(at as usize..).unwrap_or_default();
    let places = places.iter_mut().zip(bytes);
    places.for_each(|(to, from)| *to = *from);
}

/// Index of a member in a struct.
fn member(btf: &Btf<'_>, of: Type, name: &[u8]) -> Option<u32> {
    (0..of.vlen()).find(|index| btf.str(btf.member(of, *index).0) == name)
}

/// Writes the places of the functions: a program has one, whatever maps it is in.
fn place(image: &Image<'_>, writer: &mut Writer, ops: &[Op]) -> Result<(), Failure> {
    let mut progs: Vec<(Prog, Option<u32>)> =
        image.progs().iter().map(|prog| (prog, None)).collect();
    for op in ops {
        let Some((prog, place)) = progs.get_mut(op.record.prog as usize) else {
            continue;
        };
        if place.is_some() && *place != op.place {
            let [name, member] =
                [prog.name, op.record.member].map(|name| String::from_utf8_lossy(image.str(name)));
            let what = format!("prog {name}: is in another member, too, than {member}");
            return Err(Failure::new(what));
        }
        *place = op.place;
        prog.attach_type = op.place.unwrap_or(prog.attach_type);
    }
    for (index, (prog, _)) in (0..).zip(progs) {
        writer.replace_prog(index, prog);
    }
    let records: Vec<StructOp> = ops.iter().map(|op| op.record).collect();
    writer.replace_struct_ops(&records);
    Ok(())
}

/// Registers the structs of the maps with the kernel: by a link those of
/// `.struct_ops.link`, else until the result is dropped, unless that is
/// [kept](Attached::keep).
///
/// # Errors
/// The first one that the kernel does not take.
pub(crate) fn attach<'l, S: Sys>(
    sys: &S,
    image: &Image<'_>,
    loaded: &'l Loaded<'_, S>,
) -> Result<Vec<Attached<'l>>, Failure> {
    let progs: Vec<i32> = loaded.progs().map(|prog| prog.fd).collect();
    let maps = (0..).zip(image.maps().iter());
    let maps = maps.filter(|(_, map)| map.flags & map_flags::TEMPLATE == 0);
    let maps = maps.zip(loaded.maps());
    let of_ops = maps.filter(|((_, map), _)| map.value_target != 0);
    let attached = of_ops.map(|((index, map), made)| {
        let name = String::from_utf8_lossy(made.name).into_owned();
        let link = map.map_flags & BPF_F_LINK != 0;
        let section = if link {
            ".struct_ops.link"
        } else {
            ".struct_ops"
        };
        let step = format!("attach map {name} of {section}");
        let failed = |what: &str, errno| Failure::errno(what, number(errno)).during(&step);
        let mut value = image.data(map.data).to_vec();
        for op in image.struct_ops().iter().filter(|op| op.map == index) {
            let fd = progs.get(op.prog as usize).copied().unwrap_or(-1);
            put(&mut value, op.at, &i64::from(fd).to_ne_bytes());
        }
        bpf::map_update_elem(sys, made.fd, &[0; 4], &value)
            .map_err(|errno| failed("update it", errno))?;
        let hold = if link {
            let fd = bpf::link_create(sys, made.fd, BPF_STRUCT_OPS);
            Hold::Link(Fd(fd.map_err(|errno| failed("create its link", errno))?))
        } else {
            Hold::Registered(Registered {
                map: Some(made.fd),
                loaded: PhantomData,
            })
        };
        Ok(Attached {
            what: What::Map,
            name,
            section: section.into(),
            hold,
        })
    });
    attached.collect()
}

/// A struct that is registered without a link. The kernel holds the map for it, so
/// that it stays when all fds and pins are gone: until its element is deleted.
#[derive(Debug)]
pub(crate) struct Registered<'l> {
    map: Option<i32>,
    /// The map's fd is the load's.
    loaded: PhantomData<&'l ()>,
}

impl Registered<'_> {
    /// Leaves it registered.
    pub(crate) fn keep(&mut self) {
        self.map = None;
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if let Some(fd) = self.map {
            // Somebody else may have been faster.
            let _ = bpf::map_delete_elem(&Linux, fd, &[0; 4]);
        }
    }
}
