// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image: every part put into its records, with the ids of the new BTF.
//!
//! Two passes: the first collects what is referred to in BTF, the second writes.
//! Records come in the order of the object, so that equal objects give equal
//! images; nothing is ever written in the order of a hash.

use std::collections::HashMap;

use preload_image::{
    self as image, Accessor, Object, Relo, Slot, Span, Str, StructOp, Target, Writer, extern_flags,
    kconfig_flags, map_flags, object_flags, relo_kind, target_kind,
};

use crate::btf::{Btf, kind};
use crate::compact::{Compact, MAX_BYTES};
use crate::core_relo::CoreRelo;
use crate::core_spec::Step;
use crate::error::{LowerError, Result};
use crate::externs::{Extern, What};
use crate::func::Reference;
use crate::maps::Map;
use crate::prog::Prog;

/// Everything that an image is made of.
pub(crate) struct Parts<'p, 'a> {
    pub(crate) name: &'p str,
    pub(crate) license: &'p [u8],
    pub(crate) btf: &'p Btf<'a>,
    pub(crate) maps: &'p [Map<'a>],
    pub(crate) externs: &'p [Extern<'a>],
    pub(crate) progs: &'p [Prog<'p>],
    /// Without line_info, and with as little BTF as will do.
    pub(crate) bare: bool,
}

impl Parts<'_, '_> {
    pub(crate) fn image(&self) -> Result<Vec<u8>> {
        let mut emit = Emit {
            btf: self.btf,
            compact: self.compact(),
            writer: Writer::default(),
            specs: HashMap::new(),
            bare: self.bare,
        };
        if emit.compact.bytes.len() > MAX_BYTES {
            let what = format!("BTF of more than {MAX_BYTES} bytes, which no kernel takes");
            return Err(LowerError::new(what).section(".BTF"));
        }
        let object = Object {
            name: emit.str(self.name.as_bytes()),
            license: emit.str(self.license),
            flags: self.flags(),
        };
        emit.writer.object(object);
        // Templates last: what refers to maps by index counts the maps alone.
        let mut templates = self.maps.len() as u32;
        let mut kconfig_data = Span::default();
        for map in self.maps {
            let template = map.inner.as_ref().map(|_| templates);
            let data = emit.map(map, template);
            if map.is_kconfig() {
                kconfig_data = data;
            }
            templates += u32::from(template.is_some());
        }
        for map in self.maps.iter().filter_map(|map| map.inner.as_deref()) {
            emit.template(map);
        }
        self.externs
            .iter()
            .for_each(|ext| emit.ext(ext, kconfig_data));
        self.progs.iter().for_each(|prog| emit.prog(prog));
        for (index, map) in (0..).zip(self.maps) {
            for (member, prog) in &map.ops {
                let member = emit.str(member);
                emit.writer.struct_op(StructOp {
                    map: index,
                    member,
                    prog: *prog,
                    at: 0,
                });
            }
        }
        emit.writer.btf(std::mem::take(&mut emit.compact.bytes));
        emit.writer.finish().map_err(|e| {
            let what = format!("image does not fit together: {} at {:#x}", e.what, e.offset);
            LowerError::new(what)
        })
    }

    /// Is anything left to the machine on which the image is loaded?
    fn flags(&self) -> u32 {
        let maps = self.maps.iter();
        let mut counted = maps.flat_map(|map| [Some(map), map.inner.as_deref()]);
        let host = |e: &Extern| e.is_address() || e.kconfig().is_some();
        let ops = self.maps.iter().any(|map| map.ops_type_id != 0);
        if ops
            || self.externs.iter().any(host)
            || counted.any(|m| m.is_some_and(Map::entry_per_cpu))
        {
            object_flags::INCOMPLETE
        } else {
            0
        }
    }

    /// Collects what the image refers to in BTF.
    fn compact(&self) -> Compact {
        let mut whole = Vec::new();
        let mut roots = Vec::new();
        let mut texts = Vec::new();
        // Of constants only people want to know the types.
        for map in self.maps.iter().filter(|map| !(self.bare && map.freeze)) {
            whole.extend([map.key_type_id, map.value_type_id]);
            if let Some(inner) = &map.inner {
                whole.extend([inner.key_type_id, inner.value_type_id]);
            }
        }
        // These are compared with the kernel's.
        whole.extend(self.externs.iter().map(|e| match e.what {
            What::Ksym { type_id, .. } => type_id,
            What::Kconfig(_) => 0,
        }));
        for linked in self.progs.iter().map(|p| &p.linked) {
            roots.extend(linked.func_info.iter().map(|(_, id)| *id));
            for (_, relo) in &linked.core_relos {
                match relo.kind {
                    image::core_kind::TYPE_MATCHES => whole.push(relo.root),
                    _ => roots.push(relo.root),
                }
                roots.extend(relo.steps.iter().map(|step| match step {
                    Step::Member { type_id, .. } => *type_id,
                    _ => 0,
                }));
            }
            if !self.bare {
                let lines = linked.line_info.iter();
                texts.extend(lines.flat_map(|(_, [file, text, _])| [*file, *text]));
            }
        }
        if !self.bare {
            whole.append(&mut roots);
        }
        Compact::new(self.btf, &whole, &roots, &texts)
    }
}

struct Emit<'e, 'a> {
    btf: &'e Btf<'a>,
    compact: Compact,
    writer: Writer,
    /// Specs written already: records of one access share theirs.
    specs: HashMap<Vec<[u32; 3]>, Span>,
    bare: bool,
}

impl Emit<'_, '_> {
    fn str(&mut self, string: &[u8]) -> Str {
        self.writer.str(string)
    }

    fn target(&mut self, name: &[u8], kind: u32) -> u32 {
        let name = self.str(name);
        self.writer.target(Target { name, kind })
    }

    /// Writes a map; gives the place of its data.
    fn map(&mut self, map: &Map, template: Option<u32>) -> Span {
        let record = self.map_record(map);
        let slots = map.slots.iter().map(|&(key, index)| Slot { key, index });
        let slots = self.writer.slots(&slots.collect::<Vec<_>>());
        let inner = template.map_or(0, |index| 1 + index);
        self.writer.map(image::Map {
            inner,
            slots,
            ..record
        });
        record.data
    }

    /// What the maps in another one are like.
    fn template(&mut self, map: &Map) {
        let mut record = self.map_record(map);
        record.flags |= map_flags::TEMPLATE;
        self.writer.map(record);
    }

    /// The type of a struct_ops map's value is the kernel's, around the struct itself.
    fn value_target(&mut self, map: &Map) -> u32 {
        if map.ops_type_id == 0 {
            return 0;
        }
        let name = essential_name(self.btf.name(map.ops_type_id));
        let name = [b"bpf_struct_ops_", name].concat();
        1 + self.target(&name, target_kind::EXACT | kind::STRUCT)
    }

    fn map_record(&mut self, map: &Map) -> image::Map {
        let mut flags = 0;
        for (bit, set) in [
            (map_flags::FREEZE, map.freeze),
            (map_flags::PIN_BY_NAME, map.pinned),
            (map_flags::ENTRY_PER_CPU, map.entry_per_cpu()),
        ] {
            flags |= if set { bit } else { 0 };
        }
        image::Map {
            name: self.str(map.name.as_bytes()),
            map_type: map.map_type,
            key_size: map.key_size,
            value_size: map.value_size,
            max_entries: map.max_entries,
            map_flags: map.map_flags,
            btf_key_type_id: self.compact.id(map.key_type_id),
            btf_value_type_id: self.compact.id(map.value_type_id),
            data: self.writer.data(&map.data),
            flags,
            numa_node: map.numa_node,
            map_extra: map.map_extra,
            inner: 0,
            slots: Span::default(),
            value_target: self.value_target(map),
        }
    }

    /// Weak or strong is for the executor to act on: it alone knows what is missing.
    fn ext(&mut self, ext: &Extern, kconfig_data: Span) {
        let name = self.str(ext.name.as_bytes());
        match &ext.what {
            What::Ksym { kind, type_id } => {
                let essential = essential_name(ext.name.as_bytes());
                let target = match type_id {
                    0 => 0,
                    _ => 1 + self.target(essential, target_kind::EXACT | kind),
                };
                self.writer.extern_(image::Extern {
                    name,
                    target,
                    type_id: self.compact.id(*type_id),
                    flags: if ext.weak { extern_flags::WEAK } else { 0 },
                    address: 0,
                });
            }
            What::Kconfig(kconfig) => {
                let weak = if ext.weak { kconfig_flags::WEAK } else { 0 };
                let signed = if kconfig.signed {
                    kconfig_flags::SIGNED
                } else {
                    0
                };
                self.writer.kconfig(image::Kconfig {
                    name,
                    value: Span {
                        start: kconfig_data.start + kconfig.offset,
                        len: kconfig.size,
                    },
                    kind: kconfig.kind,
                    flags: weak | signed,
                });
            }
        }
    }

    fn prog(&mut self, prog: &Prog) {
        let linked = &prog.linked;
        let mut insns = linked.insns.clone();
        let mut core_relos = Vec::new();
        for (insn, relo) in &linked.core_relos {
            let record = self.core_relo(*insn, relo);
            // Ids in instructions are those of the old BTF.
            if relo.is_type_id() {
                CoreRelo::write_type_id(&mut insns, *insn, record.type_id);
            }
            core_relos.push(record);
        }
        let mut references = linked.references.clone();
        references.sort_by_key(|(insn, _)| *insn);
        let relos: Vec<Relo> = references
            .iter()
            .filter_map(|(insn, reference)| {
                let (kind, index) = match reference {
                    Reference::Map(i) => (relo_kind::MAP, *i),
                    Reference::ExternLd64(i) => (relo_kind::EXTERN_LD64, *i),
                    Reference::ExternCall(i) => (relo_kind::EXTERN_CALL, *i),
                    Reference::Address(i) => (relo_kind::ADDRESS, *i),
                    Reference::Call(_) | Reference::FuncAddress(_) => return None,
                };
                Some(Relo {
                    insn: *insn,
                    kind,
                    index,
                })
            })
            .collect();
        let mut func_info = Vec::new();
        for (insn, id) in &linked.func_info {
            put_words(&mut func_info, [*insn, self.compact.id(*id)]);
        }
        // File name and text are strings of BTF, which have moved.
        let mut line_info = Vec::new();
        for (insn, [file, text, place]) in linked.line_info.iter().filter(|_| !self.bare) {
            let moved = |offset| self.compact.text(offset);
            put_words(&mut line_info, [*insn, moved(*file), moved(*text), *place]);
        }
        let insns: Vec<[u8; 8]> = insns.iter().map(|insn| insn.bytes()).collect();
        let attach_target = match &prog.sec.target {
            Some((name, kind)) => 1 + self.target(name.as_bytes(), target_kind::EXACT | kind),
            None => 0,
        };
        let record = image::Prog {
            name: self.str(prog.name.as_bytes()),
            link_name: self.str(&prog.link_name),
            prog_type: prog.sec.prog_type,
            attach_type: prog.sec.attach_type,
            prog_flags: prog.sec.prog_flags,
            attach_target,
            insns: self.writer.insns(insns.as_flattened()),
            relos: self.writer.relos(&relos),
            core_relos: self.writer.core_relos(&core_relos),
            func_info: self.writer.func_info(&func_info),
            line_info: self.writer.line_info(&line_info),
            section: match self.bare {
                true => Str::default(),
                false => self.str(prog.section.as_bytes()),
            },
        };
        self.writer.prog(record);
    }

    fn core_relo(&mut self, insn: u32, relo: &CoreRelo) -> image::CoreRelo {
        let accessors = relo.steps.iter().map(|step| match *step {
            Step::Array { index, .. } => [0, index, 0],
            Step::Member {
                name,
                index,
                type_id,
                ..
            } => {
                let name = self.str(self.btf.str(name)).0;
                [name, index, self.compact.id(type_id)]
            }
            Step::Enumerator { name, index, .. } => {
                let name = self.str(essential_name(self.btf.str(name))).0;
                [name, index, 0]
            }
        });
        let spec: Vec<[u32; 3]> = accessors.collect();
        let accessors = match self.specs.get(&spec) {
            Some(known) => *known,
            None => {
                let records = spec.iter().map(|&[name, index, type_id]| Accessor {
                    name: Str(name),
                    index,
                    type_id,
                });
                let span = self.writer.accessors(&records.collect::<Vec<_>>());
                self.specs.insert(spec, span);
                span
            }
        };
        let name = essential_name(self.btf.name(relo.root));
        let root_kind = match self.btf.ty(relo.root).kind() {
            kind::ENUM64 => kind::ENUM,
            other => other,
        };
        let target = match relo.kind {
            image::core_kind::TYPE_ID_LOCAL => 0,
            _ => 1 + self.target(name, target_kind::CORE | root_kind),
        };
        let type_id = self.compact.id(relo.root);
        let record = image::CoreRelo {
            insn,
            kind: relo.kind,
            type_id,
            target,
            accessors,
            local_size: relo.load_size,
            flags: relo.flags & !image::core_flags::VALIDATE,
            ..image::CoreRelo::default()
        };
        if self.bare {
            return record;
        }
        image::CoreRelo {
            access_str: self.str(self.btf.str(relo.access)),
            local_value: if relo.is_type_id() {
                u64::from(type_id)
            } else {
                relo.value
            },
            local_bit_offset: relo.bit_offset,
            flags: relo.flags,
            ..record
        }
    }
}

/// Appends the words of a record.
fn put_words<const N: usize>(bytes: &mut Vec<u8>, words: [u32; N]) {
    bytes.extend_from_slice(words.map(u32::to_le_bytes).as_flattened());
}

/// A name without its flavor: `task_struct___v5` is another view of `task_struct`.
pub(crate) fn essential_name(name: &[u8]) -> &[u8] {
    let flavor = name.windows(5).rposition(|w| match w {
        [before, b'_', b'_', b'_', after] => *before != b'_' && *after != b'_',
        _ => false,
    });
    flavor.and_then(|at| name.get(..=at)).unwrap_or(name)
}
