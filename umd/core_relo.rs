// SPDX-License-Identifier: MIT OR Apache-2.0
//! CO-RE against kernel BTF: what value a relocation gets.
//!
//! Lowering has computed the local side of each relocation. Here its access
//! spec is followed by name through every candidate type of the kernel; all
//! that match must agree. The rules are those of libbpf's `relo_core.c`.

use preload_image::{Accessor, CoreRelo, Image, core_flags, core_kind};

use crate::btf::{Btf, BtfError, Member, Type, essential, kind};
use crate::core_match::Pair;
use crate::insn::CorePatch;
use crate::targets::Targets;

/// Anonymous members within each other that a name is searched in.
const DEPTH: u32 = 32;

/// What becomes of the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is patched.
    Patch(CorePatch),
    /// The kernel has no such thing: it must not be reached.
    Poison,
}

/// Why there is no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreError {
    /// BTF makes no sense.
    Btf(BtfError),
    /// Candidates give different values.
    Ambiguous,
    /// The field is of a kind that this relocation has no value for.
    Unfit,
}

impl From<BtfError> for CoreError {
    fn from(error: BtfError) -> Self {
        CoreError::Btf(error)
    }
}

/// Both sides of a relocation.
#[derive(Clone, Copy, Debug)]
pub struct Core<'x> {
    /// The image that the relocations are of.
    pub image: &'x Image<'x>,
    /// Its BTF.
    pub local: &'x Btf<'x>,
    /// Kernel BTF.
    pub kernel: &'x Btf<'x>,
    /// Candidates in it.
    pub targets: &'x Targets<'x>,
}

/// What a spec ends at, in the kernel.
#[derive(Clone, Copy)]
enum Leaf<'x> {
    /// The root, or an array's element.
    Element(u32),
    /// A member of a struct or union, by its index.
    Member(Type<'x>, u32, Member),
    /// The value of an enumerator.
    Enumerator(u64),
}

/// A spec followed through one candidate.
struct Spec<'x> {
    bit_offset: u64,
    leaf: Leaf<'x>,
}

impl<'x> Core<'x> {
    /// Was all BTF right that has been read?
    ///
    /// # Errors
    /// The first thing that was not.
    pub fn check(&self) -> Result<(), BtfError> {
        self.kernel.check().and(self.local.check())
    }

    /// The outcome of one relocation.
    ///
    /// # Errors
    /// See [`CoreError`].
    #[inline(never)]
    pub fn resolve(&self, relo: &CoreRelo) -> Result<Outcome, CoreError> {
        if relo.kind == core_kind::TYPE_ID_LOCAL {
            return Ok(Outcome::Patch(CorePatch {
                expected: None,
                value: u64::from(relo.type_id),
                sizes: (0, 0),
                resizable: false,
            }));
        }
        let mut found: Option<(u64, CorePatch)> = None;
        for id in self.targets.candidates(relo.target.wrapping_sub(1)) {
            let Some(spec) = self.follow(relo, id) else {
                continue;
            };
            let patch = self.patch(relo, &spec, id).ok_or(CoreError::Unfit)?;
            if let Some((bit_offset, other)) = found
                && (bit_offset != spec.bit_offset || other.value != patch.value)
            {
                return Err(CoreError::Ambiguous);
            }
            found = Some((spec.bit_offset, patch));
        }
        self.check()?;
        Ok(match found {
            Some((_, patch)) => Outcome::Patch(patch),
            None => missing(relo),
        })
    }

    /// Follows the spec through candidate `id`, if it matches.
    #[inline(never)]
    fn follow(&self, relo: &CoreRelo, id: u32) -> Option<Spec<'x>> {
        let root = Spec {
            bit_offset: 0,
            leaf: Leaf::Element(id),
        };
        let pair = Pair::new(self.local, self.kernel);
        match relo.kind {
            core_kind::TYPE_ID_TARGET | core_kind::TYPE_EXISTS | core_kind::TYPE_SIZE => {
                pair.types_compat(relo.type_id, id).then_some(root)
            }
            core_kind::TYPE_MATCHES => pair.types_match(relo.type_id, id, false).then_some(root),
            core_kind::ENUMVAL_EXISTS | core_kind::ENUMVAL_VALUE => self.enumerator(relo, id),
            _ => self.field(relo, root),
        }
    }

    fn enumerator(&self, relo: &CoreRelo, id: u32) -> Option<Spec<'x>> {
        let wanted = self.image.accessors(relo).get(0)?;
        let wanted = essential(self.image.str(wanted.name));
        let mut enumerators = self.kernel.skip_mods_and_typedefs(id).enumerators();
        let (_, value) = enumerators.find(|(name_off, _)| {
            let name = self.kernel.name(*name_off);
            self.kernel.spend() && essential(name) == wanted
        })?;
        Some(Spec {
            bit_offset: 0,
            leaf: Leaf::Enumerator(value),
        })
    }

    #[inline(never)]
    fn field(&self, relo: &CoreRelo, mut spec: Spec<'x>) -> Option<Spec<'x>> {
        for (step, accessor) in self.image.accessors(relo).iter().enumerate() {
            let from = match &spec.leaf {
                Leaf::Element(id) => *id,
                Leaf::Member(_, _, member) => member.type_id,
                Leaf::Enumerator(_) => return None,
            };
            let t = self.kernel.skip_mods_and_typedefs(from);
            if !self.image.str(accessor.name).is_empty() {
                let member = self.member(&accessor, &t, DEPTH)?;
                spec.bit_offset = spec.bit_offset.wrapping_add(member.bit_offset);
                spec.leaf = member.leaf;
                continue;
            }
            // The root stands for an element of the array that it was reached through.
            let mut element = t.id;
            if step > 0 {
                let array = t.array();
                let flexible = array.nelems == 0
                    && matches!(&spec.leaf, Leaf::Member(t, index, _) if index + 1 == t.vlen());
                if t.kind() != kind::ARRAY || !flexible && accessor.index >= array.nelems {
                    return None;
                }
                element = self.kernel.skip_mods_and_typedefs(array.type_id).id;
            }
            let bits = self.kernel.resolve_size(element).wrapping_mul(8);
            let skipped = u64::from(accessor.index).wrapping_mul(bits);
            spec.bit_offset = spec.bit_offset.wrapping_add(skipped);
            spec.leaf = Leaf::Element(element);
        }
        Some(spec)
    }

    /// Finds the accessor's member in a kernel type, anonymous members included.
    fn member(&self, accessor: &Accessor, t: &Type<'x>, depth: u32) -> Option<Spec<'x>> {
        for (index, member) in (0..).zip(t.members()) {
            let name = self.kernel.name(member.name_off);
            if !self.kernel.spend() {
                break;
            }
            if name.is_empty() && depth > 0 {
                let within = self.kernel.skip_mods_and_typedefs(member.type_id);
                if let Some(mut found) = self.member(accessor, &within, depth - 1) {
                    let outer = u64::from(member.bit_offset);
                    found.bit_offset = found.bit_offset.wrapping_add(outer);
                    return Some(found);
                }
            } else if name == self.image.str(accessor.name) {
                let pair = Pair::new(self.local, self.kernel);
                let compat = pair.fields_compat(accessor.type_id, member.type_id);
                return compat.then_some(Spec {
                    bit_offset: u64::from(member.bit_offset),
                    leaf: Leaf::Member(*t, index, member),
                });
            }
        }
        None
    }

    /// The value of a spec that was found.
    #[inline(never)]
    fn patch(&self, relo: &CoreRelo, spec: &Spec<'x>, root: u32) -> Option<CorePatch> {
        let mut patch = CorePatch {
            expected: expected(relo),
            value: 0,
            sizes: (0, 0),
            resizable: false,
        };
        patch.value = match (relo.kind, &spec.leaf) {
            (core_kind::FIELD_EXISTS | core_kind::TYPE_EXISTS, _) => 1,
            (core_kind::TYPE_MATCHES | core_kind::ENUMVAL_EXISTS, _) => 1,
            (core_kind::TYPE_ID_TARGET, _) => u64::from(root),
            (core_kind::TYPE_SIZE, _) => self.kernel.resolve_size(root),
            (core_kind::ENUMVAL_VALUE, Leaf::Enumerator(value)) => *value,
            (core_kind::FIELD_BYTE_SIZE, Leaf::Element(id)) => self.kernel.resolve_size(*id),
            (core_kind::FIELD_BYTE_OFFSET, Leaf::Element(id)) => {
                self.set_sizes(relo, *id, &mut patch);
                spec.bit_offset / 8
            }
            (_, Leaf::Member(_, _, member)) => {
                self.member_value(relo, spec.bit_offset, member, &mut patch)?
            }
            _ => return None,
        };
        Some(patch)
    }

    /// The value that a field relocation takes from a named member.
    fn member_value(
        &self,
        relo: &CoreRelo,
        bit_offset: u64,
        member: &Member,
        patch: &mut CorePatch,
    ) -> Option<u64> {
        let field = self.kernel.skip_mods_and_typedefs(member.type_id);
        let bitfield = member.bitfield_size > 0;
        let (byte_offset, byte_size, bit_size) = if bitfield {
            let bit_size = u64::from(member.bitfield_size);
            let (offset, size) = bitfield_load(bit_offset, bit_size, u64::from(field.size()))?;
            (offset, size, bit_size)
        } else {
            let size = self.kernel.resolve_size(field.id);
            (bit_offset / 8, size, size.wrapping_mul(8))
        };
        Some(match relo.kind {
            core_kind::FIELD_BYTE_OFFSET => {
                if !bitfield {
                    self.set_sizes(relo, field.id, patch);
                }
                byte_offset
            }
            core_kind::FIELD_BYTE_SIZE => byte_size,
            core_kind::FIELD_SIGNED => {
                u64::from(field.is_enum() && field.kflag() || field.is_signed_int())
            }
            core_kind::FIELD_LSHIFT_U64 => {
                let end = bit_offset.wrapping_add(bit_size);
                64u64.wrapping_sub(end.wrapping_sub(byte_offset.wrapping_mul(8)))
            }
            core_kind::FIELD_RSHIFT_U64 => 64u64.wrapping_sub(bit_size),
            _ => return None,
        })
    }

    /// Sizes that a load of the field moves, and whether they may differ.
    #[inline(never)]
    fn set_sizes(&self, relo: &CoreRelo, id: u32, patch: &mut CorePatch) {
        let field = self.kernel.skip_mods_and_typedefs(id);
        // An array is loaded by its elements.
        let mut element = field;
        while element.kind() == kind::ARRAY && self.kernel.spend() {
            element = self.kernel.skip_mods_and_typedefs(element.array().type_id);
        }
        patch.sizes = (relo.local_size, self.kernel.resolve_size(element.id) as u32);
        patch.resizable = match field.kind() {
            kind::PTR => relo.flags & core_flags::LOCAL_PTR != 0,
            kind::INT => relo.flags & core_flags::LOCAL_UNSIGNED != 0 && !field.is_signed_int(),
            _ => false,
        };
    }
}

/// The value that the instruction must hold before, if that is certain.
fn expected(relo: &CoreRelo) -> Option<u64> {
    (relo.flags & core_flags::VALIDATE != 0).then_some(relo.local_value)
}

/// The outcome where no candidate matches: questions are answered with no.
fn missing(relo: &CoreRelo) -> Outcome {
    match relo.kind {
        core_kind::FIELD_EXISTS
        | core_kind::TYPE_ID_TARGET
        | core_kind::TYPE_EXISTS
        | core_kind::TYPE_SIZE
        | core_kind::TYPE_MATCHES
        | core_kind::ENUMVAL_EXISTS => Outcome::Patch(CorePatch {
            expected: expected(relo),
            value: 0,
            sizes: (0, 0),
            resizable: false,
        }),
        _ => Outcome::Poison,
    }
}

/// Offset and size in bytes of the smallest aligned load, from the declared
/// type's size up, that has all of a bit-field; 64 bits must do.
fn bitfield_load(bit_offset: u64, bit_size: u64, declared: u64) -> Option<(u64, u64)> {
    let end = bit_offset.checked_add(bit_size)?;
    let mut size = declared;
    while matches!(size, 1..=8) {
        let offset = bit_offset / 8 / size * size;
        if end - offset * 8 <= size * 8 {
            return Some((offset, size));
        }
        size *= 2;
    }
    None
}
