// SPDX-License-Identifier: MIT OR Apache-2.0
//! CO-RE against kernel BTF: what value a relocation gets.
//!
//! Lowering has computed the local side of each relocation. Here its access
//! spec is followed by name through every candidate type of the kernel; all
//! that match must agree. The rules are those of libbpf's `relo_core.c`.

use core::cell::Cell;

use preload_image::{AccessorAt, CoreReloAt, Image, core_flags, core_kind, need};

use crate::btf::{Btf, Type, essential_len, kind};
use crate::core_match::{Pair, Relation};
use crate::error::{Error, Failed};
use crate::insn::{CorePatch, PatchError};
use crate::modules::{self, Indexed};
use crate::targets::Targets;

/// Steps from a root to a field, anonymous members included; libbpf's limit.
const STEPS: u32 = 64;

/// Kinds that ask for an enumerator, by a bit for each.
const ENUMVALS: u32 = 1 << core_kind::ENUMVAL_EXISTS | 1 << core_kind::ENUMVAL_VALUE;
/// Kinds that ask for a compatible type.
const TYPES: u32 =
    1 << core_kind::TYPE_ID_TARGET | 1 << core_kind::TYPE_EXISTS | 1 << core_kind::TYPE_SIZE;
/// Kinds that ask whether there is one, which is 1.
const EXISTS: u32 = 1 << core_kind::FIELD_EXISTS
    | 1 << core_kind::ENUMVAL_EXISTS
    | 1 << core_kind::TYPE_EXISTS
    | 1 << core_kind::TYPE_MATCHES;
/// Kinds whose value is 0 where there is none.
const QUESTIONS: u32 = EXISTS | 1 << core_kind::TYPE_ID_TARGET | 1 << core_kind::TYPE_SIZE;

/// Is a kind among these?
fn has(kinds: u32, kind: u32) -> bool {
    kinds.checked_shr(kind).unwrap_or(0) & 1 != 0
}

/// Both sides of a relocation, of one of `KINDS`: a bit for each that there is code for.
#[derive(Clone, Copy, Debug)]
pub struct Core<'x, const KINDS: u32> {
    /// The image that the relocations are of.
    pub image: &'x Image<'x>,
    /// Its BTF, and the kernel's.
    pub pair: Pair<'x>,
    /// Candidates in the latter.
    pub targets: &'x Targets<'x>,
    /// What objects need that nobody here wrote.
    pub(crate) foreign: Option<&'x Foreign<'x>>,
}

/// See [`need::FOREIGN`].
#[derive(Debug, Default)]
pub(crate) struct Foreign<'x> {
    /// Candidates that are none any more.
    pub(crate) ruled_out: RuledOut<'x>,
    /// Where candidates are that are not in vmlinux.
    pub(crate) modules: &'x [Indexed<'x>],
}

/// Candidates that no later relocation of the same local type looks at, since one
/// that some candidate fits does not fit them: so libbpf has it. Without a table,
/// as where there is only one candidate each, all stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuledOut<'x> {
    /// Type id in the image's BTF and in the kernel's.
    pairs: &'x [Cell<[u32; 2]>],
    /// How many are in use.
    len: Option<&'x Cell<u32>>,
}

impl<'x> RuledOut<'x> {
    /// A table in this memory.
    pub fn new(pairs: &'x mut [[u32; 2]], len: &'x Cell<u32>) -> Self {
        RuledOut {
            pairs: Cell::from_mut(pairs).as_slice_of_cells(),
            len: Some(len),
        }
    }

    fn len(&self) -> u32 {
        self.len.map_or(0, Cell::get)
    }

    /// Forgets what was added since there were so many.
    fn truncate(&self, to: u32) {
        if let Some(len) = self.len {
            len.set(to);
        }
    }

    /// Rules a candidate out; where there is no room it stays.
    fn add(&self, local: u32, id: u32) {
        let place = self.pairs.get(self.len() as usize);
        if let (Some(place), Some(len)) = (place, self.len) {
            place.set([local, id]);
            len.set(len.get() + 1);
        }
    }

    fn has(&self, local: u32, id: u32) -> bool {
        let mut pairs = self.pairs.iter().take(self.len() as usize);
        pairs.any(|pair| pair.get() == [local, id])
    }
}

/// A spec followed through one candidate: where it has got to, and how.
#[derive(Clone, Copy, Default)]
struct Spec {
    /// From the root, in bits.
    bit_offset: u64,
    /// Steps so far.
    steps: u32,
    /// The type there.
    at: Type,
    /// The struct of the last step, and the member's index in it; void: no member.
    of: Type,
    index: u32,
}

impl<'x, const KINDS: u32> Core<'x, KINDS> {
    /// Is a relocation of one of these kinds? Where none or all of `KINDS` are
    /// among them, the answer is known when this is compiled.
    #[inline(always)]
    fn is(relo: CoreReloAt<'_>, kinds: u32) -> bool {
        let wanted = KINDS & kinds;
        wanted == KINDS || wanted != 0 && has(wanted, relo.kind())
    }

    fn kernel(&self) -> &'x Btf<'x> {
        self.pair.kernel
    }

    /// The same with that BTF as the kernel's in which a candidate is, and its id there.
    #[inline(always)]
    pub(crate) fn within(&self, candidate: u32) -> (Self, u32) {
        let mut core = *self;
        if KINDS & need::FOREIGN == 0 {
            return (core, candidate);
        }
        let (number, id) = modules::split(candidate);
        if let Some((_, btf)) = self.module(number) {
            core.pair.kernel = btf;
        }
        (core, id)
    }

    /// The module with this number; vmlinux is none.
    pub(crate) fn module(&self, number: u32) -> Option<&'x (modules::Module<'x>, Btf<'x>)> {
        let module = self.foreign?.modules.get(number.checked_sub(1)? as usize)?;
        module.as_ref()
    }

    /// Was all BTF right that has been read?
    ///
    /// # Errors
    /// The first thing that was not.
    pub fn check(&self, error: &mut Error) -> Result<(), Failed> {
        error.check(self.pair.kernel)?;
        if KINDS & need::FOREIGN != 0 {
            let modules = self.foreign.map_or(&[][..], |foreign| foreign.modules);
            for (_, btf) in modules.iter().flatten() {
                error.check(btf)?;
            }
        }
        error.check(self.pair.local)
    }

    /// What to patch an instruction with; false if the kernel has no such thing,
    /// and the instruction must not be reached.
    ///
    /// # Errors
    /// If candidates differ, or the field has no such value. What is wrong with
    /// BTF is left to [`Core::check`].
    #[inline(never)]
    pub fn resolve(&self, relo: CoreReloAt<'_>, patch: &mut CorePatch) -> Result<bool, PatchError> {
        if !has(KINDS, relo.kind()) {
            return Err(PatchError::Kind);
        }
        if Self::is(relo, 1 << core_kind::TYPE_ID_LOCAL) {
            patch.value = u64::from(relo.type_id());
            return Ok(true);
        }
        let foreign = self.foreign.filter(|_| KINDS & need::FOREIGN != 0);
        let ruled_out = foreign.map_or(0, |f| f.ruled_out.len());
        let mut found: Option<(u64, u64)> = None;
        for candidate in self.targets.candidates(relo.target().wrapping_sub(1)) {
            if foreign.is_some_and(|f| f.ruled_out.has(relo.type_id(), candidate)) {
                continue;
            }
            let (there, id) = self.within(candidate);
            let core = if foreign.is_some() { &there } else { self };
            let mut spec = Spec::default();
            if !core.follow(relo, id, &mut spec, patch) {
                if let Some(foreign) = foreign {
                    foreign.ruled_out.add(relo.type_id(), candidate);
                }
                continue;
            }
            if !core.value(relo, id, &spec, patch) {
                return Err(PatchError::Form);
            }
            let value = (spec.bit_offset, patch.value);
            if *found.get_or_insert(value) != value {
                return Err(PatchError::Ambiguous);
            }
        }
        if let Some(foreign) = foreign.filter(|_| found.is_none()) {
            foreign.ruled_out.truncate(ruled_out);
        }
        // Where nothing matches, questions are answered with no.
        patch.value = found.map_or(0, |(_, value)| value);
        Ok(found.is_some() || Self::is(relo, QUESTIONS))
    }

    /// Follows the spec through candidate `id`; false if it does not match.
    fn follow(
        &self,
        relo: CoreReloAt<'_>,
        id: u32,
        spec: &mut Spec,
        patch: &mut CorePatch,
    ) -> bool {
        if Self::is(relo, ENUMVALS) {
            self.enumerator(relo, id, patch)
        } else if Self::is(relo, 1 << core_kind::TYPE_MATCHES) {
            self.pair.related(Relation::TypesMatch, relo.type_id(), id)
        } else if Self::is(relo, TYPES) {
            self.pair.related(Relation::TypesCompat, relo.type_id(), id)
        } else {
            self.field(relo, id, spec)
        }
    }

    /// Finds the enumerator, and takes its value. The image has its name without flavor.
    fn enumerator(&self, relo: CoreReloAt<'_>, id: u32, patch: &mut CorePatch) -> bool {
        let t = self.kernel().skip_mods_and_typedefs(id);
        let wanted = self.image.accessor(relo.accessors(), 0).unwrap_or_default();
        let wanted = self.image.str(wanted.name());
        t.is_enum()
            && (0..t.vlen()).any(|i| {
                let (name, value) = self.kernel().enumerator(t, i);
                patch.value = value;
                let name = self.kernel().str(name);
                self.kernel().spend() && name.get(..essential_len(name)) == Some(wanted)
            })
    }

    #[inline(never)]
    fn field(&self, relo: CoreReloAt<'_>, id: u32, spec: &mut Spec) -> bool {
        let kernel = self.kernel();
        spec.at = kernel.skip_mods_and_typedefs(id);
        for step in 0..relo.accessors().len {
            let accessor = self
                .image
                .accessor(relo.accessors(), step)
                .unwrap_or_default();
            if !self.image.str(accessor.name()).is_empty() {
                if !self.member(accessor, spec.at, spec) {
                    return false;
                }
                continue;
            }
            spec.steps += 1;
            // The root stands for an element of the array that it was reached through.
            if step > 0 {
                let (element, nelems) = kernel.array(spec.at);
                let flexible = nelems == 0 && spec.index + 1 == spec.of.vlen();
                let within = flexible || accessor.index() < nelems;
                if spec.at.kind() != kind::ARRAY || !within {
                    return false;
                }
                spec.at = kernel.skip_mods_and_typedefs(element);
            }
            let bits = kernel.resolve_size(spec.at).wrapping_mul(8);
            let skipped = u64::from(accessor.index()).wrapping_mul(bits);
            spec.bit_offset = spec.bit_offset.wrapping_add(skipped);
            spec.of = Type::default();
        }
        true
    }

    /// Steps to the accessor's member of a kernel type, anonymous members included.
    #[inline(never)]
    fn member(&self, accessor: AccessorAt<'_>, t: Type, spec: &mut Spec) -> bool {
        let kernel = self.kernel();
        if !t.is_composite() {
            return false;
        }
        if spec.steps >= STEPS {
            kernel.fault("nesting", STEPS);
            return false;
        }
        spec.steps += 1;
        let wanted = self.image.str(accessor.name());
        for index in 0..t.vlen() {
            if !kernel.spend() {
                break;
            }
            let (name, id) = kernel.member(t, index);
            // Most members differ in their first letter: nothing else is read of those.
            let first = kernel.letter(name);
            if first != 0 && wanted.first() != Some(&first) {
                continue;
            }
            let bits = kernel.member_bits(t, index).0;
            if first == 0 {
                let within = kernel.skip_mods_and_typedefs(id);
                if self.member(accessor, within, spec) {
                    spec.bit_offset = spec.bit_offset.wrapping_add(u64::from(bits));
                    return true;
                }
            } else if kernel.str(name) == wanted {
                spec.bit_offset = spec.bit_offset.wrapping_add(u64::from(bits));
                (spec.of, spec.index) = (t, index);
                spec.at = kernel.skip_mods_and_typedefs(id);
                return self
                    .pair
                    .related(Relation::FieldsCompat, accessor.type_id(), id);
            }
        }
        spec.steps -= 1;
        false
    }

    /// The value of a spec that was followed; false if there is none.
    #[inline(never)]
    fn value(&self, relo: CoreReloAt<'_>, id: u32, spec: &Spec, patch: &mut CorePatch) -> bool {
        let kernel = self.kernel();
        if Self::is(relo, 1 << core_kind::ENUMVAL_VALUE) {
            return true;
        }
        patch.value = if Self::is(relo, EXISTS) {
            1
        } else if Self::is(relo, 1 << core_kind::TYPE_ID_TARGET) {
            u64::from(id)
        } else if Self::is(relo, 1 << core_kind::TYPE_SIZE) {
            kernel.resolve_size(kernel.skip_mods_and_typedefs(id))
        } else {
            return self.field_value(relo, spec, patch);
        };
        true
    }

    /// The value that a relocation takes from a field.
    fn field_value(&self, relo: CoreReloAt<'_>, spec: &Spec, patch: &mut CorePatch) -> bool {
        let kernel = self.kernel();
        let (_, bitfield) = kernel.member_bits(spec.of, spec.index);
        let bitfield = if spec.of.kind() == kind::UNKN {
            0
        } else {
            bitfield
        };
        let mut size = kernel.resolve_size(spec.at);
        let mut offset = spec.bit_offset / 8;
        let mut bits = size.wrapping_mul(8);
        if bitfield > 0 {
            // The smallest aligned load, from the declared type's size up, that
            // has all of it; 64 bits must do.
            bits = u64::from(bitfield);
            let end = spec.bit_offset.saturating_add(bits);
            loop {
                let Some(start) = (spec.bit_offset / 8).checked_div(size) else {
                    return false;
                };
                offset = start * size;
                if end - offset * 8 <= size * 8 {
                    break;
                }
                if size >= 8 {
                    return false;
                }
                size *= 2;
            }
        }
        // What asks whether the field exists does not come here; with its kind in
        // the set, KINDS that have no others make the answer known when compiled.
        patch.value = if Self::is(relo, 1 << core_kind::FIELD_BYTE_OFFSET | EXISTS) {
            // A load can be made no load of a bit-field: there is no size of it.
            (patch.sizes, patch.resizable) = ((relo.local_size(), 0), false);
            if bitfield == 0 {
                self.set_sizes(relo, spec.at, patch);
            }
            offset
        } else if Self::is(relo, 1 << core_kind::FIELD_BYTE_SIZE) {
            size
        } else if spec.of.kind() == kind::UNKN {
            // An array's element has no more than that.
            return false;
        } else if Self::is(relo, 1 << core_kind::FIELD_SIGNED) {
            let t = spec.at;
            u64::from(t.is_enum() && t.kflag() || kernel.is_signed_int(t))
        } else {
            // A field wider than 64 bits wraps as in libbpf, at 32 bits.
            let end = spec.bit_offset.wrapping_add(bits);
            let width = if Self::is(relo, 1 << core_kind::FIELD_LSHIFT_U64) {
                end.wrapping_sub(offset.wrapping_mul(8))
            } else {
                bits
            };
            u64::from(64u32.wrapping_sub(width as u32))
        };
        true
    }

    /// Sizes that a load of the field moves, and whether they may differ.
    fn set_sizes(&self, relo: CoreReloAt<'_>, t: Type, patch: &mut CorePatch) {
        let kernel = self.kernel();
        // An array is loaded by its elements.
        let mut element = t;
        while element.kind() == kind::ARRAY && kernel.spend() {
            element = kernel.skip_mods_and_typedefs(kernel.array(element).0);
        }
        patch.sizes = (relo.local_size(), kernel.resolve_size(element) as u32);
        patch.resizable = match t.kind() {
            kind::PTR => relo.flags() & core_flags::LOCAL_PTR != 0,
            kind::INT => relo.flags() & core_flags::LOCAL_UNSIGNED != 0 && !kernel.is_signed_int(t),
            _ => false,
        };
    }
}
