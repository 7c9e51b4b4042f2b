// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a local and a kernel type are the same for CO-RE: three relations, of
//! increasing strictness, with the rules of libbpf's `relo_core.c`. Each skips
//! modifiers and typedefs on both sides. Faults in the BTF of either side are
//! remembered there, for the caller to check.

use crate::btf::{Btf, Member, Type, essential, kind};

/// Types within types that are followed; deeper is a fault.
const DEPTH: u32 = 32;

fn same_essential(a: &[u8], b: &[u8]) -> bool {
    essential(a) == essential(b)
}

/// A local and a kernel BTF, and how deep the comparison has got.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'x> {
    local: &'x Btf<'x>,
    kernel: &'x Btf<'x>,
    depth: u32,
}

impl<'x> Pair<'x> {
    /// Compares types of these two.
    #[must_use]
    pub fn new(local: &'x Btf<'x>, kernel: &'x Btf<'x>) -> Self {
        Pair {
            local,
            kernel,
            depth: DEPTH,
        }
    }

    /// One step further; false, and a fault, where it gets too deep.
    fn deeper(&mut self) -> bool {
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => self.kernel.fault("nesting", DEPTH),
        }
        self.depth > 0 && self.kernel.spend()
    }

    /// Both types, behind modifiers and typedefs.
    fn skip(&self, local_id: u32, id: u32) -> (Type<'x>, Type<'x>) {
        let local = self.local.skip_mods_and_typedefs(local_id);
        (local, self.kernel.skip_mods_and_typedefs(id))
    }

    /// May a field of the kernel's type be read as the local one? Sizes, signs and
    /// array dimensions do not matter, enums must not have different names.
    #[must_use]
    pub fn fields_compat(mut self, mut local_id: u32, mut id: u32) -> bool {
        while self.deeper() {
            let (l, t) = self.skip(local_id, id);
            if l.is_composite() && t.is_composite() {
                return true;
            }
            if !l.kind_compat(&t) {
                return false;
            }
            match l.kind() {
                kind::ARRAY => (local_id, id) = (l.array().type_id, t.array().type_id),
                kind::PTR | kind::FLOAT => return true,
                kind::FWD | kind::ENUM | kind::ENUM64 => {
                    let (l, t) = self.names(&l, &t);
                    return l.is_empty() || t.is_empty() || same_essential(l, t);
                }
                kind::INT => return !l.is_offset_int() && !t.is_offset_int(),
                _ => return false,
            }
        }
        false
    }

    /// Is the kernel's type one that the local name can stand for? Kinds must be
    /// the same down to the end of pointers, arrays and prototypes.
    #[must_use]
    pub fn types_compat(mut self, mut local_id: u32, mut id: u32) -> bool {
        let (l, t) = (self.local.type_by_id(local_id), self.kernel.type_by_id(id));
        if !l.kind_compat(&t) {
            return false;
        }
        while self.deeper() {
            let (l, t) = self.skip(local_id, id);
            if !l.kind_compat(&t) {
                return false;
            }
            (local_id, id) = match l.kind() {
                kind::UNKN | kind::STRUCT | kind::UNION | kind::FWD => return true,
                kind::ENUM | kind::ENUM64 => return true,
                kind::INT => return !l.is_offset_int() && !t.is_offset_int(),
                kind::ARRAY => (l.array().type_id, t.array().type_id),
                kind::PTR => (l.type_id(), t.type_id()),
                kind::FUNC_PROTO => {
                    let same = |local_id, id| {
                        // Parameters are compared from behind their modifiers on.
                        let (l, t) = self.skip(local_id, id);
                        self.types_compat(l.id, t.id)
                    };
                    if !params(&l, &t, same) {
                        return false;
                    }
                    (l.type_id(), t.type_id())
                }
                _ => return false,
            };
        }
        false
    }

    /// Does the kernel's type have all that the local one has? Members and
    /// enumerators by name, integers by size and sign, and all that they lead to;
    /// behind a pointer a struct's name and kind are enough.
    #[must_use]
    pub fn types_match(mut self, mut local_id: u32, mut id: u32, mut behind_ptr: bool) -> bool {
        while self.deeper() {
            let (l, t) = self.skip(local_id, id);
            let (l_name, t_name) = self.names(&l, &t);
            if !same_essential(l_name, t_name) {
                return false;
            }
            let same_kind = l.kind() == t.kind();
            (local_id, id) = match l.kind() {
                kind::UNKN => return same_kind,
                kind::ENUM | kind::ENUM64 => return self.enums_match(&l, &t),
                kind::FWD if same_kind => return l.kflag() == t.kflag(),
                // The flag of a forward declaration says that it is a union.
                kind::FWD => {
                    let wanted = if l.kflag() { kind::UNION } else { kind::STRUCT };
                    return behind_ptr && t.kind() == wanted;
                }
                kind::STRUCT | kind::UNION if behind_ptr => {
                    let fwd = t.kind() == kind::FWD && t.kflag() == (l.kind() == kind::UNION);
                    return same_kind || fwd;
                }
                _ if !same_kind => return false,
                kind::STRUCT | kind::UNION => return self.composites_match(&l, &t),
                kind::INT => {
                    return l.size() == t.size() && l.is_signed_int() == t.is_signed_int();
                }
                kind::PTR => {
                    behind_ptr = true;
                    (l.type_id(), t.type_id())
                }
                kind::ARRAY => {
                    let (l, t) = (l.array(), t.array());
                    if l.nelems != t.nelems {
                        return false;
                    }
                    (l.type_id, t.type_id)
                }
                kind::FUNC_PROTO => {
                    if !params(&l, &t, |l, t| self.types_match(l, t, behind_ptr)) {
                        return false;
                    }
                    (l.type_id(), t.type_id())
                }
                _ => return false,
            };
        }
        false
    }

    fn names(&self, l: &Type<'x>, t: &Type<'x>) -> (&'x [u8], &'x [u8]) {
        (self.local.name(l.name_off), self.kernel.name(t.name_off))
    }

    /// Is there a kernel enumerator of the same name for each local one?
    fn enums_match(&self, l: &Type<'_>, t: &Type<'_>) -> bool {
        let same = |wanted: u32, name_off: u32| {
            let name = self.kernel.name(name_off);
            self.kernel.spend() && same_essential(name, self.local.name(wanted))
        };
        t.is_enum()
            && l.size() == t.size()
            && l.vlen() <= t.vlen()
            && l.enumerators()
                .all(|(l, _)| t.enumerators().any(|(t, _)| same(l, t)))
    }

    /// Is there a kernel member of the same name and matching type for each local one?
    fn composites_match(&self, l: &Type<'_>, t: &Type<'_>) -> bool {
        let same = |l: &Member, t: &Member| {
            let name = self.kernel.name(t.name_off);
            self.kernel.spend()
                && same_essential(name, self.local.name(l.name_off))
                && self.types_match(l.type_id, t.type_id, false)
        };
        l.vlen() <= t.vlen() && l.members().all(|l| t.members().any(|t| same(&l, &t)))
    }
}

/// Are all parameters the same, and as many?
fn params(l: &Type<'_>, t: &Type<'_>, mut same: impl FnMut(u32, u32) -> bool) -> bool {
    l.vlen() == t.vlen() && l.params().zip(t.params()).all(|(l, t)| same(l, t))
}
